"""Atlas: scenes with their nodes in one file, which grows while they are evaluated."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import platform
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.atlas import codec, raw
from lossatlas.atlas.file import AtlasFile
from lossatlas.atlas.layers import Rows, Subject
from lossatlas.atlas.nodes import StoredNodes
from lossatlas.atlas.scenes import SceneRow, scene_of_head, scene_order, vector_of
from lossatlas.atlas.schema import KINDS
from lossatlas.atlas.shown import Shown
from lossatlas.atlas.writer import Order, Writer
from lossatlas.geometry import Levels, Line, Plane
from lossatlas.objective import Objective
from lossatlas.sampling import Point
from lossatlas.sampling.strategies import Choice, Unfit, choice_for, chosen_before

_log = logging.getLogger("lossatlas")

_lock = threading.Lock()
_open: weakref.WeakValueDictionary[tuple[str, bool], Atlas] = weakref.WeakValueDictionary()


def open_atlas(path: str | os.PathLike[str], *, write: bool = True) -> Atlas:
    """The atlas in a file; there is one of it in a process, however often it is opened.

    write: whether nodes are put into it; a missing path is then created. Raises as `AtlasFile` does, and ValueError for a path
    that is none.
    """
    where = check_path(path)
    key = (os.path.realpath(where), write)
    with _lock:
        atlas = _open.get(key)
        if atlas is None or not atlas.file.is_there:
            atlas = _open[key] = Atlas(AtlasFile(Path(key[0]), write=write))
        writer = _open.get((key[0], True))
    if writer is not None and writer is not atlas:
        writer.flush()  # who reads it here sees what was evaluated here
    return atlas


@contextlib.contextmanager
def borrowed(path: Path) -> Iterator[Atlas]:
    """The atlas in a file for as long as something is saved there; then it is let go of, unless it was open before."""
    with _lock:
        known = _open.get((os.path.realpath(path), True))
    atlas = open_atlas(path)
    if atlas is known:
        yield atlas
        return
    try:
        yield atlas
    except BaseException:
        atlas.discard()
        raise
    atlas.close()


def check_path(path: str | os.PathLike[str]) -> Path:
    """A path as it was passed. Raises TypeError or ValueError for what is none."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"The path of an atlas is a {type(path).__name__}. Pass a text or a Path, as in 'run.atlas'."
        )
    text = os.fspath(path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(f"The path of an atlas is {text!r}. Pass the name of a file, as in 'run.atlas'.")
    if text.startswith("~"):
        raise ValueError(
            f"The path {text!r} starts with ~, which is not replaced here. Pass pathlib.Path(...).expanduser(), or './{text}' "
            "for a file of that name."
        )
    return Path(text)


class Atlas:
    """An open atlas. What is evaluated in it is written soon, by a thread of its own; `flush` writes it now."""

    def __init__(self, file: AtlasFile) -> None:
        self.file, self.path = file, file.path
        self._stores: weakref.WeakValueDictionary[Subject, StoredNodes] = weakref.WeakValueDictionary()
        self._rows: dict[Subject, Rows] = {}
        self._shown = Shown(file)
        self._unsettled: dict[tuple[str, str, str], tuple[str, bytes]] = {}
        self._latest: dict[tuple[str, str, str], list[Any]] = {}
        self._left_out = 0  # rows of scenes and findings that cannot be read
        self._lock, self._choosing = threading.Lock(), threading.Lock()
        self._writer = Writer(file, weakref.WeakMethod(self._scenes_first))
        weakref.finalize(self, file.close).atexit = False  # then `_close_all` writes what there is, too
        #: Objectives of which it was said that there are scenes of others too.
        self.told: set[str] = set()
        _alive.add(self)

    @property
    def writable(self) -> bool:
        """Whether nodes are put into it."""
        return self.file.write

    # Nodes: this is where a `Family` keeps them.

    def store(self, objective: Objective, plane: Plane | Line, columns: Sequence[str]) -> StoredNodes:
        """The nodes of an objective on a plane or a line: those that are in the file are known."""
        levels = Levels(objective.dtype)
        line = isinstance(plane, Line)
        return self.nodes(
            Subject(objective.hash, plane.hash, tuple(columns), line, levels.coarsest, levels.finest)
        )

    def nodes(self, subject: Subject) -> StoredNodes:
        """The nodes of a subject, of which there is one store as long as somebody uses it."""
        with self._lock:
            store = self._stores.get(subject)
            if store is None:
                rows = self._rows.setdefault(subject, Rows(self.file, subject))
                store = StoredNodes(rows, self._writer if self.writable else None, owner=self)
                self._stores[subject] = store
            return store

    def subjects(self, objective: str, plane: str) -> list[tuple[str, ...]]:
        """The columns of the layers that are kept of an objective on a plane."""
        with self.file.reading() as connection:
            found = connection.execute(
                "SELECT columns FROM layers WHERE objective = ? AND plane = ? ORDER BY id", (objective, plane)
            ).fetchall()
        known = []
        for (text,) in found:
            columns = _json(text, [])
            if isinstance(columns, list) and columns and all(isinstance(name, str) for name in columns):
                known.append(tuple(columns))
        return known

    def choose(self, objective: Objective, plane: Plane | Line) -> Choice:
        """The strategy that the atlas was evaluated by; the one that is found now where it holds nothing of this objective."""
        kept, key = objective.kept, (Atlas, self.path)
        with self._choosing:
            if key not in kept:
                kept[key] = self._chosen(objective, plane)
            choice: Choice = kept[key]
            return choice

    def _chosen(self, objective: Objective, plane: Plane | Line) -> Choice:
        before = self.evaluator(objective.hash)
        if before is None:
            choice = choice_for(objective, plane)
            self.put_evaluator(objective.hash, identity_of(objective, choice))
            return choice
        changed = [f"{name} was {before.get(name)!r} and is {value!r}" for name, value in _here(objective).items() if before.get(name) != value]  # fmt: skip
        try:
            choice = chosen_before(objective, before["name"], before["identity"])
            said = f"{self.path.name} was evaluated so: {before['identity']}, and is continued so"
        except Unfit as why:
            choice, changed = choice_for(objective, plane), [*changed, str(why)]
            said = f"{self.path.name} was evaluated by another strategy ({before['identity']})"
        if changed:
            said += f"; new values agree with its values to rounding only, since {', '.join(changed)}"
        return Choice(choice.strategy, (*choice.report, said), choice.name)

    def evaluator(self, objective: str) -> dict[str, str] | None:
        """What an objective was evaluated by: name and identity of the strategy, and on what."""
        with self.file.reading() as connection:
            row = connection.execute(
                "SELECT value FROM evaluators WHERE objective = ?", (objective,)
            ).fetchone()
        found = _json(row[0], None) if row else None
        if isinstance(found, dict) and {"name", "identity"} <= found.keys() and all(isinstance(value, str) for value in found.values()):  # fmt: skip
            return found
        return None

    # Scenes.

    def show(self, landscape: Any, *, used: bool = False) -> None:
        """A landscape is open. Its scene is written once it is used: evaluated, looked at, or something is kept of it."""
        if self._shown.add(landscape, used=used) and self.writable:
            self._writer.order(self._scene_of(landscape))

    def _scene_of(self, landscape: Any) -> Order:
        """Write the scene of a landscape unless it is there: until then the landscape is kept, for nobody else knows it."""

        def order(connection: sqlite3.Connection) -> None:
            for write in self._shown.lacking(landscape.scene.hash):
                write(connection)

        return order

    def put(self, subject: Subject, points: Sequence[Point], values: np.ndarray) -> None:
        """Write nodes (n, F) soon that were evaluated elsewhere."""
        with self._lock:
            rows = self._rows.setdefault(subject, Rows(self.file, subject))
        if len(points):
            self._writer.order(lambda connection: rows.merge(connection, points, values))

    def put_evaluator(self, objective: str, value: Mapping[str, str]) -> None:
        """Write soon what an objective is evaluated by, where that is not known."""
        text = json.dumps(value)

        def order(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO evaluators (objective, value) VALUES (?, ?)", (objective, text)
            )

        self._writer.order(order)

    def count(self, subject: Subject) -> int:
        """How many nodes of a subject are kept."""
        with self.file.reading() as connection:
            (count,) = connection.execute(
                "SELECT (SELECT coalesce(sum(count), 0) FROM tiles WHERE layer = id_) "
                "+ (SELECT coalesce(sum(count), 0) FROM points WHERE layer = id_) "
                "FROM (SELECT coalesce(max(id), -1) AS id_ FROM layers WHERE objective = ? AND plane = ? AND columns = ?)",
                subject.key,
            ).fetchone()
        return int(count)

    def put_scene(self, row: SceneRow) -> None:
        """Write a scene soon, as the newest."""
        self._writer.order(scene_order(row))
        self._shown.wrote(row.scene.hash)

    def scenes(self) -> list[SceneRow]:
        """The scenes that it holds, the newest last, without their vectors; those that cannot be read are left out."""
        with self.file.reading() as connection:
            rows = connection.execute(
                "SELECT hash, objective, plane, recipe, head, vectors, created, checksum FROM scenes ORDER BY id"
            ).fetchall()
        found, left_out = [], 0
        for *columns, check in rows:
            try:
                hashed, objective, plane, recipe, head, _, created = columns
                if check != codec.checksum(*columns):
                    raise codec.Damaged("its checksum is another one")
                scene, caption, line = scene_of_head(head)
                if not isinstance(said := json.loads(recipe), dict):
                    raise codec.Damaged("its recipe is none")
                found.append(
                    SceneRow(
                        replace(scene, hash=hashed),
                        objective,
                        plane,
                        said,
                        caption,
                        line,
                        created=created,
                    )
                )
            except (codec.Damaged, ValueError, RecursionError):
                left_out += 1
        self._left_out = left_out
        return found

    def vectors(self, scene: str) -> dict[str, Tensor]:
        """The vectors that only bytes determine, of a scene by its hash. Raises ValueError for damaged ones."""
        with self.file.reading() as connection:
            row = connection.execute("SELECT vectors FROM scenes WHERE hash = ?", (scene,)).fetchone()
            found = {}
            for name, entry in (_json(row[0], {}) if row else {}).items():
                try:
                    parts = connection.execute(
                        "SELECT data FROM vectors WHERE hash = ? ORDER BY part", (entry["hash"],)
                    )
                    found[name] = vector_of(entry, b"".join(part for (part,) in parts))
                except (codec.Damaged, sqlite3.Error, KeyError, ValueError, TypeError) as error:
                    raise ValueError(
                        f"The vector {name!r} of scene {scene} in {self.path} is damaged ({error}). Pass the plane itself: "
                        "lossatlas.Landscape(objective, plane, store=...)."
                    ) from error
        return found

    # Findings: spectra, paths, views and notes.

    def keep(
        self, kind: str, scene: str, name: str, value: Any, arrays: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Write something that belongs to a scene soon: JSON values, and arrays beside them; what had that name is replaced.

        kind: "spectra", "paths", "views" or "notes"; value None takes it out.
        """
        key = _table(kind), scene, name
        found = json.dumps(value, allow_nan=False), codec.packed_arrays(arrays or {})

        def order(connection: sqlite3.Connection) -> Callable[[], None]:
            _put_finding(connection, *key, *found)
            return settled

        def settled() -> None:
            with self._lock:
                if self._unsettled.get(key) is found:
                    del self._unsettled[key]

        with self._lock:
            self._unsettled[key] = found
        self._scenes_soon(scene)
        self._writer.order(order)

    def keep_soon(self, kind: str, scene: str, name: str, value: Any) -> None:
        """The same for values that change often: the newest is made into text by the thread that writes."""
        key = (_table(kind), scene, name)
        with self._lock:
            waiting = self._latest.get(key)
            if waiting is not None:
                waiting[0] = value
                return
            newest = self._latest[key] = [value]

        self._scenes_soon(scene)

        def order(connection: sqlite3.Connection) -> None:
            with self._lock:
                if self._latest.get(key) is newest:
                    del self._latest[key]
            try:
                text = json.dumps(newest[0], allow_nan=False)
            except (ValueError, TypeError):
                _log.exception("%s could not be kept in %s.", name, self.path)
                return
            _put_finding(connection, kind, scene, name, text, codec.packed_arrays({}))

        self._writer.order(order)

    def kept(self, kind: str, scene: str) -> dict[str, tuple[Any, dict[str, np.ndarray]]]:
        """What was kept of a kind of a scene, by name, the newest last; what is damaged is left out."""
        self._writer.settle()
        with self.file.reading() as connection:
            rows = connection.execute(
                f"SELECT name, value, arrays, checksum FROM {_table(kind)} WHERE scene = ? ORDER BY id",
                (scene,),
            ).fetchall()
        found = {name: self._finding(kind, scene, name, *columns) for name, *columns in rows}
        return {name: one for name, one in found.items() if one is not None}

    def kept_one(self, kind: str, scene: str, name: str) -> tuple[Any, dict[str, np.ndarray]] | None:
        """The one that `keep` was given under a name, without reading or writing anything else; None where there is none."""
        with self._lock:
            found = self._unsettled.get((_table(kind), scene, name))
        if found is not None:
            text, body = found
            return None if text == "null" else (json.loads(text), codec.unpacked_arrays(body))
        with self.file.reading() as connection:
            row = connection.execute(
                f"SELECT value, arrays, checksum FROM {_table(kind)} WHERE scene = ? AND name = ?",
                (scene, name),
            ).fetchone()
        return None if row is None else self._finding(kind, scene, name, *row)

    def _finding(
        self, kind: str, scene: str, name: str, text: Any, body: Any, check: Any
    ) -> tuple[Any, dict[str, np.ndarray]] | None:
        try:
            if check != codec.checksum(kind, scene, name, text, body):
                raise codec.Damaged("its checksum is another one")
            return json.loads(text), codec.unpacked_arrays(body)
        except (codec.Damaged, ValueError, RecursionError):
            self._left_out += 1
            return None

    # The file.

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of the file: what was damaged, what could not be written."""
        name, notes = self.path.name, list(self.file.notes)
        damaged = sum(len(rows.damaged) for rows in list(self._rows.values()))
        if damaged:
            then = (
                "what they held is evaluated again where it is looked at"
                if self.writable
                else "they are left out"
            )
            notes.append(f"{name}: {damaged} damaged row{'s' if damaged > 1 else ''} of nodes: {then}.")
        if self._left_out:
            notes.append(f"{name}: {self._left_out} scenes or findings could not be read and are left out.")
        if self._writer.trouble:
            notes.append(self._writer.trouble)
        if self._writer.lost:
            notes.append(f"{name}: {self._writer.lost} nodes were never written.")
        return tuple(notes)

    def flush(self) -> None:
        """Write all that has come. What cannot be written is said by a warning."""
        self._scenes_soon()
        self._writer.flush()

    def settle(self) -> None:
        """Write all that has come. Raises OSError where that cannot be done."""
        self._scenes_soon()
        self._writer.settle()
        if self._writer.trouble:
            raise OSError(self._writer.trouble)

    def close(self) -> None:
        """Write all that has come and let go of the file, which is one file again and another process may write.

        `landscape.atlas.close()` does so while the landscape is still in use; whoever uses it later opens the file anew.
        """
        if self.writable:
            self.flush()
        self.file.close()

    def discard(self) -> None:
        """Let go of the file without what could not be saved in it."""
        self._writer.give_up()
        self.file.close()

    def _scenes_first(self, store: StoredNodes) -> list[Order]:
        """What is written before nodes of a store: the scenes that show them."""
        subject = store.rows.subject
        return self._shown.of_plane(subject.objective, subject.plane)

    def _scenes_soon(self, scene: str | None = None) -> None:
        if self.writable:
            for order in self._shown.lacking(scene):
                self._writer.order(order)

    def abandon(self) -> None:
        """Be a reader with locks of its own in a process that was forked, where nobody may be left to release the others."""
        self._lock, self._choosing = threading.Lock(), threading.Lock()
        self._shown.renew()
        self.file.abandon()
        self._writer.abandon()
        for store in list(self._stores.values()):
            store.abandon()


_alive: weakref.WeakSet[Atlas] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for atlas in list(_alive):
        atlas.close()


def _after_fork() -> None:
    """A child has no thread that writes, and the connections are its parent's."""
    global _lock
    _lock = threading.Lock()
    raw.renew()
    for atlas in list(_alive):
        atlas.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _put_finding(
    connection: sqlite3.Connection, kind: str, scene: str, name: str, text: str, body: bytes
) -> None:
    table = _table(kind)
    connection.execute(f"DELETE FROM {table} WHERE scene = ? AND name = ?", (scene, name))
    if text != "null":
        connection.execute(
            f"INSERT INTO {table} (scene, name, value, arrays, checksum) VALUES (?, ?, ?, ?, ?)",
            (scene, name, text, body, codec.checksum(kind, scene, name, text, body)),
        )


def identity_of(objective: Objective, choice: Choice) -> dict[str, str]:
    """What is written of the strategy that an objective is evaluated by."""
    return {"name": choice.name, "identity": choice.strategy.identity, **_here(objective)}


def _here(objective: Objective) -> dict[str, str]:
    """What beside the strategy decides the last bits of a value."""
    return {"device": objective.device.type, "torch": torch.__version__, "machine": platform.machine()}


def _table(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}. Pass one of {', '.join(KINDS)}.")
    return kind


def _json(text: Any, otherwise: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return otherwise
