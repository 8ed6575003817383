"""TensorBoard: map, path, spectrum and curves of a run, written beside the user's own."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from lossatlas.curvature import Spectrum
from lossatlas.geometry import Trajectory
from lossatlas.held import AnyLandscape
from lossatlas.integrations.watched import extra

# What is called of a writer.
_NEEDED = ("add_scalar", "add_image", "add_text", "flush")

# Of a series and of a path so many points at most: TensorBoard itself shows a thousand.
_SCALARS, _POINTS = 10_000, 1000

# Pictures: inches wide, and pixels per inch.
_WIDTH, _DPI = 6.0, 150

_MATRICES = {"hessian": "Hessian", "gauss_newton": "Gauss–Newton matrix", "fisher": "Empirical Fisher matrix"}

# How far a density reaches beyond the extreme eigenvalues, in widths of its kernel, and a little more.
_BEYOND = 8.0


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
    """See `lossatlas.to_tensorboard`."""
    extra("tensorboard", "to_tensorboard", "tensorboard")
    for name, given, kind in (
        ("landscape", landscape, AnyLandscape), ("trajectory", trajectory, Trajectory), ("spectrum", spectrum, Spectrum),
    ):  # fmt: skip
        if given is not None and not isinstance(given, kind):
            raise TypeError(f"{name} is a {type(given).__name__}. Pass a {name.capitalize()}.")
    if landscape is None and trajectory is None and spectrum is None:
        raise ValueError("There is nothing to write. Pass a landscape, a trajectory or a spectrum.")
    _checked_writer(writer)
    at = _step(step, trajectory)
    # Computed first: a model that raises leaves no half of a page.
    pictures = {}
    if landscape is not None:
        pictures["map"] = _map(landscape, trajectory, theme, looks)
    elif looks:
        raise TypeError(f"There is no map that {', '.join(looks)} could be of. Pass a landscape.")
    if spectrum is not None:
        pictures["spectrum"] = _spectrum(spectrum, theme)
    scalars = _curves(trajectory) if trajectory is not None else []
    scalars += [(name, at, value) for name, value in _extremes(spectrum).items()] if spectrum else []
    with _open(writer) as out:
        for name, number, value in scalars:
            out.add_scalar(f"{tag}/{name}", value, number)
        for name, picture in pictures.items():
            out.add_image(f"{tag}/{name}", picture, at, dataformats="HWC")
        if landscape is not None:
            out.add_text(f"{tag}/map", landscape.caption(), at)
        if spectrum is not None:
            out.add_text(f"{tag}/spectrum", repr(spectrum), at)
        out.flush()


def _step(step: int | None, trajectory: Trajectory | None) -> int:
    if step is None:
        return 0 if trajectory is None else int(trajectory.steps[-1])
    if isinstance(step, bool) or not hasattr(step, "__index__"):
        raise TypeError(f"step is {step!r}. Pass a whole number.")
    return int(step)


@contextlib.contextmanager
def _open(writer: Any) -> Iterator[Any]:
    """The writer, or one of a folder that is closed again."""
    if isinstance(writer, str | os.PathLike):
        from torch.utils.tensorboard import SummaryWriter

        own = SummaryWriter(os.fspath(writer))
        try:
            yield own
        finally:
            own.close()
        return
    yield writer


def _checked_writer(writer: Any) -> None:
    if not isinstance(writer, str | os.PathLike) and not all(hasattr(writer, name) for name in _NEEDED):
        raise TypeError(
            f"writer is a {type(writer).__name__}. Pass a SummaryWriter, of a logger of Lightning its .experiment, or a folder."
        )


def _curves(trajectory: Trajectory) -> list[tuple[str, int, float]]:
    from lossatlas.figures.learning import thinned

    told, found = trajectory.told, []
    series = [(name, told.steps, values) for name, values in told.by_name.items()]
    norm = "parameter_norm" if "norm" in told.by_name else "norm"
    for name, at, values in [*series, (norm, trajectory.steps, trajectory.norms)]:
        there = ~np.isnan(values)
        x, y = thinned(at[there], values[there], _SCALARS)
        found += [(name, int(number), float(value)) for number, value in zip(x, y, strict=True)]
    return found


def _extremes(spectrum: Spectrum) -> dict[str, float]:
    """The trace, and the eigenvalues that lie at the ends of the density: others may have been asked for."""
    density, found = spectrum.density, {"spectrum/trace": spectrum.trace}
    known = np.asarray(density.atoms if spectrum.exact else spectrum.eigenvalues)
    low, high = density.grid[0] + _BEYOND * density.width, density.grid[-1] - _BEYOND * density.width
    if len(known) and known.max() >= high:
        found["spectrum/lambda_max"] = float(known.max())
    if len(known) and known.min() <= low:
        found["spectrum/lambda_min"] = float(known.min())
    return {name: value for name, value in found.items() if not math.isnan(value)}


def _map(
    landscape: AnyLandscape, trajectory: Trajectory | None, theme: str, looks: dict[str, Any]
) -> np.ndarray:
    from lossatlas.figures.files import pixels
    from lossatlas.figures.over import plot_path
    from lossatlas.pictures import drawing_of

    path = _path(landscape, trajectory) if trajectory is not None and trajectory.thetas is not None else None
    drawing = drawing_of(landscape, **{"extent": None, "theme": theme, **looks})

    def draw(ax: Any) -> Any:
        drawing.draw(ax)
        if path is not None:
            plot_path(*path, ax, theme=theme)
        return ax

    return pixels(draw, width=_WIDTH, aspect=drawing.aspect, dpi=_DPI, paper=drawing.paper)


def _path(landscape: AnyLandscape, trajectory: Trajectory) -> tuple[np.ndarray, np.ndarray] | None:
    """Where rows lie on the plane, (T, 2), and how far from it, (T,); a line has no room for a path."""
    if landscape.on_line:
        return None
    rows = trajectory.along(landscape.objective.parameters)
    kept = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _POINTS)).round().astype(int))
    found = np.array([landscape.plane.project(rows[int(k)]) for k in kept])
    return found[:, :2], found[:, 2]


def _spectrum(spectrum: Spectrum, theme: str) -> np.ndarray:
    from lossatlas.figures.files import pixels
    from lossatlas.figures.over import plot_spectrum
    from lossatlas.figures.plot import theme_of

    density, size = spectrum.density, len(spectrum.eigenvectors)
    trace = f"{spectrum.trace:.4g}" + ("" if spectrum.exact else f" ± {spectrum.trace_error:.2g}")
    return pixels(
        lambda ax: plot_spectrum(
            density.grid, density.values, density.band, spectrum.eigenvalues, spectrum.residuals, spectrum.converged, ax,
            size=size, width=density.width, title=f"{_MATRICES.get(spectrum.matrix, spectrum.matrix)} of {size} parameters · trace {trace}", theme=theme,
        ),
        width=_WIDTH, aspect=0.6, dpi=_DPI, paper=theme_of(theme).paper,
    )  # fmt: skip
