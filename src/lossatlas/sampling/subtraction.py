"""Subtraction: the nodes of two evaluators on one plane, one less the other. Either keeps its own, so that none is evaluated twice."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np

from lossatlas.geometry import Line, Plane
from lossatlas.objective import Objective
from lossatlas.sampling.evaluator import Evaluator
from lossatlas.sampling.store import NodeStore, Point


class Subtraction:
    """Evaluates nodes of one plane or line as the first one's fields less the second's.

    The store keeps beside each difference what was rounded for it, |f₁| + |f₂|: a small difference of large numbers is known
    no better than these.
    """

    def __init__(
        self,
        objective: Objective,
        plane: Plane | Line,
        store: NodeStore,
        parts: tuple[Evaluator | Subtraction, Evaluator | Subtraction],
    ) -> None:
        self.objective, self.plane, self.store, self._parts = objective, plane, store, parts
        #: What others make of this plane, kept as long as it.
        self.kept: dict[Any, Any] = {}

    @property
    def report(self) -> tuple[str, ...]:
        """How the nodes of either are evaluated."""
        ways = zip(("first", "second"), self._parts, strict=True)
        return tuple(f"{name}, {line}" for name, part in ways for line in part.report)

    def evaluate(self, points: Iterable[Point]) -> Generator[None, None, int]:
        """Put the missing ones of `points` into the store; yields between chunks. Returns how many were new.

        Raises EvaluationError when a model or a loss raises.
        """
        missing = self.store.wanted(points)
        if not missing:
            return 0
        found = []
        for part in self._parts:
            yield from part.evaluate(missing)
            found.append(self._read(part, missing))
            yield
        (first, above), (second, below) = found
        with np.errstate(invalid="ignore"):  # ∞ − ∞ is a fact about the landscape
            rows = np.hstack([first - second, above + below])
        for point, row in zip(missing, rows, strict=True):
            self.store.put(point, row)
        return len(missing)

    def size(self, points: Sequence[Point], column: int) -> float:
        """The largest number that was rounded for the values of a field at these nodes."""
        sizes = self.store.get(points)[:, len(self.objective.fields) + column]
        return float(np.max(sizes[np.isfinite(sizes)], initial=0.0))

    def _read(self, part: Evaluator | Subtraction, points: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
        """The fields that are subtracted at known nodes, and what was rounded for them, (n, F) each."""
        rows, fields = part.store.get(points), part.objective.fields
        columns = [fields.index(name) for name in self.objective.fields]
        sizes = rows[:, len(fields) :] if isinstance(part, Subtraction) else np.abs(rows)
        return rows[:, columns], sizes[:, columns]
