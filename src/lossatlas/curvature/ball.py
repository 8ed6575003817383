"""How much the loss rises in a ball around a point: one step uphill, and the highest point that can be found.

The ball is ‖e‖ ≤ ρ of θ + s ⊙ e: with s = 1 the one of sharpness-aware minimisation (Foret et al. 2021), with s = |θ| the
adaptive one (Kwon et al. 2021), in which a parameter moves in proportion to its size and one that is 0 stays.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from lossatlas import jobs
from lossatlas.objective import Objective

# The gradient of a maximum on the sphere points outwards: how much of it may lie along the sphere.
_ALONG = 1e-4

# The first step, in radii: so long that little but the gradient's direction is left after the projection.
_FIRST = 8.0

# A step that does not lead up is cut to one part of so many; one that did at once is lengthened as much.
_CUT = 4.0

# A step that had to be cut to this share of the radius leads nowhere.
_SHORTEST = 1e-3


class Ball:
    """The points θ + s ⊙ e with ‖e‖ ≤ radius of an objective; theta: (P,); scale: s, (P,), or None for 1."""

    def __init__(
        self, objective: Objective, theta: Tensor, radius: float, scale: Tensor | None = None
    ) -> None:
        self.objective, self.radius = objective, radius
        self.theta, self._scale = theta.double(), None if scale is None else scale.double()

    def scaled(self, e: Tensor) -> Tensor:
        """s ⊙ e, (P,) float64: where e leads, and how a gradient by θ becomes one by e."""
        return e.double() if self._scale is None else self._scale * e.double()

    def loss(self, e: Tensor) -> Generator[None, None, float]:
        """The loss at θ + s ⊙ e, over all data."""
        return (yield from loss_at(self.objective, self._at(e)))

    def slope(self, e: Tensor) -> Generator[None, None, Tensor]:
        """The gradient by e, (P,) float64, over all data."""
        return self.scaled((yield from self.objective.gradient_work(self._at(e))))

    def uphill(self, gradient: Tensor) -> Tensor | None:
        """ρ s⊙g / ‖s⊙g‖, where one step from the centre ends; None where that is undefined."""
        slope = self.scaled(gradient)
        length = float(slope.norm())
        return slope * (self.radius / length) if 0.0 < length < math.inf else None

    def highest(
        self, centre: float, starts: Sequence[Tensor], steps: int
    ) -> Generator[None, None, tuple[float, int]]:
        """The largest loss that projected gradient ascent finds from some starts, and how many points were not numbers.

        centre: the loss at θ, which lies in the ball. At most `steps` gradients a start. It is a value of the loss
        in the ball, so a lower bound of its maximum.
        """
        found = yield from jobs.gather([self._climb(start, steps) for start in starts])
        numbers = [value for value in found if not math.isnan(value)]
        return max([centre, *numbers]), len(found) - len(numbers)

    def _climb(self, e: Tensor, steps: int) -> Generator[None, None, float]:
        """The loss where a climb from e ends: at a stationary point, after `steps`, or where it is not finite."""
        value = yield from self.loss(e)
        if not math.isfinite(value):
            return value
        step = _FIRST * self.radius
        for _ in range(steps):
            slope = yield from self.slope(e)
            length = float(slope.norm())
            if not 0.0 < length < math.inf or self._is_stationary(e, slope / length):
                return value
            longest = step
            while True:
                trial = self._inside(e + slope * (step / length))
                found = yield from self.loss(trial)
                if found > value:
                    break
                step /= _CUT
                if step < _SHORTEST * self.radius:
                    return value
            e, value = trial, found
            if step == longest:
                step *= _CUT
        return value

    def _is_stationary(self, e: Tensor, direction: Tensor) -> bool:
        """Whether nothing is to be gained on the sphere: the unit gradient points outwards there."""
        radius = float(e.norm())
        if radius < self.radius * (1.0 - 1e-9) or radius == 0.0:
            return False
        outward = float(direction @ e) / radius
        return outward > 0.0 and float((direction - e * (outward / radius)).norm()) <= _ALONG

    def _inside(self, e: Tensor) -> Tensor:
        length = float(e.norm())
        return e * (self.radius / length) if length > self.radius else e

    def _at(self, e: Tensor) -> Tensor:
        return (self.theta + self.scaled(e)).to(self.objective.dtype)


def loss_at(objective: Objective, theta: Tensor) -> Generator[None, None, float]:
    """The exact loss at theta, (P,), as a job that yields between chunks. Raises EvaluationError when the model raises."""
    with objective.replica() as replica:
        replica.buffer.copy_(theta)
        return float((yield from objective.evaluate_in(replica, "near the point"))[0])


def unit_draw(size: int, seed: int, index: int) -> Tensor:
    """z ~ N(0, I), (P,) float64 on the CPU: the same for a seed and index, whoever asks and in which order."""
    generator = torch.Generator().manual_seed(0x5AA7 + 1_000_003 * seed + index)
    return torch.randn(size, generator=generator, dtype=torch.float64)
