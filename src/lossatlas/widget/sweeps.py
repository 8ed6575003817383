"""Sweeps: what pages ask of a learning rate: where balls from a point end at many of them, and from which one on they run away."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator

from lossatlas import jobs
from lossatlas.features import Sweeping
from lossatlas.landscape import Landscape
from lossatlas.widget.ball_request import Sweep
from lossatlas.widget.orders import Orders
from lossatlas.widget.protocol import VERSION, Message, error, finite_or_none

#: Seconds between two messages about a sweep under way.
INTERVAL = 0.2


class Sweeps:
    """One sweep a page: a new one cancels the one before. post(message) sends; fail(request, error) says what went wrong."""

    def __init__(self, post: Callable[[Message], None], fail: Callable[[Sweep, Exception], None]) -> None:
        self._post, self._fail = post, fail
        self._orders = Orders()
        self._last: dict[str, Message] = {}  # by page

    def begin(self, request: Sweep, landscape: Landscape) -> None:
        """Roll them, in the place of what this page had asked for before; asked again, tell again what is known."""
        last = self._last.get(request.client)
        if last is not None and last[0]["req"] == request.req:
            self._post(last)
        elif self._orders.under_way.get(request.client) != request.req:
            self._start(request, landscape)

    def _start(self, request: Sweep, landscape: Landscape) -> None:
        self._last.pop(request.client, None)
        self._orders.begin(request.client, request.req, self._roll(request, landscape), jobs.POINT)

    def cancel(self, client: str, req: int | None = None) -> None:
        """Stop a page's sweep, or only if it is that of request `req`; what it has stays."""
        self._orders.cancel(client, req)
        if req is None:
            self._last.pop(client, None)

    def close(self) -> None:
        """Stop everything."""
        for client in self._orders.under_way:
            self.cancel(client)

    def _roll(self, request: Sweep, landscape: Landscape) -> Generator[None, None, None]:
        sweeping: Sweeping | None = None
        try:
            yield
            at = (request.at[0], 0.0 if landscape.on_line else request.at[1])
            sweeping = Sweeping(
                landscape.objective, landscape.slice, at, request.optimizer, **request.options
            )
            due = 0.0
            for _ in sweeping.run():
                if (now := time.monotonic()) >= due:
                    due = now + INTERVAL
                    self._tell(request, swept(request, sweeping, done=False))
                yield
            self._tell(request, swept(request, sweeping, done=True))
        except GeneratorExit:
            self._tell(
                request, _stopped(request) if sweeping is None else swept(request, sweeping, done=True)
            )
            raise
        except Exception as problem:  # every request gets an answer
            self._fail(request, problem)
        finally:
            self._orders.ended(request.client, request.req)

    def _tell(self, request: Sweep, message: Message) -> None:
        # The end of one that another has followed comes after that one's beginning.
        if self._orders.under_way.get(request.client, request.req) == request.req:
            self._last[request.client] = message
        self._post(message)


def _stopped(request: Sweep) -> Message:
    return error(
        "cancelled", "The sweep was stopped before it began.", client=request.client, req=request.req
    )


def swept(request: Sweep, sweeping: Sweeping, *, done: bool) -> Message:
    """What is known of a sweep: its rates that have come to their end, with the loss of all data there, null where it is not finite.

    limit: the largest rate whose steps come back on the quadratic at the start, null with a reason where there is none; done: no
    more will come.
    """
    ended = [
        (float(rate), drop) for rate, drop in zip(sweeping.lrs, sweeping.drops, strict=False) if drop.finished
    ]
    stability, starts = sweeping.stability, [drop.start_loss for drop in sweeping.drops]
    return {
        "v": VERSION, "k": "sweep", "client": request.client, "req": request.req, "of": len(sweeping.drops),
        "rates": [rate for rate, _ in ended], "end_loss": [finite_or_none(drop.end_loss) for _, drop in ended],
        "diverged": [drop.diverged for _, drop in ended],
        "start_loss": next((loss for loss in starts if math.isfinite(loss)), None),
        "limit": stability.limit, "label": stability.label, "reason": stability.reason,
        "sharpness": finite_or_none(sweeping.sharpness), "done": done,
    }, []  # fmt: skip
