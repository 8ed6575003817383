"""The widget in plain Python: traits, life and death. What needs a page is in tests/browser."""

import gc
import threading
import time
import weakref

import pytest
import torch
import traitlets
from torch import nn

import lossatlas as la
from lossatlas.geometry import Turn, home_tiles, level_of
from lossatlas.sampling import Evaluator
from lossatlas.widget import kernel
from lossatlas.widget.explorer import Explorer
from tests.widget.helpers import landscape


@pytest.fixture
def explorer():
    made = landscape().explore()
    yield made
    made.close()


@pytest.fixture
def sent(monkeypatch):
    """The heads of what explorers send."""
    heads = []
    monkeypatch.setattr(Explorer, "send", lambda self, head, buffers=None: heads.append(head))
    return heads


def small():
    torch.manual_seed(0)
    return (
        nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)),
        torch.randn(20, 4),
        torch.randint(0, 3, (20,)),
    )


def test_explore_makes_a_map_from_a_model_a_loss_and_data():
    model, x, y = small()
    explorer = la.explore(
        model, nn.functional.cross_entropy, (x, y), seed=3, title="mine", extent=(-2, 2, -2, 2)
    )
    assert explorer.landscape.plane.recipe["seed"] == 3
    assert explorer.scene["title"] == "mine"
    assert explorer.scene["home"] == [-2, 2, -2, 2]
    assert explorer.view == {"center": [0, 0], "span": 4}
    explorer.close()


def test_explore_keeps_what_it_evaluates_in_a_store(tmp_path):
    model, x, y = small()
    explorer = la.explore(model, nn.functional.cross_entropy, (x, y), store=tmp_path / "run.atlas")
    values = explorer.landscape.grid(shape=(5, 5))
    explorer.close()
    held = la.load(tmp_path / "run.atlas")
    assert (held.grid(shape=(5, 5)) == values).all()
    with pytest.raises(ValueError, match="opened without its model"):
        held.save(tmp_path / "other.atlas")


def test_explore_takes_an_objective_and_a_plane():
    model, x, y = small()
    objective = la.Objective(model, nn.functional.cross_entropy, (x, y))
    plane = la.Plane.random(objective, seed=9)
    explorer = la.explore(objective, plane=plane, theme="dark")
    assert explorer.landscape.plane is plane
    assert explorer.theme == "dark"
    explorer.close()
    with pytest.raises(TypeError, match="already has its loss and data"):
        la.explore(objective, nn.functional.cross_entropy, (x, y))


def test_the_line_of_an_optimizer_is_as_it_is_set_when_a_point_is_clicked():
    model, x, y = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    explorer = la.explore(model, nn.functional.cross_entropy, (x, y), optimizer=optimizer, full_batch=True)
    line = explorer._session.points._stability
    assert line().limit == pytest.approx(20.0)
    optimizer.param_groups[0]["lr"] = 0.4
    assert line().limit == pytest.approx(5.0)
    del optimizer  # the map does not keep it alive
    gc.collect()
    assert line() is None
    explorer.close()
    with pytest.raises(TypeError, match="Pass the torch.optim.Optimizer"):
        la.explore(model, nn.functional.cross_entropy, (x, y), optimizer=0.1)
    unknown = la.explore(model, nn.functional.cross_entropy, (x, y))
    assert unknown._session.points._stability() is None
    unknown.close()


def test_an_eigenvector_of_a_clicked_point_is_turned_to_by_the_controls(sent):
    model, x, y = small()
    explorer = la.explore(model, nn.functional.cross_entropy, (x, y))
    head = {"v": 1, "client": "page", "epoch": 1}
    explorer._on_message(explorer, {**head, "k": "spectrum", "req": -1, "at": [0.0, 0.5], "span": 2.0}, [])
    limit = time.monotonic() + 20
    while not any(message["k"] == "spectrum_done" for message in sent) and time.monotonic() < limit:
        time.sleep(0.01)
    explorer._on_message(explorer, {**head, "k": "towards", "req": -2, "of": -1, "index": 0}, [])
    assert (explorer.turn_u, explorer.u_to) == (90, "eigenvector 1 at (0, 0.5)")
    assert (explorer.offset, explorer.offset_along) == (1.0, "the way to (0, 0.5)")
    assert explorer.around["back"] == 1  # as by hand: there is a way back
    explorer.back()
    assert (explorer.turn_u, explorer.u_to, explorer.offset) == (0, "", 0.0)
    explorer.close()


def test_a_line_is_shown_and_has_nothing_to_turn():
    model, x, y = small()
    objective = la.Objective(model, nn.functional.cross_entropy, (x, y))
    line = la.Line.between(objective, torch.zeros(objective.size))
    explorer = la.explore(objective, line=line, extent=(0, 1))
    assert explorer.landscape.slice is line
    assert explorer.scene["home"] == [0, 1, 0, 0]
    assert [axis["name"] for axis in explorer.scene["axes"]] == ["towards the other weights"]
    assert [point["name"] for point in explorer.scene["points"]] == ["θ", "other"]
    assert "image/png" in explorer._repr_mimebundle_()[0]
    for name, value in {"turn_u": 5, "offset": 0.5, "u_to": "gradient"}.items():
        with pytest.raises(TypeError, match="A line is not turned or moved. Make a landscape of a plane"):
            setattr(explorer, name, value)
    with pytest.raises(TypeError, match="has no panel"):
        _ = explorer.panel
    explorer.close()
    with pytest.raises(TypeError, match="Both a plane and a line"):
        la.explore(objective, line=line, plane=la.Plane.random(objective))
    with pytest.raises(TypeError, match="A line is not turned or moved"):
        la.explore(objective, line=line, turn_u=5)


def test_explore_passes_on_what_an_objective_takes():
    model, x, y = small()
    explorer = la.explore(
        model,
        nn.functional.cross_entropy,
        (x, y),
        weight_decay=0.1,
        mode="batch_stats",
        dtype=torch.float64,
        height=300,
    )
    objective = explorer.landscape.objective
    assert objective.fields == ("loss", "data_loss", "weight_decay")
    assert objective.dtype == torch.float64
    assert explorer.height == 300
    explorer.close()
    with pytest.raises(TypeError, match="The objective was made already, so mode cannot be chosen"):
        la.explore(objective, mode="eval")
    with pytest.raises(TypeError, match="explore got an unknown keyword 'colour'. Beside plane, seed"):
        la.explore(objective, colour="red")


def test_the_output_carries_a_picture_for_viewers_that_run_no_scripts(explorer):
    bundle = explorer._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["image/png"].startswith("iVBORw0KGgo")


def test_a_landscape_as_the_last_line_shows_an_explorer():
    bundle = landscape()._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("turn_u", 181, "turn_u is 181. Pass whole degrees from −180 to 180"),
        ("turn_v", -200, "turn_v is -200"),
        ("offset", 1.5, "offset is 1.5. Pass a number from −1 to 1"),
        ("tolerance", -0.1, r"tolerance is -0.1. Pass a share of the range from 0 \(exact\) to 1"),
        ("tolerance", float("nan"), "tolerance is nan"),
        ("view", {"center": [0, float("nan")], "span": 1}, "finite, span > 0"),
        ("view", {"center": [0, 0], "span": 0}, "finite, span > 0"),
        ("view", {"span": 1}, "finite, span > 0"),
        ("domain", [2.0, 1.0], r"domain is \[2.0, 1.0\]. Pass \[lowest, highest\]"),
        ("domain", [1.0], "finite and ascending"),
        ("levels", [1.0, float("inf")], "Pass at most 64 finite values"),
        ("layers", ["isolines", "weather"], "weather"),
    ],
)
def test_a_trait_out_of_range_is_refused_in_words_and_changes_nothing(explorer, trait, value, message):
    before = getattr(explorer, trait)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(explorer, trait, value)
    assert getattr(explorer, trait) == before


def test_levels_are_kept_ascending_and_once(explorer):
    explorer.levels = [2.0, 0.5, 2]
    assert explorer.levels == [0.5, 2.0]


def test_offsets_fall_on_steps_that_recur_exactly(explorer):
    explorer.offset = 0.3
    assert explorer.offset == 38 / 128


def test_a_turned_trait_turns_the_plane(explorer):
    session = explorer._session
    explorer.turn_u = 30
    limit = threading.Event()
    for _ in range(200):
        if session.epoch == 2:
            break
        limit.wait(0.02)
    assert explorer.landscape.scene.at.turn_u == 30


def test_the_panel_is_the_same_sliders_linked_both_ways(explorer):
    panel = explorer.panel
    assert panel is explorer.panel
    turn_u, turn_v, offset, *choices, _planes = panel.children
    turn_u.value = 12
    offset.value = 0.5
    explorer.turn_v = -7
    assert (explorer.turn_u, explorer.offset, turn_v.value) == (12, 0.5, -7)
    assert turn_u.description == "turn u towards random 3"
    assert [choice.description for choice in choices] == ["u from", "u to", "v from", "v to", "offset along"]
    choices[1].value = "gradient"
    assert explorer.u_to == "gradient"
    assert turn_u.description == "turn u towards gradient"


def test_the_panel_goes_back_and_forward_and_keeps_planes_under_names(explorer):
    *_, planes = explorer.panel.children
    back, forward, bookmark = planes.children
    assert (back.disabled, forward.disabled) == (True, True)
    explorer.turn_u = 40
    bookmark.value = "valley"
    assert (bookmark.value, bookmark.options) == ("", ("valley",))
    back.click()
    assert (explorer.turn_u, back.disabled, forward.disabled) == (0, True, False)
    bookmark.value = "valley"
    assert explorer.turn_u == 40


# The mixing: what is turned towards what, and the planes that were seen.


def shown(explorer, **at):
    """Wait until the plane of this position is shown."""
    limit = threading.Event()
    for _ in range(300):
        here = explorer.landscape.scene.at
        if all(getattr(here, name) == value for name, value in at.items()):
            return explorer.landscape
        limit.wait(0.02)
    raise AssertionError(f"{at} is not shown, but {explorer.landscape.scene.at}")


def settled(surface):
    """Evaluate the whole home view, and say how many nodes that makes."""
    for tile in home_tiles(surface.home, level_of(surface.home)):
        surface.tile(tile)
    return surface.evaluated


def count_evaluations(explorer, monkeypatch):
    """A list that grows with every node that a plane of this map evaluates from now on."""
    evaluated, evaluate, objective = [], Evaluator.evaluate, explorer.landscape.objective

    def counted(self, points):
        if self.objective is objective:  # maps of other tests may still be at work
            evaluated.extend(self.store.missing(points := list(points)))
        return evaluate(self, points)

    monkeypatch.setattr(Evaluator, "evaluate", counted)
    return evaluated


def test_u_and_v_are_mixed_from_named_directions(explorer):
    first = explorer.landscape
    explorer.set_trait("u_to", "gradient")
    explorer.turn_u = 90
    plane = shown(explorer, turn_u=90, u_to="gradient").plane
    gradient = first.objective.gradient(first.objective.theta)
    assert float(torch.cosine_similarity(plane.u, gradient, dim=0)) == pytest.approx(1, abs=1e-5)
    assert explorer.landscape.scene.turns[0] == "gradient"


def test_a_direction_of_ones_own_is_added_by_name(explorer):
    mine = torch.arange(1.0, explorer.landscape.objective.size + 1, dtype=explorer.landscape.objective.dtype)
    choice = explorer.panel.children[5]
    explorer.landscape.directions.add("mine", mine)
    assert explorer.scene["directions"][-1] == "mine"
    explorer.v_from = "mine"
    assert choice.value == "mine"
    plane = shown(explorer, v_from="mine").plane
    assert torch.equal(plane.v, mine)
    assert plane.names[1] == "mine"


def test_an_unknown_direction_is_named_with_those_there_are(explorer):
    with pytest.raises(
        traitlets.TraitError, match="u_to: There is no direction 'up'. There are: u, v, random 1"
    ):
        explorer.u_to = "up"
    assert explorer.u_to == ""


def test_back_and_forward_go_along_the_planes_and_evaluate_nothing_anew(explorer, monkeypatch):
    monkeypatch.setattr("lossatlas.widget.history._PASSED", 0.0)
    explorer.turn_u = 40
    explorer.u_to = "gradient"
    shown(explorer, turn_u=40, u_to="gradient")
    assert explorer.around == {"back": 2, "forward": 0}
    planes = [
        shown(explorer, turn_u=40, u_to="gradient").turned(Turn(**at)) for at in explorer._history._visited
    ]
    seen = [settled(plane) for plane in planes]
    evaluated = count_evaluations(explorer, monkeypatch)
    explorer.back()
    shown(explorer, turn_u=40, u_to="")
    explorer.back()
    assert explorer.turn_u == 0
    shown(explorer, turn_u=0)
    explorer.forward()
    shown(explorer, turn_u=40, u_to="")
    explorer.forward()
    shown(explorer, turn_u=40, u_to="gradient")
    assert [plane.evaluated for plane in planes] == seen
    assert evaluated == []
    with pytest.raises(ValueError, match="This is the newest plane"):
        explorer.forward()
    assert explorer.around == {"back": 2, "forward": 0}


def test_a_bookmark_brings_all_controls_back(explorer):
    explorer.turn_v, explorer.offset, explorer.offset_along = -30, 0.5, "gradient"
    explorer.bookmark("down the valley")
    explorer.turn_v, explorer.offset, explorer.offset_along = 0, 0.0, ""
    explorer.go("down the valley")
    assert (explorer.turn_v, explorer.offset, explorer.offset_along) == (-30, 0.5, "gradient")
    with pytest.raises(ValueError, match="There is no bookmark 'home'. There are: 'down the valley'"):
        explorer.go("home")
    with pytest.raises(TypeError, match="Pass what the bookmark is to be called"):
        explorer.bookmark("")


@pytest.mark.parametrize(
    "bookmarks", [{"there": 3}, {"there": {"turn_u": 0.5}}, {"there": {"turn_w": 3}}, {"": {}}]
)
def test_a_bookmark_that_is_no_position_is_refused_in_words(explorer, bookmarks):
    with pytest.raises(traitlets.TraitError, match="which is no position: .* Pass names with where"):
        explorer.bookmarks = bookmarks
    assert explorer.bookmarks == {}


def test_a_bookmark_of_a_direction_that_there_is_not_changes_nothing(explorer):
    explorer.bookmarks = {"there": {"turn_v": 20, "u_from": "up"}}
    with pytest.raises(traitlets.TraitError, match="u_from: There is no direction 'up'. There are"):
        explorer.go("there")
    assert (explorer.turn_v, explorer.u_from) == (0, "")


def test_the_choices_of_two_maps_can_be_linked(explorer):
    other = landscape().explore()
    links = [
        traitlets.link((explorer, name), (other, name)) for name in ("u_from", "u_to", "turn_u", "bookmarks")
    ]
    explorer.u_to, other.turn_u = "gradient", 45
    explorer.bookmark("here")
    assert (other.u_to, explorer.turn_u, list(other.bookmarks)) == ("gradient", 45, ["here"])
    for link in links:
        link.unlink()
    other.close()


def test_a_drag_is_one_step_of_the_history(explorer):
    for degrees in range(1, 20):
        explorer.turn_u = degrees
    assert explorer.around == {"back": 1, "forward": 0}
    explorer.back()
    assert explorer.turn_u == 0
    with pytest.raises(ValueError, match="This is the first plane"):
        explorer.back()


def test_a_closed_explorer_says_so():
    explorer = landscape().explore()
    explorer.close()
    with pytest.raises(ValueError, match="was closed. Run its cell again"):
        explorer.refresh()
    explorer.close()  # twice is once


def test_fifty_explorers_use_the_threads_of_one():
    first = landscape().explore()
    first._repr_mimebundle_()
    threads = threading.active_count()
    for _ in range(50):
        explorer = landscape().explore()
        explorer._repr_mimebundle_()
        explorer.close()
    first.close()
    assert threading.active_count() <= threads


def test_a_closed_explorer_lets_go_of_its_landscape():
    surface = landscape()
    reference = weakref.ref(surface)
    explorer = surface.explore()
    explorer._repr_mimebundle_()
    explorer.close()
    del surface
    for _ in range(50):  # a job under way ends at its next yield
        gc.collect()
        if reference() is None:
            break
        threading.Event().wait(0.02)
    assert reference() is None


def test_running_a_cell_again_closes_the_explorers_of_its_last_run(monkeypatch):
    def run(cell, execution):
        monkeypatch.setattr(kernel, "current_cell", lambda: (cell, execution))
        return landscape().explore()

    first, beside = run("cell 1", "run 1"), run("cell 1", "run 1")
    other = run("cell 2", "run 2")
    again = run("cell 1", "run 3")
    assert first._session is None
    assert beside._session is None
    assert other._session is not None
    for explorer in (other, again):
        explorer.close()


def test_a_widget_needs_a_landscape():
    with pytest.raises(TypeError, match="landscape is a int. Pass a lossatlas.Landscape"):
        Explorer(3)
