"""A file that SQLite has open is read as bytes without letting go of its locks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from lossatlas.atlas import raw

_ASK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN EXCLUSIVE")
    print("free")
except sqlite3.OperationalError as error:
    print(error)
"""


def free_for_others(path: Path) -> bool:
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, str(path)], capture_output=True, text=True, check=True
    )
    return asked.stdout.strip() == "free"


@pytest.mark.skipif(os.name != "posix", reason="locks belong to a descriptor there")
def test_reading_the_bytes_of_an_open_file_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    connection = raw.connected(path, path.as_uri(), isolation_level=None)
    connection.execute("CREATE TABLE t (a)")
    connection.execute("BEGIN IMMEDIATE")
    assert raw.is_sqlite(path)
    raw.copy(path, tmp_path / "copy.sqlite")
    assert not free_for_others(path)
    connection.execute("COMMIT")
    connection.close()
    assert free_for_others(path)
    with contextlib.closing(sqlite3.connect(tmp_path / "copy.sqlite")) as copy:
        assert copy.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]


def test_what_was_read_is_closed_with_the_last_connection(tmp_path: Path) -> None:
    path = tmp_path / "one.sqlite"
    first, second = (raw.connected(path, path.as_uri()) for _ in range(2))
    with raw.opened(path) as file:
        pass
    first.close()
    first.close()  # twice is once
    assert not file.closed
    second.close()
    assert file.closed
    with raw.opened(path) as file:
        pass
    assert file.closed
