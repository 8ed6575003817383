"""The stated error: what the drawn spline may be off by, judged by nodes that it did not know."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# A value in float32 differs from exact arithmetic by a few roundings of the largest: the floor of any error.
_ROUNDINGS = 4

# The hold-out difference of the pass before, times this, covers the truth: see benchmarks/RESULTS.md.
_SAFETY = 1.5


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


def stated_error(predicted: np.ndarray, values: np.ndarray, floor: float) -> StatedError:
    """1.5 d + floor, with d the largest difference between nodes and what the pass before predicted of them.

    That pass is coarser than the one that is drawn through the nodes, so that d is more than what the latter is off by.
    A value that is not finite leaves the error unknown.
    """
    if not (np.isfinite(values).all() and np.isfinite(predicted).all()):
        return UNKNOWN
    held_out = float(np.abs(predicted - values).max())
    return StatedError(_SAFETY * held_out + floor, held_out < floor)


def floor_of(values: np.ndarray, rounding: float) -> float:
    """What values differ by through rounding alone: 4 ε max|L|, ε = `rounding` of the dtype that evaluated them."""
    return _ROUNDINGS * rounding * float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
