"""Directions in parameter space: random ones, those that data give, and turning one into another."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas.geometry.optimizers import adam_of, momentum_of
from lossatlas.geometry.scaling import By, Scaling
from lossatlas.geometry.vectors import (
    check_objective,
    check_seed,
    checked_vector,
    empty_float32,
    is_zero,
    norm,
    upright,
)
from lossatlas.geometry.weights import position_of, vector_of
from lossatlas.objective import Objective, ParameterSpace
from lossatlas.objective.fingerprint import digest
from lossatlas.objective.identity import origin_of, space_of
from lossatlas.objective.naming import Names
from lossatlas.objective.objective import one_thread_each

FILTERS = Scaling()

# Below this length a thread of its own costs more than drawing.
_LONG = 1 << 20


@dataclass(frozen=True, eq=False)
class Direction:
    """A vector in parameter space with a name for the axis and a recipe that makes it again.

    vector: (P,). recipe: JSON values; a direction that only its bytes determine holds their hash, any other one the hash
    of what it was made from: the objective, or its θ, or the shapes of its parameters. about: the recipe in words, for a
    caption. scaling: how its pieces got the norms of θ, which turning restores.

    Random and data-driven directions have the length of a filter-normalised random one, so that 1 on the axis is as
    far for all of them; `towards` and `weight` have their own.
    """

    vector: Tensor
    name: str
    recipe: Mapping[str, Any]
    about: str
    scaling: Scaling | None = None

    @classmethod
    def random(
        cls,
        objective: Objective,
        seed: int = 0,
        index: int = 0,
        *,
        normalize: By | None = "filter",
        ignore: bool | Names | None = True,
        layers: Names | None = None,
    ) -> Direction:
        """Gaussian direction number `index` of a seed, scaled as `Scaling` says. Raises ValueError when it is zero."""
        check_objective(objective)
        scaling = Scaling.of(normalize, ignore, layers, objective.parameters)
        return random_pair(objective, objective.theta, check_seed(seed), scaling, (index,))[0]

    @classmethod
    def gradient(cls, objective: Objective) -> Direction:
        """Along the gradient of the loss at θ: uphill. Raises ValueError where it is zero or not finite."""
        check_objective(objective)
        gradient = checked_vector("The gradient", objective.gradient(objective.theta), copied=False)
        if is_zero(gradient):
            raise ValueError(
                "The gradient is zero here: θ is a critical point. Choose another direction, such as Plane.eigen's."
            )
        recipe = {"kind": "gradient", "objective": objective.hash}
        return _data_driven(objective, gradient, "gradient", recipe, "gradient of the loss")

    @classmethod
    def momentum(cls, objective: Objective, optimizer: Any, model: nn.Module | None = None) -> Direction:
        """Along an optimizer's running mean of gradients: uphill, as the gradient.

        model: the user's, to match tensors by name where the optimizer holds others, or holds them in another order.
        Raises ValueError when the optimizer has no such state.
        """
        check_objective(objective)
        vector = momentum_of(objective, optimizer, model)
        name = f"momentum of {type(optimizer).__name__}"
        return _of_bytes(_data_driven(objective, vector, name, {"kind": "momentum"}, name))

    @classmethod
    def adam(cls, objective: Objective, optimizer: Any, model: nn.Module | None = None) -> Direction:
        """Against Adam's next step, m̂ / (√v̂ + ε): uphill, as the gradient. model: as for `momentum`."""
        check_objective(objective)
        vector = adam_of(objective, optimizer, model)
        name = f"step of {type(optimizer).__name__}"
        return _of_bytes(_data_driven(objective, vector, name, {"kind": "adam"}, f"{name}, reversed"))

    @classmethod
    def towards(cls, objective: Objective, other: Any, name: str = "towards") -> Direction:
        """From θ to other weights, which lie at 1: a (P,) vector, a state dict or a module."""
        check_objective(objective)
        vector = vector_of(objective, other, "other").sub_(objective.theta)
        if is_zero(vector):
            raise ValueError(
                "other is the objective's θ itself, so nothing points there. Pass other weights."
            )
        return cls(vector, name, {"kind": "towards", "hash": digest([vector])}, "from θ to other weights")

    @classmethod
    def weight(cls, objective: Objective, name: str) -> Direction:
        """A single parameter, as "0.weight[3, 5]", in its own units."""
        check_objective(objective)
        full, place = position_of(objective.parameters, name)
        vector = torch.zeros(objective.size, dtype=objective.dtype, device=objective.device)
        vector[place] = 1.0
        recipe = {"kind": "weight", "name": full, "space": space_of(objective.parameters)}
        return cls(vector, full, recipe, "a single parameter in its own units")

    @classmethod
    def eigenvector(cls, objective: Objective, number: int = 0) -> Direction:
        """An eigenvector of the Hessian at θ: 0 the top one, −1 the bottom one; its largest component is positive.

        Raises ValueError for a number that there is not or that does not converge, and where the Hessian is not finite.
        """
        return eigenvectors(objective, (number,))[0]

    @classmethod
    def own(cls, vector: Tensor, name: str = "own", about: str = "user-given") -> Direction:
        """A vector of the user's, at its own length; about: what it is, in a caption."""
        vector = checked_vector("vector", vector, copied=True)
        return cls(vector, name, {"kind": "own", "hash": digest([vector])}, about)


def remade(
    objective: Objective, recipe: Mapping[str, Any], vector: Tensor, name: str = "own"
) -> Direction | None:
    """The direction of a recipe at the objective's θ, or None where only its bytes are known."""
    kind = recipe["kind"]
    if kind == "random":
        scaling = Scaling.from_recipe(recipe)
        return Direction.random(
            objective, recipe["seed"], recipe["index"], normalize=scaling.by, ignore=scaling.ignore, layers=scaling.layers
        )  # fmt: skip
    if kind == "gradient":
        return Direction.gradient(objective)
    if kind == "weight":
        return Direction.weight(objective, recipe["name"])
    if kind == "eigenvector":
        return Direction.eigenvector(objective, recipe["number"])
    return Direction.own(vector, name) if kind == "own" else None


def eigenvectors(objective: Objective, numbers: Sequence[int]) -> list[Direction]:
    """Several eigenvectors of one Hessian, as `Direction.eigenvector`."""
    from lossatlas.curvature.eigen import eigen_of

    check_objective(objective)
    directions = []
    for number, (value, vector) in zip(numbers, eigen_of(objective, numbers), strict=True):
        place = {0: "top", -1: "bottom"}.get(int(number), f"number {int(number)}")
        name = f"{place} eigenvector, λ = {value:.4g}"
        recipe = {"kind": "eigenvector", "number": int(number), "objective": objective.hash}
        about = f"{place} eigenvector of the Hessian at θ, eigenvalue {value:.6g}"
        directions.append(_data_driven(objective, upright(vector), name, recipe, about))
    return directions


def random_pair(
    objective: Objective, theta: Tensor, seed: int, scaling: Scaling, indices: Sequence[int] = (0, 1)
) -> list[Direction]:
    """Random directions of one seed at theta, the objective's θ. Raises ValueError when they are zero."""
    space = objective.parameters
    vectors = random_directions(space, theta, seed=seed, indices=indices, scaling=scaling)
    if is_zero(vectors[0]):
        raise ValueError(
            "All filters of the model are zero, so a filter-normalised direction is zero too. "
            "Pass directions of your own to Plane(origin, u, v)."
        )
    words, origin = scaling.words(space), origin_of(objective)
    return [
        Direction(
            vector,
            f"random {index + 1}",
            {"kind": "random", "seed": seed, "index": index, **scaling.recipe, "origin": origin},
            f"random Gaussian {index + 1} of seed {seed}, {words}",
            scaling,
        )
        for index, vector in zip(indices, vectors, strict=True)
    ]


def random_directions(
    space: ParameterSpace, theta: Tensor, *, seed: int, indices: Sequence[int], scaling: Scaling = FILTERS
) -> list[Tensor]:
    """Several random directions, each as by `random_direction`; long ones are drawn side by side."""

    def made(index: int) -> Tensor:
        drawn = _draw(space.size, seed, index).to(theta.device, theta.dtype)
        return scaling.apply(drawn, theta, space)

    if space.size < _LONG:
        return [made(index) for index in indices]
    # One thread each: together they would otherwise have more threads than there are cores.
    with ThreadPoolExecutor(2, initializer=one_thread_each) as pool:
        return list(pool.map(made, indices))


def random_direction(
    space: ParameterSpace, theta: Tensor, *, seed: int, index: int, scaling: Scaling = FILTERS
) -> Tensor:
    """The random direction number `index` (from 0) of a seed: Gaussian, then scaled to the norms of theta.

    theta: (P,), whose filter norms it takes (Li et al. 2018, section 4). A generator of its own draws it in float32,
    so that a model in float64 gets the same direction. Where no tensor has two dimensions there are no filters: the
    whole vector then gets the norm of theta, or 1 where theta is zero.
    """
    return random_directions(space, theta, seed=seed, indices=(index,), scaling=scaling)[0]


def _draw(size: int, seed: int, index: int) -> Tensor:
    key = hashlib.sha256(f"lossatlas direction {seed} {index}".encode()).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(key[:8], "little") >> 1)
    return empty_float32(size).normal_(generator=generator)


def filter_normalize(direction: Tensor, theta: Tensor, space: ParameterSpace) -> Tensor:
    """Scale each filter of a direction to the norm of the same filter of theta: d_f ← d_f ‖w_f‖ / ‖d_f‖.

    direction, theta: (P,) -> (P,). A filter is one slice along dimension 0 of a tensor of two or more dimensions
    (Frobenius norm); 1-D tensors (biases, norm vectors) become zero; a zero filter stays zero (Li et al. 2018,
    section 4). Raises ValueError when the lengths differ.
    """
    for name, vector in (("direction", direction), ("theta", theta)):
        if tuple(vector.shape) != (space.size,):
            raise ValueError(
                f"{name} has shape {tuple(vector.shape)}. Pass a vector of length P = {space.size}."
            )
    return FILTERS.apply(direction.clone(), theta, space)


def typical_length(objective: Objective) -> float:
    """The length of every filter-normalised random direction of the objective; 1 where all its filters are zero."""
    return FILTERS.length(objective.theta, objective.parameters) or 1.0


def turn(direction: Tensor, towards: Tensor, degrees: int) -> Tensor:
    """cos φ · direction + sin φ · towards, for whole degrees φ; (P,) each.

    The quarter turns are exact, so that 90 degrees gives `towards` and not a hair of `direction`.
    """
    cos, sin = _QUARTERS.get(
        degrees % 360, (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    )
    return cos * direction + sin * towards


_QUARTERS = {0: (1.0, 0.0), 90: (0.0, 1.0), 180: (-1.0, 0.0), 270: (0.0, -1.0)}


def _data_driven(
    objective: Objective, vector: Tensor, name: str, recipe: dict[str, Any], about: str
) -> Direction:
    """A direction given by data, at the length of a random one."""
    scaled = vector * (typical_length(objective) / norm(vector))
    return Direction(scaled, name, recipe, f"{about}, at the length of a filter-normalised random direction")


def _of_bytes(direction: Direction) -> Direction:
    """The direction with the hash of its bytes in its recipe."""
    recipe = {**direction.recipe, "hash": digest([direction.vector])}
    return replace(direction, recipe=recipe)
