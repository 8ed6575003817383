"""Checkpoints: a folder of files that training has written, as a trajectory that is read as far as it is looked at."""

from __future__ import annotations

import pickle
import re
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.geometry.rows import FileRows
from lossatlas.geometry.trajectory import Trajectory, check_same, row_of, step_numbers

#: What the rows of checkpoints may take of memory, in bytes; longer runs are copied into one file, which is read by columns.
MEMORY = 256 << 20

# Where the state dict of a model lies in what is saved beside it, by the usual names.
_INSIDE = ("state_dict", "model_state_dict", "model", "module", "net")

_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def read_folder(
    folder: str | Path,
    pattern: str | None = None,
    *,
    losses: Sequence[float] | None = None,
    steps: Sequence[int] | None = None,
    state: Callable[[Any], Mapping[str, Tensor]] | None = None,
    cache: str | Path | None = None,
) -> Trajectory:
    """See `Trajectory.from_folder`."""
    if (Path(folder) / "run.json").exists():
        raise ValueError(f"{folder} is a folder that a Recorder has written. Pass it to Trajectory.load.")
    files = _files(Path(folder), pattern, keep=steps is not None)
    rows: list[Tensor] = []
    file: FileRows | None = None
    first, space = row_of(_state(files[0], state), files[0].name)
    if cache is not None and Path(cache).exists():
        raise FileExistsError(
            f"cache={str(cache)!r} exists already, and would be written over. Pass the path of a new file, or remove this one."
        )
    if len(files) * first.numel() * first.element_size() > MEMORY:
        # A file holds what NumPy knows; float32 holds each number of bfloat16.
        kept = first.to(torch.promote_types(first.dtype, torch.float16))
        file = _cached(cache, kept)
    for path in files:
        row, found = (first, space) if path == files[0] else row_of(_state(path, state), path.name)
        check_same(space, found, first, row, path.name, files[0].name)
        if file is not None:
            file.append(row.to(file.dtype))
        else:
            rows.append(row)
    count = len(files)
    numbers = step_numbers(_numbers(files, Path(folder)) if steps is None else steps)
    loss = np.full(count, np.nan) if losses is None else np.asarray(losses, dtype=np.float64)
    thetas = torch.stack(rows) if file is None else file.all()
    return Trajectory(thetas, numbers, loss, np.full(count, np.nan), {}, space, file=file)


def _files(folder: Path, pattern: str | None, keep: bool) -> list[Path]:
    """The checkpoints, in the order of the last number in their names, or in that of their folder, which is the step; else by name.

    keep: those too that have no number where others do; else they are left out, with a warning.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    found = [path for path in folder.glob(pattern or "*") if path.is_file()]
    if pattern is None:
        found = [path for path in found if path.suffix in _SUFFIXES]
    if not found:
        raise ValueError(
            f"{folder} holds no checkpoint. Its files should match {pattern!r}."
            if pattern
            else f"{folder} holds no checkpoint, a file that ends in one of {', '.join(_SUFFIXES)}. Pass pattern=."
        )
    numbers = {path: _number(path, folder) for path in found}
    without = sorted(str(path.relative_to(folder)) for path in found if numbers[path] is None)
    if without and len(without) < len(found) and not keep:
        warnings.warn(
            f"{', '.join(without)} {'has' if len(without) == 1 else 'have'} no number, as others in {folder} have, and no step: left "
            "out. Pass steps= or pattern=.",
            RuntimeWarning, stacklevel=4,
        )  # fmt: skip
        found = [path for path in found if numbers[path] is not None]
    return sorted(found, key=lambda path: (numbers[path] is None, numbers[path] or 0, str(path)))


def _number(path: Path, folder: Path) -> int | None:
    parts = path.relative_to(folder).parts
    for part in (path.stem, *reversed(parts[:-1])):
        if digits := re.findall(r"\d+", part):
            return int(digits[-1])
    return None


def _numbers(files: Sequence[Path], folder: Path) -> list[int]:
    numbers = [_number(path, folder) for path in files]
    known = [number for number in numbers if number is not None]
    return known if len(set(known)) == len(files) else list(range(len(files)))


def _state(path: Path, state: Callable[[Any], Mapping[str, Tensor]] | None) -> Any:
    """The state dict in a file, which is never unpickled. Raises ValueError naming the file."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: Any = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except ImportError:
        raise ImportError(
            f"{path.name} is read by the package safetensors. Install it: pip install safetensors"
        ) from None
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path.name} cannot be read as a checkpoint: it holds more than tensors and numbers, and nothing is unpickled. Save state "
            "dicts, as in torch.save(model.state_dict(), path), or leave it out with pattern=."
        ) from error
    except Exception as error:
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(". ")
        raise ValueError(
            f"{path.name} cannot be read as a checkpoint: {why}. Save state dicts, as in torch.save(model.state_dict(), path)."
        ) from error
    if state is not None:
        return state(loaded)
    for name in _INSIDE:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(name), Mapping):
            return loaded[name]
    return loaded


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _cached(cache: str | Path | None, row: Tensor) -> FileRows:
    """A file for rows like this one: a temporary one goes with what reads it."""
    if cache is not None:
        Path(cache).parent.mkdir(parents=True, exist_ok=True)
        return FileRows(Path(cache), row.numel(), row.dtype, new=True)
    folder = Path(tempfile.mkdtemp(prefix="lossatlas-"))
    file = FileRows(folder / "rows.bin", row.numel(), row.dtype, new=True)
    weakref.finalize(file, shutil.rmtree, folder, ignore_errors=True)
    return file
