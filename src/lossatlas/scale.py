"""The scale that values are drawn on: themselves, their logarithm, or for both signs a symmetric logarithm.

A scale is a name: "linear", "log", or "symlog:c" with the c within which it is as good as linear. The page's side is
colour.js, and its choice is in session.js.
"""

from __future__ import annotations

import math

import numpy as np

Scale = str

#: From this ratio on values read better on a logarithmic scale, here as in the page.
LOG_FROM = 20.0


def linthresh(scale: Scale) -> float | None:
    """Of a symmetric logarithm its c; None of the others. Raises ValueError where what stands there is no number."""
    name, _, c = scale.partition(":")
    return float(c) if name == "symlog" else None


def is_scale(raw: object) -> bool:
    """Whether this is the name of a scale."""
    if raw in ("linear", "log"):
        return True
    try:
        c = linthresh(raw) if isinstance(raw, str) else None
    except ValueError:
        return False
    return c is not None and 0 < c < math.inf


def drawn(values: np.ndarray, scale: Scale) -> np.ndarray:
    """What is drawn of values: v, ln v, or arsinh(v / 2c), which is ± ln(|v| / c) far from 0; NaN where there is none."""
    finite = np.where(np.isfinite(values), values, np.nan)
    c = linthresh(scale)
    if c is not None:
        return np.arcsinh(finite / (2 * c))
    return np.log(np.where(finite > 0, finite, np.nan)) if scale == "log" else finite


def undrawn(drawn_values: np.ndarray, scale: Scale) -> np.ndarray:
    """The values that are drawn as these."""
    c = linthresh(scale)
    if c is not None:
        return 2 * c * np.sinh(drawn_values)
    return np.exp(drawn_values) if scale == "log" else np.asarray(drawn_values)


def scale_of(choice: object, values: np.ndarray) -> Scale:
    """The scale that is chosen for values by a name: of a scale, "symlog" for one whose c suits them, or "auto".

    Raises ValueError for anything else.
    """
    if choice == "auto":
        return auto_scale(values)
    if choice == "symlog":
        return _symlog(values)
    if not is_scale(choice):
        raise ValueError(
            f'scale is {choice!r}. Pass "auto", "linear", "log", "symlog", or "symlog:c" with the c within which it is as good '
            "as linear, above 0."
        )
    return str(choice)


def auto_scale(values: np.ndarray) -> Scale:
    """The scale that suits values: logarithms where they span a factor of 20.

    Of both signs, that is where half of them are that much smaller than the largest; c is then the power of ten between a
    thousandth and a hundredth of it.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "linear"
    low, high, most = float(finite.min()), float(finite.max()), float(np.abs(finite).max())
    if low > 0:
        return "log" if high > LOG_FROM * low else "linear"
    if low < 0 < high and most > LOG_FROM * float(np.sort(np.abs(finite))[len(finite) // 2]):
        return _symlog(finite)
    return "linear"


def _symlog(values: np.ndarray) -> Scale:
    sizes = np.abs(values[np.isfinite(values)])
    most = float(sizes.max()) if sizes.size else 0.0
    return f"symlog:{10.0 ** (math.floor(math.log10(most)) - 2):g}" if most else "symlog:1"
