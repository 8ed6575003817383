"""Directions in parameter space: random ones, their normalisation to filters, and turning one into another."""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from lossatlas.objective import ParameterSpace


def random_direction(
    space: ParameterSpace, theta: Tensor, *, seed: int, index: int, normalize: bool = True
) -> Tensor:
    """The random direction number `index` (from 0) of a seed: Gaussian, then filter-normalised.

    theta: (P,), whose filter norms it takes (Li et al. 2018, section 4). A generator of its own draws it in float32,
    so that a model in float64 gets the same direction. Where no tensor has two dimensions there are no filters: the
    whole vector then gets the norm of theta, or 1 where theta is zero.
    """
    key = hashlib.sha256(f"lossatlas direction {seed} {index}".encode()).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(key[:8], "little") >> 1)
    drawn = torch.randn(space.size, generator=generator, dtype=torch.float32, device=generator.device)
    gaussian = drawn.to(theta.device, theta.dtype)
    if not normalize:
        return gaussian
    if has_filters(space):
        return filter_normalize(gaussian, theta, space)
    return gaussian * ((float(theta.norm()) or 1.0) / float(gaussian.norm()))


def has_filters(space: ParameterSpace) -> bool:
    """Whether any tensor has two or more dimensions."""
    return any(entry.filters for entry in space)


def filter_normalize(direction: Tensor, theta: Tensor, space: ParameterSpace) -> Tensor:
    """Scale each filter of a direction to the norm of the same filter of theta: d_f ← d_f ‖w_f‖ / ‖d_f‖.

    direction, theta: (P,) -> (P,). A filter is one slice along dimension 0 of a tensor of two or more dimensions
    (Frobenius norm); 1-D tensors (biases, norm vectors) become zero; a zero filter stays zero (Li et al. 2018,
    section 4). Raises ValueError when the lengths differ.
    """
    for name, vector in (("direction", direction), ("theta", theta)):
        if tuple(vector.shape) != (space.size,):
            raise ValueError(
                f"{name} has shape {tuple(vector.shape)}. Pass a vector of length P = {space.size}."
            )
    result = torch.zeros_like(direction)
    for entry in space:
        if entry.filters:
            d, w = entry.rows(direction), entry.rows(theta)
            length = d.norm(dim=1, keepdim=True)
            scale = torch.where(length > 0, w.norm(dim=1, keepdim=True) / length, torch.zeros_like(length))
            entry.rows(result).copy_(d * scale)
    return result


def turn(direction: Tensor, towards: Tensor, degrees: int) -> Tensor:
    """cos φ · direction + sin φ · towards, for whole degrees φ; (P,) each.

    The quarter turns are exact, so that 90 degrees gives `towards` and not a hair of `direction`.
    """
    cos, sin = _QUARTERS.get(
        degrees % 360, (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    )
    return cos * direction + sin * towards


_QUARTERS = {0: (1.0, 0.0), 90: (0.0, 1.0), 180: (-1.0, 0.0), 270: (0.0, -1.0)}
