"""Lease: who writes an atlas. One process does; that of one which has died is taken over."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from pathlib import Path

#: A writer on another machine that has not been heard of for so many seconds is gone; one on this machine is looked up.
SILENT = 60.0


def started(pid: int) -> str | None:
    """When a process of this machine was started, with the machine's boot; "" where it lives and that cannot be told.

    None when there is no such process: then a number that comes again is not taken for it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The name of the command, in parentheses, may hold anything; the 22nd field is the start time.
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if status[0] == "Z" else f"{boot} {status[19]}"
    except (OSError, IndexError):
        return _alive(pid)


def _alive(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    if os.name != "posix":  # os.kill would end the process there: its beat tells
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # it lives, and is somebody else's
        return ""
    return ""


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Raises BlockingIOError while another process is the writer."""
    row = connection.execute("SELECT pid, host, started, beat FROM writer").fetchone()
    if row is not None and _holds(*row):
        pid, host, _, beat = row
        raise BlockingIOError(
            f"Process {pid} on {host} is writing {path}, last {max(0.0, time.time() - beat):.0f} s ago. An atlas has one "
            "writer: end that one or call landscape.atlas.close() there, or read along with lossatlas.load(path), without "
            "an objective."
        )


def take(connection: sqlite3.Connection, path: Path) -> None:
    """Become the writer. Raises BlockingIOError when another process is; within a transaction of the caller."""
    check(connection, path)
    connection.execute(
        "INSERT OR REPLACE INTO writer VALUES (1, ?, ?, ?, ?)",
        (os.getpid(), platform.node(), started(os.getpid()) or "", time.time()),
    )


def beat(connection: sqlite3.Connection) -> bool:
    """Say that the writer is still there; False when it no longer is this process."""
    found = connection.execute(
        "UPDATE writer SET beat = ? WHERE pid = ? AND host = ? AND started = ?",
        (time.time(), os.getpid(), platform.node(), started(os.getpid()) or ""),
    )
    return found.rowcount == 1


def release(connection: sqlite3.Connection) -> None:
    """Let another process be the writer."""
    connection.execute("DELETE FROM writer WHERE pid = ? AND host = ?", (os.getpid(), platform.node()))


def _holds(pid: int, host: str, began: str, last: float) -> bool:
    if host != platform.node():
        return time.time() - last < SILENT
    if pid == os.getpid():
        return False
    now = started(pid)
    if now is None:
        return False
    if now and began:
        return now == began
    return os.name == "posix" or time.time() - last < SILENT
