"""Lanczos: the extreme eigenpairs of a symmetric matrix and the measure of a start vector, from products alone.

After m products T = QᵀAQ is tridiagonal; its eigenvalues (Ritz values) lie inside the spectrum, each within
β_m |s_mi| of an eigenvalue of A, and T's quadrature has the start's moments 0 … 2m − 1 (Golub & Meurant 2010). Each new
vector is made orthogonal to all before it twice, by matrix products, so that no ghost of a converged pair comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: A product with the matrix, (P,) -> (P,), as a job that yields between chunks.
Times = Callable[[Tensor], Generator[None, None, Tensor]]

# What a product leaves of nothing, in roundings of the largest value.
_ROUNDINGS = 32

# Vectors that a basis grows by, at least.
_GROWTH = 16


@dataclass(frozen=True, eq=False)
class Ritz:
    """What a process knows after some steps, the largest value first."""

    values: np.ndarray  # (m,)
    residuals: np.ndarray  # (m,): ‖A v − λ v‖ of each
    vectors: np.ndarray  # (m, m): columns in the basis
    noise: float  # what products were seen to be off by

    @property
    def weights(self) -> np.ndarray:
        """The start's measure: how much of it lies along each, (m,), sums to 1."""
        squares: np.ndarray = self.vectors[0] ** 2
        return squares


class Lanczos:
    """A Lanczos process on the part of A that is orthogonal to `locked`, (P, l) with orthonormal columns.

    start: (P,), not zero; what it has along `locked` is left out.
    """

    def __init__(self, times: Times, start: Tensor, locked: Tensor | None = None) -> None:
        self._times = times
        self._locked = start.new_empty(0, len(start)) if locked is None else locked.t().contiguous()
        self._alpha: list[float] = []
        self._beta: list[float] = []
        self._noise = 0.0
        self._rows = start.new_empty(0, len(start))  # one vector each: rows lie together in memory
        #: Whether all that the start reaches is known: further steps would add nothing.
        self.exhausted = False
        #: Whether a product was not finite.
        self.broken = False
        first = self._cleaned(start.double())
        length = float(first.norm())
        if length <= 0 or not np.isfinite(length):
            self.exhausted = True
        else:
            self._add(first / length)

    @property
    def steps(self) -> int:
        """Products taken, of the steps that have ended: another thread may look in the middle of one."""
        return len(self._beta)

    @property
    def basis(self) -> Tensor:
        """(P, m): orthonormal columns, one a product."""
        return self._rows[: self.steps].t()

    def step(self) -> Generator[None, None, bool]:
        """One product further; whether there was one left to take. Yields between chunks."""
        if self.exhausted:
            return False
        count = self.steps
        current = self._rows[count]
        image = (yield from self._times(current)).double()
        alpha = float(current.double() @ image)
        if not np.isfinite(alpha):
            self.exhausted = self.broken = True
            return False
        if count:
            # In exact arithmetic that is β: what is missing is the noise of the products.
            self._noise = max(
                self._noise, abs(float(self._rows[count - 1].double() @ image) - self._beta[-1])
            )
        self._alpha.append(alpha)
        rest = self._cleaned(image)
        beta = float(rest.norm())
        scale = max(map(abs, (*self._alpha, *self._beta, beta)), default=0.0)
        epsilon = torch.finfo(self._rows.dtype).eps
        # Less than rounding leaves of a product is no direction.
        if beta <= _ROUNDINGS * epsilon * max(scale, 1e-300) or count + 1 + len(self._locked) >= len(rest):
            self._beta.append(0.0)
            self.exhausted = True
        else:
            self._add(rest / beta)
            self._beta.append(beta)
        return True

    def ritz(self) -> Ritz:
        """The eigenpairs of T, in float64. Needs a step."""
        m = self.steps
        t = np.diag(self._alpha[:m]) + np.diag(self._beta[: m - 1], 1) + np.diag(self._beta[: m - 1], -1)
        # By torch, which keeps to the one thread of a worker: numpy's threads collapse where another process wants a core.
        found = torch.linalg.eigh(torch.as_tensor(t))
        values, vectors = (part.flip(-1).numpy() for part in found)
        return Ritz(values, self._beta[m - 1] * np.abs(vectors[-1]), vectors, self._noise)

    def pairs(self, ritz: Ritz, which: np.ndarray) -> Tensor:
        """The Ritz vectors of these numbers, (P, k), of length 1."""
        chosen = torch.as_tensor(np.ascontiguousarray(ritz.vectors[:, which]), device=self._rows.device)
        found = self._rows[: len(chosen)].t() @ chosen.to(self._rows.dtype)
        lengths = found.double().norm(dim=0).clamp_min(1e-300)
        return (found.double() / lengths).to(found.dtype)

    def _cleaned(self, vector: Tensor) -> Tensor:
        """What a vector has of no earlier one and of none that is locked; twice is enough (Giraud et al. 2005)."""
        for _ in range(2):
            for known in (self._locked, self._rows[: len(self._alpha)]):
                if len(known):
                    vector = vector - (known.t() @ (known @ vector.to(known.dtype))).double()
        return vector

    def _add(self, vector: Tensor) -> None:
        count, rows = len(self._alpha), self._rows
        if count == len(rows):
            rows = rows.new_empty(count + max(_GROWTH, count // 2), rows.shape[1])
            rows[:count] = self._rows
        rows[count] = vector.to(rows.dtype)
        self._rows = rows
