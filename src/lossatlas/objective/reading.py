"""The forms in which a user may give data, read once into batches on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.objective import anybatch, loading
from lossatlas.objective.data import Batch, Resident, Tree, map_tensors, tensors_of
from lossatlas.objective.loading import BUDGET

_FORMS = "a pair (x, y) of tensors or arrays, a list of such pairs, or a DataLoader"

Read = tuple[
    Sequence[Batch], tuple[str, ...]
]  # the batches, and what the user should know of how they were read


def read(data: Any, *, device: torch.device, dtype: torch.dtype, budget: int = BUDGET) -> Read:
    """Read the user's pairs once into batches on `device`, floating tensors in `dtype`.

    Raises TypeError for a form that is none of the accepted ones and ValueError for data that do not fit together.
    """
    if isinstance(data, Resident | loading.Stream):
        return data, ()

    def make(pair: Any, index: int) -> Batch:
        return _batch(_pair(pair, index), index, device, dtype)

    if _is_loader(data):
        batches, notes = loading.read(data, make, budget)
    else:
        batches, notes = Resident(make(pair, index) for index, pair in enumerate(_pairs(data))), ()
    if not batches:
        raise ValueError("data is empty: there is no batch. Pass at least one sample.")
    if isinstance(batches, Resident):
        _check_structure(batches)
    return batches, notes


def read_any(data: Any, *, device: torch.device, dtype: torch.dtype | None, budget: int = BUDGET) -> Read:
    """Read data of any kind once, for a step of the user's: batches of one object each, as the loader yields them.

    Raises TypeError for what is no data, and ValueError when there is no batch.
    """
    if isinstance(data, Resident | loading.Stream):
        return data, ()

    def make(raw: Any, index: int) -> Batch:
        if isinstance(raw, str | bytes | int | float | type(None)):
            raise TypeError(
                f"Batch {index} of data is a {type(raw).__name__}. Pass a DataLoader, a list of batches, or one batch: a "
                "tensor, a tuple or a mapping."
            )
        size = anybatch.size_of(raw)
        if size == 0:
            raise ValueError(f"Batch {index} of data is empty: its first tensor has length 0. Leave it out.")
        return Batch(anybatch.resident(raw, device=device, dtype=dtype), None, 1 if size is None else size)

    _check_rereadable(data)
    if _is_loader(data):
        batches, notes = loading.read(data, make, budget)
    else:
        several = data if isinstance(data, list) else [data]
        batches, notes = Resident(make(raw, index) for index, raw in enumerate(several)), ()
    if not batches:
        raise ValueError("data is empty: there is no batch. Pass at least one.")
    return batches, notes


def _is_loader(data: Any) -> bool:
    """Whether data are batches that come one after the other, and are not in memory yet."""
    if isinstance(data, Mapping | str | bytes | Tensor | np.ndarray | tuple | list | type):
        return False
    return hasattr(data, "__iter__") and not hasattr(data, "__next__")


def _check_structure(batches: Sequence[Batch]) -> None:
    """Raise ValueError when a batch has other keys, or another number of parts, than the first one."""
    first = _structure(batches[0])
    for index, batch in enumerate(batches):
        found = _structure(batch)
        if found != first:
            raise ValueError(
                f"Batch {index} of data has another structure than batch 0: {found}, not {first}. Make all batches alike, "
                "or tell them apart in a step of your own with Objective.from_step."
            )


def _structure(batch: Batch) -> str:
    def shown(tree: Tree) -> str:
        if isinstance(tree, Mapping):
            return "{" + ", ".join(f"{key}: {shown(value)}" for key, value in tree.items()) + "}"
        if isinstance(tree, tuple):
            return "(" + ", ".join(map(shown, tree)) + ")"
        return "tensor" if isinstance(tree, Tensor) else type(tree).__name__

    return f"x {shown(batch.x)} and y {shown(batch.y)}"


def _pairs(data: Any) -> Sequence[Any]:
    _check_rereadable(data)
    if isinstance(data, Mapping | str | bytes | Tensor | np.ndarray) or not hasattr(data, "__iter__"):
        raise TypeError(f"data is a {type(data).__name__}. Pass {_FORMS}.")
    if isinstance(data, tuple) or (isinstance(data, list) and len(data) == 2 and all(map(_is_array, data))):
        if len(data) != 2:
            raise ValueError(f"data is a tuple of {len(data)}. Pass {_FORMS}.")
        return [tuple(data)]
    return data


def _pair(pair: Any, index: int) -> tuple[Tree, Tree]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        what = f"a {type(pair).__name__}" + (f" of {len(pair)}" if hasattr(pair, "__len__") else "")
        raise TypeError(f"Batch {index} of data is {what}. Pass {_FORMS}.")
    return pair[0], pair[1]


def _check_rereadable(data: Any) -> None:
    if data is None or isinstance(data, str | bytes | type):
        raise TypeError(f"data is a {type(data).__name__}. Pass {_FORMS}.")
    if hasattr(data, "__next__"):
        raise TypeError(
            f"data is a {type(data).__name__}, which can be read only once, but a landscape reads its data again and "
            "again. Pass list(data)."
        )


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _batch(pair: tuple[Tree, Tree], index: int, device: torch.device, dtype: torch.dtype) -> Batch:
    x, y = (_resident(part, name, device, dtype) for part, name in zip(pair, "xy", strict=True))
    first = next(tensors_of(x), None)
    if first is None:
        raise TypeError(
            f"x of batch {index} holds no tensor or array but a {type(pair[0]).__name__}. Pass {_FORMS}."
        )
    if first.dim() == 0:
        raise ValueError(
            f"x of batch {index} is a single number. Its first dimension must count the samples."
        )
    size = first.shape[0]
    if size == 0:
        raise ValueError(
            f"data is empty: x of batch {index} has shape {tuple(first.shape)}. Pass at least one sample."
        )
    target = next(tensors_of(y), None)
    if target is not None and target.dim() and target.shape[0] != size:
        raise ValueError(
            f"x and y of batch {index} have different lengths, {size} and {target.shape[0]}. "
            "Their first dimensions must both count the samples."
        )
    return Batch(x, y, size)


def _resident(tree: Tree, name: str, device: torch.device, dtype: torch.dtype) -> Tree:
    def move(tensor: Tensor) -> Tensor:
        if tensor.device != device and tensor.device.type != "cpu":
            raise ValueError(
                f"{name} is on the device {tensor.device}, but the model is on {device}. "
                f"Move the data there with .to({str(device)!r}), or pass device=."
            )
        return (
            tensor.detach().to(device, dtype if tensor.is_floating_point() else None, copy=True).contiguous()
        )

    return map_tensors(move, _as_tensors(tree, name))


def _as_tensors(tree: Tree, name: str) -> Tree:
    if isinstance(tree, Mapping):
        return {key: _as_tensors(value, f"{name}[{key!r}]") for key, value in tree.items()}
    # A DataLoader makes lists of the tuples of its data set; a list of numbers is an array.
    if isinstance(tree, tuple) or (isinstance(tree, list) and any(map(_is_array, tree))):
        return tuple(_as_tensors(value, f"{name}[{index}]") for index, value in enumerate(tree))
    if isinstance(tree, list | int | float) or (hasattr(tree, "__array__") and not isinstance(tree, Tensor)):
        try:
            array = np.require(np.asarray(tree), requirements=("C", "W"))
            return torch.from_numpy(array if array.dtype != np.uint16 else array.astype(np.int32))
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{name} cannot be made a tensor: {error}. Pass numbers of one kind.") from error
    return tree
