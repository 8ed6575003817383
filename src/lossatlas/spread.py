"""Spread: how much of a picture is the draw of its random directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas.geometry import Plane
from lossatlas.landscape import Landscape
from lossatlas.objective import Objective

_RADII = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, eq=False)
class Spread:
    """How far the loss rises around θ in the random planes of S seeds, at R radii.

    seeds: (S,). radii: (R,) in units of the axes. rise: (S, R) float64, the mean of L at (±r, 0) and (0, ±r) of each
    seed's plane, less L at θ. mean, low, high: (R,), the mean and the range over the seeds; ratio: (R,), the standard
    deviation over the seeds relative to the mean.

    On a quadratic rise is ¼ r² (uᵀHu + vᵀHv), whose expectation over the draw is ½ r² Σ_f (‖w_f‖² / n_f) tr H_ff.
    """

    seeds: np.ndarray
    radii: np.ndarray
    rise: np.ndarray
    value: float  # the loss at θ

    @property
    def mean(self) -> np.ndarray:
        """The mean rise over the seeds, (R,)."""
        return np.asarray(self.rise.mean(axis=0))

    @property
    def low(self) -> np.ndarray:
        """The smallest rise of any seed, (R,)."""
        return np.asarray(self.rise.min(axis=0))

    @property
    def high(self) -> np.ndarray:
        """The largest rise of any seed, (R,)."""
        return np.asarray(self.rise.max(axis=0))

    @property
    def ratio(self) -> np.ndarray:
        """The standard deviation over the seeds relative to the mean, (R,); NaN where the mean is 0 or of one seed."""
        if len(self.seeds) < 2:
            return np.full(len(self.radii), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.rise.std(axis=0, ddof=1) / np.abs(self.mean)
        return np.where(self.mean == 0, np.nan, ratio)

    def __str__(self) -> str:
        said = [
            f"at radius {radius:g} by {mean:.4g} ({low:.4g} to {high:.4g})"
            for radius, mean, low, high in zip(self.radii, self.mean, self.low, self.high, strict=True)
        ]
        return (
            f"In the random planes of {len(self.seeds)} seeds the loss rises from {self.value:.4g} on average (smallest to "
            f"largest of the seeds) {', '.join(said)}."
        )


def spread(
    objective: Objective, seeds: int | Sequence[int] = 8, *, radii: Sequence[float] = _RADII, **options: Any
) -> Spread:
    """How much of a picture is the draw of the directions: the rise of the loss around θ over several seeds.

    seeds: how many, from 0, or a list of them; radii: in units of the axes; options: as for `Plane.random`. Takes
    4 × len(radii) evaluations per seed, and one plane in memory at a time. Raises TypeError or ValueError for seeds and
    radii that are none, EvaluationError when the model raises.
    """
    numbers = _seeds(seeds)
    distances = np.asarray(radii, dtype=float).ravel()
    if not distances.size or not (np.isfinite(distances) & (distances > 0)).all():
        raise ValueError(f"radii is {radii!r}. Pass finite numbers above 0.")
    ring = np.concatenate([np.stack([distances, -distances]), np.zeros((2, distances.size))])
    rows = []
    for seed in numbers:
        landscape = Landscape(objective, Plane.random(objective, seed, **options))
        value = float(landscape.evaluate(0.0, 0.0))
        rows.append(landscape.evaluate(ring, ring[::-1]).mean(axis=0) - value)
    return Spread(np.array(numbers), distances, np.stack(rows), value)


def _seeds(seeds: Any) -> list[int]:
    whole = not isinstance(seeds, bool) and hasattr(seeds, "__index__")
    if isinstance(seeds, str) or not (whole or hasattr(seeds, "__iter__")):
        raise TypeError(f"seeds is {seeds!r}. Pass a number of seeds or a list of them.")
    numbers = list(range(int(seeds))) if whole else list(seeds)
    if not numbers:
        raise ValueError(f"seeds is {seeds!r}: there is none. Pass at least 1.")
    return numbers
