"""The wire, version 1: parsing what a page sends, building what it receives. Pure; the page's side is protocol.js.

Examples of every message stand in tests/fixtures/protocol/, which both languages test against.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas.features import CURVATURE_LABELS
from lossatlas.geometry import CELLS, TileAddress
from lossatlas.sampling import Pass
from lossatlas.scale import Scale, is_scale
from lossatlas.scene import Scene
from lossatlas.widget.ball_request import Ball, Sweep, parse_ball, parse_sweep
from lossatlas.widget.checked import BadRequest, integer, is_finite, is_integer, pair, show
from lossatlas.widget.run_request import Follow, Measure, parse_follow, parse_measure
from lossatlas.widget.surface_request import Surface, parse_surface

VERSION = 1

#: Modules of the front end that are sent when they are needed: static/<name>.js.
PARTS = ("ball", "instrument", "layers", "point", "runs", "webgl")

#: More tiles than a screen can hold; a longer list is a mistake.
MOST_TILES = 256

_LARGEST = 2**47  # beyond it the nodes of a tile are not exact in float64
_BLOCK = 6  # a base is shared by blocks of 2⁶ × 2⁶ tiles

Head = dict[str, Any]
Message = tuple[Head, list[bytes]]


@dataclass(frozen=True)
class View:
    """What a page shows: `center` (a, b), `span` the width in a, and its size in CSS pixels."""

    center: tuple[float, float]
    span: float
    width: float
    height: float

    def shows(self, address: TileAddress) -> bool:
        """Whether any part of a tile is in view."""
        a0, a1, b0, b1 = address.extent
        half_b = self.span * self.height / self.width / 2
        a, b = self.center
        return a0 < a + self.span / 2 and a1 > a - self.span / 2 and b0 < b + half_b and b1 > b - half_b


@dataclass(frozen=True)
class Hello:
    """A page has opened, and holds the scene `have` already, if any."""

    client: str
    have: str | None


@dataclass(frozen=True)
class Tolerance:
    """How far off a tile may be on the scale that is drawn: `error` at most, or `share` of the range while that is unknown."""

    share: float
    scale: Scale
    error: float | None = None

    def met(self, item: Pass, error: float) -> bool:
        """Whether a tile's stated error is at most `error` on this scale, or rounding alone is left to refine."""
        return item.error.noise or item.error_on(self.scale).within(error)


@dataclass(frozen=True)
class Want:
    """The complete list of tiles that a page would like now, best first.

    `shown` are those on its screen that lack nothing: they say what to begin with when the plane changes. No tolerance
    means that every node is wanted.
    """

    client: str
    epoch: int
    rev: int
    view: View
    fields: tuple[str, ...]
    tiles: tuple[TileAddress, ...]
    credit: int
    seen: int
    shown: tuple[TileAddress, ...] = ()
    tolerance: Tolerance | None = None


@dataclass(frozen=True)
class Probe:
    """The exact value at a point, please."""

    client: str
    req: int
    epoch: int
    at: tuple[float, float]


@dataclass(frozen=True)
class Caption:
    """What the axes mean, in words, please."""

    client: str
    req: int
    epoch: int


@dataclass(frozen=True)
class Point:
    """What the loss is like at a point, please: the slice there, then the spectrum as it comes; `span` is what is in sight."""

    client: str
    req: int
    epoch: int
    at: tuple[float, float]
    span: float


@dataclass(frozen=True)
class Towards:
    """Make eigenvector `index` of what was found for request `of` a direction, please, and turn u to it at that point."""

    client: str
    req: int
    of: int
    index: int


@dataclass(frozen=True)
class Part:
    """A part of the front end, by name, please: a page asks when it is needed first."""

    client: str
    req: int
    name: str


@dataclass(frozen=True)
class Cancel:
    """Stop what request `req` began; what it has stays."""

    client: str
    req: int


@dataclass(frozen=True)
class Command:
    """pause, resume, refresh, back, forward or bye."""

    client: str
    kind: str
    removed: bool = False


Request = (
    Hello
    | Want
    | Probe
    | Caption
    | Point
    | Towards
    | Surface
    | Ball
    | Sweep
    | Follow
    | Measure
    | Part
    | Cancel
    | Command
)


def parse(message: Any, scene: Scene) -> Request:
    """The message of a page as a value. Raises BadRequest, in words, for anything that is none."""
    if not isinstance(message, Mapping):
        raise BadRequest(f"A message is a {type(message).__name__}. Send a mapping with v, k and client.")
    client = message.get("client")
    client = client if isinstance(client, str) and 0 < len(client) <= 64 else None
    req = message.get("req")
    req = req if is_integer(req) else None
    try:
        return _parse(message, client, scene)
    except BadRequest as error:
        raise BadRequest(str(error), error.code, client, req) from None


def _parse(message: Mapping[str, Any], client: str | None, scene: Scene) -> Request:
    if message.get("v") != VERSION:
        raise BadRequest(
            f"v is {show(message.get('v'))}. This kernel speaks version {VERSION}: reload the page."
        )
    kind = message.get("k")
    if client is None:
        raise BadRequest(f"client is {show(message.get('client'))}. Send a name of at most 64 characters.")
    match kind:
        case "hello":
            have = message.get("have")
            return Hello(client, have if isinstance(have, str) else None)
        case "want":
            return _want(message, client, scene)
        case "probe":
            req = integer(message, "req")
            return Probe(client, req, integer(message, "epoch"), pair(message.get("at"), "probe.at"))
        case "caption":
            return Caption(client, integer(message, "req"), integer(message, "epoch"))
        case "spectrum":
            span: Any = message.get("span")
            if not (is_finite(span) and span > 0):
                raise BadRequest(f"spectrum.span is {show(span)}. Send the width in a of what is in sight.")
            at = pair(message.get("at"), "spectrum.at")
            return Point(client, integer(message, "req"), integer(message, "epoch"), at, float(span))
        case "towards":
            return Towards(client, *(integer(message, name) for name in ("req", "of", "index")))
        case "surface":
            return parse_surface(message, client, scene)
        case "ball":
            return parse_ball(message, client)
        case "sweep":
            return parse_sweep(message, client)
        case "follow":
            return parse_follow(message, client)
        case "measure":
            return parse_measure(message, client)
        case "part":
            name: Any = message.get("name")
            if name not in PARTS:
                raise BadRequest(f"part.name is {show(name)}. Send one of {', '.join(PARTS)}.")
            return Part(client, integer(message, "req"), name)
        case "cancel":
            return Cancel(client, integer(message, "req"))
        case "pause" | "resume" | "refresh" | "bye" | "back" | "forward":
            return Command(client, kind, message.get("removed") is True)
    raise BadRequest(
        f"k is {show(kind)}. Send hello, want, probe, caption, spectrum, towards, surface, ball, sweep, follow, measure, part, cancel, pause, "
        "resume, refresh, back, forward or bye."
    )


def _want(message: Mapping[str, Any], client: str, scene: Scene) -> Want:
    raw = message.get("view")
    if not isinstance(raw, Mapping):
        raise BadRequest(f"want.view is {show(raw)}. Send center, span, width and height.")
    sizes: list[Any] = [raw.get(name) for name in ("span", "width", "height")]
    if not all(is_finite(size) and size > 0 for size in sizes):
        raise BadRequest(f"want.view has span, width, height {show(sizes)}. Send finite positive numbers.")
    view = View(pair(raw.get("center"), "want.view.center"), *(float(size) for size in sizes))
    fields = message.get("fields")
    if (
        not isinstance(fields, Sequence)
        or isinstance(fields, str)
        or not set(map(str, fields)) <= set(scene.fields)
    ):
        raise BadRequest(f"want.fields is {show(fields)}. Send a list of {', '.join(scene.fields)}.")
    credit = integer(message, "credit")
    if credit < 0:
        raise BadRequest(f"want.credit is {credit}. Send how many more tiles you accept, 0 or more.")
    return Want(
        client, integer(message, "epoch"), integer(message, "rev"), view, tuple(map(str, fields)),
        _tiles(message, "tiles", scene), credit, integer(message, "seen"), _tiles(message, "shown", scene),
        _tolerance(message.get("tolerance")),
    )  # fmt: skip


def _tolerance(raw: Any) -> Tolerance | None:
    if raw is None:
        return None
    fields: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
    share, scale, error = fields.get("share", 0), fields.get("scale"), fields.get("error")
    sound = is_finite(share) and 0 < share <= 1 and is_scale(scale)
    if not sound or not (error is None or (is_finite(error) and error >= 0)):
        raise BadRequest(
            f"want.tolerance is {show(raw)}. Send null, or share in (0, 1], scale linear, log or symlog:c, and error: at "
            "least 0, or null."
        )
    return Tolerance(float(share), str(scale), None if error is None else float(error))


def _tiles(message: Mapping[str, Any], name: str, scene: Scene) -> tuple[TileAddress, ...]:
    tiles = message.get(name) if name in message or name == "tiles" else ()
    if not isinstance(tiles, Sequence) or isinstance(tiles, str):
        raise BadRequest(f"want.{name} is {show(tiles)}. Send a list of [z, x, y, q].")
    if len(tiles) > MOST_TILES:
        raise BadRequest(f"want.{name} holds {len(tiles)} tiles. Send at most {MOST_TILES}, best first.")
    return tuple(_address(tile, scene) for tile in tiles)


def _address(tile: Any, scene: Scene) -> TileAddress:
    if (
        not isinstance(tile, Sequence)
        or isinstance(tile, str)
        or len(tile) != 4
        or not all(map(is_integer, tile))
    ):
        raise BadRequest(f"A tile is {show(tile)}. Send four integers [z, x, y, q].")
    z, x, y, _ = tile
    coarsest, finest = scene.levels
    if not coarsest <= z <= finest:
        raise BadRequest(
            f"Tile z={show(z)} is outside the levels {coarsest} to {finest} that {scene.dtype} resolves."
        )
    if len(scene.axes) == 1 and y != 0:
        raise BadRequest(f"Tile y={show(y)} is not on the line. Send y = 0.")
    if max(abs(x), abs(y)) >= _LARGEST:
        raise BadRequest(f"Tile x={show(x)}, y={show(y)} is too far out. Stay below 2⁴⁷.")
    return TileAddress(z, x, y)


def scene_head(scene: Scene) -> Head:
    """A scene as it travels, and as it is kept in the widget's state."""
    return {
        "hash": scene.hash,
        "title": scene.title,
        "axes": [
            {"name": name, "length": length, "unit": unit, "about": about}
            for (name, length, unit), about in zip(scene.axes, (*scene.about, "", ""), strict=False)
        ],
        "fields": [
            {"name": name, **({"label": CURVATURE_LABELS[name]} if name in CURVATURE_LABELS else {})}
            for name in scene.fields
        ],
        "home": list(scene.home),
        "tile": CELLS,
        "z": list(scene.levels),
        "dtype": scene.dtype,
        "samples": scene.samples,
        # Without it a page has no sliders: on a plane that nothing is known of to turn to.
        **(
            {"turns": dict(zip(("u", "v", "offset"), scene.turns, strict=True))}
            if scene.directions or len(scene.axes) == 1
            else {}
        ),
        "directions": list(scene.directions),
        "at": dataclasses.asdict(scene.at),
        "notes": list(scene.notes),
        "mode": scene.mode,
        "points": [{"name": name, "a": a, "b": b} for name, a, b in scene.points],
    }


def ready(client: str, boot: str, epoch: int, scene: Scene) -> Message:
    """The answer to hello: which process this is, and what it shows."""
    head = {
        "v": VERSION,
        "k": "ready",
        "client": client,
        "boot": boot,
        "epoch": epoch,
        "scene": scene_head(scene),
    }
    return head, []


def scene_changed(epoch: int, scene: Scene) -> Message:
    """Another plane, or another model, from now on."""
    return {"v": VERSION, "k": "scene", "epoch": epoch, "scene": scene_head(scene)}, []


class Bases:
    """The number that the values of a block of tiles are differences from.

    One per field, level and block of 64 × 64 tiles, so that a deep zoom keeps its digits in float32 and neighbours
    agree to the bit.
    """

    def __init__(self) -> None:
        self._bases: dict[tuple[int, ...], float] = {}

    def of(self, field: int, item: Pass) -> float:
        """The base for a tile: the first finite value that its block has seen."""
        address = item.address
        # Half a block off, so that the four tiles at the origin, the most looked at, are of one block.
        key = (field, address.z, *((i + 2 ** (_BLOCK - 1)) >> _BLOCK for i in (address.x, address.y)))
        if key not in self._bases:
            finite = item.values[np.isfinite(item.values)]
            if not len(finite):
                return 0.0
            self._bases[key] = float(finite[0])
        return self._bases[key]


def tiles(
    epoch: int, n: int, passes: Iterable[tuple[int, Pass]], bases: Bases, client: str | None = None
) -> Message:
    """Many tiles in one message: pairs of (field index, pass), their values in one buffer of float32."""
    heads, chunks, offset = [], [], 0
    for field, item in passes:
        values = item.values.ravel() if item.centres is None else np.append(item.values, item.centres)
        base, sample = bases.of(field, item), item.sample
        finite = values[np.isfinite(values)]
        heads.append(
            {
                "z": item.address.z, "x": item.address.x, "y": item.address.y, "f": field, "q": 2 if sample is None else sample.quality,
                "nodes": item.nodes, "centres": item.centres is not None, "error": finite_or_none(item.error.value),
                "error_of_log": finite_or_none(item.error_of_log.value),
                "min": float(finite.min()) if len(finite) else None,
                "max": float(finite.max()) if len(finite) else None,
                "bad": len(values) - len(finite), "se_level": finite_or_none(sample.level) if sample else 0.0,
                "se_shape": finite_or_none(sample.shape) if sample else 0.0, "noise": item.error.noise,
                "base": base, "off": offset, **({"rows": 1} if len(item.values) == 1 else {}),
                **({"rests_on": sample.rests_on} if sample else {}),
            }
        )  # fmt: skip
        chunks.append((values - base).astype("<f4"))
        offset += len(values)
    head = {"v": VERSION, "k": "tiles", "epoch": epoch, "n": n, "client": client, "head": heads}
    return head, [np.concatenate(chunks).tobytes() if chunks else b""]


def probed(request: Probe, values: Mapping[str, float], samples: int) -> Message:
    """The exact values at a point; one that is not finite is null, and named under `bad`."""
    head: Head = {
        "v": VERSION, "k": "probed", "client": request.client, "req": request.req, "epoch": request.epoch,
        "at": list(request.at),
        "value": {name: finite_or_none(value) for name, value in values.items()},
        "se": {name: 0.0 if math.isfinite(value) else None for name, value in values.items()},
        "n": samples,
    }  # fmt: skip
    bad = {name: str(value) for name, value in values.items() if not math.isfinite(value)}
    return ({**head, "bad": bad} if bad else head), []


def captioned(request: Caption, text: str) -> Message:
    """What the axes of the scene of that epoch mean."""
    return {
        "v": VERSION, "k": "captioned", "client": request.client, "req": request.req, "epoch": request.epoch,
        "text": text,
    }, []  # fmt: skip


def status(
    epoch: int,
    state: str,
    *,
    queue: int,
    done: int,
    rate: float | None,
    eta: float | None,
    model_changed: bool,
    heard: Mapping[str, int],
    making: str = "",
) -> Message:
    """Where the evaluation stands: idle, sampling, paused or slowed; queue and done in nodes, rate in nodes a second.

    heard: the `rev` of the newest want of each page that has been read. Tiles of an older one may come for long after.
    making: the direction that is being made for the plane to come, "" for none.
    """
    return {
        "v": VERSION, "k": "status", "epoch": epoch, "state": state, "queue": queue, "done": done,
        "rate": finite_or_none(rate), "eta": finite_or_none(eta), "model_changed": model_changed,
        "heard": dict(heard), "making": making,
    }, []  # fmt: skip


def part(request: Part, text: bytes) -> Message:
    """A part of the front end: a module, as text."""
    head = {"v": VERSION, "k": "part", "client": request.client, "req": request.req, "name": request.name}
    return head, [text]


def error(
    code: str, text: str, *, client: str | None = None, req: int | None = None, tile: TileAddress | None = None,
    retry: bool = False,
) -> Message:  # fmt: skip
    """What went wrong, in words, to whom it concerns; `retry` says whether asking again can help."""
    head: Head = {"v": VERSION, "k": "error", "client": client, "code": code, "text": text, "retry": retry}
    if req is not None:
        head["req"] = req
    if tile is not None:
        head["tile"] = [tile.z, tile.x, tile.y]
    return head, []


def finite_or_none(value: float | None) -> float | None:
    """JSON knows no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None
