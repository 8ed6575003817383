"""Stability: the largest eigenvalue at which an optimizer's steps still come back to a minimum of a quadratic.

On L = ½ θᵀHθ every eigenvector evolves by itself, so that the line is one number: 2 / lr for gradient descent,
(2 + 2β) / lr with a heavy ball (Polyak 1964), (2 + 2β) / ((1 + 2β) lr) with Nesterov's momentum. Full-batch training hovers
at it (Cohen et al. 2021). There is none for mini-batches, whose noise decides, nor for a step that is scaled per parameter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

_NOISE = (
    "{name} on mini-batches has no sharp line: the noise of the batches decides before it. Pass full_batch=True when "
    "every step sees all data."
)
_SCALED = "{name} scales each parameter's step by itself: its line is about the scaled Hessian, not about these eigenvalues."


@dataclass(frozen=True)
class Stability:
    """Where steps stop coming back: `limit` of the largest eigenvalue, or None; `label` its formula; `reason` in words."""

    limit: float | None
    label: str
    reason: str


def stability_of(optimizer: torch.optim.Optimizer, full_batch: bool = False, decay: float = 0.0) -> Stability:
    """The line of an optimizer as it is set now.

    full_batch: whether every step sees all data; decay: λ of ½ λ‖θ‖² that the objective's loss already holds. The
    optimizer's own weight decay adds to every eigenvalue, so that the line is that much lower. Raises TypeError for
    what is no optimizer.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__}. Pass the torch.optim.Optimizer that trains the model."
        )
    name = type(optimizer).__name__
    if type(optimizer) is not torch.optim.SGD:
        return Stability(None, "", _SCALED.format(name=name) if _scales(optimizer) else _unknown(name))
    if not full_batch:
        return Stability(None, "", _NOISE.format(name=name))
    keys = ("lr", "momentum", "dampening", "nesterov", "weight_decay", "maximize")
    groups = [{key: float(group.get(key, 0.0)) for key in keys} for group in optimizer.param_groups]
    if any(group != groups[0] for group in groups):
        rates = ", ".join(sorted({f"{group['lr']:g}" for group in groups}))
        return Stability(
            None, "", f"{len(groups)} groups of parameters are stepped differently (lr {rates}): there is no one line."
        )  # fmt: skip
    return _of_sgd(**groups[0], decay=decay)


def rate_limit(optimizer: torch.optim.Optimizer, sharpness: float, full_batch: bool = False) -> Stability:
    """The same line as a learning rate: `limit` is the largest one whose steps come back where λmax is `sharpness`.

    The optimizer is taken as it is set now, but for its rate; its weight decay adds to λmax. None where there is no line.
    """
    line = stability_of(optimizer, full_batch)
    if line.limit is None:
        return line
    rate, decay = (float(optimizer.param_groups[0][key]) for key in ("lr", "weight_decay"))
    steepest = sharpness + decay
    if not 0 < steepest < math.inf:
        return Stability(
            None,
            "",
            f"λmax is {sharpness:.4g} here: no direction curves upwards, so that no rate is too long a step.",
        )
    limit = (line.limit + decay) * rate / steepest
    of = "(λmax + weight decay)" if decay else "λmax"
    label = line.label.removesuffix(" − weight decay").replace("lr", of)
    words = line.reason.partition(", lr ")[0]
    return Stability(
        limit,
        label,
        f"{words}: with λmax = {sharpness:.4g} at the start, steps of lr beyond {label} = {limit:.4g} do not come back.",
    )


def _of_sgd(
    lr: float, momentum: float, dampening: float, nesterov: float, weight_decay: float, maximize: float, decay: float
) -> Stability:  # fmt: skip
    if maximize:
        return Stability(
            None, "", "SGD goes uphill here (maximize=True): there is no minimum to come back to."
        )
    if lr <= 0 or (momentum and dampening >= 1):
        return Stability(None, "", "The steps take in no gradient (lr 0, or dampening 1): nothing moves.")
    if not momentum:
        limit, label, words = 2.0 / lr, "2 / lr", "gradient descent on all data"
    elif nesterov:
        limit, label = (2.0 + 2.0 * momentum) / ((1.0 + 2.0 * momentum) * lr), "(2 + 2β) / ((1 + 2β) lr)"
        words = f"Nesterov's momentum {momentum:g} on all data"
    else:
        # Dampening shortens every gradient that enters the ball's velocity, as a smaller rate would.
        limit, label = (2.0 + 2.0 * momentum) / (lr * (1.0 - dampening)), "(2 + 2β) / lr"
        label += " / (1 − dampening)" if dampening else ""
        words = f"a heavy ball of momentum {momentum:g} on all data"
    shift = weight_decay - decay
    if shift:
        label += " − weight decay" if shift > 0 else " + weight decay"
    reason = f"{words}, lr {lr:g}: beyond {label} = {limit - shift:.4g} its steps no longer come back"
    return Stability(limit - shift, label, reason + ".")


def _scales(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer is of the family of Adam, RMSprop and Adagrad."""
    names = {kind.__name__ for kind in type(optimizer).__mro__}
    families = ("Adam", "RMSprop", "Adagrad", "Rprop", "Adadelta", "Adafactor", "NAdam", "RAdam")
    return any(name.startswith(families) for name in names)


def _unknown(name: str) -> str:
    return f"No line is known for {name}."


def read(stability: Any) -> Stability:
    """A line as a value: a number is a limit of nobody's. Raises TypeError for anything else."""
    if isinstance(stability, Stability):
        return stability
    if isinstance(stability, int | float) and not isinstance(stability, bool):
        return Stability(float(stability), f"{stability:g}", "")
    raise TypeError(
        f"stability is a {type(stability).__name__}. Pass a number or what stability_of(optimizer) gives."
    )
