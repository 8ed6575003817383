"""Law 5 over the zoo: the same model made again has the same scene and the same map, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lossatlas as la
from tests.zoo.kinds import ZOO

HASHES = "from tests.zoo.kinds import ZOO; print(*(ZOO[n].objective(ZOO[n].build()).hash for n in {names!r}))"


@pytest.mark.parametrize("name", ZOO)
def test_the_same_seed_gives_the_same_scene_and_the_same_map(name: str) -> None:
    kind = ZOO[name]
    maps = []
    for _ in range(2):
        objective = kind.objective(kind.build())
        landscape = la.Landscape(objective, la.Plane.random(objective, seed=3))
        maps.append((objective.hash, landscape.scene.hash, landscape.grid(shape=(3, 2)).tobytes()))
    assert maps[0] == maps[1]
    other = la.Plane.random(objective, seed=4)
    assert la.Landscape(objective, other).scene.hash != maps[0][1]


def test_another_process_finds_the_same_hashes() -> None:
    names = ["multilayer perceptron", "low-rank adapters", "graph network"]
    try:
        import transformers  # noqa: F401
    except ImportError:
        pass
    else:
        names += ["transformers: BERT", "transformers: GPT-2"]
    there = subprocess.run(
        [sys.executable, "-c", HASHES.format(names=names)],
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONHASHSEED": "1"}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert there.stdout.split() == [ZOO[name].objective(ZOO[name].build()).hash for name in names]
