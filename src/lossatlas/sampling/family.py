"""Family: the planes that one plane was turned into, each with the nodes that were evaluated on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol

from lossatlas.geometry import Line, Plane, Turn, same_slice
from lossatlas.objective import Objective
from lossatlas.sampling.evaluator import Evaluator
from lossatlas.sampling.store import NodeStore
from lossatlas.sampling.strategies import Choice, choice_for
from lossatlas.sampling.subtraction import Subtraction

# Planes whose vectors are kept, and how many bytes these may take: making them again costs a moment.
_PLANES = 64
_PLANE_BYTES = 1 << 29

# Planes whose nodes are kept: evaluating them again may cost minutes. More than a history holds.
_STORES = 256


class Keeping(Protocol):
    """Where the nodes of planes are kept, and who chooses how they are evaluated."""

    def store(self, objective: Objective, plane: Plane | Line, columns: Sequence[str]) -> NodeStore:
        """A store of nodes with these columns."""
        ...

    def choose(self, objective: Objective, plane: Plane | Line) -> Choice:
        """The strategy of an objective."""
        ...


class InMemory:
    """Nodes are kept in memory alone, and a timed probe chooses."""

    def store(self, objective: Objective, plane: Plane | Line, columns: Sequence[str]) -> NodeStore:
        """A store of nodes with these columns."""
        return NodeStore(len(columns))

    def choose(self, objective: Objective, plane: Plane | Line) -> Choice:
        """The fastest strategy that agrees with the plain one."""
        return choice_for(objective, plane)


def columns_of(objective: Objective) -> tuple[str, ...]:
    """What is kept of a node: the fields and, of a difference, what was rounded for each of them."""
    sizes = (f"{name}_size" for name in objective.fields) if objective.terms else ()
    return (*objective.fields, *sizes)


class Family:
    """Evaluators by turn; a plane that comes again has the nodes that it had. Safe to use from several threads.

    It does not know the landscapes that share it, so that each is gone as soon as nobody holds it. terms: of a difference, the
    families of its two objectives, whose nodes it shares; new ones by default. keeping: where nodes are kept.
    """

    def __init__(
        self,
        objective: Objective,
        first: Plane | Line,
        terms: Sequence[Family] | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        self._objective = objective
        self.keeping: Keeping = keeping or InMemory()
        self._terms = (
            [Family(one, first, keeping=keeping) for one in objective.terms] if terms is None else list(terms)
        )
        self._lock = threading.Lock()
        self._begin(self._made(Turn(), first))

    @classmethod
    def of(cls, evaluator: Evaluator | Subtraction) -> Family:
        """A family that starts from the nodes of another one's plane."""
        family = cls(evaluator.objective, evaluator.plane)
        family._begin(evaluator)
        return family

    def _begin(self, first: Evaluator | Subtraction) -> None:
        self.first = first
        self._evaluators: dict[Hashable, Evaluator | Subtraction] = {Turn(): self.first}
        self._stores: dict[Hashable, NodeStore] = {Turn(): self.first.store}

    @property
    def turns(self) -> list[Hashable]:
        """Every turn of which nodes are kept, whatever tells it apart."""
        with self._lock:
            return list(self._stores)

    def __len__(self) -> int:
        """How many planes are kept with their vectors."""
        return len(self._evaluators)

    def evaluator(self, turn: Hashable, make: Callable[[], Plane | Line]) -> Evaluator | Subtraction:
        """The evaluator of a turn; make() gives its plane where its vectors are not kept. Raises what make raises.

        turn: whatever tells planes apart: a `Turn`, with the directions that its names stand for.
        """
        with self._lock:
            found = self._evaluators.get(turn)
        plane = make() if found is None else None  # may take long, so without the lock
        with self._lock:
            if plane is not None and turn not in self._evaluators:
                self._evaluators[turn] = self._made(turn, plane, self._stores.get(turn))
            evaluator = self._evaluators.pop(turn, found)
            assert evaluator is not None
            self._evaluators[turn] = evaluator  # the newest last
            self._stores.setdefault(turn, evaluator.store)
            self._forget(turn)
        return evaluator

    def on(self, turn: Hashable, plane: Plane | Line) -> Evaluator | Subtraction:
        """The evaluator of a turn where that leads to this plane, else one that nobody else has."""
        found = self.evaluator(turn, lambda: plane)
        return found if same_slice(found.plane, plane) else self._made(object(), plane)

    def _made(
        self, turn: Hashable, plane: Plane | Line, store: NodeStore | None = None
    ) -> Evaluator | Subtraction:
        kept = (
            self.keeping.store(self._objective, plane, columns_of(self._objective))
            if store is None
            else store
        )
        if not self._terms:
            return Evaluator(self._objective, plane, kept, choose=self.keeping.choose)
        first, second = (family.on(turn, plane) for family in self._terms)
        return Subtraction(self._objective, plane, kept, (first, second))

    def _forget(self, shown: Hashable) -> None:
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
