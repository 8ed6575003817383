"""Loaders: read once and kept up to a budget, read again beyond it; shuffling and augmentation found out and said."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import lossatlas as la
from lossatlas.objective import loading, progress
from tests.zoo import F, classification, cnn, flat, mlp, normal, whole

FLOAT64 = 1e-12
X, Y = classification(70, dtype=torch.float64)


class Counted(Dataset):
    """Samples that are counted as they are read."""

    def __init__(self, noise: Any = lambda: 0.0) -> None:
        self.reads, self.noise = 0, noise

    def __len__(self) -> int:
        return 70

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        return X[index] + self.noise(), Y[index]


class Lines(IterableDataset):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X, Y, strict=True))


class Own:
    """A loader of the user's own kind."""

    def __iter__(self) -> Iterator[Any]:
        return iter(zip(X.split(16), Y.split(16), strict=True))


def net() -> nn.Sequential:
    return mlp(6, 8, 3, dtype=torch.float64)


def step(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


LOADERS = {
    "by index": lambda: DataLoader(Counted(), batch_size=16),
    "shuffled": lambda: DataLoader(Counted(), batch_size=16, shuffle=True),
    "with a generator": lambda: DataLoader(
        Counted(), batch_size=16, shuffle=True, generator=torch.Generator()
    ),
    "in a row": lambda: DataLoader(Lines(), batch_size=16),
    "of batches": lambda: DataLoader(list(Own()), batch_size=None),
    "tensors": lambda: DataLoader(TensorDataset(X, Y), batch_size=16, drop_last=False),
    "of the user's own kind": Own,
}


@pytest.mark.parametrize("mode", ["eval", "reestimated"])
@pytest.mark.parametrize("kind", LOADERS)
def test_a_loader_beyond_the_budget_has_the_values_of_one_that_is_kept(kind: str, mode: str) -> None:
    model = (
        net()
        if mode == "eval"
        else nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    )
    kept = la.Objective(model, F.cross_entropy, LOADERS[kind](), mode=mode)
    streamed = la.Objective(model, F.cross_entropy, LOADERS[kind](), mode=mode, budget=1000)
    point = kept.theta + 0.1
    assert streamed.value(point) == pytest.approx(kept.value(point), rel=FLOAT64)
    assert streamed.value(point) == streamed.value(point)
    assert streamed.samples == kept.samples == 70
    assert any("larger than the budget" in note for note in streamed.notes)
    assert not any("budget" in note for note in kept.notes)
    if mode == "eval":
        torch.testing.assert_close(streamed.gradient(point), kept.gradient(point), rtol=1e-10, atol=1e-13)
    again = la.Objective(model, F.cross_entropy, LOADERS[kind](), mode=mode, budget=1000)
    assert again.hash == streamed.hash
    assert again.value(point) == streamed.value(point)


def test_a_step_streams_too_and_renewing_reads_the_first_batch_alone() -> None:
    model, data = net(), Counted()
    objective = la.Objective.from_step(model, step, DataLoader(data, batch_size=16), budget=0)
    kept = la.Objective.from_step(model, step, DataLoader(data, batch_size=16))
    assert objective.value(objective.theta) == kept.value(kept.theta)
    reads = data.reads
    again = objective.renewed()
    assert data.reads == reads + 16  # the first look, at the first batch
    assert again.hash == objective.hash


def test_what_fits_is_read_once_and_never_again() -> None:
    model, data = net(), Counted()
    objective = la.Objective(model, F.cross_entropy, DataLoader(data, batch_size=16))
    reads = data.reads
    assert reads <= 70 + 2 * 8  # once, and a few samples twice to see whether they are augmented
    objective.values(objective.theta.repeat(3, 1))
    objective.renewed()
    assert data.reads == reads


def test_the_map_of_streamed_data_is_computed_by_several_threads_and_leaves_the_streams_alone() -> None:
    objective = la.Objective(net(), F.cross_entropy, LOADERS["shuffled"](), budget=0)
    state = torch.get_rng_state()
    landscape = la.Landscape(objective, la.Plane.random(objective))
    values = landscape.grid(shape=(3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert values[0, 0] == landscape.evaluate(-1, -1)


def test_shuffling_and_augmenting_loaders_are_said() -> None:
    plain, shuffled, augmented = (
        la.Objective(net(), F.cross_entropy, loader).notes
        for loader in (
            LOADERS["by index"](), LOADERS["shuffled"](), DataLoader(Counted(random.random), batch_size=16),
        )
    )  # fmt: skip
    assert plain == ()
    assert shuffled == (loading.SHUFFLES,)
    assert augmented == (loading.AUGMENTS,)


NOISE = {
    "torch": lambda: torch.rand(()).double(),
    "numpy": lambda: np.random.rand(),  # noqa: NPY002
    "python": random.random,
}


@pytest.mark.parametrize("kind", NOISE)
def test_augmentation_that_would_be_another_one_in_every_pass_is_refused(kind: str) -> None:
    loader = DataLoader(Counted(NOISE[kind]), batch_size=16)
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())  # noqa: NPY002
    with pytest.raises(
        ValueError, match=r"more than the budget of 0.001 MB.*shuffles or augments.*larger budget="
    ):
        la.Objective(net(), F.cross_entropy, loader, budget=1000)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before[1:]  # noqa: NPY002


def test_data_that_change_later_are_noticed() -> None:
    x = X.clone()
    loader = DataLoader(TensorDataset(x, Y), batch_size=16)
    objective = la.Objective(net(), F.cross_entropy, loader, budget=0)
    objective.value(objective.theta)
    x[40] += 1
    with pytest.raises(
        la.EvaluationError, match="Batch 2 of the loader is not what it was when the map was made"
    ):
        objective.value(objective.theta)


def test_a_loss_that_cannot_be_cut_streams_the_users_batches() -> None:
    weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 5.0, 0.2]))
    kept = la.Objective(net(), weighted, LOADERS["by index"]())
    streamed = la.Objective(net(), weighted, LOADERS["by index"](), budget=0)
    assert not streamed.separable
    assert streamed.value(flat(net())) == kept.value(flat(net()))


def test_tokens_are_counted_batch_by_batch() -> None:
    y = whole(3, 70)
    y[:30] = -100
    loader = DataLoader(TensorDataset(X, y), batch_size=16)
    kept, streamed = (
        la.Objective(net(), F.cross_entropy, loader, weight="tokens", budget=budget) for budget in (1e9, 0)
    )
    assert streamed.value(kept.theta) == pytest.approx(kept.value(kept.theta), rel=FLOAT64)


def test_images_from_workers_are_read_in_the_same_order() -> None:
    data = TensorDataset(normal(20, 1, 8, 8), whole(3, 20))
    one, two = (
        la.Objective(
            cnn(), F.cross_entropy, DataLoader(data, batch_size=4, shuffle=True, num_workers=workers)
        )
        for workers in (0, 1)
    )
    assert one.hash == two.hash


def test_reading_that_takes_long_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    for kind, words in (
        ("by index", "batch 1 of 5,"),
        ("a stream", "1 batch,"),
        ("their own", "batch 1 of 2,"),
    ):
        loader = {
            "by index": LOADERS["by index"],
            "a stream": lambda: DataLoader(Streamed(), batch_size=16),
            "their own": Sized,
        }[kind]
        monkeypatch.setattr(progress, "QUIET", -1.0)
        la.Objective(net(), F.cross_entropy, loader())
        said = capsys.readouterr().err
        assert "lossatlas: reading the data" in said
        assert words in said
        monkeypatch.setattr(progress, "QUIET", 60.0)
        la.Objective(net(), F.cross_entropy, loader())
        assert capsys.readouterr().err == ""


class Streamed(IterableDataset):
    """Samples that come one by one; nobody knows how many."""

    def __iter__(self) -> Iterator[Any]:
        return zip(X, Y, strict=True)


class Sized:
    """A loader of one's own that knows its length."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[Any]:
        return iter([(X[:35], Y[:35]), (X[35:], Y[35:])])


def test_batches_of_changing_structure_are_refused_in_words() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            return self.net(x)

    batches = [({"x": X}, Y), ({"x": X, "mask": Y}, Y)]
    with pytest.raises(
        ValueError, match=r"Batch 1 of data has another structure than batch 0: x \{x: tensor, mask"
    ):
        la.Objective(Named(), F.cross_entropy, batches)


@pytest.mark.parametrize("budget", [-1, "much", float("nan")])
def test_a_budget_is_a_number_of_bytes(budget: Any) -> None:
    with pytest.raises(ValueError, match="Pass how many bytes"):
        la.Objective(net(), F.cross_entropy, (X, Y), budget=budget)
