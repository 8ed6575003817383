"""A profile as a curve: the loss along a line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from lossatlas.figures.words import brief, plain
from lossatlas.scale import auto_scale

_BLUE, _GREY = "#1c7ed6", "#98a1b1"


def profile_figure(
    at: np.ndarray,
    values: np.ndarray,
    *,
    title: str,
    axis: str,
    field: str,
    points: Sequence[tuple[str, float]] = (),
) -> go.Figure:
    """A curve of values (num,) at positions (num,), logarithmic where they span a factor of 20 above 0.

    points: what is marked along it, by name and position. A value that is not finite leaves a gap, and the title of the
    value axis says how many there are.
    """
    log = auto_scale(values) == "log"
    missing = int((~np.isfinite(values)).sum())
    name = f"{field}, log scale" if log else field
    if missing:
        name += f" · {missing} of {len(values)} not finite"
    shown = np.where(np.isfinite(values), values, np.nan)
    figure = go.Figure(
        go.Scatter(
            x=at, y=shown, mode="lines", line={"color": _BLUE, "width": 2}, connectgaps=False,
            hovertemplate=f"%{{x:.4g}}<br>{plain(field)} %{{y:.6g}}<extra></extra>",
        )
    )  # fmt: skip
    for label, position in points:
        figure.add_vline(
            x=position, line={"color": _GREY, "width": 1, "dash": "dot"}, annotation_text=plain(label)
        )
    figure.update_layout(
        title=plain(title),
        template="plotly_white",
        height=380,
        margin={"l": 70, "r": 24, "t": 48, "b": 56},
        showlegend=False,
    )
    figure.update_xaxes(title=plain(axis))
    figure.update_yaxes(title=plain(name), type="log" if log else "linear")
    return figure


def along_figure(
    a: np.ndarray,
    b: np.ndarray,
    distance: np.ndarray,
    values: np.ndarray,
    *,
    field: str,
    norm: float,
    title: str | None = None,
) -> go.Figure:
    """A curve of values (num,) along a way through a plane: below the way in its units, above the distance in ‖θ‖.

    a, b: where the points lie; distance: from the first in parameter space, and norm: ‖θ‖, 0 for a distance in units of θ.
    """
    way, words = _way(a, b)
    start, stop = (
        f"({brief(a[end])}, {brief(b[end])})" if b.any() else f"a = {brief(a[end])}" for end in (0, -1)
    )
    figure = profile_figure(
        way,
        values,
        title=f"{field} from {start} to {stop}" if title is None else title,
        axis=words,
        field=field,
    )
    unit = "in ‖θ‖" if norm else "in units of θ"
    far = distance / (norm or 1.0)
    # An axis without a curve of its own is not drawn: the same one again, unseen.
    figure.add_scatter(
        x=far, y=figure.data[0].y, xaxis="x2", mode="lines", line={"width": 0}, hoverinfo="skip"
    )
    figure.update_layout(
        margin={"t": 96},
        title={"y": 0.97, "yanchor": "top"},
        xaxis={"range": [float(way[0]), float(way[-1])]} if way[0] != way[-1] else {},
        xaxis2={
            "title": f"distance {unit}", "overlaying": "x", "side": "top", "tickmode": "auto", "showgrid": False, "zeroline": False,
            **({"range": [float(far[0]), float(far[-1])]} if far[0] != far[-1] else {}),
        },
    )  # fmt: skip
    return figure


def _way(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, str]:
    """How far along each point lies in units of the plane, and what that is called: a or b where the way is along one."""
    if not np.ptp(b):
        return a, f"a, at b = {brief(float(b[0]))}" if b.any() else "a"
    if not np.ptp(a):
        return b, f"b, at a = {brief(float(a[0]))}"
    return np.hypot(a - a[0], b - b[0]), "way from the start, in units of the plane"
