"""Words: axes, errors and ranges as a figure says them, the same as the page."""

from __future__ import annotations

import html
import math

import numpy as np

from lossatlas.sampling import Map
from lossatlas.scale import Scale, linthresh

#: An axis: the name of its direction, the length of 1 on it, and the unit of that.
Axis = tuple[str, float, str]


def axis_title(letter: str, axis: Axis) -> str:
    """What an axis is and how long 1 is on it, as in "a · random 1 · 1 = 0.310 ‖θ‖"; of values from elsewhere its letter alone."""
    name, length, unit = axis
    if name == letter and not unit:
        return letter
    return f"{letter} · {name} · 1 = {significant(length, 3)} {unit}".rstrip()


def significant(value: float, digits: int = 4) -> str:
    """A number with so many digits that count, and a true minus sign."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and (size < 1e-4 or size >= 1e6):
        mantissa, power = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(power)}".replace("-", "−")
    decimals = digits - 1 if size == 0 else max(0, digits - 1 - math.floor(math.log10(size)))
    return f"{value:.{min(decimals, 12)}f}".replace("-", "−")


def brief(value: float) -> str:
    """A coordinate with three digits at most."""
    return f"{value:.3g}".replace("-", "−")


def counted(count: int) -> str:
    """Thin spaces between thousands."""
    return f"{count:,}".replace(",", "\u202f")


def scale_in_words(scale: Scale) -> str:
    """What is written beside values on a scale; "" for linear."""
    c = linthresh(scale)
    if c is not None:
        return f"symmetric log scale, about linear within ± {brief(c)}"
    return "log scale" if scale == "log" else ""


def error_in_words(found: Map) -> str:
    """How far the drawn values may be off, and what they rest on."""
    nodes = f"{counted(found.nodes)} nodes"
    if not math.isfinite(found.error):
        near = "" if np.isfinite(found.values).all() else " near values that are not finite"
        return f"{nodes}, error unknown{near}"
    if found.error == 0:
        return f"every value evaluated ({nodes})"
    share = f" ({significant(100 * found.error / found.range, 2)} % of the range)" if found.range else ""
    noise = ", at the noise floor" if found.noise else ""
    return f"error ≤ {significant(found.error, 2)}{share}, {nodes}{noise}"


def missing_in_words(missing: int, of: int) -> str:
    """How many values are not finite; "" where all are."""
    return f"{counted(missing)} of {counted(of)} values not finite" if missing else ""


def plain(text: str) -> str:
    """Text as Plotly shows it letter by letter: it reads some HTML in titles and labels, and names are no HTML."""
    return html.escape(text, quote=False)
