"""How nodes are evaluated and tiles put together: store, passes, the drawn spline."""

from lossatlas.sampling.evaluator import Evaluator
from lossatlas.sampling.family import Family, Keeping, columns_of
from lossatlas.sampling.layer import Layer
from lossatlas.sampling.mosaic import mosaic
from lossatlas.sampling.preview import Preview, paying, preview_of, seen
from lossatlas.sampling.preview import in_words as previews_in_words
from lossatlas.sampling.profile import Profile
from lossatlas.sampling.sheet import Map, draw, spread_of
from lossatlas.sampling.store import NodeStore, Point, grid_points
from lossatlas.sampling.subtraction import Subtraction
from lossatlas.sampling.tile import Pass, Sample, Tile, checks_of, nodes_of, parts, read_pass

__all__ = [
    "Evaluator",
    "Family",
    "Keeping",
    "Layer",
    "Map",
    "NodeStore",
    "Pass",
    "Point",
    "Preview",
    "Profile",
    "Sample",
    "Subtraction",
    "Tile",
    "checks_of",
    "columns_of",
    "draw",
    "grid_points",
    "mosaic",
    "nodes_of",
    "parts",
    "paying",
    "preview_of",
    "previews_in_words",
    "read_pass",
    "seen",
    "spread_of",
]
