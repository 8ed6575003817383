"""Hdf5: the surface files of Li et al.'s tool (tomgoldstein/loss-landscape), as read-only landscapes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossatlas.grids import MOST, even_ends, landscape_of
from lossatlas.held import HeldLandscape

# What its datasets are called here. Its accuracies and errors are percentages, and stay so.
_NAMES = {
    "train_loss": "loss", "train_acc": "accuracy_percent", "train_err": "error_percent",
    "test_loss": "test_loss", "test_acc": "test_accuracy_percent", "test_err": "test_error_percent",
}  # fmt: skip

# What stands where nothing was computed yet.
_TO_COME = -1.0

# What h5py raises of files that are damaged.
_DAMAGED = (OSError, RuntimeError, KeyError, TypeError, ValueError, MemoryError)


def from_hdf5(path: Any, *, title: str | None = None) -> HeldLandscape:
    """A surface file that `plot_surface.py` of Li et al. has written (`…_[-1.0,1.0,51]x[-1.0,1.0,51].h5`), as a map of its values.

    a is its x and b its y. Fields: `train_loss` is "loss", `train_acc` "accuracy_percent" and `test_acc` "test_accuracy_percent",
    from 0 to 100; other arrays over all points keep their names. A file without `ycoordinates` is a line. −1, which marks a point
    that is not computed yet, is NaN. title: by default the name of the file.

    That tool numbers its points row by row of y, and writes them into an array of shape (len(x), len(y)): where the sides differ the
    shape is not the one of the numbers, which are read as they were numbered.

    Raises ImportError where h5py is missing (extra `hdf5`), FileNotFoundError, TypeError or ValueError, in words, for what is no such file.
    """
    h5py = _h5py()
    where = _checked_path(path)
    try:
        with h5py.File(where, "r") as file:
            arrays = _read(h5py, file)
    except _DAMAGED as error:
        raise ValueError(
            f"{where.name!r} cannot be read: {error}. It is damaged, is no HDF5 file, or is being written."
        ) from None
    x, y = arrays.pop("xcoordinates", None), arrays.pop("ycoordinates", None)
    if x is None:
        held = ", ".join(sorted(arrays)[:8]) or "no arrays"
        raise ValueError(
            f"{where.name!r} holds {held}, and no xcoordinates. Pass a surface file, as plot_surface.py writes it."
        )
    shape = x.shape if y is None else (len(y), len(x))
    if max(shape) > MOST:
        raise ValueError(
            f"{where.name!r} has {max(shape)} points along a side, and {MOST} can be shown at most."
        )
    fields = _fields(arrays, shape)
    if not fields:
        raise ValueError(
            f"{where.name!r} has coordinates of {' × '.join(map(str, shape))} points, and no values of so many. Run plot_surface.py first."
        )
    extent = [*even_ends("xcoordinates", x), *([] if y is None else even_ends("ycoordinates", y))]
    lacking = {name: int(np.isnan(values).sum()) for name, values in fields.items()}
    points = next(iter(fields.values())).size
    notes = tuple(f"{n} of {points} values of {name} are missing" for name, n in lacking.items() if n)
    axes = (("x of the surface file", 1.0, ""), ("y of the surface file", 1.0, ""))
    return landscape_of(fields, extent, title or where.stem, axes=axes, notes=notes)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError(
            "Surface files are read by h5py, which is not installed. Run: pip install 'lossatlas[hdf5]'"
        ) from None
    return h5py


def _checked_path(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is a {type(path).__name__}. Pass where the surface file is.")
    where = Path(os.fspath(path))
    if where.is_dir():
        raise ValueError(f"{str(where)!r} is a folder. Pass the name of a surface file.")
    if not where.exists():
        raise FileNotFoundError(f"There is no file {str(where)!r}. Pass where the surface file is.")
    return where


def _read(h5py: Any, file: Any) -> dict[str, np.ndarray]:
    """The arrays of real numbers of a file, of one or two dimensions; of those that are too large the shape alone."""
    found = {}
    for name in map(str, file):
        dataset = _own(h5py, file, name)
        if dataset is not None and dataset.dtype.kind in "iuf" and dataset.ndim in (1, 2):
            large = max(dataset.shape) > MOST
            found[name] = np.broadcast_to(np.nan, dataset.shape) if large else np.asarray(dataset[()])
    return found


def _fields(arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """All arrays over these points, known ones first. Raises ValueError for values of a shape that is none of theirs."""
    fields = {}
    for name in [*(name for name in _NAMES if name in arrays), *sorted(set(arrays) - set(_NAMES))]:
        values = arrays[name]
        if values.shape in (shape, shape[::-1]):
            table = values.astype(np.float64).reshape(shape)
            fields[_NAMES.get(name, name)] = np.where(table == _TO_COME, np.nan, table)
        elif name in _NAMES:
            raise ValueError(
                f"{name} has shape {values.shape}, but there are {' × '.join(map(str, shape))} points. Pass a surface file, as "
                "plot_surface.py writes it."
            )
    return fields


def _own(h5py: Any, file: Any, name: str) -> Any:
    """A dataset whose bytes are in this file: links and stored parts elsewhere would read whatever file they name."""
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        return None
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        return None
    return found
