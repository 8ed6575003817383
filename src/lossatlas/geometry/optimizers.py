"""What an optimizer has gathered while training: its momentum, and the step that Adam makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas.geometry.vectors import checked_vector
from lossatlas.objective import Objective
from lossatlas.objective.parameters import trainable

#: What torch's optimizers call their running mean of gradients.
_MOMENTUM = ("momentum_buffer", "exp_avg")


def momentum_of(objective: Objective, optimizer: Any, model: nn.Module | None) -> Tensor:
    """The running mean of gradients, (P,): momentum_buffer of SGD, exp_avg of Adam and its relatives."""

    def momentum(state: Mapping[str, Any], group: Mapping[str, Any]) -> Tensor | None:
        return next((state[key] for key in _MOMENTUM if state.get(key) is not None), None)

    return _gather(objective, optimizer, model, momentum, "momentum", "use momentum=0.9 and take a step")


def adam_of(objective: Objective, optimizer: Any, model: nn.Module | None) -> Tensor:
    """Adam's step before the learning rate, (P,): m̂ / (√v̂ + ε), Kingma and Ba 2015, algorithm 1."""

    def step(state: Mapping[str, Any], group: Mapping[str, Any]) -> Tensor | None:
        if state.get("exp_avg") is None or state.get("exp_avg_sq") is None:
            return None
        count, (beta1, beta2) = float(state["step"]), group["betas"]
        first = state["exp_avg"] / (1 - beta1**count)
        second = state["exp_avg_sq"] / (1 - beta2**count)
        return first / (second.sqrt() + group["eps"])

    return _gather(objective, optimizer, model, step, "Adam moments", "use Adam or AdamW and take a step")


def _gather(
    objective: Objective,
    optimizer: Any,
    model: nn.Module | None,
    of: Callable[[Mapping[str, Any], Mapping[str, Any]], Tensor | None],
    what: str,
    cure: str,
) -> Tensor:
    """The state of every tensor in one vector; zero for tensors that this optimizer does not move."""
    name = type(optimizer).__name__
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"optimizer is a {name}. Pass a torch.optim.Optimizer.")
    result = torch.zeros(objective.size, dtype=objective.dtype, device=objective.device)
    moved = False
    for entry, parameter, group in _matched(objective, optimizer, model):
        found = of(optimizer.state.get(parameter, {}), group)
        if found is None:
            raise ValueError(
                f"{name} has no {what} for {entry.name!r}. Take its state after training: {cure}."
            )
        entry.of(result).copy_(found.detach())
        moved = True
    if not moved:
        raise ValueError(f"{name} moves no parameter of this objective. Pass the optimizer of this model.")
    vector = checked_vector(f"The {what} of {name}", result, copied=False)
    if not vector.any():
        raise ValueError(f"The {what} of {name} are zero: they point nowhere. Take its state while training.")
    return vector


def _matched(
    objective: Objective, optimizer: torch.optim.Optimizer, model: nn.Module | None
) -> Iterator[tuple[Any, Tensor, Mapping[str, Any]]]:
    space = objective.parameters
    groups = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    if model is not None:
        named = dict(trainable(model))
        if [(name, tuple(p.shape)) for name, p in named.items()] != [(e.name, e.shape) for e in space]:
            raise ValueError(
                f"model, a {type(model).__name__}, has other trainable parameters than the objective. Pass the model "
                "that the objective was made of."
            )
        yield from ((e, named[e.name], groups[named[e.name]]) for e in space if named[e.name] in groups)
        return
    ordered = [parameter for parameter in groups if parameter.requires_grad]
    if [tuple(parameter.shape) for parameter in ordered] != [entry.shape for entry in space]:
        raise ValueError(
            f"The {len(ordered)} tensors of {type(optimizer).__name__} are not the {len(space)} of the objective in their "
            "order. Pass model=, so that they are matched by name."
        )
    yield from ((e, p, groups[p]) for e, p in zip(space, ordered, strict=True))
