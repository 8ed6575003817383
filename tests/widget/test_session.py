"""A session between a page made of lists and a real landscape: the whole wire, without Jupyter."""

import math
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.geometry import TileAddress, Turn
from lossatlas.widget.session import BOOT, Session
from tests.widget.helpers import HOME, Page, bowl, landscape


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def opened(page):
    """Make a session that is closed again whatever happens."""
    sessions = []

    def make(surface=None, **options):
        session = Session(surface if surface is not None else landscape(), page.receive, **options)
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


def surface_data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(64, 6, generator=generator), torch.randint(0, 3, (64,), generator=generator)


def digits_like():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    objective = la.Objective(model, nn.functional.cross_entropy, surface_data())
    return model, la.Landscape(objective, la.Plane.random(objective))


def complete(page, tiles, epoch=1):
    """Wait until all tiles have come with every node."""

    def found():
        got = page.tiles(epoch)
        return all(tile in got and got[tile][0]["nodes"] == 33 for tile in tiles)

    page.wait_for(found, f"all of {tiles}")
    return page.tiles(epoch)


def test_a_page_is_greeted_and_gets_the_home_view_unasked(page, opened):
    session = opened()
    session.handle(page.hello())
    ready = page.wait_for(lambda: page.heads("ready"), "ready")[0]
    assert (ready["boot"], ready["epoch"], ready["client"]) == (BOOT, 1, "page")
    assert ready["scene"]["hash"] == session.landscape.scene.hash
    page.wait_for(lambda: set(HOME) <= set(page.tiles()), "the home view's first pass")


def test_the_wanted_tiles_come_with_the_engines_values(page, opened):
    session = opened()
    session.handle(page.hello())
    session.handle(page.want(HOME))
    for address, (head, values) in complete(page, HOME).items():
        tile = TileAddress(*address)
        truth = landscape().tile(tile).values
        # Differences travel as float32: half a unit in their last place.
        assert np.abs(values - truth).max() <= 2**-24 * np.abs(truth - head["base"]).max()
        assert head["bad"] == 0
        assert (head["min"], head["max"]) == (truth.min(), truth.max())


def test_what_somebody_else_has_evaluated_meanwhile_is_sent_when_it_is_asked_for_again(page, opened):
    """Work that was broken off may still bring in nodes: nothing is left to evaluate, and the page has not seen them."""
    session = opened(digits_like()[1])
    session.handle(page.want(HOME))
    page.wait_for(lambda: set(HOME) <= set(page.tiles()), "a first pass")
    session.handle(page.want([], rev=2))
    page.wait_for(lambda: not session._jobs, "the end of all work")
    for address in HOME:
        session.landscape.tile(TileAddress(*address))
    session.handle(page.want(HOME, rev=3))
    complete(page, HOME)


def test_neighbours_agree_to_the_bit_on_the_wire(page, opened):
    opened().handle(page.want(HOME))
    tiles = complete(page, HOME)
    assert (tiles[0, -1, 0][1][:, -1] == tiles[0, 0, 0][1][:, 0]).all()
    assert (tiles[0, 0, -1][1][-1] == tiles[0, 0, 0][1][0]).all()


def test_tiles_come_in_nested_passes(page, opened):
    opened(digits_like()[1]).handle(page.want(HOME))
    complete(page, HOME)
    seen = [
        tile["nodes"]
        for head in page.heads("tiles")
        for tile in head["head"]
        if (tile["x"], tile["y"]) == (0, 0)
    ]
    assert seen == sorted(seen)
    assert seen[0] < 33
    assert set(seen) <= {3, 5, 9, 17, 33}


def test_no_node_is_evaluated_twice_however_one_wanders(page, opened):
    count = 0

    def counted(theta):
        nonlocal count
        count += not theta.requires_grad  # not what a click's curvature is prepared by
        return bowl(theta)

    surface = landscape(counted)
    made = count
    session = opened(surface)
    session.handle(page.want(HOME))
    complete(page, HOME)
    assert count - made == 65 * 65 + 4 * 4  # four tiles, each with four checks
    children = [(1, x, y) for x in (-1, 0) for y in (-1, 0)]
    session.handle(page.want(children, rev=2))
    complete(page, children)
    assert count - made == 65 * 65 + 65 * 65 - 33 * 33 + 8 * 4
    session.handle(page.want(HOME, rev=3))
    surface.tile(TileAddress(0, 0, 0))
    assert count - made == surface.evaluated


def test_a_zoom_shows_the_cell_centres_before_the_rest(page, opened):
    session = opened()
    session.handle(page.want([(0, 0, 0)]))
    complete(page, [(0, 0, 0)])
    session.handle(page.want([(1, 0, 0)], rev=2))
    complete(page, [(1, 0, 0)])
    steps = [
        (tile["nodes"], tile["centres"])
        for head in page.heads("tiles")
        for tile in head["head"]
        if tile["z"] == 1
    ]
    # What the parent knows comes at once; a fast evaluator may overtake the message in between.
    assert steps[-1] == (33, False)
    assert set(steps) <= {(17, False), (17, True), (33, False)}


def test_a_probe_is_the_node_that_the_map_draws_and_the_objective_to_rounding(page, opened):
    _, surface = digits_like()
    session = opened(surface)
    session.handle(page.probe((0.3, -0.7), req=5))
    probed = page.wait_for(lambda: page.heads("probed"), "the answer")[0]
    assert probed["value"]["loss"] == surface.evaluate(0.3, -0.7)
    assert probed["value"]["loss"] == pytest.approx(
        surface.objective.value(surface.plane.at(0.3, -0.7)), rel=1e-6
    )
    assert (probed["req"], probed["at"], probed["n"], probed["se"]["loss"]) == (5, [0.3, -0.7], 64, 0.0)


def test_a_probe_of_another_epoch_is_refused(page, opened):
    opened().handle(page.probe((0.0, 0.0), req=8, epoch=99))
    error = page.wait_for(lambda: page.heads("error"), "the error")[0]
    assert (error["code"], error["req"]) == ("stale_epoch", 8)


def test_a_line_is_served_in_rows_as_deep_as_one_looks(page, opened):
    objective = la.Objective.from_function(bowl, torch.zeros(3, dtype=torch.float64))
    surface = la.Landscape(objective, la.Line(objective.theta, torch.tensor([1.0, 0.0, 0.0]).double()))
    session = opened(surface)
    session.handle(page.hello())
    page.wait_for(lambda: {(0, -1, 0), (0, 0, 0)} <= set(page.tiles()), "the home view's first pass, unasked")
    tiles = [(0, -1, 0), (0, 0, 0), (9, 5, 0)]
    session.handle(page.want(tiles))
    for (z, x, _), (head, values) in complete(page, tiles).items():
        truth = surface.evaluate(np.linspace(x, x + 1, 33) / 2**z)
        assert (head["rows"], values.shape) == (1, (1, 33))
        assert np.abs(values - truth).max() <= 2**-24 * np.abs(truth - head["base"]).max()
    session.handle(page.probe((0.3, 0.0), req=5))
    probed = page.wait_for(lambda: page.heads("probed"), "the answer")[0]
    assert probed["value"]["loss"] == surface.evaluate(0.3)
    assert (
        surface.evaluated == 65 + 33 + 3 * 4 + 1
    )  # two tiles that share a node, a deep one that shares none, the checks of each, the probe


def caption(page, req=6, epoch=1):
    return {"v": 1, "k": "caption", "client": page.client, "req": req, "epoch": epoch}


def test_a_page_that_asks_what_the_axes_mean_gets_the_caption(page, opened):
    _, surface = digits_like()
    opened(surface).handle(caption(page))
    answer = page.wait_for(lambda: page.heads("captioned"), "the caption")[0]
    assert (answer["req"], answer["epoch"], answer["text"]) == (6, 1, surface.caption())


def test_a_caption_never_holds_up_the_messages_and_a_gradient_that_fails_is_words(page, opened):
    def slow(theta):
        if theta.requires_grad:
            time.sleep(0.5)
        return bowl(theta.detach())  # cannot be differentiated

    session = opened(landscape(slow))
    started = time.monotonic()
    session.handle(caption(page))
    session.handle(page.probe((0.0, 0.0), req=7))
    assert time.monotonic() - started < 0.4
    answer = page.wait_for(lambda: page.heads("captioned"), "the caption")[0]
    assert "The gradient at the origin could not be taken." in answer["text"]
    session.handle(caption(page, req=9, epoch=99))
    error = page.wait_for(lambda: page.heads("error"), "the error")[0]
    assert (error["code"], error["req"]) == ("stale_epoch", 9)


def test_values_that_are_not_finite_travel_as_they_are(page, opened):
    def holes(theta):
        return torch.where(
            theta[0] > 0.5, torch.tensor(math.nan), torch.where(theta[1] > 0.5, torch.inf, theta.sum())
        )

    session = opened(landscape(holes))
    session.handle(page.want(HOME))
    _, values = complete(page, HOME)[0, 0, 0]
    assert np.isnan(values[0, 32])
    assert values[32, 0] == math.inf
    session.handle(page.probe((0.9, 0.0), req=1))
    probed = page.wait_for(lambda: page.heads("probed"), "the answer")[0]
    assert (probed["value"]["loss"], probed["bad"]) == (None, {"loss": "nan"})


def test_a_turn_sends_the_new_plane_with_its_first_pass_unasked(page, opened):
    _, surface = digits_like()
    session = opened(surface)
    session.handle(page.want(HOME))
    complete(page, HOME)
    session.turn(Turn(24, 0, 0.0))
    scene = page.wait_for(lambda: page.heads("scene"), "the scene")[0]
    assert scene["epoch"] == 2
    assert Turn(**scene["scene"]["at"]) == Turn(24, 0, 0.0)
    page.wait_for(lambda: set(HOME) <= set(page.tiles(epoch=2)), "the first pass of the new plane")
    truth = surface.turned(Turn(24, 0, 0.0)).evaluate(0.5, 0.5)
    head, values = page.tiles(epoch=2)[0, 0, 0]
    middle = head["nodes"] // 2
    assert values[middle, middle] == pytest.approx(truth, rel=1e-6)  # float32 on the wire


def test_while_a_direction_is_made_pages_are_answered_and_told(page, opened, monkeypatch):
    _, surface = digits_like()
    session = opened(surface)
    session.handle(page.want(HOME))
    complete(page, HOME)
    go_on, gradient = threading.Event(), surface.objective.gradient
    monkeypatch.setattr(surface.objective, "gradient", lambda theta: go_on.wait(20) and gradient(theta))
    session.turn(Turn(v_from="gradient"))
    page.wait_for(
        lambda: [head for head in page.heads("status") if head["making"] == "gradient"],
        "word of the gradient",
    )
    session.handle(page.hello())
    assert not go_on.is_set()
    page.wait_for(lambda: page.heads("ready"), "the greeting")
    go_on.set()
    page.wait_for(lambda: page.heads("scene"), "the plane")
    page.wait_for(lambda: page.heads("status")[-1]["making"] == "", "word that it is made")


def test_pages_are_told_of_a_direction_that_is_added_and_keep_their_map(page, opened):
    surface = landscape()
    session = opened(surface)
    session.turn(Turn(turn_u=10))
    page.wait_for(lambda: page.heads("scene"), "the plane")
    surface.directions.add("mine", torch.tensor([1.0, 2.0], dtype=torch.float64))
    first, second = page.wait_for(lambda: len(page.heads("scene")) == 2 and page.heads("scene"), "the names")
    assert second["scene"] == {**first["scene"], "directions": [*first["scene"]["directions"], "mine"]}
    assert second["epoch"] == first["epoch"]


def test_two_parallel_directions_are_an_error_in_words_and_the_map_stays(page, opened):
    _, surface = digits_like()
    session = opened(surface)
    session.turn(Turn(u_from="random 2"))
    error = page.wait_for(lambda: page.heads("error"), "the error")[0]
    assert "Plane directions must not be parallel" in error["text"]
    session.turn(Turn(u_from="random 2", v_from="random 1"))
    page.wait_for(lambda: page.heads("scene"), "u and v in each other's place")
    assert session.landscape.plane.names == ("random 2", "random 1")


def test_while_a_slider_is_dragged_only_the_newest_plane_is_worked_on(page, opened):
    _, surface = digits_like()
    session = opened(surface)
    session.handle(page.want(HOME))
    complete(page, HOME)
    for degrees in range(1, 60):
        session.turn(Turn(degrees, 0, 0.0))
    page.wait_for(
        lambda: any(h["scene"]["at"]["turn_u"] == 59 for h in page.heads("scene")), "the last plane"
    )
    assert len(page.heads("scene")) < 59
    assert page.heads("scene")[-1]["scene"]["at"]["turn_u"] == 59


def test_turning_back_evaluates_nothing(page, opened):
    _, surface = digits_like()
    session = opened(surface)
    session.handle(page.want(HOME))
    complete(page, HOME)
    known = surface.evaluated
    session.turn(Turn(24, 0, 0.0))
    page.wait_for(lambda: session.epoch == 2, "the turn")
    session.turn(Turn())
    page.wait_for(lambda: session.epoch == 3, "the way back")
    assert session.landscape.scene == surface.scene
    assert surface.evaluated == known
    assert page.heads("scene")[-1]["scene"]["hash"] == surface.scene.hash


def test_no_tile_of_an_old_plane_is_sent_under_a_new_epoch(page, opened):
    _, surface = digits_like()
    session = opened(surface)
    session.handle(page.want(HOME))
    for degrees in (10, 20, 30):
        session.turn(Turn(degrees, 0, 0.0))
        page.wait_for(
            lambda d=degrees: page.heads("scene") and page.heads("scene")[-1]["scene"]["at"]["turn_u"] == d,
            "it",
        )
    epochs = {head["epoch"]: head["scene"]["at"]["turn_u"] for head in page.heads("scene")}
    for epoch, degrees in epochs.items():
        turned = surface.turned(Turn(degrees, 0, 0.0))
        for address, (head, values) in page.tiles(epoch).items():
            truth = turned.tile(TileAddress(*address)).values[
                :: 32 // (head["nodes"] - 1), :: 32 // (head["nodes"] - 1)
            ]
            np.testing.assert_allclose(values, truth, rtol=1e-6)


def test_a_want_of_an_old_epoch_is_not_evaluated_on_the_new_plane(page, opened):
    _, surface = digits_like()
    session = opened(surface)
    session.turn(Turn(90, 0, 0.0))
    page.wait_for(lambda: session.epoch == 2, "the turn")
    before = session.landscape.evaluated
    session.handle(page.want([(5, 3, 3)], epoch=1))
    session.handle(page.probe((0.0, 0.0), req=1, epoch=2))
    page.wait_for(lambda: page.heads("probed"), "a sign that the evaluator came past")
    assert session.landscape.evaluated <= before + 1  # the probe's own node


def test_bad_messages_are_answered_and_change_nothing(page, opened, caplog):
    session = opened()
    session.handle(page.want(HOME))
    complete(page, HOME)
    bad = [None, 7, "hello", [], {}, {"v": 1}, {"v": 1, "k": "want", "client": "page"}, page.want([(4000, 0, 0)]),
           {**page.want([]), "tiles": [[0, 0, 0, 2]] * 10**6}, page.probe((float("nan"), 0.0), req=3)]  # fmt: skip
    for message in bad:
        session.handle(message)
    page.wait_for(lambda: len(page.heads("error")) == len(bad), "an error for each")
    assert {error["code"] for error in page.heads("error")} == {"bad_request"}
    assert session.epoch == 1
    assert len(caplog.records) == len(bad)
    session.handle(page.probe((0.0, 0.0), req=9))
    page.wait_for(lambda: page.heads("probed"), "an answer after all that")


def test_a_model_that_raises_is_told_once_and_the_map_lives(page, opened):
    def brittle(theta):
        if theta[0] > 0.5:
            raise ValueError("too far out")
        return theta.sum()

    session = opened(landscape(brittle))
    session.handle(page.want(HOME))
    error = page.wait_for(lambda: page.heads("error"), "the error")[0]
    assert error["code"] == "eval_failed"
    assert "too far out" in error["text"]
    assert "a = " in error["text"]
    complete(page, [(0, -1, -1), (0, -1, 0)])
    session.handle(page.probe((0.9, 0.0), req=2))
    page.wait_for(lambda: [e for e in page.heads("error") if e.get("req") == 2], "the probe's own error")


def test_pause_and_resume(page, opened):
    session = opened()
    session.handle({"v": 1, "k": "pause", "client": "page"})
    session.handle(page.want(HOME))
    page.wait_for(lambda: [s for s in page.heads("status") if s["state"] == "paused"], "the pause")
    session.handle({"v": 1, "k": "resume", "client": "page"})
    complete(page, HOME)
    page.wait_for(lambda: page.heads("status")[-1]["state"] == "idle", "rest")


def test_status_says_that_the_model_has_changed_and_refresh_maps_it_anew(page, opened):
    model, surface = digits_like()
    session = opened(surface)
    session.handle(page.want(HOME))
    complete(page, HOME)
    with torch.no_grad():
        model[0].weight += 0.5
    session.check_model()
    page.wait_for(lambda: page.heads("status") and page.heads("status")[-1]["model_changed"], "the news")
    session.handle({"v": 1, "k": "refresh", "client": "page"})
    page.wait_for(lambda: page.heads("scene"), "the new scene")
    assert page.heads("scene")[0]["scene"]["hash"] != surface.scene.hash
    page.wait_for(lambda: not page.heads("status")[-1]["model_changed"], "the all-clear")
    x, y = surface_data()
    truth = nn.functional.cross_entropy(model(x), y).item()
    assert session.landscape.evaluate(0.0, 0.0) == pytest.approx(truth, rel=1e-6)  # float32


def test_a_page_that_comes_back_with_the_scene_is_sent_nothing_it_has(page, opened):
    session = opened()
    session.handle(page.want(HOME))
    complete(page, HOME)
    count = len(page.heads("tiles"))
    session.handle(page.hello(have=session.landscape.scene.hash))
    page.wait_for(lambda: page.heads("ready"), "ready")
    time.sleep(0.1)
    assert len(page.heads("tiles")) == count


def test_closing_tells_the_pages_and_ends_all_work(page, opened):
    session = opened(digits_like()[1])
    session.handle(page.want(HOME))
    session.close()
    page.wait_for(lambda: [e for e in page.heads("error") if e["code"] == "closed"], "the farewell")
    count = len(page.messages)
    session.handle(page.want(HOME, rev=2))
    session.turn(Turn(5, 0, 0.0))
    time.sleep(0.1)
    assert len(page.messages) == count


def test_the_last_page_whose_output_was_removed_closes_the_map(page, opened):
    closed = []
    session = opened(on_close=lambda: closed.append(True))
    other = Page("other")
    session.handle(page.want(HOME))
    session.handle(other.want(HOME))
    session.handle({"v": 1, "k": "bye", "client": "page", "removed": True})
    assert not closed
    session.handle({"v": 1, "k": "bye", "client": "other", "removed": True})
    assert closed


def test_every_message_has_the_version_and_finite_numbers(page, opened):
    import json

    session = opened(digits_like()[1])
    session.handle(page.hello())
    session.handle(page.want(HOME))
    complete(page, HOME)
    for head, _ in page.messages:
        json.dumps(head, allow_nan=False)
        assert head["v"] == 1
        assert "id" not in head  # ipykernel 7.4 keeps every string under this key


@pytest.fixture
def long_data(monkeypatch):
    """A landscape whose first picture on all data counts as long."""
    monkeypatch.setattr("lossatlas.sampling.preview._WAITED", (0.0, 0.0))
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(9000, 6, generator=generator), torch.randint(0, 3, (9000,), generator=generator)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    objective = la.Objective(model, nn.functional.cross_entropy, (x, y))
    return la.Landscape(objective, la.Plane.random(objective))


def qualities(page, epoch=1):
    """The quality of each tile that came, in order, by tile."""
    found = {}
    for head in page.heads("tiles"):
        if head["epoch"] == epoch:
            for tile in head["head"]:
                found.setdefault((tile["z"], tile["x"], tile["y"]), []).append(tile["q"])
    return found


def test_where_all_data_take_long_a_view_comes_on_few_samples_first(page, opened, long_data):
    session = opened(long_data)
    session.handle(page.hello())
    session.handle(page.want(HOME))
    complete(page, HOME)
    for seen in qualities(page).values():
        assert seen == sorted(seen)
        assert seen[-1] == 2
    previews = [tile for head in page.heads("tiles") for tile in head["head"] if tile["q"] < 2]
    assert previews
    assert all(
        tile["nodes"] == 3 and tile["rests_on"].endswith(" of 9\u202f000 samples") for tile in previews
    )
    assert all(tile["se_level"] > 0 and tile["se_shape"] > 0 for tile in previews)


def test_a_turned_plane_is_shown_on_few_samples_and_then_on_all(page, opened, long_data):
    session = opened(long_data)
    session.handle(page.hello())
    session.turn(Turn(turn_u=30))
    page.wait_for(lambda: set(HOME) <= set(qualities(page, 2)), "the turned plane")
    assert all(seen[0] == 0 for seen in qualities(page, 2).values())
    session.handle(page.want(HOME, epoch=2))
    complete(page, HOME, 2)
    assert all(seen[-1] == 2 for seen in qualities(page, 2).values())


def test_a_model_that_raises_on_a_sample_is_told_of_by_the_nodes_on_all_data(page, opened, monkeypatch):
    monkeypatch.setattr("lossatlas.sampling.preview._WAITED", (0.0, 0.0))

    class Once(nn.Linear):
        failing = False

        def forward(self, x):
            if Once.failing:
                raise RuntimeError("out of breath")
            return super().forward(x)

    torch.manual_seed(0)
    model = nn.Sequential(Once(6, 3))
    data = torch.randn(9000, 6), torch.randint(0, 3, (9000,))
    objective = la.Objective(model, nn.functional.cross_entropy, data)
    Once.failing = True
    session = opened(la.Landscape(objective, la.Plane.random(objective)))
    session.handle(page.want(HOME))
    page.wait_for(lambda: page.heads("error"), "an error")
    assert "out of breath" in page.heads("error")[0]["text"]
