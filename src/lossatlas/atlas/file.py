"""File: an atlas on disk, opened so that a file from a stranger can run nothing, for one writer or for reading."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from lossatlas.atlas import lease, raw, schema
from lossatlas.atlas.salvage import salvaged

# How long somebody who is about to read waits for another process, in seconds.
_PATIENCE = 10.0

# Files up to so many bytes are looked through before they are written to: about a second.
_LOOKED_THROUGH = 1 << 28

# SQLITE_DBCONFIG_DEFENSIVE: no statement can write to the file other than through its tables.
_DEFENSIVE = 1010


class AtlasFile:
    """Two connections to one file: what is read never waits for what is written. Safe to use from several threads.

    write: for the one writer, which makes a file and its folders where there are none; else nothing is changed.

    Raises ValueError in words for what is no atlas, FileNotFoundError, IsADirectoryError, PermissionError, and BlockingIOError
    while another process writes it.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path, self.write = path, write
        #: What was found out while it was opened, in words.
        self.notes: list[str] = []
        self._read_lock, self._write_lock = threading.Lock(), threading.RLock()
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        #: Which file the path led to when it was opened last.
        self.identity: raw.Identity | None = None
        #: Another number as soon as what was written last may not be there: after a failure, or when the file was closed.
        self.state = 0
        try:
            if write:
                with self.writing():
                    pass
            with self.reading():
                pass
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection that reads, for one thread at a time."""
        with self._read_lock:
            if self._reader is None:
                self._reader = self._open_reader()
                self.identity = raw.identity_of(self.path)
            yield self._reader

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction of the one writer: all of it is written when the block ends, nothing when it raises."""
        with self._write_lock:
            if not self.write:
                raise PermissionError(f"{self.path} was opened for reading only.")
            if self._writer is None:
                self._writer = self._open_writer()
                self.identity = raw.identity_of(self.path)
            if not self.is_there:  # what is written to a file that has no name any more is lost
                raise FileNotFoundError(f"{self.path} was moved, removed or replaced")
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not lease.beat(connection):
                    lease.take(connection, self.path)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self.state += 1
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @property
    def is_there(self) -> bool:
        """Whether the path still leads to the file that was opened."""
        return raw.identity_of(self.path) == self.identity

    @property
    def version(self) -> int:
        """A number that is another one whenever another connection has written."""
        with self.reading() as connection:
            (value,) = connection.execute("PRAGMA data_version").fetchone()
            return int(value)

    def backup(self, path: Path) -> None:
        """A consistent copy, while it may be written, without the writer's lease."""
        with self.reading() as connection:
            copy = sqlite3.connect(path, isolation_level=None)
            try:
                connection.backup(copy, pages=4096)
                copy.execute("DELETE FROM writer")
                _settle(copy)
            finally:
                copy.close()

    def close(self) -> None:
        """Let go of the file, which is one file again. Whoever uses it later opens it anew."""
        with self._read_lock:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()
        with self._write_lock:
            writer, self._writer = self._writer, None
            self.state += 1
            if writer is not None:
                try:
                    lease.release(writer)
                    _settle(writer)
                except sqlite3.Error as error:
                    self.notes.append(f"The atlas was not closed in order: {error}.")
                finally:
                    writer.close()
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None

    def abandon(self) -> None:
        """Forget the connections in a process that was forked: they are its parent's."""
        _FORKED.append((self._reader, self._writer))
        self._reader = self._writer = self._copy = None
        self._read_lock, self._write_lock = threading.Lock(), threading.RLock()
        self.write = False

    def _open_writer(self) -> sqlite3.Connection:
        _check_folder(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not self.path.exists() or self.path.stat().st_size == 0
            if not fresh and not os.access(self.path, os.W_OK):
                raise PermissionError
            if not fresh:
                self._check_lease()
            connection = _connected(self.path, "rwc")
        except (sqlite3.OperationalError, PermissionError, FileExistsError, NotADirectoryError) as error:
            raise PermissionError(
                f"{self.path} cannot be written here ({error or 'no permission'}). Pass a path in a folder of yours, or read "
                "the atlas with lossatlas.load(path), without an objective."
            ) from error
        try:
            if fresh:
                connection.execute(f"PRAGMA page_size = {schema.PAGE_BYTES}")
            self._check(connection, create=True)
            connection.execute("BEGIN IMMEDIATE")
            lease.take(connection, self.path)
            connection.execute("COMMIT")
            if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
                self.notes.append("This disk has no shared memory: readers wait while the atlas is written.")
            connection.execute("PRAGMA synchronous = NORMAL")
            if not fresh and self.path.stat().st_size <= _LOOKED_THROUGH:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(f"database disk image is malformed: {found}")
        except sqlite3.DatabaseError as error:
            _undo(connection)
            if _is_damage(error) and not self.notes:
                return self._repaired(error)
            if isinstance(error, sqlite3.OperationalError) and "readonly" in str(error):
                raise PermissionError(
                    f"{self.path} cannot be written ({error}). Read it with lossatlas.load(path), without an objective."
                ) from error
            raise _told(error, self.path) from error
        except BaseException:
            _undo(connection)
            raise
        return connection

    def _check_lease(self) -> None:
        """Raises BlockingIOError while another process writes. What else is wrong is said by whoever opens the file to write.

        Asked by a connection that can only read, which leaves everything as it is when it is closed.
        """
        with (
            contextlib.suppress(sqlite3.DatabaseError),
            contextlib.closing(_connected(self.path, "ro")) as connection,
        ):
            lease.check(connection, self.path)

    def _open_reader(self) -> sqlite3.Connection:
        _check_folder(self.path)
        if not self.path.exists():
            raise FileNotFoundError(
                f"There is no file {self.path}. Pass the path of an atlas that was saved."
            )
        try:
            try:
                return self._checked(_connected(self.path, "ro"))
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    raise
                # A folder that cannot be written has no room for what several processes share.
                return self._open_copy()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise _told(error, self.path) from error
            self._copy = tempfile.TemporaryDirectory(prefix="lossatlas-")
            mended = Path(self._copy.name) / "mended.atlas"
            rows = salvaged(self.path, mended)
            if rows is None:
                raise _told(error, self.path) from error
            self.notes.append(_said(self.path, rows))
            return _connected(mended, "ro")

    def _open_copy(self) -> sqlite3.Connection:
        beside = self.path.with_name(self.path.name + "-wal")
        if not beside.exists() or beside.stat().st_size == 0:
            return self._checked(_connected(self.path, "ro", "immutable=1"))
        # With what its writer had not put in its place.
        self._copy = tempfile.TemporaryDirectory(prefix="lossatlas-")
        copy = Path(self._copy.name) / "copy.atlas"
        raw.copy(self.path, copy)
        raw.copy(beside, copy.with_name(copy.name + "-wal"))
        return self._checked(_connected(copy, "rw"))

    def _checked(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        try:
            self._check(connection, create=False)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection, *, create: bool) -> None:
        if create and schema.is_empty(connection):
            schema.create(connection)
        found = schema.problem(connection)
        if found is not None:
            raise ValueError(f"{self.path} cannot be used: {found}.")

    def _repaired(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Put what can be read of a damaged file into a new one in its place; the damaged one is kept beside it."""
        fresh = self.path.with_name(f"{self.path.name}.mended-{os.getpid()}")
        rows = salvaged(self.path, fresh)
        if rows is None:
            fresh.unlink(missing_ok=True)
            raise _told(error, self.path) from error
        number = 1
        while (kept := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        self.path.replace(kept)
        for ending in ("-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        fresh.replace(self.path)
        self.notes.append(f"{_said(self.path, rows)} The damaged file is kept as {kept.name}.")
        return self._open_writer()


# Connections of a parent process, which must not be closed in a child.
_FORKED: list[object] = []


def _check_folder(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Pass the path of a file, such as {path / 'run.atlas'}.")


def _connected(path: Path, mode: str, *options: str) -> sqlite3.Connection:
    # As a URI, in which "?" and "#" of a path are escaped.
    uri = "&".join([f"{path.absolute().as_uri()}?mode={mode}", *options])
    connection = raw.connected(path, uri, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    if hasattr(connection, "setconfig"):  # from Python 3.12 on
        connection.setconfig(_DEFENSIVE, True)
    return connection


def _settle(connection: sqlite3.Connection) -> None:
    """Put everything into the one file, so that it can be copied, and read where nothing can be written."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with contextlib.suppress(sqlite3.OperationalError):  # somebody reads: whoever comes last does it
        connection.execute("PRAGMA journal_mode = DELETE")


def _undo(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    connection.close()


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return "malformed" in str(error) or "not a database" in str(error) or "disk I/O" in str(error)


def _told(error: sqlite3.Error, path: Path) -> Exception:
    """What SQLite says of a file, as an error that a user can act on."""
    if "locked" in str(error):
        return BlockingIOError(f"{path} is in use by another process ({error}). Try again when it is done.")
    if not raw.is_sqlite(path):
        return ValueError(
            f"{path} is no atlas: it is not an SQLite file. Pass another path; it is left as it is."
        )
    return ValueError(f"{path} cannot be read as an atlas ({error}). Use a copy of it; it is left as it is.")


def _said(path: Path, rows: int) -> str:
    return f"{path.name} was damaged: {rows} rows of it could be read and are used, the rest is left out."
