"""NamedDirections: what u and v of a plane can be mixed from, by name; each is made when it is first asked for."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from torch import Tensor

from lossatlas.geometry.directions import FILTERS, Direction, eigenvectors, random_pair
from lossatlas.geometry.plane import Plane
from lossatlas.geometry.scaling import Scaling
from lossatlas.geometry.vectors import check_alike
from lossatlas.objective import Objective


class Watcher(Protocol):
    """Whoever shows the names."""

    def directions_changed(self) -> None:
        """There is one more."""


class NamedDirections:
    """The named directions of an objective, for a plane to turn between.

    Its own two, random ones, the gradient, the top and the bottom eigenvector of the Hessian. `add` puts in one of your own.
    known: directions that names stand for already, in place of what would be made, or beside it.
    """

    def __init__(
        self, objective: Objective, plane: Plane, known: Mapping[str, Direction] | None = None
    ) -> None:
        self._objective = objective
        self._lock = threading.Lock()  # held for a moment only: names are asked for where nothing may wait
        self._hands = threading.Lock()  # held while one is made
        self._own = plane.names
        if plane.names[0] == plane.names[1]:
            self._own = (f"{plane.names[0]} (u)", f"{plane.names[1]} (v)")
        #: The name of the direction that is being made, "" for none.
        self.making = ""
        #: Told after a direction was added, as long as somebody else holds them.
        self.watchers: weakref.WeakSet[Watcher] = weakref.WeakSet()
        self._made: dict[str, Direction] = {}
        self.added: dict[str, Direction] = {}
        self._makers: dict[str, Callable[[], Direction]] = {}
        of = dict(plane.recipe) if plane.recipe is not None else plane.hash
        for axis, name, vector, about in zip("uv", self._own, plane.directions, plane.about, strict=True):
            own = {"kind": "axis", "of": of, "axis": axis}
            self._made.setdefault(name, Direction(vector, name, own, about, plane.scaling))
        seed = int((plane.recipe or {}).get("seed", 0))
        scaling = plane.scaling or FILTERS
        for index in range(5):
            self._makers[f"random {index + 1}"] = functools.partial(_random, objective, seed, index, scaling)
        self._makers["gradient"] = lambda: Direction.gradient(objective)
        self._makers["top eigenvector"] = lambda: eigenvectors(objective, (0,))[0]
        self._makers["bottom eigenvector"] = lambda: eigenvectors(objective, (-1,))[0]
        for name, direction in (known or {}).items():
            if name not in self._made and name not in self._makers:
                self.added[name] = direction
            self._made[name] = direction

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the plane's own first."""
        with self._lock:
            return tuple(dict.fromkeys([*self._own, *self._makers, *self.added]))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Direction:
        """The direction of this name. Raises ValueError, with the names that there are, or what making it raises.

        Making one may take as long as the gradient over all data, or as the dense Hessian.
        """
        self.check(name)
        if name not in self._made:
            with self._hands:
                if name not in self._made:
                    self._make(name)
        return self._made[name]

    def _make(self, name: str) -> None:
        self.making = name
        try:
            made = self._makers[name]()
        finally:
            self.making = ""
        with self._lock:
            self._made[name] = made

    def check(self, name: str) -> None:
        """Raise ValueError, in words, for a name that there is not."""
        if name not in self:
            raise ValueError(
                f"There is no direction {name!r}. There are: {', '.join(self.names)}. Add yours with "
                "landscape.directions.add(name, vector)."
            )

    def add(self, name: str, direction: Direction | Tensor) -> None:
        """Put in a direction of your own: a (P,) vector or a `Direction`. Raises TypeError or ValueError when it does not fit."""
        if not isinstance(name, str) or not name:
            raise TypeError(f"name is {name!r}. Pass what the direction is to be called.")
        made = direction if isinstance(direction, Direction) else Direction.own(direction, name)
        check_alike("θ", self._objective.theta, name, made.vector)
        with self._lock:
            taken = name in self._made or name in self._makers
            if not taken:
                self._made[name] = self.added[name] = made
        if taken:
            raise ValueError(f"There is a direction {name!r} already. Choose another name.")
        for watcher in list(self.watchers):
            watcher.directions_changed()

    def __repr__(self) -> str:
        return f"NamedDirections({', '.join(self.names)})"


def _random(objective: Objective, seed: int, index: int, scaling: Scaling) -> Direction:
    return random_pair(objective, objective.theta, seed, scaling, (index,))[0]
