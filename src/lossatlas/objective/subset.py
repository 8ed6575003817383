"""Subsets: random samples of the data, each within the next, one for all maps of an objective: what previews rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossatlas.objective import data as _data
from lossatlas.objective import fields
from lossatlas.objective.data import Batch
from lossatlas.objective.measure import PairMeasure, number
from lossatlas.objective.objective import Objective
from lossatlas.objective.replica import ModelReplica, Replica

#: How many samples a preview rests on, by quality; quality 2 rests on all.
SIZES = (512, 2048)

# Rows on which the losses of all samples at once are compared with those of one after the other.
_COMPARED = 8


def no_subset(objective: Objective, replica: Replica, quality: int) -> str | None:
    """Why there is no subset of this quality, as the end of a sentence; None where there is one."""
    if not isinstance(replica, ModelReplica):
        return "this is a function without data"
    if not isinstance(replica.measure, PairMeasure):
        return "a step knows means over batches only"
    if not objective.separable:
        return "its batches are kept whole and in order"
    if replica.estimation:
        return "its statistics are estimated over all data at every node"
    if objective.samples <= SIZES[quality]:
        return f"there are only {objective.samples} samples"
    return None


def subset(objective: Objective, quality: int, seed: int = 0) -> list[Batch]:
    """Samples drawn without replacement, in the order of the data, in pieces that go through the model at once.

    The one of quality 0 lies within the one of quality 1. Reads a loader beyond its budget once.
    """
    held = objective.held
    assert held is not None
    order = torch.randperm(objective.samples, generator=torch.Generator().manual_seed(seed))
    wanted = order[: SIZES[quality]].sort().values
    found, start = [], 0
    for chunk in held:
        here = wanted[(wanted >= start) & (wanted < start + chunk.size)] - start
        if len(here):
            found.append(chunk.take(here))
        start += chunk.size
    return [piece for batch in _data.merge(found) for piece in _data.chunks(batch)]


class PerSample:
    """All fields of each sample, of a loss that may be read sample by sample: at once where that gives the same."""

    def __init__(self) -> None:
        self._ways: dict[int, Callable[[_Field, Any, Batch], Tensor]] = {}

    def read(self, replica: ModelReplica, batch: Batch) -> Tensor:
        """At the θ in the replica's buffer, (n, F) float64."""
        measure = replica.measure
        assert isinstance(measure, PairMeasure)
        all_fields = [_Field(measure.loss), *map(_Field.of_metric, measure.others)]

        def columns(output: Any) -> Tensor:
            return torch.stack(
                [self._column(i, field, output, batch) for i, field in enumerate(all_fields)], 1
            )

        return replica.output(batch, columns)

    def _column(self, index: int, field: _Field, output: Any, batch: Batch) -> Tensor:
        if index not in self._ways:
            self._ways[index] = _way(field, output, batch)
        return self._ways[index](field, output, batch).cpu()  # some ways count on the processor


@dataclass(frozen=True)
class _Field:
    """How a field's mean over a batch is read off an output."""

    read: Callable[[Any, Batch], Any]
    metric: Any = None  # the user's function or one of ours, where it is not the loss

    @classmethod
    def of_metric(cls, metric: fields.Metric) -> _Field:
        return cls(lambda output, batch: metric(output, batch.y), metric)


def _way(field: _Field, output: Any, batch: Batch) -> Callable[[_Field, Any, Batch], Tensor]:
    """How to read a field of many samples: together where that gives the same on a few."""
    count = min(batch.size, _COMPARED)
    few, some = batch.rows(0, count), Batch(output, None, batch.size).rows(0, count).x
    alone = _one_by_one(field, some, few)
    for way in (_by_argmax, _together):
        try:
            if torch.allclose(way(field, some, few).cpu(), alone, rtol=1e-5, atol=1e-8, equal_nan=True):
                return way
        except Exception:
            continue
    return _one_by_one


def _by_argmax(field: _Field, output: Any, batch: Batch) -> Tensor:
    known = field.metric in (fields.accuracy, fields.error)
    if not known or output.dim() != 2 or bool((batch.y == fields.IGNORED).any()):
        raise TypeError("This is neither the accuracy nor the error of one label a sample.")
    right = (output.argmax(dim=1) == batch.y).double()
    return right if field.metric is fields.accuracy else 1.0 - right


def _together(field: _Field, output: Any, batch: Batch) -> Tensor:
    def one(output: Tensor, y: Tensor) -> Tensor:
        return torch.as_tensor(field.read(output[None], Batch(None, y[None], 1))).double()

    with torch.no_grad():
        return torch.func.vmap(one)(output, batch.y)


def _one_by_one(field: _Field, output: Any, batch: Batch) -> Tensor:
    whole = Batch(output, batch.y, batch.size)
    rows = (whole.rows(index, index + 1) for index in range(batch.size))
    return torch.tensor([number(field.read(row.x, row)) for row in rows], dtype=torch.float64)


def weights(replica: ModelReplica, batches: Sequence[Batch]) -> Tensor:
    """What each sample of these batches counts for, (n,) float64."""
    found = [
        replica.measure.weight(batch.rows(row, row + 1)) for batch in batches for row in range(batch.size)
    ]
    return torch.tensor(found, dtype=torch.float64)
