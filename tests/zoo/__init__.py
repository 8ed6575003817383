"""Small models, data and plain loops that tests share. Everything is made from a seed and touches no global stream."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

F = nn.functional


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers of a generator of their own."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def whole(high: int, *shape: int, seed: int = 0) -> Tensor:
    """Integers in [0, high)."""
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Layers draw their weights from the global stream: give it a seed, and put it back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def mlp(*widths: int, seed: int = 0, dtype: torch.dtype = torch.float32, act: Any = nn.Tanh) -> nn.Sequential:
    """Linear layers with `act` between them."""
    with seeded(seed):
        layers: list[nn.Module] = []
        for inner, outer in itertools.pairwise(widths):
            layers += [nn.Linear(inner, outer), act()]
        return nn.Sequential(*layers[:-1]).to(dtype)


def linear_net(*widths: int, seed: int = 0) -> nn.Sequential:
    """Linear layers and nothing between, no biases, float64."""
    with seeded(seed):
        pairs = itertools.pairwise(widths)
        return nn.Sequential(*(nn.Linear(m, n, bias=False) for m, n in pairs)).double()


def cnn(seed: int = 0) -> nn.Sequential:
    """Convolution, batch norm with statistics that are not the trivial ones, ReLU, pooling, linear: 8 × 8 images."""
    with seeded(seed):
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(),
            nn.Linear(16, 3),
        )  # fmt: skip
    net[1].running_mean.copy_(normal(4, seed=seed + 1) / 4)
    net[1].running_var.copy_(0.5 + normal(4, seed=seed + 2) ** 2)
    return net


def classification(n: int, d: int = 6, classes: int = 3, seed: int = 0, dtype: torch.dtype = torch.float32):
    """Inputs (n, d) and labels (n,)."""
    return normal(n, d, seed=seed, dtype=dtype), whole(classes, n, seed=seed + 1)


def loop(model: nn.Module, loss_fn: Callable[[Any, Any], Any], batches: Iterable[tuple[Any, Any]]) -> float:
    """The plain loop of a user: batch means weighted by batch size, accumulated in float64, in evaluation mode."""
    mode = model.training
    model.eval()
    total, count = 0.0, 0
    for x, y in batches:
        total += number(loss_fn(model(x), y)) * len(y)
        count += len(y)
    model.train(mode)
    return total / count


def load(model: nn.Module, theta: Tensor) -> nn.Module:
    """Write a flat vector into the trainable parameters of a model, by torch's own means."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    nn.utils.vector_to_parameters(theta.to(parameters[0].dtype), parameters)
    return model


def flat(model: nn.Module) -> Tensor:
    """The trainable parameters as one vector, by torch's own means."""
    return nn.utils.parameters_to_vector([p for p in model.parameters() if p.requires_grad]).detach().clone()


def number(value: Any) -> float:
    """A scalar as a float, also one that autograd follows."""
    return float(value.detach())


def himmelblau(t: Tensor) -> Tensor:
    return (t[0] ** 2 + t[1] - 11) ** 2 + (t[0] + t[1] ** 2 - 7) ** 2


def rosenbrock(t: Tensor) -> Tensor:
    return (1 - t[0]) ** 2 + 100 * (t[1] - t[0] ** 2) ** 2


def counting(loss_fn: Callable[[Any, Any], Any]) -> tuple[Callable[[Any, Any], Any], list[int]]:
    """The loss function, and a list that grows by one with every call of it."""
    calls: list[int] = []

    def counted(output: Any, y: Any) -> Any:
        calls.append(1)
        return loss_fn(output, y)

    return counted, calls
