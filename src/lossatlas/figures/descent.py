"""Descents as figures: the loss along the steps, and where the learning rate is too large."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lossatlas.figures.spectrum import Line
from lossatlas.figures.words import plain
from lossatlas.scale import auto_scale

_COLOURS = ("#1c7ed6", "#e8590c", "#2f9e44", "#9c36b5", "#c92a2a", "#0c8599", "#f08c00", "#5c677d")
_BLUE, _RED, _GREY = "#1c7ed6", "#e8590c", "#98a1b1"

#: A run: its name, the steps and the loss at each, (T,), and whether it ran away.
Run = tuple[str, np.ndarray, np.ndarray, bool]


def descent_figure(runs: Sequence[Run], *, title: str) -> go.Figure:
    """A curve of loss against step for each run; one that ran away ends in a cross. What is not finite leaves a gap."""
    values = np.concatenate([np.ravel(loss) for _, _, loss, _ in runs]) if runs else np.empty(0)
    log = auto_scale(values) == "log"
    figure = go.Figure()
    for index, (name, steps, loss, diverged) in enumerate(runs):
        colour = _COLOURS[index % len(_COLOURS)]
        shown = np.where(np.isfinite(loss), loss, np.nan)
        figure.add_scatter(
            x=steps, y=shown, mode="lines", line={"color": colour, "width": 2}, connectgaps=False, name=plain(name),
            legendgroup=str(index), hovertemplate="step %{x}<br>loss %{y:.6g}<extra>" + plain(name) + "</extra>",
        )  # fmt: skip
        finite = np.flatnonzero(np.isfinite(shown))
        if diverged and len(finite):
            figure.add_scatter(
                x=steps[finite[-1:]], y=shown[finite[-1:]], mode="markers", showlegend=False, legendgroup=str(index),
                marker={"color": colour, "size": 10, "symbol": "x"}, name=plain(name),
                hovertemplate="ran away after step %{x}<br>loss %{y:.4g}<extra>" + plain(name) + "</extra>",
            )  # fmt: skip
    _laid_out(figure, title, legend=len(runs) > 1)
    figure.update_xaxes(title="step")
    figure.update_yaxes(
        title="loss, log scale" if log else "loss", type="log" if log else "linear", exponentformat="power"
    )
    return figure


def sweep_figure(
    lrs: np.ndarray,
    end_loss: np.ndarray,
    diverged: np.ndarray,
    start_loss: float,
    *,
    title: str,
    line: Line | None = None,
) -> go.Figure:
    """Losses (L,) at the end against learning rates (L,) on a log axis; those that ran away are crosses above them all.

    start_loss: a dotted line; line: the limit of stability as a rate, dashed with its formula, or why there is none, below.
    """
    stayed = ~diverged & np.isfinite(end_loss)
    told = end_loss[stayed]
    if np.isfinite(start_loss):
        told = np.append(told, start_loss)
    log = auto_scale(told) == "log"
    figure = go.Figure()
    figure.add_scatter(
        x=lrs[stayed], y=end_loss[stayed], mode="lines+markers", line={"color": _BLUE, "width": 2},
        marker={"color": _BLUE, "size": 7}, name="loss at the end", hovertemplate="lr %{x:.4g}<br>loss %{y:.6g}<extra></extra>",
    )  # fmt: skip
    if not stayed.all():
        low, high = (float(told.min()), float(told.max())) if len(told) else (0.0, 1.0)
        # Above all that is drawn by a tenth of its height.
        above = high * (high / low) ** 0.1 if log else high + 0.1 * ((high - low) or abs(high) or 1.0)
        figure.add_scatter(
            x=lrs[~stayed], y=np.full(int((~stayed).sum()), above), mode="markers", name="ran away",
            marker={"color": _RED, "size": 9, "symbol": "x"}, hovertemplate="lr %{x:.4g} runs away<extra></extra>",
        )  # fmt: skip
    # On a log axis Plotly takes a shape by its value, and an annotation by its logarithm.
    if np.isfinite(start_loss):
        figure.add_hline(y=start_loss, line={"color": _GREY, "width": 1, "dash": "dot"})
        figure.add_annotation(
            y=float(np.log10(start_loss)) if log else start_loss, x=0, xref="paper", text="at the start", showarrow=False,
            xanchor="left", yanchor="bottom", font={"color": _GREY},
        )  # fmt: skip
    if line is not None and line.limit is not None:
        figure.add_vline(x=line.limit, line={"color": _RED, "width": 1.5, "dash": "dash"})
        figure.add_annotation(
            x=float(np.log10(line.limit)), y=1, yref="paper", text=plain(line.label), hovertext=plain(line.reason),
            showarrow=False, xanchor="right", yanchor="top", font={"color": _RED},
        )  # fmt: skip
    _laid_out(figure, title, legend=True)
    why = f"<br><sup>{plain(line.reason)}</sup>" if line is not None and line.limit is None else ""
    figure.update_xaxes(title=f"learning rate{why}", type="log")
    figure.update_yaxes(
        title="loss, log scale" if log else "loss", type="log" if log else "linear", exponentformat="power"
    )
    return figure


def _laid_out(figure: go.Figure, title: str, *, legend: bool) -> None:
    figure.update_layout(
        title=plain(title), template="plotly_white", height=380, margin={"l": 70, "r": 24, "t": 64, "b": 56}, showlegend=legend,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
    )  # fmt: skip
