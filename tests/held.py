"""A map without its model, for tests: the tiles of a real landscape, put away in a dictionary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import lossatlas as la
from lossatlas.geometry import TileAddress, Turn
from lossatlas.held import HeldLandscape
from lossatlas.sampling import Pass, Point, checks_of, nodes_of
from lossatlas.scene import Scene
from lossatlas.sources import NotHeld, Source


class Shelf:
    """A source of passes and of exact values, in memory; others: what it holds of other planes, by turn."""

    def __init__(
        self,
        passes: dict[tuple[TileAddress, str], Pass],
        points: dict[Point, dict[str, float]],
        others: dict[Turn, tuple[Scene, Source]] | None = None,
    ) -> None:
        self._passes, self._points, self._others = passes, points, others or {}

    @property
    def evaluated(self) -> int:
        return len(self._points)

    def known(self, address: TileAddress, field: str) -> Pass | None:
        return self._passes.get((address, field))

    def values(self, points: Sequence[Point], field: str) -> np.ndarray:
        missing = [point for point in points if field not in self._points.get(point, {})]
        if missing:
            raise NotHeld(missing)
        return np.array([self._points[point][field] for point in points])

    def turned(self, turn: Turn) -> tuple[Scene, Source] | None:
        return self._others.get(turn)


def shelf_of(
    landscape: la.Landscape, tiles: Sequence[TileAddress], others=None, field: str = "loss"
) -> Shelf:
    """These tiles of a landscape, evaluated in full, with the nodes and checks that they rest on."""
    passes, points = {}, {}
    line = landscape.on_line
    for address in tiles:
        every = nodes_of(address, 33, line=line) + checks_of(address, line=line)
        values = landscape.evaluate(*np.array(every).T[: 1 if line else 2], field=field)
        found = landscape.known(address, field)
        assert found is not None
        passes[address, field] = found
        points.update({point: {field: value} for point, value in zip(every, values.tolist(), strict=True)})
    return Shelf(passes, points, others)


def held_of(landscape: la.Landscape, tiles: Sequence[TileAddress], **options) -> HeldLandscape:
    """What is left of a landscape when its model has gone."""
    return HeldLandscape(landscape.scene, shelf_of(landscape, tiles), **options)
