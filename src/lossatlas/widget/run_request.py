"""What a page asks about runs, as values: to turn the plane to some, and to measure them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossatlas.widget.checked import BadRequest, integer, show


@dataclass(frozen=True)
class Follow:
    """Turn the plane to the principal components of these runs together, please."""

    client: str
    req: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """Tell of a quantity of the parameters of these runs too, please: "norm:0.*", "0.weight[3, 5]"."""

    client: str
    req: int
    names: tuple[str, ...]
    quantity: str


def parse_follow(message: Mapping[str, Any], client: str) -> Follow:
    """The message as a value. Raises BadRequest, in words, for anything that is none."""
    return Follow(client, integer(message, "req"), _names(message, "follow"))


def parse_measure(message: Mapping[str, Any], client: str) -> Measure:
    """The message as a value. Raises BadRequest, in words, for anything that is none."""
    quantity: Any = message.get("quantity")
    if not (isinstance(quantity, str) and 0 < len(quantity) <= 256):
        raise BadRequest(
            f"measure.quantity is {show(quantity)}. Send the name of one, of at most 256 characters."
        )
    return Measure(client, integer(message, "req"), _names(message, "measure"), quantity)


def _names(message: Mapping[str, Any], what: str) -> tuple[str, ...]:
    names: Any = message.get("names")
    if not (isinstance(names, list) and names and all(isinstance(one, str) for one in names)):
        raise BadRequest(f"{what}.names is {show(names)}. Send a list of the names of runs.")
    return tuple(names)
