"""Shadow: a recorded run as it falls onto a plane, with how far each point is from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossatlas.geometry.frame import Frame
from lossatlas.geometry.trajectory import Trajectory
from lossatlas.objective import ParameterSpace


@dataclass(frozen=True, eq=False)
class Shadow:
    """The points of a plane that are nearest to the T rows of a trajectory.

    points: (T, 2), b is 0 on a line; distance: (T,), from each row to its point, in units of ‖θ‖: what the map shows there is
    the loss at the point, not at the row. steps: (T,); loss: (T,), what was recorded, NaN where nothing was.
    """

    points: np.ndarray
    distance: np.ndarray
    steps: np.ndarray
    loss: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)


def shadow_of(trajectory: Trajectory, frame: Frame, space: ParameterSpace) -> Shadow:
    """The nearest points of a plane or line, by least squares in float64, in two readings of what was kept.

    frame: of the plane; space: what its vectors hold. Raises ValueError for the trajectory of another model.
    """

    points, distance = frame.nearest(lambda: trajectory.blocks(space))
    if points.shape[1] == 1:
        points = np.hstack([points, np.zeros_like(points)])
    return Shadow(points, distance, trajectory.steps, trajectory.loss)
