"""The same numbers as loss-landscapes gives on the same directions, where that package is installed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from tests.zoo import F, classification

peer = pytest.importorskip(
    "loss_landscapes", reason="loss-landscapes is not installed: pip install --no-deps loss-landscapes"
)

STEPS = 6


def models() -> tuple[nn.Module, nn.Module, nn.Module]:
    made = []
    for seed in range(3):
        torch.manual_seed(seed)
        made.append(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)))
    return made[0], made[1], made[2]


def metric(data: tuple[Tensor, Tensor]) -> Any:
    return peer.metrics.Loss(F.cross_entropy, *data)


def test_a_line_between_two_models_has_the_peers_values() -> None:
    first, second, _ = models()
    data = classification(200)
    objective = la.Objective(first, F.cross_entropy, data)
    line = la.Landscape(objective, la.Line.between(objective, second))
    theirs = peer.linear_interpolation(copy.deepcopy(first), copy.deepcopy(second), metric(data), steps=STEPS)
    # It takes a step before it looks: its values are those at 1/6 … 6/6.
    np.testing.assert_allclose(line.evaluate(np.arange(1, STEPS + 1) / STEPS), theirs, rtol=1e-5)


def test_a_plane_through_three_models_has_the_peers_values_column_by_column() -> None:
    first, second, third = models()
    data = classification(200)
    objective = la.Objective(first, F.cross_entropy, data)
    landscape = la.Landscape(objective, la.Plane.through(objective, second, third))
    theirs = peer.planar_interpolation(*map(copy.deepcopy, (first, second, third)), metric(data), steps=STEPS)
    for column in range(STEPS):
        # It walks up one column and down the next, and looks after each step: every other column is one step off.
        b = (np.arange(STEPS) + (column % 2 == 0)) / STEPS
        np.testing.assert_allclose(landscape.evaluate(column / STEPS, b), theirs[column], rtol=1e-5)


def test_filter_normalisation_is_the_peers_where_both_mean_the_same() -> None:
    first, second, _ = models()
    objective = la.Objective(first, F.cross_entropy, classification(20))
    start, other = (
        peer.model_interface.model_wrapper.wrap_model(m).get_module_parameters() for m in (first, second)
    )
    direction = torch.cat([p.detach().flatten() for p in second.parameters()])
    other.filter_normalize_(start)
    mine = la.geometry.filter_normalize(direction, objective.theta, objective.parameters)
    weights = [entry for entry in objective.parameters if len(entry.shape) == 2]
    for entry, theirs in zip(weights, [p for p in other.parameters if p.dim() == 2], strict=True):
        torch.testing.assert_close(entry.of(mine), theirs.detach())
    # Biases: the peer moves them as far as they are long, Li et al. leave them where they are.
    assert not any(entry.of(mine).any() for entry in objective.parameters if len(entry.shape) == 1)
