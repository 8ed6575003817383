"""The dense Hessian of a small objective, exact to rounding."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from lossatlas import jobs
from lossatlas.curvature.products import Hessian
from lossatlas.objective import Objective

#: The largest P whose P × P Hessian is made: 50 MB in float64, and P products.
DENSE = 2500


def hessian_of(objective: Objective, theta: Tensor) -> Tensor:
    """The Hessian of the loss at theta, (P,) -> (P, P) float64, symmetric.

    Raises ValueError beyond P = 2500 and where it is not finite, EvaluationError when autograd or the model raises.
    """
    if objective.size > DENSE:
        raise ValueError(
            f"The dense Hessian of P = {objective.size} parameters does not fit: at most {DENSE}. Choose a direction "
            "that needs none, such as Plane.gradient."
        )
    found = jobs.call(dense(Hessian(objective, theta)))
    bad = int((~torch.isfinite(found)).sum())
    if bad:
        raise ValueError(f"The Hessian holds {bad} non-finite values. Look at a point where it is finite.")
    return found


def dense(hessian: Hessian) -> Generator[None, None, Tensor]:
    """All columns, (P, P) float64 on the CPU, made symmetric; yields between products."""
    size = len(hessian.theta)
    found = torch.empty(size, size, dtype=torch.float64)
    unit = torch.zeros_like(hessian.theta)
    for column in range(size):
        unit[column] = 1.0
        found[:, column] = (yield from hessian.times(unit)).to("cpu", torch.float64)
        unit[column] = 0.0
        yield
    return (found + found.T) / 2


def eigen_of(objective: Objective, numbers: Sequence[int]) -> list[tuple[float, Tensor]]:
    """Eigenvalues by number, algebraically largest first, and their unit eigenvectors, at the objective's θ."""
    size = objective.size
    for number in numbers:
        if isinstance(number, bool) or not hasattr(number, "__index__") or not -size <= int(number) < size:
            raise ValueError(
                f"There is no eigenvector {number!r}. Pass a whole number: 0 is the top one, −1 the bottom one of {size}."
            )
    values, vectors = torch.linalg.eigh(hessian_of(objective, objective.theta))
    indices = [size - 1 - int(number) % size for number in numbers]
    return [(float(values[i]), vectors[:, i].to(objective.device, objective.dtype)) for i in indices]
