"""What stays in a saved notebook: a picture for viewers without scripts, words where there is no kernel."""

from __future__ import annotations

import base64
import json

from tests.browser.lab import Lab
from tests.browser.maps import card, open_map, words

MANAGER = "@jupyter-widgets/jupyterlab-manager:plugin"


def test_a_saved_notebook_carries_a_picture_of_the_map(lab: Lab) -> None:
    notebook = open_map(lab)
    notebook.save()
    saved = json.loads(notebook.path.read_text())
    data = saved["cells"][1]["outputs"][-1]["data"]
    assert "application/vnd.jupyter.widget-view+json" in data
    picture = base64.b64decode(data["image/png"])
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert 1000 < len(picture) < 300_000
    size = notebook.page.evaluate(
        """async (data) => {
        const image = new Image();
        image.src = `data:image/png;base64,${data}`;
        await image.decode();
        return [image.width, image.height];
    }""",
        data["image/png"].replace("\n", ""),
    )
    assert size[0] >= 129
    assert size[1] >= 129
    assert notebook.console_errors == []


def test_a_saved_map_without_its_kernel_says_so_in_words(lab: Lab) -> None:
    settings = {MANAGER: {"saveState": True}}
    notebook = open_map(lab, settings=settings)
    notebook.save()
    assert json.loads(notebook.path.read_text())["metadata"]["widgets"]
    name = notebook.name
    notebook.close()
    lab.server.end_kernels()
    again = lab.open(None, name=name, settings=settings, viewport=(1100, 1000))
    again.wait_state("static", timeout=30)
    card(again).scroll_into_view_if_needed()
    assert words(again, ".la-state") == "no kernel: what is drawn stays, nothing new comes"
    assert words(again, ".la-blank") == "There is no kernel behind this map, and nothing was saved with it."
    assert card(again).locator("input").first.is_disabled()
    assert again.console_errors == []
    # The cells bring it back.
    again.run_all()
    again.wait_state("live", timeout=30)
    assert again.console_errors == []
