"""Evaluator: the missing ones of some nodes, evaluated by the objective's strategy on all threads, into the store."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any

from lossatlas import jobs
from lossatlas.geometry import Line, Plane
from lossatlas.objective import Objective
from lossatlas.sampling.store import NodeStore, Point
from lossatlas.sampling.strategies import Choice, Runner, choice_for

# Seconds of work that are worth a second thread.
_WORTH_SHARING = 0.01

# Under which name the seconds of a node are kept.
_SECONDS = "seconds of a node"


class Evaluator:
    """Evaluates nodes of one plane or line, by the strategy that the objective's landscapes share or by `runner`.

    choose: which strategy that is, by default the one that a timed probe finds.
    """

    def __init__(
        self,
        objective: Objective,
        plane: Plane | Line,
        store: NodeStore,
        runner: Runner | None = None,
        choose: Callable[[Objective, Plane | Line], Choice] = choice_for,
    ) -> None:
        self.objective, self.plane, self.store = objective, plane, store
        self._runner, self._choose = runner, choose
        #: What others make of this plane, kept as long as it.
        self.kept: dict[Any, Any] = {}
        # How long a node took the last time: on any plane of the objective, by the same strategy.
        self._taken = objective.kept if runner is None else self.kept

    @property
    def choice(self) -> Choice:
        """The strategy, and what is known of the others."""

        def work() -> Generator[None, None, Choice]:
            yield
            return self._choose(self.objective, self.plane)

        return jobs.call(work())  # timed where nodes are evaluated: with one intra-op thread

    @property
    def report(self) -> tuple[str, ...]:
        """How nodes are evaluated, line by line."""
        return self.choice.report

    def size(self, points: Iterable[Point], column: int) -> float:
        """The largest number that was rounded for the values of a field, where that is none of them: there is none."""
        return 0.0

    def evaluate(self, points: Iterable[Point]) -> Generator[None, None, int]:
        """Put the missing ones of `points` into the store; yields between chunks. Returns how many were evaluated.

        As a job it is shared among the worker's threads. Raises EvaluationError, saying where in the plane, when the
        model or the loss raises.
        """
        missing = self.store.wanted(points)
        if not missing:
            return 0
        if self._runner is None:
            self._runner = self._choose(self.objective, self.plane).strategy.on(self.plane)
        jobs.worker.share(self._runner.prepare, self._runner.shares - 1)
        yield from self._runner.prepare()
        # How nodes are grouped does not change their bits, so that every thread may get its share: where that is so
        # little that they would mostly wait for each other, one takes it all.
        seconds = self._taken.get(_SECONDS, float("inf"))
        threads = jobs.worker.threads if len(missing) * seconds > _WORTH_SHARING else 1
        rounds = -(-len(missing) // (threads * self._runner.group))
        group = -(-len(missing) // (threads * rounds))  # as even as may be: no thread waits long for the last
        todo = _Todo(missing)
        if threads > 1:
            jobs.worker.share(lambda: self._take(todo, group), -(-len(missing) // group) - 1)
        try:
            while todo.unfinished:
                yield from self._take(todo, group)
                todo.wait()  # for the last nodes, on other threads: they may be put off, and left to whoever is there
                yield
        finally:
            todo.stop()
        if todo.error is not None:
            raise todo.error
        return todo.evaluated

    def _take(self, todo: _Todo, group: int) -> Generator[None, None, None]:
        """Evaluate one group of points after the other until none is left."""
        assert self._runner is not None
        while points := todo.take(group):
            evaluated, claimed = 0, [point for point in points if self.store.claim(point)]
            try:
                # Under way in another job: looked at once more at the end, and then evaluated.
                elsewhere = [point for point in points if point not in claimed and point not in self.store]
                fresh = [point for point in claimed if point not in self.store] + todo.put_off(elsewhere)
                if fresh:
                    begun = time.perf_counter()
                    values = yield from self._runner.run(fresh)
                    self._taken[_SECONDS] = (time.perf_counter() - begun) / len(fresh)
                    for point, row in zip(fresh, values, strict=True):
                        self.store.put(point, row)
                    evaluated = len(fresh)
            except Exception as error:  # raised again by the job that everybody works for
                todo.fail(error)
            finally:
                for point in claimed:
                    self.store.release(point)
                todo.finish(len(points), evaluated)
            yield


class _Todo:
    """Points to be evaluated, taken by several threads."""

    def __init__(self, points: Iterable[Point]) -> None:
        self._left = deque(points)
        self._put_off: set[Point] = set()
        self._changed = threading.Condition()
        self.in_hand = 0
        self.evaluated = 0
        self.error: Exception | None = None

    @property
    def unfinished(self) -> bool:
        """Whether points are left, or in anybody's hand."""
        with self._changed:
            return bool(self._left) or self.in_hand > 0

    def take(self, most: int) -> list[Point]:
        """The next points, none when none are left."""
        with self._changed:
            taken = [self._left.popleft() for _ in range(min(most, len(self._left)))]
            self.in_hand += len(taken)
            return taken

    def finish(self, points: int, evaluated: int) -> None:
        """So many points that were taken are done with."""
        with self._changed:
            self.in_hand -= points
            self.evaluated += evaluated
            self._changed.notify_all()

    def put_off(self, points: Iterable[Point]) -> list[Point]:
        """Move points to the end; returns those that have been there before and must be done now."""
        with self._changed:
            again = [point for point in points if point in self._put_off]
            later = [point for point in points if point not in self._put_off]
            self._put_off.update(later)
            self._left.extend(later)
            return again

    def fail(self, error: Exception) -> None:
        """Stop at the first error."""
        with self._changed:
            self.error = self.error or error
            self._left.clear()

    def stop(self) -> None:
        """Let nobody take any more."""
        with self._changed:
            self._left.clear()

    def wait(self) -> None:
        """Wait a moment for those that are in hand."""
        with self._changed:
            if self.in_hand:
                self._changed.wait(0.002)
