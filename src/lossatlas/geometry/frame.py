"""Frame: orthonormal coordinates of a plane or a line, in which lengths are those of parameter space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from lossatlas.geometry.slice import Slice
from lossatlas.geometry.vectors import dot, norm

# Entries that are converted to float64 at a time: they stay in a core's cache.
_BLOCK = 1 << 17


class Frame:
    """x = Qᵀθ with [u v] = Q R: the first of Q along u, R upper triangular with a positive diagonal.

    Q is never formed: R, (d, d) with d = 2 for a plane and 1 for a line, is all it takes beside u and v. Coordinates are NumPy
    float64; vectors of length P are taken as they are, and summed in float64.
    """

    def __init__(self, where: Slice) -> None:
        self.where = where
        # Small ones are kept in float64: a ball asks at every step.
        self._small = _stacked(where, slice(None)) if len(where.origin) <= _BLOCK else None
        u, *others = where.directions
        self.r: np.ndarray = np.array([[norm(u)]])
        for v in others:
            along = dot(u, v) / norm(u)
            # What is left of v is measured, not got from lengths: of nearly parallel directions those lose half of their digits.
            rest = sum(float((b - along / norm(u) * a).square().sum()) for _, (a, b) in self._axes())
            self.r = np.array([[norm(u), along], [0.0, np.sqrt(rest)]])
        self._inverse = np.linalg.inv(self.r)
        self._origin = self.turned(self.products(where.origin))  # Qᵀ origin

    def products(self, vector: Tensor) -> np.ndarray:
        """⟨vector, u⟩ and ⟨vector, v⟩, (d,): of a gradient the slopes ∂L/∂a, ∂L/∂b."""
        found = np.zeros(len(self.r))
        for part, axes in self._axes():
            found += (axes @ vector[part].to(torch.float64)).cpu().numpy()
        return found

    def turned(self, products: np.ndarray) -> np.ndarray:
        """Qᵀ of the vector that has these products with u and v, (d,)."""
        with np.errstate(invalid="ignore", over="ignore"):  # a gradient may be infinite
            found: np.ndarray = self._inverse.T @ products
        return found

    def move(self, products: np.ndarray) -> np.ndarray:
        """The part of that vector that lies in the slice, as a move along a, or a and b, (d,)."""
        with np.errstate(invalid="ignore", over="ignore"):
            found: np.ndarray = self._inverse @ self.turned(products)
        return found

    def coordinates(self, point: np.ndarray) -> np.ndarray:
        """x of a point of the slice, (d,)."""
        return self._origin + self.r @ point

    def point(self, x: np.ndarray) -> np.ndarray:
        """a, or a and b, of x, (d,)."""
        with np.errstate(invalid="ignore", over="ignore"):
            found: np.ndarray = self._inverse @ (x - self._origin)
        return found

    def project(self, theta: Tensor) -> tuple[np.ndarray, float]:
        """The nearest point of the slice to theta, (P,), by a or a and b, and its distance."""
        away = theta.to(torch.float64) - self.where.origin
        point = np.zeros(len(self.r))
        for _ in range(2):  # the second time takes away what rounding left (Björck 1987)
            step = self.move(self.products(away))
            for part, axes in self._axes():
                away[part].addmv_(axes.T, torch.from_numpy(step).to(away.device), alpha=-1.0)
            point += step
        return point, float(away.norm())

    def nearest(self, blocks: Callable[[], Iterable[Tensor]]) -> tuple[np.ndarray, np.ndarray]:
        """The nearest points of the slice to T rows, (T, d), and how far each is from it, (T,).

        blocks(): some columns of the rows after others, (T, C) in float64 on the CPU each. Asked for twice, as in `project`.
        """
        points, squares, products = (np.zeros(()),) * 3
        for away, axes in self._away(blocks()):
            products = products + (away @ axes.T).numpy()
        points = products @ self._inverse @ self._inverse.T
        products = np.zeros(())
        for away, axes in self._away(blocks()):
            rest = away - torch.from_numpy(points) @ axes
            squares = squares + rest.square().sum(dim=1).numpy()
            products = products + (rest @ axes.T).numpy()
        left = products @ self._inverse  # of the rest, what lies in the slice still
        return points + left @ self._inverse.T, np.sqrt(np.maximum(squares - (left**2).sum(axis=1), 0.0))

    def _away(self, blocks: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Blocks from the origin on, (T, C), and the axes in their columns, (d, C)."""
        start = 0
        for block in blocks:
            part = slice(start, start + block.shape[1])
            yield (
                block - self.where.origin[part].to("cpu", torch.float64),
                _stacked(self.where, part).cpu(),
            )
            start = part.stop

    def _axes(self) -> Iterator[tuple[slice, Tensor]]:
        """u and v piece by piece, (d, n) in float64."""
        if self._small is not None:
            yield slice(None), self._small
            return
        for start in range(0, len(self.where.origin), _BLOCK):
            part = slice(start, start + _BLOCK)
            yield part, _stacked(self.where, part)


def _stacked(where: Slice, part: slice) -> Tensor:
    return torch.stack([direction[part].to(torch.float64) for direction in where.directions])
