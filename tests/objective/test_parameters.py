from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lossatlas.objective import ParameterSpace
from tests.zoo import cnn, flat, mlp, normal


class Tied(nn.Module):
    """The decoder shares the encoder's matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 4, bias=False)
        self.decoder = nn.Linear(4, 4)
        self.decoder.weight = self.encoder.weight


def test_the_flat_vector_is_torchs_own_order_of_parameters() -> None:
    model = cnn()
    space = ParameterSpace.of_module(model)
    assert torch.equal(space.flatten(dict(model.named_parameters())), flat(model))


def test_tied_parameters_count_once() -> None:
    space = ParameterSpace.of_module(Tied())
    assert [entry.name for entry in space] == ["encoder.weight", "decoder.bias"]
    assert space.size == 20


def test_frozen_parameters_are_no_part_of_the_vector() -> None:
    model = mlp(3, 4, 2)
    model[0].weight.requires_grad_(False)
    assert [entry.name for entry in ParameterSpace.of_module(model)] == ["0.bias", "2.weight", "2.bias"]


shapes = st.lists(st.lists(st.integers(1, 4), max_size=4).map(tuple), min_size=1, max_size=6)


@given(shapes)
def test_flatten_undoes_unflatten(shapes: list[tuple[int, ...]]) -> None:
    space = ParameterSpace((f"p{index}", shape) for index, shape in enumerate(shapes))
    vector = torch.arange(space.size, dtype=torch.float64)
    parts = space.unflatten(vector)
    assert [tuple(part.shape) for part in parts.values()] == shapes
    assert torch.equal(space.flatten(parts), vector)


def test_unflatten_gives_views_and_flatten_a_copy() -> None:
    space = ParameterSpace([("w", (2, 3)), ("b", (2,))])
    vector = torch.zeros(8)
    space.unflatten(vector)["w"][1, 2] = 7.0
    assert vector[5] == 7.0
    space.flatten(space.unflatten(vector))[0] = 9.0
    assert vector[0] == 0.0


def test_a_tensor_of_two_dimensions_or_more_has_a_filter_per_row() -> None:
    space = ParameterSpace([("conv", (5, 2, 3, 3)), ("norm", (5,)), ("scale", ())])
    assert [entry.filters for entry in space] == [5, 0, 0]
    vector = normal(space.size)
    assert torch.equal(space["conv"].rows(vector), vector[:90].view(5, 18))
    assert space["scale"].rows(vector).shape == (1, 1)


def test_a_missing_tensor_or_another_shape_is_named() -> None:
    space = ParameterSpace([("w", (2, 3)), ("b", (2,))])
    with pytest.raises(ValueError, match="'b' is missing. Pass all 2"):
        space.flatten({"w": torch.zeros(2, 3)})
    with pytest.raises(ValueError, match=r"'w' has shape \(3, 2\), but the model's has \(2, 3\)"):
        space.flatten({"w": torch.zeros(3, 2), "b": torch.zeros(2)})
    with pytest.raises(KeyError, match="no trainable parameter 'c'. There are: w, b"):
        space["c"]


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."])
def test_weights_saved_from_a_wrapped_model_are_known_by_their_bare_names(prefix: str) -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    space = ParameterSpace.of_module(model)
    wrapped = {prefix + name: tensor for name, tensor in model.state_dict().items()}
    assert torch.equal(space.flatten(wrapped), space.flatten(model.state_dict()))
