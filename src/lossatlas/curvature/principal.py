"""Principal curvatures of a slice: the extremes of its second derivative per unit of length in parameter space."""

from __future__ import annotations

import numpy as np


def principal(hessian: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The solutions of H x = κ G x with xᵀ G x = 1: κ, (d,) descending, and x, (d, d) columns in units of the slice.

    hessian: (d, d) second derivatives per unit of a and b; gram: (d, d) [u·u u·v; u·v v·v]. The Rayleigh quotients' extremes
    in the slice lie between those of the whole space.
    """
    if not np.isfinite(hessian).all():
        return np.full(len(hessian), np.nan), np.full(hessian.shape, np.nan)
    whiten = np.linalg.inv(np.linalg.cholesky(gram))
    values, vectors = np.linalg.eigh(whiten @ hessian @ whiten.T)
    return values[::-1].copy(), (whiten.T @ vectors)[:, ::-1].copy()
