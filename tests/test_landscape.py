from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.geometry import Turn, check_extent
from tests.zoo import (
    F,
    classification,
    cnn,
    counting,
    himmelblau,
    linear_net,
    load,
    loop,
    mlp,
    normal,
    rosenbrock,
    whole,
)

# Closed forms hold to 1e-10 in float64 (known answers, section 5).
CLOSED = 1e-10


def own_plane(objective: la.Objective, seed: int = 0) -> la.Plane:
    u, v = (normal(objective.size, seed=seed + i, dtype=objective.dtype) for i in (1, 2))
    return la.Plane(objective.theta, u, v)


def square(f: Any, theta: tuple[float, float] = (0.0, 0.0)) -> la.Landscape:
    """The landscape of a function of two parameters, a and b themselves the parameters' offsets."""
    origin = torch.tensor(theta, dtype=torch.float64)
    return la.Landscape(
        la.Objective.from_function(f, origin), la.Plane(origin, *torch.eye(2, dtype=torch.float64))
    )


def network(**options: Any) -> la.Landscape:
    objective = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(100), **options)
    return la.Landscape(objective, la.Plane.random(objective))


def axes(extent: tuple[float, ...], shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.linspace(*extent[:2], shape[1]), np.linspace(*extent[2:], shape[0])
    return np.meshgrid(a, b)


# Known answers.


def test_a_slice_of_a_quadratic_is_the_quadratic_of_its_gram_matrix() -> None:
    matrix = normal(8, 8, dtype=torch.float64)
    matrix = matrix @ matrix.T - torch.eye(8, dtype=torch.float64)  # indefinite
    objective = la.Objective.from_function(
        lambda t: 0.5 * t @ matrix @ t, normal(8, seed=5, dtype=torch.float64)
    )
    plane = own_plane(objective)
    basis, origin, h = torch.stack([plane.u, plane.v]).numpy(), plane.origin.numpy(), matrix.numpy()
    gram, slope, constant = basis @ h @ basis.T, basis @ h @ origin, 0.5 * origin @ h @ origin
    extent, shape = (-3.0, 1.0, -0.5, 2.5), (7, 9)
    a, b = axes(extent, shape)
    point = np.stack([a, b], axis=-1)
    expected = 0.5 * np.einsum("...i,ij,...j", point, gram, point) + point @ slope + constant
    found = la.Landscape(objective, plane).grid(extent, shape)
    np.testing.assert_allclose(found, expected, rtol=CLOSED, atol=CLOSED)


def test_a_slice_of_linear_regression_is_exactly_quadratic() -> None:
    x, y = normal(60, 5, dtype=torch.float64), normal(60, 2, seed=1, dtype=torch.float64)
    objective = la.Objective(nn.Linear(5, 2).double(), nn.MSELoss(), (x, y))
    landscape = la.Landscape(objective, own_plane(objective))
    values = landscape.grid((-2, 2, -2, 2), (9, 9))
    third = np.diff(values, 3, axis=0)
    assert np.abs(third).max() < CLOSED * np.abs(values).max()
    mixed = np.diff(np.diff(values, 2, axis=0), 1, axis=1)
    assert np.abs(mixed).max() < CLOSED * np.abs(values).max()


def test_a_linear_net_of_depth_two_is_a_polynomial_of_degree_four_known_from_fifteen_samples() -> None:
    x, y = normal(40, 4, dtype=torch.float64), normal(40, 2, seed=1, dtype=torch.float64)
    objective = la.Objective(linear_net(4, 3, 2), nn.MSELoss(), (x, y))
    landscape = la.Landscape(objective, own_plane(objective))
    powers = [(i, j) for i in range(5) for j in range(5 - i)]
    assert len(powers) == 15

    def monomials(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.stack([a**i * b**j for i, j in powers], axis=-1)

    # A triangle of 15 points, on which a polynomial of degree 4 in two variables is unique.
    a, b = (np.array(points, dtype=float) / 2 - 1 for points in zip(*powers, strict=True))
    coefficients = np.linalg.solve(monomials(a, b), landscape.evaluate(a, b))
    grid_a, grid_b = axes((-2, 2, -2, 2), (8, 11))
    expected = monomials(grid_a, grid_b) @ coefficients
    found = landscape.grid((-2, 2, -2, 2), (8, 11))
    assert np.abs(found - expected).max() < 1e-9 * np.abs(found).max()  # extrapolation by 2 costs a digit
    # And it is of degree 4, not less.
    assert np.abs(np.diff(found[:, 0], 4)).max() > 1e-3


@pytest.mark.parametrize(
    ("point", "value"),
    [
        ((3.0, 2.0), 0.0), ((-2.805118, 3.131313), 0.0), ((-3.779310, -3.283186), 0.0), ((3.584428, -1.848127), 0.0),
        ((-3.07303, -0.08135), 104.015), ((-0.12796, -1.95371), 178.337), ((0.08668, 2.88425), 67.719),
        ((3.38515, 0.07385), 13.312), ((-0.27084, -0.92304), 181.617),
    ],
)  # fmt: skip
def test_himmelblaus_critical_points_lie_where_they_are_known_to(
    point: tuple[float, float], value: float
) -> None:
    landscape = square(himmelblau)
    # Points are known to six digits, values to three decimals.
    assert landscape.evaluate(*point) == pytest.approx(value, abs=2e-3)
    gradient = landscape.objective.gradient(torch.tensor(point, dtype=torch.float64))
    assert float(gradient.abs().max()) < 5e-3


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_rosenbrocks_valley_is_itself(a: float, b: float) -> None:
    assert ROSENBROCK.evaluate(a, b) == pytest.approx(
        (1 - a) ** 2 + 100 * (b - a * a) ** 2, rel=CLOSED, abs=1e-12
    )


ROSENBROCK = square(rosenbrock)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_point_is_the_plain_loop_of_the_model_at_that_point(dtype: torch.dtype) -> None:
    x, y = normal(50, 1, 8, 8, dtype=dtype), whole(3, 50)
    model = cnn().to(dtype)
    batches = list(zip(x.split(20), y.split(20), strict=True))
    objective = la.Objective(model, F.cross_entropy, batches)
    plane = la.Plane.random(objective, 4)
    landscape = la.Landscape(objective, plane)
    values = landscape.grid((-1, 1, -1, 1), (3, 5))
    for row, b in enumerate(np.linspace(-1, 1, 3)):
        for column, a in enumerate(np.linspace(-1, 1, 5)):
            there = load(cnn().to(dtype), plane.origin + float(a) * plane.u + float(b) * plane.v)
            expected = loop(there, F.cross_entropy, batches)
            # Rounding of a forward pass in another size of batch.
            assert values[row, column] == pytest.approx(
                expected, rel=1e-12 if dtype == torch.float64 else 1e-5
            )


# Defects of the peers.


def test_rows_are_not_shifted_or_mirrored_and_axes_not_exchanged() -> None:
    landscape = square(lambda t: 10 * t[0] + t[1])
    a, b = axes((0, 4, 10, 12), (3, 5))
    assert landscape.grid((0, 4, 10, 12), (3, 5)).tolist() == (10 * a + b).tolist()


def test_a_grid_has_rows_of_b_and_columns_of_a_end_points_included() -> None:
    landscape = square(lambda t: 10 * t[0] + t[1])
    grid = landscape.grid((-1, 1, 2, 3), (2, 4))
    assert grid.shape == (2, 4)
    assert grid.dtype == np.float64
    assert grid[0, 0] == -10 + 2
    assert grid[0, -1] == 10 + 2
    assert grid[-1, 0] == -10 + 3


def test_a_single_row_or_column_stands_at_its_first_end() -> None:
    landscape = square(lambda t: 10 * t[0] + t[1])
    assert landscape.grid((0, 1, 5, 6), (1, 1)).tolist() == [[5.0]]
    assert landscape.grid((0, 1, 5, 6), (2, 1)).tolist() == [[5.0], [6.0]]


def test_a_tiles_row_0_lies_at_its_lowest_b() -> None:
    tile = square(lambda t: 10 * t[0] + t[1]).tile(la.TileAddress(1, 2, -3))
    a, b = np.meshgrid(np.linspace(1.0, 1.5, 33), np.linspace(-1.5, -1.0, 33))
    assert tile.values.tolist() == (10 * a + b).tolist()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_as_it_is_and_where_it_is(bad: float) -> None:
    landscape = square(lambda t: torch.where((t - 0.5).abs().max() < 0.01, bad, t[0]))
    grid = landscape.grid((0, 1, 0, 1), (5, 5))
    assert repr(grid[2, 2]) == repr(np.float64(bad))
    assert np.isfinite(grid).sum() == 24
    tile = landscape.tile(la.TileAddress(0, 0, 0))
    assert repr(tile.values[16, 16]) == repr(np.float64(bad))
    assert np.isfinite(tile.values).sum() == 33 * 33 - 1
    assert tile.error == math.inf


def test_a_network_that_overflows_is_infinite_there_and_no_error() -> None:
    class Steep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x).exp()

    objective = la.Objective(Steep(), nn.MSELoss(), (normal(20, 6), torch.zeros(20, 1)))
    values = la.Landscape(objective, la.Plane.random(objective)).evaluate([0.0, 1e4], 0.0)
    assert np.isfinite(values[0])
    assert values[1] == np.inf


# Law 6: one node, one value.


def test_grid_tile_and_evaluate_agree_to_the_bit_and_with_value_to_rounding() -> None:
    landscape = network()
    tile = landscape.tile(la.TileAddress(0, 0, 0))
    # Each by a landscape of its own, so that no number comes out of a store.
    grid = network().grid((0, 1, 0, 1), (33, 33))
    assert grid.tolist() == tile.values.tolist()
    for a, b, row, column in ((0.0, 0.0, 0, 0), (0.5, 0.25, 8, 16), (1.0, 0.03125, 1, 32)):
        value = tile.values[row, column]
        assert network().evaluate(a, b) == value
        assert landscape.objective.value(landscape.plane.at(a, b)) == pytest.approx(value, rel=1e-6)
        assert landscape.objective.values(landscape.plane.at(a, b)[None])[0] == pytest.approx(value, rel=1e-6)


def test_values_do_not_depend_on_the_order_or_company_they_are_asked_in() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-2, 2, (2, 40))
    together = network().evaluate(a, b)
    backwards = network().evaluate(a[::-1], b[::-1])[::-1]
    assert together.tolist() == backwards.tolist()


def test_a_node_is_evaluated_once_for_parent_children_and_neighbours() -> None:
    loss, calls = counting(F.cross_entropy)
    objective = la.Objective(mlp(6, 3), loss, classification(20))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    parent = la.TileAddress(0, 0, 0)

    def cost(address: la.TileAddress) -> int:
        calls.clear()
        landscape.tile(address)
        return len(calls)

    assert cost(parent) == 33 * 33 + 4  # its checks
    assert cost(parent) == 0
    # The first child lacks 33² − 17² nodes; of its neighbours' each one border more is known.
    assert [cost(child) - 4 for child in parent.children()] == [800, 784, 784, 768]
    assert cost(la.TileAddress(0, 1, 0)) == 33 * 32 + 4
    calls.clear()
    landscape.grid((0, 1, 0, 1), (33, 33))
    landscape.evaluate([0.25, 0.5], [0.75, 0.5])
    assert calls == []


def test_shared_nodes_are_the_same_number() -> None:
    landscape = network()
    tile = landscape.tile(la.TileAddress(2, 1, -2))
    right = landscape.tile(la.TileAddress(2, 2, -2))
    above = landscape.tile(la.TileAddress(2, 1, -1))
    child = landscape.tile(tile.address.children()[3])
    assert tile.values[:, -1].tolist() == right.values[:, 0].tolist()
    assert tile.values[-1].tolist() == above.values[0].tolist()
    assert tile.values[16:, 16:].tolist() == child.values[::2, ::2].tolist()


def test_another_field_of_a_tile_evaluates_nothing_again() -> None:
    loss, calls = counting(F.cross_entropy)
    objective = la.Objective(mlp(6, 3), loss, classification(20), fields=("accuracy",))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    landscape.tile(la.TileAddress(0, 0, 0))
    calls.clear()
    tile = landscape.tile(la.TileAddress(0, 0, 0), field="accuracy")
    assert calls == []
    assert tile.field == "accuracy"
    assert set(np.unique(tile.values * 20).round(9)) <= set(range(21))


# Tiles.


def test_a_tile_is_exact_all_over_and_says_so() -> None:
    landscape = network()
    for quality in (0, 1, 2):
        tile = landscape.tile(la.TileAddress(0, -1, 0), quality)
        assert tile.values.shape == tile.evaluated.shape == (33, 33)
        assert tile.evaluated.all()
        assert (tile.nodes, tile.quality, tile.se_level, tile.se_shape) == (33, 2, 0.0, 0.0)
        assert 0 < tile.error < np.ptp(tile.values)


@pytest.mark.parametrize("z", [16, 40])
def test_a_deep_tile_has_the_values_of_its_nodes(z: int) -> None:
    dtype = torch.float32 if z == 16 else torch.float64
    landscape = network(dtype=dtype)
    address = la.TileAddress(z, 5, -9)
    tile = landscape.tile(address)
    a, b = address.axes()
    theta = landscape.plane.at(float(a[7]), float(b[20]))
    assert tile.values[20, 7] == pytest.approx(
        landscape.objective.value(theta), rel=1e-6 if z == 16 else 1e-14
    )
    assert not torch.equal(theta, landscape.plane.at(float(a[8]), float(b[20])))


def test_an_empty_question_has_an_empty_answer() -> None:
    landscape = network()
    assert landscape.evaluate([], []).shape == (0,)
    assert landscape.evaluate(np.empty((0, 3)), 1.0).shape == (0, 3)
    assert landscape.evaluated == 0


def test_answers_have_the_shape_of_the_question() -> None:
    landscape = network()
    assert isinstance(landscape.evaluate(0, 0), float)
    assert landscape.evaluate([0.0, 1.0], 0.5).shape == (2,)
    assert landscape.evaluate(np.zeros((2, 1)), np.zeros((1, 3))).shape == (2, 3)
    assert landscape.evaluate(torch.zeros(2), torch.ones(2)).dtype == np.float64


def test_all_fields_at_a_point_come_together() -> None:
    landscape = network(fields=("accuracy",))
    assert jobs.call(landscape.at(0.5, -0.5)) == {
        name: landscape.evaluate(0.5, -0.5, field=name) for name in ("loss", "accuracy")
    }


def test_a_first_picture_of_the_default_view_is_25_nodes() -> None:
    assert len(set(network().home_pass())) == 25


# Law 5: scenes.


def test_the_same_recipe_is_the_same_scene() -> None:
    assert network().scene == network().scene


def test_another_recipe_is_another_scene() -> None:
    objective = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(100))
    other = la.Objective(mlp(6, 8, 3, seed=1), F.cross_entropy, classification(100))
    landscapes = [
        la.Landscape(objective, la.Plane.random(objective)),
        la.Landscape(objective, la.Plane.random(objective, 1)),
        la.Landscape(objective, la.Plane.random(other)),  # the same seed, of another point
        la.Landscape(other, la.Plane.random(other)),
        la.Landscape(objective, own_plane(objective)),
        la.Landscape(objective, la.Plane.random(objective), extent=(-2, 2, -2, 2)),
        network(dtype=torch.float64),
    ]
    landscapes.append(landscapes[0].turned(Turn(turn_u=1)))
    assert len({landscape.scene.hash for landscape in landscapes}) == len(landscapes)


def test_a_scene_tells_what_the_map_shows() -> None:
    landscape = network(fields=("accuracy",))
    scene = landscape.scene
    assert scene.fields[:2] == ("loss", "accuracy")
    assert (scene.dtype, scene.samples, scene.home) == ("float32", 100, (-1.0, 1.0, -1.0, 1.0))
    assert scene.title == "Sequential · 83 parameters"
    name, length, unit = scene.axes[0]
    norm = float(landscape.objective.theta.norm())
    assert (name, unit) == ("random 1", "‖θ‖")
    assert length == pytest.approx(float(landscape.plane.u.norm()) / norm, rel=1e-6)


def test_turning_back_finds_the_nodes_again() -> None:
    landscape = network()
    turned = landscape.turned(Turn(turn_u=10, offset=0.5))
    turned.grid(shape=(3, 3))
    assert turned.turned(Turn()).scene == landscape.scene
    again = landscape.turned(Turn(turn_u=10, offset=0.5))
    assert (again.scene, again.evaluated) == (turned.scene, 9)


def test_turned_landscapes_are_forgotten_before_they_fill_the_memory() -> None:
    landscape = network()
    for degrees in range(1, 181):
        last = landscape.turned(Turn(turn_u=degrees))
        last.evaluate(0.5, 0.5)
    assert len(landscape._family) == 64
    assert landscape.turned(Turn(turn_u=180)).evaluated == 1
    assert landscape.turned(Turn(turn_u=1)).evaluated == 1  # the nodes are kept longer than the vectors
    for degrees in range(-180, 0):
        landscape.turned(Turn(turn_v=degrees)).evaluate(0.5, 0.5)
    assert landscape.turned(Turn(turn_u=1)).evaluated == 0
    assert landscape.turned(Turn(turn_u=180)).turned(Turn()).scene == landscape.scene


def test_a_renewed_landscape_is_that_of_the_model_as_it_is_now() -> None:
    model, data = mlp(6, 8, 3), classification(100)
    objective = la.Objective(model, F.cross_entropy, data)
    landscape = la.Landscape(objective, la.Plane.random(objective, 3)).turned(Turn(turn_v=-20))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    fresh = landscape.renewed()
    now = la.Objective(model, F.cross_entropy, data)
    expected = la.Landscape(now, la.Plane.random(now, 3)).turned(Turn(turn_v=-20))
    assert fresh.scene == expected.scene
    assert fresh.scene.hash != landscape.scene.hash
    assert fresh.evaluate(0.3, 0.4) == expected.evaluate(0.3, 0.4)


# Law 8.


class Fragile(nn.Module):
    """Raises where its first weight has grown."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = mlp(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.layer[0].weight.abs().max() > 2:
            raise IndexError("no such expert.")
        return self.layer(x)


def fragile() -> la.Landscape:
    objective = la.Objective(Fragile(), F.cross_entropy, classification(20))
    return la.Landscape(objective, la.Plane.random(objective))


@pytest.mark.parametrize(
    "call",
    [
        lambda landscape: landscape.evaluate([0.0, 100.0], 0.0),
        lambda landscape: landscape.grid((0, 100, 0, 1), (1, 2)),
        lambda landscape: landscape.tile(la.TileAddress(-5, 3, 0)),
    ],
    ids=["evaluate", "grid", "tile"],
)
def test_a_model_that_raises_says_where_with_what_shapes_and_why(call: Any) -> None:
    landscape = fragile()
    message = (
        r"IndexError at a = \d+, b = \d+ with x \(20, 6\) float32, y \(20,\) int64: no such expert\. "
        r"Check that loss_fn\(model\(x\), y\) runs on one batch by itself\."
    )
    with pytest.raises(la.EvaluationError, match=message) as raised:
        call(landscape)
    assert isinstance(raised.value, RuntimeError)
    assert isinstance(raised.value.__cause__, IndexError)
    # It lives on, and keeps what was evaluated before.
    assert landscape.evaluate(0.0, 0.0) == landscape.objective.value(landscape.objective.theta)


def other_length() -> la.Landscape:
    objective = la.Objective(mlp(6, 3), F.cross_entropy, classification(8))
    return la.Landscape(network().objective, la.Plane.random(objective))


def other_dtype() -> la.Landscape:
    return la.Landscape(network().objective, network(dtype=torch.float64).plane)


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no objective": (
        lambda: la.Landscape(mlp(6, 3), network().plane), TypeError, "objective is a Sequential. Pass a lossatlas.Objective",
    ),
    "no plane": (
        lambda: la.Landscape(network().objective, "random"), TypeError, "plane is a str. Pass a lossatlas.Plane, as in",
    ),
    "another objective's plane": (
        other_length, ValueError, "vectors of length 21, but the objective has P = 83 parameters. Make the plane from",
    ),
    "another precision": (
        other_dtype, ValueError, "plane is torch.float64 on cpu, but the objective is torch.float32 on cpu. Convert",
    ),
    "a of no place": (
        lambda: network().evaluate([0.0, math.nan], 0.0), ValueError, "a holds 1 non-finite coordinates among 2",
    ),
    "b of no place": (lambda: network().evaluate(0.0, math.inf), ValueError, "b holds 1 non-finite"),
    "beyond float32": (
        lambda: network().evaluate(1e300, 0.0), ValueError, r"a reaches 1e\+300, beyond torch.float32. Stay within ±3.4e\+38",
    ),
    "shapes that do not fit": (
        lambda: network().evaluate([0.0, 1.0], [0.0, 1.0, 2.0]), ValueError, "a and b cannot be combined: .*Pass numbers or",
    ),
    "words": (lambda: network().evaluate("here", 0.0), ValueError, "a and b cannot be combined"),
    "objects": (lambda: network().evaluate([object()], 0.0), ValueError, "a and b cannot be combined"),
    "no field": (lambda: network().grid(field="los"), ValueError, "There is no field 'los' here. This objective has 'loss'"),
    "no width": (
        lambda: network().grid((0, 0, -1, 1)), ValueError, "The extent runs from 0 to 0 along a. Pass finite a0 < a1",
    ),
    "backwards": (lambda: network().grid((-1, 1, 3, 2)), ValueError, "runs from 3 to 2 along b. Pass finite b0 < b1"),
    "endless": (lambda: network().grid((0, math.inf, 0, 1)), ValueError, "runs from 0 to inf along a"),
    "an extent wider than any number": (
        lambda: la.Landscape(network().objective, network().plane, extent=(-1e308, 1e308, -1, 1)), ValueError,
        "from -1e\\+308 to 1e\\+308 along a. Pass finite a0 < a1",
    ),
    "three numbers": (lambda: network().grid((0, 1, 2)), ValueError, r"extent is \(0, 1, 2\). Pass four numbers"),
    "a number": (lambda: network().grid(3), ValueError, "extent is 3. Pass four numbers"),
    "shape 0": (
        lambda: network().grid(shape=(0, 5)), ValueError, r"shape is \(0, 5\). Pass \(rows of b, columns of a\), whole numbers",
    ),
    "shape of fractions": (lambda: network().grid(shape=(2.5, 5)), ValueError, r"shape is \(2.5, 5\)"),
    "one number as shape": (lambda: network().grid(shape=5), ValueError, "shape is 5"),
    "no address": (lambda: network().tile((0, 0, 0)), TypeError, r"address is a tuple. Pass a TileAddress\(z, x, y\)"),
    "too fine": (
        lambda: network().tile(la.TileAddress(31, 0, 0)), ValueError,
        "Tile z=31 is finer than float32 can resolve. Stay at z ≤ 16, or use float64.",
    ),
    "too fine for float64": (
        lambda: network(dtype=torch.float64).tile(la.TileAddress(41, 0, 0)), ValueError,
        r"Tile z=41 is finer than float64 can resolve. Stay at z ≤ 40\.$",
    ),
    "too wide": (lambda: network().tile(la.TileAddress(-21, 0, 0)), ValueError, "wider than a map can show. Stay at z ≥ -20"),
    "too far": (
        lambda: network().tile(la.TileAddress(16, 2**19, 0)), ValueError,
        "lies too far out for torch.float32 to tell its nodes apart. Stay within ±8 at z=16",
    ),
    "quality": (
        lambda: network().tile(la.TileAddress(0, 0, 0), quality=3), ValueError, r"quality is 3. Pass 0 \(preview\), 1 or 2",
    ),
    "tolerance": (
        lambda: network().tile(la.TileAddress(0, 0, 0), tolerance=-0.1), ValueError, "tolerance is -0.1. Pass a share",
    ),
    "tolerance of words": (
        lambda: network().tile(la.TileAddress(0, 0, 0), tolerance="low"), ValueError, "tolerance is 'low'. Pass a share",
    ),
    "home view without width": (
        lambda: la.Landscape(network().objective, network().plane, extent=(1, 1, 0, 1)), ValueError, "from 1 to 1 along a",
    ),
    "home view below rounding": (
        lambda: la.Landscape(network().objective, network().plane, extent=(0, 1e-9, 0, 1e-9)), ValueError,
        "home view is 1e-09 wide, which is level z = 31. In torch.float32 a map reaches from z = -20 to 16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_call_is_named_with_its_value_and_the_cure(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()


def test_a_wrong_call_evaluates_nothing() -> None:
    landscape = network()
    with pytest.raises(ValueError, match="non-finite"):
        landscape.evaluate([0.0, 1.0, math.nan], 0.0)
    with pytest.raises(ValueError, match="finer than"):
        landscape.tile(la.TileAddress(17, 0, 0))
    assert landscape.evaluated == 0


@given(st.integers(-20, 16), st.integers(-(2**19), 2**19 - 1))
def test_the_nodes_of_every_tile_that_is_let_through_are_different_numbers_in_float32(z: int, x: int) -> None:
    address = la.TileAddress(z, x, 0)
    NETWORK.check_address(address)
    assert len(set(address.axes()[0].astype(np.float32).tolist())) == 33


NETWORK = network()


def test_extents_are_four_floats() -> None:
    assert check_extent([np.float32(-1), 1, 0, "2"]) == (-1.0, 1.0, 0.0, 2.0)


def test_explore_takes_a_model_or_an_objective_but_not_both() -> None:
    with pytest.raises(TypeError, match="already has its loss and data. Pass it alone"):
        la.explore(network().objective, F.cross_entropy)


def test_a_landscape_and_its_objective_are_gone_with_their_last_holder() -> None:
    gc.collect()
    gc.disable()  # by counting references alone: a cell that is run again and again must not pile up old maps
    try:
        landscape = network()
        landscape.grid(shape=(3, 3))
        landscape.turned(Turn(turn_v=30)).evaluate(0.5, 0.5)
        gone = [weakref.ref(landscape), weakref.ref(landscape.objective)]
        del landscape
        assert [reference() for reference in gone] == [None, None]
    finally:
        gc.enable()
