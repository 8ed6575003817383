"""Newton's method on the norm of a gradient: it ends at minima, saddles and maxima alike.

A step p makes ‖g + H p‖ small, so that ½‖g‖² falls along it whatever the signs of H's eigenvalues (Newton-MR: Roosta, Liu,
Xu & Mahoney 2018). A radius of trust keeps the search near where it started, and backtracking makes every step pay. Downhill,
for minima alone, a step lowers the model of the loss instead (Gould, Lucidi, Roma & Toint 1999).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

#: A gradient is 0 when its norm is so many times what rounding makes of it.
ENOUGH = 10.0

#: Why a search ended. "stuck": no step lowers ‖g‖; "slow": the last ones hardly did.
Ending = Literal["converged", "stuck", "slow", "steps", "products", "not finite", ""]

# So near, in roundings of the gradient, the rounding is measured anew at every point.
_NEAR = 1e4

# The share of the promised decrease of ½‖g‖² that a step must bring (Armijo 1966).
_DECREASE = 1e-4

# What may be left of a gradient, as a share, after the first steps; less later, so that the end is fast.
_LEFT = 0.3

# Steps in which ‖g‖ must fall by a thousandth.
_PATIENCE, _GAIN = 10, 1e-3

# A curvature below so many roundings of the largest is none.
_ROUNDINGS = 32.0

# A loss is known to so many roundings.
_UNSEEN = 64.0

# Trials along a step: each halves it at least.
_TRIALS = 40


@dataclass(frozen=True, eq=False)
class Step:
    """A step p (n,) from x, and what it promises.

    slope: of ½‖g‖² along it, ⟨H p, g⟩; left: ‖g + H p‖; drop: of the loss along it, ⟨g, p⟩; gain: what the loss falls by
    in the quadratic model; bounded: whether the radius holds it.
    """

    p: Tensor
    slope: float
    left: float
    drop: float
    gain: float
    bounded: bool


class Field(Protocol):
    """A gradient g as a function of x, (n,), with its derivative H; what takes time is a job that yields between chunks."""

    @property
    def left(self) -> int:
        """Products with H that may still be taken."""
        ...

    @property
    def epsilon(self) -> float:
        """The rounding of one number, relative."""
        ...

    def gradient(self, x: Tensor) -> Generator[None, None, Tensor]:
        """g at x, (n,) float64."""
        ...

    def value(self, x: Tensor) -> Generator[None, None, float]:
        """The loss at x."""
        ...

    def arrive(self, x: Tensor) -> None:
        """Note that the search goes on from x, where the gradient was asked for last."""
        ...

    def rounding(self, x: Tensor, gradient: Tensor) -> Generator[None, None, float]:
        """What ‖g‖ cannot get below at x."""
        ...

    def step(
        self,
        x: Tensor,
        gradient: Tensor,
        radius: float,
        wanted: float,
        rounding: float,
        downhill: bool = False,
    ) -> Generator[None, None, Step | None]:
        """A step of at most `radius` that leaves `wanted` of ‖g‖, or what it can; None where H is not finite."""
        ...


@dataclass(eq=False)
class Walk:
    """A search for a zero of a field from x, (n,): what it has come to, at any time."""

    field: Field
    x: Tensor
    radius: float
    downhill: bool = False
    loss: float = math.nan
    norm: float = math.nan
    rounding: float = math.nan
    steps: int = 0
    ending: Ending = ""

    def run(self, steps: int) -> Generator[None, None, None]:
        """At most so many steps, until `ending` says why there are no more."""
        gradient = yield from self.field.gradient(self.x)
        self.field.arrive(self.x)
        self.norm, self.loss = _norm(gradient), (yield from self.field.value(self.x))
        if not (math.isfinite(self.norm) and math.isfinite(self.loss)):
            self.ending = "not finite"
            return
        self.rounding = yield from self.field.rounding(self.x, gradient)
        norms = [self.norm]
        while True:
            if self.norm <= _NEAR * self.rounding:
                self.rounding = yield from self.field.rounding(self.x, gradient)
            if self.ended(steps, norms):
                return
            fall = 1.0 if len(norms) < 2 else norms[-1] / norms[-2]
            step = yield from self.field.step(
                self.x, gradient, self.radius, min(_LEFT, fall**1.5), self.rounding, self.downhill
            )
            if step is None:
                self.ending = "not finite"
                return
            found = yield from self._taken(step)
            if found is None:
                self.rounding = yield from self.field.rounding(self.x, gradient)
                self.ending = "converged" if self.norm <= ENOUGH * self.rounding else "stuck"
                return
            gradient = found
            norms.append(self.norm)
            self.steps += 1
            yield

    def ended(self, steps: int, norms: list[float]) -> bool:
        """Whether there is a reason to end, noted as `ending`."""
        if self.norm <= ENOUGH * self.rounding:
            self.ending = "converged"
        elif self.steps >= steps:
            self.ending = "steps"
        elif self.field.left <= 0:
            self.ending = "products"
        elif (
            not self.downhill and len(norms) > _PATIENCE and norms[-1] > (1.0 - _GAIN) * norms[-1 - _PATIENCE]
        ):
            self.ending = "slow"
        return bool(self.ending)

    def _taken(self, step: Step) -> Generator[None, None, Tensor | None]:
        """Go along a step as far as it pays; the gradient there, or None where it pays nowhere."""
        length, share = _norm(step.p), 1.0
        # A loss tells nothing of a fall that is smaller than its own rounding: ½‖g‖² does.
        unseen = _UNSEEN * self.field.epsilon * abs(self.loss)
        for _ in range(_TRIALS):
            there = (self.x.double() + share * step.p.double()).to(self.x.dtype)
            if torch.equal(there, self.x):
                return None
            gradient = yield from self.field.gradient(there)
            norm, loss = _norm(gradient), (yield from self.field.value(there))
            by_loss = self.downhill and -share * step.drop > unseen
            before, after = (self.loss, loss) if by_loss else (0.5 * self.norm**2, 0.5 * norm**2)
            slope = step.drop if by_loss else step.slope
            if (
                after <= before + _DECREASE * share * slope
                and math.isfinite(norm)
                and (not self.downhill or loss <= self.loss + unseen)
            ):
                promised = step.gain if by_loss else before - 0.5 * step.left**2
                self._trust(step, share, length, (before - after) / promised if promised > 0 else 1.0)
                self.x, self.norm, self.loss = there, norm, loss
                self.field.arrive(there)
                return gradient
            # The least value of the parabola through what is known.
            bend = 2.0 * (after - before - share * slope)
            best = -slope * share**2 / bend if math.isfinite(bend) and bend > 0 else 0.0
            share = min(max(best, 0.1 * share), 0.5 * share)
            yield
        return None

    def _trust(self, step: Step, share: float, length: float, kept: float) -> None:
        """Widen the radius where a step that it bounded kept its promise, narrow it where one did not."""
        if share < 1.0:
            self.radius = share * length
        elif kept < 0.25:
            self.radius = 0.5 * length
        elif step.bounded and kept > 0.5:
            self.radius *= 2.0


def shortest(matrix: np.ndarray, target: np.ndarray, radius: float, enough: float) -> tuple[np.ndarray, bool]:
    """The shortest y with ‖M y + t‖ ≤ enough; where none within the radius has it, the best within; whether that bounds it.

    M: (m, n), t: (m,). Both are y = −(MᵀM + μ)⁻¹ Mᵀ t of some μ ≥ 0 (Moré 1978): a direction that M hardly sees is followed
    no further than it pays.
    """
    # By torch, which keeps to the one thread of a worker.
    left, sigma, right = (
        part.numpy() for part in torch.linalg.svd(torch.as_tensor(matrix), full_matrices=False)
    )
    along = left.T @ target
    largest = float(sigma.max(initial=0.0))
    # Beyond rounding a singular value is nothing.
    seen = sigma > np.finfo(float).eps * largest
    if not seen.any():
        return np.zeros(matrix.shape[1]), False
    outside = math.sqrt(max(0.0, float(target @ target - along[seen] @ along[seen])))
    sigma, along, right = sigma[seen] / largest, along[seen], right[seen]
    room = radius * largest

    def length(mu: float) -> float:
        return float(np.linalg.norm(sigma / (sigma**2 + mu) * along))

    def remains(mu: float) -> float:
        return math.hypot(outside, float(np.linalg.norm(mu / (sigma**2 + mu) * along)))

    bounded = length(0.0) > room
    strict = _crossing(lambda mu: length(mu) <= room) if bounded else 0.0
    # The largest multiplier that still leaves little enough.
    lax = _crossing(lambda mu: remains(mu) > enough) if remains(0.0) <= enough else 0.0
    mu = max(strict, lax)
    y: np.ndarray = -(right.T @ (sigma / (sigma**2 + mu) * along)) / largest
    return y, bounded and strict >= lax


def lowest(values: np.ndarray, target: np.ndarray, radius: float, nothing: float) -> tuple[np.ndarray, bool]:
    """The y of at most `radius` at which tᵀy + ½ Σ λ y² is least, (k,); whether the radius holds it.

    y = −t / (λ + μ) with μ ≥ 0 large enough for all to curve up (Moré & Sorensen 1983). What is flat and has a slope of at
    most `nothing` is left alone.
    """
    scale = float(np.abs(values).max(initial=0.0))
    y = np.zeros(len(values))
    seen = (np.abs(values) > _ROUNDINGS * np.finfo(float).eps * scale) | (np.abs(target) > nothing)
    if not seen.any():
        return y, False
    curves, slopes = values[seen], target[seen]
    bottom = int(np.argmin(curves))
    least = max(0.0, -float(curves[bottom]))
    if float(curves[bottom]) > 0 and np.linalg.norm(slopes / curves) <= radius:
        y[seen] = -slopes / curves
        return y, False
    unit = max(scale, float(np.linalg.norm(slopes)) / radius)

    def at(share: float) -> np.ndarray:
        found: np.ndarray = -slopes / (curves + least + unit * share)
        return found

    found = at(_crossing(lambda share: bool(np.linalg.norm(at(share)) <= radius)))
    # Where the slope has nothing along the bottom, it is the radius that is used up there.
    missing = math.sqrt(max(0.0, radius**2 - float(found @ found)))
    if curves[bottom] < 0 and missing > 0.1 * radius:
        found[bottom] += math.copysign(missing, found[bottom])
    y[seen] = found
    return y, True


def _crossing(passed: Callable[[float], bool]) -> float:
    """Where a condition on a multiplier begins to hold, by bisection of its logarithm."""
    low, high = -36.0, 36.0
    for _ in range(60):
        middle = (low + high) / 2
        if passed(10.0**middle):
            high = middle
        else:
            low = middle
    return float(10.0**high)


def _norm(vector: Tensor) -> float:
    return float(vector.double().norm())
