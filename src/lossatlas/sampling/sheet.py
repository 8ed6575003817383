"""Sheet: a view drawn from as few nodes as its tolerance allows. One nested grid over the whole view, refined as one.

Between two grids, each of half the spacing, comes the one with the centres of its cells. Every step doubles the nodes,
keeps all of the one before, and says by its new ones how far off that one was. A few checks, at no node, say it too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossatlas.geometry import Extent
from lossatlas.sampling.checks import OF_VIEW, check_points
from lossatlas.sampling.error import UNKNOWN, StatedError, floor_of, stated_error
from lossatlas.sampling.spline import fill_centres, sample, sample_at
from lossatlas.sampling.store import Point, grid_points

# The first grid has at least so many cells along each side of the view.
_CELLS = 2

# Points per side at which the range of a drawn view is taken.
_RANGE = 65

# Points per side from which a view that holds values that are not finite is refined no further: no spline bounds its error.
_HOLES = 64


@dataclass(frozen=True, eq=False)
class Map:
    """One field over an extent, drawn from few nodes: the function whose stated error holds.

    values: (height, width) float64, row 0 at b0, end points included; error: the stated maximum error in units of the
    field, 0 where every value is evaluated, inf where a value of the view is not finite; evaluated: nodes that this call
    evaluated, of the `nodes` that the map rests on, its checks among them; noise: refining was stopped where values differ by rounding alone.
    """

    extent: Extent
    field: str
    values: np.ndarray
    error: float
    tolerance: float
    evaluated: int
    nodes: int
    noise: bool

    @property
    def range(self) -> float:
        """The largest less the smallest finite value: what the tolerance is a share of."""
        return spread_of(self.values)


@dataclass(frozen=True)
class Step:
    """A grid of spacing 2^−z over an extent, along each axis its own z; `centred`: with the centres of its cells."""

    extent: Extent
    z: tuple[int, int]
    centred: bool = False

    @classmethod
    def first(cls, extent: Extent) -> Step:
        """The coarsest grid that a view is drawn from."""
        sides = (extent[1] - extent[0], extent[3] - extent[2])
        za, zb = (math.ceil(math.log2(_CELLS / side)) for side in sides)
        return cls(extent, (za, zb))

    def next(self) -> Step:
        """The step after this one, with about twice the nodes."""
        if not self.centred:
            return replace(self, centred=True)
        return Step(self.extent, (self.z[0] + 1, self.z[1] + 1))

    @property
    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """The a of the columns and the b of the rows, exact: the fewest that reach around the extent, three at least."""
        return _axis(*self.extent[:2], self.z[0]), _axis(*self.extent[2:], self.z[1])

    @property
    def count(self) -> int:
        """How many nodes it rests on."""
        columns, rows = (len(axis) for axis in self.axes)
        return columns * rows + (columns - 1) * (rows - 1) * self.centred

    @property
    def points(self) -> list[Point]:
        """All nodes that it rests on, the grid first."""
        a, b = self.axes
        return grid_points(a, b) + (grid_points(*self.fresh) if self.centred else [])

    @property
    def fresh(self) -> tuple[np.ndarray, np.ndarray]:
        """The columns and rows among which its new nodes lie: the centres of its cells, or the whole grid."""
        a, b = self.axes
        return ((a[:-1] + a[1:]) / 2, (b[:-1] + b[1:]) / 2) if self.centred else (a, b)


@dataclass(frozen=True, eq=False)
class Drawn:
    """The function drawn through the nodes of a step, and its stated error."""

    step: Step
    values: np.ndarray  # on the grid; of a centred step on the one of half the spacing, partly filled
    error: StatedError

    @classmethod
    def of(
        cls, step: Step, value: Callable[[Sequence[Point]], np.ndarray], before: Drawn | None, checks: Sequence[Point],
        rounding: float, size: float = 0.0,
    ) -> Drawn:  # fmt: skip
        """Draw a step whose nodes and checks are evaluated, `value` giving them; before: the step before, judged by them."""
        a, b = step.axes
        values = fresh = value(grid_points(a, b)).reshape(len(b), len(a))
        if step.centred:
            fresh = value(grid_points(*step.fresh)).reshape(len(b) - 1, len(a) - 1)
            values = fill_centres(values, fresh)
        drawn = cls(step, values, UNKNOWN)
        if before is None:
            return drawn
        seen, floor = drawn.at_points(checks), floor_of(values, rounding, size)
        return replace(drawn, error=stated_error(before.at(*step.fresh), fresh, seen, value(checks), floor))

    def at(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The drawn function at columns a and rows b, (len(b), len(a))."""
        return sample(self.values, *self._steps(a, b))

    def at_points(self, points: Sequence[Point]) -> np.ndarray:
        """The drawn function at points, (len(points),)."""
        a, b = np.array(points).T
        return sample_at(self.values, *self._steps(a, b))

    def _steps(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the grid, in steps between its nodes."""
        columns, rows = (
            np.clip((points - axis[0]) / (axis[-1] - axis[0]), 0.0, 1.0) * (count - 1)
            for points, axis, count in zip((a, b), self.step.axes, self.values.shape[::-1], strict=True)
        )
        return rows, columns

    @property
    def range(self) -> float:
        """The largest less the smallest value over the extent."""
        a0, a1, b0, b1 = self.step.extent
        return spread_of(self.at(np.linspace(a0, a1, _RANGE), np.linspace(b0, b1, _RANGE)))


def draw(
    extent: Extent,
    shape: tuple[int, int],
    tolerance: float,
    rounding: float,
    evaluate: Callable[[list[Point]], Generator[None, None, int]],
    value: Callable[[Sequence[Point]], np.ndarray],
    field: str,
    inexact: Callable[[Sequence[Point]], float] = lambda points: 0.0,
    size: Callable[[Sequence[Point]], float] = lambda points: 0.0,
) -> Generator[None, None, Map]:
    """A map, as a job: steps are refined until the tolerance is met, or until evaluating each pixel takes fewer nodes.

    inexact: what the values at nodes may be off by themselves, which the map's error is more by; size: the largest number that was rounded
    for them, where none of them is.
    """
    a, b = np.linspace(*extent[:2], shape[1]), np.linspace(*extent[2:], shape[0])
    evaluated, step, drawn, checks = 0, Step.first(extent), None, check_points(extent, OF_VIEW)
    while tolerance > 0 and step.count < len(a) * len(b):
        # The first step cannot be judged before the second is there: both at once, with the checks, cost one wait less.
        evaluated += yield from evaluate((step if drawn else step.next()).points + checks)
        drawn = Drawn.of(step, value, drawn, checks, rounding, size(step.points))
        allowed = tolerance * drawn.range
        if drawn.error.within(allowed) or _has_holes(drawn):
            error = math.inf if drawn.error.value is None else drawn.error.value
            noise = drawn.error.noise and error > allowed
            error += inexact(step.points + checks)
            nodes = step.count + len(checks)
            return Map(extent, field, drawn.at(a, b), error, tolerance, evaluated, nodes, noise)
        step = step.next()
    pixels = grid_points(a, b)
    evaluated += yield from evaluate(pixels)
    values = value(pixels).reshape(len(b), len(a))
    return Map(extent, field, values, inexact(pixels), tolerance, evaluated, len(pixels), False)


def _has_holes(drawn: Drawn) -> bool:
    """Whether values that are not finite lie in a grid so fine, or among its checks, that refining it is not worth its nodes."""
    return min(drawn.values.shape) > _HOLES and drawn.error.value is None


def spread_of(values: np.ndarray) -> float:
    """The largest less the smallest finite value."""
    finite = values[np.isfinite(values)]
    return float(finite.max() - finite.min()) if finite.size else 0.0


def _axis(low: float, high: float, z: int) -> np.ndarray:
    first = math.floor(math.ldexp(low, z))
    last = max(math.ceil(math.ldexp(high, z)), first + 2)
    return np.ldexp(np.arange(first, last + 1, dtype=float), -z)
