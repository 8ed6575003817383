"""Profile: values along a straight line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Profile:
    """A field at evenly spaced points of a line; all arrays are (num,) float64.

    a, b: where the points lie (b is 0 on a `Line`). distance: how far each is from the first in parameter space, in
    units of θ; norm: ‖θ‖ of the model, 0 where it is none to measure by. values: the field there; NaN and ±inf stay what
    they are.
    """

    a: np.ndarray
    b: np.ndarray
    distance: np.ndarray
    values: np.ndarray
    field: str
    norm: float = 0.0
    error: float = 0.0
