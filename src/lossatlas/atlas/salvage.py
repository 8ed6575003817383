"""Salvage: what can still be read of a damaged file, row by row, as a new one."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lossatlas.atlas import raw, schema

# So many places in a row at which nothing can be read are the end of a table.
_GAP = 20_000


def salvaged(path: Path, into: Path) -> int | None:
    """Copy the rows of an atlas that can be read into a new file; how many, or None where none can be.

    What is in them is looked at when it is used: every row has its checksum.
    """
    if not raw.is_sqlite(path):
        return None
    with tempfile.TemporaryDirectory(prefix="lossatlas-") as folder:
        copy = Path(folder) / "damaged.atlas"
        _copied(path, copy)
        source = sqlite3.connect(copy, isolation_level=None)
        target = sqlite3.connect(into, isolation_level=None)
        try:
            source.execute("PRAGMA trusted_schema = OFF")
            source.execute("PRAGMA cell_size_check = ON")
            if schema.problem(source) is not None:
                return None
            target.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
            schema.create(target)
            target.execute("BEGIN")
            count = sum(_saved(source, target, table) for table in schema.TABLES if table != "writer")
            target.execute("COMMIT")
            return count
        except sqlite3.DatabaseError:
            return None
        finally:
            source.close()
            target.close()


def _copied(path: Path, copy: Path) -> None:
    """A copy that is as long as its header says, for SQLite reads nothing of one that is shorter."""
    raw.copy(path, copy)
    log = path.with_name(path.name + "-wal")
    if log.exists():
        raw.copy(log, copy.with_name(copy.name + "-wal"))
    with copy.open("r+b") as file:
        head = file.read(100)
        page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
        size = (65536 if page == 1 else page) * pages
        # A header that is damaged too may ask for anything.
        if path.stat().st_size < size <= 1 << 40:
            file.truncate(size)


def _saved(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> int:
    count = 0
    for row in _rows(source, table):
        marks = ", ".join("?" * len(row))
        with contextlib.suppress(sqlite3.IntegrityError):  # half of another row
            target.execute(f"INSERT INTO {table} VALUES ({marks})", row)
            count += 1
    return count


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[object, ...]]:
    """The rows of a table that can be read, without its index."""
    last = gap = 0
    while gap < _GAP:
        try:
            found = connection.execute(f"SELECT * FROM {table} NOT INDEXED WHERE id > ? ORDER BY id", (last,))
            for row in found:
                last, gap = row[0], 0
                yield row
            return
        except sqlite3.DatabaseError:
            last, gap = last + 1, gap + 1
