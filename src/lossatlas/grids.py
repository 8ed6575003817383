"""Grids: values that were computed elsewhere, at evenly spaced points, as a read-only landscape."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossatlas.geometry import CELLS, Extent, TileAddress, Turn, check_extent, check_interval, level_of
from lossatlas.held import HeldLandscape
from lossatlas.objective.fingerprint import digest
from lossatlas.sampling import Pass, Point
from lossatlas.sampling.spline import sample
from lossatlas.scene import Scene
from lossatlas.sources import NotHeld, Source

#: What is said of whatever needs a model.
NO_MODEL = (
    "This map was made of values that were computed elsewhere: it shows what it holds. Make a lossatlas.Landscape of an objective "
    "to compute more."
)

#: Points along a side, at most: a spline takes n² numbers for n.
MOST = 2048

# Levels of a map, as in float64, and how far one can zoom out of its home view.
_LEVELS, _OUT = (-20, 40), 4

# Nearer than this to a point of the grid, in steps, is that point: coordinates are often written as decimals.
_SAME = 1e-6

# Steps along an axis may differ by this share, through rounding.
_EVEN = 1e-4

# The largest index of a tile, as on the wire.
_FURTHEST = 47


def from_grid(
    values: Any,
    extent: Sequence[float] | None = None,
    *,
    field: str = "loss",
    fields: Mapping[str, Any] | None = None,
    title: str | None = None,
) -> HeldLandscape:
    """Values at evenly spaced points as a map that shows, zooms and writes them; there is no model, and nothing is evaluated.

    values: (rows of b, columns of a), row 0 at b0, at the points of `grid(extent)`, ends included, with extent (a0, a1, b0, b1); or
    (n,), along a line, with (a0, a1). field: what they are; fields: more of the same shape, by name. An xarray.DataArray or Dataset
    brings its fields and, in its coordinates a and b, its extent. At these points the map has the values themselves, to the bit, NaN
    and ±inf too. Between them it is a spline, bilinear in a field that holds values that are not finite, and its error is unknown.

    Of `random_plane` and `planar_interpolation` of the package loss-landscapes row i lies i steps along the first direction, and
    column j lies j steps along the second: pass `values.T` to have the first along a. The model lies in the middle of a random plane,
    at index steps / 2, so that its extent is (−1, 1 − 2 / steps, −1, 1 − 2 / steps) where 1 is half of its range. Every second
    row of that package is shifted by one step, which no extent mends.

    Raises TypeError or ValueError, in words, for what is no grid of real numbers and for an extent that is none.
    """
    found = _read(values, extent, field, fields)
    said = title or found.title or f"{next(iter(found.fields))} on a grid"
    return landscape_of(found.fields, found.extent, said, axes=found.axes, caption=found.caption)


def landscape_of(
    fields: Mapping[str, np.ndarray],
    extent: Any,
    title: str,
    *,
    axes: tuple[tuple[str, float, str], ...],
    caption: str = "",
    notes: tuple[str, ...] = (),
) -> HeldLandscape:
    """Fields over a grid, as `from_grid` takes them. Raises TypeError or ValueError as it does."""
    checked = _checked(fields)
    first = next(iter(checked.values()))
    grid = Grid(checked, _extent(extent, first))
    made = f"Made of {' × '.join(map(str, first.shape))} values that were computed elsewhere; between them it is interpolated, error unknown"
    scene = Scene(
        hash=digest(["grid", list(grid.extent), *map(_hashed, checked, checked.values())]),
        title=title, axes=axes[: first.ndim], fields=tuple(checked), home=grid.extent, levels=_levels(grid), dtype="float64",
        samples=0, turns=("", "", ""), directions=(), at=Turn(), notes=(made, *notes),
    )  # fmt: skip
    return HeldLandscape(scene, grid, caption=caption, without=NO_MODEL)


@dataclass(frozen=True, eq=False)
class Grid:
    """A source of values at evenly spaced points. fields: (rows, columns) float64 by name, (columns,) of a line."""

    fields: Mapping[str, np.ndarray]
    extent: Extent  # a line has b0 = b1 = 0

    @property
    def evaluated(self) -> int:
        """How many points it has."""
        return next(iter(self.fields.values())).size

    @property
    def steps(self) -> tuple[float, ...]:
        """The step along a, and of a plane along b."""
        a0, a1, b0, b1 = self.extent
        shape = next(iter(self.fields.values())).shape
        ends = ((a0, a1), (b0, b1))[: len(shape)]
        return tuple((high - low) / (count - 1) for (low, high), count in zip(ends, shape[::-1], strict=True))

    def values(self, points: Sequence[Point], field: str) -> np.ndarray:
        """The values at points of the grid. Raises NotHeld for others."""
        a, b = np.array(points, float).reshape(-1, 2).T
        columns, on_column = self._places(a, 0)
        rows, on_row = self._places(b, 1)
        there = on_column & on_row
        if not there.all():
            raise NotHeld(point for point, known in zip(points, there.tolist(), strict=True) if not known)
        return self._rows(field)[np.rint(rows).astype(int), np.rint(columns).astype(int)]

    def drawn(self, a: np.ndarray, b: np.ndarray, field: str) -> tuple[np.ndarray, float]:
        """The spline at columns a and rows b, (len(b), len(a)), NaN outside; its error: 0 at points of the grid alone, else inf."""
        table = self._rows(field)
        columns, on_column = self._places(a, 0)
        rows, on_row = self._places(b, 1)
        values = np.full((len(b), len(a)), np.nan)
        inside = np.ix_(_within(rows, len(table)), _within(columns, table.shape[1]))
        values[inside] = sample(table, rows[inside[0][:, 0]], columns[inside[1][0]])
        # The spline keeps the values at its knots; beside others that are not finite it has none.
        knots = np.ix_(on_row, on_column)
        values[knots] = table[
            np.ix_(np.rint(rows[on_row]).astype(int), np.rint(columns[on_column]).astype(int))
        ]
        return values, 0.0 if on_row.all() and on_column.all() else math.inf

    def known(self, address: TileAddress, field: str) -> Pass | None:
        """The spline at the nodes of a tile, None of one that lies outside."""
        a, b = address.axes(CELLS + 1)
        a0, a1, b0, b1 = self.extent
        line = len(self.steps) == 1
        if a[-1] <= a0 or a1 <= a[0] or (address.y != 0 if line else b[-1] <= b0 or b1 <= b[0]):
            return None
        values, _ = self.drawn(a, b[:1] if line else b, field)
        return Pass(address, values, None, 2.0**-53)

    def turned(self, turn: Turn) -> tuple[Scene, Source] | None:
        """There is no other plane."""
        return None

    def _rows(self, field: str) -> np.ndarray:
        return np.atleast_2d(self.fields[field])

    def _places(self, at: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates as steps along an axis of the grid, and whether each is a point of it; of a line all b but 0 are outside."""
        if axis == len(self.steps):
            return np.where(at == 0, 0.0, -1.0), at == 0
        low, count = self.extent[2 * axis], self._rows(next(iter(self.fields))).shape[1 - axis]
        steps = (at - low) / self.steps[axis]
        nearest = np.clip(np.rint(steps), 0, count - 1)
        known = np.abs(steps - nearest) <= _SAME
        return np.where(known, nearest, steps), known


def _within(places: np.ndarray, count: int) -> np.ndarray:
    return np.flatnonzero((places >= 0) & (places <= count - 1))


@dataclass(frozen=True, eq=False)
class _Given:
    """What a user passed, taken apart."""

    fields: dict[str, Any]
    extent: Any
    title: str = ""
    caption: str = ""
    axes: tuple[tuple[str, float, str], ...] = field(default=(("a", 1.0, ""), ("b", 1.0, "")))


def _read(values: Any, extent: Any, name: str, more: Mapping[str, Any] | None) -> _Given:
    xarray = sys.modules.get("xarray")  # whoever has a Dataset has imported it
    if xarray is not None and isinstance(values, xarray.DataArray | xarray.Dataset):
        if extent is not None or more is not None:
            raise TypeError("A DataArray or Dataset brings its extent and its fields. Pass it alone.")
        return _read_dataset(values, name)
    if extent is None:
        raise TypeError("extent is missing. Pass (a0, a1, b0, b1), or (a0, a1) for values along a line.")
    if isinstance(values, Mapping) or (more is not None and not isinstance(more, Mapping)):
        raise TypeError("Pass the values of one field, and others in fields, a mapping of names to arrays.")
    return _Given({name: values, **(more or {})}, extent)


def _read_dataset(values: Any, name: str) -> _Given:
    found = {str(values.name or name): values} if hasattr(values, "name") else dict(values.data_vars)
    dims = tuple(dim for dim in ("b", "a") if dim in values.dims)
    if not found or "a" not in dims or set(values.dims) != set(dims) or not set(dims) <= set(values.coords):
        raise ValueError(
            f"The dimensions are {tuple(map(str, values.dims))}. Pass fields over b and a, or over a alone, with these coordinates."
        )
    axes = {dim: np.asarray(values.coords[dim].values) for dim in dims}
    found = {
        one: found[one] for one in sorted(found, key=lambda one: one != "loss")
    }  # a store forgets their order
    fields, back = {}, {dim: bool(len(axis) > 1 and axis[0] > axis[-1]) for dim, axis in axes.items()}
    for one, array in found.items():
        if set(array.dims) != set(dims):
            raise ValueError(
                f"{one!r} has dimensions {tuple(map(str, array.dims))}, others have {dims}. Drop it."
            )
        turned = np.asarray(array.transpose(*dims).values)
        fields[str(one)] = turned[tuple(slice(None, None, -1 if back[dim] else 1) for dim in dims)]
    ends = [end for dim in reversed(dims) for end in even_ends(dim, axes[dim][:: -1 if back[dim] else 1])]
    about = {dim: values.coords[dim].attrs for dim in dims}
    named = tuple(
        (str(about[dim].get("long_name", dim)), float(about[dim].get("length_of_1", 1.0)), str(about[dim].get("unit_of_length", "")))
        for dim in reversed(dims)
    )  # fmt: skip
    return _Given(
        fields, ends, str(values.attrs.get("title", "")), str(values.attrs.get("caption", "")), named
    )


def even_ends(name: str, axis: np.ndarray) -> tuple[float, float]:
    """The first and the last of evenly spaced coordinates. Raises ValueError where they are none."""
    if not _is_real(axis) or not np.isfinite(axis).all():
        raise ValueError(f"The coordinate {name} holds values that are no finite numbers. Pass finite ones.")
    steps = np.diff(axis.astype(float))
    if len(steps) and np.ptp(steps) > _EVEN * abs(float(steps.mean())):
        raise ValueError(
            f"The coordinate {name} has steps from {steps.min():g} to {steps.max():g}. Pass evenly spaced points: interpolate first."
        )
    return float(axis[0]), float(axis[-1])


def _checked(given: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """Fields as float64 arrays of one shape, copied. Raises TypeError or ValueError for anything else."""
    fields: dict[str, np.ndarray] = {}
    for name, values in given.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"A field is called {name!r}. Pass names as text.")
        fields[name] = _array(name, values)
        first = next(iter(fields.values()))
        if fields[name].shape != first.shape:
            raise ValueError(
                f"{name!r} has shape {fields[name].shape}, but {next(iter(fields))!r} has {first.shape}. Pass fields of one shape."
            )
    return fields


def _array(name: str, values: Any) -> np.ndarray:
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"The values of {name!r} are a masked array. Pass values.filled(np.nan): what is NaN is not drawn."
        )
    try:
        found = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"The values of {name!r} make no array: {error}. Pass an array of numbers."
        ) from None
    if not _is_real(found):
        raise TypeError(f"The values of {name!r} have dtype {found.dtype}. Pass real numbers.")
    if found.ndim not in (1, 2) or min(found.shape) < 2:
        raise ValueError(
            f"The values of {name!r} have shape {found.shape}. Pass (rows of b, columns of a), or (n,) along a line, of at least 2 "
            "points a side."
        )
    if max(found.shape) > MOST:
        raise ValueError(
            f"The values of {name!r} have shape {found.shape}, and a side may have {MOST} points at most. Pass every second one."
        )
    copied = found.astype(np.float64)
    copied.flags.writeable = False
    return copied


def _is_real(values: np.ndarray) -> bool:
    return bool(np.issubdtype(values.dtype, np.integer) or np.issubdtype(values.dtype, np.floating))


def _extent(extent: Any, values: np.ndarray) -> Extent:
    """The extent of values of that shape. Raises ValueError for one that is none, or that a map cannot show."""
    found = check_extent(extent) if values.ndim == 2 else (*check_interval(extent), 0.0, 0.0)
    level = level_of(found)
    if not _LEVELS[0] <= level <= _LEVELS[1]:
        width = max(found[1] - found[0], found[3] - found[2])
        raise ValueError(
            f"The extent is {width:g} wide, which is level z = {level}, and a map reaches from z = {_LEVELS[0]} to {_LEVELS[1]}. Choose "
            "other units for its axes."
        )
    return found


def _levels(grid: Grid) -> tuple[int, int]:
    """From far around the grid to where a tile is as wide as a step of it: nothing but the spline is to be seen there."""
    widest = level_of(grid.extent)
    deepest = max(math.ceil(-math.log2(min(grid.steps))), widest + 1)
    exact = _FURTHEST - math.ceil(math.log2(max(1e-300, *map(abs, grid.extent))))
    if exact <= widest:
        raise ValueError(
            f"The extent {grid.extent} is too narrow for where it lies: its points are one number. Move it towards 0."
        )
    return max(_LEVELS[0], widest - _OUT), min(_LEVELS[1], deepest, exact)


def _hashed(name: str, values: np.ndarray) -> list[Any]:
    return [
        name,
        list(values.shape),
        hashlib.blake2b(values.astype("<f8").tobytes(), digest_size=16).hexdigest(),
    ]
