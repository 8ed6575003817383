"""Law 2 over the zoo: values and gradients are those of a plain loop, at the origin and elsewhere."""

from __future__ import annotations

import pytest
import torch

from tests.zoo import normal, plain
from tests.zoo.kinds import ZOO


@pytest.mark.parametrize("name", ZOO)
def test_values_and_gradients_are_those_of_a_plain_loop(name: str) -> None:
    kind = ZOO[name]
    model = kind.build()
    objective = kind.objective(model)
    assert objective.value(objective.theta) == pytest.approx(plain.value(kind, model.eval()), rel=kind.rel)

    point = objective.theta + 0.1 * normal(objective.size, seed=9).to(objective.dtype)
    value, gradient = objective.value(point), objective.gradient(point)
    model = plain.moved(model, point)
    assert value == pytest.approx(plain.value(kind, model), rel=kind.rel)
    expected = plain.gradient(kind, model)
    assert gradient.dtype == objective.dtype
    error = (gradient.double() - expected).norm() / expected.norm()
    assert float(error) < 100 * kind.rel  # sums of terms that cancel
    assert torch.isfinite(gradient).all()
    assert objective.value(point) == objective.values(point[None])[0] == value  # a gradient leaves no trace


def test_the_zoo_is_large_enough() -> None:
    assert len(ZOO) >= 25
    assert sum(name.startswith("transformers") for name in ZOO) >= 3
