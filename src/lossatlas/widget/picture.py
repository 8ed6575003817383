"""A small picture of the home view, for viewers that run no scripts."""

from __future__ import annotations

import functools
import json
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from lossatlas.geometry import Extent, TileAddress, home_tiles, level_of
from lossatlas.landscape import Landscape
from lossatlas.sampling import Pass
from lossatlas.sampling.spline import interpolate, spline_matrix
from lossatlas.widget.curve import WIDTH, draw_curve

_STATIC = Path(__file__).parent.parent / "static"

# Points per tile side: two tiles make a picture of 257 pixels.
_SIDE = 129

#: From this ratio on a map is drawn in the logarithm, here as in the page.
LOG_FROM = 20.0

_NOT_FINITE = (128, 128, 128)


def home_png(landscape: Landscape) -> bytes | None:
    """The home view as a PNG, drawn from what is known of it; None while there is nothing."""
    tiles = home_tiles(landscape.home, level_of(landscape.home))
    known = [landscape.known(tile) for tile in tiles]
    if not known or any(item is None for item in known):
        return None
    if landscape.on_line:
        return encode_png(draw_curve(_profile(landscape.home, tiles, known)))
    columns = sorted({tile.x for tile in tiles})
    rows = sorted({tile.y for tile in tiles})
    picture = np.full(((_SIDE - 1) * len(rows) + 1, (_SIDE - 1) * len(columns) + 1), np.nan)
    for tile, item in zip(tiles, known, strict=True):
        assert item is not None
        top, left = (_SIDE - 1) * (tile.y - rows[0]), (_SIDE - 1) * (tile.x - columns[0])
        picture[top : top + _SIDE, left : left + _SIDE] = interpolate(item.filled(), _SIDE)
    return encode_png(colours(picture[::-1]))  # a picture's first row is its highest b


def colours(values: np.ndarray) -> np.ndarray:
    """Values as (rows, columns, 3) bytes of the default colour map, in the logarithm where the range asks for it."""
    values = _scaled(values)
    finite = values[np.isfinite(values)]
    result = np.empty((*values.shape, 3), dtype=np.uint8)
    result[:] = _NOT_FINITE
    if not len(finite):
        return result
    low, high = float(finite.min()), float(finite.max())
    share = (values - low) / ((high - low) or 1.0)
    drawn = np.isfinite(share)
    result[drawn] = _viridis()[np.rint(share[drawn] * 255).astype(int)]
    return result


def _scaled(values: np.ndarray) -> np.ndarray:
    """The values, or their logarithms where the range asks for it."""
    finite = values[np.isfinite(values)]
    log = len(finite) and finite.min() > 0 and finite.max() > LOG_FROM * finite.min()
    return np.log(np.where(np.isfinite(values), values, np.nan)) if log else values


def _profile(home: Extent, tiles: list[TileAddress], known: list[Pass | None]) -> np.ndarray:
    """(WIDTH,): what is drawn from one end of a line's home view to the other."""
    steps = np.linspace(0.0, 1.0, _SIDE)
    rows = [
        (tile, interpolate(item.filled(), _SIDE)[0]) for tile, item in zip(tiles, known, strict=True) if item
    ]
    at = np.concatenate([tile.extent[0] + steps * (tile.extent[1] - tile.extent[0]) for tile, _ in rows])
    return np.interp(np.linspace(*home[:2], WIDTH), at, _scaled(np.concatenate([row for _, row in rows])))


def encode_png(pixels: np.ndarray) -> bytes:
    """(rows, columns, 3) bytes as a PNG file (RFC 2083: 8-bit RGB, one IDAT chunk, no filter)."""
    rows, columns, _ = pixels.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, -1)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 6))
        + chunk(b"IEND", b"")
    )


@functools.cache
def _viridis() -> np.ndarray:
    """(256, 3) bytes: the table that the page draws with, a spline through every 17th entry."""
    maps = json.loads((_STATIC / "colormaps.json").read_text(encoding="utf-8"))
    kept = np.frombuffer(bytes.fromhex(maps["viridis"]), dtype=np.uint8).reshape(16, 3)
    return np.rint(spline_matrix(16, 256) @ kept).astype(np.uint8)


assert math.log2(_SIDE - 1).is_integer()  # so that every node falls on a pixel
