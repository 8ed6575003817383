"""Agenda: from what the pages want to what is evaluated next. Pure bookkeeping, under its session's lock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from lossatlas.geometry import Extent, TileAddress, home_tiles, level_of
from lossatlas.held import AnyLandscape
from lossatlas.sampling import Pass, Point, Preview, spread_of
from lossatlas.scale import auto_scale, drawn
from lossatlas.widget.protocol import Tolerance, View, Want

#: A page that has been silent for so long, in seconds, is gone.
SILENCE = 15.0

# Up to this rank (5 × 5 nodes) every tile in view comes before any tile is refined further.
_COARSE = 2


#: The name under which the home view is wanted until the first page says what it wants.
NOBODY = ""

#: A tile, and the first of the fields that are evaluated together on it.
Place = tuple[TileAddress, str]


@dataclass(eq=False)
class _Task:
    """A wanted tile: the pieces of nodes it still lacks, and its place among the others."""

    pieces: list[tuple[int, list[Point]]]
    in_view: bool
    at_home: bool
    order: int

    @property
    def urgency(self) -> tuple[bool, int, int, int]:
        """Smaller is sooner: in view, coarse before fine, the home view before what lies beyond it."""
        rank = self.pieces[0][0]
        stage = 0 if rank <= _COARSE else 1 if self.at_home else 2
        return not self.in_view, stage, rank, self.order


@dataclass(eq=False)
class Agenda:
    """What all pages together want of one landscape, as pieces of work in order."""

    landscape: AnyLandscape
    previews: tuple[Preview, ...] | None = None  # None until they are known
    wants: dict[str, tuple[Want, float]] = field(default_factory=dict)
    _tasks: dict[Place, _Task] = field(default_factory=dict)
    _wanted: frozenset[Place] = frozenset()
    _failed: set[Place] = field(default_factory=set)
    # What was known of wanted tiles when they were last looked at, by field: never more than is known now.
    _passes: dict[tuple[TileAddress, str], Pass] = field(default_factory=dict)
    _tolerances: dict[Place, list[Want]] = field(default_factory=dict)

    def want(self, want: Want) -> None:
        """Let the newest list of a page replace the one before."""
        self.note(want)
        self._plan()

    def note(self, want: Want) -> None:
        """Remember a page and its view without working for it: its list is of another scene."""
        self.wants[want.client] = (want, time.monotonic())

    def drop(self, client: str) -> None:
        """Forget a page."""
        if self.wants.pop(client, None) is not None:
            self._plan()

    def drop_silent(self) -> None:
        """Forget the pages that have said nothing for a while."""
        now = time.monotonic()
        for client in [c for c, (_, heard) in self.wants.items() if now - heard > SILENCE]:
            self.drop(client)

    def fail(self, place: Place) -> None:
        """Leave a tile out that cannot be evaluated."""
        self._failed.add(place)
        self._tasks.pop(place, None)

    def move(self, landscape: AnyLandscape) -> None:
        """Go over to another landscape; what the pages wanted of the old one is not evaluated there."""
        self.landscape, self.previews = landscape, None
        self._tasks.clear()
        self._failed.clear()
        self._passes.clear()
        self._wanted = frozenset()

    def next(self) -> tuple[Place, list[Point]] | None:
        """The most urgent piece of nodes and the tile it refines; it stays on the agenda until it is `done`."""
        self.drop_silent()
        if not self._tasks:
            return None
        place, task = min(self._tasks.items(), key=lambda item: item[1].urgency)
        return place, task.pieces[0][1]

    def next_preview(self) -> tuple[TileAddress, Preview] | None:
        """What comes before that: of all in view that nothing is known of a first pass on few samples, then on more."""
        if not self.previews:
            return None
        blank = [
            address
            for (address, layer), task in sorted(self._tasks.items(), key=lambda item: item[1].order)
            if layer == self._usual
            and task.in_view
            and task.pieces[0][0] == 0
            and self.landscape.known(address) is None
        ]
        pairs = ((address, preview) for preview in self.previews for address in blank)
        return next(
            ((address, preview) for address, preview in pairs if preview.known(address, 0) is None), None
        )

    def done(self, place: Place) -> None:
        """Nodes of a tile have been evaluated: take what is known now off the agenda.

        By what is known and not by number, since the list may have been made anew while they were evaluated.
        """
        task, (address, layer) = self._tasks.get(place), place
        if task is not None:
            while task.pieces and self.landscape.knows(task.pieces[0][1], layer):
                task.pieces.pop(0)
            for name in self.landscape.fields:
                self._passes.pop((address, name), None)
            if not task.pieces or self._is_good_enough(place):
                del self._tasks[place]

    def works_on(self, place: Place) -> bool:
        """Whether there are nodes of a tile to be evaluated."""
        return place in self._tasks

    def wanted(self, place: Place) -> bool:
        """Whether any page still wants a tile."""
        return place in self._wanted

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that any page draws."""
        drawn = {name for want, _ in self.wants.values() for name in want.fields}
        return (
            tuple(name for name in self.landscape.scene.fields if name in drawn)
            or self.landscape.scene.fields[:1]
        )

    @property
    def heard(self) -> dict[str, int]:
        """The number of the newest list of each page."""
        return {client: want.rev for client, (want, _) in self.wants.items() if client}

    @property
    def queue(self) -> int:
        """How many nodes are left to evaluate: all of an exact tile, of another one those of its next piece."""
        return sum(
            len(points)
            for place, task in self._tasks.items()
            for _, points in (task.pieces[:1] if self._tolerances.get(place) else task.pieces)
        )

    @property
    def view(self) -> View | None:
        """What the page shows that was heard of last; None while none has said anything."""
        heard = [pair for pair in self.wants.values() if pair[0].client]
        return max(heard, key=lambda pair: pair[1])[0].view if heard else None

    def in_view(self) -> list[TileAddress]:
        """The tiles that some page shows, wanted or complete, best first."""
        tiles: dict[TileAddress, bool] = {}
        for (address, _), in_view in self._merged().items():
            tiles[address] = tiles.get(address, False) or in_view
        for want, _ in self.wants.values():
            tiles.update((address, True) for address in want.shown if want.view.shows(address))
        return [address for address, in_view in tiles.items() if in_view]

    def _plan(self) -> None:
        old, self._tasks = self._tasks, {}
        home = self.landscape.home
        merged = self._merged()
        self._wanted = frozenset(merged)
        addresses = {address for address, _ in merged}
        self._passes = {key: found for key, found in self._passes.items() if key[0] in addresses}
        self._tolerances = self._wished()
        for order, (place, in_view) in enumerate(merged.items()):
            if place in self._failed or self._is_good_enough(place):
                continue
            known = old.get(place)
            pieces = known.pieces if known is not None else self.landscape.missing(*place)
            if pieces:
                self._tasks[place] = _Task(pieces, in_view, _overlaps(place[0], home), order)

    def _wished(self) -> dict[Place, list[Want]]:
        """The wants of each tile that need not be exact: those that somebody wants exactly are left out."""
        wished: dict[Place, list[Want]] = {}
        exact: set[Place] = set()
        for want, _ in self.wants.values():
            places = [(address, self.layer_of(want)) for address in want.tiles]
            if want.tolerance is None:
                exact.update(places)
            else:
                for place in places:
                    wished.setdefault(place, []).append(want)
        return {place: wants for place, wants in wished.items() if place not in exact}

    def _is_good_enough(self, place: Place) -> bool:
        """Whether what is known of a tile is within the tolerance of everybody who wants it."""
        wants = self._tolerances.get(place)
        if not wants:
            return False
        return all(
            (found := self._known(place[0], self._field(want))) is not None and self._meets(found, want)
            for want in wants
        )

    def _known(self, address: TileAddress, name: str) -> Pass | None:
        if (address, name) not in self._passes:
            found = self.landscape.known(address, name)
            if found is None:
                return None
            self._passes[address, name] = found
        return self._passes[address, name]

    def _meets(self, found: Pass, want: Want) -> bool:
        assert want.tolerance is not None
        tolerance = want.tolerance
        if tolerance.error is None:
            # The page has seen nothing yet, so the range is that of what is known here.
            known = [self._known(address, self._field(want)) for address in want.tiles]
            tolerance = _estimated(tolerance, [item for item in known if item is not None])
        assert tolerance.error is not None
        return tolerance.met(found, tolerance.error)

    @property
    def _usual(self) -> str:
        """The layer of the objective's own fields."""
        return self.landscape.fields[0]

    def _field(self, want: Want) -> str:
        return want.fields[0] if want.fields else self._usual

    def layer_of(self, want: Want) -> str:
        """The first of the fields that are evaluated together with the one that a page draws."""
        return self.landscape.layer_of(self._field(want))

    def _merged(self) -> dict[Place, bool]:
        """The lists of all pages merged, best first, with whether the tile is in anybody's view."""
        wants = [want for want, _ in self.wants.values()]
        merged: dict[Place, bool] = {}
        for number in range(max((len(want.tiles) for want in wants), default=0)):
            for want in wants:
                if number < len(want.tiles):
                    place = want.tiles[number], self.layer_of(want)
                    merged[place] = merged.get(place, False) or want.view.shows(place[0])
        return merged


def _overlaps(address: TileAddress, extent: Extent) -> bool:
    a0, a1, b0, b1 = address.extent
    return a0 < extent[1] and a1 > extent[0] and b0 < extent[3] and b1 > extent[2]


def _estimated(tolerance: Tolerance, known: list[Pass]) -> Tolerance:
    """The tolerance with its error as a share of the range of these tiles, on the scale that a page would draw them on."""
    values = np.concatenate([item.values.ravel() for item in known])
    scale = auto_scale(values)
    spread = spread_of(drawn(values, scale))
    return replace(tolerance, scale=scale if spread else tolerance.scale, error=tolerance.share * spread)


def home_want(landscape: AnyLandscape, share: float) -> Want:
    """What is evaluated before any page has said what it wants."""
    home = landscape.home
    view = View(((home[0] + home[1]) / 2, (home[2] + home[3]) / 2), home[1] - home[0], 1.0, 1.0)
    tiles = tuple(home_tiles(home, level_of(home)))
    tolerance = Tolerance(share, "linear") if share else None
    return Want(NOBODY, 1, 0, view, landscape.scene.fields[:1], tiles, 0, 0, tolerance=tolerance)
