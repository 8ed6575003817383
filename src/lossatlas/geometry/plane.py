"""Plane: θ(a, b) = origin + a·u + b·v, with names for its directions and a recipe that makes it again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lossatlas.geometry.directions import filter_normalize, has_filters, random_direction, turn
from lossatlas.objective import Objective
from lossatlas.objective.fingerprint import digest

# Below this sine of their angle two float32 directions cannot be told from parallel ones.
_PARALLEL = 1e-6


@dataclass(frozen=True)
class Turn:
    """Where the sliders stand: u and v turned by whole degrees, the plane moved by `offset` of a third direction.

    Raises ValueError when the angles are no whole degrees in [−180, 180] or the offset is no multiple of 1/128 in
    [−1, 1]: only such positions recur exactly.
    """

    turn_u: int = 0
    turn_v: int = 0
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name in ("turn_u", "turn_v"):
            angle = getattr(self, name)
            if isinstance(angle, bool) or not isinstance(angle, int) or abs(angle) > 180:
                raise ValueError(f"{name} is {angle!r}. Pass whole degrees from −180 to 180.")
        if not isinstance(self.offset, int | float) or not abs(self.offset) <= 1 or self.offset * 128 % 1:
            raise ValueError(f"offset is {self.offset!r}. Pass a multiple of 1/128 from −1 to 1.")


@dataclass(frozen=True, eq=False)
class Plane:
    """θ(a, b) = origin + a·u + b·v; a and b have no dimension: 1 is one length of u, of v.

    origin, u, v: (P,) tensors of one dtype on one device, copied. names: what u and v are called on the axes. recipe:
    JSON values that make the plane again; without one it is identified by its bytes.

    Raises TypeError or ValueError when they are not three vectors of one length, not finite, zero or parallel.
    """

    origin: Tensor
    u: Tensor
    v: Tensor
    names: tuple[str, str] = ("u", "v")
    recipe: Mapping[str, Any] | None = None
    normalized: bool = False  # u and v have the filter norms of the objective's θ, which turning restores
    _owned: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("origin", "u", "v"):
            vector = _vector(f"The plane's {name}", getattr(self, name), copied=not self._owned)
            object.__setattr__(self, name, vector)
        for name in ("u", "v"):
            _check_alike("origin", self.origin, name, getattr(self, name))
            if not float(getattr(self, name).to(torch.float64).norm()):
                raise ValueError(
                    f"The plane's direction {name} is zero: every point along it is the same. Pass a direction that is "
                    "not zero."
                )
        u, v = (d.to(torch.float64) for d in (self.u, self.v))
        cosine = float(torch.clamp(u @ v / (u.norm() * v.norm()), -1, 1))
        if float((u / u.norm() - math.copysign(1, cosine) * v / v.norm()).norm()) < _PARALLEL:
            raise ValueError(
                f"Plane directions must not be parallel, but cos(u, v) = {cosine:.6f}. Pass another v, or use "
                "Plane.random."
            )

    @classmethod
    def random(cls, objective: Objective, seed: int = 0) -> Plane:
        """The plane of two random filter-normalised directions through the objective's θ (Li et al. 2018).

        Raises ValueError when all filters are zero, since the directions then are too.
        """
        _check_objective(objective)
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise TypeError(f"seed is {seed!r}, not an integer. Pass a whole number.")
        seed = int(seed)
        theta, space = objective.theta, objective.parameters
        u, v = (random_direction(space, theta, seed=seed, index=index) for index in (0, 1))
        if not float(u.norm()):
            raise ValueError(
                "All filters of the model are zero, so a filter-normalised direction is zero too. "
                "Pass directions of your own to Plane(origin, u, v)."
            )
        kind = "filter" if has_filters(space) else "model"
        return cls(
            theta, u, v, ("random 1", "random 2"),
            {"kind": "random", "seed": seed, "normalize": kind, "theta": digest([theta])},
            normalized=kind == "filter", _owned=True,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """P, the length of its vectors."""
        return self.origin.numel()

    @property
    def hash(self) -> str:
        """16 hexadecimal digits: over the recipe, or over the bytes of a plane without one."""
        return digest([self.recipe] if self.recipe is not None else [self.origin, self.u, self.v])

    def at(self, a: float, b: float) -> Tensor:
        """The parameters at (a, b): (P,). Raises ValueError when a or b is not finite or beyond the dtype."""
        largest = self.reach
        for name, value in (("a", a), ("b", b)):
            if not abs(value) <= largest:  # NaN neither
                raise ValueError(f"{name} is {value}. Pass finite coordinates, at most {largest:.2g}.")
        theta = torch.empty_like(self.origin)
        self.write(float(a), float(b), theta)
        return theta

    @property
    def reach(self) -> float:
        """The largest coordinate that the dtype of its vectors holds."""
        return float(torch.finfo(self.origin.dtype).max)

    def write(self, a: float, b: float, out: Tensor) -> None:
        """Write θ(a, b) into a (P,) tensor; the one place where the formula stands, so that all agree to the bit."""
        torch.add(self.origin, self.u, alpha=a, out=out)
        out.add_(self.v, alpha=b)

    def project(self, theta: Tensor) -> tuple[float, float, float]:
        """The nearest point of the plane to theta, (P,), as (a, b, distance), by least squares in float64."""
        theta = _vector("theta", theta, copied=False)
        _check_alike("origin", self.origin, "theta", theta, dtype=False)
        away = theta.to(self.origin.device, torch.float64) - self.origin.to(torch.float64)
        basis = torch.stack([self.u, self.v], dim=1).to(torch.float64)
        # By QR, and of unit vectors: normal equations would lose half of the digits of nearly parallel directions.
        lengths = basis.norm(dim=0)
        q, r = torch.linalg.qr(basis / lengths)
        at = torch.linalg.solve_triangular(r, (q.T @ away)[:, None], upper=True)[:, 0] / lengths
        return float(at[0]), float(at[1]), float((away - basis @ at).norm())

    def turned(self, objective: Objective, turn_by: Turn) -> Plane:
        """The plane with u, v turned towards, and the origin moved along, three further random directions.

        u′ = cos φ · u + sin φ · w, with filter norms restored for normalised directions; else w first gets the length
        of the direction that is turned. A pure function of the positions: it never accumulates.
        """
        if turn_by == Turn():
            return self
        seed = int((self.recipe or {}).get("seed", 0))
        towards = [
            random_direction(objective.parameters, objective.theta, seed=seed, index=index)
            for index in (2, 3, 4)
        ]  # fmt: skip
        u = self._turned(objective, self.u, towards[0], turn_by.turn_u)
        v = self._turned(objective, self.v, towards[1], turn_by.turn_v)
        origin = self.origin + turn_by.offset * towards[2]
        recipe = {"kind": "turned", "of": self.recipe or {"kind": "own", "hash": self.hash}, "seed": seed,
                  "turn_u": turn_by.turn_u, "turn_v": turn_by.turn_v, "offset": turn_by.offset}  # fmt: skip
        names = tuple(
            name if not angle else f"{name}, {angle}° towards {other}".replace("-", "−")
            for name, angle, other in zip(self.names, (turn_by.turn_u, turn_by.turn_v), TURNS, strict=False)
        )
        return Plane(origin, u, v, (names[0], names[1]), recipe, self.normalized, _owned=True)

    def _turned(self, objective: Objective, direction: Tensor, towards: Tensor, degrees: int) -> Tensor:
        if not degrees:
            return direction
        if self.normalized:
            return filter_normalize(turn(direction, towards, degrees), objective.theta, objective.parameters)
        scale = float(direction.norm()) / (float(towards.norm()) or 1.0)
        return turn(direction, scale * towards, degrees)


#: What u, v and the origin of a plane turn towards and move along.
TURNS = ("random 3", "random 4", "random 5")


def _vector(name: str, value: Any, *, copied: bool) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is a {type(value).__name__}, not a tensor. Pass a (P,) tensor.")
    if value.dim() != 1 or not value.numel():
        raise ValueError(f"{name} has shape {tuple(value.shape)}. Pass a vector of length P.")
    if not value.is_floating_point():
        raise TypeError(f"{name} has dtype {value.dtype}. Pass floating numbers, as in tensor.float().")
    bad = int((~torch.isfinite(value.detach())).sum())
    if bad:
        raise ValueError(f"{name} holds {bad} non-finite values among {value.numel()}. Pass finite ones.")
    return value.detach().clone() if copied else value.detach()


def _check_alike(first: str, a: Tensor, second: str, b: Tensor, *, dtype: bool = True) -> None:
    if a.shape != b.shape:
        raise ValueError(
            f"{first} has length {a.numel()}, but {second} has {b.numel()}. They must belong to one model."
        )
    if dtype and (a.dtype != b.dtype or a.device != b.device):
        raise ValueError(
            f"{first} is {a.dtype} on {a.device}, but {second} is {b.dtype} on {b.device}. "
            f"Convert it with {second}.to({first})."
        )


def _check_objective(objective: Any) -> None:
    if not isinstance(objective, Objective):
        raise TypeError(
            f"objective is a {type(objective).__name__}. Pass a lossatlas.Objective, as in "
            "la.Objective(model, loss_fn, data)."
        )
