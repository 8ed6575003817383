"""The jet: what a loss does to second order at a point of a plane or a line, and what it does at the scale of a view.

Autograd's Hessian is that of the point. It does not count the kinks of a rectifier, which the map shows; second
differences over a step count everything between their nodes. Where the two differ, the picture is not a parabola.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lossatlas.curvature.errors import NotFinite
from lossatlas.curvature.principal import principal
from lossatlas.curvature.products import Products

Point = tuple[float, float]

#: Exact values of the loss at points (a, b), as a job.
Evaluate = Callable[[Sequence[Point]], Generator[None, None, np.ndarray]]

# More apart, as a share of the larger one, they are said to differ.
_APART = 0.1


@dataclass(frozen=True, eq=False)
class Jet:
    """Loss, gradient and curvature at a point of a slice of d dimensions: 2 of a plane, 1 of a line.

    at: where, (a, b); loss; gradient_norm: ‖∇L‖ in the whole space; slope: (d,) its derivatives along u and v;
    gradient_in_slice: the length of its part in the slice; hessian: (d, d) [uᵀHu uᵀHv; · vᵀHv] by autograd;
    differences: (d, d) the same by second differences over `step`, None until they are known; gram: (d, d)
    [u·u u·v; · v·v]. hessian and differences are per unit of a and b, curvatures per unit of length in parameter space.
    """

    at: Point
    loss: float
    gradient_norm: float
    slope: np.ndarray
    gradient_in_slice: float
    hessian: np.ndarray
    gram: np.ndarray
    step: float
    differences: np.ndarray | None = None

    @property
    def curvatures(self) -> np.ndarray:
        """The principal curvatures of the slice at the point, (d,) descending: between the extremes of the whole space."""
        return principal(self.hessian, self.gram)[0]

    @property
    def axes(self) -> np.ndarray:
        """The principal directions, (d, d): columns of (a, b), one unit of length in parameter space each."""
        return principal(self.hessian, self.gram)[1]

    @property
    def curvatures_at_scale(self) -> np.ndarray | None:
        """The principal curvatures by second differences, (d,) descending: what the map shows over `step`."""
        return None if self.differences is None else principal(self.differences, self.gram)[0]

    @property
    def kinked(self) -> bool:
        """Whether the two differ by more than 10 % of the larger one."""
        found = self.curvatures_at_scale
        if found is None:
            return False
        largest = max(float(np.abs(found).max()), float(np.abs(self.curvatures).max()))
        return bool(np.abs(found - self.curvatures).max() > _APART * largest)


def jet_at(
    hessian: Products, directions: Sequence[Tensor], at: Point, step: float, evaluate: Evaluate
) -> Generator[None, None, Jet]:
    """The jet at hessian.theta, which lies at `at`, without its differences, as a job: a gradient and d products.

    hessian: anything with `objective`, `theta` and `times(v)`.
    directions: u and v of a plane, u of a line, (P,) each; step: of the second differences, in a and b. Raises
    EvaluationError when the model raises, ValueError where the Hessian does not exist.
    """
    wide = [direction.double() for direction in directions]
    (value,) = yield from evaluate([at])
    yield
    gradient = (yield from hessian.objective.gradient_work(hessian.theta)).double()
    yield
    slope = np.array([float(direction @ gradient) for direction in wide])
    gram = np.array([[float(p @ q) for q in wide] for p in wide])
    image = []
    for direction in directions:
        try:
            image.append((yield from hessian.times(direction)).double())
        except NotFinite:
            image.append(torch.full_like(hessian.theta, torch.nan, dtype=torch.float64))
        yield
    found = np.array([[float(p @ q) for q in image] for p in wide])
    return Jet(
        at, float(value), float(gradient.norm()), slope, _length_in(slope, gram), (found + found.T) / 2, gram, step
    )  # fmt: skip


def with_differences(jet: Jet, evaluate: Evaluate) -> Generator[None, None, Jet]:
    """The jet with its second differences, as a job: 8 values around the point of a plane, 2 on a line.

    Truncation is h² f⁗ / 12 on the diagonal, rounding 4 ε |L| / h².
    """
    (a, b), h = jet.at, jet.step
    if len(jet.slope) == 1:
        before, middle, after = yield from evaluate([(a - h, b), jet.at, (a + h, b)])
        return replace(jet, differences=np.array([[(before - 2 * middle + after) / h**2]]))
    grid = [(a + i * h, b + j * h) for j in (-1, 0, 1) for i in (-1, 0, 1)]
    f = (yield from evaluate(grid)).reshape(3, 3)  # rows of b
    uu = (f[1, 0] - 2 * f[1, 1] + f[1, 2]) / h**2
    vv = (f[0, 1] - 2 * f[1, 1] + f[2, 1]) / h**2
    uv = (f[2, 2] - f[2, 0] - f[0, 2] + f[0, 0]) / (4 * h**2)
    return replace(jet, differences=np.array([[uu, uv], [uv, vv]]))


def _length_in(slope: np.ndarray, gram: np.ndarray) -> float:
    """The length of the projection of a gradient of these derivatives onto the slice."""
    return float(np.sqrt(max(float(slope @ np.linalg.solve(gram, slope)), 0.0)))
