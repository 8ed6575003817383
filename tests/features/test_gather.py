"""Gather: a model's parameters as one vector, also after their memory has moved."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from lossatlas.features.gather import Gather
from tests.zoo import flat, mlp


def gathered(parameters: list[nn.Parameter], dtype: type = np.float32) -> np.ndarray:
    row = np.full(sum(parameter.numel() for parameter in parameters), np.nan, dtype)
    Gather(parameters).into(row)
    return row


def test_it_is_all_of_them_as_they_are_after_every_step() -> None:
    model = mlp(6, 5, 3)
    gather, row = Gather(list(model.parameters())), np.empty(flat(model).numel(), np.float32)
    for _ in range(3):
        gather.into(row)
        np.testing.assert_array_equal(row, flat(model).numpy())
        np.testing.assert_array_equal(gather.vector().numpy(), row)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 1


def test_parameters_that_have_moved_are_read_where_they_are_now() -> None:
    model = mlp(6, 5, 3)
    gather, row = Gather(list(model.parameters())), np.empty(flat(model).numel(), np.float32)
    gather.into(row)
    for parameter in model.parameters():
        parameter.data = parameter.data * 2  # as model.to(), or a loader that assigns
    gather.into(row)
    np.testing.assert_array_equal(row, flat(model).numpy())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_other_kinds_and_layouts_lose_nothing(dtype: torch.dtype) -> None:
    weight = nn.Parameter(torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).to(dtype))
    last = nn.Parameter(weight.detach().clone().contiguous(memory_format=torch.channels_last))
    np.testing.assert_array_equal(gathered([weight]), weight.detach().float().flatten().numpy())
    np.testing.assert_array_equal(gathered([last]), gathered([weight]))
    assert gathered([weight], np.float64).tolist() == weight.detach().double().flatten().tolist()
