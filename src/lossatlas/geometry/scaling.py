"""Scaling: which tensors a random direction moves, and to which norms of θ it is scaled (Li et al. 2018, section 4)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

from lossatlas.geometry.vectors import dot, norm, orthogonal_rest
from lossatlas.objective import ParameterSpace
from lossatlas.objective.naming import chosen, layers_of, matches
from lossatlas.objective.parameters import Entry

By = Literal["filter", "layer", "tensor", "model"]

_BY = ("filter", "layer", "tensor", "model")


@dataclass(frozen=True)
class Scaling:
    """How the pieces of a direction get the norms of the same pieces of θ: d_g ← d_g ‖w_g‖ / ‖d_g‖.

    by: what a piece g is. "filter": a slice along dimension 0 of a tensor of two or more dimensions, Frobenius norm,
    and a 1-D tensor as a whole; "tensor": a tensor; "layer": the tensors of one module together; "model": all of them;
    None: nothing is scaled.
    ignore: the tensors that stay where they are: True for those of fewer than two dimensions (biases, norm vectors),
    False for none, or names and globs. Those that are not ignored get a random part of their own.
    layers: the tensors that move, by name of a tensor or a module, or glob; None for all.

    A slice along dimension 0 is, as in the code of Li et al.: the weights into one output unit of a linear layer or a
    convolution, grouped or not; the vector of one token of an embedding; one row of q, k or v of a fused projection,
    which never mixes the three; one gate of one unit of a recurrent layer; and what leaves one *input* channel of a
    transposed convolution, whose weight is stored that way round.

    Where none of the chosen tensors has two dimensions there are no filters: nothing is then ignored, and "filter"
    means "model".
    """

    by: By | None = "filter"
    ignore: bool | tuple[str, ...] = True
    layers: tuple[str, ...] | None = None

    @classmethod
    def of(cls, normalize: Any, ignore: Any, layers: Any, space: ParameterSpace) -> Scaling:
        """The scaling of a user's options. Raises ValueError for an unknown one and names that match nothing."""
        if normalize is not None and normalize not in _BY:
            raise ValueError(f"normalize is {normalize!r}. Pass {', '.join(map(repr, _BY))} or None.")
        if ignore is None or isinstance(ignore, bool):
            ignore = bool(ignore)
        else:
            ignore = chosen("ignore", ignore, space)
        scaling = cls(normalize, ignore, None if layers is None else chosen("layers", layers, space))
        if not scaling.moving(space):
            raise ValueError(
                f"Nothing is left to move: layers={scaling.layers!r} and ignore={ignore!r}. Ignore less."
            )
        return scaling

    def moving(self, space: ParameterSpace) -> list[Entry]:
        """The tensors that move, in order."""
        found = [entry for entry in space if self.layers is None or matches(entry, self.layers)]
        if self.ignore is True:
            return [entry for entry in found if entry.filters] or found
        ignored = self.ignore or ()
        return [entry for entry in found if not matches(entry, ignored)]

    def length(self, theta: Tensor, space: ParameterSpace) -> float:
        """The length of every direction that is scaled so."""
        return math.sqrt(
            sum(dot(part, part) for entry in self.moving(space) for part in [_flat(entry, theta)])
        )

    def apply(self, direction: Tensor, theta: Tensor, space: ParameterSpace) -> Tensor:
        """Scale a (P,) direction to the norms of theta, (P,), in place, and return it. Zero pieces stay zero."""
        moving = self.moving(space)
        kept = {entry.name for entry in moving}
        for entry in space:
            if entry.name not in kept:
                _flat(entry, direction).zero_()
        for group in self._groups(moving):
            if isinstance(group, Entry):
                d, w = self._rows(group, direction), self._rows(group, theta)
                length = d.norm(dim=1, keepdim=True)
                d.mul_(
                    torch.where(length > 0, w.norm(dim=1, keepdim=True) / length, torch.zeros_like(length))
                )
            else:
                whole = len(group) == len(moving)  # a model that is all zero still gets a direction
                wanted, length_of = _norm_of(group, theta), _norm_of(group, direction)
                factor = (wanted or float(whole)) / length_of if length_of else 0.0
                for entry in group:
                    _flat(entry, direction).mul_(factor)
        return direction

    def orthogonalize(self, v: Tensor, u: Tensor, space: ParameterSpace) -> Tensor:
        """Make v orthogonal to u, in place, and return it: piece by piece, so that the norm of every piece stays.

        Only where pieces have a single entry is the rest removed from v as a whole, whose length then stays.
        """
        length = norm(v)
        for group in self._groups(self.moving(space)):
            if isinstance(group, Entry):
                a, b = self._rows(group, u).double(), self._rows(group, v)
                if a.shape[1] > 1:
                    b.copy_(_off(b.double(), a))
            elif len(group) > 1 or group[0].size > 1:
                a, b = (torch.cat([_flat(entry, d).double() for entry in group])[None] for d in (u, v))
                turned = _off(b, a)[0]
                for entry, part in zip(group, turned.split([entry.size for entry in group]), strict=True):
                    _flat(entry, v).copy_(part)
        left = norm(orthogonal_rest(v, u))
        if left < 1e-6 * length:
            raise ValueError(
                "v lies along u, so nothing of it is orthogonal to u. Pass another seed, or orthogonal=False."
            )
        return v.mul_(length / left)

    def _groups(self, moving: list[Entry]) -> Iterator[Entry | list[Entry]]:
        """The pieces: a tensor that is scaled row by row, or several that are scaled together."""
        if self.by in ("filter", "tensor") and (self.by == "tensor" or any(e.filters for e in moving)):
            yield from moving
        elif self.by == "layer":
            yield from layers_of(moving).values()
        elif self.by is not None:
            yield moving

    def _rows(self, entry: Entry, vector: Tensor) -> Tensor:
        return entry.rows(vector) if self.by == "filter" else _flat(entry, vector)[None]

    @property
    def recipe(self) -> dict[str, Any]:
        """JSON values that make it again; options at their defaults are left out."""
        recipe: dict[str, Any] = {"normalize": self.by}
        if self.ignore is not True:
            recipe["ignore"] = self.ignore if isinstance(self.ignore, bool) else list(self.ignore)
        if self.layers is not None:
            recipe["layers"] = list(self.layers)
        return recipe

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any]) -> Scaling:
        """The scaling that `recipe` describes."""
        ignore, layers = recipe.get("ignore", True), recipe.get("layers")
        return cls(
            cast(By | None, recipe.get("normalize", "filter")),
            ignore if isinstance(ignore, bool) else tuple(ignore),
            None if layers is None else tuple(layers),
        )

    def words(self, space: ParameterSpace) -> str:
        """The scaling in words, for a caption."""
        filters = any(entry.filters for entry in self.moving(space))
        by = "model" if self.by == "filter" and not filters else self.by
        words = [f"{by}-normalised" if by else "not normalised"]
        if self.layers is not None:
            words.append(f"only {', '.join(self.layers)}")
        if self.ignore is True and filters and len(self.moving(space)) < len(space):
            words.append("tensors of one dimension fixed")
        elif isinstance(self.ignore, tuple) and self.ignore:
            words.append(f"{', '.join(self.ignore)} fixed")
        return ", ".join(words)


def _flat(entry: Entry, vector: Tensor) -> Tensor:
    return vector[entry.offset : entry.offset + entry.size]


def _norm_of(group: list[Entry], vector: Tensor) -> float:
    start, end = group[0].offset, group[-1].offset + group[-1].size
    if sum(entry.size for entry in group) == end - start:
        return float(vector[start:end].norm())
    return math.hypot(*(float(_flat(entry, vector).norm()) for entry in group))


def _off(b: Tensor, a: Tensor) -> Tensor:
    """Each row of b less its part along the row of a, at the length it had; rows along a become zero."""
    square = (a * a).sum(1, keepdim=True)
    rest = b - torch.where(square > 0, (a * b).sum(1, keepdim=True) / square, torch.zeros_like(square)) * a
    length, left = b.norm(dim=1, keepdim=True), rest.norm(dim=1, keepdim=True)
    found = left > 1e-6 * length
    return torch.where(found, rest * (length / torch.where(found, left, torch.ones_like(left))), b)
