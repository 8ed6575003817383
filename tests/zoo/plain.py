"""Plain loops over the zoo, as a user would write them: they know nothing of the package."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.zoo.kinds import Kind


def moved(model: nn.Module, theta: Tensor) -> nn.Module:
    """The model with a flat vector written into its trainable parameters, in evaluation mode."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    parts = theta.split([p.numel() for p in parameters])
    with torch.no_grad():
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.copy_(part.view_as(parameter))
    return model.eval()


def value(kind: Kind, model: nn.Module) -> float:
    """The mean over samples, accumulated in float64."""
    terms = [float(kind.loss(model, batch).detach()) * kind.size(batch) for batch in kind.batches]
    return sum(terms) / sum(map(kind.size, kind.batches))


def gradient(kind: Kind, model: nn.Module) -> Tensor:
    """Its gradient, accumulated in float64."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    total = torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float64)
    for batch in kind.batches:
        parts = torch.autograd.grad(kind.loss(model, batch), parameters, materialize_grads=True)
        total += kind.size(batch) * torch.cat([part.to_dense().reshape(-1).double() for part in parts])
    return total / sum(map(kind.size, kind.batches))


def state(model: nn.Module) -> dict[str, Any]:
    """Everything of a model that the package must leave alone, as values that compare bit for bit."""
    found: dict[str, Any] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        data = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        found[f"tensor {name}"] = (id(tensor), tensor._version, data.numpy().tobytes())
    for name, parameter in model.named_parameters():
        found[f"grad {name}"] = (
            None if parameter.grad is None else (id(parameter.grad), parameter.grad._version)
        )
        found[f"requires_grad {name}"] = parameter.requires_grad
    for name, part in model.named_modules():
        found[f"module {name}"] = (part.training, type(part), list(vars(part)))
        found[f"hooks {name}"] = (list(part._forward_hooks.values()), list(part._forward_pre_hooks.values()))
    return found
