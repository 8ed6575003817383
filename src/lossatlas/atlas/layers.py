"""Layers: the rows of one plane's nodes in an atlas, read by whoever looks at them and merged by its writer."""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas.atlas import codec
from lossatlas.atlas.file import AtlasFile
from lossatlas.atlas.places import SLOTS, Key, check_owners, owners
from lossatlas.atlas.schema import CHUNK
from lossatlas.sampling import Point

# Only values on all data are kept.
_QUALITY = 2

# Tiles that the writer remembers, as it is given the rest of them next.
_REMEMBERED = 64


@dataclass(frozen=True)
class Subject:
    """What nodes belong to: an objective and a plane, by their hashes, and the columns that are kept of a node.

    line: whether it is a line; coarsest, finest: the levels of its tiles. How far the first view reaches does not matter.
    """

    objective: str
    plane: str
    columns: tuple[str, ...]
    line: bool
    coarsest: int
    finest: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is found by."""
        return self.objective, self.plane, json.dumps(self.columns)

    @property
    def seal(self) -> str:
        """What is checked with every row, so that none is taken for one of another plane."""
        return "\n".join(self.key)


class Rows:
    """The rows of one subject. Reading is safe from several threads; `merge` is the writer's."""

    def __init__(self, file: AtlasFile, subject: Subject) -> None:
        self.file, self.subject = file, subject
        self.fields = len(subject.columns)
        #: Rows that were left out, for they are not what was written.
        self.damaged: set[Any] = set()
        self._layer: tuple[int, int] | None = (
            None  # its number, and the state of the file in which it has that
        )
        # What the writer remembers of the rows, in the state of the file that it is from.
        self._state = -1
        self._remembered: OrderedDict[Key, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._written: set[Key] | None = None
        self._last: tuple[int, int] | None = None  # the last row of loose points, and how many it holds

    def tiles(self, after: int) -> list[tuple[int, Key]]:
        """Number and key of the rows of tiles that were written after a number, ascending."""
        with self.file.reading() as connection:
            found = connection.execute(
                "SELECT id, z, x, y FROM tiles WHERE layer = ? AND id > ? ORDER BY id",
                (self._id(connection), after),
            ).fetchall()
        # A stranger's columns may hold anything.
        return [(n, (z, x, y)) for n, z, x, y in found if all(isinstance(value, int) for value in (z, x, y))]

    def chunks(self, after: int) -> list[tuple[int, tuple[float, float, float, float]]]:
        """Number and extent of the rows of loose points that were written after a number, ascending."""
        with self.file.reading() as connection:
            found = connection.execute(
                "SELECT id, a0, a1, b0, b1 FROM points WHERE layer = ? AND id > ? ORDER BY id",
                (self._id(connection), after),
            ).fetchall()
        return [(n, tuple(ends)) for n, *ends in found if all(isinstance(end, float) for end in ends)]

    def tile(self, key: Key) -> codec.TileRow | None:
        """What a tile owns; None when that is nothing, or damaged."""
        try:
            with self.file.reading() as connection:
                return self._read_tile(connection, key)
        except sqlite3.DatabaseError:
            self.damaged.add(key)
            return None

    def chunk(self, number: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Points (n, 2) and values (n, F) of a row of loose ones; None when it is damaged or was replaced."""
        try:
            with self.file.reading() as connection:
                return self._read_chunk(connection, number)
        except sqlite3.DatabaseError:
            self.damaged.add(number)
            return None

    def merge(self, connection: sqlite3.Connection, points: Sequence[Point], values: np.ndarray) -> None:
        """Put nodes (n, F) into their rows, within a transaction of the writer."""
        if self._state != self.file.state:
            self._state = self.file.state
            self._remembered.clear()
            self._written = self._last = None
        connection.execute(
            "INSERT OR IGNORE INTO layers (objective, plane, columns) VALUES (?, ?, ?)", self.subject.key
        )
        places, layer = np.array(points), self._id(connection)
        assert layer is not None
        if self._written is None:
            found = connection.execute("SELECT z, x, y FROM tiles WHERE layer = ?", (layer,))
            self._written = {(z, x, y) for z, x, y in found}
        subject = self.subject
        owned = owners(places, subject.coarsest, subject.finest)
        nodes = np.flatnonzero(owned.slots >= 0)
        groups: dict[Key, list[np.ndarray]] = {}
        if len(nodes):
            keys, group = np.unique(owned.keys[nodes], axis=0, return_inverse=True)
            order = np.argsort(group.ravel(), kind="stable")
            ends = np.cumsum(np.bincount(group.ravel()))
            for (z, x, y), members in zip(keys.tolist(), np.split(nodes[order], ends[:-1]), strict=True):
                groups[z, x, y] = [members, owned.slots[members]]
        loose = np.flatnonzero(owned.slots < 0).tolist()
        at = {points[index]: index for index in loose}
        tiles = self._written | groups.keys()
        checks = check_owners(list(at), {key[0] for key in tiles} if at else (), tiles, line=subject.line)
        for point, (key, slot) in checks.items():
            known = groups.get(key, [np.empty(0, int), np.empty(0, int)])
            groups[key] = [np.append(known[0], at.pop(point)), np.append(known[1], slot)]
        for key, (members, slots) in groups.items():
            self._merge_tile(connection, layer, key, slots, values[members])
        if at:
            rest = list(at.values())
            self._append(connection, layer, places[rest], values[rest])

    def _id(self, connection: sqlite3.Connection) -> int | None:
        """The number of the layer; None until it has one."""
        state, known = self.file.state, self._layer
        if known is None or known[0] != state:
            row = connection.execute(
                "SELECT id FROM layers WHERE objective = ? AND plane = ? AND columns = ?", self.subject.key
            ).fetchone()
            if row is None:
                return None
            known = self._layer = state, row[0]
        return known[1]

    def _read_tile(self, connection: sqlite3.Connection, key: Key) -> codec.TileRow | None:
        row = connection.execute(
            "SELECT quality, evaluated, data, checksum FROM tiles WHERE layer = ? AND z = ? AND x = ? AND y = ?",
            (self._id(connection), *key),
        ).fetchone()
        if row is None:
            return None
        try:
            quality, evaluated, data, check = row
            return codec.read_tile_row(self.subject.seal, key, quality, evaluated, data, check, self.fields)
        except codec.Damaged:
            self.damaged.add(key)
            return None

    def _read_chunk(
        self, connection: sqlite3.Connection, number: int
    ) -> tuple[np.ndarray, np.ndarray] | None:
        row = connection.execute(
            "SELECT count, data, checksum FROM points WHERE id = ? AND layer = ?",
            (number, self._id(connection)),
        ).fetchone()
        if row is None:
            return None
        try:
            count, data, check = row
            if not isinstance(count, int) or not 0 < count <= CHUNK:
                raise codec.Damaged(f"it says that it holds {count!r} points")
            return codec.read_chunk_row(self.subject.seal, count, data, check, self.fields)
        except codec.Damaged:
            self.damaged.add(number)
            return None

    def _merge_tile(
        self, connection: sqlite3.Connection, layer: int, key: Key, slots: np.ndarray, values: np.ndarray
    ) -> None:
        known, table = self._dense(connection, key)
        fresh = ~known[slots]  # one that is known keeps the number it has (law 6)
        known[slots[fresh]] = True
        table[slots[fresh]] = values[fresh]
        held = np.flatnonzero(known)
        row = codec.TileRow(held, table[held])
        columns = codec.tile_row(self.subject.seal, key, _QUALITY, row)
        # A number of its own whenever it changes, by which readers see that.
        connection.execute(
            "INSERT OR REPLACE INTO tiles (layer, z, x, y, quality, count, evaluated, data, checksum) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (layer, *key, _QUALITY, len(held), *columns),
        )
        assert self._written is not None
        self._written.add(key)

    def _dense(self, connection: sqlite3.Connection, key: Key) -> tuple[np.ndarray, np.ndarray]:
        found = self._remembered.pop(key, None)
        if found is None:
            found = np.zeros(SLOTS, bool), np.empty((SLOTS, self.fields))
            assert self._written is not None
            row = self._read_tile(connection, key) if key in self._written else None
            if row is not None:
                found[0][row.slots], found[1][row.slots] = True, row.values
        self._remembered[key] = found  # the newest last
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return found

    def _append(
        self, connection: sqlite3.Connection, layer: int, points: np.ndarray, values: np.ndarray
    ) -> None:
        """Loose points go to the last row while that has room, so that many small ones take little."""
        if self._last is None:
            row = connection.execute(
                "SELECT id, count FROM points WHERE layer = ? ORDER BY id DESC LIMIT 1", (layer,)
            ).fetchone()
            self._last = row or (0, CHUNK)
        number, count = self._last
        if count + len(points) <= CHUNK:
            known = self._read_chunk(connection, number)
            if known is not None:
                connection.execute("DELETE FROM points WHERE id = ?", (number,))
                points, values = np.vstack([known[0], points]), np.vstack([known[1], values])
        for start in range(0, len(points), CHUNK):
            part, rows = points[start : start + CHUNK], values[start : start + CHUNK]
            (a0, b0), (a1, b1) = part.min(axis=0).tolist(), part.max(axis=0).tolist()
            data, check = codec.chunk_row(self.subject.seal, part, rows)
            done = connection.execute(
                "INSERT INTO points (layer, a0, a1, b0, b1, count, data, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (layer, a0, a1, b0, b1, len(part), data, check),
            )
            self._last = (done.lastrowid or 0, len(part))


def inside(extent: Iterable[float], places: np.ndarray) -> bool:
    """Whether any of some points (n, 2) lies in an extent."""
    a0, a1, b0, b1 = extent
    a, b = places.T
    return bool(np.any((a0 <= a) & (a <= a1) & (b0 <= b) & (b <= b1)))
