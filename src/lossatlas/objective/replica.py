"""Replica: the engine's own copy of the user's model, its parameters views of one flat buffer."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
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
        self.module, self.space, self.measure = module, space, measure
        self.hold(chunks)
        named = dict(module.named_parameters())
        self.buffer = space.flatten(named, dtype)
        for parameter in named.values():
            parameter.grad = None
            parameter.requires_grad_(False)
        for entry in space:
            named[entry.name].data = entry.of(self.buffer)
            named[entry.name].requires_grad_(measure.differentiates)
        # A forward pass that writes to a buffer (a counter, running statistics) must not change the next one.
        self._kept = [
            (owner, name, tensor, tensor.clone())
            for owner in module.modules()
            for name, tensor in owner._buffers.items()
            if tensor is not None
        ]

    def hold(self, chunks: Sequence[Batch]) -> None:
        """Evaluate on these chunks. Raises ValueError when they have no weight together, or one is negative."""
        self.chunks = chunks
        self._weights = [self.measure.weight(chunk) for chunk in chunks]
        for index, weight in enumerate(self._weights):
            if not 0 <= weight < float("inf"):
                raise ValueError(
                    f"The weight of batch {index} is {weight}. Return a finite number that is not negative."
                )
        if not sum(self._weights):
            raise ValueError("All batches weigh 0, so they have no mean. Give at least one a weight above 0.")

    def copy(self) -> ModelReplica:
        """Another replica of the same model, for a job that runs at the same time."""
        return self.measuring(self.measure, copy.deepcopy(self.module))

    def measuring(self, measure: Measure, module: nn.Module | None = None) -> ModelReplica:
        """The replica made anew around its module, with another measure."""
        return ModelReplica(module or self.module, self.space, self.chunks, measure, self.buffer.dtype)

    def run(self) -> Generator[None, None, np.ndarray]:
        """Evaluate all fields at the θ in `buffer`, (F,) float64; yields between chunks."""
        total = np.zeros(1 + len(self.measure.others))
        for index, (weight, chunk) in enumerate(self._weighted()):
            if index:
                yield
            total += weight * np.array(self.step(chunk))
        return total / sum(self._weights)

    def _weighted(self) -> Iterator[tuple[float, Batch]]:
        """The chunks that count, with their weights; a chunk without targets has no mean (0 / 0)."""
        return ((w, chunk) for w, chunk in zip(self._weights, self.chunks, strict=True) if w)

    def step(self, chunk: Batch) -> Fields:
        """The mean of each field over one chunk."""
        # Not inference_mode for a step that differentiates inside; autograd is off otherwise: it costs memory and time.
        mode = torch.enable_grad() if self.measure.differentiates else torch.inference_mode()
        with self.looking_at(chunk), mode:
            output = call_model(self.module, chunk.x)
            loss = self.measure.loss(output, chunk)
            return [number(loss), *(number(other(output, chunk.y)) for other in self.measure.others)]

    def gradient(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient of the weighted mean loss at theta, (P,), summed over chunks in float64."""
        total = torch.zeros(self.space.size, dtype=torch.float64, device=theta.device)
        for index, (weight, chunk) in enumerate(self._weighted()):
            if index:
                yield
            leaf = theta.detach().clone().requires_grad_(True)
            with self.looking_at(chunk), torch.enable_grad():
                output = call_model(self._at(leaf), chunk.x)
                loss = self.measure.loss(output, chunk)
                (gradient,) = torch.autograd.grad(loss, leaf)
            total += weight * gradient
        return (total / sum(self._weights)).to(theta.dtype)

    def _at(self, leaf: Tensor) -> Callable[..., Any]:
        """The module as a differentiable function of a flat vector."""
        tensors = self.space.unflatten(leaf)
        return lambda *args, **kwargs: torch.func.functional_call(self.module, tensors, args, kwargs)

    @contextlib.contextmanager
    def looking_at(self, chunk: Batch) -> Iterator[None]:
        """Note the chunk for whoever asks what went wrong, and put the buffers back, also after an error."""
        self.chunk = chunk
        try:
            yield
        finally:
            for owner, name, tensor, kept in self._kept:
                if not torch.equal(tensor, kept):
                    tensor.copy_(kept)
                if owner._buffers.get(name) is not tensor:
                    owner._buffers[name] = tensor


class FunctionReplica:
    """A plain function of the flat vector, f(θ) -> scalar.

    All replicas share the function, which may load θ into a module of the user's: one of them calls it at a time.
    """

    def __init__(
        self, f: Callable[[Tensor], Tensor], theta: Tensor, differentiates: bool, lock: Lock | None = None
    ) -> None:
        self.f = f
        self.differentiates = differentiates
        self.buffer = theta.detach().clone()
        self._lock = lock or Lock()

    def copy(self) -> FunctionReplica:
        """Another replica, for a job that runs at the same time."""
        return FunctionReplica(self.f, self.buffer, self.differentiates, self._lock)

    def run(self) -> Generator[None, None, np.ndarray]:
        """Evaluate f at the θ in `buffer`: (1,) float64."""
        yield from ()
        # A clone, because a user's function may write to its argument.
        theta = self.buffer.clone()
        with self._lock, torch.enable_grad() if self.differentiates else torch.no_grad():
            return np.array([number(self.f(theta.requires_grad_(self.differentiates)))])

    def gradient(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient of f at theta, (P,)."""
        yield from ()
        leaf = theta.detach().clone().requires_grad_(True)
        with self._lock, torch.enable_grad():
            (gradient,) = torch.autograd.grad(self.f(leaf), leaf)
        return gradient
