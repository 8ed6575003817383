"""Normalisation layers: which statistics they use while a loss is measured, and how running ones are re-estimated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

Mode = Literal["eval", "batch_stats", "reestimated"]

_SAID: dict[str, str] = {
    "eval": "Normalisation layers use their running statistics (mode='eval').",
    "batch_stats": (
        "Normalisation layers use the statistics of each of your batches, at every point (mode='batch_stats')."
    ),
    "reestimated": (
        "The running statistics of normalisation layers are estimated anew at every point: the average over your "
        "batches (mode='reestimated')."
    ),
}


def check_mode(mode: Any) -> None:
    """Raise ValueError for a mode that there is not."""
    if mode not in get_args(Mode):
        raise ValueError(f'mode is {mode!r}. Pass "eval", "batch_stats" or "reestimated".')


def norm_layers(model: nn.Module) -> list[Any]:
    """Layers that normalise by statistics of the batch, or by running ones; others' own kinds are known by their buffers."""
    return [
        part
        for part in model.modules()
        if isinstance(part, _NormBase) or part._buffers.keys() >= {"running_mean", "running_var"}
    ]


def running(model: nn.Module) -> list[Any]:
    """Those of them that keep running statistics."""
    return [layer for layer in norm_layers(model) if layer._buffers.get("running_mean") is not None]


def apply_mode(model: nn.Module, mode: Mode) -> tuple[str, ...]:
    """Set the engine's copy of a model to a mode, and say so in notes. Everything else stays in evaluation mode."""
    notes = []
    layers = running(model)
    if layers:
        notes.append(_SAID[mode])
    elif mode != "eval":
        notes.append(f"The model has no running statistics: mode={mode!r} is the same as 'eval'.")
    if any(isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0 for part in model.modules()):
        notes.append("Dropout is off.")
    if mode != "eval":
        # What the user's training has left there is not used: it is no part of what is measured.
        forget(layers)
    if mode == "batch_stats":
        for layer in layers:
            layer.training = True
    return tuple(notes)


def forget(layers: Sequence[Any]) -> None:
    """Running statistics as those of a new layer."""
    for layer in layers:
        with torch.no_grad():
            layer.running_mean.zero_()
            layer.running_var.fill_(1)
            if layer._buffers.get("num_batches_tracked") is not None:
                layer.num_batches_tracked.zero_()


def prepare_batch(layers: Sequence[Any], index: int) -> None:
    """Let the next forward pass add batch `index`, counted from 0, to the cumulative average of each layer."""
    for layer in layers:
        layer.training = True
        # None is torch's own word for the cumulative average, but its instance norm takes it for 0.
        layer.momentum = None if isinstance(layer, _BatchNorm) else 1 / (index + 1)


def use_estimates(layers: Sequence[Any]) -> None:
    """Let the layers use what they have averaged."""
    for layer in layers:
        layer.training = False
