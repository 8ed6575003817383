"""Scenes as rows of an atlas: what is needed to draw one without its objective, and what makes it again with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import Tensor

from lossatlas.atlas.codec import Damaged
from lossatlas.geometry import Turn
from lossatlas.scene import Scene


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
