"""Problems with known answers: symmetries of real models, and what random directions do on average.

Closed forms of slices (quadratics, Rosenbrock, Himmelblau, linear networks) stand in tests/test_landscape.py, those of
directions in tests/geometry; here are the identities that hold at any point of a model, in float64.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from tests.zoo import F, classification, mlp, normal


def rectified() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).double()


def relu_net() -> la.Objective:
    return la.Objective(rectified(), F.cross_entropy, classification(60, dtype=torch.float64))


def flat(objective: la.Objective, **parts: Tensor | float) -> Tensor:
    """A (P,) vector with these values in the named tensors, given as a__b for "a.b", and 0 elsewhere."""
    vector = torch.zeros(objective.size, dtype=torch.float64)
    for name, value in parts.items():
        objective.parameters[name.replace("__", ".").removeprefix(".")].of(vector).copy_(
            torch.as_tensor(value)
        )
    return vector


def test_shifting_all_logits_changes_nothing_however_far() -> None:
    objective = relu_net()
    shift = flat(objective, **{"2__bias": 1.0})
    assert float(objective.gradient(objective.theta) @ shift) == pytest.approx(0, abs=1e-14)
    line = la.Landscape(objective, la.Line(objective.theta, shift))
    values = line.evaluate(np.linspace(-5, 5, 11))
    np.testing.assert_allclose(values, values[5], rtol=1e-13)


def test_the_gradient_has_no_part_along_the_rescaling_of_a_rectified_networks_layers() -> None:
    objective = relu_net()
    theta = objective.theta
    entries = {entry.name: entry.of(theta) for entry in objective.parameters}
    way = flat(
        objective,
        **{"0__weight": entries["0.weight"], "0__bias": entries["0.bias"], "2__weight": -entries["2.weight"]},
    )
    gradient = objective.gradient(theta)
    assert float(gradient @ way) == pytest.approx(0, abs=1e-12 * float(gradient.norm() * way.norm()))

    def rescaled(c: float) -> Tensor:
        scaled = theta.clone()
        for name, factor in (("0.weight", c), ("0.bias", c), ("2.weight", 1 / c)):
            objective.parameters[name].of(scaled).mul_(factor)
        return scaled

    values = objective.values(torch.stack([rescaled(c) for c in (0.25, 1.0, 4.0)]))
    np.testing.assert_allclose(values, values[1], rtol=1e-12)


def test_a_filter_normalised_slice_does_not_see_the_rescaling_and_a_raw_one_does() -> None:
    def model(c: float) -> nn.Module:
        net = rectified()
        with torch.no_grad():
            net[0].weight.mul_(c)
            net[0].bias.mul_(c)
            net[2].weight.div_(c)
        return net

    def slices(normalize: str | None) -> list[np.ndarray]:
        grids = []
        for c in (1.0, 4.0):
            objective = la.Objective(model(c), F.cross_entropy, classification(60, dtype=torch.float64))
            plane = la.Plane.random(objective, seed=1, normalize=normalize)
            grids.append(la.Landscape(objective, plane).grid((-0.5, 0.5, -0.5, 0.5), (5, 5)))
        return grids

    one, other = slices("filter")
    np.testing.assert_allclose(one, other, rtol=1e-10)
    one, other = slices(None)
    assert np.abs(one - other).max() > 1e-2 * np.ptp(one)


def test_the_scale_of_a_weight_in_front_of_batch_norm_does_not_count_under_the_batchs_own_statistics() -> (
    None
):
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first = nn.Linear(6, 5, bias=False)
            self.norm = nn.BatchNorm1d(5, eps=1e-12)
            self.last = nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.tanh(self.norm(self.first(x))))

    def share(mode: str) -> float:
        data = classification(50, dtype=torch.float64)
        objective = la.Objective(Normalised().double(), F.cross_entropy, data, mode=mode)
        entry = objective.parameters["first.weight"]
        theta, gradient = objective.theta, objective.gradient(objective.theta)
        weight, slope = entry.of(theta), entry.of(gradient)
        return float((weight * slope).sum() / (weight.norm() * slope.norm()))

    assert abs(share("batch_stats")) < 1e-9
    assert abs(share("eval")) > 1e-3


def test_the_order_of_the_samples_and_how_they_are_cut_change_nothing() -> None:
    x, y = classification(90, dtype=torch.float64)
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    lists = [[(x, y)], [(x[order], y[order])], [(x[:7], y[:7]), (x[7:40], y[7:40]), (x[40:], y[40:])]]
    values = []
    for data in lists:
        objective = la.Objective(mlp(6, 8, 3, dtype=torch.float64), F.cross_entropy, data)
        values.append(la.Landscape(objective, la.Plane.random(objective)).grid(shape=(3, 3)))
    np.testing.assert_allclose(values[1], values[0], rtol=1e-13)
    np.testing.assert_allclose(values[2], values[0], rtol=1e-13)


def test_the_mean_curvature_along_raw_random_directions_is_the_trace() -> None:
    size, seeds = 30, 400
    diagonal = torch.linspace(-1.0, 3.0, size, dtype=torch.float64)
    objective = la.Objective.from_function(
        lambda t: 0.5 * (diagonal * t**2).sum(), torch.zeros(size, dtype=torch.float64)
    )
    found = []
    for seed in range(seeds):
        direction = normal(size, seed=1000 + seed, dtype=torch.float64)
        line = la.Landscape(objective, la.Line(objective.theta, direction))
        below, here, above = line.evaluate([-1.0, 0.0, 1.0])
        found.append(below - 2 * here + above)  # exact for a quadratic
    error = math.sqrt(2 * float(diagonal.square().sum()) / seeds)
    assert abs(np.mean(found) - float(diagonal.sum())) < 4 * error


def test_a_probe_and_the_caption_agree_with_the_objective() -> None:
    objective = relu_net()
    landscape = la.Landscape(objective, la.Plane.random(objective, seed=2))
    for a, b in ((0.0, 0.0), (0.3, -0.7), (1.5, 2.0)):
        assert landscape.evaluate(a, b) == pytest.approx(objective.value(landscape.plane.at(a, b)), rel=1e-13)
    gradient = objective.gradient(objective.theta)
    share = landscape.plane.share(gradient)
    assert f"{share:.1%} of the length lies in the plane" in landscape.caption()


def test_a_proxy_that_waves_faster_than_the_first_nodes_is_drawn_within_its_stated_error() -> None:
    """w₁² + w₂² + ½ sin 10w₁ cos 10w₂: at the nodes of 3 × 3 and their centres it is a bowl to 0.6 % of its range."""
    objective = la.Objective.from_function(
        lambda t: t[0] ** 2 + t[1] ** 2 + 0.5 * torch.sin(10 * t[0]) * torch.cos(10 * t[1]),
        torch.zeros(2, dtype=torch.float64),
    )
    landscape = la.Landscape(objective, la.Plane(objective.theta, *torch.eye(2, dtype=torch.float64)))
    a, b = np.meshgrid(np.linspace(-2, 2, 257), np.linspace(-2, 2, 257))
    truth = a**2 + b**2 + 0.5 * np.sin(10 * a) * np.cos(10 * b)
    for tolerance in (0.1, 0.01):
        drawn = landscape.map((-2, 2, -2, 2), 257, tolerance)
        assert np.abs(drawn.values - truth).max() <= drawn.error <= tolerance * drawn.range
