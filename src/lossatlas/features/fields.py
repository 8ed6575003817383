"""The gradients that a search drives to 0: of the loss in all parameters, or of its slice in the coordinates of a plane.

Both are taken over all data, and counted. What rounding makes of a gradient is measured: it is asked for again with every
parameter moved by one rounding, up or down by chance. That holds what evaluating it loses, and that θ itself is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np
import torch
from torch import Tensor

from lossatlas.curvature import Products
from lossatlas.curvature.krylov import Lanczos
from lossatlas.features.newton import Step, lowest, shortest
from lossatlas.geometry import Slice
from lossatlas.objective import Objective

# What a Krylov basis may take of memory, in bytes, and how many products a step may.
_BASIS_BYTES = 1 << 30
_MOST = 300

# So many products are always taken: a small problem is then solved outright.
_LEAST = 20

# How many more products there are between two looks at what they have brought.
_GROWTH = 1.3

# A step at the radius is not worth more products when the last ones left more than this share.
_WORTH = 0.95

# More products than anybody waits for.
_UNLIMITED = 1 << 62


class Ground:
    """What is measured of an objective on the way, and counted: products at most `limit`.

    latest: the (P,) gradient that was taken last, here: that of the point where the search is; scale: the largest |λ| that was met.
    """

    def __init__(self, objective: Objective, limit: int | None, seed: int) -> None:
        self.objective = objective
        self.limit = _UNLIMITED if limit is None else limit
        self.products = 0
        self.latest: Tensor | None = None
        self.here: Tensor | None = None
        self.scale = 0.0
        self.width = 0.0  # the largest root mean square of θ on the way
        self._signs = torch.Generator().manual_seed(0x51C4 + seed)

    @property
    def left(self) -> int:
        """Products that may still be taken."""
        return self.limit - self.products

    @property
    def epsilon(self) -> float:
        """The rounding of one number in θ's dtype."""
        return float(torch.finfo(self.objective.dtype).eps)

    def gradient(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient of the loss, (P,) float64."""
        self.latest = (yield from self.objective.gradient_work(theta)).double()
        return self.latest

    def value(self, theta: Tensor) -> Generator[None, None, float]:
        """The loss over all data."""
        with self.objective.replica() as replica:
            replica.buffer.copy_(theta)
            fields = yield from self.objective.evaluate_in(replica, "at a point of the search")
        return float(fields[0])

    def times(self, hessian: Products, v: Tensor) -> Generator[None, None, Tensor]:
        """A product, in v's own dtype and on its device."""
        product = yield from hessian.times(v)
        self.products += 1
        return product

    def arrive(self, theta: Tensor) -> None:
        """Go on from θ, where the gradient was taken last; note how large parameters are."""
        self.here = self.latest
        # One that is 0 itself is rounded with the others.
        self.width = max(self.width, float(theta.double().square().mean().sqrt()))

    def shaken(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """θ with every parameter moved by one rounding, and the other way, (P,) each."""
        signs = 2.0 * torch.randint(0, 2, theta.shape, generator=self._signs) - 1.0
        size = theta.double().abs().clamp_min(self.width or 1.0)
        step = self.epsilon * size * signs.to(theta.device)
        return (theta.double() + step).to(theta.dtype), (theta.double() - step).to(theta.dtype)


class Whole:
    """The gradient of the loss as a function of θ, (P,), and the Hessian by its products."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    @property
    def left(self) -> int:
        return self.ground.left

    def gradient(self, x: Tensor) -> Generator[None, None, Tensor]:
        return (yield from self.ground.gradient(x))

    @property
    def epsilon(self) -> float:
        return self.ground.epsilon

    def value(self, x: Tensor) -> Generator[None, None, float]:
        return (yield from self.ground.value(x))

    def arrive(self, x: Tensor) -> None:
        self.ground.arrive(x)

    def rounding(self, x: Tensor, gradient: Tensor) -> Generator[None, None, float]:
        found = 0.0
        for theta in self.ground.shaken(x):
            other = yield from self.ground.gradient(theta)
            found = max(found, float((other - gradient).norm()))
        return found

    def step(
        self,
        x: Tensor,
        gradient: Tensor,
        radius: float,
        wanted: float,
        rounding: float,
        downhill: bool = False,
    ) -> Generator[None, None, Step | None]:
        """The best in the Krylov space of the gradient: by minimum residual (Paige & Saunders 1975), or downhill."""
        ground, length = self.ground, float(gradient.norm())
        hessian = Products(ground.objective, x)
        process = Lanczos(lambda v: ground.times(hessian, v), gradient.to(x.dtype))
        enough = max(wanted * length, rounding)
        most = max(1, min(_MOST, ground.left, _BASIS_BYTES // (x.numel() * x.element_size())))
        due = _LEAST
        before: Step | None = None
        found: Step | None = None
        while process.steps < most and (yield from process.step()):
            if process.steps < min(due, most) and not process.exhausted:
                yield
                continue
            before, found = found, self._best(process, length, radius, rounding, downhill)
            if process.exhausted or found.left <= enough:
                break
            if before is not None and found.bounded and not _worth(before, found, downhill):
                break
            due = math.ceil(_GROWTH * process.steps)
            yield
        return found

    def _best(self, process: Lanczos, length: float, radius: float, rounding: float, downhill: bool) -> Step:
        """The step from what a process knows, in the basis of its Ritz vectors."""
        ritz = process.ritz()
        self.ground.scale = max(self.ground.scale, float(np.abs(ritz.values).max()))
        # H V = V T and what leaves the space: of each Ritz vector its residual, with the sign of its last entry.
        matrix = np.vstack([np.diag(ritz.values), np.sign(ritz.vectors[-1]) * ritz.residuals])
        target = length * ritz.vectors[0]
        if downhill:
            y, bounded = lowest(ritz.values, target, radius, rounding)
        else:
            y, bounded = shortest(matrix, np.append(target, 0.0), radius, rounding)
        along = torch.as_tensor(ritz.vectors @ y).to(process.basis)
        return _step(process.basis @ along, matrix, target, y, bounded)


def _worth(before: Step, after: Step, downhill: bool) -> bool:
    """Whether the last products have brought so much that more may pay."""
    return before.gain < _WORTH * after.gain if downhill else after.left < _WORTH * before.left


def _step(p: Tensor, matrix: np.ndarray, target: np.ndarray, y: np.ndarray, bounded: bool) -> Step:
    """A step p whose coordinates are y, where H is `matrix` and g `target`; further rows of it lie outside of g's space."""
    image = matrix @ y
    residual = image.copy()
    residual[: len(target)] += target
    image = image[: len(target)]
    drop = float(target @ y)
    return Step(
        p,
        float(target @ image),
        float(np.linalg.norm(residual)),
        drop,
        -drop - 0.5 * float(y @ image),
        bounded,
    )


class Sliced:
    """The gradient of the loss as a function of the coordinates of a plane, (2,), or a line, (1,); float64 on the CPU.

    matrix: its derivative where it was taken last, (2, 2) or (1, 1): [uᵀHu uᵀHv; · vᵀHv].
    """

    def __init__(self, ground: Ground, where: Slice) -> None:
        self.ground, self.where = ground, where
        self._axes = torch.stack([d.double() for d in where.directions], dim=1)

    @property
    def left(self) -> int:
        return self.ground.left // len(self.where.directions)

    def at(self, x: Tensor) -> Tensor:
        """θ at these coordinates, (P,)."""
        theta = torch.empty_like(self.where.origin)
        a, *b = x.tolist()
        self.where.write(a, b[0] if b else 0.0, theta)
        return theta

    def gradient(self, x: Tensor) -> Generator[None, None, Tensor]:
        return self._seen((yield from self.ground.gradient(self.at(x))))

    @property
    def epsilon(self) -> float:
        return self.ground.epsilon

    def value(self, x: Tensor) -> Generator[None, None, float]:
        return (yield from self.ground.value(self.at(x)))

    def arrive(self, x: Tensor) -> None:
        self.ground.arrive(self.at(x))

    def rounding(self, x: Tensor, gradient: Tensor) -> Generator[None, None, float]:
        found = 0.0
        for theta in self.ground.shaken(self.at(x)):
            other = self._seen((yield from self.ground.gradient(theta)))
            found = max(found, float((other - gradient).norm()))
        return found

    def step(
        self,
        x: Tensor,
        gradient: Tensor,
        radius: float,
        wanted: float,
        rounding: float,
        downhill: bool = False,
    ) -> Generator[None, None, Step | None]:
        """The step of the 2 × 2 jet."""
        matrix = yield from self.hessian(self.at(x))
        if not np.isfinite(matrix).all():
            return None
        target = gradient.numpy()
        if downhill:
            values, vectors = np.linalg.eigh(matrix)
            along, bounded = lowest(values, vectors.T @ target, radius, rounding)
            y = vectors @ along
        else:
            y, bounded = shortest(matrix, target, radius, rounding)
        return _step(torch.as_tensor(y), matrix, target, y, bounded)

    def hessian(self, theta: Tensor) -> Generator[None, None, np.ndarray]:
        """The Hessian of the slice at θ, symmetric."""
        hessian, columns = Products(self.ground.objective, theta), []
        for direction in self.where.directions:
            columns.append(self._seen((yield from self.ground.times(hessian, direction)).double()))
            yield
        found = torch.stack(columns, dim=1).numpy()
        matrix: np.ndarray = (found + found.T) / 2
        self.ground.scale = max(self.ground.scale, float(np.linalg.norm(matrix)))
        return matrix

    def _seen(self, vector: Tensor) -> Tensor:
        return (self._axes.T @ vector).cpu()
