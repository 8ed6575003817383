"""Tiles as bytes: what a page reads from them is what was evaluated, within the bound that is stated."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lossatlas.geometry import TileAddress, home_tiles
from lossatlas.sampling import Pass
from lossatlas.sampling.spline import spline_at
from lossatlas.sampling.tile import checks_of
from lossatlas.widget import baked
from lossatlas.widget.baked import BLOCK, Frame, freeze
from tests.fixtures import make_baked

FIXTURE = Path(make_baked.HERE) / "small.bin"


def unpacked(data):
    """The module, the head and the sections of what was packed: by the layout alone, not by the code that wrote it."""
    (n,) = struct.unpack_from("<I", data)
    module, rest = data[4 : 4 + n], data[4 + n :]
    (m,) = struct.unpack_from("<I", rest)
    head = json.loads(zlib.decompress(rest[4 : 4 + m]))
    sections, start = {}, 4 + m
    for name, length in head["sections"]:
        sections[name] = zlib.decompress(rest[start : start + length])
        start += length
    assert start == len(rest)
    return module, head, sections


def grid_of(sections, shape, prefix=""):
    """Values of the finest grid, decoded one by one."""
    rows, columns = shape
    raw = np.frombuffer(sections[f"{prefix}codes"], np.uint8).reshape(2, rows, columns).astype(np.int64)
    small = raw[0] + 256 * raw[1]
    differences = (small >> 1) ^ -(small & 1)
    codes = np.cumsum(np.cumsum(differences, axis=0), axis=1) % 65536
    across = -(-columns // BLOCK)
    base, step = (
        np.frombuffer(sections[prefix + name], "<f8").reshape(-1, across) for name in ("base", "step")
    )
    values = np.empty(shape)
    for row in range(rows):
        for column in range(columns):
            block, code = (row // BLOCK, column // BLOCK), codes[row, column]
            special = {65535: np.nan, 65534: np.inf, 65533: -np.inf}
            values[row, column] = special.get(code, base[block] + step[block] * code)
    return values


def decompressed(frozen):
    return {name: zlib.decompress(data) for name, data in frozen.sections.items()}


def check(known, frame, frozen, sections, prefix=""):
    grid = grid_of(sections, frame.shape, prefix)
    for item in known:
        found = grid[frame.place(item.address, item.nodes)]
        finite = np.isfinite(item.values)
        np.testing.assert_array_equal(found[~finite], item.values[~finite])
        assert np.abs(found[finite] - item.values[finite]).max(initial=0.0) <= frozen.bound
        if item.centres is not None:
            inner = grid[frame.place(item.address, 2 * item.nodes - 1)][1::2, 1::2]
            finite = np.isfinite(item.centres)
            assert np.abs(inner[finite] - item.centres[finite]).max(initial=0.0) <= frozen.bound


def test_every_evaluated_value_comes_back_within_the_bound_and_what_is_not_finite_as_it_was():
    known = make_baked.passes()
    frame = Frame.around([item.address for item in known], line=False)
    assert frame == Frame(1, -64, -64, (129, 129))
    frozen = freeze(known, frame)
    check(known, frame, frozen, decompressed(frozen))


def test_a_minimum_keeps_its_digits_beside_a_wall():
    known = make_baked.passes()
    frame = Frame.around([item.address for item in known], line=False)
    grid = grid_of(decompressed(freeze(known, frame)), frame.shape)
    wall = float(np.nanmax(grid[np.isfinite(grid)]))
    # The values span 1.6e5; rounded over all of that to 16 bits they would be off by more than 1 everywhere.
    assert wall > 1e5
    left = grid[:, :32]
    a, b = np.meshgrid(np.linspace(-1, 1, 129)[:32], np.linspace(-1, 1, 129))
    coarse = slice(None, None, 16), slice(None, None, 16)  # nodes of every pass
    assert np.abs(left - make_baked.field(a, b))[coarse].max() < 2e-5


def test_the_fixture_that_both_languages_read_is_what_is_packed_now():
    data, frame, known = make_baked.payload()
    module, head, sections = unpacked(FIXTURE.read_bytes())
    now, head_now, sections_now = unpacked(data)
    assert module == now == make_baked.MODULE
    assert head["format"] == head_now["format"] == baked.FORMAT
    assert head["fields"] == head_now["fields"]
    np.testing.assert_array_equal(
        grid_of(sections, frame.shape, "loss/0/"), grid_of(sections_now, frame.shape, "loss/0/")
    )
    check(known, frame, freeze(known, frame), sections, "loss/0/")


@settings(max_examples=40, deadline=None)
@given(
    arrays(
        np.float64,
        (33, 33),
        elements=st.floats(width=64, allow_nan=True, allow_infinity=True),
    )
)
def test_any_tile_comes_back_within_its_bound(values):
    address = TileAddress(0, 0, 0)
    item = Pass(address, values, None, 2.0**-24)
    frame = Frame.around([address], line=False)
    with np.errstate(
        over="ignore"
    ):  # of numbers whose range no float64 holds the bound is infinite, and says so
        frozen = freeze([item], frame)
        check([item], frame, frozen, decompressed(frozen))


def test_of_a_line_one_row_is_kept():
    address = TileAddress(0, -1, 0)
    a = np.linspace(-1.0, 0.0, 33)[None]
    checks = np.array([point[0] for point in checks_of(address, line=True)]) ** 2
    item = Pass(address, a * a, None, 2.0**-24, checks=checks)
    frame = Frame.around([address], line=True)
    assert frame.shape == (1, 33)
    frozen = freeze([item], frame)
    assert np.abs(grid_of(decompressed(frozen), frame.shape) - a * a).max() <= frozen.bound


def test_the_stated_error_holds_what_rounding_adds_between_nodes():
    # The spline may carry a rounding of its nodes on by its Lebesgue constant along each axis.
    most = max(
        np.abs(spline_at(nodes, np.linspace(0, nodes - 1, 64 * (nodes - 1) + 1))).sum(axis=1).max()
        for nodes in (3, 5, 9, 17, 33)
    )
    assert most**2 <= baked._BETWEEN
    known = make_baked.passes()
    frame = Frame.around([item.address for item in known], line=False)
    rows = {tuple(row[:3]): row for row in freeze(known, frame).tiles}
    for item in known:
        row = rows[item.address.z, item.address.x, item.address.y]
        assert row[3:5] == [item.nodes, int(item.centres is not None)]
        for stated, before in zip(row[5:7], (item.error.value, item.error_of_log.value), strict=True):
            assert before is not None or stated is None
            assert stated is None or stated >= before
    # Far from the wall logarithms are known as well: what rounding adds is a share of each block's own values.
    assert rows[1, -2, -2][6] is not None


@pytest.mark.parametrize("error", [3e-300, 1.00049e-7, 0.99999, 123456.0, 0.0, None])
def test_an_error_is_written_with_few_digits_and_never_as_less(error):
    short = baked._short(error)
    assert short == error if not error else error <= short <= error * 1.001


def test_nodes_that_nobody_evaluated_decide_no_step():
    # One tile of 3 × 3: what is drawn between is a parabola that dips far below its nodes.
    address = TileAddress(0, 0, 0)
    values = np.array([[1.0, 0.0, 0.0]] * 3)
    frozen = freeze([Pass(address, values, None, 2.0**-24)], Frame.around([address], line=False))
    assert frozen.bound == pytest.approx(0.5 / 65532, rel=0.1)


def test_four_levels_are_one_grid_of_513_by_513_and_small():
    tiles = [tile for z in range(4) for tile in home_tiles((-1.0, 1.0, -1.0, 1.0), z)]
    frame = Frame.around(tiles, line=False)
    assert frame.shape == (513, 513)
    known = []
    for address in tiles:
        a, b = np.meshgrid(*address.axes(33))
        known.append(
            Pass(address, np.log1p(40 * (a * a + 3 * b * b)) + 0.3 * np.sin(9 * a * b), None, 2.0**-24)
        )
    frozen = freeze(known, frame)
    # As text in a notebook, four characters for three bytes.
    assert frozen.size * 4 / 3 < 0.7e6
