"""Tile: the values of one field on one tile, with what is known of their error; Pass: what of it travels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossatlas.geometry import CELLS, PASSES, TileAddress
from lossatlas.sampling.spline import fill_centres, interpolate
from lossatlas.sampling.store import NodeStore, Point, grid_points

# A tile in float32 differs from exact arithmetic by a few roundings of its largest value: the floor of any error.
_ROUNDINGS = 4

# The hold-out difference times this covered the truth in all of 200 tiles of five trained nets (design, section 5).
_SAFETY = 1.5


@dataclass(frozen=True, eq=False)
class Pass:
    """The evaluated values of a tile: n × n nodes and, half-way to the next pass, the centres of their cells.

    Of a line it is the row at b = 0, 1 × n.
    """

    address: TileAddress
    values: np.ndarray  # (n, n) float64, row 0 at the lowest b; (1, n) of a line
    centres: np.ndarray | None  # (n − 1, n − 1) float64
    error: float | None  # stated maximum error of the function drawn through them; None with nothing held out
    noise: bool  # the hold-out difference drowns in rounding

    @property
    def nodes(self) -> int:
        """Nodes per side: 3, 5, 9, 17 or 33."""
        return self.values.shape[1]

    @property
    def rank(self) -> int:
        """How much is known: grows from pass to pass."""
        return 2 * PASSES.index(self.nodes) + (self.centres is not None)

    @property
    def complete(self) -> bool:
        """Whether every node of the tile is evaluated."""
        return self.nodes == CELLS + 1

    def filled(self) -> np.ndarray:
        """(33, 33), or (1, 33): the evaluated nodes and, between them, the spline through them."""
        grid = self.values if self.centres is None else fill_centres(self.values, self.centres)
        return interpolate(grid, CELLS + 1) if grid.shape[1] < CELLS + 1 else grid


@dataclass(frozen=True, eq=False)
class Tile:
    """One field on one tile. Row 0 lies at the lowest b; NaN and ±inf are values like any other."""

    address: TileAddress
    field: str
    values: np.ndarray  # (33, 33) float64
    evaluated: np.ndarray  # (33, 33) bool; the other entries are interpolated
    nodes: int  # evaluated nodes per side
    quality: int  # 2: every value rests on the whole data set
    se_level: float  # standard error of the level, in units of the field; 0 at quality 2
    se_shape: float  # standard error of the shape, in units of the field; 0 at quality 2
    error: float  # stated maximum error of the function drawn through the nodes, in units of the field


def nodes_of(address: TileAddress, nodes: int, *, line: bool = False) -> list[Point]:
    """The nodes of a pass of a tile, row by row; of a line's tile the lowest row alone."""
    a, b = address.axes(nodes)
    return grid_points(a, b[:1] if line else b)


def read_pass(
    store: NodeStore, address: TileAddress, field: int, rounding: float, *, line: bool = False
) -> Pass | None:
    """The largest pass of a tile whose nodes are all known, or None; `rounding` is the dtype's epsilon over two."""
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
    error, noise = stated_error(values, rounding)
    return Pass(address, values, centres, error, noise)


def stated_error(values: np.ndarray, rounding: float) -> tuple[float | None, bool]:
    """The stated maximum error of the spline through n × n nodes, and whether it is rounding noise.

    1.5 d + 4 ε max|L|, with d the largest difference between the nodes and the prediction from every second one, over
    those that are not themselves knots of it. None where nothing can be held out or a value is not finite.
    """
    if values.shape[1] <= PASSES[0] or not np.isfinite(values).all():
        return None, False
    floor = _ROUNDINGS * rounding * float(np.abs(values).max())
    held_out = float(np.abs(interpolate(values[::2, ::2], values.shape[1]) - values).max())
    return _SAFETY * held_out + floor, held_out < floor


def parts(store: NodeStore, address: TileAddress, *, line: bool = False) -> list[tuple[int, list[Point]]]:
    """What is missing of a tile: pieces of nodes, each with the `Pass.rank` that it completes, in order."""
    pieces = []
    planned: set[Point] = set()
    for index, nodes in enumerate(PASSES):
        steps = [(2 * index, nodes_of(address, nodes, line=line))]
        if not line and index and PASSES[index - 1] >= _HALVED:
            steps.insert(0, (2 * index - 1, grid_points(*address.centres(PASSES[index - 1]))))
        for rank, step in steps:
            missing = [point for point in store.missing(step) if point not in planned]
            planned.update(missing)
            if missing:
                pieces.append((rank, missing))
    return pieces


# From here on a pass is long enough to be worth showing half-way (800 nodes, of which 256 are centres).
_HALVED = 17
