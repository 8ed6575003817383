"""Levels: how far a map can be zoomed, in and out, before neighbouring nodes are one number."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from lossatlas.geometry.tiles import CELLS, TileAddress

# The deepest level at which neighbouring nodes still differ in the dtype's digits, and the widest view in float64.
_DEEPEST = {torch.float64: 40, torch.float32: 16, torch.float16: 6, torch.bfloat16: 3}
_WIDEST = -20


@dataclass(frozen=True)
class Levels:
    """The levels z, coarsest to finest, that mean anything in a dtype."""

    dtype: torch.dtype

    @property
    def coarsest(self) -> int:
        """The widest view."""
        return _WIDEST

    @property
    def finest(self) -> int:
        """The deepest zoom."""
        return _DEEPEST.get(self.dtype, 0)

    def check(self, address: TileAddress) -> None:
        """Raise TypeError or ValueError when an address is no tile that the dtype can tell apart."""
        if not isinstance(address, TileAddress):
            raise TypeError(f"address is a {type(address).__name__}. Pass a TileAddress(z, x, y).")
        if address.z > self.finest:
            name = str(self.dtype).removeprefix("torch.")
            cure = f"Stay at z ≤ {self.finest}" + (
                ", or use float64." if self.finest < _DEEPEST[torch.float64] else "."
            )
            raise ValueError(f"Tile z={address.z} is finer than {name} can resolve. {cure}")
        if address.z < self.coarsest:
            raise ValueError(f"Tile z={address.z} is wider than a map can show. Stay at z ≥ {self.coarsest}.")
        # Beyond this index neighbouring nodes are one number in the dtype.
        furthest = int(2 / torch.finfo(self.dtype).eps) // CELLS
        if not all(-furthest <= index < furthest for index in (address.x, address.y)):
            raise ValueError(
                f"{address} lies too far out for {self.dtype} to tell its nodes apart. Stay within "
                f"±{math.ldexp(furthest, -address.z):g} at z={address.z}."
            )
