"""The dense Hessian of a small objective, exact by autograd."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from lossatlas import jobs
from lossatlas.objective import EvaluationError, Objective
from lossatlas.objective.data import Batch
from lossatlas.objective.replica import ModelReplica

#: The largest P whose P × P Hessian is made: 50 MB in float64, and P backward passes.
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

    def work() -> Generator[None, None, Tensor]:
        total = torch.zeros(objective.size, objective.size, dtype=torch.float64)
        with objective.replica() as replica:
            weights = 0.0
            for look, loss in _losses(replica):
                leaf = theta.detach().clone().requires_grad_(True)
                with look, torch.enable_grad():
                    weight, value = loss(leaf)
                    (gradient,) = torch.autograd.grad(value, leaf, create_graph=True)
                    for row in range(objective.size if gradient.requires_grad else 0):
                        (product,) = torch.autograd.grad(
                            gradient[row], leaf, retain_graph=True, allow_unused=True, materialize_grads=True
                        )
                        total[row] += weight * product.to("cpu", torch.float64)
                weights += weight
                yield
            decay = getattr(replica, "decay", 0.0)
        return total / weights + decay * torch.eye(objective.size, dtype=torch.float64)

    try:
        hessian = jobs.call(work())
    except RuntimeError as error:
        raise EvaluationError(
            f"The Hessian cannot be taken: {str(error).splitlines()[0].rstrip('.')}. Fused attention has no second "
            "derivative: if that is the cause, call this inside torch.nn.attention.sdpa_kernel(SDPBackend.MATH)."
        ) from error
    bad = int((~torch.isfinite(hessian)).sum())
    if bad:
        raise ValueError(f"The Hessian holds {bad} non-finite values. Look at a point where it is finite.")
    return (hessian + hessian.T) / 2


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


def _losses(
    replica: Any,
) -> Iterator[tuple[AbstractContextManager[Any], Callable[[Tensor], tuple[float, Any]]]]:
    """For every chunk what must hold while it is looked at, and its weight and loss as a function of a flat vector."""
    if not isinstance(replica, ModelReplica):
        yield replica._lock, lambda leaf: (1.0, replica.f(leaf))  # which is shared: one caller at a time
        return
    if replica.estimation:
        raise ValueError(
            "There is no Hessian of a loss whose running statistics are estimated anew at every point. Use "
            "mode='batch_stats' or mode='eval'."
        )
    for known, chunk in replica.counting():

        def loss(leaf: Tensor, known: float | None = known, chunk: Batch = chunk) -> tuple[float, Any]:
            said, fields = replica.at(leaf, chunk)
            return (said or 0.0) if known is None else known, fields[0]

        yield replica.looking_at(chunk), loss
