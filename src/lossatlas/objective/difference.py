"""Difference: one objective less another at the same θ, as an objective of its own."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
from torch import Tensor

from lossatlas.objective.data import Batch
from lossatlas.objective.objective import Objective
from lossatlas.objective.replica import Replica


class DifferenceReplica:
    """Two replicas at one θ; `columns`: of each field, where it stands among the first's and among the second's."""

    chunk = None

    def __init__(self, first: Replica, second: Replica, columns: Sequence[tuple[int, int]]) -> None:
        self._first, self._second, self._columns = first, second, columns
        self.buffer = first.buffer
        self.fields = tuple(first.fields[column] for column, _ in columns)

    def copy(self) -> DifferenceReplica:
        """Another replica of the same, for a job that runs at the same time."""
        return DifferenceReplica(self._first.copy(), self._second.copy(), self._columns)

    def run(self) -> Generator[None, None, np.ndarray]:
        """The first's fields less the second's at the θ in `buffer`, (F,) float64."""
        self._second.buffer.copy_(self.buffer)
        values = []
        for replica in (self._first, self._second):
            values.append((yield from replica.run()))
            yield
        return np.array([values[0][i] - values[1][j] for i, j in self._columns])

    def slope(
        self, theta: Tensor, chunks: Sequence[Batch] | None = None
    ) -> Generator[None, None, tuple[float, Tensor]]:
        """The difference of the losses at theta and its gradient, (P,)."""
        one, first = yield from self._first.slope(theta, chunks)
        yield
        other, second = yield from self._second.slope(theta, chunks)
        return one - other, (first.double() - second.double()).to(theta.dtype)


def difference_of(first: Objective, second: Objective) -> Objective:
    """The objective f₁ − f₂ of the fields that both have; its origin is the first's θ, its `terms` are the two.

    Raises ValueError when their θ differ in length, precision or device.
    """
    for what, one, other in (
        ("parameters", first.size, second.size),
        ("precision", first.dtype, second.dtype),
        ("device", first.device, second.device),
    ):
        if one != other:
            raise ValueError(
                f"The two objectives differ in their {what}: {one} and {other}. Only losses of the same θ can be subtracted."
            )
    columns = [(i, second.fields.index(name)) for i, name in enumerate(first.fields) if name in second.fields]
    notes = dict.fromkeys((*first.notes, *second.notes))
    made = Objective.__new__(Objective)
    made.separable, made.samples = False, max(first.samples, second.samples)
    replica = DifferenceReplica(first.spare_replica(), second.spare_replica(), columns)
    made._init(replica, first.parameters, tuple(notes))
    made.title = f"{first.title} − {second.title}"
    made.mode = first.mode if first.mode == second.mode else f"{first.mode} − {second.mode}"
    made.terms = (first, second)
    made._identity = {"kind": "difference"}
    return made
