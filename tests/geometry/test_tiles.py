from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossatlas.geometry import CELLS, PASSES, TileAddress, home_tiles, level_of

indices = st.integers(-(2**46), 2**46)  # their children too are within the limits
addresses = st.builds(TileAddress, z=st.integers(-40, 200), x=indices, y=indices)


def exact(address: TileAddress) -> tuple[Fraction, ...]:
    """(a0, a1, b0, b1) by another arithmetic."""
    scale = Fraction(2) ** -address.z
    return address.x * scale, (address.x + 1) * scale, address.y * scale, (address.y + 1) * scale


@given(addresses)
def test_a_tile_is_the_parent_of_its_children(address: TileAddress) -> None:
    assert {child.parent for child in address.children()} == {address}
    assert len(set(address.children())) == 4


@given(addresses)
def test_a_tile_lies_in_its_parent(address: TileAddress) -> None:
    assert address in address.parent.children()
    a0, a1, b0, b1 = exact(address)
    p0, p1, q0, q1 = exact(address.parent)
    assert p0 <= a0 < a1 <= p1
    assert q0 <= b0 < b1 <= q1


@given(addresses)
def test_children_cover_their_parent_b_slowest(address: TileAddress) -> None:
    a0, a1, b0, b1 = exact(address)
    a, b = (a0 + a1) / 2, (b0 + b1) / 2
    expected = [(a0, a, b0, b), (a, a1, b0, b), (a0, a, b, b1), (a, a1, b, b1)]
    assert [exact(child) for child in address.children()] == expected


@given(addresses)
def test_an_extent_is_exact_and_the_axes_reach_from_end_to_end_of_it(address: TileAddress) -> None:
    assert tuple(map(Fraction, address.extent)) == exact(address)
    a, b = address.axes()
    assert (a[0], a[-1], b[0], b[-1]) == address.extent


@given(addresses, st.integers(0, CELLS))
def test_every_node_is_exact_at_any_depth(address: TileAddress, index: int) -> None:
    a, b = address.axes()
    scale = Fraction(2) ** -(address.z + 5)
    assert Fraction(float(a[index])) == (address.x * CELLS + index) * scale
    assert Fraction(float(b[index])) == (address.y * CELLS + index) * scale


@given(addresses)
def test_the_nodes_of_a_tile_are_different_numbers_in_order(address: TileAddress) -> None:
    for axis in address.axes():
        assert (np.diff(axis) > 0).all()


@given(addresses)
def test_passes_nest(address: TileAddress) -> None:
    for coarse, fine in itertools.pairwise(PASSES):
        for first, second in zip(address.axes(coarse), address.axes(fine), strict=True):
            assert second[::2].tolist() == first.tolist()
        for centres, axis in zip(address.centres(coarse), address.axes(fine), strict=True):
            assert centres.tolist() == axis[1::2].tolist()


@given(addresses)
def test_neighbours_share_their_border_nodes_to_the_bit(address: TileAddress) -> None:
    right = TileAddress(address.z, address.x + 1, address.y)
    above = TileAddress(address.z, address.x, address.y + 1)
    assert address.axes()[0][-1] == right.axes()[0][0]
    assert address.axes()[1].tolist() == right.axes()[1].tolist()
    assert address.axes()[1][-1] == above.axes()[1][0]


@given(addresses)
def test_a_childs_coarse_nodes_are_its_parents_fine_ones(address: TileAddress) -> None:
    a, b = address.axes()
    lower_left, *_, upper_right = address.children()
    assert lower_left.axes(17)[0].tolist() == a[:17].tolist()
    assert upper_right.axes(17)[1].tolist() == b[16:].tolist()


def test_row_0_lies_at_the_lowest_b_and_columns_run_along_a() -> None:
    a, b = TileAddress(1, -3, 2).axes(3)
    assert a.tolist() == [-1.5, -1.25, -1.0]
    assert b.tolist() == [1.0, 1.25, 1.5]


def test_addresses_are_values() -> None:
    assert TileAddress(1, 2, 3) == TileAddress(z=1, x=2, y=3)
    assert len({TileAddress(1, 2, 3), TileAddress(1, 2, 3), TileAddress(1, 3, 2)}) == 2
    assert TileAddress(np.int64(1), np.int32(2), 3) == TileAddress(1, 2, 3)
    assert type(TileAddress(np.int64(1), 2, 3).z) is int


@pytest.mark.parametrize("bad", [0.0, 1.5, "1", None, True, float("nan")])
def test_an_address_takes_integers_only(bad: object) -> None:
    with pytest.raises(TypeError, match=r"The x of a tile address is .*, not an integer. Pass whole numbers"):
        TileAddress(0, bad, 0)


@pytest.mark.parametrize(
    "address", [(901, 0, 0), (-901, 0, 0), (0, 2**48, 0), (0, 0, -(2**48) - 1), (10**9, 0, 0)]
)
def test_an_address_beyond_float64_is_refused(address: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="are not exact in float64. Stay at"):
        TileAddress(*address)


extents = st.tuples(st.floats(-100, 100), st.floats(1e-6, 50), st.floats(-100, 100), st.floats(1e-6, 50)).map(
    lambda e: (e[0], e[0] + e[1], e[2], e[2] + e[3])
)


@given(extents)
def test_home_tiles_cover_the_home_view_and_are_few(extent: tuple[float, float, float, float]) -> None:
    tiles = home_tiles(extent, level_of(extent))
    assert len(set(tiles)) == len(tiles) <= 25  # less than four tiles wide, so five where it lies across
    width = max(extent[1] - extent[0], extent[3] - extent[2])
    assert 2 <= math.ldexp(width, level_of(extent)) < 4
    borders = [tile.extent for tile in tiles]
    assert min(b[0] for b in borders) <= extent[0]
    assert max(b[1] for b in borders) >= extent[1]
    assert min(b[2] for b in borders) <= extent[2]
    assert max(b[3] for b in borders) >= extent[3]
    # None of them lies beside the view.
    assert all(
        b[0] < extent[1] and b[1] > extent[0] and b[2] < extent[3] and b[3] > extent[2] for b in borders
    )


def test_the_default_home_view_is_four_tiles_of_level_0() -> None:
    assert level_of((-1, 1, -1, 1)) == 0
    assert home_tiles((-1, 1, -1, 1)) == [TileAddress(0, x, y) for y in (-1, 0) for x in (-1, 0)]


@given(st.integers(-20, 20))
def test_a_home_view_half_as_wide_is_one_level_deeper(k: int) -> None:
    width = math.ldexp(1.0, -k)
    assert level_of((0.0, width, 0.0, width)) == k + 1
