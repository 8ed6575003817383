"""Everything side by side with the peers, interleaved in one run; writes benchmarks/RESULTS.md.

    make bench                                            all five models, about an hour on two cores
    .venv/bin/python benchmarks/bench.py --models CNN     some of them; the report is put together from all that were run

Every ratio is of times taken in turn in one process. Truth is evaluated apart from what is timed, on landscapes of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from models import RECIPES, problem
from peers import LiEtAl, LossLandscapes
from report import write
from torch.utils.flop_counter import FlopCounterMode
from tour import PIXELS, VIEWS, extent

import lossatlas as la
from lossatlas.sampling.strategies.choice import choice_for

HERE = Path(__file__).parent
KEPT = HERE / ".results"
PEER_GRID = 51 * 51
TOLERANCES = {"good enough": 0.01, "equal sight": 0.005}
ROUNDS = 8
COLUMN = 26  # nodes that a peer evaluates in a round: 8 × 26 = 208
SECONDS = 0.4  # that ours takes in a round, at least four such columns


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--models", nargs="*", default=list(RECIPES), choices=list(RECIPES))
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument(
        "--truth", type=int, default=2000, help="random points per view that are evaluated exactly"
    )
    chosen = arguments.parse_args()
    KEPT.mkdir(exist_ok=True)
    for name in chosen.models:
        found = measure(name, chosen.seeds, chosen.truth)
        (KEPT / f"{name}.json").write_text(json.dumps(found, indent=1))
    runs = {
        name: json.loads(path.read_text()) for name in RECIPES if (path := KEPT / f"{name}.json").exists()
    }
    write(HERE, runs)


def measure(name: str, seeds: int, truth: int) -> dict[str, Any]:
    """All figures of one model."""
    task = problem(name)
    objective = la.Objective(task.model, task.loss, task.data)
    planes = [la.Plane.random(objective, seed=seed) for seed in range(seeds)]
    begun = time.perf_counter()
    report = la.Landscape(objective, planes[0]).report().splitlines()
    probe = time.perf_counter() - begun
    say(f"{name}: probe {probe:.2f} s, {next(line for line in report if line.startswith('chosen'))}")
    nodes = side_by_side(task, objective, planes[0])
    tours = []
    for seed, plane in enumerate(planes):
        for rule, tolerance in TOLERANCES.items():
            tours.append(
                {
                    "seed": seed,
                    "rule": rule,
                    "tolerance": tolerance,
                    "views": tour(objective, plane, tolerance),
                }
            )
        tours.append(
            {"seed": seed, "rule": "first picture", "tolerance": 0.1, "views": tour(objective, plane, 0.1, 1)}
        )
    judge(objective, planes, tours, truth)
    flops = FlopCounterMode(display=False)
    with flops, torch.inference_mode():
        task.model(task.data[0])
    return {
        "parameters": task.size, "samples": len(task.data[0]), "train": task.train_accuracy, "test": task.test_accuracy,
        "probe": probe, "report": report, "nodes": nodes, "tours": strip(tours), "truth": truth,
        "depth": depth(objective, planes[0]), "wander": wander(objective, planes[0]) if name == "digits MLP" else [], "flops": flops.get_total_flops(), "matmul": matmul_limit(),
        "operations": operations(objective, planes[0]),
        "machine": machine(),
    }  # fmt: skip


def side_by_side(task: Any, objective: la.Objective, plane: la.Plane) -> dict[str, Any]:
    """Seconds per exact node, on the same nodes, in turn; and how far the values lie apart."""
    peers = [LossLandscapes(task, plane.u, plane.v), LiEtAl(task, plane.u, plane.v)]
    landscape = la.Landscape(objective, plane)
    random = np.random.default_rng(0)
    landscape.evaluate(*random.uniform(-1, 1, (2, 64)))  # makes what a plane makes once
    begun = time.perf_counter()
    landscape.evaluate(*random.uniform(-1, 1, (2, 64)))
    columns = min(64, max(4, round(SECONDS * 64 / (time.perf_counter() - begun) / COLUMN)))
    seconds: dict[str, list[float]] = {"lossatlas": [], **{peer.name: [] for peer in peers}}
    every: dict[str, list[float]] = {peer.name: [] for peer in peers}
    apart = 0.0
    for round_ in range(ROUNDS):
        a, b = float(random.uniform(-1, 1)), np.linspace(-1, 1, COLUMN) + 1e-3 * round_
        # The peer's column and more like it: ours come in one call, as a grid or a tile asks for them.
        more = [(a + 1e-3 * k, b) for k in range(columns)]
        begun = time.perf_counter()
        values = landscape.evaluate(
            *(np.concatenate(part) for part in zip(*((np.full(COLUMN, x), y) for x, y in more), strict=True))
        )
        seconds["lossatlas"].append((time.perf_counter() - begun) / (columns * COLUMN))
        for peer in peers:
            theirs, taken = peer.column(a, b.tolist())
            seconds[peer.name].append(statistics.median(taken))
            every[peer.name] += taken
            apart = max(apart, float(np.max(np.abs(values[:COLUMN] / np.array(theirs) - 1))))
    ratios = {
        peer.name: [
            theirs / ours for theirs, ours in zip(seconds[peer.name], seconds["lossatlas"], strict=True)
        ]
        for peer in peers
    }
    for peer, found in ratios.items():
        say(f"  {peer}: {statistics.median(found):.2f} × ({min(found):.2f}–{max(found):.2f})")
    node = {peer: statistics.median(taken) for peer, taken in every.items()}
    return {"seconds": seconds, "ratios": ratios, "node": node, "apart": apart}


def tour(
    objective: la.Objective, plane: la.Plane, tolerance: float, views: int = len(VIEWS)
) -> list[dict[str, Any]]:
    """The views of a tour on a fresh landscape: seconds, nodes, the stated error and the range of each, and the map."""
    landscape = la.Landscape(objective, plane)
    rows = []
    for view in VIEWS[:views]:
        begun = time.perf_counter()
        drawn = landscape.map(extent(view), PIXELS, tolerance)
        seconds = time.perf_counter() - begun
        rows.append(
            {
                "seconds": seconds,
                "evaluated": drawn.evaluated,
                "stated": drawn.error,
                "range": drawn.range,
                "noise": drawn.noise,
                "map": drawn,
            }
        )
    say(
        f"  tour at {tolerance}: {sum(r['seconds'] for r in rows):.3f} s, {sum(r['evaluated'] for r in rows)} nodes"
    )
    return rows


def judge(objective: la.Objective, planes: list[la.Plane], tours: list[dict[str, Any]], points: int) -> None:
    """The true error of each view: at random points, off the grid, where the drawn pixels are read bilinearly."""
    for seed, plane in enumerate(planes):
        for index, view in enumerate(VIEWS[:-1]):
            random = np.random.default_rng(index)
            a0, a1, b0, b1 = extent(view)
            # On pixels, which no grid of nodes falls on: what is compared is what is drawn.
            columns, rows = random.integers(PIXELS, size=(2, points))
            exact = la.Landscape(objective, plane).evaluate(
                np.linspace(a0, a1, PIXELS)[columns], np.linspace(b0, b1, PIXELS)[rows]
            )
            for one in tours:
                for place, row in enumerate(one["views"]):
                    if one["seed"] == seed and VIEWS[place] == view:
                        row["true"] = float(np.abs(row["map"].values[rows, columns] - exact).max())


def strip(tours: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the maps themselves."""
    return [
        {**one, "views": [{k: v for k, v in row.items() if k != "map"} for row in one["views"]]}
        for one in tours
    ]


def depth(objective: la.Objective, plane: la.Plane) -> list[int]:
    """Nodes that a view costs on its own, level by level deeper, at the tolerance of good enough."""
    counts = []
    for level in range(13):
        landscape = la.Landscape(objective, plane)
        counts.append(landscape.map(extent((0.3, 0.2, 2.0**-level)), PIXELS, TOLERANCES["good enough"]).nodes)
    return counts


def wander(objective: la.Objective, plane: la.Plane, views: int = 1000) -> list[tuple[int, float]]:
    """Random views on one landscape: the nodes evaluated and the megabytes of this process, fifty times on the way."""
    landscape, random, seen = la.Landscape(objective, plane), np.random.default_rng(0), []
    for index in range(1, views + 1):
        a, b, r = *random.uniform(-1, 1, 2), 2.0 ** -random.uniform(0, 8)
        landscape.map(extent((a, b, r)), PIXELS, TOLERANCES["good enough"])
        if index % (views // 50) == 0:
            seen.append((landscape.evaluated, psutil.Process().memory_info().rss / 1e6))
    return seen


def matmul_limit() -> float:
    """Floating point operations a second of a large matrix product, on all threads that torch takes."""
    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    taken = []
    for _ in range(12):
        begun = time.perf_counter()
        a @ b
        taken.append(time.perf_counter() - begun)
    return 2 * 1536**3 / min(taken)


def operations(objective: la.Objective, plane: la.Plane) -> dict[str, float]:
    """Shares of a node's time on one thread, by torch's operation, the largest first."""
    runner = choice_for(objective, plane).strategy.on(plane)
    points = [(index / 64, 0.25) for index in range(runner.group)]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for _ in runner.run(points):  # what is made once is made here
            pass
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            for _ in range(max(1, 8 // runner.group)):
                for _ in runner.run(points):
                    pass
    finally:
        torch.set_num_threads(threads)
    taken = {entry.key.removeprefix("aten::"): entry.self_cpu_time_total for entry in profile.key_averages()}
    whole = sum(taken.values())
    return {name: taken[name] / whole for name in sorted(taken, key=lambda name: -taken[name])}


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    versions = {name: version(name) for name in ("lossatlas", "torch", "numpy", "loss-landscapes")}
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **versions,
    }


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
