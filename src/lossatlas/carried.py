"""The numbers of a view as VTK and as Zarr; methods of a landscape, put there by the package."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossatlas.held import AnyLandscape
from lossatlas.numbers import Numbers, numbers, to_xarray
from lossatlas.scale import drawn, scale_of

# The second line of a VTK file has so many bytes at most, its end of line among them.
_TITLE = 256

# What a Zarr store has at its root: of version 2 and of version 3.
_ROOTS = (".zgroup", "zarr.json")


def to_vtk(
    landscape: AnyLandscape, path: Any, extent: Sequence[float] | None = None, *, height: float | None = None, scale: str = "linear",
    **options: Any,
) -> None:  # fmt: skip
    """Write fields over a view as a .vtk file for ParaView: a surface over a and b, as high as the first field, with all as point data.

    A legacy structured grid of big-endian float64; a line is a curve. height: of the surface from its lowest to its highest point, in
    units of a, by default half of its width; scale: "linear", "log", "symlog" or "auto", of the heights alone: point data are the
    values themselves, NaN and ±inf too, and heights that are not finite are those of the lowest point. Title and recipe are in the
    second line. options and errors as of `numbers`, and ValueError for a height or a scale that is none; a failure leaves no file.
    """
    from lossatlas.figures.files import check_path, write_whole

    where = check_path(path, ".vtk")
    if height is not None and (isinstance(height, bool) or not isinstance(height, int | float) or not 0 <= height < float("inf")):  # fmt: skip
        raise ValueError(f"height is {height!r}. Pass how high the surface is, in units of a, at least 0.")
    scale_of(scale, np.ones(1))  # a wrong one raises before anything is evaluated
    found = numbers(landscape, extent, **options)
    write_whole(where, _vtk(found, height, scale))


def _vtk(found: Numbers, height: float | None, scale: str) -> bytes:
    """The file as VTK's "File Formats" describes it: header, title, kind of data, points, point data."""
    b = found.b if found.b.size else np.zeros(1)
    first = next(iter(found.values.values())).reshape(len(b), len(found.a))
    points = np.empty((*first.shape, 3))
    points[..., 0], points[..., 1] = found.a, b[:, None]
    points[..., 2] = _heights(first, height if height is not None else float(np.ptp(found.a)) / 2, scale)
    parts = [
        b"# vtk DataFile Version 3.0\n", _title(found), b"BINARY\nDATASET STRUCTURED_GRID\n",
        f"DIMENSIONS {len(found.a)} {len(b)} 1\nPOINTS {first.size} double\n".encode(), points.astype(">f8").tobytes(),
        f"\nPOINT_DATA {first.size}\n".encode(),
    ]  # fmt: skip
    for name, values in found.values.items():
        # A name ends at a space.
        head = f"SCALARS {'_'.join(name.split())} double 1\nLOOKUP_TABLE default\n"
        parts += [head.encode(), values.astype(">f8").tobytes(), b"\n"]
    return b"".join(parts)


def _heights(values: np.ndarray, height: float, scale: str) -> np.ndarray:
    """Values on a scale, from 0 to `height`; 0 where there is none to draw."""
    shown = drawn(values, scale_of(scale, values))
    finite = shown[np.isfinite(shown)]
    if not finite.size:
        return np.zeros(values.shape)
    low, high = float(finite.min()), float(finite.max())
    return np.nan_to_num((shown - low) / ((high - low) or 1.0) * height, nan=0.0)


def _title(found: Numbers) -> bytes:
    """Title, recipe and caption in one line of so many bytes, none of them in the middle of a letter."""
    words = " ".join(
        f"{found.about['title']} · recipe {found.about['recipe']} · {found.about['caption']}".split()
    )
    return words.encode()[: _TITLE - 1].decode(errors="ignore").encode() + b"\n"


def to_zarr(
    landscape: AnyLandscape, path: Any, extent: Sequence[float] | None = None, **options: Any
) -> None:
    """Write fields over a view as a Zarr store, the folder that `xarray.open_zarr` reads; an existing store is replaced.

    options and errors as of `to_xarray`; ImportError, saying what to install, where zarr or xarray is missing; TypeError or ValueError
    for a path that is none or holds something else. A failure leaves what was there before.
    """
    try:
        import xarray  # noqa: F401
        import zarr  # noqa: F401
    except ImportError as missing:
        raise ImportError(
            f"A store is written by xarray and zarr, and {missing.name} is not installed. Run: pip install 'lossatlas[zarr]'"
        ) from None
    from lossatlas.figures.files import not_writable

    where = _checked_store(path)
    dataset = to_xarray(landscape, extent, **options)
    try:
        beside = Path(tempfile.mkdtemp(dir=where.parent, prefix=f".{where.stem[:40]}-"))
    except PermissionError:
        raise not_writable(where.parent) from None
    try:
        dataset.to_zarr(str(beside / "new"), mode="w")
        if where.exists():
            where.rename(beside / "old")
        try:
            (beside / "new").rename(where)
        except BaseException:
            with contextlib.suppress(OSError):
                (beside / "old").rename(where)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _checked_store(path: Any) -> Path:
    """Where a store is or may be. Raises TypeError or ValueError, in words, for anything else."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is a {type(path).__name__}. Pass where the store is to be, as in 'map.zarr'.")
    where = Path(os.fspath(path))
    if not where.name:
        raise ValueError(f"path is {str(path)!r}. Pass the name of a store, as in 'map.zarr'.")
    if not where.parent.is_dir():
        raise ValueError(f"The folder {str(where.parent)!r} does not exist. Make it first.")
    empty = where.is_dir() and not any(where.iterdir())
    if where.exists() and not empty and not any((where / root).is_file() for root in _ROOTS):
        raise ValueError(f"{str(where)!r} exists and is no Zarr store. Pass another path, or delete it.")
    return where
