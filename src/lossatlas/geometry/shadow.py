"""Shadow: a recorded run as it falls onto a plane, with how far each point is from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lossatlas.geometry.slice import Slice
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


def shadow_of(trajectory: Trajectory, slice_: Slice, space: ParameterSpace) -> Shadow:
    """The nearest points of a plane or line, by least squares in float64, in two readings of what was kept.

    space: what the plane's vectors hold. Raises ValueError for the trajectory of another model.
    """

    def blocks() -> Iterable[Tensor]:
        return trajectory.blocks(space)

    points, distance = nearest(blocks, slice_)
    if points.shape[1] == 1:
        points = np.hstack([points, np.zeros_like(points)])
    return Shadow(points, distance, trajectory.steps, trajectory.loss)


def nearest(blocks: Callable[[], Iterable[Tensor]], slice_: Slice) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates, (T, d), of the points nearest to the rows that come in blocks of columns, and their distances, (T,)."""
    directions = [direction.to("cpu", torch.float64) for direction in slice_.directions]
    lengths = torch.stack([direction.norm() for direction in directions])
    # Of an orthonormal basis: normal equations would lose half of the digits of nearly parallel directions.
    basis, to = torch.linalg.qr(
        torch.stack([d / length for d, length in zip(directions, lengths, strict=True)], dim=1)
    )
    origin = slice_.origin.to("cpu", torch.float64)
    along = sum(away @ part for away, part in _away(blocks(), origin, basis))
    assert isinstance(along, Tensor)
    left = sum((away - along @ part.T).square().sum(dim=1) for away, part in _away(blocks(), origin, basis))
    assert isinstance(left, Tensor)
    at = torch.linalg.solve_triangular(to, along.T, upper=True).T / lengths
    return at.numpy(), left.sqrt().numpy()


def _away(blocks: Iterable[Tensor], origin: Tensor, basis: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
    start = 0
    for block in blocks:
        stop = start + block.shape[1]
        yield block - origin[start:stop], basis[start:stop]
        start = stop
