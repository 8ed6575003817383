"""Family: the planes that one plane was turned into, each with the nodes that were evaluated on it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lossatlas.geometry import Line, Plane, Turn
from lossatlas.objective import Objective
from lossatlas.sampling.evaluator import Evaluator
from lossatlas.sampling.store import NodeStore

# Planes whose vectors are kept, and how many bytes these may take: making them again costs a moment.
_PLANES = 64
_PLANE_BYTES = 1 << 29

# Planes whose nodes are kept: evaluating them again may cost minutes. More than a history holds.
_STORES = 256


class Family:
    """Evaluators by turn; a plane that comes again has the nodes that it had. Safe to use from several threads.

    It does not know the landscapes that share it, so that each is gone as soon as nobody holds it.
    """

    def __init__(self, objective: Objective, first: Plane | Line) -> None:
        self._objective = objective
        self._lock = threading.Lock()
        self.first = Evaluator(objective, first, NodeStore(len(objective.fields)))
        self._evaluators: dict[Turn, Evaluator] = {Turn(): self.first}
        self._stores: dict[Turn, NodeStore] = {Turn(): self.first.store}

    def __len__(self) -> int:
        """How many planes are kept with their vectors."""
        return len(self._evaluators)

    def evaluator(self, turn: Turn, make: Callable[[], Plane]) -> Evaluator:
        """The evaluator of a turn; make() gives its plane where its vectors are not kept. Raises what make raises."""
        with self._lock:
            found = self._evaluators.get(turn)
        plane = make() if found is None else None  # may take long, so without the lock
        with self._lock:
            if plane is not None and turn not in self._evaluators:
                store = self._stores.setdefault(turn, NodeStore(len(self._objective.fields)))
                self._evaluators[turn] = Evaluator(self._objective, plane, store)
            evaluator = self._evaluators.pop(turn, found)
            assert evaluator is not None
            self._evaluators[turn] = evaluator  # the newest last
            self._stores.setdefault(turn, evaluator.store)
            self._forget(turn)
        return evaluator

    def _forget(self, shown: Turn) -> None:
        kept = {Turn(), shown}
        while len(self._evaluators) > self._most:
            del self._evaluators[next(turn for turn in self._evaluators if turn not in kept)]
        # What a hand passed by has a first pass at most, and goes before what was looked at.
        while len(self._stores) > _STORES:
            others = (turn for turn in self._stores if turn not in self._evaluators)
            del self._stores[min(others, key=lambda turn: self._stores[turn].evaluated)]

    @property
    def _most(self) -> int:
        plane = self.first.plane
        return min(_PLANES, max(2, _PLANE_BYTES // (3 * plane.size * plane.origin.element_size())))
