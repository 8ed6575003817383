"""Measure what recording a run costs, how much of it is kept, and the plane of a long one read from a disk.

    .venv/bin/python benchmarks/training.py [overhead memory pca live]

Writes its section of RESULTS.md. Steps with and without the recorder alternate in one run, whose order changes from pair to pair; the
copy of the parameters alone is timed between them. Memory is the largest that the process had, above what it had before.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "benchmarks" / ".results" / "training.json"
TITLE = "## Training on the map"
PARTS = ("overhead", "memory", "pca", "live")

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])

import torch  # noqa: E402
from models import problem  # noqa: E402
from results import put  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import lossatlas as la  # noqa: E402


def main() -> None:
    if sys.argv[1:2] == ["--alone"]:  # one measurement in a process of its own
        print(json.dumps(ALONE[sys.argv[2]](*sys.argv[3:])))
        return
    chosen = sys.argv[1:] or PARTS
    found = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if "overhead" in chosen:
        found["overhead"] = {
            "digits MLP, batch 64, every step": overhead("digits MLP", 64, 1, 400, 7),
            "ResNet-20, batch 128, every 10th": overhead("ResNet-20", 128, 10, 20, 5),
        }
    if "memory" in chosen:
        found["memory"] = {way: alone("recorded", way) for way in ("memory", "disk")}
    if "pca" in chosen:
        found["pca"] = pca()
    if "live" in chosen:
        found["live"] = live()
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(found, indent=1))
    put(TITLE, section(found))


def overhead(name: str, batch: int, every: int, steps: int, rounds: int) -> dict[str, float]:
    """Seconds a step, recorded and not, in turn; and of what is recorded the copy alone."""
    task = problem(name)
    model, (x, y) = task.model.train(), task.data
    x, y = x[:batch], y[:batch]
    optimizer = torch.optim.SGD(model.parameters(), 1e-4)

    def train(recorder: la.Recorder | None) -> float:
        begun = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad()
            loss = task.loss(model(x), y)
            loss.backward()
            if recorder is not None:
                recorder.step(loss, lr=1e-4)
            optimizer.step()
        return (time.perf_counter() - begun) / steps

    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rows = torch.empty(steps // every, sum(parameter.numel() for parameter in parameters))

    def copy() -> float:
        begun = time.perf_counter()
        for row in rows:
            torch.cat([parameter.detach().reshape(-1) for parameter in parameters], out=row)
        return (time.perf_counter() - begun) / steps

    train(None)
    pairs, copies = [], []
    for k in range(rounds):
        made: Callable[[], la.Recorder] = lambda: la.Recorder(model, every=every)  # noqa: E731
        if k % 2:
            recorded, plain = train(made()), train(None)
        else:
            plain, recorded = train(None), train(made())
        pairs.append((plain, recorded))
        copies.append(copy())
    plain = statistics.median(one for one, _ in pairs)
    ratios = [recorded / alone for alone, recorded in pairs]
    beyond = [recorded - alone - copied for (alone, recorded), copied in zip(pairs, copies, strict=True)]
    return {
        "step": plain, "share": statistics.median(ratios) - 1, "low": min(ratios) - 1, "high": max(ratios) - 1,
        "copy": statistics.median(copies), "beyond": statistics.median(beyond),
    }  # fmt: skip


class Flat(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))


def forget_peak() -> int:
    """Let the peak be what is held now, and say that; in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """The most that was held since, in bytes; files that are mapped count."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def recorded(way: str) -> dict[str, float]:
    """10 000 steps of 270 000 parameters."""
    model, steps = Flat(270_000), 10_000
    with tempfile.TemporaryDirectory() as folder:
        recorder = la.Recorder(model, path=Path(folder) / "run" if way == "disk" else None)
        recorder.step(1.0)
        gc.collect()
        before = forget_peak()
        for _ in range(steps - 1):
            with torch.no_grad():
                model.weight += 1e-3
            recorder.step(1.0)
        taken = peak() - before
        return {"bytes": taken, "kept": len(recorder.steps)}


def alone(what: str, *more: str) -> Any:
    done = subprocess.run(
        [sys.executable, __file__, "--alone", what, *more], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def pca() -> dict[str, Any]:
    """300 checkpoints of 2.5 million parameters in a folder; reading every file twice, for the scale of it; the plane."""
    with tempfile.TemporaryDirectory() as folder:
        generator = torch.Generator().manual_seed(0)
        theta = torch.randn(2_500_000, generator=generator)
        for step in range(300):
            theta = theta + 0.01 * torch.randn(2_500_000, generator=generator)
            torch.save({"weight": theta}, Path(folder) / f"step-{step:04d}.pt")
        found = alone("plane_of", folder)
    return {**found, "accuracy": accuracy()}


def plane_of(folder: str) -> dict[str, Any]:
    files = sorted(Path(folder).glob("*.pt"))
    begun = time.perf_counter()
    for _ in range(2):
        for path in files:
            torch.load(path, weights_only=True)["weight"].sum()
    reads = time.perf_counter() - begun
    objective = la.Objective.from_step(
        Flat(2_500_000), lambda model, batch: model.weight.square().mean(), [torch.zeros(1)]
    )
    gc.collect()
    before = forget_peak()
    begun = time.perf_counter()
    run = la.Trajectory.from_folder(folder)
    plane = la.Plane.pca(objective, run)
    return {
        "reads": reads, "seconds": time.perf_counter() - begun, "bytes": peak() - before,
        "explained": [float(share) for share in plane.variance_explained], "null": [float(s) for s in plane.variance_null],
    }  # fmt: skip


def accuracy() -> dict[str, float]:
    """Of a small case: shares against a dense SVD, and the largest principal angle between the two planes."""
    rows = torch.randn(80, 2000, generator=torch.Generator().manual_seed(1)).cumsum(0)
    objective = la.Objective.from_step(
        Flat(2000), lambda model, batch: model.weight.square().mean(), [torch.zeros(1)]
    )
    plane = la.Plane.pca(objective, la.Trajectory.from_states(list(rows)))
    centred = rows.double() - rows.double().mean(dim=0)
    _, values, vectors = torch.linalg.svd(centred, full_matrices=False)
    shares = values.square() / values.square().sum()
    basis = torch.linalg.qr(torch.stack([plane.u, plane.v], dim=1).double())[0]
    missing: Tensor = basis - vectors[:2].T @ (vectors[:2] @ basis)
    return {
        "shares": float((shares[:2] - torch.as_tensor(plane.variance_explained)).abs().max()),
        "angle": float(torch.linalg.svdvals(missing).max().asin()),
    }


MODEL = """
import json, time, torch, lossatlas as la
from torch import nn
from sklearn.datasets import load_digits
x, y = (torch.as_tensor(each) for each in load_digits(return_X_y=True))
x = x.float() / 16
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
optimizer = torch.optim.SGD(model.parameters(), 0.01)
def train(seconds, recorder=None, pause=0.0):
    made, steps, until = [], 0, time.time() + seconds
    while time.time() < until:
        at = torch.randint(len(x), (64,))
        optimizer.zero_grad(); loss = nn.functional.cross_entropy(model(x[at]), y[at]); loss.backward()
        if recorder is not None:
            recorder.step(loss, lr=0.01); made.append(time.time())
        optimizer.step(); steps += 1
        time.sleep(pause)
    return steps / seconds, made
"""
SHOWN = """
recorder = la.Recorder(model, every={every})
explorer = la.explore(model, nn.functional.cross_entropy, (x, y), recorder=recorder, tolerance=0, height=420)
"""
# Up to which step the page has drawn the path, in seconds of the clock that the kernel has too.
WATCH = """() => {
    const seen = window.seenSteps = [], map = document.querySelector(".lossatlas").lossatlas;
    const look = () => {
        const last = map.runs?.().steps.at(-1) ?? -1;
        if (last !== seen.at(-1)?.[1]) seen.push([(performance.timeOrigin + performance.now()) / 1000, last]);
        if (window.seenSteps === seen) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""
# Looks at new ground all the time, so that tiles are always wanted.
WANDER = """() => {
    const map = document.querySelector(".lossatlas").lossatlas;
    let k = 0;
    window.wandering = setInterval(() => map.setView({center: [3 * Math.cos(k), 3 * Math.sin(k++)], span: 1}), 300);
}"""


def live() -> dict[str, Any]:
    """Steps a second beside a map that is not shown, shown, and busy, in turn with steps alone; and from a step to the screen."""
    sys.path.insert(0, str(ROOT))
    from playwright.sync_api import sync_playwright

    from tests.browser.lab import Lab, LabServer, launch_chromium
    from tests.browser.maps import ask, wait_complete

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = LabServer(Path(folder))
        lab = Lab(server, launch_chromium(playwright))
        cells = [
            MODEL,
            SHOWN.format(every=1),
            "explorer",
            "rates = [train(2)[0], train(2, recorder)[0]]",
            "_, made = train(10, recorder, 0.02)",
        ]
        page = lab.open(cells, viewport=(1100, 1000))
        page.run_cell(0)
        page.run_cell(1)
        page.page.wait_for_timeout(8000)  # its home view is evaluated for whoever comes

        def rates(rounds: int = 5) -> list[float]:
            found = []
            for _ in range(rounds):
                page.run_cell(3, timeout=120)
                alone, beside = ask(page, "rates")
                found.append(beside / alone)
            return found

        unseen = rates()
        page.run_cell(2)
        wait_complete(page)
        shown = rates()
        page.page.evaluate(WATCH)
        page.run_cell(4, timeout=120)
        page.page.wait_for_timeout(1500)
        delays = delays_of(
            ask(page, "made"), page.page.evaluate("() => window.seenSteps"), ask(page, "recorder.last")
        )
        page.page.evaluate(WANDER)
        busy = rates()
        errors = page.console_errors
        lab.close()
        server.stop()
    assert not errors, errors
    return {"unseen": unseen, "shown": shown, "busy": busy, "delays": delays}


def delays_of(made: list[float], seen: list[list[float]], last: int) -> list[float]:
    """Median, 95th percentile and greatest time from a step to the frame that draws it or, where it is not kept, a later one, ms."""
    first, found, at = last + 1 - len(made), [], 0
    for k, when in enumerate(made):
        while at < len(seen) and seen[at][1] < first + k:
            at += 1
        if at < len(seen):
            found.append(1e3 * (seen[at][0] - when))
    found.sort()
    return [statistics.median(found), found[int(0.95 * len(found))], found[-1], len(found)]


ALONE: dict[str, Callable[..., Any]] = {"recorded": recorded, "plane_of": plane_of}


def section(found: dict[str, Any]) -> list[str]:
    lines = ["", "`benchmarks/training.py`, two cores. Medians, with the range of the pairs.", ""]
    if "overhead" in found:
        lines += [
            "| recording | step alone | more with the recorder | of which the copy | beyond the copy |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            f"| {name} | {one['step'] * 1e3:.2f} ms | {one['share']:.1%} ({one['low']:.1%} to {one['high']:.1%}) | "
            f"{one['copy'] * 1e6:.0f} µs | {one['beyond'] * 1e6:.0f} µs |"
            for name, one in found["overhead"].items()
        ]
    if "memory" in found:
        kept = {
            way: f"{one['bytes'] / 2**20:.0f} MiB, {one['kept']} rows kept"
            for way, one in found["memory"].items()
        }
        lines += [
            "",
            f"10 000 steps of 270 000 parameters: in memory {kept['memory']}; in a folder {kept['disk']}.",
        ]
    if "pca" in found:
        one = found["pca"]
        lines += [
            "",
            (
                "Plane of 300 checkpoints of 2.5 million parameters in a folder: "
                f"{one['seconds']:.1f} s and {one['bytes'] / 2**20:.0f} MiB "
                f"(reading all files twice takes {one['reads']:.1f} s). A random walk of as many steps explains "
                f"{one['explained'][0]:.1%} + {one['explained'][1]:.1%} (closed form {one['null'][0]:.1%} + {one['null'][1]:.1%}). Beside a "
                f"dense SVD of 80 × 2000: shares within {one['accuracy']['shares']:.1e}, planes within {one['accuracy']['angle']:.1e} rad."
            ),
        ]
    if "live" in found:
        one = found["live"]
        shares = {
            name: f"{statistics.median(one[name]):.2f} ({min(one[name]):.2f} to {max(one[name]):.2f})"
            for name in ("unseen", "shown", "busy")
        }
        lines += [
            "",
            (
                f"Steps a second of the digits MLP with every step recorded and on a map, as a share of those alone: {shares['unseen']} "
                f"where nobody looks at the map (bar 0.9), {shares['shown']} where one does, {shares['busy']} while one looks at new ground "
                f"all the time (bar 0.6). From a step to the frame that draws it: median {one['delays'][0]:.0f} ms, 95th percentile "
                f"{one['delays'][1]:.0f} ms (bar 300), while the cell trains with 20 ms a step."
            ),
        ]
    return [*lines, ""]


if __name__ == "__main__":
    main()
