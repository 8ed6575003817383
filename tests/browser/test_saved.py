"""What stays in a saved notebook: a picture for viewers without scripts, words where there is no kernel."""

from __future__ import annotations

import json

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import ask, card, open_map, tell, wait_map, words

SIZE = """async (data) => {
    const image = new Image();
    image.src = `data:image/png;base64,${data}`;
    await image.decode();
    return [image.width, image.height];
}"""
MANAGER = "@jupyter-widgets/jupyterlab-manager:plugin"


def test_a_saved_map_is_a_picture_and_words_without_its_kernel(lab: Lab) -> None:
    settings = {MANAGER: {"saveState": True}}
    notebook = open_map(lab, settings=settings)
    notebook.save()
    saved = json.loads(notebook.path.read_text())
    assert saved["metadata"]["widgets"]
    data = saved["cells"][1]["outputs"][-1]["data"]
    assert "application/vnd.jupyter.widget-view+json" in data
    width, height = notebook.page.evaluate(SIZE, data["image/png"].replace("\n", ""))
    assert min(width, height) >= 129
    assert len(data["image/png"]) < 300_000
    assert notebook.console_errors == []

    notebook.close()
    lab.server.end_kernels()
    again = lab.open(None, name=notebook.name, settings=settings, viewport=(1100, 1000))
    again.wait_state("static", timeout=30)
    card(again).scroll_into_view_if_needed()
    assert words(again, ".la-state").startswith("no kernel")
    assert words(again, ".la-blank").startswith("There is no kernel behind this map")
    assert card(again).locator(".la-sliders").is_hidden()  # there is nobody to turn the plane
    again.run_all()  # the cells bring it back
    again.wait_state("live", timeout=30)
    assert again.console_errors == []


BAKE = "explorer.bake(depth=3, spectra=[(0, 0)], progress=False)"
EMBED = "explorer.embed(depth=2, progress=False)"


def complete(notebook: Notebook) -> None:
    wait_map(notebook, "(w) => w.lossatlas.tiles().length > 0 && w.lossatlas.stats().complete")


def test_a_baked_map_zooms_in_a_saved_notebook_without_its_kernel(lab: Lab) -> None:
    settings = {MANAGER: {"saveState": True}}
    notebook = open_map(lab, settings=settings)
    tell(notebook, BAKE)
    bound = ask(notebook, "explorer.baked.bound['loss']")
    at = (0.375, -0.625)
    value = ask(notebook, f"float(explorer.landscape.evaluate{at})")
    # The kernel's own values stay on the page, which are exact.
    notebook.save()
    notebook.close()
    lab.server.end_kernels()

    again = lab.open(None, name=notebook.name, settings=settings, viewport=(1100, 1000))
    again.wait_state("static", timeout=30)
    card(again).scroll_into_view_if_needed()
    complete(again)
    assert words(again, ".la-state").startswith("saved, values ± ")
    assert abs(again.eval_widget("(w, at) => w.lossatlas.valueAt(...at)", list(at)) - value) <= bound
    again.eval_widget("(w) => w.lossatlas.setView({center: [0.25, 0.25], span: 1})")
    complete(again)
    assert again.eval_widget("(w) => w.lossatlas.tiles().some((tile) => tile.z > 0)")
    again.page.wait_for_selector(".la-glyphs circle")
    # Cells that run bring the kernel's map back.
    again.run_all()
    again.wait_state("live", timeout=30)
    assert again.console_errors == []


def test_an_embedded_map_zooms_in_a_trusted_notebook_with_the_default_settings(lab: Lab) -> None:
    notebook = open_map(lab, more=(EMBED,))
    notebook.run_cell(2)
    notebook.page.wait_for_selector(".lossatlas-map .lossatlas[data-state=static]")
    notebook.save()
    notebook.close()
    lab.server.end_kernels()

    again = lab.open(None, name=notebook.name, viewport=(1100, 1000))
    page = again.page
    page.wait_for_selector(".lossatlas-map .lossatlas[data-state=static]")
    inside = page.locator(".lossatlas-map .lossatlas")
    inside.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => { const w = document.querySelector('.lossatlas-map .lossatlas'); return w.lossatlas.stats().complete; }"
    )
    inside.evaluate("(w) => w.lossatlas.setView({center: [0.25, 0.25], span: 0.5})")
    page.wait_for_function(
        "() => document.querySelector('.lossatlas-map .lossatlas').lossatlas.tiles().some((tile) => tile.z > 0)"
    )
    assert again.console_errors == []
