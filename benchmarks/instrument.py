"""Measure the map as an instrument, in a real JupyterLab: frames while panning, and Plotly's contour beside it.

    .venv/bin/python benchmarks/instrument.py [frames plotly]

Writes its section of RESULTS.md. Of an operation it counts what the page's main thread is busy with until it is idle again, less
what it is busy with in the same time when nothing happens: both maps are in one page, and are asked in turn by the same kernel.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from results import put  # noqa: E402

from tests.browser.lab import Lab, LabServer, Notebook, launch_chromium  # noqa: E402
from tests.browser.maps import tell, wait_complete  # noqa: E402

KEPT = ROOT / "benchmarks" / ".results" / "instrument.json"
TITLE = "## The map as an instrument"
ROUNDS = 12
STEPS = 120
WIDTH, HEIGHT = 1600, 1000  # device pixels of the map itself

SURFACE = """
import torch, lossatlas as la

def himmelblau(theta):
    x, y = 5 * theta[0], 5 * theta[1]
    return ((x * x + y - 11) ** 2 + (x + y * y - 7) ** 2) / 100 + 0.05

objective = la.Objective.from_function(himmelblau, torch.zeros(2, dtype=torch.float64))
unit = torch.eye(2, dtype=torch.float64)
landscape = la.Landscape(objective, la.Plane(objective.theta, unit[0], unit[1]))
"""
# The card of which the map itself is 1600 × 1000 pixels, at one device pixel per CSS pixel.
SHOW = """
explorer = landscape.explore(height=1064, renderer="{renderer}", tolerance=0, layers=["isolines"])
explorer.layout.width = "1760px"
explorer
"""
BESIDE = """
import numpy as np, plotly.graph_objects as go
explorer = landscape.explore(height=480, layers=["isolines"])
a = np.linspace(-1, 1, 513)

def values(shift=0.0):  # what landscape.grid gives at shape (513, 513), sooner
    x, y = np.meshgrid(5 * (a + shift), 5 * a)
    return ((x * x + y - 11) ** 2 + (x + y * y - 7) ** 2) / 100 + 0.05

figure = go.FigureWidget(go.Contour(x=a, y=a, z=values(), contours=dict(start=0, end=9, size=0.5)))
figure.update_layout(height=480, xaxis_range=[-0.5, 0.5], yaxis_range=[-0.5, 0.5])
"""


def main() -> None:
    chosen = sys.argv[1:] or list(MEASURES)
    found: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    found["cores"] = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = LabServer(Path(folder))
        browser = launch_chromium(playwright)
        for name in chosen:
            lab = Lab(server, browser)
            try:
                found[name] = MEASURES[name](lab)
            finally:
                lab.close()
        server.stop()
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(found, indent=1))
    put(TITLE, section(found))
    print("\n".join(section(found)))


def frames(lab: Lab) -> list[dict[str, Any]]:
    """Frames of a map of 1600 × 1000 device pixels that is panned over tiles that it has."""
    rows = []
    for renderer in ("webgl2", "cpu"):
        page = lab.open([SURFACE, SHOW.format(renderer=renderer)], viewport=(2048, 1500))
        page.run_cell(0)
        page.run_cell(1)
        wait_complete(page)
        size, tiles, seen = page.page.evaluate(PAN, STEPS)
        assert size == [WIDTH, HEIGHT], size
        rows.append(
            {"renderer": renderer, "tiles": tiles}
            | {name: spread([one[i] for one in seen]) for i, name in enumerate(("script", "copy", "frame"))}
        )
        page.close()
        lab.server.end_kernels()
    return rows


# Zoomed out as far as the level stays, so that as many tiles as possible are drawn, and everything there; then a circle.
PAN = """async (steps) => {
    const w = document.querySelector(".lossatlas"), {lossatlas} = w;
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const complete = async () => { do await frame(); while (!lossatlas.stats().complete || lossatlas.stats().pending); };
    // A cell may shrink to 6 px less the hysteresis of 0.3 levels before a coarser level is drawn.
    const {level} = lossatlas.stats();
    const span = w.querySelector(".la-canvas").width / (32 * 2 ** level * 4.95);
    const look = (t) => lossatlas.setView({center: [0.1 * span * Math.sin(t), 0.06 * span * Math.cos(t)], span});
    for (let i = 0; i < 8; i++) { look((2 * Math.PI * i) / 8); await complete(); }
    const seen = [];
    for (let i = 0; i < steps; i++) {
        look((2 * Math.PI * i) / steps);
        const begun = performance.now();
        await frame();
        // After this frame's callbacks, and what they left to do.
        await new Promise((resolve) => { const {port1, port2} = new MessageChannel(); port1.onmessage = resolve; port2.postMessage(0); });
        const ended = performance.now();
        const {drawMs, copyMs} = lossatlas.stats();
        seen.push([drawMs, copyMs ?? 0, ended - begun]);
    }
    const {width, height} = w.querySelector(".la-canvas");
    return [[width, height], lossatlas.tiles().length, seen];
}"""


def plotly(lab: Lab) -> dict[str, Any]:
    """A pan, other levels and new ground: the map and Plotly's contour of the same function, in one page."""
    page = lab.open([SURFACE, BESIDE, "explorer", "figure"], viewport=(1400, 1600))
    # Plotly's map jumps. Ours fades lines and tiles in for 180 ms, which is no part of the work, unless the system asks it not to.
    page.page.emulate_media(reduced_motion="reduce")
    for cell in range(4):
        page.run_cell(cell)
    wait_complete(page)
    page.page.locator(".js-plotly-plot .contour").first.wait_for(timeout=60_000)
    page.page.wait_for_timeout(2000)
    meter = Meter(page)
    shift = ["0.1", "0.0"]
    operations = {
        "pan": (
            "explorer.view = dict(center=[{0} - 0.05, 0.0], span=1.0)",
            "figure.update_layout(xaxis_range=[{0} - 0.55, {0} + 0.45])",
            shift,
        ),
        "levels": ("explorer.levels = [k * {0} for k in range(20)]", "figure.data[0].contours.size = {0}", None),
        "ground": (
            "explorer.view = dict(center=[{0}, 0.0], span=2.0)",
            "figure.data[0].z = values({0})",
            None,
        ),
    }  # fmt: skip
    values = {
        "pan": (shift, shift), "levels": (["0.4", "0.5"], ["0.4", "0.5"]),
        "ground": ([f"{0.2 * k + 1:.1f}" for k in range(ROUNDS)], [f"{0.2 * k + 1:.1f}" for k in range(ROUNDS)]),
    }  # fmt: skip
    found: dict[str, Any] = {}
    for name, (ours, theirs, _) in operations.items():
        rows: dict[str, list[tuple[float, float]]] = {"idle": [], "lossatlas": [], "Plotly": []}
        for i in range(ROUNDS):
            rows["idle"].append(meter.of("None"))
            rows["lossatlas"].append(meter.of(ours.format(values[name][0][i % len(values[name][0])])))
            rows["Plotly"].append(meter.of(theirs.format(values[name][1][i % len(values[name][1])])))
        idle = statistics.median(busy for busy, _ in rows["idle"])
        found[name] = {
            who: {
                "busy": spread([max(busy - idle, 0.0) for busy, _ in rows[who]]),
                "bytes": spread([float(count) for _, count in rows[who]]),
            }
            for who in ("lossatlas", "Plotly")
        }
    return found


class Meter:
    """What the page's main thread does, and what it receives, while the kernel runs a line and for a while after."""

    REST = 1200

    def __init__(self, page: Notebook) -> None:
        self.page = page
        self.session: CDPSession = page.page.context.new_cdp_session(page.page)
        self.session.send("Performance.enable")
        self.session.send("Network.enable")
        self.received = 0
        self.session.on("Network.webSocketFrameReceived", self._receive)

    def of(self, line: str) -> tuple[float, int]:
        """Milliseconds that it was busy, and bytes that came."""
        self.received = 0
        before = self._busy()
        tell(self.page, line)
        self.page.page.wait_for_timeout(self.REST)
        return self._busy() - before, self.received

    def _busy(self) -> float:
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")

    def _receive(self, event: dict[str, Any]) -> None:
        data = event["response"]["payloadData"]
        self.received += len(data) * 3 // 4 if event["response"]["opcode"] == 2 else len(data)


def spread(values: list[float]) -> list[float]:
    """Median, least, greatest."""
    return [statistics.median(values), min(values), max(values)]


def section(found: dict[str, Any]) -> list[str]:
    return [
        "",
        (
            f"By `benchmarks/instrument.py` (a part of `make measure`), in JupyterLab in a headless Chromium, on {found['cores']} cores "
            "without a graphics card: WebGL is emulated. Medians, with the range."
        ),
        "",
        *(_frames(found["frames"]) if "frames" in found else []),
        *(_plotly(found["plotly"]) if "plotly" in found else []),
    ]


def _frames(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"### A frame while panning, {WIDTH} × {HEIGHT} device pixels",
        "",
        ("Fill and isolines. The frame is the time from the new view to the end of the frame's work on the main thread, waiting for the "
        "display included."),
        "",
        "| renderer | tiles | script, ms | copy from the shared context, ms | frame, ms | bar |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row['renderer']} | {row['tiles']} | {shown(row['script'])} | {shown(row['copy'])} | {shown(row['frame'])} | "
            f"{'script ≤ 4' if row['renderer'] == 'webgl2' else 'script ≤ 40'} |"
            for row in rows
        ),
        "",
    ]  # fmt: skip


def _plotly(found: dict[str, Any]) -> list[str]:
    what = {
        "pan": ("pan by a tenth of the view and back, main thread", "busy", "ms", 20),
        "levels": ("other levels, main thread", "busy", "ms", 20),
        "ground": ("new ground after a pan by a tenth of the view, bytes received", "bytes", "B", 10),
    }
    lines = [
        "### Beside Plotly's contour of the same 513 × 513 values",
        "",
        (
            "A `FigureWidget` with one `Contour` and an explorer in one page, told in turn by the kernel; what the page's main thread is busy "
            "with, less what it is when nothing happens. Reduced motion is asked for, so that both jump. A map of Plotly's has the ground that it was given: to show more, it needs values "
            "anew."
        ),
        "",
        "| operation | lossatlas | Plotly | ratio | bar |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (words, key, unit, bar) in what.items():
        ours, theirs = found[name]["lossatlas"][key], found[name]["Plotly"][key]
        ratio = theirs[0] / max(ours[0], 1e-9)
        lines.append(f"| {words} | {shown(ours)} {unit} | {shown(theirs)} {unit} | {ratio:.0f} × | {bar} × |")
    return [*lines, ""]


def shown(values: list[float]) -> str:
    digits = 0 if values[0] >= 1000 else 1
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f} to {values[2]:.{digits}f})"


MEASURES: dict[str, Callable[[Lab], Any]] = {"frames": frames, "plotly": plotly}

if __name__ == "__main__":
    main()
