"""One thread of the process sends everything that no handler sends.

ipykernel 7.4 routes a page's next message to the shell that last published on the comm: a send from the thread of a
running cell would make the map deaf until that cell ends.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from typing import Protocol

_log = logging.getLogger("lossatlas")


class Pump(Protocol):
    """Something that has messages to send now and then."""

    def pump(self) -> float | None:
        """Send what is due; return in how many seconds to be called again, or None to wait for `wake`."""
        ...


class Publisher:
    """Calls `pump` of whoever was woken, on a single thread."""

    def __init__(self) -> None:
        self._due: dict[Pump, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def wake(self, pump: Pump) -> None:
        """Call the pump as soon as possible."""
        with self._changed:
            self._due[pump] = 0.0
            if self._thread is None or not self._thread.is_alive():
                self._stopping = False
                self._thread = threading.Thread(target=self._run, name="lossatlas-publisher", daemon=True)
                self._thread.start()
            self._changed.notify()

    def forget(self, pump: Pump) -> None:
        """Never call the pump again."""
        with self._changed:
            self._due.pop(pump, None)

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while self._one_round():
            pass

    def _one_round(self) -> bool:
        """Call the pumps that are due, waiting for one; False when stopped.

        A function of its own, so that a waiting publisher holds on to nobody.
        """
        with self._changed:
            if self._stopping:
                return False
            now = time.monotonic()
            ready = [pump for pump, due in self._due.items() if due <= now]
            for pump in ready:
                del self._due[pump]
            if not ready:
                nearest = min(self._due.values(), default=None)
                self._changed.wait(None if nearest is None else nearest - now)
        for pump in ready:
            self._call(pump)
        return True

    def _call(self, pump: Pump) -> None:
        try:
            again = pump.pump()
        except Exception:  # a comm that breaks must not silence the others
            _log.exception("A map could not send its messages.")
            return
        if again is not None:
            with self._changed:
                self._due.setdefault(pump, time.monotonic() + again)


publisher = Publisher()
atexit.register(publisher.stop)
