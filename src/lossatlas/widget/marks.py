"""Marks: places of a plane with a few words, the user's own notes and the critical points that were found."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossatlas.features import CriticalPoint
from lossatlas.geometry import Slice

#: What a mark may be: the first and the last are drawn with layer "marks", the others, critical points, with "critical".
KINDS = ("note", "minimum", "maximum", "saddle", "degenerate", "point")

# Nearer to the plane than this share of the length of u, a point lies in it for all that a picture shows.
_IN_PLANE = 1e-4


@dataclass(frozen=True)
class Mark:
    """A place of one plane. a, b: its coordinates there; kind: one of KINDS; scene: the hash of what that plane shows.

    On another plane the same coordinates are another point: it is drawn where its scene is, and nowhere else. Raises
    TypeError or ValueError, in words, for anything that cannot be drawn.
    """

    a: float
    b: float
    text: str = ""
    kind: str = "note"
    scene: str = ""

    def __post_init__(self) -> None:
        for name in ("a", "b"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} is {value!r}. Pass a number, the coordinate in the plane.")
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value}. Pass a finite number, the coordinate in the plane.")
        for name in ("text", "scene"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} is a {type(getattr(self, name)).__name__}. Pass text.")
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}. Take one of: {', '.join(KINDS)}.")

    @classmethod
    def of(cls, point: CriticalPoint, where: Slice, scene: str) -> Mark:
        """Where a critical point falls on a plane or line, with what it is, its loss and how far off it lies."""
        *at, distance = where.project(point.theta)
        index = (
            f", index {'' if point.index_is_exact else '≥ '}{point.index}" if point.kind == "saddle" else ""
        )
        what = f"{point.kind}{index}" if point.converged else point.label
        off = (
            f", {distance:.2g} off the plane"
            if distance > _IN_PLANE * float(where.directions[0].norm())
            else ""
        )
        known = "degenerate" if point.kind == "undecided" else point.kind
        return cls(
            at[0],
            at[1] if len(at) > 1 else 0.0,
            f"{what}, loss {point.loss:.3g}{off}",
            known if point.converged else "point",
            scene,
        )

    def head(self) -> dict[str, Any]:
        """As it travels in the trait."""
        return dataclasses.asdict(self)


def parse_marks(marks: Sequence[Mapping[str, Any]], scene: str) -> list[dict[str, Any]]:
    """Marks as the trait holds them; those without a scene are of this one. Raises ValueError naming the first that is none."""
    parsed = []
    for at, mark in enumerate(marks):
        try:
            parsed.append(Mark(**{**mark, "scene": mark.get("scene") or scene}).head())
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"marks[{at}] is {dict(mark)!r}, which is no mark: {error} Pass a list of "
                '{"a": 0.5, "b": 0.0, "text": "here", "kind": "note"}.'
            ) from None
    return parsed
