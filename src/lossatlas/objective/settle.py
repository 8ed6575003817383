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
from lossatlas.objective.anybatch import tensors_in
from lossatlas.objective.data import Batch
from lossatlas.objective.errors import EvaluationError
from lossatlas.objective.measure import PairMeasure, StepMeasure, parse_step
from lossatlas.objective.replica import ModelReplica
from lossatlas.objective.untouched import DrewRandomNumbers

Weight = Literal["samples", "tokens"] | Callable[[Batch], float]


KEPT_WHOLE = (
    "The loss of a batch is not the mean of its parts (class weights, a contrastive loss, batch statistics?): "
    "your batches are kept whole and in order."
)
MOVES_NOTHING = "The loss is the same wherever the parameters are moved: does step use its first argument, the model it is given?"


def first_look(
    replica: ModelReplica,
    measure: PairMeasure,
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
        replica, measure, notes = _settle(replica, measure, loss_fn, probe, reduction)
    except EvaluationError:
        # A model made for one batch size: what it can do is the user's own batches.
        replica, measure, notes = _settle(replica, measure, loss_fn, whole, reduction)
        return replica, False, (*notes, KEPT_WHOLE)
    if separable != "auto":
        return replica, separable, notes
    if _is_separable(replica, measure, merged):
        return replica, True, notes
    return replica, False, (*notes, KEPT_WHOLE)


def first_step(
    replica: ModelReplica, measure: StepMeasure, batch: Batch
) -> Generator[None, None, tuple[ModelReplica, tuple[str, ...]]]:
    """The same for a user's step: which fields it returns, and whether it is a function of the parameters."""
    yield from ()
    where = "on the first batch"

    def once() -> Any:
        with replica.looking_at(batch):
            return measure.run(replica.module, batch)

    versions = [tensor._version for tensor in tensors_in(batch.x)]
    with probes.checking_determinism():
        differentiates = in_words(lambda: probes.needs_autograd(once), where, batch)
        with torch.enable_grad() if differentiates else torch.inference_mode():
            fields, _ = parse_step(in_words(once, where, batch))
        if versions != [tensor._version for tensor in tensors_in(batch.x)]:
            raise ValueError(
                "step writes to the tensors of its batch, so that no two passes see the same data. Work on a copy, as in "
                "x = batch[0].clone()."
            )
        measure = dataclasses.replace(measure, fields=tuple(fields), differentiates=differentiates)
        replica = replica.measuring(measure)
        probes.check_deterministic(lambda: in_words(lambda: replica.step(batch), where, batch)[0])
    return replica, () if _moves(replica, batch) else (MOVES_NOTHING,)


def _moves(replica: ModelReplica, batch: Batch) -> bool:
    """Whether the loss of a batch is another one where the parameters are others."""
    here = replica.step(batch)[0]
    with _where_it_tells(replica, batch) as telling:
        return not telling or replica.step(batch)[0] != here


def _settle(
    replica: ModelReplica,
    measure: PairMeasure,
    loss_fn: Callable[[Any, Any], Any],
    probe: Batch,
    reduction: str | None,
) -> tuple[ModelReplica, PairMeasure, tuple[str, ...]]:
    """Run the model on a first batch and settle how it is measured: with autograd or without, a mean or a sum."""

    def once() -> Any:
        with replica.looking_at(probe):
            return loss_fn(measure.run(replica.module, probe), probe.y)

    with probes.checking_determinism():
        differentiates = in_words(lambda: probes.needs_autograd(once), "on a first batch", probe)
        measure = dataclasses.replace(measure, differentiates=differentiates)
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
        return replica, measure, ()
    of_sum, weigh = measure.loss, measure.weigh
    measure = dataclasses.replace(
        measure, loss=lambda output, batch: of_sum(output, batch) / weigh(batch), source=None
    )
    return (
        replica.measuring(measure),
        measure,
        ("The loss is a sum over samples: it is divided by their number.",),
    )


def _is_separable(replica: ModelReplica, measure: PairMeasure, batches: Sequence[Batch]) -> bool:
    """Whether the batches may be cut and joined freely, judged by samples of a few of them."""
    rounding = float(torch.finfo(replica.buffer.dtype).eps)
    for index in sorted({0, len(batches) // 2, len(batches) - 1}):
        probe = probes.probe_of(batches[index])
        with _where_it_tells(replica, probe) as telling:
            if not telling or not probes.separable(replica.step, measure.weigh, probe, rounding):
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
