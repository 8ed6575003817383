"""The slope of re-estimated statistics: running means and variances as functions of θ, followed by the chain rule."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

Statistics = list[tuple[Tensor, Tensor]]  # the mean and the variance of each layer, (C,) each


def check_layers(layers: Sequence[Any]) -> None:
    """Raise ValueError for a layer whose statistics cannot be followed."""
    for layer in layers:
        if not isinstance(layer, _BatchNorm):
            raise ValueError(
                f"There is no gradient of the re-estimated statistics of a {type(layer).__name__}. Use "
                "mode='batch_stats' or mode='eval'."
            )


def leaves(layers: Sequence[Any]) -> Statistics:
    """The statistics that the layers hold, as tensors to differentiate by."""
    return [
        (
            layer.running_mean.detach().clone().requires_grad_(True),
            layer.running_var.detach().clone().requires_grad_(True),
        )
        for layer in layers
    ]


@contextlib.contextmanager
def normalising_by(layers: Sequence[Any], statistics: Statistics) -> Iterator[None]:
    """Let the layers normalise by these statistics, which autograd follows (torch's own buffers it does not)."""

    def follow(layer: Any, args: Any, output: Tensor) -> Tensor:
        mean, variance = by[layer]
        shape = (1, -1, *[1] * (args[0].dim() - 2))
        scale = torch.rsqrt(variance + layer.eps)
        if layer.weight is not None:
            scale = scale * layer.weight
        shift = -mean * scale if layer.bias is None else layer.bias - mean * scale
        return (args[0] * scale.view(shape) + shift.view(shape)).to(output.dtype)

    by = dict(zip(layers, statistics, strict=True))
    handles = [layer.register_forward_hook(follow, prepend=True) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def collecting(layers: Sequence[Any], slopes: Statistics, uses: Sequence[int]) -> Iterator[list[Tensor]]:
    """Collect ⟨slope, statistic⟩ of every use of a layer in one batch: what the batch adds to the loss by its statistics.

    uses: how often each layer is used over all batches; each use counts alike in the average.
    """

    def collect(layer: Any, args: Any, output: Tensor) -> None:
        x, ((by_mean, by_variance), count) = args[0], of[layer]
        over = [0, *range(2, x.dim())]
        found.append((x.mean(over) @ by_mean + x.var(over, unbiased=True) @ by_variance) / count)

    found: list[Tensor] = []
    of = dict(zip(layers, zip(slopes, uses, strict=True), strict=True))
    handles = [layer.register_forward_hook(collect, prepend=True) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
