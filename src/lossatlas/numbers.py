"""The numbers of a view, to be carried elsewhere: NumPy, CSV, xarray; methods of Landscape, put there by the package."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossatlas.geometry import check_count
from lossatlas.held import AnyLandscape
from lossatlas.pictures import line_profile
from lossatlas.recipe import recipe_text

# What an array of a file may not be called: coordinates and the rest have these names.
_TAKEN = ("a", "b", "about")


@dataclass(frozen=True, eq=False)
class Numbers:
    """Fields over a grid, with all that says what they are.

    a: (columns,); b: (rows,), empty on a line; values: by field (rows, columns) float64, row 0 at the lowest b, or (columns,) on
    a line; error: by field, the stated maximum error in its units, 0 where every value is evaluated, inf where unknown;
    about: title, caption, recipe (hash of the scene), recipe_json (what makes the landscape again, as `from_recipe` takes it),
    axes, dtype and number of samples.
    """

    a: np.ndarray
    b: np.ndarray
    values: dict[str, np.ndarray]
    error: dict[str, float]
    about: dict[str, Any]


def numbers(
    landscape: AnyLandscape,
    extent: Sequence[float] | None = None,
    *,
    pixels: tuple[int, int] | int = (129, 129),
    fields: Sequence[str] | str | None = None,
    tolerance: float = 0.01,
) -> Numbers:
    """Fields over a view, the home view by default, as `landscape.map` draws them within tolerance; 0: every value evaluated.

    pixels: (rows of b, columns of a); on a line a number of points, which are exact where there is a model. fields: names, "all", or by default the first. Raises ValueError
    for what is none of these, EvaluationError when the model raises.
    """
    names = _names(landscape, fields)
    if landscape.on_line:
        count = check_count(pixels if isinstance(pixels, int) else max(pixels))
        profiles = {name: line_profile(landscape, extent, count, name) for name in names}
        return Numbers(
            next(iter(profiles.values())).a, np.empty(0), {name: one.values for name, one in profiles.items()},
            {name: one.error for name, one in profiles.items()}, _about(landscape),
        )  # fmt: skip
    maps = {name: landscape.map(extent, pixels, tolerance, field=name) for name in names}
    first = next(iter(maps.values()))
    rows, columns = first.values.shape
    return Numbers(
        np.linspace(*first.extent[:2], columns), np.linspace(*first.extent[2:], rows),
        {name: one.values for name, one in maps.items()}, {name: one.error for name, one in maps.items()}, _about(landscape),
    )  # fmt: skip


def _names(landscape: AnyLandscape, fields: Sequence[str] | str | None) -> list[str]:
    if fields is None:
        return list(landscape.fields[:1])
    if fields == "all":
        return list(landscape.fields)
    names = [fields] if isinstance(fields, str) else list(dict.fromkeys(fields))
    if not names:
        raise ValueError(f'fields is {fields!r}. Pass names of {", ".join(landscape.fields)}, or "all".')
    for name in names:
        landscape.layer_of(name)  # raises, in words, for one that there is not
        if name in _TAKEN:
            raise ValueError(f"A field is called {name!r}, as is a part of the file. Give it another name.")
    return names


def _about(landscape: AnyLandscape) -> dict[str, Any]:
    scene = landscape.scene
    return {
        "title": scene.title, "caption": landscape.caption(), "recipe": scene.hash, "recipe_json": recipe_text(landscape),
        "axes": [{"name": name, "length": length, "unit": unit} for name, length, unit in scene.axes],
        "dtype": scene.dtype, "samples": scene.samples,
    }  # fmt: skip


def to_npz(landscape: AnyLandscape, path: Any, extent: Sequence[float] | None = None, **options: Any) -> None:
    """Write fields over a view as one .npz: `a`, `b`, an array per field by its name, and `about`, JSON text.

    `json.loads(str(np.load(path)["about"]))` has title, caption, recipe, recipe_json, axes and the error of each field; nothing is pickled.
    options and errors as of `numbers`; a failure leaves no file.
    """
    from lossatlas.figures.files import check_path, write_whole

    where, data = check_path(path, ".npz"), io.BytesIO()
    found = numbers(landscape, extent, **options)
    about = json.dumps({**found.about, "error": _finite(found.error)}, ensure_ascii=False)
    np.savez_compressed(data, **{"a": found.a, "b": found.b, **found.values}, about=np.array(about))  # type: ignore[arg-type]
    write_whole(where, data.getvalue())


def to_csv(landscape: AnyLandscape, path: Any, extent: Sequence[float] | None = None, **options: Any) -> None:
    """Write fields over a view as CSV: after comment lines (#) a row per point with a, b and each field, b rising slowest.

    The comment `# recipe_json: ` holds the recipe. Read the rows by `pandas.read_csv(path, comment="#")`. options and errors as of `numbers`; a failure leaves no file.
    """
    from lossatlas.figures.files import check_path, write_whole

    where, text = check_path(path, ".csv"), io.StringIO()
    found = numbers(landscape, extent, **options)
    for name, said in _comments(found):
        text.write(f"# {name}: {' '.join(str(said).split())}\n")
    text.write(f"# recipe_json: {found.about['recipe_json']}\n")  # one line already, whose spaces count
    table = csv.writer(text, lineterminator="\n")
    on_line = not found.b.size
    table.writerow(["a", *([] if on_line else ["b"]), *found.values])
    places = [found.a] if on_line else [axis.ravel() for axis in np.meshgrid(found.a, found.b)]
    columns = [*places, *(values.ravel() for values in found.values.values())]
    table.writerows(zip(*(map(repr, column.tolist()) for column in columns), strict=True))
    write_whole(where, text.getvalue().encode())


def _comments(found: Numbers) -> list[tuple[str, Any]]:
    about = [(name, found.about[name]) for name in ("title", "caption", "recipe")]
    return about + [(f"error of {name}", error) for name, error in found.error.items()]


def to_xarray(landscape: AnyLandscape, extent: Sequence[float] | None = None, **options: Any) -> Any:
    """Fields over a view as an xarray.Dataset of dimensions b and a, with what they are as attributes.

    options and errors as of `numbers`; ImportError, saying what to install, where xarray is missing.
    """
    try:
        import xarray
    except ImportError:
        raise ImportError(
            "A Dataset is made by xarray, which is not installed. Run: pip install 'lossatlas[numbers]'"
        ) from None
    found = numbers(landscape, extent, **options)
    dims = ("b", "a") if found.b.size else ("a",)
    axes = found.about["axes"]
    coordinates = {
        letter: (letter, at, {"long_name": axis["name"], "length_of_1": axis["length"], "unit_of_length": axis["unit"]})
        for letter, at, axis in zip("ab", (found.a, found.b), axes, strict=False)
    }  # fmt: skip
    fields = {name: (dims, values, {"error": found.error[name]}) for name, values in found.values.items()}
    about = {name: value for name, value in found.about.items() if name != "axes"}
    return xarray.Dataset(fields, coordinates, about)


def _finite(error: dict[str, float]) -> dict[str, float | None]:
    """As JSON can say it: null where the error is unknown."""
    return {name: value if np.isfinite(value) else None for name, value in error.items()}
