"""The loss of each sample: what a standard error will rest on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import lossatlas as la
from tests.zoo import F, classification, mlp

X, Y = classification(40, dtype=torch.float64)
LOSSES: dict[str, Any] = {
    "a mean": F.cross_entropy,
    "a sum": nn.CrossEntropyLoss(reduction="sum"),
    "one per sample": nn.CrossEntropyLoss(reduction="none"),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_the_loss_of_each_sample_is_that_of_the_sample_alone(kind: str) -> None:
    model = mlp(6, 5, 3, dtype=torch.float64)
    objective = la.Objective(model, LOSSES[kind], (X, Y))
    with objective.replica() as replica:
        (chunk,) = replica.chunks
        losses = replica.per_sample(chunk)
    torch.testing.assert_close(losses, F.cross_entropy(model(X), Y, reduction="none").detach())
    assert float(losses.mean()) == pytest.approx(objective.value(objective.theta), rel=1e-12)


def test_a_step_knows_means_only() -> None:
    objective = la.Objective.from_step(
        mlp(6, 3, dtype=torch.float64), lambda m, b: F.cross_entropy(m(b[0]), b[1]), (X, Y)
    )
    with objective.replica() as replica:
        assert replica.per_sample(replica.chunks[0]) is None
