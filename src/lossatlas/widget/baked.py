"""Baked: tiles frozen into bytes that a page draws without a kernel. Pure; the page's side is js/src/baked/unpack.js.

The bytes are the module that reads the rest, a head in JSON, then sections, each compressed (zlib):

    uint32 n, n bytes of JavaScript, uint32 m, m bytes of zlib over the head, the sections one after the other

all little-endian. The head's `sections` says how long each is, by name. A field's nodes form one grid, the finest level's, in
which every node is stored once. It is cut into blocks of 32 × 32 nodes; each has a base and a step of its own, so that a minimum
keeps its digits beside a high wall: value = base + step · code, codes of 16 bits. What travels are their differences along both
axes, small numbers first by low, then by high byte.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas.geometry import CELLS, TileAddress
from lossatlas.sampling import Pass
from lossatlas.sampling.spline import fill_centres, sample
from lossatlas.widget.protocol import finite_or_none

#: Of the layout of the bytes.
FORMAT = 1

#: Nodes along the side of a block.
BLOCK = 32

# Codes that stand for no number; those up to the first are values.
_NAN, _INF, _MINUS_INF = 65535, 65534, 65533
_TOP = 65532

# The spline between nodes may be off by so many times what they are: 1.972 along each axis (its Lebesgue constant).
_BETWEEN = 3.9

# What a page adds when it holds values as float32 differences from one base.
_FLOAT32 = 2.0**-24


@dataclass(frozen=True, eq=False)
class Frozen:
    """One field's tiles as bytes, and what they were made of.

    sections: base and step of the blocks, and the codes, by name; tiles: a row each, as the head holds them; bound: the most
    that a value is off by since it was rounded, in units of the field.
    """

    sections: dict[str, bytes]
    tiles: list[list[Any]]
    bound: float
    base: float

    @property
    def size(self) -> int:
        """Bytes of the sections."""
        return sum(map(len, self.sections.values()))


@dataclass(frozen=True)
class Frame:
    """Where the grid of the finest level lies: its spacing is 2^−(z + 5), its first node is (column, row) of that spacing."""

    z: int
    column: int
    row: int
    shape: tuple[int, int]  # rows, columns; one row of a line

    @classmethod
    def around(cls, addresses: Sequence[TileAddress], *, line: bool) -> Frame:
        """The smallest that holds these tiles."""
        z = max(address.z for address in addresses)
        sides = [(a.x * _side(a, z), a.y * _side(a, z), _side(a, z)) for a in addresses]
        column, row = min(x for x, _, _ in sides), min(y for _, y, _ in sides)
        columns = max(x + side for x, _, side in sides) - column + 1
        rows = 1 if line else max(y + side for _, y, side in sides) - row + 1
        return cls(z, column, row, (rows, columns))

    def place(self, address: TileAddress, nodes: int) -> tuple[slice, slice]:
        """Rows and columns of a tile's nodes."""
        side = _side(address, self.z)
        column, row = address.x * side - self.column, address.y * side - self.row
        step = side // (nodes - 1)
        along = slice(column, column + side + 1, step)
        return (slice(0, 1) if self.shape[0] == 1 else slice(row, row + side + 1, step)), along


def freeze(passes: Iterable[Pass], frame: Frame) -> Frozen:
    """The passes of one field's tiles as bytes; each states its error with what the rounding adds."""
    known = sorted(passes, key=lambda item: item.address.z)
    values, evaluated = _grid(known, frame)
    base, step = _blocks(values, evaluated)
    codes = _codes(values, base, step)
    finite = values[evaluated & np.isfinite(values)]
    least = float(finite.min()) if finite.size else 0.0
    # Half a step by rounding, and what a page's float32 differences from `least` add.
    top = base + _TOP * step
    bounds = (
        step / 2
        + _FLOAT32 * (np.abs(top - least) + np.abs(base - least))
        + 4e-16 * (np.abs(top) + np.abs(base))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(base > 0, bounds / base, np.inf)  # of the least value of each block
    tiles = []
    for item in known:
        blocks = _blocks_of(frame.place(item.address, 2))
        tiles.append(_row(item, float(bounds[blocks].max()), float(shares[blocks].max())))
    sections = {
        "base": zlib.compress(base.astype("<f8").tobytes(), 9),
        "step": zlib.compress(step.astype("<f8").tobytes(), 9),
        "codes": zlib.compress(_packed(codes), 9),
    }
    return Frozen(sections, tiles, float(bounds.max()) if bounds.size else 0.0, least)


def pack(module: bytes, head: Mapping[str, Any], sections: Mapping[str, bytes]) -> bytes:
    """All of it; sections come compressed."""
    lengths = [[name, len(data)] for name, data in sections.items()]
    told = json.dumps({"format": FORMAT, **head, "sections": lengths}, allow_nan=False, ensure_ascii=False)
    short = zlib.compress(told.encode(), 9)
    return b"".join(
        [struct.pack("<I", len(module)), module, struct.pack("<I", len(short)), short, *sections.values()]
    )


def _side(address: TileAddress, z: int) -> int:
    """Spacings of level z along a tile's side."""
    return int(CELLS << (z - address.z))


def _row(item: Pass, bound: float, share: float) -> list[Any]:
    """z, x, y, nodes, whether it has centres, its errors with what rounding adds, whether at the noise floor.

    bound: what a value of it is off by at most; share: the same of its logarithm, as a share of the value.
    """
    more = -math.log1p(-_BETWEEN * share) if _BETWEEN * share < 1 else math.inf
    return [
        item.address.z, item.address.x, item.address.y, item.nodes, int(item.centres is not None),
        _short(item.error.plus(_BETWEEN * bound).value), _short(item.error_of_log.plus(more).value),
        int(item.error.noise),
    ]  # fmt: skip


def _short(error: float | None) -> float | None:
    """An error with few digits, never less than it is."""
    known = finite_or_none(error)
    if not known:
        return known
    unit = 10.0 ** (math.floor(math.log10(known)) - 3)
    return float(f"{math.ceil(known / unit) * unit:.4g}") if unit else known


def _grid(known: Sequence[Pass], frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Values at all nodes, (rows, columns), and which of them were evaluated: what is drawn there stands in for the others."""
    values, evaluated = np.zeros(frame.shape), np.zeros(frame.shape, bool)
    for item in known:  # the finer ones over the coarser ones
        where = frame.place(item.address, _side(item.address, frame.z) + 1)
        values[where] = _drawn(item, values[where].shape)
    for item in known:
        where = frame.place(item.address, item.nodes)
        values[where], evaluated[where] = item.values, True
        if item.centres is not None:
            both = frame.place(item.address, 2 * item.nodes - 1)
            values[both][1::2, 1::2], evaluated[both][1::2, 1::2] = item.centres, True
    return values, evaluated


def _drawn(item: Pass, shape: tuple[int, ...]) -> np.ndarray:
    """The function that is drawn of a tile, at so many points."""
    grid = item.values if item.centres is None else fill_centres(item.values, item.centres)
    if len(grid) == 1:  # of a line, the same for every b
        grid = np.repeat(grid, 2, axis=0)
    rows = np.zeros(1) if shape[0] == 1 else np.linspace(0.0, grid.shape[0] - 1, shape[0])
    return sample(grid, rows, np.linspace(0.0, grid.shape[1] - 1, shape[1]))


def _blocks(values: np.ndarray, evaluated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The base and the step of each block, by the values that were evaluated in it."""
    rows, columns = (-(-count // BLOCK) for count in values.shape)
    whole = np.full((rows * BLOCK, columns * BLOCK), np.nan)
    known = evaluated & np.isfinite(values)
    whole[: values.shape[0], : values.shape[1]] = np.where(known, values, np.nan)
    split = whole.reshape(rows, BLOCK, columns, BLOCK).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    empty = np.isnan(split).all(axis=-1)
    split[empty] = 0.0
    base, top = np.nanmin(split, axis=-1), np.nanmax(split, axis=-1)
    with np.errstate(over="ignore"):
        span = top - base
    return base, np.where(np.isfinite(span), span / _TOP, top / _TOP - base / _TOP)


def _codes(values: np.ndarray, base: np.ndarray, step: np.ndarray) -> np.ndarray:
    rows, columns = (np.arange(count) // BLOCK for count in values.shape)
    of_base, of_step = (part[np.ix_(rows, columns)] for part in (base, step))
    finite = np.isfinite(values)
    steps = np.where(of_step > 0, of_step, 1.0)
    shares = np.clip((np.where(finite, values, of_base) - of_base) / steps, 0, _TOP)
    codes = np.rint(shares).astype(np.uint16)
    codes[np.isnan(values)] = _NAN
    codes[np.isposinf(values)] = _INF
    codes[np.isneginf(values)] = _MINUS_INF
    return codes


def _packed(codes: np.ndarray) -> bytes:
    """Differences along both axes, modulo 2¹⁶, with the small ones of either sign first, by low and by high byte."""
    along = np.diff(codes, axis=1, prepend=np.uint16(0))
    both = np.diff(along, axis=0, prepend=np.zeros((1, codes.shape[1]), np.uint16)).astype(np.uint16)
    signed = both.view(np.int16)
    small = ((signed << 1) ^ (signed >> 15)).view(np.uint16)
    return (small & 0xFF).astype(np.uint8).tobytes() + (small >> 8).astype(np.uint8).tobytes()


def _blocks_of(where: tuple[slice, slice]) -> tuple[slice, slice]:
    """The blocks that these rows and columns lie in."""
    rows, columns = (slice(part.start // BLOCK, (part.stop - 1) // BLOCK + 1) for part in where)
    return rows, columns
