"""Principal components of a trajectory, beside what a random walk would show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lossatlas.geometry.vectors import dot, upright

# Columns that are held in float64 at a time.
_COLUMNS = 1 << 16


@dataclass(frozen=True, eq=False)
class Components:
    """The first two principal components of a path about its mean: unit vectors (P,), shares of the variance (2,)."""

    vectors: tuple[Tensor, Tensor]
    explained: np.ndarray
    null: np.ndarray  # of a random walk of as many steps


def components_of(thetas: Tensor) -> Components:
    """The first two principal components of the rows of thetas, (T, P), T ≥ 3, about their mean.

    By the (T, T) Gram matrix in float64. Sign: the largest component is positive. Raises ValueError when the rows lie
    on one point or one line.
    """
    count = len(thetas)
    if count < 3:
        raise ValueError(
            f"The trajectory has {count} point{'s' * (count != 1)}, which span no plane. Pass at least 3, or use "
            "Line.between for two."
        )
    gram = sum((c @ c.T for c in map(_centred, thetas.split(_COLUMNS, dim=1))), start=torch.zeros(()))
    values, weights = torch.linalg.eigh(gram)
    values, weights = values.flip(0).clamp(min=0), weights.flip(1)
    # The rounding of the path, and of its Gram matrix, which would be drawn as its second component.
    eps, largest = torch.finfo(thetas.dtype).eps, max(dot(row, row) for row in thetas)
    noise = count * max(eps**2 * largest, 4 * torch.finfo(torch.float64).eps * float(values[0]))
    if float(values[1]) <= noise:
        where = "at one point" if float(values[0]) <= noise else "on one line"
        raise ValueError(
            f"The {count} points of the trajectory lie {where}, so they span no plane. Record more steps, or use "
            "Line.between."
        )
    vectors = torch.cat([_centred(c).T @ weights[:, :2] for c in thetas.split(_COLUMNS, dim=1)])
    vectors = vectors / vectors.norm(dim=0)
    u, v = (upright(vectors[:, k].contiguous()).to(thetas.dtype) for k in (0, 1))
    return Components((u, v), (values[:2] / values.sum()).cpu().numpy(), random_walk_shares(count)[:2])


def random_walk_shares(points: int) -> np.ndarray:
    """What each component of a random walk of so many points explains, about its mean, in many dimensions.

    Exact: the centred Gram matrix of the walk is the pseudo-inverse of a path's Laplacian, whose eigenvalues are
    4 sin²(πk / 2T). For many points 6 / (π² k²): 60.8 %, 15.2 %, … (Antognini and Sohl-Dickstein 2018).
    """
    variances = np.sin(np.pi * np.arange(1, points) / (2 * points)) ** -2.0
    return np.asarray(variances / variances.sum())


def _centred(columns: Tensor) -> Tensor:
    exact = columns.to(torch.float64)
    return exact - exact.mean(dim=0)
