"""Strategies: ways to evaluate nodes, one interface. The plain one is always there; the others must agree with it."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch

from lossatlas.geometry import Slice
from lossatlas.objective import Objective
from lossatlas.objective.data import Batch, map_tensors
from lossatlas.objective.replica import ModelReplica, Replica
from lossatlas.sampling.store import Point
from lossatlas.sampling.strategies.rewriting import Plan, Rewritten, plan_of

Item = TypeVar("Item")


class Runner(Protocol):
    """A strategy at work on one plane or line."""

    @property
    def group(self) -> int:
        """How many nodes it takes at once, at most."""
        ...

    @property
    def shares(self) -> int:
        """By how many threads at most it can be prepared."""
        ...

    def prepare(self) -> Generator[None, None, None]:
        """Make what all nodes share, once, with whoever is at it too: `run` does where nobody has; yields between chunks."""
        ...

    def run(self, points: Sequence[Point]) -> Generator[None, None, np.ndarray]:
        """All fields at up to `group` points, (k, F) float64; yields between chunks."""
        ...


class Strategy(Protocol):
    """How an objective's nodes are evaluated. Its identity is part of what makes values recur bit for bit (law 5)."""

    @property
    def identity(self) -> str:
        """What it does, in words: layout, chunks, nodes at once."""
        ...

    def on(self, plane: Slice) -> Runner:
        """The strategy on this plane or line."""
        ...


class OneByOne:
    """One node at a time: θ written into a replica's flat buffer, then all chunks. `replica` lends one."""

    group = 1

    def __init__(
        self,
        objective: Objective,
        replica: Callable[[], contextlib.AbstractContextManager[Replica]],
        identity: str,
    ) -> None:
        # The objective keeps its strategy, so that a strategy which kept its objective would outlive all who use it.
        self.objective, self.replica, self.identity = weakref.proxy(objective), replica, identity

    def on(self, plane: Slice) -> Runner:
        """The strategy on this plane or line."""
        return _OneByOneOn(self, plane)


class _OneByOneOn:
    group = shares = 1

    def __init__(self, strategy: OneByOne, plane: Slice) -> None:
        self._strategy, self._plane = strategy, plane

    def prepare(self) -> Generator[None, None, None]:
        """Nothing: a node needs its own parameters alone."""
        yield from ()

    def run(self, points: Sequence[Point]) -> Generator[None, None, np.ndarray]:
        """All fields at one point, (1, F) float64; yields between chunks. Raises EvaluationError."""
        rows = []
        for a, b in points:
            # Given back after every node: a job that waits for its turn needs none.
            with self._strategy.replica() as replica:
                self._plane.write(a, b, replica.buffer)
                rows.append(
                    (yield from self._strategy.objective.evaluate_in(replica, f"at a = {a:g}, b = {b:g}"))
                )
        return np.array(rows)


def plain(objective: Objective) -> OneByOne:
    """The user's model as it is, on the chunks that the objective holds."""
    lender = weakref.proxy(objective)
    return OneByOne(objective, lambda: lender.replica(), "flat buffer, one node at a time, one thread")


class Pool(Generic[Item]):
    """Things of one making, lent to one job at a time."""

    def __init__(self, make: Callable[[], Item]) -> None:
        self._make = make
        self._idle: list[Item] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lend(self) -> Iterator[Item]:
        """One that nobody else uses, kept for the next."""
        with self._lock, torch.inference_mode(False):
            replica = self._idle.pop() if self._idle else self._make()
        try:
            yield replica
        finally:
            with self._lock:
                self._idle.append(replica)


def rearranged(
    objective: Objective,
    batches: Sequence[Batch],
    rows: int | None = None,
    channels_last: bool = False,
    rewritten: bool = False,
) -> OneByOne:
    """One node at a time, in chunks of `rows` samples, images and filters with their channels last if asked for.

    rewritten: with calls of the model done otherwise, in fewer passes over memory. Raises Unfit where there are none.
    """
    parts = [part for batch in batches for part in (batch.chunks(rows) if rows else [batch])]
    chunks = [arranged(part, channels_last) for part in parts]
    maker = weakref.proxy(objective)
    plan = plan_of(arranged_replica(objective, chunks, channels_last)) if rewritten else None
    words = [
        "flat buffer",
        *(["channels last"] if channels_last else []),
        *(plan.words if plan else []),
        *([f"chunks of {rows}"] if rows else []),
    ]
    return OneByOne(
        objective,
        Pool(lambda: arranged_replica(maker, chunks, channels_last, plan)).lend,
        ", ".join([*words, "one node at a time, one thread"]),
    )


def arranged_replica(
    objective: Objective, chunks: list[Batch], channels_last: bool, plan: Plan | None = None
) -> ModelReplica:
    """A replica on these chunks, its filters with their channels last if asked for, run by a plan if there is one."""
    replica = objective.spare_replica()
    assert isinstance(replica, ModelReplica)
    replica.hold(chunks)
    if plan is not None:
        replica = replica.measuring(Rewritten(replica.measure, plan))
    if channels_last:
        replica.put_channels_last()
    return replica


def arranged(batch: Batch, channels_last: bool) -> Batch:
    """A batch with images' channels last in memory, if asked for."""
    if not channels_last:
        return batch

    def put(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor

    return Batch(map_tensors(put, batch.x), batch.y, batch.size)
