"""Points: what pages want to know of points of the map, one at a time each, and the eigenvectors that were found there."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from lossatlas import jobs
from lossatlas.closeup import Closeup
from lossatlas.curvature import Spectrum, Stability
from lossatlas.curvature.dense import DENSE
from lossatlas.geometry import Direction, Turn
from lossatlas.landscape import Landscape
from lossatlas.widget import findings
from lossatlas.widget.protocol import BadRequest, Message, Point, Towards

#: At least so many seconds between two messages about a point, and as many times what making one takes.
INTERVAL, _SHARE = 0.12, 4.0

# A point is started from what is known of another one within this distance, in the length of u.
_NEAR = 0.03

# What the eigenvectors of earlier points may take of memory, in bytes; those of the newest are kept in any case.
_KEPT_BYTES = 256 << 20

# Where a direction's name is kept that is none of an eigenvector.
_WAY = -1

_Key = tuple[str, int]  # a page and the number of its request


@dataclass(eq=False)
class _Found:
    """What one request has brought."""

    closeup: Closeup | None = None
    spectrum: Spectrum | None = None
    stability: Stability | None = None
    names: dict[int, str] = field(default_factory=dict)  # of its eigenvectors that are directions

    @property
    def bytes(self) -> int:
        """What its vectors take."""
        vectors = self.spectrum.eigenvectors if self.spectrum is not None else None
        return 0 if vectors is None else vectors.numel() * vectors.element_size()


class Points:
    """One run a page: a new request cancels the one before, whose findings stay.

    post(message) sends to the pages; fail(request, error) says what went wrong; stability() is where an optimizer's steps
    stop coming back, asked anew for each point.
    """

    def __init__(
        self,
        post: Callable[[Message], None],
        fail: Callable[[Point, Exception], None],
        stability: Callable[[], Stability | None],
    ) -> None:
        self._post, self._fail, self._stability = post, fail, stability
        self._lock = threading.Lock()
        self._running: dict[str, tuple[int, jobs.Job[None]]] = {}
        self._found: OrderedDict[_Key, _Found] = OrderedDict()

    def begin(self, request: Point, landscape: Landscape) -> None:
        """Measure a point, and stop what this page had measured so far; asked again, tell again what is known."""
        with self._lock:
            known = self._found.get((request.client, request.req))
            running = self._running.get(request.client)
        if running is not None and running[0] == request.req:
            return
        if known is not None:
            self._tell(request, landscape, known, done=True)
            return
        self.cancel(request.client)
        work = self._measure(request, landscape)
        next(work, None)  # into its try: from here on it answers, also when it is cancelled before its turn
        job = jobs.Job(work, jobs.POINT)
        with self._lock:
            self._running[request.client] = (request.req, job)
        jobs.worker.add(job)

    def cancel(self, client: str, req: int | None = None) -> None:
        """Stop a page's run, or only if it is that of request `req`; it ends by saying what it has."""
        with self._lock:
            running = self._running.get(client)
            if running is not None and req in (None, running[0]):
                del self._running[client]
                running[1].cancel()

    def leave(self, client: str) -> None:
        """A page has gone: nobody asks for what it found."""
        self.cancel(client)
        with self._lock:
            for key in [key for key in self._found if key[0] == client]:
                del self._found[key]

    def close(self) -> None:
        """Stop everything and forget it."""
        for client in {*self._running, *(client for client, _ in self._found)}:
            self.leave(client)

    def towards(self, request: Towards, landscape: Landscape) -> tuple[str, dict[str, Any]]:
        """Make an eigenvector a direction: its name, and where the controls stand to turn u to it, through its point.

        Raises BadRequest for what was not found here, or is forgotten.
        """
        with self._lock:
            found = self._found.get((request.client, request.of), _Found())
        closeup, spectrum = found.closeup, found.spectrum
        if closeup is None or spectrum is None or not 0 <= request.index < len(spectrum.eigenvalues):
            raise BadRequest(
                "This eigenvector is not known any more. Measure the point again.", client=request.client, req=request.req
            )  # fmt: skip
        if landscape.on_line:
            raise BadRequest(
                "A line is not turned. Make a landscape of a plane to turn to an eigenvector.",
                client=request.client, req=request.req,
            )  # fmt: skip
        place = _place(closeup.at)
        if request.index not in found.names:
            value = spectrum.eigenvalues[request.index]
            found.names[request.index] = _added(
                landscape, f"eigenvector {request.index + 1} at {place}", spectrum.eigenvectors[:, request.index],
                f"eigenvector of the Hessian at {place}, eigenvalue {value:.6g}",
            )  # fmt: skip
        position: dict[str, Any] = {"turn_u": 90, "u_from": "", "u_to": found.names[request.index]}
        return found.names[request.index], position | _through(found, closeup.theta, landscape, place)

    def _measure(self, request: Point, landscape: Landscape) -> Generator[None, None, None]:
        found = _Found()
        try:
            found.stability = self._stability()
            yield
            yield from self._run(request, landscape, found)
            self._tell(request, landscape, found, done=True)
        except GeneratorExit:
            self._tell(request, landscape, found, done=True, cancelled=True)
            raise
        except Exception as error:  # every request gets an answer
            self._fail(request, error)
        finally:
            self._ended(request)

    def _run(self, request: Point, landscape: Landscape, found: _Found) -> Generator[None, None, None]:
        closeup = found.closeup = Closeup(
            landscape, request.at, request.span, near=self._nearby(request, landscape)
        )
        with self._lock:
            self._found[request.client, request.req] = found
        due, told, products = 0.0, (closeup.jet, False), 0
        for _ in closeup.run():
            # What is new in kind is told at once: the slice, its differences, the first density.
            now, begun = (closeup.jet, closeup.study.tells), time.monotonic()
            count = closeup.study.hessian.products
            if closeup.jet is not None and (now != told or (count > products and begun >= due)):
                told, products = now, count
                self._tell(request, landscape, found)
                ended = time.monotonic()
                due = ended + max(INTERVAL, _SHARE * (ended - begun))
            yield

    def _nearby(self, request: Point, landscape: Landscape) -> Spectrum | None:
        """What this page knows of the nearest point of the same objective, if that is so near that it helps."""
        theta = landscape.slice.at(*request.at[: len(landscape.slice.directions)])
        with self._lock:
            found = [one for (client, _), one in self._found.items() if client == request.client]
        known = [
            (float((one.closeup.theta - theta).norm()), one.spectrum)
            for one in found
            if one.spectrum is not None
            and one.closeup is not None
            and one.closeup.landscape.objective is landscape.objective
        ]
        reach = _NEAR * float(landscape.slice.directions[0].norm())
        distance, nearest = min(known, key=lambda pair: pair[0], default=(float("inf"), None))
        return nearest if distance <= reach else None

    def _tell(
        self, request: Point, landscape: Landscape, found: _Found, *, done: bool = False, cancelled: bool = False
    ) -> None:  # fmt: skip
        closeup, size = found.closeup, landscape.objective.size
        if closeup is None:
            products, whole, jet = 0, False, None
        else:
            study = closeup.study
            products, whole, jet = study.hessian.products, size <= DENSE, closeup.jet
            if study.tells:
                found.spectrum = study.spectrum()
        self._post(
            findings.found(
                request, jet, found.spectrum, products=products, of=size if whole else None, size=size,
                stability=found.stability, done=done, cancelled=cancelled,
            )
        )  # fmt: skip

    def _ended(self, request: Point) -> None:
        """Let go of a run, and of the eigenvectors of the oldest points when there are too many."""
        with self._lock:
            running = self._running.get(request.client)
            if running is not None and running[0] == request.req:
                del self._running[request.client]
            while len(self._found) > 1 and sum(found.bytes for found in self._found.values()) > _KEPT_BYTES:
                self._found.popitem(last=False)


def _place(at: tuple[float, float]) -> str:
    return f"({at[0]:.3g}, {at[1]:.3g})".replace("-", "−")


def _through(found: _Found, theta: Any, landscape: Landscape, place: str) -> dict[str, Any]:
    """Where the control stands that moves the plane, so that theta, (P,), is its origin."""
    way = theta - landscape.turned(Turn()).slice.origin
    if not bool(way.any()):
        return {"offset": 0.0, "offset_along": ""}
    if _WAY not in found.names:
        found.names[_WAY] = _added(landscape, f"the way to {place}", way, f"from the map's origin to {place}")
    return {"offset": 1.0, "offset_along": found.names[_WAY]}


def _added(landscape: Landscape, name: str, vector: Any, about: str) -> str:
    """Put a direction in under a name that is not taken."""
    taken, count, free = landscape.directions.names, 1, name
    while free in taken:
        count += 1
        free = f"{name} · {count}"
    made = Direction.own(vector, free)
    landscape.directions.add(free, Direction(made.vector, free, made.recipe, about))
    return free
