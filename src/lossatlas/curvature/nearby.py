"""Nearby: the spectra that are known of points of a plane, for the next one to start from."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Iterable

from lossatlas.curvature.spectrum import Spectrum

# What their eigenvectors may take of memory, in bytes; so many of the newest are kept in any case.
_BYTES = 32 << 20
_LEAST = 8

Point = tuple[float, float]


class Nearby:
    """Spectra by their point (a, b), the newest ones within a budget of memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Point, Spectrum] = OrderedDict()

    def add(self, point: Point, spectrum: Spectrum) -> None:
        """Keep a spectrum, and let go of the oldest beyond the budget."""
        with self._lock:
            self._known[point] = spectrum
            while len(self._known) > _LEAST and sum(map(_bytes, self._known.values())) > _BYTES:
                self._known.popitem(last=False)

    def forget(self, points: Iterable[Point]) -> None:
        """Let go of the spectra of these points."""
        with self._lock:
            for point in points:
                self._known.pop(point, None)

    def nearest(self, point: Point, within: float) -> Spectrum | None:
        """The spectrum of the nearest point that is at most so far away, in units of the plane."""
        with self._lock:
            known = list(self._known.items())
        other, spectrum = min(known, key=lambda item: math.dist(point, item[0]), default=(point, None))
        return spectrum if math.dist(point, other) <= within else None


def _bytes(spectrum: Spectrum) -> int:
    vectors = spectrum.eigenvectors
    return vectors.numel() * vectors.element_size()
