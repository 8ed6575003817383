"""What a page asks for when it drops a ball, as a value; balls.py does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lossatlas.widget.checked import BadRequest, integer, is_finite, is_integer, pair, show

#: What can be chosen in the page; in Python any optimizer of torch.optim.
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop")

#: Steps of one ball at most.
MOST_STEPS = 10_000


@dataclass(frozen=True)
class Ball:
    """A ball at a point of the map, please. batch_size: None for all data; confined: it moves in the slice alone."""

    client: str
    req: int
    epoch: int
    at: tuple[float, float]
    optimizer: str
    lr: float
    steps: int
    batch_size: int | None = None
    confined: bool = False
    seed: int = 0


def parse_ball(message: Mapping[str, Any], client: str) -> Ball:
    """The message as a value. Raises BadRequest, in words, for anything that is none."""
    optimizer, lr, steps, size, confined, seed = (
        message.get(name) for name in ("optimizer", "lr", "steps", "batch_size", "confined", "seed")
    )
    if not (isinstance(optimizer, str) and optimizer in OPTIMIZERS):
        raise BadRequest(f"ball.optimizer is {show(optimizer)}. Send one of {', '.join(OPTIMIZERS)}.")
    if not is_finite(lr) or not (rate := float(lr or 0)) > 0:
        raise BadRequest(f"ball.lr is {show(lr)}. Send a learning rate: a finite number above 0.")
    if not (is_integer(steps) and 1 <= (count := int(steps or 0)) <= MOST_STEPS):
        raise BadRequest(f"ball.steps is {show(steps)}. Send a whole number from 1 to {MOST_STEPS}.")
    if size is not None and not (is_integer(size) and size >= 1):
        raise BadRequest(
            f"ball.batch_size is {show(size)}. Send a whole number of at least 1, or null for all data."
        )
    if not isinstance(confined, bool):
        raise BadRequest(f"ball.confined is {show(confined)}. Send true or false.")
    if not (is_integer(seed) and 0 <= (drawn := int(seed or 0)) < 2**63):
        raise BadRequest(f"ball.seed is {show(seed)}. Send a whole number from 0 to 2⁶³ − 1.")
    return Ball(
        client, integer(message, "req"), integer(message, "epoch"), pair(message.get("at"), "ball.at"), optimizer,
        rate, count, size, confined, drawn,
    )  # fmt: skip
