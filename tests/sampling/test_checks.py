"""Checks: what the nodes cannot see, a few points between them do; so that a stated error holds for waves of any speed."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from lossatlas.geometry import Extent, TileAddress
from lossatlas.sampling import Map, NodeStore, Pass, Point, checks_of, draw, grid_points, read_pass
from lossatlas.sampling.checks import OF_TILE, OF_VIEW, check_points
from lossatlas.sampling.error import UNKNOWN, StatedError
from lossatlas.sampling.layer import Layer
from lossatlas.sampling.spline import interpolate
from tests.sampling.passes import agreeing

pytestmark = pytest.mark.statistics

Function = Callable[[np.ndarray, np.ndarray], np.ndarray]

TILE = TileAddress(-1, 0, 0)  # (0, 2, 0, 2)
FLOAT64 = 2.0**-53


class Calls:
    """Evaluates a NumPy function, and counts; what a landscape does with a model, without its price."""

    def __init__(self, f: Function) -> None:
        self.f, self.store = f, NodeStore(1)

    def evaluate(self, points: list[Point]):
        missing = self.store.missing(points)
        for point, value in zip(missing, self.at(missing) if missing else [], strict=True):
            self.store.put(point, np.array([value]))
        return len(missing)
        yield

    def at(self, points: list[Point]) -> np.ndarray:
        return self.f(*np.array(points).T)

    def map(self, extent: Extent, tolerance: float, pixels: int = 97) -> Map:
        work = draw(
            extent, (pixels, pixels), tolerance, FLOAT64, self.evaluate,
            lambda points: self.store.get(points)[:, 0], "loss",
        )  # fmt: skip
        return done(work)

    def tile(self, address: TileAddress, tolerance: float) -> Pass:
        layer = Layer(self, ("loss",), FLOAT64, False)
        done(layer.refine(address, "loss", tolerance))
        found = layer.known(address, "loss")
        assert found is not None
        return found


def done(work):
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def proxy(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The field's teaching example: ten oscillations across [−2, 2]² on a bowl."""
    return a**2 + b**2 + 0.5 * np.sin(10 * a) * np.cos(10 * b)


def waved(seed: int, *, small: bool) -> Function:
    """One to five waves, plane or standing, of 3 to 60 radians a unit, on a bowl; small: some of 1 % of its height."""
    random = np.random.default_rng(seed)
    count = random.integers(1, 6)
    height = np.exp(random.uniform(np.log(0.01), 0.0, count)) if small else random.uniform(0.0, 1.0, count)
    speed, angle = np.exp(random.uniform(np.log(3), np.log(60), count)), random.uniform(0, 2 * np.pi, count)
    phase, standing = random.uniform(0, 2 * np.pi, (2, count)), random.random(count) < 0.5
    steep, middle = random.uniform(0.3, 1.0, 2), random.uniform(-0.5, 0.5, 2)

    def f(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        value = steep[0] * (a - middle[0]) ** 2 + steep[1] * (b - middle[1]) ** 2
        for index in range(count):
            along, across = speed[index] * np.cos(angle[index]) * a, speed[index] * np.sin(angle[index]) * b
            if standing[index]:
                value = value + height[index] * np.sin(along + phase[0, index]) * np.sin(
                    across + phase[1, index]
                )
            else:
                value = value + height[index] * np.sin(along + across + phase[0, index])
        return value

    return f


# Where they lie.


def test_checks_lie_inside_and_recur() -> None:
    extent = (-0.75, 0.5, 3.0, 3.25)
    points = check_points(extent, OF_VIEW)
    assert points == check_points(extent, OF_VIEW)
    assert points[:OF_TILE] == check_points(extent, OF_TILE)
    for a, b in points:
        assert extent[0] < a < extent[1]
        assert extent[2] < b < extent[3]
    assert check_points((-0.0, 1.0, -0.0, 1.0), 3) == check_points((0.0, 1.0, 0.0, 1.0), 3)


@pytest.mark.parametrize("z", [-3, 0, 7, 30])
def test_no_check_is_a_node_of_its_tile_or_of_twelve_levels_below(z: int) -> None:
    for x, y in itertools.product(range(-8, 8), repeat=2):
        for a, b in checks_of(TileAddress(z, x, y)):
            for place in (np.ldexp(a, z + 12), np.ldexp(b, z + 12)):
                assert place != np.rint(place)


def test_neighbours_do_not_share_where_their_checks_lie() -> None:
    shares = {
        (a - x, b - y)
        for x, y in itertools.product(range(-8, 8), repeat=2)
        for a, b in checks_of(TileAddress(0, x, y))
    }
    found = np.array(sorted(shares))
    assert len(found) == 16 * 16 * OF_TILE
    # Evenly over the square: of 1024 points 64 in each sixteenth of it, ± 8 by chance.
    counts, *_ = np.histogram2d(*found.T, bins=4, range=[[0, 1], [0, 1]])
    assert np.abs(counts - 64).max() <= 4 * 8


def test_checks_of_a_tile_keep_apart() -> None:
    for x, y in itertools.product(range(-8, 8), repeat=2):
        places = np.array(check_points((x, x + 1, y, y + 1), OF_VIEW))
        apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
        assert apart[np.triu_indices(OF_VIEW, 1)].min() > 0.1


def test_checks_of_a_line_lie_on_it() -> None:
    address = TileAddress(3, -5, 0)
    points = checks_of(address, line=True)
    assert {b for _, b in points} == {0.0}
    assert len({a for a, _ in points}) == OF_TILE
    assert all(address.extent[0] < a < address.extent[1] for a, _ in points)


# What they are for.


@pytest.mark.parametrize("waves", [16, 32, 512])
def test_a_wave_as_fast_as_the_nodes_lie_apart_is_said_to_be_there(waves: int) -> None:
    """Every node of 33 × 33 lies where it is 0."""
    found = Calls(lambda a, b: np.sin(2 * np.pi * waves * a) + b).tile(TileAddress(0, 0, 0), 0.01)
    assert found.complete
    assert np.abs(found.values - found.values[:, :1]).max() < 1e-12
    assert found.error.value > 1.0


VIEWS: list[Extent] = [(-2.0, 2.0, -2.0, 2.0), (-1.7, 0.9, -0.4, 1.3), (0.11, 0.31, -0.2, 0.0)]


# Of 300 other seeds each it held in all; where checks are not counted, in 97, 92 and 68 %.
@pytest.mark.parametrize(
    ("small", "tolerance", "share"),
    [(False, 0.01, 0.99), (True, 0.01, 0.99), (True, 0.1, 0.97)],
)
def test_the_stated_error_of_a_map_of_waves_holds(small: bool, tolerance: float, share: float) -> None:
    held = []
    for seed in range(100):
        f, view = waved(seed, small=small), VIEWS[seed % 3]
        drawn = Calls(f).map(view, tolerance)
        truth = f(*np.meshgrid(np.linspace(*view[:2], 97), np.linspace(*view[2:], 97)))
        held.append(np.abs(drawn.values - truth).max() <= drawn.error)
    assert np.mean(held) >= share


# A tile alone knows less. Of 300 other seeds each it held in 99.7 and 93.7 %; where checks are not counted, in 94 and 64 %.
@pytest.mark.parametrize(("small", "tolerance", "share"), [(True, 0.01, 0.98), (True, 0.1, 0.9)])
def test_the_stated_error_of_a_tile_of_waves_holds(small: bool, tolerance: float, share: float) -> None:
    held, u = [], np.linspace(0, 2, 97)
    for seed in range(100):
        f = waved(seed, small=small)
        found = Calls(f).tile(TILE, tolerance)
        drawn = interpolate(found.filled(), 97)
        held.append(np.abs(drawn - f(*np.meshgrid(u, u))).max() <= found.error.value)
    assert np.mean(held) >= share


# What they cost.


def test_a_bowl_takes_no_more_than_its_first_nodes_and_the_checks() -> None:
    bowl = Calls(lambda a, b: 3 * a**2 + a * b + 5 * b**2)
    drawn = bowl.map((-1.0, 1.0, -1.0, 1.0), 0.01)
    assert drawn.nodes == drawn.evaluated == bowl.store.evaluated == 13 + OF_VIEW
    found = Calls(bowl.f).tile(TILE, 0.01)
    assert (found.nodes, found.centres) == (5, None)


def test_a_view_and_a_tile_that_come_again_cost_no_check() -> None:
    surface = Calls(proxy)
    first = surface.map(VIEWS[0], 0.1)
    again = surface.map(VIEWS[0], 0.1)
    assert (again.evaluated, again.nodes, again.error) == (0, first.nodes, first.error)
    before = surface.tile(TILE, 0.1), surface.store.evaluated
    assert (surface.tile(TILE, 0.1).error, surface.store.evaluated) == (before[0].error, before[1])


def test_a_tile_states_the_same_whatever_was_asked_for_before() -> None:
    tiles = [TileAddress(z, x, y) for z in (0, 1) for x in (-1, 0, 1) for y in (0, 1)]
    alone = {tile: Calls(proxy).tile(tile, 0.0).error for tile in tiles}
    for order in (tiles, tiles[::-1]):
        surface = Calls(proxy)
        surface.map(VIEWS[0], 0.01)
        assert {tile: surface.tile(tile, 0.0).error for tile in order} == alone


# How they count.


def test_what_is_drawn_may_be_off_by_four_times_what_it_misses_a_check_by() -> None:
    flat = agreeing(Pass(TILE, np.zeros((9, 9)), None, FLOAT64))
    assert flat.error == StatedError(0.0, False)
    for index in range(OF_TILE):
        checks = np.zeros(OF_TILE)
        checks[index] = -0.5
        found = dataclasses.replace(flat, checks=checks)
        assert found.error == StatedError(2.0, False)
        centred = dataclasses.replace(found, centres=np.zeros((8, 8)))
        assert centred.error == StatedError(2.0, False)


def test_a_check_reads_what_is_drawn_where_it_lies() -> None:
    """A cubic is its own spline, in every pass and half-way to the next."""

    def cubic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a**3 - 2 * a * b**2 + b

    address = TileAddress(2, -3, 5)
    checks = cubic(*np.array(checks_of(address)).T)
    for nodes in (5, 9, 17):
        values = cubic(*np.meshgrid(*address.axes(nodes)))
        for centres in (None, cubic(*np.meshgrid(*address.centres(nodes)))):
            found = Pass(address, values, centres, FLOAT64)
            assert np.abs(agreeing(found).checks - checks).max() < (1e-13 if centres is None else 1e-3)
    assert Pass(address, values, None, FLOAT64, checks=checks).error.value < 1e-13


def test_without_its_checks_a_pass_states_nothing_and_is_known_less() -> None:
    checked = agreeing(Pass(TILE, np.zeros((9, 9)), None, FLOAT64))
    unchecked = dataclasses.replace(checked, checks=None)
    assert unchecked.error == UNKNOWN
    coarser = agreeing(Pass(TILE, np.zeros((5, 5)), None, FLOAT64))
    assert coarser.rank < unchecked.rank < checked.rank


def test_a_tile_whose_nodes_its_parent_had_evaluated_lacks_its_checks_alone_to_be_judged() -> None:
    surface = Calls(lambda a, b: np.cos(a) * np.sin(b))
    surface.tile(TILE, 0.0)
    child = TILE.children()[1]
    assert read_pass(surface.store, child, 0, FLOAT64).error == UNKNOWN
    before = surface.store.evaluated
    found = surface.tile(child, 0.01)
    assert surface.store.evaluated - before == OF_TILE
    assert found.nodes == 17
    assert found.error.value is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_hole_that_only_a_check_has_found_leaves_the_error_unknown(bad: float) -> None:
    a, b = check_points((-1.0, 1.0, -1.0, 1.0), OF_VIEW)[0]

    def holed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(np.hypot(x - a, y - b) < 1e-6, bad, x + y)

    drawn = Calls(holed).map((-1.0, 1.0, -1.0, 1.0), 0.01, pixels=512)
    assert np.isinf(drawn.error)
    assert drawn.nodes < 129 * 129
    assert np.isfinite(drawn.values).all()
    store = NodeStore(1)
    for point in grid_points(*TILE.axes(5)) + checks_of(TILE):
        store.put(point, np.array([bad if point == checks_of(TILE)[2] else 1.0]))
    assert read_pass(store, TILE, 0, FLOAT64).error == UNKNOWN
