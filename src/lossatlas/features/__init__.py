"""Features of a landscape: recorded runs and balls that roll, points where the gradient vanishes, and curvature as fields."""

from lossatlas.features.critical import CriticalPoint
from lossatlas.features.curving import CURVATURE_FIELDS, CURVATURE_LABELS, KINDS, Curving
from lossatlas.features.descent import Descent, Drop, Drops
from lossatlas.features.recorder import Recorder
from lossatlas.features.search import Search
from lossatlas.features.sweep import Sweep, Sweeping
from lossatlas.features.tracking import Tracker, track

__all__ = [
    "CURVATURE_FIELDS",
    "CURVATURE_LABELS",
    "KINDS",
    "CriticalPoint",
    "Curving",
    "Descent",
    "Drop",
    "Drops",
    "Recorder",
    "Search",
    "Sweep",
    "Sweeping",
    "Tracker",
    "track",
]
