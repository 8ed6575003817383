"""Features of a landscape: the points where its gradient vanishes."""

from lossatlas.features.critical import CriticalPoint
from lossatlas.features.search import Search

__all__ = ["CriticalPoint", "Search"]
