"""Difference: one landscape less another on the same plane, as a landscape of its own; `Landscape.__sub__`, put there by the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lossatlas.geometry import Turn, same_slice
from lossatlas.held import AnyLandscape, HeldLandscape, ReadOnly
from lossatlas.landscape import Landscape
from lossatlas.objective.difference import difference_of
from lossatlas.sampling import Family


def difference(first: AnyLandscape, second: AnyLandscape, *, title: str | None = None) -> Landscape:
    """The landscape of first − second, in every field that both have; `first - second` is the same.

    The generalisation gap is `landscape.on(validation_data) - landscape`. Nodes that either has evaluated are not evaluated
    again, and turning the plane turns both, by the directions of the first. Every stated error is that of the difference
    itself, whose noise floor is that of the two losses. Its curvature is that of the difference: the Hessian is the
    difference of the Hessians. title: by default from the titles of the two. Raises TypeError for what is no landscape,
    ValueError when one has no model, and when the planes are not the same.
    """
    first, second = _with_model("first", first), _with_model("second", second)
    if not same_slice(first.slice, second.slice):
        raise ValueError(
            f"The landscapes lie on different planes (recipes {first.slice.hash} and {second.slice.hash}): their a and b mean "
            "different weights, so that no values can be subtracted. Make both on one plane, as with landscape.on(data) or "
            "Landscape(objective, landscape.plane)."
        )
    turn, bases, families = _unturned(first, second)
    objective = difference_of(bases[0].objective, bases[1].objective)
    said = title or _said(first.title, second.title)
    made = Landscape(objective, bases[0].slice, extent=first.home, title=said)
    made._family = Family(objective, made.slice, families)
    made._evaluator = made._family.first
    made._directions = None if made.on_line else bases[0].directions
    return made.turned(turn)


def _with_model(name: str, one: Any) -> Landscape:
    if isinstance(one, HeldLandscape):
        raise ReadOnly(f"A difference is evaluated, node by node. {one.without}")
    if not isinstance(one, Landscape):
        raise TypeError(f"{name} is a {type(one).__name__}. Pass a lossatlas.Landscape.")
    return one


def subtract(first: Landscape, second: Any) -> Landscape:
    """`first - second`; see `difference`."""
    return difference(first, second) if isinstance(second, Landscape) else NotImplemented


def _unturned(
    first: Landscape, second: Landscape
) -> tuple[Turn, tuple[Landscape, Landscape], tuple[Family, Family]]:
    """The landscapes and the nodes to start from, and the turn to the plane of both.

    Where they were turned alike from one plane, so is the difference: its controls then stand where theirs do.
    """
    if on_one_plane((first, second)):
        return first._turn, (first.turned(Turn()), second.turned(Turn())), (first._family, second._family)
    here = Family.of(first._evaluator), Family.of(second._evaluator)
    return Turn(), (first, second), here


def _said(first: str, second: str) -> str:
    return f"{first} − {second}" if first != second else f"{first}, first − second"


def on_one_plane(landscapes: Sequence[Landscape]) -> bool:
    """Whether landscapes lie on one plane, and are turned from one, so that the same controls turn all alike."""
    first = landscapes[0]
    return all(
        same_slice(one.slice, first.slice)
        and one._turn == first._turn
        and same_slice(one._first, first._first)
        for one in landscapes
    )
