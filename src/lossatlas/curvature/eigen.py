"""Eigenvectors of the Hessian by number, as directions of a plane."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lossatlas import jobs
from lossatlas.curvature.dense import DENSE
from lossatlas.curvature.study import Study
from lossatlas.objective import Objective

# Eigenvectors from the ends inwards that a Krylov process is asked for.
_MOST = 100


def eigen_of(objective: Objective, numbers: Sequence[int]) -> list[tuple[float, Tensor]]:
    """Eigenvalues by number, 0 the algebraically largest and −1 the smallest, with unit eigenvectors, at the objective's θ.

    Raises ValueError for a number that there is not or that does not converge, and where the Hessian is not finite,
    EvaluationError when the model raises.
    """
    size = objective.size
    for number in numbers:
        if isinstance(number, bool) or not hasattr(number, "__index__") or not -size <= int(number) < size:
            raise ValueError(
                f"There is no eigenvector {number!r}. Pass a whole number: 0 is the top one, −1 the bottom one of {size}."
            )
    top = max([int(number) + 1 for number in numbers if number >= 0], default=0)
    bottom = max([-int(number) for number in numbers if number < 0], default=0)
    if size > DENSE and top + bottom > _MOST:
        raise ValueError(
            f"Eigenvectors {sorted(map(int, numbers))} of {size} lie too deep in the spectrum. Beyond P = {DENSE} choose among "
            f"the outermost {_MOST}."
        )
    found = jobs.call(Study(objective, objective.theta, top, bottom).run())
    for number in numbers:
        if not found.converged[int(number)]:
            raise ValueError(
                f"Eigenvector {int(number)} has not converged after {found.products} products: its residual is "
                f"{found.residuals[int(number)]:.2g}. Choose one nearer to an end of the spectrum."
            )
    vectors = found.eigenvectors
    return [(float(found.eigenvalues[int(number)]), vectors[:, int(number)].clone()) for number in numbers]
