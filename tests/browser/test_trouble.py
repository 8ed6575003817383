"""Models that change, raise or have no finite loss, and pages that send nonsense: the map says so, and lives."""

from __future__ import annotations

import math

import numpy as np

from tests.browser.lab import PANEL, Lab, Notebook
from tests.browser.maps import (
    COARSE,
    SMALL,
    ask,
    assert_draws,
    card,
    drawn,
    exact,
    middle,
    open_map,
    stats,
    wait_complete,
    wait_map,
    words,
)

STALE = ".la-note:not(.la-error)"


def test_a_model_that_was_trained_on_is_noticed_and_mapped_again_on_demand(lab: Lab) -> None:
    notebook = open_map(lab, more=("train(30)", "explorer.refresh()"))
    first, old = stats(notebook)["hash"], drawn(notebook, COARSE)
    note = card(notebook).locator(STALE)
    assert note.is_hidden()
    notebook.run_cell(2)
    note.get_by_text("The model has changed since this map.").wait_for()
    np.testing.assert_array_equal(drawn(notebook, COARSE), old)  # the map is still the one of the old weights
    note.get_by_role("button", name="Refresh").click()
    wait_map(notebook, "(w, s, first) => s.hash !== first", first)
    note.wait_for(state="hidden")
    wait_complete(notebook)
    assert_draws(notebook, COARSE, exact(notebook, COARSE))
    now = ask(notebook, "nn.functional.cross_entropy(model(x), y).item()")
    np.testing.assert_allclose(
        drawn(notebook, [(0.0, 0.0)])[0], now, rtol=1e-5
    )  # the loss in float32 by the cell
    assert np.abs(drawn(notebook, COARSE) - old).max() > 1e-3

    second = stats(notebook)["hash"]
    notebook.run_cell(2)
    note.get_by_text("The model has changed").wait_for()
    notebook.run_cell(3)
    wait_map(notebook, "(w, s, second) => s.hash !== second", second)
    wait_complete(notebook)
    now = ask(notebook, "nn.functional.cross_entropy(model(x), y).item()")
    np.testing.assert_allclose(drawn(notebook, [(0.0, 0.0)])[0], now, rtol=1e-5)
    note.wait_for(state="hidden")
    assert notebook.console_errors == []


# A plane over two coordinates of a function, so that a test can say where what happens.
PLANE = """
def shown(f, **options):
    theta = torch.zeros(4, dtype=torch.float64)
    objective = la.Objective.from_function(f, theta)
    e = torch.eye(4, dtype=torch.float64)
    return la.explore(objective, plane=la.Plane(theta, e[0], e[1]), height=360, tolerance=0, **options)
"""
RAISES = """
def f(theta):
    if theta[0] > 0.4:
        raise RuntimeError("the solver diverged")
    return theta[0] ** 2 + theta[1] ** 2 + 1
explorer = shown(f, scale="linear")
explorer
"""
NOT_FINITE = """
def f(theta):
    a, b = theta[0], theta[1]
    return torch.where(a > 0.4, torch.log(b * 0 - 1), torch.where(a < -0.4, 1 / (b * 0), a ** 2 + b ** 2 + 1))
explorer = shown(f, scale="linear")
explorer
"""


def test_a_model_that_raises_in_a_part_of_the_plane_is_quoted_and_the_map_lives(lab: Lab) -> None:
    notebook = lab.open([SMALL + PLANE, RAISES], viewport=(1100, 1000))
    notebook.run_all()
    card(notebook).scroll_into_view_if_needed()
    notebook.wait_state("live")
    error = card(notebook).locator(".la-error")
    error.get_by_text("the solver diverged").wait_for()
    # The colours are those of what there is: a from the left edge of the frame to where it raises.
    wait_map(
        notebook,
        "(w, s) => s.domain[0] === 1 && s.domain[1] > 3 && s.domain[1] < 2 + (w.lossatlas.view().span / 2) ** 2",
    )
    card(notebook).evaluate("w => w.lossatlas.setView({center: [-0.5, 0.5], span: 0.5})")
    wait_complete(notebook)
    points = [(-0.5, 0.5), (-0.375, 0.625)]
    assert_draws(notebook, points, exact(notebook, points))
    error.get_by_role("button", name="dismiss").click()
    assert error.is_hidden()
    assert notebook.widget().first.get_attribute("data-state") == "live"
    assert notebook.console_errors == []


def test_losses_that_are_not_finite_are_hatched_counted_and_read(lab: Lab) -> None:
    notebook = lab.open([SMALL + PLANE, NOT_FINITE], viewport=(1100, 1000))
    notebook.run_all()
    wait_complete(notebook)
    assert card(notebook).locator(".la-bad").get_by_text("not finite").is_visible()
    values = drawn(notebook, [(0.75, 0.0), (-0.75, 0.0)])
    assert not np.isfinite(values).any()
    assert_draws(notebook, [(0.0, 0.0), (0.25, -0.5)], np.array([1.0, 1.3125]))
    x, y = middle(notebook)
    scale = notebook.eval_widget("w => w.querySelector('.la-canvas').clientWidth / w.lossatlas.view().span")
    pill = card(notebook).locator(".la-pill")
    notebook.page.mouse.move(x + 0.7 * scale, y)
    pill.get_by_text("loss NaN exact").wait_for()
    notebook.page.mouse.move(x - 0.7 * scale, y)
    pill.get_by_text("loss ∞ exact").wait_for()
    assert math.isnan(float(ask(notebook, "str(explorer.landscape.evaluate(0.75, 0.0))")))
    assert notebook.console_errors == []


# Junk on the comm of the widget, as a script in the page could send it.
SEND = f"""(contents) => {{
    const {{kernel}} = {PANEL}.sessionContext.session;
    const comms = [...kernel._comms.values()].filter((comm) => comm.targetName === "jupyter.widget");
    for (const comm of comms.filter((comm) => comm.commId === window.testComm))
        for (const content of contents) comm.send({{method: "custom", content}});
    return comms.length;
}}"""

HOSTILE = [
    None,
    17,
    "hello",
    [],
    {},
    {"v": 1},
    {"v": 2, "k": "hello", "client": "x"},
    {"v": 1, "k": "explode", "client": "x"},
    {"v": 1, "k": "hello", "client": {"a": 1}},
    {"v": 1, "k": "probe", "client": "x", "req": 1, "epoch": 1, "at": [None, 1]},
    {"v": 1, "k": "probe", "client": "x", "req": 2, "epoch": 1, "at": [1e300, 1e300]},
    {"v": 1, "k": "probe", "client": "x", "req": 3, "epoch": 99, "at": [0, 0]},
    {"v": 1, "k": "want", "client": "x", "epoch": 1, "rev": 1, "tiles": [[0, 0, 0, 2]] * 100_000},
    {
        "v": 1, "k": "want", "client": "x", "epoch": 1, "rev": 1, "fields": ["loss"], "credit": 64, "seen": 0,
        "view": {"center": [0, 0], "span": 1, "width": 100, "height": 100}, "tiles": [[4000, 1, 1, 2]],
    },
]  # fmt: skip


def say(notebook: Notebook, contents: list[object]) -> None:
    notebook.page.evaluate("id => { window.testComm = id; }", ask(notebook, "explorer.comm.comm_id"))
    assert notebook.page.evaluate(SEND, contents) > 0


def test_nonsense_from_a_page_is_answered_and_changes_nothing(lab: Lab) -> None:
    listen = """
heard = []
send = explorer.send
explorer.send = lambda content, buffers=None: (heard.append(content), send(content, buffers))[1]
"""
    notebook = open_map(lab, more=(listen,))
    notebook.run_cell(2)
    before = stats(notebook)
    say(notebook, HOSTILE)
    wait = "len([m for m in heard if m['k'] == 'error'])"
    for _ in range(100):
        if ask(notebook, wait) >= len(HOSTILE):
            break
    answers = ask(notebook, "[m for m in heard if m['k'] == 'error']")
    assert len(answers) == len(HOSTILE)
    assert {answer["code"] for answer in answers} <= {"bad_request", "stale_epoch", "eval_failed"}
    assert all(answer["text"].endswith(".") for answer in answers)
    after = stats(notebook)
    assert (after["hash"], after["epoch"]) == (before["hash"], before["epoch"])
    notebook.page.mouse.dblclick(*middle(notebook))
    wait_complete(notebook)
    # What names no page is answered to all: it can be read, and put away.
    assert (
        words(notebook, ".la-error span") == "A message is a NoneType. Send a mapping with v, k and client."
    )
    card(notebook).get_by_role("button", name="dismiss").click()
    card(notebook).locator(".la-error").wait_for(state="hidden")
    assert_draws(notebook, [(0.0, 0.0)], exact(notebook, [(0.0, 0.0)]))
    assert notebook.console_errors == []
