"""What hosts that cannot be run here (VS Code, Colab) hand to a front-end module, in both dialects and three kinds of buffers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.bare import ESBUILD, SCENE, open_bare

pytestmark = pytest.mark.skipif(
    not ESBUILD.exists(), reason="js/node_modules is missing: run `npm ci` in js/"
)

LIVE = """count => {
    const all = [...document.querySelectorAll(".lossatlas")];
    return all.length === count && all.every((w) => w.dataset.state === "live" && w.lossatlas.stats().complete);
}"""
PICTURE = """w => {
    const {width, height} = w.querySelector(".la-canvas");
    const copy = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
    copy.drawImage(w.querySelector(".la-canvas"), 0, 0);
    return new Set(new Uint32Array(copy.getImageData(0, 0, width, height).data.buffer)).size;
}"""


def wait_live(page: Page, count: int) -> None:
    page.wait_for_function(LIVE, arg=count, timeout=30_000)


@pytest.mark.parametrize(
    ("signal", "buffers"),
    [
        *((True, "view"), (False, "bytes"), (True, "array")),
        *(
            pytest.param(*one, marks=pytest.mark.long)
            for one in ((False, "view"), (True, "bytes"), (False, "array"))
        ),
    ],
)
def test_the_bundle_needs_no_more_of_a_host_than_the_contract(
    chromium: Browser, signal: bool, buffers: str
) -> None:
    said: list[str] = []
    page = open_bare(chromium, said)
    dialect = {"signal": signal, "buffers": buffers}
    page.evaluate(
        """async ([scene, dialect]) => {
            window.host = await new Host(scene, dialect).open();
            window.views = [await host.show(), await host.show()];
        }""",
        [SCENE, dialect],
    )
    wait_live(page, 2)
    maps = page.locator(".lossatlas")
    for at in range(2):
        maps.nth(at).scroll_into_view_if_needed()
        wait_live(page, 2)
        assert maps.nth(at).evaluate(PICTURE) > 20
        # Bilinear between points 1/64 apart at level −1: a² + 2b² leaves at most 3 · (1/64)² / 4.
        value = maps.nth(at).evaluate("w => w.lossatlas.valueAt(0.31, -0.7)")
        assert value == pytest.approx(1 + 0.31**2 + 2 * 0.7**2, abs=2e-4)
    # What is not in the bundle has come as well.
    maps.first.locator("input[data-name=turn_u]").wait_for()

    first = maps.first
    first.scroll_into_view_if_needed()
    box = first.locator(".la-canvas").bounding_box()
    assert box is not None
    span = first.evaluate("w => w.lossatlas.view().span")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    first.evaluate("w => w.focus()")
    page.mouse.wheel(0, -240)
    page.wait_for_function(
        "span => document.querySelector('.lossatlas').lossatlas.view().span < 0.6 * span", arg=span
    )
    wait_live(page, 2)
    assert page.evaluate("() => new Set(host.sent.map(({client}) => client)).size") == 1

    page.evaluate("() => views[0]()")
    wait_live(page, 1)
    page.evaluate("() => host.tell('change:theme')")
    page.locator(".lossatlas").evaluate("w => w.lossatlas.setView({center: [0.5, 0.5], span: 0.5})")
    wait_live(page, 1)
    page.evaluate("() => { views[1](); host.close(); }")
    assert page.locator(".lossatlas").count() == 0
    assert page.evaluate("() => [...host.listeners.values()].every(({size}) => size === 0)")
    assert page.evaluate("() => host.sent.at(-1).k") == "bye"
    page.close()
    assert said == []
