"""Bake: tiles of all levels to a depth, evaluated to a tolerance, as a job; and what it says while it works."""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

import numpy as np

from lossatlas.geometry import TileAddress, check_tolerance, home_tiles, level_of
from lossatlas.held import AnyLandscape
from lossatlas.sampling import Pass, spread_of
from lossatlas.scale import Scale, drawn, scale_of
from lossatlas.widget import kernel
from lossatlas.widget.baked import Frame, Frozen, freeze

# Levels, where nobody says how many.
_USUAL = 4

#: Deeper than this one grid has more nodes than anybody waits for: 4097 × 4097.
DEEPEST = 7

# Nodes that are evaluated between two looks at what is known.
_AT_ONCE = 4096

# Bytes of the parts of the front end, which come along.
_PARTS = 120_000

# Bytes that a node takes in a page, as a guide: what smooth fields of trained networks took, by a generous margin.
_BYTES_PER_NODE = 1.5


@dataclass(frozen=True)
class Estimate:
    """What baking may take: tiles; nodes, at most; seconds, at most, None until a node was timed; bytes, roughly."""

    depth: int
    fields: tuple[str, ...]
    tiles: int
    nodes: int
    seconds: float | None
    bytes: int

    def __str__(self) -> str:
        time_ = "" if self.seconds is None else f" and {_duration(self.seconds)}"
        names = ", ".join(self.fields)
        return (
            f"{self.tiles} tiles to depth {self.depth} of {names}: at most {_thousands(self.nodes)} nodes{time_}, "
            f"about {self.bytes / 1e6:.1f} MB"
        )


@dataclass(frozen=True)
class Baked:
    """What was baked: tiles of each field, nodes that had to be evaluated, seconds, bytes as a saved page has them, bound: by
    field the most that a value is off by since it was rounded to 16 bits.
    """

    depth: int
    fields: tuple[str, ...]
    tiles: int
    nodes: int
    seconds: float
    bytes: int
    bound: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        bounds = ", ".join(f"{name} ± {bound:.2g}" for name, bound in self.bound.items())
        return (
            f"baked {self.tiles} tiles to depth {self.depth}: {_thousands(self.nodes)} nodes evaluated in "
            f"{_duration(self.seconds)}, {self.bytes / 1e6:.2f} MB, rounded by at most: {bounds}"
        )


@dataclass(frozen=True, eq=False)
class Order:
    """What is to be baked of a landscape: fields, levels, and how good."""

    landscape: AnyLandscape
    fields: tuple[str, ...]
    depth: int
    tolerance: float
    scale: str

    def same(self, other: Order) -> bool:
        """Whether the same is baked of the same scene."""
        mine, theirs = (
            (one.landscape.scene.hash, one.fields, one.depth, one.tolerance, one.scale)
            for one in (self, other)
        )
        return mine == theirs

    @functools.cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The home view to its depth, then what a wide frame shows beside it, and a step out."""
        (a0, a1, b0, b1), line = self.landscape.home, self.landscape.on_line
        first = level_of(self.landscape.home)
        inside = tuple(tuple(home_tiles(self.landscape.home, z)) for z in range(first, first + self.depth))
        wide = (2 * a0 - a1, 2 * a1 - a0, 2 * b0 - b1, 2 * b1 - b0)  # of a line b0 = b1 = 0
        coarser = range(max(first - 1, self.landscape.levels[0]), first + 1)
        around = tuple(tuple(tile for tile in home_tiles(wide, z) if tile not in inside[0]) for z in coarser)
        return tuple(
            Piece(levels, Frame.around([tile for tiles in levels for tile in tiles], line=line))
            for levels in (inside, around)
        )

    def estimate(self, seconds_of_a_node: float | None = None) -> Estimate:
        """What it may take, when every node is evaluated."""
        nodes = sum(math.prod(piece.frame.shape) for piece in self.pieces)
        layers = len({self.landscape.layer_of(name) for name in self.fields})
        count = sum(len(tiles) for piece in self.pieces for tiles in piece.levels)
        seconds = None if seconds_of_a_node is None else layers * nodes * seconds_of_a_node
        size = int(nodes * len(self.fields) * _BYTES_PER_NODE) + _PARTS
        return Estimate(self.depth, self.fields, count, layers * nodes, seconds, size)


@dataclass(frozen=True, eq=False)
class Piece:
    """Tiles of several levels, the coarsest first, whose nodes are kept on one grid."""

    levels: tuple[tuple[TileAddress, ...], ...]
    frame: Frame


def order_of(
    landscape: AnyLandscape, depth: Any, fields: str | Sequence[str] | None, tolerance: float, scale: str
) -> Order:
    """An order, checked: raises TypeError or ValueError, in words, for what cannot be baked."""
    most = landscape.levels[1] - level_of(landscape.home) + 1
    depth = min(_USUAL, most) if depth is None else depth
    if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= DEEPEST:
        raise ValueError(f"depth is {depth!r}. Pass how many levels to bake, 1 to {DEEPEST}.")
    if depth > most:
        raise ValueError(
            f"depth is {depth}. From its home view on this map goes to depth={most}: closer there is nothing more to tell apart."
        )
    names = (fields,) if isinstance(fields, str) else tuple(dict.fromkeys(fields or ()))
    if not names:
        raise ValueError(f"fields is {fields!r}. Pass names of {', '.join(landscape.fields)}.")
    for name in names:
        landscape.layer_of(name)  # raises, in words, for one that there is not
        if name not in landscape.fields:
            raise ValueError(f"{name!r} is no field of a map. Pass names of {', '.join(landscape.fields)}.")
    return Order(landscape, names, depth, check_tolerance(tolerance), scale)


def bake_work(
    order: Order, tell: Callable[[int, int, int], None] = lambda done, of, nodes: None
) -> Generator[None, None, tuple[dict[str, list[Frozen]], int]]:
    """The pieces of each field as bytes, and how many nodes that took, as a job.

    tell(tiles that are done, all of them, nodes evaluated so far).
    """
    landscape, frozen = order.landscape, dict[str, list[Frozen]]()
    total = len(order.fields) * sum(len(tiles) for piece in order.pieces for tiles in piece.levels)
    done = nodes = 0
    layers: set[str] = set()
    for name in order.fields:
        # The first field of a forward pass says which nodes it takes; the others are what the same nodes say of them.
        leads = landscape.layer_of(name) not in layers
        layers.add(landscape.layer_of(name))
        known: dict[TileAddress, Pass] = {}
        frozen[name] = []
        for piece in order.pieces:
            for tiles in piece.levels:
                while (behind := _behind(order, name, tiles, known)) and leads:
                    tell(done + len(tiles) - len(behind), total, nodes)
                    nodes += yield from landscape.work(_first(behind), name)
                done += len(tiles)
                tell(done, total, nodes)
            # Read once more: the nodes of finer tiles have made the coarser ones better.
            found = (landscape.known(tile, name) for tiles in piece.levels for tile in tiles)
            passes = [item for item in found if item is not None]
            frozen[name].append(freeze(passes, piece.frame))
            yield
    return frozen, nodes


def _first(behind: Sequence[list[Any]]) -> list[Any]:
    """The next piece of each of these tiles, as many as are worth one call."""
    points: list[Any] = []
    for piece in behind:
        points += piece
        if len(points) > _AT_ONCE:
            break
    return points


def _behind(
    order: Order, name: str, tiles: Sequence[TileAddress], known: dict[TileAddress, Pass]
) -> list[list[Any]]:
    """The next piece of nodes of each tile that is not good enough yet; what is known is put into `known`."""
    landscape = order.landscape
    for tile in tiles:
        if tile not in known or not known[tile].complete:
            found = landscape.known(tile, name)
            if found is not None:
                known[tile] = found
    pieces = []
    for tile in tiles:
        missing = landscape.missing(tile, name)
        if missing and not _good_enough(order, tile, known):
            pieces.append(missing[0][1])
    return pieces


def _good_enough(order: Order, tile: TileAddress, known: dict[TileAddress, Pass]) -> bool:
    """Whether a tile's stated error is within the tolerance of what a view of its level shows around it."""
    found = known.get(tile)
    if found is None or not order.tolerance:
        return False
    # A view shows about two tiles a side: a closer one as much as a tile of the level above, and what lies around the home view
    # is seen beside it.
    above, home = TileAddress(tile.z - 1, tile.x >> 1, tile.y >> 1), order.pieces[0].levels[0]
    inside = tile.z > home[0].z and above in known
    shown = [known[above]] if inside else [known[one] for one in home if one in known]
    scale = _scale(order, known)
    return found.error_on(scale).within(order.tolerance * spread_of(drawn(_values(shown), scale)))


def _scale(order: Order, known: dict[TileAddress, Pass]) -> Scale:
    """The scale that a page would draw on: it is chosen by the home view."""
    at_home = [known[tile] for tile in order.pieces[0].levels[0] if tile in known]
    return scale_of(order.scale, _values(at_home))


def _values(passes: Sequence[Pass]) -> np.ndarray:
    """At the nodes: between them a spline through a wall and a minimum may dip below 0, which has no logarithm."""
    return np.concatenate([np.empty(0), *(item.values.ravel() for item in passes)])


class Teller:
    """Says how far baking has come, on one line of a stream that is written over."""

    def __init__(self, order: Order, stream: TextIO | None = None) -> None:
        # A notebook shows what goes to stderr as if it were a warning.
        self._order, self._stream = order, stream or (sys.stdout if kernel.is_notebook() else sys.stderr)
        self._begun = time.monotonic()
        self._state: tuple[int, int, int] = (0, 0, 0)
        self._estimated = False
        self._stream.write(f"lossatlas bakes {order.estimate()}\n")

    def tell(self, done: int, of: int, nodes: int) -> None:
        """Note it: called by the thread that works."""
        self._state = (done, of, nodes)

    def say(self) -> None:
        """Write it: called by the thread that waits."""
        (done, of, nodes), spent = self._state, time.monotonic() - self._begun
        if not of:
            return
        rest = f", {_duration(spent * (of - done) / done)} to go" if done and done < of else ""
        line = f"{done} of {of} tiles, {_thousands(nodes)} nodes, {_duration(spent)}{rest}"
        self._stream.write(f"\r{line:<78}")
        self._stream.flush()

    def end(self, text: str) -> None:
        """The last word."""
        self._stream.write(f"\r{text:<78}\n")
        self._stream.flush()


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _thousands(count: int) -> str:
    return f"{count:,}".replace(",", " ")
