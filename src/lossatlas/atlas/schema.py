"""Schema: the tables of an atlas, and what makes a file one. docs/atlas-format.md says what they hold."""

from __future__ import annotations

import sqlite3

from lossatlas.atlas.places import NODES

#: "LosA", in the file's header, and the version of the tables.
APPLICATION_ID = 0x4C6F7341
VERSION = 1

#: Small pages: a row's overflow pages are full but for the last one, so that little room is lost.
PAGE_BYTES = 1024

#: What belongs to a scene beside its nodes, one table each.
KINDS = ("spectra", "paths", "views", "notes")

_SCENE_TABLE = (
    "CREATE TABLE {} (id INTEGER PRIMARY KEY AUTOINCREMENT, scene TEXT NOT NULL, name TEXT NOT NULL, "
    "value TEXT NOT NULL, arrays BLOB NOT NULL, checksum BLOB NOT NULL, UNIQUE (scene, name))"
)

#: Table by table, exactly as sqlite_schema shows them.
TABLES = {
    "scenes": "CREATE TABLE scenes (id INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE, "
    "objective TEXT NOT NULL, plane TEXT NOT NULL, recipe TEXT NOT NULL, head TEXT NOT NULL, vectors TEXT NOT NULL, "
    "created TEXT NOT NULL, checksum BLOB NOT NULL)",
    "evaluators": "CREATE TABLE evaluators (id INTEGER PRIMARY KEY, objective TEXT NOT NULL UNIQUE, value TEXT NOT NULL)",
    "vectors": "CREATE TABLE vectors (id INTEGER PRIMARY KEY, hash TEXT NOT NULL, part INTEGER NOT NULL, "
    "data BLOB NOT NULL, UNIQUE (hash, part))",
    "layers": "CREATE TABLE layers (id INTEGER PRIMARY KEY, objective TEXT NOT NULL, plane TEXT NOT NULL, "
    "columns TEXT NOT NULL, UNIQUE (objective, plane, columns))",
    "tiles": "CREATE TABLE tiles (id INTEGER PRIMARY KEY AUTOINCREMENT, layer INTEGER NOT NULL, z INTEGER NOT NULL, "
    "x INTEGER NOT NULL, y INTEGER NOT NULL, quality INTEGER NOT NULL, count INTEGER NOT NULL, evaluated BLOB NOT NULL, data BLOB NOT NULL, "
    "checksum BLOB NOT NULL, UNIQUE (layer, z, x, y))",
    "points": "CREATE TABLE points (id INTEGER PRIMARY KEY AUTOINCREMENT, layer INTEGER NOT NULL, a0 REAL NOT NULL, "
    "a1 REAL NOT NULL, b0 REAL NOT NULL, b1 REAL NOT NULL, count INTEGER NOT NULL, data BLOB NOT NULL, "
    "checksum BLOB NOT NULL)",
    **{kind: _SCENE_TABLE.format(kind) for kind in KINDS},
    "writer": "CREATE TABLE writer (id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, host TEXT NOT NULL, "
    "started TEXT NOT NULL, beat REAL NOT NULL)",
}

#: Loose points of a row, at most.
CHUNK = 2 * NODES


def create(connection: sqlite3.Connection) -> None:
    """Make an empty file an atlas, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for sql in TABLES.values():
        connection.execute(sql)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether nobody has made anything in a file."""
    (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return count == 0 and _pragma(connection, "application_id") == 0


def problem(connection: sqlite3.Connection) -> str | None:
    """Why a file is no atlas that can be used, as the end of a sentence; None when it is one.

    Its tables must be exactly those above, so that a file from a stranger has no trigger, view or expression that could run.
    """
    if _pragma(connection, "application_id") != APPLICATION_ID:
        return "it is an SQLite file, but no atlas of lossatlas"
    version = _pragma(connection, "user_version")
    if version > VERSION:
        return f"it has format {version}, and this lossatlas reads formats up to {VERSION}. Open it with a newer lossatlas"
    found = {}
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if kind == "table" and name in TABLES:
            found[name] = sql
        elif kind not in ("table", "index") or not str(name).startswith("sqlite_") or (
            kind == "index" and sql is not None
        ):  # fmt: skip
            return f"it has a {kind} {name!r}, which an atlas does not have"
    for name, sql in TABLES.items():
        if found.get(name) != sql:
            return f"its table {name!r} " + ("is another one" if name in found else "is missing")
    return None


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
