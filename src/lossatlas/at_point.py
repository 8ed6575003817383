"""What a landscape says of one of its points beyond the values there; methods of Landscape, put there by the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lossatlas import jobs
from lossatlas.closeup import Closeup
from lossatlas.curvature import Jet, Nearby, Spectrum, Study, spectrum_at, stream
from lossatlas.features import CriticalPoint, Descent, Drop, Search, Sweep, Sweeping
from lossatlas.geometry import check_point, theta_at
from lossatlas.kept_spectrum import KeptSpectrum
from lossatlas.landscape import Landscape

# From points nearer than this, in units of the plane, a spectrum is worth starting.
_NEAR = 0.03

_ORIGIN = (0.0, 0.0)


def spectrum(
    landscape: Landscape, at: Any = _ORIGIN, top: int = 5, bottom: int = 2, **options: Any
) -> Spectrum | dict[str, Spectrum]:
    """The spectrum of the Hessian of the loss at a point, (a, b) of a plane or a of a line.

    With a store, one that was finished at this point with these options is read back. options: as of `objective.spectrum`, and near="nearest": start from what this landscape knows of a point within 0.03.
    Raises TypeError or ValueError for what is no point or cannot be asked, EvaluationError when the model raises.
    """
    point = _point(landscape, at)
    keeping = KeptSpectrum(landscape, point, top, bottom, options)
    known = keeping.found()
    if known is not None:
        return known
    options = _resolved(landscape, point, options)
    found = spectrum_at(landscape.objective, theta_at(landscape.slice, point), top, bottom, **options)
    keeping.keep(found)
    # Those of another matrix, of some layers or of samples are no start for this one.
    if isinstance(found, Spectrum) and not {"matrix", "layers", "samples"} & set(options):
        _known(landscape).add(point, found)
    return found


def spectra(
    landscape: Landscape, at: Any = _ORIGIN, top: int = 5, bottom: int = 2, **options: Any
) -> Iterator[Spectrum]:
    """The same as it comes: what is known after each product, the finished one last; the work ends with the loop."""
    point = _point(landscape, at)
    options = _resolved(landscape, point, options)
    return stream(Study(landscape.objective, theta_at(landscape.slice, point), top, bottom, **options))


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


def descend(
    landscape: Landscape, at: Any = _ORIGIN, optimizer: Any = "sgd", lr: float | None = None, steps: int = 200, **options: Any
) -> Descent:  # fmt: skip
    """Any optimizer of torch.optim, started from a point: its path, and what it had to go by.

    at: (a, b) of a plane, a of a line, or a (P,) tensor. optimizer: "sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop",
    another name or class of torch.optim, or a function that makes one: lambda params: torch.optim.SGD(params, lr=0.1). options:
    batch_size, schedule, confined, seed, every, keep and name, as of `Drop`, and those of the optimizer's class. Raises TypeError
    or ValueError for what cannot be rolled, EvaluationError when the model or the optimizer raises.
    """
    return jobs.call(
        Drop(landscape.objective, landscape.slice, at, optimizer, lr=lr, steps=steps, **options).run()
    )


def sweep(
    landscape: Landscape, at: Any = _ORIGIN, optimizer: Any = "sgd", lrs: Any = None, steps: int = 100, **options: Any
) -> Sweep:  # fmt: skip
    """The same at many learning rates, to see from which one on it runs away, and 2 / λmax beside it.

    lrs: by default 16 about the limit of stability at that point, 17 about the usual rate where there is none. options: as of
    `descend`; without keep=True no parameters are kept. Raises as `descend` does.
    """
    return jobs.call(
        Sweeping(landscape.objective, landscape.slice, at, optimizer, lrs, steps=steps, **options).run()
    )


def _known(landscape: Landscape) -> Nearby:
    found: Nearby = landscape.kept.setdefault(Nearby, Nearby())
    return found


def _resolved(landscape: Landscape, point: tuple[float, float], options: dict[str, Any]) -> dict[str, Any]:
    """The options with the spectrum that near="nearest" means."""
    if options.get("near") != "nearest":
        return options
    return {**options, "near": _known(landscape).nearest(point, _NEAR)}


def _point(landscape: Landscape, at: Any) -> tuple[float, float]:
    if not landscape.on_line:
        return check_point("at", at)
    if not isinstance(at, Sequence):
        return check_point("at", (at, 0.0))
    if len(at) == 0 or any(at[1:]):
        raise ValueError(f"at is {at!r}. Pass a point of the line: a alone.")
    return check_point("at", (at[0], 0.0))
