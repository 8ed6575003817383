"""A profile in axes of matplotlib: the curve, as it is printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lossatlas.figures.chart import marks
from lossatlas.figures.ladder import format_level
from lossatlas.figures.plot import _text, set_ticks, style_axes, theme_of
from lossatlas.figures.words import missing_in_words, scale_in_words
from lossatlas.scale import Scale, drawn, undrawn


def plot_curve(
    at: np.ndarray,
    values: np.ndarray,
    ax: Any,
    *,
    scale: Scale,
    field: str,
    title: str,
    axis: str,
    points: Iterable[tuple[str, float]] = (),
    theme: str = "light",
) -> Any:
    """Draw values (num,) at positions (num,) of a line into axes; gaps where they are not finite, hatched. Returns the axes."""
    look = theme_of(theme)
    heights = drawn(values, scale)
    ax.plot(at, heights, color=look.accent, lw=1.5, zorder=3)
    style_axes(ax, look)
    ax.set_xlim(float(at[0]), float(at[-1]) if at[-1] != at[0] else float(at[0]) + 1.0)
    low, high = ax.get_xlim()
    set_ticks(ax.xaxis, low, high, axis, 7, look)
    _heights(heights, ax, scale)
    ax.set_ylabel(" · ".join(part for part in (_text(field), scale_in_words(scale)) if part), color=look.text)
    ax.grid(True, axis="y", color=look.line, lw=0.6)
    ax.set_title(_text(title), loc="left", color=look.text, fontweight="bold", fontsize="large", pad=8)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for name, position in points:
        if at[0] <= position <= at[-1]:
            ax.axvline(position, color=look.quiet, lw=0.8, ls=":", zorder=2)
            ax.annotate(_text(name), (position, 1), xycoords=("data", "axes fraction"), xytext=(3, -2), textcoords="offset points", va="top", fontsize=7.5, color=look.quiet)  # fmt: skip
    _gaps(at, np.isnan(heights), ax, look)
    return ax


def _heights(heights: np.ndarray, ax: Any, scale: Scale) -> None:
    """The axis of values: round numbers of the field's own unit where they are drawn."""
    finite = heights[np.isfinite(heights)]
    if not finite.size:
        ax.set_yticks([])
        return
    low, high = float(finite.min()), float(finite.max())
    room = 0.05 * (high - low) or 0.5
    ax.set_ylim(low - room, high + room)
    numbers = marks(undrawn(np.array([low - room, high + room]), scale), scale)
    if not numbers:
        numbers = [(low, format_level(float(undrawn(np.asarray(low), scale))))]
    ax.set_yticks([at for at, _ in numbers], labels=[text for _, text in numbers])


def _gaps(at: np.ndarray, missing: np.ndarray, ax: Any, look: Any) -> None:
    if not missing.any():
        return
    half = (at[-1] - at[0]) / max(len(at) - 1, 1) / 2
    starts = np.flatnonzero(missing & ~np.append(False, missing[:-1]))
    stops = np.flatnonzero(missing & ~np.append(missing[1:], False))
    style = {"facecolor": look.paper, "edgecolor": look.quiet, "hatch": "/////", "linewidth": 0.0}
    for index, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        label = {"label": missing_in_words(int(missing.sum()), len(missing))} if index == 0 else {}
        ax.axvspan(at[start] - half, at[stop] + half, zorder=1, **style, **label)
    ax.legend(fontsize="small", edgecolor=look.line, facecolor=look.paper, labelcolor=look.text)
