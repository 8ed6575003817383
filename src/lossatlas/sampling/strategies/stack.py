"""Several nodes at once, for plain stacks: weights formed together, batched products, the first layer as a sum.

W(a, b)x = W₀x + a Ux + b Vx: the three products are made once a plane, and a node's first layer is two additions.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lossatlas.geometry import Slice
from lossatlas.objective import Objective, fields
from lossatlas.objective.data import Batch
from lossatlas.objective.measure import PairMeasure, number
from lossatlas.objective.parameters import Entry
from lossatlas.objective.replica import ModelReplica
from lossatlas.sampling.store import Point
from lossatlas.sampling.strategies.program import Apply, First, Linear, Own, Shared, Unfit, record
from lossatlas.sampling.strategies.strategy import Pool

# What a group's widest values on one chunk, and its weights, may take: beyond, each is fetched from afar more than once.
_VALUES_BYTES = 1 << 22
_WEIGHTS_BYTES = 1 << 23

_MOST_NODES = 32

# Samples are padded to a multiple of this, so that no element falls into the scalar rest of a vectorised loop in one
# group and into its vectors in another: the two round differently.
_ALIGNED = 64

# Multiply-adds of a node from which a group pays although a loss of the user's own is called node by node.
_OWN_LOSS_PAYS = 1e8

# A step is at least so long: going from one to the next costs as much as a small product.
_STEP_SECONDS = 0.002

# How long one waits at a time for what others make.
_MOMENT = 0.002

# What the first layer's three products may take of memory, per plane.
_FIRST_BYTES = 1 << 28


Reader = Callable[
    [Tensor], Tensor
]  # the output of a group, (K, d, padded) -> means of all fields, (K, F) float64


class Stack:
    """Nodes in groups through a plain stack of linear and pointwise layers, on `batches`. Raises Unfit for another model."""

    def __init__(self, objective: Objective, batches: Sequence[Batch]) -> None:
        replica = objective.spare_replica()
        if not isinstance(replica, ModelReplica) or not isinstance(replica.measure, PairMeasure):
            raise Unfit("its loss is a step of its own")
        if replica.measure.differentiates:
            raise Unfit("its loss takes derivatives inside")
        named = dict(replica.module.named_parameters())
        if any(named[entry.name].dtype != objective.dtype for entry in objective.parameters):
            raise Unfit("its parameters are of several precisions")
        self.dtype, self.device = objective.dtype, objective.theta.device
        self.measure, self.decay = replica.measure, replica.decay
        if not _is_known(self.measure) and sum(b.size for b in batches) * objective.size < _OWN_LOSS_PAYS:
            raise Unfit(
                "its loss or a metric is your own, and called node by node: too little is left to gain"
            )
        first = batches[0].rows(0, min(batches[0].size, _ALIGNED))
        self.program, _ = record(replica, first)
        width = max(self.program.widths) * objective.theta.element_size()
        weights = sum(entry.size for entry in self.formed) * objective.theta.element_size()
        most = min(_VALUES_BYTES // (_ALIGNED * width), _WEIGHTS_BYTES // max(1, weights))
        self.nodes = max(2, min(_MOST_NODES, most))
        self.rows = max(_ALIGNED, _VALUES_BYTES // (self.nodes * width) // _ALIGNED * _ALIGNED)
        firsts = [step.weight.shape[0] for step in self.program.steps if isinstance(step, First)]
        size = 3 * sum(firsts) * sum(batch.size for batch in batches) * objective.theta.element_size()
        if size > _FIRST_BYTES:
            raise Unfit(f"its first layer on all samples takes {size / 1e6:.0f} MB")
        self.chunks = [
            _Chunk.of(self, replica, batch.rows(start, min(start + self.rows, batch.size)))
            for batch in batches
            for start in range(0, batch.size, self.rows)
        ]
        self.workspaces = Pool(lambda: _Workspace(self))

    @property
    def identity(self) -> str:
        """What it does, in words."""
        return f"stack, {self.nodes} nodes at once, chunks of {self.rows}, first layer affine, one thread"

    @property
    def formed(self) -> set[Entry]:
        """The tensors of parameters that are formed at every node."""
        return {
            entry
            for step in self.program.steps
            if isinstance(step, Linear)
            for entry in (step.weight, step.bias)
            if isinstance(entry, Entry)
        }

    def on(self, plane: Slice) -> _StackOn:
        """The strategy on this plane or line."""
        return _StackOn(self, plane)


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some samples: the values that all nodes share there, and how a group's output is read on them."""

    batch: Batch
    padded: int
    inputs: dict[Shared, Tensor]  # what the first layers see, (samples, features)
    met: dict[Shared, Tensor]  # what meets the nodes' own values, as they are kept
    weight: float
    reader: Reader

    @classmethod
    def of(cls, stack: Stack, replica: ModelReplica, batch: Batch) -> _Chunk:
        program, shared = record(replica, batch)
        if program != stack.program:
            raise Unfit("it takes another way on other data")
        padded = math.ceil(batch.size / _ALIGNED) * _ALIGNED
        inputs, met = {}, {}
        for index, value in enumerate(shared):
            if value.dtype != stack.dtype:
                raise Unfit(f"it mixes {value.dtype} with {stack.dtype}")
            inputs[Shared(index)] = value
        for step in program.steps:
            if isinstance(step, Apply):
                for item in step.arguments:
                    if isinstance(item, Shared):
                        value = inputs[item]
                        met[item] = (
                            F.pad(value.t(), (0, padded - batch.size)).contiguous() if value.dim() else value
                        )
            elif isinstance(step, Linear):
                for item in (step.weight, step.bias):
                    if isinstance(item, Shared):
                        met[item] = _as_columns(inputs[item])
        kept = {step.source: inputs[step.source] for step in program.steps if isinstance(step, First)}
        kept |= {
            step.bias: inputs[step.bias]
            for step in program.steps
            if isinstance(step, First) and isinstance(step.bias, Shared)
        }
        return cls(batch, padded, kept, met, stack.measure.weigh(batch), _reader(stack, batch, padded))


def _as_columns(value: Tensor) -> Tensor:
    return value if value.dim() == 2 else value[:, None]


class _Workspace:
    """Memory that one group's values are written to, chunk after chunk: new memory for each costs as much as its layer."""

    def __init__(self, stack: Stack) -> None:
        widest: dict[int, int] = {}
        for slot, width in zip(stack.program.slots, stack.program.widths, strict=True):
            if slot is not None:
                widest[slot] = max(width, widest.get(slot, 0))
        samples = max(chunk.padded for chunk in stack.chunks)
        self._program = stack.program
        self._slots = [
            torch.empty(stack.nodes * widest[slot] * samples, dtype=stack.dtype, device=stack.device)
            for slot in range(len(widest))
        ]

    def of(self, step: int, nodes: int, samples: int) -> Tensor:
        """Where a layer's value goes, (nodes, features, samples)."""
        slot, width = self._program.slots[step], self._program.widths[step]
        assert slot is not None
        return self._slots[slot][: nodes * width * samples].view(nodes, width, samples)


# The products of the first layers with a chunk, by the step's place, for the origin and each direction.
Prepared = dict[int, list[Tensor]]


class _StackOn:
    """A stack on one plane: what does not differ from node to node is computed once."""

    def __init__(self, stack: Stack, plane: Slice) -> None:
        self._stack, self._plane, self.group = stack, plane, stack.nodes
        self._vectors = (plane.origin, *plane.directions)
        self._prepared: list[Prepared | None] = [None] * len(stack.chunks)
        self._left = deque(range(len(stack.chunks)))
        self._ready = threading.Event()
        self._entries = stack.formed
        # ‖θ‖² is a polynomial of second degree in (a, b), whose coefficients are these products.
        wide = [vector.double() for vector in self._vectors] if stack.decay else []
        self._products = torch.tensor([[float(v @ w) for w in wide] for v in wide], dtype=torch.float64)

    def run(self, points: Sequence[Point]) -> Generator[None, None, np.ndarray]:
        """All fields at up to `group` points, (k, F) float64; yields between chunks."""
        stack = self._stack
        yield from self.prepare()
        at = torch.tensor(points, dtype=torch.float64)[:, : len(self._vectors) - 1]
        factors = at.to(self._plane.origin.device, stack.dtype).t()[:, :, None, None]
        total, weights = np.zeros((len(points), len(stack.measure.fields))), 0.0
        with torch.inference_mode():
            formed = {entry: self._formed(entry, factors) for entry in self._entries}
        rested = time.perf_counter()
        for chunk, prepared in zip(stack.chunks, self._prepared, strict=True):
            assert prepared is not None
            if time.perf_counter() - rested > _STEP_SECONDS:
                yield  # never inside the mode, which is the thread's and not the generator's
                rested = time.perf_counter()
            if chunk.weight:
                with stack.workspaces.lend() as space, torch.inference_mode():
                    means = chunk.reader(self._forward(chunk, prepared, formed, factors, space)).cpu().numpy()
                total += chunk.weight * means
                weights += chunk.weight
        return self._with_decay(total / weights, at)

    @property
    def shares(self) -> int:
        """By how many threads at most it can be prepared."""
        return len(self._left)

    def prepare(self) -> Generator[None, None, None]:
        """The first layers' products with the data, for the origin and each direction: each taker makes some chunks'."""
        while not self._ready.is_set():
            try:
                index = self._left.popleft()
            except IndexError:
                # The last ones are in other hands; one that fails there is taken up here.
                self._ready.wait(_MOMENT)
            else:
                try:
                    self._prepared[index] = self._made(self._stack.chunks[index])
                except BaseException:
                    self._left.append(index)
                    raise
                if None not in self._prepared:
                    self._ready.set()
            yield

    def _made(self, chunk: _Chunk) -> Prepared:
        with torch.inference_mode():
            return {
                index: [self._product(step, chunk, vector) for vector in self._vectors]
                for index, step in enumerate(self._stack.program.steps)
                if isinstance(step, First)
            }

    def _product(self, step: First, chunk: _Chunk, vector: Tensor) -> Tensor:
        product = step.weight.of(vector) @ chunk.inputs[step.source].t()
        if isinstance(step.bias, Entry):
            product += step.bias.of(vector)[:, None]
        elif step.bias is not None and vector is self._vectors[0]:
            product += chunk.inputs[step.bias][:, None]
        return F.pad(product, (0, chunk.padded - chunk.batch.size))

    def _formed(self, entry: Entry, factors: Tensor) -> Tensor:
        """A tensor of parameters at every point of the group: (K, rows, columns), a bias as (K, rows, 1)."""
        origin, *directions = (entry.of(vector) for vector in self._vectors)
        parts = [_as_columns(part) for part in (origin, *directions)]
        formed = torch.addcmul(parts[0], factors[0], parts[1])
        return formed.addcmul_(factors[1], parts[2]) if len(parts) > 2 else formed

    def _forward(
        self,
        chunk: _Chunk,
        first: Prepared,
        formed: dict[Entry, Tensor],
        factors: Tensor,
        space: _Workspace,
    ) -> Tensor:
        """The output on a chunk, (K, features, samples), in a workspace or of its own."""
        made: list[Tensor] = []
        nodes = factors.shape[1]

        def value(item: Any) -> Any:
            if isinstance(item, Own):
                return made[item.step]
            return chunk.met[item] if isinstance(item, Shared) else item

        def of_group(item: Entry | Shared) -> Tensor:
            return formed[item] if isinstance(item, Entry) else chunk.met[item].expand(nodes, -1, -1)

        for index, step in enumerate(self._stack.program.steps):
            if isinstance(step, Apply):
                made.append(step.call(*map(value, step.arguments), **dict(step.options)))
                continue
            out = space.of(index, nodes, chunk.padded)
            if isinstance(step, First):
                base, *slopes = first[index]
                torch.addcmul(base, factors[0], slopes[0], out=out)
                if len(slopes) > 1:
                    out.addcmul_(factors[1], slopes[1])
            elif step.bias is None:
                torch.bmm(of_group(step.weight), made[step.source.step], out=out)
            else:
                source = made[step.source.step]
                torch.baddbmm(of_group(step.bias), of_group(step.weight), source, out=out)
            made.append(out)
        return made[-1]

    def _with_decay(self, means: np.ndarray, at: Tensor) -> np.ndarray:
        """The data's loss and the decay as fields of their own, as a replica makes them."""
        if not self._stack.decay:
            return means
        monomials = torch.cat([torch.ones(len(at), 1, dtype=torch.float64), at], dim=1)
        squares = torch.einsum("ki,ij,kj->k", monomials, self._products, monomials).numpy()
        decay = 0.5 * self._stack.decay * squares
        return np.column_stack([means[:, 0] + decay, means[:, 0], decay, means[:, 1:]])


def _reader(stack: Stack, batch: Batch, padded: int) -> Any:
    """How the fields are read off a group's output: all nodes at once where the loss is known, else one by one."""
    measure, squeezed = stack.measure, stack.program.squeezed
    one_by_one = _one_by_one(measure, batch, squeezed)
    loss = _loss_of_group(measure, batch, padded, squeezed)
    if loss is None:
        return one_by_one
    others = []
    for other in measure.others:
        if other not in (fields.accuracy, fields.error):
            return one_by_one
        others.append(_accuracy_of_group(batch, padded, other is fields.error))

    def read(output: Tensor) -> Tensor:
        columns = [loss(output), *(other(output) for other in others)]
        return torch.stack(columns, dim=1)

    return read


def _one_by_one(measure: PairMeasure, batch: Batch, squeezed: bool) -> Any:
    def read(output: Tensor) -> Tensor:
        rows = []
        for values in output[:, :, : batch.size]:
            own = values[0] if squeezed else values.t().contiguous()
            rows.append([number(field) for field in measure.read(own, batch)[1]])
        return torch.tensor(rows, dtype=torch.float64)

    return read


def _loss_of_group(measure: PairMeasure, batch: Batch, padded: int, squeezed: bool) -> Any:
    """The mean loss of each node, of the output of all; None where the loss is none of the known ones."""
    size, y = batch.size, batch.y
    if not isinstance(y, Tensor) or measure.weigh(batch) != size:
        return None
    if _is_cross_entropy(measure.source) and y.dim() == 1 and y.dtype == torch.int64 and not squeezed:
        if bool((y == fields.IGNORED).any()):
            return None
        targets = F.pad(y, (0, padded - size))[None, None]

        def cross_entropy(output: Tensor) -> Tensor:
            # What F.cross_entropy computes, without its slow way to pick the targets of rows that are columns here.
            chances = torch.log_softmax(output, dim=1)
            each = chances.gather(1, targets.expand(len(output), 1, -1))[:, 0, :size]
            return each.sum(dim=1, dtype=torch.float64) / -size

        return cross_entropy
    if _is_mse(measure.source) and y.dim() == (1 if squeezed else 2) and y.is_floating_point():
        wanted = F.pad(y[None] if squeezed else y.t(), (0, padded - size)).contiguous()

        def mse(output: Tensor) -> Tensor:
            if output.shape[1:] != wanted.shape:  # broadcast, as a loss function would with a warning
                raise Unfit("its targets are of another shape than its output")
            each = (output - wanted).square_()[:, :, :size]
            return each.sum(dim=(1, 2), dtype=torch.float64) / (size * len(wanted))

        return mse
    return None


def _accuracy_of_group(batch: Batch, padded: int, complement: bool) -> Any:
    targets = F.pad(batch.y, (0, padded - batch.size))

    def accuracy(output: Tensor) -> Tensor:
        right = (output.argmax(dim=1) == targets)[:, : batch.size].sum(
            dim=1, dtype=torch.float64
        ) / batch.size
        return 1.0 - right if complement else right

    return accuracy


def _is_known(measure: PairMeasure) -> bool:
    own = any(other not in (fields.accuracy, fields.error) for other in measure.others)
    return not own and (_is_cross_entropy(measure.source) or _is_mse(measure.source))


def _is_cross_entropy(loss: Any) -> bool:
    if type(loss) is nn.CrossEntropyLoss:
        return bool(
            loss.weight is None
            and loss.label_smoothing == 0
            and loss.reduction == "mean"
            and loss.ignore_index == -100
        )
    return loss is F.cross_entropy


def _is_mse(loss: Any) -> bool:
    return loss is F.mse_loss or (type(loss) is nn.MSELoss and loss.reduction == "mean")
