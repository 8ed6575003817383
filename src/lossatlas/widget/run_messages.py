"""Run messages: rows of a run that is under way, as the page receives them unasked. Pure; js/src/runs/wire.js is its side.

A run is known by its name; rows are counted from 0. Rows that are sent again are the same rows, so that a message may overlap
the one before it; a page that has missed some greets (`hello`), and is to be told all runs from row 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossatlas.widget.curves import RunCurves
from lossatlas.widget.paths import DrawnPath
from lossatlas.widget.protocol import VERSION, Message
from lossatlas.widget.run_request import Follow, Measure


def path_message(
    name: str,
    scene: str,
    points: Any,
    *,
    start: int = 0,
    steps: Any = None,
    distance: Any = None,
    loss: Any = None,
    arrows: Any = None,
    color: str | None = None,
) -> Message:
    """Rows of a path from row `start` on; start 0: the path anew, without any row: what was told of it is forgotten.

    points: (n, 2), finite; steps: (n,), ascending, None for start, start + 1 …; distance: (n,) from the plane, None where
    it lies in it; loss: (n,), the true one, which need not be finite, None where it is not known; arrows: (n, 2), as of a
    `DrawnPath`; scene: the hash of what its plane shows. The buffer is (n, 5) float64 little-endian: a, b, step, distance, loss,
    or (n, 7) with down_a and down_b of the arrows. Raises ValueError for anything that cannot be drawn.
    """
    _check_start(start)
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2) if np.size(points) == 0 else points
    count = len(points)
    if steps is None:
        steps = np.arange(start, start + count)
    if count == 0:
        return _message("path", name, start, _PATH, np.zeros((0, 5)), color, scene=scene)
    path = DrawnPath(name, points, steps, distance, loss, color, scene, arrows)
    columns = _PATH if path.arrows is None else (*_PATH, "down_a", "down_b")
    rows = np.zeros((count, len(columns)))
    rows[:, :2], rows[:, 2] = path.points, path.steps
    rows[:, 3] = 0.0 if path.distance is None else path.distance
    rows[:, 4] = np.nan if path.loss is None else path.loss
    if path.arrows is not None:
        rows[:, 5:] = path.arrows
    return _message("path", name, start, columns, rows, color, scene=scene)


def curves_message(
    name: str,
    steps: Any,
    series: Mapping[str, Any],
    *,
    start: int = 0,
    color: str | None = None,
) -> Message:
    """Rows of what is recorded of a run from row `start` on; start 0: anew, without any row: what was told is forgotten.

    steps: (n,), finite and ascending; series: (n,) each, by name, NaN where a step has no value. The buffer is
    (n, 1 + number of series) float64 little-endian: step, then the series in their order. Raises ValueError for anything
    that cannot be drawn.
    """
    _check_start(start)
    run = RunCurves(name, steps, series, color)
    rows = np.column_stack([run.steps, *run.series.values()])
    return _message("curves", name, start, ("step", *run.series), rows, color)


def followed(request: Follow) -> Message:
    """The plane is turned to the runs."""
    return {"v": VERSION, "k": "followed", "client": request.client, "req": request.req}, []


def measured(request: Measure) -> Message:
    """The quantity is told with the curves of the runs from now on."""
    return {"v": VERSION, "k": "measured", "client": request.client, "req": request.req}, []


_PATH = ("a", "b", "step", "distance", "loss")


def _check_start(start: int) -> None:
    if not isinstance(start, int | np.integer) or start < 0:
        raise ValueError(f"start is {start!r}. Pass the number of the first row, 0 or more.")


def _message(
    kind: str,
    name: str,
    start: int,
    columns: tuple[str, ...],
    rows: np.ndarray,
    color: str | None,
    **more: Any,
) -> Message:
    head = {
        "v": VERSION,
        "k": kind,
        "name": name,
        **more,
        "from": int(start),
        "n": len(rows),
        "columns": list(columns),
    }
    if color is not None:
        head["color"] = color
    return head, [rows.astype("<f8").tobytes()]
