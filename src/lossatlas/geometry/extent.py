"""Extents, points and counts that a user passes, checked in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lossatlas.geometry.slice import Extent, Slice


def check_interval(extent: Any) -> tuple[float, float]:
    """An extent of a line as two floats (a0, a1). Raises ValueError when it is none or has no width."""
    try:
        a0, a1 = (float(value) for value in extent)
    except (TypeError, ValueError):
        raise ValueError(f"extent is {extent!r}. Pass two numbers (a0, a1) on a line.") from None
    return check_extent((a0, a1, 0.0, 1.0))[:2]


def check_extent(extent: Any) -> Extent:
    """An extent as four floats (a0, a1, b0, b1). Raises ValueError when it is none or has no width."""
    try:
        a0, a1, b0, b1 = (float(value) for value in extent)
    except (TypeError, ValueError):
        raise ValueError(f"extent is {extent!r}. Pass four numbers (a0, a1, b0, b1).") from None
    for low, high, name in ((a0, a1, "a"), (b0, b1, "b")):
        if not (low < high and math.isfinite(high - low)):
            raise ValueError(
                f"The extent runs from {low:g} to {high:g} along {name}. Pass finite {name}0 < {name}1."
            )
    return a0, a1, b0, b1


def check_shape(shape: Any) -> tuple[int, int]:
    ok = isinstance(shape, tuple | list) and len(shape) == 2
    if not ok or any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1 for n in shape):
        raise ValueError(f"shape is {shape!r}. Pass (rows of b, columns of a), whole numbers of at least 1.")
    return int(shape[0]), int(shape[1])


def check_count(count: Any) -> int:
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ValueError(f"The number of points is {count!r}. Pass a whole number of at least 1.")
    return int(count)


def check_point(name: str, point: Any) -> tuple[float, float]:
    try:
        a, b = (float(value) for value in point)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {point!r}. Pass a point of the plane (a, b), two numbers.") from None
    return a, b


def check_way(
    start: Any, stop: Any, num: Any, home: Extent, *, on_line: bool
) -> tuple[np.ndarray, np.ndarray]:
    """`num` points from start to stop, (a, b): points of a plane, or an a each of a line, whose home they span by default.

    Raises TypeError or ValueError for what is no point or no count.
    """
    if on_line:
        start, stop = (
            (end if given is None else given, 0.0) for given, end in zip((start, stop), home, strict=False)
        )
    (a0, b0), (a1, b1) = check_point("start", start), check_point("stop", stop)
    count = check_count(num)
    return np.linspace(a0, a1, count), np.linspace(b0, b1, count)


def check_tolerance(tolerance: Any) -> float:
    """A share of the range from 0 (exact) to 1. Raises ValueError for anything else."""
    number = not isinstance(tolerance, bool) and isinstance(tolerance, int | float | np.number)
    if not number or not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance is {tolerance!r}. Pass a share of the range from 0 (exact) to 1.")
    return float(tolerance)


def check_home(plane: Slice, extent: Sequence[float] | None) -> Extent:
    """The home view of a plane or a line: its own where none is chosen. Raises ValueError for an extent that is none."""
    if len(plane.directions) == 2:
        return check_extent(plane.home if extent is None else extent)
    if extent is None:
        return plane.home
    return (*check_interval(extent[:2] if len(extent) == 4 and not any(extent[2:]) else extent), 0.0, 0.0)


def check_coordinates(a: Any, b: Any, reach: float, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates as float64 arrays of one shape. Raises ValueError where they are not finite or beyond the reach of a dtype."""
    try:
        a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"a and b cannot be combined: {error}. Pass numbers or arrays of one shape."
        ) from error
    for name, values in (("a", a), ("b", b)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise ValueError(
                f"{name} holds {bad} non-finite coordinates among {values.size}. Pass finite ones."
            )
        if values.size and np.abs(values).max() > reach:
            raise ValueError(
                f"{name} reaches {np.abs(values).max():g}, beyond {dtype}. Stay within ±{reach:.2g}."
            )
    return a, b
