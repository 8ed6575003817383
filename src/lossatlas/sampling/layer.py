"""Layer: fields that come from the same evaluation, the nodes at which they are known, and how a map reads them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lossatlas.geometry import CELLS, TileAddress
from lossatlas.sampling.sheet import spread_of
from lossatlas.sampling.store import NodeStore, Point
from lossatlas.sampling.tile import Pass, parts, read_pass


class Evaluates(Protocol):
    """Whatever puts the nodes of its plane or line into a store."""

    @property
    def store(self) -> NodeStore:
        """Where they are kept."""
        ...

    def evaluate(self, points: Iterable[Point]) -> Generator[None, None, int]:
        """Put the missing ones of `points` into the store; yields between chunks. Returns how many were evaluated."""
        ...


def _none(_points: Sequence[Point], _column: int) -> float:
    return 0.0


@dataclass(frozen=True, eq=False)
class Layer:
    """The fields of one evaluator.

    rounding: ε of their dtype over two; most: nodes per side that a map refines a tile to; inexact: what the values of a
    column at these nodes may be off by themselves; size: the largest number that was rounded for them, where none of them is.
    """

    evaluator: Evaluates
    fields: tuple[str, ...]
    rounding: float
    line: bool
    most: int = CELLS + 1
    inexact: Callable[[Sequence[Point], int], float] = _none
    size: Callable[[Sequence[Point], int], float] = _none

    def values(self, points: Iterable[Point], field: str) -> np.ndarray:
        """A field at nodes that are known, (n,)."""
        return self.evaluator.store.get(points)[:, self.fields.index(field)]

    def known(self, address: TileAddress, field: str) -> Pass | None:
        """What is known of a tile: its largest pass whose nodes are all evaluated. Evaluates nothing."""
        column = self.fields.index(field)
        return read_pass(
            self.evaluator.store, address, column, self.rounding, line=self.line,
            inexact_of=lambda points: self.inexact(points, column), size_of=lambda points: self.size(points, column),
        )  # fmt: skip

    def missing(self, address: TileAddress, most: int | None = None) -> list[tuple[int, list[Point]]]:
        """What a tile still lacks: pieces of nodes, each with the `Pass.rank` that it completes."""
        return parts(self.evaluator.store, address, line=self.line, most=self.most if most is None else most)

    def refine(self, address: TileAddress, field: str, tolerance: float) -> Generator[None, None, None]:
        """Evaluate piece after piece of a tile, until its stated error is within a share of its range."""
        while pieces := self.missing(address, CELLS + 1):
            found = self.known(address, field)
            if tolerance and found and found.error.within(tolerance * spread_of(found.filled())):
                return
            yield from self.evaluator.evaluate(pieces[0][1])
