"""Take the pictures of the explorer, light and dark, in a real JupyterLab; run by `make screenshots`.

Those of the README go to docs/, everything else (widths, states, whole pages) to screenshots/, which git ignores.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.lab import Lab, LabServer, Notebook, launch_chromium  # noqa: E402
from tests.browser.maps import tell  # noqa: E402

DOCS = ROOT / "docs"
ALL = ROOT / "screenshots"

# What a page of documentation may weigh, in bytes.
LARGEST = 400_000

WIDTHS = (1100, 820, 700, 420)
README_WIDTH = 1100
POINT_WIDTH = 1160


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    ALL.mkdir(exist_ok=True)
    notebook = json.loads((ROOT / "notebooks" / "quickstart.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"][:2]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = LabServer(Path(folder))
        browser = launch_chromium(playwright)
        lab = Lab(server, browser)
        try:
            for theme in ("light", "dark"):
                take(lab, cells, theme)
            take_page(browser, Path(folder))
        finally:
            lab.close()
            server.stop()


def take_page(browser: Browser, folder: Path) -> None:
    """The page that the guide "Keep and share" writes, opened from disk in either theme."""
    notebook = json.loads((ROOT / "notebooks" / "keep-and-share.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, Any] = {}
    with contextlib.chdir(folder):
        for cell in cells[:2]:
            exec(cell, names)
        explorer = names["explorer"]
        explorer.bake(depth=4, spectra=[(0, 0)], progress=False)
        explorer.to_html("digits.html")
        explorer.close()
        names["landscape"].atlas.close()
    for theme in ("light", "dark"):
        context = browser.new_context(
            viewport={"width": 1100, "height": 660}, color_scheme=theme, offline=True
        )
        page = context.new_page()
        page.goto((folder / "digits.html").as_uri())
        page.wait_for_selector(".la-glyphs circle")
        page.wait_for_timeout(1500)  # numbers on the lines appear by and by
        page.locator(".lossatlas").screenshot(path=DOCS / f"page-{theme}.png")
        context.close()


def take(lab: Lab, cells: list[str], theme: str) -> None:
    """The explorer of the quickstart in one theme: at several widths, under the pointer, zoomed and turned."""
    page = lab.open(cells, theme=theme, viewport=(1500, 1100))
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
    layers(page, theme)
    finished(page)
    widget.evaluate("(w, width) => { w.style.width = `${width}px`; }", POINT_WIDTH)
    measured(page, 0.5, 0.5)
    measured(page, 0.72, 0.35)
    page.page.mouse.move(5, 5)
    widget.screenshot(path=DOCS / f"point-{theme}.png")
    training(lab, theme)
    for name in ("explorer", "layers", "point", "runs"):
        size = (DOCS / f"{name}-{theme}.png").stat().st_size
        assert size <= LARGEST, f"docs/{name}-{theme}.png has {size} bytes, more than {LARGEST}."


# Three optimizers from one start, on the plane of all three paths.
TRAINED = """
import torch, lossatlas as la
from torch import nn
from sklearn.datasets import load_digits
x, y = (torch.as_tensor(each) for each in load_digits(return_X_y=True))
x = x.float() / 16
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
runs = {}
for name, make in {
    "SGD": lambda p: torch.optim.SGD(p, 0.2), "momentum": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, 0.005),
}.items():
    model = net()
    optimizer, recorder = make(model.parameters()), la.Recorder(model)
    for step in range(200):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        recorder.step(loss, lr=optimizer.param_groups[0]["lr"])
        optimizer.step()
    runs[name] = recorder.trajectory
objective = la.Objective(net(), nn.functional.cross_entropy, (x, y))
plane = la.Plane.pca(objective, list(runs.values()))
explorer = la.Landscape(objective, plane, title="digits, three optimizers").explore(curves=True, tolerance=0)
for name, run in runs.items():
    explorer.add_run(run, name)
explorer
"""


def training(lab: Lab, theme: str) -> None:
    """Three runs on a plane of theirs, with their curves, at a step in the middle."""
    page = lab.open([TRAINED], theme=theme, viewport=(1500, 1100))
    page.run_cell(0)
    page.wait_state("live", 60)
    page.widget().evaluate("(w, width) => { w.style.width = `${width}px`; }", POINT_WIDTH)
    page.page.wait_for_function(
        "() => document.querySelector('.lossatlas').lossatlas.runs?.().runs.length === 3"
    )
    finished(page)
    page.page.wait_for_timeout(1000)
    page.widget().screenshot(path=DOCS / f"runs-{theme}.png")


def layers(page: Notebook, theme: str) -> None:
    """Arrows and profiles over the map, and the menu that shows them."""
    shown = ["isolines", "relief", "arrows", "profiles", "marks"]
    tell(page, f"explorer.layers = {shown}; explorer.mark(0.35, 0.2, 'a steeper side')")
    page.page.wait_for_selector(".la-arrows path")
    finished(page)
    box = page.widget().locator("canvas").first.bounding_box()
    assert box is not None
    page.page.mouse.move(box["x"] + 0.36 * box["width"], box["y"] + 0.62 * box["height"])
    page.page.wait_for_function("() => document.querySelector('.la-pill').innerText.includes('exact')")
    page.widget().screenshot(path=DOCS / f"layers-{theme}.png")
    page.page.mouse.move(5, 5)
    page.page.locator(".la-more button").first.click()
    page.page.wait_for_timeout(300)
    page.screenshot(ALL / f"page-{theme}-menu.png")
    page.page.keyboard.press("Escape")
    tell(page, "explorer.layers = ['isolines', 'relief', 'marks']; explorer.marks = []")


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
