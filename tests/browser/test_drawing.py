"""Renderers and themes in a real page: each draws, all read the same, and a lost context is survived."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser.lab import THEMES, Lab
from tests.browser.maps import (
    COARSE,
    SHOW_SMALL,
    ask,
    assert_draws,
    card,
    colours,
    drawn,
    exact,
    open_map,
    stats,
    tell,
    wait_complete,
    wait_map,
)

KEEP_CONTEXT = """
const original = OffscreenCanvas.prototype.getContext;
OffscreenCanvas.prototype.getContext = function (name, ...rest) {
    const context = original.call(this, name, ...rest);
    if (name === "webgl2") window.lastContext = context;
    return context;
};
"""
NO_WEBGL = """
for (const kind of [HTMLCanvasElement, OffscreenCanvas]) {
    const original = kind.prototype.getContext;
    kind.prototype.getContext = function (name, ...rest) {
        return name.startsWith("webgl") ? null : original.call(this, name, ...rest);
    };
}
"""


def test_both_renderers_draw_the_same_and_a_lost_context_comes_back(lab: Lab) -> None:
    notebook = open_map(lab, init_script=KEEP_CONTEXT)
    assert stats(notebook)["renderer"] == "cpu"  # this browser's WebGL is emulated
    expected = exact(notebook, COARSE)
    for renderer in ("webgl2", "cpu", "webgl2"):
        tell(notebook, f"explorer.renderer = {renderer!r}")
        wait_map(notebook, "(w, s, renderer) => w.dataset.renderer === renderer", renderer)
        assert colours(notebook) > 50
        assert_draws(notebook, COARSE, expected)

    notebook.page.evaluate(
        "() => { window.lose = window.lastContext.getExtension('WEBGL_lose_context'); lose.loseContext(); }"
    )
    frames = stats(notebook)["frames"]
    card(notebook).focus()
    notebook.page.keyboard.press("ArrowRight")
    wait_map(notebook, "(w, s, frames) => w.dataset.renderer === 'cpu' && s.frames > frames", frames)
    wait_complete(notebook)
    assert colours(notebook) > 50
    assert_draws(notebook, COARSE[:1], expected[:1])
    notebook.page.evaluate("() => window.lose.restoreContext()")
    notebook.page.keyboard.press("ArrowLeft")
    wait_map(notebook, "(w) => w.dataset.renderer === 'webgl2'")
    wait_complete(notebook)
    assert colours(notebook) > 50
    assert notebook.console_errors == []


def test_without_webgl_the_map_is_drawn_all_the_same(lab: Lab) -> None:
    show = SHOW_SMALL.replace("height=360", 'height=360, renderer="webgl2"')
    notebook = open_map(lab, show=show, init_script=NO_WEBGL)
    assert stats(notebook)["renderer"] == "cpu"
    assert colours(notebook) > 50
    assert_draws(notebook, COARSE, exact(notebook, COARSE))
    assert notebook.console_errors == []


BACKGROUND = "w => getComputedStyle(w).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number)"


@pytest.mark.long
def test_the_card_follows_the_theme_of_the_notebook_unless_told_otherwise(lab: Lab) -> None:
    notebook = open_map(lab, theme="dark")

    def assert_is(theme: str) -> None:
        wait_map(notebook, "(w, s, theme) => w.dataset.theme === theme", theme)
        brightness = float(np.mean(notebook.eval_widget(BACKGROUND)))
        assert (brightness > 128) == (theme == "light")

    assert_is("dark")
    tell(notebook, "explorer.theme = 'light'")
    assert_is("light")
    tell(notebook, "explorer.theme = 'auto'")
    assert_is("dark")
    change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
    notebook.page.evaluate(change, THEMES["light"])
    assert_is("light")
    assert notebook.console_errors == []


def test_a_symmetric_logarithm_is_asked_for_and_drawn(lab: Lab) -> None:
    notebook = open_map(lab)
    expected = exact(notebook, COARSE)
    tell(notebook, "explorer.tolerance = 0.01; explorer.scale = 'symlog'")
    wait_map(notebook, "(w, s) => s.scale.startsWith('symlog:') && s.complete")
    c = float(stats(notebook)["scale"].split(":")[1])
    values = drawn(notebook, COARSE)
    # The nodes are exact; what is drawn goes through the float32 of their symmetric logarithms.
    np.testing.assert_allclose(
        np.arcsinh(values / (2 * c)), np.arcsinh(expected / (2 * c)), atol=8 * 2.0**-24 * 10
    )
    assert card(notebook).locator(".la-error").is_hidden()
    assert notebook.console_errors == []


# Colours glide to the domain of what has come.
COLOURS_AT_REST = """async (w) => {
    let [last, same] = ["", 0];
    while (same < 15) {
        await new Promise(requestAnimationFrame);
        const now = JSON.stringify(w.lossatlas.stats().domain);
        same = now === last ? same + 1 : 0;
        last = now;
    }
    return w.lossatlas.stats().domain;
}"""


def test_colours_are_locked_and_fitted_from_both_sides(lab: Lab) -> None:
    notebook = open_map(lab)
    home = notebook.eval_widget(COLOURS_AT_REST)
    tell(notebook, "explorer.domain = [0.25, 0.5]; explorer.colormap = 'batlow'")
    wait_map(notebook, "(w, s) => Math.abs(s.domain[0] - 0.25) + Math.abs(s.domain[1] - 0.5) < 1e-9")
    buttons = card(notebook).locator(".la-fit button")
    buttons.nth(1).click()  # auto
    wait_map(notebook, "(w, s, home) => Math.abs(s.domain[1] - home[1]) < 1e-9", home)
    notebook.page.wait_for_timeout(300)  # the trait goes to the kernel
    assert ask(notebook, "explorer.domain") == []
    buttons.nth(0).click()  # fit
    notebook.page.wait_for_timeout(500)
    low, high = ask(notebook, "explorer.domain")
    assert low < high
    assert notebook.console_errors == []
