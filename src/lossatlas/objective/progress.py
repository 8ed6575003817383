"""Progress: one line on the standard error, updated in place, for what may take long. It knows nothing of notebooks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

#: Seconds before anything is said: what is done by then needs no words.
QUIET = 1.0

_EVERY = 0.2
_CELLS = 20


class Progress:
    """How far the reading of `total` batches is; None where nobody knows how many there are.

    While it is entered, `said` after each batch; a sentence of what was read stays. to: the standard error as it is at
    the time of writing by default.
    """

    def __init__(
        self, total: int | None, *, clock: Callable[[], float] = time.monotonic, to: TextIO | None = None
    ) -> None:
        self._total, self._clock, self._to = total, clock, to
        self._start = clock()
        self._next = self._start + QUIET
        self._batches, self._bytes, self._width = 0, 0, 0

    def __enter__(self) -> Progress:
        return self

    def said(self, batches: int, size: int) -> None:
        """So many batches, of so many bytes together, have been read."""
        self._batches, self._bytes = batches, size
        now = self._clock()
        if now >= self._next:
            self._next = now + _EVERY
            self._write(self._line(now - self._start))

    def __exit__(self, raised: object, *_: object) -> None:
        if self._width:
            took = f"{self._amount} in {_seconds(self._clock() - self._start)}"
            self._write(f"lossatlas: read {took}" if raised is None else f"lossatlas: stopped after {took}")
            self._put("\n")

    @property
    def _amount(self) -> str:
        return f"{self._batches} batch{'es' * (self._batches != 1)}, {self._bytes / 1e6:.0f} MB"

    def _line(self, elapsed: float) -> str:
        if not self._total:
            return f"lossatlas: reading the data: {self._amount}"
        share = min(self._batches / self._total, 1.0)
        done = round(share * _CELLS)
        left = elapsed * (1 / share - 1)
        return (
            f"lossatlas: reading the data {'━' * done}{'─' * (_CELLS - done)} batch {self._batches} of {self._total}, "
            f"{self._bytes / 1e6:.0f} MB, {_seconds(left)} left"
        )

    def _write(self, text: str) -> None:
        """The text in place of the one before, of which nothing may be left over."""
        self._put(f"\r{text:<{self._width}}")
        self._width = len(text)

    def _put(self, text: str) -> None:
        to = self._to or sys.stderr
        if to is not None:  # a program without a console has none
            to.write(text)
            to.flush()


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
