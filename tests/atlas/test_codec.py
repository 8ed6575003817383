"""What is written is what is read, bit for bit, and what was changed since is noticed."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lossatlas.atlas import codec
from lossatlas.atlas.places import SLOTS

KEY = (3, -5, 2)


def any_values(shape: tuple[int, int]) -> st.SearchStrategy[np.ndarray]:
    # Also NaN with a payload, ±inf, −0 and subnormal numbers: any 64 bits.
    return arrays.arrays(np.uint64, shape).map(lambda bits: bits.view(np.float64))


@st.composite
def rows(draw: st.DrawFn) -> codec.TileRow:
    slots = np.array(sorted(draw(st.sets(st.integers(0, SLOTS - 1), max_size=60))), dtype=np.int64)
    return codec.TileRow(slots, draw(any_values((len(slots), draw(st.integers(1, 4))))))


@given(rows())
def test_a_tile_comes_back_bit_for_bit(row: codec.TileRow) -> None:
    columns = codec.tile_row("layer", KEY, 2, row)
    found = codec.read_tile_row("layer", KEY, 2, *columns, row.values.shape[1])
    assert found.slots.tolist() == row.slots.tolist()
    assert found.values.tobytes() == row.values.tobytes()


@given(rows(), st.integers(0, 2), st.data())
def test_a_flipped_bit_anywhere_is_noticed(row: codec.TileRow, column: int, data: st.DataObject) -> None:
    columns = list(codec.tile_row("layer", KEY, 2, row))
    if not columns[column]:
        return
    at = data.draw(st.integers(0, len(columns[column]) - 1))
    flipped = bytearray(columns[column])
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    columns[column] = bytes(flipped)
    with pytest.raises(codec.Damaged, match="checksum"):
        codec.read_tile_row("layer", KEY, 2, *columns, row.values.shape[1])


def test_a_row_of_another_tile_layer_or_quality_is_noticed() -> None:
    columns = codec.tile_row("layer", KEY, 2, codec.TileRow(np.array([7]), np.ones((1, 1))))
    for subject, key, quality in (("other", KEY, 2), ("layer", (3, -5, 3), 2), ("layer", KEY, 1)):
        with pytest.raises(codec.Damaged):
            codec.read_tile_row(subject, key, quality, *columns, 1)


@given(any_values((5, 2)), any_values((5, 3)))
def test_loose_points_come_back_bit_for_bit(points: np.ndarray, values: np.ndarray) -> None:
    found = codec.read_chunk_row("layer", 5, *codec.chunk_row("layer", points, values), 3)
    assert [part.tobytes() for part in found] == [points.tobytes(), values.tobytes()]


def test_smooth_values_take_less_than_their_bytes_and_noise_hardly_more() -> None:
    a = np.linspace(0, 1, 768)[:, None]
    assert len(codec.packed(np.sin(a))) < 8 * 768
    noise = np.random.default_rng(0).integers(0, 2**63, (768, 1)).view(np.float64)
    assert len(codec.packed(noise)) <= 8 * 768


def test_bytes_that_would_become_huge_are_given_up_early() -> None:
    bomb = zlib.compress(bytes(1 << 28), 9)
    with pytest.raises(codec.Damaged, match="another number"):
        codec.unpacked(bomb, 16, 1)
    with pytest.raises(codec.Damaged, match="another number"):
        codec.unpacked_slots(bomb)


def test_bytes_that_are_no_arrays_are_refused() -> None:
    found = codec.unpacked_arrays(codec.packed_arrays({"θ": np.arange(6.0).reshape(2, 3), "n": np.array(3)}))
    assert found["θ"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["n"].shape == ()
    for bad in (b"", b'[["a", "|O", [1]]]\n12345678', b'[["a", "<f8", [2]]]\n12345678', b"{\n", b"[1]\n",
                b'[["a", "<f8", [-1]]]\n', b"\xff\n", b"[" * 100_000 + b"\n"):  # fmt: skip
        with pytest.raises(codec.Damaged):
            codec.unpacked_arrays(bad)
    with pytest.raises(TypeError, match="object"):
        codec.packed_arrays({"a": np.array([None])})
