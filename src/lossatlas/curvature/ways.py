"""The ways to a curvature product, and which of them a model allows: found out and checked once per objective."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossatlas.curvature.attention import WrittenOut
from lossatlas.curvature.errors import NotFinite
from lossatlas.curvature.matrices import MAKE, Matrix
from lossatlas.objective import Objective
from lossatlas.objective.data import Batch, map_tensors
from lossatlas.objective.own import deep_copy
from lossatlas.objective.replica import ModelReplica

_log = logging.getLogger("lossatlas")

PLAIN = "double backward"
WRITTEN = "double backward with attention written out"
DIFFERENCES = "central differences of the gradient"

#: What must hold while a graph is made.
WAYS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    PLAIN: contextlib.nullcontext,
    WRITTEN: WrittenOut,
    DIFFERENCES: contextlib.nullcontext,
}

# Samples that are looked at where a loss may be read sample by sample.
_ROWS = 8

# Steps of the differences in float64, in shares of 1 + ‖θ‖. Where both agree, no kink lies between them.
_STEPS = (1e-6, 2.5e-7)
_AGREE = 1e-3

# Products that are further than this from differences that agree with each other are wrong.
_WRONG = 1e-2


@dataclass(frozen=True)
class Way:
    """How products are taken, what their graph takes of memory, and how far they were from differences of the gradient."""

    name: str
    chunk_bytes: float  # of a graph that is kept, whatever its samples
    row_bytes: float  # and per sample
    holds: (
        bool  # whether a graph can be followed again once statistics that the pass wrote have been put back
    )
    check: float | None

    def bytes_of(self, samples: int, chunks: int) -> float:
        """Of the graphs of so many samples in so many chunks."""
        return self.chunk_bytes * chunks + self.row_bytes * samples


def way_of(objective: Objective, matrix: Matrix) -> Generator[None, None, Way]:
    """The way for this objective, looked for at its own θ when it is first asked for. Raises what the model raises."""
    key = ("way", matrix)
    if key not in objective.kept:
        try:
            objective.kept[key] = yield from _found(objective, matrix, objective.theta)
        except (
            NotFinite
        ):  # where the model stands nothing can be told: to be looked at once more the next time
            return Way(PLAIN, 0.0, 0.0, False, None)
    found: Way = objective.kept[key]
    return found


def prepare(objective: Objective) -> Generator[None, None, None]:
    """Find the way of the Hessian before somebody waits for it, as a job; what goes wrong is told to whoever asks."""
    try:
        for one in objective.terms or (objective,):
            yield from way_of(one, "hessian")
    except Exception as error:
        _log.info("There is no way to the Hessian yet: %s", error)


def _found(objective: Objective, matrix: Matrix, theta: Tensor) -> Generator[None, None, Way]:
    replica: Any = objective.spare_replica()
    chunk = _look(replica, objective.separable)
    rows = chunk.size if isinstance(chunk, Batch) else 1
    for name in (PLAIN, WRITTEN):
        try:
            size, holds = _tried(replica, objective, matrix, theta, chunk, name)
            least = 0.0
            if objective.separable and rows > 1:  # a line through two sizes
                half = _tried(replica, objective, matrix, theta, chunk.rows(0, rows // 2), name)[0]
                least = max(0.0, (rows * half - rows // 2 * size) / (rows - rows // 2))
        except RuntimeError as error:
            if not lacks_derivative(error):
                raise
            yield
            continue
        check = yield from _checked(replica, objective, matrix, theta, chunk, name)
        if check is not None and check > _WRONG:
            return Way(DIFFERENCES, 0.0, 0.0, False, check)
        return Way(name, least, (size - least) / rows, holds, check)
    if matrix != "hessian":
        raise RuntimeError("the model has no second derivatives")
    return Way(DIFFERENCES, 0.0, 0.0, False, None)


def _look(replica: Any, separable: bool) -> Any:
    """A few samples, or a batch where it must be whole."""
    if not isinstance(replica, ModelReplica):
        return None
    first = next(chunk for _, chunk in replica.counting())
    return first.rows(0, _ROWS) if separable and first.size > _ROWS else first


def _tried(
    replica: Any, objective: Objective, matrix: Matrix, theta: Tensor, chunk: Any, name: str
) -> tuple[float, bool]:
    """What a graph takes of memory, and whether it can be followed once the pass that made it is over."""
    size = _Size()
    with replica.looking_at(chunk), torch.enable_grad(), WAYS[name]():
        graph = MAKE[matrix](replica, {}, _leaves(objective, theta), chunk)
        graph.times(torch.ones_like(theta))
        with size:
            MAKE[matrix](replica, {}, _leaves(objective, theta), chunk)
    try:
        graph.times(torch.ones_like(theta))
    except RuntimeError:
        # Statistics that the pass itself wrote have been put back: the graph holds no more.
        return size.bytes, False
    return size.bytes, True


def _checked(
    replica: Any, objective: Objective, matrix: Matrix, theta: Tensor, chunk: Any, name: str
) -> Generator[None, None, float | None]:
    """How far a product is from central differences of the gradient, relatively; None where these do not settle it."""
    if matrix != "hessian":
        return None
    exact, precise = _in_float64(replica, chunk)
    if exact is None:
        return None
    point = theta.double()
    generator = torch.Generator().manual_seed(0xC4EC)
    v = torch.randn(len(theta), generator=generator, dtype=torch.float64).to(theta.device)
    v /= v.norm()

    def slope(at: Tensor) -> Tensor:
        leaves = _leaves(objective, at)
        with exact.looking_at(precise), torch.enable_grad(), WAYS[name]():
            loss = exact.at(leaves, precise)[1][0]
            found = torch.autograd.grad(
                loss, list(leaves.values()), allow_unused=True, materialize_grads=True
            )
        return torch.cat([part.reshape(-1) for part in found])

    try:
        with exact.looking_at(precise), torch.enable_grad(), WAYS[name]():
            product = MAKE[matrix](exact, {}, _leaves(objective, point), precise).times(v)
        yield
        differences = []
        for share in _STEPS:
            step = share * (1.0 + float(point.norm()))
            differences.append((slope(point + step * v) - slope(point - step * v)) / (2 * step))
            yield
    except (RuntimeError, TypeError, ValueError):
        return None  # a model that cannot be had in float64 is not checked
    scale = max(float(differences[0].norm()), float(product.norm()))
    if not scale < float("inf") or float((differences[0] - differences[1]).norm()) > _AGREE * scale:
        return None
    return float((product - differences[0]).norm()) / scale if scale else 0.0


def _in_float64(replica: Any, chunk: Any) -> tuple[Any, Any]:
    if not isinstance(replica, ModelReplica):
        return (replica, chunk) if replica.buffer.dtype == torch.float64 else (None, None)

    def widened(tensor: Tensor) -> Tensor:
        return tensor.double() if tensor.is_floating_point() else tensor

    module = deep_copy(replica.module).double()
    measure = replica.measure
    batch = Batch(map_tensors(widened, chunk.x), map_tensors(widened, chunk.y), chunk.size)
    return ModelReplica(module, replica.space, [batch], measure, torch.float64), batch


def _leaves(objective: Objective, theta: Tensor) -> dict[str, Tensor]:
    parts = objective.parameters.unflatten(theta.detach())
    return {name: part.clone().requires_grad_(True) for name, part in parts.items()}


class _Size(torch.autograd.graph.saved_tensors_hooks):
    """How many bytes the tensors take that autograd saves meanwhile, each memory once."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        super().__init__(self._note, lambda tensor: tensor)

    def _note(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._seen[storage.data_ptr()] = storage.nbytes()
        # Not the tensor itself: kept by the node that it comes from it would make a cycle, and the graph never freed.
        return tensor.detach()

    @property
    def bytes(self) -> int:
        """So far."""
        return sum(self._seen.values())


def lacks_derivative(error: RuntimeError) -> bool:
    """Whether an error says that something has no second derivative."""
    said = str(error)
    return "derivative" in said and ("not implemented" in said or "not supported" in said)
