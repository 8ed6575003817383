"""Take the pictures of the explorer, light and dark, in a real JupyterLab; run by `make screenshots`.

Those of the README go to docs/, everything else (widths, states, whole pages) to screenshots/, which git ignores.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.lab import Lab, LabServer, Notebook, launch_chromium  # noqa: E402

DOCS = ROOT / "docs"
ALL = ROOT / "screenshots"

# What a page of documentation may weigh, in bytes.
LARGEST = 300_000

WIDTHS = (1100, 820, 700, 420)
README_WIDTH = 820
POINT_WIDTH = 1160


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    ALL.mkdir(exist_ok=True)
    notebook = json.loads((ROOT / "notebooks" / "quickstart.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"][:2]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = LabServer(Path(folder))
        lab = Lab(server, launch_chromium(playwright))
        try:
            for theme in ("light", "dark"):
                take(lab, cells, theme)
        finally:
            lab.close()
            server.stop()


def take(lab: Lab, cells: list[str], theme: str) -> None:
    """The explorer of the quickstart in one theme: at several widths, under the pointer, zoomed and turned."""
    page = lab.open(cells, theme=theme, viewport=(1500, 1100))
    page.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.run_cell(0)
    page.run_cell(1)
    page.wait_state("live", 60)
    widget = page.widget()
    for width in WIDTHS:
        widget.evaluate("(w, width) => { w.style.width = width === null ? '' : `${width}px`; }", width)
        finished(page)
        widget.screenshot(path=ALL / f"explorer-{theme}-{width}.png")
        if width == README_WIDTH:
            widget.screenshot(path=DOCS / f"explorer-{theme}.png")
    widget.evaluate("w => { w.style.width = '1100px'; }")
    finished(page)
    box = widget.locator("canvas").first.bounding_box()
    assert box is not None
    page.page.mouse.move(box["x"] + 0.62 * box["width"], box["y"] + 0.41 * box["height"])
    page.page.wait_for_function("() => document.querySelector('.la-pill').innerText.includes('exact')")
    page.screenshot(ALL / f"page-{theme}-hover.png")
    page.eval_widget("w => w.lossatlas.setView({center: [0.1, 0.1], span: 0.4})")
    finished(page)
    page.screenshot(ALL / f"page-{theme}-zoom.png")
    page.eval_widget("w => w.lossatlas.setView({center: [0, 0], span: 2})")
    finished(page)
    widget.evaluate("(w, width) => { w.style.width = `${width}px`; }", POINT_WIDTH)
    measured(page, 0.5, 0.5)
    measured(page, 0.72, 0.35)
    page.page.mouse.move(5, 5)
    widget.screenshot(path=DOCS / f"point-{theme}.png")
    for name in ("explorer", "point"):
        size = (DOCS / f"{name}-{theme}.png").stat().st_size
        assert size <= LARGEST, f"docs/{name}-{theme}.png has {size} bytes, more than {LARGEST}."


def measured(page: Notebook, x: float, y: float) -> None:
    """Click the map at these shares of its width and height, and wait for the whole spectrum."""
    finished(page)
    box = page.widget().locator("canvas").first.bounding_box()
    assert box is not None
    chips = page.page.locator(".la-chip").count()
    page.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.page.wait_for_function(
        """before => { const pane = document.querySelector(".la-point");
        return pane && pane.dataset.running === "false" && document.querySelector(".la-value")
            && (before === 0 ? true : document.querySelectorAll(".la-chip").length > 1); }""",
        arg=chips or (1 if page.page.locator(".la-point").count() else 0),
        timeout=120_000,
    )
    page.page.wait_for_timeout(600)


def finished(page: Notebook) -> None:
    """Wait until every node in view is evaluated and the picture stands still."""
    page.page.wait_for_function(
        "() => document.querySelector('.lossatlas').lossatlas.stats().complete", timeout=120_000
    )
    page.page.wait_for_timeout(400)  # the last blend takes 180 ms


if __name__ == "__main__":
    main()
