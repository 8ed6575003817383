"""What a landscape says of one of its points beyond the values there; methods of Landscape, put there by the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from lossatlas import jobs
from lossatlas.closeup import Closeup
from lossatlas.curvature import Jet, Nearby, Spectrum, Study, spectrum_at, stream
from lossatlas.features import CriticalPoint, Search
from lossatlas.geometry import Plane, check_point
from lossatlas.landscape import Landscape

# From points nearer than this, in units of the plane, a spectrum is worth starting.
_NEAR = 0.03

_ORIGIN = (0.0, 0.0)


def spectrum(
    landscape: Landscape, at: Any = _ORIGIN, top: int = 5, bottom: int = 2, **options: Any
) -> Spectrum | dict[str, Spectrum]:
    """The spectrum of the Hessian of the loss at a point, (a, b) of a plane or a of a line.

    options: as of `objective.spectrum`, and near="nearest": start from what this landscape knows of a point within 0.03.
    Raises TypeError or ValueError for what is no point or cannot be asked, EvaluationError when the model raises.
    """
    point, known = _point(landscape, at), landscape.kept.setdefault(Nearby, Nearby())
    if options.get("near") == "nearest":
        options["near"] = known.nearest(point, _NEAR)
    found = spectrum_at(landscape.objective, _theta(landscape, point), top, bottom, **options)
    if isinstance(found, Spectrum):
        known.add(point, found)
    return found


def spectra(
    landscape: Landscape, at: Any = _ORIGIN, top: int = 5, bottom: int = 2, **options: Any
) -> Iterator[Spectrum]:
    """The same as it comes: what is known after each product, the finished one last; the work ends with the loop."""
    theta = _theta(landscape, _point(landscape, at))
    return stream(Study(landscape.objective, theta, top, bottom, **options))


def jet(landscape: Landscape, at: Any = _ORIGIN, span: float | None = None) -> Jet:
    """Loss, gradient and curvature of the slice at a point: by autograd, and by second differences over span / 16.

    at: (a, b) of a plane, or a of a line; span: the width in a of what is looked at, by default of the home view. Raises
    ValueError for what is no point or has no Hessian, EvaluationError when the model raises.
    """
    width = landscape.home[1] - landscape.home[0] if span is None else span
    if not 0 < width < float("inf"):
        raise ValueError(f"span is {span!r}. Pass the width in a of what is looked at, above 0.")
    return jobs.call(Closeup(landscape, _point(landscape, at), width).look())


def critical_point(landscape: Landscape, near: Any = _ORIGIN, **options: Any) -> CriticalPoint:
    """The critical point nearest to a point, (a, b) of a plane or a of a line: in the whole space, or within="plane".

    Further options as of `Search`. Raises as `spectrum` does.
    """
    return jobs.call(Search(landscape.objective, landscape.slice, near, **options).run())


def _point(landscape: Landscape, at: Any) -> tuple[float, float]:
    if not landscape.on_line:
        return check_point("at", at)
    return check_point("at", (at[0] if isinstance(at, Sequence) else at, 0.0))


def _theta(landscape: Landscape, point: tuple[float, float]) -> Tensor:
    where = landscape.slice
    return where.at(*point) if isinstance(where, Plane) else where.at(point[0])
