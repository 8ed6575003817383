"""Sources: where a map without its model has its values from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lossatlas.geometry import TileAddress, Turn
from lossatlas.sampling import Pass, Point
from lossatlas.scene import Scene


class NotHeld(LookupError):
    """Points whose values a source does not hold: `points`, all of them."""

    def __init__(self, points: Iterable[Point]) -> None:
        self.points = tuple(points)
        super().__init__(f"{len(self.points)} points are not held.")


class Source(Protocol):
    """Where a `HeldLandscape` has its values from; it may be asked from several threads at once."""

    @property
    def evaluated(self) -> int:
        """How many nodes are held, of any field."""
        ...

    def known(self, address: TileAddress, field: str) -> Pass | None:
        """What is held of a tile: its largest pass, or None."""
        ...

    def values(self, points: Sequence[Point], field: str) -> np.ndarray:
        """Exact values at points, (n,) float64. Raises NotHeld, with all of those among them that are not held."""
        ...

    def turned(self, turn: Turn) -> tuple[Scene, Source] | None:
        """Another plane of the same family that is held too; None for one that is not."""
        ...


@runtime_checkable
class Draws(Protocol):
    """A source that draws between its values by itself, rather than tile by tile."""

    def drawn(self, a: np.ndarray, b: np.ndarray, field: str) -> tuple[np.ndarray, float]:
        """The drawn function at columns a and rows b, (len(b), len(a)), NaN where nothing is held, and its stated error."""
        ...


@runtime_checkable
class Told(Protocol):
    """A source that knows what its axes mean, and what makes its scene again."""

    @property
    def caption(self) -> str:
        """As text; "" for as much as the scene says of it."""
        ...

    @property
    def recipe(self) -> dict[str, Any] | None:
        """JSON values, None where it has none."""
        ...
