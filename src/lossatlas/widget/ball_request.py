"""What a page asks for when it drops a ball, or many at many rates, as values; balls.py and sweeps.py do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossatlas.widget.checked import BadRequest, integer, is_finite, is_integer, pair, show

#: What can be chosen in the page; in Python any optimizer of torch.optim, with all its options.
OPTIMIZERS = (
    "sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "adamax", "asgd", "lbfgs", "nadam",
    "radam", "rprop",
)  # fmt: skip

#: How the rate may go over the steps.
SCHEDULES = ("cosine", "linear")

#: Steps of one ball at most.
MOST_STEPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Balls from a point of the map at many learning rates, please.

    batch_size: None for all data; schedule: None for a rate that stays; confined: they move in the slice alone.
    """

    client: str
    req: int
    epoch: int
    at: tuple[float, float]
    optimizer: str
    steps: int
    batch_size: int | None = None
    schedule: str | None = None
    confined: bool = False
    seed: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """What a `Drop` is to be told of it, but for its point, its optimizer and its rate."""
        return {
            "steps": self.steps, "batch_size": self.batch_size, "schedule": self.schedule, "confined": self.confined,
            "seed": self.seed,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Ball(Sweep):
    """One ball at this rate."""

    lr: float


def parse_ball(message: Mapping[str, Any], client: str) -> Ball:
    """The message as a value. Raises BadRequest, in words, for anything that is none."""
    lr = message.get("lr")
    if not is_finite(lr) or not (rate := float(lr or 0)) > 0:
        raise BadRequest(f"ball.lr is {show(lr)}. Send a learning rate: a finite number above 0.")
    return Ball(lr=rate, **_common(message, client, "ball"))


def parse_sweep(message: Mapping[str, Any], client: str) -> Sweep:
    """The message as a value. Raises BadRequest, in words, for anything that is none."""
    return Sweep(**_common(message, client, "sweep"))


def _common(message: Mapping[str, Any], client: str, what: str) -> dict[str, Any]:
    optimizer, steps, size, schedule, confined, seed = (
        message.get(name) for name in ("optimizer", "steps", "batch_size", "schedule", "confined", "seed")
    )
    if not (isinstance(optimizer, str) and optimizer in OPTIMIZERS):
        raise BadRequest(f"{what}.optimizer is {show(optimizer)}. Send one of {', '.join(OPTIMIZERS)}.")
    if not (is_integer(steps) and 1 <= (count := int(steps or 0)) <= MOST_STEPS):
        raise BadRequest(f"{what}.steps is {show(steps)}. Send a whole number from 1 to {MOST_STEPS}.")
    if size is not None and not (is_integer(size) and size >= 1):
        raise BadRequest(
            f"{what}.batch_size is {show(size)}. Send a whole number of at least 1, or null for all data."
        )
    if schedule is not None and schedule not in SCHEDULES:
        raise BadRequest(
            f"{what}.schedule is {show(schedule)}. Send {' or '.join(SCHEDULES)}, or null for a rate that stays."
        )
    if not isinstance(confined, bool):
        raise BadRequest(f"{what}.confined is {show(confined)}. Send true or false.")
    if not (is_integer(seed) and 0 <= (drawn := int(seed or 0)) < 2**63):
        raise BadRequest(f"{what}.seed is {show(seed)}. Send a whole number from 0 to 2⁶³ − 1.")
    return {
        "client": client, "req": integer(message, "req"), "epoch": integer(message, "epoch"),
        "at": pair(message.get("at"), f"{what}.at"), "optimizer": optimizer, "steps": count, "batch_size": size,
        "schedule": schedule, "confined": confined, "seed": drawn,
    }  # fmt: skip
