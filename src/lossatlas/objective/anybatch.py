"""Batches of any kind, as a step function takes them: trees of tensors, arrays and objects, in the user's own types."""

from __future__ import annotations

import copy
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_PLAIN = (int, float, complex, str, bytes, bool, type(None), type, types.FunctionType, types.ModuleType)


def resident(batch: Any, *, device: torch.device, dtype: torch.dtype | None) -> Any:
    """A copy of a batch on a device, floating tensors in `dtype` (None: as they are); arrays stay arrays.

    Objects that have a method `to` are moved by it; of other objects the attributes are.
    """

    def move(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            wanted = dtype if leaf.is_floating_point() else None
            return leaf.detach().to(device, wanted, copy=True)
        if isinstance(leaf, np.ndarray):
            return leaf.copy()
        try:
            return copy.deepcopy(leaf).to(device)
        except Exception as error:
            raise TypeError(
                f"A {type(leaf).__name__} in the data cannot be copied and moved to {device}: {error}. Make its "
                "copy.deepcopy and its .to(device) work, or pass its tensors."
            ) from error

    return _rebuilt(batch, move)


def fresh(batch: Any) -> Any:
    """The same tensors in new containers, so that a step that pops keys or sets attributes changes nothing."""

    def own(leaf: Any) -> Any:
        return leaf if isinstance(leaf, Tensor | np.ndarray | tuple) else copy.copy(leaf)

    return _rebuilt(batch, own)


def size_of(batch: Any) -> int | None:
    """Dimension 0 of the first tensor or array that has one; None when there is none."""
    for leaf in leaves(batch):
        if isinstance(leaf, Tensor | np.ndarray) and leaf.ndim:
            return int(leaf.shape[0])
    return None


def tensors_in(batch: Any) -> list[Tensor]:
    """Every tensor of a batch, in order."""
    return [leaf for leaf in leaves(batch) if isinstance(leaf, Tensor)]


def bytes_of(batch: Any) -> int:
    """What the tensors and arrays of a batch take."""
    return sum(leaf.nbytes for leaf in leaves(batch) if isinstance(leaf, Tensor | np.ndarray))


def identity(batch: Any) -> Iterator[Any]:
    """What a batch holds, as parts of a hash: its keys and types, tensors, and everything else by its text."""
    for leaf in leaves(batch, keys=True):
        if isinstance(leaf, np.ndarray):
            yield (
                f"{leaf.dtype}{leaf.shape}" + hashlib.sha256(np.ascontiguousarray(leaf).tobytes()).hexdigest()
            )
        elif isinstance(leaf, Tensor):
            yield leaf
        elif isinstance(leaf, _PLAIN):
            yield repr(leaf)
        else:
            yield type(leaf).__qualname__


def leaves(batch: Any, *, keys: bool = False, within: tuple[int, ...] = ()) -> Iterator[Any]:
    """The leaves of a batch in order; `keys`: the keys of mappings and names of attributes, and types, too."""
    if id(batch) in within:  # an object that holds itself
        return
    within = (*within, id(batch))
    if isinstance(batch, Mapping):
        parts: Any = batch.items()
    elif isinstance(batch, tuple | list):
        parts = enumerate(batch)
    elif _is_opaque(batch):
        yield batch
        return
    else:
        parts = vars(batch).items()
    if keys:
        yield type(batch).__qualname__
    for key, part in parts:
        if keys:
            yield str(key)
        yield from leaves(part, keys=keys, within=within)


def _is_opaque(value: Any) -> bool:
    return isinstance(value, (*_PLAIN, Tensor, np.ndarray, nn.Module)) or not hasattr(value, "__dict__")


def _rebuilt(batch: Any, change: Callable[[Any], Any], within: tuple[int, ...] = ()) -> Any:
    """The batch with tensors, arrays and objects that can be moved changed, everything else in containers of its type."""
    if isinstance(batch, Tensor | np.ndarray):
        return change(batch)
    if id(batch) in within:
        return batch
    within = (*within, id(batch))
    if isinstance(batch, Mapping):
        items = {key: _rebuilt(value, change, within) for key, value in batch.items()}
        if type(batch) is dict:
            return items
        try:
            again: Any = copy.copy(batch)
            for key, value in items.items():
                again[key] = value
        except TypeError:  # a mapping that cannot be written to
            return items
        return again
    if callable(getattr(batch, "to", None)) and not isinstance(batch, nn.Module | type):
        return change(batch)
    if isinstance(batch, tuple | list):
        parts = [_rebuilt(value, change, within) for value in batch]
        if hasattr(batch, "_fields"):
            return type(batch)(*parts)
        return parts if isinstance(batch, list) else tuple(parts)
    if _is_opaque(batch):
        return batch
    again = copy.copy(batch)
    for name, value in vars(batch).items():
        # Past a frozen dataclass, whose attributes cannot be set.
        object.__setattr__(again, name, _rebuilt(value, change, within))
    return again
