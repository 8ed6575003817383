"""Training on the map: paths and learning curves beside it, at one step, and while a cell trains."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import (
    SHOW_SMALL,
    SMALL,
    ask,
    canvas_box,
    card,
    open_map,
    stats,
    tell,
    wait_complete,
    wait_map,
)
from tests.browser.test_legible import contrast

# Two runs into the origin, one of them off the plane; what was recorded of both.
RUNS = """
import numpy as np
steps = np.arange(0, 210, 10)
shrink = 0.98 ** steps
def way(a, b): return np.stack([a * shrink, b * shrink], 1)
explorer.paths = [
    {"name": "SGD", "points": way(0.6, 0.5), "steps": steps, "distance": 0.4 * shrink, "loss": 0.5 + shrink},
    {"name": "<b>Adam</b>", "points": way(-0.7, -0.4), "steps": steps},
]
every = np.arange(201)
def curves(lr): return {"loss": 10 * 0.97 ** every, "lr": np.full(201, lr), "sharpness": np.where(every % 5, np.nan, every),
                        "limit": np.full(201, 2 / lr), "validation": np.where(every % 10, np.nan, 11 * 0.97 ** every)}
explorer.runs = [{"name": "SGD", "steps": every, "series": curves(0.01)},
                 {"name": "<b>Adam</b>", "steps": every, "series": curves(0.02)}]
"""


def opened(lab: Lab, more: str = "explorer.curves = True", **options: object) -> Notebook:
    notebook = open_map(lab, **options)
    tell(notebook, RUNS + more)
    wait_map(notebook, "(w) => w.querySelectorAll('[data-path]').length === 2")
    if more:
        wait_map(notebook, "(w) => w.querySelectorAll('.la-runs .la-curve').length > 0")
        settle(notebook)
    return notebook


def settle(notebook: Notebook) -> None:
    """Until the pane stands and the map is whole beside it."""
    wait_complete(notebook)
    notebook.page.wait_for_timeout(400)


def runs(notebook: Notebook) -> dict:
    return dict(card(notebook).evaluate("w => w.lossatlas.runs()"))


def scrub(notebook: Notebook, index: int) -> None:
    card(notebook).locator(".la-time input").evaluate(
        "(e, index) => { e.value = index; e.dispatchEvent(new Event('input', {bubbles: true})); }", index
    )


def row(notebook: Notebook, name: str) -> list[str]:
    """What the table says of a run: loss, map, distance."""
    return card(notebook).locator(f'[data-run="{name}"] td').all_inner_texts()


def test_runs_open_beside_the_map_by_button_and_key_also_while_there_are_none(lab: Lab) -> None:
    notebook = open_map(lab)
    wait_map(notebook, "(w) => w.querySelector('.la-layers') !== null")
    button = card(notebook).locator(".la-runs-button")
    pane = card(notebook).locator(".la-runs")
    assert pane.count() == 0  # it has not been asked for
    button.click()
    pane.wait_for()
    assert pane.get_by_text("None yet.").is_visible()
    assert not pane.locator(".la-charts").is_visible()
    tell(notebook, RUNS)
    pane.locator("[data-run]").first.wait_for()
    assert pane.locator(".la-charts").is_visible()
    assert button.get_attribute("aria-expanded") == "true"
    wait_map(notebook, "(w) => w.querySelectorAll('.la-runs .la-curve').length > 0")
    settle(notebook)
    # Beside the map, which has the room that is left.
    assert canvas_box(notebook)["x"] + canvas_box(notebook)["width"] < pane.bounding_box()["x"]
    assert ask(notebook, "explorer.curves") is True
    pane.locator(".la-close").click()
    pane.wait_for(state="hidden")
    card(notebook).focus()
    notebook.page.keyboard.press("r")
    pane.wait_for()
    assert pane.locator("b b").count() == 0  # names are text
    assert card(notebook).locator("[data-path] b").count() == 0
    assert notebook.console_errors == []


def test_the_slider_scrubs_every_run_to_a_step(lab: Lab) -> None:
    notebook = opened(lab)
    assert card(notebook).locator(".la-now").inner_text() == "step 200"
    scrub(notebook, 12)
    wait_map(
        notebook, "(w) => [...w.querySelectorAll('[data-until]')].every((e) => e.dataset.until === '120')"
    )
    assert card(notebook).locator("[data-marks] circle").count() == 2
    loss, on_map, off = row(notebook, "SGD")
    assert loss == f"{0.5 + 0.98**120:.3f}"
    assert off == f"{0.4 * 0.98**120:.3f}"
    exact = ask(notebook, f"float(explorer.landscape.evaluate({0.6 * 0.98**120}, {0.5 * 0.98**120}))")
    assert abs(float(on_map) - exact) < 2e-3
    said = card(notebook).locator(".la-time input").get_attribute("aria-valuetext")
    assert re.fullmatch(r"step 120 · loss 0\.589 · map says [\d.]+ · 0\.035 off the plane", said)
    # Its own keys go from one recorded point to the next.
    card(notebook).locator(".la-time input").focus()
    notebook.page.keyboard.press("ArrowRight")
    wait_map(notebook, "(w) => w.lossatlas.runs().at === 130")
    notebook.page.keyboard.press("End")
    wait_map(notebook, "(w) => w.lossatlas.runs().at === null")
    assert notebook.console_errors == []


def test_a_play_goes_from_the_start_to_the_end_and_stops_where_it_is_told(lab: Lab) -> None:
    notebook = opened(lab)
    card(notebook).locator(".la-play").click()
    wait_map(notebook, "(w) => w.lossatlas.runs().at > 20")
    card(notebook).locator('.la-play[aria-label="pause"]').click()
    at = runs(notebook)["at"]
    notebook.page.wait_for_timeout(500)
    assert runs(notebook)["at"] == at
    card(notebook).locator(".la-time input").focus()
    notebook.page.keyboard.press("Space")
    wait_map(notebook, "(w) => w.lossatlas.runs().at === null", timeout=20)
    assert card(notebook).locator(".la-play").get_attribute("aria-label") == "play"


def test_pointing_at_the_path_or_the_curve_marks_the_same_step_in_the_other(lab: Lab) -> None:
    notebook = opened(lab)
    box = canvas_box(notebook)
    view = notebook.eval_widget("w => w.lossatlas.view()")
    scale = box["width"] / view["span"]
    x = box["x"] + box["width"] / 2 + 0.6 * scale * 0.98**50
    y = box["y"] + box["height"] / 2 - 0.5 * scale * 0.98**50
    notebook.page.mouse.move(x, y)
    tip = card(notebook).locator(".la-tip")
    tip.wait_for()
    assert re.fullmatch(
        r"SGD · step 50 · loss 0\.864 · map says [\d.]+ · 0\.15 off the plane", tip.inner_text()
    )
    assert runs(notebook)["pointed"] == {"step": 50, "name": "SGD"}
    wait_map(notebook, "(w) => w.querySelectorAll('.la-curves-dot').length > 0")
    figure = card(notebook).locator(".la-runs-figure").bounding_box()
    # Steps lie between 46 and 10 pixels from the ends.
    middle = figure["x"] + 46 + (figure["width"] - 56) / 2
    notebook.page.mouse.move(middle, figure["y"] + 60)
    wait_map(notebook, "(w) => w.lossatlas.runs().pointed?.step === 100")
    wait_map(notebook, "(w) => w.querySelectorAll('[data-marks] circle').length === 4")
    # A press stands there.
    notebook.page.mouse.down()
    notebook.page.mouse.up()
    wait_map(notebook, "(w) => w.lossatlas.runs().at === 100")
    notebook.page.mouse.move(5, 5)
    wait_map(notebook, "(w) => w.lossatlas.runs().pointed === null")
    assert notebook.console_errors == []


def test_quantities_are_chosen_and_set_against_each_other(lab: Lab) -> None:
    notebook = opened(lab)
    pane = card(notebook).locator(".la-runs")
    names = pane.locator(".la-quantities button").all_inner_texts()
    assert names == ["loss", "learning rate", "sharpness"]
    assert (
        pane.locator('[data-series="validation"]').count()
        == pane.locator('[data-series="limit"]').count()
        == 2
    )
    assert "log" in pane.locator(".la-curves").first.text_content()
    pane.locator('[data-name="lr"]').click()
    wait_map(notebook, """(w) => w.querySelectorAll('[data-series="lr"]').length === 0""")
    pane.locator('[data-run="SGD"] button').click()
    wait_map(notebook, """(w) => w.querySelectorAll('[data-series="loss"]').length === 1""")
    wait_map(notebook, "(w) => w.querySelectorAll('[data-path]').length === 1")
    pane.locator('[data-run="SGD"] button').click()
    pane.get_by_role("button", name="scatter").click()
    wait_map(notebook, "(w) => w.querySelectorAll('.la-scatter-dot').length > 50")
    pane.get_by_label("up").select_option("loss")
    pane.get_by_label("across").select_option("step")
    wait_map(notebook, "(w) => w.querySelectorAll('.la-scatter-dot').length > 200")
    pane.locator(".la-scatter-dot").nth(10).hover(force=True)
    wait_map(notebook, "(w) => w.lossatlas.runs().pointed !== null")
    assert notebook.console_errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pane_can_be_read_in_both_themes(lab: Lab, theme: str) -> None:
    notebook = opened(lab, theme=theme)
    look = card(notebook).evaluate(
        """w => {
            const panel = getComputedStyle(w.querySelector(".la-card")).backgroundColor;
            const texts = [...w.querySelectorAll(".la-card :is(b, td, th, p, output), .la-card button:enabled")];
            const drawn = [...w.querySelectorAll(".la-curves text")].map((e) => getComputedStyle(e).fill);
            return {panel, colours: [...new Set([...texts.map((e) => getComputedStyle(e).color), ...drawn])]};
        }"""
    )
    for colour in look["colours"]:
        assert contrast(colour, look["panel"]) >= 4.5, colour
    names = card(notebook).evaluate(
        """w => [...w.querySelectorAll(".la-runs :is(button, input, select)")]
            .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim())).length"""
    )
    assert names == 0


@pytest.mark.parametrize("width", [760, 480])
def test_where_there_is_no_room_beside_the_map_the_pane_is_below_it(lab: Lab, width: int) -> None:
    notebook = opened(lab, viewport=(width, 1000))
    pane = card(notebook).locator(".la-runs").bounding_box()
    assert pane["y"] > canvas_box(notebook)["y"] + canvas_box(notebook)["height"]
    assert card(notebook).locator(".la-runs").evaluate("e => e.scrollWidth <= e.clientWidth")


# Tells of a run from a thread of its own, as a recorder would, until the test has seen enough.
LIVE = """
import pathlib, threading, time
from lossatlas.widget.run_messages import curves_message, path_message
stop = pathlib.Path("stop-live")
def tell():
    scene = explorer.landscape.scene.hash
    for i in range(600):
        if stop.exists(): break
        point = [[0.6 * 0.98 ** i, 0.3]]
        explorer._session._post(path_message("live", scene, point, start=i, steps=[10 * i], distance=[0.1], loss=[2.0]))
        explorer._session._post(curves_message("live", [10 * i], {"loss": [2 * 0.98 ** i]}, start=i))
        time.sleep(0.05)
threading.Thread(target=tell, daemon=True).start()
while not stop.exists(): train(1, rate=0.0)
"""


def test_a_run_grows_while_its_cell_trains(lab: Lab) -> None:
    notebook = lab.open([SMALL, SHOW_SMALL, LIVE], viewport=(1280, 1000))
    notebook.run_cell(0)
    notebook.run_cell(1)
    wait_complete(notebook)
    stop = notebook.path.parent / "stop-live"
    stop.unlink(missing_ok=True)
    try:
        notebook.run_cell(2, wait=False)
        wait_map(notebook, "(w) => w.lossatlas.runs?.().runs[0]?.points > 20")
        # The pane opens, draws and follows the end while the cell is at work.
        card(notebook).locator(".la-runs-button").click()
        wait_map(notebook, "(w) => w.querySelectorAll('.la-runs .la-curve').length > 0")
        assert notebook.page.evaluate("window.testRuns[2] === 'running'")
        before = runs(notebook)["runs"][0]
        assert before["name"] == "live"
        wait_map(
            notebook,
            "(w, s, [points, rows]) => w.lossatlas.runs().runs[0].points > points && w.lossatlas.runs().runs[0].rows > rows",
            [before["points"] + 5, before["rows"] + 5],
        )
        last = runs(notebook)["steps"][-1]
        wait_map(
            notebook, "(w, s, last) => Number(w.querySelector('[data-until]').dataset.until) > last", last
        )
        assert row(notebook, "live")[0] == "2.00"
    finally:
        stop.touch()
    notebook.wait_cell(2)
    assert notebook.console_errors == []


RECORD_TWO = """
def record(seed, rate):
    torch.manual_seed(seed)
    other = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    recorder = la.Recorder(other)
    for _ in range(40):
        loss = nn.functional.cross_entropy(other(x), y)
        gradients = torch.autograd.grad(loss, list(other.parameters()))
        recorder.step(loss, lr=rate)
        with torch.no_grad():
            for p, g in zip(other.parameters(), gradients): p -= rate * g
    recorder.close()
    return recorder
for name, seed, rate in (("slow", 3, 0.2), ("fast", 4, 1.0)): explorer.add_run(record(seed, rate), name)
"""


def test_a_button_turns_the_plane_to_the_runs_that_are_shown(lab: Lab) -> None:
    notebook = open_map(lab, more=(RECORD_TWO,))
    notebook.run_cell(2)
    card(notebook).locator(".la-runs-button").click()
    wait_map(notebook, "(w) => w.lossatlas.runs?.().runs.filter(({points}) => points === 40).length === 2")
    before = stats(notebook)["hash"]
    pane = card(notebook).locator(".la-runs")
    pane.get_by_role("button", name="turn to them").click()
    wait_map(notebook, "(w, s, before) => s.hash !== before", before, timeout=60)
    wait_map(notebook, "(w) => w.querySelectorAll('[data-path]').length === 2")
    wait_complete(notebook)
    assert "of 2 runs, 80 points" in ask(notebook, "explorer.landscape.slice.names[0]")
    # Both paths are in sight.
    area = canvas_box(notebook)
    for name in ("slow", "fast"):
        box = card(notebook).locator(f'[data-path="{name}"]').bounding_box()
        assert box is not None
        assert box["x"] >= area["x"] - 8
        assert box["x"] + box["width"] <= area["x"] + area["width"] + 8
    pane.locator('[data-run="slow"] button').click()
    pane.get_by_role("button", name="turn to them").click()
    wait_map(notebook, "(w) => w.querySelectorAll('[data-path]').length === 1")
    until = "explorer.landscape.slice.names[0].endswith('component 1 to step 39')"
    notebook.page.wait_for_timeout(300)
    wait_complete(notebook)
    assert ask(notebook, until)
    assert notebook.console_errors == []


def test_norms_and_parameters_can_be_axes_of_the_scatter(lab: Lab) -> None:
    notebook = open_map(lab, more=(RECORD_TWO,))
    notebook.run_cell(2)
    card(notebook).locator(".la-runs-button").click()
    pane = card(notebook).locator(".la-runs")
    pane.get_by_role("button", name="scatter").click()
    entry = pane.get_by_label("another quantity of the parameters")
    entry.fill("norm:0.*")
    entry.press("Enter")
    wait_map(notebook, "(w) => w.querySelector('[aria-label=across]').value === '‖0.*‖'")
    entry.fill("2.bias[1]")
    entry.press("Enter")
    wait_map(notebook, "(w) => w.querySelector('[aria-label=across]').value === '2.bias[1]'")
    pane.get_by_label("up", exact=True).select_option("‖0.*‖")
    wait_map(notebook, "(w) => w.querySelectorAll('.la-scatter-dot').length === 80")
    notebook.page.wait_for_timeout(500)  # the traits hold what was told a moment later
    series = ask(notebook, "explorer.runs[0]['series']['2.bias[1]']")
    assert len(series) == 40
    assert None not in series
    entry.fill("nothing[0]")
    entry.press("Enter")
    pane.get_by_text("nothing").first.wait_for()
    assert notebook.console_errors == []


LINE_RUN = """
import copy
start = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
net, losses = copy.deepcopy(start), []
recorder = la.Recorder(net)
for _ in range(30):
    loss = nn.functional.cross_entropy(net(x), y)
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    recorder.step(loss)
    with torch.no_grad():
        for p, g in zip(net.parameters(), gradients): p -= 0.5 * g
recorder.close()
objective = la.Objective(start, nn.functional.cross_entropy, (x, y))
line = la.Line.between(objective, recorder.trajectory.last)
explorer = la.Landscape(objective, line).explore(height=360, scale="linear", tolerance=0)
explorer.add_run(recorder, "run")
explorer
"""


def test_on_a_line_a_path_stands_at_its_true_loss_over_where_it_falls(lab: Lab) -> None:
    notebook = open_map(lab, show=LINE_RUN)
    wait_map(notebook, "(w) => w.querySelector('[data-path=run]') !== null")
    view = notebook.eval_widget("w => w.lossatlas.view()")
    box = canvas_box(notebook)
    first, last = ask(
        notebook,
        "(lambda s: [s.points[:, 0].tolist(), s.loss.tolist()])(explorer.landscape.project(recorder))",
    )
    dots = (
        card(notebook)
        .locator("[data-path=run] > circle")
        .evaluate_all(
            "dots => dots.map((dot) => [Number(dot.getAttribute('cx')), Number(dot.getAttribute('cy'))])"
        )
    )
    (end, start) = dots[-2:]
    for (x, _), a in ((start, first[0]), (end, first[-1])):
        assert x == pytest.approx(
            (a - view["center"][0]) / view["span"] * box["width"] + box["width"] / 2, abs=0.2
        )
    # To the scale of the axis: its ticks say which row is which loss.
    ticks = (
        card(notebook)
        .locator(".la-tick-label")
        .evaluate_all(
            "labels => labels.map((label) => [Number(label.textContent), Number(label.getAttribute('y')), label.getAttribute('text-anchor')])"
        )
    )
    rows = [(value, y) for value, y, anchor in ticks if anchor == "end"]
    slope, _ = np.polyfit([value for value, _ in rows], [y for _, y in rows], 1)
    assert end[1] - start[1] == pytest.approx(slope * (last[-1] - last[0]), abs=1.5)
    assert start[1] < end[1]
    assert notebook.console_errors == []
