"""Tile: the values of one field on one tile, with what is known of their error; Pass: what of it travels."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lossatlas.geometry import CELLS, PASSES, TileAddress
from lossatlas.sampling.checks import OF_TILE, check_points
from lossatlas.sampling.error import UNKNOWN, StatedError, floor_of, stated_error
from lossatlas.sampling.spline import fill_centres, interpolate, sample, sample_at
from lossatlas.sampling.store import NodeStore, Point, grid_points
from lossatlas.scale import Scale, linthresh

# From here on a pass is sent half-way: its cells' centres first, which say how far off it is.
_HALVED = 5


@dataclass(frozen=True)
class Sample:
    """What the values of a preview rest on, and their standard errors in units of the field; inf: unknown."""

    quality: int  # 0 or 1
    rests_on: str  # "512 of 60 000 samples", or so many batches
    level: float  # of the level, which the whole plane shares
    shape: float  # the largest of its nodes' beside the level


@dataclass(frozen=True, eq=False)
class Pass:
    """The evaluated values of a tile: n × n nodes and, half-way to the next pass, the centres of their cells.

    Of a line it is the row at b = 0, 1 × n. What is drawn through them is judged by the checks, which do not travel: without
    them its error is unknown.
    """

    address: TileAddress
    values: np.ndarray  # (n, n) float64, row 0 at the lowest b; (1, n) of a line
    centres: np.ndarray | None  # (n − 1, n − 1) float64
    rounding: float  # ε of the dtype that they were evaluated in
    sample: Sample | None = None  # what a preview rests on; None: every value rests on all data
    inexact: float = 0.0  # what each value may be off by itself, at most
    size: float = 0.0  # the largest number that was rounded, where that is none of the values
    checks: np.ndarray | None = None  # (OF_TILE,) float64, the values at `checks_of` its address

    @functools.cached_property
    def error(self) -> StatedError:
        """The stated maximum error of the function that is drawn through them."""
        return self._judge(self.values, self.centres, self.checks, self._floor).plus(self._sampling)

    @functools.cached_property
    def error_of_log(self) -> StatedError:
        """The same of their logarithms, for a map on a log scale; unknown where a value is not positive."""
        known = [self.values, *(part for part in (self.centres, self.checks) if part is not None)]
        if not all(np.all(part > 0) for part in known):
            return UNKNOWN
        floor = self._floor / float(self.values.min())
        centres, checks = (None if part is None else np.log(part) for part in (self.centres, self.checks))
        share = self._sampling / float(self.values.min())
        # Towards zero a logarithm moves further than away from it: ln v − ln(v − s), without bound at s = v.
        more = -math.log1p(-share) if share < 1 else math.inf
        return self._judge(np.log(self.values), centres, checks, floor).plus(more)

    def error_on(self, scale: Scale) -> StatedError:
        """The stated maximum error of what is drawn on a scale."""
        if scale == "log":
            return self.error_of_log
        c = linthresh(scale)
        return self.error if c is None else self.error_of_symlog(c)

    def error_of_symlog(self, c: float) -> StatedError:
        """The same of w = arsinh(v / 2c), for a map on a symmetric logarithm that is linear within ±c.

        The values are interpolated and w is drawn of them, for where a field crosses 0 it is smooth and w is steep. An error of the
        field is therefore most of w where the tile spans 0, else at its value nearest to 0, towards it.
        """
        if self.error.value is None:
            return UNKNOWN
        known = self.values.ravel() if self.centres is None else np.append(self.values, self.centres)
        error = self.error.value
        top = max(float(known.min()), -float(known.max()), error / 2)
        worst = math.asinh(top / (2 * c)) - math.asinh((top - error) / (2 * c))
        return StatedError(worst, self.error.noise)

    @property
    def _floor(self) -> float:
        return floor_of(self.values, self.rounding, self.size)

    @property
    def _sampling(self) -> float:
        """What its values may be off by themselves, or since they rest on a sample."""
        return self.inexact + (2.0 * (self.sample.level + self.sample.shape) if self.sample else 0.0)

    def _judge(
        self, values: np.ndarray, centres: np.ndarray | None, checks: np.ndarray | None, floor: float
    ) -> StatedError:
        if checks is None or (centres is None and self.nodes <= PASSES[0]):
            return UNKNOWN
        predicted, fresh = self._held_out(values, centres)
        grid = values if centres is None else fill_centres(values, centres)
        drawn = sample_at(grid, *self._places(grid.shape[1] - 1))
        return stated_error(predicted, fresh, drawn, checks, floor)

    def _held_out(self, values: np.ndarray, centres: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """What the pass before says of nodes that it did not know, and their values."""
        if centres is not None:
            between = np.arange(self.nodes - 1) + 0.5
            return sample(values, between, between), centres
        if len(values) == 1:
            return interpolate(values[:, ::2], self.nodes), values
        return fill_centres(values[::2, ::2], values[1::2, 1::2]), values

    def _places(self, cells: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the checks in a grid of so many cells per side."""
        a, b = np.array(checks_of(self.address, line=len(self.values) == 1)).T
        a0, a1, b0, b1 = self.address.extent
        return (b - b0) / (b1 - b0) * cells, (a - a0) / (a1 - a0) * cells

    @property
    def nodes(self) -> int:
        """Nodes per side: 3, 5, 9, 17 or 33."""
        return self.values.shape[1]

    @property
    def rank(self) -> int:
        """How much is known: grows from pass to pass and with the checks, and is below 0 of a preview."""
        coarse = 2 * PASSES.index(self.nodes) + (self.centres is not None)
        unchecked = self.checks is None and self.nodes > PASSES[0]
        return coarse - unchecked - (2 * len(PASSES) * (2 - self.sample.quality) if self.sample else 0)

    @property
    def complete(self) -> bool:
        """Whether every node of the tile is evaluated."""
        return self.nodes == CELLS + 1 and self.sample is None

    def filled(self) -> np.ndarray:
        """(33, 33), or (1, 33): the evaluated nodes and, between them, the spline through them."""
        grid = self.values if self.centres is None else fill_centres(self.values, self.centres)
        return interpolate(grid, CELLS + 1) if grid.shape[1] < CELLS + 1 else grid

    def tile(self, field: str, store: NodeStore, column: int) -> Tile:
        """The pass as a tile, with every node that the store happens to know beside its own."""
        points = nodes_of(self.address, CELLS + 1)
        known = [point in store for point in points]
        values, evaluated = self.filled().ravel().copy(), np.array(known)
        values[evaluated] = store.get(itertools.compress(points, known))[:, column]
        side = (CELLS + 1, CELLS + 1)
        error = math.inf if self.error.value is None else self.error.value
        return Tile(
            self.address, field, values.reshape(side), evaluated.reshape(side), self.nodes,
            *((self.sample.quality, self.sample.level, self.sample.shape) if self.sample else (2, 0.0, 0.0)), error,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Tile:
    """One field on one tile. Row 0 lies at the lowest b; NaN and ±inf are values like any other."""

    address: TileAddress
    field: str
    values: np.ndarray  # (33, 33) float64
    evaluated: np.ndarray  # (33, 33) bool; the other entries are interpolated
    nodes: int  # evaluated nodes per side
    quality: int  # 2: every value rests on the whole data set; 0 and 1: on a sample
    se_level: float  # standard error of the level, the same all over the plane; 0 at quality 2
    se_shape: float  # the largest standard error of a value beside the level's; 0 at quality 2
    error: float  # stated maximum error of the function drawn through the nodes, in units of the field


def nodes_of(address: TileAddress, nodes: int, *, line: bool = False) -> list[Point]:
    """The nodes of a pass of a tile, row by row; of a line's tile the lowest row alone."""
    a, b = address.axes(nodes)
    return grid_points(a, b[:1] if line else b)


def checks_of(address: TileAddress, *, line: bool = False) -> list[Point]:
    """The points of a tile at which what is drawn of it is checked; of a line's tile at b = 0."""
    a0, a1, b0, b1 = address.extent
    return check_points((a0, a1, b0, b0 if line else b1), OF_TILE)


def read_pass(
    store: NodeStore,
    address: TileAddress,
    field: int,
    rounding: float,
    *,
    line: bool = False,
    sample_of: Callable[[list[Point]], Sample | None] = lambda points: None,
    inexact_of: Callable[[list[Point]], float] = lambda points: 0.0,
    size_of: Callable[[list[Point]], float] = lambda points: 0.0,
) -> Pass | None:
    """The largest pass of a tile whose nodes are all known, or None, with its checks where these are known too.

    rounding: the dtype's epsilon over two; sample_of: what the values at these nodes rest on, where that is not all data;
    inexact_of: what they may be off by; size_of: the largest number that was rounded there.
    """
    store.look(address)
    points: list[Point] = []
    nodes = 0
    for more in PASSES:  # from the coarsest: a tile of which little is known costs little
        finer = nodes_of(address, more, line=line)
        if not store.knows(finer):
            break
        nodes, points = more, finer
    if not nodes:
        return None
    values = store.get(points)[:, field].reshape(-1, nodes)
    centres = None
    if nodes < CELLS + 1 and not line:
        middle = grid_points(*address.centres(nodes))
        if store.knows(middle):
            centres = store.get(middle)[:, field].reshape(nodes - 1, nodes - 1)
    checked, checks = checks_of(address, line=line), None
    if store.knows(checked):
        points, checks = points + checked, store.get(checked)[:, field]
    return Pass(
        address, values, centres, rounding, sample_of(points), inexact_of(points), size_of(points), checks
    )


def parts(
    store: NodeStore, address: TileAddress, *, line: bool = False, most: int = CELLS + 1
) -> list[tuple[int, list[Point]]]:
    """What is missing of a tile, to so many nodes per side: pieces of nodes, each with the `Pass.rank` that it completes.

    Its checks come with the first pass that can be judged.
    """
    store.look(address)
    pieces = []
    planned: set[Point] = set()
    for index, nodes in enumerate(count for count in PASSES if count <= most):
        checks = checks_of(address, line=line) if index else []
        steps = [(2 * index, nodes_of(address, nodes, line=line) + checks)]
        if not line and index and PASSES[index - 1] >= _HALVED:
            steps.insert(0, (2 * index - 1, grid_points(*address.centres(PASSES[index - 1]))))
        for rank, step in steps:
            missing = [point for point in store.missing(step) if point not in planned]
            planned.update(missing)
            if missing:
                pieces.append((rank, missing))
    return pieces
