"""Measure what a filter-normalised plane of a model with 25 million parameters costs.

    .venv/bin/python benchmarks/plane.py

Prints the time of `Plane.random` as a ratio to copying the parameters twice, in interleaved rounds, and the memory of the
plane and of making it, in parameter vectors.
"""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path

import torch
from torch import nn

import lossatlas as la

ROUNDS = 9


def memory(name: str) -> float:
    """A line of this process's memory, in bytes: VmRSS now, VmHWM at most."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024.0 * int(found[1])


def main() -> None:
    model = nn.Sequential(nn.Linear(2048, 6000), nn.ReLU(), nn.Linear(6000, 2048), nn.Linear(2048, 200))
    objective = la.Objective(model, nn.functional.cross_entropy, (torch.randn(8, 2048), torch.arange(8)))
    ratios = []
    for round_ in range(ROUNDS + 1):
        begun = time.perf_counter()
        for _ in range(2):
            copies = [parameter.detach().clone() for parameter in model.parameters()]
        copied = time.perf_counter() - begun
        del copies
        begun = time.perf_counter()
        plane = la.Plane.random(objective, seed=round_)
        if round_:
            ratios.append((time.perf_counter() - begun) / copied)
        del plane
    vector = objective.size * 4
    Path("/proc/self/clear_refs").write_text("5")  # the most used from now on
    before = memory("VmRSS")
    plane = la.Plane.random(objective, seed=99)
    most, kept = (memory("VmHWM") - before) / vector, (memory("VmRSS") - before) / vector
    print(f"{objective.size} parameters, {torch.get_num_threads()} threads")
    print(
        f"plane / copying the parameters twice: median {statistics.median(ratios):.2f}, range {min(ratios):.2f} to "
        f"{max(ratios):.2f} ({ROUNDS} interleaved rounds), bar 3"
    )
    print(f"memory: {kept:.2f} vectors kept, {most:.2f} at most while it is made, bar 4")
    del plane


if __name__ == "__main__":
    main()
