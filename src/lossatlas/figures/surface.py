"""A map as a surface: height and colour are the drawn value, and its isolines lie on it and on the floor below."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lossatlas.figures.chart import Chart, marks
from lossatlas.figures.isolines import isolines
from lossatlas.figures.words import plain
from lossatlas.scale import undrawn

#: Where a surface is looked at from: the lowest corner in front, from well above.
CAMERA = {"eye": {"x": -1.22, "y": -1.5, "z": 1.12}, "center": {"x": 0.04, "y": 0.04, "z": -0.2}}

# How far the floor lies below the lowest value, as a share of the range.
_FLOOR = 0.35

# How far lines are lifted off the surface along its normal, and off the floor, in units of the scene, so that neither
# swallows them.
_LIFT = 0.008

# The sides of the scene: the longer one of the plane, and the height.
_WIDTH, _HEIGHT = 1.15, 0.85

# The height of a figure, in pixels.
_TALL = 560

# So many numbers at most along its height.
_NUMBERS = 6

# In a place narrower than this there is no room for a colour bar.
_NARROW = 520

_MAJOR, _MINOR = "rgba(255,255,255,0.95)", "rgba(255,255,255,0.45)"


@dataclass(frozen=True)
class _Look:
    """The colours of everything but the surface."""

    paper: str
    pane: str
    grid: str
    text: str
    quiet: str


_LOOKS = {
    "light": _Look("#ffffff", "#f6f7f9", "#dfe3e9", "#1a2130", "#667085"),
    "dark": _Look("#12151a", "#1a1e26", "#2a2f39", "#e9ecf1", "#98a1b1"),
}


def surface_figure(
    chart: Chart,
    camera: Mapping[str, Any] | None = None,
    *,
    theme: str = "light",
    size: tuple[float, float] | None = None,
) -> go.Figure:
    """A chart as five traces: the surface, the minor and the major isolines on it, and the same on the floor.

    theme: "light" or "dark"; size: of the figure in pixels, (width, height), as wide
    as its place by default; camera: where it is looked at from, as of Plotly; a camera that the user has turned is kept when the data change, for
    `uirevision` never does. Values that are not finite are gaps, and the title says how many.
    """
    look = _LOOKS[theme]
    low, high = _span(chart)
    floor = low - _FLOOR * (high - low)
    unit = np.array([*[max(_sides(chart)) / _WIDTH] * 2, (high - floor) / _HEIGHT])
    minor, major = (_lines(chart, rank) for rank in (False, True))
    figure = go.Figure(
        [
            _surface(chart),
            _on(_lifted(chart, minor, unit), {"color": _MINOR, "width": 1.5}),
            _on(_lifted(chart, major, unit), {"color": _MAJOR, "width": 3}),
            _below(chart, minor, floor + _LIFT * unit[2], 1.5),
            _below(chart, major, floor + _LIFT * unit[2], 4),
        ]
    )
    figure.update_layout(
        title={"text": _title(chart, look, size[0] if size else None), "x": 0.02, "xanchor": "left", "y": 0.97, "yanchor": "top", "font": {"size": 15}},
        template="plotly_white", width=size[0] if size else None, height=size[1] if size else _TALL, paper_bgcolor=look.paper, margin={"l": 0, "r": 0, "t": 64, "b": 0}, showlegend=False,
        font={"color": look.text}, uirevision="lossatlas", scene=_scene(chart, floor, high, camera, look),
    )  # fmt: skip
    narrow = size is not None and size[0] < _NARROW  # beside a map that has the bar
    figure.update_traces(showscale=not narrow, selector={"type": "surface"})
    if narrow:
        figure.update_layout(scene_domain_x=[0.0, 1.0], title_font_size=13)
    return figure


def _span(chart: Chart) -> tuple[float, float]:
    """The lowest and the highest drawn value, never the same."""
    finite = chart.drawn[np.isfinite(chart.drawn)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def _surface(chart: Chart) -> go.Surface:
    low, high = chart.domain if chart.domain[0] < chart.domain[1] else _span(chart)
    numbers = marks(undrawn(np.array([low, high]), chart.scale), chart.scale)
    return go.Surface(
        x=chart.a, y=chart.b, z=chart.drawn, cmin=low, cmax=high, colorscale=_colorscale(chart.table),
        customdata=np.where(np.isnan(chart.drawn), np.nan, chart.map.values), connectgaps=False,
        hovertemplate=f"a %{{x:.4g}}<br>b %{{y:.4g}}<br>{plain(chart.map.field)} %{{customdata:.6g}}<extra></extra>",
        lighting={"ambient": 0.72, "diffuse": 0.55, "specular": 0.04, "roughness": 0.9, "fresnel": 0.02},
        contours={axis: {"highlight": False} for axis in "xyz"},
        colorbar={
            "title": {"text": plain(_bar_title(chart)), "side": "right"}, "thickness": 12, "len": 0.75, "outlinewidth": 0,
            "tickvals": [at for at, _ in numbers], "ticktext": [text for _, text in numbers], "x": 0.94,
        },
    )  # fmt: skip


def _bar_title(chart: Chart) -> str:
    return " · ".join([chart.field, *(end for end in chart.ends if end)])


def _colorscale(table: np.ndarray) -> list[list[Any]]:
    return [[entry / 255, "rgb({},{},{})".format(*table[entry])] for entry in range(0, 256, 5)]


def _lines(chart: Chart, major: bool) -> np.ndarray:
    """Every isoline of a rank in turn, (n, 3): column, row and drawn value; NaN between two."""
    found = [np.empty((0, 3))]
    for value, level in chart.levels:
        if level.major == major:
            for line in isolines(chart.drawn, value):
                found += [np.column_stack([line, np.full(len(line), value)]), np.full((1, 3), np.nan)]
    return np.concatenate(found)


def _placed(chart: Chart, lines: np.ndarray) -> np.ndarray:
    """The same in coordinates of the plane."""
    a = np.interp(lines[:, 0], np.arange(len(chart.a)), chart.a)
    b = np.interp(lines[:, 1], np.arange(len(chart.b)), chart.b)
    return np.column_stack([a, b, lines[:, 2]])


def _lifted(chart: Chart, lines: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The same, off the surface along its normal; unit: what 1 of the scene is in coordinates."""
    slopes = (
        np.gradient(chart.drawn, chart.b, chart.a) if min(chart.drawn.shape) > 1 else [chart.drawn * 0] * 2
    )
    column, row = (np.nan_to_num(np.rint(lines[:, axis])).astype(int) for axis in (0, 1))
    across, along = (np.nan_to_num(slope)[row, column] * unit[0] / unit[2] for slope in slopes)
    normal = np.column_stack([-along, -across, np.ones(len(lines))])
    return _placed(chart, lines) + _LIFT * unit * normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _on(lines: np.ndarray, line: Mapping[str, Any]) -> go.Scatter3d:
    a, b, height = lines.T
    return go.Scatter3d(x=a, y=b, z=height, mode="lines", line=dict(line), hoverinfo="skip")


def _below(chart: Chart, lines: np.ndarray, floor: float, width: float) -> go.Scatter3d:
    """The lines on the floor, each in the colour of its value."""
    a, b, height = _placed(chart, lines).T
    return go.Scatter3d(
        x=a, y=b, z=np.full(len(a), floor), mode="lines", hoverinfo="skip",
        line={
            "color": height, "cmin": chart.domain[0], "cmax": chart.domain[1], "width": width,
            "colorscale": _colorscale(chart.table),
        },
    )  # fmt: skip


def _sides(chart: Chart) -> tuple[float, float]:
    a0, a1, b0, b1 = chart.map.extent
    return a1 - a0, b1 - b0


def _scene(
    chart: Chart, floor: float, high: float, camera: Mapping[str, Any] | None, look: _Look
) -> dict[str, Any]:
    numbers = marks(undrawn(np.array(_span(chart)), chart.scale), chart.scale, _NUMBERS)
    wide, deep = (_WIDTH * side / max(_sides(chart)) for side in _sides(chart))
    pane = {
        "backgroundcolor": look.pane,
        "gridcolor": look.grid,
        "showbackground": True,
        "zeroline": False,
        "color": look.quiet,
    }
    first, second = (plain(title) for title in chart.titles)
    return {
        "xaxis": {**pane, "title": {"text": first}, "range": chart.map.extent[:2]},
        "yaxis": {**pane, "title": {"text": second}, "range": chart.map.extent[2:]},
        "zaxis": {
            **pane, "title": {"text": plain(chart.field)}, "range": [floor, high + 0.02 * (high - floor)],
            "tickvals": [at for at, _ in numbers], "ticktext": [text for _, text in numbers],
        },
        "domain": {"x": [0.0, 0.94]}, "aspectmode": "manual", "aspectratio": {"x": wide, "y": deep, "z": _HEIGHT},
        "camera": dict(CAMERA if camera is None else camera), "dragmode": "turntable",
    }  # fmt: skip


def _title(chart: Chart, look: _Look, width: float | None) -> str:
    """The title and what the picture rests on, in as many lines as a narrow place asks for."""
    lines = textwrap.wrap(chart.note, max(24, int((width or 1200) / 5.6)))
    said = "<br>".join(plain(line) for line in lines)
    return f"<b>{plain(chart.title)}</b><br><span style='font-size:11px;color:{look.quiet}'>{said}</span>"
