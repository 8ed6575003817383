"""The line of stability, against the optimizers themselves: they are run just below it and just above."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lossatlas as la

pytestmark = pytest.mark.statistics


def grows(curvature: float, decay: float = 0.0, **options: Any) -> bool:
    """Whether torch's SGD, with full batches, runs away from the minimum of ½ (curvature + decay) x²."""
    x = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([x], **options)
    sizes = []
    for _ in range(4000):
        x.grad = (curvature + decay) * x.detach()
        optimizer.step()
        sizes.append(abs(float(x.detach())))
    return max(sizes[-200:]) > max(sizes[:200])


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"lr": 0.1}, 20.0),
        ({"lr": 0.1, "momentum": 0.9}, 38.0),
        ({"lr": 0.1, "momentum": 0.9, "nesterov": True}, 38.0 / 2.8),
        ({"lr": 0.1, "momentum": 0.5, "dampening": 0.5}, 60.0),
        ({"lr": 0.1, "weight_decay": 3.0}, 17.0),
        ({"lr": 0.1, "momentum": 0.9, "weight_decay": 3.0}, 35.0),
    ],
)
def test_the_line_is_where_the_optimizer_itself_turns_unstable(options: dict[str, Any], limit: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], **options)
    found = la.stability_of(optimizer, full_batch=True)
    assert found.limit == pytest.approx(limit)
    # 1 % beyond, an amplitude grows by at least 0.1 % a step: e⁴ in 4000 steps.
    assert not grows(0.99 * limit, **options)
    assert grows(1.01 * limit, **options)


def test_decay_that_the_objective_holds_is_not_counted_twice() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1, weight_decay=3.0)
    assert la.stability_of(optimizer, full_batch=True, decay=3.0).limit == pytest.approx(20.0)
    assert "weight decay" in la.stability_of(optimizer, full_batch=True).label


@pytest.mark.parametrize(
    ("make", "full_batch", "words"),
    [
        (lambda p: torch.optim.SGD(p, lr=0.1), False, "mini-batches"),
        (lambda p: torch.optim.Adam(p, lr=0.1), True, "scales each parameter"),
        (lambda p: torch.optim.AdamW(p, lr=0.1), True, "scales each parameter"),
        (lambda p: torch.optim.RMSprop(p, lr=0.1), True, "scales each parameter"),
        (lambda p: torch.optim.LBFGS(p), True, "No line is known for LBFGS"),
        (lambda p: torch.optim.SGD(p, lr=0.1, maximize=True), True, "uphill"),
        (lambda p: torch.optim.SGD(p, lr=0.0), True, "nothing moves"),
        (
            lambda p: torch.optim.SGD([{"params": [p[0]], "lr": 0.1}, {"params": [p[1]], "lr": 0.2}]),
            True,
            "lr 0.1, 0.2",
        ),
    ],
)
def test_where_there_is_no_line_the_reason_is_said(make: Any, full_batch: bool, words: str) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(3))]
    found = la.stability_of(make(parameters), full_batch=full_batch)
    assert found.limit is None
    assert words in found.reason


def test_what_is_no_optimizer_is_refused() -> None:
    with pytest.raises(TypeError, match="Pass the torch.optim.Optimizer"):
        la.stability_of(0.1)  # type: ignore[arg-type]


def test_a_figure_shows_the_line() -> None:
    found = la.Objective.from_function(lambda t: (t**2).sum(), torch.zeros(3).double()).spectrum()
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1)
    figure = found.figure(stability=la.stability_of(optimizer, full_batch=True))
    assert [shape.x0 for shape in figure.layout.shapes] == [0.0, 20.0]
    assert "2 / lr" in [note.text for note in figure.layout.annotations]
    assert [shape.x0 for shape in found.figure(stability=7).layout.shapes] == [0.0, 7.0]
    assert [shape.x0 for shape in found.figure(stability=la.stability_of(optimizer)).layout.shapes] == [0.0]
    with pytest.raises(TypeError, match="Pass a number"):
        found.figure(stability="fast")
