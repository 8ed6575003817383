"""Objective: the function that is measured, L(θ) = weighted mean over samples of loss_fn(model(x; θ), y)."""

from __future__ import annotations

import contextlib
import copy
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas import jobs
from lossatlas.objective import data as _data
from lossatlas.objective import identity, probes, reading
from lossatlas.objective.data import Batch
from lossatlas.objective.errors import EvaluationError
from lossatlas.objective.fields import resolve_fields
from lossatlas.objective.fingerprint import Watch, code_of, digest, refers_to
from lossatlas.objective.loading import BUDGET, Stream
from lossatlas.objective.measure import PairMeasure, StepMeasure, number
from lossatlas.objective.modes import Mode, apply_mode, check_dropout, check_mode, running
from lossatlas.objective.own import check_finite, check_model, copy_of, unwrapped
from lossatlas.objective.parameters import ParameterSpace, common_dtype
from lossatlas.objective.replica import FunctionReplica, ModelReplica, Replica
from lossatlas.objective.settle import Weight, first_look, first_step, in_words, mean_of, weighing

if TYPE_CHECKING:
    from lossatlas.curvature import Diagonal

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
    `model(**x)` for a mapping; `from_step` takes everything else. The user's model is never touched.

    fields: "loss" first, then "accuracy", "error" or {"name": fn(output, y)}, all from the same forward pass.
    weight: what a batch counts for: "samples", "tokens" (entries of y other than −100) or fn(batch).
    separable: whether a batch's loss is the weighted mean of its parts'; "auto" finds out, and a loss that is not
    keeps the user's batches whole and in order. reduction: "mean" or "sum", None finds out.
    weight_decay: λ of ½ λ‖θ‖² over all trainable parameters. "loss" is then the sum, and "data_loss" and
    "weight_decay" are its parts, as fields of their own.
    mode: "eval" (dropout off, normalisation by running statistics), "batch_stats" (by those of each of the user's
    batches, never cut or joined), "reestimated" (running statistics estimated anew at every point, as the average over
    the user's batches). Only normalisation layers differ.
    dropout: None for off, or a seed that freezes it: dropout layers then keep one mask for all samples and points, which
    is a thinned network of the model's.
    budget: bytes of a loader's data that are kept in memory, 2 GiB by default; a larger loader is read again in every
    pass, which must give the same batches. Arrays and lists are in memory already, and are copied.
    dtype, device: where and in which precision to evaluate; the model's own by default.

    Raises TypeError or ValueError for input that cannot be measured and EvaluationError when the model raises.
    """

    _watch: Watch | None
    # The user's module, which is not kept alive, and how to make the same objective of one, or on other data.
    _source: weakref.ref[nn.Module] | None
    _again: Callable[..., Objective]
    pool: Sequence[Batch]

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
        weight_decay: float = 0.0,
        mode: Mode = "eval",
        dropout: int | None = None,
        budget: int = BUDGET,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        inner, wrappers = unwrapped(model)
        _check_options(inner, weight_decay, mode, dropout, budget, dtype)
        if not callable(loss_fn):
            raise TypeError(
                f"loss_fn is a {type(loss_fn).__name__}, not callable. Pass a function loss_fn(output, y)."
            )
        if reduction not in (None, "mean", "sum"):
            raise ValueError(f'reduction is {reduction!r}. Pass "mean", "sum" or None to find out.')
        if separable not in (True, False, "auto"):
            raise ValueError(f'separable is {separable!r}. Pass True, False or "auto" to find out.')
        names, metrics = resolve_fields(fields)
        _check_names(names, weight_decay)
        weigh = weighing(weight)
        own = copy_of(inner, dtype, device)
        noted = (*wrappers, *apply_mode(own, mode, dropout))
        space = ParameterSpace.of_module(own)
        dtype_of_theta, device_of_theta = common_dtype(own)
        if isinstance(loss_fn, nn.Module):  # class weights, a running temperature: a copy, as of the model
            loss_fn = copy_of(loss_fn, dtype_of_theta, device_of_theta, mode=loss_fn.training)
        self._identity: dict[str, Any] = {
            **identity.of_model("model", own, loss_fn, weight_decay, mode, dtype_of_theta), "reduction": reduction,
            "metrics": [code_of(metric) for metric in metrics], "weight": weight if isinstance(weight, str) else code_of(weight),
        }  # fmt: skip
        batches, said = reading.read(data, device=device_of_theta, dtype=dtype_of_theta, budget=budget)
        whole = mode == "batch_stats" and bool(running(own))
        if whole and separable is True:
            raise ValueError(
                "separable=True lets batches be cut and joined, but mode='batch_stats' needs them whole. Pass one of the two."
            )
        merged = _data.merge(batches) if mode == "eval" and isinstance(batches, list) else batches
        measure = PairMeasure(mean_of(loss_fn), names, metrics, weigh, source=loss_fn)
        replica = ModelReplica(
            own, space, batches, measure, dtype_of_theta,
            decay=float(weight_decay), estimation=batches if mode == "reestimated" and running(own) else (),
        )  # fmt: skip
        probe = batches[0] if whole else probes.probe_of(merged[0])
        # By the evaluator's one thread: several collapse where another process wants a core.
        replica, found, notes = jobs.call(
            first_look(
                replica, measure, loss_fn, merged, probe, batches[0], False if whole else separable, reduction
            )
        )
        if found and isinstance(batches, Stream):
            replica.hold(batches.cut(_data.chunks))
        elif found:
            replica.hold([chunk for batch in merged for chunk in _data.chunks(batch)])
        self.separable = found
        self._init(replica, space, (*noted, *said, *notes))
        self.pool = merged if found and not isinstance(merged, Stream) else ()
        self._describe(model, _data.samples(batches))
        data = batches if isinstance(batches, Stream) else _data.Resident(merged if found else batches)
        self._again = lambda again, other=None: Objective(
            again, loss_fn, data if other is None else other, fields=fields, weight=weight, separable=separable,
            reduction=reduction, weight_decay=weight_decay, mode=mode, dropout=dropout, budget=budget, dtype=dtype, device=device,
        )  # fmt: skip

    @classmethod
    @torch.inference_mode(False)
    def from_step(
        cls,
        model: nn.Module,
        step: Callable[[Any, Any], Any],
        data: Any,
        *,
        weight_decay: float = 0.0,
        mode: Mode = "eval",
        dropout: int | None = None,
        budget: int = BUDGET,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> Objective:
        """The objective of a step of your own: any model, any batch.

        step(model, batch) gets the engine's copy of the model and a batch as `data` yields it, on the model's device,
        and returns a scalar mean over the batch, or a mapping {"loss": mean, "accuracy": mean, …, "weight": n}; every
        entry beside "weight" is a field. A batch counts for its weight, by default for dimension 0 of its first tensor.
        data: a DataLoader or a list of batches; a tuple, mapping or tensor is one batch. Batches are kept whole and in
        order. weight_decay, mode, dropout, budget, dtype, device: as of `Objective`; without a dtype data keep theirs.

        Raises TypeError or ValueError for input that cannot be measured and EvaluationError when step raises.
        """
        inner, wrappers = unwrapped(model)
        _check_options(inner, weight_decay, mode, dropout, budget, dtype)
        if not callable(step):
            raise TypeError(
                f"step is a {type(step).__name__}, not callable. Pass a function step(model, batch)."
            )
        if refers_to(step, inner):
            raise ValueError(
                "step uses your own model and not its first argument, so that it would neither see other parameters nor "
                "leave yours alone. Write step(model, batch) with the model that it is given."
            )
        own = copy_of(inner, dtype, device)
        noted = (*wrappers, *apply_mode(own, mode, dropout))
        space = ParameterSpace.of_module(own)
        dtype_of_theta, device_of_theta = common_dtype(own)
        self = cls.__new__(cls)
        self._identity = identity.of_model("step", own, step, weight_decay, mode, dtype_of_theta)
        batches, said = reading.read_any(data, device=device_of_theta, dtype=dtype, budget=budget)
        replica = ModelReplica(
            own, space, batches, StepMeasure(step), dtype_of_theta,
            decay=float(weight_decay), estimation=batches if mode == "reestimated" and running(own) else (),
        )  # fmt: skip
        replica, notes = jobs.call(first_step(replica, StepMeasure(step), batches[0]))
        _check_names(replica.measure.fields, weight_decay)
        self.separable = False
        self._init(replica, space, (*noted, *said, *notes))
        self._describe(model, _data.samples(batches))
        self._again = lambda again, other=None: cls.from_step(
            again, step, batches if other is None else other,
            weight_decay=weight_decay, mode=mode, dropout=dropout, budget=budget, dtype=dtype, device=device,
        )  # fmt: skip
        return self

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
        check_finite("theta0", theta)
        theta = theta.detach().clone()
        replica = FunctionReplica(f, theta, jobs.call(_look_at(f, theta)))
        self = cls.__new__(cls)
        self.separable, self.samples = False, 1
        self._init(replica, ParameterSpace([("theta", (theta.numel(),))]), ())
        self.title = f"{getattr(f, '__name__', type(f).__name__)} · {theta.numel()} parameters"
        self._identity = {
            "kind": "function",
            "loss": code_of(f),
            "dtype": str(theta.dtype).removeprefix("torch."),
        }
        return self

    def _init(self, replica: Replica, space: ParameterSpace, notes: tuple[str, ...]) -> None:
        self.parameters, self.notes = space, notes
        self.fields = replica.fields
        self.dtype, self.device = replica.buffer.dtype, replica.buffer.device
        self._theta = replica.buffer.detach().clone()
        self._idle: list[Any] = [replica]
        # Never run, so that it can be copied while the others are.
        self._made = replica.copy()
        self._lock = threading.Lock()
        self._parts: dict[str, Any] | None = None
        #: How normalisation layers are measured; "" where there is no model.
        self.mode = ""
        #: What others found out about this objective, kept as long as it lives.
        self.kept: dict[Any, Any] = {}
        self._watch, self._source = None, None
        #: What any samples may be drawn from, in the order of `held`; () where there is no such thing.
        self.pool = ()
        #: Of a difference: what is subtracted from, and what is.
        self.terms: tuple[Objective, ...] = ()

    def _describe(self, model: nn.Module, samples: int) -> None:
        """What is said of a user's module."""
        self.samples = samples
        self.title = f"{type(unwrapped(model)[0]).__name__} · {self.size} parameters"
        self._watch, self._source = Watch(model), weakref.ref(model)
        self.mode = self._identity["mode"]

    @property
    def size(self) -> int:
        """P, the number of trainable scalars."""
        return self.parameters.size

    @property
    def theta(self) -> Tensor:
        """The origin: the (P,) parameters of the model when the objective was made. A copy, yours to change."""
        return self._theta.clone()

    @property
    def parts(self) -> Mapping[str, Any]:
        """What is measured, part by part, as JSON values: names, numbers and hashes. All data are read once."""
        if self._parts is None:
            self._parts = identity.parts_of(self)
        return self._parts

    @property
    def hash(self) -> str:
        """What is measured, as 16 hexadecimal digits: model, parameters, data, loss, precision."""
        return digest([self.parts])

    @property
    def model_changed(self) -> bool:
        """Whether the user's model has been changed since this objective was made."""
        changed = self._watch is not None and self._watch.changed
        return changed or any(term.model_changed for term in self.terms)

    def renewed(self) -> Objective:
        """The same objective of the model as it is now. Raises ValueError when the model no longer exists."""
        if self._source is None:
            return self._of_terms(Objective.renewed) if self.terms else self
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
        if self.terms:
            return self._of_terms(lambda term: term.on(data))
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

    def _of_terms(self, change: Callable[[Objective], Objective]) -> Objective:
        from lossatlas.objective.difference import difference_of

        return difference_of(*(change(term) for term in self.terms))

    def value(self, theta: Tensor) -> float:
        """The exact loss at theta, (P,), over all data. Raises ValueError when theta does not fit."""
        return float(self.values(self.checked(theta)[None])[0])

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
        return jobs.call(self.gradient_work(self.checked(theta)))

    def hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        """The Hessian of the loss at theta times v, over all data: (P,) -> (P,), or (P, k) -> (P, k).

        For many products at one theta `spectrum` is cheaper. Raises ValueError when a shape does not fit or the loss has
        no Hessian, EvaluationError when the model raises.
        """
        from lossatlas.curvature import Products

        return jobs.call(Products(self, self.checked(theta)).times(v))

    def hessian_diagonal(
        self, theta: Tensor | None = None, *, probes: int | None = None, seed: int = 0
    ) -> Diagonal:
        """The diagonal of the Hessian of the loss at theta, (P,), by default the origin; see `diagonal` for the rest."""
        from lossatlas.curvature import Products, diagonal

        where = self._theta if theta is None else self.checked(theta)
        return jobs.call(diagonal(Products(self, where), probes, seed))

    def gradient_work(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient at theta, (P,), as a job that yields between chunks."""
        return (yield from self.slope_work(theta))[1]

    def slope_work(
        self, theta: Tensor, chunks: Sequence[Batch] | None = None
    ) -> Generator[None, None, tuple[float, Tensor]]:
        """The loss and its gradient at theta, (P,), of all data or of these chunks alone, as a job."""
        with self.replica() as replica:
            return (yield from _words(replica.slope(theta, chunks), "in the gradient", replica))

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

    def spare_replica(self) -> Replica:
        """A replica of nobody's, for another way to evaluate."""
        with self._lock, torch.inference_mode(False):
            return self._made.copy()

    @property
    def weight_decay(self) -> float:
        """λ of the ½ λ‖θ‖² that the loss holds."""
        return float(getattr(self._made, "decay", 0.0))

    @property
    def held(self) -> Sequence[Batch] | None:
        """The chunks that are evaluated; None of a plain function, which has no data."""
        return self._made.chunks if isinstance(self._made, ModelReplica) else None

    def evaluate_in(self, replica: Replica, where: str) -> Generator[None, None, np.ndarray]:
        """All fields, (F,) float64, at the θ in the replica's buffer. Raises EvaluationError saying `where`."""
        return (yield from _words(replica.run(), where, replica))

    def checked(self, theta: Tensor) -> Tensor:
        """theta, (P,), without gradient, in the dtype and on the device of this. Raises ValueError when it does not fit."""
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


def _check_options(model: Any, weight_decay: Any, mode: Any, dropout: Any, budget: Any, dtype: Any) -> None:
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"dtype is {dtype!r}. Pass a floating one, as in dtype=torch.float64.")
    check_mode(mode)
    check_dropout(dropout)
    if not isinstance(weight_decay, int | float) or not 0 <= weight_decay < float("inf"):
        raise ValueError(
            f"weight_decay is {weight_decay!r}. Pass λ of ½ λ‖θ‖², a finite number that is not negative."
        )
    if not isinstance(budget, int | float) or not budget >= 0:
        raise ValueError(f"budget is {budget!r}. Pass how many bytes of a loader's data may be kept.")
    check_model(model)


def _check_names(names: Sequence[str], weight_decay: float) -> None:
    for name in ("data_loss", "weight_decay"):
        if weight_decay and name in names:
            raise ValueError(
                f"The field {name!r} is made by weight_decay={weight_decay:g}. Give yours another name."
            )


def _words(work: Generator[None, None, Any], where: str, replica: Any) -> Generator[None, None, Any]:
    """`work`, with what the user's code raises put into words."""
    try:
        return (yield from work)
    except (GeneratorExit, EvaluationError):
        raise
    except Exception as error:
        raise probes.raised(error, where, getattr(replica, "chunk", None)) from error
