"""Scene: what a map shows, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lossatlas.geometry import Extent, Levels, Line, Plane, Turn, check_home, level_of
from lossatlas.objective import Objective
from lossatlas.objective.fingerprint import digest


@dataclass(frozen=True)
class Scene:
    """What a map shows, as plain values: it identifies the map, and is all that a page needs to draw its frame."""

    hash: str
    title: str
    axes: tuple[tuple[str, float, str], ...]  # name, length of 1, unit of the length
    fields: tuple[str, ...]
    home: Extent
    levels: tuple[int, int]  # the coarsest and finest z that mean anything
    dtype: str
    samples: int
    turns: tuple[str, str, str]  # what u, v turn towards and the plane moves along
    directions: tuple[str, ...]  # what they may be mixed from
    at: Turn
    notes: tuple[str, ...]
    mode: str = ""  # of normalisation layers; "" of a plain function
    points: tuple[tuple[str, float, float], ...] = ()  # what is marked: a name, a, b
    about: tuple[str, ...] = ()  # each axis in words: its recipe, its length, its angle to the other
    difference: bool = False  # of two losses, whose values are of both signs


def check_scene(objective: Objective, plane: Plane | Line, extent: Sequence[float] | None) -> Extent:
    """The home view of an objective on a plane or line, by default its own, once all three belong together.

    Raises TypeError or ValueError, in words, where they do not.
    """
    if not isinstance(objective, Objective):
        raise TypeError(f"objective is a {type(objective).__name__}. Pass a lossatlas.Objective.")
    if not isinstance(plane, Plane | Line):
        raise TypeError(
            f"plane is a {type(plane).__name__}. Pass a lossatlas.Plane, as in Plane.random(objective)."
        )
    if plane.size != objective.size:
        raise ValueError(
            f"The plane has vectors of length {plane.size}, but the objective has P = {objective.size} parameters. "
            "Make the plane from this objective."
        )
    if plane.origin.dtype != objective.dtype or plane.origin.device != objective.device:
        raise ValueError(
            f"The plane is {plane.origin.dtype} on {plane.origin.device}, but the objective is {objective.dtype} "
            f"on {objective.device}. Convert origin, u and v first."
        )
    home, levels = check_home(plane, extent), Levels(objective.dtype)
    level = level_of(home)
    if not levels.coarsest <= level <= levels.finest:
        a0, a1, b0, b1 = home
        raise ValueError(
            f"The home view is {max(a1 - a0, b1 - b0):g} wide, which is level z = {level}. In {objective.dtype} a map "
            f"reaches from z = {levels.coarsest} to {levels.finest}: choose an extent between."
        )
    return home


def scene_of(
    objective: Objective,
    plane: Plane | Line,
    turn: Turn,
    *,
    home: Extent,
    levels: tuple[int, int],
    title: str | None,
    directions: tuple[str, ...],
    fields: tuple[str, ...],
) -> Scene:
    """The scene of an objective on a plane, turned by `turn`, or on a line."""
    norm = float(objective.theta.norm())
    lengths = [float(direction.norm()) / (norm or 1.0) for direction in plane.directions]
    unit = "‖θ‖" if norm else "units of θ"
    return Scene(
        hash=digest([objective.hash, plane.hash, list(home)]),
        title=title or objective.title,
        axes=tuple((name, length, unit) for name, length in zip(plane.names, lengths, strict=True)),
        fields=fields,
        home=home,
        levels=levels,
        dtype=str(objective.dtype).removeprefix("torch."),
        samples=objective.samples,
        turns=turn.towards if isinstance(plane, Plane) else ("", "", ""),
        directions=directions,
        at=turn,
        notes=objective.notes,
        mode=objective.mode,
        points=plane.points,
        about=_words_of(plane, lengths, unit),
        difference=bool(objective.terms),
    )


def _words_of(plane: Plane | Line, lengths: Sequence[float], unit: str) -> tuple[str, ...]:
    """What each direction is, how far 1 along it leads, and how far it is from a right angle."""
    angle = f"; {plane.angle:.1f}° between u and v" if isinstance(plane, Plane) else ""
    return tuple(
        f"{name}: {about}; 1 is {length:.3g} {unit}".rstrip() + angle
        for name, about, length in zip("uv", plane.about, lengths, strict=False)
    )
