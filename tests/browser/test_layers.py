"""Layers: each is switched by hand and by key, shows what the engine says, and takes words as words."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import (
    SHOW_SMALL,
    ask,
    canvas_box,
    card,
    middle,
    open_map,
    tell,
    wait_complete,
    wait_map,
)

LAYERS = ("isolines", "relief", "arrows", "profiles", "marks", "paths", "critical", "doubt")

# Something for every layer to show.
FEATURES = """
import numpy as np
explorer.mark(0.5, 0.25, "<img src=x onerror=alert(1)>")
explorer.mark(-0.5, 0.5, "a bowl", "minimum")
turn = np.linspace(0, 6, 200)
explorer.paths = [{"name": "<b>run</b>", "points": np.stack([0.6 * np.cos(turn), 0.5 * np.sin(turn)], 1),
                   "distance": np.linspace(0.4, 0, 200)}]
"""


def layered(lab: Lab, show: str = SHOW_SMALL) -> Notebook:
    notebook = open_map(lab, show=show)
    wait_map(notebook, "(w) => w.querySelector('.la-layers') !== null")
    return notebook


def open_menu(notebook: Notebook) -> None:
    card(notebook).locator(".la-layers").click()
    card(notebook).locator(".la-shelf").wait_for()


def wait_shown(notebook: Notebook, layers: list[str]) -> None:
    """Until these layers are over the map, from it upwards."""
    wait_map(
        notebook,
        """(w, s, [all, layers]) => [...w.querySelectorAll("svg.la-layer")].map((e) => e.classList[1].slice(3))
           .filter((name) => all.includes(name)).join() === layers.join()""",
        [LAYERS, layers],
    )


def wait_layers(notebook: Notebook, layers: list[str]) -> None:
    """Until the trait holds these layers."""
    notebook.page.wait_for_timeout(0)
    for _ in range(100):
        if ask(notebook, "explorer.layers") == layers:
            return
        notebook.page.wait_for_timeout(50)
    raise AssertionError(f"explorer.layers is {ask(notebook, 'explorer.layers')}, not {layers}")


def test_each_layer_is_switched_by_the_mouse_and_the_trait_follows(lab: Lab) -> None:
    notebook = layered(lab)
    tell(notebook, FEATURES + "explorer.layers = []")
    wait_map(notebook, "(w) => w.querySelector('.la-layers b').textContent === 'none'")
    wait_shown(notebook, [])
    open_menu(notebook)
    for at, name in enumerate(LAYERS):
        card(notebook).locator(f'[data-layer="{name}"]').click()
        wait_layers(notebook, list(LAYERS[: at + 1]))
    wait_shown(notebook, ["doubt", "arrows", "paths", "profiles", "critical", "marks"])
    assert card(notebook).locator(".la-strip:visible").count() == 2
    for at, name in enumerate(LAYERS):
        card(notebook).locator(f'[data-layer="{name}"]').click()
        wait_layers(notebook, list(LAYERS[at + 1 :]))
    wait_shown(notebook, [])
    assert card(notebook).locator(".la-strip:visible").count() == 0
    assert notebook.console_errors == []


def test_the_menu_is_worked_by_the_keyboard_alone(lab: Lab) -> None:
    notebook = layered(lab)
    tell(notebook, "explorer.layers = []")
    button = card(notebook).locator(".la-layers")
    button.focus()
    keys = notebook.page.keyboard
    keys.press("ArrowDown")
    menu = card(notebook).locator(".la-shelf")
    menu.wait_for()
    assert button.get_attribute("aria-expanded") == "true"
    focused = "() => document.activeElement.dataset.layer ?? document.activeElement.ariaLabel"
    assert notebook.page.evaluate(focused) == "isolines"
    for at, name in enumerate(LAYERS):
        assert notebook.page.evaluate(focused) == name
        keys.press("Space" if at % 2 else "Enter")
        wait_layers(notebook, list(LAYERS[: at + 1]))
        keys.press("ArrowDown")
        if name == "relief":
            assert notebook.page.evaluate(focused) == "strength of the relief"
            keys.press("ArrowLeft")
            keys.press("ArrowDown")
    assert ask(notebook, "explorer.relief") == pytest.approx(0.45)
    keys.press("Home")
    assert notebook.page.evaluate(focused) == "isolines"
    keys.press("Escape")
    menu.wait_for(state="hidden")
    assert button.get_attribute("aria-expanded") == "false"
    assert notebook.page.evaluate("() => document.activeElement.classList.contains('la-layers')")
    assert notebook.console_errors == []


@pytest.mark.long
def test_a_layer_without_anything_to_show_is_listed_and_says_why(lab: Lab) -> None:
    notebook = layered(lab)
    open_menu(notebook)
    rows = card(notebook).locator(".la-shelf .la-dim")
    assert rows.evaluate_all("rows => rows.map((row) => row.querySelector('input').dataset.layer)") == [
        "marks",
        "paths",
        "critical",
    ]
    assert "explorer.paths" in rows.nth(1).get_attribute("title")
    notebook.page.keyboard.press("Escape")
    tell(notebook, FEATURES)
    wait_map(notebook, "(w) => w.querySelector('[data-path]') !== null")
    open_menu(notebook)
    assert card(notebook).locator(".la-shelf .la-dim").count() == 0


def test_the_strips_show_the_values_of_the_map(lab: Lab) -> None:
    notebook = layered(lab)
    before = canvas_box(notebook)
    tell(notebook, "explorer.layers = ['isolines', 'profiles']")
    wait_map(notebook, "(w) => w.lossatlas.profiles()?.at !== undefined")
    wait_complete(notebook)
    after = canvas_box(notebook)
    assert (before["width"] - after["width"], before["height"] - after["height"]) == (84, 0)
    held = (
        "w => {const {at, a, b} = w.lossatlas.profiles(); return {at, a: [...a.values], b: [...b.values]};}"
    )
    # Closer than before: where there are finer tiles than those that are drawn, a value is read from them.
    notebook.page.wait_for_timeout(600)  # the narrower map tells where it looks, which would be the last word
    tell(notebook, "explorer.view = {'center': [0.2, 0.1], 'span': 0.5}")
    wait_map(notebook, "(w, s) => w.lossatlas.view().span === 0.5 && s.complete")
    assert notebook.eval_widget(held)["at"] == [0.2, 0.1]
    box = canvas_box(notebook)
    notebook.page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    wait_map(notebook, "(w, s) => w.lossatlas.profiles().at[0] !== 0.2 && s.complete")
    found = notebook.eval_widget(held)
    assert found["at"] != notebook.eval_widget("w => w.lossatlas.view().center")
    view = notebook.eval_widget("w => w.lossatlas.view()")
    spans = (view["span"], view["span"] * box["height"] / box["width"])
    for axis, name in enumerate("ab"):
        along = np.linspace(-0.5, 0.5, len(found[name])) * spans[axis] + view["center"][axis]
        points = [(x, found["at"][1]) if axis == 0 else (found["at"][0], x) for x in along[1:-1:7]]
        read = card(notebook).evaluate(
            "(w, points) => points.map(([a, b]) => w.lossatlas.valueAt(a, b))", points
        )
        np.testing.assert_allclose(found[name][1:-1:7], read, rtol=1e-9)
    notebook.page.mouse.move(box["x"] - 30, box["y"] - 30)
    assert notebook.eval_widget(held)["at"] == found["at"]
    assert card(notebook).locator("svg.la-profiles").is_visible()
    assert notebook.console_errors == []


def comes_to(notebook: Notebook, expression: str, wanted: object) -> None:
    """Wait until the kernel has heard it: traits travel beside what a test runs."""
    for _ in range(50):
        if (found := ask(notebook, expression)) == wanted:
            return
        notebook.page.wait_for_timeout(100)
    assert found == wanted


def test_a_note_is_written_on_the_map_and_arrives_as_it_was_written(lab: Lab) -> None:
    notebook = layered(lab)
    x, y = middle(notebook)
    notebook.page.mouse.move(x + 60, y - 30)
    card(notebook).focus()
    keys = notebook.page.keyboard
    keys.press("n")
    keys.type("<i>n</i> & c")
    keys.press("Enter")
    mark = card(notebook).locator(".la-mark")
    mark.wait_for()
    assert mark.locator("text").inner_html() == "&lt;i&gt;n&lt;/i&gt; &amp; c"
    pixel = notebook.eval_widget("w => w.lossatlas.view().span") / canvas_box(notebook)["width"]
    tell(notebook, "import time\nwhile not explorer.marks: time.sleep(0.02)")
    (note,) = ask(notebook, "explorer.marks")
    assert (note["a"], note["b"]) == (pytest.approx(60 * pixel), pytest.approx(30 * pixel))
    assert (note["text"], note["kind"]) == ("<i>n</i> & c", "note")
    assert note["scene"] == ask(notebook, "explorer.landscape.scene.hash")

    keys.press("n")
    keys.type("not kept")
    keys.press("Escape")
    assert len(ask(notebook, "explorer.marks")) == 1
    mark.focus()
    keys.press("Enter")
    keys.press("Control+A")
    keys.type("a ridge")
    keys.press("Enter")
    card(notebook).get_by_label("note: a ridge").wait_for()
    comes_to(notebook, "[each['text'] for each in explorer.marks]", ["a ridge"])
    mark.focus()
    keys.press("Delete")
    mark.wait_for(state="detached")
    comes_to(notebook, "explorer.marks", [])
    assert notebook.console_errors == []


@pytest.mark.long
def test_what_was_marked_on_another_plane_waits_for_it(lab: Lab) -> None:
    notebook = layered(lab)
    tell(notebook, FEATURES)
    marks = card(notebook).locator(".la-mark")
    wait_map(notebook, "(w) => w.querySelectorAll('.la-mark').length === 2")
    assert marks.locator("title").all_text_contents()[1] == "note: <img src=x onerror=alert(1)>"
    # Names are text, in the legend too.
    assert card(notebook).locator(".la-legend").inner_text().split("\n") == ["<b>run</b>", "minimum"]
    tell(notebook, "explorer.turn_u = 30")
    wait_map(notebook, "(w) => w.querySelectorAll('.la-mark, [data-path]').length === 0")
    assert card(notebook).locator(".la-legend").is_hidden()
    tell(notebook, "explorer.back()")
    wait_map(notebook, "(w) => w.querySelectorAll('.la-mark, [data-path]').length === 3")
    assert notebook.console_errors == []


def test_a_path_says_where_it_is_under_the_pointer(lab: Lab) -> None:
    notebook = layered(lab)
    tell(notebook, FEATURES)
    wait_map(notebook, "(w) => w.querySelector('[data-path]') !== null")
    scale = canvas_box(notebook)["width"] / notebook.eval_widget("w => w.lossatlas.view().span")
    x, y = middle(notebook)
    notebook.page.mouse.move(x + 0.6 * scale, y)
    tip = card(notebook).locator(".la-tip")
    tip.wait_for()
    assert re.fullmatch(r"<b>run</b> · step 0 · map says [\d.]+ · 0\.40 off the plane", tip.inner_text())
    notebook.page.mouse.move(x, y)
    tip.wait_for(state="hidden")
    assert notebook.console_errors == []


TABLE = """w => [...w.querySelectorAll("dialog tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent))"""


def number(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def test_the_table_holds_what_the_map_draws(lab: Lab) -> None:
    notebook = layered(lab)
    tell(notebook, FEATURES)
    wait_map(notebook, "(w) => w.querySelectorAll('.la-mark').length === 2")
    # It is the first thing that the keyboard comes to in the card.
    card(notebook).focus()
    notebook.page.keyboard.press("Tab")
    assert card(notebook).locator(".la-skip").is_visible()
    notebook.page.keyboard.press("Enter")
    card(notebook).locator("dialog.la-table").wait_for()
    rows: list[list[str]] = card(notebook).evaluate(TABLE)
    names = ["centre", "lowest in sight", "highest in sight", "path, start", "path, end", "minimum", "note"]
    assert [row[0] for row in rows] == names
    assert rows[-1][5] == "<img src=x onerror=alert(1)>"
    places = [(number(a), number(b)) for _, a, b, *_ in rows]
    drawn = card(notebook).evaluate("(w, ps) => ps.map(([a, b]) => w.lossatlas.valueAt(a, b))", places)
    values = [number(row[3]) for row in rows]
    np.testing.assert_allclose(values, drawn, rtol=1e-2)  # places have the digits that a pixel tells apart
    grid = ask(notebook, "explorer.landscape.grid(shape=(33, 33)).tolist()")
    assert values[1] <= np.min(grid) + 1e-4
    assert values[2] >= np.max(grid) - 1e-4
    assert values[0] == pytest.approx(ask(notebook, "explorer.landscape.evaluate(0.0, 0.0).item()"), rel=1e-4)

    tell(notebook, "explorer.mark(0.1, 0.2, 'new')")
    wait_map(notebook, "(w) => w.querySelector('dialog tbody').textContent.includes('new')")
    notebook.page.keyboard.press("Escape")
    card(notebook).locator("dialog.la-table").wait_for(state="hidden")
    assert notebook.console_errors == []


def doubts(notebook: Notebook) -> dict[str, Any]:
    """The d of each region by its kind, those that are empty left out."""
    regions = card(notebook).evaluate(
        "w => [...w.querySelectorAll('[data-doubt]')].map((e) => [e.dataset.doubt, e.getAttribute('d')])"
    )
    return {kind: d for kind, d in regions if d}


def test_what_is_not_evaluated_has_a_pattern_and_an_entry_in_the_legend(lab: Lab) -> None:
    notebook = layered(lab, SHOW_SMALL.replace("tolerance=0", 'tolerance=0.01, layers=["doubt"]'))
    assert "interpolated" in doubts(notebook)
    assert "interpolated" in card(notebook).locator(".la-legend").inner_text()
    pattern = "w => w.querySelector('.la-doubt pattern').getAttribute('patternTransform')"
    before = card(notebook).evaluate(pattern)
    x, y = middle(notebook)
    notebook.page.mouse.move(x, y)
    notebook.page.mouse.down()
    notebook.page.mouse.move(x + 5, y + 3, steps=2)
    notebook.page.mouse.up()
    moved = "(w, s, [pattern, before]) => eval(pattern)(w) !== before"
    wait_map(notebook, moved, [pattern, before])
    first, second = (
        [float(part) for part in text[10:-1].split()] for text in (before, card(notebook).evaluate(pattern))
    )
    assert [(b - a) % 16 for a, b in zip(first, second, strict=True)] == [
        pytest.approx(5, abs=0.11),
        pytest.approx(3, abs=0.11),
    ]
    tell(notebook, "explorer.tolerance = 0")
    wait_complete(notebook)
    wait_map(notebook, "(w) => [...w.querySelectorAll('[data-doubt]')].every((e) => !e.getAttribute('d'))")
    assert doubts(notebook) == {}
    assert json.dumps(notebook.console_errors) == "[]"
