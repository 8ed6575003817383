"""Raw: the bytes of a file that SQLite may have open in this process, read without letting go of its locks.

Locks of POSIX belong to a process: when any descriptor of a file is closed, all that the process holds on it are gone, and another
process may take the log of an open database away (https://sqlite.org/howtocorrupt.html, 2.2). So each connection counts here, and
a descriptor is closed once no connection of this process has its file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

_MAGIC = b"SQLite format 3\0"

#: Device and number of a file.
Identity = tuple[int, int]

_lock = threading.Lock()
_connections: Counter[Identity] = Counter()
_waiting: dict[Identity, list[BinaryIO]] = {}


class Connection(sqlite3.Connection):
    """A connection that counts as long as it is open."""

    _identity: Identity | None = None

    def count(self, path: Path) -> None:
        """This is a connection to a file, of which nothing has been asked yet: then it holds no lock."""
        self._identity = identity_of(path)
        if self._identity is not None:
            with _lock:
                _connections[self._identity] += 1

    def close(self) -> None:
        """Close it, and what waited for that."""
        super().close()
        identity, self._identity = self._identity, None
        if identity is None:
            return
        with _lock:
            _connections[identity] -= 1
            if _connections[identity] <= 0:
                del _connections[identity]
                for file in _waiting.pop(identity, []):
                    file.close()


def connected(path: Path, uri: str, **options: Any) -> Connection:
    """A connection to the file at a path, opened by its URI."""
    connection = sqlite3.connect(uri, uri=True, factory=Connection, **options)
    connection.count(path)
    return connection


def identity_of(path: Path) -> Identity | None:
    """Which file a path leads to; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file, to read its bytes."""
    file = path.open("rb")
    try:
        yield file
    finally:
        found = os.fstat(file.fileno())
        identity = found.st_dev, found.st_ino
        with _lock:
            if identity in _connections:
                _waiting.setdefault(identity, []).append(file)
            else:
                file.close()


def is_sqlite(path: Path) -> bool:
    """Whether a file begins as those of SQLite do."""
    with opened(path) as file:
        return file.read(len(_MAGIC)) == _MAGIC


def copy(path: Path, to: Path) -> None:
    """Copy the bytes of a file as they are now."""
    with opened(path) as source, to.open("wb") as target:
        shutil.copyfileobj(source, target)


def renew() -> None:
    """In a process that was forked, where nobody may be left to release the lock."""
    global _lock
    _lock = threading.Lock()
