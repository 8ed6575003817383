"""Measure a map as a page of its own: how large it is, how soon it is drawn from disk, how fast it zooms, how exact it is.

    .venv/bin/python benchmarks/pages.py

Writes its section of RESULTS.md. The page is that of the digits MLP to depth 4, all fields of a forward pass, a spectrum and a run;
the browser has no network.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from models import problem  # noqa: E402
from results import put  # noqa: E402

import lossatlas as la  # noqa: E402
from tests.browser.lab import launch_chromium  # noqa: E402

TITLE = "## A map as a page"
_WHAT = (
    "the digits MLP to depth 4, loss and accuracy, one spectrum, opened from disk in Chromium without network, software drawing; "
    "medians with their range."
)
OPENINGS = 12
STEPS = 60

API = "document.querySelector('.lossatlas').lossatlas"

# Seen from the document's start: the first frame that has tiles.
DRAWN = """() => new Promise((done) => {
    const look = () => {
        const api = document.querySelector(".lossatlas")?.lossatlas;
        if (api && api.stats().frames > 0 && api.tiles().length > 0) done(performance.now());
        else requestAnimationFrame(look);
    };
    look();
})"""

# One zoom step: from the view that is set to the frame after it, and the script of that frame.
STEP = f"""(view) => new Promise((done) => {{
    const api = {API};
    const before = api.stats().frames;
    const begun = performance.now();
    api.setView(view);
    const look = (frames) => {{
        const stats = api.stats();
        if (stats.frames > before) done([performance.now() - begun, stats.drawMs, frames, stats.complete]);
        else requestAnimationFrame(() => look(frames + 1));
    }};
    requestAnimationFrame(() => look(1));
}})"""


def opened(browser: Browser, path: Path) -> Page:
    """The page, in a browser without network."""
    page = browser.new_context(offline=True, viewport={"width": 1100, "height": 760}).new_page()
    page.goto(path.as_uri())
    return page


def measured(path: Path, explorer: Any) -> dict[str, Any]:
    """Openings, zoom steps, and values at nodes beside the engine's."""
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        drawn = []
        for _ in range(OPENINGS):
            page = opened(browser, path)
            drawn.append(page.evaluate(DRAWN))
            page.context.close()
        page = opened(browser, path)
        page.evaluate(DRAWN)
        page.wait_for_timeout(1000)
        # In and out about a point off the centre, by the wheel's √2, to the deepest level that was baked. to the deepest level that was baked.
        spans = [2.0 * 2 ** (-abs((i % 8) - 4) / 2) for i in range(STEPS)]
        steps = [page.evaluate(STEP, {"center": [0.1, -0.05], "span": span}) for span in spans]
        worst = 0.0
        at = np.arange(-16, 16) / 16
        page.evaluate(STEP, {"center": [0.0, 0.0], "span": 2.0})
        for a in at[::4].tolist():
            found = np.array(
                [page.evaluate(f"([a, b]) => {API}.valueAt(a, b)", [a, b]) for b in at[::4].tolist()]
            )
            worst = max(worst, float(np.abs(found - explorer.landscape.evaluate(a, at[::4])).max()))
        browser.close()
    return {"drawn": drawn, "steps": steps, "worst": worst}


def quartiles(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.0f} ({min(values):.0f}–{max(values):.0f})"


def main() -> None:
    """Bake, write, open, zoom."""
    with tempfile.TemporaryDirectory() as folder:
        known = problem("digits MLP")
        explorer = la.explore(
            known.model, known.loss, known.data, fields=("loss", "accuracy"), title="digits MLP"
        )
        baked = explorer.bake(depth=4, spectra=[(0, 0)])
        path = Path(folder) / "map.html"
        explorer.to_html(path)
        size = path.stat().st_size
        fields = {name: _bytes_of(explorer, name) for name in baked.fields}
        found = measured(path, explorer)
        explorer.close()
    frames = [step[2] for step in found["steps"]]
    lines = [
        "",
        f"`benchmarks/pages.py`, torch {torch.__version__}: {_WHAT}",
        "",
        "| what | measured | bar |",
        "| --- | --- | --- |",
        f"| the page | {size / 1e6:.2f} MB | ≤ 2 MB |",
        "| a field in it, as text | " + ", ".join(f"{name} {count / 1e6:.2f} MB" for name, count in fields.items()) + " | ≤ 0.7 MB |",
        f"| baking | {baked.nodes} nodes, {baked.seconds:.1f} s, spectrum and caption in it | |",
        f"| opened to drawn, ms | {quartiles(found['drawn'])} of {OPENINGS} | ≤ 1000 |",
        f"| a zoom step to the frame that shows it, frames | {quartiles(frames)} of {STEPS} | ≤ 1 |",
        f"| of these views within the tolerance of what they show | {sum(step[3] for step in found['steps'])} of {STEPS} | |",
        f"| script of that frame, ms | {quartiles([step[1] for step in found['steps']])} | |",
        f"| largest difference of a value from the engine's at 64 nodes | {found['worst']:.2g} | ≤ {baked.bound['loss']:.2g}, as stated |",
    ]  # fmt: skip
    put(TITLE, lines)


def _bytes_of(explorer: Any, name: str) -> float:
    """What the sections of a field take as base64."""
    from tests.widget.test_baked import unpacked

    _, head, _ = unpacked(explorer._baked)
    return sum(length for section, length in head["sections"] if section.startswith(f"{name}/")) * 4 / 3


if __name__ == "__main__":
    main()
