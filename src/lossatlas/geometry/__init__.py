"""Where the objective is looked at: directions, planes, and the addresses of tiles and nodes."""

from lossatlas.geometry.directions import filter_normalize, random_direction, turn
from lossatlas.geometry.plane import TURNS, Plane, Turn
from lossatlas.geometry.tiles import CELLS, PASSES, TileAddress, home_tiles, level_of

__all__ = [
    "CELLS",
    "PASSES",
    "TURNS",
    "Plane",
    "TileAddress",
    "Turn",
    "filter_normalize",
    "home_tiles",
    "level_of",
    "random_direction",
    "turn",
]
