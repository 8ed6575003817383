"""Carry: what takes an explorer out of its kernel: baked into its state, embedded in an output, written as a page."""

from __future__ import annotations

import dataclasses
import time
import uuid
import zlib
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import traitlets

from lossatlas import jobs
from lossatlas.figures.files import check_path, write_whole
from lossatlas.geometry import check_point
from lossatlas.held import HeldLandscape, ReadOnly, nothing_held
from lossatlas.recipe import recipe_of
from lossatlas.widget.bake import Baked, Estimate, Order, Teller, bake_work, order_of
from lossatlas.widget.baked import Frozen, pack
from lossatlas.widget.curves import parse_runs
from lossatlas.widget.page import document, fragment
from lossatlas.widget.paths import parse_paths
from lossatlas.widget.picture import home_png
from lossatlas.widget.protocol import PARTS, Message, Point, scene_head

if TYPE_CHECKING:
    from lossatlas.held import AnyLandscape
    from lossatlas.widget.session import Session

_STATIC = Path(__file__).parent.parent / "static"

# What a page without a kernel has no use for; a ball needs one to roll.
_KERNEL_ONLY = ("ball",)

# Traits that belong to a widget's life in a host.
_OF_THE_HOST = ("layout", "tabbable", "tooltip", "comm", "keys", "log", "group", "linked", "around")

_SAY_EVERY = 0.5


class Embedded:
    """A baked map as the output of a cell: HTML that needs no kernel, and a picture for viewers that run no scripts."""

    def __init__(self, html: str, picture: bytes | None) -> None:
        self.html, self._picture = html, picture

    def _repr_mimebundle_(self, **_kwargs: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self.html}
        if self._picture is not None:
            bundle["image/png"] = self._picture
        return bundle

    def __repr__(self) -> str:
        return f"a map of {len(self.html) / 1e6:.2f} MB that needs no kernel"


class Carried(traitlets.HasTraits):
    """Baking, embedding and writing of an explorer."""

    # What a page draws when there is no kernel; its layout is in widget/baked.py.
    _baked = traitlets.Bytes(None, allow_none=True).tag(sync=True)

    #: What was baked last, None while nothing was.
    baked: Baked | None = None
    _baked_as: Order | None = None  # of which scene, and how
    _spectra: tuple[Any, ...] = ()  # where those were measured that came along
    _measured: Mapping[tuple[str, tuple[float, float]], Message] = MappingProxyType(
        {}
    )  # for baking, by scene and point

    @property
    def landscape(self) -> AnyLandscape:
        """What is shown now."""
        raise NotImplementedError

    @property
    def _live_session(self) -> Session:
        raise NotImplementedError

    def bake(
        self,
        depth: int | None = None,
        fields: str | Sequence[str] | None = None,
        *,
        spectra: Sequence[Sequence[float]] = (),
        tolerance: float | None = None,
        progress: bool = True,
    ) -> Baked:
        """Freeze the plane that is shown into the widget's state, so that a saved notebook zooms without a kernel.

        depth: levels of tiles over the home view, by default 4, which is one grid of 513 × 513 nodes, or as many as the map has.
        fields: names, by default those that come from one forward pass, of a map without its model all that are held. spectra: points (a, b) whose spectra are kept too, beside those that were clicked. tolerance: share
        of what a view shows that a tile may be off by, by default the explorer's; 0: every node is evaluated. progress: say what
        it will take and how far it has come, in a notebook below the cell, else on stderr. Values are rounded to 16 bits a block of 32 × 32 nodes; `bound` of what is
        returned says by how much.

        Blocks, and can be interrupted: nodes that were evaluated are kept, and the next call goes on from there. Raises ValueError for
        what cannot be baked and when the map is closed, EvaluationError when the model raises.
        """
        order = self._order(depth, fields, tolerance)
        if said := nothing_held(order.landscape):
            raise ReadOnly(said)
        points = [_point(at, order.landscape.on_line) for at in spectra]
        begun = time.monotonic()
        teller = Teller(order) if progress else None
        tell = teller.tell if teller is not None else lambda done, of, nodes: None
        frozen, nodes = _wait(bake_work(order, tell), teller)
        for at in points:
            if (order.landscape.scene.hash, at) not in self._measured:
                found = _wait(_measured(self._live_session, at), teller)
                self._measured = {**self._measured, (order.landscape.scene.hash, at): found}
        caption = _wait(order.landscape.caption_work({}), teller)
        payload = self._pack(order, frozen, caption)
        self.baked = Baked(
            order.depth, order.fields, sum(len(item.tiles) for items in frozen.values() for item in items),
            nodes, time.monotonic() - begun, len(payload) * 4 // 3,
            {name: max(item.bound for item in items) for name, items in frozen.items()},
        )  # fmt: skip
        self._baked, self._baked_as, self._spectra = payload, order, self._spectra_of(order.landscape)
        if teller is not None:
            teller.end(str(self.baked))
        return self.baked

    def estimate(
        self,
        depth: int | None = None,
        fields: str | Sequence[str] | None = None,
        *,
        tolerance: float | None = None,
    ) -> Estimate:
        """What `bake` of the same would take, when it had to evaluate every node; a node is timed for it."""
        order = self._order(depth, fields, tolerance)
        held = isinstance(order.landscape, HeldLandscape)  # which evaluates nothing
        return order.estimate(0.0 if held else _wait(_timed(order.landscape), None))

    def to_html(
        self, path: Any, depth: int | None = None, fields: str | Sequence[str] | None = None, **options: Any
    ) -> None:
        """Write the map as one page that zooms, pans, switches fields and layers and says its errors, without kernel and network.

        What was baked of this plane is taken as it is; else it is baked first, see `bake` for depth, fields and options. The page has the view, the colours, the
        marks, the runs and the spectra that the explorer has now. Raises as `bake` does, and OSError when it cannot be written;
        a failure leaves no file.
        """
        where = check_path(path, ".html")
        html, _ = self._html(depth, fields, options, fill=True)
        page = document(html, title=self.landscape.title, theme=self.theme)  # type: ignore[attr-defined]
        write_whole(where, page.encode())

    def embed(
        self, depth: int | None = None, fields: str | Sequence[str] | None = None, **options: Any
    ) -> Embedded:
        """The same as the output of a cell: the last line of it, so that a saved and trusted notebook zooms without a kernel.

        Viewers that run no scripts show a picture. Raises as `bake` does.
        """
        return Embedded(*self._html(depth, fields, options))

    def _html(
        self,
        depth: int | None,
        fields: str | Sequence[str] | None,
        options: dict[str, Any],
        *,
        fill: bool = False,
    ) -> tuple[str, bytes | None]:
        last = self._baked_as
        if last is not None and last.landscape.scene.hash == self.landscape.scene.hash:
            depth, fields = depth or last.depth, fields or last.fields
        order = self._order(depth, fields, options.get("tolerance"))
        if (
            last is None
            or not last.same(order)
            or self._spectra != self._spectra_of(order.landscape)
            or options.get("spectra")
        ):
            self.bake(depth, fields, **options)
        picture = home_png(order.landscape)
        text = fragment(
            self._state(), self._baked or b"", picture, script=(_STATIC / "page.js").read_text(encoding="utf-8"),
            style=(_STATIC / "widget.css").read_text(encoding="utf-8"), place=f"lossatlas-{uuid.uuid4().hex[:12]}",
            title=order.landscape.title, fill=fill,
        )  # fmt: skip
        return text, picture

    def _order(self, depth: Any, fields: str | Sequence[str] | None, tolerance: float | None) -> Order:
        landscape = self._live_session.landscape
        share: float = self.tolerance if tolerance is None else tolerance  # type: ignore[attr-defined]
        chosen = fields if fields is not None else _one_pass(landscape)
        return order_of(landscape, depth, chosen, share, self.scale)  # type: ignore[attr-defined]

    def _findings(self, landscape: AnyLandscape) -> dict[tuple[float, ...], Message]:
        """What was told of points of this scene, by point: those that were clicked, and those that were measured for baking."""
        told = self._live_session.points.finished(landscape.scene.hash)
        ours = {
            at: message for (scene, at), message in self._measured.items() if scene == landscape.scene.hash
        }
        return {**ours, **{tuple(message[0]["at"]): message for message in told}}

    def _spectra_of(self, landscape: AnyLandscape) -> tuple[Any, ...]:
        return tuple((at, head["products"]) for at, (head, _) in self._findings(landscape).items())

    def _pack(self, order: Order, frozen: dict[str, list[Frozen]], caption: str) -> bytes:
        """What a page needs: the module that reads it, tiles, spectra, and the parts that else the kernel sends."""
        scene = order.landscape.scene
        sections: dict[str, bytes] = {}
        fields = []
        for name, items in frozen.items():
            for number, item in enumerate(items):
                sections.update({f"{name}/{number}/{part}": data for part, data in item.sections.items()})
            pieces = [{"base": item.base, "bound": item.bound, "tiles": item.tiles} for item in items]
            fields.append({"f": scene.fields.index(name), "name": name, "pieces": pieces})
        parts = [name for name in PARTS if name not in _KERNEL_ONLY]
        sections.update({f"part/{name}": _squeezed((_STATIC / f"{name}.js").read_bytes()) for name in parts})
        spectra = []
        for number, (head, buffers) in enumerate(self._findings(order.landscape).values()):
            spectra.append(head)
            sections[f"spectrum/{number}"] = _squeezed(b"".join(buffers))
        head = {
            "scene": scene_head(scene), "caption": caption, "recipe": recipe_of(order.landscape), "depth": order.depth, "tolerance": order.tolerance,
            "frames": [dataclasses.asdict(piece.frame) for piece in order.pieces],
            "fields": fields, "spectra": spectra,
        }  # fmt: skip
        return pack((_STATIC / "baked.js").read_bytes(), head, sections)

    def _state(self) -> dict[str, Any]:
        """The traits that a page has: those of the map, not of the widget; and the runs that go on, as they are now."""
        names = [
            name
            for name in self.trait_names(sync=True)
            if not name.startswith("_") and name not in _OF_THE_HOST
        ]
        state = {name: getattr(self, name) for name in names}
        scene = self.landscape.scene.hash
        for path, curves in jobs.call(self._live_session.live.snapshot()):
            for name, parsed in (("paths", parse_paths([path], scene)), ("runs", parse_runs([curves]))):
                state[name] = [one for one in state[name] if one["name"] != path["name"]] + parsed
        return state


def _one_pass(landscape: AnyLandscape) -> tuple[str, ...]:
    """The fields that come from one forward pass with the first; of a map without its model all: they take nothing more."""
    if isinstance(landscape, HeldLandscape):
        return landscape.fields
    first = landscape.fields[0]
    return tuple(name for name in landscape.fields if landscape.layer_of(name) == landscape.layer_of(first))


def _wait(work: Generator[None, None, Any], teller: Teller | None) -> Any:
    """The result of a job; meanwhile this thread says how far it is. An interrupt stops it."""
    if teller is None or jobs.worker.is_current_thread:
        return jobs.call(work)
    job = jobs.worker.submit(work)
    try:
        while True:
            try:
                return job.wait(_SAY_EVERY)
            except TimeoutError:
                if job.done:  # the model raised one of its own
                    raise
                teller.say()
    except BaseException:
        job.cancel()
        raise


def _timed(landscape: AnyLandscape) -> Generator[None, None, float]:
    """Seconds of a node, by a few new ones."""
    a0, a1, b0, b1 = landscape.home
    # No nodes, so that none of them is known already.
    shares = [(0.5 + number * 0.6180339887498949) % 1 for number in range(11)]
    points = [(a0 + s * (a1 - a0), b0 + t * (b1 - b0)) for s in shares for t in shares]
    yield from landscape.work(points[: len(points) // 2])
    begun = time.perf_counter()
    count = yield from landscape.work(points)
    return (time.perf_counter() - begun) / max(count, 1)


def _point(at: Sequence[float], on_line: bool) -> tuple[float, float]:
    """A point of a plane, or an a of a line."""
    return check_point("a point of spectra", (at, 0.0) if on_line and isinstance(at, int | float) else at)


def _measured(session: Session, at: tuple[float, float]) -> Generator[None, None, Message]:
    """What a click there would find, as a job."""
    landscape = session.landscape
    if isinstance(landscape, HeldLandscape):
        raise ReadOnly(landscape.without)
    span = landscape.home[1] - landscape.home[0]
    return session.points.measured(Point("", 0, session.epoch, at, span), landscape)


def _squeezed(data: bytes) -> bytes:
    return zlib.compress(data, 9)
