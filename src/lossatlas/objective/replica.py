"""Replica: the engine's own copy of the user's model, its parameters views of one flat buffer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas.objective.data import Batch
from lossatlas.objective.parameters import ParameterSpace

#: Fields of one chunk in the order of `Objective.fields`: each a mean over the chunk.
Fields = list[float]


class Replica(Protocol):
    """What is evaluated: write θ into `buffer`, then run the chunks."""

    buffer: Tensor  # (P,)

    def copy(self) -> Replica:
        """Another replica of the same, for a job that runs at the same time."""
        ...

    def run(self) -> Generator[None, None, np.ndarray]:
        """Evaluate all fields at the θ in `buffer`, (F,) float64; yields between chunks."""
        ...

    def gradient(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient of the loss at theta, (P,); yields between chunks."""
        ...


@dataclass(frozen=True)
class Measure:
    """What is measured of an output: the loss and the fields beside it, and what a batch weighs."""

    loss: Callable[[Any, Batch], Any]  # (output, batch) -> scalar mean over the batch
    others: tuple[Callable[[Any, Any], Any], ...]  # (output, y) -> scalar mean over the batch
    weight: Callable[[Batch], float]
    differentiates: bool  # the step takes derivatives inside, so autograd must be on


def number(value: Any) -> float:
    """A scalar tensor or number as a float, also one that autograd follows."""
    return float(value.detach()) if isinstance(value, Tensor) else float(value)


def call_model(module: Callable[..., Any], x: Any) -> Any:
    """model(x), model(*x) for a tuple, model(**x) for a mapping."""
    if isinstance(x, tuple):
        return module(*x)
    if isinstance(x, dict):
        return module(**x)
    return module(x)


class ModelReplica:
    """A deep copy of a module whose trainable parameters are views of `buffer`.

    Writing θ into the buffer is all it takes to move the model: no state dict, no allocation.
    """

    def __init__(
        self,
        module: nn.Module,
        space: ParameterSpace,
        chunks: Sequence[Batch],
        measure: Measure,
        dtype: torch.dtype,
    ) -> None:
        self.module, self.space, self.chunks, self.measure = module, space, chunks, measure
        named = dict(module.named_parameters())
        self.buffer = space.flatten(named, dtype)
        for parameter in named.values():
            parameter.grad = None
            parameter.requires_grad_(False)
        for entry in space:
            named[entry.name].data = entry.of(self.buffer)
            named[entry.name].requires_grad_(measure.differentiates)
        # A forward pass that writes to a buffer (a counter, running statistics) must not change the next one.
        self._kept = [(tensor, tensor.clone()) for tensor in module.buffers()]

    def copy(self) -> ModelReplica:
        """Another replica of the same model, for a job that runs at the same time."""
        return self.measuring(self.measure, copy.deepcopy(self.module))

    def measuring(self, measure: Measure, module: nn.Module | None = None) -> ModelReplica:
        """The replica made anew around its module, with another measure."""
        return ModelReplica(module or self.module, self.space, self.chunks, measure, self.buffer.dtype)

    def run(self) -> Generator[None, None, np.ndarray]:
        """Evaluate all fields at the θ in `buffer`, (F,) float64; yields between chunks."""
        total = np.zeros(1 + len(self.measure.others))
        weights = 0.0
        for index, chunk in enumerate(self.chunks):
            if index:
                yield
            weight = self.measure.weight(chunk)
            total += weight * np.array(self.step(chunk))
            weights += weight
        return total / weights

    def step(self, chunk: Batch) -> Fields:
        """The mean of each field over one chunk."""
        # Not inference_mode for a step that differentiates inside; autograd is off otherwise: it costs memory and time.
        mode = torch.enable_grad() if self.measure.differentiates else torch.inference_mode()
        with mode:
            output = call_model(self.module, chunk.x)
            loss = self.measure.loss(output, chunk)
            values = [number(loss), *(number(other(output, chunk.y)) for other in self.measure.others)]
        self._restore()
        return values

    def gradient(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient of the weighted mean loss at theta, (P,), summed over chunks in float64."""
        total = torch.zeros(self.space.size, dtype=torch.float64, device=theta.device)
        weights = 0.0
        for index, chunk in enumerate(self.chunks):
            if index:
                yield
            leaf = theta.detach().clone().requires_grad_(True)
            with torch.enable_grad():
                output = call_model(self._at(leaf), chunk.x)
                loss = self.measure.loss(output, chunk)
                (gradient,) = torch.autograd.grad(loss, leaf)
            weight = self.measure.weight(chunk)
            total += weight * gradient
            weights += weight
            self._restore()
        return (total / weights).to(theta.dtype)

    def _at(self, leaf: Tensor) -> Callable[..., Any]:
        """The module as a differentiable function of a flat vector."""
        tensors = self.space.unflatten(leaf)
        return lambda *args, **kwargs: torch.func.functional_call(self.module, tensors, args, kwargs)

    def _restore(self) -> None:
        for tensor, kept in self._kept:
            if not torch.equal(tensor, kept):
                tensor.copy_(kept)


class FunctionReplica:
    """A plain function of the flat vector, f(θ) -> scalar."""

    def __init__(self, f: Callable[[Tensor], Tensor], theta: Tensor, differentiates: bool) -> None:
        self.f = f
        self.differentiates = differentiates
        self.buffer = theta.detach().clone()

    def copy(self) -> FunctionReplica:
        """Another replica, for a job that runs at the same time."""
        return FunctionReplica(self.f, self.buffer, self.differentiates)

    def run(self) -> Generator[None, None, np.ndarray]:
        """Evaluate f at the θ in `buffer`: (1,) float64."""
        yield from ()
        if self.differentiates:
            with torch.enable_grad():
                return np.array([number(self.f(self.buffer.clone().requires_grad_(True)))])
        # A clone, because a user's function may write to its argument.
        with torch.no_grad():
            return np.array([number(self.f(self.buffer.clone()))])

    def gradient(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient of f at theta, (P,)."""
        yield from ()
        leaf = theta.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(self.f(leaf), leaf)
        return gradient
