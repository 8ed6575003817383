"""A landscape as a picture: the surface, the plot and files of it; methods of Landscape, put there by the package."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossatlas.geometry import Extent, check_extent, check_interval
from lossatlas.held import AnyLandscape, HeldLandscape
from lossatlas.recipe import recipe_text
from lossatlas.sampling import Map, Profile
from lossatlas.scale import scale_of

if TYPE_CHECKING:
    from lossatlas.features import Descent, Sweep
    from lossatlas.figures.chart import Chart

# Points per side: of a surface, which a page has to turn, and of a plot, which is printed.
_SURFACE, _PLOT = 129, 513

# The width of a figure, in inches.
_WIDTH = 6.0


def figure(
    landscape: AnyLandscape,
    extent: Sequence[float] | None = None,
    *,
    pixels: tuple[int, int] | int = _SURFACE,
    num: int = 201,
    tolerance: float = 0.01,
    field: str | None = None,
    scale: Any = "auto",
    colormap: str = "viridis",
    domain: Sequence[float] | None = None,
    camera: Mapping[str, Any] | None = None,
) -> Any:
    """The landscape as a Plotly figure: the surface over a plane's extent with its isolines, or the profile of a line.

    extent: the home view by default; field: "loss", or the first that there is; pixels: points per side, or (rows of b, columns of a), drawn as `landscape.map` draws them
    within tolerance; num: points of a profile, which are exact. scale: "auto", "linear", "log", "symlog" or
    "symlog:c"; domain: values (low, high) of the first and the last colour; camera: as of Plotly. `layout.meta` holds the
    recipe: its hash, and as recipe_json what `from_recipe` takes. Raises
    ValueError for what is none of these, EvaluationError when the model raises.
    """
    if landscape.on_line:
        return _with_recipe(profile_of_line(landscape, extent, num, field or landscape.fields[0]), landscape)
    from lossatlas.figures.surface import surface_figure

    chart = chart_at(
        landscape, extent, pixels=pixels, tolerance=tolerance, field=field, scale=scale, colormap=colormap, domain=domain,
    )  # fmt: skip
    return _with_recipe(surface_figure(chart, camera), landscape)


def _with_recipe(made: Any, landscape: AnyLandscape) -> Any:
    """A Plotly figure that carries the recipe where every file of it does: in layout.meta."""
    return made.update_layout(meta={"recipe": landscape.scene.hash, "recipe_json": recipe_text(landscape)})


def chart_at(
    landscape: AnyLandscape,
    extent: Sequence[float] | None,
    *,
    pixels: tuple[int, int] | int = _PLOT,
    tolerance: float = 0.01,
    field: str | None = None,
    **looks: Any,
) -> Chart:
    """The view as it is drawn; looks: scale, colormap, domain and levels, as of `plot`."""
    from lossatlas.figures.chart import check_looks

    check_looks(*(looks.get(name, usual) for name, usual in _LOOKS.items()))
    return chart_from(
        landscape, landscape.map(extent, pixels, tolerance, field=field or landscape.fields[0]), **looks
    )


_LOOKS: dict[str, Any] = {"scale": "auto", "colormap": "viridis", "domain": None, "levels": "auto"}


def chart_from(landscape: AnyLandscape, found: Map, **looks: Any) -> Chart:
    """A map of this landscape as it is drawn."""
    from lossatlas.figures.chart import chart_of

    scene = landscape.scene
    return chart_of(
        found, title=scene.title, axes=scene.axes, points=scene.points, recipe=scene.hash[:7], **{**_LOOKS, **looks}
    )  # fmt: skip


def profile_of_line(landscape: AnyLandscape, extent: Sequence[float] | None, num: int, field: str) -> Any:
    """The profile of a landscape on a line, over its home view by default."""
    from lossatlas.figures import profile_figure
    from lossatlas.figures.words import axis_title

    profile = line_profile(landscape, extent, num, field)
    scene = landscape.scene
    points = [(label, a) for label, a, _ in scene.points]
    return profile_figure(
        profile.a, profile.values, title=scene.title, axis=axis_title("a", scene.axes[0]), field=field, points=points,
    )  # fmt: skip


def line_profile(landscape: AnyLandscape, extent: Sequence[float] | None, num: int, field: str) -> Profile:
    """Values over an extent (a0, a1) of a line: exact, or what is drawn through those that are held."""
    a0, a1 = landscape.home[:2] if extent is None else check_interval(extent)
    if isinstance(landscape, HeldLandscape):
        return landscape.drawn_profile(a0, a1, num, field=field)
    return landscape.profile(a0, a1, num, field=field)


def profile_figure_of(profile: Profile, title: str | None = None) -> Any:
    """The profile as a Plotly figure: below in units of the plane, above as the distance in parameter space."""
    from lossatlas.figures.profile import along_figure

    return along_figure(
        profile.a,
        profile.b,
        profile.distance,
        profile.values,
        field=profile.field,
        norm=profile.norm,
        title=title,
    )


def descent_figure_of(descent: Descent, *others: Descent, title: str | None = None) -> Any:
    """The loss that each step saw as a Plotly figure, of one descent or beside others; logarithmic where that suits it."""
    from lossatlas.figures.descent import descent_figure

    found = (descent, *others)
    runs = [(run.name, run.curves.steps, run.curves.loss, run.diverged) for run in found]
    said = descent.message if len(found) == 1 else f"{len(found)} descents"
    return descent_figure(
        runs, title=f"{descent.name} · {said}" if len(found) == 1 and title is None else title or said
    )


def sweep_figure_of(sweep: Sweep, title: str | None = None) -> Any:
    """The loss at the end against the learning rate as a Plotly figure, with the line of stability and what ran away."""
    from lossatlas.figures.descent import sweep_figure

    steps = max(run.steps for run in sweep.descents)
    return sweep_figure(
        sweep.lrs, sweep.end_loss, sweep.diverged, sweep.start_loss, line=sweep.stability,
        title=f"{sweep.name} · {steps} steps" if title is None else title,
    )  # fmt: skip


def plot(
    landscape: AnyLandscape,
    ax: Any = None,
    *,
    extent: Sequence[float] | None = None,
    field: str | None = None,
    scale: Any = "auto",
    colormap: str = "viridis",
    domain: Sequence[float] | None = None,
    relief: float = 0.0,
    levels: Any = "auto",
    pixels: tuple[int, int] | int = _PLOT,
    tolerance: float = 0.01,
    num: int = 401,
    theme: str = "light",
    note: bool = True,
) -> Any:
    """Draw the landscape by matplotlib, into `ax` or new axes, and return them: the map with its isolines, or the curve of a line.

    levels: "auto" for those of the page, or values; relief: light from the upper left, from 0 to 1; note: the line below, with the
    error and the recipe; theme: "light" or "dark"; the others as of `figure`. Raises ImportError where matplotlib is missing,
    ValueError for what is none of these, EvaluationError when the model raises.
    """
    drawing = drawing_of(
        landscape, extent, field=field, scale=scale, colormap=colormap, domain=domain, relief=relief, levels=levels,
        pixels=pixels, tolerance=tolerance, num=num, theme=theme, note=note,
    )  # fmt: skip
    if ax is not None:
        return drawing.draw(ax)
    from matplotlib import pyplot

    from lossatlas.figures.plot import HIGHEST, first_place, fitted

    size, place = first_place(_WIDTH, drawing.aspect, HIGHEST)
    ax = drawing.draw(pyplot.figure(figsize=size, facecolor=drawing.paper).add_axes(place))
    fitted(ax, _WIDTH, drawing.aspect, HIGHEST)
    return ax


@dataclass(frozen=True)
class Drawing:
    """What is drawn once there are axes. aspect: the height of the map by its width; said: what it rests on, in words."""

    draw: Callable[[Any], Any]
    aspect: float
    said: str
    paper: str


def drawing_of(
    landscape: AnyLandscape,
    extent: Sequence[float] | None,
    *,
    field: str | None = None,
    relief: float = 0.0,
    pixels: tuple[int, int] | int = _PLOT,
    tolerance: float = 0.01,
    num: int = 401,
    theme: str = "light",
    note: bool = True,
    **looks: Any,
) -> Drawing:
    """Evaluate what is to be drawn. Wrong options raise before that."""
    from lossatlas.figures.plot import matplotlib_or_say, plot_chart, theme_of

    matplotlib_or_say()
    paper = theme_of(theme).paper
    if isinstance(relief, bool) or not isinstance(relief, int | float) or not 0 <= relief <= 1:
        raise ValueError(f"relief is {relief!r}. Pass a number from 0 (none) to 1.")
    if landscape.on_line:
        return _curve(
            landscape, extent, num=num, field=field or landscape.fields[0], theme=theme, paper=paper, **looks
        )
    view = landscape.home if extent is None else check_extent(extent)
    shape = _shape(view, pixels) if isinstance(pixels, int) else pixels
    chart = chart_at(landscape, view, pixels=shape, tolerance=tolerance, field=field, **looks)
    return Drawing(
        lambda ax: plot_chart(chart, ax, relief=relief, theme=theme, note=note),
        (view[3] - view[2]) / (view[1] - view[0]), f"Drawn is {chart.field}. {chart.note}.", paper,
    )  # fmt: skip


def _shape(view: Extent, longest: int) -> tuple[int, int]:
    """Rows and columns of square pixels, so many along the longer side."""
    wide, high = view[1] - view[0], view[3] - view[2]
    rows, columns = (max(2, round(longest * side / max(wide, high))) for side in (high, wide))
    return rows, columns


def _curve(
    landscape: AnyLandscape,
    extent: Any,
    *,
    num: int,
    field: str,
    theme: str,
    paper: str,
    scale: Any = "auto",
    **looks: Any,
) -> Drawing:
    from lossatlas.figures.chart import check_looks
    from lossatlas.figures.curve import plot_curve
    from lossatlas.figures.words import axis_title

    check_looks(scale, *(looks.get(name, usual) for name, usual in list(_LOOKS.items())[1:]))
    profile, scene = line_profile(landscape, extent, num, field), landscape.scene
    chosen = scale_of(scale, profile.values)
    points = [(name, a) for name, a, _ in scene.points]
    said = f"Drawn is {field} at {len(profile.a)} points, {_exactness(profile.error)}."
    return Drawing(
        lambda ax: plot_curve(
            profile.a, profile.values, ax, scale=chosen, field=field, title=scene.title,
            axis=axis_title("a", scene.axes[0]), points=points, theme=theme,
        ),
        0.5, said, paper,
    )  # fmt: skip


def _exactness(error: float) -> str:
    """What the error of a profile means, in words."""
    if not error:
        return "every value evaluated"
    return (
        f"to ± {error:.2g}"
        if math.isfinite(error)
        else "interpolated between values that are held, error unknown"
    )


def to_png(landscape: AnyLandscape, path: Any, extent: Sequence[float] | None = None, *, dpi: float = 300, **options: Any) -> None:  # fmt: skip
    """Write the landscape as a PNG; width: in inches, dpi: pixels per inch; further options as of `plot`.

    The caption (what the axes mean, data, error, recipe) travels inside, and the recipe itself, as `from_recipe` takes it: in
    the text "Recipe" of a PNG, the element `metadata` "lossatlas-recipe" of an SVG, the keywords of a PDF. Raises TypeError or ValueError for a path or options
    that are none, ImportError where matplotlib is missing, EvaluationError when the model raises; a failure leaves no file.
    """
    _write(landscape, path, ".png", extent, dpi=dpi, **options)


def to_svg(landscape: AnyLandscape, path: Any, extent: Sequence[float] | None = None, **options: Any) -> None:
    """The same as an SVG: isolines are lines, text is text, and the values are one picture behind them."""
    _write(landscape, path, ".svg", extent, **options)


def to_pdf(landscape: AnyLandscape, path: Any, extent: Sequence[float] | None = None, **options: Any) -> None:
    """The same as a PDF."""
    _write(landscape, path, ".pdf", extent, **options)


def _write(
    landscape: AnyLandscape, path: Any, suffix: str, extent: Any, *, dpi: float = 300, width: float = _WIDTH, **options: Any
) -> None:  # fmt: skip
    from lossatlas.figures.files import check_path, save

    where = check_path(path, suffix)
    for name, value, least, most in (("dpi", dpi, 20, 2400), ("width", width, 1, 60)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"{name} is {value!r}. Pass a number from {least} to {most}.")
    drawing = drawing_of(landscape, extent, **options)
    caption = f"{landscape.caption()} {drawing.said}"
    save(
        where, drawing.draw, width=width, aspect=drawing.aspect, dpi=dpi, title=landscape.scene.title, caption=caption,
        recipe=recipe_text(landscape), paper=drawing.paper,
    )  # fmt: skip
