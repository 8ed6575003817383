"""Shown: the open landscapes of an atlas. The scene of one that was used is written, the one that was evaluated last as the newest."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import Any

from lossatlas.atlas.file import AtlasFile
from lossatlas.atlas.scenes import scene_order
from lossatlas.atlas.writer import Order

# Those that are gone are looked through when there are more planes than this: a hand passes many by.
_MOST = 256

_log = logging.getLogger("lossatlas")


#: A landscape that may be gone: it has an objective, a slice, a scene, and that as a row, `scene_row`.
_Open = weakref.ref[Any]


class Shown:
    """Which landscapes are open, by objective and plane, and which of their scenes are written. It keeps none of them alive."""

    def __init__(self, file: AtlasFile) -> None:
        self._file = file
        self._planes: dict[tuple[str, str], dict[_Open, bool]] = {}  # whether it was used
        self._last: _Open | None = None
        self._written: dict[str, int] = {}  # in which state of the file
        self._newest = ""
        self._lock = threading.Lock()

    def add(self, landscape: Any, *, used: bool) -> bool:
        """A landscape is open, or somebody evaluates it or looks at it; whether that is for the first time."""
        one = weakref.ref(landscape)
        if used and self._last is one:
            return False
        key = landscape.objective.hash, landscape.slice.hash
        with self._lock:
            if key not in self._planes and len(self._planes) > _MOST:
                self._planes = {
                    plane: open_ for plane, known in self._planes.items() if (open_ := _open(known))
                }
            known = _open(self._planes.get(key, {}))
            before = known.pop(one, False)
            known[one] = before or used  # the newest last
            self._planes[key] = known
            if used:
                self._last = one
            return used and not before

    def wrote(self, scene: str) -> None:
        """A scene is written as the newest."""
        self._written[scene] = self._file.state
        self._newest = scene

    def of_plane(self, objective: str, plane: str) -> list[Order]:
        """What is written before nodes of a plane: its scenes, the one that was used last as the newest of all."""
        with self._lock:
            shown = dict(self._planes.get((objective, plane), {}))
        used = [one for one, was in shown.items() if was] or list(shown)
        alive = [found for one in used if (found := one()) is not None]
        orders = self._orders([one for one in alive[:-1] if not self._is_there(one)], anew=False)
        newest = [one for one in alive[-1:] if not (self._is_there(one) and one.scene.hash == self._newest)]
        return orders + self._orders(newest, anew=True)

    def lacking(self, scene: str | None = None) -> list[Order]:
        """What is written beside nodes: scenes that were used and are not there, or the one of this hash."""
        if scene in self._written:
            return []
        with self._lock:
            shown = [(one(), used) for plane in self._planes.values() for one, used in plane.items()]
        wanted = (one for one, used in shown if one and (used if scene is None else one.scene.hash == scene))
        return self._orders([one for one in wanted if one.scene.hash not in self._written], anew=False)

    def renew(self) -> None:
        """In a process that was forked, where nobody may be left to release the lock."""
        self._lock = threading.Lock()

    def _is_there(self, landscape: Any) -> bool:
        # In a file that was closed it may be missing, for that may be another one now.
        return self._written.get(landscape.scene.hash) == self._file.state

    def _orders(self, landscapes: list[Any], *, anew: bool) -> list[Order]:
        orders: list[Order] = []
        for landscape in landscapes:
            try:
                orders.append(scene_order(landscape.scene_row, anew=anew))
                self.wrote(landscape.scene.hash)
                if not anew:  # it may have been there
                    self._newest = ""
            except Exception:  # its nodes are found by their hashes all the same
                _log.exception("The scene of a landscape could not be written.")
        return orders


def _open(known: dict[_Open, bool]) -> dict[_Open, bool]:
    return {one: used for one, used in known.items() if one() is not None}
