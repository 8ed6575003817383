"""A model's calls done otherwise: the same function in fewer passes over memory, or the model as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas.objective.replica import ModelReplica
from lossatlas.sampling.strategies.program import Unfit
from lossatlas.sampling.strategies.rewriting import Plan, Pool, plan_of
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
    strategy = rearranged(subject, subject.held or (), 16, channels_last, rewritten=True)
    np.testing.assert_allclose(values(strategy, plane), values(plain(subject), plane), rtol=1e-11)
    assert "batch norm folded" in strategy.identity


@pytest.mark.parametrize("freeze", ["0", "1"])
def test_a_frozen_layer_or_normalisation_is_folded_too(freeze: str) -> None:
    make, x, _ = MODELS["groups"]
    subject = objective_of(make, x, freeze)
    plane = la.Plane.random(subject)
    found = values(rearranged(subject, subject.held or (), rewritten=True), plane)
    np.testing.assert_allclose(found, values(plain(subject), plane), rtol=1e-11)


REFUSED: dict[str, Callable[[], nn.Module]] = {
    "windows that overlap": lambda: nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.MaxPool2d(3, 2, padding=1), nn.Flatten(), nn.Linear(48, 3)
    ),
    "windows over the edge": lambda: nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.MaxPool2d(3, ceil_mode=True), nn.Flatten(), nn.Linear(27, 3)
    ),
    "nothing to fold": lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(192, 3)),
    "the normalisation comes first": lambda: nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.Flatten(), nn.Linear(192, 3)
    ),
    "statistics of the batch": lambda: nn.Sequential(
        nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Linear(192, 3)
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_otherwise_says_so(name: str) -> None:
    torch.manual_seed(0)
    subject = la.Objective(REFUSED[name]().double(), F.cross_entropy, (IMAGES, LABELS), separable=True)
    with pytest.raises(Unfit, match="it has no layer before a normalisation"):
        plan(subject)


class Shown(nn.Module):
    """What was rectified is pooled, and looked at once more."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.out = nn.Conv2d(3, 4, 3), nn.Linear(4 * 9, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.layer(x))
        return self.out(F.max_pool2d(h, 2).flatten(1)) + h.mean((1, 2, 3))[:, None]


# The model, its data, the windows, and how many rectifiers come after them.
POOLED: dict[str, tuple[Callable[[], nn.Module], Tensor, list[tuple[int, ...]], int]] = {
    "pairs": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(5, 3)),
        IMAGES, [(2, 2), (2, 2)], 2,
    ),
    "a rest is left out": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.MaxPool2d((3, 2)), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)), IMAGES, [(3, 2)], 0,
    ),
    "after a normalisation": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(16, 3)),
        IMAGES, [(4, 4)], 1,
    ),
    "signals": (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.MaxPool1d(3), nn.Flatten(), nn.Linear(12, 3)),
        normal(40, 3, 12, dtype=torch.float64), [(3,)], 1,
    ),
    "volumes": (
        lambda: nn.Sequential(nn.Conv3d(1, 4, 1), nn.Tanh(), nn.MaxPool3d(2), nn.Flatten(), nn.Linear(32, 3)),
        normal(40, 1, 4, 4, 4, dtype=torch.float64), [(2, 2, 2)], 0,
    ),
    "looked at once more": (Shown, IMAGES, [(2, 2)], 0),
}  # fmt: skip


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("name", POOLED)
def test_pooling_by_whole_tensors_has_the_plain_strategys_values(name: str, channels_last: bool) -> None:
    make, x, windows, rectified = POOLED[name]
    subject = objective_of(make, x)
    found = plan(subject)
    assert [pool.windows for pool in found.pools.values()] == windows
    assert len(found.put_off) == rectified
    plane = la.Plane.random(subject)
    strategy = rearranged(subject, subject.held or (), 16, channels_last and x.dim() == 4, rewritten=True)
    np.testing.assert_allclose(values(strategy, plane), values(plain(subject), plane), rtol=1e-11)
    assert "pooled by whole tensors" in strategy.identity


def test_what_is_pooled_is_the_same_bit_for_bit_also_where_it_is_no_number() -> None:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(3, 5, 9, 7, generator=generator)
    x[0, 0, 0, 0], x[1, 2, 4, 4], x[2, 1, 3, 3] = torch.nan, torch.inf, -torch.inf
    for layout in (torch.contiguous_format, torch.channels_last):
        given = x.contiguous(memory_format=layout)
        for windows in ((2, 2), (3, 2), (1, 7)):
            expected = F.max_pool2d(given, windows)
            assert torch.equal(Pool(windows, None).of(given).nan_to_num(9e9), expected.nan_to_num(9e9))
            rectified = F.max_pool2d(F.relu(given), windows)
            assert torch.equal(Pool(windows, 0).of(given).nan_to_num(9e9), rectified.nan_to_num(9e9))
        assert torch.equal(given.nan_to_num(9e9), x.nan_to_num(9e9))  # what was given stays as it was


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
    strategy = rearranged(subject, subject.held or (), rewritten=True)
    found, expected = values(strategy, plane), values(plain(subject), plane)
    np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_the_probe_tries_it_on_what_was_fastest() -> None:
    make, x, _ = MODELS["residual"]
    subject = objective_of(make, x.repeat(2, 1, 1, 1)[:40])
    report = la.Landscape(subject, la.Plane.random(subject)).report()
    assert "rewritten: " in report
    assert "rewritten: not used" not in report
