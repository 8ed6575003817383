"""The 3-D button: the kernel makes the surface of what is in sight, and the page shows it beside the map."""

from __future__ import annotations

import pytest

from tests.browser.lab import Lab
from tests.browser.maps import SHOW_SMALL, SMALL, ask, card, open_map, wait_map


def test_the_button_shows_the_surface_of_the_view_in_one_widget_that_is_kept(lab: Lab) -> None:
    notebook = lab.open([SMALL, SHOW_SMALL])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_state("live")
    button = notebook.widget().locator("button:text-is('3D')")
    button.click(timeout=60_000)
    shown = notebook.widget().locator(".la-surface .js-plotly-plot")
    shown.locator("canvas").first.wait_for(timeout=120_000)
    first = ask(notebook, "explorer._surface.model_id")
    notebook.widget().locator("button:text-is('redraw')").click()
    notebook.widget().locator(".la-surface p:text-is('')").wait_for(state="attached", timeout=60_000)
    assert ask(notebook, "explorer._surface.model_id") == first
    low, high = ask(notebook, "list(explorer._surface.layout.scene.xaxis.range)")
    assert abs((high - low) - notebook.eval_widget("w => w.lossatlas.view().span")) < 1e-9
    notebook.page.wait_for_timeout(1500)
    colours = shown.evaluate("plot => plot.data.slice(1, 3).map((trace) => trace.line.color)")
    assert all(colour.startswith("rgba(255,255,255") for colour in colours)
    notebook.page.wait_for_timeout(1000)
    button.click()
    assert shown.count() == 0


@pytest.mark.long
def test_the_surface_stands_beside_the_map_on_whose_cost_and_shows_the_same(lab: Lab) -> None:
    notebook = open_map(lab, viewport=(1500, 1000))
    button = card(notebook).get_by_label("3D surface")
    wide = card(notebook).evaluate("w => w.querySelector('.la-map').clientWidth")
    button.click()
    wait_map(
        notebook,
        "w => w.querySelector('.la-surface .js-plotly-plot .svg-container') && w.querySelector('.la-surface p').textContent === ''",
        timeout=120,
    )
    assert button.get_attribute("aria-pressed") == "true"
    place, drawn, area = card(notebook).evaluate(
        """w => [".la-surface", ".la-surface .svg-container", ".la-map"].map((name) => {
            const {left, right} = w.querySelector(name).getBoundingClientRect();
            return {left, right};
        })"""
    )
    assert area["right"] <= place["left"] + 1
    assert area["right"] - area["left"] < wide
    assert place["left"] - 1 <= drawn["left"]
    assert drawn["right"] <= place["right"] + 1
    # Of the view that was left for the map, in the colours of the map.
    colours = ask(notebook, "[explorer._surface.data[0].cmin, explorer._surface.data[0].cmax]")
    assert colours == pytest.approx(card(notebook).evaluate("w => w.lossatlas.stats().domain"), rel=1e-6)
    low, high = ask(notebook, "list(explorer._surface.layout.scene.xaxis.range)")
    assert high - low == pytest.approx(card(notebook).evaluate("w => w.lossatlas.view().span"))

    button.click()
    wait_map(notebook, "(w, s, wide) => w.querySelector('.la-map').clientWidth === wide", wide)
    assert card(notebook).locator(".js-plotly-plot").count() == 0
