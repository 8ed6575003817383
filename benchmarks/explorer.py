"""Measure the explorer in a real JupyterLab; run by `make measure`.

    .venv/bin/python benchmarks/explorer.py [first move finished frame drag busy rerun …]

Prints one line a measure: median, 95th percentile and range. The machine matters: `taskset -c 0,1` gives two cores.
"""

from __future__ import annotations

import gzip
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.lab import Lab, LabServer, Notebook, launch_chromium  # noqa: E402

DIGITS = """
import threading, time
import torch
from sklearn.datasets import load_digits
from torch import nn
import lossatlas as la
import lossatlas.widget

x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
"""
EXPLORE = 'explorer = la.explore(model, nn.functional.cross_entropy, (x, y), height=600, title="digits MLP"{})\nexplorer'

EXACT = ", tolerance=0"  # every node is evaluated

# Resolves to the milliseconds from now until `condition(w)` holds for the widget, looked at on every frame.
UNTIL = """([code, start]) => new Promise((resolve) => {
    const condition = new Function("w", "s", `return ${code}`);
    const begun = start ?? performance.now();
    const look = () => {
        const w = document.querySelector(".lossatlas");
        if (w?.lossatlas && condition(w, w.lossatlas.stats())) resolve(performance.now() - begun);
        else requestAnimationFrame(look);
    };
    look();
})"""

# Under the view's centre something newly evaluated is drawn: more than the 17 × 17 nodes that a parent already knew.
NEW_AT_CENTRE = "s.centre.z === s.level && (s.centre.nodes > 17 || s.centre.centres)"


# The same for the last time that it begins to hold, of a second in which nothing changes: a view may look finished in the
# frame before its range, of which the tolerance is a share, has been taken.
SETTLED = """(start) => new Promise((resolve) => {
    let since = null;
    const look = () => {
        const now = performance.now();
        if (!document.querySelector(".lossatlas").lossatlas.stats().complete) since = null;
        else since ??= now;
        if (since !== null && now - since > 1000) resolve(since - start);
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})"""


def main() -> None:
    chosen = sys.argv[1:] or list(MEASURES)
    print(
        f"{os.cpu_count()} cores, of which {len(os.sched_getaffinity(0))} may be used; load {os.getloadavg()[0]:.1f}"
    )
    print(f"bundle: {bundle()}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = LabServer(Path(folder))
        browser = launch_chromium(playwright)
        for name in chosen:
            lab = Lab(server, browser)
            try:
                MEASURES[name](lab)
            finally:
                lab.close()
        server.stop()


def first(lab: Lab) -> None:
    """Cell run → first coarse picture, → the four home tiles with every node."""
    coarse, whole = [], []
    for _ in range(5):
        page = open_digits(lab, EXACT, run=False)
        start = page.page.evaluate("() => performance.now()")
        page.run_cell(1, wait=False)
        page.page.wait_for_selector(".lossatlas")
        coarse.append(until(page, "s.centre.nodes >= 3", start))
        home = "w.lossatlas.tiles().filter((t) => t.z === 0 && [-1, 0].includes(t.x) && [-1, 0].includes(t.y)"
        whole.append(until(page, f"{home} && t.nodes === 33).length === 4", start))
        page.close()
        lab.server.end_kernels()
    show("cell run → first coarse picture", coarse, "ms, bar 600")
    show("cell run → four home tiles exact", whole, "ms, bar 4000")


def move(lab: Lab) -> None:
    """Zoom in by one level and pan to new ground, until something new is drawn under the centre."""
    page = open_digits(lab, EXACT)
    zooms, pans = [], []
    for i in range(12):
        a, b = 0.35 * (i % 4) - 0.5, 0.3 * (i // 4) - 0.3
        set_view(page, a, b, 2.9)
        until(page, "s.complete")
        set_view(page, a, b, 1.45)
        zooms.append(until(page, f"s.level === 1 && {NEW_AT_CENTRE}"))
    for i in range(12):
        set_view(page, 4.0 + 3.0 * i, 4.0, 2.9)
        pans.append(until(page, "s.centre.z === s.level && s.centre.nodes >= 3"))
    show("zoom in by one level → new nodes under the centre", zooms, "ms, bar p95 900")
    show("pan to new ground → new nodes under the centre", pans, "ms, bar p95 600")


def finished(lab: Lab) -> None:
    """At the usual tolerance, in a card of 800 × 600: until what is in sight is as good as was asked for."""
    homes = []
    for _ in range(7):
        page = open_digits(lab, run=False)
        start = page.page.evaluate("() => performance.now()")
        page.run_cell(1, wait=False)
        page.page.wait_for_selector(".lossatlas").evaluate("(w) => { w.style.width = '800px'; }")
        until(page, "true")
        homes.append(settled(page, start))
        page.close()
        lab.server.end_kernels()
    show("cell run → finished home map", homes, "ms, bar 1200")
    page = open_digits(lab)
    page.widget().evaluate("(w) => { w.style.width = '800px'; }")
    moves: dict[str, list[float]] = {"zoom in by one level": [], "pan by a view to new ground": []}
    for i in range(20):
        a, b = 2.2 * (i % 5) - 4.4, 4.4 * (i // 5) - 6.6
        set_view(page, a, b, 2.0)
        settled(page)
        for what, view in zip(moves, ((a, b, 1.0), (a, b + 2.2, 2.0)), strict=True):
            start = page.page.evaluate("() => performance.now()")
            set_view(page, *view)
            moves[what].append(settled(page, start))
    for what, taken in moves.items():
        show(f"{what} → finished view", taken, "ms, bar p95 500")


def frame(lab: Lab) -> None:
    """Script time per frame while panning and zooming over cached tiles, for each renderer."""
    for renderer in ("webgl2", "cpu"):
        page = open_digits(lab, f'{EXACT}, renderer="{renderer}"')
        for span in (2.9, 1.45):
            set_view(page, 0.0, 0.0, span)
            until(page, "s.complete")
        frames = page.page.evaluate(
            """() => new Promise((resolve) => {
                const w = document.querySelector(".lossatlas"), seen = [];
                let i = 0;
                const step = () => {
                    if (i > 0) { const s = w.lossatlas.stats(); seen.push([s.drawMs, s.copyMs ?? 0, s.messages]); }
                    if (i++ === 120) return resolve(seen);
                    const t = i / 120;
                    w.lossatlas.setView({center: [0.3 * Math.sin(6 * t), 0.2 * Math.cos(6 * t)], span: 1.45 * (1 + 0.3 * Math.sin(9 * t))});
                    requestAnimationFrame(() => requestAnimationFrame(step));
                };
                step();
            })"""
        )
        size = page.page.evaluate(
            "() => { const c = document.querySelector('.lossatlas canvas'); return [c.width, c.height]; }"
        )
        show(
            f"frame, {renderer}, {size[0]} × {size[1]} px, script without the copy",
            [d for d, _, _ in frames],
            "ms, bar 8",
        )
        show(f"frame, {renderer}, the copy out of the shared context", [c for _, c, _ in frames], "ms")
        page.close()
        lab.server.end_kernels()


def drag(lab: Lab) -> None:
    """A slider is moved → the first pass of that plane is drawn."""
    page = open_digits(lab)
    until(page, "s.complete")
    times = page.page.evaluate(
        """async () => {
            const w = document.querySelector(".lossatlas");
            const slider = w.querySelector('input[data-name="turn_u"]');
            const times = [];
            slider.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true}));
            for (let i = 1; i <= 30; i++) {
                const before = w.lossatlas.stats().hash, begun = performance.now();
                slider.value = 3 * i;
                slider.dispatchEvent(new Event("input", {bubbles: true}));
                await new Promise((resolve) => {
                    const look = () => w.lossatlas.stats().hash !== before ? resolve() : requestAnimationFrame(look);
                    look();
                });
                times.push(performance.now() - begun);
            }
            slider.dispatchEvent(new PointerEvent("pointerup", {bubbles: true}));
            return times;
        }"""
    )
    show("slider → preview of the newest plane", times, "ms, bar p95 200")


TRAIN = """
def train(net, data, seconds):
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    end, steps = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        i = torch.randint(0, len(data[0]), (64,))
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(data[0][i]), data[1][i]).backward()
        optimizer.step()
        steps += 1
    return steps / seconds
small = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
images = torch.randn(512, 3, 32, 32), torch.randint(0, 10, (512,))
cnn = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
                    nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 10))
"""

# While a cell trains: wander, probe and turn, one hand's movement a second, and note how long each answer took.
WANDER = """async (seconds) => {
    const w = document.querySelector(".lossatlas"), times = {probe: [], first: [], turn: []};
    const end = performance.now() + 1000 * seconds;
    const until = (condition) => new Promise((resolve) => {
        const begun = performance.now();
        const look = () => condition() || performance.now() - begun > 5000 ? resolve(performance.now() - begun) : requestAnimationFrame(look);
        look();
    });
    const slider = w.querySelector('input[data-name="turn_v"]');
    let next = performance.now();
    const pace = () => new Promise((resolve) => setTimeout(resolve, Math.max(0, (next += 1000) - performance.now())));
    for (let i = 1; performance.now() < end; i++) {
        w.lossatlas.setView({center: [3 * i + 5 * Math.random(), 7], span: 2.9});
        times.first.push(await until(() => { const s = w.lossatlas.stats(); return s.centre.z === s.level && s.centre.nodes >= 3; }));
        await pace();
        const canvas = w.querySelector("canvas").getBoundingClientRect();
        const at = {clientX: canvas.x + canvas.width * Math.random(), clientY: canvas.y + 0.5 * canvas.height, bubbles: true, pointerType: "mouse"};
        w.querySelector("canvas").dispatchEvent(new PointerEvent("pointermove", at));
        times.probe.push(await until(() => w.querySelector(".la-pill").innerText.includes("exact")));
        w.querySelector("canvas").dispatchEvent(new PointerEvent("pointerleave", at));
        await pace();
        const before = w.lossatlas.stats().hash;
        slider.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true}));
        slider.value = (7 * i) % 180;
        slider.dispatchEvent(new Event("input", {bubbles: true}));
        times.turn.push(await until(() => w.lossatlas.stats().hash !== before));
        slider.dispatchEvent(new PointerEvent("pointerup", {bubbles: true}));
        await pace();
    }
    return times;
}"""


def busy(lab: Lab) -> None:
    """While another cell trains: answers, and what the training keeps of its speed."""
    for kernel in ("python3", "lossatlas-ipykernel-7.3"):
        for net, data in (("small", "(x, y)"), ("cnn", "images")):
            alone = f"alone = [train({net}, {data}, 5) for _ in range(2)]"
            beside = f"print('RATIO', train({net}, {data}, 20) / max(alone))"
            page = open_digits(lab, kernel=kernel, more=[TRAIN, alone, beside])
            set_view(page, 0.0, 0.0, 2.9)
            until(page, "s.complete")
            page.run_cell(2)
            until(page, "s.pending === 0")
            page.run_cell(3)
            page.run_cell(4, wait=False)
            page.page.wait_for_timeout(1000)
            times = page.page.evaluate(WANDER, 16)
            page.wait_cell(4, timeout=60)
            ratio = float(page.outputs(4)[-1].split()[-1])
            for what, values in times.items():
                show(f"{kernel}, training {net}: {what}", values, "ms, bar p95 1000")
            print(
                f"{kernel}, training {net}: throughput while tiles are asked for {ratio:.2f} of that alone (bar 0.6)",
                flush=True,
            )
            page.close()
            lab.server.end_kernels()


MEMORY = """
import gc, os, psutil
gc.collect()
print("STATE", threading.active_count(), psutil.Process().memory_info().rss)
"""


def rerun(lab: Lab) -> None:
    """The explore cell run 50 times: threads and memory."""
    page = open_digits(lab, more=[MEMORY])

    def state() -> tuple[int, int]:
        page.run_cell(2)
        _, threads, memory = page.outputs(2)[-1].split()
        return int(threads), int(memory)

    until(page, "s.complete")
    for _ in range(3):  # allocators reach their level first
        page.run_cell(1)
        page.wait_state("live", 20)
    before = state()
    for _ in range(50):
        page.run_cell(1)
        page.wait_state("live", 20)
    after = state()
    print(
        f"50 runs of the explore cell: threads {before[0]} → {after[0]}, memory {(after[1] - before[1]) / 1e6:+.1f} MB (bar 20)"
    )


def open_digits(
    lab: Lab, traits: str = "", *, run: bool = True, kernel: str = "python3", more: list[str] | None = None
) -> Notebook:
    """A notebook with a trained digits MLP, and (run) its map."""
    page = lab.open([DIGITS, EXPLORE.format(traits), *(more or [])], kernel=kernel, viewport=(1280, 1000))
    page.run_cell(0)
    if run:
        page.run_cell(1)
        page.wait_state("live", 30)
    return page


def set_view(page: Notebook, a: float, b: float, span: float) -> None:
    page.page.evaluate(
        "([a, b, span]) => { document.querySelector('.lossatlas').lossatlas.setView({center: [a, b], span}); }",
        [a, b, span],
    )


def settled(page: Notebook, start: float = 0.0) -> float:
    """Milliseconds from start until what is in sight is as good as was asked for, and stays so."""
    return float(page.page.evaluate(SETTLED, start))


def until(page: Notebook, condition: str, start: float | None = None) -> float:
    """Milliseconds until the condition on the widget w and its stats s holds."""
    page.page.set_default_timeout(120_000)
    return float(page.page.evaluate(UNTIL, [condition, start]))


def show(what: str, values: list[float], unit: str) -> None:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    print(
        f"{what}: median {statistics.median(ordered):.0f}, p95 {p95:.0f}, range {ordered[0]:.0f} to {ordered[-1]:.0f} "
        f"({len(ordered)}) {unit}",
        flush=True,
    )


def bundle() -> str:
    static = ROOT / "src" / "lossatlas" / "static"
    both = b"".join((static / name).read_bytes() for name in ("widget.js", "widget.css"))
    return f"{len(both)} bytes minified (bar 100000), {len(gzip.compress(both))} gzipped (bar 35000)"


MEASURES: dict[str, Callable[[Lab], None]] = {
    "first": first,
    "move": move,
    "finished": finished,
    "frame": frame,
    "drag": drag,
    "busy": busy,
    "rerun": rerun,
}

if __name__ == "__main__":
    main()
