"""Log: a run in a folder, written as it happens, so that what was recorded is there however the process ends.

`rows.bin` holds one row of parameters after the other, `steps.jsonl` one line a step, `run.json` what the rows are. A last line or
row that was cut off is left out when it is read.
"""

from __future__ import annotations

import json
import math
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lossatlas.geometry.rows import FileRows
from lossatlas.geometry.trajectory import Curves, Trajectory
from lossatlas.objective import ParameterSpace

_VERSION = 1


class Log:
    """Writes one run. Raises FileExistsError where the folder holds one already, and OSError as the disk does."""

    def __init__(self, folder: Path, space: ParameterSpace, dtype: torch.dtype) -> None:
        self.folder = folder
        check_no_run(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = FileRows(folder / "rows.bin", space.size, dtype, new=True)
        # A line is written when it is whole: a step that is told is on the disk.
        self._lines = (folder / "steps.jsonl").open("w", encoding="utf-8", buffering=1)
        weakref.finalize(self, self._lines.close)
        about = {
            "version": _VERSION, "dtype": str(dtype).removeprefix("torch."),
            "tensors": [[entry.name, list(entry.shape)] for entry in space],
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")

    def tell(
        self, step: int, told: Mapping[str, float], kept: bool | None = None, rounding: float | None = None
    ) -> None:
        """One more step; kept: whether its parameters are the next row, and how far that is from them, if it is.

        Without kept: more that is told of a step that was written before.
        """
        row = {} if kept is None else {"kept": kept}
        off = {} if rounding is None else {"rounding": rounding}
        line = {name: value if math.isfinite(value) else repr(value) for name, value in told.items()}
        self._lines.write(json.dumps({"step": step, **row, "told": line, **off}) + "\n")

    def close(self) -> None:
        """Write out what is left; a second call changes nothing. The rows stay readable."""
        self._lines.close()


def check_no_run(folder: Path) -> None:
    """Raise FileExistsError where the folder holds a run already."""
    if (folder / "run.json").exists():
        raise FileExistsError(
            f"{folder} holds a recorded run already. Pass another folder, or delete that one."
        )


def read_log(folder: Path) -> Trajectory:
    """The run that a `Recorder(path=folder)` has written, or is writing; its rows are read as they are looked at.

    Raises FileNotFoundError where there is none, and ValueError where it cannot be read.
    """
    try:
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder} holds no recorded run: run.json is missing. Pass the folder that was the recorder's path."
        ) from None
    if about["version"] != _VERSION:
        raise ValueError(
            f"{folder} was written by another version of lossatlas ({about['version']}). Update lossatlas."
        )
    space = ParameterSpace((name, tuple(shape)) for name, shape in about["tensors"])
    file = FileRows(folder / "rows.bin", space.size, getattr(torch, about["dtype"]))
    lines = _lines(folder / "steps.jsonl")
    kept = [line for line in lines if line["kept"]]
    count = min(len(kept), len(file))
    if not count:
        raise ValueError(f"{folder} holds no step whose parameters were kept.")
    curves, steps = _curves(lines), np.array([line["step"] for line in kept[:count]], dtype=np.int64)
    at = np.searchsorted(curves.steps, steps)
    off = [line.get("rounding") for line in kept[:count]]
    file = file.first(count)
    return Trajectory(
        file.all(), steps, curves.loss[at], curves.lr[at], {name: values[at] for name, values in curves.metrics.items()},
        space, curves=curves, rounding=None if None in off else np.array(off), file=file,
    )  # fmt: skip


def _lines(path: Path) -> list[dict[str, Any]]:
    """One of each step, in their order, with all that was told of it."""
    found: dict[int, dict[str, Any]] = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            break  # cut off while it was written
        if "kept" in line:
            found[line["step"]] = line
        elif line["step"] in found:
            found[line["step"]]["told"].update(line["told"])
    return list(found.values())


def _curves(lines: list[dict[str, Any]]) -> Curves:
    names = dict.fromkeys(("loss", "lr", *(name for line in lines for name in line["told"])))
    told = {
        name: np.array([float(line["told"].get(name, "nan")) for line in lines], dtype=np.float64)
        for name in names
    }
    return Curves(
        np.array([line["step"] for line in lines], dtype=np.int64), told.pop("loss"), told.pop("lr"), told
    )
