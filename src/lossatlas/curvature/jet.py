"""The jet: what a loss does to second order at a point of a plane or a line, and what it does at the scale of a view.

Autograd's Hessian is that of the point. It does not count the kinks of a rectifier, which the map shows; second
differences over a step count everything between their nodes. Where the two differ, the picture is not a parabola, as far as
differences say anything: over a short step they are made of the rounding of the loss.
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

# More apart, as a share of the larger one, they are said to differ; rounded by more, differences say nothing.
_APART = 0.1


@dataclass(frozen=True, eq=False)
class Jet:
    """Loss, gradient and curvature at a point of a slice of d dimensions: 2 of a plane, 1 of a line.

    at: where, (a, b); loss; gradient_norm: ‖∇L‖ in the whole space; slope: (d,) its derivatives along u and v;
    gradient_in_slice: the length of its part in the slice; hessian: (d, d) [uᵀHu uᵀHv; · vᵀHv] by autograd;
    differences: (d, d) the same by second differences over `step`, None until they are known; gram: (d, d)
    [u·u u·v; · v·v]. hessian and differences are per unit of a and b, curvatures per unit of length in parameter space,
    and so is rounding: what the rounding of the loss may change a curvature by differences by, at most.
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
    rounding: float = 0.0

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
        """Whether the two differ by more than 10 % of the larger one, and by more than rounding."""
        found = self.curvatures_at_scale
        if found is None:
            return False
        gap = float(np.abs(found - self.curvatures).max())
        return gap > max(_APART * self._largest(found), self.rounding)

    @property
    def rounded(self) -> bool:
        """Whether rounding may be more than 10 % of the larger one: over so short a step differences say nothing."""
        found = self.curvatures_at_scale
        return found is not None and self.rounding > _APART * self._largest(found)

    def _largest(self, found: np.ndarray) -> float:
        return float(np.abs([found, self.curvatures]).max())


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


def with_differences(jet: Jet, evaluate: Evaluate, epsilon: float) -> Generator[None, None, Jet]:
    """The jet with its second differences, as a job: 8 values around the point of a plane, 2 on a line.

    epsilon: the rounding of one value, relatively: ε of its dtype over two. Truncation is h² f⁗ / 12 on the diagonal,
    rounding 4 epsilon |L| / h², and a quarter of that beside it.
    """
    (a, b), h = jet.at, jet.step
    if len(jet.slope) == 1:
        before, middle, after = values = yield from evaluate([(a - h, b), jet.at, (a + h, b)])
        off = _rounding(values, jet, epsilon)
        return replace(jet, differences=np.array([[(before - 2 * middle + after) / h**2]]), rounding=off)
    grid = [(a + i * h, b + j * h) for j in (-1, 0, 1) for i in (-1, 0, 1)]
    f = (yield from evaluate(grid)).reshape(3, 3)  # rows of b
    uu = (f[1, 0] - 2 * f[1, 1] + f[1, 2]) / h**2
    vv = (f[0, 1] - 2 * f[1, 1] + f[2, 1]) / h**2
    uv = (f[2, 2] - f[2, 0] - f[0, 2] + f[0, 0]) / (4 * h**2)
    return replace(jet, differences=np.array([[uu, uv], [uv, vv]]), rounding=_rounding(f, jet, epsilon))


def _rounding(values: np.ndarray, jet: Jet, epsilon: float) -> float:
    """What rounding these values may change a principal curvature by: no more than the norm of what it changes (Weyl)."""
    size = len(jet.slope)
    off = 4 * epsilon * float(np.abs(values).max()) / jet.step**2 * np.where(np.eye(size), 1.0, 0.25)
    whiten = np.abs(np.linalg.inv(np.linalg.cholesky(jet.gram)))  # whatever the signs of the roundings
    return float((whiten @ off @ whiten.T).sum(axis=1).max())


def _length_in(slope: np.ndarray, gram: np.ndarray) -> float:
    """The length of the projection of a gradient of these derivatives onto the slice."""
    return float(np.sqrt(max(float(slope @ np.linalg.solve(gram, slope)), 0.0)))
