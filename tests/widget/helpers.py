"""A map without Jupyter: a small landscape, and a page made of lists."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import lossatlas as la
from lossatlas.widget.protocol import Head


def bowl(theta: torch.Tensor) -> torch.Tensor:
    """A bowl and a ripple, in as many dimensions as you like."""
    return (theta**2).sum() + 0.1 * torch.sin(5 * theta).sum()


def landscape(
    f: Callable[[torch.Tensor], torch.Tensor] = bowl, size: int = 2, **options: Any
) -> la.Landscape:
    """A landscape over the first two coordinates of a plain function, in float64."""
    objective = la.Objective.from_function(f, torch.zeros(size, dtype=torch.float64))
    u, v = torch.eye(size, dtype=torch.float64)[:2]
    return la.Landscape(objective, la.Plane(objective.theta, u, v), **options)


class Page:
    """What a page has received, and how it asks."""

    def __init__(self, client: str = "page") -> None:
        self.client = client
        self.messages: list[tuple[Head, list[bytes]]] = []
        self._arrived = threading.Condition()

    def receive(self, head: Head, buffers: list[bytes]) -> None:
        with self._arrived:
            self.messages.append((head, buffers))
            self._arrived.notify_all()

    def heads(self, kind: str) -> list[Head]:
        return [head for head, _ in list(self.messages) if head["k"] == kind]

    def wait_for(self, found: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
        """Wait until `found()` is true and return it; fail with `what` was expected."""
        limit = time.monotonic() + seconds
        with self._arrived:
            while not (result := found()):
                left = limit - time.monotonic()
                assert left > 0, f"{what} did not come. Received: {[head['k'] for head, _ in self.messages]}"
                self._arrived.wait(min(left, 0.1))
        return result

    def hello(self, have: str | None = None) -> Head:
        return {"v": 1, "k": "hello", "client": self.client, "caps": {}, "have": have}

    def want(self, tiles: list[tuple[int, int, int]], epoch: int = 1, rev: int = 1, **more: Any) -> Head:
        view = {"center": [0.0, 0.0], "span": 2.0, "width": 480, "height": 480}
        head = {
            "v": 1, "k": "want", "client": self.client, "epoch": epoch, "rev": rev, "view": view, "fields": ["loss"],
            "tiles": [[*tile, 2] for tile in tiles], "credit": 1000, "seen": self.seen,
        }  # fmt: skip
        return {**head, **more}

    def probe(self, at: tuple[float, float], req: int, epoch: int = 1) -> Head:
        return {"v": 1, "k": "probe", "client": self.client, "req": req, "epoch": epoch, "at": list(at)}

    @property
    def seen(self) -> int:
        return max((head["n"] for head in self.heads("tiles")), default=0)

    def tiles(self, epoch: int | None = None) -> dict[tuple[int, int, int], tuple[Head, np.ndarray]]:
        """The last values received of each tile: its head, and nodes × nodes float64."""
        found = {}
        for head, buffers in list(self.messages):
            if head["k"] == "tiles" and (epoch is None or head["epoch"] == epoch):
                numbers = np.frombuffer(buffers[0], "<f4").astype(float)
                for tile in head["head"]:
                    n = tile["nodes"]
                    count = tile.get("rows", n) * n
                    values = numbers[tile["off"] : tile["off"] + count].reshape(-1, n) + tile["base"]
                    found[tile["z"], tile["x"], tile["y"]] = (tile, values)
        return found


HOME = [(0, -1, -1), (0, 0, -1), (0, -1, 0), (0, 0, 0)]
