"""History: the planes that were looked at, one after the other, as where the controls stood."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

Position = Mapping[str, Any]

# A position that is left sooner, in seconds, was passed on the way to another one.
_PASSED = 0.7

_LONGEST = 200


class History:
    """Positions visited, and which of them is shown. `visit` goes on from there, `step` goes along them."""

    def __init__(self, start: Position) -> None:
        self._visited: list[dict[str, Any]] = [dict(start)]
        self._at = 0
        self._since = 0.0

    def visit(self, position: Position) -> None:
        """Somebody moved the controls; what is passed in a drag is not kept, and what lay ahead is forgotten."""
        now = time.monotonic()
        if dict(position) == self._visited[self._at]:
            return
        passing = self._at > 0 and now - self._since < _PASSED
        kept = self._at if passing else self._at + 1
        del self._visited[kept:]
        self._visited.append(dict(position))
        del self._visited[:-_LONGEST]
        self._at, self._since = len(self._visited) - 1, now

    def step(self, count: int) -> dict[str, Any] | None:
        """Go back (below 0) or forward along the positions; None where there is none."""
        at = self._at + count
        if not 0 <= at < len(self._visited):
            return None
        self._at, self._since = at, 0.0
        return dict(self._visited[at])

    @property
    def around(self) -> dict[str, int]:
        """How many positions there are to go back and forward to."""
        return {"back": self._at, "forward": len(self._visited) - 1 - self._at}
