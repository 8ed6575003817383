"""lossatlas: zoomable maps of a neural network's loss, computed where you look."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lossatlas import at_point, carried, learning, numbers, pictures, recipe, stored
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
from lossatlas.difference import difference, subtract
from lossatlas.features import CriticalPoint, Descent, Recorder, Sweep, Tracker, track
from lossatlas.following import project
from lossatlas.geometry import Direction, Line, Plane, Shadow, TileAddress, Trajectory
from lossatlas.grids import from_grid
from lossatlas.hdf5 import from_hdf5
from lossatlas.held import AnyLandscape, HeldLandscape, refusing
from lossatlas.landscape import Landscape
from lossatlas.objective import EvaluationError, Objective, ParameterSpace
from lossatlas.recipe import from_recipe
from lossatlas.sampling import Map, Profile, Tile
from lossatlas.spread import Spread, spread
from lossatlas.stored import load

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from lossatlas.widget import Explorer
    from lossatlas.widget.compare import Comparison
    from lossatlas.widget.link import Link

__version__ = "0.1.0"

__all__ = [
    "CriticalPoint",
    "Descent",
    "Diagonal",
    "Direction",
    "EvaluationError",
    "HeldLandscape",
    "Jet",
    "Landscape",
    "Line",
    "Map",
    "Objective",
    "ParameterSpace",
    "Plane",
    "Profile",
    "Recorder",
    "Shadow",
    "Sharpness",
    "SharpnessComparison",
    "Spectrum",
    "Spread",
    "Stability",
    "Sweep",
    "Tile",
    "TileAddress",
    "Tracker",
    "Trajectory",
    "compare",
    "difference",
    "explore",
    "from_grid",
    "from_hdf5",
    "from_recipe",
    "link",
    "load",
    "sharpness",
    "spread",
    "stability_of",
    "to_tensorboard",
    "track",
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
    recorder: Recorder | None = None,
    store: str | os.PathLike[str] | None = None,
    **traits: Any,
) -> Explorer:
    """A zoomable map of a model's loss: the widget, to be the last line of a cell.

    model, loss_fn, data, fields: as for `Objective`; an objective may stand for all of them. plane: a random
    filter-normalised one of `seed` by default; or a line, whose profile is a curve that zooms.
    extent: the home view (a0, a1, b0, b1), by default the plane's. optimizer: the one that trains the model: the spectrum of
    a point that is clicked then shows where its steps stop being stable, as it is set at that moment; full_batch: whether each
    step sees all data, for only then there is such a line. recorder: of the run that begins: its path grows on the map while
    the cell trains. store: the atlas that keeps what is evaluated, as of `Landscape`.
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
    landscape = Landscape(objective, where, extent=extent, title=title, store=store)
    return _explore(landscape, optimizer=optimizer, full_batch=full_batch, recorder=recorder, **traits)


def _explore(
    landscape: AnyLandscape,
    *,
    optimizer: Optimizer | None = None,
    full_batch: bool = False,
    recorder: Recorder | None = None,
    **traits: Any,
) -> Explorer:
    """The explorer of this landscape; keywords are its traits, such as theme or height.

    optimizer, full_batch: where the steps of the one that trains the model stop being stable; recorder: of the run whose path
    grows on the map; as for `explore`.
    """
    from lossatlas.widget import Explorer

    known = _known_traits("explore", traits)
    line = None if optimizer is None else _line_of(optimizer, full_batch, landscape.objective)
    explorer = Explorer(landscape, stability=line or (lambda: None), **known)
    if recorder is not None:
        explorer.add_run(recorder)
    return explorer


def _known_traits(caller: str, traits: dict[str, Any]) -> dict[str, Any]:
    """The traits, all of which may be set. Raises TypeError for others."""
    from lossatlas.widget import Explorer

    known = {name for name in Explorer.class_trait_names(sync=True) if not name.startswith("_")}
    more = {
        "explore": f"plane, seed, line, extent, fields and title it takes those of Objective ({', '.join(_OPTIONS)}) and",
        "compare": "names, columns, difference and link it takes",
    }
    for name in traits:
        if name not in known - {"scene", "around", "group", "linked"}:
            raise TypeError(
                f"{caller} got an unknown keyword {name!r}. Beside {more[caller]} traits, such as theme, height and turn_u."
            )
    return traits


def link(*explorers: Explorer, what: Sequence[str] = ("view", "domain", "levels")) -> Link:
    """Let explorers share what they show: where one is moved, all move in the same frame; `unlink` on what is returned ends it.

    what: "view"; "domain", the colours of values, for those that draw the same field; "levels", their isolines; and, beside
    these, "field", which field is drawn, and "plane", where the controls stand that turn it. All take the first one's. Views
    are in units of each one's plane. It acts in the page, without a kernel; the traits follow. Raises TypeError or
    ValueError, in words, for what cannot be linked.
    """
    from lossatlas.widget.link import link

    return link(explorers, what)


def compare(
    landscapes: Sequence[AnyLandscape],
    names: Sequence[str] | None = None,
    columns: int | None = None,
    difference: bool | None = None,
    link: Sequence[str] = ("view", "domain", "levels"),
    **traits: Any,
) -> Comparison:
    """Landscapes beside each other: one view, one field, one scale of values with its colours and isolines.

    Two models, two optimizers, train and validation data, two normalisations: on planes of their own or on one. On one
    plane, turning it turns all, and where there are two a map of the second less the first stands beside them, in colours of
    its own; difference=False does without, difference=True asks for it. names: titles; columns: maps a row, by default as
    many as there is room for; link: what is shared, of "view", "domain" and "levels"; traits: of the explorers. Raises TypeError
    or ValueError, in words, for what cannot be compared.
    """
    from lossatlas.widget.compare import compare

    return compare(landscapes, names, columns, difference, link, **_known_traits("compare", traits))


def to_tensorboard(
    writer: Any,
    landscape: AnyLandscape | None = None,
    trajectory: Trajectory | None = None,
    spectrum: Spectrum | None = None,
    *,
    step: int | None = None,
    tag: str = "lossatlas",
    theme: str = "light",
    **looks: Any,
) -> None:
    """Write a map, a run and a spectrum for TensorBoard, as pictures and scalars: what of them is passed.

    writer: a `SummaryWriter` of torch.utils.tensorboard, which stays open (of Lightning's TensorBoardLogger that is
    `logger.experiment`), or a folder of logs. landscape: its plot, with the trajectory's path where both are passed, and its caption
    as text. trajectory: loss, lr and metrics at their steps, and ‖θ‖ at those that were kept; NaN, which is also what was not
    told, is left out. spectrum: its plot, the extreme eigenvalues as far as they are known, and the trace. step: of pictures and
    spectrum, by default the last one of the trajectory, else 0. tag: what the names begin with. looks: of the map, as of
    `landscape.plot`.

    Raises ImportError where tensorboard or matplotlib is missing (extra `tensorboard`), EvaluationError when the model raises, and
    TypeError or ValueError, in words, before anything is written.
    """
    from lossatlas.integrations.tensorboard import to_tensorboard

    to_tensorboard(writer, landscape, trajectory, spectrum, step=step, tag=tag, theme=theme, **looks)


def _line_of(optimizer: Optimizer, full_batch: bool, objective: Objective) -> Callable[[], Stability | None]:
    """What the stability line of an optimizer is whenever it is asked for; None when it has gone."""
    decay = objective.weight_decay
    stability_of(optimizer, full_batch, decay)  # a wrong call raises here
    alive = weakref.ref(optimizer)

    def now() -> Stability | None:
        known = alive()
        return None if known is None else stability_of(known, full_batch, decay)

    return now


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


def _display(landscape: AnyLandscape, **kwargs: Any) -> Any:
    """A landscape as the last line of a cell shows its explorer."""
    return _explore(landscape)._repr_mimebundle_(**kwargs)


Objective.spectrum = spectrum_at  # type: ignore[attr-defined]
Landscape.recipe = property(recipe.recipe)  # type: ignore[attr-defined]
Landscape.scene_row = property(stored.row_of)  # type: ignore[attr-defined]
Landscape.save, Landscape.flush = stored.save, stored.flush  # type: ignore[attr-defined]
Landscape.__sub__ = subtract  # type: ignore[operator]
for _measured in (
    at_point.spectrum, at_point.spectra, at_point.jet, at_point.critical_point,
    at_point.descend, at_point.sweep, project,
):  # fmt: skip
    setattr(Landscape, _measured.__name__, _measured)
    setattr(HeldLandscape, _measured.__name__, refusing(_measured))
HeldLandscape.save = refusing(stored.save)  # type: ignore[attr-defined]
for _kind in (Landscape, HeldLandscape):
    setattr(_kind, "explore", _explore)  # noqa: B010 - for mypy they have no such attribute
    setattr(_kind, "_repr_mimebundle_", _display)  # noqa: B010
    for _method in (
        pictures.figure, pictures.plot, pictures.to_png, pictures.to_svg, pictures.to_pdf,
        numbers.numbers, numbers.to_npz, numbers.to_csv, numbers.to_xarray, carried.to_vtk, carried.to_zarr,
    ):  # fmt: skip
        setattr(_kind, _method.__name__, _method)
Profile.figure = pictures.profile_figure_of  # type: ignore[attr-defined]
Descent.figure = pictures.descent_figure_of  # type: ignore[attr-defined]
Sweep.figure = pictures.sweep_figure_of  # type: ignore[attr-defined]
Trajectory.figure = learning.figure  # type: ignore[attr-defined]
Trajectory.scatter = learning.scatter  # type: ignore[attr-defined]
Spectrum.figure = _spectrum_figure  # type: ignore[attr-defined]
