"""Subsets of the data and the loss of each sample: what the standard errors of previews rest on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.objective.subset import SIZES, PerBatch, PerSample, Subset, subset
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


def drawn(objective: la.Objective, quality: int = 0) -> Subset:
    found = subset(objective, objective.spare_replica(), quality)
    assert isinstance(found, Subset)
    return found


def large(samples: int = 3000, **options: Any) -> la.Objective:
    return la.Objective(mlp(6, 5, 3), F.cross_entropy, classification(samples), **options)


@pytest.mark.parametrize("kind", LOSSES)
def test_the_fields_of_each_sample_are_those_of_the_sample_alone(kind: str) -> None:
    model = mlp(6, 5, 3, dtype=torch.float64)
    objective = la.Objective(model, LOSSES[kind], (X, Y), fields=("loss", "accuracy"))
    with objective.replica() as replica:
        (chunk,) = replica.chunks  # type: ignore[attr-defined]
        found, weights = PerSample().read(replica, chunk)  # type: ignore[arg-type]
    output = model(X).detach()
    torch.testing.assert_close(found[:, 0], F.cross_entropy(output, Y, reduction="none"))
    torch.testing.assert_close(found[:, 1], (output.argmax(1) == Y).double())
    assert weights.tolist() == [1.0] * 40
    assert float(found[:, 0].mean()) == pytest.approx(objective.value(objective.theta), rel=1e-12)


def test_samples_are_drawn_once_each_and_the_smaller_subset_lies_within_the_larger() -> None:
    x, y = torch.arange(3000.0)[:, None].expand(-1, 6).contiguous(), classification(3000)[1]
    objective = la.Objective(mlp(6, 5, 3), F.cross_entropy, [(x[:1700], y[:1700]), (x[1700:], y[1700:])])
    rows = [torch.cat([batch.x[:, 0] for batch in drawn(objective, quality).batches]) for quality in (0, 1)]
    assert [len(part) for part in rows] == [len(set(part.tolist())) for part in rows] == list(SIZES)
    assert set(rows[0].tolist()) < set(rows[1].tolist())
    for quality, part in enumerate(rows):  # inputs and targets still belong together
        chosen = torch.cat([batch.y for batch in drawn(objective, quality).batches])
        assert torch.equal(chosen, y[part.long()])


def test_the_draw_is_the_same_each_time_and_leaves_the_users_stream_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (torch.cat([b.x for b in drawn(large()).batches]) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def by_steps(batches: int, size: int = 40) -> la.Objective:
    x, y = classification(batches * size)
    data = list(zip(x.split(size), y.split(size), strict=True))
    return la.Objective.from_step(
        mlp(6, 3), lambda m, b: {"loss": F.cross_entropy(m(b[0]), b[1]), "weight": len(b[1])}, data
    )


def test_a_step_is_sampled_in_whole_batches_as_many_as_hold_enough_samples() -> None:
    objective = by_steps(200)
    few, more = drawn(objective, 0), drawn(objective, 1)
    assert (few.unit, few.size, few.population) == ("batches", 16, 200)  # 640 samples
    assert few.words == "16 of 200 batches"
    assert (more.size, sum(batch.size for batch in more.batches)) == (64, 2560)
    assert drawn(by_steps(300, 10), 0).size == 52  # 520 samples
    assert {id(batch) for batch in few.batches} < {id(batch) for batch in more.batches}
    with objective.replica() as replica:
        values, weights = PerBatch().read(replica, few.batches[0])  # type: ignore[arg-type]
        replica.hold(few.batches[:1])  # type: ignore[attr-defined]
    assert values.shape == (1, 1)
    assert weights.tolist() == [40.0]


def test_where_there_are_no_parts_there_is_no_subset() -> None:
    def reason(objective: la.Objective, quality: int = 0) -> Any:
        return subset(objective, objective.spare_replica(), quality)

    assert reason(large(500)) == "there are only 500 samples"
    assert reason(large(1000), 1) == "there are only 1000 samples"
    assert reason(large(separable=False)) == "its batches are kept whole and in order"
    assert (
        reason(la.Objective.from_function(lambda t: (t**2).sum(), torch.ones(2)))
        == "this is a function without data"
    )
    assert reason(by_steps(16)) == "there are only 16 batches"
    assert reason(by_steps(50), 1) == "there are only 50 batches"
    norm = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    estimated = la.Objective(norm, F.cross_entropy, classification(3000), mode="reestimated")
    assert "estimated over all data" in reason(estimated)


def test_samples_count_for_what_the_loss_weighs() -> None:
    objective = large(weight=lambda batch: float(batch.y.double().sum()) + 1.0, separable=True)
    batches, reader = drawn(objective).batches, PerSample()
    with objective.replica() as replica:
        found = torch.cat([reader.read(replica, batch)[1] for batch in batches])  # type: ignore[arg-type]
    torch.testing.assert_close(found, torch.cat([batch.y for batch in batches]).double() + 1.0)
