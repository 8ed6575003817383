"""What a page sends, checked once at the border: numbers, points, and the error that a bad message is answered with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


class BadRequest(ValueError):
    """A message that cannot be acted on; `code` and the text go back to whoever sent it."""

    def __init__(
        self, text: str, code: str = "bad_request", client: str | None = None, req: int | None = None
    ) -> None:
        super().__init__(text)
        self.code, self.client, self.req = code, client, req


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def integer(message: Mapping[str, Any], name: str) -> int:
    value: Any = message.get(name)
    if not is_integer(value):
        raise BadRequest(f"{name} is {show(value)}. Send an integer.")
    return int(value)


def pair(value: Any, name: str) -> tuple[float, float]:
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str)
        or len(value) != 2
        or not all(map(is_finite, value))
    ):
        raise BadRequest(f"{name} must be two finite numbers, got {show(value)}. Send the point as [a, b].")
    return float(value[0]), float(value[1])


def show(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "…"


def check_reach(request: Any, landscape: Any) -> None:
    """Raise BadRequest when the point `at` of a request lies beyond what the landscape's dtype holds."""
    if max(map(abs, request.at)) > landscape.reach:
        raise BadRequest(
            f"The point {list(request.at)} lies beyond {landscape.scene.dtype}. Stay within ±{landscape.reach:.2g}.",
            client=request.client, req=request.req,
        )  # fmt: skip
