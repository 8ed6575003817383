"""Findings: what is known of a point, as the messages that a page receives. Pure; `point.js` is the page's side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from lossatlas.curvature import Density, Jet, Spectrum, Stability
from lossatlas.widget.protocol import VERSION, Head, Message, Point, Towards, finite_or_none

#: Points of a density that travel: more than a pane has pixels.
MOST_POINTS = 400


def found(
    request: Point,
    jet: Jet | None,
    spectrum: Spectrum | None,
    *,
    products: int,
    of: int | None,
    size: int,
    stability: Stability | None,
    done: bool = False,
    cancelled: bool = False,
) -> Message:
    """All that is known of a point by now, so that a message that is lost is no loss; `done`: nothing more will come.

    products: Hessian-vector products taken, `of` so many where that is known; size: P. The density travels as one buffer
    of float32: its grid, its values, and the lower and the upper end of its band.
    """
    head: Head = {
        "v": VERSION, "k": "spectrum_done" if done else "spectrum_progress", "client": request.client,
        "req": request.req, "epoch": request.epoch, "at": list(request.at), "products": products, "of": of,
        "size": size, "jet": None if jet is None else jet_head(jet),
        "spectrum": None if spectrum is None else spectrum_head(spectrum),
        "stability": None if stability is None else {
            "limit": finite_or_none(stability.limit), "label": stability.label, "reason": stability.reason,
        },
    }  # fmt: skip
    if done:
        head["cancelled"] = cancelled
    if spectrum is None:
        return head, []
    columns = thinned(spectrum.density)
    head["spectrum"]["points"] = columns.shape[1]
    return head, [columns.astype("<f4").tobytes()]


def jet_head(jet: Jet) -> Head:
    """A jet, as it travels."""
    at_scale = jet.curvatures_at_scale
    return {
        "loss": finite_or_none(jet.loss), "gradient_norm": finite_or_none(jet.gradient_norm),
        "gradient_in_slice": finite_or_none(jet.gradient_in_slice), "slope": numbers(jet.slope),
        "hessian": [numbers(row) for row in jet.hessian], "curvatures": numbers(jet.curvatures),
        "axes": [numbers(axis) for axis in jet.axes.T], "step": jet.step, "kinked": jet.kinked,
        "rounded": jet.rounded,
        "differences": None if jet.differences is None else [numbers(row) for row in jet.differences],
        "curvatures_at_scale": None if at_scale is None else numbers(at_scale),
    }  # fmt: skip


def spectrum_head(spectrum: Spectrum) -> Head:
    """A spectrum without its density's numbers, as it travels."""
    return {
        "eigenvalues": numbers(spectrum.eigenvalues), "residuals": numbers(spectrum.residuals),
        "converged": [bool(one) for one in spectrum.converged], "width": finite_or_none(spectrum.density.width),
        "trace": finite_or_none(spectrum.trace), "trace_error": finite_or_none(spectrum.trace_error),
        "noise": finite_or_none(spectrum.noise), "form": spectrum.form, "exact": spectrum.exact,
        "condition": finite_or_none(spectrum.condition), "warm": spectrum.warm,
    }  # fmt: skip


def directed(request: Towards, name: str) -> Message:
    """The eigenvector is a direction now, by this name, and u has been turned to it."""
    head = {"v": VERSION, "k": "directed", "client": request.client, "req": request.req, "name": name}
    return head, []


def thinned(density: Density) -> np.ndarray:
    """Grid, values, and both ends of the band, (4, at most 400): peaks and gaps stay where they are."""
    columns = np.stack([density.grid, density.values, *density.band])
    count = columns.shape[1]
    if count <= MOST_POINTS:
        return columns
    # The lowest and the highest of each stretch, and both ends.
    stretches = np.array_split(np.arange(count), MOST_POINTS // 2 - 1)
    kept = {0, count - 1}
    for stretch in stretches:
        values = density.values[stretch]
        kept.update((int(stretch[values.argmin()]), int(stretch[values.argmax()])))
    return columns[:, sorted(kept)]


def numbers(values: Iterable[Any]) -> list[float | None]:
    """As JSON can say them."""
    return [float(value) if math.isfinite(value) else None for value in values]
