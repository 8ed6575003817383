"""A profile as a curve: the loss along a line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

# From this ratio on values read better on a logarithmic scale, here as on the map.
_LOG_FROM = 20.0

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
    finite = values[np.isfinite(values)]
    log = len(finite) > 0 and finite.min() > 0 and finite.max() > _LOG_FROM * finite.min()
    missing = len(values) - len(finite)
    name = f"{field}, log scale" if log else field
    if missing:
        name += f" · {missing} of {len(values)} not finite"
    shown = np.where(np.isfinite(values), values, np.nan)
    figure = go.Figure(
        go.Scatter(
            x=at, y=shown, mode="lines", line={"color": _BLUE, "width": 2}, connectgaps=False,
            hovertemplate="%{x:.4g}<br>" + field + " %{y:.6g}<extra></extra>",
        )
    )  # fmt: skip
    for label, position in points:
        figure.add_vline(x=position, line={"color": _GREY, "width": 1, "dash": "dot"}, annotation_text=label)
    figure.update_layout(
        title=title,
        template="plotly_white",
        height=380,
        margin={"l": 70, "r": 24, "t": 48, "b": 56},
        showlegend=False,
    )
    figure.update_xaxes(title=axis)
    figure.update_yaxes(title=name, type="log" if log else "linear")
    return figure
