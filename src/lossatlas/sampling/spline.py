"""The function that is drawn between nodes: a tensor-product spline, the same as in js/src/spline.js.

Quadratic through 3 nodes, cubic with not-a-knot ends through more. On a border it uses border nodes alone, so
neighbouring tiles meet.
"""

from __future__ import annotations

import functools

import numpy as np


@functools.lru_cache(maxsize=64)
def spline_matrix(n: int, m: int) -> np.ndarray:
    """S, (m, n): S @ values interpolates n equally spaced values at m equally spaced points, ends included.

    Raises ValueError for fewer than 2 nodes.
    """
    matrix = spline_at(n, np.linspace(0.0, n - 1.0, m))
    matrix.flags.writeable = False
    return matrix


def spline_at(n: int, points: np.ndarray) -> np.ndarray:
    """S, (m, n): S @ values interpolates n equally spaced values at m points of [0, n − 1], in steps between nodes.

    Raises ValueError for fewer than 2 nodes.
    """
    if n < 2:
        raise ValueError(f"A spline needs at least 2 nodes, got {n}.")
    # Through up to four nodes the not-a-knot spline is one polynomial.
    matrix = _polynomial(n, points) if n <= 4 else _cubic(n, points)
    # A knot keeps its value to the bit, so that the drawn function passes through every evaluated node.
    nearest = np.rint(points).astype(int)
    knots = np.abs(points - nearest) < 1e-9
    matrix[knots] = np.eye(n)[nearest[knots]]
    return matrix


def interpolate(values: np.ndarray, size: int) -> np.ndarray:
    """The spline through rows × columns of nodes at size × size equally spaced points, borders included; one row stays one.

    A grid that holds NaN or infinity is filled bilinearly instead, and is NaN wherever such a node has a say: a
    spline would carry it across the whole tile.
    """
    rows, columns = values.shape
    matrix = spline_matrix if np.isfinite(values).all() else _linear
    across = np.ones((1, 1)) if rows == 1 else matrix(rows, size)
    return _spread(values, across, matrix(columns, size))


def sample(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The same function at any rows and columns, in steps between nodes: (len(rows), len(columns)); one row is all rows."""
    matrix = spline_at if np.isfinite(values).all() else _linear_at
    across = np.ones((len(rows), 1)) if len(values) == 1 else matrix(values.shape[0], rows)
    return _spread(values, across, matrix(values.shape[1], columns))


def sample_at(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The same function point by point, (k,) rows and (k,) columns -> (k,); NaN all over where a node is not finite."""
    if not np.isfinite(values).all():
        return np.full(len(rows), np.nan)
    across = np.ones((len(rows), 1)) if len(values) == 1 else spline_at(len(values), rows)
    found: np.ndarray = np.einsum("ki,ij,kj->k", across, values, spline_at(values.shape[1], columns))
    return found


def _spread(values: np.ndarray, across: np.ndarray, along: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    filled = across @ np.where(finite, values, 0.0) @ along.T
    if not finite.all():
        filled[(across > 0).astype(float) @ ~finite @ (along > 0).astype(float).T > 0] = np.nan
    return filled


def fill_centres(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """A grid of rows × columns of nodes and the centres of its cells as one grid of twice as many steps.

    An edge midpoint is the spline's prediction plus the mean of what the neighbouring centres differ from theirs; on
    the border it is the prediction alone, so that neighbours meet.
    """
    rows, columns = values.shape
    matrix = spline_matrix if np.isfinite(values).all() else _linear
    grid = _spread(values, matrix(rows, 2 * rows - 1), matrix(columns, 2 * columns - 1))
    if not (np.isfinite(values).all() and np.isfinite(centres).all()):
        grid[::2, ::2], grid[1::2, 1::2] = values, centres
        return grid
    correction = np.zeros_like(grid)
    correction[1::2, 1::2] = centres - grid[1::2, 1::2]
    grid[1:-1:2, 2:-1:2] += (correction[1::2, 1:-2:2] + correction[1::2, 3::2]) / 2
    grid[2:-1:2, 1:-1:2] += (correction[1:-2:2, 1::2] + correction[3::2, 1::2]) / 2
    grid[1::2, 1::2] = centres
    return grid


def _linear(n: int, m: int) -> np.ndarray:
    return _linear_at(n, np.linspace(0.0, n - 1.0, m))


def _linear_at(n: int, points: np.ndarray) -> np.ndarray:
    matrix = np.maximum(0.0, 1 - np.abs(points[:, None] - np.arange(n)))
    matrix[matrix < 1e-9] = 0.0
    return matrix


def _polynomial(n: int, points: np.ndarray) -> np.ndarray:
    nodes = np.arange(n)
    matrix = np.ones((len(points), n))
    for j in range(n):
        for k in range(n):
            if k != j:
                matrix[:, j] *= (points - nodes[k]) / (nodes[j] - nodes[k])
    return matrix


def _cubic(n: int, points: np.ndarray) -> np.ndarray:
    second = _second_derivatives(n)
    cell = np.clip(points.astype(int), 0, n - 2)
    t = (points - cell)[:, None]
    identity = np.eye(n)
    return (
        (1 - t) * identity[cell]
        + t * identity[cell + 1]
        + ((1 - t) ** 3 - (1 - t)) / 6 * second[cell]
        + (t**3 - t) / 6 * second[cell + 1]
    )


@functools.lru_cache(maxsize=16)
def _second_derivatives(n: int) -> np.ndarray:
    """M solve M[i−1] + 4 M[i] + M[i+1] = 6 Δ², with equal third differences at both ends: (n, n), by the values."""
    system = np.zeros((n, n))
    right = np.zeros((n, n))
    system[0, :3] = system[-1, -3:] = 1, -2, 1
    for i in range(1, n - 1):
        system[i, i - 1 : i + 2] = 1, 4, 1
        right[i, i - 1 : i + 2] = 6, -12, 6
    second = np.linalg.solve(system, right)
    second.flags.writeable = False
    return second
