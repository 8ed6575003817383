"""Where the objective is looked at: directions, planes, lines, and the addresses of tiles and nodes."""

from lossatlas.geometry.caption import caption_of
from lossatlas.geometry.directions import Direction, filter_normalize, random_direction, turn
from lossatlas.geometry.extent import (
    check_coordinates,
    check_count,
    check_extent,
    check_home,
    check_interval,
    check_point,
    check_shape,
    check_tolerance,
    check_way,
)
from lossatlas.geometry.frame import Frame
from lossatlas.geometry.levels import Levels
from lossatlas.geometry.line import Line
from lossatlas.geometry.named import NamedDirections
from lossatlas.geometry.plane import Plane
from lossatlas.geometry.principal import random_walk_shares
from lossatlas.geometry.scaling import Scaling
from lossatlas.geometry.shadow import Shadow, shadow_of
from lossatlas.geometry.slice import HOME, Extent, Slice, length_of, same_slice, theta_at
from lossatlas.geometry.tiles import CELLS, PASSES, TileAddress, home_tiles, level_of
from lossatlas.geometry.trajectory import Trajectory
from lossatlas.geometry.turning import CHOICES, TURNS, Turn

__all__ = [
    "CELLS",
    "CHOICES",
    "HOME",
    "PASSES",
    "TURNS",
    "Direction",
    "Extent",
    "Frame",
    "Levels",
    "Line",
    "NamedDirections",
    "Plane",
    "Scaling",
    "Shadow",
    "Slice",
    "TileAddress",
    "Trajectory",
    "Turn",
    "caption_of",
    "check_coordinates",
    "check_count",
    "check_extent",
    "check_home",
    "check_interval",
    "check_point",
    "check_shape",
    "check_tolerance",
    "check_way",
    "filter_normalize",
    "home_tiles",
    "length_of",
    "level_of",
    "random_direction",
    "random_walk_shares",
    "same_slice",
    "shadow_of",
    "theta_at",
    "turn",
]
