"""A small picture of a profile: a curve drawn into pixels, without axes."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 385, 193

_MARGIN = 8
_PAPER, _FRAME = (255, 255, 255), (223, 227, 233)
_INK = (28, 126, 214)
_NOT_FINITE = (200, 204, 210)


def draw_curve(values: np.ndarray) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) bytes: `values` (WIDTH,) as a curve from the lowest to the highest; grey where not finite."""
    pixels = np.full((HEIGHT, WIDTH, 3), _PAPER, dtype=np.uint8)
    known = np.isfinite(values)
    pixels[:, ~known] = _NOT_FINITE
    if known.any():
        low, high = values[known].min(), values[known].max()
        share = np.where(known, values - low, np.nan) / ((high - low) or 1.0)
        _stroke(pixels, HEIGHT - 1 - _MARGIN - share * (HEIGHT - 1 - 2 * _MARGIN))
    pixels[[0, -1]] = pixels[:, [0, -1]] = _FRAME
    return pixels


def _stroke(pixels: np.ndarray, rows: np.ndarray) -> None:
    """A line about two pixels thick through one row a column, its edges mixed with what is there."""
    # Half-way to each neighbour, so that a steep piece has no gaps; a neighbour that is not finite has no say.
    middle = (rows[1:] + rows[:-1]) / 2
    left, right = np.append(np.nan, middle), np.append(middle, np.nan)
    top, bottom = (np.nan_to_num(pick.reduce([rows, left, right]), nan=-9.0) for pick in (np.fmin, np.fmax))
    at = np.arange(len(pixels))[:, None]
    ink = np.clip(1.5 - np.maximum(top - at, at - bottom), 0, 1)[..., None]
    pixels[:] = np.rint(ink * _INK + (1 - ink) * pixels)
