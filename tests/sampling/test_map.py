"""landscape.map: few nodes, a stated error that holds, and every value evaluated where that is asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import lossatlas as la
from lossatlas.sampling.checks import OF_TILE, OF_VIEW
from lossatlas.sampling.sheet import Step
from tests.zoo import F, classification, mlp, normal

pytestmark = pytest.mark.statistics

Function = Callable[[Tensor], Tensor]


def function(f: Function, dtype: torch.dtype = torch.float64) -> la.Landscape:
    objective = la.Objective.from_function(f, torch.zeros(2, dtype=dtype))
    eye = torch.eye(2, dtype=dtype)
    return la.Landscape(objective, la.Plane(objective.theta, eye[0], eye[1]))


def network(act: type[torch.nn.Module] = torch.nn.Tanh, dtype: torch.dtype = torch.float64) -> la.Landscape:
    objective = la.Objective(mlp(6, 16, 8, 3, act=act), F.cross_entropy, classification(60), dtype=dtype)
    return la.Landscape(objective, la.Plane.random(objective, 1))


def bowl(t: Tensor) -> Tensor:
    return 3 * t[0] ** 2 + 2 * t[0] * t[1] + 5 * t[1] ** 2 - t[0] + 0.5


def wave(t: Tensor) -> Tensor:
    return torch.sin(3 * t[0] + 1) * torch.cos(2 * t[1]) + 0.1 * t[0]


VIEWS = [
    (-1.0, 1.0, -1.0, 1.0),
    (0.05, 0.55, -0.05, 0.45),
    (0.29, 0.31, 0.19, 0.21),
    (-0.7, 0.1, 0.3, 0.4),  # eight times as wide as high
    (-3.0, 5.0, -2.0, 2.5),
]


# Closed forms.


@pytest.mark.parametrize("view", VIEWS)
def test_a_quadratic_is_drawn_to_the_last_digit_from_its_first_nodes(view: tuple[float, ...]) -> None:
    landscape = function(bowl)
    drawn = landscape.map(view, (7, 9))
    np.testing.assert_allclose(drawn.values, landscape.grid(view, (7, 9)), rtol=0, atol=1e-11)
    assert drawn.error < 1e-10
    assert drawn.nodes <= 6 * 6 + 5 * 5 + OF_VIEW  # at most five cells along a side, and their centres


def test_rows_are_b_from_the_lowest_and_columns_are_a() -> None:
    landscape = function(lambda t: t[0] + 10 * t[1])
    drawn = landscape.map((0, 1, 2, 3), (5, 3))
    assert drawn.values.shape == (5, 3)
    np.testing.assert_allclose(drawn.values[0], [20, 20.5, 21])
    np.testing.assert_allclose(drawn.values[:, 0], 20 + 2.5 * np.arange(5))


# The error holds.


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("tolerance", [0.1, 0.01, 0.001])
@pytest.mark.parametrize(
    "make", [lambda: function(wave), network, lambda: network(torch.nn.Softplus, torch.float32)]
)
def test_the_stated_error_holds_and_meets_the_tolerance(
    make: Callable[[], la.Landscape], tolerance: float, view: tuple[float, ...]
) -> None:
    landscape = make()
    drawn = landscape.map(view, (65, 65), tolerance)
    truth = make().grid(view, (65, 65))
    assert np.abs(drawn.values - truth).max() <= drawn.error
    assert drawn.noise or drawn.error <= tolerance * drawn.range * (1 + 1e-9)
    assert drawn.nodes < 65 * 65 or drawn.error == 0


def test_a_network_with_kinks_is_within_its_stated_error_in_nearly_all_views() -> None:
    landscape = network(torch.nn.ReLU)
    random = np.random.default_rng(0)
    held = []
    for _ in range(40):
        a, b, r = *random.uniform(-0.5, 0.5, 2), 2.0 ** -random.uniform(0, 6)
        view = (a - r, a + r, b - r, b + r)
        drawn = landscape.map(view, (33, 33), 0.02)
        held.append(np.abs(drawn.values - landscape.grid(view, (33, 33))).max() <= drawn.error)
    assert np.mean(held) >= 0.95


def test_less_is_evaluated_where_more_error_is_allowed() -> None:
    nodes = [network().map(None, 129, tolerance).nodes for tolerance in (0.3, 0.03, 0.003)]
    assert nodes[0] < nodes[1] < nodes[2] < 129 * 129


# Nodes.


def test_tolerance_zero_evaluates_every_value_exactly() -> None:
    landscape = network()
    drawn = landscape.map((0, 0.3, 0, 0.2), (5, 7), 0)
    assert np.array_equal(drawn.values, network().grid((0, 0.3, 0, 0.2), (5, 7)))
    assert (drawn.error, drawn.nodes, drawn.evaluated) == (0.0, 35, 35)


def test_a_picture_smaller_than_its_grid_is_evaluated_value_by_value() -> None:
    drawn = network().map(None, (2, 3))
    assert (drawn.error, drawn.nodes) == (0.0, 6)


def test_a_view_that_comes_again_costs_no_node() -> None:
    landscape = network()
    first = landscape.map(None, 33)
    assert first.evaluated == first.nodes == landscape.evaluated
    landscape.map((0.1, 0.4, 0.2, 0.5), 33)
    again = landscape.map(None, 33)
    assert again.evaluated == 0
    assert np.array_equal(again.values, first.values)
    assert again.error == first.error


def test_tiles_and_maps_share_their_nodes() -> None:
    landscape = network()
    for x in (-1, 0):
        for y in (-1, 0):
            landscape.tile(la.TileAddress(0, x, y))
    before = landscape.evaluated
    drawn = landscape.map(None, 512, 0.001)
    assert (drawn.evaluated, landscape.evaluated) == (OF_VIEW, before + OF_VIEW)  # but not their checks


def test_a_node_is_evaluated_once_however_one_wanders() -> None:
    calls: list[tuple[float, ...]] = []

    def counted(t: Tensor) -> Tensor:
        calls.append(tuple(t.tolist()))
        return wave(t)

    landscape = function(counted)
    probes = len(calls)  # when the objective was made
    random = np.random.default_rng(2)
    for _ in range(12):
        a, b, r = *random.uniform(-1, 1, 2), 2.0 ** -random.uniform(0, 8)
        landscape.map((a - r, a + r, b - r, b + r), 20, 0.03)
        landscape.tile(la.TileAddress(2, int(4 * a), int(4 * b)), tolerance=0.05)
        landscape.evaluate(a, b)
    evaluated = calls[probes:]
    assert len(evaluated) == len(set(evaluated)) == landscape.evaluated


@pytest.mark.parametrize("extent", VIEWS)
def test_steps_nest_double_and_reach_around_the_view(extent: tuple[float, ...]) -> None:
    step = Step.first(extent)
    for _ in range(6):
        a, b = step.axes
        for axis, low, high in ((a, *extent[:2]), (b, *extent[2:])):
            assert axis[0] <= low
            assert axis[-1] >= high
            assert len(axis) >= 3
        assert len(step.points) == len(set(step.points)) == step.count
        following = step.next()
        if step.centred:
            # What it lies on of the step before it has from there; the last grid may reach less far out.
            inner = {(x, y) for x, y in step.points if x in following.axes[0] and y in following.axes[1]}
            assert inner <= set(following.points)
        else:
            assert set(step.points) < set(following.points)
        step = following


# Facts that no spline draws.


def test_a_hole_is_drawn_as_one_and_the_error_is_infinite() -> None:
    landscape = function(lambda t: torch.log(t[0]))
    drawn = landscape.map((-0.5, 0.5, -0.5, 0.5), 65, 0.01)
    assert np.isinf(drawn.error)
    assert np.isnan(drawn.values[:, :30]).all()
    np.testing.assert_allclose(drawn.values[:, 64], np.log(0.5))
    assert drawn.nodes < 129 * 129


def test_refining_ends_where_values_differ_by_rounding_alone() -> None:
    landscape = function(lambda t: 1000 + 1e-5 * torch.sin(400 * t[0]), torch.float32)
    drawn = landscape.map(None, 512, 0.01)
    assert drawn.noise
    assert drawn.nodes < 100
    assert drawn.error < 1e-2


# Tiles.


@pytest.mark.parametrize("tolerance", [0.2, 0.02, 0.002])
def test_a_tile_stops_at_its_tolerance_and_flags_what_it_evaluated(tolerance: float) -> None:
    landscape = network()
    address = la.TileAddress(0, -1, 0)
    tile = landscape.tile(address, tolerance=tolerance)
    assert tile.error <= tolerance * (tile.values.max() - tile.values.min())
    assert int(tile.evaluated.sum()) + OF_TILE == landscape.evaluated < 33 * 33
    whole = network().tile(address)
    assert whole.evaluated.all()
    assert np.array_equal(tile.values[tile.evaluated], whole.values[tile.evaluated])
    assert np.abs(tile.values - whole.values).max() <= tile.error


def test_a_tile_holds_every_node_that_somebody_else_had_evaluated() -> None:
    landscape = network()
    address = la.TileAddress(0, -1, 0)
    coarse = landscape.tile(address, tolerance=0.2)
    landscape.evaluate(-1 + 3 / 32, 5 / 32)
    tile = landscape.tile(address, tolerance=0.2)
    assert int(tile.evaluated.sum()) == int(coarse.evaluated.sum()) + 1
    assert tile.values[5, 3] == landscape.evaluate(-1 + 3 / 32, 5 / 32)


# Bad input.


@pytest.mark.parametrize("tolerance", [-0.1, 1.5, float("nan"), "0.1", None, True])
def test_a_tolerance_is_a_share(tolerance: object) -> None:
    landscape = network()
    for call in (
        lambda: landscape.map(None, 9, tolerance),
        lambda: landscape.tile(la.TileAddress(0, 0, 0), tolerance=tolerance),
    ):
        with pytest.raises(
            ValueError, match=r"tolerance is .*Pass a share of the range from 0 \(exact\) to 1\."
        ):
            call()
    assert landscape.evaluated == 0


def test_what_is_no_view_is_refused_in_words() -> None:
    landscape = network(dtype=torch.float32)
    with pytest.raises(ValueError, match="Pass finite a0 < a1"):
        landscape.map((1, 0, 0, 1))
    with pytest.raises(ValueError, match="Pass .rows of b, columns of a."):
        landscape.map(None, (0, 4))
    with pytest.raises(ValueError, match="finer than float32 can resolve"):
        landscape.map((0, 1e-9, 0, 1e-9))
    with pytest.raises(ValueError, match="no field 'risk'"):
        landscape.map(field="risk")
    line = la.Landscape(
        landscape.objective, la.Line(landscape.objective.theta, normal(landscape.objective.size))
    )
    with pytest.raises(TypeError, match="lies on a line"):
        line.map()


def test_a_model_that_raises_in_a_map_is_an_error_in_words() -> None:
    def f(t: Tensor) -> Tensor:
        if float(t[0]) > 0.9:
            raise RuntimeError("out of the woods")
        return wave(t)

    with pytest.raises(la.EvaluationError, match="out of the woods"):
        function(f).map()
