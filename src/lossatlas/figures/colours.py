"""Colours: the tables that the page draws with, the range that gets them and the colour of a share of it; as in colour.js."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from lossatlas.sampling.spline import spline_matrix
from lossatlas.scale import Scale

_MAPS = Path(__file__).parent.parent / "static" / "colormaps.json"

_ENTRIES = 256

_DIVERGING = "vik"


@functools.cache
def _kept() -> dict[str, str]:
    """The entries that are kept of each map, as text: parts of hexadecimal digits, each with the number of its last one."""
    maps: dict[str, str] = json.loads(_MAPS.read_text(encoding="utf-8"))
    return maps


def colormaps() -> tuple[str, ...]:
    """The names of the colour maps that there are."""
    return tuple(_kept())


@functools.cache
def lookup_table(name: str = "viridis") -> np.ndarray:
    """A colour map as (256, 3) bytes: splines through the few entries that are kept of each of its smooth parts.

    Raises ValueError for a name that there is not.
    """
    kept = _kept().get(name) if isinstance(name, str) else None
    if kept is None:
        known = ", ".join(map(repr, colormaps()))
        raise ValueError(f"There is no colour map {name!r}. Take one of {known}.")
    table, first = np.empty((_ENTRIES, 3), np.uint8), 0
    for part in kept.split(" "):
        digits, _, end = part.partition(":")
        last = int(end or _ENTRIES - 1)
        entries = np.frombuffer(bytes.fromhex(digits), dtype=np.uint8).reshape(-1, 3)
        smooth = spline_matrix(len(entries), last - first + 1) @ entries
        table[first : last + 1] = np.rint(np.clip(smooth, 0, 255)).astype(np.uint8)
        first = last
    table.flags.writeable = False
    return table


def colour_at(table: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The colours at shares of the range, clamped to 0 … 1 and linear between entries: (…, 3) float64, 0 to 255."""
    at = np.clip(np.asarray(share, dtype=float), 0.0, 1.0) * (_ENTRIES - 1)
    entry = np.minimum(np.nan_to_num(at).astype(int), _ENTRIES - 2)
    rest = (at - entry)[..., None]
    return np.asarray(table[entry] * (1 - rest) + table[entry + 1] * rest)


def domain_of(
    drawn_values: np.ndarray, scale: Scale, colormap: str = "viridis"
) -> tuple[float, float] | None:
    """The range of drawn values that gets the colours; equal numbers where all are equal, None where there is none.

    At the top the 99.5 % quantile: a loss shoots up at the rim of a map. At the bottom the minimum, for that is what one
    looks for; on a log scale at most a quarter of the range below the 0.5 % quantile. What lies outside takes the colour
    at the end. The middle of a diverging map is for 0, which has no logarithm.
    """
    finite = np.asarray(drawn_values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return None
    few, high = (float(value) for value in np.quantile(finite, (0.005, 0.995)))
    lowest, highest = float(finite.min()), float(finite.max())
    low = max(lowest, few - (high - few) / 4) if scale == "log" else lowest
    # Flat but for a few values: they are then all there is to see.
    low, high = (low, high) if low < high else (lowest, highest)
    if colormap != _DIVERGING or scale == "log":
        return low, high
    most = max(-low, high)
    return -most, most
