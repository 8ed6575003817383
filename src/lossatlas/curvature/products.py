"""Products of the Hessian with vectors, over all data: the matrix itself is never made.

H v is the derivative of gᵀ v (Pearlmutter 1994), by a second backward pass through the gradient's graph. The graph of
the gradient is the same for every v: it is kept where it fits a budget, and a product is then one backward pass. Models
without second derivatives, such as fused attention, are measured by central differences of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossatlas.objective import EvaluationError, Objective
from lossatlas.objective.data import Batch
from lossatlas.objective.replica import ModelReplica, some_weight

#: What kept graphs may take of memory, in bytes.
GRAPH_BYTES = 1 << 30

KEPT = "double backward, graph kept"
ANEW = "double backward, graph made anew"
DIFFERENCES = "central differences of the gradient"

# A step of so many ‖θ‖ + 1, in powers of ε: rounding of the gradient and the third derivative weigh about the same.
_STEP = 0.4

_NO_ESTIMATE = (
    "There is no Hessian of a loss whose running statistics are estimated anew at every point. Use mode='batch_stats' or "
    "mode='eval'."
)


_Look = Callable[[], AbstractContextManager[Any]]
_Names = Callable[[Tensor], dict[str, Tensor]]
_Loss = Callable[[Mapping[str, Tensor]], tuple[float, Tensor]]


@dataclass(frozen=True, eq=False)
class _Graph:
    """The gradient on one chunk, as a function of the leaves that it was taken by."""

    leaves: list[Tensor]
    gradient: list[Tensor]
    weight: float

    def times(self, v: Tensor) -> Tensor:
        """H v on the chunk, (P,) -> (P,); the graph stays."""
        vs = [
            part.view_as(leaf)
            for part, leaf in zip(v.split([leaf.numel() for leaf in self.leaves]), self.leaves, strict=True)
        ]
        # A gradient that θ does not move is no end of any graph, and its part of H is 0.
        moving = [(slope, part) for slope, part in zip(self.gradient, vs, strict=True) if slope.requires_grad]
        if not moving:
            return torch.zeros_like(v)
        slopes, parts = zip(*moving, strict=True)
        products = torch.autograd.grad(
            slopes, self.leaves, parts, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return torch.cat([product.reshape(-1) for product in products])


_Chunk = tuple[_Look, Callable[[], _Graph]]


class Hessian:
    """The Hessian of an objective's loss at θ, (P,), as products with vectors.

    budget: bytes that kept graphs may take. `form` says how products are taken and `products` counts them, once the
    first was asked for. Raises ValueError for an objective whose loss has no Hessian.
    """

    def __init__(self, objective: Objective, theta: Tensor, budget: float = GRAPH_BYTES) -> None:
        self.objective, self.theta, self.budget = objective, theta.detach().clone(), budget
        self.form = ""
        self.products = 0
        self._replica: Any = objective.spare_replica()
        if getattr(self._replica, "estimation", ()):
            raise ValueError(_NO_ESTIMATE)
        self._decay = getattr(self._replica, "decay", 0.0)
        self._kept: list[_Graph] = []

    def times(self, v: Tensor) -> Generator[None, None, Tensor]:
        """H v, (P,) -> (P,) or (P, k) -> (P, k), in θ's dtype, summed over chunks in float64; yields between chunks.

        Raises ValueError for another shape, EvaluationError when the model raises.
        """
        columns = torch.as_tensor(v).detach().to(self.theta.device, self.theta.dtype)
        if columns.dim() not in (1, 2) or len(columns) != len(self.theta):
            raise ValueError(
                f"v has shape {tuple(columns.shape)}. Pass a vector of length P = {len(self.theta)}, or (P, k)."
            )
        if columns.dim() == 2:
            found = torch.empty_like(columns)
            for index in range(columns.shape[1]):
                found[:, index] = yield from self.times(columns[:, index])
            return found
        try:
            if not self.form:
                yield from self._choose(columns)
            if self.form == DIFFERENCES:
                product = yield from self._difference(columns)
            else:
                product = yield from self._by_graphs(columns)
        except RuntimeError as error:
            said = str(error).splitlines()[0].rstrip(". ")
            raise EvaluationError(f"The Hessian cannot be taken: {said}.") from error
        self.products += 1
        return (product + self._decay * columns.double()).to(self.theta.dtype)

    def _choose(self, v: Tensor) -> Generator[None, None, None]:
        """The cheapest form that the model allows, found out on the first chunk."""
        size, chunks = _Size(), self._chunks()
        look, make = next(chunks)
        try:
            with look(), torch.enable_grad(), size:
                first = make()
                first.times(v)
        except RuntimeError as error:
            if not _lacks_derivative(error):
                raise
            self.form = DIFFERENCES
            return
        yield
        self.form = ANEW
        held = getattr(self._replica, "chunks", [None])
        if not isinstance(held, list) or size.bytes * len(held) > self.budget:
            return
        try:
            first.times(v)
        except RuntimeError:
            # Statistics that the pass itself wrote have been put back: the graph holds no more.
            return
        graphs = [first]
        for look, make in chunks:
            with look(), torch.enable_grad():
                graphs.append(make())
            yield
        self._kept = [graph for graph in graphs if graph.weight]  # one without targets has no mean, 0 / 0
        self.form = KEPT

    def _by_graphs(self, v: Tensor) -> Generator[None, None, Tensor]:
        total, weights = torch.zeros_like(v, dtype=torch.float64), 0.0
        for graph in self._kept:
            total += graph.weight * graph.times(v)
            weights += graph.weight
            yield
        for look, make in () if self._kept else self._chunks():
            with look(), torch.enable_grad():  # never held while others work
                graph = make()
                if graph.weight:
                    total += graph.weight * graph.times(v)
                    weights += graph.weight
            yield
        return total / some_weight(weights)

    def _difference(self, v: Tensor) -> Generator[None, None, Tensor]:
        length = float(v.double().norm())
        if length == 0:
            return torch.zeros_like(v, dtype=torch.float64)
        step = torch.finfo(v.dtype).eps ** _STEP * (1.0 + float(self.theta.double().norm()))
        unit = v / length
        above = yield from self._slope(self.theta + step * unit)
        below = yield from self._slope(self.theta - step * unit)
        return (above - below) * (length / (2.0 * step))

    def _slope(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient without what weight decay adds, whose product is exact."""
        gradient: Tensor = yield from self._replica.gradient(theta)
        return gradient.double() - self._decay * theta.double()

    def _chunks(self) -> Iterator[_Chunk]:
        """For every chunk what must hold while its graph is made and followed, and how it is made."""
        for look, names, loss in losses(self._replica):

            def make(names: _Names = names, loss: _Loss = loss) -> _Graph:
                leaves = {
                    name: part.detach().clone().requires_grad_(True)
                    for name, part in names(self.theta).items()
                }
                weight, value = loss(leaves)
                found = list(leaves.values())
                gradient = torch.autograd.grad(
                    value, found, create_graph=True, allow_unused=True, materialize_grads=True
                )
                return _Graph(found, list(gradient), weight)

            yield look, make


class _Size(torch.autograd.graph.saved_tensors_hooks):
    """How many bytes the tensors take that autograd saves meanwhile, each memory once."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        super().__init__(self._note, lambda tensor: tensor)

    def _note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def bytes(self) -> int:
        """So far."""
        return sum(self._seen.values())


def losses(replica: Any) -> Iterator[tuple[_Look, _Names, _Loss]]:
    """For every chunk that counts: what must hold while it is looked at, θ by its leaves, and (weight, loss) of those."""
    if not isinstance(replica, ModelReplica):
        # The function is shared by all replicas: one caller at a time.
        yield (
            lambda: replica._lock,
            lambda theta: {"theta": theta},
            lambda leaves: (1.0, replica.f(leaves["theta"])),
        )
        return
    for known, chunk in replica.counting():

        def look(chunk: Batch = chunk) -> AbstractContextManager[Any]:
            return replica.looking_at(chunk)

        def loss(
            leaves: Mapping[str, Tensor], known: float | None = known, chunk: Batch = chunk
        ) -> tuple[float, Tensor]:
            said, fields = replica.at(leaves, chunk)
            return (said or 0.0) if known is None else known, fields[0]

        yield look, replica.space.unflatten, loss


def _lacks_derivative(error: RuntimeError) -> bool:
    said = str(error)
    return "derivative" in said and ("not implemented" in said or "not supported" in said)
