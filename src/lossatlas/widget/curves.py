"""Curves: what was recorded of a run beside where it went, as it travels to the page: loss, learning rate, sharpness …"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas.widget.paths import check_colour, jsonable, numbers

#: Series that the page knows how to draw together; any other name is a panel of its own.
LOSS, VALIDATION, SHARPNESS, LIMIT = "loss", "validation", "sharpness", "limit"

_FORM = 'Pass a list of {"name": "SGD", "steps": [0, 1, …], "series": {"loss": […], "lr": […]}}, with "color" where it is known.'


@dataclass(frozen=True, eq=False)
class RunCurves:
    """What was recorded of one run. steps: (T,), ascending; series: (T,) each, by name, NaN where a step has no value;
    color: of CSS, None for that of the path of the same name, or one that is told from the others.

    "loss" and "validation" are drawn as one panel, "sharpness" against "limit", beyond which steps grow; others each in
    their own. Raises ValueError for anything that cannot be drawn.
    """

    name: str
    steps: np.ndarray
    series: Mapping[str, np.ndarray]
    color: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ValueError("its name is no text.")
        put = object.__setattr__
        put(self, "steps", numbers("steps", self.steps))
        if self.steps.ndim != 1:
            raise ValueError(f"steps have the shape {self.steps.shape}, not (T,).")
        if (np.diff(self.steps) < 0).any():
            raise ValueError("its steps do not ascend.")
        if not isinstance(self.series, Mapping) or not all(isinstance(name, str) for name in self.series):
            raise ValueError("its series are no mapping of names to numbers.")
        series = {
            name: numbers(f"series {name!r}", values, finite=False) for name, values in self.series.items()
        }
        for name, values in series.items():
            if values.shape != self.steps.shape:
                raise ValueError(
                    f"series {name!r} has the shape {values.shape}, where the steps ask for ({len(self.steps)},)."
                )
        if "step" in series:
            raise ValueError("a series is called 'step'. The steps have that name already: give it another.")
        put(self, "series", series)
        check_colour(self.color)

    def head(self) -> dict[str, Any]:
        """As it travels in the trait."""
        series = {name: jsonable(values) for name, values in self.series.items()}
        return {"name": self.name, "color": self.color, "steps": self.steps.tolist(), "series": series}


def parse_runs(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Runs as the trait holds them, each name once. Raises ValueError naming the first that is none."""
    parsed: list[dict[str, Any]] = []
    for at, run in enumerate(runs):
        try:
            parsed.append(RunCurves(**run).head())
        except (TypeError, ValueError) as error:
            raise ValueError(f"runs[{at}] is no run: {error} {_FORM}") from None
        if any(run["name"] == other["name"] for other in parsed[:-1]):
            raise ValueError(
                f"runs[{at}] is called {run['name']!r} like another one. Give each a name of its own."
            )
    return parsed
