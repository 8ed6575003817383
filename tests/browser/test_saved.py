"""What stays in a saved notebook: a picture for viewers without scripts, words where there is no kernel."""

from __future__ import annotations

import json

from tests.browser.lab import Lab
from tests.browser.maps import card, open_map, words

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
