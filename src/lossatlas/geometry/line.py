"""Line: θ(a) = origin + a·u, the one-dimensional plane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lossatlas.geometry.directions import Direction, remade
from lossatlas.geometry.slice import Extent, Point
from lossatlas.geometry.vectors import (
    check_alike,
    check_objective,
    checked_vector,
    is_zero,
    least_squares,
    share,
)
from lossatlas.objective import Objective
from lossatlas.objective.fingerprint import digest


@dataclass(frozen=True, eq=False)
class Line:
    """θ(a) = origin + a·u; a has no dimension: 1 is one length of u.

    origin, u: (P,) tensors of one dtype on one device, copied. name: what u is called on the axis. recipe: JSON values
    that make the line again; without one it is identified by its bytes. home: what a first view shows, its b0 and b1
    are 0. points: what is marked on it.

    Raises TypeError or ValueError when they are not two vectors of one length, not finite, or u is zero.
    """

    origin: Tensor
    u: Tensor
    name: str = "u"
    recipe: Mapping[str, Any] | None = None
    about: tuple[str, ...] = ("user-given",)
    home: Extent = (-1.0, 1.0, 0.0, 0.0)
    points: tuple[Point, ...] = ()
    _owned: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("origin", "u"):
            vector = checked_vector(f"The line's {name}", getattr(self, name), copied=not self._owned)
            object.__setattr__(self, name, vector)
        check_alike("origin", self.origin, "u", self.u)
        if is_zero(self.u):
            raise ValueError(
                "The line's direction u is zero: every point along it is the same. Pass a direction that is not zero."
            )

    @classmethod
    def along(cls, objective: Objective, direction: Direction | Tensor) -> Line:
        """The line through the objective's θ along a direction."""
        check_objective(objective)
        chosen = direction if isinstance(direction, Direction) else Direction.own(direction, "u")
        return cls(
            objective.theta,
            chosen.vector,
            chosen.name,
            {"kind": "line", "u": dict(chosen.recipe)},
            (chosen.about,),
        )

    @classmethod
    def between(cls, objective: Objective, other: Any) -> Line:
        """The line from the objective's θ, at 0, to other weights, at 1: a (P,) vector, a state dict or a module.

        Buffers, such as running statistics, stay those of the objective. Raises TypeError or ValueError, naming the
        tensor, when the weights do not fit.
        """
        towards = Direction.towards(objective, other, "towards the other weights")
        recipe = {"kind": "between", "u": dict(towards.recipe)}
        points = (("θ", 0.0, 0.0), ("other", 1.0, 0.0))
        return cls(
            objective.theta, towards.vector, towards.name, recipe, (towards.about,), (-0.5, 1.5, 0.0, 0.0), points,
            _owned=True,
        )  # fmt: skip

    def renewed(self, objective: Objective) -> Line:
        """The line of the same recipe through another θ; itself where the recipe does not say how to make it."""
        recipe = dict(self.recipe or {})
        if recipe.get("kind") == "between":
            return Line.between(objective, self.at(1.0))
        if recipe.get("kind") == "line":
            made = remade(objective, recipe["u"], self.u, self.name)
            if made is not None:
                return Line.along(objective, made)
        return self

    @property
    def size(self) -> int:
        """P, the length of its vectors."""
        return self.origin.numel()

    @property
    def directions(self) -> tuple[Tensor, ...]:
        """u alone."""
        return (self.u,)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of u alone."""
        return (self.name,)

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits: over the recipe and the origin, or over the bytes of a line without one."""
        return digest(["line", *([self.recipe] if self.recipe is not None else [self.u]), self.origin])

    def at(self, a: float) -> Tensor:
        """The parameters at a: (P,). Raises ValueError when a is not finite or beyond the dtype."""
        if not abs(a) <= self.reach:  # NaN neither
            raise ValueError(f"a is {a}. Pass a finite coordinate, at most {self.reach:.2g}.")
        theta = torch.empty_like(self.origin)
        self.write(float(a), 0.0, theta)
        return theta

    @property
    def reach(self) -> float:
        """The largest coordinate that the dtype of its vectors holds."""
        return float(torch.finfo(self.origin.dtype).max)

    def write(self, a: float, b: float, out: Tensor) -> None:
        """Write θ(a) into a (P,) tensor; b is 0."""
        torch.add(self.origin, self.u, alpha=a, out=out)

    def project(self, theta: Tensor) -> tuple[float, float]:
        """The nearest point of the line to theta, (P,), as (a, distance), in float64."""
        theta = checked_vector("theta", theta, copied=False)
        check_alike("origin", self.origin, "theta", theta, dtype=False)
        away = theta.to(self.origin.device, torch.float64) - self.origin.to(torch.float64)
        (a,), distance = least_squares(away, (self.u,))
        return a, distance

    def share(self, vector: Tensor) -> float:
        """How much of the length of a (P,) vector lies along the line, 0 to 1: the size of their cosine."""
        vector = checked_vector("vector", vector, copied=False)
        check_alike("origin", self.origin, "vector", vector, dtype=False)
        return share(vector, (self.u,))
