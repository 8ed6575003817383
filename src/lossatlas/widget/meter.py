"""Meter: how fast nodes are evaluated."""

from __future__ import annotations

import time


class Meter:
    """Nodes per second over about the last second."""

    def __init__(self) -> None:
        self._since, self._at, self._rate = time.monotonic(), 0, 0.0

    def rate(self, evaluated: int) -> float | None:
        """The rate, given how many nodes have been evaluated by now; None when there is nothing to go by."""
        now = time.monotonic()
        elapsed, count = now - self._since, evaluated - self._at
        if count < 0 or elapsed > 3.0:  # another plane, or long at rest
            self._since, self._at, self._rate = now, evaluated, 0.0
        elif elapsed > 1.0:
            self._since, self._at, self._rate = now, evaluated, count / elapsed
        elif not self._rate and elapsed > 0.2:
            return count / elapsed
        return self._rate or None
