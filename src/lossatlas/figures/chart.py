"""Chart: a map with all that decides how it is drawn. What the surface, the plot and the files have in common."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas.figures.colours import domain_of, lookup_table
from lossatlas.figures.ladder import MAX_LEVELS, Ladder, Level, format_level, ladder
from lossatlas.figures.words import (
    Axis,
    axis_title,
    error_in_words,
    missing_in_words,
    scale_in_words,
    significant,
)
from lossatlas.sampling import Map
from lossatlas.scale import Scale, drawn, scale_of, undrawn

# Along an axis of values there are at most so many numbers.
_MOST_MARKS = 9


@dataclass(frozen=True, eq=False)
class Chart:
    """A map ready to be drawn.

    domain: the drawn values that get the first and the last colour; axes: of a and of b; points: what is marked, by name, a
    and b; recipe: the hash by which the scene can be made again.
    """

    map: Map
    scale: Scale
    domain: tuple[float, float]
    ladder: Ladder
    colormap: str
    title: str
    axes: tuple[Axis, ...]
    points: tuple[tuple[str, float, float], ...]
    recipe: str

    @functools.cached_property
    def drawn(self) -> np.ndarray:
        """(height, width) drawn values; NaN where a value is not finite on this scale."""
        return drawn(self.map.values, self.scale)

    @functools.cached_property
    def table(self) -> np.ndarray:
        """(256, 3) bytes: the colours."""
        return lookup_table(self.colormap)

    @property
    def a(self) -> np.ndarray:
        """The columns' coordinates."""
        return np.linspace(*self.map.extent[:2], self.map.values.shape[1])

    @property
    def b(self) -> np.ndarray:
        """The rows' coordinates."""
        return np.linspace(*self.map.extent[2:], self.map.values.shape[0])

    @property
    def titles(self) -> tuple[str, str]:
        """What the axes are."""
        a, b = (axis_title(letter, axis) for letter, axis in zip("ab", self.axes, strict=True))
        return a, b

    @property
    def levels(self) -> list[tuple[float, Level]]:
        """The isolines with the drawn value of each."""
        return [(_drawn(level.value, self.scale), level) for level in self.ladder.levels]

    @property
    def field(self) -> str:
        """The field, and its scale where it is not linear."""
        return " · ".join(part for part in (self.map.field, scale_in_words(self.scale)) if part)

    @property
    def missing(self) -> int:
        """How many values are not drawn."""
        return int(np.isnan(self.drawn).sum())

    @property
    def below(self) -> float | None:
        """The lowest value, where it lies below those that get colours of their own."""
        low = float(np.nanmin(self.drawn)) if self.missing < self.drawn.size else math.nan
        return _undrawn(low, self.scale) if low < self.domain[0] else None

    @property
    def beyond(self) -> float | None:
        """The highest value, where it lies above them."""
        high = float(np.nanmax(self.drawn)) if self.missing < self.drawn.size else math.nan
        return _undrawn(high, self.scale) if high > self.domain[1] else None

    @property
    def ends(self) -> tuple[str, str]:
        """What lies below and above the colours, in words; "" for nothing."""
        ends = [_undrawn(end, self.scale) for end in self.domain]
        return _end("floor {}, lowest {}", ends[0], self.below), _end(
            "cap {}, highest {}", ends[1], self.beyond
        )

    @property
    def note(self) -> str:
        """What the picture rests on, in one line."""
        said = [error_in_words(self.map), missing_in_words(self.missing, self.drawn.size), *self.ends]
        return " · ".join(["A slice", *(part for part in said if part), f"recipe\u00a0{self.recipe}"])


def _drawn(value: float, scale: Scale) -> float:
    return float(drawn(np.asarray(value), scale))


def _undrawn(value: float, scale: Scale) -> float:
    return float(undrawn(np.asarray(value), scale))


def _end(words: str, end: float, beyond: float | None) -> str:
    """An end of the colours and what lies beyond it, with the digits that tell them apart."""
    if beyond is None:
        return ""
    pairs = [(significant(end, digits), significant(beyond, digits)) for digits in range(3, 13)]
    return words.format(*next((pair for pair in pairs if pair[0] != pair[1]), pairs[0]))


def chart_of(
    found: Map,
    *,
    scale: Any,
    colormap: str,
    title: str,
    axes: tuple[Axis, ...],
    points: Iterable[tuple[str, float, float]] = (),
    recipe: str,
    domain: Any = None,
    levels: Any = "auto",
) -> Chart:
    """A map as a chart; domain: values (low, high) that get the first and the last colour, by default those of the page.

    levels: "auto", or the values of the isolines. Raises ValueError for a scale, colour map, domain or levels that are none.
    """
    lookup_table(colormap)
    chosen = scale_of(scale, found.values)
    values = drawn(found.values, chosen)
    colours = domain_of(values, chosen, colormap) if domain is None else _domain(domain, chosen)
    lines = _ladder(found.values, chosen) if _is_auto(levels) else _own(levels, chosen)
    a0, a1, b0, b1 = found.extent
    seen = tuple((name, a, b) for name, a, b in points if a0 <= a <= a1 and b0 <= b <= b1)
    return Chart(found, chosen, colours or (0.0, 1.0), lines, colormap, title, axes, seen, recipe)


def check_looks(scale: Any, colormap: str, domain: Any, levels: Any) -> None:
    """Raise, before anything is evaluated, what `chart_of` would raise afterwards."""
    lookup_table(colormap)
    chosen = scale_of(scale, np.ones(1))
    if domain is not None:
        _domain(domain, chosen)
    if not _is_auto(levels):
        _own(levels, chosen)


def _is_auto(levels: Any) -> bool:
    return isinstance(levels, str) and levels == "auto"


def _ladder(values: np.ndarray, scale: Scale) -> Ladder:
    finite = values[np.isfinite(drawn(values, scale))]
    return ladder(float(finite.min()), float(finite.max()), scale) if finite.size else Ladder()


def _own(levels: Any, scale: Scale) -> Ladder:
    """The user's levels: each is drawn strong and labelled."""
    try:
        values = sorted({float(level) for level in (() if levels is None else levels)})
    except (TypeError, ValueError):
        values = [math.nan]
    if isinstance(levels, str) or not np.isfinite(drawn(np.array(values), scale)).all():
        raise ValueError(
            f'levels is {levels!r}. Pass "auto", or values that the {scale} scale can draw, [] for none.'
        )
    return Ladder(tuple(Level(value, True, 0.0) for value in values[:MAX_LEVELS]), "own", 0.0)


def _domain(domain: Any, scale: Scale) -> tuple[float, float] | None:
    """Values (low, high) as drawn ones; None for "as in the page"."""
    try:
        low, high = (float(value) for value in domain)
    except (TypeError, ValueError):
        low = high = math.nan
    ends = drawn(np.array([low, high]), scale)
    if not (np.isfinite(ends).all() and low < high):
        raise ValueError(
            f"domain is {domain!r}. Pass the values (low, high) of the first and the last colour, low < high, which the "
            f"{scale} scale can draw."
        )
    return float(ends[0]), float(ends[1])


def marks(values: np.ndarray, scale: Scale, most: int = _MOST_MARKS) -> list[tuple[float, str]]:
    """Where the numbers of an axis of values stand, as drawn values, and what they are; so many at most."""
    finite = values[np.isfinite(drawn(values, scale))]
    if not finite.size:
        return []
    found = ladder(float(finite.min()), float(finite.max()), scale)
    if not found.levels:  # flat
        return [(_drawn(finite[0], scale), format_level(float(finite[0])))]
    named = found.named[:: math.ceil(len(found.named) / most)]
    return [(_drawn(level.value, scale), level.label) for level in named]
