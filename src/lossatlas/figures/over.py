"""A path over a map, and a spectrum, in axes of matplotlib: as they are printed, or shown beside a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossatlas.figures.learning import look_of
from lossatlas.figures.plot import _text, style_axes, theme_of
from lossatlas.figures.spectrum import lowest_shown
from lossatlas.figures.words import brief, counted

# How strong the part of a path is that is farthest from the plane.
_FAINTEST = 0.2


def plot_path(
    points: np.ndarray, distance: np.ndarray, ax: Any, *, name: str = "path", theme: str = "light"
) -> None:
    """Draw a path (T, 2) into axes of a map: fainter where it is farther from the plane, a ring where it begins, a dot where it ends.

    distance: (T,), of each point from the plane, whose largest the legend says, with how many points lie outside the axes.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    look = look_of(theme)
    colour = look.runs[0]
    (a0, a1), (b0, b1) = ax.get_xlim(), ax.get_ylim()
    farthest = float(distance.max(initial=0.0))
    strength = 1 - (1 - _FAINTEST) * distance / farthest if farthest > 0 else np.ones(len(distance))
    outside = int(((points < (a0, b0)) | (points > (a1, b1))).any(axis=1).sum())
    said = f"{_text(name)} · up to {brief(farthest)} from the plane"
    said += f" · {counted(outside)} of {counted(len(points))} points outside" if outside else ""
    parts = np.stack([points[:-1], points[1:]], axis=1)
    strengths = np.minimum(strength[:-1], strength[1:])
    # A pale and a dark casing below it, as in the page, so that it is seen on every colour.
    for width, shade, both in (
        (4.6, "#ffffff", np.full(len(parts), 0.35)), (3.4, "#1a2130", np.ones(len(parts))), (1.8, colour, strengths),
    ):  # fmt: skip
        ax.add_collection(
            LineCollection(list(parts), colors=[to_rgba(shade, alpha) for alpha in both], linewidths=width, zorder=4),
            autolim=False,
        )  # fmt: skip
    ax.plot(*points[0], "o", ms=7, mfc="none", mec=colour, mew=1.8, zorder=5)
    ax.plot(*points[-1], "o", ms=6, mfc=colour, mec="white", mew=0.9, zorder=5)
    ax.plot([], [], color=colour, lw=1.8, label=said)
    ax.set(xlim=(a0, a1), ylim=(b0, b1))
    paper = theme_of(theme)
    ax.legend(loc="upper left", fontsize=7, edgecolor=paper.line, facecolor=paper.paper, labelcolor=paper.text, framealpha=0.85)  # fmt: skip


def plot_spectrum(
    grid: np.ndarray,
    values: np.ndarray,
    band: np.ndarray,
    eigenvalues: np.ndarray,
    residuals: np.ndarray,
    converged: np.ndarray,
    ax: Any,
    *,
    size: int,
    width: float,
    title: str,
    theme: str = "light",
) -> Any:
    """Draw a density on a log axis with its band, and eigenvalues with their residuals, as `spectrum_figure`. Returns the axes."""
    look = theme_of(theme)
    red = look_of(theme).runs[0]
    lowest = lowest_shown(size, width)
    highest = float(np.max(values, initial=lowest))
    lower, upper = np.clip(band, lowest, 10.0 * highest)
    ax.fill_between(grid, lower, upper, color=look.accent, alpha=0.18, lw=0, label="two standard errors")
    ax.plot(grid, np.clip(values, lowest, None), color=look.accent, lw=1.5, label="density")
    for which, fill, name in ((converged, red, "eigenvalue"), (~converged, "none", "not converged")):
        if which.any():
            ax.errorbar(
                eigenvalues[which], np.full(int(which.sum()), 1.6 * lowest), xerr=residuals[which], fmt="o", ms=5, mfc=fill,
                mec=red, ecolor=look.quiet, elinewidth=0.8, label=name,
            )  # fmt: skip
    ax.axvline(0.0, color=look.quiet, lw=0.8, ls=":")
    ax.set_yscale("log")
    ax.set_ylim(lowest, 3.0 * highest)
    style_axes(ax, look)
    ax.tick_params(which="minor", length=0)
    ax.set_xlabel("eigenvalue λ", color=look.text)
    ax.set_ylabel("density, log scale", color=look.text)
    ax.set_title(_text(title), loc="left", color=look.text, fontsize="medium", pad=8)
    ax.legend(fontsize=7, edgecolor=look.line, facecolor=look.paper, labelcolor=look.text)
    return ax
