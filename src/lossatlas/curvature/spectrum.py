"""Spectrum: what is known of the eigenvalues of a curvature matrix at a point, and how well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lossatlas.curvature.density import Density, Probe, density_of
from lossatlas.curvature.products import Products

# What a residual cannot get below, in roundings of the largest eigenvalue.
_ROUNDINGS = 4


@dataclass(frozen=True, eq=False)
class Pairs:
    """Eigenvalues, the residuals of their vectors, and these: (k,), (k,) float64 and (P, k)."""

    values: np.ndarray
    residuals: np.ndarray
    vectors: Tensor

    @classmethod
    def none(cls, like: Tensor, size: int) -> Pairs:
        """No pairs of a matrix of this size."""
        return cls(np.empty(0), np.empty(0), like.new_empty(size, 0))

    def joined(self, other: Pairs) -> Pairs:
        """Both."""
        return Pairs(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.residuals, other.residuals]),
            torch.cat([self.vectors, other.vectors], dim=1),
        )


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The largest and the smallest eigenvalues, the density of all, and the trace of a curvature matrix at a point.

    eigenvalues: (k,) float64, the algebraically largest first, then the smallest ones, descending; residuals: (k,)
    ‖H v − λ v‖ with ‖v‖ = 1, within which an eigenvalue lies; converged: (k,) bool, whether that is small enough;
    complete: whether a further start has looked for what the first one misses, and has found nothing larger than the k-th or
    smaller than the last: until then others may come between. eigenvectors: (P, k), in the objective's dtype, of the parameters that the matrix is restricted to; trace_error: one
    standard error of the trace, 0 when it is exact; exact: whether every eigenvalue is known.
    noise: what products were seen to be off by; products: how many were taken; form: how, and whether their graph was kept,
    which may take `graph_budget` bytes; check: how far a product was from
    central differences of the gradient, relatively, None where these do not settle it; basis: how many vectors were kept and
    in what; warm: whether it was begun from a point nearby.
    matrix: "hessian", "gauss_newton" or "fisher"; samples, population: what it rests on, of how many; split_half: how far the
    largest eigenvalue is apart on the two halves of a part of the data, which says too much of it by about so much (λmax is
    convex), None on all data.
    """

    eigenvalues: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    eigenvectors: Tensor
    density: Density
    trace: float
    trace_error: float
    noise: float
    products: int
    form: str
    exact: bool
    matrix: str = "hessian"
    samples: int = 1
    population: int = 1
    split_half: float | None = None
    check: float | None = None
    basis: str = ""
    warm: bool = False
    graph_budget: float = 0.0
    complete: bool = True

    @property
    def condition(self) -> float:
        """max |λ| / min |λ|, infinite where 0 is among them: of all eigenvalues when exact, and else at least so much."""
        known = np.abs(self.density.atoms if self.exact else self.eigenvalues)
        if not len(known):
            return 1.0
        least, most = float(known.min()), float(known.max())
        rounding = 4 * torch.finfo(self.eigenvectors.dtype).eps * most
        return most / least if least > max(self.noise, rounding) else float("inf")

    @property
    def share(self) -> float:
        """The share of the data that it rests on."""
        return self.samples / self.population

    def __repr__(self) -> str:
        known = ", ".join(f"{value:.4g}" for value in self.eigenvalues)
        trace = f"{self.trace:.4g}" + ("" if self.exact else f" ± {self.trace_error:.2g}")
        data = "" if self.samples == self.population else f"; {self.samples} of {self.population} samples"
        if self.split_half is not None:
            data += f", whose halves differ by {self.split_half:.2g} in the largest"
        known += "" if self.complete else " so far"
        return f"Spectrum(eigenvalues {known}; trace {trace}; {self.products} products{data})"


def spectrum_of(
    products: Products, top: int, bottom: int, pairs: Pairs, sure: np.ndarray, atoms: np.ndarray, probe: Probe | None, *,
    exact: bool, noise: float, split_half: float | None, basis: str, warm: bool, complete: bool,
) -> Spectrum:  # fmt: skip
    """The spectrum of a matrix from the pairs that are known, `sure` ones for good, and a probe of all but the atoms."""
    values = pairs.values
    order = np.argsort(-values, kind="stable")
    kept = order[ends(len(order), top, bottom)]
    density = density_of(products.size, atoms, probe)
    trace, error = (float(atoms.sum()), 0.0) if exact or probe is not None else (np.nan, np.inf)
    if probe is not None:
        trace += probe.dimension * float(probe.mean(probe.nodes))
        error = probe.dimension * float(probe.error(probe.nodes))
    # Of a vector in this precision no residual is smaller, whatever the small matrix says.
    scale = float(np.abs(values).max(initial=0.0))
    floor = 0.0 if exact else max(noise, _ROUNDINGS * torch.finfo(pairs.vectors.dtype).eps * scale)
    residuals = np.maximum(pairs.residuals, floor)
    return Spectrum(
        values[kept], residuals[kept], sure[kept] | exact, pairs.vectors[:, kept.copy()], density, trace, error, noise,
        products.products, products.form, exact, products.matrix, products.samples, products.objective.samples, split_half,
        products.check, basis, warm, products.budget, complete,
    )  # fmt: skip


def ends(count: int, top: int, bottom: int) -> np.ndarray:
    """The numbers of the first `top` and the last `bottom` of `count`, each once."""
    return np.array(sorted({*range(min(top, count)), *range(max(count - bottom, 0), count)}), dtype=int)
