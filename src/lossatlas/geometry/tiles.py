"""TileAddress: the dyadic grid of a plane, in exact integers."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Cells per side of a tile; a tile has one node more, and shares its border nodes with its neighbours.
CELLS = 32

#: Nodes per side of the nested passes: each holds all nodes of the one before.
PASSES = (3, 5, 9, 17, 33)

# A position i · 2⁻ᵏ is exact in float64 while |i| < 2⁵³ and k stays far from the subnormal numbers.
_LARGEST = 2**53
_DEEPEST = 900


@dataclass(frozen=True, slots=True)
class TileAddress:
    """The tile a in [x, x + 1] · 2⁻ᶻ, b in [y, y + 1] · 2⁻ᶻ; row 0 of its nodes lies at the lowest b.

    Any signed integers whose nodes float64 can hold exactly. Raises TypeError for numbers that are not integers and
    ValueError beyond that.

    >>> TileAddress(z=3, x=5, y=2).parent == TileAddress(z=2, x=2, y=1)
    True
    >>> TileAddress(0, 0, 0).children()[3]
    TileAddress(z=1, x=1, y=1)
    """

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        for name in ("z", "x", "y"):
            object.__setattr__(self, name, _integer(name, getattr(self, name)))
        if abs(self.z) > _DEEPEST or CELLS * (max(abs(self.x), abs(self.y)) + 1) >= _LARGEST:
            raise ValueError(
                f"The nodes of {self} are not exact in float64. Stay at |z| ≤ {_DEEPEST} and |x|, |y| < 2⁴⁸."
            )

    @property
    def parent(self) -> TileAddress:
        """The tile one level up that holds this one."""
        return TileAddress(self.z - 1, self.x >> 1, self.y >> 1)

    def children(self) -> tuple[TileAddress, TileAddress, TileAddress, TileAddress]:
        """The four tiles one level down, b slowest."""
        x, y = 2 * self.x, 2 * self.y
        z = self.z + 1
        return (
            TileAddress(z, x, y),
            TileAddress(z, x + 1, y),
            TileAddress(z, x, y + 1),
            TileAddress(z, x + 1, y + 1),
        )

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """(a0, a1, b0, b1), exact."""
        return (
            math.ldexp(self.x, -self.z),
            math.ldexp(self.x + 1, -self.z),
            math.ldexp(self.y, -self.z),
            math.ldexp(self.y + 1, -self.z),
        )

    def axes(self, nodes: int = CELLS + 1) -> tuple[np.ndarray, np.ndarray]:
        """The a of the columns and the b of the rows of its grid with `nodes` per side, exact float64."""
        steps = np.arange(nodes, dtype=np.int64) * (CELLS // (nodes - 1))
        scale = -(self.z + CELLS.bit_length() - 1)
        return np.ldexp((self.x * CELLS + steps).astype(float), scale), np.ldexp(
            (self.y * CELLS + steps).astype(float), scale
        )

    def centres(self, nodes: int) -> tuple[np.ndarray, np.ndarray]:
        """The a and b of the centres of the cells between `nodes` per side: every second node of the next pass."""
        a, b = self.axes(2 * nodes - 1)
        return a[1::2], b[1::2]


def home_tiles(extent: tuple[float, float, float, float], z: int = 0) -> list[TileAddress]:
    """The tiles of level z that cover an extent (a0, a1, b0, b1), row by row from the lowest b."""
    a0, a1, b0, b1 = (math.ldexp(value, z) for value in extent)
    columns = range(math.floor(a0), max(math.ceil(a1), math.floor(a0) + 1))
    rows = range(math.floor(b0), max(math.ceil(b1), math.floor(b0) + 1))
    return [TileAddress(z, x, y) for y in rows for x in columns]


def level_of(extent: tuple[float, float, float, float]) -> int:
    """The level at which the longer side of an extent is at least two tiles wide, and less than four."""
    return math.ceil(1 - math.log2(max(extent[1] - extent[0], extent[3] - extent[2])))


def _integer(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"The {name} of a tile address is {value!r}, not an integer. Pass whole numbers, as in TileAddress(0, 0, 0)."
        ) from None
