"""Any two quantities of runs against each other, coloured by a third."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lossatlas.figures.chart import marks
from lossatlas.figures.colours import lookup_table
from lossatlas.figures.learning import Look, look_of
from lossatlas.figures.words import counted, plain
from lossatlas.scale import auto_scale, drawn, undrawn

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross")


@dataclass(frozen=True, eq=False)
class Points:
    """A run's T points: x, y and what colours them, (T,) each, at its steps (T,)."""

    name: str
    steps: np.ndarray
    x: np.ndarray
    y: np.ndarray
    color: np.ndarray


def scatter_figure(
    runs: Sequence[Points], labels: tuple[str, str, str], *, title: str = "", theme: str = "light", colormap: str = "viridis"
) -> go.Figure:  # fmt: skip
    """Points of the runs, each joined in the order of its steps; a ring is where a run begins.

    labels: of x, y and colour. Axes and colours are logarithmic where their values span a factor of 20 above 0. Points whose colour is
    not finite are grey; those that have no place are left out, and the axis says how many.
    """
    look = look_of(theme)
    colours = np.concatenate([run.color for run in runs])
    scale = auto_scale(colours)
    scale = scale if scale in ("log", "linear") else "linear"
    heights = drawn(colours, scale)[np.isfinite(drawn(colours, scale))]
    domain = (float(heights.min()), float(heights.max())) if heights.size else None
    figure = go.Figure()
    for k, run in enumerate(runs):
        _add(figure, run, k, len(runs), labels, scale, domain, look)
    for axis, values, label in (
        (figure.update_xaxes, [run.x for run in runs], labels[0]),
        (figure.update_yaxes, [run.y for run in runs], labels[1]),
    ):
        axis(**_axis(np.concatenate(values), label, look))
    if domain is not None:
        figure.update_layout(coloraxis=_coloraxis(domain, scale, labels[2], colormap))
    figure.update_layout(
        title={"text": plain(title), "font": {"size": 15}}, template="plotly_white", paper_bgcolor=look.paper, plot_bgcolor=look.paper,
        font={"color": look.text}, height=440, margin={"l": 76, "r": 24, "t": 56, "b": 56}, showlegend=len(runs) > 1,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
    )  # fmt: skip
    return figure


def _add(
    figure: go.Figure, run: Points, k: int, of: int, labels: Sequence[str], scale: str, domain: Any, look: Look
) -> None:  # fmt: skip
    colour = look.runs[k % len(look.runs)] if of > 1 else look.quiet
    symbol, text = _SYMBOLS[k % len(_SYMBOLS)], plain(run.name)
    known = np.isfinite(drawn(run.color, scale))
    hover = "".join(
        f"<br>{plain(label)} %{{{at}:.6g}}" for label, at in zip(labels, ("x", "y", "customdata[1]"), strict=True)
    )  # fmt: skip
    figure.add_scatter(
        x=run.x, y=run.y, mode="lines", line={"color": colour, "width": 1}, opacity=0.6, hoverinfo="skip", name=text,
        legendgroup=str(k), showlegend=of > 1,
    )  # fmt: skip
    for which, marker in (
        (known, {"color": drawn(run.color, scale)[known], "coloraxis": "coloraxis"}),
        (~known, {"color": look.quiet}),
    ):
        if which.any():
            figure.add_scatter(
                x=run.x[which], y=run.y[which], mode="markers", marker={"size": 6, "symbol": symbol, **marker}, name=text,
                customdata=np.column_stack([run.steps[which], run.color[which]]), legendgroup=str(k), showlegend=False,
                hovertemplate=f"{text + '<br>' if of > 1 else ''}step %{{customdata[0]}}{hover}<extra></extra>",
            )  # fmt: skip
    figure.add_scatter(
        x=run.x[:1], y=run.y[:1], mode="markers", hoverinfo="skip", legendgroup=str(k), showlegend=False, name=text,
        marker={"size": 13, "symbol": "circle-open", "color": colour, "line": {"width": 2}},
    )  # fmt: skip


def _axis(values: np.ndarray, label: str, look: Look) -> dict[str, Any]:
    log, bad = auto_scale(values) == "log", int((~np.isfinite(values)).sum())
    said = [plain(label), *(["log scale"] if log else [])]
    said += [f"{counted(bad)} of {counted(len(values))} not finite"] if bad else []
    return {
        "title": " · ".join(said), "type": "log" if log else "linear", "gridcolor": look.grid, "zeroline": False,
        "exponentformat": "power",
    }  # fmt: skip


def _coloraxis(domain: tuple[float, float], scale: str, label: str, colormap: str) -> dict[str, Any]:
    low, high = domain if domain[0] < domain[1] else (domain[0] - 0.5, domain[0] + 0.5)
    numbers = marks(undrawn(np.array([low, high]), scale), scale)
    table = lookup_table(colormap)
    said = [plain(label), *(["log scale"] if scale == "log" else [])]
    return {
        "cmin": low, "cmax": high,
        "colorscale": [[k / 255, f"rgb({r},{g},{b})"] for k, (r, g, b) in enumerate(table.tolist())],
        "colorbar": {
            "title": {"text": " · ".join(said), "side": "right"}, "thickness": 12, "outlinewidth": 0,
            "tickvals": [at for at, _ in numbers], "ticktext": [text for _, text in numbers],
        },
    }  # fmt: skip
