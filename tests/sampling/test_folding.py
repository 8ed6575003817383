"""Normalisation by running statistics folded into the layer before it: the same function, or the model as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas.objective.replica import ModelReplica
from lossatlas.sampling.strategies.folding import Plan, plan_of
from lossatlas.sampling.strategies.program import Unfit
from lossatlas.sampling.strategies.strategy import plain, rearranged
from tests.sampling.test_strategies import values
from tests.zoo import F, normal, whole

IMAGES = normal(40, 3, 8, 8, dtype=torch.float64)
LABELS = whole(3, 40)


class Residual(nn.Module):
    """Two branches that meet, and what was rectified is used once more."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.Conv2d(6, 6, 3, padding=1)
        self.one, self.two = nn.BatchNorm2d(6), nn.BatchNorm2d(6, affine=False)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.one(self.first(x)))
        return self.out(F.relu(h + self.two(self.second(h))).mean((2, 3)))


class InFunctions(nn.Module):
    """Layers in no class of torch's: parameters and buffers of its own, called as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(0.3 * torch.randn(4, 3, 3, 3))
        self.gain, self.shift = nn.Parameter(torch.rand(4) + 0.5), nn.Parameter(torch.randn(4))
        self.register_buffer("mean", torch.randn(4))
        self.register_buffer("var", torch.rand(4) + 0.5)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.conv2d(x, self.kernel, stride=2)
        h = F.batch_norm(h, self.mean, self.var, weight=self.gain, bias=self.shift, eps=1e-3)
        return self.out(torch.relu(h).amax((2, 3)))


class TwoWays(nn.Module):
    """Goes one of two ways, by what it sees; only one of them was recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layer(x)
        h = torch.tanh(h) + self.norm(h) if float(self.layer.bias.detach()[0]) > 0 else self.norm(h)
        return h.mean((2, 3))


MODELS: dict[str, tuple[Callable[[], nn.Module], Tensor, int]] = {
    "residual": (Residual, IMAGES, 2),
    "in functions": (InFunctions, IMAGES, 1),
    "rows": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)), normal(40, 6, dtype=torch.float64), 1,
    ),
    "signals": (
        lambda: nn.Sequential(nn.Conv1d(3, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3)),
        normal(40, 3, 12, dtype=torch.float64), 1,
    ),
    "groups": (
        lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6), nn.Flatten(), nn.Linear(6 * 36, 3)), IMAGES, 1,
    ),
}  # fmt: skip


def objective_of(make: Callable[[], nn.Module], x: Tensor = IMAGES, freeze: str = "") -> la.Objective:
    torch.manual_seed(0)
    model = make().double()
    for name, tensor in [*model.named_buffers(), *model.named_parameters()]:
        if tensor.is_floating_point() and tensor.dim() == 1:
            with torch.no_grad():  # as if trained
                tensor.copy_(torch.rand(tensor.shape) + (0.5 if "var" in name else -0.3))
        if freeze and name.startswith(freeze):
            tensor.requires_grad_(False)
    return la.Objective(model, F.cross_entropy, (x, LABELS), fields=("loss", "accuracy"))


def plan(objective: la.Objective) -> Plan:
    replica = objective.spare_replica()
    assert isinstance(replica, ModelReplica)
    return plan_of(replica)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_a_folded_model_has_the_plain_strategys_values(name: str, channels_last: bool) -> None:
    make, x, folds = MODELS[name]
    subject = objective_of(make, x)
    assert len(plan(subject).folds) == folds
    plane = la.Plane.random(subject)
    strategy = rearranged(subject, subject.held or (), 16, channels_last, folded=True)
    np.testing.assert_allclose(values(strategy, plane), values(plain(subject), plane), rtol=1e-11)
    assert "batch norm folded" in strategy.identity


@pytest.mark.parametrize("freeze", ["0", "1"])
def test_a_frozen_layer_or_normalisation_is_folded_too(freeze: str) -> None:
    make, x, _ = MODELS["groups"]
    subject = objective_of(make, x, freeze)
    plane = la.Plane.random(subject)
    found = values(rearranged(subject, subject.held or (), folded=True), plane)
    np.testing.assert_allclose(found, values(plain(subject), plane), rtol=1e-11)


REFUSED: dict[str, Callable[[], nn.Module]] = {
    "nothing to fold": lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(192, 3)),
    "the normalisation comes first": lambda: nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.Flatten(), nn.Linear(192, 3)
    ),
    "statistics of the batch": lambda: nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Linear(192, 3)
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_folded_says_so(name: str) -> None:
    torch.manual_seed(0)
    subject = la.Objective(REFUSED[name]().double(), F.cross_entropy, (IMAGES, LABELS), separable=True)
    with pytest.raises(Unfit, match="no layer is followed by a normalisation"):
        plan(subject)


def test_a_layer_whose_result_is_used_twice_is_left_alone() -> None:
    class Twice(TwoWays):
        def forward(self, x: Tensor) -> Tensor:
            h = self.layer(x)
            return (h + self.norm(h)).mean((2, 3))

    with pytest.raises(Unfit):
        plan(objective_of(Twice))


def test_where_the_model_goes_another_way_it_is_run_as_it_is() -> None:
    subject = objective_of(TwoWays)
    assert len(plan(subject).folds) == 1
    bias = next(entry for entry in subject.parameters if entry.name == "layer.bias")
    u, v = torch.zeros(2, subject.size, dtype=torch.float64)
    bias.of(u)[0], v[0] = 1.0, 1.0
    plane = la.Plane(subject.theta, u, v)
    strategy = rearranged(subject, subject.held or (), folded=True)
    found, expected = values(strategy, plane), values(plain(subject), plane)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_the_probe_tries_folding_on_what_was_fastest() -> None:
    make, x, _ = MODELS["residual"]
    subject = objective_of(make, x.repeat(2, 1, 1, 1)[:40])
    report = la.Landscape(subject, la.Plane.random(subject)).report()
    assert "batch norm folded: " in report
    assert "batch norm folded: not used" not in report
