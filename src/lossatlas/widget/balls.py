"""Balls: what pages drop on the map. Each rolls as a job, and is told of as a run while it does."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas import jobs
from lossatlas.features import Drop
from lossatlas.landscape import Landscape
from lossatlas.widget.ball_request import Ball
from lossatlas.widget.checked import BadRequest
from lossatlas.widget.names import free
from lossatlas.widget.protocol import VERSION, Message, finite_or_none
from lossatlas.widget.run_messages import curves_message, path_message
from lossatlas.widget.surface import Later

#: Seconds between two messages of rows.
INTERVAL = 0.1

#: Balls that roll at the same time, at most.
MOST = 8

#: Points of a path that are kept, about: of a longer way every second, every third …
POINTS = 1000

# Seconds that a ball rolls before those get their turn who wait for as urgent a job.
_SLICE = 0.05

# Answers that are kept for pages that may have missed them.
_ANSWERS = 64

_Key = tuple[str, int]  # a page and the number of its request


@dataclass(eq=False)
class _Rolling:
    """A ball under way, and how many of its rows were told."""

    request: Ball
    landscape: Landscape
    drop: Drop | None = None
    name: str = ""
    told: int = 0
    due: float = 0.0
    stopped: bool = False
    stale: bool = False  # a page has come that knows nothing of it

    @property
    def key(self) -> _Key:
        return self.request.client, self.request.req


class Balls:
    """The balls of one explorer.

    post(message) sends to the pages; fail(request, error) says what went wrong; keep(path, curves) holds what has ended for pages
    without a kernel, on the publisher's thread; taken() are the names of other runs.
    """

    def __init__(
        self,
        post: Callable[[Message | Later], None],
        fail: Callable[[Ball, Exception], None],
        keep: Callable[[dict[str, Any], dict[str, Any]], None] = lambda path, curves: None,
        taken: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._post, self._fail, self._keep, self._taken = post, fail, keep, taken
        self._lock = threading.Lock()
        self._rolling: dict[_Key, _Rolling] = {}
        self._answers: OrderedDict[_Key, Message] = OrderedDict()
        # All that were given: the traits hold those of balls that have ended a moment later.
        self._names: set[str] = set()

    def begin(self, request: Ball, landscape: Landscape) -> None:
        """Drop a ball; asked again, tell again what is known of it. Raises BadRequest when too many roll already."""
        key = (request.client, request.req)
        with self._lock:
            known, under_way = self._answers.get(key), self._rolling.get(key)
            if known is None and under_way is None and len(self._rolling) >= MOST:
                raise BadRequest(
                    f"{MOST} balls roll already. Stop one, or wait until one has ended.",
                    client=request.client, req=request.req,
                )  # fmt: skip
            if known is None and under_way is None:
                self._rolling[key] = ball = _Rolling(request, landscape)
                self._go_on(ball, self._roll(ball))
        if known is not None:
            self._post(known)
        if under_way is not None:
            under_way.stale = True

    def cancel(self, client: str, req: int | None = None) -> None:
        """Stop a page's balls, or only that of request `req`; what they have stays."""
        with self._lock:
            for ball in self._rolling.values():
                if ball.request.client == client and req in (None, ball.request.req):
                    ball.stopped = True

    def again(self) -> None:
        """A page that knows nothing: tell it all of those that roll. The traits hold the others."""
        with self._lock:
            for ball in self._rolling.values():
                ball.stale = True

    def close(self) -> None:
        """Stop all."""
        with self._lock:
            for ball in self._rolling.values():
                ball.stopped = True

    def _go_on(self, ball: _Rolling, work: Generator[None, None, None]) -> None:
        """A piece of its way, as a job of its own: balls and points that are measured take turns."""

        def piece() -> Generator[None, None, None]:
            until = time.monotonic() + _SLICE
            for _ in work:
                if time.monotonic() >= until:
                    self._go_on(ball, work)
                    return
                yield

        jobs.worker.submit(piece(), jobs.POINT)

    def _roll(self, ball: _Rolling) -> Generator[None, None, None]:
        request, landscape = ball.request, ball.landscape
        try:
            yield
            drop = ball.drop = Drop(
                landscape.objective, landscape.slice, (request.at[0], 0.0 if landscape.on_line else request.at[1]),
                request.optimizer, lr=request.lr, every=math.ceil(request.steps / POINTS), keep=False, **request.options,
            )  # fmt: skip
            ball.name = self._named(drop.name)
            self._post(rolled(ball.request, ball.name, ball.drop, done=False))
            work = drop.run()
            for _ in work:
                if ball.stopped:
                    work.close()
                    break
                now = time.monotonic()
                if now >= ball.due or ball.stale:
                    ball.due = now + INTERVAL
                    self._tell(ball)
                yield
            self._end(ball)
        except Exception as problem:  # every request gets an answer
            if ball.name:
                self._end(ball)  # what it has stays
            self._fail(request, problem)
        finally:
            with self._lock:
                self._rolling.pop(ball.key, None)

    def _named(self, name: str) -> str:
        """The name, made one that no other run has."""
        with self._lock:
            given = free(name, {*self._taken(), *self._names})
            self._names.add(given)
        return given

    def _tell(self, ball: _Rolling) -> None:
        """The rows that are new."""
        assert ball.drop is not None
        if ball.stale:
            ball.told, ball.stale = 0, False
            # Which run it is may be what was missed.
            self._post(rolled(ball.request, ball.name, ball.drop, done=False))
        path, curves = _rows(ball.drop, ball.told)
        if not len(path["steps"]):
            return
        scene, name = ball.landscape.scene.hash, ball.name
        self._post(path_message(name, scene, path.pop("points"), start=ball.told, **path))
        self._post(curves_message(name, curves.pop("steps"), curves, start=ball.told))
        ball.told += len(path["steps"])

    def _end(self, ball: _Rolling) -> None:
        """Tell the rest and how it ended, and hold all of it in the explorer's traits."""
        assert ball.drop is not None
        self._tell(ball)
        (path, curves), scene = _rows(ball.drop, 0), ball.landscape.scene.hash
        answer = rolled(ball.request, ball.name, ball.drop, done=True)
        with self._lock:
            self._answers[ball.key] = answer
            while len(self._answers) > _ANSWERS:
                self._answers.popitem(last=False)

        def held() -> Message:
            if len(path["steps"]):
                series = {name: values for name, values in curves.items() if name != "steps"}
                self._keep(
                    {"name": ball.name, **path, "color": None, "scene": scene},
                    {"name": ball.name, "steps": curves["steps"], "series": series, "color": None},
                )
            return answer

        self._post(held)


def rolled(request: Ball, name: str, drop: Drop, *, done: bool) -> Message:
    """The ball is told of as the run of that name; done: it has ended, and how. end_loss: of all data, null where it is not known."""
    return {
        "v": VERSION, "k": "ball", "client": request.client, "req": request.req, "name": name, "steps": drop.taken,
        "end_loss": finite_or_none(drop.end_loss), "diverged": drop.diverged,
        "message": drop.descent().message if done else "", "done": done,
    }, []  # fmt: skip


def _rows(drop: Drop, start: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows of a ball from row `start` on, of its path and of its curves. Where it has run out of all numbers there is no row."""
    found = [row for row in drop.rows if all(map(math.isfinite, (*row.point, row.distance)))][start:]
    curve = [drop.curve[row.step] for row in found]
    steps, loss = np.array([row.step for row in found], float), np.array([loss for _, loss, _ in curve])
    points = np.array([row.point for row in found]).reshape(-1, 2)
    arrows = np.array([row.arrow for row in found]).reshape(-1, 2)
    distance = np.array([row.distance for row in found])
    norms, rates = np.array([row.norm for row in found]), np.array([rate for *_, rate in curve])
    return (
        {"points": points, "steps": steps, "distance": distance, "loss": loss, "arrows": arrows},
        {"steps": steps, "loss": loss, "lr": rates, "grad_norm": norms},
    )
