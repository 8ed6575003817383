"""Mosaic: a view put together from tiles that are known already, each of its points drawn by the tile that knows most there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from lossatlas.geometry import CELLS, Extent, TileAddress, level_of
from lossatlas.sampling.spline import fill_centres, sample
from lossatlas.sampling.tile import Pass

# A tile of 33 nodes a side is as fine as one of 3 that lies so many levels below it.
_WORTH_A_LOOK = 4

# Positions of nodes are exact in float64 below 2⁵³ of their spacing.
_DIGITS = 47


def mosaic(
    known: Callable[[TileAddress], Pass | None], home: Extent, levels: tuple[int, int], a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, float, int]:  # fmt: skip
    """The drawn function at columns a and rows b, (len(b), len(a)), its stated maximum error, inf where unknown, and of how many nodes.

    known(address) is what there is of a tile; home, levels: of the scene; of a line b is [0]. A point that no tile covers is NaN,
    and leaves the error unknown.
    """
    z, found = _level(home, levels, a, b), dict[TileAddress, Pass | None]()
    columns, rows = _indices(a, z), [0] if not b.any() and len(b) == 1 else _indices(b, z)
    pieces = []
    for y, x in itertools.product(rows, columns):
        address = TileAddress(z, x, y)
        a0, a1, b0, b1 = address.extent
        best = _best(address, levels[0], known, found)
        if best is not None:
            pieces.append(
                (best, np.flatnonzero((b0 <= b) & (b <= b1)), np.flatnonzero((a0 <= a) & (a <= a1)))
            )
    values, error = np.full((len(b), len(a)), np.nan), 0.0
    covered = np.zeros(values.shape, bool)
    # On a border the tile that knows more has the last word.
    for best, above, along in sorted(pieces, key=lambda piece: _coarseness(piece[0]), reverse=True):
        place = np.ix_(above, along)
        values[place], covered[place] = _drawn(best, a[along], b[above]), True
        error = max(error, math.inf if best.error.value is None else best.error.value)
    used = {best.address: best for best, *_ in pieces}.values()
    nodes = sum(best.values.size + (0 if best.centres is None else best.centres.size) for best in used)
    return values, error if covered.all() else math.inf, nodes


def _level(home: Extent, levels: tuple[int, int], a: np.ndarray, b: np.ndarray) -> int:
    """The level whose cells are as small as the steps between the points; never above that of the home view."""
    densities = [len(at) / (at[-1] - at[0]) for at in (a, b) if at[-1] > at[0]]
    fine = math.ceil(math.log2(max(densities) / CELLS)) if densities else levels[1]
    furthest = max(1.0, *(float(np.abs(at).max()) for at in (a, b)))
    return min(max(fine, level_of(home)), levels[1], _DIGITS - math.ceil(math.log2(furthest)))


def _indices(at: np.ndarray, z: int) -> list[int]:
    """Which columns or rows of tiles hold points; one on a border belongs to both."""
    shares = np.ldexp(at, z)
    return sorted({*np.floor(shares).astype(int).tolist(), *(np.ceil(shares).astype(int) - 1).tolist()})


def _best(
    address: TileAddress, coarsest: int, known: Callable[[TileAddress], Pass | None], found: dict[TileAddress, Pass | None]
) -> Pass | None:  # fmt: skip
    """Of a tile and those above it, the one whose values are closest together; on all data before a sample of them."""
    passes: list[Pass] = []
    for one in _above(address, coarsest):
        if passes and one.z < passes[0].address.z - _WORTH_A_LOOK:
            break
        if one not in found:
            found[one] = known(one)
        if (item := found[one]) is not None:
            passes.append(item)
    return min(passes, key=_coarseness, default=None)


def _above(address: TileAddress, coarsest: int) -> Iterator[TileAddress]:
    while address.z >= coarsest:
        yield address
        address = address.parent


def _coarseness(item: Pass) -> tuple[bool, float, bool]:
    spacing = math.ldexp(1.0, -item.address.z) / (item.nodes - 1)
    spacing *= 1.0 if item.centres is None else math.sqrt(0.5)
    return item.sample is not None, spacing, item.error.value is None


def _drawn(item: Pass, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    grid = item.values if item.centres is None else fill_centres(item.values, item.centres)
    a0, a1, b0, b1 = item.address.extent
    cells = grid.shape[1] - 1
    return sample(grid, (b - b0) / (b1 - b0) * cells, (a - a0) / (a1 - a0) * cells)
