"""Writer: one thread of an atlas that writes what has come, in small transactions, away from those who evaluate."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from lossatlas.atlas.file import AtlasFile
from lossatlas.atlas.nodes import StoredNodes

# How old what has come may become before it is written, in seconds, and how many nodes one transaction takes of a plane.
_OLDEST = 0.2
_MOST = 1 << 14

# A thread that has had nothing to do for so long ends; the next node starts another.
_IDLE = 2.0

# After a failure it is tried again so much later, in seconds; and so many nodes of a plane wait at most.
_AGAIN = 10.0
_WAITING = 1 << 20

_log = logging.getLogger("lossatlas")

#: Something to be written, given the connection; what it returns is called when that is in the file.
Order = Callable[[sqlite3.Connection], Callable[[], None] | None]

#: What is to be written before nodes of a store.
Before = Callable[[StoredNodes], list[Order]]


class Writer:
    """Writes nodes and whatever else is ordered.

    before() gives a method of the writer's owner, or None when that is gone: what is to be written before nodes of a store. The
    owner lives as long as something waits, and no longer for the writer's sake.

    Where nothing can be written, a full disk for example, the computation goes on: what waits is tried again later, and
    `trouble` says what happened.
    """

    def __init__(self, file: AtlasFile, before: Callable[[], Before | None]) -> None:
        self._file, self._before = file, before
        self._owner: Before | None = None
        self._stores: dict[StoredNodes, None] = {}
        self._orders: deque[Order] = deque()
        self._state = threading.Condition()
        self._writing = threading.RLock()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = None
        self._warned = self._forked = False
        self.lost = 0  # nodes that were given up

    def abandon(self) -> None:
        """Write nothing any more, in a process that was forked: that is left to its parent."""
        self._state, self._writing = threading.Condition(), threading.RLock()
        self._stores, self._orders, self._owner, self._forked = {}, deque(), None, True

    def wake(self, store: StoredNodes) -> None:
        """A store has nodes to be written."""
        if self._forked:
            return
        with self._state:
            self._stores[store] = None
            self._begin()

    def order(self, order: Order) -> None:
        """Have something written soon; order(connection) is called within a transaction."""
        if self._forked:
            return
        with self._state:
            self._orders.append(order)
            self._begin()

    def give_up(self) -> None:
        """Write nothing of what was ordered and could not be written."""
        with self._writing, self._state:
            self._orders.clear()
        self._write()

    def settle(self) -> None:
        """Write all that waits, on this thread; `trouble` says what failed."""
        self._write()

    def flush(self) -> None:
        """The same; what fails is said by a warning, once."""
        self._write()
        if self.trouble and not self._warned:
            self._warned = True
            warnings.warn(self.trouble, RuntimeWarning, stacklevel=3)

    def _begin(self) -> None:
        self._owner = self._before()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lossatlas-atlas", daemon=True)
            self._thread.start()
        self._state.notify()

    def _run(self) -> None:
        while True:
            with self._state:
                if not self._waits and not self._state.wait_for(lambda: self._waits, _IDLE):
                    self._thread = None
                    return
            time.sleep(_OLDEST)  # more will come
            if not self._write():
                time.sleep(_AGAIN)

    @property
    def _waits(self) -> bool:
        return bool(self._stores or self._orders)

    def _write(self) -> bool:
        """Write what waits, transaction after transaction; False when that failed."""
        with self._writing:
            while True:
                with self._state:
                    if not self._waits:
                        # Let go of when this returns, for it may be the last to hold it.
                        _owner, self._owner = self._owner, None
                        return True
                    stores, self._stores = list(self._stores), {}
                    orders, self._orders = list(self._orders), deque()
                if not self._transaction(stores, orders):
                    return False

    def _transaction(self, stores: list[StoredNodes], orders: list[Order]) -> bool:
        taken = [(store, store.take(_MOST)) for store in stores]
        try:
            before = self._before()
            if before is not None:
                orders += [order for store, _ in taken for order in before(store)]
            with self._file.writing() as connection:
                done = [order(connection) for order in orders]
                for store, nodes in taken:
                    if nodes:
                        values = np.array([row for _, row in nodes])
                        store.rows.merge(connection, [point for point, _ in nodes], values)
        except Exception as error:  # whatever it is, the computation goes on
            self._failed(error, taken, orders)
            return False
        for then in filter(None, done):
            then()
        with self._state:
            # Whoever had more than that waits for the next transaction.
            self._stores.update({store: None for store, nodes in taken if len(nodes) == _MOST})
        if self.trouble:
            self.trouble, self._warned = None, False
        return True

    def _failed(
        self,
        error: Exception,
        taken: list[tuple[StoredNodes, list[Any]]],
        orders: list[Order],
    ) -> None:
        for store, nodes in taken:
            self.lost += store.give_back(nodes, _WAITING)
        with self._state:
            self._stores.update({store: None for store, _ in taken})
            self._orders.extendleft(reversed(orders))
        if self.trouble is None:
            reason = "the disk is full" if "full" in str(error) else str(error)
            self.trouble = (
                f"Nothing more can be written to {self._file.path} ({reason}). What was written stays, the computation goes "
                "on, and what is new is tried again; landscape.save(path) writes it elsewhere."
            )
            _log.warning("%s", self.trouble)
