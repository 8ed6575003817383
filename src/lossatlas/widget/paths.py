"""Paths: curves in a plane, such as the projection of a training run, as they travel to the page."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Names, hex digits and plain functions of numbers: nothing that could refer to another document.
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]+|(rgb|hsl)a?\([\d\s.,%/]+\)")

_FORM = (
    'Pass a list of {"name": "SGD", "points": [[a, b], …]}, with "steps", "distance", "loss", "arrows" and "color" where they are '
    "known."
)


@dataclass(frozen=True, eq=False)
class DrawnPath:
    """A path in one plane. points: (T, 2), T ≥ 1; steps: (T,), ascending, None for 0, 1, 2 …; distance: (T,), from the
    plane, drawn as how thin and faint it is, None where it lies in it; loss: (T,), the true one there, which need not be
    finite: it is told beside the map's; arrows: (T, 2), the part of −∇L in the plane, as a move along a and b: where plain descent
    at a rate of 1 would go, which need not be finite either; color: of CSS, None for one that is told from the others;
    scene: the hash of what its plane shows, where alone it is drawn. Raises ValueError for anything that cannot be drawn.
    """

    name: str
    points: np.ndarray
    steps: np.ndarray | None = None
    distance: np.ndarray | None = None
    loss: np.ndarray | None = None
    color: str | None = None
    scene: str = ""
    arrows: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.scene, str):
            raise ValueError("its name is no text.")
        put = object.__setattr__
        put(self, "points", numbers("points", self.points))
        if self.points.ndim != 2 or self.points.shape[1] != 2 or not len(self.points):
            raise ValueError(f"points have the shape {self.points.shape}, not (T, 2) with T ≥ 1.")
        count = len(self.points)
        for name, shape in {
            "steps": (count,),
            "distance": (count,),
            "loss": (count,),
            "arrows": (count, 2),
        }.items():
            if getattr(self, name) is not None:
                put(self, name, numbers(name, getattr(self, name), finite=name not in ("loss", "arrows")))
                if getattr(self, name).shape != shape:
                    raise ValueError(
                        f"{name} has the shape {getattr(self, name).shape}, where the points ask for {shape}."
                    )
        if self.steps is not None and (np.diff(self.steps) < 0).any():
            raise ValueError("its steps do not ascend.")
        if self.distance is not None and (self.distance < 0).any():
            raise ValueError("a distance is below 0.")
        check_colour(self.color)

    def head(self) -> dict[str, Any]:
        """As it travels in the trait."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: jsonable(value) if isinstance(value, np.ndarray) else value
            for name, value in fields.items()
        }


def parse_paths(paths: Sequence[Mapping[str, Any]], scene: str) -> list[dict[str, Any]]:
    """Paths as the trait holds them; those without a scene are of this one. Raises ValueError naming the first that is none."""
    parsed = []
    for at, path in enumerate(paths):
        try:
            parsed.append(DrawnPath(**{**path, "scene": path.get("scene") or scene}).head())
        except (TypeError, ValueError) as error:
            raise ValueError(f"paths[{at}] is no path: {error} {_FORM}") from None
    return parsed


def check_colour(color: str | None) -> None:
    """Raise ValueError for what is no plain colour of CSS; None is one that the page chooses."""
    if color is not None and not (isinstance(color, str) and _COLOUR.fullmatch(color)):
        raise ValueError(f"color is {color!r}. Pass a colour of CSS such as '#d55e00', or None.")


def numbers(name: str, values: Any, *, finite: bool = True) -> np.ndarray:
    """Values as float64, None as NaN. Raises ValueError for what is no number and, where asked, for what is not finite."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} are no numbers.") from None
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name} holds a number that is not finite.")
    return array


def jsonable(values: np.ndarray) -> list[Any]:
    """As JSON can say them: what is not finite is None."""
    if np.isfinite(values).all():
        return list(values.tolist())
    if values.ndim > 1:
        return [jsonable(row) for row in values]
    return [value if math.isfinite(value) else None for value in values.tolist()]
