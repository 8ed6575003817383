"""What a trainer trains, as a recorder takes it."""

from __future__ import annotations

import importlib
from types import ModuleType

from torch import nn

from lossatlas.features import Recorder


def extra(package: str, what: str, name: str) -> ModuleType:
    """A module of a package that is an extra. Raises ImportError, saying what to install, where it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        top = package.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != top:
            raise  # it is there, and something that it needs is not
        raise ImportError(f"{what} needs the package {top}: pip install 'lossatlas[{name}]'") from None


def take(recorder: Recorder, model: nn.Module, what: str) -> None:
    """Let a recorder without a model record this one; one that has a model must have a part of it.

    Raises ValueError where it has another one, and where the parameters lie on several processes in parts.
    """
    parameters = list(model.parameters())
    # DTensor of fully_shard, the flat parameters of FSDP, those that DeepSpeed has partitioned.
    if any(
        type(p).__name__ in ("DTensor", "FlatParameter") or hasattr(p, "ds_id") for p in parameters
    ):  # pragma: no cover
        raise ValueError(
            "The parameters are sharded: each process holds a part of them, so none can record them. Record the "
            "checkpoints instead: la.Trajectory.from_folder."
        )
    if recorder.model is None:
        recorder.watch(model)
        return
    own, there = list(recorder.model.parameters()), {id(parameter) for parameter in parameters}
    if not all(id(parameter) in there for parameter in own):
        raise ValueError(
            f"The recorder's model is not the one that the {what} trains, nor a part of it. Pass the same to la.Recorder, or "
            "none."
        )
