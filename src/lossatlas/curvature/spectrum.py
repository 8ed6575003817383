"""Spectrum: what is known of the eigenvalues of a Hessian at a point, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lossatlas.curvature.density import Density, Probe, density_of


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The largest and the smallest eigenvalues, the density of all, and the trace of a Hessian at a point.

    eigenvalues: (k,) float64, the algebraically largest first, then the smallest ones, descending; residuals: (k,)
    ‖H v − λ v‖ with ‖v‖ = 1, within which an eigenvalue lies; converged: (k,) bool, whether that is small enough;
    eigenvectors: (P, k), in the objective's dtype; trace_error: one standard error of the trace, 0 when it is exact;
    noise: what products were seen to be off by; products: Hessian-vector products taken; form: how they were taken;
    exact: whether every eigenvalue is known.
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

    def __repr__(self) -> str:
        known = ", ".join(f"{value:.4g}" for value in self.eigenvalues)
        trace = f"{self.trace:.4g}" + ("" if self.exact else f" ± {self.trace_error:.2g}")
        return f"Spectrum(eigenvalues {known}; trace {trace}; {self.products} products)"


def spectrum_of(
    size: int, top: int, bottom: int, values: np.ndarray, residuals: np.ndarray, sure: np.ndarray, vectors: Tensor,
    probes: Sequence[Probe], *, products: int, form: str, exact: bool, noise: float,
) -> Spectrum:  # fmt: skip
    """The spectrum of `size` eigenvalues from the pairs that are known, `sure` ones for good, and probes of the others."""
    order = np.argsort(-values, kind="stable")
    kept = order[ends(len(order), top, bottom)]
    # A probe of the whole knows the pairs too that are not sure yet.
    whole = any(probe.dimension == size for probe in probes)
    atoms = np.empty(0) if whole else values[sure | exact]
    density = density_of(size, atoms, probes)
    rest = size - len(atoms)
    trace, error = float(atoms.sum()), 0.0
    if probes and rest:
        trace += rest * float(np.mean([probe.mean(probe.nodes) for probe in probes]))
        error = (
            rest * float(np.sqrt(np.sum([probe.error(probe.nodes) ** 2 for probe in probes]))) / len(probes)
        )
    return Spectrum(
        values[kept], residuals[kept], sure[kept] | exact, vectors[:, kept.copy()], density,
        trace, error, noise, products, form, exact,
    )  # fmt: skip


def ends(count: int, top: int, bottom: int) -> np.ndarray:
    """The numbers of the first `top` and the last `bottom` of `count`, each once."""
    return np.array(sorted({*range(min(top, count)), *range(max(count - bottom, 0), count)}), dtype=int)
