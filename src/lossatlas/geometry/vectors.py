"""Vectors of length P: checked once, and multiplied in float64 without a copy in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.objective import Objective

# Entries that are converted to float64 at a time: they stay in a core's cache.
_CHUNK = 1 << 17


def checked_vector(name: str, value: Any, *, copied: bool) -> Tensor:
    """A finite floating (P,) tensor without gradient. Raises TypeError or ValueError, in words, for anything else."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}, not a tensor. Pass a (P,) tensor.")
    if value.dim() != 1 or not value.numel():
        raise ValueError(f"{name} has shape {tuple(value.shape)}. Pass a vector of length P.")
    if not value.is_floating_point():
        raise TypeError(f"{name} has dtype {value.dtype}. Pass floating numbers, as in tensor.float().")
    value = value.detach()
    # A finite sum of squares has finite terms; looking at every entry takes ten times as long.
    if not math.isfinite(float(value @ value)):
        bad = int((~torch.isfinite(value)).sum())
        if bad:
            raise ValueError(f"{name} holds {bad} non-finite values among {value.numel()}. Pass finite ones.")
    return value.clone() if copied else value


def check_alike(first: str, a: Tensor, second: str, b: Tensor, *, dtype: bool = True) -> None:
    """Raise ValueError when two vectors differ in length or, unless dtype is False, in dtype or device."""
    if a.shape != b.shape:
        raise ValueError(
            f"{first} has length {a.numel()}, but {second} has {b.numel()}. They must belong to one model."
        )
    if dtype and (a.dtype != b.dtype or a.device != b.device):
        raise ValueError(
            f"{first} is {a.dtype} on {a.device}, but {second} is {b.dtype} on {b.device}. "
            f"Convert it with {second}.to({first})."
        )


def check_objective(objective: Any) -> None:
    """Raise TypeError when it is none."""
    if not isinstance(objective, Objective):
        raise TypeError(
            f"objective is a {type(objective).__name__}. Pass a lossatlas.Objective, as in "
            "la.Objective(model, loss_fn, data)."
        )


def check_seed(seed: Any) -> int:
    """A whole number. Raises TypeError when it is none."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"seed is {seed!r}, not an integer. Pass a whole number.")
    return int(seed)


def empty_float32(size: int) -> Tensor:
    """An uninitialised float32 vector on the CPU.

    NumPy asks the system for huge pages where it has them, torch does not: writing to 25 million entries for the first
    time takes 20 ms then instead of 70.
    """
    memory = np.empty(size + 16, dtype=np.float32)
    # Aligned as torch's own memory, so that no kernel sums in another order.
    start = -memory.ctypes.data % 64 // memory.itemsize
    return torch.from_numpy(memory[start : start + size])


def is_finite(tensor: Tensor) -> bool:
    """Whether all its numbers are: its sum says so at a tenth of the cost, unless that overflows."""
    return math.isfinite(float(tensor.sum())) or bool(torch.isfinite(tensor).all())


def is_zero(vector: Tensor) -> bool:
    """Whether all entries of a (P,) vector are zero."""
    # A sum of squares may also have been too small for the dtype; looking at every entry takes longer.
    return not float(vector @ vector) and not bool(vector.any())


def dot(u: Tensor, v: Tensor) -> float:
    """⟨u, v⟩ in float64, whatever the dtype of the two (P,) vectors."""
    return sum(float(a @ b) for a, b in _in_float64(u, v))


def norm(u: Tensor) -> float:
    """‖u‖ in float64: the squares of float32 vectors may leave float32 at both ends."""
    return math.sqrt(dot(u, u))


def cosine(u: Tensor, v: Tensor) -> float:
    """The cosine of the angle between two vectors that are not zero."""
    return max(-1.0, min(1.0, dot(u, v) / (norm(u) * norm(v))))


def sine(u: Tensor, v: Tensor) -> float:
    """The sine of the angle between two vectors that are not zero, exact also for tiny angles."""
    lengths, sign = (norm(u), norm(v)), math.copysign(1.0, dot(u, v))
    half = sum(float((a / lengths[0] - sign * b / lengths[1]).square().sum()) for a, b in _in_float64(u, v))
    # The chord is 2 sin(φ / 2).
    return math.sqrt(max(0.0, half * (1 - half / 4)))


def clearly_apart(u: Tensor, v: Tensor) -> bool:
    """Whether two vectors are finite, not zero and at least 8 degrees from parallel, by products in their own dtype.

    Takes a tenth of the time of an answer in float64; where it says no, look closer.
    """
    uu, vv, uv = (float(a @ b) for a, b in ((u, u), (v, v), (u, v)))
    product = uu * vv
    return math.isfinite(product) and product > 1e-30 and uv * uv < 0.98 * product


def orthogonal_rest(v: Tensor, u: Tensor) -> Tensor:
    """Take from v, in place, its part along u, and return it. (P,) each."""
    for _ in range(2):  # the second time takes away what rounding left
        v.sub_(u, alpha=dot(u, v) / dot(u, u))
    return v


def least_squares(away: Tensor, basis: tuple[Tensor, ...]) -> tuple[list[float], float]:
    """The coordinates of the point of span(basis) nearest to `away`, and its distance; (P,) each, in float64."""
    columns = torch.stack([d.to(torch.float64) for d in basis], dim=1)
    # By QR, and of unit vectors: normal equations would lose half of the digits of nearly parallel directions.
    lengths = columns.norm(dim=0)
    q, r = torch.linalg.qr(columns / lengths)
    at = torch.linalg.solve_triangular(r, (q.T @ away)[:, None], upper=True)[:, 0] / lengths
    return at.tolist(), float((away - columns @ at).norm())


def share(vector: Tensor, basis: tuple[Tensor, ...]) -> float:
    """How much of the length of `vector` lies in the span of basis: 0 to 1. Raises ValueError for a zero vector."""
    vector = vector.to(basis[0].device, torch.float64)
    length = float(vector.norm())
    if not length:
        raise ValueError(
            "The vector is zero, so no share of it lies anywhere. Pass a vector that is not zero."
        )
    _, rest = least_squares(vector, basis)
    return math.sqrt(max(0.0, (1 - rest / length) * (1 + rest / length)))


def upright(vector: Tensor) -> Tensor:
    """The vector with the sign that makes its largest component positive."""
    return -vector if float(vector[vector.abs().argmax()]) < 0 else vector


def _in_float64(u: Tensor, v: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for a, b in zip(u.split(_CHUNK), v.split(_CHUNK), strict=True):
        yield a.to(torch.float64), b.to(torch.float64)
