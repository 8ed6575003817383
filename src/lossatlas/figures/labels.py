"""Where isolines carry their numbers: on straight stretches, within the frame, and never on each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# A line shorter than so many labels has none; two labels are at least so many label lengths apart.
_SHORTEST, _APART = 2.2, 1.5

# So far from the frame at least, in points.
_RIM = 12.0

# How much straightness a place may cost, per length of a label, that is nearer to the label before: labels stand in a row.
_IN_A_ROW = 0.003


def places(
    lines: Sequence[tuple[np.ndarray, float]], width: float, height: float
) -> list[tuple[float, float]]:
    """One place a line, where there is room, for lines (n, 2) with the length of their label, in a frame of width × height."""
    found: list[tuple[float, float]] = []
    for line, length in lines:
        best = _best(line, length, width, height, found)
        if best is not None:
            found.append(best)
    return found


def _best(
    line: np.ndarray, length: float, width: float, height: float, taken: Sequence[tuple[float, float]]
) -> tuple[float, float] | None:
    way = np.append(0.0, np.cumsum(np.hypot(*np.diff(line, axis=0).T)))
    if len(line) < 2 or way[-1] < _SHORTEST * length:
        return None
    at = np.linspace(length / 2, way[-1] - length / 2, max(2, int(way[-1] / length * 8)))
    before, here, after = (
        np.column_stack([np.interp(at + shift, way, line[:, axis]) for axis in (0, 1)])
        for shift in (-length / 2, 0.0, length / 2)
    )
    score = np.hypot(*(after - before).T) / length
    margin = np.minimum(here, np.array([width, height]) - here).min(axis=1)
    score[margin < max(0.6 * length, _RIM)] = -np.inf
    for place in taken:
        away = np.hypot(*(here - place).T) / length
        score[away < _APART] = -np.inf
    if taken:
        score -= _IN_A_ROW * np.hypot(*(here - taken[-1]).T) / length
    best = int(score.argmax())
    return (float(here[best, 0]), float(here[best, 1])) if np.isfinite(score[best]) else None
