"""Trajectory: recorded training, as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas.geometry.weights import checked_tensor, plain
from lossatlas.objective import ParameterSpace
from lossatlas.objective.naming import near
from lossatlas.objective.parameters import trainable

# Buffers of normalisation layers: a state dict does not say which of its tensors are parameters.
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Recorded training at T steps.

    thetas: (T, P), one row per step. steps: (T,) int64. loss, lr: (T,) float64, NaN where unknown. metrics: (T,)
    arrays by name. space: the tensors that the rows hold, when they are known.

    Raises ValueError when the lengths differ or thetas are not finite.
    """

    thetas: Tensor
    steps: np.ndarray
    loss: np.ndarray
    lr: np.ndarray
    metrics: Mapping[str, np.ndarray] = field(default_factory=dict)
    space: ParameterSpace | None = None

    def __post_init__(self) -> None:
        if (
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
            row, space = _row(state, f"states[{index}]")
            if rows:
                _check_same(spaces[0], space, rows[0], row, index)
            rows.append(row)
            spaces.append(space)
        if not rows:
            raise ValueError("states is empty. Pass at least one state dict.")
        count = len(rows)
        loss = np.full(count, np.nan) if losses is None else np.asarray(losses, dtype=np.float64)
        numbers = np.arange(count) if steps is None else np.asarray(steps)
        return cls(torch.stack(rows), numbers.astype(np.int64), loss, np.full(count, np.nan), {}, spaces[0])

    def __len__(self) -> int:
        return int(self.thetas.shape[0])

    def along(self, space: ParameterSpace) -> Tensor:
        """The rows (T, P) of an objective's parameters, in its order. Raises ValueError naming what is missing."""
        if self.space is None or self.space.entries == space.entries:
            if self.thetas.shape[1] != space.size:
                raise ValueError(
                    f"The trajectory has P = {self.thetas.shape[1]}, but the objective has {space.size} parameters. Pass "
                    "the trajectory of this model."
                )
            return self.thetas
        named = {plain(entry.name): entry for entry in self.space}
        parts = []
        for entry in space:
            mine = named.get(plain(entry.name))
            if mine is None:
                raise ValueError(
                    f"The trajectory lacks the tensor {entry.name!r}. {near(entry.name, named)} Record the same model."
                )
            if mine.shape != entry.shape:
                raise ValueError(
                    f"The trajectory's tensor {entry.name!r} has shape {mine.shape}, but the model's has {entry.shape}. "
                    "Record the same architecture."
                )
            parts.append(self.thetas[:, mine.offset : mine.offset + mine.size])
        return torch.cat(parts, dim=1)

    def __repr__(self) -> str:
        return f"Trajectory({len(self)} steps, {self.thetas.shape[1]} parameters)"


def _row(state: Any, what: str) -> tuple[Tensor, ParameterSpace | None]:
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


def _check_same(
    first: ParameterSpace | None, other: ParameterSpace | None, a: Tensor, b: Tensor, index: int
) -> None:
    what = f"states[{index}]"
    if first is None or other is None:
        if a.shape != b.shape:
            raise ValueError(
                f"{what} has length {b.numel()}, but states[0] has {a.numel()}. Pass checkpoints of one model."
            )
        return
    shapes = ({e.name: e.shape for e in first}, {e.name: e.shape for e in other})
    for name in dict.fromkeys((*shapes[0], *shapes[1])):
        found = [shape.get(name) for shape in shapes]
        if found[0] != found[1]:
            said = [f"has {s}" if s is not None else "lacks it" for s in found]
            raise ValueError(
                f"The checkpoints differ in the tensor {name!r}: states[0] {said[0]}, {what} {said[1]}. Pass checkpoints of "
                "one model."
            )
