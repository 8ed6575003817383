"""The sliders: the map follows the hand, never shows a plane that has gone, and shows known ones at once."""

from __future__ import annotations

import numpy as np

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import (
    COARSE,
    ask,
    assert_draws,
    card,
    exact,
    open_map,
    slider,
    stats,
    tell,
    wait_complete,
    wait_map,
)

# Notes, at each animation frame, which scene is shown and what is drawn at the nodes that every first pass holds.
RECORD = """(w, points) => {
    const seen = window.seen = [];
    const look = () => {
        if (window.seen !== seen) return;
        const {hash} = w.lossatlas.stats();
        seen.push([hash, points.map(([a, b]) => w.lossatlas.valueAt(a, b))]);
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""
RECORDED = "() => { const {seen} = window; window.seen = null; return seen; }"

# What the engine says of each plane that the slider can have passed.
PLANES = """
from lossatlas.geometry import Turn
def planes(points):
    found = {}
    for degrees in range(0, 181):
        landscape = explorer.landscape.turned(Turn(degrees, 0, 0.0))
        found[landscape.scene.hash] = landscape.evaluate(*zip(*points)).tolist()
    return found
"""


def take(notebook: Notebook, name: str) -> None:
    """Take the slider's thumb where it stands: in the middle."""
    box = slider(notebook, name).bounding_box()
    assert box is not None
    notebook.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    notebook.page.mouse.down()


def drag(notebook: Notebook, name: str, share: float, steps: int = 8) -> None:
    """Drag the thumb in the hand to a share of the way from the middle to the right end."""
    box = slider(notebook, name).bounding_box()
    assert box is not None
    x, y = box["x"] + (1 + share) * box["width"] / 2, box["y"] + box["height"] / 2
    notebook.page.mouse.move(x, y, steps=steps)


def test_the_map_follows_a_dragged_slider_and_shows_no_plane_that_has_gone(lab: Lab) -> None:
    notebook = open_map(lab)
    tell(notebook, PLANES)
    first = stats(notebook)["hash"]
    notebook.eval_widget(RECORD, COARSE)
    take(notebook, "turn_u")
    drag(notebook, "turn_u", 0.2)
    wait_map(notebook, "(w, s, first) => s.hash !== first", first)
    drag(notebook, "turn_u", 0.4, steps=20)
    degrees = int(slider(notebook, "turn_u").input_value())
    assert 50 < degrees < 90
    # Still held: the newest plane is shown, coarse or not.
    newest = ask(notebook, f"explorer.landscape.turned(Turn({degrees}, 0, 0.0)).scene.hash")
    wait_map(notebook, "(w, s, newest) => s.hash === newest", newest)
    notebook.page.mouse.up()
    wait_complete(notebook)
    assert ask(notebook, "[explorer.turn_u, explorer.landscape.scene.hash]") == [degrees, newest]
    fine = [(a * 13 / 16, b * 11 / 16) for a, b in COARSE]
    assert_draws(notebook, fine, exact(notebook, fine))

    recorded = notebook.page.evaluate(RECORDED)
    planes = {key: np.array(values) for key, values in ask(notebook, f"planes({COARSE})").items()}
    degrees_of = {key: degrees for degrees, key in enumerate(planes)}
    before = 0
    for frame, (key, values) in enumerate(recorded):
        drawn = min(planes, key=lambda other: np.abs(planes[other] - np.array(values, dtype=float)).max())
        assert np.abs(planes[drawn] - np.array(values, dtype=float)).max() < 1e-5, (
            f"Frame {frame} mixes planes."
        )
        # The slider only went up. Between a message and the next frame, the page reads of the plane to be drawn.
        assert degrees_of[drawn] >= max(before, degrees_of[key]), (
            f"Frame {frame} draws a plane that has gone."
        )
        before = degrees_of[drawn]
    assert len({key for key, _ in recorded}) >= 3

    # The same hand chooses what u turns towards, keeps the plane, and goes back to the one before.
    card(notebook).locator('select[data-name="u_to"]').select_option("gradient")
    wait_map(notebook, "(w, s, newest) => s.hash !== newest", newest)
    wait_complete(notebook)
    mixed = ask(notebook, f"explorer.landscape.turned(Turn({degrees}, u_to='gradient')).scene.hash")
    assert stats(notebook)["hash"] == mixed
    assert_draws(notebook, fine, exact(notebook, fine))
    bookmark = card(notebook).locator("[aria-label=bookmark]")
    bookmark.fill("uphill")
    bookmark.press("Enter")
    card(notebook).locator("[aria-label='plane before']").click()
    wait_map(notebook, "(w, s, newest) => s.hash === newest", newest)
    bookmark.fill("uphill")
    bookmark.press("Enter")
    wait_map(notebook, "(w, s, mixed) => s.hash === mixed", mixed)
    assert ask(notebook, "[explorer.u_to, *explorer.bookmarks]") == ["gradient", "uphill"]
    assert notebook.console_errors == []


def test_a_slider_dragged_back_shows_what_was_known_without_a_message(lab: Lab) -> None:
    notebook = open_map(lab)
    first = stats(notebook)["hash"]
    expected = exact(notebook, COARSE)
    take(notebook, "turn_u")
    drag(notebook, "turn_u", 0.3)
    notebook.page.mouse.up()
    wait_map(notebook, "(w, s, first) => s.hash !== first", first)
    wait_complete(notebook)
    # In one task of the page, in which no message can be read.
    before, read, after = notebook.eval_widget(
        """async (w, points) => {
            const before = w.lossatlas.stats();
            const input = w.querySelector('input[data-name="turn_u"]');
            input.value = "0";
            input.dispatchEvent(new Event("input", {bubbles: true}));
            const read = points.map(([a, b]) => w.lossatlas.valueAt(a, b));
            for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
            return [before, read, w.lossatlas.stats()];
        }""",
        COARSE,
    )
    np.testing.assert_allclose(read, expected, atol=1e-5)
    assert (after["hash"], after["complete"]) == (first, True)
    assert_draws(notebook, COARSE, expected)
    wait_map(notebook, "(w, s, epoch) => s.epoch > epoch", before["epoch"])
    assert ask(notebook, "explorer.landscape.scene.hash") == first
    assert_draws(notebook, COARSE, expected)
    assert notebook.console_errors == []


def test_the_panel_and_python_move_the_same_plane(lab: Lab) -> None:
    notebook = open_map(lab, more=("explorer.panel",))
    first = stats(notebook)["hash"]
    notebook.run_cell(2)
    handle = notebook.cell(2).locator(".noUi-handle").first
    handle.focus()
    notebook.page.keyboard.press("ArrowRight")
    wait_map(notebook, "(w, s, first) => s.hash !== first", first)
    assert slider(notebook, "turn_u").input_value() == "1"

    slider(notebook, "turn_u").focus()
    notebook.page.keyboard.press("ArrowRight")
    notebook.cell(2).locator(".widget-readout").first.get_by_text("2", exact=True).wait_for()

    tell(notebook, "explorer.turn_u = 30; explorer.offset = 0.25")
    wait_map(notebook, "(w) => w.querySelector('input[data-name=turn_u]').value === '30'")
    notebook.cell(2).locator(".widget-readout").first.get_by_text("30", exact=True).wait_for()
    # Not the plane that the kernel shows just now: that may be the one between the two.
    tell(notebook, "from lossatlas.geometry import Turn")
    newest = ask(notebook, "explorer.landscape.turned(Turn(30, 0, 0.25)).scene.hash")
    wait_map(notebook, "(w, s, newest) => s.hash === newest", newest)
    wait_complete(notebook)
    assert_draws(notebook, COARSE, exact(notebook, COARSE))
    assert ask(notebook, "explorer.scene['hash']") == newest

    home = notebook.eval_widget("w => w.lossatlas.view().span")
    tell(notebook, "explorer.view = {'center': [0.25, -0.5], 'span': 0.5}")
    wait_map(notebook, "(w, s) => w.lossatlas.view().span === 0.5 && w.lossatlas.view().center[0] === 0.25")
    wait_complete(notebook)
    # And the page tells Python where it looks.
    card(notebook).focus()
    notebook.page.keyboard.press("0")
    wait_map(notebook, "(w, s, home) => w.lossatlas.view().span === home", home)
    tell(
        notebook,
        f"""
import time
while explorer.view["span"] != {home}: time.sleep(0.02)
""",
    )
    assert notebook.console_errors == []
