"""Objective: the function that is measured, L(θ) = weighted mean over samples of loss_fn(model(x; θ), y)."""

from __future__ import annotations

import contextlib
import copy
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas import jobs
from lossatlas.objective import data as _data
from lossatlas.objective import probes
from lossatlas.objective.fields import resolve_fields
from lossatlas.objective.fingerprint import Watch, code_of, digest
from lossatlas.objective.parameters import ParameterSpace, trainable
from lossatlas.objective.replica import FunctionReplica, Measure, ModelReplica, Replica, number
from lossatlas.objective.settle import Weight, first_look, in_words, mean_of, weighing
from lossatlas.objective.untouched import random_streams_untouched

_STARTING = threading.Lock()


def one_thread_each() -> None:
    """Give this evaluator thread one intra-op thread without changing what any other thread of the process sees."""
    # torch keeps the number per thread, but a thread that has not asked yet starts from the last number set by
    # anyone: a passing thread sets it back before the next evaluator thread asks.
    with _STARTING:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        restore = threading.Thread(target=torch.set_num_threads, args=(threads,))
        restore.start()
        restore.join()


jobs.on_worker_start(one_thread_each)


class Objective:
    """A loss as a function of all trainable parameters, evaluated on a private copy of the model.

    model: any nn.Module; loss_fn(output, y) returns a scalar mean, a sum, or one value per sample; data is a pair
    (x, y) of tensors or arrays, a list of such pairs, or a DataLoader. `model(x)`, `model(*x)` for a tuple,
    `model(**x)` for a mapping. The copy is in evaluation mode; the user's model is never touched.

    fields: "loss" first, then "accuracy", "error" or {"name": fn(output, y)}, all from the same forward pass.
    weight: what a batch counts for: "samples", "tokens" (entries of y other than −100) or fn(batch).
    separable: whether a batch's loss is the weighted mean of its parts'; "auto" finds out, and a loss that is not
    keeps the user's batches whole and in order. reduction: "mean" or "sum", None finds out.
    dtype, device: where and in which precision to evaluate; the model's own by default.

    Raises TypeError or ValueError for input that cannot be measured and EvaluationError when the model raises.
    """

    @torch.inference_mode(False)
    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[[Any, Any], Any],
        data: Any,
        *,
        fields: Sequence[str | Mapping[str, Callable[[Any, Any], Any]]] = ("loss",),
        weight: Weight = "samples",
        separable: bool | Literal["auto"] = "auto",
        reduction: Literal["mean", "sum"] | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        _check_model(model, dtype)
        if not callable(loss_fn):
            raise TypeError(
                f"loss_fn is a {type(loss_fn).__name__}, not callable. Pass a function loss_fn(output, y)."
            )
        if reduction not in (None, "mean", "sum"):
            raise ValueError(f'reduction is {reduction!r}. Pass "mean", "sum" or None to find out.')
        if separable not in (True, False, "auto"):
            raise ValueError(f'separable is {separable!r}. Pass True, False or "auto" to find out.')
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise TypeError(f"dtype is {dtype!r}. Pass a floating one, as in dtype=torch.float64.")
        names, metrics = resolve_fields(fields)
        weigh = weighing(weight)
        own = _copy_of(model, dtype, device)
        space = ParameterSpace.of_module(own)
        origin = trainable(own)[0][1]
        dtype, device = dtype or origin.dtype, origin.device
        if isinstance(loss_fn, nn.Module):  # class weights, a running temperature: a copy, as of the model
            loss_fn = _copy_of(loss_fn, dtype, device, mode=loss_fn.training)
        self._identity: tuple[Any, ...] = (
            "model", repr(own), code_of(own, tensors=False), [entry.name for entry in space], code_of(loss_fn), list(names),
            [code_of(metric) for metric in metrics], weight if isinstance(weight, str) else code_of(weight),
            reduction, str(dtype),
        )  # fmt: skip
        batches = _data.read(data, device=device, dtype=dtype)
        merged = _data.merge(batches)
        measure = Measure(mean_of(loss_fn), metrics, weigh, differentiates=False)
        replica = ModelReplica(own, space, batches, measure, dtype)
        probe, whole = probes.probe_of(merged[0]), batches[0]
        # By the evaluator's one thread: several collapse where another process wants a core.
        replica, found, notes = jobs.call(
            first_look(replica, loss_fn, merged, probe, whole, separable, reduction)
        )
        if found:
            replica.hold([chunk for batch in merged for chunk in batch.chunks(_data.chunk_rows(batch))])
        self.notes: tuple[str, ...] = notes
        self.separable = found
        self.fields = names
        self.samples = sum(batch.size for batch in batches)
        self.title = f"{type(model).__name__} · {space.size} parameters"
        self._init(replica, space, dtype, device)
        self._watch: Watch | None = Watch(model)
        # The model itself is not kept alive.
        self._source: weakref.ref[nn.Module] | None = weakref.ref(model)
        self._again: Callable[..., Objective] = _again(
            loss_fn, _data.Resident(merged if found else batches),
            fields=fields, weight=weight, separable=separable, reduction=reduction, dtype=dtype, device=device,
        )  # fmt: skip

    @classmethod
    @torch.inference_mode(False)
    def from_function(cls, f: Callable[[Tensor], Tensor], theta0: Tensor) -> Objective:
        """The objective of a plain function f: (P,) tensor -> scalar tensor, with its origin at theta0.

        Raises TypeError or ValueError when theta0 is no finite floating (P,) vector or f returns no scalar.
        """
        if not callable(f):
            raise TypeError(f"f is a {type(f).__name__}, not callable. Pass a function of a (P,) tensor.")
        try:
            theta = torch.as_tensor(theta0)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"theta0 is a {type(theta0).__name__}. Pass a floating tensor of length P."
            ) from error
        if theta.dim() != 1 or not theta.numel() or not theta.is_floating_point():
            raise ValueError(
                f"theta0 has shape {tuple(theta.shape)} and dtype {theta.dtype}. Pass a floating vector of length P ≥ 1."
            )
        _check_finite("theta0", theta)
        theta = theta.detach().clone()
        replica = FunctionReplica(f, theta, jobs.call(_look_at(f, theta)))
        self = cls.__new__(cls)
        self.notes = ()
        self.separable, self.fields, self.samples = False, ("loss",), 1
        self.title = f"{getattr(f, '__name__', type(f).__name__)} · {theta.numel()} parameters"
        self._init(replica, ParameterSpace([("theta", (theta.numel(),))]), theta.dtype, theta.device)
        self._watch, self._source = None, None
        self._identity = ("function", code_of(f), str(theta.dtype))
        return self

    def _init(
        self, replica: Replica, space: ParameterSpace, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.parameters = space
        self.dtype, self.device = dtype, device
        self._theta = replica.buffer.detach().clone()
        self._idle: list[Any] = [replica]
        # Never run, so that it can be copied while the others are.
        self._made = replica.copy()
        self._lock = threading.Lock()
        self._hash: str | None = None

    @property
    def size(self) -> int:
        """P, the number of trainable scalars."""
        return self.parameters.size

    @property
    def theta(self) -> Tensor:
        """The origin: the (P,) parameters of the model when the objective was made. A copy, yours to change."""
        return self._theta.clone()

    @property
    def hash(self) -> str:
        """What is measured, as 16 hexadecimal digits: model, parameters, data, loss, precision."""
        if self._hash is None:
            replica = self._made
            parts: list[Any] = [self._identity, self._theta]
            if isinstance(replica, ModelReplica):
                parts += [*replica.module.buffers()]
                names = {entry.name for entry in self.parameters}
                parts += [p for name, p in replica.module.named_parameters() if name not in names]
                parts.append(self.separable)
                for chunk in replica.chunks:
                    parts += [
                        chunk.size,
                        _data.shape_of(chunk),
                        *_data.tensors_of(chunk.x),
                        *_data.tensors_of(chunk.y),
                    ]
            self._hash = digest(parts)
        return self._hash

    @property
    def model_changed(self) -> bool:
        """Whether the user's model has been changed since this objective was made."""
        return self._watch is not None and self._watch.changed

    def renewed(self) -> Objective:
        """The same objective of the model as it is now. Raises ValueError when the model no longer exists."""
        if self._source is None:
            return self
        model = self._source()
        if model is None:
            raise ValueError(
                "The model of this map no longer exists. Make a new map with la.explore(model, …)."
            )
        return self._again(model)

    @torch.inference_mode(False)
    def on(self, data: Any) -> Objective:
        """The same objective on other data, with the model as it was when this one was made.

        data: as for `Objective`. Raises TypeError or ValueError as `Objective` does, and for a plain function, which has
        no data.
        """
        if self._source is None:
            raise ValueError(
                f"{self.title} is a function of θ alone, without data. Make a second objective of another function."
            )
        with self._lock:  # the replica is never run, so its module can be copied
            module = copy.deepcopy(self._made.module)  # type: ignore[attr-defined]
        names = {entry.name for entry in self.parameters}
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name in names)
        other = self._again(module, data)
        other._watch, other._source = self._watch, self._source
        return other

    def value(self, theta: Tensor) -> float:
        """The exact loss at theta, (P,), over all data. Raises ValueError when theta does not fit."""
        return float(self.values(self._checked(theta)[None])[0])

    def values(self, thetas: Tensor) -> np.ndarray:
        """The exact loss at each row of thetas, (K, P) -> (K,) float64."""
        thetas = torch.as_tensor(thetas)
        if thetas.dim() != 2 or thetas.shape[1] != self.size:
            raise ValueError(
                f"thetas has shape {tuple(thetas.shape)}. Pass (K, {self.size}), one row per point."
            )
        thetas = thetas.detach().to(self.device, self.dtype)

        def work() -> Generator[None, None, np.ndarray]:
            result = np.empty(len(thetas))
            with self.replica() as replica:
                for index, theta in enumerate(thetas):
                    replica.buffer.copy_(theta)
                    result[index] = (yield from self.evaluate_in(replica, f"at row {index}"))[0]
                    yield
            return result

        return jobs.call(work())

    def gradient(self, theta: Tensor) -> Tensor:
        """The gradient of the loss at theta over all data, (P,) -> (P,)."""
        point = self._checked(theta)

        def work() -> Generator[None, None, Tensor]:
            with self.replica() as replica:
                return (yield from _words(replica.gradient(point), "in the gradient", replica))

        return jobs.call(work())

    @contextlib.contextmanager
    def replica(self) -> Iterator[Replica]:
        """Borrow a replica; jobs that run interleaved get one each, and it is kept for the next."""
        with self._lock, torch.inference_mode(False):  # a user's loss may ask for a map of its own
            replica = self._idle.pop() if self._idle else self._made.copy()
        try:
            yield replica
        finally:
            with self._lock:
                self._idle.append(replica)

    def evaluate_in(self, replica: Replica, where: str) -> Generator[None, None, np.ndarray]:
        """All fields, (F,) float64, at the θ in the replica's buffer. Raises EvaluationError saying `where`."""
        return (yield from _words(replica.run(), where, replica))

    def _checked(self, theta: Tensor) -> Tensor:
        theta = torch.as_tensor(theta)
        if tuple(theta.shape) != (self.size,):
            raise ValueError(
                f"theta has shape {tuple(theta.shape)}. Pass a vector of length P = {self.size}."
            )
        return theta.detach().to(self.device, self.dtype)

    def __repr__(self) -> str:
        return f"Objective({self.title}, {self.samples} samples, fields {', '.join(self.fields)})"


def _look_at(f: Callable[[Tensor], Any], theta: Tensor) -> Generator[None, None, bool]:
    """Check that f is a function of theta alone with a scalar value; returns whether it differentiates inside."""
    yield from ()
    with probes.checking_determinism():
        differentiates: bool = in_words(
            lambda: probes.needs_autograd(lambda: f(theta.clone())), "at theta0", None
        )
        with torch.enable_grad() if differentiates else torch.no_grad():
            value = in_words(lambda: f(theta.clone()), "at theta0", None)
            if not isinstance(value, Tensor | int | float) or (
                isinstance(value, Tensor) and value.numel() != 1
            ):
                tensor = isinstance(value, Tensor)
                what = f"a tensor of shape {tuple(value.shape)}" if tensor else f"a {type(value).__name__}"
                raise ValueError(f"f returned {what}, not a scalar. Return a tensor of one element.")
            probes.check_deterministic(lambda: number(f(theta.clone())))
    return differentiates


def _again(loss_fn: Any, data: Any, **options: Any) -> Callable[..., Objective]:
    """How to make the same objective of a model as it is later, or on other data."""

    def make(model: nn.Module, other: Any = None) -> Objective:
        return Objective(model, loss_fn, data if other is None else other, **options)

    return make


def _check_model(model: Any, dtype: torch.dtype | None) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model is a {type(model).__name__}, not a torch.nn.Module. "
            "Pass the module, or a plain function of θ to Objective.from_function."
        )
    named = trainable(model)
    if not named:
        raise ValueError(
            f"{type(model).__name__} has no trainable parameters. Set requires_grad on those that the map may move."
        )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"The parameter {name!r} has no shape yet. Run the model on one batch, so that its lazy layers are made."
            )
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
            _check_finite(f"The parameter {name!r}", parameter)
    kinds = sorted({str(parameter.dtype) for _, parameter in named})
    if len(kinds) > 1 and dtype is None:
        raise ValueError(
            f"The trainable parameters are of several dtypes, {' and '.join(kinds)}. Pass one for the copy to be "
            "measured in, as in dtype=torch.float32."
        )


def _check_finite(what: str, tensor: Tensor) -> None:
    bad = int((~torch.isfinite(tensor.detach())).sum())
    if bad:
        raise ValueError(
            f"{what} holds {bad} non-finite values among {tensor.numel()}. A map needs a finite origin: load a sound "
            "checkpoint."
        )


def _copy_of(
    model: nn.Module, dtype: torch.dtype | None, device: torch.device | str | None, *, mode: bool = False
) -> nn.Module:
    # Copying draws nothing, unless a module copies itself in its own way, by making a new one.
    itself = any(hasattr(type(part), "__deepcopy__") for part in model.modules())
    with random_streams_untouched() if itself else contextlib.nullcontext():
        try:
            own = copy.deepcopy(model)
        except Exception as error:
            raise ValueError(
                f"{type(model).__name__} cannot be copied: {str(error).rstrip('.')}. The engine works on a copy, so that "
                "yours is never touched: make copy.deepcopy(model) work."
            ) from error
    own.train(mode)
    if dtype is not None or device is not None:
        own.to(device=device, dtype=dtype)
    return own


def _words(work: Generator[None, None, Any], where: str, replica: Any) -> Generator[None, None, Any]:
    """`work`, with what the user's code raises put into words."""
    try:
        return (yield from work)
    except GeneratorExit:
        raise
    except Exception as error:
        raise probes.raised(error, where, getattr(replica, "chunk", None)) from error
