"""Quantities of a trajectory by name: what was told, norms of parameters, and single ones."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np

from lossatlas.geometry.trajectory import Trajectory
from lossatlas.geometry.weights import position_of
from lossatlas.objective import ParameterSpace
from lossatlas.objective.naming import near

_FORM = 'Beside these there are "norm", norms of tensors as in "norm:0.*", and single parameters as in "0.weight[3, 5]".'


def quantity(trajectory: Trajectory, name: str) -> tuple[str, np.ndarray]:
    """What a quantity is called, and its values at the kept steps, (T,) float64.

    name: "step", "loss", "lr", a metric, "norm" of all parameters, "norm:" and a glob of tensors' names, or a single parameter.
    Raises ValueError for a name that there is not.
    """
    told = {
        **trajectory.metrics, "step": trajectory.steps, "loss": trajectory.loss, "lr": trajectory.lr,
    }  # fmt: skip
    if not isinstance(name, str):
        raise ValueError(f"{name!r} is no name of a quantity. Pass one of {', '.join(told)}. {_FORM}")
    if name in told:
        return name, np.asarray(told[name], dtype=np.float64)
    if name == "norm":
        return "‖θ‖", trajectory.norms
    if name.startswith("norm:"):
        return _norms(trajectory, name.removeprefix("norm:").strip())
    if "[" in name or name in {entry.name for entry in trajectory.space or ()}:
        full, place = position_of(_space(trajectory), name)
        return full, trajectory.column(place)
    raise ValueError(f"The run has no quantity {name!r}. {near(name, told)} {_FORM}")


def _norms(trajectory: Trajectory, glob: str) -> tuple[str, np.ndarray]:
    space = _space(trajectory)
    chosen = [entry for entry in space if fnmatchcase(entry.name, glob)]
    if not chosen:
        raise ValueError(
            f"No tensor's name matches {glob!r}. {near(glob, {entry.name: entry for entry in space})}"
        )
    squares = np.zeros(len(trajectory))
    for entry in chosen:
        squares += trajectory.squares(entry.offset, entry.offset + entry.size)
    return f"‖{glob}‖", np.sqrt(squares)


def _space(trajectory: Trajectory) -> ParameterSpace:
    """The tensors of the rows; a vector that names none is one tensor, theta."""
    thetas = trajectory.since(0).thetas  # raises where only sketches were kept
    assert thetas is not None
    return trajectory.space or ParameterSpace([("theta", tuple(thetas.shape[1:]))])
