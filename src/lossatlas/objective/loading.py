"""Reading a loader: once, into memory, up to a budget; beyond it again in every pass, and checked to be the same."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, SequentialSampler

from lossatlas.objective.anybatch import bytes_of, identity
from lossatlas.objective.data import Batch, Resident
from lossatlas.objective.errors import EvaluationError
from lossatlas.objective.fingerprint import digest
from lossatlas.objective.progress import Progress
from lossatlas.objective.untouched import DrewRandomNumbers, no_draws, random_streams_untouched, seeded

#: What batches of a loader may take in memory, in bytes, before they are read anew in every pass.
BUDGET = 2 << 30

Make = Callable[[Any, int], Batch]  # (what the loader yields, its index) -> a batch on the device

SHUFFLES = "The loader shuffles: its order was drawn once, from seed 0, and is kept."
STREAMS = "The data are larger than the budget: every pass reads them again."
AUGMENTS = "The loader draws random numbers for its samples: one reading, from seed 0, is kept."


class Stream(Sequence[Batch]):
    """Batches that are too large to keep: every pass reads them again, and raises where they are not the same."""

    def __init__(self, source: _Source, make: Make, digests: Sequence[str], sizes: Sequence[int]) -> None:
        self._source, self._make = source, make
        self.digests, self.sizes = tuple(digests), tuple(sizes)
        self._cut: Callable[[Batch], list[Batch]] = lambda batch: [batch]

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[Batch]:
        index = -1
        for index, raw in enumerate(self._source.again()):
            if index >= len(self) or digest(identity(raw)) != self.digests[index]:
                raise EvaluationError(_differs(index))
            yield from self._cut(self._make(raw, index))
        if index + 1 < len(self):
            raise EvaluationError(_differs(index + 1))

    def __getitem__(self, index: Any) -> Any:
        """One of the batches as they were read."""
        wanted = range(len(self))[index]
        return self._make(self._source.at(wanted), wanted)

    def cut(self, chunks: Callable[[Batch], list[Batch]]) -> Stream:
        """The same batches in pieces."""
        again = Stream(self._source, self._make, self.digests, self.sizes)
        again._cut = chunks
        return again


def read(loader: Iterable[Any], make: Make, budget: int) -> tuple[Sequence[Batch], tuple[str, ...]]:
    """All batches of a loader, and what the user should know of how they were read.

    Shuffled and augmented the same way every time, and the user's random streams as before. Raises ValueError when
    they take more than `budget` bytes and a second reading gives others.
    """
    with _started(loader):
        source = _Source.of(loader)
        batches, taken = Resident(), 0
        with Progress(source.total) as progress:
            for index, raw in enumerate(source.first()):
                taken += bytes_of(raw)
                if taken > budget:
                    break
                batches.append(make(raw, index))
                progress.said(index + 1, taken)
        notes = source.notes()
    if taken <= budget:
        return batches, notes
    batches.clear()
    return _stream(source, make, budget), (*notes, STREAMS)


def _stream(source: _Source, make: Make, budget: int) -> Stream:
    """Go through all batches once, to know them again. Raises ValueError when two readings differ."""
    digests, sizes, taken = [], [], 0
    try:
        # Later passes run beside the user's cells: they may draw nothing from the streams that those draw from.
        with random_streams_untouched(), no_draws(), Progress(source.total) as progress:
            for index, raw in enumerate(source.again()):
                digests.append(digest(identity(raw)))
                sizes.append(make(raw, index).size)
                taken += bytes_of(raw)
                progress.said(index + 1, taken)
            same = digest(identity(source.at(0))) == digests[0]
    except DrewRandomNumbers:
        same = False
    if not same:
        raise ValueError(
            f"The data take more than the budget of {budget / 1e6:g} MB, so that every pass reads them again, but two "
            "readings of a batch differ: the loader shuffles or augments. Take the noise out, or pass a larger budget=, "
            "in bytes, so that one reading is kept."
        )
    return Stream(source, make, digests, sizes)


def _differs(index: int) -> str:
    return (
        f"Batch {index} of the loader is not what it was when the map was made: its data have changed, or it shuffles or "
        "augments. Take the noise out, or pass a larger budget=, in bytes, so that one reading is kept."
    )


@dataclass(frozen=True)
class _Source:
    """A loader with its order drawn: what it yields, in one pass after the other."""

    loader: Any
    order: tuple[Any, ...] = ()  # indices of each batch, of a data set that is read by index
    lock: Any = None  # a data set of the user's may not be made for several threads

    @classmethod
    def of(cls, loader: Iterable[Any]) -> _Source:
        lock = threading.Lock()
        if not isinstance(loader, DataLoader) or type(loader).__iter__ is not DataLoader.__iter__:
            return cls(loader, lock=lock)
        if isinstance(loader.dataset, IterableDataset) or not hasattr(loader.dataset, "__getitem__"):
            return cls(_alone(loader), lock=lock)
        indices = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
        return cls(loader, tuple(indices), lock)

    @property
    def total(self) -> int | None:
        """How many batches a pass has, where that can be known without a reading."""
        if self.order:
            return len(self.order)
        # Not of a DataLoader over a stream of samples: asked for its length, it complains when there are more.
        with contextlib.suppress(Exception):
            return None if isinstance(self.loader, DataLoader) else len(self.loader)
        return None

    def first(self) -> Iterable[Any]:
        """The first pass, with the user's own workers."""
        if not self.order:
            return self.loader
        loader = copy.copy(self.loader)
        # Past a guard against replacing the sampler of a loader that is in use: this one is new.
        name = "sampler" if loader.batch_sampler is None else "batch_sampler"
        object.__setattr__(loader, name, list(self.order))
        object.__setattr__(loader, "persistent_workers", False)
        loader._iterator = None
        return loader

    def again(self) -> Iterator[Any]:
        """Another pass, on this thread."""
        if self.order:
            yield from map(self.at, range(len(self.order)))
            return
        with self.lock:
            reading = iter(self.loader)
        while True:
            with self.lock:
                try:
                    raw = next(reading)
                except StopIteration:
                    return
            yield raw

    def at(self, index: int, samples: int | None = None) -> Any:
        """One batch, or the first few samples of it."""
        if not self.order:
            return next(raw for place, raw in enumerate(self.again()) if place == index)
        indices, data = self.order[index], self.loader.dataset
        with self.lock:
            if self.loader.batch_sampler is None:
                return self.loader.collate_fn(data[indices])
            indices = indices[:samples]
            many = getattr(data, "__getitems__", None)
            return self.loader.collate_fn(many(indices) if many else [data[i] for i in indices])

    def notes(self) -> tuple[str, ...]:
        """Whether the loader shuffles, and whether it augments; of a loader of the user's own kind nobody knows."""
        if not self.order:
            return ()
        notes = []
        own = getattr(self.loader.batch_sampler, "sampler", self.loader.sampler)
        if not isinstance(own, SequentialSampler):
            notes.append(SHUFFLES)
        seen = set()
        for seed in (1, 2):
            with seeded(seed):
                seen.add(digest(identity(self.at(0, samples=8))))
        return (*notes, AUGMENTS) if len(seen) > 1 else tuple(notes)


def _alone(loader: DataLoader[Any]) -> DataLoader[Any]:
    """The loader without workers, which draws its seed from a generator of its own."""
    alone = copy.copy(loader)
    alone.num_workers, alone.timeout, alone._iterator = 0, 0, None
    alone.generator = torch.Generator().manual_seed(0)
    return alone


@contextlib.contextmanager
def _started(loader: Any) -> Iterator[None]:
    """Let all streams that a loader draws from start anew, and go on afterwards as if nothing had been drawn."""
    own = [getattr(part, "generator", None) for part in (loader, getattr(loader, "sampler", None))]
    generators = [(g, g.get_state()) for g in own if isinstance(g, torch.Generator)]
    try:
        # Opening a DataLoader draws from the global generator, even without shuffling.
        with seeded(0):
            for generator, _ in generators:
                generator.manual_seed(0)
            yield
    finally:
        for generator, state in generators:
            generator.set_state(state)
