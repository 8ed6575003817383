"""Balls: dropped by a click or a key, drawn as they roll, compared, stopped."""

from __future__ import annotations

import pytest

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import ask, canvas_box, card, middle, open_map, wait_map
from tests.browser.test_legible import contrast


def opened(lab: Lab, **options: object) -> Notebook:
    """A map with the pane of runs, in which there is none."""
    notebook = open_map(lab, **options)
    card(notebook).locator(".la-runs-button").click()
    card(notebook).locator(".la-ball").wait_for()
    notebook.page.wait_for_timeout(400)  # the pane has come out
    return notebook


def choose(notebook: Notebook, **what: object) -> None:
    pane = card(notebook).locator(".la-ball")
    for name, value in what.items():
        if name == "optimizer":
            pane.get_by_label("optimizer").select_option(str(value))
        elif name == "confined":
            pane.get_by_label("in the plane only").set_checked(bool(value))
        else:
            pane.get_by_label("steps" if name == "steps" else "learning rate", exact=name == "rate").fill(
                str(value)
            )


def drop(notebook: Notebook, across: float = 0.3, down: float = 0.4) -> tuple[float, float]:
    """Arm the pointer and click there, in shares of the map; the point of the plane."""
    card(notebook).locator(".la-ball").get_by_role("button", name="drop", exact=True).click()
    wait_map(notebook, "(w) => w.classList.contains('la-armed')")
    box = canvas_box(notebook)
    notebook.page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
    view = notebook.eval_widget("w => w.lossatlas.view()")
    a, b = view["center"]
    width = box["width"] / view["span"]
    return a + (across - 0.5) * box["width"] / width, b + (0.5 - down) * box["height"] / width


def balls(notebook: Notebook) -> list[dict]:
    return list(card(notebook).evaluate("w => w.lossatlas.balls()"))


def wait_ended(notebook: Notebook, count: int = 1) -> None:
    wait_map(
        notebook, "(w, s, n) => w.lossatlas.balls().filter(({done}) => done).length === n", count, timeout=90
    )


def test_a_ball_is_dropped_by_a_click_and_its_path_appears(lab: Lab) -> None:
    notebook = opened(lab)
    choose(notebook, rate=0.5, steps=60)
    at = drop(notebook)
    wait_ended(notebook)
    assert not notebook.eval_widget("w => w.classList.contains('la-armed')")
    assert card(notebook).locator("[data-path]").count() == 1
    (ball,) = balls(notebook)
    assert (ball["name"], ball["step"], ball["diverged"]) == ("SGD · lr 0.5", 60, False)
    said = card(notebook).locator(".la-balls li").inner_text()
    assert "end loss" in said
    assert "60 steps" in said
    # What Python rolls from there is the same.
    path = ask(notebook, "explorer.paths[0]['points']")
    assert path[0] == pytest.approx(at, abs=0.01)
    start = tuple(path[0])
    rolled = ask(notebook, f"explorer.landscape.descend({start}, 'sgd', lr=0.5, steps=60).points.tolist()")
    assert [x for point in path for x in point] == pytest.approx(
        [x for point in rolled for x in point], rel=1e-9
    )
    # The table of runs and the curves have it too.
    assert card(notebook).locator('[data-run="SGD · lr 0.5"]').count() == 1
    wait_map(notebook, "(w) => w.querySelectorAll('.la-runs .la-curve').length > 0")
    assert notebook.console_errors == []


def test_balls_of_several_optimizers_are_compared_and_a_rate_too_large_says_so(lab: Lab) -> None:
    notebook = opened(lab)
    choose(notebook, rate=0.5, steps=30)
    drop(notebook)
    wait_ended(notebook)
    choose(notebook, optimizer="adam", rate=0.05)
    drop(notebook)
    wait_ended(notebook, 2)
    choose(notebook, optimizer="sgd", rate=1e9)
    drop(notebook)
    wait_ended(notebook, 3)
    names = [ball["name"] for ball in balls(notebook)]
    assert names == ["SGD · lr 0.5", "Adam · lr 0.05", "SGD · lr 1e+09"]
    assert [ball["diverged"] for ball in balls(notebook)] == [False, False, True]
    assert "diverged after" in card(notebook).locator(".la-balls li").last.inner_text()
    assert card(notebook).locator(".la-runs-table tbody tr").count() == 3
    assert notebook.console_errors == []


def test_a_ball_is_stopped_and_what_it_has_stays(lab: Lab) -> None:
    notebook = opened(lab)
    choose(notebook, rate=0.001, steps=10000)
    drop(notebook)
    wait_map(notebook, "(w) => w.querySelectorAll('[data-path]').length === 1")
    card(notebook).locator(".la-balls button").click()
    wait_ended(notebook)
    (ball,) = balls(notebook)
    assert 0 < ball["step"] < 10000
    assert "not finished" in card(notebook).locator(".la-balls li").inner_text()
    assert card(notebook).locator("[data-path]").count() == 1
    assert notebook.console_errors == []


def test_the_key_d_drops_at_the_pointer_and_escape_takes_a_click_back(lab: Lab) -> None:
    notebook = open_map(lab)
    wait_map(notebook, "(w) => w.querySelector('.la-layers') !== null")
    card(notebook).focus()
    notebook.page.mouse.move(*middle(notebook))
    notebook.page.keyboard.press("d")
    wait_map(notebook, "(w) => w.querySelectorAll('[data-path]').length === 1", timeout=90)
    assert not card(notebook).locator(".la-runs").is_visible()
    notebook.page.keyboard.press("r")
    card(notebook).locator(".la-ball").wait_for()
    wait_ended(notebook)
    notebook.page.wait_for_timeout(400)
    card(notebook).locator(".la-ball").get_by_role("button", name="drop", exact=True).click()
    wait_map(notebook, "(w) => w.classList.contains('la-armed')")
    assert card(notebook).locator(".la-area").evaluate("e => getComputedStyle(e).cursor") == "crosshair"
    notebook.page.keyboard.press("Escape")
    wait_map(notebook, "(w) => !w.classList.contains('la-armed')")
    # From here on a click measures, and tells of the limit of the rate.
    notebook.page.mouse.click(*middle(notebook))
    wait_map(notebook, "(w) => w.querySelector('.la-glyphs circle') !== null")
    assert len(balls(notebook)) == 1
    limit = card(notebook).locator(".la-ball p").first
    limit.wait_for(timeout=60_000)
    assert limit.inner_text().startswith("2 / λmax = ")
    assert notebook.console_errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_card_can_be_read_in_both_themes(lab: Lab, theme: str) -> None:
    notebook = opened(lab, theme=theme)
    choose(notebook, rate=1e9, steps=30)
    drop(notebook)
    wait_ended(notebook)
    look = card(notebook).evaluate(
        """w => {
            const panel = getComputedStyle(w.querySelector(".la-ball")).backgroundColor;
            const texts = [...w.querySelectorAll(".la-ball :is(b, label, span, small, p)")];
            return texts.filter((e) => e.checkVisibility() && e.textContent)
                .map((e) => [getComputedStyle(e).color, panel, e.textContent]);
        }"""
    )
    assert look
    for colour, back, text in look:
        assert contrast(colour, back) >= 4.5, text


def test_each_ball_in_the_list_has_the_colour_of_its_path(lab: Lab) -> None:
    notebook = opened(lab)
    choose(notebook, rate=0.5, steps=20)
    drop(notebook)
    wait_ended(notebook)
    colours = "w => [...w.querySelectorAll('.la-balls i, .la-run i')].map((e) => getComputedStyle(e).backgroundColor)"
    ball, run = card(notebook).evaluate(colours)
    assert ball == run != "rgba(0, 0, 0, 0)"


# Curvatures 4 and 1 in the plane and ¼ across it: 2 / λmax is ½.
BOWL = """
import torch, lossatlas as la
h = torch.tensor([4.0, 1.0, 0.25])
objective = la.Objective.from_function(lambda theta: 0.5 * (h * theta * theta).sum(), torch.zeros(3))
"""
SHOW_BOWL = """
explorer = la.explore(objective, plane=la.Plane(objective.theta, *torch.eye(3)[:2]), height=360, tolerance=0)
explorer
"""


def test_a_sweep_finds_the_edge_of_the_rate_and_draws_it_over_the_slider(lab: Lab) -> None:
    notebook = opened(lab, setup=BOWL, show=SHOW_BOWL)
    choose(notebook, steps=400)
    pane = card(notebook).locator(".la-ball")
    pane.get_by_role("button", name="sweep rates").click()
    wait_map(notebook, "(w) => w.classList.contains('la-armed')")
    x, y = middle(notebook)
    notebook.page.mouse.click(x + 40, y - 30)
    wait_map(notebook, "(w) => w.querySelectorAll('.la-sweep-dots i').length === 16", timeout=90)
    pane.get_by_text("2 / λmax = 0.50").first.wait_for()
    assert not notebook.eval_widget("w => w.classList.contains('la-armed')")
    dots = pane.locator(".la-sweep-dots i").evaluate_all(
        """dots => dots.map((dot) => {
            const {left, right} = dot.getBoundingClientRect();
            return [(left + right) / 2, dot.classList.contains("la-gone")];
        })"""
    )
    line = pane.locator(".la-sweep-dots u").bounding_box()
    mark = pane.locator(".la-rate-limit").bounding_box()
    assert line is not None
    assert mark is not None
    at = line["x"] + line["width"] / 2
    assert all(x > at for x, gone in dots if gone)
    assert all(x < at for x, gone in dots if not gone)
    # To the slider's scale: its own mark stands under the chart's line.
    assert mark["x"] == pytest.approx(line["x"], abs=1)
    # One that takes long can be stopped.
    choose(notebook, steps=10_000)
    pane.get_by_role("button", name="sweep rates").click()
    notebook.page.mouse.click(x + 40, y - 30)
    pane.get_by_role("button", name="stop", exact=True).click()
    pane.get_by_role("button", name="sweep rates").wait_for()
    choose(notebook, steps=400)
    pane.get_by_role("button", name="sweep rates").click()
    notebook.page.mouse.click(x + 40, y - 30)
    wait_map(notebook, "(w) => w.querySelectorAll('.la-sweep-dots i').length === 16", timeout=90)
    choose(notebook, rate=0.9)
    pane.get_by_text("runs away", exact=False).first.wait_for()
    assert "runs away" in pane.locator(".la-sweep p").first.inner_text()
    choose(notebook, rate=0.3)
    assert "ends at" in pane.locator(".la-sweep p").first.inner_text()
    assert notebook.console_errors == []


def test_step_by_step_an_arrow_says_where_downhill_is_and_how_far_a_plain_step_goes(lab: Lab) -> None:
    notebook = opened(lab)
    choose(notebook, rate=0.5, steps=20)
    drop(notebook)
    wait_ended(notebook)
    pane = card(notebook).locator(".la-runs")
    pane.get_by_label("step back").click()
    wait_map(notebook, "(w) => w.lossatlas.runs().at === 19")
    for _ in range(19):
        pane.get_by_label("step back").click()
    wait_map(
        notebook, "(w) => w.lossatlas.runs().at === 0 && w.querySelectorAll('[data-marks] path').length >= 4"
    )
    pane.get_by_text("Arrows: downhill in the plane").wait_for()
    # Downhill by the page is downhill by the engine, and the thick part is one step of it.
    at, arrow, view = (
        ask(notebook, "explorer.paths[0]['points'][0]"),
        ask(notebook, "explorer.paths[0]['arrows'][0]"),
        notebook.eval_widget("w => w.lossatlas.view()"),
    )
    slopes = ask(notebook, f"list(explorer.landscape.jet({tuple(at)}).slope)")
    assert arrow[0] * slopes[0] + arrow[1] * slopes[1] < 0
    box = canvas_box(notebook)
    scale = box["width"] / view["span"]
    found = card(notebook).locator("[data-marks] path").nth(2).get_attribute("d") or ""
    dx, dy = map(float, found.split("l")[1].split(" "))
    assert (dx, dy) == pytest.approx((0.5 * arrow[0] * scale, -0.5 * arrow[1] * scale), abs=0.2)
    pane.get_by_label("step on").click()
    wait_map(notebook, "(w) => w.lossatlas.runs().at === 1")
    assert notebook.console_errors == []
