"""ParameterSpace: one flat vector of all trainable parameters, and what its entries belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Entry:
    """Where one named tensor lies in the flat vector."""

    name: str
    shape: tuple[int, ...]
    offset: int
    size: int  # number of scalars

    @property
    def filters(self) -> int:
        """Output filters: the length of dimension 0 of a tensor of two or more dimensions, else 0."""
        return self.shape[0] if len(self.shape) >= 2 else 0

    def of(self, vector: Tensor) -> Tensor:
        """The part of a (P,) vector that is this tensor: a view in this tensor's shape."""
        return vector[self.offset : self.offset + self.size].view(self.shape)

    def rows(self, vector: Tensor) -> Tensor:
        """The same part as (filters, scalars per filter); a 1-D tensor is a single row."""
        return vector[self.offset : self.offset + self.size].view(max(self.filters, 1), -1)


class ParameterSpace:
    """The flat vector θ of length P: trainable tensors in `named_parameters()` order, tied ones once.

    Iterating gives its `Entry` values; `size` is P.
    """

    def __init__(self, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> None:
        entries, offset = [], 0
        for name, shape in shapes:
            size = 1
            for extent in shape:
                size *= extent
            entries.append(Entry(name, tuple(shape), offset, size))
            offset += size
        self.entries: tuple[Entry, ...] = tuple(entries)
        self.size = offset
        self._by_name = {entry.name: entry for entry in entries}

    @classmethod
    def of_module(cls, module: nn.Module) -> ParameterSpace:
        """The space of a module's trainable parameters."""
        return cls((name, tuple(parameter.shape)) for name, parameter in trainable(module))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(self._by_name)
            raise KeyError(f"There is no trainable parameter {name!r}. There are: {known}.") from None

    def flatten(self, tensors: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> Tensor:
        """Join named tensors into one (P,) vector without gradient; names that are no parameter are left out.

        Names out of a compiled or DataParallel-wrapped model are known without what the wrapper puts before them.

        Raises ValueError when a tensor is missing or has another shape.
        """
        parts = []
        if any(entry.name not in tensors for entry in self):
            tensors = {_bare(name): tensor for name, tensor in tensors.items()}
        for entry in self:
            if entry.name not in tensors:
                raise ValueError(
                    f"The tensor {entry.name!r} is missing. Pass all {len(self)} trainable tensors."
                )
            tensor = tensors[entry.name].detach()
            if tuple(tensor.shape) != entry.shape:
                raise ValueError(
                    f"The tensor {entry.name!r} has shape {tuple(tensor.shape)}, but the model's has {entry.shape}. "
                    "Pass weights of the same architecture."
                )
            parts.append(tensor.reshape(-1).to(dtype or tensor.dtype))
        return torch.cat(parts)

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """Split a (P,) vector into named views of it."""
        return {entry.name: entry.of(vector) for entry in self}

    def __repr__(self) -> str:
        return f"ParameterSpace({len(self)} tensors, {self.size} parameters)"


def _bare(name: str) -> str:
    """A name without the parts that torch.compile and DataParallel add."""
    return name.replace("_orig_mod.", "").removeprefix("module.")


def trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The named parameters that require a gradient, in the module's own order, tied ones once."""
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def common_dtype(module: nn.Module) -> tuple[torch.dtype, torch.device]:
    """The dtype that holds every trainable parameter exactly, and their device."""
    parameters = [parameter for _, parameter in trainable(module)]
    dtype = parameters[0].dtype
    for parameter in parameters:
        dtype = torch.promote_types(dtype, parameter.dtype)
    return dtype, parameters[0].device
