"""The dense matrix of a small objective, exact to rounding."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from lossatlas.curvature.products import Products

#: The largest P whose P × P matrix is made: 50 MB in float64, and P products.
DENSE = 2500


def dense(products: Products) -> Generator[None, None, Tensor]:
    """All columns, (P, P) float64 on the CPU, symmetric but for the noise of products; yields between them."""
    size = products.size
    found = torch.empty(size, size, dtype=torch.float64)
    unit = products.theta.new_zeros(size)
    for column in range(size):
        unit[column] = 1.0
        found[:, column] = (yield from products.times(unit)).to("cpu", torch.float64)
        unit[column] = 0.0
        yield
    return found
