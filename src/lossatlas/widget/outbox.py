"""Outbox: which tiles are still to be sent, how many are under way, and what must be sent again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lossatlas.geometry import TileAddress
from lossatlas.sampling import Pass
from lossatlas.widget.protocol import Bases, Message, Want, tiles

#: At most so many tiles, and at least so many seconds between two messages: the server limits messages, not bytes.
MOST_PER_MESSAGE = 64
INTERVAL = 0.033

# While a cell runs, finer passes of what a page shows already are collected for so long: each message is drawn, over
# several frames, and drawing takes as much of two cores as evaluating.
_SLOW_INTERVAL = 1.0

# A message not acknowledged for so long, in seconds, counts as lost; nothing is sent again sooner.
_LOST = 2.0

Key = tuple[TileAddress, int]  # a tile and the index of its field


@dataclass(frozen=True)
class _Sent:
    rank: int
    complete: bool
    n: int
    at: float


class Outbox:
    """Tiles on their way to the pages of one comm; every page receives every message. slowed: whether a cell runs."""

    def __init__(self, slowed: Callable[[], bool] = lambda: False) -> None:
        self.n = 0
        self._slowed = slowed
        self._waiting: dict[Key, Pass] = {}
        self._sent: dict[Key, _Sent] = {}
        self._under_way: dict[int, tuple[int, float]] = {}  # message number -> tiles in it, time
        self._credit: dict[str, tuple[int, int]] = {}  # page -> (credit, seen)
        self._last = 0.0
        self._bases = Bases()

    def clear(self) -> None:
        """Another scene: nothing of the old one is to be sent."""
        self._waiting.clear()
        self._sent.clear()
        self._bases = Bases()

    def put(self, item: Pass, field: int) -> None:
        """Queue a pass of a tile, in place of an earlier one that has not left yet."""
        key = (item.address, field)
        sent = self._sent.get(key)
        if sent is None or sent.rank < item.rank:
            waiting = self._waiting.get(key)
            if waiting is None or waiting.rank < item.rank:
                self._waiting[key] = item

    def has(self, address: TileAddress, field: int) -> bool:
        """Whether anything of a tile has been sent, or waits to be."""
        return (address, field) in self._sent or (address, field) in self._waiting

    def resend(self) -> None:
        """A page that has nothing yet has joined."""
        self._sent.clear()

    def heard(self, want: Want) -> None:
        """Take note of what a page has received and accepts; what it asks for again was lost or thrown away."""
        now = time.monotonic()
        self._credit[want.client] = (want.credit, want.seen)
        oldest = min(seen for _, seen in self._credit.values())
        self._under_way = {
            n: sent for n, sent in self._under_way.items() if n > oldest and now - sent[1] < _LOST
        }
        asked = set(want.tiles)
        for key, sent in list(self._sent.items()):
            if key[0] in asked and now - sent.at > _LOST and (sent.n > want.seen or sent.complete):
                del self._sent[key]

    def leave(self, client: str) -> None:
        """Forget a page."""
        self._credit.pop(client, None)

    @property
    def due_in(self) -> float | None:
        """Seconds until tiles may be sent: 0 for now, None while there is nothing to send."""
        if not self._waiting:
            return None
        if not self._room():
            return _LOST / 4  # looked at again at the next want, or when what is under way counts as lost
        finer = all(key in self._sent for key in self._waiting)
        interval = _SLOW_INTERVAL if finer and self._slowed() else INTERVAL
        return max(0.0, self._last + interval - time.monotonic())

    def take(self, epoch: int) -> Message:
        """The next message of tiles, the coarsest first."""
        order = sorted(self._waiting.items(), key=lambda item: item[1].rank)[: max(1, self._room())]
        now = self._last = time.monotonic()
        self.n += 1
        self._under_way[self.n] = (len(order), now)
        for key, item in order:
            del self._waiting[key]
            self._sent[key] = _Sent(item.rank, item.complete, self.n, now)
        return tiles(epoch, self.n, [(key[1], item) for key, item in order], self._bases)

    def _room(self) -> int:
        now = time.monotonic()
        room = MOST_PER_MESSAGE
        for credit, seen in self._credit.values():
            flying = sum(count for n, (count, at) in self._under_way.items() if n > seen and now - at < _LOST)
            room = min(room, credit - flying)
        return max(0, room)
