"""StoredNodes: the nodes of a plane that are kept in an atlas too. What it holds is read when it is looked at."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from typing import Protocol

import numpy as np

from lossatlas.atlas.layers import Rows, inside
from lossatlas.atlas.places import Key, check_owners, checks_of_key, owners, owners_of, points_of
from lossatlas.geometry import TileAddress
from lossatlas.sampling import NodeStore, Point
from lossatlas.sampling.store import BUDGET

# How often somebody who reads along looks for what was written since, in seconds.
_FOLLOWED_EVERY = 0.2


class Keeps(Protocol):
    """Whoever writes nodes down."""

    def wake(self, store: StoredNodes) -> None:
        """A store has nodes to be written."""
        ...

    def settle(self) -> None:
        """Write what there is now."""
        ...


class StoredNodes(NodeStore):
    """A store whose nodes are in an atlas: read once they are looked at, which evaluates nothing, and written as they come.

    keeps: who writes them; None for an atlas that is only read, perhaps while another process writes it. owner: what lives as
    long as its nodes are used, the atlas.
    """

    def __init__(
        self, rows: Rows, keeps: Keeps | None, budget: int = BUDGET, *, owner: object = None
    ) -> None:
        super().__init__(rows.fields, budget)
        self._owner = owner
        self.rows, self._keeps = rows, keeps
        self._pending: list[tuple[Point, np.ndarray]] = []
        self._unread: set[Key] = set()
        self._levels: tuple[int, ...] = ()
        self._chunks: dict[int, tuple[float, float, float, float]] = {}
        self._newest = [0, 0]  # rows of tiles, and of loose points, that were heard of
        self._loading = threading.RLock()
        self._version, self._looked = -1, 0.0
        self._forgotten = False
        self.hear()

    def put(self, point: Point, values: np.ndarray) -> None:
        """Keep the values of a node, which are written soon; one that is known keeps the number it has (law 6)."""
        with self._lock:
            if point in self:
                return
            self.evaluated += 1
            self._add(point, values)
            if self._keeps is None:
                return
            self._pending.append((point, values))
            first = len(self._pending) == 1
        if first:
            self._keeps.wake(self)

    def look(self, address: TileAddress) -> None:
        """Read what is kept of a tile."""
        self._catch_up()
        if not (self._unread or self._chunks):
            return
        with self._loading:
            self._read([key for key in owners_of(address, self._levels) if key in self._unread])
            # Those of a tile that owns nothing else are kept like any other points.
            self.seek(checks_of_key((address.z, address.x, address.y), self.rows.subject.line))

    def seek(self, points: Collection[Point]) -> None:
        """Read what is kept of these points."""
        self._catch_up()
        if not (self._unread or self._chunks):
            return
        with self._loading:
            missing = [point for point in points if point not in self]
            if not missing:
                return
            subject = self.rows.subject
            found = owners(np.array(missing), subject.coarsest, subject.finest)
            keys = {(z, x, y) for z, x, y in np.unique(found.keys, axis=0).tolist()}
            loose = [missing[index] for index in np.flatnonzero(found.slots < 0)]
            checks = check_owners(loose, self._levels, self._unread, line=subject.line)
            self._read((keys | {key for key, _ in checks.values()}) & self._unread)
            self._read_chunks([point for point in loose if point not in self])

    def hear(self) -> None:
        """Hear of the rows that were written since the last time."""
        with self._loading:
            tiles, chunks = self.rows.tiles(self._newest[0]), self.rows.chunks(self._newest[1])
            if tiles:
                self._newest[0] = tiles[-1][0]
                self._unread.update(key for _, key in tiles)
                if self._keeps is None:  # written anew
                    self.rows.damaged.difference_update(key for _, key in tiles)
                self._levels = tuple(sorted({*self._levels, *(key[0] for _, key in tiles)}))
            if chunks:
                self._newest[1] = chunks[-1][0]
                self._chunks.update(chunks)

    def everything(self) -> None:
        """Read all that is kept, whatever memory that takes."""
        with self._loading:
            self._catch_up()
            self._read(list(self._unread))
            self._read_all_chunks(list(self._chunks))

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels of which rows were heard of, ascending."""
        return self._levels

    def take(self, most: int) -> list[tuple[Point, np.ndarray]]:
        """The oldest nodes that are to be written, for the writer."""
        with self._lock:
            taken, self._pending = self._pending[:most], self._pending[most:]
            return taken

    def give_back(self, taken: list[tuple[Point, np.ndarray]], most: int) -> int:
        """Nodes that could not be written wait again, the oldest of too many not; returns how many were given up."""
        with self._lock:
            waiting = taken + self._pending
            self._pending = waiting[-most:]
            return len(waiting) - len(self._pending)

    def abandon(self) -> None:
        """Have locks of its own in a process that was forked, where nobody is left who has a point in hand."""
        self._lock, self._loading = threading.Lock(), threading.RLock()
        self._claimed, self._pending = set(), []

    def _catch_up(self) -> None:
        if self._forgotten:
            with self._loading:
                if self._forgotten:
                    self._forgotten = False
                    assert self._keeps is not None
                    self._keeps.settle()
                    self._newest = [0, 0]
                    self.hear()
        elif self._keeps is None and time.monotonic() - self._looked > _FOLLOWED_EVERY:
            with self._loading:
                self._looked = time.monotonic()
                version = self.rows.file.version
                if version != self._version:
                    self._version = version
                    self.hear()

    def _forget(self, points: Collection[Point]) -> None:
        if points:
            if self._keeps is None:  # read again when they are looked at again
                self._newest, self._version, self._looked = [0, 0], -1, 0.0
            else:
                self._forgotten = True

    def _read(self, keys: Collection[Key]) -> None:
        count = 0
        for key in keys:
            row = self.rows.tile(key)
            if row is not None:
                points = points_of(key, row.slots, line=self.rows.subject.line)
                count += len(points)
                self._hold(points, row.values, count)
            self._unread.discard(key)

    def _read_chunks(self, points: Collection[Point]) -> None:
        if points and self._chunks:
            places = np.array(list(points))
            gone = self._read_all_chunks([n for n, extent in self._chunks.items() if inside(extent, places)])
            if gone:  # written anew with more points in it, under another number
                self.hear()
                self._read_all_chunks([n for n, extent in self._chunks.items() if inside(extent, places)])

    def _read_all_chunks(self, numbers: Collection[int]) -> int:
        """Read rows of loose points; returns how many of them are no longer there."""
        count = gone = 0
        for number in numbers:
            chunk = self.rows.chunk(number)
            if chunk is None:
                gone += number not in self.rows.damaged
            else:
                count += len(chunk[0])
                self._hold([(a, b) for a, b in chunk[0].tolist()], chunk[1], count)
            self._chunks.pop(number, None)
        return gone

    def _hold(self, points: list[Point], values: np.ndarray, count: int) -> None:
        with self._lock:
            self._most = max(self._most, 2 * count)  # all of one call stay until it ends
            for point, row in zip(points, values, strict=True):
                if point not in self:
                    self._add(point, row)
