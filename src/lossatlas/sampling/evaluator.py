"""How nodes are evaluated: θ written into a replica's buffer, one node after the other, into the store."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterable

from lossatlas import jobs
from lossatlas.geometry import Slice
from lossatlas.objective import Objective
from lossatlas.sampling.store import NodeStore, Point


class Evaluator:
    """Evaluates nodes of one plane or line. Its identity is part of what makes values recur bit for bit (law 5)."""

    # How many threads take part is not: each evaluates whole nodes with one intra-op thread of its own.
    identity = "flat buffer, one node at a time, one thread"

    def __init__(self, objective: Objective, plane: Slice, store: NodeStore) -> None:
        self.objective, self.plane, self.store = objective, plane, store

    def evaluate(self, points: Iterable[Point]) -> Generator[None, None, int]:
        """Put the missing ones of `points` into the store; yields between chunks. Returns how many were evaluated.

        As a job it is shared among the worker's threads. Raises EvaluationError, saying where in the plane, when the
        model or the loss raises.
        """
        missing = self.store.missing(points)
        if not missing:
            return 0
        todo = _Todo(missing)
        jobs.worker.share(lambda: self._take(todo), len(missing) - 1)
        try:
            yield from self._take(todo)
            while todo.in_hand:  # the last nodes, on other threads
                todo.wait()
                yield
        finally:
            todo.stop()
        if todo.error is not None:
            raise todo.error
        return todo.evaluated

    def _take(self, todo: _Todo) -> Generator[None, None, None]:
        """Evaluate one point of the list after the other until none is left."""
        while (point := todo.take()) is not None:
            evaluated, claimed = False, self.store.claim(point)
            try:
                if point in self.store or (not claimed and todo.put_off(point)):
                    continue  # known, or under way in another job: looked at once more at the end
                a, b = point
                # Given back after every node: a job that waits for its turn needs none.
                with self.objective.replica() as replica:
                    self.plane.write(a, b, replica.buffer)
                    values = yield from self.objective.evaluate_in(replica, f"at a = {a:g}, b = {b:g}")
                self.store.put(point, values)
                evaluated = True
            except Exception as error:  # raised again by the job that everybody works for
                todo.fail(error)
            finally:
                if claimed:
                    self.store.release(point)
                todo.finish(evaluated)
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

    def take(self) -> Point | None:
        """The next point, or None when there is none left."""
        with self._changed:
            if not self._left:
                return None
            self.in_hand += 1
            return self._left.popleft()

    def finish(self, evaluated: bool) -> None:
        """A point that was taken is done with."""
        with self._changed:
            self.in_hand -= 1
            self.evaluated += evaluated
            self._changed.notify_all()

    def put_off(self, point: Point) -> bool:
        """Move a point to the end; False when it has been there before and must be done now."""
        with self._changed:
            if point in self._put_off:
                return False
            self._put_off.add(point)
            self._left.append(point)
            return True

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
