"""Normalisation layers: which statistics they use while a loss is measured, and how running ones are re-estimated."""

from __future__ import annotations

import hashlib
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


class FrozenDropout(nn.Module):
    """Dropout by one mask, drawn from a seed for each shape: the thinned network is the same at every point and sample.

    Inverted dropout as torch's: what stays is divided by 1 − p. whole: features are dropped with all their places.
    """

    def __init__(self, p: float, key: str, whole: bool) -> None:
        super().__init__()
        self.p, self.key, self.whole = p, key, whole
        self._masks: dict[tuple[int, ...], torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x times the mask of one sample's shape."""
        shape = tuple(x.shape[1:2]) + (1,) * (x.dim() - 2) if self.whole else tuple(x.shape[1:])
        if shape not in self._masks:
            key = hashlib.sha256(f"lossatlas dropout {self.key} {shape}".encode()).digest()
            generator = torch.Generator("cpu").manual_seed(int.from_bytes(key[:8], "little") >> 1)
            kept = torch.rand(shape, generator=generator) >= self.p
            self._masks[shape] = kept.to(x.device, x.dtype) / (1.0 - self.p)
        return x * self._masks[shape]

    def extra_repr(self) -> str:
        return f"p={self.p}, key={self.key!r}, whole={self.whole}"


def freeze_dropout(model: nn.Module, seed: int) -> str:
    """Put a `FrozenDropout` in place of every dropout layer of the engine's copy; returns what to say of it."""
    kinds = {nn.Dropout: False, nn.Dropout1d: True, nn.Dropout2d: True, nn.Dropout3d: True}
    for name, part in list(model.named_modules()):
        if type(part) in kinds and 0 < part.p < 1:
            parent, _, child = name.rpartition(".")
            frozen = FrozenDropout(part.p, f"{seed} {name}", kinds[type(part)])
            setattr(model.get_submodule(parent), child, frozen)
    count = sum(isinstance(part, FrozenDropout) for part in model.modules())
    if not count:
        return f"The model has no dropout layer that could be frozen: dropout={seed} is the same as off."
    return f"Dropout is frozen by seed {seed}: one mask for all samples and points, in {count} layer{'s'[: count > 1]}."


def check_dropout(dropout: Any) -> None:
    """Raise TypeError or ValueError for what is neither None nor a seed."""
    if dropout is not None and (isinstance(dropout, bool) or not isinstance(dropout, int)):
        raise TypeError(
            f"dropout is {dropout!r}. Pass a whole number, the seed of its mask, or None for off."
        )
    if dropout is not None and dropout < 0:
        raise ValueError(f"dropout is {dropout}. Pass a seed that is not negative.")


def apply_mode(model: nn.Module, mode: Mode, dropout: int | None = None) -> tuple[str, ...]:
    """Set the engine's copy of a model to a mode, and say so in notes. Everything else stays in evaluation mode.

    dropout: the seed that freezes it; None for off.
    """
    notes = []
    layers = running(model)
    if layers:
        notes.append(_SAID[mode])
    elif mode != "eval":
        notes.append(f"The model has no running statistics: mode={mode!r} is the same as 'eval'.")
    if dropout is not None:
        notes.append(freeze_dropout(model, dropout))
    if any(isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0 for part in model.modules()):
        notes.append("Dropout is off." if dropout is None else "Dropout of another kind is off.")
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
