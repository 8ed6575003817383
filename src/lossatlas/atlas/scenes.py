"""Scenes as rows of an atlas: what is needed to draw one without its objective, and what makes it again with it."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from lossatlas.atlas.codec import Damaged, checksum
from lossatlas.geometry import Turn
from lossatlas.scene import Scene

# A vector is kept in parts of so many bytes.
_PART = 1 << 24

# Types of vectors, by name, and what holds their bytes.
_DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SceneRow:
    """A scene that is kept: of which objective and plane, how these are made again, and what a page draws."""

    scene: Scene
    objective: str  # the objective's hash
    plane: str  # the plane's
    recipe: Mapping[str, Any]
    caption: str = ""
    line: bool = False
    vectors: Mapping[str, Tensor] = field(default_factory=dict)  # what only bytes determine
    created: str = ""


def head_of(row: SceneRow) -> str:
    """Everything of a scene that is no vector, as JSON."""
    return json.dumps({"scene": asdict(row.scene), "caption": row.caption, "line": row.line})


def scene_of_head(text: str) -> tuple[Scene, str, bool]:
    """The scene, its caption and whether it is one of a line. Raises Damaged for anything else: it may be a stranger's."""
    try:
        head = json.loads(text)
        values = dict(head["scene"])
        scene = Scene(
            hash=_text(values["hash"]),
            title=_text(values["title"]),
            axes=tuple((_text(name), _number(length), _text(unit)) for name, length, unit in values["axes"]),
            fields=_texts(values["fields"]),
            home=_home(values["home"]),
            levels=_levels(values["levels"]),
            dtype=_text(values["dtype"]),
            samples=_whole(values["samples"]),
            turns=_three(values["turns"]),
            directions=_texts(values["directions"]),
            at=Turn(**{item.name: values["at"][item.name] for item in fields(Turn)}),
            notes=_texts(values["notes"]),
            mode=_text(values["mode"]),
            points=tuple((_text(name), _number(a), _number(b)) for name, a, b in values["points"]),
            about=_texts(values["about"]),
        )
        return scene, _text(head["caption"]), bool(head["line"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise Damaged(f"its scene cannot be read: {error}") from error


def scene_order(row: SceneRow, *, anew: bool = True) -> Callable[[sqlite3.Connection], None]:
    """What writes a scene: a new row, or, anew, the newest one in place of what had its hash."""

    def order(connection: sqlite3.Connection) -> None:
        known = connection.execute("SELECT head FROM scenes WHERE hash = ?", (row.scene.hash,)).fetchone()
        if known is not None and not anew:
            return
        head = json.loads(head_of(row))
        if known is not None and not row.caption:  # which took a gradient
            head["caption"] = _caption_of(known[0])
        names = {}
        for name, vector in row.vectors.items():
            dtype = str(vector.dtype).removeprefix("torch.")
            data = vector.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            hashed = _hash_of(dtype, data)
            names[name] = {"hash": hashed, "dtype": dtype, "count": vector.numel()}
            known = connection.execute("SELECT count(*) FROM vectors WHERE hash = ?", (hashed,)).fetchone()[0]
            if not known:
                connection.executemany(
                    "INSERT INTO vectors (hash, part, data) VALUES (?, ?, ?)",
                    (
                        (hashed, part, data[start : start + _PART])
                        for part, start in enumerate(range(0, len(data), _PART))
                    ),
                )
        columns = (
            row.scene.hash, row.objective, row.plane, json.dumps(row.recipe), json.dumps(head), json.dumps(names),
            row.created or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )  # fmt: skip
        connection.execute(
            "INSERT OR REPLACE INTO scenes (hash, objective, plane, recipe, head, vectors, created, checksum) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*columns, checksum(*columns)),
        )

    return order


def vector_of(entry: Mapping[str, Any], data: bytes) -> Tensor:
    """A vector from its bytes. Raises Damaged when they are not those that were written, or a number of them that is none."""
    dtype, count = _DTYPES[entry["dtype"]], entry["count"]
    if _hash_of(entry["dtype"], data) != entry["hash"] or count * dtype.itemsize != len(data):
        raise Damaged("its bytes are other ones")
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _hash_of(dtype: str, data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16, person=dtype.encode()).hexdigest()


def _caption_of(head: str) -> str:
    try:
        return scene_of_head(head)[1]
    except Damaged:
        return ""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no finite number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is no count")
    return value


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(_text(value) for value in values)


def _three(values: Any) -> tuple[str, str, str]:
    first, second, third = _texts(values)
    return first, second, third


def _home(values: Any) -> tuple[float, float, float, float]:
    a0, a1, b0, b1 = (_number(value) for value in values)
    if not (a0 < a1 and b0 <= b1):
        raise ValueError(f"the home view {values} has no width")
    return a0, a1, b0, b1


def _levels(values: Any) -> tuple[int, int]:
    coarsest, finest = values
    for level in (coarsest, finest):
        if isinstance(level, bool) or not isinstance(level, int) or abs(level) > 60:
            raise ValueError(f"{level!r} is no level")
    return coarsest, finest
