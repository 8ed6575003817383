"""Closeup: what is measured at one point of a landscape, in the order in which it is known."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
import torch

from lossatlas.curvature import Jet, Spectrum, Study, jet_at, with_differences
from lossatlas.geometry import theta_at
from lossatlas.landscape import Landscape

# The step of second differences, as a share of the width of what is looked at.
_STEP = 1 / 16


class Closeup:
    """A point (a, b) of a landscape, b = 0 on a line: loss and gradient, curvature of the slice, then the whole spectrum.

    span: the width in a of what is looked at, a 16th of which is the step of the second differences; near: the spectrum of
    a point nearby, to start from; top, bottom: how many of the extreme eigenvalues. Raises ValueError for a point beyond the dtype and where there is no Hessian.
    """

    def __init__(
        self, landscape: Landscape, at: tuple[float, float], span: float, top: int = 5, bottom: int = 2, *,
        near: Spectrum | None = None,
    ) -> None:  # fmt: skip
        self.landscape, self.at, self.step = landscape, at, span * _STEP
        self.theta = theta_at(landscape.slice, at)
        self.study = Study(landscape.objective, self.theta, top, bottom, near=near)
        self.jet: Jet | None = None

    def run(self) -> Generator[None, None, Spectrum]:
        """All of it, as a job: `jet` first, then what `study` tells. Raises EvaluationError and ValueError."""
        yield from self.look()
        return (yield from self.study.run())

    def look(self) -> Generator[None, None, Jet]:
        """The slice alone, as a job: `jet` is set as soon as it is known, and again with its differences."""
        directions = self.landscape.slice.directions
        self.jet = yield from jet_at(self.study.hessian, directions, self.at, self.step, self._values)
        yield
        epsilon = float(torch.finfo(self.landscape.objective.dtype).eps) / 2
        self.jet = yield from with_differences(self.jet, self._values, epsilon)
        yield
        return self.jet

    def _values(self, points: Sequence[tuple[float, float]]) -> Generator[None, None, np.ndarray]:
        yield from self.landscape.work(points)
        values = []
        for point in points:
            fields = yield from self.landscape.at(*point)
            values.append(fields[self.landscape.objective.fields[0]])
        return np.array(values)
