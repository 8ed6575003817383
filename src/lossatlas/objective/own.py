"""The engine's own copy of a user's module: checked, unwrapped, deep, and never theirs (law 1)."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas.objective.data import tensors_of
from lossatlas.objective.parameters import trainable
from lossatlas.objective.untouched import random_streams_untouched

_UNTRAINED = "Run the model on one batch, so that its lazy layers are made."


def check_model(model: Any) -> None:
    """Raise TypeError or ValueError, in words, for what is no module with finite real trainable parameters."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model is a {type(model).__name__}, not a torch.nn.Module. "
            "Pass the module, or a plain function of θ to Objective.from_function."
        )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(f"The parameter {name!r} has no shape yet. {_UNTRAINED}")
        if parameter.is_complex():
            raise ValueError(
                f"The parameter {name!r} is complex ({parameter.dtype}). Store it as two real tensors."
            )
        if parameter.is_meta:
            raise ValueError(
                f"The parameter {name!r} is on the meta device and has no values. Load the weights first."
            )
        # A frozen mask may well hold −inf.
        if parameter.requires_grad or parameter.isnan().any():
            check_finite(f"The parameter {name!r}", parameter)
    for name, buffer in model.named_buffers():
        if isinstance(buffer, nn.parameter.UninitializedBuffer):
            raise ValueError(f"The buffer {name!r} has no shape yet. {_UNTRAINED}")
        if buffer.is_meta:
            raise ValueError(
                f"The buffer {name!r} is on the meta device and has no values. Load the weights first."
            )
    named = trainable(model)
    if not named:
        raise ValueError(
            f"{type(model).__name__} has no trainable parameters. Set requires_grad on those that the map may move."
        )
    devices = sorted({str(parameter.device) for _, parameter in named})
    if len(devices) > 1:
        raise ValueError(
            f"The trainable parameters are on several devices, {' and '.join(devices)}. Move the model to one."
        )


def check_finite(what: str, tensor: Tensor) -> None:
    """Raise ValueError when a tensor holds NaN or infinity."""
    bad = int((~torch.isfinite(tensor.detach())).sum())
    if bad:
        raise ValueError(
            f"{what} holds {bad} non-finite values among {tensor.numel()}. A map needs a finite origin: load a sound "
            "checkpoint."
        )


def unwrapped(model: Any) -> tuple[Any, tuple[str, ...]]:
    """The module inside of torch.compile, DataParallel and DistributedDataParallel, and a note for each taken off."""
    notes = []
    while isinstance(model, nn.Module):
        if _is_compiled(model):
            notes.append(
                "The model is compiled: what it was compiled from is measured, equal up to rounding."
            )
            model = model._orig_mod
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            notes.append(
                f"{type(model).__name__} is taken off: the module inside is measured on its own device."
            )
            model = model.module
        else:
            break
    return model, tuple(notes)


def copy_of(
    model: nn.Module, dtype: torch.dtype | None, device: torch.device | str | None, *, mode: bool = False
) -> nn.Module:
    """A deep copy in evaluation mode (`mode`: in training mode), compiled parts taken off, on a device and in a dtype."""
    own = deep_copy(model)
    for part in list(own.modules()):
        part._compiled_call_impl = None
        for name, child in part._modules.items():
            part._modules[name] = _uncompiled(child)
        # A sparse gradient has the values of a dense one, but cannot be that of a view of the flat vector.
        if isinstance(part, nn.Embedding | nn.EmbeddingBag):
            part.sparse = False
    own.train(mode)
    if dtype is not None or device is not None:
        own.to(device=device, dtype=dtype)
    return own


def deep_copy(model: nn.Module) -> nn.Module:
    """copy.deepcopy, also of a module that keeps results of its last forward pass (old weight norm keeps its weight)."""
    results = {
        id(tensor): tensor.detach().clone()
        for tensor in _attributes(model)
        if tensor.grad_fn is not None or tensor.is_inference()
    }
    # Copying draws nothing, unless a module copies itself in its own way, by making a new one.
    itself = any(hasattr(type(part), "__deepcopy__") for part in model.modules())
    with random_streams_untouched() if itself else contextlib.nullcontext():
        try:
            return copy.deepcopy(model, results)
        except Exception as error:
            raise ValueError(
                f"{type(model).__name__} cannot be copied: {str(error).rstrip('.')}. The engine works on a copy, so that "
                "yours is never touched: make copy.deepcopy(model) work."
            ) from error


def _attributes(model: nn.Module) -> Iterator[Tensor]:
    """Tensors that are plain attributes of a module or one of its parts: neither parameters nor buffers."""
    for part in model.modules():
        for value in vars(part).values():
            if isinstance(value, Tensor | tuple | list):
                yield from tensors_of(value)


def _uncompiled(module: Any) -> Any:
    while module is not None and _is_compiled(module):
        module = module._orig_mod
    return module


def _is_compiled(module: nn.Module) -> bool:
    # By its name: importing torch's compiler takes 1.6 s.
    return type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod")
