"""The caption of a map: what its axes mean, in words."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any

from lossatlas.geometry.slice import Slice
from lossatlas.geometry.vectors import cosine, norm
from lossatlas.geometry.weights import vector_of
from lossatlas.objective import EvaluationError, Objective


def caption_of(
    objective: Objective, plane: Slice, *, title: str, recipe: str, others: Mapping[str, Any]
) -> Generator[None, None, str]:
    """What the axes of a plane or a line through an objective mean, as a job: one sentence or two for each thing."""
    line = len(plane.directions) == 1
    where = "the line θ(a) = origin + a·u" if line else "the plane θ(a, b) = origin + a·u + b·v"
    samples = f", all {objective.samples} samples" if objective.samples > 1 else ""
    of = "the difference of two losses, the first less the second," if objective.terms else "the loss"
    said = [f"{title}: {of} on {where}{'' if objective.terms else samples}. It is a slice."]
    said += [
        f"The {place}: {term.title}, {term.samples} samples, recipe {term.hash[:7]}."
        for place, term in zip(("first", "second"), objective.terms, strict=False)
    ]
    said += _axes(objective, plane)
    said.append((yield from _gradient(objective, plane, "line" if line else "plane")))
    said += [_point(name, a, b, line) for name, a, b in plane.points]
    said += [
        _other(
            f"{name}", vector_of(objective, weights, name) - plane.origin, plane, "line" if line else "plane"
        )
        for name, weights in others.items()
    ]
    said += [note if note.endswith(".") else f"{note}." for note in objective.notes]
    return " ".join([*(part for part in said if part), f"Recipe {recipe}."])


def _axes(objective: Objective, plane: Slice) -> list[str]:
    theta = norm(objective.theta)
    said = []
    for letter, name, about, vector in zip("uv", plane.names, plane.about, plane.directions, strict=False):
        length = norm(vector)
        relative = f" = {length / theta:.3g} ‖θ‖" if theta else ""
        words = name if about == "user-given" or name == about else f"{name} ({about})"
        said.append(f"{letter}: {words}; 1 on its axis is ‖{letter}‖ = {length:.4g}{relative}.")
    if len(plane.directions) == 2:
        said.append(
            f"The angle between u and v is {math.degrees(math.acos(cosine(*plane.directions))):.1f}°."
        )
    moved = norm(plane.origin - objective.theta)
    if moved:
        said.append(f"The origin lies {moved:.4g} from the model's θ.")
    return said


def _gradient(objective: Objective, plane: Slice, kind: str) -> Generator[None, None, str]:
    try:
        gradient = yield from objective.gradient_work(plane.origin)
        length = norm(gradient)
    except (EvaluationError, RuntimeError):
        return "The gradient at the origin could not be taken."
    if not math.isfinite(length):
        return "The gradient at the origin is not finite."
    if not length:
        return "The gradient at the origin is zero."
    return f"Of the gradient at the origin (‖g‖ = {length:.3g}), {plane.share(gradient):.1%} of the length lies in the {kind}."


def _point(name: str, a: float, b: float, line: bool) -> str:
    return f"{name} lies at a = {a:.4g}." if line else f"{name} lies at ({a:.4g}, {b:.4g})."


def _other(name: str, away: Any, plane: Slice, kind: str) -> str:
    length = norm(away)
    if not length:
        return f"{name} is the origin."
    return (
        f"{name} lies {length:.4g} from the origin; {plane.share(away):.1%} of that way lies in the {kind}."
    )
