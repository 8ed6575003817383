from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import lossatlas as la
from lossatlas.geometry import PASSES, TileAddress
from lossatlas.sampling import NodeStore, Pass, checks_of, grid_points, parts, read_pass
from lossatlas.sampling.error import UNKNOWN, StatedError
from lossatlas.sampling.spline import fill_centres, interpolate
from tests.sampling.passes import agreeing
from tests.zoo import F, classification, himmelblau, mlp, normal, rosenbrock

FLOAT64, FLOAT32 = 2.0**-53, 2.0**-24


def put(store: NodeStore, points: list[tuple[float, float]], f: Callable[[float, float], float]) -> None:
    for a, b in points:
        store.put((a, b), np.array([f(a, b)]))


def wave(a: float, b: float) -> float:
    return float(np.sin(2 * a) * np.exp(b) + a)


TILE = TileAddress(1, -1, 0)


def known(nodes: int) -> NodeStore:
    store = NodeStore(1)
    put(store, grid_points(*TILE.axes(nodes)) + checks_of(TILE), wave)
    return store


def test_of_an_unknown_tile_nothing_is_read() -> None:
    assert read_pass(NodeStore(1), TILE, 0, FLOAT64) is None


@pytest.mark.parametrize("nodes", PASSES)
def test_the_largest_complete_pass_is_read(nodes: int) -> None:
    found = read_pass(known(nodes), TILE, 0, FLOAT64)
    assert found is not None
    assert found.nodes == nodes
    assert found.centres is None
    a, b = TILE.axes(nodes)
    assert found.values.tolist() == [[wave(x, y) for x in a] for y in b]
    assert found.complete == (nodes == 33)


def test_a_pass_that_lacks_one_node_is_not_read() -> None:
    store = NodeStore(1)
    put(store, grid_points(*TILE.axes(9))[:-1], wave)
    assert read_pass(store, TILE, 0, FLOAT64) is None  # the corner is a node of every pass
    store = known(5)
    put(store, grid_points(*TILE.axes(9))[1:-1], wave)
    found = read_pass(store, TILE, 0, FLOAT64)
    assert found is not None
    assert found.nodes == 9  # the two corners were known already


def test_centres_are_read_when_all_of_them_are_known() -> None:
    store = known(17)
    middle = grid_points(*TILE.centres(17))
    put(store, middle[:-1], wave)
    assert read_pass(store, TILE, 0, FLOAT64).centres is None
    put(store, middle, wave)
    found = read_pass(store, TILE, 0, FLOAT64)
    assert found.centres.tolist() == [[wave(x, y) for x in TILE.centres(17)[0]] for y in TILE.centres(17)[1]]
    assert found.rank == read_pass(known(17), TILE, 0, FLOAT64).rank + 1


def test_the_right_field_is_read() -> None:
    store = NodeStore(2)
    for point in grid_points(*TILE.axes(3)):
        store.put(point, np.array([1.0, 2.0]))
    assert read_pass(store, TILE, 1, FLOAT64).values.tolist() == [[2.0] * 3] * 3


def test_a_pass_is_filled_by_the_spline_and_keeps_its_nodes() -> None:
    found = read_pass(known(9), TILE, 0, FLOAT64)
    filled = found.filled()
    assert filled.shape == (33, 33)
    assert np.array_equal(filled, interpolate(found.values, 33))
    complete = read_pass(known(33), TILE, 0, FLOAT64)
    assert complete.filled() is complete.values
    half = Pass(TILE, found.values, found.values[1:, 1:], FLOAT64)
    assert np.array_equal(half.filled(), interpolate(fill_centres(found.values, found.values[1:, 1:]), 33))


# What is missing.


def test_pieces_of_a_tile_nest_and_hold_every_node_once() -> None:
    pieces = parts(NodeStore(1), TILE)
    assert [len(points) for _, points in pieces] == [9, 16 + 4, 16, 40, 64, 144, 256, 544]
    assert [rank for rank, _ in pieces] == [0, 2, 3, 4, 5, 6, 7, 8]
    every = [point for _, points in pieces for point in points]
    assert len(set(every)) == len(every) == 33 * 33 + 4
    assert set(every) == set(grid_points(*TILE.axes()) + checks_of(TILE))


def test_each_piece_completes_the_rank_that_it_names() -> None:
    store = NodeStore(1)
    for rank, points in parts(store, TILE):
        put(store, points, wave)
        assert read_pass(store, TILE, 0, FLOAT64).rank == rank


def test_a_child_of_a_complete_tile_lacks_its_checks_and_800_nodes() -> None:
    store = known(33)
    child = TILE.children()[2]
    assert [len(points) for _, points in parts(store, child)] == [4, 256, 544]
    assert read_pass(store, child, 0, FLOAT64).nodes == 17


def test_a_neighbour_of_a_complete_tile_lacks_all_but_the_border() -> None:
    store = known(33)
    assert sum(len(points) for _, points in parts(store, TileAddress(1, 0, 0))) == 33 * 32 + 4
    assert parts(store, TILE) == []


# The stated error.


def error_of(values: np.ndarray, centres: np.ndarray | None = None, rounding: float = FLOAT64) -> StatedError:
    return agreeing(Pass(TILE, values, centres, rounding)).error


def test_three_nodes_hold_nothing_out_and_state_nothing() -> None:
    assert error_of(np.zeros((3, 3))) == UNKNOWN


def test_the_statement_is_one_and_a_half_times_the_hold_out_difference_and_a_floor() -> None:
    values = np.zeros((5, 5))
    values[0, 1] = 2.0  # no node of the 3 × 3 pass, nor a centre of its cells: predicted as 0
    assert error_of(values) == StatedError(1.5 * 2.0 + 4 * FLOAT64 * 2.0, False)


def test_centres_judge_the_pass_that_they_came_after() -> None:
    centres = np.zeros((4, 4))
    centres[2, 1] = -2.0
    assert error_of(np.zeros((5, 5)), centres) == StatedError(1.5 * 2.0, False)
    assert error_of(np.full((5, 5), 8.0), np.full((4, 4), 8.0)) == StatedError(4 * FLOAT64 * 8.0, True)


@pytest.mark.parametrize("n", [5, 9, 17, 33])
def test_every_node_counts(n: int) -> None:
    for row in range(n):
        for column in range(n):
            values = np.zeros((n, n))
            values[row, column] = 1.0
            error = error_of(values).value
            # A knot, and a centre, are seen through what they say of their neighbours.
            assert error >= (1.5 if (row + column) % 2 else 0.1)


def test_a_difference_below_rounding_is_marked_as_noise() -> None:
    smooth = np.full((9, 9), 100.0)
    assert error_of(smooth, rounding=FLOAT32) == StatedError(400 * FLOAT32, True)
    rough = smooth + 1e-3 * np.random.default_rng(0).normal(size=(9, 9))
    error = error_of(rough, rounding=FLOAT32)
    assert not error.noise
    assert error.value > 1e-3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nothing_is_stated_over_a_hole(bad: float) -> None:
    values = np.zeros((9, 9))
    values[3, 4] = bad
    assert error_of(values) == UNKNOWN
    assert error_of(np.zeros((9, 9)), np.full((8, 8), bad)) == UNKNOWN


def test_on_a_log_scale_the_error_is_that_of_the_logarithms() -> None:
    def valley_at(a: np.ndarray, b: np.ndarray) -> np.ndarray:  # a bowl, on that scale
        return np.exp(32 * (a + 0.25) ** 2 + 16 * (b - 0.15) ** 2)

    valley, checks = valley_at(*np.meshgrid(*TILE.axes(9))), valley_at(*np.array(checks_of(TILE)).T)
    found = Pass(TILE, valley, None, FLOAT64, checks=checks)
    assert found.error.value > 0.01
    assert found.error_of_log.value < 1e-12
    half = Pass(TILE, valley[::2, ::2], valley[1::2, 1::2], FLOAT64, checks=checks)
    assert half.error_of_log.value < 1e-12 < half.error.value
    assert Pass(TILE, valley - 2.0, None, FLOAT64, checks=checks).error_of_log == UNKNOWN
    assert Pass(TILE, valley, None, FLOAT64, checks=-checks).error_of_log == UNKNOWN


@pytest.mark.parametrize("c", [0.1, 0.01, 0.001])
def test_on_a_symmetric_logarithm_the_stated_error_holds_where_a_field_is_0_and_far_from_it(c: float) -> None:
    """A field of both signs, from 27 down to -27, and the same where it is all positive and all negative."""
    fine = np.linspace(0.0, 1.0, 33)
    for shift in (0.0, -40.0, 27.5):

        def field(a: np.ndarray, b: np.ndarray, shift: float = shift) -> np.ndarray:
            return np.sinh(4 * (a - 0.4)) * np.cos(3 * b) * 5 + shift

        for nodes in (5, 9, 17):
            a = np.linspace(0.0, 1.0, nodes)
            found = agreeing(Pass(TILE, field(a[None], a[:, None]), None, FLOAT64))
            truth, filled = (
                np.arcsinh(values / (2 * c)) for values in (field(fine[None], fine[:, None]), found.filled())
            )
            off = np.abs(filled - truth).max()
            assert off <= found.error_of_symlog(c).value
            # In the field's own unit it is the same at every c; on the scale it depends on where it is.
            assert found.error_of_symlog(c).value <= found.error.value / (2 * c)
            assert found.error_on(f"symlog:{c}") == found.error_of_symlog(c)


def test_a_symmetric_logarithm_of_something_unknown_is_unknown() -> None:
    assert agreeing(Pass(TILE, np.full((9, 9), np.nan), None, FLOAT64)).error_of_symlog(0.1) == UNKNOWN


def network(act: type[torch.nn.Module], dtype: torch.dtype, spread: float) -> la.Landscape:
    model = mlp(6, 16, 8, 3, act=act)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(spread)
    objective = la.Objective(model, F.cross_entropy, classification(60), dtype=dtype)
    return la.Landscape(objective, la.Plane.random(objective, 1))


def function(f: Callable[[Tensor], Tensor], scale: float) -> la.Landscape:
    objective = la.Objective.from_function(f, torch.zeros(2, dtype=torch.float64))
    eye = scale * torch.eye(2, dtype=torch.float64)
    return la.Landscape(objective, la.Plane(objective.theta, eye[0], eye[1]))


def mixture(t: Tensor) -> Tensor:
    centres = 2 * normal(5, 2, seed=3, dtype=torch.float64)
    return torch.exp(-((t - centres) ** 2).sum(1)).sum()


SMOOTH: dict[str, Callable[[], la.Landscape]] = {
    "tanh network": lambda: network(torch.nn.Tanh, torch.float64, 2.0),
    "wide tanh network": lambda: network(torch.nn.Tanh, torch.float64, 4.0),
    "softplus network in float32": lambda: network(torch.nn.Softplus, torch.float32, 2.0),
    "himmelblau": lambda: function(himmelblau, 4.0),
    "rosenbrock": lambda: function(rosenbrock, 2.0),
    "gaussians": lambda: function(mixture, 3.0),
    "waves": lambda: function(lambda t: torch.sin(3 * t[0] + 1) * torch.cos(2 * t[1]) + 0.1 * t[0], 1.0),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_the_stated_error_of_every_pass_covers_the_true_one(name: str) -> None:
    landscape = SMOOTH[name]()
    for address in (TileAddress(0, 0, 0), TileAddress(2, -3, 1), TileAddress(5, 9, -20)):
        seen = []
        for _, points in landscape.missing(address):
            for _ in landscape.work(points):
                pass
            found = landscape.known(address)
            assert found is not None
            if found.error.value is not None and not found.complete:
                seen.append(found)
        truth = landscape.known(address)
        assert truth is not None
        assert len(seen) == 6  # 5, 9 and 17 nodes, each also with centres
        for found in seen:
            assert np.abs(found.filled() - truth.values).max() <= found.error.value


def test_the_statement_is_not_idle() -> None:
    """It also has to be of the size of the truth: within a factor of 300 at a pass that resolves the function."""
    landscape = SMOOTH["waves"]()
    address = TileAddress(0, 0, 0)
    for _, points in landscape.missing(address)[:2]:
        for _ in landscape.work(points):
            pass
    found = landscape.known(address)
    true = np.abs(found.filled() - landscape.tile(address).values).max()
    assert true <= found.error.value <= 300 * true
