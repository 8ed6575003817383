"""An explorer that is baked: what is evaluated, what is said, and what stays of it without a kernel."""

from __future__ import annotations

import dataclasses
import io
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.geometry import Turn, home_tiles
from lossatlas.widget.bake import Teller, order_of
from lossatlas.widget.protocol import Point
from tests.widget.test_baked import grid_of, unpacked


def bowl(**options):
    """½ (x² + 4 y²) on the plane of its two coordinates: known everywhere."""
    scale = torch.tensor([1.0, 4.0], dtype=torch.float64)
    objective = la.Objective.from_function(
        lambda t: 0.5 * (scale * t * t).sum(), torch.zeros(2, dtype=torch.float64)
    )
    origin = torch.zeros(2, dtype=torch.float64)
    plane = la.Plane(origin, *torch.eye(2, dtype=torch.float64))
    return la.Landscape(objective, plane, **options)


def small(**options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    x, y = torch.randn(40, 4), torch.randint(0, 3, (40,))
    return la.explore(model, nn.functional.cross_entropy, (x, y), fields=("loss", "accuracy"), **options)


@pytest.fixture
def explorer():
    made = bowl().explore()
    yield made
    made.close()


def head_of(explorer):
    return unpacked(explorer._baked)[1]


def test_what_is_baked_is_the_field_at_every_node_within_the_bound(explorer):
    baked = explorer.bake(depth=3, tolerance=0, progress=False)
    _, head, sections = unpacked(explorer._baked)
    frame = head["frames"][0]
    assert frame == {"z": 2, "column": -128, "row": -128, "shape": [257, 257]}
    a, b = np.meshgrid(np.linspace(-1, 1, 257), np.linspace(-1, 1, 257))
    found = grid_of(sections, (257, 257), "loss/0/")
    assert np.abs(found - 0.5 * (a * a + 4 * b * b)).max() <= baked.bound["loss"]
    assert baked.bound["loss"] < 1e-3
    assert baked.tiles == 4 + 16 + 64 + 16 + 32
    assert baked.nodes <= explorer.landscape.evaluated
    assert str(baked).startswith("baked 132 tiles to depth 3: ")


def test_a_smooth_field_takes_few_nodes_and_the_stated_errors_hold(explorer):
    baked = explorer.bake(depth=4, progress=False)
    # Every node would be 513² and the surroundings.
    assert baked.nodes < 8000
    spread = 2.5
    for row in head_of(explorer)["fields"][0]["pieces"][0]["tiles"]:
        assert row[5] is not None
        assert row[5] <= 0.011 * spread


def test_baking_again_evaluates_nothing(explorer):
    explorer.bake(depth=3, progress=False)
    assert explorer.bake(depth=3, progress=False).nodes == 0
    assert explorer.bake(depth=4, progress=False).nodes > 0


def test_fields_of_one_forward_pass_come_from_the_same_nodes():
    explorer = small()
    explorer.bake(depth=3, fields="loss", progress=False)
    baked = explorer.bake(depth=3, progress=False)
    # The first one's nodes serve both; accuracy, which has steps, asks for no more of them.
    assert baked.fields == ("loss", "accuracy")
    assert baked.nodes == 0
    fields = head_of(explorer)["fields"]
    assert [(one["name"], one["f"]) for one in fields] == [("loss", 0), ("accuracy", 1)]
    assert [len(piece["tiles"]) for one in fields for piece in one["pieces"]] == [84, 48, 84, 48]
    explorer.close()


def test_a_line_is_baked_as_one_row():
    torch.manual_seed(0)
    objective = la.Objective.from_function(lambda t: (t**4).sum(), torch.ones(3, dtype=torch.float64))
    explorer = la.Landscape(
        objective, la.Line(objective.theta, torch.tensor([1.0, -0.5, 0.25]).double())
    ).explore()
    explorer.bake(depth=3, tolerance=0, progress=False)
    _, head, sections = unpacked(explorer._baked)
    (frame, around) = head["frames"]
    assert frame["shape"][0] == around["shape"][0] == 1
    a = (frame["column"] + np.arange(frame["shape"][1])) * 2.0 ** -(frame["z"] + 5)
    found = grid_of(sections, tuple(frame["shape"]), "loss/0/")[0]
    bound = head["fields"][0]["pieces"][0]["bound"]
    assert np.abs(found - explorer.landscape.evaluate(a)).max() <= bound
    explorer.close()


def test_spectra_come_along_when_they_are_asked_for(explorer):
    explorer.bake(depth=1, spectra=[(0, 0), (0.5, -0.25)], progress=False)
    spectra = head_of(explorer)["spectra"]
    assert [one["at"] for one in spectra] == [[0.0, 0.0], [0.5, -0.25]]
    assert all(one["k"] == "spectrum_done" for one in spectra)
    np.testing.assert_allclose(spectra[0]["spectrum"]["eigenvalues"][:2], [4.0, 1.0], rtol=1e-9)


def test_the_caption_and_the_parts_of_the_front_end_come_along(explorer):
    explorer.bake(depth=1, progress=False)
    module, head, sections = unpacked(explorer._baked)
    assert module.startswith(b"/* lossatlas front end")
    assert explorer.landscape.scene.hash in head["caption"]
    assert {name for name in sections if name.startswith("part/")} == {
        "part/instrument", "part/layers", "part/point", "part/runs", "part/webgl",
    }  # fmt: skip


def test_a_run_that_goes_on_is_in_the_page_as_it_is_now():
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    x, y = torch.randn(20, 3), torch.randn(20, 1)
    recorder = la.Recorder(model)
    explorer = la.explore(model, nn.functional.mse_loss, (x, y), recorder=recorder)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(7):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        recorder.step(loss)
        optimizer.step()
    (path,), (run,) = (explorer._state()[name] for name in ("paths", "runs"))
    assert path["scene"] == explorer.landscape.scene.hash
    assert len(path["points"]) == 7 == len(run["steps"])
    assert explorer.paths == []  # the explorer's own are those that have ended
    explorer.close()


def test_the_estimate_is_what_every_node_would_take(explorer):
    estimate = explorer.estimate(depth=4)
    assert estimate.nodes == 513**2 + 257**2
    assert estimate.tiles == 340 + 48
    assert estimate.seconds > 0
    text = str(estimate)
    assert text.startswith("388 tiles to depth 4 of loss: at most 329 218 nodes and ")


def test_it_says_what_it_will_take_and_how_far_it_is():
    stream = io.StringIO()
    order = order_of(bowl(), 2, ("loss",), 0.01, "auto")
    teller = Teller(order, stream)
    teller.say()  # nothing is known yet
    teller.tell(10, 40, 1234)
    teller.say()
    teller.end("baked")
    lines = stream.getvalue().replace("\r", "").splitlines()
    assert lines[0].startswith("lossatlas bakes 68 tiles to depth 2 of loss: at most ")
    assert lines[1].startswith("10 of 40 tiles, 1 234 nodes, 0.0 s, ")
    assert lines[1][78:].rstrip() == "baked"  # written over what stood there


def test_progress_goes_to_stderr_and_can_be_left_out(explorer, capsys):
    explorer.bake(depth=2, progress=False)
    assert capsys.readouterr() == ("", "")
    explorer.bake(depth=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "lossatlas bakes 68 tiles" in err
    assert "baked 68 tiles to depth 2: 0 nodes evaluated" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 0}, "depth is 0. Pass how many levels to bake, 1 to 7."),
        ({"depth": 8}, "depth is 8."),
        ({"depth": 2.0}, "depth is 2.0."),
        ({"depth": True}, "depth is True."),
        ({"fields": "lose"}, "There is no field 'lose' here."),
        ({"fields": ()}, "Pass names of loss"),
        ({"tolerance": -1}, "tolerance"),
        ({"spectra": [(0, float("nan"))]}, "finite"),
        ({"spectra": [(0, 0, 0)]}, "Pass a point"),
    ],
)
def test_a_wrong_call_is_said_in_words(explorer, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        explorer.bake(progress=False, **options)
    assert explorer._baked is None


def test_a_view_too_small_for_the_dtype_is_not_baked_deeper():
    landscape = bowl(extent=(-(2.0**-40), 2.0**-40, -(2.0**-40), 2.0**-40))
    explorer = landscape.explore()
    most = landscape.levels[1] - 40 + 1
    assert most < 7
    with pytest.raises(ValueError, match=f"this map goes to depth={most}: "):
        explorer.bake(depth=most + 1, progress=False)
    explorer.close()


def test_a_closed_explorer_says_so(explorer, tmp_path):
    explorer.close()
    for call in (explorer.bake, explorer.embed, lambda: explorer.to_html(tmp_path / "map.html")):
        with pytest.raises(ValueError, match="This map was closed"):
            call()


def test_an_interrupt_stops_it_and_what_was_evaluated_is_kept(monkeypatch):
    slow = threading.Event()

    def loss(theta):
        if slow.is_set():
            time.sleep(0.02)
        return (theta**2).sum()

    objective = la.Objective.from_function(loss, torch.zeros(2, dtype=torch.float64))
    explorer = la.Landscape(objective, la.Plane.random(objective, seed=0)).explore()
    explorer.bake(depth=1, progress=False)
    before, known = explorer._baked, explorer.landscape.evaluated
    slow.set()

    def interrupted(self):
        if explorer.landscape.evaluated > known + 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(Teller, "say", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explorer.bake(depth=4, tolerance=0)
    assert explorer._baked == before
    done = explorer.landscape.evaluated
    assert done > known
    time.sleep(0.1)
    assert explorer.landscape.evaluated <= done + 64  # what was in hand, and no more
    slow.clear()
    assert explorer.bake(depth=1, progress=False).nodes == 0
    explorer.close()


def test_a_model_that_raises_is_said_and_the_explorer_lives():
    def loss(theta):
        if theta[0] > 0.5:
            raise RuntimeError("no such weights")
        return (theta**2).sum()

    objective = la.Objective.from_function(loss, torch.zeros(2, dtype=torch.float64))
    plane = la.Plane(torch.zeros(2, dtype=torch.float64), *torch.eye(2, dtype=torch.float64))
    explorer = la.Landscape(objective, plane).explore()
    with pytest.raises(la.EvaluationError, match="no such weights"):
        explorer.bake(depth=2)
    assert explorer._baked is None
    assert not explorer.closed
    explorer.close()


def test_the_bytes_are_part_of_the_widgets_state_once_it_was_baked(explorer):
    assert explorer.get_state()["_baked"] is None
    explorer.bake(depth=1, progress=False)
    assert explorer.get_state()["_baked"] == explorer._baked


def test_what_was_baked_is_frozen(explorer):
    with pytest.raises(dataclasses.FrozenInstanceError):
        explorer.bake(depth=1, progress=False).depth = 9


@pytest.fixture
def atlas(tmp_path):
    """A file with the home view of a map of two fields, and its turned plane."""
    explorer = small()
    explorer.landscape.grid(shape=(65, 65))
    explorer.landscape.turned(Turn(turn_u=30)).grid(shape=(65, 65))
    for landscape in (explorer.landscape.turned(Turn(turn_u=30)), explorer.landscape):
        for tile in home_tiles(landscape.home):
            landscape.tile(tile)
    path = explorer.landscape.save(tmp_path / "small.atlas")
    explorer.close()
    return path


def test_of_a_map_without_its_model_all_that_is_held_is_baked(atlas):
    explorer = la.load(atlas).explore()
    baked = explorer.bake(depth=2, progress=False)
    assert baked.fields == ("loss", "accuracy")
    assert baked.nodes == 0
    assert all(one["pieces"][0]["tiles"] for one in head_of(explorer)["fields"])
    assert head_of(explorer)["recipe"]["scene"] == explorer.landscape.scene.hash
    explorer.close()


def test_a_turned_map_without_its_model_keeps_its_recipe(atlas):
    held = la.load(atlas)
    turned = held.turned(Turn(turn_u=30))
    assert turned.recipe["scene"] == turned.scene.hash != held.scene.hash
    assert turned.scene.hash in turned.caption()


def test_a_held_map_without_a_tile_says_so_instead_of_baking_nothing(tmp_path):
    landscape = bowl()
    landscape.evaluate([0.1, 0.3], [0.2, 0.7])
    held = la.load(landscape.save(tmp_path / "points.atlas"))
    assert "no tile of the home view" in held.report()
    explorer = held.explore()
    with pytest.raises(ValueError, match="2 values are held, but no tile of the home view"):
        explorer.bake(progress=False)
    with pytest.raises(ValueError, match="no tile of the home view"):
        explorer.to_html(tmp_path / "map.html")
    explorer.close()


def test_a_coarse_grid_is_baked_to_the_levels_that_it_has(tmp_path):
    a = np.linspace(-1, 1, 5)
    explorer = la.from_grid(a[None] ** 2 + a[:, None] ** 2, (-1, 1, -1, 1)).explore()
    levels = explorer.landscape.levels[1]
    assert explorer.bake(progress=False).depth == levels + 1 < 4
    with pytest.raises(ValueError, match=f"this map goes to depth={levels + 1}: "):
        explorer.bake(depth=4, progress=False)
    explorer.to_html(tmp_path / "grid.html")
    explorer.close()


def test_a_page_has_the_spectra_that_were_measured_since_it_was_baked(explorer):
    explorer.bake(depth=1, spectra=[(0.25, 0.25)], progress=False)
    points, landscape = explorer._session.points, explorer.landscape
    request = Point("page", -1, 1, (0.5, 0.5), 2.0)
    points.begin(request, landscape)
    limit = time.monotonic() + 20
    while not points.finished(landscape.scene.hash):
        assert time.monotonic() < limit
        time.sleep(0.01)
    explorer.embed()
    assert {tuple(one["at"]) for one in head_of(explorer)["spectra"]} == {(0.25, 0.25), (0.5, 0.5)}


def test_what_was_baked_is_written_as_deep_as_it_was(explorer):
    explorer.bake(depth=2, progress=False)
    before = explorer._baked
    explorer.embed()
    assert explorer._baked is before
