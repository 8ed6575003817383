"""Landscapes on lines, profiles, captions, and the same plane on other data."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.geometry import Turn
from tests.zoo import F, classification, cnn, flat, himmelblau, load, loop, mlp, normal, whole

DATA = classification(100)


def made(seed: int = 0, **options: Any) -> la.Objective:
    return la.Objective(mlp(6, 8, 3, seed=seed), F.cross_entropy, DATA, dtype=torch.float64, **options)


def on_line() -> la.Landscape:
    objective = made()
    return la.Landscape(objective, la.Line.between(objective, mlp(6, 8, 3, seed=1)))


def on_plane() -> la.Landscape:
    objective = made()
    return la.Landscape(objective, la.Plane.random(objective))


# Lines.


def test_a_line_between_two_models_has_their_losses_at_its_ends() -> None:
    landscape = on_line()
    for a, seed in ((0.0, 0), (1.0, 1)):
        x, y = DATA
        expected = loop(mlp(6, 8, 3, seed=seed).double(), F.cross_entropy, [(x.double(), y)])
        assert landscape.evaluate(a) == pytest.approx(expected, rel=1e-12)
    assert landscape.evaluate([0.0, 0.5, 1.0]).shape == (3,)


def test_a_line_of_a_quadratic_is_a_parabola() -> None:
    matrix = normal(6, 6, dtype=torch.float64)
    matrix = matrix + matrix.T
    origin, u = normal(6, seed=1).double(), normal(6, seed=2).double()
    landscape = la.Landscape(
        la.Objective.from_function(lambda t: 0.5 * t @ matrix @ t, origin), la.Line(origin, u)
    )
    a = np.linspace(-2, 2, 9)
    c, b, k = (float(0.5 * p @ matrix @ q) for p, q in ((u, u), (u, origin), (origin, origin)))
    np.testing.assert_allclose(landscape.evaluate(a), c * a**2 + 2 * b * a + k, rtol=1e-10, atol=1e-10)


def test_a_line_is_the_axis_of_the_plane_to_the_bit() -> None:
    objective = made()
    plane = la.Plane.random(objective)
    line = la.Line(objective.theta, plane.u)
    a = np.linspace(-1, 1, 7)
    assert np.array_equal(
        la.Landscape(objective, line).evaluate(a), la.Landscape(objective, plane).evaluate(a, 0.0)
    )


def test_the_grid_of_a_line_runs_over_its_home() -> None:
    landscape = on_line()
    assert landscape.home == (-0.5, 1.5, 0.0, 0.0)
    np.testing.assert_array_equal(landscape.grid(shape=5), landscape.evaluate(np.linspace(-0.5, 1.5, 5)))
    np.testing.assert_array_equal(landscape.grid((0, 1), 3), landscape.evaluate([0.0, 0.5, 1.0]))
    assert landscape.grid().shape == (51,)


def test_a_line_has_a_scene_and_its_profile_a_figure() -> None:
    landscape = on_line()
    assert [name for name, _, _ in landscape.scene.axes] == ["towards the other weights"]
    assert landscape.scene.hash == on_line().scene.hash
    figure = landscape.figure(num=5, field="loss")  # type: ignore[attr-defined]
    np.testing.assert_array_equal(figure.data[0].x, np.linspace(-0.5, 1.5, 5))
    np.testing.assert_array_equal(figure.data[0].y, landscape.grid(shape=5))
    assert [shape.x0 for shape in figure.layout.shapes] == [0.0, 1.0]  # θ and the other weights
    assert figure.layout.xaxis.title.text.startswith("a · towards the other weights · 1 = ")


def test_the_figure_of_a_line_leaves_a_gap_where_a_value_is_not_finite_and_says_so() -> None:
    theta = torch.tensor([1.0, 2.0], dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: (t**2).sum() * 1e3 ** (t[0] - 1) + 0 * t[1].log(), theta)
    line = la.Line(objective.theta, torch.tensor([0.0, 4.0], dtype=torch.float64))
    figure = la.Landscape(objective, line).figure(num=5)  # type: ignore[attr-defined]
    assert np.isnan(figure.data[0].y).tolist() == [True, True, False, False, False]
    assert "2 of 5 not finite" in figure.layout.yaxis.title.text


def test_the_tiles_of_a_line_are_its_values_at_dyadic_points() -> None:
    landscape = on_line()
    address = la.TileAddress(0, 1, 0)  # a from 1 to 2
    for nodes in (3, 5, 9, 17, 33):
        rank, points = landscape.missing(address)[0]
        for _ in landscape.work(points):
            pass
        found = landscape.known(address)
        assert found is not None
        assert (found.nodes, found.rank, found.centres) == (nodes, rank, None)
        np.testing.assert_array_equal(found.values, [landscape.evaluate(np.linspace(1, 2, nodes))])
    assert landscape.missing(address) == []
    assert landscape.evaluated == 33 + 4  # a row, not a square, and its checks


def test_a_coarse_tile_of_a_parabola_is_the_parabola() -> None:
    objective = la.Objective.from_function(lambda t: (t**2).sum(), torch.ones(2, dtype=torch.float64))
    landscape = la.Landscape(objective, la.Line(objective.theta, torch.tensor([2.0, 0.0]).double()))
    address = la.TileAddress(0, 0, 0)
    for _, points in landscape.missing(address)[:2]:
        for _ in landscape.work(points):
            pass
    found = landscape.known(address)
    assert found is not None
    assert found.nodes == 5
    a = np.linspace(0, 1, 33)
    np.testing.assert_allclose(found.filled(), [(1 + 2 * a) ** 2 + 1], rtol=1e-14)
    assert found.error is not None
    assert found.error.within(1e-13)


def test_a_refreshed_line_starts_at_the_model_as_it_is_and_keeps_its_end() -> None:
    model, other = mlp(6, 8, 3).double(), mlp(6, 8, 3, seed=1).double()
    objective = la.Objective(model, F.cross_entropy, (DATA[0].double(), DATA[1]))
    lines = [la.Line.between(objective, other), la.Line.along(objective, la.Direction.gradient(objective))]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    for line in lines:
        fresh = la.Landscape(objective, line).renewed().slice
        assert fresh.names == line.names
        assert torch.equal(fresh.origin, 0.5 * line.origin)
    assert torch.allclose(la.Landscape(objective, lines[0]).renewed().slice.at(1.0), flat(other), rtol=1e-12)


# Profiles.


def test_a_profile_of_a_plane_is_exact_at_even_steps() -> None:
    landscape = on_plane()
    profile = landscape.profile((-1.0, 0.5), (1.0, -0.5), num=11)
    np.testing.assert_allclose(profile.a, np.linspace(-1, 1, 11))
    np.testing.assert_allclose(profile.b, np.linspace(0.5, -0.5, 11))
    np.testing.assert_array_equal(profile.values, landscape.evaluate(profile.a, profile.b))
    ends = landscape.plane.at(-1.0, 0.5), landscape.plane.at(1.0, -0.5)
    assert profile.distance[-1] == pytest.approx(float((ends[1] - ends[0]).norm()), rel=1e-12)
    assert profile.field == "loss"
    assert len(landscape.profile((0, 0), (1, 0)).values) == 101


def test_a_profile_of_a_line_runs_over_its_home_by_default() -> None:
    profile = on_line().profile(num=5)
    np.testing.assert_array_equal(profile.a, [-0.5, 0.0, 0.5, 1.0, 1.5])
    assert not profile.b.any()
    np.testing.assert_array_equal(on_line().profile(0, 1, 3).a, [0.0, 0.5, 1.0])


def test_what_is_not_finite_stays_so_in_a_profile() -> None:
    origin = torch.zeros(1, dtype=torch.float64)
    o = la.Objective.from_function(lambda t: torch.log(t[0] + 0.5), origin)
    values = la.Landscape(o, la.Line(origin, torch.ones(1, dtype=torch.float64))).profile(-1, 0, 3).values
    assert math.isnan(values[0])
    assert values[1] == -math.inf
    assert values[2] == math.log(0.5)


# Home.


def test_a_landscape_shows_the_home_of_its_plane() -> None:
    objective = made()
    plane = la.Plane.through(objective, mlp(6, 8, 3, seed=1), mlp(6, 8, 3, seed=2))
    assert la.Landscape(objective, plane).scene.home == (-0.5, 1.5, -0.5, 1.5)
    assert la.Landscape(objective, plane, extent=(0, 1, 0, 1)).home == (0.0, 1.0, 0.0, 1.0)
    assert la.Landscape(objective, plane).grid(shape=(1, 1)).shape == (1, 1)


def test_renewing_makes_the_plane_of_the_recipe_again() -> None:
    model = mlp(6, 8, 3)
    objective = la.Objective(model, F.cross_entropy, DATA)
    landscape = la.Landscape(objective, la.Plane.gradient(objective, 2))
    load(model, 1.5 * flat(model))
    now = la.Objective(model, F.cross_entropy, DATA)
    assert landscape.renewed().scene == la.Landscape(now, la.Plane.gradient(now, 2)).scene


# Other data.


@pytest.mark.parametrize("turn", [Turn(), Turn(turn_u=30, offset=0.5)])
def test_the_same_plane_on_other_data_is_what_a_new_objective_gives(turn: Turn) -> None:
    held_out = classification(40, seed=9)
    landscape = on_plane().turned(turn)
    other = landscape.on(held_out)
    expected = la.Objective(mlp(6, 8, 3), F.cross_entropy, held_out, dtype=torch.float64)
    assert other.objective.hash == expected.hash
    assert torch.equal(other.plane.u, landscape.plane.u)
    assert other.plane.hash == landscape.plane.hash
    assert other.evaluate(0.5, -0.5) == expected.value(landscape.plane.at(0.5, -0.5))
    assert other.scene.samples == 40
    assert other.scene.hash != landscape.scene.hash


def test_other_data_keep_fields_frozen_parameters_and_a_line() -> None:
    model = cnn()
    model[0].weight.requires_grad_(False)
    x, y = normal(20, 1, 8, 8), whole(3, 20)
    objective = la.Objective(model, F.cross_entropy, (x, y), fields=("loss", "accuracy"))
    landscape = la.Landscape(objective, la.Line.along(objective, la.Direction.gradient(objective)))
    other = landscape.on([(x[:7], y[:7])])
    assert other.objective.size == objective.size
    with torch.no_grad():
        expected = (model.eval()(x[:7]).argmax(1) == y[:7]).double().mean()
    assert other.evaluate(0.0, field="accuracy") == pytest.approx(float(expected), rel=1e-7)


def test_other_data_are_for_the_model_as_it_was_and_touch_nothing() -> None:
    model = cnn()
    model.train()
    objective = la.Objective(model, F.cross_entropy, (normal(20, 1, 8, 8), whole(3, 20)))
    theta = objective.theta
    load(model, 2 * flat(model))
    before, stream = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    other = objective.on((normal(10, 1, 8, 8, seed=3), whole(3, 10)))
    assert torch.equal(other.theta, theta)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), stream)
    assert other.model_changed
    renewed = other.renewed()
    assert torch.equal(renewed.theta, flat(model))
    assert renewed.samples == 10
    del model, objective
    with pytest.raises(ValueError, match="model of this map no longer exists"):
        other.renewed()
    assert other.on((normal(4, 1, 8, 8), whole(3, 4))).samples == 4


# Captions.


def test_a_caption_says_what_the_axes_mean() -> None:
    landscape = on_plane()
    objective, plane = landscape.objective, landscape.plane
    text = landscape.caption()
    relative = float(plane.u.norm() / objective.theta.norm())
    for part in (
        "83 parameters: the loss on the plane θ(a, b) = origin + a·u + b·v, all 100 samples. It is a slice.",
        "u: random 1 (random Gaussian 1 of seed 0, filter-normalised, tensors of one dimension fixed)",
        f"1 on its axis is ‖u‖ = {float(plane.u.norm()):.4g} = {relative:.3g} ‖θ‖.",
        f"The angle between u and v is {plane.angle:.1f}°.",
        f"{plane.share(objective.gradient(objective.theta)):.1%} of the length lies in the plane.",
        f"Recipe {landscape.scene.hash}.",
    ):
        assert part in text
    cosine = float(plane.u @ plane.v / (plane.u.norm() * plane.v.norm()))
    assert plane.angle == pytest.approx(math.degrees(math.acos(cosine)), abs=1e-9)


def test_a_caption_says_where_other_points_lie() -> None:
    landscape = on_plane()
    inside, outside = landscape.plane.at(0.5, 0.5), mlp(6, 8, 3, seed=4)
    text = landscape.caption({"inside": inside, "SAM": outside, "here": landscape.plane.origin})
    away = flat(outside).double() - landscape.plane.origin
    assert "inside lies" in text
    assert "100.0% of that way lies in the plane" in text
    assert (
        f"SAM lies {float(away.norm()):.4g} from the origin; {landscape.plane.share(away):.1%} of that way"
        in text
    )
    assert "here is the origin." in text
    with pytest.raises(ValueError, match="Adam: the tensor '0.weight' has shape"):
        landscape.caption({"Adam": mlp(6, 7, 3)})


def test_captions_of_every_kind_of_plane_say_how_it_was_made() -> None:
    objective = made()
    states = [mlp(6, 8, 3, seed=seed).state_dict() for seed in range(5)]
    said = {
        "gradient of the loss, at the length of a filter-normalised": la.Plane.gradient(objective),
        "top eigenvector of the Hessian at θ, eigenvalue": la.Plane.eigen(objective),
        "v: 2.bias[1] (a single parameter in its own units)": la.Plane.weights(
            objective, "0.bias[0]", "2.bias[1]"
        ),
        "(a random walk: ": la.Plane.pca(objective, la.Trajectory.from_states(states)),
        "second lies at (0, 1).": la.Plane.through(objective, states[1], states[2]),
        "‖v‖ = 1 ": la.Plane.through(objective, states[1], states[2], orthonormal=True),
        "The origin lies": la.Plane.random(objective).turned(objective, Turn(offset=0.5)),
        "30° towards random 3": la.Plane.random(objective).turned(objective, Turn(turn_u=30)),
        "made orthogonal to u": la.Plane.random(objective, orthogonal=True),
        "u: u; 1 on its axis": la.Plane(objective.theta, normal(83).double(), normal(83, seed=1).double()),
    }
    for words, plane in said.items():
        assert words in la.Landscape(objective, plane).caption()
    assert "the line θ(a) = origin + a·u" in on_line().caption()
    assert "other lies at a = 1." in on_line().caption()


def test_a_caption_counts_no_samples_of_a_function_and_knows_critical_points() -> None:
    theta = torch.tensor([0.0, 0.0], dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: t @ t, theta)
    text = la.Landscape(objective, la.Plane(theta, *torch.eye(2, dtype=torch.float64))).caption()
    assert "samples" not in text
    assert "The gradient at the origin is zero." in text


# Law 8.

ORIGIN = torch.zeros(2, dtype=torch.float64)
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "b on a line": (lambda: on_line().evaluate(0.0, 0.0), TypeError, "A point of a line has no b. Pass a alone"),
    "no b on a plane": (lambda: on_plane().evaluate(0.0), TypeError, "A point of a plane needs both a and b"),
    "a tile of a line": (lambda: on_line().tile(la.TileAddress(0, 0, 0)), TypeError, "lies on a line, which has no tiles"),
    "turning a line": (lambda: on_line().turned(Turn(turn_u=1)), TypeError, "lies on a line"),
    "a plane's extent": (lambda: on_line().grid((0, 1, 0, 1)), ValueError, r"Pass two numbers \(a0, a1\) on a line"),
    "no width": (lambda: on_line().grid((1, 1)), ValueError, "extent runs from 1 to 1 along a"),
    "no points": (lambda: on_line().grid(shape=0), ValueError, "number of points is 0. Pass a whole number"),
    "no end": (lambda: on_plane().profile(), ValueError, r"start is None. Pass a point of the plane \(a, b\)"),
    "one number": (lambda: on_plane().profile((0, 0), 1.0), ValueError, "stop is 1.0. Pass a point of the plane"),
    "nowhere": (lambda: on_plane().profile((0, 0), (math.nan, 1)), ValueError, "a holds .* non-finite coordinates"),
    "number of points": (lambda: on_plane().profile((0, 0), (1, 1), num=2.5), ValueError, "number of points is 2.5"),
    "other data of a function": (
        lambda: la.Objective.from_function(himmelblau, ORIGIN).on(DATA), ValueError, "is a function of θ alone, without data",
    ),
    "other data that do not fit": (lambda: on_plane().on(torch.zeros(3, 6)), TypeError, "data is a Tensor. Pass a pair"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_call_is_named_with_its_value_and_the_cure(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()
