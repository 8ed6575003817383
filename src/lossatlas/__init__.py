"""lossatlas: zoomable maps of a neural network's loss, computed where you look."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lossatlas import at_point
from lossatlas.curvature import (
    Diagonal,
    Jet,
    Sharpness,
    SharpnessComparison,
    Spectrum,
    Stability,
    sharpness,
    spectrum_at,
    stability_of,
)
from lossatlas.curvature.stability import read
from lossatlas.features import CriticalPoint
from lossatlas.geometry import Direction, Line, Plane, TileAddress, Trajectory
from lossatlas.landscape import Landscape
from lossatlas.objective import EvaluationError, Objective, ParameterSpace
from lossatlas.sampling import Map, Profile, Tile
from lossatlas.spread import Spread, spread

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from lossatlas.widget import Explorer

__version__ = "0.1.0"

__all__ = [
    "CriticalPoint",
    "Diagonal",
    "Direction",
    "EvaluationError",
    "Jet",
    "Landscape",
    "Line",
    "Map",
    "Objective",
    "ParameterSpace",
    "Plane",
    "Profile",
    "Sharpness",
    "SharpnessComparison",
    "Spectrum",
    "Spread",
    "Stability",
    "Tile",
    "TileAddress",
    "Trajectory",
    "explore",
    "sharpness",
    "spread",
    "stability_of",
]


# Keywords of `Objective` that `explore` passes on, beside fields.
_OPTIONS = (
    "weight",
    "separable",
    "reduction",
    "weight_decay",
    "mode",
    "dropout",
    "budget",
    "dtype",
    "device",
)


def explore(
    model: nn.Module | Objective,
    loss_fn: Callable[[Any, Any], Any] | None = None,
    data: Any = None,
    *,
    plane: Plane | None = None,
    line: Line | None = None,
    seed: int = 0,
    extent: Sequence[float] | None = None,
    fields: Sequence[str | Mapping[str, Callable[[Any, Any], Any]]] = ("loss",),
    title: str | None = None,
    optimizer: Optimizer | None = None,
    full_batch: bool = False,
    **traits: Any,
) -> Explorer:
    """A zoomable map of a model's loss: the widget, to be the last line of a cell.

    model, loss_fn, data, fields: as for `Objective`; an objective may stand for all of them. plane: a random
    filter-normalised one of `seed` by default; or a line, whose profile is a curve that zooms.
    extent: the home view (a0, a1, b0, b1), by default the plane's. optimizer: the one that trains the model: the spectrum of
    a point that is clicked then shows where its steps stop being stable, as it is set at that moment; full_batch: whether each
    step sees all data, for only then there is such a line.
    Further keywords go to the `Objective` (weight, separable, reduction, weight_decay, mode, dropout, budget, dtype, device) or
    are traits of the `Explorer`, such as theme and height. Raises TypeError, ValueError or EvaluationError, in words,
    for what cannot be mapped.
    """
    options = {name: traits.pop(name) for name in _OPTIONS if name in traits}
    if isinstance(model, Objective):
        if loss_fn is not None or data is not None:
            raise TypeError(
                "The objective already has its loss and data. Pass it alone, or a module with both."
            )
        if options or tuple(fields) != ("loss",):
            given = ", ".join(options) or "fields"
            raise TypeError(
                f"The objective was made already, so {given} cannot be chosen. Make it with them."
            )
        objective = model
    else:
        objective = Objective(model, loss_fn, data, fields=fields, **options)  # type: ignore[arg-type]
    if plane is not None and line is not None:
        raise TypeError("Both a plane and a line were passed. Pass one of them.")
    where = plane or line or Plane.random(objective, seed)
    landscape = Landscape(objective, where, extent=extent, title=title)
    return _explore(landscape, optimizer=optimizer, full_batch=full_batch, **traits)


def _explore(
    landscape: Landscape, *, optimizer: Optimizer | None = None, full_batch: bool = False, **traits: Any
) -> Explorer:
    """The explorer of this landscape; keywords are its traits, such as theme or height.

    optimizer, full_batch: where the steps of the one that trains the model stop being stable, as for `explore`.
    """
    from lossatlas.widget import Explorer

    known = {name for name in Explorer.class_trait_names(sync=True) if not name.startswith("_")}
    for name in traits:
        if name not in known - {"scene", "around"}:
            raise TypeError(
                f"explore got an unknown keyword {name!r}. Beside plane, seed, line, extent, fields and title it takes those of "
                f"Objective ({', '.join(_OPTIONS)}) and traits, such as theme, height and turn_u."
            )
    return Explorer(landscape, stability=_line_of(optimizer, full_batch, landscape.objective), **traits)


def _line_of(
    optimizer: Optimizer | None, full_batch: bool, objective: Objective
) -> Callable[[], Stability | None]:
    """What the stability line of an optimizer is whenever it is asked for; None without one, or when it has gone."""
    if optimizer is None:
        return lambda: None
    decay = objective.weight_decay
    stability_of(optimizer, full_batch, decay)  # a wrong call raises here
    alive = weakref.ref(optimizer)

    def now() -> Stability | None:
        known = alive()
        return None if known is None else stability_of(known, full_batch, decay)

    return now


def _figure(landscape: Landscape, num: int = 201, *, field: str = "loss") -> Any:
    """The profile of a landscape on a line as a Plotly figure: exact values at `num` points over its home view.

    Raises TypeError on a plane, ValueError for a wrong number or field, EvaluationError when the model raises.
    """
    if not isinstance(landscape.slice, Line):
        raise TypeError(
            "This landscape lies on a plane, whose figure is the map: use landscape.explore(). figure() draws the profile "
            "of a line."
        )
    from lossatlas.figures import profile_figure

    profile = landscape.profile(num=num, field=field)
    scene = landscape.scene
    name, length, unit = scene.axes[0]
    points = [(label, a) for label, a, _ in landscape.slice.points]
    return profile_figure(
        profile.a, profile.values, title=scene.title, axis=f"a · {name} · 1 = {length:.3g} {unit}".rstrip(),
        field=field, points=points,
    )  # fmt: skip


def _spectrum_figure(
    spectrum: Spectrum, title: str | None = None, *, stability: Stability | float | None = None
) -> Any:
    """A spectrum as a Plotly figure: the density on a log axis with its band, and the eigenvalues with their residuals.

    stability: where an optimizer's steps stop coming back, as `stability_of(optimizer, full_batch=True)` gives it or as a
    number: a dashed line.
    """
    from lossatlas.figures import spectrum_figure

    density, size = spectrum.density, len(spectrum.eigenvectors)
    trace = f"{spectrum.trace:.4g}" + ("" if spectrum.exact else f" ± {spectrum.trace_error:.2g}")
    said = f"Hessian of {size} parameters · trace {trace} · {spectrum.products} products"
    return spectrum_figure(
        density.grid, density.values, density.band, spectrum.eigenvalues, spectrum.residuals, spectrum.converged,
        size=size, width=density.width, title=said if title is None else title,
        line=None if stability is None else read(stability),
    )  # fmt: skip


def _display(landscape: Landscape, **kwargs: Any) -> Any:
    """A landscape as the last line of a cell shows its explorer."""
    return _explore(landscape)._repr_mimebundle_(**kwargs)


Objective.spectrum = spectrum_at  # type: ignore[attr-defined]
Landscape.explore = _explore  # type: ignore[attr-defined]
Landscape.figure = _figure  # type: ignore[attr-defined]
for _method in (at_point.spectrum, at_point.spectra, at_point.jet, at_point.critical_point):
    setattr(Landscape, _method.__name__, _method)
Spectrum.figure = _spectrum_figure  # type: ignore[attr-defined]
Landscape._repr_mimebundle_ = _display  # type: ignore[attr-defined]
