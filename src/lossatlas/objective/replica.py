"""Replica: the engine's own copy of the user's model, its parameters views of one flat buffer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas.objective import estimated
from lossatlas.objective.data import Batch
from lossatlas.objective.measure import Measure, number
from lossatlas.objective.modes import forget, prepare_batch, running, use_estimates
from lossatlas.objective.own import deep_copy
from lossatlas.objective.parameters import ParameterSpace

#: Fields of one chunk in the order of `Objective.fields`: each a mean over the chunk.
Fields = list[float]


class Replica(Protocol):
    """What is evaluated: write θ into `buffer`, then run the chunks."""

    buffer: Tensor  # (P,)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what `run` returns, "loss" first."""
        ...

    def copy(self) -> Replica:
        """Another replica of the same, for a job that runs at the same time."""
        ...

    def run(self) -> Generator[None, None, np.ndarray]:
        """Evaluate all fields at the θ in `buffer`, (F,) float64; yields between chunks."""
        ...

    def slope(
        self, theta: Tensor, chunks: Sequence[Batch] | None = None
    ) -> Generator[None, None, tuple[float, Tensor]]:
        """The loss at theta and its gradient, (P,), over all data or over these chunks alone; yields between chunks."""
        ...


class ModelReplica:
    """A deep copy of a module whose trainable parameters are views of `buffer`.

    Writing θ into the buffer is all it takes to move the model: no state dict, no allocation. Parameters of another
    dtype than the buffer's are rounded from it before each run.

    decay: λ of ½ λ‖θ‖², which is added to the loss and makes two fields after it, the data's loss and the decay.
    estimation: batches over which running statistics are estimated anew at every point, before the chunks are run.
    """

    def __init__(
        self,
        module: nn.Module,
        space: ParameterSpace,
        chunks: Sequence[Batch],
        measure: Measure,
        dtype: torch.dtype,
        *,
        decay: float = 0.0,
        estimation: Sequence[Batch] = (),
    ) -> None:
        self.module, self.space, self.measure = module, space, measure
        self.decay, self.estimation = decay, estimation
        self.hold(chunks)
        named = dict(module.named_parameters())
        self.buffer = space.flatten(named, dtype)
        for parameter in named.values():
            parameter.grad = None
            parameter.requires_grad_(False)
        self._rounded: list[tuple[Tensor, Tensor]] = []
        for entry in space:
            parameter, part = named[entry.name], entry.of(self.buffer)
            if parameter.dtype == dtype:
                parameter.data = part
            else:
                self._rounded.append((parameter, part))
            parameter.requires_grad_(measure.differentiates)
        self._step = _Step(module)
        # Wherever a trainable tensor stands: tied ones in several modules, each module once.
        names = {id(parameter): name for name, parameter in named.items() if name in space}
        self._places = [
            (f"{prefix}.{key}" if prefix else key, names[id(parameter)], parameter.dtype)
            for prefix, part in module.named_modules()
            for key, parameter in part._parameters.items()
            if id(parameter) in names
        ]
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
        self._weights: list[float | None] | None = None
        if isinstance(chunks, list):
            self._weights = [self._weight(index, chunk) for index, chunk in enumerate(chunks)]
            known = [weight for weight in self._weights if weight is not None]
            if known:
                some_weight(sum(known))

    def _weight(self, index: int, chunk: Batch) -> float | None:
        weight = self.measure.weight(chunk)
        if weight is not None and not 0 <= weight < float("inf"):
            raise ValueError(
                f"The weight of batch {index} is {weight}. Return a finite number that is not negative."
            )
        return weight

    def copy(self) -> ModelReplica:
        """Another replica of the same model, for a job that runs at the same time."""
        return self.measuring(self.measure, deep_copy(self.module))

    def measuring(self, measure: Measure, module: nn.Module | None = None) -> ModelReplica:
        """The replica made anew around its module, with another measure."""
        return ModelReplica(
            module or self.module, self.space, self.chunks, measure, self.buffer.dtype,
            decay=self.decay, estimation=self.estimation,
        )  # fmt: skip

    def put_channels_last(self) -> None:
        """Keep filters of images with their channels last; θ is copied into them before each run."""
        self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        named = dict(self.module.named_parameters())
        known = {id(parameter) for parameter, _ in self._rounded}
        for entry in self.space:
            parameter = named[entry.name]
            if parameter.dim() == 4 and id(parameter) not in known:
                self._rounded.append((parameter, entry.of(self.buffer)))

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of what `run` returns."""
        loss, *others = self.measure.fields
        return (loss, *(("data_loss", "weight_decay") if self.decay else ()), *others)

    def run(self) -> Generator[None, None, np.ndarray]:
        """Evaluate all fields at the θ in `buffer`, (F,) float64; yields between chunks."""
        total, weights = np.zeros(len(self.measure.fields)), 0.0
        yield from self._estimate()
        for index, (known, chunk) in enumerate(self.counting()):
            if index:
                yield
            said, fields = self.read(chunk)
            weight = said if known is None else known
            if weight:
                total += weight * np.array(fields)
                weights += weight
        means = total / some_weight(weights)
        if not self.decay:
            return means
        decay = 0.5 * self.decay * number(self.buffer.double().square().sum())
        return np.array([means[0] + decay, means[0], decay, *means[1:]])

    def counting(self, chunks: Sequence[Batch] | None = None) -> Iterator[tuple[float | None, Batch]]:
        """The chunks that may count, with their weights; one without targets has no mean (0 / 0)."""
        weights = self._weights if chunks is None else None
        if weights is None:  # a stream, or chunks of somebody else's
            of = self.chunks if chunks is None else chunks
            pairs = ((self._weight(index, chunk), chunk) for index, chunk in enumerate(of))
        else:
            pairs = ((weight, chunk) for weight, chunk in zip(weights, self.chunks, strict=True))
        return (pair for pair in pairs if pair[0] != 0)

    def step(self, chunk: Batch) -> Fields:
        """The mean of each field over one chunk."""
        return self.read(chunk)[1]

    def read(self, chunk: Batch) -> tuple[float | None, Fields]:
        """What one chunk counts for, if it says so, and the mean of each field over it."""
        with self.looking_at(chunk), self._autograd():
            weight, fields = self.measure.read(self.measure.run(self.module, chunk), chunk)
            return weight, [number(field) for field in fields]

    def output(self, chunk: Batch, read: Callable[[Any], Tensor]) -> Tensor:
        """What `read` makes of the model's output for a chunk, at the θ in `buffer`."""
        with self.looking_at(chunk), self._autograd():
            return read(self.measure.run(self.module, chunk))

    def slope(
        self, theta: Tensor, chunks: Sequence[Batch] | None = None
    ) -> Generator[None, None, tuple[float, Tensor]]:
        """The weighted mean loss at theta and its gradient, (P,), summed over chunks in float64."""
        layers = running(self.module) if self.estimation else []
        estimated.check_layers(layers)
        if layers:
            self.buffer.copy_(theta)
            yield from self._estimate()
        statistics = estimated.leaves(layers)
        inputs = [tensor for pair in statistics for tensor in pair]
        slopes = [torch.zeros_like(tensor, dtype=torch.float64) for tensor in inputs]
        total = torch.zeros(self.space.size, dtype=torch.float64, device=theta.device)
        value = weights = 0.0
        for index, (known, chunk) in enumerate(self.counting(chunks)):
            if index:
                yield
            leaf = theta.detach().clone().requires_grad_(True)
            follow = estimated.normalising_by(layers, statistics)
            with self.looking_at(chunk), torch.enable_grad(), follow:
                said, (loss, *_) = self.at(self.space.unflatten(leaf), chunk)
                weight = said if known is None else known
                if weight:
                    gradient, *rest = torch.autograd.grad(
                        loss, [leaf, *inputs], allow_unused=bool(layers), materialize_grads=bool(layers)
                    )
                    total += weight * gradient
                    value += weight * number(loss)
                    weights += weight
                    for slope, part in zip(slopes, rest, strict=True):
                        slope += weight * part
        total /= some_weight(weights)
        if layers:
            total += yield from self._through_statistics(theta, layers, [slope / weights for slope in slopes])
        value /= weights
        if self.decay:
            value += 0.5 * self.decay * number(theta.double().square().sum())
            total += self.decay * theta
        return value, total.to(theta.dtype)

    def _through_statistics(
        self, theta: Tensor, layers: Sequence[Any], slopes: Sequence[Tensor]
    ) -> Generator[None, None, Tensor]:
        """What θ changes in the loss by the estimated statistics, (P,) float64; slopes: of the loss by each of them."""
        total = torch.zeros(self.space.size, dtype=torch.float64, device=theta.device)
        parts = [slope.to(theta.dtype) for slope in slopes]
        pairs = list(zip(parts[::2], parts[1::2], strict=True))
        uses = [int(layer.num_batches_tracked) for layer in layers]
        for index, batch in enumerate(self.estimation):
            prepare_batch(layers, index)
            leaf = theta.detach().clone().requires_grad_(True)
            with (
                self.looking_at(batch),
                torch.enable_grad(),
                estimated.collecting(layers, pairs, uses) as found,
            ):
                self.at(self.space.unflatten(leaf), batch)
                total += torch.autograd.grad(torch.stack(found).sum(), leaf)[0]
            yield
        use_estimates(layers)
        return total

    def at(
        self, parts: Mapping[str, Tensor], chunk: Batch, measure: Measure | None = None
    ) -> tuple[float | None, list[Any]]:
        """What a chunk counts for, and its fields, or another measure's, as differentiable functions of θ's named tensors."""
        tensors = {f"module.{place}": parts[name].to(dtype) for place, name, dtype in self._places}
        # Not by torch's own search for tied weights: of a module that is there twice it puts back the wrong tensor.
        return torch.func.functional_call(
            self._step, tensors, (measure or self.measure, chunk), tie_weights=False
        )

    def _estimate(self) -> Generator[None, None, None]:
        """Estimate running statistics at the θ in `buffer`, over the user's own batches."""
        if not self.estimation:
            return
        layers = running(self.module)
        forget(layers)
        self._keep(layers)
        for index, batch in enumerate(self.estimation):
            prepare_batch(layers, index)
            with self.looking_at(batch, estimating=layers), self._autograd():
                self.measure.run(self.module, batch)
            yield
        use_estimates(layers)

    def _keep(self, layers: Sequence[nn.Module]) -> None:
        """Take the buffers of these layers for what they are to be put back to."""
        for owner, _, tensor, kept in self._kept:
            if owner in layers:
                kept.copy_(tensor)

    def _autograd(self) -> contextlib.AbstractContextManager[Any]:
        # Not inference_mode for a step that differentiates inside; autograd is off otherwise: it costs memory and time.
        return torch.enable_grad() if self.measure.differentiates else torch.inference_mode()

    @contextlib.contextmanager
    def looking_at(self, chunk: Batch, *, estimating: Sequence[nn.Module] = ()) -> Iterator[None]:
        """Note the chunk for whoever asks what went wrong, and put the buffers back, also after an error.

        estimating: the layers whose buffers are to stay as this pass leaves them.
        """
        self.chunk = chunk
        for parameter, part in self._rounded:
            parameter.data.copy_(part)
        try:
            yield
            self._keep(estimating)
        finally:
            for owner, name, tensor, kept in self._kept:
                if not torch.equal(tensor, kept):
                    tensor.copy_(kept)
                if owner._buffers.get(name) is not tensor:
                    owner._buffers[name] = tensor


class _Step(nn.Module):
    """A module around the user's, so that a measure can call it, or its methods, with other parameters in place."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, measure: Measure, batch: Batch) -> tuple[float | None, list[Any]]:
        return measure.read(measure.run(self.module, batch), batch)


def some_weight(weight: float) -> float:
    """The weight of all batches. Raises ValueError when it is 0."""
    if not weight:
        raise ValueError("All batches weigh 0, so they have no mean. Give at least one a weight above 0.")
    return weight


class FunctionReplica:
    """A plain function of the flat vector, f(θ) -> scalar.

    All replicas share the function, which may load θ into a module of the user's: one of them calls it at a time.
    """

    fields: tuple[str, ...] = ("loss",)
    chunk = None  # there are no data to name where it fails

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

    def looking_at(self, _chunk: None) -> contextlib.AbstractContextManager[Any]:
        """What must hold while f is called: nobody else calls it."""
        return self._lock

    def at(self, parts: Mapping[str, Tensor], _chunk: None) -> tuple[float, list[Any]]:
        """f, which counts for 1, as a differentiable function of θ."""
        return 1.0, [self.f(parts["theta"])]

    def run(self) -> Generator[None, None, np.ndarray]:
        """Evaluate f at the θ in `buffer`: (1,) float64."""
        yield from ()
        # A clone, because a user's function may write to its argument.
        theta = self.buffer.clone()
        with self._lock, torch.enable_grad() if self.differentiates else torch.no_grad():
            return np.array([number(self.f(theta.requires_grad_(self.differentiates)))])

    def slope(
        self, theta: Tensor, chunks: Sequence[Batch] | None = None
    ) -> Generator[None, None, tuple[float, Tensor]]:
        """f and its gradient at theta, (P,); there are no chunks."""
        yield from ()
        leaf = theta.detach().clone().requires_grad_(True)
        with self._lock, torch.enable_grad():
            value = self.f(leaf)
            (gradient,) = torch.autograd.grad(value, leaf)
        return number(value), gradient
