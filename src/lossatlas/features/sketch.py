"""Sketches: random projections of parameters, for runs whose parameters cannot be kept."""

from __future__ import annotations

import torch
from torch import Tensor


class Sketcher:
    """A sparse sign projection from P to k numbers: each parameter is added to one of them, with a sign.

    Count sketch (Charikar, Chen and Farach-Colton 2002): ‖S x‖² is ‖x‖² on average, with a relative variance of 2 / k at most.
    It takes one pass over the parameters, where a Gaussian projection takes k.
    """

    def __init__(self, size: int, numbers: int, seed: int = 0) -> None:
        random = torch.Generator().manual_seed(seed)
        self.size = numbers
        self._to = torch.randint(numbers, (size,), generator=random)
        self._signs = torch.randint(2, (size,), generator=random, dtype=torch.int8) * 2 - 1

    def of(self, vector: Tensor) -> Tensor:
        """S x, (k,), of a (P,) vector on the CPU, in float64."""
        return torch.zeros(self.size, dtype=torch.float64).index_add_(
            0, self._to, vector.double() * self._signs
        )
