"""Principal components of a trajectory, beside what a random walk would show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: Columns of all rows in float64, (T, C) each and together (T, P), anew with each call.
Blocks = Callable[[], Iterable[Tensor]]

# Rows whose Gram matrix is made; of more, whose matrix would fill the memory, only products with it are.
_GRAM = 2048

# Of products: vectors at a time, how small the residual is to become beside the largest eigenvalue, and products at most.
_BLOCK, _RESIDUAL, _PRODUCTS = 12, 1e-10, 100


@dataclass(frozen=True, eq=False)
class Components:
    """The first two principal components of a path about its mean: unit vectors (P,) in float64, and shares of the variance (2,).

    at: (T, 2), where the rows lie along them, seen from the point that was asked for.
    """

    vectors: tuple[Tensor, Tensor]
    explained: np.ndarray
    null: np.ndarray  # of random walks of as many steps
    at: np.ndarray


def components_of(blocks: Blocks, origin: Tensor, lengths: Sequence[int], eps: float) -> Components:
    """The first two principal components of the rows, (T, P), T ≥ 3, about their mean, in two readings of them.

    By the (T, T) Gram matrix in float64; of more than 2048 rows by products with it, a reading each. origin: (P,), where the rows are seen from; lengths: of the runs that the rows are
    of, one after the other; eps: how far a number may be off, relative. Sign: the largest component is positive. Raises
    ValueError when the rows lie on one point or one line.
    """
    count = sum(lengths)
    if count < 3:
        raise ValueError(
            f"The trajectory has {count} point{'s' * (count != 1)}, which span no plane. Pass at least 3, or use "
            "Line.between for two."
        )
    values, weights, total, longest = (_by_gram if count <= _GRAM else _by_products)(blocks, count)
    # The rounding of the path, and of its Gram matrix, which would be drawn as its second component.
    noise = count * max(eps**2 * longest**2, 4 * torch.finfo(torch.float64).eps * float(values[0]))
    if float(values[1]) <= noise:
        where = "at one point" if float(values[0]) <= noise else "on one line"
        raise ValueError(
            f"The {count} points of the trajectory lie {where}, so they span no plane. Record more steps, or use "
            "Line.between."
        )
    parts, at, start = [], torch.zeros(count, 2, dtype=torch.float64), 0
    chosen = weights.T.contiguous()
    for block in blocks():
        seen_from = origin[start : start + block.shape[1]].to("cpu", torch.float64)
        start += block.shape[1]
        part = chosen @ block - torch.outer(chosen.sum(dim=1), block.mean(dim=0))
        parts.append(part.T)
        at += block @ part.T - part @ seen_from
    vectors = torch.cat(parts)
    upright = vectors.gather(0, vectors.abs().argmax(dim=0)[None])[0].sign() / vectors.norm(dim=0)
    u, v = (vectors * upright).T.contiguous()
    places = (at * upright).numpy()
    explained = (values / total).numpy()
    return Components((u, v), explained, random_walks_shares(lengths)[:2], places)


def _by_gram(blocks: Blocks, count: int) -> tuple[Tensor, Tensor, float, float]:
    """The two largest eigenvalues of the centred rows' Gram matrix, (2,), its eigenvectors, (T, 2), its trace, and how long a row is at most."""
    gram, square = torch.zeros(count, count, dtype=torch.float64), 0.0
    for block in blocks():
        mean = block.mean(dim=0)
        square += float(mean @ mean)
        centred = block.sub_(mean)
        gram.addmm_(centred, centred.T)
    values, weights = torch.linalg.eigh(gram)
    values, weights = values.flip(0).clamp(min=0), weights.flip(1)
    longest = float(gram.diagonal().max()) ** 0.5 + square**0.5
    return values[:2], weights[:, :2], float(values.sum()), longest


def _by_products(blocks: Blocks, count: int) -> tuple[Tensor, Tensor, float, float]:
    """The same by subspace iteration with Rayleigh and Ritz (Halko, Martinsson and Tropp 2011, algorithm 4.4)."""
    lengths, square = torch.zeros(count, dtype=torch.float64), 0.0
    basis = torch.randn(count, _BLOCK, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values, vectors = torch.zeros(_BLOCK, dtype=torch.float64), basis
    for reading in range(_PRODUCTS):
        basis = torch.linalg.qr(basis)[0]
        product = torch.zeros_like(basis)
        for block in blocks():
            mean = block.mean(dim=0)
            centred = block.sub_(mean)
            product.addmm_(centred, centred.T @ basis)
            if not reading:
                square += float(mean @ mean)
                lengths += centred.square().sum(dim=1)
        small = basis.T @ product
        values, turn = torch.linalg.eigh((small + small.T) / 2)
        values, turn = values.flip(0).clamp(min=0), turn.flip(1)
        vectors, basis = basis @ turn, product @ turn
        residuals = (basis - vectors * values)[:, :2].norm(dim=0)
        if float(residuals.max()) <= _RESIDUAL * float(values[0]):
            break
    longest = float(lengths.max()) ** 0.5 + square**0.5
    return values[:2], vectors[:, :2], float(lengths.sum()), longest


def random_walks_shares(lengths: Sequence[int]) -> np.ndarray:
    """What each component explains of random walks of so many points each from one start, together about their mean.

    Of more than 2048 points in all, of walks in the same proportions that have as many: shares change with the inverse of that.
    """
    if len(lengths) == 1:
        return random_walk_shares(lengths[0])
    if sum(lengths) > _GRAM:
        lengths = [max(1, round(length * _GRAM / sum(lengths))) for length in lengths]
    covariance = np.zeros((sum(lengths), sum(lengths)))
    start = 0
    for length in lengths:
        steps = np.arange(length)
        covariance[start : start + length, start : start + length] = np.minimum.outer(steps, steps)
        start += length
    centred = covariance - covariance.mean(axis=0)
    values = np.linalg.eigvalsh(centred - centred.mean(axis=1, keepdims=True))[::-1].clip(min=0)
    return np.asarray(values / values.sum())


def random_walk_shares(points: int) -> np.ndarray:
    """What each component of a random walk of so many points explains, about its mean, in many dimensions.

    Exact: the centred Gram matrix of the walk is the pseudo-inverse of a path's Laplacian, whose eigenvalues are
    4 sin²(πk / 2T). For many points 6 / (π² k²): 60.8 %, 15.2 %, … (Antognini and Sohl-Dickstein 2018).
    """
    variances = np.sin(np.pi * np.arange(1, points) / (2 * points)) ** -2.0
    return np.asarray(variances / variances.sum())
