"""Explorers that share what they show, in plain Python: the traits follow where there is no page."""

import gc

import pytest
import torch
from torch import nn

import lossatlas as la
from tests.widget.helpers import landscape

VIEW = {"center": [0.25, -0.5], "span": 0.5}


@pytest.fixture
def explorers():
    made = [landscape().explore() for _ in range(3)]
    yield made
    for explorer in made:
        explorer.close()


def on_a_line():
    objective = la.Objective.from_function(lambda t: (t**2).sum(), torch.zeros(2, dtype=torch.float64))
    return la.Landscape(objective, la.Line(objective.theta, torch.ones(2, dtype=torch.float64))).explore()


def test_all_take_the_view_of_the_first_and_then_of_whoever_moves(explorers):
    first, second, third = explorers
    first.view = VIEW
    la.link(*explorers)
    assert second.view == third.view == VIEW
    second.view = {"center": [0, 0], "span": 3}
    assert first.view == third.view == {"center": [0, 0], "span": 3}


def test_the_page_is_told_of_one_group_and_what_it_shares(explorers):
    link = la.link(*explorers[:2], what=("view", "levels"))
    assert explorers[0].group == explorers[1].group == link.group != ""
    assert explorers[0].linked == explorers[1].linked == ["view", "levels"]
    assert explorers[2].group == ""
    other = la.link(explorers[2], landscape().explore())
    assert other.group != link.group
    other.explorers[1].close()


def test_a_page_is_told_of_a_move_whether_it_was_its_own_and_before_the_move_itself(explorers, monkeypatch):
    first, second, _ = explorers
    la.link(first, second)
    sent = []
    for name, one in (("first", first), ("second", second)):
        monkeypatch.setattr(
            one,
            "send_state",
            lambda key=None, name=name, one=one: sent.append((name, key, one.get_state(key)[key])),
        )
    place, other = {"center": [0.5, 0.0], "span": 1.0}, {"center": [0.0, 0.5], "span": 2.0}
    first.set_state({"_view_by": "a page", "view": place})
    assert second.view == place
    assert [what for what in sent if what[0] == "second"] == [
        ("second", "_view_by", "a page"),
        ("second", "view", place),
    ]
    sent.clear()
    second.view = other
    for name in ("first", "second"):
        mine = [what[1:] for what in sent if what[0] == name]
        assert mine == [("_view_by", ""), ("view", other)]


def test_colours_are_shared_by_those_that_draw_the_same_field(explorers):
    first, second, third = explorers
    third.field = "trace"
    la.link(*explorers)
    first.domain, first.scale = [0.0, 2.0], "log"
    assert (second.domain, second.scale) == ([0.0, 2.0], "log")
    assert (third.domain, third.scale) == ([], "auto")
    third.view = VIEW
    assert first.view == VIEW


def test_unlinked_they_go_their_own_ways(explorers):
    link = la.link(*explorers)
    link.unlink()
    link.unlink()
    assert {explorer.group for explorer in explorers} == {""}
    before = explorers[1].view
    explorers[0].view = VIEW
    assert explorers[1].view == before
    again = la.link(*explorers[:2], what="view")
    assert explorers[1].view == VIEW
    link.unlink()  # an old one has no say in the new one
    assert explorers[0].group == again.group


def test_a_closed_explorer_is_left_alone(explorers):
    first, second, third = explorers
    la.link(*explorers)
    second.close()
    first.view = VIEW
    assert third.view == VIEW
    assert second.view != VIEW


def test_what_one_refuses_is_raised_and_the_link_goes_on(explorers):
    first, second, _ = explorers
    la.link(*explorers)

    def refuse(change):
        raise RuntimeError("not now")

    second.observe(refuse, "view")
    with pytest.raises(RuntimeError, match="not now"):
        first.view = VIEW
    second.unobserve(refuse, "view")
    first.view = {"center": [0, 0], "span": 5}
    assert second.view == first.view


def test_planes_are_turned_together_where_they_turn_by_the_same_directions():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    x, y = torch.randn(20, 4), torch.randint(0, 3, (20,))
    train = la.explore(model, nn.functional.cross_entropy, (x, y))
    held_out = train.landscape.on((x[:10], y[:10])).explore()
    la.link(train, held_out, what=("view", "plane"))
    train.turn_u, train.u_to = 30, "gradient"
    assert (held_out.turn_u, held_out.u_to) == (30, "gradient")
    held_out.offset = 0.5
    assert train.offset == 0.5
    for explorer in (train, held_out):
        explorer.close()


def test_a_link_does_not_outlive_its_explorers():
    made = [landscape().explore() for _ in range(2)]
    link = la.link(*made)
    for explorer in made:
        explorer.close()
    link.unlink()
    gc.collect()
    assert repr(link) == "Link(2 explorers share view, domain, levels)"


def test_what_cannot_be_linked_is_said_in_words(explorers):
    first, second, third = explorers
    with pytest.raises(ValueError, match="There are 1 explorers to link. Pass two or more, each once"):
        la.link(first)
    with pytest.raises(ValueError, match="There are 0 explorers"):
        la.link()
    with pytest.raises(ValueError, match="There are 1 explorers"):
        la.link(first, first)
    with pytest.raises(TypeError, match="Argument 2 is a Landscape. Pass explorers"):
        la.link(first, second.landscape)
    with pytest.raises(
        ValueError, match=r"what is \('colour',\). Pass some of 'view', 'domain', 'levels', 'field', 'plane'"
    ):
        la.link(first, second, what=("colour",))
    with pytest.raises(ValueError, match=r"what is \[\]"):
        la.link(first, second, what=[])
    with pytest.raises(ValueError, match='"plane" cannot be shared'):
        la.link(first, second, what=("plane",))
    line = on_a_line()
    with pytest.raises(ValueError, match="Some explorers show lines, others planes"):
        la.link(first, line)
    line.close()
    la.link(first, second)
    with pytest.raises(ValueError, match="Explorer 2 is linked already. Unlink it first"):
        la.link(third, second)
    third.close()
    with pytest.raises(ValueError, match="Explorer 1 was closed"):
        la.link(third, landscape().explore())
    with pytest.raises(TypeError, match="explore got an unknown keyword 'group'"):
        landscape().explore(group="mine")
