"""A run as figures: learning curves, and any two quantities against each other; methods of Trajectory, put there by the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lossatlas.geometry import Trajectory
from lossatlas.geometry.quantities import quantity


def figure(
    trajectory: Trajectory,
    *others: Trajectory,
    names: Sequence[str] | None = None,
    title: str = "",
    theme: str = "light",
) -> Any:
    """Learning curves as a Plotly figure: loss, metrics and learning rate by step, on axes of their own; others: runs beside this.

    Drawn is what was told at every step, also where parameters were not kept. names: of the runs; theme: "light" or "dark". Raises
    TypeError or ValueError for what is none of these.
    """
    from lossatlas.figures.learning import Run, curves_figure

    runs = [
        Run(name, run.told.steps, run.told.by_name)
        for name, run in _named("figure", (trajectory, *others), names)
    ]
    return curves_figure(runs, title=title, theme=theme)


def scatter(
    trajectory: Trajectory,
    x: str,
    y: str,
    *others: Trajectory,
    color: str = "loss",
    names: Sequence[str] | None = None,
    title: str = "",
    theme: str = "light",
    colormap: str = "viridis",
) -> Any:
    """Two quantities of the kept steps against each other as a Plotly figure, coloured by a third.

    x, y, color: "step", "loss", "lr", a metric, "norm" of all parameters, "norm:0.*" of the tensors whose names match, or a
    single parameter such as "0.weight[3, 5]". others: runs beside this one; names: of the runs. Raises TypeError or ValueError
    for what is none of these, also where a run lacks it.
    """
    from lossatlas.figures.colours import lookup_table
    from lossatlas.figures.learning import look_of
    from lossatlas.figures.scatter import Points, scatter_figure

    look_of(theme)
    lookup_table(colormap)
    points, labels = [], ("", "", "")
    for name, run in _named("scatter", (trajectory, *others), names):
        (at_x, xs), (at_y, ys), (by, colours) = (quantity(run, which) for which in (x, y, color))
        points.append(Points(name, run.steps, xs, ys, colours))
        labels = (at_x, at_y, by)
    return scatter_figure(points, labels, title=title, theme=theme, colormap=colormap)


def _named(caller: str, runs: Sequence[Any], names: Sequence[str] | None) -> list[tuple[str, Trajectory]]:
    """Runs with their names, by default run 1, run 2, …"""
    for run in runs:
        if not isinstance(run, Trajectory):
            raise TypeError(
                f"{caller} got a {type(run).__name__}. Pass trajectories, as of recorder.trajectory."
            )
    if names is None:
        names = [f"run {k + 1}" for k in range(len(runs))]
    if isinstance(names, str) or len(names) != len(runs):
        raise ValueError(f"names is {names!r}, but there are {len(runs)} runs. Pass a name for each.")
    return list(zip(map(str, names), runs, strict=True))
