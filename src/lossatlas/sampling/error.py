"""The stated error: what the drawn spline may be off by, judged by nodes that it did not know and by checks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# A value in float32 differs from exact arithmetic by a few roundings of the largest: the floor of any error.
_ROUNDINGS = 4

# The hold-out difference of the pass before, times this, covers the truth: see benchmarks/RESULTS.md.
_SAFETY = 1.5

# And what is drawn itself misses its checks by, times this: they are few, and seldom lie where it is off most.
_OVERSIGHT = 4.0


@dataclass(frozen=True)
class StatedError:
    """The stated maximum error of a drawn function, in units of the field, and whether it is rounding noise."""

    value: float | None  # None where nothing could be held out or a value is not finite
    noise: bool

    def within(self, allowed: float) -> bool:
        """Whether it is at most `allowed`, or refining would only resolve rounding."""
        return self.value is not None and (self.noise or self.value <= allowed)

    def plus(self, more: float) -> StatedError:
        """With what values may be off by for another reason; infinite more leaves it unknown."""
        if not more or self.value is None:
            return self
        return StatedError(self.value + more, False) if math.isfinite(more) else UNKNOWN


UNKNOWN = StatedError(None, False)


def stated_error(
    predicted: np.ndarray, values: np.ndarray, drawn: np.ndarray, checks: np.ndarray, floor: float
) -> StatedError:
    """max(1.5 d, 4 c) + floor, d and c the largest differences at held out nodes and at checks.

    predicted: what the pass before said of nodes whose `values` are now known. That pass is coarser than the one that is
    drawn through them, so that d is more than what the latter is off by. drawn: what the latter says at points where nodes
    never lie, `checks` the values there: of a wave that the nodes do not see d says nothing. A value that is not finite
    leaves the error unknown.
    """
    if not all(np.isfinite(part).all() for part in (predicted, values, drawn, checks)):
        return UNKNOWN
    held_out, missed = float(np.abs(predicted - values).max()), float(np.abs(drawn - checks).max())
    return StatedError(max(_SAFETY * held_out, _OVERSIGHT * missed) + floor, max(held_out, missed) < floor)


def floor_of(values: np.ndarray, rounding: float, size: float = 0.0) -> float:
    """What values differ by through rounding alone: 4 ε max|L|, ε = `rounding` of the dtype that evaluated them.

    size: the largest |L| that was rounded where that is not one of the values, as of a difference.
    """
    return _ROUNDINGS * rounding * float(np.abs(values[np.isfinite(values)]).max(initial=size))
