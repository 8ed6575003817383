"""The map itself: what it draws is what the engine says, at home, zoomed in, and on new ground."""

from __future__ import annotations

import random

import numpy as np

from tests.browser.lab import Lab
from tests.browser.maps import (
    DIGITS,
    SHOW_DIGITS,
    SHOW_SMALL,
    SMALL,
    ask,
    assert_draws,
    canvas_box,
    card,
    colours,
    drawn,
    exact,
    middle,
    open_map,
    stats,
    tell,
    wait_complete,
    wait_map,
    words,
)

# The loss at a point by PyTorch alone: the weights put into a copy of the network, float64 throughout.
PLAIN = """
import copy
def plain(a, b):
    other = copy.deepcopy(model).double()
    nn.utils.vector_to_parameters(explorer.landscape.plane.at(a, b).double(), other.parameters())
    return nn.functional.cross_entropy(other(x.double()), y).item()
"""


def test_the_map_of_the_digits_network_draws_the_engines_values(lab: Lab) -> None:
    notebook = open_map(lab, DIGITS, SHOW_DIGITS, viewport=(1280, 1000))
    # Without the last row and column: there the page reads the tile beyond, which is finer or coarser than the home view's.
    axis = [i / 32 for i in range(-32, 32)]
    nodes = [(a, b) for b in axis for a in axis]
    expected = np.array(ask(notebook, "explorer.landscape.grid(shape=(65, 65))[:-1, :-1].tolist()")).ravel()
    assert (stats(notebook)["scale"], stats(notebook)["level"]) == ("log", 0)
    size = 3 * 2.0**-24 * expected.max()  # a difference, its logarithm and what is drawn are float32 each
    np.testing.assert_allclose(drawn(notebook, nodes), expected, rtol=1e-6, atol=size)
    assert colours(notebook) > 100
    tell(notebook, "explorer.scale = 'linear'")
    wait_map(notebook, "(w, s) => s.scale === 'linear'")
    assert_draws(notebook, nodes, expected)

    draw = random.Random(0)
    points = [(draw.uniform(-1, 1), draw.uniform(-1, 1)) for _ in range(200)]
    stated = ask(
        notebook,
        "max(explorer.landscape.tile(la.TileAddress(0, i, j)).error for i in (-1, 0) for j in (-1, 0))",
    )
    difference = np.abs(drawn(notebook, points) - exact(notebook, points))
    assert difference.max() <= stated

    tell(notebook, PLAIN)
    some = points[:3]
    np.testing.assert_allclose(
        exact(notebook, some), ask(notebook, f"[plain(a, b) for a, b in {some}]"), rtol=1e-5
    )  # the network's own float32 against float64
    assert notebook.console_errors == []


def test_zooming_in_brings_finer_tiles_and_their_values(lab: Lab) -> None:
    notebook = open_map(lab)
    home = stats(notebook)["level"]
    x, y = middle(notebook)
    card(notebook).focus()
    notebook.page.mouse.move(x, y)
    span = notebook.eval_widget("w => w.lossatlas.view().span")
    for _ in range(2):
        notebook.page.mouse.wheel(0, -120)
    wait_map(notebook, "(w, s, span) => w.lossatlas.view().span < 0.6 * span", span)
    wait_map(notebook, "(w, s, home) => s.centre.z === home + 1 && s.complete", home)
    notebook.page.mouse.dblclick(x + 40, y + 30)
    wait_map(notebook, "(w, s, home) => s.centre.z === home + 2 && s.complete", home)
    a, b = notebook.eval_widget("w => w.lossatlas.view().center")
    # The finest node beside the middle is one that the home view does not have.
    step = 2.0 ** -(home + 2) / 32
    node = (round(a / step) * step, round(b / step) * step)
    beside = [node, (node[0] + step, node[1]), (node[0] - step, node[1] + step)]
    assert any((value * 32).is_integer() is False for point in beside for value in point)
    assert_draws(notebook, beside, exact(notebook, beside))

    card(notebook).focus()
    notebook.page.keyboard.press("+")
    notebook.page.keyboard.press("+")
    wait_map(notebook, "(w, s, home) => s.centre.z === home + 3 && s.complete", home)
    notebook.page.keyboard.press("-")
    notebook.page.keyboard.press("0")
    wait_map(notebook, "(w, s, span) => w.lossatlas.view().span === span && s.complete", span)
    assert stats(notebook)["level"] == home
    assert notebook.console_errors == []


# Notes at each animation frame whether anything is drawn in the middle, until it is asked what it saw.
WATCH_THE_MIDDLE = """w => {
    const seen = window.seen = {frames: 0, blank: 0};
    const look = () => {
        if (window.seen !== seen) return;
        const [a, b] = w.lossatlas.view().center;
        seen.frames++;
        if (w.lossatlas.valueAt(a, b) === null) seen.blank++;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""


def test_what_was_drawn_stays_until_new_ground_has_come(lab: Lab) -> None:
    notebook = open_map(lab)
    x, y = middle(notebook)
    box = canvas_box(notebook)
    notebook.eval_widget(WATCH_THE_MIDDLE)
    notebook.page.mouse.move(x, y)
    notebook.page.mouse.down()
    notebook.page.mouse.move(x - box["width"] / 3, y + box["height"] / 3, steps=12)
    notebook.page.mouse.up()
    centre = notebook.eval_widget("w => w.lossatlas.view().center")
    assert centre[0] > 0.3
    assert centre[1] > 0.3
    wait_complete(notebook)
    notebook.page.mouse.dblclick(x, y)
    wait_complete(notebook)
    card(notebook).focus()
    for _ in range(3):
        notebook.page.keyboard.press("ArrowRight")
    wait_complete(notebook)
    seen = notebook.page.evaluate("() => { const {seen} = window; window.seen = null; return seen; }")
    assert seen["frames"] > 10
    assert seen["blank"] == 0
    far = [(1 + 5 / 32, 0.5), (1 + 1 / 32, 0.75)]
    assert_draws(notebook, far, exact(notebook, far))
    assert notebook.console_errors == []


def test_the_wheel_belongs_to_the_page_until_the_map_has_focus(lab: Lab) -> None:
    notebook = open_map(lab, more=tuple("# far below\n" * 12 for _ in range(5)))
    notebook.run_cell(0)  # elsewhere, so that nothing has focus in the map
    card(notebook).scroll_into_view_if_needed()
    x, y = middle(notebook)
    where = "w => w.getBoundingClientRect().top"
    before, span = notebook.eval_widget(where), notebook.eval_widget("w => w.lossatlas.view().span")
    notebook.page.mouse.move(x, y)
    notebook.page.mouse.wheel(0, 120)
    notebook.page.wait_for_function(
        "(top) => document.querySelector('.lossatlas').getBoundingClientRect().top < top - 50", arg=before
    )
    assert notebook.eval_widget("w => w.lossatlas.view().span") == span
    assert card(notebook).locator(".la-hint").is_visible()

    card(notebook).scroll_into_view_if_needed()
    notebook.page.mouse.move(*middle(notebook))
    before = notebook.eval_widget(where)
    notebook.page.keyboard.down("Control")
    notebook.page.mouse.wheel(0, -120)
    notebook.page.keyboard.up("Control")
    wait_map(notebook, "(w, s, span) => w.lossatlas.view().span < 0.8 * span", span)
    assert notebook.eval_widget(where) == before
    assert notebook.console_errors == []


def test_resting_on_a_point_reads_the_exact_value(lab: Lab) -> None:
    notebook = open_map(lab)
    x, y = middle(notebook)
    notebook.page.mouse.move(x + 37, y - 21)
    pill = card(notebook).locator(".la-pill")
    pill.get_by_text("exact").wait_for()
    scale = notebook.eval_widget("w => w.querySelector('.la-canvas').clientWidth / w.lossatlas.view().span")
    value = ask(
        notebook,
        f"explorer.landscape.objective.value(explorer.landscape.plane.at({37 / scale}, {21 / scale}))",
    )
    shown = float(words(notebook, ".la-pill").split("loss ")[1].split()[0])
    assert shown == float(f"{value:.4g}")

    card(notebook).focus()
    notebook.page.mouse.move(5, 5)
    notebook.page.keyboard.press("Enter")
    pill.get_by_text("exact").wait_for()
    value = ask(notebook, "explorer.landscape.objective.value(explorer.landscape.objective.theta)")
    assert float(words(notebook, ".la-pill").split("loss ")[1].split()[0]) == float(f"{value:.4g}")
    assert notebook.console_errors == []


LINE = """
objective = la.Objective(model, nn.functional.cross_entropy, (x, y))
line = la.Line.between(objective, torch.zeros(objective.size))
explorer = la.explore(objective, line=line, height=300, tolerance=0)
explorer
"""


def test_a_line_is_a_curve_that_zooms_and_says_what_its_axis_means(lab: Lab) -> None:
    notebook = open_map(lab, show=LINE)
    assert colours(notebook) > 20
    assert stats(notebook)["renderer"] == "curve"
    nodes = [(i / 32, 0.0) for i in range(-15, 48)]
    expected = np.array(ask(notebook, f"explorer.landscape.evaluate({[a for a, _ in nodes]}).tolist()"))
    size = 3 * 2.0**-24 * expected.max()
    np.testing.assert_allclose(drawn(notebook, nodes), expected, rtol=1e-6, atol=size)
    assert not card(notebook).locator(".la-sliders").is_visible()

    home = stats(notebook)["level"]
    x, y = middle(notebook)
    notebook.page.mouse.dblclick(x, y)
    notebook.page.mouse.dblclick(x, y)
    wait_map(notebook, "(w, s, home) => s.level === home + 2 && s.complete && s.evaluated === s.total", home)
    assert notebook.eval_widget("w => w.lossatlas.view().center") == [0.5, 0]
    at = 0.5 + 1 / 128
    value = ask(notebook, f"explorer.landscape.evaluate({at})")
    np.testing.assert_allclose(drawn(notebook, [(at, 0.0)]), value, rtol=1e-6)
    card(notebook).focus()
    notebook.page.keyboard.press("Enter")
    card(notebook).locator(".la-pill").get_by_text("exact").wait_for()
    assert float(words(notebook, ".la-pill").split()[1]) == 0.5

    card(notebook).locator(".la-recipe").click()
    card(notebook).locator(".la-about:not(.la-table) p").get_by_text("Of the gradient").wait_for()
    assert words(notebook, ".la-about:not(.la-table) p") == ask(notebook, "explorer.landscape.caption()")
    notebook.page.keyboard.press("Escape")
    card(notebook).locator(".la-about:not(.la-table)").wait_for(state="hidden")
    assert notebook.console_errors == []


GOOD_ENOUGH = SHOW_DIGITS.replace("tolerance=0", 'tolerance=0.01, scale="linear"')


def test_a_map_that_is_good_enough_rests_on_few_nodes_and_says_how_far_it_may_be_off(lab: Lab) -> None:
    notebook = open_map(lab, DIGITS, GOOD_ENOUGH, viewport=(1280, 1000))
    seen = stats(notebook)
    assert 0 < seen["evaluated"] < seen["total"] / 3
    assert "rest within ±" in words(notebook, ".la-foot")
    allowed = 0.01 * (seen["domain"][1] - seen["domain"][0])
    draw = random.Random(1)
    points = [(draw.uniform(-1, 1), draw.uniform(-1, 1)) for _ in range(200)]
    assert np.abs(drawn(notebook, points) - exact(notebook, points)).max() <= 2 * allowed
    # A closer look is drawn from what there is, refined where its smaller range asks for it.
    tell(notebook, "explorer.view = {'center': [0.3, 0.2], 'span': 0.125}")
    wait_map(notebook, "(w, s) => w.lossatlas.view().span === 0.125 && s.complete")
    near = [(0.3 + draw.uniform(-0.06, 0.06), 0.2 + draw.uniform(-0.03, 0.03)) for _ in range(100)]
    values = exact(notebook, near)
    assert np.abs(drawn(notebook, near) - values).max() <= 0.02 * np.ptp(values)
    assert stats(notebook)["evaluated"] < stats(notebook)["total"] / 3


# The places in the plane of all dots inside the map.
DOTS = """w => {
    const map = w.querySelector(".la-canvas").getBoundingClientRect(), {center, span} = w.lossatlas.view(), found = [];
    for (const dots of w.querySelectorAll(".la-dots i")) {
        const {left, top, right, bottom} = dots.getBoundingClientRect(), style = getComputedStyle(dots);
        const [step] = style.backgroundSize.split(" ").map(parseFloat);
        const [x, y] = style.backgroundPosition.split(" ").map((at) => (parseFloat(at) + 1.5 * step) % step);
        for (let at = left + x; at < right + 0.1; at += step)
            for (let row = top + y; row < bottom + 0.1; row += step) {
                const [dx, dy] = [at - (map.left + map.right) / 2, (map.top + map.bottom) / 2 - row];
                if (2 * Math.abs(dx) < map.width && 2 * Math.abs(dy) < map.height)
                    found.push([center[0] + dx * span / map.width, center[1] + dy * span / map.width]);
            }
    }
    return found;
}"""


def test_the_map_shows_where_it_is_evaluated_and_there_it_is_exact(lab: Lab) -> None:
    notebook = open_map(lab, DIGITS, GOOD_ENOUGH, viewport=(1280, 1000))
    button = card(notebook).locator(".la-foot button").first
    assert card(notebook).evaluate(DOTS) == []
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    wait_map(notebook, "(w) => w.querySelector('.la-dots i') !== null")
    dots = card(notebook).evaluate(DOTS)
    seen = stats(notebook)
    assert seen["evaluated"] / 3 < len(dots) < 2 * seen["evaluated"]  # those on shared borders twice
    # Along the border to a coarser tile what is drawn is led over to that one's line.
    inside = [dot for dot in dots if all(0.1 < at * 2 ** seen["level"] % 1 < 0.9 for at in dot)]
    places = random.Random(2).sample(inside, 60)
    errors = np.abs(drawn(notebook, places) - exact(notebook, places))
    assert errors.max() <= 1e-6 * (seen["domain"][1] - seen["domain"][0])
    button.click()
    assert not card(notebook).locator(".la-dots").is_visible()
    assert notebook.console_errors == []


def test_the_control_in_the_page_and_the_trait_are_one_tolerance(lab: Lab) -> None:
    notebook = open_map(lab, SMALL, SHOW_SMALL.replace("tolerance=0", "tolerance=0.02"))
    few = stats(notebook)["evaluated"]
    chooser = card(notebook).get_by_label("error", exact=True)
    assert chooser.input_value() == "0.02"
    chooser.select_option("0")
    wait_map(notebook, "(w, s) => s.complete && s.evaluated === s.total")
    assert ask(notebook, "explorer.tolerance") == 0
    assert few < stats(notebook)["total"]
    assert "every one evaluated" in words(notebook, ".la-foot")
    tell(notebook, "explorer.tolerance = 0.1")
    wait_map(notebook, "(w) => w.querySelector('select[aria-label=error]').value === '0.1'")
    assert notebook.console_errors == []


FLAT = """
import torch, lossatlas as la
e = torch.eye(2)
objective = la.Objective.from_function(lambda t: 1000 + 1e-4 * torch.sin(300 * t[0]) * torch.cos(200 * t[1]), torch.zeros(2))
"""
SHOW_FLAT = (
    "explorer = la.explore(objective, plane=la.Plane(objective.theta, e[0], e[1]), height=360)\nexplorer"
)


def test_at_the_noise_floor_the_map_says_so_and_asks_no_deeper(lab: Lab) -> None:
    notebook = open_map(lab, FLAT, SHOW_FLAT)
    assert "at the noise floor of float32" in words(notebook, ".la-foot")
    assert stats(notebook)["evaluated"] < 500
