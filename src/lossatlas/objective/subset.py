"""Subsets: random samples of the data, each within the next, one for all maps of an objective: what previews rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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

# Where only means over batches are known, so many batches at least: an error is estimated over them.
_BATCHES = (16, 64)

# Rows on which the losses of all samples at once are compared with those of one after the other.
_COMPARED = 8


@dataclass(frozen=True)
class Subset:
    """Batches drawn without replacement, or samples in pieces that go through the model at once."""

    batches: tuple[Batch, ...]
    size: int  # samples or batches drawn
    population: int  # of all
    unit: str  # "samples", or "batches" where a step knows means over them only

    @property
    def words(self) -> str:
        """What values rest on: 512 of 60 000 samples."""
        sizes = (f"{size:,}".replace(",", "\u202f") for size in (self.size, self.population))
        return f"{' of '.join(sizes)} {self.unit}"


def subset(objective: Objective, replica: Replica, quality: int, seed: int = 0) -> Subset | str:
    """The subset of a quality, or why there is none, as the end of a sentence.

    Drawn without replacement and kept in the order of the data; the one of quality 0 lies within the one of quality 1.
    Reads a loader beyond its budget once.
    """
    if reason := no_subset(objective, replica, quality):
        return reason
    assert isinstance(replica, ModelReplica)
    if isinstance(replica.measure, PairMeasure):
        return _of_samples(replica.chunks, SIZES[quality], objective.samples, seed)
    return _of_batches(replica.chunks, quality, seed)


def sample(objective: Objective, count: int, seed: int = 0) -> Subset:
    """So many samples of an objective's data, drawn without replacement. Raises ValueError where there are none."""
    replica = objective.spare_replica()
    if isinstance(count, bool) or not hasattr(count, "__index__") or not 1 <= count <= objective.samples:
        raise ValueError(
            f"samples is {count!r}. Pass a whole number from 1 to {objective.samples}, or None for all."
        )
    reason = no_samples(objective, replica)
    if reason is not None:
        raise ValueError(f"No samples can be drawn here: {reason}. Pass samples=None for all data.")
    assert isinstance(replica, ModelReplica)
    return _of_samples(replica.chunks, int(count), objective.samples, seed)


def no_samples(objective: Objective, replica: Replica) -> str | None:
    """Why there are no single samples to draw from, as the end of a sentence; None where there are."""
    if objective.terms:
        return "this is a difference of two objectives"
    if not isinstance(replica, ModelReplica):
        return "this is a function without data"
    if replica.estimation:
        return "its statistics are estimated over all data at every node"
    if not isinstance(replica.measure, PairMeasure):
        return "a step says what whole batches measure"
    return None if objective.separable else "its batches are kept whole and in order"


def no_subset(objective: Objective, replica: Replica, quality: int) -> str | None:
    """Why there is no subset of this quality, as the end of a sentence; None where there is one. Reads nothing."""
    if (
        isinstance(replica, ModelReplica)
        and not isinstance(replica.measure, PairMeasure)
        and not replica.estimation
    ):
        few = len(replica.chunks) <= _BATCHES[quality] or objective.samples <= SIZES[quality]
        return f"there are only {len(replica.chunks)} batches" if few else None
    if reason := no_samples(objective, replica):
        return reason
    if objective.samples <= SIZES[quality]:
        return f"there are only {objective.samples} samples"
    return None


def _order(count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _of_samples(held: Iterable[Batch], count: int, samples: int, seed: int) -> Subset:
    wanted = _order(samples, seed)[:count].sort().values
    found, start = [], 0
    for chunk in held:
        here = wanted[(wanted >= start) & (wanted < start + chunk.size)] - start
        if len(here):
            found.append(chunk.take(here))
        start += chunk.size
    pieces = tuple(piece for batch in _data.merge(found) for piece in _data.chunks(batch))
    return Subset(pieces, len(wanted), samples, "samples")


def _of_batches(held: Sequence[Batch], quality: int, seed: int) -> Subset:
    order, sizes = _order(len(held), seed).tolist(), getattr(held, "sizes", None) or [b.size for b in held]
    count = max(_BATCHES[quality], _data.reaching((sizes[index] for index in order), SIZES[quality]))
    chosen = set(order[:count])
    batches = tuple(batch for index, batch in enumerate(held) if index in chosen)
    return Subset(batches, count, len(held), "batches")


class PerBatch:
    """All fields of each batch, and what it counts for, as a step says it."""

    def read(self, replica: ModelReplica, batch: Batch) -> tuple[Tensor, Tensor]:
        """At the θ in the replica's buffer, (1, F) and (1,) float64."""
        said, values = replica.read(batch)
        weight = replica.measure.weight(batch) if said is None else said
        return torch.tensor([values], dtype=torch.float64), torch.tensor([weight], dtype=torch.float64)


class PerSample:
    """All fields of each sample, of a loss that may be read sample by sample: at once where that gives the same."""

    def __init__(self) -> None:
        self._ways: dict[int, Callable[[_Field, Any, Batch], Tensor]] = {}
        self._weights: dict[Batch, Tensor] = {}

    def read(self, replica: ModelReplica, batch: Batch) -> tuple[Tensor, Tensor]:
        """At the θ in the replica's buffer, (n, F) float64, and what each counts for, (n,) float64."""
        measure = replica.measure
        assert isinstance(measure, PairMeasure)
        all_fields = [_Field(measure.loss), *map(_Field.of_metric, measure.others)]

        def columns(output: Any) -> Tensor:
            return torch.stack(
                [self._column(i, field, output, batch) for i, field in enumerate(all_fields)], 1
            )

        return replica.output(batch, columns), self._weighed(replica, batch)

    def _weighed(self, replica: ModelReplica, batch: Batch) -> Tensor:
        if batch not in self._weights:  # the same at every node
            rows = (batch.rows(row, row + 1) for row in range(batch.size))
            weights = [replica.measure.weight(row) for row in rows]
            self._weights[batch] = torch.tensor(weights, dtype=torch.float64)
        return self._weights[batch]

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
        except Exception:  # a field that cannot be read so, whatever it says of that: the next way is tried
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
