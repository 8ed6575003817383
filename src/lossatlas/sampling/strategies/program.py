"""Program: a plain stack's forward pass as steps that several nodes take at once, recorded while the model runs.

A value of the pass is either *shared*, made of data and frozen tensors alone and so the same at every node, or it is a
node's own: then it is kept feature-major, (K nodes, features, samples), so that a layer is one batched product. What
the model does is seen on one run on each chunk of data, so that shared values may take any way the data ask for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lossatlas.objective.data import Batch, tensors_of
from lossatlas.objective.parameters import Entry
from lossatlas.objective.replica import ModelReplica


class Unfit(Exception):
    """A strategy does not fit an objective; the message says why, as the end of a sentence."""


@dataclass(frozen=True)
class Own:
    """The value that a step before made for each node, by the step's place."""

    step: int


@dataclass(frozen=True)
class Shared:
    """A value that all nodes share, by its place among those of the chunk."""

    index: int


@dataclass(frozen=True)
class First:
    """A linear layer on a shared value: affine in the parameters, so affine in (a, b)."""

    source: Shared
    weight: Entry
    bias: Entry | Shared | None


@dataclass(frozen=True)
class Linear:
    """A linear layer on the nodes' own values."""

    source: Own
    weight: Entry | Shared
    bias: Entry | Shared | None


@dataclass(frozen=True)
class Apply:
    """A function that treats every number, or every sample, by itself."""

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: tuple[tuple[str, Any], ...] = ()


Step = First | Linear | Apply


@dataclass(frozen=True)
class Program:
    """Steps in order, the last of them the output."""

    steps: tuple[Step, ...]
    squeezed: bool  # the output is one number a sample, not a row of them
    widths: tuple[int, ...]  # of each step's value, in features
    slots: tuple[int | None, ...]  # where each layer's value may be kept: one that nobody needs any more


def record(replica: ModelReplica, batch: Batch) -> tuple[Program, list[Tensor]]:
    """The program of a replica's forward pass on a batch, and the shared values it uses.

    Raises Unfit for anything but linear layers, functions of single numbers and sums of such.
    """
    recorder = _Recorder(replica, batch)
    with replica.looking_at(batch), torch.inference_mode(), recorder:
        output = replica.measure.run(replica.module, batch)
    return recorder.program(output, batch.size), recorder.shared


# Functions of single numbers, whatever the layout: as torch calls them, without the _ of those that work in place.
_OF_TORCH = "relu tanh sigmoid exp sin cos abs square sqrt log1p neg clamp erf atan sinh cosh selu celu"
_OF_LAYERS = """
    relu6 leaky_relu elu gelu silu mish softplus softsign hardtanh hardsigmoid hardswish logsigmoid tanhshrink hardshrink
    softshrink
"""
_POINTWISE: Mapping[str, Callable[..., Any]] = {
    name: getattr(home, name)
    for home, names in ((torch, _OF_TORCH), (F, _OF_LAYERS))
    for name in names.split()
}
_OVER_THEMSELVES: Mapping[Callable[..., Any], Callable[..., Any]] = {
    getattr(torch, name): getattr(torch, name + "_") for name in _OF_TORCH.split()
}
_BINARY: Mapping[str, Callable[..., Any]] = {
    name: getattr(torch, name) for name in ("add", "sub", "mul", "div")
}
_OVER_FEATURES: Mapping[str, Callable[..., Any]] = {
    name: getattr(torch, name) for name in ("softmax", "log_softmax")
}
#: What tells a value's form and not its numbers.
FORMS = {
    "__get__",
    "size",
    "dim",
    "stride",
    "is_floating_point",
    "is_complex",
    "numel",
    "__len__",
    "ndimension",
}


class _Recorder(TorchFunctionMode):
    """Sees every call of a torch function on this thread, and writes down those on what nodes do not share."""

    def __init__(self, replica: ModelReplica, batch: Batch) -> None:
        super().__init__()
        self._data = {tensor.untyped_storage().data_ptr() for tensor in tensors_of(batch.x)}
        named = dict(replica.module.named_parameters())
        self._entries = {id(named[entry.name]): entry for entry in replica.space}
        self._own: dict[int, Own] = {}  # by the id of a tensor that is kept alive
        self._kept: list[Any] = [named]
        self._known: dict[int, Shared] = {}
        self._steps: list[Step] = []
        self._widths: list[int] = []
        self._squeezed: int | None = None
        self.shared: list[Tensor] = []

    def program(self, output: Any, size: int) -> Program:
        """What was recorded, when the output is the last value."""
        last = self._own.get(id(output))
        if last is None:
            raise Unfit("it does not return one tensor that its parameters move")
        squeezed = self._squeezed is not None
        if last.step != len(self._steps) - 1 or tuple(output.shape) != (
            (size,) if squeezed else (size, self._widths[-1])
        ):
            raise Unfit("its output is not one row a sample")
        steps = _sparing(self._steps)
        return Program(steps, squeezed, tuple(self._widths), _slots(steps))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        result = func(*args, **options)
        name = name_of(func)
        moved = (id(t) in self._own or id(t) in self._entries for t in tensors_of((args, options)))
        if name not in FORMS and any(moved):
            plain = name if name.endswith("__") else name.removesuffix("_")
            if self._squeezed is not None:
                raise Unfit("it goes on with one number a sample")
            if plain == "linear":
                self._linear(result, *args, **options)
            elif plain in _BINARY and len(args) == 2 and not options:
                self._binary(result, _BINARY[plain], *args)
            else:
                self._unary(result, plain, args, options)
        return result

    def _unary(self, result: Any, name: str, args: Sequence[Any], options: dict[str, Any]) -> None:
        first, rest = args[0] if args else None, tuple(args[1:])
        own = self._own.get(id(first))
        if own is None or any(True for _ in tensors_of((rest, options))):
            raise Unfit(f"it uses {name} on its parameters")
        width = self._widths[own.step]
        if name in _POINTWISE:
            more = tuple((key, value) for key, value in options.items() if key != "inplace")
            self._step(Apply(_POINTWISE[name], (own, *rest), more), width, result)
        elif name in _OVER_FEATURES and (*rest[:1], options.get("dim"))[0] in (1, -1):
            self._step(Apply(_OVER_FEATURES[name], (own,), (("dim", 1),)), width, result)
        elif isinstance(result, Tensor) and result.shape == args[0].shape and _is_same(name, rest, options):
            self._alias(result, own)
        elif name == "squeeze" and width == 1 and result.dim() == 1:
            self._squeezed = own.step
            self._alias(result, own)
        else:
            raise Unfit(f"it uses {name}")

    def _linear(self, result: Tensor, source: Any, weight: Tensor, bias: Tensor | None = None) -> None:
        width = weight.shape[0]
        own = self._own.get(id(source))
        left = self._entries.get(id(weight)) or self._share(weight)
        right = None if bias is None else self._entries.get(id(bias)) or self._share(bias)
        if own is not None:
            self._step(Linear(own, left, right), width, result)
        elif source.dim() != 2:
            raise Unfit("its first layer works on more than one row a sample")
        elif not isinstance(left, Entry):
            raise Unfit("its first layer is frozen in part")
        else:
            self._step(First(self._share(source), left, right), width, result)

    def _binary(self, result: Tensor, call: Any, first: Any, second: Any) -> None:
        items: list[Any] = []
        for item in (first, second):
            if isinstance(item, Tensor) and id(item) not in self._own:
                if id(item) in self._entries:
                    raise Unfit(f"it uses {call.__name__} on its parameters")
                if item.dim() and item.shape != result.shape:
                    raise Unfit(f"it uses {call.__name__} on values of different shapes")
            elif isinstance(item, Tensor) and item.shape != result.shape:
                raise Unfit(f"it uses {call.__name__} on values of different shapes")
            elif not isinstance(item, Tensor | int | float):
                raise Unfit(f"it uses {call.__name__} with a {type(item).__name__}")
            own = self._own.get(id(item))
            items.append(own or (self._share(item) if isinstance(item, Tensor) else item))
        self._step(Apply(call, tuple(items)), result.shape[-1], result)

    def _step(self, step: Step, width: int, result: Tensor) -> None:
        self._steps.append(step)
        self._widths.append(width)
        self._alias(result, Own(len(self._steps) - 1))

    def _alias(self, result: Tensor, own: Own) -> None:
        if result.dim() > 2:
            raise Unfit("it keeps more than one row a sample")
        self._own[id(result)] = own
        self._kept.append(result)

    def _share(self, tensor: Tensor) -> Shared:
        if id(tensor) not in self._known:
            self._known[id(tensor)] = Shared(len(self.shared))
            self._kept.append(tensor)
            # A copy, because the model may write to its own tensor later; data need none.
            theirs = tensor.untyped_storage().data_ptr() in self._data
            self.shared.append(tensor.detach() if theirs else tensor.detach().clone())
        return self._known[id(tensor)]


def name_of(func: Any) -> str:
    """What torch calls a function that a mode sees."""
    return getattr(func, "__name__", str(func))


def _is_same(name: str, rest: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Whether a call that kept the shape kept the numbers too."""
    if name in ("flatten", "view", "reshape", "contiguous", "squeeze", "detach"):
        return True
    return name in ("dropout", "alpha_dropout") and (*rest[1:2], options.get("training", True))[0] is False


def _sparing(steps: list[Step]) -> tuple[Step, ...]:
    """Let a function of single numbers write over what nobody else looks at: half its time is a new value's memory."""
    uses = Counter(place for step in steps for place in _used_by(step))
    return tuple(
        replace(step, call=_OVER_THEMSELVES[step.call])
        if isinstance(step, Apply) and step.call in _OVER_THEMSELVES and uses[_used_by(step)[0]] == 1
        else step
        for step in steps
    )


def _used_by(step: Step) -> list[int]:
    """The places of the values that a step looks at."""
    items = step.arguments if isinstance(step, Apply) else (step.source,)
    return [item.step for item in items if isinstance(item, Own)]


def _slots(steps: Sequence[Step]) -> tuple[int | None, ...]:
    """For each layer the first slot whose value is needed no more; what a function makes has its own memory."""
    last = list(range(len(steps)))
    for place in reversed(range(len(steps))):
        step = steps[place]
        writes_over = isinstance(step, Apply) and step.call in _OVER_THEMSELVES.values()
        for used in _used_by(step):
            last[used] = max(last[used], last[place] if writes_over else place)
    slots: list[int | None] = []
    free_after: list[int] = []  # by slot, the place of the last step that looks at what is in it
    for place, step in enumerate(steps):
        slot = None
        if not isinstance(step, Apply):
            slot = next((s for s, until in enumerate(free_after) if until < place), len(free_after))
            free_after[slot : slot + 1] = [last[place]]
        slots.append(slot)
    return tuple(slots)
