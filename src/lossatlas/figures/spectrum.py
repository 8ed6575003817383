"""A spectrum as a figure: the density of all eigenvalues on a log axis, and the ones that are known each for itself."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import plotly.graph_objects as go


class Line(Protocol):
    """A limit of stability, in units of the eigenvalue; None where there is none."""

    @property
    def limit(self) -> float | None:
        """Where it is."""
        ...

    @property
    def label(self) -> str:
        """Its formula."""
        ...

    @property
    def reason(self) -> str:
        """What it says."""
        ...


_BLUE, _PALE, _RED, _GREY = "#1c7ed6", "rgba(28,126,214,0.18)", "#e8590c", "#98a1b1"

# How far below the peak of one eigenvalue the axis goes on, as a share of it.
_BELOW = 0.02


def lowest_shown(size: int, width: float) -> float:
    """Where the axis of a density ends: a share of the peak of one of so many eigenvalues."""
    return float(_BELOW / (size * width * np.sqrt(2.0 * np.pi)))


def spectrum_figure(
    grid: np.ndarray,
    values: np.ndarray,
    band: np.ndarray,
    eigenvalues: np.ndarray,
    residuals: np.ndarray,
    converged: np.ndarray,
    *,
    size: int,
    width: float,
    title: str,
    line: Line | None = None,
) -> go.Figure:
    """The density (G,) with its band (2, G) over the grid (G,), and k eigenvalues with their residuals as error bars.

    size: how many eigenvalues there are in all; width: of the Gaussian that each is drawn as. The axis ends where less than
    one of them would be: nothing that counts lies below. Eigenvalues that have not converged are open circles. line: a limit
    of stability, dashed, with its label.
    """
    lowest = lowest_shown(size, width)
    highest = float(np.max(values, initial=lowest))
    shown = np.clip(values, lowest, None)
    lower, upper = np.clip(band, lowest, 10.0 * highest)
    figure = go.Figure()
    figure.add_scatter(
        x=np.concatenate([grid, grid[::-1]]), y=np.concatenate([upper, lower[::-1]]), fill="toself", fillcolor=_PALE,
        line={"width": 0}, hoverinfo="skip", name="two standard errors",
    )  # fmt: skip
    figure.add_scatter(
        x=grid, y=shown, mode="lines", line={"color": _BLUE, "width": 2}, name="density",
        hovertemplate="λ %{x:.4g}<br>density %{y:.3g}<extra></extra>",
    )  # fmt: skip
    for which, symbol, name in (
        (converged, "circle", "eigenvalue"),
        (~converged, "circle-open", "not converged"),
    ):
        if which.any():
            figure.add_scatter(
                x=eigenvalues[which], y=np.full(int(which.sum()), 1.6 * lowest), mode="markers", name=name,
                marker={"color": _RED, "size": 8, "symbol": symbol, "line": {"width": 1.5}},
                error_x={"type": "data", "array": residuals[which], "color": _GREY},
                hovertemplate="λ %{x:.6g} ± %{error_x.array:.2g}<extra></extra>",
            )  # fmt: skip
    figure.add_vline(x=0.0, line={"color": _GREY, "width": 1, "dash": "dot"})
    if line is not None and line.limit is not None:
        figure.add_vline(
            x=line.limit, line={"color": _RED, "width": 1.5, "dash": "dash"}, annotation_text=line.label,
            annotation_font_color=_RED, annotation_hovertext=line.reason,
        )  # fmt: skip
    figure.update_layout(
        title=title, template="plotly_white", height=380, margin={"l": 70, "r": 24, "t": 48, "b": 56},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 1.0, "xanchor": "right"},
    )  # fmt: skip
    figure.update_xaxes(title="eigenvalue λ")
    figure.update_yaxes(
        title="density, log scale",
        type="log",
        range=[np.log10(lowest), np.log10(3.0 * highest)],
        exponentformat="power",
    )
    return figure
