"""Following: a recorded run as it falls onto the plane of a landscape, also while it is being recorded."""

from __future__ import annotations

import numpy as np
import torch

from lossatlas.features import Recorder
from lossatlas.geometry import Direction, Plane, Shadow, Trajectory, shadow_of
from lossatlas.geometry.trajectory import Curves
from lossatlas.landscape import Landscape
from lossatlas.objective import ParameterSpace


def project(landscape: Landscape, run: Trajectory | Recorder) -> Shadow:
    """A run on this plane: the points nearest to its parameters, (T, 2), and how far each is from the plane, (T,).

    By least squares in float64. Raises TypeError for what is no run, and ValueError for one of another model or of sketches.
    """
    trajectory = run.trajectory if isinstance(run, Recorder) else run
    if not isinstance(trajectory, Trajectory):
        raise TypeError(f"run is a {type(run).__name__}. Pass a Trajectory or a Recorder.")
    return shadow_of(trajectory, landscape.slice, landscape.objective.parameters)


# What a view of a run shows, as a multiple of the run.
_ROOM = 1.4


class Followed:
    """A run that is looked at again and again. Raises TypeError for what is no run, ValueError where it has no parameters."""

    def __init__(self, run: Trajectory | Recorder) -> None:
        if not isinstance(run, (Trajectory, Recorder)):
            raise TypeError(f"The run is a {type(run).__name__}. Pass a Recorder or a Trajectory.")
        self.run = run
        self.recorder = run if isinstance(run, Recorder) else None

    @property
    def ended(self) -> bool:
        """Whether nothing is added to it any more."""
        return self.recorder is None or self.recorder.closed

    @property
    def curves(self) -> Curves:
        """What was told at each step so far."""
        if isinstance(self.run, Recorder):
            return self.run.curves
        run = self.run
        return run.curves or Curves(run.steps, run.loss, run.lr, run.metrics)

    def since(self, step: int, landscape: Landscape, most: int) -> Shadow:
        """The first `most` kept steps after this one, on the plane of the landscape."""
        space: ParameterSpace | None
        if isinstance(self.run, Recorder):
            found = self.run.since(step, most)
            steps = np.array([number for number, _ in found], dtype=np.int64)
            if not found:
                return Shadow(np.zeros((0, 2)), np.zeros(0), steps, np.zeros(0))
            rows, space = torch.stack([row for _, row in found]), self.run.space
            loss = self.run.curves.loss[steps]
        else:
            at = slice(start := int(np.searchsorted(self.run.steps, step, side="right")), start + most)
            steps, loss, space = self.run.steps[at], self.run.loss[at], self.run.space
            rows = torch.stack([self.run.row(k) for k in range(len(self.run))[at]] or [self.run.row(0)])[
                : len(steps)
            ]
        if not len(steps):
            return Shadow(np.zeros((0, 2)), np.zeros(0), steps, np.zeros(0))
        part = Trajectory(rows, steps, loss, np.full(len(steps), np.nan), {}, space)
        return shadow_of(part, landscape.slice, landscape.objective.parameters)

    def plane(self, landscape: Landscape) -> tuple[Direction, Direction]:
        """The principal components of the run so far, as directions. Raises ValueError where it spans no plane."""
        trajectory = self.run.trajectory if isinstance(self.run, Recorder) else self.run
        plane = Plane.pca(landscape.objective, trajectory)
        last = int(trajectory.steps[-1])
        assert plane.variance_explained is not None
        made = [
            Direction.own(vector, f"component {k + 1} to step {last}")
            for k, vector in enumerate((plane.u, plane.v))
        ]
        first, second = (
            Direction(one.vector, one.name, one.recipe, about)
            for one, about in zip(made, plane.about, strict=True)
        )
        return first, second

    def view(self, landscape: Landscape) -> dict[str, object]:
        """Where the run lies on this plane: the centre and the width in a that hold it, with some room about it."""
        shadow = project(landscape, self.run)
        low, high = shadow.points.min(axis=0), shadow.points.max(axis=0)
        # A frame is about as high as it is wide, or less high.
        span = _ROOM * max(float(high[0] - low[0]), 1.6 * float(high[1] - low[1])) or 1.0
        return {"center": ((low + high) / 2).tolist(), "span": span}
