"""Rewriting: the same function by fewer passes over memory. What may be done otherwise is seen on one run of the model.

Normalisation by running statistics is folded into the weights of the layer before it:
γ (W x + c − μ) / √(σ² + ε) + β = (s W) x + (s (c − μ) + β), with s = γ / √(σ² + ε) (Jacob et al. 2018, section 3.2).
The largest of a window is the larger of its halves, read as whole tensors; and what is rectified may be pooled before, since
max(0, ·) grows with its argument. Every later run is held against the recorded one.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lossatlas.objective.data import Batch, tensors_of
from lossatlas.objective.measure import Measure
from lossatlas.objective.replica import ModelReplica
from lossatlas.sampling.strategies.program import FORMS, Unfit, name_of

# Layers whose result has its channels in dimension 1, one row of the weight for each.
_LAYERS = ("conv1d", "conv2d", "conv3d", "linear")

# By how many dimensions, the last ones, they pool.
_POOLS = {"max_pool1d": 1, "max_pool2d": 2, "max_pool3d": 3}

# Functions that return memory of their own, and no view of what they were given.
_OWN_RESULT = ("batch_norm", "add", "__add__", *_LAYERS, *_POOLS)

_NORMALISATION = inspect.signature(F.batch_norm)
_POOLING = inspect.signature(F.max_pool2d_with_indices)


@dataclass(frozen=True)
class Fold:
    """A normalisation, by the place of its call and the names of its tensors in the model."""

    place: int
    mean: str
    var: str
    weight: str | None
    bias: str | None
    eps: float

    def into(self, weight: Tensor, bias: Tensor | None, known: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The weight and the bias of the layer before, with this in them."""
        slope = (known[self.var] + self.eps).rsqrt()
        if self.weight is not None:
            slope = slope * known[self.weight]
        start = -known[self.mean] if bias is None else bias - known[self.mean]
        folded = start * slope if self.bias is None else torch.addcmul(known[self.bias], start, slope)
        return weight * slope.reshape(-1, *(1,) * (weight.dim() - 1)), folded


@dataclass(frozen=True)
class Pool:
    """The largest of windows that do not overlap, along the last dimensions."""

    windows: tuple[int, ...]
    rectified: int | None  # the place of a rectifier that is applied after it instead of before

    def of(self, x: Tensor) -> Tensor:
        """What the pooling makes of x, in memory of its own."""
        for dim, window in enumerate(self.windows, x.dim() - len(self.windows)):
            groups = x.narrow(dim, 0, x.shape[dim] // window * window).unflatten(dim, (-1, window))
            x = functools.reduce(torch.maximum, groups.unbind(dim + 1))
        return x if self.rectified is None else x.relu_()


@dataclass(frozen=True)
class Plan:
    """What is done otherwise in a run of a model, by the place of the call."""

    calls: tuple[str, ...]  # the names of all functions called, in order
    folds: Mapping[int, Fold]  # by the place of the layer
    pools: Mapping[int, Pool]
    in_place: frozenset[int]  # rectifiers whose argument nobody else looks at

    @functools.cached_property
    def put_off(self) -> frozenset[int]:
        """Rectifiers that are applied after a pooling."""
        return frozenset(pool.rectified for pool in self.pools.values() if pool.rectified is not None)

    @property
    def words(self) -> list[str]:
        """What is done otherwise."""
        return [
            *(["batch norm folded"] if self.folds else []),
            *(["pooled by whole tensors"] if self.pools else []),
        ]


def plan_of(replica: ModelReplica) -> Plan:
    """What can be done otherwise in a replica's model, seen on its first chunk. Raises Unfit where nothing can."""
    assert isinstance(replica.chunks, list)
    chunk, recorder = replica.chunks[0], _Recorder()
    with replica.looking_at(chunk), torch.inference_mode(), recorder:
        output = replica.measure.run(replica.module, chunk)
    return recorder.plan(output, replica.module)


@dataclass(frozen=True, eq=False)
class _Call:
    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: Any


class _Recorder(TorchFunctionMode):
    """Keeps every call with what came of it, so that no two tensors have had one identity."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[_Call] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        self._calls.append(_Call(name_of(func), args, options, result))
        return result

    def plan(self, output: Any, module: nn.Module) -> Plan:
        names = {id(tensor): name for name, tensor in _tensors_of(module).items()}
        uses = Counter(id(tensor) for tensor in tensors_of(output))
        made: dict[int, int] = {}
        for place, call in enumerate(self._calls):
            if call.name not in FORMS:
                uses.update(id(tensor) for tensor in tensors_of((call.arguments, call.options)))
            if isinstance(call.result, Tensor):
                made.setdefault(id(call.result), place)
        folds: dict[int, Fold] = {}
        pools: dict[int, Pool] = {}
        in_place = set()
        for place, call in enumerate(self._calls):
            source = call.arguments[0] if call.arguments else None
            windows = _windows_of(call)
            if windows is not None:
                pools[place] = Pool(windows, self._rectifier_of(source, place, uses[id(source)]))
            before = made.get(id(source))
            if before is None or uses[id(source)] > 1:
                continue
            if call.name == "batch_norm" and _may_take(self._calls[before]):
                fold = _fold_of(place, call, names)
                if fold is not None:
                    folds[before] = fold
            elif call.name == "relu" and self._calls[before].name in _OWN_RESULT:
                in_place.add(place)
        if not folds and not pools:
            raise Unfit(
                "it has no layer before a normalisation by running statistics of its own, and pools no windows side by side"
            )
        return Plan(tuple(call.name for call in self._calls), folds, pools, frozenset(in_place))

    def _rectifier_of(self, source: Any, place: int, uses: int) -> int | None:
        """The place of the rectifier that made what a call at `place` reads, where nobody else reads it."""
        for before in range(place - 1, -1, -1):
            call = self._calls[before]
            if call.result is source:
                # One that works in place reads what it makes.
                alone = uses == 1 + (call.arguments[0] is source)
                return before if call.name in ("relu", "relu_") and alone else None
        return None


def _windows_of(call: _Call) -> tuple[int, ...] | None:
    """The windows of a pooling that lie side by side, all inside; None for any other call."""
    dims = _POOLS.get(call.name)
    if dims is None:
        return None
    given = _POOLING.bind(*call.arguments, **call.options)
    given.apply_defaults()
    said = given.arguments

    def each(value: Any) -> tuple[int, ...]:
        return (
            tuple(value) * (dims if len(value) == 1 else 1)
            if isinstance(value, tuple | list)
            else (value,) * dims
        )

    windows = each(said["kernel_size"])
    steps = each(said["stride"]) if said["stride"] else windows
    side_by_side = steps == windows and max(windows) > 1 and not said["ceil_mode"]
    return (
        windows
        if side_by_side and not any(each(said["padding"])) and set(each(said["dilation"])) == {1}
        else None
    )


def _may_take(layer: _Call) -> bool:
    """Whether a normalisation can be taken into a call: it is a layer, its weight and its bias where they are expected."""
    if layer.name not in _LAYERS or {"weight", "bias"} & set(layer.options) or len(layer.arguments) < 2:
        return False
    return layer.name != "linear" or layer.result.dim() == 2


def _fold_of(place: int, call: _Call, names: Mapping[int, str]) -> Fold | None:
    given = _NORMALISATION.bind(*call.arguments, **call.options)
    given.apply_defaults()
    said = given.arguments
    tensors = [said[name] for name in ("running_mean", "running_var", "weight", "bias")]
    if said["training"] or any(tensor is not None and id(tensor) not in names for tensor in tensors):
        return None
    mean, var, weight, bias = (None if tensor is None else names[id(tensor)] for tensor in tensors)
    return None if mean is None or var is None else Fold(place, mean, var, weight, bias, said["eps"])


@dataclass(frozen=True, eq=False)
class Rewritten:
    """A measure whose model runs by a plan; where a run goes another way than the recorded one, as it is."""

    measure: Measure
    plan: Plan

    @property
    def fields(self) -> tuple[str, ...]:
        """As of the measure."""
        return self.measure.fields

    @property
    def differentiates(self) -> bool:
        """As of the measure."""
        return self.measure.differentiates

    def weight(self, batch: Batch) -> float | None:
        """As of the measure."""
        return self.measure.weight(batch)

    def run(self, module: Any, batch: Batch) -> Any:
        """The output of the model, by the plan."""
        try:
            with _Player(self.plan, _tensors_of(module)):
                return self.measure.run(module, batch)
        except _AnotherWay:
            return self.measure.run(module, batch)

    def read(self, output: Any, batch: Batch) -> tuple[float | None, list[Any]]:
        """As of the measure."""
        return self.measure.read(output, batch)


class _AnotherWay(BaseException):
    """The model calls other functions than when it was recorded. No Exception, so that no model catches it."""


class _Player(TorchFunctionMode):
    """A run by a plan: every call is held against the recorded one."""

    def __init__(self, plan: Plan, known: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._plan, self._known, self._place = plan, known, -1
        # What layers made, by the place of the normalisation that is in it.
        self._taken: dict[int, Tensor] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        self._place += 1
        place, plan = self._place, self._plan
        if place >= len(plan.calls) or name_of(func) != plan.calls[place]:
            raise _AnotherWay
        fold = plan.folds.get(place)
        if fold is not None:
            source, weight, *rest = args
            weight, bias = fold.into(weight, rest[0] if rest else None, self._known)
            self._taken[fold.place] = result = func(source, weight, bias, *rest[1:], **options)
            return result
        if place in self._taken:
            if args[0] is not self._taken[place]:
                raise _AnotherWay
            return args[0]
        pool = plan.pools.get(place)
        if pool is not None:
            return pool.of(args[0])
        if place in plan.put_off:
            return args[0]
        if place in plan.in_place:
            return torch.relu_(args[0])
        return func(*args, **options)


def _tensors_of(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
