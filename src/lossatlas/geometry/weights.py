"""Weights that a user hands over: a vector, a state dict or a module, and the name of a single one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas.geometry.vectors import checked_vector, is_finite
from lossatlas.objective import Objective, ParameterSpace
from lossatlas.objective.naming import near

_NAME = re.compile(r"(?P<name>[^\[\]]*)(\[(?P<indices>[-+\d\s,]*)\])?")


def vector_of(objective: Objective, weights: Any, what: str) -> Tensor:
    """The (P,) vector of other weights, in the objective's dtype and on its device.

    weights: a (P,) tensor, a state dict or a module; what: what it is called in errors. Buffers, such as running
    statistics, are left out: they stay those of the objective. Raises TypeError or ValueError that names the tensor.
    """
    if isinstance(weights, nn.Module):
        weights = dict(weights.named_parameters(remove_duplicate=False))
    if isinstance(weights, Mapping):
        found = _flatten(objective.parameters, weights, what)
        return found.to(objective.device, objective.dtype)
    if not isinstance(weights, Tensor):
        raise TypeError(
            f"{what} is a {type(weights).__name__}. Pass a (P,) tensor, a state dict or a module."
        )
    vector = checked_vector(what, weights, copied=False)
    if vector.numel() != objective.size:
        raise ValueError(
            f"{what} has length {vector.numel()}, but the objective has P = {objective.size} parameters. Pass weights "
            "of the same model."
        )
    return vector.to(objective.device, objective.dtype, copy=True)


def position_of(space: ParameterSpace, name: str) -> tuple[str, int]:
    """The full name of a single parameter such as "0.weight[3, 5]", and its place in the flat vector.

    Raises ValueError for an unknown tensor, too few or many indices, and indices out of range.
    """
    match = _NAME.fullmatch(name.strip()) if isinstance(name, str) else None
    if match is None:
        raise ValueError(
            f"{name!r} names no single parameter. Pass a name with indices, as in '0.weight[3, 5]'."
        )
    tensor, listed = match["name"].strip(), match["indices"]
    entries = {entry.name: entry for entry in space}
    if tensor not in entries:
        raise ValueError(f"There is no trainable parameter {tensor!r}. {near(tensor, entries)}")
    entry = entries[tensor]
    indices = [int(index) for index in listed.split(",") if index.strip()] if listed else []
    if len(indices) != len(entry.shape):
        example = f"{tensor}[{', '.join('0' * len(entry.shape))}]" if entry.shape else tensor
        raise ValueError(
            f"{name!r} has {len(indices)} indices, but {tensor!r} has shape {entry.shape}. Pass one for each "
            f"dimension, as in {example!r}."
        )
    place = 0
    for index, extent in zip(indices, entry.shape, strict=True):
        if not -extent <= index < extent:
            raise ValueError(
                f"{name!r} is out of range: {tensor!r} has shape {entry.shape}. Pass indices below it."
            )
        place = place * extent + index % extent
    shown = ", ".join(str(index % extent) for index, extent in zip(indices, entry.shape, strict=True))
    return f"{tensor}[{shown}]" if entry.shape else tensor, entry.offset + place


def plain(name: str) -> str:
    """A parameter's name without what compiling and DataParallel put before it."""
    return name.replace("_orig_mod.", "").removeprefix("module.")


def _flatten(space: ParameterSpace, tensors: Mapping[Any, Any], what: str) -> Tensor:
    by_plain = {plain(name): value for name, value in tensors.items() if isinstance(name, str)}
    parts = []
    for entry in space:
        tensor = tensors.get(entry.name, by_plain.get(plain(entry.name)))
        if tensor is None:
            inner = next((key for key, value in tensors.items() if isinstance(value, Mapping)), None)
            cure = (
                f"It holds mappings of its own: pass {what}[{inner!r}]."
                if inner is not None
                else f"{near(entry.name, by_plain)} Pass weights of the same architecture."
            )
            raise ValueError(f"{what} lacks the tensor {entry.name!r}. {cure}")
        parts.append(checked_tensor(f"{what}: the tensor {entry.name!r}", tensor, entry.shape).reshape(-1))
    dtype = parts[0].dtype
    for part in parts:
        dtype = torch.promote_types(dtype, part.dtype)
    return torch.cat([part.to(dtype) for part in parts])


def checked_tensor(what: str, tensor: Any, shape: tuple[int, ...] | None) -> Tensor:
    """A finite floating tensor of this shape, without gradient. Raises TypeError or ValueError, in words."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{what} is a {type(tensor).__name__}, not a tensor. Pass torch tensors.")
    if shape is not None and tuple(tensor.shape) != shape:
        raise ValueError(
            f"{what} has shape {tuple(tensor.shape)}, but the model's has {shape}. Pass weights of the same architecture."
        )
    if not tensor.is_floating_point():
        raise TypeError(f"{what} has dtype {tensor.dtype}. Pass floating weights.")
    if tensor.is_meta:
        raise ValueError(f"{what} is on the meta device and has no values. Load the weights first.")
    bad = 0 if is_finite(tensor.detach()) else int((~torch.isfinite(tensor.detach())).sum())
    if bad:
        raise ValueError(
            f"{what} holds {bad} non-finite values among {tensor.numel()}. Pass a sound checkpoint."
        )
    return tensor.detach()
