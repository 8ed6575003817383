"""Orders: jobs that pages ask for, one a page at a time."""

from __future__ import annotations

import threading
from collections.abc import Generator

from lossatlas import jobs


class Orders:
    """One job a page: a new one cancels the one before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, tuple[int, jobs.Job[None]]] = {}

    @property
    def under_way(self) -> dict[str, int]:
        """The number of the request that each page waits for."""
        with self._lock:
            return {client: req for client, (req, _) in self._running.items()}

    def begin(self, client: str, req: int, work: Generator[None, None, None], priority: int) -> None:
        """Run this for a page, in the place of what it had asked for before."""
        self.cancel(client)
        job = jobs.Job(work, priority)
        with self._lock:
            self._running[client] = (req, job)
        next(work, None)  # into its try: from here on it answers, also when it is cancelled before its turn
        jobs.worker.add(job)

    def cancel(self, client: str, req: int | None = None) -> None:
        """Stop a page's job, or only if it is that of request `req`."""
        with self._lock:
            running = self._running.get(client)
            if running is not None and req in (None, running[0]):
                del self._running[client]
                running[1].cancel()

    def ended(self, client: str, req: int) -> None:
        """Forget a job, which says this of itself in the end."""
        with self._lock:
            if client in self._running and self._running[client][0] == req:
                del self._running[client]
