"""Tile: the values of one field on one tile, with what is known of their error; Pass: what of it travels."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lossatlas.geometry import CELLS, PASSES, TileAddress
from lossatlas.sampling.error import UNKNOWN, StatedError, floor_of, stated_error
from lossatlas.sampling.spline import fill_centres, interpolate, sample
from lossatlas.sampling.store import NodeStore, Point, grid_points

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

    Of a line it is the row at b = 0, 1 × n.
    """

    address: TileAddress
    values: np.ndarray  # (n, n) float64, row 0 at the lowest b; (1, n) of a line
    centres: np.ndarray | None  # (n − 1, n − 1) float64
    rounding: float  # ε of the dtype that they were evaluated in
    sample: Sample | None = None  # what a preview rests on; None: every value rests on all data
    inexact: float = 0.0  # what each value may be off by itself, at most

    @functools.cached_property
    def error(self) -> StatedError:
        """The stated maximum error of the function that is drawn through them."""
        return self._judge(self.values, self.centres, floor_of(self.values, self.rounding)).plus(
            self._sampling
        )

    @functools.cached_property
    def error_of_log(self) -> StatedError:
        """The same of their logarithms, for a map on a log scale; unknown where a value is not positive."""
        known = (self.values,) if self.centres is None else (self.values, self.centres)
        if not all(np.all(part > 0) for part in known):
            return UNKNOWN
        floor = floor_of(self.values, self.rounding) / float(self.values.min())
        logs = np.log(self.values), None if self.centres is None else np.log(self.centres)
        share = self._sampling / float(self.values.min())
        # Towards zero a logarithm moves further than away from it: ln v − ln(v − s), without bound at s = v.
        return self._judge(*logs, floor).plus(-math.log1p(-share) if share < 1 else math.inf)

    @property
    def _sampling(self) -> float:
        """What its values may be off by themselves, or since they rest on a sample."""
        return self.inexact + (2.0 * (self.sample.level + self.sample.shape) if self.sample else 0.0)

    def _judge(self, values: np.ndarray, centres: np.ndarray | None, floor: float) -> StatedError:
        if centres is not None:
            between = np.arange(self.nodes - 1) + 0.5
            return stated_error(sample(values, between, between), centres, floor)
        if self.nodes <= PASSES[0]:
            return UNKNOWN
        if len(values) == 1:
            return stated_error(interpolate(values[:, ::2], self.nodes), values, floor)
        return stated_error(fill_centres(values[::2, ::2], values[1::2, 1::2]), values, floor)

    @property
    def nodes(self) -> int:
        """Nodes per side: 3, 5, 9, 17 or 33."""
        return self.values.shape[1]

    @property
    def rank(self) -> int:
        """How much is known: grows from pass to pass, and is below 0 of a preview."""
        coarse = 2 * PASSES.index(self.nodes) + (self.centres is not None)
        return coarse - (2 * len(PASSES) * (2 - self.sample.quality) if self.sample else 0)

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


def read_pass(
    store: NodeStore,
    address: TileAddress,
    field: int,
    rounding: float,
    *,
    line: bool = False,
    sample_of: Callable[[list[Point]], Sample | None] = lambda points: None,
    inexact_of: Callable[[list[Point]], float] = lambda points: 0.0,
) -> Pass | None:
    """The largest pass of a tile whose nodes are all known, or None; `rounding` is the dtype's epsilon over two.

    sample_of: what the values at these nodes rest on, where that is not all data; inexact_of: what they may be off by.
    """
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
    return Pass(address, values, centres, rounding, sample_of(points), inexact_of(points))


def parts(
    store: NodeStore, address: TileAddress, *, line: bool = False, most: int = CELLS + 1
) -> list[tuple[int, list[Point]]]:
    """What is missing of a tile, to so many nodes per side: pieces of nodes, each with the `Pass.rank` that it completes."""
    pieces = []
    planned: set[Point] = set()
    for index, nodes in enumerate(count for count in PASSES if count <= most):
        steps = [(2 * index, nodes_of(address, nodes, line=line))]
        if not line and index and PASSES[index - 1] >= _HALVED:
            steps.insert(0, (2 * index - 1, grid_points(*address.centres(PASSES[index - 1]))))
        for rank, step in steps:
            missing = [point for point in store.missing(step) if point not in planned]
            planned.update(missing)
            if missing:
                pieces.append((rank, missing))
    return pieces
