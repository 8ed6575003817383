"""What a first look at a model settles about its loss: a mean or a sum, with autograd or without, in parts or whole."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from lossatlas.objective import probes
from lossatlas.objective.data import Batch
from lossatlas.objective.errors import EvaluationError
from lossatlas.objective.replica import ModelReplica, call_model
from lossatlas.objective.untouched import DrewRandomNumbers

Weight = Literal["samples", "tokens"] | Callable[[Batch], float]


KEPT_WHOLE = (
    "The loss of a batch is not the mean of its parts (class weights, a contrastive loss, batch statistics?): "
    "your batches are kept whole and in order."
)


def first_look(
    replica: ModelReplica,
    loss_fn: Callable[[Any, Any], Any],
    merged: Sequence[Batch],
    probe: Batch,
    whole: Batch,
    separable: bool | Literal["auto"],
    reduction: str | None,
) -> Generator[None, None, tuple[ModelReplica, bool, tuple[str, ...]]]:
    """The replica as it is to be run, whether its batches may be cut and joined, and what the user should know.

    merged: all data, joined where that is possible; probe: some samples of them; whole: the first of the user's own
    batches. Raises TypeError, ValueError or EvaluationError when the model or the loss cannot be measured.
    """
    yield from ()
    try:
        replica, notes = _settle(replica, loss_fn, probe, reduction)
    except EvaluationError:
        # A model made for one batch size: what it can do is the user's own batches.
        replica, notes = _settle(replica, loss_fn, whole, reduction)
        return replica, False, (*notes, KEPT_WHOLE)
    if separable != "auto":
        return replica, separable, notes
    if _is_separable(replica, merged):
        return replica, True, notes
    return replica, False, (*notes, KEPT_WHOLE)


def _settle(
    replica: ModelReplica, loss_fn: Callable[[Any, Any], Any], probe: Batch, reduction: str | None
) -> tuple[ModelReplica, tuple[str, ...]]:
    """Run the model on a first batch and settle how it is measured: with autograd or without, a mean or a sum."""

    def once() -> Any:
        with replica.looking_at(probe):
            return loss_fn(call_model(replica.module, probe.x), probe.y)

    with probes.checking_determinism():
        differentiates = in_words(lambda: probes.needs_autograd(once), "on a first batch", probe)
        measure = dataclasses.replace(replica.measure, differentiates=differentiates)
        replica = replica.measuring(measure)
        with torch.enable_grad() if differentiates else torch.inference_mode():
            probes.check_loss(in_words(once, "on a first batch", probe), probe.size)
        probes.check_deterministic(
            lambda: in_words(lambda: replica.step(probe), "on a first batch", probe)[0]
        )
    if reduction is None:
        with _where_it_tells(replica, probe):
            reduction = probes.reduction_of(lambda batch: replica.step(batch)[0], probe)
    if reduction == "mean":
        return replica, ()
    total = dataclasses.replace(
        measure, loss=lambda output, batch: measure.loss(output, batch) / measure.weight(batch)
    )
    return replica.measuring(total), ("The loss is a sum over samples: it is divided by their number.",)


def _is_separable(replica: ModelReplica, batches: Sequence[Batch]) -> bool:
    """Whether the batches may be cut and joined freely, judged by samples of a few of them."""
    rounding = float(torch.finfo(replica.buffer.dtype).eps)
    for index in sorted({0, len(batches) // 2, len(batches) - 1}):
        probe = probes.probe_of(batches[index])
        with _where_it_tells(replica, probe) as telling:
            if not telling or not probes.separable(replica.step, replica.measure.weight, probe, rounding):
                return False
    return True


@contextlib.contextmanager
def _where_it_tells(replica: ModelReplica, probe: Batch) -> Iterator[bool]:
    """Move the replica where its loss is a finite number other than zero; False when no such place was found."""
    origin = replica.buffer.clone()
    telling = False
    for point in probes.telling_points(origin, replica.space):
        replica.buffer.copy_(point)
        with contextlib.suppress(Exception):  # a model may refuse parameters that are not its own
            loss = replica.step(probe)[0]
            telling = math.isfinite(loss) and loss != 0
        if telling:
            break
    try:
        yield telling
    finally:
        replica.buffer.copy_(origin)


def mean_of(loss_fn: Callable[[Any, Any], Any]) -> Callable[[Any, Batch], Any]:
    def mean(output: Any, batch: Batch) -> Any:
        value = loss_fn(output, batch.y)
        return value.mean() if isinstance(value, Tensor) and value.dim() else value

    return mean


def weighing(weight: Weight) -> Callable[[Batch], float]:
    if weight == "samples":
        return lambda batch: float(batch.size)
    if weight == "tokens":
        return probes.tokens
    if callable(weight):

        def weigh(batch: Batch) -> float:
            try:
                return float(weight(batch))
            except Exception as error:
                raise ValueError(
                    f"weight raised {type(error).__name__}: {error}. Return a number for a batch, which has .x, .y and "
                    ".size."
                ) from error

        return weigh
    raise ValueError(f'weight is {weight!r}. Pass "samples", "tokens" or a function of a batch.')


def in_words(f: Callable[[], Any], where: str, batch: Batch | None) -> Any:
    try:
        return f()
    except DrewRandomNumbers:
        raise
    except Exception as error:
        raise probes.raised(error, where, batch) from error
