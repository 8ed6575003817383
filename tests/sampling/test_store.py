from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest

from lossatlas.geometry import TileAddress
from lossatlas.sampling import NodeStore, grid_points


def test_what_was_put_is_what_is_got_in_the_order_asked() -> None:
    store = NodeStore(2)
    for index in range(5):
        store.put((float(index), 0.0), np.array([index, -index]))
    assert store.get([(3.0, 0.0), (1.0, 0.0), (3.0, 0.0)]).tolist() == [[3, -3], [1, -1], [3, -3]]
    assert len(store) == 5


def test_a_known_node_keeps_the_number_it_has() -> None:
    store = NodeStore(1)
    store.put((0.5, 0.5), np.array([1.0]))
    store.put((0.5, 0.5), np.array([2.0]))
    assert store.get([(0.5, 0.5)])[0, 0] == 1.0
    assert len(store) == 1


def test_minus_zero_is_zero() -> None:
    store = NodeStore(1)
    store.put((0.0, -0.0), np.array([1.0]))
    assert (-0.0, 0.0) in store
    assert store.missing([(-0.0, 0.0), (0.0, 1.0)]) == [(0.0, 1.0)]


def test_missing_keeps_the_order_and_names_each_point_once() -> None:
    store = NodeStore(1)
    store.put((1.0, 1.0), np.zeros(1))
    asked = [(2.0, 0.0), (1.0, 1.0), (0.0, 0.0), (2.0, 0.0)]
    assert store.missing(asked) == [(2.0, 0.0), (0.0, 0.0)]


def test_values_survive_the_store_growing() -> None:
    store = NodeStore(3)
    points = [(float(i), float(-i)) for i in range(5000)]
    for i, point in enumerate(points):
        store.put(point, np.array([i, i + 0.5, np.nan]))
    values = store.get(points)
    assert values[:, 0].tolist() == list(range(5000))
    assert (values[:, 1] - values[:, 0] == 0.5).all()
    assert np.isnan(values[:, 2]).all()


def test_what_is_got_is_a_copy() -> None:
    store = NodeStore(1)
    store.put((0.0, 0.0), np.array([1.0]))
    store.get([(0.0, 0.0)])[:] = 9.0
    assert store.get([(0.0, 0.0)])[0, 0] == 1.0


def test_an_unknown_node_is_an_error_and_no_number() -> None:
    with pytest.raises(KeyError):
        NodeStore(1).get([(0.0, 0.0)])


def test_tiles_and_their_relatives_share_entries() -> None:
    """Of 33² nodes a child shares 17² with its parent, and a neighbour 33 with the tile beside it."""
    tile = TileAddress(7, -3, 12)
    nodes = set(grid_points(*tile.axes()))
    assert len(nodes) == 33 * 33
    assert len(nodes & set(grid_points(*tile.parent.axes()))) == 17 * 17
    assert len(nodes & set(grid_points(*TileAddress(7, -2, 12).axes()))) == 33
    assert len(nodes & set(grid_points(*TileAddress(7, -2, 13).axes()))) == 1


def test_points_run_row_by_row_along_a() -> None:
    assert grid_points(np.array([1.0, 2.0]), np.array([5.0, 6.0])) == [(1, 5), (2, 5), (1, 6), (2, 6)]


def test_threads_that_write_the_same_nodes_agree_on_one_value_each() -> None:
    store = NodeStore(1)
    points = [(float(i), 0.0) for i in range(3000)]
    start = threading.Barrier(4)

    def write(value: float) -> None:
        start.wait()
        for point in points:
            store.put(point, np.array([value]))

    threads = [threading.Thread(target=write, args=(float(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) == 3000
    assert set(store.get(points)[:, 0]) <= {0.0, 1.0, 2.0, 3.0}


def test_memory_stays_within_the_budget_and_what_is_looked_at_stays() -> None:
    store = NodeStore(1, budget=2 * 228 * 100)  # two generations of 100 nodes
    looked_at = [(0.5, float(i)) for i in range(10)]
    for index in range(2000):
        store.put((float(index), 0.0), np.array([float(index)]))
        for point in looked_at:
            store.put(point, np.array([point[1]]))
        assert store.get(looked_at)[:, 0].tolist() == [float(i) for i in range(10)]
        assert len(store) <= 210
    assert (1999.0, 0.0) in store
    assert (3.0, 0.0) not in store
    assert store.evaluated == 2010


def test_what_a_call_has_asked_for_is_there_when_it_ends_however_much_it_is() -> None:
    store = NodeStore(1, budget=2 * 228 * 100)
    store.put((1.0, 0.0), np.array([7.0]))
    for index in range(150):
        store.put((float(index), 1.0), np.zeros(1))
    asked = [(float(index), 0.0) for index in range(1000)]
    missing = store.wanted(asked)
    for point in missing:
        store.put(point, np.array([point[0]]))
    values = store.get(asked)[:, 0]
    assert values[1] in (1.0, 7.0)
    assert values[2:].tolist() == [float(index) for index in range(2, 1000)]


def test_a_plane_that_is_wandered_over_for_long_keeps_its_memory() -> None:
    store = NodeStore(1, budget=1 << 20)
    tracemalloc.start()
    used = []
    for round_ in range(6):
        for index in range(4000):
            store.put((round_ + index / 4096, 0.25), np.zeros(1))
        used.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(used) < 1.5 * (1 << 20)
    assert store.evaluated == 24000
