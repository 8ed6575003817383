"""What a page asks for with its 3-D button, as a value; surface.py does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossatlas.geometry import Extent
from lossatlas.scale import Scale, is_scale
from lossatlas.scene import Scene
from lossatlas.widget.checked import BadRequest, integer, is_finite, pair, show

# Sides in CSS pixels between which a place for a surface is taken at its word.
_SMALLEST, _LARGEST = 120, 4000.0


@dataclass(frozen=True)
class Surface:
    """The surface of a view, please, in a widget beside the map.

    epoch: of the map that the page shows, None for whatever is shown. colormap, domain (values of the first and the last
    colour): None for those of the explorer; camera: where it is looked at from, None for where it was; size: width and
    height of the place for it in CSS pixels, None for the usual; theme: "light" or "dark".
    """

    client: str
    req: int
    epoch: int | None
    extent: Extent
    field: str
    scale: Scale
    colormap: str | None = None
    domain: tuple[float, float] | None = None
    camera: dict[str, dict[str, float]] | None = None
    size: tuple[float, float] | None = None
    theme: str = "light"


def parse_surface(message: Mapping[str, Any], client: str, scene: Scene) -> Surface:
    """The message as a value. Raises BadRequest, in words, for anything that is none."""
    field, scale, colormap = (message.get(name) for name in ("field", "scale", "colormap"))
    if field not in scene.fields:
        raise BadRequest(f"surface.field is {show(field)}. Send one of {', '.join(scene.fields)}.")
    if scale not in ("auto", "symlog") and not is_scale(scale):
        raise BadRequest(f"surface.scale is {show(scale)}. Send auto, linear, log, symlog or symlog:c.")
    if colormap is not None and not (isinstance(colormap, str) and len(colormap) <= 64):
        raise BadRequest(f"surface.colormap is {show(colormap)}. Send the name of one, or null.")
    domain = pair(raw, "surface.domain") if (raw := message.get("domain")) else None
    if domain is not None and not domain[0] < domain[1]:
        raise BadRequest(f"surface.domain is {show(raw)}. Send [lowest, highest], or null.")
    return Surface(
        client, integer(message, "req"), None if message.get("epoch") is None else integer(message, "epoch"),
        _extent(message.get("view")), str(field), str(scale), colormap, domain, _camera(message.get("camera")),
        _size(message.get("size")), "dark" if message.get("theme") == "dark" else "light",
    )  # fmt: skip


def _extent(view: Any) -> Extent:
    """What a view shows."""
    raw: Mapping[str, Any] = view if isinstance(view, Mapping) else {}
    sizes: list[Any] = [raw.get(name) for name in ("span", "width", "height")]
    if not all(is_finite(size) and size > 0 for size in sizes):
        raise BadRequest(
            f"surface.view is {show(view)}. Send center, span, width and height, finite and positive."
        )
    (a, b), (span, width, height) = pair(raw.get("center"), "surface.view.center"), sizes
    half, high = span / 2, span / 2 * height / width
    return a - half, a + half, b - high, b + high


def _size(raw: Any) -> tuple[float, float] | None:
    """The place for it, where that can be looked at."""
    sizes: list[Any] = [raw.get(name) for name in ("width", "height")] if isinstance(raw, Mapping) else [None]
    if not all(is_finite(size) and size >= _SMALLEST for size in sizes):
        return None
    width, height = (min(float(size), _LARGEST) for size in sizes)
    return width, height


def _camera(raw: Any) -> dict[str, dict[str, float]] | None:
    """Where a surface is looked at from, as Plotly says it."""
    if raw is None:
        return None
    places = (
        list(raw.values()) if isinstance(raw, Mapping) and set(raw) <= {"eye", "center", "up"} else [None]
    )
    if not all(isinstance(one, Mapping) and set(one) == set("xyz") and all(map(is_finite, one.values())) for one in places):  # fmt: skip
        raise BadRequest(
            f"surface.camera is {show(raw)}. Send null, or eye, center and up with finite x, y, z."
        )
    return {name: {axis: float(value) for axis, value in one.items()} for name, one in raw.items()}
