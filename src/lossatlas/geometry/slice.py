"""Slice: what a plane and a line have in common, so that nodes of both are evaluated by the same code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

Extent = tuple[float, float, float, float]  # a0, a1, b0, b1
Point = tuple[str, float, float]  # a name and where it lies: a, b

HOME: Extent = (-1.0, 1.0, -1.0, 1.0)


class Slice(Protocol):
    """Points θ(a, b) of a plane, or θ(a) of a line, whose b is 0."""

    @property
    def origin(self) -> Tensor:
        """θ at a = b = 0, (P,)."""
        ...

    @property
    def directions(self) -> tuple[Tensor, ...]:
        """u and v of a plane, u of a line; (P,) each."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """What the directions are called on the axes."""
        ...

    @property
    def about(self) -> tuple[str, ...]:
        """How the directions were made, in words."""
        ...

    @property
    def recipe(self) -> Mapping[str, Any] | None:
        """JSON values that make it again."""
        ...

    @property
    def hash(self) -> str:
        """16 hexadecimal digits that identify it."""
        ...

    @property
    def home(self) -> Extent:
        """What a first view shows; a line has b0 = b1 = 0."""
        ...

    @property
    def points(self) -> tuple[Point, ...]:
        """What is marked on it."""
        ...

    @property
    def at(self) -> Callable[..., Tensor]:
        """θ at a and b of a plane, at a of a line; (P,)."""
        ...

    @property
    def reach(self) -> float:
        """The largest coordinate that the dtype of its vectors holds."""
        ...

    def write(self, a: float, b: float, out: Tensor) -> None:
        """Write θ(a, b) into a (P,) tensor."""
        ...

    def project(self, theta: Tensor) -> tuple[float, ...]:
        """The coordinates of the nearest point of it to theta, (P,), and its distance."""
        ...

    def share(self, vector: Tensor) -> float:
        """How much of the length of a (P,) vector lies in it, 0 to 1."""
        ...


def same_slice(one: Slice, other: Slice) -> bool:
    """Whether two planes or lines hold the same points in the same coordinates: origin and directions equal to the bit."""
    if one is other:
        return True
    pairs = list(zip((one.origin, *one.directions), (other.origin, *other.directions), strict=False))
    return len(one.directions) == len(other.directions) and all(
        p.dtype == q.dtype and p.device == q.device and torch.equal(p, q) for p, q in pairs
    )


def around(points: Sequence[Point]) -> Extent:
    """A square about these points, twice as wide as they reach."""
    a, b = ([point[1] for point in points], [point[2] for point in points])
    half = max(max(a) - min(a), max(b) - min(b))
    centre = ((max(a) + min(a)) / 2, (max(b) + min(b)) / 2)
    return (centre[0] - half, centre[0] + half, centre[1] - half, centre[1] + half)


def theta_at(where: Slice, point: Sequence[float]) -> Tensor:
    """θ at (a, b) of a plane, or of a line, where b is 0; (P,)."""
    return where.at(*point[: len(where.directions)])


def length_of(where: Slice, a: float, b: float) -> float:
    """How far a step of (a, b) leads in parameter space, in units of θ; on a line b does not count."""
    way = sum(step * direction.double() for step, direction in zip((a, b), where.directions, strict=False))
    return float(torch.as_tensor(way).norm())
