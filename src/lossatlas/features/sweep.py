"""Sweep: one optimizer from one point at many learning rates, and the rate from which on it runs away."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas import jobs
from lossatlas.curvature import Products, Stability, Study, principal, stability_of
from lossatlas.curvature.stability import rate_limit
from lossatlas.features.descent import Descent, Drop
from lossatlas.features.stepping import Choice, rate_of
from lossatlas.geometry import Line, Plane
from lossatlas.geometry.frame import Frame
from lossatlas.objective import EvaluationError, Objective

# Rates about a limit, eight to a power of ten, none of them the limit itself.
_ABOUT_LIMIT = 10.0 ** ((np.arange(-12, 4) + 0.5) / 8)

# Rates about the usual one where there is no limit, four to a power of ten.
_ABOUT_USUAL = 10.0 ** (np.arange(-8, 9) / 4)


@dataclass(frozen=True, eq=False)
class Sweep:
    """Descents from one point by one optimizer, one for each learning rate, ascending.

    sharpness: λmax of the Hessian at the start, of the slice's own where the ball was confined to it; NaN where there is no line.
    stability: the learning rate beyond which steps do not come back from there, 2 / λmax of plain descent, with its formula; or
    why there is none, in words. It is the line of the quadratic at the start: elsewhere λmax is another.
    """

    name: str
    descents: tuple[Descent, ...]
    lrs: np.ndarray
    sharpness: float
    stability: Stability

    @property
    def limit(self) -> float | None:
        """The rate that `stability` gives; None where there is no line."""
        return self.stability.limit

    @property
    def start_loss(self) -> float:
        """The loss of all data where they start."""
        return self.descents[0].start_loss

    @property
    def end_loss(self) -> np.ndarray:
        """The loss of all data at each end, (L,); NaN where the parameters are not finite."""
        return np.array([descent.end_loss for descent in self.descents])

    @property
    def diverged(self) -> np.ndarray:
        """Which rates ran away, (L,) bool."""
        return np.array([descent.diverged for descent in self.descents])

    @property
    def edge(self) -> tuple[float | None, float | None]:
        """The largest rate that did not run away, and the smallest that did; None where there is none."""
        stayed, left = self.lrs[~self.diverged], self.lrs[self.diverged]
        return (
            float(stayed.max()) if len(stayed) else None,
            float(left.min()) if len(left) else None,
        )

    def __repr__(self) -> str:
        stayed, left = ("none" if lr is None else f"{lr:.4g}" for lr in self.edge)
        limit = f"{self.stability.label} = {self.limit:.4g}" if self.limit is not None else "no line"
        return f"Sweep({self.name}: {len(self.lrs)} rates, {stayed} stays, {left} runs away; {limit})"


class Sweeping:
    """A sweep: `run` it as a job; `drops` are its balls as soon as their rates, `lrs`, are known.

    lrs: learning rates, by default 16 about the limit of stability at the start, or 17 about the usual rate where there is none.
    keep, every: as of `Drop`; by default only the ends are kept, and no parameters. options: as of `Drop`. Raises TypeError or
    ValueError as `Drop` does, and for rates that are none.
    """

    def __init__(
        self, objective: Objective, where: Plane | Line, at: Any = (0.0, 0.0), optimizer: Choice = "sgd",
        lrs: Sequence[float] | None = None, *, steps: int = 100, every: int | None = None, keep: bool = False,
        schedule: Any = None, **options: Any,
    ) -> None:  # fmt: skip
        if "lr" in options:
            raise TypeError("A sweep has many rates. Pass lrs=[…] instead of lr.")
        options |= {
            "steps": steps, "every": steps if every is None else every, "keep": keep, "schedule": schedule,
        }  # fmt: skip
        rates = None if lrs is None else _rates(lrs)
        self._given = None if rates is None else np.array(rates)
        self._make = lambda lr: Drop(objective, where, at, optimizer, lr=lr, **options)
        self._first = self._make(None if rates is None else rates[0])  # a wrong call raises here
        self._scheduled = schedule is not None
        self.lrs: np.ndarray = np.zeros(0)
        self.drops: tuple[Drop, ...] = ()
        self.sharpness = math.nan
        self.stability = stability_of(self._first.optimizer, self._first.full_batch)

    def run(self) -> Generator[None, None, Sweep]:
        """All of it, as a job; free threads take part. Raises EvaluationError when the model raises."""
        yield from self._draw_line()
        rates = self._given
        if rates is None and self.stability.limit is not None:
            rates = self.stability.limit * _ABOUT_LIMIT
        elif rates is None:
            rates = rate_of(self._first.optimizer) * _ABOUT_USUAL
        self.lrs = np.array(rates)
        self.drops = tuple(self._make(float(rate)) for rate in rates)
        descents = yield from jobs.gather([drop.run() for drop in self.drops])
        name = self._first.name.replace(f" · lr {rate_of(self._first.optimizer):.4g}", "")
        return Sweep(name, tuple(descents), self.lrs, self.sharpness, self.stability)

    def _draw_line(self) -> Generator[None, None, None]:
        """Find λmax at the start, and the rate that it allows."""
        first = self._first
        if self._scheduled and self.stability.limit is not None:
            self.stability = Stability(None, "", "The rate changes along its schedule: there is no one line.")
        if self.stability.limit is None:
            return
        try:
            if first.confined:
                self.sharpness = yield from _slice_sharpness(first.objective, first.where, first.theta)
            else:
                study = Study(first.objective, first.theta, top=1, bottom=0)
                self.sharpness = float((yield from study.run()).eigenvalues[0])
        except (ValueError, EvaluationError) as error:
            self.stability = Stability(None, "", str(error))
            return
        self.stability = rate_limit(first.optimizer, self.sharpness, first.full_batch)


def _slice_sharpness(
    objective: Objective, where: Plane | Line, theta: Tensor
) -> Generator[None, None, float]:
    """The largest curvature of a slice per unit of length in parameter space."""
    hessian, frame = Products(objective, theta), Frame(where)
    columns = []
    for direction in where.directions:
        product: Tensor = yield from hessian.times(direction)
        columns.append(frame.products(product))
    matrix = np.stack(columns, axis=1)
    return float(principal((matrix + matrix.T) / 2, frame.r.T @ frame.r)[0][0])


def _rates(lrs: Any) -> list[float]:
    """Learning rates, ascending. Raises ValueError for what is none."""
    try:
        rates = sorted(float(rate) for rate in (lrs.tolist() if isinstance(lrs, torch.Tensor) else lrs))
    except (TypeError, ValueError):
        raise ValueError(f"lrs is {lrs!r}. Pass learning rates, as in [0.01, 0.1, 1.0].") from None
    if not rates or not 0 < rates[0] <= rates[-1] < math.inf:  # NaN neither
        raise ValueError(f"lrs is {lrs!r}. Pass at least one learning rate: finite numbers above 0.")
    return rates
