"""Recipe: what makes a landscape again, as JSON values; `Landscape.recipe` and `from_recipe`, put there by the package."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.geometry import CHOICES, Direction, Line, NamedDirections, Plane, Turn
from lossatlas.geometry.remaking import (
    bytes_needed,
    check_bytes,
    check_unmade,
    direction_again,
    scaling_again,
    slice_again,
    source_of,
)
from lossatlas.landscape import Landscape
from lossatlas.objective import Objective
from lossatlas.objective.difference import difference_of
from lossatlas.objective.fingerprint import digest, text_of
from lossatlas.objective.identity import differences as of_parts
from lossatlas.recipe_format import FORMAT, parsed

# What names a direction among vectors, before its own name.
_NAMED = "direction "

# Kinds of recipes that are of a plane, and of a line.
_PLANES, _LINES = ("random", "along", "through", "pca", "turned"), ("line", "between")

# Parts that hold code, which each Python compiles in its own way.
_CODE = ("code", "loss", "metrics", "weight")


def recipe(landscape: Landscape) -> dict[str, Any]:
    """What makes the landscape again, as JSON values: `from_recipe` gives one with the same scene hash.

    format, versions, scene (its hash), title; objective: its hash, and its parts as plain values and hashes; plane: its recipe,
    its hash, and by name the hashes of the vectors that no recipe can make (see `recipe_vectors`); turn: where the sliders stand
    and between which directions; home: the extent of the home view. The data are read once, for their hash.
    """
    return {
        "format": FORMAT, "versions": _versions(), "scene": landscape.scene.hash, "title": landscape.title,
        "objective": _of_objective(landscape.objective), "plane": _of_slice(landscape), "turn": _of_turn(landscape),
        "home": list(landscape.home),
    }  # fmt: skip


def recipe_text(landscape: Any) -> str:
    """The recipe as JSON text in one line of ASCII, as it travels in files: the same for the same landscape."""
    # One that was opened without its model has its recipe as it was written, or none.
    found = recipe(landscape) if isinstance(landscape, Landscape) else landscape.recipe
    return json.dumps(found, sort_keys=True, separators=(",", ":"), allow_nan=False)


def recipe_vectors(landscape: Landscape) -> dict[str, Tensor]:
    """The vectors, (P,) each, that the recipe cannot make and `from_recipe` needs beside it; none for a seeded random plane.

    "origin", "u" and "v" are those of the plane before it is turned, "direction NAME" one that it is turned by: vectors of the
    user's, principal components, the weights of other models, what an optimizer has gathered, an origin other than θ.
    """
    needed = bytes_needed(_first(landscape), landscape.objective)
    for name, direction in _chosen(landscape).items():
        if source_of(direction.recipe, landscape.objective) is None:
            needed[f"{_NAMED}{name}"] = direction.vector
    return needed


def from_recipe(
    recipe: Mapping[str, Any] | str,
    objective: Objective | Sequence[Any],
    vectors: Mapping[str, Tensor] | None = None,
) -> Landscape:
    """The landscape of a recipe: with the same scene hash, or an error in words.

    recipe: that of a landscape, or its JSON text, as every export holds it. objective: the one that it was made of, made anew;
    for a difference of two landscapes the two objectives, (first, second). vectors: those that only their bytes determine, by
    name, as `lossatlas.recipe.recipe_vectors(landscape)` gives them; their hashes are checked.

    Raises TypeError or ValueError for what is no recipe, naming the key and the value; for another objective, saying what
    differs; and for vectors that are missing, too many or not the same. Nothing of a recipe is executed.
    """
    found = parsed(recipe)
    measured = _measured(objective)
    if said := _differences(found, measured):
        raise ValueError(
            f"The recipe is not of this objective: {'; '.join(said)}. Make the objective as it was made then, or a new map of "
            "this one."
        )
    given = _checked(found, measured, vectors)
    landscape = _landscape(found, measured, given)
    if landscape.scene.hash != found["scene"]:
        raise ValueError(
            f"recipe['scene'] is {found['scene']!r}, but what the recipe says makes {landscape.scene.hash!r}"
            f"{_versions_differ(found)}. It was changed since it was written: take it as it was."
        )
    return landscape


def differences(recipe: Mapping[str, Any] | str, objective: Objective | Sequence[Any]) -> list[str]:
    """What is different between the objective of a recipe, "there", and this one, "here", a clause each; [] where nothing is.

    Raises TypeError or ValueError for what is no recipe and no objective.
    """
    return _differences(parsed(recipe), _measured(objective))


def _versions() -> dict[str, str]:
    from lossatlas import __version__

    return {
        "lossatlas": __version__, "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
    }  # fmt: skip


def _of_objective(objective: Objective) -> dict[str, Any]:
    return {
        "title": objective.title, "hash": objective.hash, "device": objective.device.type, "parts": dict(objective.parts),
        "terms": [_of_objective(term) for term in objective.terms],
    }  # fmt: skip


def _first(landscape: Landscape) -> Plane | Line:
    """The plane or line that all turns start from."""
    first: Plane | Line = landscape._first
    return first


def _of_slice(landscape: Landscape) -> dict[str, Any]:
    where = _first(landscape)
    plane = where if isinstance(where, Plane) else None
    scaling = None if plane is None or plane.scaling is None else plane.scaling.recipe
    shares = None if plane is None else (plane.variance_explained, plane.variance_null)
    return {
        "kind": "line" if plane is None else "plane", "hash": where.hash, "recipe": _json(where.recipe),
        "vectors": {name: digest([vector]) for name, vector in bytes_needed(where, landscape.objective).items()},
        "names": list(where.names), "about": list(where.about), "points": [[name, float(a), float(b)] for name, a, b in where.points],
        "home": [float(end) for end in where.home], "scaling": scaling, "variance": _shares(shares),
    }  # fmt: skip


def _shares(shares: Any) -> list[list[float]] | None:
    known = shares is not None and all(one is not None and np.isfinite(one).all() for one in shares)
    return [one.tolist() for one in shares] if known else None


def _json(recipe: Mapping[str, Any] | None) -> Any:
    """A recipe as it comes out of JSON; one that a user gave may hold other values, which are known by their text."""
    try:
        return json.loads(json.dumps(recipe, default=text_of, allow_nan=False))
    except ValueError as error:
        raise ValueError(
            f"The plane's recipe is {recipe!r}, which JSON cannot hold: {error}. Pass finite numbers."
        ) from error


def _chosen(landscape: Landscape) -> dict[str, Direction]:
    """The directions that names stand for where the plane is turned by them; the plane's own two are known from it."""
    if landscape.on_line:
        return {}
    settled, named = landscape._turn.settled, landscape.directions
    names = dict.fromkeys(getattr(settled, choice) for choice in CHOICES)
    found = {name: named[name] for name in names if name}
    return {name: one for name, one in found.items() if one.recipe.get("kind") != "axis"}


def _of_turn(landscape: Landscape) -> dict[str, Any]:
    settled, objective = landscape._turn.settled, landscape.objective
    directions = {
        name: {
            "recipe": _json(one.recipe), "name": one.name, "about": one.about,
            "scaling": None if one.scaling is None else one.scaling.recipe,
            "vector": None if source_of(one.recipe, objective) is not None else digest([one.vector]),
        }
        for name, one in _chosen(landscape).items()
    }  # fmt: skip
    return {
        "turn_u": settled.turn_u, "turn_v": settled.turn_v, "offset": float(settled.offset),
        "chosen": {choice: name for choice in CHOICES if (name := getattr(settled, choice))}, "directions": directions,
    }  # fmt: skip


def _measured(objective: Any) -> Objective:
    if isinstance(objective, tuple | list) and len(objective) == 2:
        return difference_of(*map(_measured, objective))
    if not isinstance(objective, Objective):
        raise TypeError(
            f"objective is a {type(objective).__name__}. Pass a lossatlas.Objective, or of a difference the two, (first, second)."
        )
    return objective


def _differences(found: Mapping[str, Any], objective: Objective) -> list[str]:
    there, here = found["objective"], _of_objective(objective)
    if said := _of_terms(there, here, found):
        return said
    if there["hash"] == here["hash"]:
        return []
    why = _versions_differ(found) or ": the recipe was changed since it was written"
    return [f"all parts agree, but their hash is {there['hash']} there, {here['hash']} here{why}"]


def _of_terms(there: Mapping[str, Any], here: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    if there["terms"] and here["terms"]:
        pairs = zip(("first", "second"), there["terms"], here["terms"], strict=True)
        return [
            f"of the {place}: {said}" for place, one, other in pairs for said in _of_terms(one, other, found)
        ]
    then, now = there["parts"], here["parts"]
    said = of_parts(then, now)
    python = found["versions"]["python"], platform.python_version()
    compiled = then["kind"] == now["kind"] and any(then.get(part) != now.get(part) for part in _CODE)
    if compiled and len({version.rpartition(".")[0] for version in python}) > 1:
        said.append(f"made by Python {python[0]}, this is {python[1]}, where the same code has another hash")
    return said


def _versions_differ(found: Mapping[str, Any]) -> str:
    """What made a recipe, where that is not what reads it; "" where it is."""
    there, here = found["versions"], _versions()
    said = [
        f"made by {name} {there[name]}, this is {here[name]}" for name in here if there[name] != here[name]
    ]
    return f" ({'; '.join(said)})" if said else ""


def _checked(
    found: Mapping[str, Any], objective: Objective, vectors: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """The vectors that the recipe needs, on the objective's device. Raises TypeError or ValueError, in words."""
    if vectors is not None and not isinstance(vectors, Mapping):
        raise TypeError(f"vectors is a {type(vectors).__name__}. Pass a mapping of (P,) tensors by name.")
    given, needed = dict(vectors or {}), _needed(found)
    if missing := [f"{name!r} ({words})" for name, (_, words) in needed.items() if name not in given]:
        raise ValueError(
            f"The recipe cannot make {', '.join(missing)}: only the bytes determine {'it' if len(missing) == 1 else 'them'}. Pass "
            "vectors={name: (P,) tensor}, as lossatlas.recipe.recipe_vectors(landscape) gave them for the landscape it is of."
        )
    if extra := [name for name in given if name not in needed]:
        raise ValueError(
            f"vectors holds {', '.join(map(repr, extra))}, which the recipe does not need. It needs "
            f"{', '.join(map(repr, needed)) or 'none'}."
        )
    for name, (expected, _) in needed.items():
        vector = given[name]
        if not isinstance(vector, Tensor):
            raise TypeError(f"vectors[{name!r}] is a {type(vector).__name__}. Pass a (P,) tensor.")
        if tuple(vector.shape) != (objective.size,) or vector.dtype != objective.dtype:
            raise ValueError(
                f"vectors[{name!r}] has shape {tuple(vector.shape)} and dtype {vector.dtype}. Pass ({objective.size},) of "
                f"{objective.dtype}."
            )
        if (hashed := digest([vector])) != expected:
            raise ValueError(
                f"vectors[{name!r}] is not the vector of the recipe: its hash is {hashed}, not {expected}. Pass the same bytes."
            )
        given[name] = vector.detach().to(objective.device)
    return given


def _needed(found: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """By name the hash of each vector that a recipe needs, and what it is, in words."""
    where = found["plane"]
    about = {"origin": "the origin, which is not θ", **dict(zip("uv", where["about"], strict=False))}
    needed = {name: (hashed, about.get(name, "")) for name, hashed in where["vectors"].items()}
    for name, one in found["turn"]["directions"].items():
        if one["vector"] is not None:
            needed[f"{_NAMED}{name}"] = (one["vector"], one["about"])
    return needed


def _landscape(found: Mapping[str, Any], objective: Objective, vectors: Mapping[str, Tensor]) -> Landscape:
    """The landscape of a recipe that was checked. Raises ValueError where what it says does not go together."""
    spec, turn = found["plane"], found["turn"]
    line, kind = spec["kind"] == "line", (spec["recipe"] or {}).get("kind")
    axes = 1 if line else 2
    if kind in (_PLANES if line else _LINES) or {len(spec["names"]), len(spec["about"])} != {axes}:
        raise ValueError(
            f"recipe['plane']['kind'] is {spec['kind']!r}, but its recipe is of kind {kind!r} and it has the names "
            f"{spec['names']!r}. Take the recipe as it was written."
        )
    first = slice_again(spec, objective, {name: vectors[name] for name in spec["vectors"]})
    title = None if found["title"] == objective.title else found["title"]
    landscape = Landscape(objective, first, extent=found["home"], title=title)
    if isinstance(first, Line):
        return landscape
    if turn["directions"]:
        known = {name: _direction(name, one, objective, vectors) for name, one in turn["directions"].items()}
        landscape._directions = NamedDirections((*objective.terms, objective)[0], first, known)
    return landscape.turned(Turn(turn["turn_u"], turn["turn_v"], turn["offset"], **turn["chosen"]))


def _direction(
    name: str, said: Mapping[str, Any], objective: Objective, vectors: Mapping[str, Tensor]
) -> Direction:
    if said["vector"] is None:
        return direction_again(said["recipe"], objective)
    scaling, vector = scaling_again(said["scaling"], objective), vectors[f"{_NAMED}{name}"]
    check_unmade(said["recipe"], objective)
    check_bytes(said["recipe"], vector)
    return Direction(vector.clone(), said["name"], said["recipe"], said["about"], scaling)
