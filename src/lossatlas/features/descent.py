"""Balls: any optimizer, started from a point of the map, with its path and what it had to go by."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lossatlas.features.stepping import (
    Choice,
    Schedule,
    Stepper,
    make_optimizer,
    rate_of,
    title_of,
)
from lossatlas.geometry import Line, Plane, Trajectory, check_point
from lossatlas.geometry.frame import Frame
from lossatlas.geometry.trajectory import Curves
from lossatlas.objective import Objective
from lossatlas.objective.data import Batch
from lossatlas.objective.minibatches import BatchSize, Minibatches

#: A ball has left where its loss has risen by more than so many times the size of the loss at its start.
DIVERGED = 1e6

#: What the parameters of a path may take of memory, in bytes.
MEMORY = 512 << 20

_ORIGIN = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Descent:
    """Where an optimizer went from a point, and what it had to go by there; T points are kept, the first and the last among them.

    name: for a legend. kept: (T,) int64, the steps of the points. points: (T, 2) float64, their places on the plane, on a line with
    b = 0, at these distances, (T,), 0 where the ball was confined to it. slopes: (T, 2), (∂L/∂a, ∂L/∂b) of the loss that the step
    saw; arrows: (T, 2), the part of −g that lies in the plane, as a move along a and b: where plain descent at a rate of 1 would
    go on the map. gradient_norm: (T,), ‖g‖ in all parameters. curves: the loss that each step saw, of
    its batch, and its learning rate; at the end, where no step is taken, the loss of all data, and NaN. trajectory: the
    parameters of the same points, (T, P), with that loss; None where they were not kept.

    start_loss, end_loss: of all data; NaN while it is not known, and at the end where the parameters are not finite. steps: how many
    were taken. diverged: whether the loss or the parameters were no longer finite, or the loss had risen by 10⁶ times its size at the
    start, which ended it. finished: False of one that was cancelled, or is under way. message: how it ended, in words.
    """

    name: str
    kept: np.ndarray
    points: np.ndarray
    distance: np.ndarray
    slopes: np.ndarray
    arrows: np.ndarray
    gradient_norm: np.ndarray
    curves: Curves
    trajectory: Trajectory | None
    start_loss: float
    end_loss: float
    steps: int
    diverged: bool
    finished: bool
    message: str

    @property
    def loss(self) -> np.ndarray:
        """What each kept step saw, (T,)."""
        return self.curves.loss[np.searchsorted(self.curves.steps, self.kept)]

    def __repr__(self) -> str:
        where = f", {self.distance[-1]:.3g} from the plane" if len(self.kept) else ""
        return (
            f"Descent({self.name}: loss {self.start_loss:.6g} to {self.end_loss:.6g}{where}; {self.message})"
        )


class Row(NamedTuple):
    """One kept point of a path. slopes: ∂L/∂a and ∂L/∂b; arrow: −g on the plane, as a move; norm: ‖g‖."""

    step: int
    point: tuple[float, float]
    distance: float
    slopes: tuple[float, float]
    arrow: tuple[float, float]
    norm: float
    theta: Tensor | None


class Drop:
    """A ball dropped at a point: `run` it as a job, look at `rows` and `curve` while it rolls, ask for `descent` at any time.

    at: (a, b) of a plane, a of a line, or a (P,) tensor. optimizer: "sgd", "momentum" (0.9), "nesterov", "adam", "adamw",
    "rmsprop" or any other of torch.optim by name, a class, or a function that makes one of a list of parameters: those of the
    model, in their shapes and order. options: of its class. lr: by default 0.1 of SGD, 0.01 of those that scale each parameter's
    step, 1 of LBFGS, what a function chose of its own. batch_size: samples that each step sees, drawn without replacement within
    an epoch by `seed`; None for all, "own" for the batches that the objective keeps whole. schedule: "cosine" or "linear" down to
    0 over `steps`, a function of the step that gives a factor of lr, or one that makes a torch scheduler of the optimizer.
    confined: move within the slice alone: the optimizer has its orthonormal coordinates, the first along u, so that a step of
    plain descent is the projection of the one in all parameters. every: a point is kept at each so many steps; keep: its
    parameters too.

    A step sees what the objective measures, its weight decay once; an optimizer's own weight decay comes on top. The model's mode is
    the objective's: no dropout, and running statistics stay as they are. Raises TypeError or ValueError, in words, for what
    cannot be rolled.
    """

    @torch.inference_mode(False)
    def __init__(
        self, objective: Objective, where: Plane | Line, at: Any = _ORIGIN, optimizer: Choice = "sgd", *,
        lr: float | None = None, steps: int = 200, batch_size: BatchSize = None, schedule: Schedule = None,
        confined: bool = False, seed: int = 0, every: int = 1, keep: bool = True, name: str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        for what, value in (("steps", steps), ("every", every), ("seed", seed)):
            least = 0 if what == "seed" else 1
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
                raise ValueError(f"{what} is {value!r}. Pass a whole number of at least {least}.")
        rows = int(steps) // int(every) + 2
        size = rows * objective.size * objective.dtype.itemsize
        if keep and size > MEMORY:
            raise ValueError(
                f"The parameters of {rows} points would take {size / 1e6:.0f} MB, more than {MEMORY / 1e6:.0f} MB. Pass every=, "
                f"{math.ceil(int(every) * size / MEMORY)} at least, or keep=False for the path on the plane alone."
            )
        self.objective, self.where, self.confined = objective, where, confined
        self._limit, self._every, self._keep = int(steps), int(every), keep
        self._batches = Minibatches(objective, batch_size, int(seed))
        self._frame = Frame(where)
        self._ground: _Whole | _Confined = _ground(objective, self._frame, at, confined)
        self._here = self._ground.theta()
        self.optimizer = make_optimizer(optimizer, self._ground.leaves, lr, options)
        self._stepper = Stepper(self.optimizer, schedule, self._limit)
        parts = [
            title_of(self.optimizer),
            "" if self.full_batch else f"batch {batch_size}",
            schedule if isinstance(schedule, str) else "scheduled" if schedule is not None else "",
            "confined" if confined else "",
        ]
        self.name = " · ".join(part for part in parts if part) if name is None else name
        self.rows: list[Row] = []
        self.curve: list[tuple[int, float, float]] = []  # step, the loss that it saw, its learning rate
        self.taken = 0
        self.start_loss = self.end_loss = math.nan
        self.diverged = self.finished = False
        self._said = ""

    @property
    def theta(self) -> Tensor:
        """Where the ball is, (P,)."""
        return self._here.clone()

    @property
    def full_batch(self) -> bool:
        """Whether every step sees all data."""
        return self._batches.size is None

    def run(self) -> Generator[None, None, Descent]:
        """All its steps, as a job that yields between chunks and steps. Raises EvaluationError when model or optimizer raise."""
        batches = iter(self._batches)
        if not self.full_batch:
            self.start_loss = yield from self._value(self._here)
        while self.taken < self._limit and not self.diverged:
            yield from self._step(next(batches))
            yield
        if not self.diverged:
            yield from self._rest()
        self.finished = True
        return self.descent()

    def descent(self) -> Descent:
        """What is known by now."""
        rows, curve = list(self.rows), list(self.curve)
        kept = np.array([row.step for row in rows], dtype=np.int64)
        steps, loss, rates = (np.array(column) for column in zip(*curve, strict=True)) if curve else ((),) * 3
        curves = Curves(np.array(steps, dtype=np.int64), np.array(loss, float), np.array(rates, float))
        norms = np.array([row.norm for row in rows])
        return Descent(
            self.name, kept,
            np.array([row.point for row in rows]).reshape(-1, 2), np.array([row.distance for row in rows]),
            np.array([row.slopes for row in rows]).reshape(-1, 2),
            np.array([row.arrow for row in rows]).reshape(-1, 2), norms,
            curves, self._trajectory(rows, curves, norms), self.start_loss, self.end_loss,
            self.taken, self.diverged, self.finished, self._message(),
        )  # fmt: skip

    def _trajectory(self, rows: Sequence[Row], curves: Curves, norms: np.ndarray) -> Trajectory | None:
        thetas = [row.theta for row in rows if row.theta is not None]
        if not thetas:
            return None
        kept = np.array([row.step for row in rows], dtype=np.int64)
        at = np.searchsorted(curves.steps, kept)
        return Trajectory(
            torch.stack(thetas), kept, curves.loss[at], curves.lr[at], {"grad_norm": norms}, self.objective.parameters, curves
        )  # fmt: skip

    def _message(self) -> str:
        count = f"{self.taken} step{'s'[: self.taken != 1]}"
        if self.diverged:
            return f"diverged after {count}: {self._said}"
        return count if self.finished else f"not finished, {count}"

    def _value(self, theta: Tensor) -> Generator[None, None, float]:
        """The loss of all data."""
        with self.objective.replica() as replica:
            replica.buffer.copy_(theta)
            fields = yield from self.objective.evaluate_in(replica, f"after {self.taken} steps")
        return float(fields[0])

    def _step(self, chunks: Sequence[Batch] | None) -> Generator[None, None, None]:
        theta = self._here
        loss, gradient = yield from self.objective.slope_work(theta, chunks)
        if chunks is None and not self.taken:
            self.start_loss = loss
        self._stepper.before(self.taken)
        self.curve.append((self.taken, loss, rate_of(self.optimizer)))
        if self.taken % self._every == 0:
            self._note(theta, gradient)
        if self._has_left(loss):
            self._note(theta, gradient)
            self.end_loss = loss if chunks is None else (yield from self._value(theta))
            return
        self._ground.push(gradient)

        def again() -> Generator[None, None, float]:
            """Where an optimizer has moved to in the middle of a step; it asks first where it is, which is known."""
            here, found = self._ground.theta(), (loss, gradient)
            if not torch.equal(here, theta):
                found = yield from self.objective.slope_work(here, chunks)
            self._ground.push(found[1])
            return found[0]

        yield from self._stepper.step(again)
        self.taken += 1
        self._here = self._ground.theta()
        if not bool(torch.isfinite(self._here).all()):
            self.diverged, self._said = True, "the parameters are not finite"
            self._note(theta, gradient, self.taken - 1)
            return
        self._stepper.after(loss)

    def _rest(self) -> Generator[None, None, None]:
        """The point where the last step ended, on all data."""
        theta = self._here
        self.end_loss, gradient = yield from self.objective.slope_work(theta)
        self.curve.append((self.taken, self.end_loss, math.nan))
        self._note(theta, gradient)
        self._has_left(self.end_loss)

    def _has_left(self, loss: float) -> bool:
        """Note whether a loss says that the ball has gone for good."""
        if not math.isfinite(loss):
            self.diverged, self._said = True, f"the loss is {loss:g}"
        elif loss - self.start_loss > DIVERGED * (abs(self.start_loss) or 1.0):
            self.diverged = True
            self._said = f"the loss is {loss:.3g}, more than 10⁶ times what it was at the start"
        return self.diverged

    def _note(self, theta: Tensor, gradient: Tensor, step: int | None = None) -> None:
        """Keep a point, once."""
        step = self.taken if step is None else step
        if self.rows and self.rows[-1].step == step:
            return
        point, distance = self._ground.place(theta)
        slopes = self._frame.products(gradient)
        self.rows.append(
            Row(
                step, _two(point), distance, _two(slopes), _two(-self._frame.move(slopes)), float(gradient.double().norm()),
                theta.detach().cpu().clone() if self._keep else None,
            )
        )  # fmt: skip


class Drops:
    """Several balls that roll at the same time: `run` them as one job, a piece of each in turn."""

    def __init__(self, drops: Sequence[Drop]) -> None:
        self.drops = tuple(drops)

    def run(self) -> Generator[None, None, tuple[Descent, ...]]:
        """All of them to their ends. Raises what the first one that fails raises."""
        rolling: list[Iterator[None]] = [drop.run() for drop in self.drops]
        while rolling:
            for work in list(rolling):
                try:
                    next(work)
                except StopIteration:
                    rolling.remove(work)
                yield
        return tuple(drop.descent() for drop in self.drops)


class _Whole:
    """A ball in all parameters: one leaf for each tensor of the model."""

    def __init__(self, objective: Objective, frame: Frame, theta: Tensor) -> None:
        self._entries, self._frame = list(objective.parameters), frame
        self.leaves = [nn.Parameter(entry.of(theta).clone()) for entry in self._entries]

    def theta(self) -> Tensor:
        return torch.cat([leaf.detach().reshape(-1) for leaf in self.leaves])

    def push(self, gradient: Tensor) -> None:
        for entry, leaf in zip(self._entries, self.leaves, strict=True):
            leaf.grad = entry.of(gradient)

    def place(self, theta: Tensor) -> tuple[np.ndarray, float]:
        return self._frame.project(theta)


class _Confined:
    """A ball in a slice: one leaf, its orthonormal coordinates x = Qᵀθ, in float64."""

    def __init__(self, frame: Frame, point: Sequence[float]) -> None:
        self._frame = frame
        x = torch.from_numpy(frame.coordinates(np.array(point[: len(frame.r)])))
        self.leaves = [nn.Parameter(x)]
        self._theta = torch.empty_like(frame.where.origin)

    def theta(self) -> Tensor:
        self._frame.where.write(*_two(self._point()), self._theta)
        return self._theta.clone()

    def push(self, gradient: Tensor) -> None:
        self.leaves[0].grad = torch.from_numpy(self._frame.turned(self._frame.products(gradient)))

    def place(self, theta: Tensor) -> tuple[np.ndarray, float]:
        return self._point(), 0.0

    def _point(self) -> np.ndarray:
        return self._frame.point(self.leaves[0].detach().numpy())


def _ground(objective: Objective, frame: Frame, at: Any, confined: bool) -> _Whole | _Confined:
    if isinstance(at, Tensor):
        if confined:
            raise ValueError(
                "confined=True starts in the slice, but at is a tensor of parameters. Pass its place, as in at=(0, 0)."
            )
        theta = objective.checked(at)
        if not bool(torch.isfinite(theta).all()):
            raise ValueError("at holds values that are not finite. Pass finite parameters.")
        return _Whole(objective, frame, theta)
    point = _place(at, frame.where)
    theta = torch.empty_like(frame.where.origin)
    frame.where.write(*point, theta)
    if not bool(torch.isfinite(theta).all()):
        raise ValueError(f"at is {at!r}, where θ is not finite. Pass finite coordinates, closer by.")
    return _Confined(frame, point) if confined else _Whole(objective, frame, theta)


def _place(at: Any, where: Any) -> tuple[float, float]:
    """The coordinates that a user means: two of a plane, one of a line."""
    if isinstance(where, Line):
        try:
            a, *rest = at if isinstance(at, Sequence | np.ndarray) and np.ndim(at) else (at,)
            if any(rest):
                raise ValueError
            point = (float(a), 0.0)
        except (TypeError, ValueError):
            raise ValueError(f"at is {at!r}. Pass a point of the line: a alone.") from None
    else:
        point = check_point("at", at)
    if not all(abs(value) <= where.reach for value in point):  # NaN neither
        raise ValueError(f"at is {at!r}. Pass finite coordinates, at most {where.reach:.2g}.")
    return point


def _two(values: np.ndarray) -> tuple[float, float]:
    return float(values[0]), float(values[1]) if len(values) > 1 else 0.0
