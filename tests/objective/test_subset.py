"""Subsets of the data and the loss of each sample: what the standard errors of previews rest on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.objective.subset import SIZES, PerSample, no_subset, subset, weights
from tests.zoo import F, classification, mlp

X, Y = classification(40, dtype=torch.float64)
LOSSES: dict[str, Any] = {
    "a mean": F.cross_entropy,
    "a sum": nn.CrossEntropyLoss(reduction="sum"),
    "one per sample": nn.CrossEntropyLoss(reduction="none"),
    "one that cannot be mapped over samples": lambda output, y: (
        F.cross_entropy(output, y) if y.sum().item() >= 0 else None
    ),
}


def large(samples: int = 3000, **options: Any) -> la.Objective:
    return la.Objective(mlp(6, 5, 3), F.cross_entropy, classification(samples), **options)


@pytest.mark.parametrize("kind", LOSSES)
def test_the_fields_of_each_sample_are_those_of_the_sample_alone(kind: str) -> None:
    model = mlp(6, 5, 3, dtype=torch.float64)
    objective = la.Objective(model, LOSSES[kind], (X, Y), fields=("loss", "accuracy"))
    with objective.replica() as replica:
        (chunk,) = replica.chunks  # type: ignore[attr-defined]
        found = PerSample().read(replica, chunk)  # type: ignore[arg-type]
    output = model(X).detach()
    torch.testing.assert_close(found[:, 0], F.cross_entropy(output, Y, reduction="none"))
    torch.testing.assert_close(found[:, 1], (output.argmax(1) == Y).double())
    assert float(found[:, 0].mean()) == pytest.approx(objective.value(objective.theta), rel=1e-12)


def test_samples_are_drawn_once_each_and_the_smaller_subset_lies_within_the_larger() -> None:
    x, y = torch.arange(3000.0)[:, None].expand(-1, 6).contiguous(), classification(3000)[1]
    objective = la.Objective(mlp(6, 5, 3), F.cross_entropy, [(x[:1700], y[:1700]), (x[1700:], y[1700:])])
    rows = [torch.cat([batch.x[:, 0] for batch in subset(objective, quality)]) for quality in (0, 1)]
    assert [len(part) for part in rows] == [len(set(part.tolist())) for part in rows] == list(SIZES)
    assert set(rows[0].tolist()) < set(rows[1].tolist())
    for quality, part in enumerate(rows):  # inputs and targets still belong together
        chosen = torch.cat([batch.y for batch in subset(objective, quality)])
        assert torch.equal(chosen, y[part.long()])


def test_the_draw_is_the_same_each_time_and_leaves_the_users_stream_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (torch.cat([b.x for b in subset(large(), 0)]) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_where_there_are_no_parts_there_is_no_subset() -> None:
    def reason(objective: la.Objective, quality: int = 0) -> str | None:
        return no_subset(objective, objective.spare_replica(), quality)

    assert reason(large()) is None
    assert reason(large(500)) == "there are only 500 samples"
    assert reason(large(1000), 1) == "there are only 1000 samples"
    assert reason(large(separable=False)) == "its batches are kept whole and in order"
    assert (
        reason(la.Objective.from_function(lambda t: (t**2).sum(), torch.ones(2)))
        == "this is a function without data"
    )
    x, y = classification(3000)
    step = la.Objective.from_step(mlp(6, 3), lambda m, b: F.cross_entropy(m(b[0]), b[1]), (x, y))
    assert reason(step) == "a step knows means over batches only"
    norm = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    assert "estimated over all data" in str(
        reason(la.Objective(norm, F.cross_entropy, (x, y), mode="reestimated"))
    )


def test_samples_count_for_what_the_loss_weighs() -> None:
    objective = large(weight=lambda batch: float(batch.y.double().sum()) + 1.0)
    with objective.replica() as replica:
        assert isinstance(replica.chunks, list)  # type: ignore[attr-defined]
        found = weights(replica, subset(objective, 0))  # type: ignore[arg-type]
    chosen = torch.cat([batch.y for batch in subset(objective, 0)])
    torch.testing.assert_close(found, chosen.double() + 1.0)
