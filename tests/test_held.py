"""A map without its model: it shows, reads and writes what it holds, to the bit, and says in words what it cannot do."""

import json
import math
import threading

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.geometry import TileAddress, Turn, home_tiles
from lossatlas.held import READ_ONLY, HeldLandscape, ReadOnly
from lossatlas.sampling import nodes_of
from lossatlas.sources import NotHeld
from lossatlas.widget.session import Session
from tests.held import held_of, shelf_of
from tests.widget.helpers import HOME, Page, bowl, landscape

TILES = home_tiles((-1.0, 1.0, -1.0, 1.0))


@pytest.fixture(scope="module")
def model():
    return landscape()


@pytest.fixture(scope="module")
def held(model):
    return held_of(model, TILES, caption="A bowl with a ripple.", recipe={"kind": "test"})


def line():
    objective = la.Objective.from_function(bowl, torch.zeros(1, dtype=torch.float64))
    return la.Landscape(objective, la.Line(objective.theta, torch.ones(1, dtype=torch.float64)))


@pytest.fixture(scope="module")
def held_line():
    return held_of(line(), [TileAddress(0, -1, 0), TileAddress(0, 0, 0)])


def test_a_tile_is_the_one_that_was_evaluated(model, held):
    for address in TILES:
        ours, theirs = held.tile(address), model.tile(address)
        np.testing.assert_array_equal(ours.values, theirs.values)
        assert ours.evaluated.all()
        assert (ours.error, ours.nodes, ours.quality) == (theirs.error, 33, 2)


def test_of_a_tile_known_in_part_the_mask_says_which_nodes_are_held(model):
    fresh = landscape()
    address = TileAddress(0, 0, 0)
    fresh.evaluate(*np.array([point for _, piece in fresh.missing(address)[:2] for point in piece]).T)
    partly = fresh.known(address)
    assert partly.nodes == 5
    shelf = shelf_of(landscape(), [address])
    shelf._passes[address, "loss"] = partly
    shelf._points = {point: shelf._points[point] for point in nodes_of(address, 5)}
    tile = HeldLandscape(fresh.scene, shelf).tile(address)
    expected = np.zeros((33, 33), bool)
    expected[::8, ::8] = True
    np.testing.assert_array_equal(tile.evaluated, expected)
    assert np.abs(tile.values - model.tile(address).values).max() <= tile.error


def test_values_are_exact_where_they_are_held(model, held):
    a, b = np.meshgrid(np.linspace(-1, 1, 65), np.linspace(-1, 1, 33))
    np.testing.assert_array_equal(held.evaluate(a, b), model.evaluate(a, b))
    np.testing.assert_array_equal(held.grid(shape=(17, 33)), model.grid(shape=(17, 33)))
    ours = held.profile((-1, 0.5), (1, 0.5), 33)
    theirs = model.profile((-1, 0.5), (1, 0.5), 33)
    np.testing.assert_array_equal(ours.values, theirs.values)
    np.testing.assert_array_equal(ours.distance, theirs.distance)
    assert held.evaluate(0.0, 0.0) == model.evaluate(0.0, 0.0)
    assert held.evaluate([], []).shape == (0,)


def test_points_that_are_not_held_are_named(held):
    with pytest.raises(ReadOnly, match=r"1 of 2 points is not held, \(0.1, 0\) the first. " + READ_ONLY[:40]):
        held.evaluate([0.0, 0.1], 0.0)
    with pytest.raises(ValueError, match=r"2592 of 2601 points are not held"):
        held.grid()
    with pytest.raises(ReadOnly, match="is not held"):
        held.profile((0.1, 0.0), (0.1, 0.0), 1)


def test_a_map_is_drawn_within_its_stated_error(model, held):
    truth = model.grid(shape=(97, 97))
    found = held.map(pixels=97)
    assert 0 < found.error < 1e-3
    assert np.abs(found.values - truth).max() <= found.error
    assert found.evaluated == 0


def test_a_map_of_held_points_alone_is_exact(model, held):
    found = held.map(pixels=65, tolerance=0)
    np.testing.assert_array_equal(found.values, model.grid(shape=(65, 65)))
    assert found.error == 0.0


def test_beyond_what_is_held_a_map_is_nan_with_an_unknown_error(held):
    found = held.map((-2, 2, -2, 2), pixels=9)
    assert found.error == math.inf
    assert np.isnan(found.values[0]).all()
    assert np.isnan(found.values).sum() == 81 - 25  # the border at ±1 belongs to what is held


def test_where_a_finer_tile_is_missing_the_coarser_one_is_drawn(model):
    deep = held_of(model, [*TILES, TileAddress(3, 1, 1)])
    view = (0.0, 0.5, 0.0, 0.5)
    found = deep.map(view, pixels=129)
    truth = model.grid(view, shape=(129, 129))
    off = np.abs(found.values - truth)
    fine = off[32:65, 32:65]
    assert fine.max() < 1e-10 < off.max() <= found.error  # nodes of the finer tile are pixels


def test_any_view_and_any_number_of_pixels_can_be_drawn(held):
    for view in ((0.1, 0.1000001, -0.9, 0.9), (-1, 1, -1, 1), (0.25, 0.26, 0.5, 0.51), (-1e6, 1e6, -1, 1)):
        for pixels in (1, 2, (1, 7), (64, 3)):
            shape = (pixels, pixels) if isinstance(pixels, int) else pixels
            assert held.map(view, pixels=pixels).values.shape == shape


def test_a_line_is_held_too(held_line):
    alive = line()
    np.testing.assert_array_equal(held_line.grid(shape=65), alive.grid(shape=65))
    ours, theirs = held_line.profile(num=33), alive.profile(num=33)
    np.testing.assert_array_equal(ours.values, theirs.values)
    np.testing.assert_array_equal(ours.distance, theirs.distance)
    drawn = held_line.drawn_profile(-1, 1, 201)
    assert 0 < drawn.error < 1e-3
    assert np.abs(drawn.values - alive.grid(shape=201)).max() <= drawn.error
    assert held_line.drawn_profile(-1, 1, 65).error == 0.0
    for wrong in (held_line.map, lambda: held_line.tile(TileAddress(0, 0, 0)), lambda: held_line.directions):
        with pytest.raises(TypeError, match="lies on a line"):
            wrong()


NEEDS_THE_MODEL = {
    "objective": lambda held: held.objective,
    "slice": lambda held: held.slice,
    "plane": lambda held: held.plane,
    "renewed": lambda held: held.renewed(),
    "on": lambda held: held.on(None),
    "turned": lambda held: held.turned(Turn(turn_u=10)),
    "a direction": lambda held: held.directions["gradient"],
    "add": lambda held: held.directions.add("mine", torch.zeros(2)),
    "caption": lambda held: held.caption({"other": torch.zeros(2)}),
    "spectrum": lambda held: held.spectrum(),
    "spectra": lambda held: held.spectra(),
    "jet": lambda held: held.jet((0.0, 0.0)),
    "critical_point": lambda held: held.critical_point(),
    "descend": lambda held: held.descend((0.0, 0.0), lr=0.1),
    "sweep": lambda held: held.sweep(),
    "project": lambda held: held.project(None),
    "difference": lambda held: held - held,
    "difference from a landscape": lambda held: landscape() - held,
    "la.difference": lambda held: la.difference(held, landscape()),
    "a tile": lambda held: held.tile(TileAddress(1, 0, 0)),
    "a stability line": lambda held: held.explore(optimizer=object()),
}


@pytest.mark.parametrize("asked", NEEDS_THE_MODEL.values(), ids=NEEDS_THE_MODEL)
def test_what_needs_the_model_says_so(held, asked):
    with pytest.raises(
        ReadOnly, match="opened without its model: it shows what it holds. Pass the objective"
    ):
        asked(held)


def test_wrong_calls_are_answered_as_by_any_landscape(held):
    for wrong, error, words in (
        (lambda: held.evaluate(0.0), TypeError, "needs both a and b"),
        (lambda: held.evaluate(math.nan, 0.0), ValueError, "non-finite coordinates"),
        (
            lambda: held.evaluate(0.0, 0.0, field="curl"),
            ValueError,
            "no field 'curl' here. This map has 'loss'",
        ),
        (lambda: held.map((1, -1, 0, 1)), ValueError, "runs from 1 to -1 along a"),
        (lambda: held.map(tolerance=2), ValueError, "tolerance is 2"),
        (lambda: held.tile(TileAddress(0, 0, 0), 3), ValueError, "quality is 3"),
        (lambda: held.tile((0, 0, 0)), TypeError, "Pass a TileAddress"),
        (lambda: held.tile(TileAddress(50, 0, 0)), ValueError, "z=50 is outside the levels -20 to 40"),
        (lambda: held.directions.check("curl"), ValueError, "no direction 'curl'"),
    ):
        with pytest.raises(error, match=words):
            wrong()


def test_another_plane_that_is_held_is_turned_to(model):
    turn = Turn(turn_u=30)
    other = model.turned(turn)
    shelf = shelf_of(model, TILES, {turn: (other.scene, shelf_of(other, TILES))})
    held = HeldLandscape(model.scene, shelf)
    turned = held.turned(turn)
    assert turned.scene == other.scene
    np.testing.assert_array_equal(turned.grid(shape=(9, 9)), other.grid(shape=(9, 9)))
    assert held.turned(Turn()) is held


def test_it_says_what_it_is(held):
    assert held.caption() == "A bowl with a ripple."
    assert held.recipe == {"kind": "test"}
    assert "nodes are held, and none are evaluated" in held.report()
    assert repr(held).startswith("HeldLandscape(")
    assert held.called("Renamed").title == "Renamed"
    without = HeldLandscape(held.scene, held.source)
    assert "It is a slice." in without.caption()
    assert held.scene.hash in without.caption()
    assert not held.scene.difference


def test_a_difference_is_known_as_one_without_its_model(model):
    gap = model - landscape(lambda theta: (theta**2).sum())
    assert held_of(gap, TILES).scene.difference


def test_it_is_written_as_any_landscape_is(held, model, tmp_path):
    held.to_npz(tmp_path / "map.npz", pixels=65, tolerance=0)
    with np.load(tmp_path / "map.npz") as file:
        np.testing.assert_array_equal(file["loss"], model.grid(shape=(65, 65)))
        about = json.loads(str(file["about"]))
    assert about["caption"] == "A bowl with a ripple."
    assert about["error"] == {"loss": 0.0}
    held.to_csv(tmp_path / "map.csv", pixels=5)
    assert (tmp_path / "map.csv").read_text().splitlines()[5] == "a,b,loss"
    held.to_png(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000
    assert len(held.figure(pixels=33).data) > 0
    assert held.to_xarray(pixels=9).loss.shape == (9, 9)
    assert held.plot(pixels=33) is not None


def test_a_held_line_is_written_as_any_line_is(held_line, tmp_path):
    held_line.to_png(tmp_path / "line.png")
    held_line.to_npz(tmp_path / "line.npz", pixels=101)
    with np.load(tmp_path / "line.npz") as file:
        assert json.loads(str(file["about"]))["error"]["loss"] < 1e-3
        assert file["loss"].shape == (101,)
    assert len(held_line.figure().data) == 1


class Opened:
    """A session and its page."""

    def __init__(self, held):
        self.page = Page()
        self.session = Session(held, self.page.receive)
        self.session.handle(self.page.hello())

    def idle(self):
        statuses = self.page.heads("status")
        return bool(statuses) and statuses[-1]["state"] == "idle" and statuses[-1]["queue"] == 0


@pytest.fixture
def opened(held):
    found = []

    def open_(shown=held):
        found.append(Opened(shown))
        return found[-1]

    yield open_
    for one in found:
        one.session.close()


def test_a_page_gets_what_is_held_and_nothing_is_left_to_do(opened, model):
    one = opened()
    one.page.wait_for(lambda: set(HOME) <= set(one.page.tiles()), "the home view")
    one.page.wait_for(one.idle, "an idle status")
    for address, (head, values) in one.page.tiles().items():
        truth = model.tile(TileAddress(*address)).values
        assert np.abs(values - truth).max() <= 2**-24 * np.abs(truth - head["base"]).max()
    assert not one.page.heads("error")


def test_a_tile_that_is_not_held_is_met_by_silence_and_the_one_around_it(opened):
    one = opened()
    one.session.handle({**one.page.hello(), "have": one.session.landscape.scene.hash})
    one.session.handle(one.page.want([(2, 1, 1), (3, -8, -8), (0, 5, 5)]))
    one.page.wait_for(lambda: (0, 0, 0) in one.page.tiles(), "the tile around it")
    one.page.wait_for(one.idle, "an idle status")
    assert set(one.page.tiles()) <= set(HOME)
    assert not one.page.heads("error")
    assert not one.session._jobs


def test_a_probe_is_answered_where_a_point_is_held_and_in_words_elsewhere(opened, model):
    one = opened()
    one.session.handle(one.page.probe((0.25, 0.5), req=1))
    one.session.handle(one.page.probe((0.1, 0.5), req=2))
    answer = one.page.wait_for(lambda: one.page.heads("probed"), "the probe")[0]
    assert answer["value"]["loss"] == model.evaluate(0.25, 0.5)
    assert set(answer["value"]) == {"loss"}
    refusal = one.page.wait_for(lambda: one.page.heads("error"), "the refusal")[0]
    assert (refusal["code"], refusal["req"], refusal["client"]) == ("read_only", 2, "page")
    assert refusal["text"].endswith(READ_ONLY)


def test_whatever_a_page_asks_of_the_model_is_answered_read_only_and_the_map_goes_on(opened):
    one = opened()
    base = {"v": 1, "client": "page", "epoch": 1, "at": [0.0, 0.0]}
    ball = {"optimizer": "sgd", "steps": 5, "confined": False, "seed": 0}
    asked = [
        {**base, "k": "spectrum", "req": 1, "span": 2.0},
        {**base, "k": "ball", "req": 2, "lr": 0.1, **ball},
        {**base, "k": "sweep", "req": 3, **ball},
        {"v": 1, "k": "towards", "client": "page", "req": 4, "of": 1, "index": 0},
    ]
    for message in asked:
        one.session.handle(message)
    errors = one.page.wait_for(lambda: len(found := one.page.heads("error")) >= 4 and found, "four refusals")
    assert [(head["code"], head["req"], head["text"]) for head in errors] == [
        ("read_only", req, READ_ONLY) for req in (1, 2, 3, 4)
    ]
    one.session.handle({"v": 1, "k": "refresh", "client": "page"})
    one.session.turn(Turn(turn_u=45))
    one.page.wait_for(lambda: len(one.page.heads("error")) >= 5, "more refusals")
    one.session.handle(one.page.probe((0.0, 0.0), req=9))
    one.page.wait_for(lambda: one.page.heads("probed"), "the map still answers")
    assert {head["code"] for head in one.page.heads("error")} == {"read_only"}


def test_a_page_is_told_the_caption_that_is_held(opened):
    one = opened()
    one.session.handle({"v": 1, "k": "caption", "client": "page", "req": 1, "epoch": 1})
    answer = one.page.wait_for(lambda: one.page.heads("captioned"), "the caption")[0]
    assert answer["text"] == "A bowl with a ripple."


def test_a_page_can_turn_to_a_plane_that_is_held_in_part(opened, model):
    turn = Turn(turn_u=30)
    other = model.turned(turn)
    shelf = shelf_of(model, TILES, {turn: (other.scene, shelf_of(other, TILES[:1]))})
    one = opened(HeldLandscape(model.scene, shelf))
    one.session.turn(turn)
    one.page.wait_for(lambda: one.page.tiles(epoch=2), "the tile of the other plane")
    one.page.wait_for(one.idle, "an idle status")
    assert set(one.page.tiles(epoch=2)) == {HOME[0]}


def test_an_explorer_shows_it_and_goes_on_after_a_refusal(held):
    explorer = held.explore()
    try:
        assert explorer.landscape is held
        bundle = explorer._repr_mimebundle_()
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        assert "image/png" in data
        with pytest.raises(ReadOnly, match="without its model"):
            explorer.refresh()
        with pytest.raises(ReadOnly, match="without its model"):
            explorer.add_run(None)
        explorer.mark(0.5, 0.5, "here")
    finally:
        explorer.close()
    shown = held._repr_mimebundle_()
    assert shown


def test_an_empty_source_is_shown_without_waiting_for_it(model):
    nothing = HeldLandscape(model.scene, shelf_of(model, []))
    explorer = nothing.explore()
    bundle = explorer._repr_mimebundle_()
    assert "image/png" not in (bundle[0] if isinstance(bundle, tuple) else bundle)
    explorer.close()
    assert np.isnan(nothing.map(pixels=3).values).all()
    with pytest.raises(ReadOnly, match="1 of 1 points is not held"):
        nothing.evaluate(0.0, 0.0)


def test_held_maps_stand_beside_others(held, model):
    beside = la.compare([held, model])
    assert beside.difference is None
    assert [one.landscape.title for one in beside.explorers] == [f"{held.title} · {n}" for n in (1, 2)]
    beside.close()
    with pytest.raises(ValueError, match="needs two landscapes on one plane"):
        la.compare([held, model], difference=True)


def test_many_threads_may_ask_at_once(held):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(held.map(pixels=33).values.sum())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_what_is_not_held_is_told_point_by_point():
    assert NotHeld([(0.0, 1.0)]).points == ((0.0, 1.0),)
