"""Features of a landscape: the points where its gradient vanishes, and its curvature as fields of the map."""

from lossatlas.features.critical import CriticalPoint
from lossatlas.features.curving import CURVATURE_FIELDS, CURVATURE_LABELS, KINDS, Curving
from lossatlas.features.search import Search

__all__ = ["CURVATURE_FIELDS", "CURVATURE_LABELS", "KINDS", "CriticalPoint", "Curving", "Search"]
