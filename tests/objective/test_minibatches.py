"""Minibatches: what each step of an optimizer sees."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la
from lossatlas import jobs
from lossatlas.objective.data import Batch
from lossatlas.objective.minibatches import Minibatches
from tests.zoo import F, classification, cnn, mlp, normal, whole


def objective(n: int = 60, **options: Any) -> la.Objective:
    return la.Objective(
        mlp(6, 8, 3, dtype=torch.float64),
        F.cross_entropy,
        classification(n, dtype=torch.float64),
        **options,
    )


def rows(chunks: Sequence[Batch] | None) -> Tensor:
    assert chunks is not None
    return torch.cat([chunk.x for chunk in chunks])


def slope(of: la.Objective, chunks: Sequence[Batch] | None = None) -> tuple[float, Tensor]:
    return jobs.call(of.slope_work(of.theta, chunks))


def test_an_epoch_holds_every_sample_once_and_the_next_one_in_another_order() -> None:
    of = objective(50)
    batches = [rows(chunks) for chunks in itertools.islice(Minibatches(of, 16, seed=3), 8)]
    assert [len(batch) for batch in batches] == [16, 16, 16, 2, 16, 16, 16, 2]
    (x,) = (batch.x for batch in of.pool)
    for epoch in (batches[:4], batches[4:]):
        seen = torch.cat(epoch)
        assert torch.equal(seen[seen[:, 0].argsort()], x[x[:, 0].argsort()])
    assert not torch.equal(batches[0], batches[4])


def test_a_seed_draws_the_same_batches_and_another_one_others() -> None:
    of = objective()
    first, again, other = (
        [rows(chunks) for chunks in itertools.islice(Minibatches(of, 7, seed), 12)] for seed in (0, 0, 1)
    )
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_mean_over_an_epochs_gradients_is_the_gradient_of_all_data(decay: float) -> None:
    of = objective(60, weight_decay=decay)
    parts = [slope(of, chunks) for chunks in itertools.islice(Minibatches(of, 12, seed=5), 5)]
    mean = torch.stack([gradient for _, gradient in parts]).mean(dim=0)
    torch.testing.assert_close(mean, of.gradient(of.theta), rtol=1e-12, atol=1e-14)
    assert sum(loss for loss, _ in parts) / 5 == pytest.approx(of.value(of.theta), rel=1e-12)


@pytest.mark.parametrize("mode", ["eval", "batch_stats", "reestimated"])
def test_the_loss_beside_a_gradient_is_the_value(mode: Any) -> None:
    model = cnn().double()
    data = [(normal(9, 1, 8, 8, seed=k, dtype=torch.float64), whole(3, 9, seed=k)) for k in range(3)]
    of = la.Objective(model, F.cross_entropy, data, mode=mode, weight_decay=0.1)
    loss, gradient = slope(of)
    assert loss == pytest.approx(of.value(of.theta), rel=1e-12)
    assert torch.equal(gradient, of.gradient(of.theta))


def test_the_slope_of_a_batch_is_that_of_torch_on_the_same_samples() -> None:
    model = mlp(6, 8, 3, dtype=torch.float64)
    of = la.Objective(model, F.cross_entropy, classification(60, dtype=torch.float64))
    chunks = next(iter(Minibatches(of, 13, seed=2)))
    assert chunks is not None
    expected = F.cross_entropy(model(rows(chunks)), torch.cat([chunk.y for chunk in chunks]))
    loss, gradient = slope(of, chunks)
    assert loss == pytest.approx(float(expected.detach()), rel=1e-13)
    torch.testing.assert_close(
        gradient, torch.cat([g.flatten() for g in torch.autograd.grad(expected, list(model.parameters()))])
    )


def test_all_samples_at_once_are_no_batch() -> None:
    of = objective(20)
    assert next(iter(Minibatches(of, 20))) is None
    assert next(iter(Minibatches(of, None))) is None


def test_own_batches_stay_whole_and_come_in_a_new_order_every_epoch() -> None:
    data = [(normal(4 + k, 1, 8, 8, seed=k, dtype=torch.float64), whole(3, 4 + k, seed=k)) for k in range(5)]
    of = la.Objective(cnn().double(), F.cross_entropy, data, mode="batch_stats")
    sizes = [len(rows(chunks)) for chunks in itertools.islice(iter(Minibatches(of, "own", seed=1)), 10)]
    assert sorted(sizes[:5]) == sorted(sizes[5:]) == [4, 5, 6, 7, 8]
    assert sizes[:5] != sizes[5:]


def test_batches_of_a_step_are_its_own() -> None:
    model, (x, y) = mlp(6, 3, dtype=torch.float64), classification(20, dtype=torch.float64)
    of = la.Objective.from_step(
        model, lambda m, b: F.cross_entropy(m(b[0]), b[1]), DataLoader(TensorDataset(x, y), 8)
    )
    sizes = sorted(chunks[0].size for chunks in itertools.islice(iter(Minibatches(of, "own")), 3) if chunks)
    assert sizes == [4, 8, 8]
    with pytest.raises(ValueError, match='a step says what whole batches measure.*batch_size="own"'):
        Minibatches(of, 4)


def test_data_beyond_the_budget_come_batch_by_batch() -> None:
    x, y = classification(40, dtype=torch.float64)
    of = la.Objective(
        mlp(6, 3, dtype=torch.float64), F.cross_entropy, DataLoader(TensorDataset(x, y), 16), budget=100
    )
    with pytest.raises(ValueError, match='read again in every pass.*batch_size="own"'):
        Minibatches(of, 4)
    batches = [rows(chunks) for chunks in itertools.islice(Minibatches(of, "own"), 6)]
    assert [len(batch) for batch in batches] == [16, 16, 8, 16, 16, 8]
    assert torch.equal(torch.cat(batches[:3]), x)


@pytest.mark.parametrize("size", [0, -1, 61, 2.5, True, "all"])
def test_a_batch_size_that_is_none_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=r"batch_size is .*Pass a whole number from 1 to 60"):
        Minibatches(objective(), size)


def test_where_there_are_no_batches_the_reason_is_said() -> None:
    with pytest.raises(ValueError, match="any samples may stand together"):
        Minibatches(objective(), "own")
    function = la.Objective.from_function(lambda t: (t * t).sum(), torch.ones(3))
    with pytest.raises(ValueError, match="function without data"):
        Minibatches(function, "own")
    net = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    data = [classification(10, seed=k, dtype=torch.float64) for k in range(2)]
    estimated = la.Objective(net, F.cross_entropy, data, mode="reestimated")
    for size in (5, "own"):
        with pytest.raises(ValueError, match="estimated over all data"):
            Minibatches(estimated, size)  # type: ignore[arg-type]
