"""What is sent, how much at once, and what is sent again."""

import numpy as np
import pytest

from lossatlas.geometry import TileAddress
from lossatlas.sampling import Pass
from lossatlas.widget import outbox as module
from lossatlas.widget.outbox import MOST_PER_MESSAGE, Outbox
from lossatlas.widget.protocol import View, Want

VIEW = View((0.0, 0.0), 2.0, 480.0, 480.0)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def item(x=0, nodes=3):
    return Pass(TileAddress(0, x, 0), np.zeros((nodes, nodes)), None, 2.0**-24)


def want(tiles=(), credit=64, seen=0, client="page"):
    return Want(client, 1, 1, VIEW, ("loss",), tuple(TileAddress(0, x, 0) for x in tiles), credit, seen)


def test_tiles_leave_together_and_never_more_than_64_in_a_message(clock):
    box = Outbox()
    for x in range(100):
        box.put(item(x), 0)
    first = box.take(1)[0]
    assert len(first["head"]) == MOST_PER_MESSAGE
    assert box.due_in > 0  # 33 ms between two messages
    clock.now += 0.04
    assert box.due_in == 0.0
    assert len(box.take(1)[0]["head"]) == 100 - MOST_PER_MESSAGE
    assert box.due_in is None


def test_a_finer_pass_replaces_one_that_has_not_left(clock):
    box = Outbox()
    box.put(item(nodes=3), 0)
    box.put(item(nodes=9), 0)
    box.put(item(nodes=5), 0)
    assert [tile["nodes"] for tile in box.take(1)[0]["head"]] == [9]


def test_the_coarsest_leave_first(clock):
    box = Outbox()
    box.heard(want(credit=2))
    for x, nodes in enumerate((33, 3, 17, 5)):
        box.put(item(x, nodes), 0)
    assert [tile["nodes"] for tile in box.take(1)[0]["head"]] == [3, 5]


def test_no_more_tiles_are_under_way_than_a_page_accepts(clock):
    box = Outbox()
    box.heard(want(credit=3))
    for x in range(5):
        box.put(item(x), 0)
    assert len(box.take(1)[0]["head"]) == 3
    clock.now += 0.1
    assert box.due_in > 0  # two are left, but the page has not acknowledged the three
    box.heard(want(credit=3, seen=1))
    assert len(box.take(1)[0]["head"]) == 2


def test_what_was_received_is_not_sent_again(clock):
    box = Outbox()
    box.put(item(nodes=33), 0)
    box.take(1)
    clock.now += 60.0
    box.heard(want(seen=1))
    box.put(item(nodes=33), 0)
    assert box.due_in is None


def test_what_was_lost_is_sent_again_when_it_is_asked_for(clock):
    box = Outbox()
    box.put(item(nodes=9), 0)
    box.take(1)
    clock.now += 3.0
    box.heard(want(tiles=[0], seen=0))
    box.put(item(nodes=9), 0)
    assert box.due_in == 0.0


def test_a_complete_tile_that_a_page_threw_away_is_sent_again(clock):
    box = Outbox()
    box.put(item(nodes=33), 0)
    box.take(1)
    clock.now += 3.0
    box.heard(want(tiles=[0], seen=1))
    assert not box.has(TileAddress(0, 0, 0), 0)


def test_a_lost_message_does_not_use_up_the_credit_for_ever(clock):
    box = Outbox()
    box.heard(want(credit=1))
    box.put(item(0), 0)
    box.take(1)
    box.put(item(1), 0)
    assert box.due_in > 0
    clock.now += 3.0
    assert box.due_in == 0.0


def test_nothing_of_an_old_scene_leaves(clock):
    box = Outbox()
    box.put(item(), 0)
    box.clear()
    assert box.due_in is None


def test_while_a_cell_runs_finer_passes_are_collected_and_first_ones_are_not(clock):
    box = Outbox(slowed=lambda: True)
    box.put(item(0), 0)
    assert box.due_in == 0.0
    box.take(1)
    box.put(item(0, nodes=5), 0)
    clock.now += 0.04
    assert box.due_in > 0.9
    box.put(item(1), 0)  # new ground, which somebody waits for
    assert box.due_in == 0.0
    assert len(box.take(1)[0]["head"]) == 2
