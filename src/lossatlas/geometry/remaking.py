"""Remaking: planes, lines and directions out of JSON values, with the vectors that only their bytes determine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lossatlas.geometry.directions import Direction, eigenvectors, remade
from lossatlas.geometry.line import Line
from lossatlas.geometry.named import NamedDirections
from lossatlas.geometry.plane import Plane
from lossatlas.geometry.scaling import Scaling
from lossatlas.geometry.turning import Turn
from lossatlas.objective import Objective
from lossatlas.objective.fingerprint import digest
from lossatlas.objective.identity import origin_of, space_of, theta_of

Recipe = Mapping[str, Any]

# What a direction of each kind was made from: where its recipe says so, and what an objective has there.
_SOURCES = {
    "random": ("origin", origin_of),
    "weight": ("space", lambda objective: space_of(objective.parameters)),
    "gradient": ("objective", lambda objective: objective.hash),
    "eigenvector": ("objective", lambda objective: objective.hash),
}

# What holds the hash of its own bytes.
_SEALED = ("own", "towards", "momentum", "adam", "through")


def source_of(recipe: Recipe, objective: Objective) -> Objective | None:
    """The objective, or the term of a difference, at which a direction is made anew; None where only its bytes are known."""
    kind = recipe.get("kind")  # of a user's own recipe it may be anything
    if not isinstance(kind, str) or kind not in _SOURCES:
        return None
    key, read = _SOURCES[kind]
    return next((one for one in _with_terms(objective) if read(one) == recipe.get(key)), None)


def _with_terms(objective: Objective) -> Iterator[Objective]:
    yield objective
    for term in objective.terms:
        yield from _with_terms(term)


def bytes_needed(where: Plane | Line, objective: Objective) -> dict[str, Tensor]:
    """Of origin, u and v those that cannot be made from the recipe of a plane or a line at this objective."""
    recipe, vectors = where.recipe or {}, dict(zip("uv", where.directions, strict=False))
    at_theta = digest([where.origin]) == theta_of(objective)
    if recipe.get("kind") == "turned":
        return {} if _turns_again(recipe, objective, at_theta) else {"origin": where.origin, **vectors}
    axes = axes_of(recipe)
    found = {} if at_theta else {"origin": where.origin}
    return found | {
        name: vector
        for name, vector in vectors.items()
        if name not in axes or source_of(axes[name], objective) is None
    }


def axes_of(recipe: Recipe) -> dict[str, Recipe]:
    """The recipes of the directions of a plane or a line, by axis; none where they have no recipe of their own."""
    match recipe.get("kind"):
        case "random":
            own = {key: value for key, value in recipe.items() if key != "orthogonal"}
            return {axis: {**own, "index": index} for index, axis in enumerate("uv")}
        case "along":
            return {axis: recipe[axis] for axis in "uv"}
        case "line" | "between":
            return {"u": recipe["u"]}
    return {}


def _turns_again(recipe: Recipe, objective: Objective, at_theta: bool) -> bool:
    """Whether a turned plane can be made from its recipe alone."""
    of = recipe["of"]
    axes = axes_of(of)
    # Of a plane along directions the recipe does not say through which point it leads: it is known where it was not moved.
    known = of.get("kind") == "random" or (at_theta and not recipe["offset"])
    others = [one for _, one, _ in recipe.get("chosen", {}).values() if one.get("kind") != "axis"]
    made = all(source_of(one, objective) is not None for one in (*axes.values(), *others))
    return len(axes) == 2 and known and recipe["origin"] == origin_of(objective) and made


def slice_again(spec: Recipe, objective: Objective, vectors: Mapping[str, Tensor]) -> Plane | Line:
    """A plane or a line from its part of a recipe.

    spec: `recipe` and the words and numbers beside it; vectors: those that its recipe cannot make, of origin, u and v.
    Raises ValueError where neither gives one of them.
    """
    recipe, points = spec["recipe"], tuple((name, a, b) for name, a, b in spec["points"])
    if (recipe or {}).get("kind") == "turned" and not vectors:
        plane = _turned_again(recipe, objective)
        origin, found = plane.origin, {"u": plane.u, "v": plane.v}
    else:
        origin = vectors.get("origin", objective.theta)
        found = _directions_again(recipe or {}, objective, vectors)
    for axis in "uv"[: len(spec["names"])]:
        if axis not in found:
            raise ValueError(
                f"The recipe does not say how to make {axis}, nor that it needs its bytes. Take the recipe as it was written."
            )
    _check_given(recipe or {}, objective, vectors, found)
    about, home = tuple(spec["about"]), tuple(spec["home"])
    if spec["kind"] == "line":
        return Line(origin, found["u"], spec["names"][0], recipe, about, home, points)
    explained, null = (None, None) if spec["variance"] is None else map(np.array, spec["variance"])
    first, second = spec["names"]
    return Plane(
        origin, found["u"], found["v"], (first, second), recipe, (about[0], about[1]), scaling_again(spec["scaling"], objective), home, points,
        explained, null,
    )  # fmt: skip


def check_bytes(recipe: Recipe, *vectors: Tensor) -> None:
    """Raise ValueError where vectors are not those whose hash the recipe of a direction, or of a plane through points, holds."""
    if recipe.get("kind") in _SEALED and recipe.get("hash") != digest(vectors):
        raise ValueError(
            f"The recipe of kind {recipe['kind']!r} holds the hash {recipe.get('hash')!r}, but its bytes have {digest(vectors)!r}. "
            "One of them was changed since: take both as they were written."
        )


def check_unmade(recipe: Recipe, objective: Objective) -> None:
    """Raise ValueError where bytes are given for a direction that its recipe makes: nothing would say that they are the same."""
    if source_of(recipe, objective) is not None:
        raise _made_anyway(recipe)


def _made_anyway(recipe: Recipe) -> ValueError:
    return ValueError(
        f"The recipe asks for the bytes of what is of kind {recipe.get('kind')!r}, which it makes itself. Take the recipe as it was "
        "written."
    )


def _check_given(
    recipe: Recipe, objective: Objective, given: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    """The same for the axes of a plane or a line of which the bytes were given, as far as its recipe knows them."""
    if recipe.get("kind") == "through":
        check_bytes(recipe, *found.values())
    if recipe.get("kind") == "turned" and given and _turns_again(recipe, objective, "origin" not in given):
        raise _made_anyway(recipe)
    for axis, one in axes_of(recipe).items():
        if axis in given:
            check_unmade(one, objective)
            if not (axis == "v" and recipe.get("orthogonal")):  # then its bytes are what is left of it
                check_bytes(one, given[axis])


def scaling_again(recipe: Recipe | None, objective: Objective) -> Scaling | None:
    """A scaling from its recipe; None of None. Raises ValueError for names that match no parameter."""
    if recipe is None:
        return None
    ignore, layers = recipe.get("ignore", True), recipe.get("layers")
    return Scaling.of(recipe["normalize"], ignore, layers, objective.parameters)


def direction_again(recipe: Recipe, objective: Objective) -> Direction:
    """A direction from its recipe alone. Raises ValueError where that does not say how to make it."""
    source = source_of(recipe, objective)
    made = None if source is None else remade(source, recipe, objective.theta)
    if made is None:
        raise ValueError(
            f"The recipe has a direction of kind {recipe.get('kind')!r} that cannot be made at this objective, and does not say "
            "that it needs its bytes. Take the recipe as it was written."
        )
    return made


def _directions_again(
    recipe: Recipe, objective: Objective, vectors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """u and v, given or made, (P,) each."""
    axes = {axis: one for axis, one in axes_of(recipe).items() if axis not in vectors}
    found = {axis: vectors[axis] for axis in "uv" if axis in vectors}
    made = _together(list(axes.values()), objective)
    found |= {axis: one.vector.clone() for axis, one in zip(axes, made, strict=True)}
    if recipe.get("orthogonal") and "v" in axes:
        scaling = Scaling.from_recipe(recipe) if recipe.get("kind") == "random" else Scaling(None)
        scaling.orthogonalize(found["v"], found["u"], objective.parameters)
    return found


def _together(recipes: Sequence[Recipe], objective: Objective) -> list[Direction]:
    """Directions from their recipes; several eigenvectors of one Hessian as they were found, together."""
    if recipes and all(one.get("kind") == "eigenvector" for one in recipes):
        sources = [source_of(one, objective) for one in recipes]
        if sources[0] is not None and all(one is sources[0] for one in sources):
            return eigenvectors(sources[0], [one["number"] for one in recipes])
    return [direction_again(one, objective) for one in recipes]


def _turned_again(recipe: Recipe, objective: Objective) -> Plane:
    of, found = recipe["of"], _directions_again(recipe["of"], objective, {})
    if len(found) < 2:
        raise ValueError(
            f"The recipe turns a plane of kind {of.get('kind')!r}, which cannot be made from it, and does not say that it needs "
            "its bytes. Take the recipe as it was written."
        )
    first = Plane(
        objective.theta,
        found["u"],
        found["v"],
        recipe=of,
        scaling=scaling_again(recipe["scaling"], objective),
    )
    known = {}
    for name, one, _ in recipe.get("chosen", {}).values():
        if one.get("kind") == "axis":
            known[name] = Direction(first.directions["uv".index(one["axis"])], name, one, "", first.scaling)
        else:
            known[name] = direction_again(one, objective)
    choices = {choice: name for choice, (name, *_) in recipe.get("chosen", {}).items()}
    turn_by = Turn(recipe["turn_u"], recipe["turn_v"], recipe["offset"], **choices)
    named = NamedDirections((*objective.terms, objective)[0], first, known)
    return dataclasses.replace(first.turned(objective, turn_by, named), _owned=True)
