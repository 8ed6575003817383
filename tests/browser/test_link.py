"""Linked explorers: where one is moved, the others are drawn there in the same frame, in the same colours, along the same lines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import SMALL, ask, card, middle, stats, tell, wait_complete, wait_map

SHOW = """
import ipywidgets
objective = la.Objective(model, nn.functional.cross_entropy, (x, y))
shifted = la.Objective(model, lambda output, y: 3 * nn.functional.cross_entropy(output, y) + 1, (x, y))
plane = la.Plane.random(objective)
first, second = (la.Landscape(one, plane).explore(height=300, tolerance=0) for one in (objective, shifted))
link = la.link(first, second)
ipywidgets.HBox([first, second], layout=ipywidgets.Layout(display="grid", grid_template_columns="1fr 1fr"))
"""

COMPARE = """
landscape = la.Landscape(la.Objective(model, nn.functional.cross_entropy, (x[:32], y[:32])), plane, title="<b>train</b>")
comparison = la.compare([landscape, landscape.on((x[32:], y[32:]), title="validation")])
comparison
"""

# Notes, at each animation frame, where both maps look and what they have drawn.
RECORD = """() => {
    const seen = window.seen = [];
    const maps = [...document.querySelectorAll(".lossatlas")].slice(0, 2);
    const look = () => {
        if (window.seen !== seen) return;
        seen.push(maps.map(({lossatlas}) => [JSON.stringify(lossatlas.view()), lossatlas.stats().frames]));
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""
RECORDED = "() => { const {seen} = window; window.seen = null; return seen; }"


def open_linked(lab: Lab, *more: str) -> Notebook:
    notebook: Notebook = lab.open([SMALL, SHOW, *more], viewport=(1300, 1000))
    notebook.run_cell(0)
    notebook.run_cell(1)
    for at in (0, 1):
        wait_complete(notebook, at=at)
    wait_map(notebook, "(w) => w.hasAttribute('data-linked')", at=1)
    return notebook


def drag(notebook: Notebook, dx: float, dy: float, steps: int = 12, at: int = 0) -> list[Any]:
    """Drag a map; what both showed in each frame meanwhile."""
    x, y = middle(notebook, at)
    notebook.page.mouse.move(x, y)
    notebook.page.evaluate(RECORD)
    notebook.page.mouse.down()
    notebook.page.mouse.move(x + dx, y + dy, steps=steps)
    notebook.page.mouse.up()
    seen: list[Any] = notebook.page.evaluate(RECORDED)
    return seen


def views(notebook: Notebook) -> list[Any]:
    return [card(notebook, at).evaluate("w => w.lossatlas.view()") for at in (0, 1)]


def test_dragging_one_moves_the_other_in_the_same_frame(lab: Lab) -> None:
    notebook = open_linked(lab)
    assert views(notebook)[0] == views(notebook)[1]
    seen = drag(notebook, 60, -40)
    assert all(first[0] == second[0] for first, second in seen)
    assert len({first[0] for first, _ in seen}) > 3
    assert seen[-1][1][1] > seen[0][1][1]  # and was drawn
    seen = drag(notebook, -20, 10, at=1)  # either may lead
    assert all(first[0] == second[0] for first, second in seen)
    for at in (0, 1):
        wait_complete(notebook, at=at)
    one, other = stats(notebook, 0), stats(notebook, 1)
    assert one["isolines"] == other["isolines"] != []
    assert one["scale"] == other["scale"]
    expected = views(notebook)[0]
    tell(
        notebook,
        f"import time\nfor _ in range(500):\n    if first.view == second.view == {expected}: break\n    time.sleep(0.02)",
    )
    assert ask(notebook, "second.view") == expected
    assert notebook.console_errors == []


def test_colours_are_of_the_values_of_both(lab: Lab) -> None:
    notebook = open_linked(lab)
    same = """() => {
        const [one, other] = [...document.querySelectorAll(".lossatlas")].map((w) => w.lossatlas.stats());
        return JSON.stringify([one.domain, one.isolines]) === JSON.stringify([other.domain, other.isolines]);
    }"""
    notebook.page.wait_for_function(same)
    domain = stats(notebook)["domain"]
    assert stats(notebook)["isolines"] != []
    grids = "[one.landscape.grid(shape=(33, 33)) for one in (first, second)]"
    low, high = ask(notebook, f"(lambda g: [float(g[1].min()), float(g[0].max())])({grids})")
    assert domain[0] < low  # where only the first one is
    assert domain[1] > high  # and only the second
    tell(notebook, "second.domain = [0.5, 2.5]; second.scale = 'linear'; second.colormap = 'magma'")
    for at in (0, 1):
        wait_map(notebook, "(w, s) => s.domain[0] === 0.5 && s.domain[1] === 2.5", at=at)
    assert ask(notebook, "[first.domain, first.colormap]") == [[0.5, 2.5], "magma"]
    assert notebook.console_errors == []


def test_python_moves_both_also_back_to_where_they_were(lab: Lab) -> None:
    notebook = open_linked(lab)
    before = views(notebook)[0]
    drag(notebook, 80, 30)
    tell(notebook, "first.view = {'center': [0.25, 0.5], 'span': 0.5}")
    for at in (0, 1):
        wait_map(
            notebook, "(w) => w.lossatlas.view().span === 0.5 && w.lossatlas.view().center[1] === 0.5", at=at
        )
    # A kernel that still held the view from before would see nothing to tell the page.
    tell(notebook, "import time\nwhile second.view['span'] != 0.5: time.sleep(0.02)")
    tell(notebook, f"second.view = {before}")
    for at in (0, 1):
        wait_map(notebook, "(w, s, span) => w.lossatlas.view().span === span", before["span"], at=at)
    assert views(notebook) == [before, before]
    assert notebook.console_errors == []


def test_unlinked_each_goes_its_own_way(lab: Lab) -> None:
    notebook = open_linked(lab)
    tell(notebook, "link.unlink()")
    for at in (0, 1):
        wait_map(notebook, "(w) => !w.hasAttribute('data-linked')", at=at)
    before = views(notebook)
    drag(notebook, 60, -40)
    after = views(notebook)
    assert after[0] != before[0]
    assert after[1] == before[1]
    domains = [stats(notebook, at)["domain"] for at in (0, 1)]
    assert domains[0] != domains[1]
    assert notebook.console_errors == []


@pytest.mark.long
def test_a_group_moves_while_the_kernel_is_busy(lab: Lab) -> None:
    notebook = open_linked(lab, "import time; time.sleep(6)")
    notebook.run_cell(2, wait=False)
    card(notebook).scroll_into_view_if_needed()
    seen = drag(notebook, -50, 60)
    assert all(first[0] == second[0] for first, second in seen)
    assert len({first[0] for first, _ in seen}) > 3
    assert notebook.page.evaluate("() => window.testRuns[2]") == "running"
    notebook.wait_cell(2)
    for at in (0, 1):
        wait_complete(notebook, at=at)
    assert views(notebook)[0] == views(notebook)[1]
    assert notebook.console_errors == []


def test_a_comparison_shows_names_as_text_and_the_difference_in_colours_of_its_own(lab: Lab) -> None:
    notebook = lab.open([SMALL, SHOW.split("first, second")[0], COMPARE], viewport=(1300, 1000))
    for cell in range(3):
        notebook.run_cell(cell)
    for at in range(3):
        wait_complete(notebook, at=at)
        wait_map(notebook, "(w) => w.hasAttribute('data-linked')", at=at)
    names = [card(notebook, at).locator(".la-name").text_content() for at in range(3)]
    assert names == ["<b>train</b>", "validation", "validation − <b>train</b>"]
    low, high = stats(notebook, 2)["domain"]
    assert low == pytest.approx(-high)
    assert stats(notebook, 0)["domain"] == pytest.approx(stats(notebook, 1)["domain"])
    looks = [card(notebook, at).evaluate("w => JSON.stringify(w.lossatlas.view())") for at in range(3)]
    assert len(set(looks)) == 1
    tell(notebook, "comparison.explorers[1].turn_u = 30")
    hashes = [stats(notebook, at)["hash"] for at in range(3)]
    wait_map(notebook, "(w, s) => s.epoch > 1", at=2)
    wait_complete(notebook, at=2)
    assert stats(notebook, 2)["hash"] != hashes[2] or stats(notebook, 2)["epoch"] > 1
    assert ask(notebook, "[e.turn_u for e in comparison.shown]") == [30, 30, 30]
    assert notebook.console_errors == []
