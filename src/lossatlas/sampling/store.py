"""NodeStore: every evaluated node once, under its position.

A node of the dyadic grid has a position that float64 holds exactly, so the position itself is the key: the same node
of a parent, a child and a neighbour is one entry, and a point asked for by hand is the node it happens to be.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

Point = tuple[float, float]


class NodeStore:
    """Values of all fields at nodes, (F,) float64 each; safe to use from several threads."""

    def __init__(self, fields: int) -> None:
        self._rows: dict[Point, int] = {}
        self._values = np.empty((1024, fields))
        self._claimed: set[Point] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, point: Point) -> bool:
        return point in self._rows

    def put(self, point: Point, values: np.ndarray) -> None:
        """Keep the values of a node; one that is known keeps the number it has (law 6)."""
        with self._lock:
            if point in self._rows:
                return
            row = len(self._rows)
            if row == len(self._values):
                self._values = np.concatenate([self._values, np.empty_like(self._values)])
            self._values[row] = values
            self._rows[point] = row

    def claim(self, point: Point) -> bool:
        """Take a point in hand; False when somebody has it already."""
        with self._lock:
            if point in self._claimed:
                return False
            self._claimed.add(point)
            return True

    def release(self, point: Point) -> None:
        """Let go of a point."""
        with self._lock:
            self._claimed.discard(point)

    def knows(self, points: Iterable[Point]) -> bool:
        """Whether every point has a value."""
        return all(point in self._rows for point in points)

    def missing(self, points: Iterable[Point]) -> list[Point]:
        """The points that have no value yet, in order, each once."""
        rows = self._rows
        return [point for point in dict.fromkeys(points) if point not in rows]

    def get(self, points: Iterable[Point]) -> np.ndarray:
        """The values of known points, (n, F). Raises KeyError for one that is not."""
        with self._lock:
            return self._values[[self._rows[point] for point in points]]


def grid_points(a: np.ndarray, b: np.ndarray) -> list[Point]:
    """All points of the columns a and the rows b, row by row."""
    columns = a.tolist()
    return [(x, y) for y in b.tolist() for x in columns]
