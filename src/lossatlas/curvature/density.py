"""The spectral density: atoms for the eigenvalues that are known, quadrature for the rest, and how sure that is.

Stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017) on what is orthogonal to the known eigenvectors: a random start's
measure is the density's plus noise, whose size its own second moment tells. Outliers are never counted from its weights.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

# Width of the kernel at least, as a share of how far the rest reaches, and of a share of one node.
_WIDTH, _SPREAD = 0.01, 0.3

# The share of eigenvalues that are all known which the kernel is to show.
_INNER = (0.01, 0.99)

# Grid points per width of the kernel: the trapezium rule is then exact to rounding.
_PER_WIDTH = 3.0

# How many widths a kernel reaches.
_REACH = 7.0


@dataclass(frozen=True, eq=False)
class Probe:
    """A random start's quadrature on an n-dimensional part of the matrix."""

    nodes: np.ndarray  # (m,)
    weights: np.ndarray  # (m,), sum to 1
    dimension: int  # n
    exhausted: bool = False  # whether the start has told all that it reaches

    def mean(self, f: np.ndarray) -> np.ndarray:
        """What it says of the mean of f over the eigenvalues, f given at the nodes along its last axis."""
        found: np.ndarray = f @ self.weights
        return found

    def error(self, f: np.ndarray) -> np.ndarray:
        """The standard error of that: of vᵀ f(A) v for v uniform on the sphere, √(2 Var f / (n + 2)).

        Each node stands for one of the n at least, also where the start has little of it, so that an outlier that it has
        nearly missed counts. Infinite where a single node stands for several dimensions: it tells nothing of the variance.
        """
        if len(self.nodes) == 1 < self.dimension and not self.exhausted:
            return np.full(f.shape[:-1], np.inf)
        weights = np.maximum(self.weights, 1 / self.dimension)
        spread = np.maximum((f - self.mean(f)[..., None]) ** 2 @ weights, 0.0)
        found: np.ndarray = np.sqrt(2.0 * spread / (self.dimension + 2))
        return found


@dataclass(frozen=True, eq=False)
class Density:
    """The density of all P eigenvalues, smoothed: integrates to 1 by the trapezium rule on its grid.

    grid, values: (G,); band: (2, G), two standard errors below and above; atoms: (k,) the eigenvalues that are known each
    for itself, 1 / P of it each; width: the standard deviation of the Gaussian that it is smoothed by. All in units of
    the eigenvalue, or one over it.
    """

    grid: np.ndarray
    values: np.ndarray
    band: np.ndarray
    atoms: np.ndarray
    width: float


def density_of(size: int, atoms: np.ndarray, probe: Probe | None) -> Density:
    """The density of `size` eigenvalues, of which `atoms` are known and a probe tells of the others.

    Where neither tells of them all, it is not known, on an empty grid.
    """
    atoms = np.sort(np.asarray(atoms, dtype=float))
    if probe is None and len(atoms) < size:
        return Density(np.empty(0), np.empty(0), np.empty((2, 0)), atoms, 0.0)
    # Where all are known, the rest is what is left without the outermost ones.
    ends = np.quantile(atoms, _INNER) if probe is None else probe.nodes
    low, high = float(ends.min()), float(ends.max())
    every = np.concatenate([atoms, ends])
    scale = float(np.abs(every).max()) or 1.0
    share = _WIDTH if probe is None else max(_WIDTH, _SPREAD / len(probe.nodes))
    # A rest of one value is no wider than what it is known to.
    width = max(share * (high - low), 1e-3 * float(np.ptp(every)) * _WIDTH, 1e-9 * scale)
    grid = _grid(low, high, atoms, width)
    values = _smoothed(grid, atoms, width).sum(axis=1) / size
    error = np.zeros_like(grid)
    if probe is not None:
        kernel, rest = _smoothed(grid, probe.nodes, width), probe.dimension / size
        values += rest * probe.mean(kernel)
        error = rest * probe.error(kernel)
    reach = 2.0 * error
    return Density(grid, values, np.stack([np.maximum(values - reach, 0.0), values + reach]), atoms, width)


def _smoothed(grid: np.ndarray, at: np.ndarray, width: float) -> np.ndarray:
    """Gaussians of unit mass, (G, k)."""
    apart = (grid[:, None] - at[None]) / width
    found: np.ndarray = np.exp(-0.5 * apart**2) / (width * math.sqrt(2.0 * math.pi))
    return found


def _grid(low: float, high: float, atoms: np.ndarray, width: float) -> np.ndarray:
    """Fine where there is something: over the rest and around every atom; the density is nothing between them."""
    reach, step = _REACH * width, width / _PER_WIDTH
    ends = [(low - reach, high + reach), *((atom - reach, atom + reach) for atom in atoms)]
    merged: list[tuple[float, float]] = []
    for start, stop in sorted(ends):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    parts = [np.linspace(a, b, max(2, math.ceil((b - a) / step) + 1)) for a, b in merged]
    return functools.reduce(np.union1d, parts)
