"""Pages of all kinds around a map: zoomed, read from right to left, with names of any length and any characters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.bare import ESBUILD, SCENE, open_bare

pytestmark = pytest.mark.skipif(
    not ESBUILD.exists(), reason="js/node_modules is missing: run `npm ci` in js/"
)

DIALECT = {"signal": True, "buffers": "view"}
SHOW = """async ([scene, dialect]) => {
    window.host = await new Host(scene, dialect).open();
    await host.show();
}"""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    said: list[str] = []
    page = open_bare(chromium, said)
    yield page
    page.close()
    assert said == []


def show(page: Page, scene: dict[str, Any] = SCENE) -> None:
    page.evaluate(SHOW, [scene, DIALECT])
    wait(
        page,
        "(w, s) => w.dataset.state === 'live' && s.complete && w.querySelector('input[data-name=turn_u]') !== null",
    )


def wait(page: Page, condition: str, arg: Any = None) -> None:
    """Wait until `(w, s, arg) => …` of the page's map holds; s: its stats."""
    script = f"""arg => {{
        const w = document.querySelector(".lossatlas");
        return w?.lossatlas !== undefined && ({condition})(w, w.lossatlas.stats(), arg);
    }}"""
    page.wait_for_function(script, arg=arg, timeout=30_000)


SHARP = """(w) => {
    const canvas = w.querySelector(".la-canvas"), box = canvas.getBoundingClientRect();
    return canvas.width === Math.round(box.width * devicePixelRatio)
        && canvas.height === Math.round(box.height * devicePixelRatio);
}"""


def pointed_at(page: Page) -> None:
    """The pill and the lines say where the pointer is."""
    root = page.locator(".lossatlas")
    box = root.locator(".la-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + 0.75 * box["width"], box["y"] + 0.6 * box["height"]
    page.mouse.move(x, y)
    root.locator(".la-pill").first.get_by_text("exact").wait_for()
    view = root.evaluate("w => w.lossatlas.view()")
    a, b = (
        view["center"][0] + 0.25 * view["span"],
        view["center"][1] - 0.1 * view["span"] * box["height"] / box["width"],
    )
    shown = root.locator(".la-pill").first.inner_text().replace("\u2212", "-").split()
    assert [float(shown[1]), float(shown[3])] == pytest.approx([a, b], abs=0.01)
    for line, side, at in ((".la-hair-v", "x", x), (".la-hair-h", "y", y)):
        found = root.locator(line).bounding_box()
        assert found is not None
        assert found[side] == pytest.approx(at, abs=1.5)


def test_zoomed_to_twice_its_size_a_page_has_a_sharp_map_that_is_hit_where_it_is_pointed_at(
    page: Page,
) -> None:
    show(page)
    session = page.context.new_cdp_session(page)
    # What the browser's zoom does: half as many, twice as large CSS pixels. Then screens of other densities, on which the
    # map has the size that it had; without a change of the page's own, the emulation tells nobody.
    for width, height, factor in ((500, 450, 2), (500, 451, 1), (1000, 900, 1.25), (1000, 901, 1)):
        metrics = {"width": width, "height": height, "deviceScaleFactor": factor, "mobile": False}
        session.send("Emulation.setDeviceMetricsOverride", metrics)
        page.wait_for_function("factor => devicePixelRatio === factor", arg=factor)
        wait(page, SHARP)
        wait(page, "(w, s) => s.complete")
        pointed_at(page)


# Where the parts of a card lie, from the card's left and top, to whole pixels; texts by what they say.
PLACES = """w => {
    const from = w.getBoundingClientRect(), places = {};
    for (const part of w.querySelectorAll(".la-title, .la-area, .la-axes text, .la-bar-canvas, .la-bar-labels span, .la-buttons button, .la-slider, .la-state")) {
        const {left, top, width} = part.getBoundingClientRect();
        const name = `${part.getAttribute("class")} ${part.tagName === "BUTTON" || part.tagName === "text" ? part.textContent : ""}`;
        (places[name] ??= []).push([left - from.left, top - from.top, width].map(Math.round).join());
    }
    return places;
}"""

# Colours glide to their domain, and the labels of the bar with them.
SETTLED = """async (w, places) => {
    const read = eval(places);
    let [last, same] = ["", 0];
    while (same < 10) {
        await new Promise(requestAnimationFrame);
        const now = JSON.stringify(read(w));
        same = now === last ? same + 1 : 0;
        last = now;
    }
}"""


def test_a_page_that_is_read_from_right_to_left_does_not_mirror_the_map(page: Page) -> None:
    show(page)
    root = page.locator(".lossatlas")
    root.evaluate(SETTLED, PLACES)
    before = root.evaluate(PLACES)
    assert len(before) > 10
    page.evaluate("() => { document.body.dir = 'rtl'; document.documentElement.lang = 'ar'; }")
    assert root.evaluate(PLACES) == before
    pointed_at(page)
    slider = root.locator("input[data-name=turn_u]")
    box = slider.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    # Of −180 to 180, and the thumb has a width.
    assert float(slider.input_value()) == pytest.approx(90, abs=15)


EVIL = "<img src=x onerror=alert(1)><b>bold</b> &amp; "
LONG = {
    **SCENE,
    "title": EVIL + "title " * 100,
    "axes": [{"name": EVIL + "axis " * 100, "length": 0.31, "unit": EVIL}, {"name": EVIL + "across" * 100}],
    "fields": [{"name": "loss"}, {"name": EVIL + "field" * 100}],
    "turns": {"u": EVIL + "turn" * 100, "v": EVIL, "offset": EVIL + "along " * 100},
    "notes": [EVIL + "note " * 100],
}
# Parts that reach out of the card and are not cut where it ends.
OUTSIDE = """w => {
    const card = w.getBoundingClientRect(), out = [];
    for (const part of w.querySelectorAll("*")) {
        const {left, right, width} = part.getBoundingClientRect();
        if (width === 0 || (left >= card.left - 1 && right <= card.right + 1)) continue;
        let cut = false;
        for (let at = part.parentElement; at && w.contains(at); at = at.parentElement) {
            const box = at.getBoundingClientRect();
            cut ||= getComputedStyle(at).overflowX !== "visible" && box.left >= card.left - 1 && box.right <= card.right + 1;
        }
        if (!cut) out.push(part.outerHTML.slice(0, 200));
    }
    return out;
}"""


@pytest.mark.parametrize("width", [1100, 700, 420])
def test_names_are_text_and_are_cut_where_the_card_has_no_room(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    show(page, LONG)
    root = page.locator(".lossatlas")
    assert root.locator("img, .la-title b").count() == 0
    assert root.locator(".la-title").text_content() == LONG["title"]
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert root.evaluate(OUTSIDE) == []


def test_a_map_made_where_there_is_no_room_is_drawn_when_there_is(page: Page) -> None:
    page.evaluate("() => { document.querySelector('main').style.display = 'none'; }")
    page.evaluate(SHOW, [SCENE, DIALECT])
    wait(page, "(w) => w.dataset.state === 'live'")
    assert page.evaluate("() => document.querySelector('.lossatlas').lossatlas.stats().frames") == 0
    assert page.evaluate("() => host.sent.filter(({k}) => k === 'want').length") == 0
    page.evaluate("() => { document.querySelector('main').style.display = ''; }")
    wait(page, "(w, s) => s.complete")
    wait(page, SHARP)
