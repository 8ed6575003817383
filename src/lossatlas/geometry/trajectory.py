"""Trajectory: recorded training, as values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas.geometry.rows import FileRows, column_spans
from lossatlas.geometry.weights import checked_tensor, plain
from lossatlas.objective import ParameterSpace
from lossatlas.objective.naming import near
from lossatlas.objective.parameters import Entry, trainable

# Buffers of normalisation layers: a state dict does not say which of its tensors are parameters.
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True, eq=False)
class Curves:
    """What was told at each of N steps, kept or not. steps: (N,) int64, ascending; loss, lr, and metrics by name: (N,) float64,
    NaN where nothing was told."""

    steps: np.ndarray
    loss: np.ndarray
    lr: np.ndarray
    metrics: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def by_name(self) -> dict[str, np.ndarray]:
        """All of them, (N,) each: "loss", "lr" and the metrics."""
        return {"loss": self.loss, "lr": self.lr, **self.metrics}

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, eq=False)
class Sketches:
    """Random projections of θ at T steps: rows (T, k), whose distances are those of the parameters, on average.

    Sparse sign projections (count sketch; Charikar, Chen and Farach-Colton 2002; a Johnson–Lindenstrauss map): a squared
    distance has the relative standard error `error` = √(2 / k) at most.
    """

    rows: Tensor

    @property
    def error(self) -> float:
        """Of a squared distance, relative: one standard error."""
        return math.sqrt(2 / self.rows.shape[1])

    @property
    def distances(self) -> np.ndarray:
        """‖θ_s − θ_t‖ of all pairs of steps, (T, T), each within error / 2 of the true one, relative, as a standard error."""
        return torch.cdist(self.rows.double(), self.rows.double()).numpy()

    @property
    def shares(self) -> np.ndarray:
        """What share of the path's variance about its mean each component explains, (T,), as far as the sketches tell."""
        centred = self.rows.double() - self.rows.double().mean(dim=0)
        values = torch.linalg.eigvalsh(centred @ centred.T).flip(0).clamp(min=0)
        return (values / values.sum()).numpy()


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Recorded training at T steps.

    thetas: (T, P), one row per step, in memory or mapped from a file; None where only sketches were kept. steps: (T,) int64.
    loss, lr: (T,) float64, NaN where unknown. metrics: (T,) arrays by name. space: the tensors that the rows hold, when they
    are known. curves: what was told at every step, also at those that were not kept. rounding: (T,), how far each row is from
    the parameters that it was made of, where it is kept in fewer digits. sketches: what was kept instead of parameters.

    Raises ValueError when the lengths differ or thetas are not finite.
    """

    thetas: Tensor | None
    steps: np.ndarray
    loss: np.ndarray
    lr: np.ndarray
    metrics: Mapping[str, np.ndarray] = field(default_factory=dict)
    space: ParameterSpace | None = None
    curves: Curves | None = None
    rounding: np.ndarray | None = None
    sketches: Sketches | None = None
    # The file that thetas is mapped from, and that is read where all of it is: mapped pages would fill the memory.
    file: FileRows | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.thetas is None and self.sketches is None:
            raise TypeError("thetas is None, and there are no sketches. Pass a floating (T, P) tensor.")
        if self.thetas is not None and (
            not isinstance(self.thetas, Tensor)
            or not self.thetas.is_floating_point()
            or self.thetas.dim() != 2
        ):
            raise TypeError(
                "thetas must be a floating (T, P) tensor. Use Trajectory.from_states for state dicts."
            )
        for name, values in {"steps": self.steps, "loss": self.loss, "lr": self.lr, **self.metrics}.items():
            if np.shape(values) != (len(self),):
                raise ValueError(
                    f"{name} has shape {np.shape(values)}, but there are {len(self)} steps. Pass one value per step."
                )
        descents = np.flatnonzero(np.diff(self.steps) < 0)
        if len(descents):
            at = int(descents[0])
            raise ValueError(
                f"The steps do not ascend: {self.steps[at]} is followed by {self.steps[at + 1]}. Sort the rows by their steps."
            )
        if self.thetas is None or self.file is not None:  # whoever wrote the file has looked at each row
            return
        bad = (~torch.isfinite(self.thetas)).any(dim=1).nonzero().flatten().tolist()
        if bad:
            raise ValueError(f"thetas is not finite at row {bad[0]}. Leave out the steps from there on.")

    @classmethod
    def from_states(
        cls,
        states: Sequence[Any],
        losses: Sequence[float] | None = None,
        *,
        steps: Sequence[int] | None = None,
    ) -> Trajectory:
        """The trajectory through checkpoints: state dicts, modules or (P,) vectors, first to last.

        Of a state dict all floating tensors are taken, except the running statistics of normalisation layers; what an
        objective does not hold is left out when the trajectory is laid on its plane. losses: one for each, or None.
        Raises TypeError or ValueError that names the checkpoint and the tensor that does not fit.
        """
        if isinstance(states, Mapping | Tensor | nn.Module | str) or not isinstance(states, Iterable):
            raise TypeError(
                f"states is a {type(states).__name__}. Pass a list of state dicts, first to last."
            )
        rows: list[Tensor] = []
        spaces: list[ParameterSpace | None] = []
        for index, state in enumerate(states):
            row, space = row_of(state, f"states[{index}]")
            if rows:
                check_same(spaces[0], space, rows[0], row, f"states[{index}]", "states[0]")
            rows.append(row)
            spaces.append(space)
        if not rows:
            raise ValueError("states is empty. Pass at least one state dict.")
        count = len(rows)
        loss = np.full(count, np.nan) if losses is None else np.asarray(losses, dtype=np.float64)
        numbers = np.arange(count) if steps is None else step_numbers(steps)
        return cls(torch.stack(rows), numbers, loss, np.full(count, np.nan), {}, spaces[0])

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        pattern: str | None = None,
        *,
        losses: Sequence[float] | None = None,
        steps: Sequence[int] | None = None,
        state: Callable[[Any], Mapping[str, Tensor]] | None = None,
        cache: str | Path | None = None,
    ) -> Trajectory:
        """The trajectory through the checkpoints of a folder: files of torch.save, or safetensors (a package of its own).

        pattern: a glob of their names, by default every file that ends in .pt, .pth, .ckpt, .bin or .safetensors. The last number
        in a name is its step. state: what gives the state dict of a loaded file; by default it is the file itself, or its
        "state_dict", "model_state_dict" or "model". Each file is read once. What is too much for memory is copied into one file
        that is read by columns: cache, or a temporary one. Nothing is unpickled.

        Raises FileNotFoundError without a folder, FileExistsError where cache is there already, and ValueError that names the file and the tensor that does not fit.
        """
        from lossatlas.geometry.checkpoints import read_folder

        return read_folder(folder, pattern, losses=losses, steps=steps, state=state, cache=cache)

    @classmethod
    def load(cls, folder: str | Path) -> Trajectory:
        """The run that a `Recorder(path=folder)` has written, or is writing. Its rows are read as they are looked at.

        Raises FileNotFoundError where there is none, and ValueError where nothing was kept.
        """
        from lossatlas.geometry.log import read_log

        return read_log(Path(folder))

    def __len__(self) -> int:
        rows = self.sketches.rows if self.thetas is None and self.sketches is not None else self.thetas
        assert rows is not None
        return int(rows.shape[0])

    @property
    def dtype(self) -> torch.dtype:
        """What each number of a row is kept in."""
        return self._kept().dtype

    @property
    def told(self) -> Curves:
        """What was told at each step, kept or not; of the kept ones where no more is known."""
        return self.curves or Curves(self.steps, self.loss, self.lr, self.metrics)

    def since(self, step: int, most: int | None = None, every: int = 1) -> Trajectory:
        """The kept steps after this one, the first `most` of them; perhaps none. Raises ValueError where only sketches were kept.

        every: of those each so many, the last one among them.
        """
        rows = rows_since(int(np.searchsorted(self.steps, step, side="right")), len(self), most, every)
        part = slice(rows.start, rows.stop, rows.step)
        return Trajectory(
            self._kept()[part], self.steps[part], self.loss[part], self.lr[part],
            {name: values[part] for name, values in self.metrics.items()}, self.space,
            rounding=None if self.rounding is None else self.rounding[part],
        )  # fmt: skip

    @property
    def norms(self) -> np.ndarray:
        """‖θ‖ of each row, (T,) float64."""
        if self.thetas is None:
            assert self.sketches is not None
            return self.sketches.rows.double().norm(dim=1).numpy()
        return np.sqrt(self.squares(0, self.thetas.shape[1]))

    def squares(self, start: int, stop: int) -> np.ndarray:
        """Σ θᵢ² over columns [start, stop) of each row, (T,) float64."""
        found = torch.zeros(len(self), dtype=torch.float64)
        for block in self._blocks([(start, stop)], len(self)):
            found += block.square().sum(dim=1)
        return found.numpy()

    def column(self, place: int) -> np.ndarray:
        """One parameter at each row, by its place in the vector, (T,) float64."""
        return self._columns(place, place + 1)[:, 0].numpy()

    @property
    def first(self) -> Tensor:
        """The first row, (P,)."""
        return self.row(0)

    @property
    def last(self) -> Tensor:
        """The last row, (P,)."""
        return self.row(len(self) - 1)

    @property
    def best(self) -> Tensor:
        """The row of the lowest loss that was told, (P,). Raises ValueError where none was."""
        if not np.isfinite(self.loss).any():
            raise ValueError("No loss was recorded, so no step is the best. Pass losses=, or take .last.")
        return self.row(int(np.nanargmin(self.loss)))

    def row(self, k: int) -> Tensor:
        """Row k, (P,), a copy. Raises ValueError where only sketches were kept."""
        return self._kept()[k].clone()

    def along(self, space: ParameterSpace) -> Tensor:
        """The rows (T, P) of an objective's parameters, in its order. Raises ValueError naming what is missing."""
        thetas, spans = self._kept(), self._spans(space)
        if spans == [(0, thetas.shape[1])]:
            return thetas
        return torch.cat([thetas[:, start:stop] for start, stop in spans], dim=1)

    def blocks(self, space: ParameterSpace, rows: int | None = None) -> Iterator[Tensor]:
        """The same, some columns after others, (T, C) in float64 on the CPU each: together one reading of what was kept.

        rows: how many there are in all, where those of other trajectories stand beside these.
        """
        return self._blocks(self._spans(space), rows or len(self))

    def _blocks(self, spans: Sequence[tuple[int, int]], rows: int) -> Iterator[Tensor]:
        for start, stop in column_spans(sum(stop - start for start, stop in spans), rows):
            parts, at = [], 0
            for first, end in spans:
                low, high = first + max(0, start - at), min(end, first + stop - at)
                if low < high:
                    parts.append(self._columns(low, high))
                at += end - first
            yield parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _columns(self, start: int, stop: int) -> Tensor:
        if self.file is not None:
            return self.file.columns(start, stop)
        return self._kept()[:, start:stop].to("cpu", torch.float64, copy=True)

    def _kept(self) -> Tensor:
        if self.thetas is None:
            raise ValueError(
                "Only sketches of the parameters were kept: they tell distances and shares of the variance, but no directions "
                "and no points. Record without sketch=."
            )
        return self.thetas

    def _spans(self, space: ParameterSpace) -> list[tuple[int, int]]:
        """Where an objective's parameters lie in the rows, in its order."""
        width = self._kept().shape[1]
        if self.space is None or self.space.entries == space.entries:
            if width != space.size:
                raise ValueError(
                    f"The trajectory has P = {width}, but the objective has {space.size} parameters. Pass "
                    "the trajectory of this model."
                )
            return [(0, width)]
        named = {plain(entry.name): entry for entry in self.space}
        within = _prefix(named, space)
        spans = []
        for entry in space:
            mine = named.get(within + plain(entry.name))
            if mine is None:
                raise ValueError(
                    f"The trajectory lacks the tensor {entry.name!r}. {near(entry.name, named)} Record the same model."
                )
            if mine.shape != entry.shape:
                raise ValueError(
                    f"The trajectory's tensor {entry.name!r} has shape {mine.shape}, but the model's has {entry.shape}. "
                    "Record the same architecture."
                )
            spans.append((mine.offset, mine.offset + mine.size))
        return spans

    def __repr__(self) -> str:
        size = f"{self.thetas.shape[1]} parameters" if self.thetas is not None else "sketches"
        return f"Trajectory({len(self)} steps, {size})"


def _prefix(named: Mapping[str, Entry], space: ParameterSpace) -> str:
    """What stands before the objective's names where its model is a part of the recorded one; "" where that is not clear.

    Such a part is the `net` of a LightningModule that was recorded as a whole.
    """
    names = [plain(entry.name) for entry in space]
    if not names or any(name in named for name in names):
        return ""
    starts = [name.removesuffix(names[0]) for name in named if name.endswith("." + names[0])]
    found = [start for start in starts if all(start + name in named for name in names)]
    return found[0] if len(found) == 1 else ""


def together(runs: Sequence[Trajectory], space: ParameterSpace) -> Iterator[Tensor]:
    """Columns of the rows of several trajectories, one run after the other: (T, C) in float64 each."""
    rows = sum(map(len, runs))
    for parts in zip(*(run.blocks(space, rows) for run in runs), strict=True):
        yield parts[0] if len(parts) == 1 else torch.cat(parts)


def row_of(state: Any, what: str) -> tuple[Tensor, ParameterSpace | None]:
    """A checkpoint as a (P,) row and, where it names its tensors, what they are; what: what it is called in errors."""
    if isinstance(state, Tensor):
        if state.dim() != 1:
            raise ValueError(f"{what} has shape {tuple(state.shape)}. Pass a (P,) vector or a state dict.")
        return checked_tensor(what, state, None).clone(), None
    if isinstance(state, nn.Module):
        state = dict(trainable(state))
    if not isinstance(state, Mapping):
        raise TypeError(f"{what} is a {type(state).__name__}. Pass a state dict, a module or a (P,) vector.")
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if isinstance(value, Mapping):
            raise ValueError(
                f"{what} holds mappings of its own. Pass the state dict inside it, as in {what}[{name!r}]."
            )
        if str(name).rpartition(".")[2] in _BUFFERS or not isinstance(value, Tensor):
            continue
        if value.is_floating_point() or value.is_complex():
            tensors[str(name)] = checked_tensor(f"{what}: the tensor {name!r}", value, None)
    if not tensors:
        raise ValueError(f"{what} holds no floating tensor. Pass the state dict of a model.")
    space = ParameterSpace((name, tuple(tensor.shape)) for name, tensor in tensors.items())
    return space.flatten(tensors), space


def rows_since(start: int, end: int, most: int | None, every: int) -> range:
    """Rows from start on, each so many with the last before end among them, the first `most` of these."""
    return range(start + max(end - 1 - start, 0) % every, end, every)[:most]


def step_numbers(steps: Any) -> np.ndarray:
    """Numbers of steps, (T,) int64. Raises ValueError for what is no whole number."""
    try:
        values = np.asarray(steps, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"steps is {steps!r}. Pass whole numbers.") from None
    bad = values[~np.isfinite(values) | (values != np.rint(values))]
    if bad.size:
        raise ValueError(f"steps holds {bad[0]:g}, which is no whole number. Pass the number of each step.")
    return values.astype(np.int64)


def check_same(
    first: ParameterSpace | None, other: ParameterSpace | None, a: Tensor, b: Tensor, what: str, start: str
) -> None:
    """Raise ValueError, naming the tensor, where the checkpoint `what` is not one of the model of the checkpoint `start`."""
    if first is None or other is None:
        if a.shape != b.shape:
            raise ValueError(
                f"{what} has length {b.numel()}, but {start} has {a.numel()}. Pass checkpoints of one model."
            )
        return
    shapes = ({e.name: e.shape for e in first}, {e.name: e.shape for e in other})
    for name in dict.fromkeys((*shapes[0], *shapes[1])):
        found = [shape.get(name) for shape in shapes]
        if found[0] != found[1]:
            said = [f"has {s}" if s is not None else "lacks it" for s in found]
            raise ValueError(
                f"The checkpoints differ in the tensor {name!r}: {start} {said[0]}, {what} {said[1]}. Pass checkpoints of "
                "one model."
            )
