"""Places: which row of an atlas a node belongs to. Every node has exactly one, so that it is kept once.

The *own level* of a dyadic point is the coarsest z at which it lies on the grid of a tile, with spacing 2^−(z + 5); the tile of
that level which holds it, its lower and left borders included, owns it. Beside its nodes a tile owns its checks. Whatever
is neither is *loose*.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lossatlas.geometry import CELLS, TileAddress
from lossatlas.sampling import Point, checks_of
from lossatlas.sampling.checks import OF_TILE

#: A tile as a key: z, x, y.
Key = tuple[int, int, int]

#: What a tile can own: its nodes without those of the upper and right border, row by row, then its checks.
NODES = CELLS * CELLS
SLOTS = NODES + OF_TILE

# A spacing of 2^−(z + 5).
_STEPS = CELLS.bit_length() - 1

# Indices of tiles stay exact, also their nodes'.
_FURTHEST = 2**47

# Of a coordinate that is 0: coarser than any level.
_ANY = -10_000


@dataclass(frozen=True, eq=False)
class Owners:
    """Of each of n points: the tile that owns it as a node, and its slot there; a loose one has slot −1."""

    keys: np.ndarray  # (n, 3) int64: z, x, y
    slots: np.ndarray  # (n,) int64


def owners(points: np.ndarray, coarsest: int, finest: int) -> Owners:
    """Who owns points (n, 2) among the tiles of levels coarsest … finest, were they all nodes."""
    levels = np.maximum(np.maximum(_digits(points[:, 0]), _digits(points[:, 1])) - _STEPS, coarsest)
    loose = levels > finest
    levels = np.where(loose, finest, levels)
    tiles = np.floor(np.ldexp(points, levels[:, None]))
    loose |= ~(np.abs(tiles) < _FURTHEST).all(axis=1)
    tiles = np.where(loose[:, None], 0.0, tiles)
    cells = np.where(loose[:, None], 0.0, np.ldexp(points, levels[:, None] + _STEPS)) - CELLS * tiles
    column, row = cells.T.astype(np.int64)
    keys = np.column_stack([levels, tiles.astype(np.int64)])
    return Owners(keys, np.where(loose, -1, row * CELLS + column))


def _digits(values: np.ndarray) -> np.ndarray:
    """The smallest k at which 2ᵏ times a number is an integer."""
    mantissa, exponent = np.frexp(values)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.frexp((whole & -whole).astype(float))[1] - 1
    return np.where(whole == 0, _ANY, 53 - exponent.astype(np.int64) - lowest)


def owners_of(address: TileAddress, levels: Iterable[int]) -> list[Key]:
    """The tiles of these levels that own a node of a tile, its upper and right borders included."""
    keys = []
    for z in levels:
        up = address.z - z
        if up >= 0:
            columns = {address.x >> up, (address.x + 1) >> up}
            rows = {address.y >> up, (address.y + 1) >> up}
            keys += [(z, x, y) for x in columns for y in rows]
    return keys


def check_owners(
    points: Sequence[Point], levels: Iterable[int], keys: Collection[Key], *, line: bool
) -> dict[Point, tuple[Key, int]]:
    """Those of some points that are checks of one of these tiles: which, and the slot there."""
    found = {}
    for z in levels:
        for point in points:
            x, y = (math.ldexp(value, z) for value in point)
            if max(abs(x), abs(y)) < _FURTHEST:
                key = (z, math.floor(x), math.floor(y))
                checks = checks_of_key(key, line) if key in keys else ()
                if point in checks:
                    found[point] = (key, NODES + checks.index(point))
    return found


@functools.lru_cache(maxsize=4096)
def checks_of_key(key: Key, line: bool) -> tuple[Point, ...]:
    """The checks of a tile."""
    return tuple(checks_of(TileAddress(*key), line=line))


def points_of(key: Key, slots: np.ndarray, *, line: bool) -> list[Point]:
    """Where the things lie that a tile owns."""
    z, x, y = key
    row, column = np.divmod(slots[slots < NODES], CELLS)
    nodes = np.ldexp(np.column_stack([CELLS * x + column, CELLS * y + row]).astype(float), -(z + _STEPS))
    checks = checks_of_key(key, line) if len(nodes) < len(slots) else ()
    return [*map(tuple, nodes.tolist()), *(checks[slot - NODES] for slot in slots[slots >= NODES].tolist())]
