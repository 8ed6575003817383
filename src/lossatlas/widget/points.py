"""Points: what pages want to know of points of the map, one at a time each, and the eigenvectors that were found there."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lossatlas import jobs
from lossatlas.closeup import Closeup
from lossatlas.curvature import Spectrum, Stability
from lossatlas.curvature.dense import DENSE
from lossatlas.geometry import Direction, Turn, theta_at
from lossatlas.landscape import Landscape
from lossatlas.objective import Objective
from lossatlas.widget import findings
from lossatlas.widget.checked import BadRequest
from lossatlas.widget.names import free
from lossatlas.widget.orders import Orders
from lossatlas.widget.protocol import Message, Point, Towards

#: At least so many seconds between two messages about a point, and as many times what making one takes.
INTERVAL, _SHARE = 0.12, 4.0

#: A page that has been silent for so long, in seconds, is gone: one that is out of sight says nothing either, and comes back.
SILENCE = 900.0

# A point is started from what is known of another one within this distance, in the length of u.
_NEAR = 0.03

# What the findings of earlier points may take of memory, in bytes; those of the newest are kept in any case.
_KEPT_BYTES = 256 << 20

_Key = tuple[str, int]  # a page and the number of its request


@dataclass(eq=False)
class _Found:
    """What one request has brought, at `theta`, (P,), of an objective."""

    objective: Objective
    theta: Any
    scene: str  # its hash
    spectrum: Spectrum | None = None
    last: Message | None = None  # what was told of it
    names: dict[int, str] = field(default_factory=dict)  # of the spectrum's eigenvectors that are directions
    way: str = ""  # the name of the direction that leads to it

    @property
    def bytes(self) -> int:
        """What its vectors take, and its density."""
        vectors = [self.theta] if self.spectrum is None else [self.theta, self.spectrum.eigenvectors]
        told = [] if self.last is None else self.last[1]
        return sum(one.numel() * one.element_size() for one in vectors) + sum(map(len, told))


@dataclass(eq=False)
class _Run:
    """A request under way. Nothing keeps it when it has ended: a study holds graphs."""

    request: Point
    size: int  # P
    stability: Stability | None = None
    closeup: Closeup | None = None
    found: _Found | None = None


class Points:
    """One run a page, whose findings stay when another takes its place.

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
        self._orders = Orders()
        self._found: OrderedDict[_Key, _Found] = OrderedDict()
        self._heard: dict[str, float] = {}  # when, of the pages that have been heard of

    def begin(self, request: Point, landscape: Landscape) -> None:
        """Measure a point, and stop what this page had measured so far; asked again, tell again what is known."""
        with self._lock:
            known = self._found.get((request.client, request.req))
        if self._orders.under_way.get(request.client) == request.req:
            return
        if known is not None and known.last is not None:
            self._post(known.last)
            return
        self._orders.begin(request.client, request.req, self._measure(request, landscape), jobs.POINT)

    def cancel(self, client: str, req: int | None = None) -> None:
        """Stop a page's run, or only if it is that of request `req`; it ends by saying what it has."""
        self._orders.cancel(client, req)

    def leave(self, client: str) -> None:
        """A page has gone: nobody asks for what it found."""
        self._heard.pop(client, None)
        self.cancel(client)
        with self._lock:
            for key in [key for key in self._found if key[0] == client]:
                del self._found[key]

    def heard(self, clients: Collection[str]) -> None:
        """Note that these pages are there, and let go of what was found for those that have long been silent."""
        now = time.monotonic()
        self._heard.update(dict.fromkeys(clients, now))
        under_way = self._orders.under_way
        silent = [client for client, when in self._heard.items() if now - when > SILENCE]
        for client in [client for client in silent if client not in under_way]:
            self.leave(client)

    def close(self) -> None:
        """Stop everything and forget it."""
        with self._lock:
            clients = {*self._orders.under_way, *(client for client, _ in self._found)}
        for client in clients:
            self.leave(client)

    def finished(self, scene: str) -> list[Message]:
        """What was told of the points of a scene that were measured to the end, the newest of each place."""
        with self._lock:
            told = [found.last for found in self._found.values() if found.scene == scene]
        done = [message for message in told if message is not None and message[0]["k"] == "spectrum_done"]
        return list(
            {tuple(head["at"]): (head, buffers) for head, buffers in done if not head["cancelled"]}.values()
        )

    def measured(self, request: Point, landscape: Landscape) -> Generator[None, None, Message]:
        """A point measured to the end, as a job: what a page would be told of it. Raises ValueError where there is no Hessian."""
        closeup = Closeup(landscape, request.at, request.span)
        spectrum = yield from closeup.run()
        return findings.found(
            request, closeup.jet, spectrum, products=closeup.study.hessian.products, of=None,
            size=landscape.objective.size, stability=self._stability(), done=True,
        )  # fmt: skip

    def towards(self, request: Towards, landscape: Landscape) -> tuple[str, dict[str, Any]]:
        """Make an eigenvector a direction: its name, and where the controls stand to turn u to it, through its point.

        Raises BadRequest for what was not found here, or is forgotten, and for what has not converged.
        """
        with self._lock:
            found = self._found.get((request.client, request.of))
        spectrum = found.spectrum if found is not None and found.objective is landscape.objective else None
        if found is None or spectrum is None or not 0 <= request.index < len(spectrum.eigenvalues):
            raise BadRequest(
                "This eigenvector is not known any more. Measure the point again.", client=request.client, req=request.req
            )  # fmt: skip
        if landscape.on_line:
            raise BadRequest(
                "A line is not turned. Make a landscape of a plane to turn to an eigenvector.",
                client=request.client, req=request.req,
            )  # fmt: skip
        if not spectrum.converged[request.index]:
            raise BadRequest(
                f"Eigenvector {request.index + 1} has not converged yet: its residual is "
                f"{spectrum.residuals[request.index]:.2g}. Turn to it when its dot is filled.",
                client=request.client, req=request.req,
            )  # fmt: skip
        assert found.last is not None
        place = _place(found.last[0]["at"])
        name = self._named(found, spectrum, request.index, landscape, place)
        position: dict[str, Any] = {"turn_u": 90, "u_from": "", "u_to": name}
        return name, position | _through(found, landscape, place)

    def _named(self, found: _Found, spectrum: Spectrum, index: int, landscape: Landscape, place: str) -> str:
        """The direction that is this eigenvector of this spectrum, a later one of the same run may have another."""
        with self._lock:
            known = found.names.get(index) if found.spectrum is spectrum else None
        if known is not None:
            return known
        name = _added(
            landscape, f"eigenvector {index + 1} at {place}", spectrum.eigenvectors[:, index],
            f"eigenvector of the Hessian at {place}, eigenvalue {spectrum.eigenvalues[index]:.6g}",
        )  # fmt: skip
        with self._lock:
            if found.spectrum is spectrum:
                found.names[index] = name
        return name

    def _measure(self, request: Point, landscape: Landscape) -> Generator[None, None, None]:
        run = _Run(request, landscape.objective.size)
        try:
            run.stability = self._stability()
            yield
            yield from self._run(run, landscape)
            self._tell(run, done=True)
        except GeneratorExit:
            self._tell(run, done=True, cancelled=True)
            raise
        except Exception as error:  # every request gets an answer
            self._fail(request, error)
        finally:
            self._ended(request)

    def _run(self, run: _Run, landscape: Landscape) -> Generator[None, None, None]:
        request = run.request
        near = self._nearby(request, landscape)
        closeup = run.closeup = Closeup(landscape, request.at, request.span, near=near)
        run.found = _Found(landscape.objective, closeup.theta, landscape.scene.hash)
        with self._lock:
            self._found[request.client, request.req] = run.found
        due, told, products = 0.0, (closeup.jet, False), 0
        for _ in closeup.run():
            # What is new in kind is told at once: the slice, its differences, the first density.
            now, begun = (closeup.jet, closeup.study.tells), time.monotonic()
            count = closeup.study.hessian.products
            if closeup.jet is not None and (now != told or (count > products and begun >= due)):
                told, products = now, count
                self._tell(run)
                ended = time.monotonic()
                due = ended + max(INTERVAL, _SHARE * (ended - begun))
            yield

    def _nearby(self, request: Point, landscape: Landscape) -> Spectrum | None:
        """What this page knows of the nearest point of the same objective, if that is so near that it helps."""
        theta = theta_at(landscape.slice, request.at)
        with self._lock:
            found = [one for (client, _), one in self._found.items() if client == request.client]
        known = [
            (float((one.theta - theta).norm()), one.spectrum)
            for one in found
            if one.spectrum is not None and one.objective is landscape.objective
        ]
        reach = _NEAR * float(landscape.slice.directions[0].norm())
        distance, nearest = min(known, key=lambda pair: pair[0], default=(float("inf"), None))
        return nearest if distance <= reach else None

    def _tell(self, run: _Run, *, done: bool = False, cancelled: bool = False) -> None:
        closeup, found, spectrum = run.closeup, run.found, None
        study = None if closeup is None else closeup.study
        if found is not None and study is not None:
            spectrum = study.spectrum() if study.tells else None
            with self._lock:
                found.spectrum, found.names = spectrum, {}
        message = findings.found(
            run.request, None if closeup is None else closeup.jet, spectrum,
            products=0 if study is None else study.hessian.products, of=run.size if run.size <= DENSE else None,
            size=run.size, stability=run.stability, done=done, cancelled=cancelled,
        )  # fmt: skip
        if found is not None:
            found.last = message
        self._post(message)

    def _ended(self, request: Point) -> None:
        """Let go of a run, and of what the oldest points have brought when that is too much; of a run under way nothing."""
        self._orders.ended(request.client, request.req)
        with self._lock:
            under_way = set(self._orders.under_way.items())
            taken = sum(found.bytes for found in self._found.values())
            for key in list(self._found)[:-1]:
                if taken > _KEPT_BYTES and key not in under_way:
                    taken -= self._found.pop(key).bytes


def _place(at: Sequence[float]) -> str:
    return f"({at[0]:.3g}, {at[1]:.3g})".replace("-", "−")


def _through(found: _Found, landscape: Landscape, place: str) -> dict[str, Any]:
    """Where the control stands that moves the plane, so that the point is its origin."""
    way = found.theta - landscape.turned(Turn()).slice.origin
    if not bool(way.any()):
        return {"offset": 0.0, "offset_along": ""}
    found.way = found.way or _added(
        landscape, f"the way to {place}", way, f"from the map's origin to {place}"
    )
    return {"offset": 1.0, "offset_along": found.way}


def _added(landscape: Landscape, name: str, vector: Any, about: str) -> str:
    """Put a direction in under a name that is not taken."""
    given = free(name, landscape.directions.names)
    landscape.directions.add(given, Direction.own(vector, given, about))
    return given
