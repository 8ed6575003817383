"""Minibatches: the data in batches of one size, in another order in every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch

from lossatlas.objective import data as _data
from lossatlas.objective.data import Batch
from lossatlas.objective.loading import Stream
from lossatlas.objective.objective import Objective
from lossatlas.objective.subset import no_samples

#: How many samples a step sees: None for all, "own" for one of the batches that were passed.
BatchSize = int | Literal["own"] | None


class Minibatches:
    """What each step sees, without end: `size` samples, drawn without replacement within an epoch, by `seed`.

    The last batch of an epoch holds what is left over. size: None for all data in every step; "own" for the batches that the
    objective was given, where it keeps them whole (`from_step`, batch statistics, data that are read again in every pass): those
    of a loader that is read again come in its order, others in a new order every epoch. Iterating gives the chunks of one batch, or
    None for all data. Raises ValueError, in words, where there are no such batches.
    """

    def __init__(self, objective: Objective, size: BatchSize = None, seed: int = 0) -> None:
        self.size, self._seed = size, seed
        self._samples = objective.samples
        self._pool: Sequence[Batch] = ()
        self._own: Sequence[Batch] = ()
        if size is None:
            return
        if size == "own":
            self._own = _own_of(objective)
            return
        if isinstance(size, bool) or not hasattr(size, "__index__") or not 1 <= size <= objective.samples:
            raise ValueError(
                f"batch_size is {size!r}. Pass a whole number from 1 to {objective.samples}, None for all data in every step, "
                'or "own" for the batches that the objective keeps whole.'
            )
        if size == objective.samples:
            self.size = None
            return
        reason = no_samples(objective, objective.spare_replica())
        if reason is None and not objective.pool:
            reason = "its data are read again in every pass"
        if reason is not None:
            other = ' or batch_size="own" for its batches' if "batches" in reason or "pass" in reason else ""
            raise ValueError(
                f"No samples can be drawn here: {reason}. Pass batch_size=None for all data{other}."
            )
        self.size, self._pool = int(size), objective.pool

    def __iter__(self) -> Iterator[Sequence[Batch] | None]:
        generator = torch.Generator("cpu").manual_seed(self._seed)
        while True:
            if self.size is None:
                yield None
            elif self.size == "own":
                yield from self._batches(generator)
            else:
                order = torch.randperm(self._samples, generator=generator)
                for rows in order.split(self.size):
                    yield self._chunks(rows)

    def _batches(self, generator: torch.Generator) -> Iterator[Sequence[Batch]]:
        if isinstance(self._own, Stream):
            yield from _in_order(self._own)
            return
        for index in torch.randperm(len(self._own), generator=generator).tolist():
            yield [self._own[index]]

    def _chunks(self, rows: torch.Tensor) -> list[Batch]:
        """The samples of these places, in the order of the data: the same samples have the same sum."""
        wanted, found, start = rows.sort().values, [], 0
        for batch in self._pool:
            here = wanted[(wanted >= start) & (wanted < start + batch.size)] - start
            if len(here):
                found.append(batch.take(here))
            start += batch.size
        return [piece for batch in _data.merge(found) for piece in _data.chunks(batch)]


def _own_of(objective: Objective) -> Sequence[Batch]:
    """The batches that an objective keeps whole. Raises ValueError where it keeps none."""
    replica: Any = objective.spare_replica()
    reason = None
    if objective.terms or objective.held is None:
        reason = no_samples(objective, replica)
    elif replica.estimation:
        reason = "its statistics are estimated over all data at every node"
    elif objective.pool:
        reason = "they were joined, for any samples may stand together. Pass a number of them"
    if reason is not None:
        raise ValueError(
            f'batch_size is "own", but there are no batches of its own: {reason}, or batch_size=None.'
        )
    assert objective.held is not None
    return objective.held


def _in_order(stream: Stream) -> Iterator[Sequence[Batch]]:
    """One batch after the other of data that are read again, each in the chunks that go through the model at once."""
    chunks = iter(stream)
    for size in stream.sizes:
        batch = [next(chunks)]
        while sum(chunk.size for chunk in batch) < size:
            batch.append(next(chunks))
        yield batch
