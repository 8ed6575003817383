from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.geometry.directions import typical_length
from tests.zoo import F, classification, flat, mlp

X, Y = classification(20)


def trained(kind: Any, steps: int = 3, **options: Any) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = mlp(6, 5, 3)
    optimizer = kind(model.parameters(), **options)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(X), Y).backward()
        optimizer.step()
    return model, optimizer


def objective_of(model: nn.Module) -> la.Objective:
    return la.Objective(model, F.cross_entropy, (X, Y))


def unit(vector: torch.Tensor) -> torch.Tensor:
    return vector / vector.norm()


def test_momentum_is_the_running_sum_of_gradients() -> None:
    expected, model = torch.zeros(53), mlp(6, 5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(X), Y).backward()
        expected = 0.9 * expected + torch.cat([p.grad.flatten() for p in model.parameters()])
        optimizer.step()
    o = objective_of(model)
    direction = la.Direction.momentum(o, optimizer)
    torch.testing.assert_close(unit(direction.vector), unit(expected), rtol=1e-4, atol=1e-6)
    assert float(direction.vector.norm()) == pytest.approx(typical_length(o), rel=1e-5)
    assert direction.name == "momentum of SGD"


def test_adams_direction_is_the_step_that_it_took_last() -> None:
    model, optimizer = trained(torch.optim.Adam, 4, lr=1e-3)
    before, _ = trained(torch.optim.Adam, 3, lr=1e-3)
    step = flat(before) - flat(model)
    direction = la.Direction.adam(objective_of(model), optimizer, model)
    # The step is lr times the direction; the difference of two points in float32 keeps four digits.
    torch.testing.assert_close(unit(direction.vector), unit(step), rtol=1e-2, atol=1e-4)
    assert la.Direction.momentum(objective_of(model), optimizer).name == "momentum of Adam"


def test_two_parts_of_one_optimizers_state_make_a_plane() -> None:
    model, optimizer = trained(torch.optim.AdamW)
    o = objective_of(model)
    plane = la.Plane.along(
        o, la.Direction.momentum(o, optimizer), la.Direction.adam(o, optimizer), orthogonal=True
    )
    assert abs(plane.angle - 90) < 1e-3


def test_tensors_are_matched_by_name_and_those_of_nobody_stay() -> None:
    model = mlp(6, 5, 3)
    optimizer = torch.optim.SGD([model[2].bias, model[0].weight], lr=0.1, momentum=0.9)
    F.cross_entropy(model(X), Y).backward()
    optimizer.step()
    o = objective_of(model)
    parts = o.parameters.unflatten(la.Direction.momentum(o, optimizer, model).vector)
    for name, parameter in model.named_parameters():
        if name in ("2.bias", "0.weight"):
            torch.testing.assert_close(unit(parts[name].flatten()), unit(parameter.grad.flatten()))
        else:
            assert not parts[name].any()
    with pytest.raises(ValueError, match="The 2 tensors of SGD are not the 4 of the objective.*Pass model="):
        la.Direction.momentum(o, optimizer)


def test_taking_the_state_leaves_the_optimizer_alone() -> None:
    model, optimizer = trained(torch.optim.Adam)
    before = [state["exp_avg"].clone() for state in optimizer.state.values()]
    la.Direction.adam(objective_of(model), optimizer)
    assert all(torch.equal(a, s["exp_avg"]) for a, s in zip(before, optimizer.state.values(), strict=True))


def stateless(kind: Any, **options: Any) -> Any:
    model, optimizer = trained(kind, 0, **options)
    return objective_of(model), optimizer


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "no step yet": (
        lambda: la.Direction.momentum(*stateless(torch.optim.SGD, lr=0.1, momentum=0.9)), ValueError,
        "SGD has no momentum for '0.weight'. Take its state after training: use momentum=0.9 and take a step",
    ),
    "no momentum": (
        lambda: la.Direction.momentum(objective_of(mlp(6, 5, 3)), trained(torch.optim.SGD, lr=0.1)[1]), ValueError,
        "SGD has no momentum for '0.weight'",
    ),
    "not Adam": (
        lambda: la.Direction.adam(objective_of(mlp(6, 5, 3)), trained(torch.optim.SGD, lr=0.1, momentum=0.9)[1]), ValueError,
        "SGD has no Adam moments for '0.weight'.*use Adam or AdamW",
    ),
    "no optimizer": (
        lambda: la.Direction.momentum(objective_of(mlp(6, 5, 3)), "adam"), TypeError, "optimizer is a str. Pass a torch.optim",
    ),
    "another model": (
        lambda: la.Direction.momentum(objective_of(mlp(6, 5, 3)), trained(torch.optim.Adam)[1], mlp(6, 4, 3)), ValueError,
        "model, a Sequential, has other trainable parameters than the objective",
    ),
    "another model's": (
        lambda: la.Direction.momentum(objective_of(mlp(6, 5, 3)), trained(torch.optim.Adam)[1], mlp(6, 5, 3)), ValueError,
        "Adam moves no parameter of this objective",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_an_optimizer_that_knows_nothing_is_named(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()
