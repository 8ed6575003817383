"""Stored: landscapes in atlases. `save` and `flush` are methods of Landscape, put there by the package; `load` reads one back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lossatlas.atlas import (
    Atlas,
    AtlasFile,
    SceneRow,
    StoredNodes,
    Subject,
    borrowed,
    check_path,
    identity_of,
    open_atlas,
)
from lossatlas.features import KINDS
from lossatlas.geometry import TileAddress, Turn
from lossatlas.held import HeldLandscape
from lossatlas.landscape import Landscape
from lossatlas.objective import Objective
from lossatlas.recipe import differences, from_recipe, recipe, recipe_vectors
from lossatlas.sampling import NodeStore, Pass, Point, columns_of, read_pass
from lossatlas.sampling.strategies import Choice
from lossatlas.scene import Scene
from lossatlas.sources import NotHeld

_DTYPES = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}  # fmt: skip


def load(
    path: str | os.PathLike[str], objective: Objective | Sequence[Objective] | None = None, *, scene: str | None = None
) -> Landscape | HeldLandscape:  # fmt: skip
    """The landscape that an atlas holds: with its objective it goes on where it stopped, evaluating nothing twice.

    objective: the one that it was made of, made anew, or (first, second) of a difference. Without it the atlas is read only, also
    while another process writes it: what it holds zooms, and nothing is evaluated. scene: which one, by its hash, the beginning
    of it, or its title; by default the one that was written last.

    Raises FileNotFoundError, ValueError for what is no atlas, for a scene that it does not hold and, saying what differs, where
    none of its scenes is of this objective, and BlockingIOError where another process writes it.
    """
    where = check_path(path)
    if not where.exists():
        raise FileNotFoundError(f"There is no file {where}. Pass the path of an atlas that was saved.")
    atlas = open_atlas(where, write=objective is not None)
    if objective is None:
        row = _chosen(atlas.scenes(), scene, atlas)
        source = _Kept(atlas, row)
        return HeldLandscape(source.scene, source, caption=row.caption, recipe=dict(row.recipe))
    atlas.flush()
    rows = [(row, _differences(row, objective)) for row in atlas.scenes()]
    ours = [row for row, said in rows if not said]
    if rows and not ours:
        raise ValueError(
            f"{atlas.path} holds no scene of this objective:\n{_in_words(rows)}\nMake the objective as it was made then, read "
            "the atlas without one, or start another: Landscape(objective, plane, store=...)."
        )
    row = _chosen(ours, scene, atlas)
    made = from_recipe(row.recipe, objective, atlas.vectors(row.scene.hash))
    return _moved(made, atlas)


def opened(store: str | os.PathLike[str], objective: Objective) -> Atlas:
    """The atlas that a landscape of this objective is kept in. Scenes of other models in it are said by a warning, once."""
    atlas = open_atlas(store)
    rows = atlas.scenes()
    if rows and all(row.objective != objective.hash for row in rows) and objective.hash not in atlas.told:
        atlas.told.add(objective.hash)
        warnings.warn(
            f"{atlas.path} holds scenes of other objectives, which are kept beside this one and never mixed with it:\n"
            f"{_in_words([(row, _differences(row, objective)) for row in rows])}",
            stacklevel=4,
        )
    return atlas


def flush(landscape: Landscape) -> None:
    """Write to its atlas what has come, now; what cannot be written is said by a warning. Without an atlas it does nothing."""
    if landscape.atlas is not None:
        landscape.atlas.flush()


def save(landscape: Landscape, path: str | os.PathLike[str]) -> Path:
    """Write all that is known of a landscape, of all its planes and layers, into an atlas; returns its path.

    One that is there is added to. A landscape with a store writes a copy of it, or all that waits where that is the path.
    A new file is there whole or not at all. Raises ValueError for a file that is no atlas, which is left as it is, OSError where
    nothing can be written, and BlockingIOError while another process writes there.
    """
    where = Path(os.path.realpath(check_path(path)))
    own = landscape.atlas
    if own is not None and own.path == where:
        own.put_scene(row_of(landscape, landscape.caption()))
        own.settle()
    elif where.exists() and (where.is_dir() or where.stat().st_size):
        with borrowed(where) as target:
            _write(landscape, target)
            target.settle()
    else:
        _write_new(landscape, where)
    return where


def row_of(landscape: Landscape, caption: str = "") -> SceneRow:
    """The scene of a landscape, as an atlas keeps it."""
    return SceneRow(
        landscape.scene, landscape.objective.hash, landscape.slice.hash, recipe(landscape), caption, landscape.on_line,
        recipe_vectors(landscape),
    )  # fmt: skip


def _write_new(landscape: Landscape, where: Path) -> None:
    """Write beside the path, and put it there when it is whole."""
    where.parent.mkdir(parents=True, exist_ok=True)
    beside = where.with_name(f".{where.name}.{os.getpid()}.part")
    try:
        if landscape.atlas is not None:
            landscape.atlas.settle()
            landscape.atlas.file.backup(beside)
        else:
            atlas = Atlas(AtlasFile(beside, write=True))
            try:
                _write(landscape, atlas)
                atlas.settle()
            finally:
                atlas.discard()
        beside.replace(where)
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            beside.with_name(beside.name + ending).unlink(missing_ok=True)


def _write(landscape: Landscape, atlas: Atlas) -> None:
    choice = landscape.objective.kept.get(Choice)
    if choice is not None:
        atlas.put_evaluator(landscape.objective.hash, identity_of(landscape.objective, choice))
    for turn in _turns(landscape):
        one = landscape.turned(turn)
        layers = [(columns_of(one.objective), one._store)]
        layers += [(kind.columns(), one.kept[kind].store) for kind in KINDS if kind in one.kept]
        known = [(columns, *_all_of(store)) for columns, store in layers]
        if one is landscape or any(len(points) for _, points, _ in known):
            atlas.put_scene(row_of(one, landscape.caption() if one is landscape else ""))
        for columns, points, values in known:
            atlas.put(_subject(one, columns), points, values)


def _turns(landscape: Landscape) -> Iterator[Turn]:
    """Every plane of the family of which nodes are kept, this one last: it is the newest."""
    keys = [key[0] if isinstance(key, tuple) else key for key in landscape._family.turns]
    others = (turn for turn in keys if isinstance(turn, Turn) and turn != landscape._turn.settled)
    yield from dict.fromkeys(others)
    yield landscape._turn


def _all_of(store: NodeStore) -> tuple[list[Point], np.ndarray]:
    if isinstance(store, StoredNodes):
        store.everything()
    return store.snapshot()


def _subject(landscape: Landscape, columns: tuple[str, ...]) -> Subject:
    return Subject(
        landscape.objective.hash, landscape.slice.hash, columns, landscape.on_line, *landscape.levels
    )


def _moved(made: Landscape, atlas: Atlas) -> Landscape:
    """The same landscape, with its nodes in an atlas."""
    first = Landscape(made.objective, made._first, extent=made.home, title=made._title, store=atlas)
    first._directions = made._directions
    return first.turned(made._turn)


def _chosen(rows: Sequence[SceneRow], scene: str | None, atlas: Atlas) -> SceneRow:
    """The newest scene, or the newest of this hash or title. Raises ValueError where there is none."""
    if not rows:
        raise ValueError("\n".join([f"{atlas.path} holds no scene that can be read.", *atlas.notes]))
    if scene is None:
        return rows[-1]
    found = [row for row in rows if scene and (row.scene.hash.startswith(scene) or row.scene.title == scene)]
    if not found:
        known = "; ".join(f"{row.scene.hash} ({row.scene.title!r})" for row in rows)
        raise ValueError(f"{atlas.path} holds no scene {scene!r}. It holds {known}.")
    return found[-1]


def _differences(row: SceneRow, objective: Objective | Sequence[Objective]) -> list[str]:
    try:
        return differences(row.recipe, objective)
    except ValueError as error:  # a stranger may have written it
        return [f"its recipe cannot be used: {error}"]


def _in_words(rows: Sequence[tuple[SceneRow, list[str]]]) -> str:
    return "\n".join(
        f"- {row.scene.title!r} ({row.scene.hash}): {'; '.join(said) or 'its recipe is another one'}" for row, said in rows
    )  # fmt: skip


class _Kept:
    """A scene of an atlas as a source of held values."""

    def __init__(self, atlas: Atlas, row: SceneRow) -> None:
        self.atlas, self._row = atlas, row
        dtype = _DTYPES.get(row.scene.dtype)
        if dtype is None:
            raise ValueError(f"{atlas.path} says that its dtype is {row.scene.dtype!r}, which there is not.")
        self._rounding = float(torch.finfo(dtype).eps) / 2
        self._layers: dict[str, tuple[StoredNodes, int]] = {}
        self._subjects = [
            Subject(row.objective, row.plane, columns, row.line, *row.scene.levels)
            for columns in atlas.subjects(row.objective, row.plane)
        ]
        for subject in self._subjects:
            for column, name in enumerate(subject.columns):
                if name in row.scene.fields and name not in self._layers:
                    self._layers[name] = (atlas.nodes(subject), column)
        for (
            store,
            _,
        ) in self._layers.values():  # another landscape may have it already: what was written since
            store.hear()
        held = tuple(name for name in row.scene.fields if name in self._layers)
        self.scene: Scene = replace(row.scene, fields=held or row.scene.fields[:1])

    @property
    def evaluated(self) -> int:
        """How many nodes the file holds of this plane."""
        return sum(self.atlas.count(subject) for subject in self._subjects)

    @property
    def caption(self) -> str:
        """What the axes mean, as text."""
        return self._row.caption

    @property
    def recipe(self) -> dict[str, Any]:
        """What makes the scene again."""
        return dict(self._row.recipe)

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of the file."""
        return self.atlas.notes

    def known(self, address: TileAddress, field: str) -> Pass | None:
        """What is held of a tile: its largest pass, or None."""
        if field not in self._layers:
            return None
        store, column = self._layers[field]
        return read_pass(
            store, address, column, self._rounding, line=self._row.line,
            inexact_of=self._largest(store, f"{field}_error"), size_of=self._largest(store, f"{field}_size"),
        )  # fmt: skip

    def values(self, points: Sequence[Point], field: str) -> np.ndarray:
        """Exact values at points, (n,) float64. Raises NotHeld."""
        if field not in self._layers:
            raise NotHeld(points)
        store, column = self._layers[field]
        missing = store.wanted(points)
        if missing:
            raise NotHeld(missing)
        return store.get(points)[:, column]

    def turned(self, turn: Turn) -> tuple[Scene, _Kept] | None:
        """Another plane of the same family that is held too."""
        for row in reversed(self.atlas.scenes()):
            same = row.objective == self._row.objective and row.scene.home == self._row.scene.home
            if same and row.scene.at.settled == turn.settled and _first_of(row) == _first_of(self._row):
                other = _Kept(self.atlas, row)
                return other.scene, other
        return None

    @staticmethod
    def _largest(store: StoredNodes, name: str) -> Callable[[list[Point]], float]:
        columns = store.rows.subject.columns

        def largest(points: list[Point]) -> float:
            if name not in columns:
                return 0.0
            values = store.get(points)[:, columns.index(name)]
            return float(np.max(values[np.isfinite(values)], initial=0.0))

        return largest


def _first_of(row: SceneRow) -> Any:
    """The plane that all turns start from, by its hash."""
    plane = row.recipe.get("plane")
    return plane.get("hash") if isinstance(plane, dict) else None
