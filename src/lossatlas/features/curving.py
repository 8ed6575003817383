"""Curving: curvature as fields of a map. A node takes products instead of a pass, so that few are evaluated.

`curvature_max`, `curvature_min`: the principal curvatures of the slice, per unit of length in parameter space.
`lambda_max`, `lambda_min`: the extreme eigenvalues of the Hessian in the whole space, each from the eigenvectors of the
nearest node that is known, along a space-filling curve; `lambda_ratio`: |λmin / λmax| (Li et al. 2018, figure 7).
`trace`: of the Hessian, by probes that are the same at every node, so that the field is as smooth as the trace.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from lossatlas.curvature import Nearby, NotFinite, Products, Study, principal
from lossatlas.geometry import Line, Plane, theta_at
from lossatlas.objective import Objective
from lossatlas.sampling import NodeStore, Point

# Nearer than this, in units of the plane, eigenvectors are worth starting from.
_NEAR = 0.25

# Pairs of either end that are followed from node to node, and nodes between two looks from a random start.
_FOLLOWED, _BLOCK = 2, 4

# What a residual may be, as a share of |λ|: the eigenvalue is off by its square, over the gap.
_TOLERANCE = 0.01

# Products of a node at most; small matrices are known after as many as they have columns.
_PRODUCTS = 200

# Probes of the trace.
_PROBES = 8

# Cells per side of the grid that the space-filling curve runs through: 2^10.
_ORDER = 10

#: Values at a node, and what each may be off by.
Measured = tuple[Sequence[float], Sequence[float]]


class Curving:
    """Fields of one kind on a plane or line: `measure` gives their values at a node and what each may be off by.

    A node where the Hessian does not exist is NaN. Raises what the model raises.
    """

    fields: tuple[str, ...] = ()

    def __init__(self, objective: Objective, plane: Plane | Line, store: NodeStore | None = None) -> None:
        self.objective, self.plane = objective, plane
        self.store = NodeStore(len(self.columns())) if store is None else store

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """What its store keeps of a node: values, then their errors."""
        return (*cls.fields, *(f"{name}_error" for name in cls.fields))

    def evaluate(self, points: Iterable[Point]) -> Generator[None, None, int]:
        """Put the missing ones of `points` into the store, one after the other along a curve; yields between chunks.

        Returns how many were evaluated.
        """
        missing = along_curve(self.store.wanted(points))
        mine = [point for point in missing if self.store.claim(point)]
        count = yield from self._blocks(mine)
        # Under way in another job, which may have been put off: whoever needs them now evaluates what is left.
        count += yield from self._blocks([point for point in missing if point not in self.store])
        return count

    def _blocks(self, points: Sequence[Point]) -> Generator[None, None, int]:
        try:
            fresh = [point for point in points if point not in self.store]
            for start in range(0, len(fresh), _BLOCK):
                block = fresh[start : start + _BLOCK]
                rows = yield from self._rows(block)
                for point, row in zip(block, rows, strict=True):
                    self.store.put(point, row)
            return len(fresh)
        finally:
            for point in points:
                self.store.release(point)

    def inexact(self, points: Sequence[Point], column: int) -> float:
        """What the values of a field at these nodes may be off by, at most."""
        if column >= len(self.fields):  # an error itself
            return 0.0
        errors = self.store.get(points)[:, len(self.fields) + column]
        return float(np.max(errors[np.isfinite(errors)], initial=0.0))

    def _rows(self, block: Sequence[Point]) -> Generator[None, None, list[np.ndarray]]:
        """The rows of a few points along the curve."""
        rows = []
        for point in block:
            rows.append((yield from self._row(point)))
            yield
        return rows

    def _row(self, point: Point) -> Generator[None, None, np.ndarray]:
        try:
            values, errors = yield from self.measure(point, theta_at(self.plane, point))
        except NotFinite:  # a fact about the landscape
            return np.full(2 * len(self.fields), np.nan)
        return np.array([*values, *errors], dtype=float)

    def measure(self, point: Point, theta: Tensor) -> Generator[None, None, Measured]:
        """The values at a node, θ there, and their errors."""
        raise NotImplementedError


class SliceCurvature(Curving):
    """The principal curvatures of the slice: a product for each of its directions."""

    fields = ("curvature_max", "curvature_min")

    def measure(self, point: Point, theta: Tensor) -> Generator[None, None, Measured]:
        """Exact to rounding."""
        products, directions = Products(self.objective, theta), self.plane.directions
        images = []
        for direction in directions:
            images.append((yield from products.times(direction)).double())
            yield
        wide = [direction.double() for direction in directions]
        hessian = np.array([[float(p @ q) for q in images] for p in wide])
        gram = np.array([[float(p @ q) for q in wide] for p in wide])
        values, _ = principal((hessian + hessian.T) / 2, gram)
        return (values[0], values[-1]), (0.0, 0.0)


class Extremes(Curving):
    """The extreme eigenvalues of the Hessian, each node from the nearest one that is known.

    A warm start can lock on the wrong eigenvector. So two pairs of either end are followed, of which the outer ones are
    shown, and the last node of a block is looked at from a random start too: where that finds more, the block is done anew
    from there. What is stated between is the residual: how far an eigenvalue is, which is the extreme one as far as it was
    followed. Which nodes are known already decides the last digits.
    """

    fields = ("lambda_max", "lambda_min", "lambda_ratio")

    def __init__(self, objective: Objective, plane: Plane | Line, store: NodeStore | None = None) -> None:
        super().__init__(objective, plane, store)
        self.known = Nearby()

    def _rows(self, block: Sequence[Point]) -> Generator[None, None, list[np.ndarray]]:
        *others, last = block
        rows = yield from super()._rows(others)
        checked, missed = yield from self._looked_at(last)
        if missed:
            self.known.forget(others)
            rows = (yield from super()._rows(others[::-1]))[::-1]
        return [*rows, checked]

    def _looked_at(self, point: Point) -> Generator[None, None, tuple[np.ndarray, bool]]:
        """The row of a node that is looked at from a random start too, and whether that has found more."""
        try:
            study = self._study(point, theta_at(self.plane, point), thorough=True)
            values, errors = yield from self._told(point, study)
        except NotFinite:
            return np.full(2 * len(self.fields), np.nan), False
        return np.array([*values, *errors]), study.missed and study.warm

    def measure(self, point: Point, theta: Tensor) -> Generator[None, None, Measured]:
        """Their errors are the residuals."""
        return (yield from self._told(point, self._study(point, theta, thorough=False)))

    def _study(self, point: Point, theta: Tensor, *, thorough: bool) -> Study:
        near = self.known.nearest(point, _NEAR)
        return Study(
            self.objective, theta, _FOLLOWED, _FOLLOWED, tolerance=_TOLERANCE, products=_PRODUCTS, near=near,
            thorough=thorough,
        )  # fmt: skip

    def _told(self, point: Point, study: Study) -> Generator[None, None, Measured]:
        found = yield from study.run()
        self.known.add(point, found)
        most, least = found.eigenvalues[0], found.eigenvalues[-1]
        above, below = found.residuals[0] + found.noise, found.residuals[-1] + found.noise
        ratio = abs(least / most) if most else np.nan
        share = (below + ratio * above) / abs(most) if most else np.nan
        return (most, least, ratio), (above, below, share)


class Trace(Curving):
    """The trace of the Hessian by Hutchinson's estimate (Hutchinson 1990): the mean of zᵀHz over random signs z."""

    fields = ("trace",)

    def measure(self, point: Point, theta: Tensor) -> Generator[None, None, Measured]:
        """Its error is two standard errors of its probes; none where there are as many as parameters."""
        products = Products(self.objective, theta)
        found = []
        for index in range(min(_PROBES, self.objective.size)):
            probe = self._probe(index)
            image = yield from products.times(probe)
            found.append(float(probe.double() @ image.double()))
            yield
        values = np.array(found)
        if self.objective.size <= _PROBES:
            return (values.sum(),), (0.0,)
        return (values.mean(),), (2 * values.std(ddof=1) / np.sqrt(len(values)),)

    def _probe(self, index: int) -> Tensor:
        size, dtype, device = self.objective.size, self.objective.dtype, self.objective.device
        if size <= _PROBES:  # every unit vector: exact
            return torch.eye(size, dtype=dtype, device=device)[index]
        generator = torch.Generator().manual_seed(0x7ACE + index)
        signs = torch.randint(2, (size,), generator=generator, dtype=torch.int8)
        return (2 * signs - 1).to(device, dtype)


#: All kinds, and the names of their fields.
KINDS: tuple[type[Curving], ...] = (SliceCurvature, Extremes, Trace)
CURVATURE_FIELDS: tuple[str, ...] = tuple(name for kind in KINDS for name in kind.fields)

#: What they are called where they are chosen.
CURVATURE_LABELS = {
    "curvature_max": "κ max in the slice",
    "curvature_min": "κ min in the slice",
    "lambda_max": "λ max",
    "lambda_min": "λ min",
    "lambda_ratio": "|λ min / λ max|",
    "trace": "trace of H",
}


def along_curve(points: Sequence[Point]) -> list[Point]:
    """Points in the order of a Hilbert curve through their square, so that each lies near the one before."""
    if len(points) < 2:
        return list(points)
    places = np.array(points)
    low, side = places.min(axis=0), float(np.ptp(places, axis=0).max()) or 1.0
    cells = np.minimum(((places - low) / side * 2**_ORDER).astype(int), 2**_ORDER - 1)
    order = sorted(range(len(points)), key=lambda index: _hilbert(*map(int, cells[index])))
    return [points[index] for index in order]


def _hilbert(x: int, y: int) -> int:
    """How far along the Hilbert curve a cell lies (Hilbert 1891)."""
    distance, side = 0, 2 ** (_ORDER - 1)
    while side:
        right, upper = int(x & side > 0), int(y & side > 0)
        distance += side * side * ((3 * right) ^ upper)
        if not upper:
            if right:
                x, y = 2**_ORDER - 1 - x, 2**_ORDER - 1 - y
            x, y = y, x
        side //= 2
    return distance
