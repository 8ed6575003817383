"""Isolines as polylines: marching squares over a grid, linear along the edges of its cells.

A cell whose corners alternate is settled by the mean of the four, as in the page. A cell with a corner that is not finite
has no line.
"""

from __future__ import annotations

import numpy as np

# Edges of a cell: bottom, right, top, left. Corners, as bits of a case: lower left, lower right, upper right, upper left.
# For each case the pairs of edges that lines join; 5 and 10 with the middle above the level, 16 and 17 with it below.
_JOINED: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 2), (1, 0)), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((2, 0),), 10: ((0, 3), (2, 1)), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),), 14: ((0, 3),),
    16: ((3, 0), (1, 2)), 17: ((0, 1), (2, 3)),
}  # fmt: skip


def isolines(values: np.ndarray, level: float) -> list[np.ndarray]:
    """The lines where values (rows, columns) pass a level: (n, 2) arrays of column and row, closed ones ending as they began."""
    cases = _cases(values, level)
    crossings: dict[int, tuple[float, float]] = {}
    ends: dict[int, list[int]] = {}
    for row, column in zip(*np.nonzero(cases), strict=True):
        for pair in _JOINED[int(cases[row, column])]:
            first, second = (_edge(values.shape, int(row), int(column), edge) for edge in pair)
            for key in (first, second):
                if key not in crossings:
                    crossings[key] = _crossing(values, level, key)
            ends.setdefault(first, []).append(second)
            ends.setdefault(second, []).append(first)
    return [np.array([crossings[key] for key in line]) for line in _chains(ends)]


def _cases(values: np.ndarray, level: float) -> np.ndarray:
    """Which corners of each cell lie above the level, (rows − 1, columns − 1); 0 where no line passes."""
    above = (values > level).astype(np.uint8)
    corners = (values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1])
    cases = above[:-1, :-1] + 2 * above[:-1, 1:] + 4 * above[1:, 1:] + 8 * above[1:, :-1]
    with np.errstate(invalid="ignore"):
        middle = (corners[0] + corners[1] + corners[2] + corners[3]) / 4
    cases[(cases == 5) & ~(middle > level)] = 16
    cases[(cases == 10) & ~(middle > level)] = 17
    cases[(cases == 15) | ~np.isfinite(middle)] = 0
    return np.asarray(cases)


def _edge(shape: tuple[int, ...], row: int, column: int, edge: int) -> int:
    """The number of an edge of the grid: those along a first, then those along b, each as the node that it starts from."""
    rows, columns = shape
    if edge in (0, 2):
        return (row + (edge == 2)) * columns + column
    return rows * columns + row * columns + column + (edge == 1)


def _crossing(values: np.ndarray, level: float, key: int) -> tuple[float, float]:
    rows, columns = values.shape
    upright, node = divmod(key, rows * columns)
    row, column = divmod(node, columns)
    start = values[row, column]
    stop = values[row + 1, column] if upright else values[row, column + 1]
    t = float((level - start) / (stop - start))
    return (column, row + t) if upright else (column + t, row)


def _chains(ends: dict[int, list[int]]) -> list[list[int]]:
    """Crossings in the order of their lines: open lines from their ends, then what is closed."""
    starts = [key for key, others in ends.items() if len(others) == 1] + list(ends)
    return [_walk(ends, start) for start in starts if ends[start]]


def _walk(ends: dict[int, list[int]], start: int) -> list[int]:
    line = [start]
    while others := ends[line[-1]]:
        here, there = line[-1], others.pop()
        ends[there].remove(here)
        line.append(there)
    return line
