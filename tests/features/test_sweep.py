"""Sweeps of the learning rate, and the edge of stability that full-batch training goes to by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from tests.features.test_descent import AT, hessian, net, orthonormal, quadratic
from tests.zoo import mlp, normal


@pytest.mark.parametrize(
    ("optimizer", "factor", "label"),
    [
        ("sgd", 2.0, "2 / λmax"),
        ("momentum", 3.8, "(2 + 2β) / λmax"),
        ("nesterov", 3.8 / 2.8, "(2 + 2β) / ((1 + 2β) λmax)"),
        (lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.5), 3.0, "(2 + 2β) / λmax"),
    ],
)
def test_the_edge_of_a_quadratic_lies_about_the_line(optimizer: Any, factor: float, label: str) -> None:
    landscape = quadratic()
    steepest = float(torch.linalg.eigvalsh(hessian())[-1])
    found = landscape.sweep(AT, optimizer, steps=150)
    assert found.sharpness == pytest.approx(steepest, rel=1e-6)
    assert found.limit == pytest.approx(factor / steepest, rel=1e-6)
    assert found.stability.label == label
    stayed, left = found.edge
    assert stayed is not None
    assert left is not None
    assert stayed < found.limit < left
    assert left / stayed < 1.4
    assert np.array_equal(found.diverged, found.lrs > found.limit)
    assert found.start_loss == pytest.approx(float(landscape.evaluate(*AT)), rel=1e-12)


def test_the_optimizers_own_weight_decay_adds_to_the_curvature_and_the_objectives_is_in_it() -> None:
    steepest = float(torch.linalg.eigvalsh(hessian())[-1])
    found = quadratic().sweep(AT, steps=150, weight_decay=0.8)
    assert found.limit == pytest.approx(2 / (steepest + 0.8), rel=1e-6)
    assert found.stability.label == "2 / (λmax + weight decay)"
    assert np.array_equal(found.diverged, found.lrs > found.limit)
    decayed, plain = net(weight_decay=0.5), net()
    top = plain.spectrum(AT, top=1, bottom=0).eigenvalues[0] + 0.5
    assert decayed.sweep(AT, lrs=[0.1], steps=1).limit == pytest.approx(2 / top, rel=1e-6)


def test_a_confined_sweep_has_the_line_of_the_slice() -> None:
    landscape = quadratic()
    q = orthonormal(landscape)
    found = landscape.sweep(AT, steps=200, confined=True)
    assert found.sharpness == pytest.approx(float(torch.linalg.eigvalsh(q.T @ hessian() @ q)[-1]), rel=1e-10)
    assert np.array_equal(found.diverged, found.lrs > found.limit)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "adam"}, "Adam scales each parameter's step"),
        ({"optimizer": "sgd", "batch_size": 16}, "mini-batches"),
        ({"optimizer": "sgd", "schedule": "cosine"}, "changes along its schedule"),
    ],
)
def test_where_there_is_no_line_a_sweep_says_why_and_runs(options: dict[str, Any], words: str) -> None:
    found = net().sweep(AT, steps=3, **options)
    assert found.limit is None
    assert words in found.stability.reason
    assert len(found.lrs) == 17
    assert np.isfinite(found.end_loss).all()
    assert words in found.figure().layout.xaxis.title.text


def test_where_nothing_curves_upwards_there_is_no_line() -> None:
    hill = la.Objective.from_function(lambda t: -(t @ t), torch.ones(3, dtype=torch.float64))
    e = torch.eye(3, dtype=torch.float64)
    found = la.Landscape(hill, la.Plane(hill.theta, e[0], e[1])).sweep(steps=3)
    assert "no direction curves upwards" in found.stability.reason


def test_a_sweep_keeps_ends_alone_unless_it_is_asked_for_paths() -> None:
    light, whole = (
        net().sweep(AT, lrs=[0.3, 0.1], steps=6, **options) for options in ({}, {"keep": True, "every": 2})
    )
    assert light.lrs.tolist() == [0.1, 0.3]
    assert all(descent.trajectory is None and descent.kept.tolist() == [0, 6] for descent in light.descents)
    assert all(descent.trajectory.steps.tolist() == [0, 2, 4, 6] for descent in whole.descents)
    alone = net().descend(AT, lr=0.3, steps=6)
    assert light.end_loss[1] == alone.end_loss
    assert light.descents[1].points[-1].tolist() == alone.points[-1].tolist()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"lrs": []}, ValueError, "Pass at least one learning rate"),
        ({"lrs": [0.1, -1]}, ValueError, "finite numbers above 0"),
        ({"lrs": [0.1, math.nan]}, ValueError, "finite numbers above 0"),
        ({"lrs": [math.nan, 0.1]}, ValueError, "finite numbers above 0"),
        ({"lrs": 0.1}, ValueError, "Pass learning rates, as in"),
        ({"lrs": "fast"}, ValueError, "Pass learning rates, as in"),
        ({"lr": 0.1}, TypeError, "Pass lrs="),
        ({"optimizer": "nadamw"}, ValueError, "There is no optimizer"),
        ({"at": (math.nan, 0)}, ValueError, "Pass finite coordinates"),
    ],
)
def test_a_wrong_sweep_says_what_to_do(options: dict[str, Any], error: type[Exception], words: str) -> None:
    options = dict(options)
    with pytest.raises(error, match=words):
        quadratic().sweep(options.pop("at", AT), **options)


def test_figures_show_losses_rates_and_the_line() -> None:
    landscape = quadratic()
    stays, leaves = landscape.descend(AT, lr=0.3), landscape.descend(AT, lr=3.0)
    figure = stays.figure(leaves)
    assert [trace.name for trace in figure.data][:2] == [stays.name, leaves.name]
    np.testing.assert_array_equal(figure.data[0].y, stays.curves.loss)
    assert figure.layout.yaxis.type == "log"
    assert figure.data[2].marker.symbol == "x"  # where it ran away
    assert stays.message in stays.figure().layout.title.text
    swept = landscape.sweep(AT, steps=150)
    figure = swept.figure()
    assert figure.data[0].x.tolist() == swept.lrs[~swept.diverged].tolist()
    assert figure.data[1].x.tolist() == swept.lrs[swept.diverged].tolist()
    assert (figure.data[1].y > figure.data[0].y.max()).all()
    assert figure.layout.shapes[1].x0 == swept.limit
    assert "2 / λmax" in [note.text for note in figure.layout.annotations]


def test_the_curvature_of_full_batch_training_rises_to_the_line_and_hovers_there() -> None:
    """Cohen et al. 2021: gradient descent on squared error sharpens until its own rate is the limit."""
    data = (normal(40, 4, dtype=torch.float64), normal(40, 2, seed=1, dtype=torch.float64))
    objective = la.Objective(mlp(4, 24, 24, 2, dtype=torch.float64), nn.MSELoss(), data)
    lr, steps, every = 0.1, 2000, 100
    found = la.Landscape(objective, la.Plane.random(objective)).descend(
        (0, 0), lr=lr, steps=steps, every=every
    )
    assert not found.diverged
    tops, near = [], None
    for theta in found.trajectory.thetas:
        near = objective.spectrum(theta, top=1, bottom=0, near=near, products=40)
        tops.append(float(near.eigenvalues[0]))
    line = 2 / lr
    assert tops[0] < 0.2 * line
    late = np.array(tops[len(tops) // 2 :])
    assert 0.9 * line < np.median(late) < 1.15 * line
    assert late.max() < 1.6 * line
    assert found.end_loss < 0.5 * found.start_loss
