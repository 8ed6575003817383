"""NodeStore: every evaluated node once, under its position.

A node of the dyadic grid has a position that float64 holds exactly, so the position itself is the key: the same node
of a parent, a child and a neighbour is one entry, and a point asked for by hand is the node it happens to be.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable

import numpy as np

from lossatlas.geometry import TileAddress

Point = tuple[float, float]

#: What the nodes of a plane may take of memory, in bytes.
BUDGET = 512 << 20

# A position as a key, measured, and its place in a table that is half full.
_KEY_BYTES = 220


class NodeStore:
    """Values of all fields at nodes, (F,) float64 each; safe to use from several threads.

    Beyond the budget those that were not asked for longest are forgotten: nodes live in two generations, and when the
    younger one is full, what nobody has asked for since the last time goes. What a call has asked for stays until it ends.
    """

    def __init__(self, fields: int, budget: int = BUDGET) -> None:
        self._fields = fields
        self._most = max(1, budget // 2 // (_KEY_BYTES + 8 * fields))  # of a generation
        self._young, self._old = _Generation(fields), _Generation(fields)
        self._claimed: set[Point] = set()
        self._lock = threading.Lock()
        self.evaluated = 0  # how many have ever been put

    def __len__(self) -> int:
        return len(self._young.rows) + sum(point not in self._young.rows for point in list(self._old.rows))

    def __contains__(self, point: Point) -> bool:
        # In this order: a generation becomes the old one before there is another young one.
        return point in self._young.rows or point in self._old.rows

    def put(self, point: Point, values: np.ndarray) -> None:
        """Keep the values of a node; one that is known keeps the number it has (law 6)."""
        with self._lock:
            if point in self:
                return
            self.evaluated += 1
            self._add(point, values)

    def look(self, address: TileAddress) -> None:
        """Somebody is going to ask what is known of a tile: a store that has nodes elsewhere too brings them here."""

    def seek(self, points: Collection[Point]) -> None:
        """Somebody is going to ask for these points: the same."""

    def snapshot(self) -> tuple[list[Point], np.ndarray]:
        """All points that are in memory, and their values, (n, F)."""
        with self._lock:
            old = [point for point in self._old.rows if point not in self._young.rows]
            values = np.concatenate([self._old.get(old), self._young.get(self._young.rows)])
            return old + list(self._young.rows), values

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
        return all(point in self for point in points)

    def missing(self, points: Iterable[Point]) -> list[Point]:
        """The points that have no value yet, in order, each once."""
        return [point for point in dict.fromkeys(points) if point not in self]

    def wanted(self, points: Iterable[Point]) -> list[Point]:
        """The same for a call that is going to ask for them all: those that are known stay, and there is room for the others."""
        asked = dict.fromkeys(points)
        self.seek(asked)
        with self._lock:
            self._most = max(self._most, 2 * len(asked))
            self._refresh(asked)
            return [point for point in asked if point not in self]

    def get(self, points: Iterable[Point]) -> np.ndarray:
        """The values of known points, (n, F). Raises KeyError for one that is not."""
        with self._lock:
            points = list(points)
            self._refresh(points)
            return self._young.get(points)

    def _add(self, point: Point, values: np.ndarray) -> None:
        if len(self._young.rows) >= self._most:
            self._forget(self._old.rows)
            self._old = self._young
            self._young = _Generation(self._fields)
        self._young.put(point, values)

    def _forget(self, points: Collection[Point]) -> None:
        """These points go, but for those that are in the younger generation too."""

    def _refresh(self, points: Iterable[Point]) -> None:
        old, young = self._old, self._young
        for point in points:
            if point not in young.rows and point in old.rows:
                young.put(point, old.get([point])[0])


class _Generation:
    """Rows of one array by position."""

    def __init__(self, fields: int) -> None:
        self.rows: dict[Point, int] = {}
        self._values = np.empty((1024, fields))

    def put(self, point: Point, values: np.ndarray) -> None:
        row = len(self.rows)
        if row == len(self._values):
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._values[row] = values
        self.rows[point] = row

    def get(self, points: Iterable[Point]) -> np.ndarray:
        return self._values[[self.rows[point] for point in points]]


def grid_points(a: np.ndarray, b: np.ndarray) -> list[Point]:
    """All points of the columns a and the rows b, row by row."""
    columns = a.tolist()
    return [(x, y) for y in b.tolist() for x in columns]
