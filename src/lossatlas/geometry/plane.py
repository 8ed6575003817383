"""Plane: θ(a, b) = origin + a·u + b·v, with names for its directions and a recipe that makes it again."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.geometry.directions import (
    FILTERS,
    Direction,
    eigenvectors,
    random_directions,
    random_pair,
    remade,
    turn,
)
from lossatlas.geometry.principal import components_of
from lossatlas.geometry.scaling import By, Scaling
from lossatlas.geometry.slice import HOME, Extent, Point, around
from lossatlas.geometry.trajectory import Trajectory, together
from lossatlas.geometry.turning import CHOICES, TURNS, Turn
from lossatlas.geometry.vectors import (
    check_alike,
    check_objective,
    check_seed,
    checked_vector,
    clearly_apart,
    cosine,
    is_zero,
    least_squares,
    norm,
    orthogonal_rest,
    share,
    sine,
)
from lossatlas.geometry.weights import vector_of
from lossatlas.objective import Objective
from lossatlas.objective.fingerprint import Digest, digest
from lossatlas.objective.identity import origin_of
from lossatlas.objective.naming import Names

if TYPE_CHECKING:
    from lossatlas.geometry.named import NamedDirections

# Below this sine of their angle two float32 directions cannot be told from parallel ones.
_PARALLEL = 1e-6

# How much of the home view the path of a trajectory's plane reaches.
_FILLED = 0.9


@dataclass(frozen=True, eq=False)
class Plane:
    """θ(a, b) = origin + a·u + b·v; a and b have no dimension: 1 is one length of u, of v.

    origin, u, v: (P,) tensors of one dtype on one device, copied. names: what u and v are called on the axes. recipe:
    JSON values that make the plane again; without one it is identified by its bytes. about: how u and v were made, in
    words. scaling: how the pieces of both got the norms of the objective's θ, which turning restores. home: what a
    first view shows. points: what is marked on it. variance_explained, variance_null: (2,) shares of the variance of a
    trajectory about its mean along u and v, and what a random walk of as many steps would give.

    Raises TypeError or ValueError when they are not three vectors of one length, not finite, zero or parallel.
    """

    origin: Tensor
    u: Tensor
    v: Tensor
    names: tuple[str, str] = ("u", "v")
    recipe: Mapping[str, Any] | None = None
    about: tuple[str, str] = ("user-given", "user-given")
    scaling: Scaling | None = None
    home: Extent = HOME
    points: tuple[Point, ...] = ()
    variance_explained: np.ndarray | None = None
    variance_null: np.ndarray | None = None
    _owned: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("origin", "u", "v"):
            if not self._owned:
                vector = checked_vector(f"The plane's {name}", getattr(self, name), copied=True)
                object.__setattr__(self, name, vector)
        for name in ("u", "v"):
            check_alike("origin", self.origin, name, getattr(self, name))
        if not clearly_apart(self.u, self.v):
            self._look_closer()

    def _look_closer(self) -> None:
        for name in ("u", "v"):
            if is_zero(checked_vector(f"The plane's {name}", getattr(self, name), copied=False)):
                raise ValueError(
                    f"The plane's direction {name} is zero: every point along it is the same. Pass a direction that is "
                    "not zero."
                )
        if sine(self.u, self.v) < _PARALLEL:
            raise ValueError(
                f"Plane directions must not be parallel, but cos(u, v) = {cosine(self.u, self.v):.6f}. Pass another v, "
                "or use Plane.random."
            )

    @classmethod
    def random(
        cls,
        objective: Objective,
        seed: int = 0,
        *,
        normalize: By | None = "filter",
        ignore: bool | Names | None = True,
        orthogonal: bool = False,
        layers: Names | None = None,
    ) -> Plane:
        """The plane of two random directions through the objective's θ, by default filter-normalised (Li et al. 2018).

        normalize: "filter", "layer", "tensor", "model" or None; ignore: True for tensors of fewer than two dimensions
        (biases, norm vectors), False for none, or names and globs; layers: which tensors move, by name or glob. What a
        filter is for each kind of layer: see `Scaling`. orthogonal: v made exactly orthogonal to u, filter by filter,
        so that the norms stay.

        Raises ValueError when all filters are zero, since the directions then are too, and for names that match nothing.
        """
        check_objective(objective)
        seed = check_seed(seed)
        scaling = Scaling.of(normalize, ignore, layers, objective.parameters)
        theta = objective.theta
        u, v = random_pair(objective, theta, seed, scaling)
        recipe: dict[str, Any] = {
            "kind": "random",
            "seed": seed,
            **scaling.recipe,
            "origin": u.recipe["origin"],
        }
        about = v.about
        if orthogonal:
            scaling.orthogonalize(v.vector, u.vector, objective.parameters)
            recipe["orthogonal"], about = True, f"{about}, made orthogonal to u"
        return cls(
            theta, u.vector, v.vector, (u.name, v.name), recipe, (u.about, about), scaling, _owned=True
        )

    @classmethod
    def along(
        cls,
        objective: Objective,
        first: Direction | Tensor,
        second: Direction | Tensor,
        *,
        orthogonal: bool = False,
    ) -> Plane:
        """The plane through the objective's θ along two directions; orthogonal: v less its part along u, same length."""
        check_objective(objective)
        u, v = (
            d if isinstance(d, Direction) else Direction.own(d, name)
            for d, name in zip((first, second), "uv", strict=True)
        )
        recipe: dict[str, Any] = {"kind": "along", "u": dict(u.recipe), "v": dict(v.recipe)}
        vector, about = v.vector.clone(), v.about
        if orthogonal:
            check_alike("first", u.vector, "second", vector)
            Scaling(None).orthogonalize(vector, u.vector, objective.parameters)
            recipe["orthogonal"], about = True, f"{about}, made orthogonal to u"
        scaling = u.scaling if u.scaling == v.scaling and not orthogonal else None
        return cls(
            objective.theta, u.vector.clone(), vector, (u.name, v.name), recipe, (u.about, about), scaling, _owned=True
        )  # fmt: skip

    @classmethod
    def gradient(cls, objective: Objective, seed: int = 0) -> Plane:
        """u along the gradient at θ, uphill; v random. Both have the length of a filter-normalised random direction.

        Raises ValueError where the gradient is zero or not finite.
        """
        return cls.along(objective, Direction.gradient(objective), Direction.random(objective, seed, 1))

    @classmethod
    def eigen(cls, objective: Objective, first: int = 0, second: int = -1) -> Plane:
        """u and v along eigenvectors of the Hessian at θ: by default the top and the bottom one.

        first, second: numbers from the algebraically largest eigenvalue, 0, to the smallest, −1. At the length of a
        filter-normalised random direction, the largest component positive. Raises ValueError for a number that there is
        not or that does not converge.
        """
        check_objective(objective)
        if objective.size < 2:
            raise ValueError("One parameter spans no plane. Use Line(objective.theta, u).")
        return cls.along(objective, *eigenvectors(objective, (first, second)))

    @classmethod
    def weights(cls, objective: Objective, first: str, second: str) -> Plane:
        """Two single parameters as axes, as "0.weight[3, 5]" and "2.bias[1]": 1 is 1 in their own units.

        Raises ValueError for a name or an index that does not exist, and for the same parameter twice.
        """
        u, v = Direction.weight(objective, first), Direction.weight(objective, second)
        if u.name == v.name:
            raise ValueError(f"Both axes are {u.name!r}. Pass two different parameters.")
        return cls.along(objective, u, v)

    @classmethod
    def through(cls, objective: Objective, first: Any, second: Any, *, orthonormal: bool = False) -> Plane:
        """The plane through three points: the objective's θ at (0, 0), first at (1, 0), second at (0, 1).

        first, second: a (P,) vector, a state dict or a module each. orthonormal: u of length 1 along first, v the
        orthogonal rest of second at length 1 (Gram–Schmidt), so that coordinates are distances. The three points are
        marked. Buffers, such as running statistics, stay those of the objective.

        Raises TypeError or ValueError, naming the tensor, when weights do not fit, and when the points lie on one line.
        """
        check_objective(objective)
        theta = objective.theta
        u, v = (vector_of(objective, other, what).sub_(theta)
                for other, what in ((first, "first"), (second, "second")))  # fmt: skip
        for vector, what in ((u, "first"), (v, "second")):
            if is_zero(vector):
                raise ValueError(f"{what} is the objective's θ itself. Pass three different points.")
        if sine(u, v) < _PARALLEL:
            raise ValueError(
                "The three points lie on one line, so they span no plane. Use Line.between, or pass another point."
            )
        about = ("from θ to the first point", "from θ to the second point")
        points: tuple[Point, ...] = (("θ", 0.0, 0.0), ("first", 1.0, 0.0), ("second", 0.0, 1.0))
        if orthonormal:
            reach, away = norm(u), v.to(torch.float64, copy=True)
            u /= reach
            orthogonal_rest(v, u)
            v /= norm(v)
            (a, b), _ = least_squares(away, (u, v))
            points = (("θ", 0.0, 0.0), ("first", reach, 0.0), ("second", a, b))
            about = (f"{about[0]}, at length 1", f"{about[1]}, less its part along u, at length 1")
        recipe = {"kind": "through", "hash": digest([u, v]), "orthonormal": orthonormal}
        return cls(
            theta, u, v, ("towards first", "towards second"), recipe, about, home=around(points), points=points,
            _owned=True,
        )  # fmt: skip

    @classmethod
    def pca(cls, objective: Objective, trajectory: Trajectory | Sequence[Trajectory]) -> Plane:
        """The plane of the first two principal components of a trajectory, or of several together, through the objective's θ.

        The components are those of all points about their mean; both directions have one length, at which the path as
        seen from θ reaches 0.9 of the home view; the largest component of each is positive. `variance_explained` stands
        beside `variance_null`, what random walks of as many steps would give. What is in a file is read twice, and never
        held all at once.

        Raises TypeError or ValueError for a trajectory of another model, and one that spans no plane.
        """
        check_objective(objective)
        several: list[Any] = list(trajectory) if isinstance(trajectory, list | tuple) else [trajectory]
        # A recorder has its own.
        runs = [getattr(run, "trajectory", run) for run in several]
        for index, run in enumerate(runs):
            if not isinstance(run, Trajectory):
                what = f"trajectory[{index}]" if isinstance(trajectory, list | tuple) else "trajectory"
                raise TypeError(
                    f"{what} is a {type(run).__name__}. Pass a Trajectory, as in Trajectory.from_states([…]), or a list of some."
                )
        if not runs:
            raise ValueError("There is no trajectory. Pass one, or a list of some.")
        theta, read, readings = objective.theta, Digest(), itertools.count()

        def blocks() -> Iterator[Tensor]:
            again = next(readings) > 0
            for block in together(runs, objective.parameters):
                if not again:
                    read.add(block)
                yield block

        found = components_of(
            blocks, theta, [len(run) for run in runs], max(torch.finfo(run.dtype).eps for run in runs)
        )
        length = float(np.abs(found.at).max()) / _FILLED
        u, v = (vector.to(theta.device, theta.dtype) * length for vector in found.vectors)
        at = found.at / length
        # Several runs would cover each other with their ends, and have names that only who draws them knows.
        ends = (("start", 0), ("end", -1)) if len(runs) == 1 else ()
        points = tuple((name, float(at[row, 0]), float(at[row, 1])) for name, row in ends)
        about = tuple(
            f"principal component {k + 1} of {len(at)} points of {'a trajectory' if len(runs) == 1 else f'{len(runs)} trajectories'} "
            f"about their mean, {found.explained[k]:.1%} of the variance (a random walk: {found.null[k]:.1%})"
            for k in (0, 1)
        )
        return cls(
            theta, u, v, ("component 1", "component 2"), {"kind": "pca", "hash": read.hash}, (about[0], about[1]),
            points=points, variance_explained=found.explained, variance_null=found.null, _owned=True,
        )  # fmt: skip

    def renewed(self, objective: Objective) -> Plane:
        """The plane of the same recipe through another θ; itself where the recipe does not say how to make it."""
        recipe = dict(self.recipe or {})
        if recipe.get("kind") == "random":
            scaling = Scaling.from_recipe(recipe)
            return Plane.random(
                objective, recipe["seed"], normalize=scaling.by, ignore=scaling.ignore, layers=scaling.layers,
                orthogonal=recipe.get("orthogonal", False),
            )  # fmt: skip
        if recipe.get("kind") == "along":
            made = [
                remade(objective, recipe[name], vector) for name, vector in (("u", self.u), ("v", self.v))
            ]
            if None not in made:
                u, v = (direction for direction in made if direction is not None)
                return Plane.along(objective, u, v, orthogonal=recipe.get("orthogonal", False))
        if recipe.get("kind") == "turned":
            return self._turned_anew(objective, recipe) or self
        return self

    def _turned_anew(self, objective: Objective, recipe: Mapping[str, Any]) -> Plane | None:
        """This turned plane, made from its recipe alone; None where that names what only bytes could give."""
        from lossatlas.geometry.named import NamedDirections

        # Only the turned vectors are here: a direction that is known by its bytes cannot be had back from them.
        of = dict(recipe["of"])
        if of.get("kind") == "along" and any(of[name]["kind"] in ("own", "towards") for name in "uv"):
            return None
        turned = dataclasses.replace(self, recipe=of, _owned=True)
        first = turned.renewed(objective)
        if first is turned:
            return None
        named = NamedDirections(objective, first)
        chosen = recipe.get("chosen", {})
        if any(name not in named for name, *_ in chosen.values()):
            return None
        turn_by = Turn(
            recipe["turn_u"],
            recipe["turn_v"],
            recipe["offset"],
            **{k: name for k, (name, *_) in chosen.items()},
        )
        return first.turned(objective, turn_by, named)

    @property
    def size(self) -> int:
        """P, the length of its vectors."""
        return self.origin.numel()

    @property
    def directions(self) -> tuple[Tensor, ...]:
        """u and v."""
        return (self.u, self.v)

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits: over the recipe and the origin, or over the bytes of a plane without one."""
        parts = [self.recipe] if self.recipe is not None else [self.u, self.v]
        return digest([*parts, self.origin])

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
        theta = checked_vector("theta", theta, copied=False)
        check_alike("origin", self.origin, "theta", theta, dtype=False)
        away = theta.to(self.origin.device, torch.float64) - self.origin.to(torch.float64)
        (a, b), distance = least_squares(away, (self.u, self.v))
        return a, b, distance

    def share(self, vector: Tensor) -> float:
        """How much of the length of a (P,) vector lies in the plane: ‖its projection‖ / ‖vector‖, 0 to 1.

        Of the gradient, or of θ − origin for another point. Raises ValueError for a vector that is zero or does not fit.
        """
        vector = checked_vector("vector", vector, copied=False)
        check_alike("origin", self.origin, "vector", vector, dtype=False)
        return share(vector, (self.u, self.v))

    @property
    def angle(self) -> float:
        """The angle between u and v in degrees."""
        return math.degrees(math.acos(cosine(self.u, self.v)))

    def turned(self, objective: Objective, turn_by: Turn, named: NamedDirections | None = None) -> Plane:
        """The plane with u, v turned towards, and the origin moved along, other directions.

        u′ = cos φ · u + sin φ · w, with the norms of θ restored for scaled directions; else w first gets the length
        of the direction that is turned. A pure function of the positions: it never accumulates. named: the directions
        that turn_by may name, needed when it does. Raises ValueError for a name that it does not hold, and when the
        two directions that come out are zero or parallel.
        """
        turn_by = turn_by.settled
        if not turn_by.moves:
            return self
        seed = int((self.recipe or {}).get("seed", 0))
        recipe = {"kind": "turned", "of": self.recipe or {"kind": "own", "hash": self.hash}, "seed": seed,
                  "turn_u": turn_by.turn_u, "turn_v": turn_by.turn_v, "offset": float(turn_by.offset),
                  "scaling": _said(self.scaling), "origin": origin_of(objective)}  # fmt: skip
        scaling = self.scaling or FILTERS
        chosen = {name: getattr(turn_by, name) for name in CHOICES if getattr(turn_by, name)}
        if chosen and named is None:
            raise ValueError(
                f"{', '.join(chosen.values())}: names need the directions that they stand for. Pass named=."
            )
        found = {name: named[name] for name in chosen.values()} if named is not None else {}
        if chosen:
            recipe["chosen"] = {
                choice: [name, dict(found[name].recipe), _said(found[name].scaling)]
                for choice, name in chosen.items()
            }
        usual = [index for index, name in enumerate(turn_by.towards) if name not in found]
        drawn = random_directions(
            objective.parameters,
            objective.theta,
            seed=seed,
            indices=[2 + index for index in usual],
            scaling=scaling,
        )
        others = [
            Direction(vector, TURNS[index], {}, "", scaling)
            for index, vector in zip(usual, drawn, strict=True)
        ]
        towards = [found[name] if name in found else others.pop(0) for name in turn_by.towards]
        axes = [
            found[choice] if choice else Direction(vector, name, {}, about, self.scaling)
            for choice, vector, name, about in zip(
                (turn_by.u_from, turn_by.v_from), self.directions, self.names, self.about, strict=True
            )
        ]
        angles = (turn_by.turn_u, turn_by.turn_v)
        u, v = (
            _turned(objective, axis, to, degrees)
            for axis, to, degrees in zip(axes, towards, angles, strict=False)
        )
        names, about = (
            tuple(
                word if not angle else f"{word}, {'−' if angle < 0 else ''}{abs(angle)}° towards {other.name}"
                for word, angle, other in zip(words, angles, towards, strict=False)
            )
            for words in ([axis.name for axis in axes], [axis.about for axis in axes])
        )
        return Plane(
            self.origin + turn_by.offset * towards[2].vector, u, v, (names[0], names[1]), recipe, (about[0], about[1]),
            self.scaling, self.home, _owned=True,
        )  # fmt: skip


def _said(scaling: Scaling | None) -> dict[str, Any] | None:
    return None if scaling is None else scaling.recipe


def _turned(objective: Objective, axis: Direction, towards: Direction, degrees: int) -> Tensor:
    if not degrees:
        return axis.vector
    if axis.scaling is not None and axis.scaling == towards.scaling:
        turned = turn(axis.vector, towards.vector, degrees)
        return axis.scaling.apply(turned, objective.theta, objective.parameters)
    scale = norm(axis.vector) / (norm(towards.vector) or 1.0)
    return turn(axis.vector, scale * towards.vector, degrees)
