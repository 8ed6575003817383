"""The curvature matrices of one chunk of the data, as linear maps that are followed by autograd.

Hessian: the derivative of gᵀ v (Pearlmutter 1994), a second backward pass through the gradient's graph. Generalised
Gauss–Newton: Jᵀ H_z J with the Jacobian J of the model's output z and the Hessian H_z of the loss in it (Schraudolph
2002). Empirical Fisher: the mean of g_i g_iᵀ over the samples' gradients. Their graphs are the same for every v.

Forward over reverse is left out: on the five models of the benchmarks it took 0.96 to 3 times as long as the graph made
anew, and torch's dual levels belong to the process, not to the thread that works.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.utils import _pytree

from lossatlas.curvature.errors import NotFinite
from lossatlas.objective.data import Batch
from lossatlas.objective.measure import Measure, PairMeasure, number

Matrix = Literal["hessian", "gauss_newton", "fisher"]

Leaves = dict[str, Tensor]


class Map(Protocol):
    """A matrix on one chunk."""

    @property
    def weight(self) -> float:
        """What the chunk counts for."""
        ...

    def times(self, v: Tensor) -> Tensor:
        """The product, (P,) -> (P,)."""
        ...


#: How a matrix is made on a chunk: (replica, θ's tensors that stay, those that it is taken by, chunk).
Make = Callable[[Any, Mapping[str, Tensor], Leaves, Any], Map]


@dataclass(frozen=True, eq=False)
class DoubleBackward:
    """The Hessian on one chunk: the gradient, as a function of the leaves that it was taken by."""

    leaves: list[Tensor]
    gradient: list[Tensor]
    weight: float

    @classmethod
    def of(cls, replica: Any, fixed: Mapping[str, Tensor], leaves: Leaves, chunk: Batch) -> DoubleBackward:
        """At the leaves. Raises NotFinite where the loss is not."""
        weight, fields = replica.at({**fixed, **leaves}, chunk)
        found = list(leaves.values())
        if weight is None or weight > 0:
            _check_finite(fields[0])
        if not isinstance(fields[0], Tensor) or not fields[0].requires_grad:
            return cls.zero(found, weight or 0.0)
        gradient = torch.autograd.grad(
            fields[0], found, create_graph=True, allow_unused=True, materialize_grads=True
        )
        return cls(found, list(gradient), weight or 0.0)

    @classmethod
    def zero(cls, leaves: list[Tensor], weight: float) -> DoubleBackward:
        """Of what the leaves do not move."""
        return cls(leaves, [torch.zeros_like(leaf) for leaf in leaves], weight)

    def times(self, v: Tensor) -> Tensor:
        """H v."""
        return _pulled(self.gradient, self.leaves, _split(v, self.leaves))


@dataclass(frozen=True, eq=False)
class OuterProduct:
    """Jᵀ M J on one chunk, with the Jacobian J of the model's output by the leaves."""

    leaves: list[Tensor]
    outputs: list[Tensor]
    #: Any cotangents of the outputs, and Jᵀ of them: linear in these, so that its own derivative is J.
    cotangents: list[Tensor]
    pulled: list[Tensor]
    middle: Callable[[list[Tensor]], list[Tensor]]  # M
    weight: float

    def times(self, v: Tensor) -> Tensor:
        """Jᵀ M J v."""
        pushed = _split(_pulled(self.pulled, self.cotangents, _split(v, self.leaves)), self.cotangents)
        return _pulled(self.outputs, self.leaves, self.middle(pushed))

    @classmethod
    def gauss_newton(cls, replica: Any, fixed: Mapping[str, Tensor], leaves: Leaves, chunk: Batch) -> Map:
        """M is the Hessian of the loss in the outputs."""
        run = _Output(replica, fixed, leaves, chunk)

        def middle(pushed: list[Tensor]) -> list[Tensor]:
            return _split(_pulled(run.slopes, run.free, pushed), run.free)

        return cls._of(run, leaves, middle, replica.measure.weight(chunk))

    @classmethod
    def fisher(cls, replica: Any, fixed: Mapping[str, Tensor], leaves: Leaves, chunk: Batch) -> Map:
        """M takes each sample's slope times the loss's change along it: Σ δ_i δ_iᵀ / n."""
        run = _Output(replica, fixed, leaves, chunk)
        slopes = [slope.detach() * chunk.size for slope in run.slopes]

        def middle(pushed: list[Tensor]) -> list[Tensor]:
            changes = sum(
                (slope * part).reshape(chunk.size, -1).sum(1)
                for slope, part in zip(slopes, pushed, strict=True)
            )
            return [_rowwise(changes, slope) * slope / chunk.size for slope in slopes]

        return cls._of(run, leaves, middle, replica.measure.weight(chunk))

    @classmethod
    def _of(
        cls, run: _Output, leaves: Leaves, middle: Callable[[list[Tensor]], list[Tensor]], weight: float
    ) -> Map:
        found = list(leaves.values())
        if not run.outputs:
            return DoubleBackward.zero(found, weight)
        cotangents = [torch.zeros_like(output, requires_grad=True) for output in run.outputs]
        pulled = torch.autograd.grad(
            run.outputs, found, cotangents, create_graph=True, allow_unused=True, materialize_grads=True
        )
        return cls(found, run.outputs, cotangents, list(pulled), middle, weight)


class _Output:
    """What the model says of a chunk, and the slopes of the loss by it, as functions of free outputs."""

    def __init__(self, replica: Any, fixed: Mapping[str, Tensor], leaves: Leaves, chunk: Batch) -> None:
        measure = replica.measure
        _, (said,) = replica.at({**fixed, **leaves}, chunk, _Said(measure))
        parts, tree = _pytree.tree_flatten(said)
        moving = [
            index for index, part in enumerate(parts) if isinstance(part, Tensor) and part.requires_grad
        ]
        self.outputs = [parts[index] for index in moving]
        self.free = [output.detach().requires_grad_(True) for output in self.outputs]
        for index, free in zip(moving, self.free, strict=True):
            parts[index] = free
        loss = measure.loss(_pytree.tree_unflatten(parts, tree), chunk)
        _check_finite(loss)
        self.slopes: list[Tensor] = []
        if not self.free:
            return
        slopes = torch.autograd.grad(
            loss, self.free, create_graph=True, allow_unused=True, materialize_grads=True
        )
        self.slopes = list(slopes)


@dataclass(frozen=True)
class _Said:
    """The output itself, as a measure."""

    measure: Measure

    def run(self, module: Callable[..., Any], batch: Batch) -> Any:
        return self.measure.run(module, batch)

    def read(self, output: Any, _batch: Batch) -> tuple[None, list[Any]]:
        return None, [output]


MAKE: dict[Matrix, Make] = {
    "hessian": DoubleBackward.of,
    "gauss_newton": OuterProduct.gauss_newton,
    "fisher": OuterProduct.fisher,
}


def check_matrix(matrix: str, measure: Any, separable: bool, chunks: Any) -> None:
    """Raise ValueError when there is no such matrix, or none of this objective."""
    if matrix not in MAKE:
        raise ValueError(f"matrix is {matrix!r}. Pass {', '.join(map(repr, MAKE))}.")
    if matrix == "hessian":
        return
    if not isinstance(measure, PairMeasure):
        raise ValueError(
            f"There is no {matrix} matrix here: it needs the model's output apart from the loss, and this objective has a "
            "function that gives the loss at once. Use matrix='hessian', or Objective(model, loss_fn, data)."
        )
    if matrix == "fisher" and not (
        separable and all(measure.weight(chunk) in (None, chunk.size) for chunk in chunks)
    ):
        raise ValueError(
            "There is no empirical Fisher matrix here: it needs a loss that is the mean over samples. Use "
            "matrix='gauss_newton'."
        )


def _check_finite(loss: Any) -> None:
    value = number(loss)
    if not math.isfinite(value):
        raise NotFinite(f"The loss is {value}")


def _pulled(outputs: list[Tensor], inputs: list[Tensor], along: list[Tensor]) -> Tensor:
    """Σ along · ∂outputs / ∂inputs, flat; the graph stays."""
    # What the inputs do not move is no end of any graph, and its part is 0.
    moving = [(output, part) for output, part in zip(outputs, along, strict=True) if output.requires_grad]
    if not moving:
        return torch.cat([torch.zeros_like(tensor).reshape(-1) for tensor in inputs])
    ends, parts = zip(*moving, strict=True)
    found = torch.autograd.grad(
        ends, inputs, parts, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return torch.cat([part.reshape(-1) for part in found])


def _split(flat: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    """A flat vector in the shapes and dtypes of these."""
    pieces = flat.split([tensor.numel() for tensor in tensors])
    return [piece.view_as(tensor).to(tensor.dtype) for piece, tensor in zip(pieces, tensors, strict=True)]


def _rowwise(values: Any, like: Tensor) -> Tensor:
    """(n,) so that it multiplies (n, …) row by row."""
    found: Tensor = values.reshape(-1, *[1] * (like.dim() - 1))
    return found
