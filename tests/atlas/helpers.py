"""Landscapes that are made again alike in another process, and processes that can be killed."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas.geometry import TileAddress

ADDRESSES = [TileAddress(z, x, y) for z in (0, 1, 2) for y in range(2**z) for x in range(2**z)]


def wave(theta: Tensor) -> Tensor:
    """Smooth, and nowhere so simple that two nodes share a value."""
    return (theta.sin() * (1.0 + theta.roll(1).square())).sum() + (3.0 * theta).cos().prod()


def function(size: int = 3) -> la.Objective:
    """An objective with one strategy alone, so that every process gets the same bits."""
    return la.Objective.from_function(wave, torch.linspace(0.1, 0.7, size, dtype=torch.float64))


def landscape(path: Any = None, *, size: int = 3) -> la.Landscape:
    """Its landscape on a random plane, kept in a file if asked for."""
    objective = function(size)
    return la.Landscape(objective, la.Plane.random(objective, seed=1), store=path)


def network(samples: int = 96, width: int = 8) -> la.Objective:
    """A small network, of which several strategies can be chosen."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(samples, 6, generator=generator)
    y = torch.randint(3, (samples,), generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 3))
    return la.Objective(model, nn.CrossEntropyLoss(), (x, y))


def compute(path: str, begun: Any, slow: float = 0.0) -> None:
    """Evaluate tile after tile into an atlas, until killed."""
    kept = landscape(path)
    begun.set()
    for address in ADDRESSES:
        kept.tile(address)
        kept.evaluate(0.1 * address.x, 0.3 + address.y)
        time.sleep(slow)
    kept.atlas.close()


def hold(path: str, begun: Any, end: Any, flushed: Any = None) -> None:
    """Be the writer of an atlas until told to end, or to write more and stay."""
    kept = landscape(path)
    kept.tile(ADDRESSES[0])
    kept.flush()
    begun.set()
    end.wait(60)
    if flushed is not None:
        kept.tile(ADDRESSES[-1])
        kept.flush()
        flushed.set()
        time.sleep(60)
    kept.atlas.close()


def refuse(path: str) -> None:
    """Be a process that is told that another one is the writer, and that reads along then."""
    try:
        la.load(path, function())
    except BlockingIOError:
        la.load(path)
        return
    raise AssertionError("it was not refused")


def processes() -> Any:
    """A context whose processes start from a fresh one that has imported all this."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.atlas.helpers"])
    return context


def check_integrity(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def held_nodes(path: Path) -> dict[tuple[float, float], np.ndarray]:
    """Everything that a file holds of the landscape above."""
    source = la.load(path).source
    (store, _column), *_ = source._layers.values()
    store.everything()
    points, values = store.snapshot()
    assert not store.rows.damaged
    return dict(zip(points, values, strict=True))
