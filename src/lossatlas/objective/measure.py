"""Measure: what is read off a batch, the loss first; of pairs (x, y) through a loss function, or by a user's own step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from lossatlas.objective.anybatch import fresh
from lossatlas.objective.data import Batch

#: What a step returns beside its fields: what the batch counts for.
WEIGHT = "weight"


class Measure(Protocol):
    """What is measured of a batch: means over it, in the order of `fields`, and what it weighs."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Their names, "loss" first."""
        ...

    @property
    def differentiates(self) -> bool:
        """Whether it takes derivatives inside, so that autograd must be on."""
        ...

    def weight(self, batch: Batch) -> float | None:
        """What the batch counts for; None when only `read` can tell."""
        ...

    def run(self, module: Callable[..., Any], batch: Batch) -> Any:
        """The output of the model for a batch."""
        ...

    def read(self, output: Any, batch: Batch) -> tuple[float | None, list[Any]]:
        """What the batch counts for where `weight` cannot tell, and its fields: scalars that autograd may follow."""
        ...


@dataclass(frozen=True)
class PairMeasure:
    """loss_fn(model(x), y) and metrics fn(output, y), each a mean over the batch."""

    loss: Callable[[Any, Batch], Any]  # (output, batch) -> scalar mean over the batch
    fields: tuple[str, ...]
    others: tuple[Callable[[Any, Any], Any], ...]  # (output, y) -> scalar mean over the batch
    weigh: Callable[[Batch], float]
    differentiates: bool = False
    # The user's own loss function where `loss` is its mean, so that a known one can be computed for many nodes at once.
    source: Any = None

    def weight(self, batch: Batch) -> float:
        """By samples, tokens or the user's own function."""
        return self.weigh(batch)

    def run(self, module: Callable[..., Any], batch: Batch) -> Any:
        """The model's output."""
        return call_model(module, batch.x)

    def read(self, output: Any, batch: Batch) -> tuple[None, list[Any]]:
        """The loss and the metrics of an output."""
        loss = self.loss(output, batch)
        return None, [loss, *(other(output, batch.y) for other in self.others)]


@dataclass(frozen=True)
class StepMeasure:
    """step(model, batch): a scalar mean, or a mapping of means with what the batch counts for under "weight"."""

    step: Callable[[Any, Any], Any]
    fields: tuple[str, ...] = ("loss",)
    differentiates: bool = False

    def weight(self, batch: Batch) -> None:
        """The step says it, batch by batch."""
        return

    def run(self, module: Callable[..., Any], batch: Batch) -> Any:
        """What the step returns."""
        return self.step(module, fresh(batch.x))

    def read(self, output: Any, batch: Batch) -> tuple[float, list[Any]]:
        """Raises TypeError or ValueError when this is no loss, or other fields than those of the first batch."""
        fields, weight = parse_step(output)
        if tuple(fields) != self.fields:
            raise ValueError(
                f"step returned the fields {', '.join(fields)}, but {', '.join(self.fields)} for the first batch. Return "
                "the same ones for every batch."
            )
        return float(batch.size) if weight is None else weight, list(fields.values())


def parse_step(output: Any) -> tuple[dict[str, Any], float | None]:
    """The fields that a step returned, "loss" first, and the weight, if it said one."""
    if not isinstance(output, Mapping):
        return {"loss": _scalar("", output)}, None
    if "loss" not in output:
        raise ValueError(
            f"step returned a mapping without 'loss', of {', '.join(map(repr, output)) or 'nothing'}. Return "
            "{'loss': mean, …, 'weight': n}."
        )
    fields = {"loss": _scalar("loss", output["loss"])}
    fields |= {
        str(name): _scalar(name, value) for name, value in output.items() if name not in ("loss", WEIGHT)
    }
    if WEIGHT not in output:
        return fields, None
    weight = number(_scalar(WEIGHT, output[WEIGHT]))
    if not 0 <= weight < float("inf"):
        raise ValueError(
            f"step returned a weight of {weight}. Return a finite number that is not negative: what the batch counts for."
        )
    return fields, weight


def _scalar(name: str, value: Any) -> Any:
    """The value, when it is one number."""
    what = f"{name!r} that step returned is" if name else "step returned"
    cure = "Return a scalar mean over the batch, or {'loss': mean, 'accuracy': mean, …, 'weight': n}."
    if isinstance(value, Tensor):
        if value.numel() != 1 or value.is_complex():
            kind = "complex " if value.is_complex() else ""
            raise ValueError(f"{what} a {kind}tensor of shape {tuple(value.shape)}, not a scalar. {cure}")
        if name in ("", "loss") and not value.is_floating_point():
            raise TypeError(f"{what} a tensor of {value.dtype}, which has no slope. {cure}")
        return value.reshape(())
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"{what} a {type(value).__name__}, not a number. {cure}")
    return float(value)


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
