"""Codec: rows of an atlas as bytes. Little-endian float64, compressed where that is shorter, with a checksum over all of a row."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lossatlas.atlas.places import SLOTS, Key

# A mask of slots, one bit each.
_MASK_BYTES = -(-SLOTS // 8)

# The fastest of zlib: what it leaves of a float64's eight bytes, the others leave too.
_LEVEL = 1

_CHECKSUM_BYTES = 8

# Types of arrays that are kept beside JSON, and how many there may be of one row.
_DTYPES = ("<f8", "<f4", "<f2", "<i8", "<i4", "<u1", "|u1", "|b1")
_MOST_DIMENSIONS = 8
_MOST_BYTES = 1 << 30


class Damaged(ValueError):
    """A row is not what was written."""


@dataclass(frozen=True, eq=False)
class TileRow:
    """What a tile owns and knows: which of its slots, ascending, and their values (n, F)."""

    slots: np.ndarray
    values: np.ndarray


def checksum(*parts: object) -> bytes:
    """Eight bytes over everything in a row, its key included."""
    digest = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(struct.pack("<q", len(data)))
        digest.update(data)
    return digest.digest()


def packed(values: np.ndarray) -> bytes:
    """Float64 (n, F) as bytes: every column's first bytes, then all second ones, for these are what is alike."""
    columns = np.ascontiguousarray(values.T, dtype="<f8")
    raw = np.ascontiguousarray(columns.view(np.uint8).reshape(-1, 8).T).tobytes()
    short = zlib.compress(raw, _LEVEL)
    return short if len(short) < len(raw) else raw


def unpacked(data: bytes, count: int, fields: int) -> np.ndarray:
    """What was packed, (count, fields). Raises Damaged for bytes that hold another number of values."""
    raw = _inflated(data, 8 * count * fields)
    columns = np.frombuffer(raw, np.uint8).reshape(8, -1).T
    found: np.ndarray = np.ascontiguousarray(columns).view("<f8").reshape(fields, count).T.astype(float)
    return found


def packed_slots(slots: np.ndarray) -> bytes:
    """Which slots are known, as bits."""
    mask = np.zeros(SLOTS, bool)
    mask[slots] = True
    raw = np.packbits(mask, bitorder="little").tobytes()
    short = zlib.compress(raw, 9)
    return short if len(short) < len(raw) else raw


def unpacked_slots(data: bytes) -> np.ndarray:
    """The slots, ascending. Raises Damaged."""
    mask = np.unpackbits(np.frombuffer(_inflated(data, _MASK_BYTES), np.uint8), bitorder="little")
    if mask[SLOTS:].any():
        raise Damaged("it names slots that a tile does not have")
    return np.flatnonzero(mask[:SLOTS])


def tile_row(subject: str, key: Key, quality: int, row: TileRow) -> tuple[bytes, bytes, bytes]:
    """A tile's columns `evaluated`, `data` and `checksum`. subject: what identifies its layer."""
    evaluated, data = packed_slots(row.slots), packed(row.values)
    return evaluated, data, checksum(subject, key, quality, evaluated, data)


def read_tile_row(
    subject: str, key: Key, quality: int, evaluated: bytes, data: bytes, check: bytes, fields: int
) -> TileRow:
    """What a tile's columns hold. Raises Damaged when they are not what was written."""
    _check(check, subject, key, quality, evaluated, data)
    slots = unpacked_slots(evaluated)
    return TileRow(slots, unpacked(data, len(slots), fields))


def chunk_row(subject: str, points: np.ndarray, values: np.ndarray) -> tuple[bytes, bytes]:
    """Loose points (n, 2) with their values (n, F) as the columns `data` and `checksum`."""
    data = packed(np.hstack([points, values]))
    return data, checksum(subject, len(points), data)


def read_chunk_row(
    subject: str, count: int, data: bytes, check: bytes, fields: int
) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 2) and values (n, F) of a row of loose ones. Raises Damaged."""
    _check(check, subject, count, data)
    found = unpacked(data, count, 2 + fields)
    return found[:, :2], found[:, 2:]


def packed_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name: a line of JSON with their types and shapes, then their bytes."""
    head, bodies = [], []
    for name, array in arrays.items():
        plain = np.ascontiguousarray(array)
        plain = plain.astype(plain.dtype.newbyteorder("<"), copy=False)
        if plain.dtype.str not in _DTYPES:
            raise TypeError(
                f"The array {name!r} is of type {plain.dtype}. Keep float, int64, int32, uint8 or bool."
            )
        head.append([name, plain.dtype.str, list(np.shape(array))])
        bodies.append(plain.tobytes())
    return b"\n".join([json.dumps(head).encode(), b"".join(bodies)])


def unpacked_arrays(data: bytes) -> dict[str, np.ndarray]:
    """What was packed. Raises Damaged for anything else."""
    line, _, body = data.partition(b"\n")
    found, start = {}, 0
    try:
        for name, dtype, shape in json.loads(line):
            if dtype not in _DTYPES or len(shape) > _MOST_DIMENSIONS or not all(
                isinstance(side, int) and 0 <= side <= _MOST_BYTES for side in shape
            ):  # fmt: skip
                raise Damaged(f"it has an array of type {dtype!r} and shape {shape!r}")
            count = 1
            for side in shape:
                count *= side
            size = count * np.dtype(dtype).itemsize
            if start + size > len(body):
                raise Damaged("an array in it is cut short")
            found[str(name)] = np.frombuffer(body, dtype, count, start).reshape(shape).copy()
            start += size
    except (ValueError, TypeError, RecursionError) as error:
        raise Damaged(f"its arrays cannot be read: {error}") from error
    return found


def _check(check: object, *parts: object) -> None:
    if check != checksum(*parts):
        raise Damaged("its checksum is another one")


def _inflated(data: object, size: int) -> bytes:
    """The bytes that were compressed where that was shorter; never more than were to be there."""
    if not isinstance(data, bytes):
        raise Damaged("it holds no bytes")
    if len(data) == size:
        return data
    reader = zlib.decompressobj()
    try:
        raw = reader.decompress(data, size + 1)
    except zlib.error as error:
        raise Damaged(f"it cannot be decompressed: {error}") from error
    if len(raw) != size or not reader.eof or reader.unused_data:
        raise Damaged("it holds another number of values than it says")
    return raw
