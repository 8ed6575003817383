"""The data of an objective: batches checked once, resident on the device, cut into chunks that fit a cache."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas.objective import anybatch
from lossatlas.objective.untouched import seeded

# What a model takes and a loss compares with: a tensor, or a tuple, list or mapping of such.
Tree = Any

# Inputs of one chunk: small enough to stay in a core's cache with its activations, measured on small CNNs and MLPs.
_CHUNK_BYTES = 1 << 20
_CHUNK_ROWS = 32

_FORMS = "a pair (x, y) of tensors or arrays, a list of such pairs, or a DataLoader"


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs and targets that belong together; `size` is dimension 0 of the first tensor."""

    x: Tree
    y: Tree
    size: int

    def rows(self, start: int, stop: int) -> Batch:
        """The samples start … stop − 1."""

        def cut(tensor: Tensor) -> Tensor:
            return tensor[start:stop] if tensor.dim() and tensor.shape[0] == self.size else tensor

        return Batch(map_tensors(cut, self.x), map_tensors(cut, self.y), stop - start)

    def chunks(self, rows: int) -> list[Batch]:
        """The batch in pieces of at most `rows` samples, all of one size or one more."""
        # Evenly, so that no single sample is left over: `output.squeeze()` would lose its first dimension.
        count = math.ceil(self.size / rows)
        bounds = [self.size * index // count for index in range(count + 1)]
        return [self] if count == 1 else [self.rows(*pair) for pair in itertools.pairwise(bounds)]


def map_tensors(f: Callable[[Tensor], Any], tree: Tree) -> Tree:
    """Apply f to every tensor of a tree; anything else stays as it is."""
    if isinstance(tree, Tensor):
        return f(tree)
    if isinstance(tree, Mapping):
        return {key: map_tensors(f, value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return tuple(map_tensors(f, value) for value in tree)
    return tree


def tensors_of(tree: Tree) -> Iterator[Tensor]:
    """Every tensor of a tree, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from tensors_of(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from tensors_of(value)


class Resident(list[Batch]):
    """Batches that were read before."""


def read(data: Any, *, device: torch.device, dtype: torch.dtype) -> list[Batch]:
    """Read the user's data once into batches on `device`, floating tensors in `dtype`.

    Raises TypeError for a form that is none of the accepted ones and ValueError for data that do not fit together.
    """
    if isinstance(data, Resident):
        return data
    return [_batch(pair, index, device, dtype) for index, pair in enumerate(_pairs(data))]


def read_any(data: Any, *, device: torch.device, dtype: torch.dtype | None) -> list[Batch]:
    """Read data of any kind once, for a step of the user's: batches of one object each, as the loader yields them.

    Raises TypeError for what is no data, and ValueError when there is no batch.
    """
    if isinstance(data, Resident):
        return data
    _check_rereadable(data)
    if isinstance(data, tuple | Mapping | Tensor | np.ndarray) or not hasattr(data, "__iter__"):
        batches = [data]
    else:
        batches = list(data) if isinstance(data, list) else _read_once(data)
    if not batches:
        raise ValueError("data is empty: there is no batch. Pass at least one.")
    if isinstance(batches[0], str | bytes | int | float | type(None)):
        raise TypeError(
            f"Batch 0 of data is a {type(batches[0]).__name__}. Pass a DataLoader, a list of batches, or one batch: a "
            "tensor, a tuple or a mapping."
        )
    moved = [anybatch.resident(batch, device=device, dtype=dtype) for batch in batches]
    result = Resident()
    for index, batch in enumerate(moved):
        size = anybatch.size_of(batch)
        if size == 0:
            raise ValueError(f"Batch {index} of data is empty: its first tensor has length 0. Leave it out.")
        result.append(Batch(batch, None, 1 if size is None else size))
    return result


def identity(batch: Batch) -> list[Any]:
    """What a batch holds, as parts of a hash."""
    if batch.y is None and not isinstance(batch.x, Tensor):
        return [batch.size, *anybatch.identity(batch.x)]
    return [batch.size, shape_of(batch), *tensors_of(batch.x), *tensors_of(batch.y)]


def merge(batches: Sequence[Batch]) -> list[Batch]:
    """Join batches along dimension 0 where their trees and shapes allow it; else leave them as they are."""
    if len(batches) < 2 or any(_signature(batch) != _signature(batches[0]) for batch in batches):
        return list(batches)
    total = sum(batch.size for batch in batches)

    def join(*trees: Tree) -> Tree:
        first = trees[0]
        if isinstance(first, Tensor):
            return torch.cat(trees)
        if isinstance(first, Mapping):
            return {key: join(*(tree[key] for tree in trees)) for key in first}
        return tuple(join(*parts) for parts in zip(*trees, strict=True))

    return [Batch(join(*(b.x for b in batches)), join(*(b.y for b in batches)), total)]


def chunk_rows(batch: Batch) -> int:
    """How many samples of this batch go through the model at once."""
    sample = sum(t.element_size() * max(1, t.numel() // max(1, batch.size)) for t in tensors_of(batch.x))
    return max(_CHUNK_ROWS, _CHUNK_BYTES // max(1, sample))


def shape_of(batch: Batch) -> Any:
    """Keys, order and shapes of a batch, as JSON values."""
    return [map_tensors(lambda tensor: list(tensor.shape), tree) for tree in (batch.x, batch.y)]


def _pairs(data: Any) -> Iterable[tuple[Tree, Tree]]:
    _check_rereadable(data)
    if isinstance(data, Mapping | str | bytes | Tensor | np.ndarray) or not hasattr(data, "__iter__"):
        raise TypeError(f"data is a {type(data).__name__}. Pass {_FORMS}.")
    if isinstance(data, tuple) or (isinstance(data, list) and len(data) == 2 and all(map(_is_array, data))):
        if len(data) != 2:
            raise ValueError(f"data is a tuple of {len(data)}. Pass {_FORMS}.")
        return [tuple(data)]
    pairs = data if isinstance(data, list) else _read_once(data)
    if not pairs:
        raise ValueError("data is empty: there is no batch. Pass at least one sample.")
    for index, pair in enumerate(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            what = f"a {type(pair).__name__}" + (f" of {len(pair)}" if hasattr(pair, "__len__") else "")
            raise TypeError(f"Batch {index} of data is {what}. Pass {_FORMS}.")
    return pairs


def _check_rereadable(data: Any) -> None:
    if data is None or isinstance(data, str | bytes | type):
        raise TypeError(f"data is a {type(data).__name__}. Pass {_FORMS}.")
    if hasattr(data, "__next__"):
        raise TypeError(
            f"data is a {type(data).__name__}, which can be read only once, but a landscape reads its data again and "
            "again. Pass list(data)."
        )


def _read_once(loader: Iterable[Any]) -> list[Any]:
    """All batches of a loader: shuffled and augmented the same way every time, and the user's streams as before."""
    own = [getattr(part, "generator", None) for part in (loader, getattr(loader, "sampler", None))]
    generators = [(g, g.get_state()) for g in own if isinstance(g, torch.Generator)]
    try:
        # Opening a DataLoader draws from the global generator, even without shuffling.
        with seeded(0):
            for generator, _ in generators:
                generator.manual_seed(0)
            return list(loader)
    finally:
        for generator, state in generators:
            generator.set_state(state)


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


def _signature(batch: Batch) -> Any:
    """Tree structure, trailing shapes and dtypes: equal ones can be joined along dimension 0."""

    def describe(tree: Tree) -> Any:
        if isinstance(tree, Tensor):
            row_wise = tree.dim() > 0 and tree.shape[0] == batch.size
            return ("tensor", tree.shape[1:] if row_wise else object(), tree.dtype)
        if isinstance(tree, Mapping):
            return tuple((key, describe(value)) for key, value in tree.items())
        if isinstance(tree, tuple):
            return tuple(describe(value) for value in tree)
        return object()  # equal to nothing: such a batch is kept whole

    return describe(batch.x), describe(batch.y)
