from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lossatlas.objective.data import Batch, chunk_rows, merge
from lossatlas.objective.probes import probe_of
from lossatlas.objective.reading import read
from tests.zoo import classification, normal, whole

CPU = torch.device("cpu")


def resident(data: Any, dtype: torch.dtype = torch.float32) -> list[Batch]:
    return list(read(data, device=CPU, dtype=dtype)[0])


def test_a_pair_is_one_batch_and_a_list_of_pairs_as_many() -> None:
    x, y = classification(10)
    assert [batch.size for batch in resident((x, y))] == [10]
    assert [batch.size for batch in resident([x, y])] == [10]
    assert [batch.size for batch in resident([(x[:6], y[:6]), (x[6:], y[6:])])] == [6, 4]


def test_data_are_copied_so_that_later_changes_of_the_users_are_not_seen() -> None:
    x, y = np.ones((4, 2), dtype=np.float32), torch.zeros(4)
    (batch,) = resident((x, y))
    x[:], y[:] = 5.0, 5.0
    assert batch.x.unique().item() == 1.0
    assert batch.y.unique().item() == 0.0


def test_floating_data_get_the_models_dtype_and_integers_keep_theirs() -> None:
    (batch,) = resident((np.zeros((4, 2)), np.zeros(4, dtype=np.int64)))
    assert (batch.x.dtype, batch.y.dtype) == (torch.float32, torch.int64)
    (batch,) = resident((np.zeros((4, 2), dtype=np.uint8), [0.5, 1.5, 2.5, 3.5]))
    assert (batch.x.dtype, batch.y.dtype) == (torch.uint8, torch.float32)


@pytest.mark.parametrize("view", ["reversed", "read-only", "transposed", "unsigned"])
def test_any_numpy_array_will_do(view: str) -> None:
    x = np.arange(12.0).reshape(4, 3)
    if view == "reversed":
        x = x[::-1]
    elif view == "read-only":
        x.flags.writeable = False
    elif view == "transposed":
        x = x.T[:, :3].T
    else:
        x = x.astype(np.uint16)
    (batch,) = resident((x, np.zeros(len(x))))
    assert batch.x.tolist() == x.tolist()


class Pairs(Dataset):
    """Samples of two inputs and a target: a DataLoader hands the inputs on as a list."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Any:
        return (torch.full((2,), float(index)), torch.full((2,), -float(index))), index


def test_several_inputs_out_of_a_data_loader_stay_several() -> None:
    batches = resident(DataLoader(Pairs(), batch_size=4))
    assert [len(batch.x) for batch in batches] == [2, 2]
    assert batches[0].x[1].tolist() == [[-0.0] * 2, [-1.0] * 2, [-2.0] * 2, [-3.0] * 2]


def test_a_shuffled_loader_is_read_in_the_same_order_whatever_was_drawn_before() -> None:
    x, y = classification(40)
    loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
    first = resident(loader)
    state = torch.get_rng_state()
    torch.rand(3)
    second = resident(loader)
    torch.set_rng_state(state)
    assert all(torch.equal(a.x, b.x) for a, b in zip(first, second, strict=True))


def test_reading_leaves_a_loaders_own_generator_where_it_was() -> None:
    generator = torch.Generator().manual_seed(3)
    x, y = classification(40)
    loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True, generator=generator)
    before = generator.get_state()
    resident(loader)
    assert torch.equal(generator.get_state(), before)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 12))
def test_merging_and_cutting_keep_every_sample_in_order(sizes: list[int], rows: int) -> None:
    x = torch.arange(sum(sizes), dtype=torch.float32)[:, None]
    pairs = [(part, part[:, 0]) for part in x.split(sizes)]
    (merged,) = merge(resident(pairs))
    chunks = merged.chunks(rows)
    assert torch.equal(torch.cat([chunk.x for chunk in chunks]), x)
    assert torch.equal(torch.cat([chunk.y for chunk in chunks]), x[:, 0])
    assert all(chunk.size == len(chunk.x) <= rows for chunk in chunks)


def test_batches_of_different_shapes_are_not_merged() -> None:
    pairs = [(torch.zeros(3, 5), torch.zeros(3)), (torch.zeros(3, 6), torch.zeros(3))]
    assert len(merge(resident(pairs))) == 2


@given(st.integers(2, 5000), st.integers(1, 20000))
def test_no_chunk_is_left_with_a_single_sample(size: int, width: int) -> None:
    batch = Batch(torch.empty(size, width, device="meta"), None, size)
    assert min(chunk.size for chunk in batch.chunks(chunk_rows(batch))) >= 2


def test_a_probe_of_sorted_data_holds_every_class_in_proportion() -> None:
    y = torch.arange(10).repeat_interleave(300)
    counts = probe_of(Batch(y, y, len(y))).y.bincount(minlength=10)
    # 25.6 of each are expected; 12 is more than three standard deviations below.
    assert counts.min() >= 12


@pytest.mark.parametrize("size", [511, 512, 766, 1021])
def test_a_probe_of_alternating_classes_holds_both(size: int) -> None:
    y = torch.arange(size) % 2
    assert 64 < probe_of(Batch(y, y, size)).y.sum() < 192


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([], ValueError, "data is empty: there is no batch. Pass at least one sample"),
        ((torch.zeros(0, 3), torch.zeros(0)), ValueError, r"data is empty: x of batch 0 has shape \(0, 3\)"),
        ((torch.zeros(3, 2), torch.zeros(4)), ValueError, "different lengths, 3 and 4"),
        ([(torch.zeros(2), torch.zeros(2)), (torch.zeros(3), torch.zeros(1))], ValueError, "of batch 1 have different"),
        ((torch.zeros(3), torch.zeros(3), torch.zeros(3)), ValueError, "data is a tuple of 3. Pass a pair"),
        ((x for x in range(3)), TypeError, r"data is a generator, which can be read only once.*Pass list\(data\)"),
        (zip([1], [2], strict=True), TypeError, "data is a zip, which can be read only once"),
        (torch.zeros(3), TypeError, "data is a Tensor. Pass a pair"),
        (None, TypeError, "data is a NoneType. Pass a pair"),
        ({"x": 1}, TypeError, "data is a dict. Pass a pair"),
        (TensorDataset(torch.zeros(3)), TypeError, "data is a TensorDataset. Pass a pair"),
        ([torch.zeros(3)], TypeError, "Batch 0 of data is a Tensor of 3. Pass a pair"),
        ([(torch.zeros(3),)], TypeError, "Batch 0 of data is a tuple of 1. Pass a pair"),
        ((torch.tensor(1.0), torch.tensor(1.0)), ValueError, "x of batch 0 is a single number"),
        (("a", torch.zeros(1)), TypeError, "x of batch 0 holds no tensor or array but a str"),
        ((torch.zeros(3, device="meta"), torch.zeros(3)), ValueError, "x is on the device meta, but the model is on cpu"),
        (([["a"]], torch.zeros(1)), TypeError, "x cannot be made a tensor: .*Pass numbers of one kind"),
    ],
)  # fmt: skip
def test_bad_data_are_named_with_the_cure(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resident(data)


def test_a_mapping_keeps_its_keys() -> None:
    x = {"ids": whole(9, 4, 5), "mask": normal(4, 5)}
    (batch,) = resident([(x, torch.zeros(4))])
    assert sorted(batch.x) == ["ids", "mask"]
    assert batch.rows(1, 3).x["ids"].tolist() == x["ids"][1:3].tolist()
