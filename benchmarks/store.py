"""Measure what keeping costs: time while computing, size of the file, and how soon a stored atlas is seen again.

    .venv/bin/python benchmarks/store.py [rounds]

Writes its section of RESULTS.md. Times with and without a store are taken in turn, in one process, of the digits MLP.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from results import put  # noqa: E402

import lossatlas as la  # noqa: E402
from lossatlas.atlas import Subject, open_atlas  # noqa: E402
from lossatlas.geometry import CELLS, TileAddress, home_tiles, level_of  # noqa: E402
from lossatlas.sampling import checks_of, nodes_of  # noqa: E402

TITLE = "## Keeping it"
ROUNDS = 9
SIDE = 100  # tiles per side of the large atlas
LEVEL = 5


def digits() -> la.Objective:
    data = load_digits()
    x, y = torch.tensor(data.data, dtype=torch.float32) / 16, torch.tensor(data.target)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return la.Objective(model, nn.CrossEntropyLoss(), (x, y), fields=("loss", "accuracy"))


def seconds_of(objective: la.Objective, seed: int, store: Path | None) -> tuple[float, float]:
    """Seconds for 16 whole tiles, until the last node is known and written: on the clock, and of all threads together."""
    landscape = la.Landscape(objective, la.Plane.random(objective, seed), store=store)
    landscape.evaluate(0.3, 0.3)
    begun, busy = time.perf_counter(), time.process_time()
    for tile in home_tiles(landscape.home, level_of(landscape.home) + 1):
        landscape.tile(tile)
    landscape.flush()
    return time.perf_counter() - begun, time.process_time() - busy


def overhead(rounds: int) -> list[str]:
    objective = digits()
    pairs, sizes, counts = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        seconds_of(objective, 0, None)
        for index in range(rounds):
            path = Path(folder) / f"{index}.atlas"
            # Which comes first changes from pair to pair.
            order = [None, path] if index % 2 else [path, None]
            taken = {store: seconds_of(objective, 1 + index, store) for store in order}
            atlas = open_atlas(path)
            atlas.close()
            pairs.append((taken[None], taken[path]))
            sizes.append(path.stat().st_size)
            held = la.load(path)
            counts.append(held.evaluated * len(objective.fields))
    shares, busy = ([100 * (kept[i] / plain[i] - 1) for plain, kept in pairs] for i in (0, 1))
    ratio = statistics.median(size / (8 * count) for size, count in zip(sizes, counts, strict=True))
    return [
        (
            f"Computing 16 whole tiles of the digits MLP (two fields) takes {statistics.median(plain[0] for plain, _ in pairs):.2f} s; with a "
            f"store {statistics.median(shares):+.1f} % (median of {rounds} interleaved pairs, {min(shares):+.1f} to "
            f"{max(shares):+.1f} %), and {statistics.median(busy):+.1f} % of processor time ({min(busy):+.1f} to {max(busy):+.1f} %). Its file takes {ratio:.2f} × 8 bytes × the values held."
        ),
    ]


def large() -> list[str]:
    """An atlas of 10 000 tiles, whose values are a formula's, opened in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.atlas"
        objective = la.Objective.from_function(lambda theta: theta.sin().sum(), torch.zeros(50))
        landscape = la.Landscape(objective, la.Plane.random(objective), store=path)
        landscape.evaluate(0.0, 0.0)
        landscape.flush()
        subject = Subject(objective.hash, landscape.slice.hash, ("loss",), False, *landscape.levels)
        atlas, count = landscape.atlas, 0
        noise = np.random.default_rng(0)
        for y in range(-SIDE // 2, SIDE // 2):
            known = {}
            for x in range(-SIDE // 2, SIDE // 2):
                address = TileAddress(LEVEL, x, y)
                points = nodes_of(address, CELLS + 1) + checks_of(address)
                known.update(dict.fromkeys(points))
            points = list(known)
            a, b = np.array(points).T
            # The last bits of a mean over data are noise, which nothing compresses.
            values = np.sin(7 * a) * np.cos(5 * b) + 1e-9 * noise.standard_normal(len(a)) + 2
            atlas.put(subject, points, values[:, None])
            atlas.flush()
        atlas.close()
        count, size = la.load(path).evaluated, path.stat().st_size
        script = (
            "import sys, time, psutil, lossatlas as la; from lossatlas.geometry import home_tiles; "
            "process = psutil.Process(); before = process.memory_info().rss; begun = time.perf_counter(); "
            "held = la.load(sys.argv[1]); "
            "found = [held.source.known(tile, 'loss') for z in (0, 1) for tile in home_tiles(held.home, z)]; "
            "assert all(one is not None for one in found); "
            "print(time.perf_counter() - begun, (process.memory_info().rss - before) / 2**20)"
        )
        found = [
            subprocess.run(
                [sys.executable, "-c", script, str(path)],
                check=True,
                capture_output=True,
                text=True,
                env=os.environ,
            ).stdout.split()
            for _ in range(5)
        ]
        seconds, memory = (statistics.median(float(row[index]) for row in found) for index in (0, 1))
        return [
            (
                f"An atlas of {SIDE * SIDE} whole tiles ({count / 1e6:.1f} million values, {size / 1e6:.0f} MB, "
                f"{size / (8 * count):.2f} × 8 bytes × the values held) shows its home view at two levels (20 tiles) {seconds:.2f} s after it is "
                f"opened, imports excluded, and takes {memory:.0f} MB of memory for it."
            ),
        ]


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    put(
        TITLE,
        ["", *overhead(rounds), "", *large(), "", f"{os.cpu_count()} cores, torch {torch.__version__}."],
    )
