"""Products of a curvature matrix with vectors, over all data: the matrix itself is never made.

The graph that a product follows is the same for every v: it is kept where it fits a budget, and a product is then one
backward pass. What fused kernels lack is written out; models without second derivatives are measured by central differences
of the gradient. A probe decides once per objective, on a few samples in float64, where differences are sharp enough to tell
a wrong derivative. Chunks are shared among the worker's threads in fixed lanes, so that sums have the same bits whoever
takes them.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lossatlas import jobs
from lossatlas.curvature.errors import NotFinite
from lossatlas.curvature.matrices import MAKE, Map, Matrix, check_matrix
from lossatlas.curvature.ways import DIFFERENCES, WAYS, Way, way_of
from lossatlas.objective import EvaluationError, Objective
from lossatlas.objective.data import Batch
from lossatlas.objective.naming import chosen, matches
from lossatlas.objective.probes import raised
from lossatlas.objective.replica import some_weight
from lossatlas.objective.subset import sample

#: What kept graphs may take of memory, in bytes.
GRAPH_BYTES = 1 << 30

# A step of so many ‖θ‖ + 1, in powers of ε: rounding of the gradient and the third derivative weigh about the same.
_STEP = 0.4

# Seconds of a product that are worth a second thread.
_WORTH_SHARING = 0.002

# A chunk of so many samples × parameters is worth being cut for several threads.
_WORTH_CUTTING = 1_000_000

_NO_ESTIMATE = (
    "There is no Hessian of a loss whose running statistics are estimated anew at every point. Use mode='batch_stats' or "
    "mode='eval'."
)

_Lane = Any  # of pairs (weight, chunk): a list, or what can be iterated anew


class Products:
    """A curvature matrix of an objective's loss at θ, (P,), as products with vectors.

    matrix: "hessian"; "gauss_newton", Jᵀ H_z J of the model's output z; or "fisher", the empirical one, the mean of g gᵀ over
    samples. layers: the tensors that it is restricted to, by name of a tensor or a module, or glob. samples: so many, drawn
    by `seed`, instead of all. budget: bytes that kept graphs may take. Weight decay adds its λ to the first two.

    `size` is the number of parameters it is restricted to; `form` says how products are taken and `products` counts them,
    once the first was asked for. Raises TypeError or ValueError for what there is not.
    """

    def __init__(
        self, objective: Objective, theta: Tensor, matrix: Matrix = "hessian", *, layers: Any = None,
        samples: int | None = None, seed: int = 0, budget: float = GRAPH_BYTES,
    ) -> None:  # fmt: skip
        replica: Any = objective.spare_replica()
        if getattr(replica, "estimation", ()):
            raise ValueError(_NO_ESTIMATE)
        check_matrix(matrix, getattr(replica, "measure", None), objective.separable, objective.held)
        space = objective.parameters
        patterns = None if layers is None else chosen("layers", layers, space)
        self.objective, self.theta, self.matrix, self.budget = (
            objective,
            theta.detach().clone(),
            matrix,
            budget,
        )
        self.entries = [entry for entry in space if patterns is None or matches(entry, patterns)]
        self.size = sum(entry.size for entry in self.entries)
        self.samples = objective.samples
        if samples is not None:
            subset = sample(objective, samples, seed)
            replica.hold(list(subset.batches))
            self.samples = subset.size
        self.form = ""
        self.products = 0
        self._terms = [
            Products(one, theta, matrix, layers=layers, budget=budget / 2) for one in objective.terms
        ]
        self._decay = 0.0 if matrix == "fisher" else getattr(replica, "decay", 0.0)
        self._lanes = _lanes(replica, objective.separable, objective.size)
        self._way: Way | None = None
        self._kept: list[list[Map]] = []
        self._seconds = float("inf")

    def halves(self) -> list[Products]:
        """The same on either half of its samples, for what differs between them."""
        chunks = [chunk for lane in self._lanes for _, chunk in lane]
        found = []
        for part in (0, 1):
            half = copy.copy(self)
            replica: Any = self.objective.spare_replica()
            rows = [_order(chunk.size).chunk(2) for chunk in chunks]
            replica.hold(
                [chunk.take(cut[part]) for chunk, cut in zip(chunks, rows, strict=True) if len(cut) > part]
            )
            half._lanes, half._kept, half.products, half.form = _dealt(list(replica.counting())), [], 0, ""
            found.append(half)
        return found

    def times(self, v: Tensor) -> Generator[None, None, Tensor]:
        """The product, (P,) -> (P,) or (P, k) -> (P, k) with P = `size`, in θ's dtype; yields between chunks.

        Summed over chunks in float64. Raises ValueError for another shape, EvaluationError when the model raises.
        """
        columns = torch.as_tensor(v).detach().to(self.theta.device, self.theta.dtype)
        if columns.dim() not in (1, 2) or len(columns) != self.size:
            raise ValueError(
                f"v has shape {tuple(columns.shape)}. Pass a vector of length P = {self.size}, or (P, k)."
            )
        if columns.dim() == 2:
            found = torch.empty_like(columns)
            for index in range(columns.shape[1]):
                found[:, index] = yield from self.times(columns[:, index])
            return found
        try:
            if not (self.form or self._terms):
                yield from self._begin()
            begun = time.perf_counter()
            if self._terms:
                product = yield from self._subtracted(columns)
            elif self.form == DIFFERENCES:
                product = yield from self._difference(columns)
            else:
                product = yield from self._followed(columns)
            self._seconds = time.perf_counter() - begun
        except (EvaluationError, NotFinite):
            raise
        except RuntimeError as error:
            said = str(error).splitlines()[0].rstrip(". ")
            name = "Hessian" if self.matrix == "hessian" else f"{self.matrix} matrix"
            raise EvaluationError(f"The {name} cannot be taken: {said}.") from error
        except Exception as error:  # of the user's code
            raise raised(error, "in a product with the Hessian", None) from error
        self.products += 1
        return (product + self._decay * columns.double()).to(self.theta.dtype)

    @property
    def check(self) -> float | None:
        """How far products and central differences of the gradient were apart where the probe compared them, relatively.

        None where they were not compared.
        """
        return None if self._way is None else self._way.check

    def embedded(self, vectors: Tensor) -> Tensor:
        """Vectors of its own parameters, (size, k), as vectors of all, (P, k), zero elsewhere."""
        if self.size == len(self.theta):
            return vectors
        found = vectors.new_zeros(len(self.theta), *vectors.shape[1:])
        for entry, part in zip(
            self.entries, vectors.split([entry.size for entry in self.entries]), strict=True
        ):
            found[entry.offset : entry.offset + entry.size] = part
        return found

    def _begin(self) -> Generator[None, None, None]:
        """Find the way, and keep graphs where they fit."""
        objective = self.objective
        self._way = yield from way_of(objective, self.matrix)
        if self._way.name == DIFFERENCES:
            self.form = DIFFERENCES
            return
        resident = all(isinstance(lane, list) for lane in self._lanes)
        chunks = sum(len(lane) for lane in self._lanes) if resident else 0
        if resident and self._way.holds and self._way.bytes_of(self.samples, chunks) <= self.budget:
            self._kept = yield from jobs.gather([self._graphs(lane) for lane in self._lanes])
            self.form = f"{self._way.name}, graph kept"
        else:
            self.form = f"{self._way.name}, graph made anew"

    def _graphs(self, lane: _Lane) -> Generator[None, None, list[Map]]:
        found: list[Map] = []
        with self.objective.replica() as replica:
            for weight, chunk in lane:
                with self._looking(replica, chunk):
                    graph = self._make(replica, chunk)
                if weight is not None:
                    graph = _Weighed(graph, weight)
                if graph.weight:  # one without targets has no mean, 0 / 0
                    found.append(graph)
                yield
        return found

    def _subtracted(self, v: Tensor) -> Generator[None, None, Tensor]:
        """The Hessian of a difference is the difference of the Hessians."""
        first, second = self._terms
        product = (yield from first.times(v)).double()
        yield
        product -= (yield from second.times(v)).double()
        self.form = first.form if first.form == second.form else f"{first.form} − {second.form}"
        return product

    def _followed(self, v: Tensor) -> Generator[None, None, Tensor]:
        if self._kept:
            return (yield from self._summed([_along(graphs, v) for graphs in self._kept]))

        def follow(replica: Any, chunk: Any) -> tuple[float, Tensor]:
            graph = self._make(replica, chunk)
            return graph.weight, graph.times(v)

        return (yield from self._over_chunks(follow))

    def _difference(self, v: Tensor) -> Generator[None, None, Tensor]:
        length = float(v.double().norm())
        if length == 0:
            return torch.zeros_like(v, dtype=torch.float64)
        step = torch.finfo(v.dtype).eps ** _STEP * (1.0 + float(self.theta.double().norm()))
        along = self.embedded(v / length)
        above = yield from self._slope(self.theta + step * along)
        below = yield from self._slope(self.theta - step * along)
        return (above - below) * (length / (2.0 * step))

    def _slope(self, theta: Tensor) -> Generator[None, None, Tensor]:
        """The gradient without what weight decay adds, whose product is exact."""

        def slope(replica: Any, chunk: Any) -> tuple[float, Tensor]:
            fixed, leaves = self._tensors(theta)
            weight, fields = replica.at({**fixed, **leaves}, chunk)
            found = torch.autograd.grad(
                fields[0], list(leaves.values()), allow_unused=True, materialize_grads=True
            )
            return weight or 0.0, torch.cat([part.reshape(-1) for part in found])

        return (yield from self._over_chunks(slope))

    def _over_chunks(self, of: Callable[[Any, Any], tuple[float, Tensor]]) -> Generator[None, None, Tensor]:
        """The weighted mean over the chunks of what is found on each."""

        def lane_of(lane: _Lane) -> Generator[None, None, tuple[float, Any]]:
            total: Any = 0.0
            weights = 0.0
            with self.objective.replica() as replica:
                for known, chunk in lane:
                    with self._looking(replica, chunk):  # never held while others work
                        said, part = of(replica, chunk)
                    weight = said if known is None else known
                    if weight:
                        total = total + weight * part.double()
                        weights += weight
                    yield
            return weights, total

        return (yield from self._summed([lane_of(lane) for lane in self._lanes]))

    def _summed(
        self, lanes: Sequence[Generator[None, None, tuple[float, Any]]]
    ) -> Generator[None, None, Tensor]:
        if self._seconds > _WORTH_SHARING:
            found = yield from jobs.gather(lanes)
        else:
            found = []
            for lane in lanes:
                found.append((yield from lane))
        total: Tensor = sum(part for _, part in found)
        return total / some_weight(sum(weight for weight, _ in found))

    def _make(self, replica: Any, chunk: Any) -> Map:
        fixed, leaves = self._tensors(self.theta)
        return MAKE[self.matrix](replica, fixed, leaves, chunk)

    def _tensors(self, theta: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """θ's tensors that stay, and the leaves that the matrix is taken by."""
        fixed = self.objective.parameters.unflatten(theta.detach())
        leaves = {entry.name: fixed.pop(entry.name).clone().requires_grad_(True) for entry in self.entries}
        return fixed, leaves

    @contextlib.contextmanager
    def _looking(self, replica: Any, chunk: Any) -> Iterator[None]:
        way = WAYS[self._way.name] if self._way is not None else contextlib.nullcontext
        with replica.looking_at(chunk), torch.enable_grad(), way():
            yield


class _Weighed:
    """A chunk's map with the weight that is known of it."""

    def __init__(self, graph: Map, weight: float) -> None:
        self.times, self.weight = graph.times, weight


def _order(size: int) -> Tensor:
    """The rows of a chunk as they are dealt to its halves: data are often in the order of their classes."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(size))


def _along(graphs: Sequence[Map], v: Tensor) -> Generator[None, None, tuple[float, Any]]:
    total: Any = 0.0
    weights = 0.0
    for graph in graphs:
        total = total + graph.weight * graph.times(v).double()
        weights += graph.weight
        yield
    return weights, total


def _lanes(replica: Any, separable: bool, size: int) -> list[_Lane]:
    """The chunks that count, dealt into as many lanes as there are threads; a stream is one."""
    chunks = getattr(replica, "chunks", [None])
    if not isinstance(chunks, list):
        return [_Again(replica.counting)]
    if chunks == [None]:
        return [[(1.0, None)]]
    if separable:
        chunks = _even(chunks, jobs.worker.threads, _WORTH_CUTTING // size)
        replica.hold(chunks)
    return _dealt(list(replica.counting()))


def _dealt(pairs: Sequence[tuple[float | None, Any]]) -> list[_Lane]:
    threads = jobs.worker.threads
    return [list(pairs[start::threads]) for start in range(min(threads, len(pairs)))]


def _even(chunks: Sequence[Batch], threads: int, least: int) -> list[Batch]:
    """The last ones cut so that every lane gets as much."""
    over = len(chunks) % threads
    whole, last = chunks[: len(chunks) - over], chunks[len(chunks) - over :]
    cut = [chunk.chunks(-(-chunk.size // threads)) if chunk.size >= least else [chunk] for chunk in last]
    return [*whole, *itertools.chain.from_iterable(cut)]


class _Again:
    """What can be iterated anew as often as one likes."""

    def __init__(self, iterate: Callable[[], Iterator[tuple[float | None, Any]]]) -> None:
        self._iterate = iterate

    def __iter__(self) -> Iterator[tuple[float | None, Any]]:
        return self._iterate()
