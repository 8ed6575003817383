"""How nodes are evaluated: θ written into a replica's buffer, one node after the other, into the store."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from lossatlas.geometry import Plane
from lossatlas.objective import Objective
from lossatlas.sampling.store import NodeStore, Point


class Evaluator:
    """Evaluates nodes of one plane. Its identity is part of what makes values recur bit for bit (law 5)."""

    identity = "flat buffer, one node at a time, one thread"

    def __init__(self, objective: Objective, plane: Plane, store: NodeStore) -> None:
        self.objective, self.plane, self.store = objective, plane, store

    def evaluate(self, points: Iterable[Point]) -> Generator[None, None, int]:
        """Put the missing ones of `points` into the store; yields between chunks. Returns how many were evaluated.

        Raises EvaluationError, saying where in the plane, when the model or the loss raises.
        """
        count = 0
        missing = self.store.missing(points)
        if not missing:
            return 0
        with self.objective.replica() as replica:
            for a, b in missing:
                if (a, b) in self.store:  # another job came past while this one waited
                    continue
                self.plane.write(a, b, replica.buffer)
                where = f"at a = {a:g}, b = {b:g}"
                self.store.put((a, b), (yield from self.objective.evaluate_in(replica, where)))
                count += 1
                yield
        return count
