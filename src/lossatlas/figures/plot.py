"""A chart in axes of matplotlib, as it is printed: the picture as pixels, isolines and text as what they are.

matplotlib is an extra: it is imported where it is used, and `matplotlib_or_say` says what to do where it is missing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas.figures.chart import Chart
from lossatlas.figures.colours import colour_at
from lossatlas.figures.labels import places
from lossatlas.figures.ladder import Level, labelled, tick_step, ticks
from lossatlas.figures.words import missing_in_words

# Widths and strengths of the page's lines, in points: its pixels are 1/96 inch.
_PIXEL = 72 / 96
_MAJOR = {"linewidths": 1.15 * _PIXEL, "alpha": 0.95}
_MINOR = {"linewidths": 0.575 * _PIXEL, "alpha": 0.55}

# How many pixels of 1/96 inch it takes the whole domain to rise on a slope of 45 degrees, and how strong light is, as in the page.
_RISE, _DEPTH = 100.0, 0.24

# The size of the numbers on isolines, and points between two labels of the bar at least.
_LABEL, _BETWEEN = 7.5, 11.0

# The rim of a figure, in inches.
_PAD = 0.06

#: The highest that the axes of a figure of ours are, in inches.
HIGHEST = 12.0


@dataclass(frozen=True)
class Theme:
    """The colours of everything but the map."""

    paper: str
    text: str
    quiet: str
    line: str
    accent: str


THEMES = {
    "light": Theme("#ffffff", "#1a2130", "#667085", "#dfe3e9", "#1c7ed6"),
    "dark": Theme("#12151a", "#e9ecf1", "#98a1b1", "#2a2f39", "#4dabf7"),
}


def matplotlib_or_say() -> Any:
    """matplotlib. Raises ImportError, saying what to install, where it is missing."""
    try:
        import matplotlib
    except ImportError:
        raise ImportError(
            "Plots and PNG, SVG and PDF files are drawn by matplotlib, which is not installed. Run: pip install 'lossatlas[plot]'"
        ) from None
    return matplotlib


def theme_of(name: str) -> Theme:
    """The theme of that name. Raises ValueError for one that there is not."""
    if name not in THEMES:
        raise ValueError(f'theme is {name!r}. Pass "light" or "dark".')
    return THEMES[name]


def plot_chart(chart: Chart, ax: Any, *, relief: float = 0.0, theme: str = "light", note: bool = True) -> Any:
    """Draw a chart into axes: picture, isolines with labels, colour bar, axis titles, and what it rests on. Returns the axes.

    relief: 0 for none, which prints best, to 1; note: the line below, with error, cap and recipe.
    """
    look = theme_of(theme)
    _axes(chart, ax, look)
    norm, cmap = _colours(chart)
    _picture(chart, ax, norm, cmap, relief)
    _hatch(chart, ax, look)
    _isolines(chart, ax)
    _points(chart, ax)
    _bar(chart, ax, norm, cmap, look)
    _titles(chart.title, chart.note if note else "", ax, look)
    return ax


def _axes(chart: Chart, ax: Any, look: Theme) -> None:
    a0, a1, b0, b1 = chart.map.extent
    ax.set(xlim=(a0, a1), ylim=(b0, b1), aspect="equal")
    style_axes(ax, look)
    for axis, (low, high), title in zip(
        (ax.xaxis, ax.yaxis), ((a0, a1), (b0, b1)), chart.titles, strict=True
    ):
        set_ticks(axis, low, high, title, 7, look)
    for spine in ax.spines.values():
        spine.set_visible(False)


def style_axes(ax: Any, look: Theme) -> None:
    """The quiet look of ticks and paper."""
    ax.set_facecolor(look.paper)
    ax.tick_params(colors=look.quiet, labelcolor=look.quiet, width=0.6, length=3)
    for spine in ax.spines.values():
        spine.set_color(look.line)


def set_ticks(axis: Any, low: float, high: float, title: str, count: int, look: Theme) -> None:
    """Round numbers along an axis, with what they count from where they lie deep in a zoom."""
    places = ticks(low, high, count)
    texts, shift = labelled(places, tick_step(low, high, count))
    axis.set_ticks(places, labels=texts)
    letter, _, rest = title.partition(" · ")
    counts = f"{letter} − {shift}".replace("− −", "+ ") if shift else letter
    axis.set_label_text(f"{counts} · {rest}" if rest else counts, color=look.text)


def _colours(chart: Chart) -> tuple[Any, Any]:
    """From drawn values to colours; what lies outside the domain takes the colour at the end."""
    from matplotlib.colors import ListedColormap, Normalize

    low, high = (
        chart.domain if chart.domain[0] < chart.domain[1] else (chart.domain[0] - 0.5, chart.domain[0] + 0.5)
    )
    return Normalize(low, high), ListedColormap(chart.table / 255.0, name=f"lossatlas {chart.colormap}")  # fmt: skip


def _picture(chart: Chart, ax: Any, norm: Any, cmap: Any, relief: float) -> None:
    """The values as pixels, each around its own point: the extent reaches half a pixel beyond the outermost."""
    a0, a1, b0, b1 = chart.map.extent
    rows, columns = chart.drawn.shape
    across, up = (a1 - a0) / max(columns - 1, 1) / 2, (b1 - b0) / max(rows - 1, 1) / 2
    where = {"extent": (a0 - across, a1 + across, b0 - up, b1 + up), "origin": "lower", "zorder": 0}
    smooth = "nearest" if chart.missing else "bilinear"
    if relief:
        pixels = _shaded(chart, norm, relief, _pixels_per_cell(chart, ax))
        ax.imshow(pixels, interpolation=smooth, aspect="equal", **where)
    else:
        ax.imshow(np.ma.masked_invalid(chart.drawn), norm=norm, cmap=cmap, interpolation=smooth, interpolation_stage="data", aspect="equal", **where)  # fmt: skip


def _pixels_per_cell(chart: Chart, ax: Any) -> float:
    """How many pixels of 1/96 inch a column is wide in these axes."""
    width = ax.get_window_extent().width / ax.figure.dpi * 96
    return float(width / max(chart.drawn.shape[1] - 1, 1))


def _shaded(chart: Chart, norm: Any, relief: float, pixels: float) -> np.ndarray:
    """(height, width, 4): the colours, brighter where the ground faces the light at the upper left; clear where not finite."""
    share = (chart.drawn - norm.vmin) / (norm.vmax - norm.vmin)
    rise = np.stack(np.gradient(share)) * _RISE / pixels if min(share.shape) > 1 else np.zeros((2, *share.shape))  # fmt: skip
    up, across = rise
    light = (across - up) * np.sqrt(0.5) / np.sqrt(1 + across**2 + up**2)
    colours = colour_at(chart.table.astype(float), share) / 255 * (1 + relief * _DEPTH * np.nan_to_num(light))[..., None]  # fmt: skip
    return np.dstack([np.clip(colours, 0, 1), np.isfinite(chart.drawn)])


def _hatch(chart: Chart, ax: Any, look: Theme) -> None:
    """Stripes over what is not finite, and a legend entry that says so."""
    if not chart.missing:
        return
    from matplotlib.patches import Patch, PathPatch

    style: dict[str, Any] = {
        "facecolor": look.paper,
        "edgecolor": look.quiet,
        "hatch": "/////",
        "linewidth": 0.0,
    }
    outline = ax.contourf(chart.a, chart.b, np.isnan(chart.drawn).astype(float), levels=[0.5, 1.5]) if min(chart.drawn.shape) > 1 else None  # fmt: skip
    if outline is not None:
        for path in outline.get_paths():
            ax.add_patch(PathPatch(path, zorder=1, **style))
        outline.remove()
    said = missing_in_words(chart.missing, chart.drawn.size)
    legend = ax.legend(
        handles=[Patch(label=said, **style)], loc="lower right", fontsize="small", framealpha=0.9, edgecolor=look.line,
        facecolor=look.paper, labelcolor=look.text,
    )  # fmt: skip
    legend.set_zorder(6)


def _isolines(chart: Chart, ax: Any) -> None:
    """Minor lines, then major ones; those that are named carry their value along the line."""
    if min(chart.drawn.shape) < 2:
        return
    named = set(chart.ladder.named)
    for rank, style in ((False, _MINOR), (True, _MAJOR)):
        lines = [(value, level) for value, level in chart.levels if level.major == rank]
        if not lines:
            continue
        found = ax.contour(
            chart.a, chart.b, np.ma.masked_invalid(chart.drawn), levels=[value for value, _ in lines], colors="white",
            linestyles="solid", zorder=3, corner_mask=False, **style,
        )  # fmt: skip
        found.set_gid(f"isolines-{'major' if rank else 'minor'}")
        _label(chart, ax, found, [one for one in lines if one[1] in named])


def _label(chart: Chart, ax: Any, found: Any, lines: Sequence[tuple[float, Level]]) -> None:
    """White numbers with a soft halo in the darkened colour below them.

    The halo is a text of its own: one with a halo would be written as outlines, and a file that is searched or edited needs
    text.
    """
    from matplotlib.patheffects import Stroke

    words = {value: level.label for value, level in lines}
    if not words:
        return
    where = _places(ax, found, words)
    texts = ax.clabel(found, levels=list(words), fmt=words, fontsize=_LABEL, colors="white", inline=True, inline_spacing=3, manual=where)  # fmt: skip
    low, high = chart.domain
    for text in texts or ():
        text.set(alpha=1.0, zorder=5)
        value = next(one for one, said in words.items() if said == text.get_text())
        under = colour_at(chart.table.astype(float), np.array((value - low) / ((high - low) or 1.0))) / 255
        halo = ax.text(
            *text.get_position(), text.get_text(), rotation=text.get_rotation(), rotation_mode=text.get_rotation_mode(),
            fontsize=text.get_fontsize(), ha="center", va="center", color="none", zorder=4, clip_on=True,
        )  # fmt: skip
        halo.set_path_effects([Stroke(linewidth=2.2, foreground=tuple(0.62 * under), alpha=0.75)])


def _places(ax: Any, found: Any, words: dict[float, str]) -> list[tuple[float, float]]:
    """Where the numbers stand, in coordinates of the plane; chosen in points of the axes as they are now."""
    frame, to_points = ax.get_window_extent(), 72 / ax.figure.dpi
    lines = [
        ((ax.transData.transform(line) - (frame.x0, frame.y0)) * to_points, (0.62 * len(words[value]) + 0.6) * _LABEL)
        for value, path in zip(found.levels, found.get_paths(), strict=True) if value in words
        for line in path.to_polygons(closed_only=False)
    ]  # fmt: skip
    chosen = places(lines, frame.width * to_points, frame.height * to_points)
    pixels = np.array(chosen).reshape(-1, 2) / to_points + (frame.x0, frame.y0)
    return [(float(a), float(b)) for a, b in ax.transData.inverted().transform(pixels)]


def _points(chart: Chart, ax: Any) -> None:
    """What is marked, as small rings with their names."""
    for name, a, b in chart.points:
        ax.plot([a], [b], "o", ms=4.5, mfc="white", mec="#1a2130", mew=0.9, zorder=5)
        ax.annotate(
            _text(name), (a, b), xytext=(5, 5), textcoords="offset points", color="white", fontsize=7.5, zorder=5,
            bbox={"boxstyle": "round,pad=0.25", "fc": "#12151a", "ec": "none", "alpha": 0.72}, annotation_clip=True,
        )  # fmt: skip


def _bar(chart: Chart, ax: Any, norm: Any, cmap: Any, look: Theme) -> None:
    """The colours with the same isolines; arrows where values lie beyond them, and what the arrows leave out."""
    from matplotlib.cm import ScalarMappable

    low_end, high_end = chart.ends
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    beside = ax.inset_axes((1.025, 0.0, 0.028, 1.0))
    bar = ax.figure.colorbar(
        ScalarMappable(norm, cmap), cax=beside, extend=extend[bool(low_end), bool(high_end)], extendfrac=0.025
    )
    bar.outline.set_visible(False)
    inside = [(value, level) for value, level in chart.levels if norm.vmin <= value <= norm.vmax]
    for value, level in inside:
        beside.axhline(value, color="white", lw=(1.15 if level.major else 0.575) * _PIXEL, alpha=0.9 if level.major else 0.45)  # fmt: skip
    named = set(chart.ladder.named)
    kept = _apart([(value, level) for value, level in inside if level in named], ax, norm)
    bar.set_ticks([value for value, _ in kept], labels=[level.label for _, level in kept])
    bar.ax.minorticks_off()
    beside.tick_params(length=0, labelcolor=look.quiet, pad=3)
    beside.set_ylabel(chart.field, color=look.text, labelpad=6)
    for at, said, va in ((1.03 + 0.0, high_end, "bottom"), (-0.03, low_end, "top")):
        beside.text(1.0, at, said.replace(", ", "\n"), transform=beside.transAxes, fontsize=6.5, color=look.quiet, va=va, ha="center", linespacing=1.15)  # fmt: skip


def _apart(lines: Sequence[tuple[float, Level]], ax: Any, norm: Any) -> list[tuple[float, Level]]:
    """Those whose labels leave each other room, from the lowest on."""
    height = ax.get_window_extent().height / ax.figure.dpi * 72
    kept: list[tuple[float, Level]] = []
    for value, level in lines:
        if not kept or (value - kept[-1][0]) / (norm.vmax - norm.vmin) * height >= _BETWEEN:
            kept.append((value, level))
    return kept


def fitted(ax: Any, width: float, aspect: float, most: float) -> None:
    """Give the figure of these axes the size at which all that belongs to them has room and nothing is left over.

    width: of the figure, in inches; aspect: the height of the axes by their width; most: the highest the axes may be.
    """
    figure = ax.figure
    for _ in range(2):  # once more, since labels move with the axes
        figure.draw_without_rendering()
        inside, whole = ax.get_window_extent(), ax.get_tightbbox()
        left, bottom = (inside.x0 - whole.x0) / figure.dpi + _PAD, (inside.y0 - whole.y0) / figure.dpi + _PAD
        right, top = (whole.x1 - inside.x1) / figure.dpi + _PAD, (whole.y1 - inside.y1) / figure.dpi + _PAD
        wide = max(min(width - left - right, most / aspect), 0.5)
        size = (left + wide + right, bottom + wide * aspect + top)
        figure.set_size_inches(*size)
        ax.set_position((left / size[0], bottom / size[1], wide / size[0], wide * aspect / size[1]))


def first_place(
    width: float, aspect: float, most: float
) -> tuple[tuple[float, float], tuple[float, float, float, float]]:
    """The size of a figure and the place of its axes before it is `fitted`: near enough for what is laid out meanwhile."""
    wide = max(min(width - 1.6, most / aspect), 0.5)
    size = (wide + 1.6, wide * aspect + 1.1)
    return size, (0.75 / size[0], 0.7 / size[1], wide / size[0], wide * aspect / size[1])


def _titles(title: str, note: str, ax: Any, look: Theme) -> None:
    ax.set_title(_text(title), loc="left", color=look.text, fontweight="bold", fontsize="large", pad=8)
    if note:
        width = ax.get_window_extent().width / ax.figure.dpi * 72
        said = textwrap.fill(_text(note), max(24, int(width / 3.25)))
        ax.annotate(
            said, (0, 0), xycoords="axes fraction", xytext=(0, -36), textcoords="offset points", va="top", ha="left",
            fontsize=6.5, color=look.quiet, annotation_clip=False, linespacing=1.35,
        )  # fmt: skip


def _text(text: str) -> str:
    """Names as they are: matplotlib reads what stands between dollar signs as mathematics."""
    return text.replace("$", r"\$")
