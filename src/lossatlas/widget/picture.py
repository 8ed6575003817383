"""A small picture of the home view, for viewers that run no scripts."""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np

from lossatlas.figures.colours import lookup_table
from lossatlas.geometry import Extent, TileAddress, home_tiles, level_of
from lossatlas.held import AnyLandscape
from lossatlas.sampling import Pass
from lossatlas.sampling.spline import interpolate
from lossatlas.scale import auto_scale, drawn
from lossatlas.widget.curve import WIDTH, draw_curve

# Points per tile side: two tiles make a picture of 257 pixels.
_SIDE = 129

_NOT_FINITE = (128, 128, 128)


def home_png(landscape: AnyLandscape) -> bytes | None:
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
    # A picture's first row is its highest b.
    return encode_png(colours(picture[::-1], diverging=landscape.scene.difference))


def colours(values: np.ndarray, *, diverging: bool = False) -> np.ndarray:
    """Values as (rows, columns, 3) bytes of the default colour map, on the scale that the range asks for.

    diverging: those of a difference, whose middle colour is for 0.
    """
    signed = diverging and auto_scale(values) == "log"  # of one sign, and yet 0 is what they are held against
    values = drawn(values, "linear") if signed else _scaled(values)
    finite = values[np.isfinite(values)]
    result = np.empty((*values.shape, 3), dtype=np.uint8)
    result[:] = _NOT_FINITE
    if not len(finite):
        return result
    low, high = float(finite.min()), float(finite.max())
    if diverging:
        high = max(-low, high)
        low = -high
    share = (values - low) / ((high - low) or 1.0)
    known = np.isfinite(share)
    result[known] = lookup_table("vik" if diverging else "viridis")[np.rint(share[known] * 255).astype(int)]
    return result


def _scaled(values: np.ndarray) -> np.ndarray:
    """What is drawn of the values, on the scale that their range asks for."""
    return drawn(values, auto_scale(values))


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


assert math.log2(_SIDE - 1).is_integer()  # so that every node falls on a pixel
