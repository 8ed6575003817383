"""Live: runs as they reach the page, row by row while they are recorded, and anew for every plane that is shown.

The thread that trains only says that there is something new. What it is comes from a job of the worker, and is sent by the
publisher: a training cell waits for neither. While no page is there nothing is looked at but what has ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossatlas import jobs
from lossatlas.following import BEFORE, Followed
from lossatlas.geometry.trajectory import Curves
from lossatlas.held import AnyLandscape
from lossatlas.widget.protocol import Message
from lossatlas.widget.publisher import publisher
from lossatlas.widget.run_messages import curves_message, path_message

#: Seconds from one look at the runs to the next.
INTERVAL = 0.1

# Rows that are laid on the plane at a time, between two looks at what else is to be done.
_ROWS = 64

# Rows of a run that goes on that are told at one look, about: of more every second, every third. All of them come when it has ended.
_MOST_ROWS = 160

# Curves beyond so many steps are told at every second step, every fourth, and so on.
_MOST_STEPS = 4000


@dataclass(eq=False)
class _Feed:
    """A run, and what was told of it: rows of the path in a scene, to a step; and its curves."""

    name: str
    run: Followed
    color: str | None
    scene: str = ""
    rows: int = 0
    step: int = BEFORE
    revision: tuple[int, int] | None = None  # of the run, as it was looked at last
    told: dict[str, np.ndarray] = field(default_factory=dict)
    path: list[Any] = field(default_factory=list)  # shadows of the scene, to be kept when the run has ended
    job: jobs.Job[None] | None = None
    kept: tuple[str, tuple[int, int] | None] = ("", None)  # scene and revision of what is kept
    thinned: bool = False  # not every row was told
    stale: bool = False  # a page has come that knows nothing of it

    def forget(self) -> None:
        """Begin anew."""
        self.rows, self.step, self.path, self.thinned = 0, BEFORE, [], False

    def tell_all(self) -> None:
        """A page has come that knows nothing."""
        self.forget()
        self.told, self.revision, self.stale = {}, None, False


class Live:
    """The runs of one explorer. post(message) sends; keep(path, curves) holds what ended for pages without a kernel."""

    def __init__(
        self,
        post: Callable[[Message], None],
        landscape: Callable[[], AnyLandscape],
        fail: Callable[[str], None],
        keep: Callable[[dict[str, Any], dict[str, Any]], None],
    ) -> None:
        self._post, self._landscape, self._fail, self._keep = post, landscape, fail, keep
        self._lock = threading.Lock()
        self._feeds: dict[str, _Feed] = {}
        self._pages: set[str] = set()
        self._due, self._news, self._closed = 0.0, False, False

    @property
    def runs(self) -> dict[str, Followed]:
        """What is followed, by name."""
        with self._lock:
            return {name: feed.run for name, feed in self._feeds.items()}

    @property
    def recording(self) -> bool:
        """Whether any of them goes on."""
        return any(not run.ended for run in self.runs.values())

    def add(self, name: str, run: Followed, color: str | None) -> None:
        """Follow a run, in place of one of the same name."""
        self.remove(name)
        with self._lock:
            self._feeds[name] = _Feed(name, run, color)
        if run.recorder is not None:
            run.recorder.listen(self._hear)
        self.look()

    def remove(self, name: str) -> None:
        """Follow it no more; what was told of it stays."""
        with self._lock:
            feed = self._feeds.pop(name, None)
        if feed is not None:
            if feed.run.recorder is not None:
                feed.run.recorder.unlisten(self._hear)
            if feed.job is not None:
                feed.job.cancel()

    def measure(self, names: Sequence[str], quantity: str) -> None:
        """Tell of a quantity of these runs too. Raises ValueError for one that there is not, and where none has parameters."""
        known = [run for name, run in self.runs.items() if name in names]
        problems: list[ValueError] = []
        for run in known:
            try:
                run.measure(quantity)
            except ValueError as problem:
                problems.append(problem)
        if len(problems) < len(known):
            self.look()
        elif problems:
            raise problems[0]
        else:
            raise ValueError(
                "Of these runs no parameters are kept: quantities of them are known of runs that explorer.add_run draws."
            )

    def look(self) -> None:
        """Something else is to be shown, or of another plane."""
        self._news = True
        if not self._closed:
            publisher.wake(self)

    def again(self, client: str) -> None:
        """A page that knows nothing: tell it all, and what comes."""
        with self._lock:
            self._pages.add(client)
            for feed in self._feeds.values():
                feed.stale = True  # whoever is telling of it just now ends first
        self.look()

    def leave(self, client: str) -> None:
        """A page has gone."""
        with self._lock:
            self._pages.discard(client)

    def _hear(self) -> None:
        """There is something new. Called by whoever trains: it is to take no time."""
        if not self._news or any(feed.run.ended for feed in tuple(self._feeds.values())):
            self.look()

    def close(self) -> None:
        """Follow nothing any more."""
        self._closed = True
        for name in list(self._feeds):
            self.remove(name)
        publisher.forget(self)

    def pump(self) -> float | None:
        """The publisher's side: look at every run that is not looked at just now."""
        now = time.monotonic()
        if self._closed:
            return None
        if now < self._due:
            return self._due - now
        with self._lock:
            wanted = [feed for feed in self._feeds.values() if self._pages or feed.run.ended]
            feeds = [feed for feed in wanted if feed.job is None or feed.job.done]
            busy = len(feeds) < len(wanted)
            # What is new and for nobody stays new: whoever trains need not say it again.
            self._due, self._news = now + INTERVAL, len(wanted) < len(self._feeds)
        for feed in feeds:
            if feed.stale:
                feed.tell_all()
            news = feed.revision != feed.run.revision or feed.scene != self._landscape().scene.hash
            if news or (feed.thinned and feed.run.ended):
                feed.job = jobs.worker.submit(self._tell(feed), jobs.TURN)
                busy = True
            elif feed.run.ended:
                self._keep_ended(feed)
        return INTERVAL if busy else None

    def _tell(self, feed: _Feed) -> Generator[None, None, None]:
        try:
            yield
            # Before what is told is read: what comes from here on is of a later look.
            landscape, revision = self._landscape(), feed.run.revision
            scene = landscape.scene.hash
            if scene != feed.scene or (feed.thinned and feed.run.ended):
                feed.forget()
                feed.scene = scene
            every = feed.run.every(feed.step, _MOST_ROWS)
            columns = _columns(feed.run.curves)
            start = _changed(feed.told, columns)
            if start is not None:
                feed.told = columns
                fresh = {name: values[start:] for name, values in columns.items()}
                self._post(curves_message(feed.name, fresh.pop("step"), fresh, start=start, color=feed.color))
            while True:
                if feed.stale:
                    return
                found = feed.run.since(feed.step, landscape, _ROWS, every)
                if found is None:
                    feed.revision = revision
                    return
                self._post(
                    path_message(
                        feed.name, scene, found.points, start=feed.rows, steps=found.steps, distance=found.distance,
                        loss=found.loss, color=feed.color,
                    )
                )  # fmt: skip
                feed.rows, feed.step = feed.rows + len(found), int(found.steps[-1])
                feed.path.append(found)
                feed.thinned = feed.thinned or every > 1
                yield
        except Exception as error:  # said on the map; the others go on
            self.remove(feed.name)
            self._fail(f"The run {feed.name!r} cannot be drawn: {error}")

    def _keep_ended(self, feed: _Feed) -> None:
        """Hold what has ended in the explorer's traits, which a saved page has: on the publisher's thread."""
        if not feed.path or feed.kept == (feed.scene, feed.revision):
            return
        feed.kept = (feed.scene, feed.revision)
        self._keep(*_as_traits(feed, feed.scene, feed.path, feed.told))

    def snapshot(self) -> Generator[None, None, list[tuple[dict[str, Any], dict[str, Any]]]]:
        """The path in the plane that is shown and the curves of every run as it is now, as traits hold them, as a job."""
        landscape, found = self._landscape(), []
        with self._lock:
            feeds = list(self._feeds.values())
        for feed in feeds:
            path: list[Any] = []
            step = BEFORE
            while (part := feed.run.since(step, landscape, _ROWS, 1)) is not None:
                path.append(part)
                step = int(part.steps[-1])
                yield
            if path:
                found.append(_as_traits(feed, landscape.scene.hash, path, _columns(feed.run.curves)))
        return found


def _as_traits(
    feed: _Feed, scene: str, path: Sequence[Any], columns: Mapping[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run as the traits `paths` and `runs` hold one."""
    points, distance, steps, loss = (
        np.concatenate([getattr(part, name) for part in path])
        for name in ("points", "distance", "steps", "loss")
    )
    series = {name: values for name, values in columns.items() if name != "step"}
    return {
        "name": feed.name, "points": points, "steps": steps, "distance": distance, "loss": loss,
        "color": feed.color, "scene": scene,
    }, {"name": feed.name, "steps": columns["step"], "series": series, "color": feed.color}  # fmt: skip


def _columns(curves: Curves) -> dict[str, np.ndarray]:
    """What is told of a run's steps: those series in which anything is known.

    Of many steps every second, every fourth, and the last; and those at which a series has a value that has few.
    """
    count = len(curves)
    known = {
        name: np.flatnonzero(np.isfinite(values)) for name, values in curves.by_name.items() if name != "step"
    }
    chosen = [_thinned(np.arange(count), _MOST_STEPS)]
    chosen += [_thinned(at, _MOST_STEPS // 4) for at in known.values() if 0 < len(at) < count // 2]
    rows = np.unique(np.concatenate(chosen))
    series = {name: curves.by_name[name][rows] for name, at in known.items() if len(at)}
    return {"step": curves.steps[rows].astype(np.float64), **series}


def _thinned(rows: np.ndarray, most: int) -> np.ndarray:
    every = 1
    while len(rows) > every * most:
        every *= 2
    return np.append(rows[::every], rows[-1:])


def _changed(told: Mapping[str, np.ndarray], columns: Mapping[str, np.ndarray]) -> int | None:
    """The first row that differs from what was told; None where all is known."""
    if set(columns) != set(told) or len(columns["step"]) < len(told["step"]):
        return 0  # of what is thinned the page must not keep the rest
    firsts = []
    for name, values in columns.items():
        before, common = told[name], min(len(told[name]), len(values))
        differ = np.flatnonzero(
            (before[:common] != values[:common]) & ~(np.isnan(before[:common]) & np.isnan(values[:common]))
        )
        if len(differ):
            firsts.append(int(differ[0]))
        elif len(values) != len(before):
            firsts.append(common)
    return min(firsts, default=None)
