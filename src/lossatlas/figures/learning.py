"""Learning curves as a figure: loss, learning rate and metrics by steps, each unit on an axis of its own, of one run or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from lossatlas.figures.words import counted, plain
from lossatlas.scale import auto_scale


@dataclass(frozen=True)
class Look:
    """The colours of everything but the data; runs: of one after the other, as the page draws their paths."""

    paper: str
    grid: str
    text: str
    quiet: str
    runs: tuple[str, ...]


# Told from each other by every kind of colour vision, and from both papers: those of the page (js/src/runs/store.js).
_RUNS = ("#d55e00", "#0072b2", "#009e73", "#9435e2", "#e30a48")

LOOKS = {
    "light": Look("#ffffff", "#dfe3e9", "#1a2130", "#667085", _RUNS),
    "dark": Look("#12151a", "#2a2f39", "#e9ecf1", "#98a1b1", _RUNS),
}  # fmt: skip

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")

# A series that was told at fewer steps than this share of them is drawn as points that are joined.
_SPARSE = 0.5

# So many points of a curve at most: of more, the lowest and the highest of each of half as many stretches.
_MOST = 4000

# Pixels of the first axis, of each further one, and of what stands around them.
_FIRST, _FURTHER, _AROUND = 260, 130, 120


@dataclass(frozen=True, eq=False)
class Run:
    """What was told of a run, by name, at its steps (N,); NaN where nothing was told."""

    name: str
    steps: np.ndarray
    series: Mapping[str, np.ndarray]


def look_of(theme: str) -> Look:
    """The look of that name. Raises ValueError for one that there is not."""
    if theme not in LOOKS:
        raise ValueError(f'theme is {theme!r}. Pass "light" or "dark".')
    return LOOKS[theme]


def curves_figure(runs: Sequence[Run], *, title: str = "", theme: str = "light") -> go.Figure:
    """Curves of the runs over the steps, one panel for the losses, one for each further metric and one for the learning rate.

    A run has one colour in all panels; losses and shares of one panel differ in their dashes. An axis is logarithmic where
    its values span a factor of 20 above 0. What is not finite is a gap, which the axis counts.
    """
    look, panels = look_of(theme), _panels(runs)
    figure = go.Figure()
    shares = np.array([_FIRST] + [_FURTHER] * (len(panels) - 1), dtype=float)
    gap = 0.045
    heights = shares / shares.sum() * (1 - gap * (len(panels) - 1))
    top, shown = 1.0, set()
    for index, (panel, height) in enumerate(zip(panels, heights, strict=True)):
        suffix, bottom = "" if index == 0 else str(index + 1), max(0.0, top - height)
        for k, run in enumerate(runs):
            for dash, name in enumerate(panel):
                if name not in run.series:
                    continue
                several = len(panel) > 1 and index == 0
                said = [run.name] if len(runs) > 1 else []
                said += [name] if len(panel) > 1 or not said else []
                listed = several or (len(runs) > 1 and run.name not in shown)
                shown.add(run.name)
                figure.add_trace(_trace(run, name, said, look.runs[k % len(look.runs)], (dash + k // len(look.runs)) % len(_DASHES), f"y{suffix}", listed, str(k), len(panel) > 1))  # fmt: skip
        values = np.concatenate([run.series[name] for run in runs for name in panel if name in run.series])
        figure.update_layout({f"yaxis{suffix}": _axis(panel, values, runs, (bottom, top), look)})
        top = bottom - gap
    figure.update_layout(
        title={"text": plain(title), "font": {"size": 15}}, template="plotly_white", paper_bgcolor=look.paper, plot_bgcolor=look.paper,
        font={"color": look.text}, height=_FIRST + _FURTHER * (len(panels) - 1) + _AROUND, hovermode="x",
        margin={"l": 84, "r": 24, "t": 56, "b": 48}, showlegend=len(runs) > 1 or len(panels[0]) > 1,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
        xaxis={"title": "step", "anchor": "y" + (str(len(panels)) if len(panels) > 1 else ""), "gridcolor": look.grid, "zeroline": False},
    )  # fmt: skip
    return figure


def _panels(runs: Sequence[Run]) -> list[list[str]]:
    """Names of what stands on each axis: losses, then metrics by their kind, then the learning rate."""
    told = dict.fromkeys(
        name for run in runs for name, values in run.series.items() if np.isfinite(values).any()
    )
    losses = [name for name in told if _kind(name) == "loss"]
    kinds: dict[str, list[str]] = {}
    for name in told:
        if name not in losses and name != "lr":
            kinds.setdefault(_kind(name), []).append(name)
    return [losses or ["loss"], *kinds.values(), *([["lr"]] if "lr" in told else [])]


def _kind(name: str) -> str:
    """What has one unit: losses; accuracies; the sharpness and its limit; all else is of its own kind."""
    if name == "limit":  # as `track` tells it
        return "sharpness"
    words = name.lower().replace("/", "_").replace("-", "_").replace(".", "_").split("_")
    if "loss" in words:
        return "loss"
    return "accuracy" if {"acc", "accuracy"} & set(words) else name


def _trace(
    run: Run,
    name: str,
    said: Sequence[str],
    colour: str,
    dash: int,
    axis: str,
    listed: bool,
    group: str,
    among: bool,
) -> go.Scatter:
    values = np.where(np.isfinite(run.series[name]), run.series[name], np.nan)
    there = np.isfinite(values)
    sparse = there.sum() < _SPARSE * len(values)
    # What is told at every step is noise that must not hide what is told now and then.
    pale = 0.55 if among and not sparse else 1.0
    steps, values = (run.steps[there], values[there]) if sparse else (run.steps, values)
    x, y = thinned(steps, values)
    text = plain(" · ".join(said))
    return go.Scatter(
        x=x, y=y, yaxis=axis, mode="lines+markers" if sparse or len(x) == 1 else "lines", connectgaps=False, name=text, opacity=pale,
        legendgroup=group, showlegend=listed, line={"color": colour, "width": 1.8, "dash": _DASHES[dash]},
        marker={"color": colour, "size": 5}, hovertemplate=f"{plain(' · '.join(dict.fromkeys([*said, name])))} %{{y:.6g}}<extra></extra>",
    )  # fmt: skip


def thinned(x: np.ndarray, y: np.ndarray, most: int = _MOST) -> tuple[np.ndarray, np.ndarray]:
    """So many points at most: of each stretch the lowest and the highest, so that nothing that stands out is lost, and gaps."""
    if len(x) <= most:
        return x, y
    keep = np.zeros(len(x), dtype=bool)
    keep[[0, -1]] = True
    for part in np.array_split(np.arange(len(x)), max(1, most // 3)):
        finite = part[np.isfinite(y[part])]
        if len(finite) < len(part):
            keep[part[~np.isfinite(y[part])][0]] = True
        if len(finite):
            keep[[finite[y[finite].argmin()], finite[y[finite].argmax()]]] = True
    return x[keep], y[keep]


def _axis(
    panel: Sequence[str], values: np.ndarray, runs: Sequence[Run], domain: tuple[float, float], look: Look
) -> dict[str, Any]:
    log = auto_scale(values) == "log"
    name = ", ".join(panel) if len(panel) < 3 else _kind(panel[0])
    said = [plain({"lr": "learning rate"}.get(name, name))]
    said += ["log scale"] if log else []
    bad = sum(_missing(run.series[key]) for run in runs for key in panel if key in run.series)
    said += [f"{counted(bad)} not finite"] if bad else []
    return {
        "title": {"text": "<br>".join(said), "font": {"size": 12}}, "type": "log" if log else "linear", "domain": domain,
        "gridcolor": look.grid, "zeroline": False, "exponentformat": "power", "anchor": "x",
    }  # fmt: skip


def _missing(values: np.ndarray) -> int:
    """How many values of a curve are not finite; of one that is told now and then, a step without one is no such value."""
    sparse = np.isfinite(values).sum() < _SPARSE * len(values)
    return int((np.isinf(values) if sparse else ~np.isfinite(values)).sum())
