"""What an explorer's map looks like now, as options of a plot: the figure that is written is the map that is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lossatlas.figures.colours import domain_of
from lossatlas.geometry import home_tiles, level_of
from lossatlas.held import AnyLandscape
from lossatlas.sampling.spline import interpolate
from lossatlas.scale import Scale, drawn, scale_of, undrawn

# Points per side that a tile is filled to, as in the page.
_SIDE = 129

if TYPE_CHECKING:
    from lossatlas.widget.explorer import Explorer
    from lossatlas.widget.protocol import View
    from lossatlas.widget.session import Session


def looks_of(explorer: Explorer, session: Session) -> dict[str, Any]:
    """View, field, scale, colours, levels and theme. Scale and colours are those of the home view, as in the page."""
    landscape = session.landscape
    a, b = explorer.view["center"]
    half = explorer.view["span"] / 2
    looks: dict[str, Any] = {
        "extent": (a - half, a + half), "field": explorer.field, "levels": explorer.levels or "auto",
        "tolerance": explorer.tolerance, "theme": "dark" if explorer.theme == "dark" else "light",
    }  # fmt: skip
    scale = scale_of(explorer.scale, _home_values(landscape, explorer.field))
    if landscape.on_line:
        return {**looks, "scale": scale}
    half_b = half * _ratio(session.view)
    return {
        **looks, "extent": (a - half, a + half, b - half_b, b + half_b), "scale": scale, "colormap": explorer.colormap,
        "domain": tuple(explorer.domain) or home_domain(landscape, explorer.field, scale, explorer.colormap),
    }  # fmt: skip


def _ratio(view: View | None) -> float:
    """The height of the map in the page by its width; 1 while no page shows it."""
    return view.height / view.width if view is not None else 1.0


def _home_values(landscape: AnyLandscape, field: str) -> np.ndarray:
    """What is drawn of the home view so far, finite values alone."""
    tiles = home_tiles(landscape.home, level_of(landscape.home))
    found = [
        interpolate(known.filled(), _SIDE).ravel()
        for tile in tiles
        if (known := landscape.known(tile, field)) is not None
    ]
    values = np.concatenate([np.empty(0), *found])
    return np.asarray(values[np.isfinite(values)])


def home_domain(
    landscape: AnyLandscape, field: str, scale: Scale, colormap: str
) -> tuple[float, float] | None:
    """The values that get the ends of the colours, as in the page; None, for those of the view, where nothing is known."""
    values = _home_values(landscape, field)
    ends = domain_of(drawn(values, scale_of(scale, values)), scale, colormap)
    if ends is None or not ends[0] < ends[1]:
        return None
    low, high = undrawn(np.array(ends), scale_of(scale, values)).tolist()
    return low, high
