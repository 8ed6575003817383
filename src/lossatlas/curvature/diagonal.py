"""The diagonal of a Hessian: all columns of a small one, Hutchinson's estimate with its standard errors of a large one."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from lossatlas.curvature.dense import DENSE, dense
from lossatlas.curvature.products import Products

#: Probes of an estimate, if nobody says how many.
PROBES = 32


@dataclass(frozen=True, eq=False)
class Diagonal:
    """The diagonal of a Hessian, and how well it is known.

    values: (P,), in θ's dtype; errors: (P,) one standard error of each, 0 where it is exact, infinite after one probe;
    trace, trace_error: their sum and its standard error; products: Hessian-vector products taken. With n probes an error
    follows Student's t of n − 1 degrees of freedom: of 32, twice the standard error holds in 95 %.
    """

    values: Tensor
    errors: Tensor
    trace: float
    trace_error: float
    exact: bool
    products: int

    def __repr__(self) -> str:
        trace = f"{self.trace:.4g}" + ("" if self.exact else f" ± {self.trace_error:.2g}")
        return f"Diagonal({len(self.values)} entries; trace {trace}; {self.products} products)"


def diagonal(hessian: Products, probes: int | None = None, seed: int = 0) -> Generator[None, None, Diagonal]:
    """The diagonal of H as a job that yields between chunks.

    probes: None for exact up to P = 2500 and 32 beyond; as many as there are parameters are exact, too. Each takes a
    product: z ⊙ Hz of random signs z is unbiased, an entry's variance is Σ_{j≠i} h_ij² and the trace's
    2 (‖H‖_F² − Σ h_ii²) (Hutchinson 1989; Bekas, Kokiopoulou & Saad 2007).
    Raises ValueError for a wrong number of probes and where H is not finite, EvaluationError when the model raises.
    """
    if probes is not None and (isinstance(probes, bool) or not hasattr(probes, "__index__") or probes < 1):
        raise ValueError(f"probes is {probes!r}. Pass how many products to take, a whole number from 1 on.")
    size = hessian.size
    if size <= DENSE if probes is None else probes >= size:
        matrix = yield from dense(hessian)
        values = matrix.diagonal().clone()
        return _made(hessian, values, torch.zeros_like(values), float(values.sum()), 0.0, exact=True)
    return (yield from _estimate(hessian, PROBES if probes is None else int(probes), seed))


def _estimate(hessian: Products, probes: int, seed: int) -> Generator[None, None, Diagonal]:
    generator = torch.Generator().manual_seed(0xD1A6 + 7919 * seed)
    mean = torch.zeros(hessian.size, dtype=torch.float64, device=hessian.theta.device)
    squares, traces = torch.zeros_like(mean), torch.empty(probes, dtype=torch.float64)
    for index in range(probes):
        signs = 2 * torch.randint(2, (len(mean),), generator=generator).to(hessian.theta) - 1
        found = (signs * (yield from hessian.times(signs))).double()
        # Sums of squares about the running mean: those about 0 lose all digits where an entry hardly varies.
        apart = found - mean
        mean += apart / (index + 1)
        squares += apart * (found - mean)
        traces[index] = found.sum()
        yield
    if probes == 1:
        unknown = torch.full_like(mean, float("inf"))
        return _made(hessian, mean, unknown, float(mean.sum()), float("inf"), exact=False)
    errors = (squares / (probes - 1) / probes).clamp_min(0.0).sqrt()
    return _made(hessian, mean, errors, float(traces.mean()), float(traces.std()) / probes**0.5, exact=False)


def _made(
    hessian: Products, values: Tensor, errors: Tensor, trace: float, trace_error: float, *, exact: bool
) -> Diagonal:
    if not bool(torch.isfinite(values).all()):
        raise ValueError(
            "The Hessian is not finite at this point. Look at a point where the loss is smooth and finite."
        )
    theta = hessian.theta
    return Diagonal(
        values.to(theta.device, theta.dtype), errors.to(theta.device, theta.dtype), trace, trace_error, exact,
        hessian.products,
    )  # fmt: skip
