"""Every node of every tile has exactly one owner, and whoever loads a tile's owners has all of its nodes."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lossatlas.atlas.places import NODES, SLOTS, check_owners, checks_of_key, owners, owners_of, points_of
from lossatlas.geometry import CELLS, TileAddress
from lossatlas.sampling import checks_of, nodes_of

COARSEST, FINEST = -20, 40


@st.composite
def addresses(draw: st.DrawFn) -> TileAddress:
    z = draw(st.integers(COARSEST, FINEST))
    index = st.integers(-(2**20), 2**20) | st.integers(-3, 3)
    return TileAddress(z, draw(index), draw(index))


@given(addresses())
def test_every_node_of_a_tile_is_owned_by_one_of_its_owners_at_its_own_place(address: TileAddress) -> None:
    points = nodes_of(address, CELLS + 1)
    found = owners(np.array(points), COARSEST, FINEST)
    assert (found.slots >= 0).all()
    assert (found.slots < NODES).all()
    keys = [tuple(key) for key in found.keys.tolist()]
    assert set(keys) <= set(owners_of(address, range(COARSEST, address.z + 1)))
    for key in set(keys):
        mine = [index for index, other in enumerate(keys) if other == key]
        assert points_of(key, found.slots[mine], line=False) == [points[index] for index in mine]


@given(addresses(), st.integers(0, NODES - 1))
def test_the_owner_of_a_node_is_the_coarsest_tile_that_has_it_and_the_same_for_all_that_share_it(
    address: TileAddress, slot: int
) -> None:
    (point,) = points_of((address.z, address.x, address.y), np.array([slot]), line=False)
    found = owners(np.array([point]), COARSEST, FINEST)
    z = int(found.keys[0, 0])
    assert z <= address.z

    def on_grid(level: int) -> bool:
        return all(
            math.ldexp(value, level + 5) == math.floor(math.ldexp(value, level + 5)) for value in point
        )

    assert on_grid(z)
    assert z == COARSEST or not on_grid(z - 1)
    a0, a1, b0, b1 = TileAddress(*found.keys[0].tolist()).extent
    assert a0 <= point[0] < a1
    assert b0 <= point[1] < b1


@given(addresses(), st.booleans())
def test_checks_belong_to_the_tile_that_they_are_checks_of(address: TileAddress, line: bool) -> None:
    if line:
        address = TileAddress(address.z, address.x, 0)
    key = (address.z, address.x, address.y)
    checks = checks_of(address, line=line)
    nearby = {key, *((z, 0, 0) for z in range(COARSEST, FINEST + 1))}
    found = check_owners(checks, range(COARSEST, FINEST + 1), nearby, line=line)
    assert found == {point: (key, NODES + index) for index, point in enumerate(checks)}
    assert checks_of_key(key, line) == tuple(checks)
    assert points_of(key, np.arange(NODES, SLOTS), line=line) == checks


def test_points_that_are_no_nodes_at_any_level_are_loose() -> None:
    points = np.array([(0.1, 0.0), (0.5, 1 / 3), (1e300, 0.0), (math.ldexp(1, -60), 1.0), (5e-324, 0.0)])
    assert (owners(points, COARSEST, FINEST).slots == -1).all()
    assert (owners(np.array([(2.0**-30, 0.0)]), COARSEST, 16).slots == -1).all()
    assert (owners(np.array([(2.0**-21, 0.0)]), COARSEST, 16).keys == [[16, 0, 0]]).all()


def test_the_origin_and_far_points_belong_to_the_coarsest_tiles() -> None:
    found = owners(np.array([(0.0, -0.0), (2.0**40, -(2.0**40))]), COARSEST, FINEST)
    assert found.keys.tolist() == [[-20, 0, 0], [-20, 2**20, -(2**20)]]
    assert found.slots.tolist() == [0, 0]
