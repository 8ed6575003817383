"""The data of an objective: batches checked once, resident on the device, cut into chunks that fit a cache."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossatlas.objective import anybatch

# What a model takes and a loss compares with: a tensor, or a tuple, list or mapping of such.
Tree = Any

# Inputs of one chunk: small enough to stay in a core's cache with its activations, measured on small CNNs and MLPs.
_CHUNK_BYTES = 1 << 20
_CHUNK_ROWS = 32


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs and targets that belong together; `size` is dimension 0 of the first tensor."""

    x: Tree
    y: Tree
    size: int

    def rows(self, start: int, stop: int) -> Batch:
        """The samples start … stop − 1."""

        return self._of_rows(lambda tensor: tensor[start:stop], stop - start)

    def take(self, rows: Tensor) -> Batch:
        """The samples of these places."""

        return self._of_rows(lambda tensor: tensor.index_select(0, rows.to(tensor.device)), len(rows))

    def _of_rows(self, pick: Callable[[Tensor], Tensor], size: int) -> Batch:
        def of(tensor: Tensor) -> Tensor:
            return pick(tensor) if tensor.dim() and tensor.shape[0] == self.size else tensor

        return Batch(map_tensors(of, self.x), map_tensors(of, self.y), size)

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


def reaching(sizes: Iterable[int], least: int) -> int:
    """How many of these sizes, from the first on, it takes to hold `least`; all where they do not."""
    count = total = 0
    for size in sizes:
        if total >= least:
            break
        count, total = count + 1, total + size
    return count


def chunk_rows(batch: Batch) -> int:
    """How many samples of this batch go through the model at once."""
    sample = sum(t.element_size() * max(1, t.numel() // max(1, batch.size)) for t in tensors_of(batch.x))
    return max(_CHUNK_ROWS, _CHUNK_BYTES // max(1, sample))


def chunks(batch: Batch) -> list[Batch]:
    """The batch in pieces that go through the model at once."""
    return batch.chunks(chunk_rows(batch))


def samples(batches: Sequence[Batch]) -> int:
    """How many there are, without reading them again."""
    return sum(getattr(batches, "sizes", None) or [batch.size for batch in batches])


def shape_of(batch: Batch) -> Any:
    """Keys, order and shapes of a batch, as JSON values."""
    return [map_tensors(lambda tensor: list(tensor.shape), tree) for tree in (batch.x, batch.y)]


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
