"""A point of the map, clicked: its spectrum streams in beside it, is stopped, compared, and becomes a direction."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.browser.lab import OF_ITS_OWN, Lab, Notebook
from tests.browser.maps import (
    COARSE,
    SHOW_SMALL,
    TRAIN,
    ask,
    assert_draws,
    canvas_box,
    card,
    exact,
    open_map,
    stats,
    tell,
    wait_complete,
    wait_map,
)
from tests.browser.test_legible import contrast, luminance

# Small, but of more parameters than a dense Hessian is made of: 3 ⋅ 1100 + 2 ⋅ 1101.
WIDE = (
    """
import torch, lossatlas as la
from torch import nn
torch.manual_seed(0)
x = torch.randn(64, 6); y = (x[:, 0] * x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(6, 400), nn.ReLU(), nn.Linear(400, 2))
"""
    + TRAIN
    + "train(30, 0.1)"
)

# Each product takes a moment, as those of a large model do.
SLOWLY = (
    OF_ITS_OWN
    + """
import time
from lossatlas.curvature import Products
times, taken = Products.times, []
def slow(self, v):
    taken.append(time.sleep(0.08))
    return (yield from times(self, v))
Products.times = slow
"""
)

# Notes everything that the pane says of its progress.
LISTEN = """w => {
    const said = window.said = [];
    const look = () => {
        const text = w.querySelector(".la-progress")?.textContent;
        if (text && said.at(-1) !== text) said.push(text);
    };
    new MutationObserver(look).observe(w, {subtree: true, childList: true, characterData: true});
}"""


def click(notebook: Notebook, a: float, b: float) -> None:
    """Click the map where it shows (a, b)."""
    box = canvas_box(notebook)
    view = card(notebook).evaluate("w => w.lossatlas.view()")
    scale = box["width"] / view["span"]
    x = box["x"] + box["width"] / 2 + (a - view["center"][0]) * scale
    y = box["y"] + box["height"] / 2 - (b - view["center"][1]) * scale
    notebook.page.mouse.click(x, y)


def wait_measured(notebook: Notebook, timeout: float = 60) -> None:
    """Wait until the pane's run has ended, and it has been drawn."""
    wait_map(
        notebook,
        "(w) => w.querySelector('.la-point')?.dataset.running === 'false' && w.querySelector('.la-plot-line')",
        timeout=timeout,
    )


def values(notebook: Notebook) -> list[float]:
    """The eigenvalues in the pane."""
    texts = card(notebook).locator(".la-value b").all_inner_texts()
    return [float(text.split(" ")[0].replace("\u2212", "-")) for text in texts]


def pane(notebook: Notebook, part: str = "") -> str:
    return str(card(notebook).locator(f".la-point {part}".strip()).first.inner_text())


def test_a_click_streams_a_spectrum_and_its_eigenvector_turns_the_map(lab: Lab) -> None:
    notebook = open_map(lab, WIDE + SLOWLY.replace("0.08", "0.03"), viewport=(1400, 1000))
    before = stats(notebook)
    width = canvas_box(notebook)["width"]
    notebook.eval_widget(LISTEN)
    click(notebook, 0.4, -0.3)
    wait_measured(notebook)

    said = notebook.page.evaluate("() => window.said")
    products = [int(match[1]) for text in said if (match := re.match(r"(\d+) products", text))]
    assert products == sorted(products)
    assert len(set(products)) >= 3  # it came as a stream
    heading = pane(notebook, "header")
    point = [
        float(text.replace("\u2212", "-")) for text in re.findall(r"[ab] (\S+?)(?:,|$|\n)", heading + "\n")
    ]
    np.testing.assert_allclose(point, [0.4, -0.3], atol=0.02)
    truth = ask(notebook, f"explorer.landscape.spectrum(at={tuple(point)}).eigenvalues.tolist()")
    # The heading has the digits of a pixel, and the pane those that the error leaves.
    np.testing.assert_allclose(values(notebook), truth, atol=0.02 * max(truth))
    loss = ask(notebook, f"float(explorer.landscape.evaluate(*{tuple(point)}))")
    shown = float(card(notebook).locator(".la-row", has_text="loss").locator("b").inner_text())
    assert shown == pytest.approx(loss, rel=0.02)
    assert "in the whole space from" in pane(notebook, ".la-sentence")

    # The pane took its room from the map, and the glyph stands where the point is.
    assert canvas_box(notebook)["width"] < width - 250
    box = canvas_box(notebook)
    circle = card(notebook).locator(".la-glyphs circle").bounding_box()
    assert circle is not None
    view = notebook.eval_widget("w => w.lossatlas.view()")
    across = box["x"] + box["width"] * (0.5 + (point[0] - view["center"][0]) / view["span"])
    assert abs(circle["x"] + circle["width"] / 2 - across) < 2
    assert card(notebook).locator(".la-glyphs path.la-glyph").count() >= 1

    card(notebook).locator(".la-value button").first.click()
    wait_map(notebook, "(w, s, before) => s.hash !== before", before["hash"])
    wait_complete(notebook)
    name = ask(notebook, "explorer.u_to")
    assert name.startswith("eigenvector 1 at (")
    assert ask(notebook, "[explorer.turn_u, explorer.offset]") == [90, 1.0]
    assert name in pane(notebook)
    fine = [(a * 13 / 16, b * 11 / 16) for a, b in COARSE]
    assert_draws(notebook, fine, exact(notebook, fine))
    # Along u, through the point, it curves by the eigenvalue.
    tell(
        notebook,
        "u = explorer.landscape.plane.u; curve = float(explorer.landscape.jet().hessian[0, 0] / (u @ u))",
    )
    assert ask(notebook, "curve") == pytest.approx(truth[0], rel=0.02)
    assert card(notebook).locator(".la-glyphs circle").count() == 0  # it was measured in another plane
    assert "la-with-point" in (card(notebook).get_attribute("class") or "")
    assert notebook.console_errors == []


def test_a_run_is_stopped_by_its_button_by_another_point_and_by_closing(lab: Lab) -> None:
    notebook = open_map(lab, WIDE + SLOWLY, viewport=(1400, 1000))
    width = canvas_box(notebook)["width"]
    several = "(w) => /^([6-9]|\\d\\d) products/.test(w.querySelector('.la-progress')?.textContent)"
    click(notebook, 0.2, 0.2)
    wait_map(notebook, several)
    card(notebook).get_by_role("button", name="stop").click()
    wait_map(notebook, "(w) => w.querySelector('.la-progress').textContent.startsWith('stopped after')")
    count = ask(notebook, "len(taken)")
    notebook.page.wait_for_timeout(400)
    assert ask(notebook, "len(taken)") <= count + 1
    known = values(notebook)
    assert known  # what it has stays

    click(notebook, -0.3, 0.1)
    wait_map(notebook, several)
    click(notebook, -0.3, -0.4)
    wait_map(notebook, "(w) => w.querySelectorAll('.la-plot-line').length === 3")  # two of them thin
    chips = card(notebook).locator(".la-chip")
    assert chips.count() == 3
    chips.nth(1).locator("button").first.click()
    assert "stopped after" in pane(notebook, ".la-progress")
    chips.nth(0).locator("button").first.click()
    assert values(notebook) == known

    card(notebook).focus()
    notebook.page.keyboard.press("Escape")
    assert not card(notebook).locator(".la-point").is_visible()
    count = ask(notebook, "len(taken)")
    notebook.page.wait_for_timeout(400)
    assert ask(notebook, "len(taken)") <= count + 1
    wait_map(
        notebook,
        "(w, s, width) => Math.abs(w.querySelector('.la-canvas').clientWidth - width) < 1",
        round(width),
    )

    # A double click is a zoom, and by key the middle is measured.
    span = notebook.eval_widget("w => w.lossatlas.view().span")
    box = canvas_box(notebook)
    notebook.page.mouse.dblclick(box["x"] + 100, box["y"] + 100)
    wait_map(notebook, "(w, s, span) => w.lossatlas.view().span < 0.6 * span", span)
    assert not card(notebook).locator(".la-point").is_visible()
    notebook.page.keyboard.press("c")
    wait_map(notebook, several)
    assert notebook.console_errors == []


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_the_pane_can_be_read_beside_the_map_and_below_it(lab: Lab, theme: str) -> None:
    show = SHOW_SMALL.replace(
        "height=360",
        "height=360, full_batch=True, optimizer=torch.optim.SGD(model.parameters(), lr=1e-3)",
    )
    # The optimizer has to live for as long as its line is shown.
    show = show.replace(
        "\nexplorer = ", "\nsgd = torch.optim.SGD(model.parameters(), lr=1e-3)\nexplorer = "
    ).replace("optimizer=torch.optim.SGD(model.parameters(), lr=1e-3)", "optimizer=sgd")
    notebook = open_map(lab, show=show, theme=theme, viewport=(1400, 1000))
    click(notebook, 0.1, 0.1)
    wait_measured(notebook)
    assert "exact: all" in pane(notebook, ".la-progress")
    assert "2 / lr" in pane(notebook)
    look = card(notebook).evaluate(
        """w => {
            const of = (part, name) => getComputedStyle(w.querySelector(part))[name];
            return {box: of(".la-box", "backgroundColor"), quiet: of(".la-progress", "color"),
                strong: of(".la-row b", "color"), tick: of(".la-plot-axes text", "fill"), line: of(".la-limit text", "fill")};
        }"""
    )
    assert (luminance(look["box"]) > 0.5) == (theme == "light")
    for part in ("quiet", "strong", "tick", "line"):
        assert contrast(look[part], look["box"]) >= 4.5, part

    def places() -> list[dict[str, float]]:
        return [
            dict(card(notebook).locator(part).first.bounding_box() or {})
            for part in (".la-area", ".la-point")
        ]

    area, beside = places()
    assert beside["x"] >= area["x"] + area["width"]
    card(notebook).evaluate("w => { w.style.width = '620px'; }")
    wait_map(notebook, "(w) => w.dataset.size === 'compact'")
    notebook.page.wait_for_timeout(400)  # the grid takes 220 ms
    area, below = places()
    assert below["y"] >= area["y"] + area["height"]
    assert below["width"] == pytest.approx(620, abs=4)
    assert notebook.console_errors == []


def test_without_a_kernel_a_click_says_what_is_missing(lab: Lab) -> None:
    notebook = open_map(lab)
    notebook.restart_kernel()
    notebook.wait_state("frozen")
    click(notebook, 0.1, 0.1)
    hint = card(notebook).locator(".la-hint")
    hint.get_by_text("A kernel is needed").wait_for()
    assert card(notebook).locator(".la-point").count() == 0
