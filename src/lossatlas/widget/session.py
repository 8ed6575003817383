"""Session: one map between its pages and its landscape. Knows messages and jobs, nothing of Jupyter."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Generator, Sequence
from typing import Any

from lossatlas import jobs
from lossatlas.curvature import Stability, prepare
from lossatlas.geometry import TileAddress, Turn, home_tiles, level_of
from lossatlas.held import AnyLandscape, HeldLandscape, nothing_held
from lossatlas.landscape import Landscape
from lossatlas.widget import findings, protocol
from lossatlas.widget.agenda import NOBODY, Agenda, home_want
from lossatlas.widget.answers import Answers
from lossatlas.widget.ball_request import Ball, Sweep
from lossatlas.widget.balls import Balls
from lossatlas.widget.checked import BadRequest, check_reach
from lossatlas.widget.failures import code_of
from lossatlas.widget.live import Live
from lossatlas.widget.meter import Meter
from lossatlas.widget.outbox import Outbox
from lossatlas.widget.points import Points
from lossatlas.widget.protocol import (
    Cancel,
    Caption,
    Command,
    Hello,
    Message,
    Part,
    Point,
    Probe,
    Towards,
    View,
    Want,
)
from lossatlas.widget.publisher import publisher
from lossatlas.widget.run_request import Follow, Measure
from lossatlas.widget.surface import Later, Surfaces
from lossatlas.widget.surface_request import Surface
from lossatlas.widget.sweeps import Sweeps

#: A new value means that the kernel has been started anew.
BOOT = uuid.uuid4().hex[:8]

_STATUS_EVERY = 0.25

# Under which name an objective keeps the job that prepares it for clicks.
_PREPARED = "prepared for clicks"

_log = logging.getLogger("lossatlas")


class Session:
    """Takes messages (`handle`), evaluates what they want, and sends what is found through `send`.

    tolerance: share of the range that the home view may be off by until a page says more.
    send(head, buffers) is called on the publisher's thread alone; slowed() says whether a cell is running.
    """

    def __init__(
        self,
        landscape: AnyLandscape,
        send: Callable[[protocol.Head, list[bytes]], None],
        *,
        slowed: Callable[[], bool] = lambda: False,
        on_close: Callable[[], None] = lambda: None,
        on_step: Callable[[int], object] = lambda count: None,
        on_names: Callable[[], None] = lambda: None,
        on_position: Callable[[dict[str, Any]], object] = lambda position: None,
        stability: Callable[[], Stability | None] = lambda: None,
        part: Callable[[str], bytes] = lambda name: b"",
        surface: Callable[[Any, bool], str] = lambda figure, keep: "",
        tolerance: float = 0.0,
        looks: Callable[[], dict[str, Any]] = dict,
        keep_run: Callable[[dict[str, Any], dict[str, Any]], None] = lambda path, curves: None,
        run_names: Callable[[], Collection[str]] = tuple,
        aim: Callable[[Sequence[str]], Callable[[], None]] = lambda names: lambda: None,
    ) -> None:
        self._send, self._slowed, self._on_close, self._on_step = send, slowed, on_close, on_step
        self._on_names, self._on_position, self._part = on_names, on_position, part
        self._lock = threading.RLock()
        self._agenda = Agenda(landscape)
        self._outbox = Outbox(slowed)
        self._answers = Answers(self._post, self._failed, aim)
        self.points = Points(self._post, self._failed, stability)
        self._surfaces = Surfaces(self._post, self._failed, surface, looks)
        self.live = Live(
            self._post,
            lambda: self.landscape,
            lambda text: self._post(protocol.error("eval_failed", text)),
            keep_run,
        )
        self._balls = Balls(self._post, self._failed, keep_run, lambda: {*self.live.runs, *run_names()})
        self._sweeps = Sweeps(self._post, self._failed)
        # Some are made when they are sent, for making them opens a comm.
        self._messages: list[Message | Later] = []
        self._turning: Callable[[], AnyLandscape] | None = None
        self._jobs: dict[int, jobs.Job[None]] = {}
        self._meter = Meter()
        self._last_status: tuple[float, Message | None] = (0.0, None)
        self._told: set[str] = set()
        self.epoch = 1
        self.paused = False
        self.closed = False
        self._agenda.want(home_want(landscape, tolerance))
        self._watch(landscape)
        self._work(jobs.TILES, self._tiles)

    @property
    def landscape(self) -> AnyLandscape:
        """What is shown now."""
        return self._agenda.landscape

    @property
    def view(self) -> View | None:
        """What the page shows that was heard of last."""
        return self._agenda.view

    def handle(self, message: Any) -> None:
        """Act on a message of a page; a bad one is answered with an error and changes nothing."""
        try:
            with self._lock:
                if not self.closed:  # every page has been told
                    self._act(protocol.parse(message, self.landscape.scene))
        except BadRequest as bad:
            _log.warning("A page sent a message that cannot be acted on: %s", bad)
            self._post(protocol.error(bad.code, str(bad), client=bad.client, req=bad.req))
        except Exception as error:  # no request may take the kernel's message loop down (law 7)
            _log.exception("A message could not be handled.")
            self._post(protocol.error("bad_request", f"{type(error).__name__}: {error}"))

    def turn(self, turn: Turn) -> None:
        """Show the plane turned by `turn`; the newest call wins."""
        self._show(lambda: self.landscape.turned(turn))

    def refresh(self) -> None:
        """Show the user's model as it is now, on the same plane recipe."""
        self._show(lambda: self.landscape.renewed())

    def directions_changed(self) -> None:
        """Tell the pages what u and v can now be mixed from."""
        with self._lock:
            if self.closed:
                return
            changed = protocol.scene_changed(self.epoch, self.landscape.scene)
        if not jobs.worker.is_current_thread:
            self._post(changed)
            self._on_names()
            return

        def told() -> Message:
            self._on_names()  # traits are set by the publisher's thread, or by the user's
            return changed

        self._post(told)

    def check_model(self) -> None:
        """Tell the pages when the user's model is no longer the one on the map."""
        self._wake()

    def first_picture(self, seconds: float) -> bool:
        """Wait until the home view's first pass is known, at most so long; whether it is."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            landscape = self.landscape  # another one as soon as a turn is made
            tiles = home_tiles(landscape.home, level_of(landscape.home))
            if all(landscape.known(tile) is not None or not landscape.missing(tile) for tile in tiles):
                return True
            time.sleep(0.005)
        return False

    def close(self) -> None:
        """Stop all work, tell the pages, and forget everything."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            for job in self._jobs.values():
                job.cancel()
            self._jobs.clear()
            self.points.close()
            for part in (self._surfaces, self._balls, self._sweeps, self.live):
                part.close()
            self._agenda.wants.clear()
            self._messages.append(
                protocol.error("closed", "This map was closed. Run its cell again for a new one.")
            )
        self.pump()
        publisher.forget(self)

    def pump(self) -> float | None:
        """Send what is due, and say when to be called again: the publisher's side."""
        while True:
            with self._lock:
                message = self._next_message()
                if message is None:
                    return None if self.closed else self._again_in()
            self._send(*(message() if callable(message) else message))

    def _act(self, request: protocol.Request) -> None:
        match request:
            case Hello():
                self._post(protocol.ready(request.client, BOOT, self.epoch, self.landscape.scene))
                self._outbox.resend()
                if request.have != self.landscape.scene.hash:
                    for tile in home_tiles(self.landscape.home, level_of(self.landscape.home)):
                        self._announce(tile)
                self._last_status = (0.0, None)
                if said := nothing_held(self.landscape):
                    self._post(protocol.error("read_only", said, client=request.client))
                self.live.again(request.client)
                self._balls.again()
            case Want():
                self._agenda.drop(NOBODY)
                self._outbox.heard(request)
                if request.epoch != self.epoch:
                    # Of another scene: kept for what it says about the view, not evaluated.
                    self._agenda.note(request)
                else:
                    self._agenda.want(request)
                    layer = self._agenda.layer_of(request)
                    for address in request.tiles:
                        # Nothing to evaluate, and still asked for: known since it was last sent.
                        self._announce(address, again=not self._agenda.works_on((address, layer)))
                    self._work(jobs.TILES, self._tiles)
            case Probe():
                self._check_epoch(request, "point")
                check_reach(request, self.landscape)
                self._answers.probe(request, self.landscape)
            case Caption():
                self._check_epoch(request, "caption")
                self._answers.caption(request, self.landscape)
            case Point():
                self._check_epoch(request, "point")
                check_reach(request, self.landscape)
                self.points.begin(request, self._with_model(request))
            case Surface():
                if request.epoch is not None:
                    self._check_epoch(request, "surface")
                self._surfaces.begin(request, self.landscape)
            case Ball():
                self._check_epoch(request, "ball")
                check_reach(request, self.landscape)
                self._balls.begin(request, self._with_model(request))
            case Sweep():
                self._check_epoch(request, "sweep")
                check_reach(request, self.landscape)
                self._sweeps.begin(request, self._with_model(request))
            case Follow():
                self._answers.follow(request)
            case Measure():
                self._answers.measure(request, self.live)
            case Part():
                self._post(protocol.part(request, self._part(request.name)))
            case Cancel():
                self.points.cancel(request.client, request.req)
                for asked in (self._surfaces, self._balls, self._sweeps):
                    asked.cancel(request.client, request.req)
            case Towards():
                name, position = self.points.towards(request, self._with_model(request))
                self._post(findings.directed(request, name))
                self._on_position(position)
            case Command(kind="bye"):
                self.points.leave(request.client)
                for asked in (self._surfaces, self._balls, self._sweeps):
                    asked.cancel(request.client)
                self._agenda.drop(request.client)
                self._outbox.leave(request.client)
                self.live.leave(request.client)
                if request.removed and not self._agenda.wants:
                    self._on_close()
            case Command(kind="refresh"):
                self.refresh()
            case Command(kind="back" | "forward"):
                self._on_step(-1 if request.kind == "back" else 1)
            case Command():
                self.paused = request.kind == "pause"
                self._work(jobs.TILES, self._tiles)
        self._wake()

    def _with_model(self, request: Point | Sweep | Towards) -> Landscape:
        """The landscape, where there is a model to measure by."""
        landscape = self.landscape
        if isinstance(landscape, HeldLandscape):
            raise BadRequest(landscape.without, "read_only", request.client, request.req)
        return landscape

    def _check_epoch(self, request: Probe | Caption | Point | Surface | Sweep, what: str) -> None:
        if request.epoch != self.epoch:
            raise BadRequest(
                f"The {what} is of epoch {request.epoch}, but the map is at {self.epoch}. Ask again on the new map.",
                "stale_epoch", request.client, request.req,
            )  # fmt: skip

    def _failed(
        self, request: Probe | Caption | Point | Surface | Sweep | Follow | Measure, error: Exception
    ) -> None:
        self._post(protocol.error(code_of(error), str(error), client=request.client, req=request.req))

    def _watch(self, landscape: AnyLandscape) -> None:
        """Be told of directions that are made or added; a line has none to choose from."""
        if not landscape.on_line:
            landscape.directions.watchers.add(self)

    def _show(self, landscape: Callable[[], AnyLandscape]) -> None:
        with self._lock:
            if self.closed:
                return
            self._turning = landscape
            self._work(jobs.TURN, self._turn)

    def _work(self, priority: int, work: Callable[[], Generator[None, None, None]]) -> None:
        """Start a job of this session unless it is under way; it looks for new orders by itself."""
        job = self._jobs.get(priority)
        if not self.closed and (job is None or job.done):
            self._jobs[priority] = jobs.worker.submit(work(), priority)

    def _turn(self) -> Generator[None, None, None]:
        """Make the newest plane, evaluate the first pass of what is in view, and show both at once."""
        while True:
            with self._lock:
                order, self._turning = self._turning, None
                if order is None:
                    self._jobs.pop(jobs.TURN, None)
                    return
            self._wake()  # to say so while a direction is made
            try:
                landscape = order()
                self._watch(landscape)  # a renewed one has others
                view = self._in_view(landscape)
                # Somebody may have moved on meanwhile: what they look at when the plane is shown is what they wait for.
                previews = yield from landscape.previews()
                while unknown := [x for x in view if landscape.seen(x) is None and landscape.missing(x)]:
                    for address in unknown:
                        if previews:
                            yield from previews[0].first_pass(address)
                        else:
                            yield from landscape.work(landscape.missing(address)[0][1])
                    view = self._in_view(landscape)
            except Exception as error:  # the sliders must go on moving the plane
                self._post(protocol.error(code_of(error), str(error)))
                continue
            with self._lock:
                self.epoch += 1
                self._agenda.move(landscape)
                self._outbox.clear()
                self._told.clear()
                self._messages.append(protocol.scene_changed(self.epoch, landscape.scene))
                for address in view:
                    self._announce(address)
            self.live.look()  # the runs fall elsewhere on this plane
            self._wake()
            yield

    def _in_view(self, landscape: AnyLandscape) -> list[TileAddress]:
        with self._lock:
            return self._agenda.in_view() or home_tiles(landscape.home, level_of(landscape.home))

    def _tiles(self) -> Generator[None, None, None]:
        """Evaluate what is wanted, piece by piece, until nothing is."""
        while True:
            yield from self._find_previews()
            with self._lock:
                epoch, landscape = self.epoch, self.landscape
                piece = None if self.paused or self.closed else self._agenda.next()
                self.points.heard(self._agenda.wants)
                if piece is None:
                    self._jobs.pop(jobs.TILES, None)
                    self._wake()
                    self._prepare()
                    return
                ahead = self._agenda.next_preview()
            (address, layer), points = piece
            work: Generator[None, None, object] = landscape.work(points, layer)
            if ahead is not None:
                address, preview = ahead
                layer, work = landscape.fields[0], preview.first_pass(address)
            whole = False
            try:
                for _ in work:
                    if self.epoch != epoch or not self._agenda.wanted((address, layer)):
                        break  # begun for a view that has moved on
                    yield
                else:
                    whole = True
            except Exception as error:  # the other tiles are wanted all the same
                with self._lock:
                    self._agenda.fail((address, layer))
                    self._tell(protocol.error(code_of(error), str(error), tile=address))
            finally:
                work.close()
            with self._lock:
                if self.epoch == epoch and whole:
                    self._agenda.done((address, layer))
                    self._announce(address)
            self._wake()
            yield

    def _prepare(self) -> None:
        """While nothing else is wanted, find out once per objective what the first click on the map would wait for."""
        landscape = self.landscape
        if isinstance(landscape, HeldLandscape) or self.paused or self.closed:
            return
        kept = landscape.objective.kept
        if _PREPARED not in kept:
            kept[_PREPARED] = jobs.worker.submit(prepare(landscape.objective), jobs.TILES)

    def _find_previews(self) -> Generator[None, None, None]:
        """Let the agenda know, once a scene, which samples are worth a look before all data are."""
        if self._agenda.previews is None and not self.closed:
            landscape = self.landscape
            try:
                found = yield from landscape.previews()
            except Exception as error:  # raised again, and told, by the nodes on all data
                _log.info("There are no previews: %s", error)
                found = ()
            with self._lock:
                if self.landscape is landscape:
                    self._agenda.previews = found

    def _announce(self, address: TileAddress, *, again: bool = True) -> None:
        """Queue what is known of a tile for sending; not `again`: unless some of it was."""
        for field in self._agenda.fields:
            index = self.landscape.scene.fields.index(field)
            if again or not self._outbox.has(address, index):
                known = self.landscape.seen(address, field)
                if known is not None:
                    self._outbox.put(known, index)

    def _tell(self, message: Message) -> None:
        """Send an error once, not once a tile."""
        text = message[0]["text"]
        if text not in self._told and len(self._told) < 8:
            self._told.add(text)
            self._messages.append(message)

    def _post(self, message: Message | Later) -> None:
        with self._lock:
            self._messages.append(message)
        self._wake()

    def _wake(self) -> None:
        if not self.closed:
            publisher.wake(self)

    def _next_message(self) -> Message | Later | None:
        if self._messages:
            return self._messages.pop(0)
        if self.closed:
            return None
        if self._outbox.due_in == 0.0:
            return self._outbox.take(self.epoch)
        at, before = self._last_status
        if time.monotonic() - at >= _STATUS_EVERY:
            now = self._status()
            if before is None or now[0] != before[0]:
                self._last_status = (time.monotonic(), now)
                return now
        return None

    def _again_in(self) -> float | None:
        due = self._outbox.due_in
        if self._jobs:  # progress to report
            return _STATUS_EVERY if due is None else min(due, _STATUS_EVERY)
        at, before = self._last_status
        if before is None or before[0] != self._status()[0]:
            left = max(0.01, at + _STATUS_EVERY - time.monotonic())
            return left if due is None else min(due, left)
        return due

    def _status(self) -> Message:
        queue = self._agenda.queue
        working = bool(self._jobs) and queue > 0
        state = (
            "paused" if self.paused else "idle" if not working else "slowed" if self._slowed() else "sampling"
        )
        evaluated = self.landscape.evaluated
        rate = self._meter.rate(evaluated) if working else None
        eta = queue / rate if rate else None
        return protocol.status(
            self.epoch, state, queue=queue, done=evaluated,
            rate=None if rate is None else round(rate, 1), eta=None if eta is None else round(eta, 1),
            making="" if self.landscape.on_line else self.landscape.directions.making,
            # Where a run is drawn while it is recorded, that is what one looks at.
            model_changed=self.landscape.model_changed and not self.live.recording, heard=self._agenda.heard,
        )  # fmt: skip
