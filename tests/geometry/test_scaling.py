from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.geometry import Scaling, random_direction
from lossatlas.objective import ParameterSpace
from tests.zoo import F, classification, mlp, normal, seeded

SPACE = ParameterSpace(
    [
        ("conv.weight", (4, 3, 2, 2)),
        ("conv.bias", (4,)),
        ("fc.weight", (5, 7)),
        ("fc.bias", (5,)),
        ("scale", ()),
    ]
)
THETA = normal(SPACE.size, seed=1, dtype=torch.float64)


def draw(index: int = 0, seed: int = 0, **options: Any) -> torch.Tensor:
    options = {"normalize": "filter", "ignore": True, "layers": None, **options}
    return random_direction(SPACE, THETA, seed=seed, index=index, scaling=Scaling.of(**options, space=SPACE))


def parts(vector: torch.Tensor) -> dict[str, torch.Tensor]:
    return SPACE.unflatten(vector)


def test_tensors_get_the_norms_of_tensors() -> None:
    d, w = parts(draw(normalize="tensor", ignore=False)), parts(THETA)
    for name in d:
        assert float(d[name].norm()) == pytest.approx(float(w[name].norm()), rel=1e-14)


def test_a_layer_gets_the_norm_of_its_tensors_together() -> None:
    d, w = parts(draw(normalize="layer", ignore=False)), parts(THETA)
    for layer in ("conv", "fc"):
        norms = [torch.cat([p[f"{layer}.{n}"].flatten() for n in ("weight", "bias")]).norm() for p in (d, w)]
        assert float(norms[0]) == pytest.approx(float(norms[1]), rel=1e-14)
    assert float(d["fc.bias"].norm()) != pytest.approx(float(w["fc.bias"].norm()), rel=1e-3)


def test_the_model_gets_the_norm_of_theta_and_the_draw_keeps_its_shape() -> None:
    d, raw = draw(normalize="model", ignore=False), draw(normalize=None, ignore=False)
    assert float(d.norm()) == pytest.approx(float(THETA.norm()), rel=1e-14)
    torch.testing.assert_close(d / d.norm(), raw / raw.norm(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("normalize", ["filter", "layer", "tensor", "model", None])
def test_what_is_ignored_stays_and_counts_in_no_norm(normalize: str | None) -> None:
    d = parts(draw(normalize=normalize))
    assert not any(d[name].any() for name in ("conv.bias", "fc.bias", "scale"))
    if normalize == "model":
        weights = torch.cat([parts(THETA)[name].flatten() for name in ("conv.weight", "fc.weight")])
        assert float(draw(normalize="model").norm()) == pytest.approx(float(weights.norm()), rel=1e-14)


def test_vectors_that_are_not_ignored_are_random_of_their_own_and_no_copy_of_theta() -> None:
    u, v = (parts(draw(index, ignore=False)) for index in (0, 1))
    for name in ("conv.bias", "fc.bias"):
        w = parts(THETA)[name]
        assert float(u[name].norm()) == pytest.approx(float(w.norm()), rel=1e-14)
        for one, other in ((u[name], v[name]), (u[name], w), (u[name].abs(), w.abs())):
            assert abs(float(one @ other / (one.norm() * other.norm()))) < 0.999


def test_ignoring_by_name_and_by_glob() -> None:
    d = parts(draw(ignore=["conv", "*.bias"]))
    assert [name for name in d if d[name].any()] == ["fc.weight", "scale"]
    assert d["scale"].abs() == parts(THETA)["scale"].abs()


@pytest.mark.parametrize(
    ("layers", "moved"),
    [
        ("fc", ["fc.weight"]), ("fc.weight", ["fc.weight"]), ("*.weight", ["conv.weight", "fc.weight"]),
        (["conv", "scale"], ["conv.weight"]), ("fc.bias", ["fc.bias"]), ("*.bias", ["conv.bias", "fc.bias"]),
    ],
)  # fmt: skip
def test_only_the_chosen_layers_move_and_chosen_vectors_are_not_ignored(
    layers: Any, moved: list[str]
) -> None:
    d = parts(draw(layers=layers))
    assert [name for name in d if d[name].any()] == moved


def test_the_chosen_layers_have_the_draw_of_the_whole_model() -> None:
    assert torch.equal(parts(draw(layers="fc"))["fc.weight"], parts(draw())["fc.weight"])


def test_every_scaling_comes_back_from_its_recipe() -> None:
    for scaling in (Scaling(), Scaling("layer", False), Scaling(None, ("*.bias",), ("fc", "conv"))):
        assert Scaling.from_recipe(scaling.recipe) == scaling


def test_a_direction_has_the_length_that_its_scaling_says() -> None:
    for options in ({}, {"normalize": "layer"}, {"ignore": False}, {"layers": "fc"}):
        scaling = Scaling.of(
            **{"normalize": "filter", "ignore": True, "layers": None, **options}, space=SPACE
        )
        assert float(draw(**options).norm()) == pytest.approx(scaling.length(THETA, SPACE), rel=1e-14)


# Orthogonality.


@pytest.mark.parametrize("normalize", ["filter", "layer", "tensor", "model", None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orthogonal_directions_are_orthogonal_and_keep_their_norms(
    normalize: str | None, dtype: torch.dtype
) -> None:
    objective = la.Objective(mlp(6, 5, 3), F.cross_entropy, classification(20), dtype=dtype)
    plain = la.Plane.random(objective, 1, normalize=normalize)  # type: ignore[arg-type]
    plane = la.Plane.random(objective, 1, normalize=normalize, orthogonal=True)  # type: ignore[arg-type]
    assert torch.equal(plane.u, plain.u)
    cosine = float(plane.u.double() @ plane.v.double() / (plane.u.double().norm() * plane.v.double().norm()))
    assert abs(cosine) < 4 * torch.finfo(dtype).eps
    assert float(plane.v.norm()) == pytest.approx(float(plain.v.norm()), rel=1e-5)
    if normalize == "filter":
        for entry in objective.parameters:
            if entry.filters:
                rows = [entry.rows(d).norm(dim=1) for d in (plane.v, objective.theta)]
                torch.testing.assert_close(*rows, rtol=1e-5, atol=0)
    assert plane.hash != plain.hash


def test_filters_of_a_single_weight_can_be_orthogonal_too() -> None:
    objective = la.Objective(mlp(1, 8, 1), F.mse_loss, (normal(10, 1), normal(10, 1, seed=1)))
    plane = la.Plane.random(objective, orthogonal=True)
    assert abs(plane.angle - 90) < 1e-4
    assert float(plane.v.norm()) == pytest.approx(float(la.Plane.random(objective).v.norm()), rel=1e-5)


# What dimension 0 means.


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transposed = nn.ConvTranspose2d(4, 6, 3)
        self.grouped = nn.Conv2d(8, 12, 3, groups=4)
        self.embedding = nn.Embedding(11, 5)
        self.attention = nn.MultiheadAttention(6, 2)
        self.lstm = nn.LSTM(3, 7)


def test_a_filter_is_a_slice_along_dimension_0_whatever_the_layer() -> None:
    with seeded(0):
        model = Parts()
    space = ParameterSpace.of_module(model)
    theta = nn.utils.parameters_to_vector(model.parameters()).detach()
    d = space.unflatten(random_direction(space, theta, seed=0, index=0))
    # What a filter is: an input channel of a transposed convolution, an output one of a grouped convolution, a token,
    # a row of q, k or v, a gate of a unit.
    counts = {
        "transposed.weight": 4, "grouped.weight": 12, "embedding.weight": 11, "attention.in_proj_weight": 18,
        "attention.out_proj.weight": 6, "lstm.weight_ih_l0": 28, "lstm.weight_hh_l0": 28,
    }  # fmt: skip
    named = dict(model.named_parameters())
    for name, count in counts.items():
        assert d[name].shape[0] == count
        for d_f, w_f in zip(d[name], named[name].detach(), strict=True):
            assert float(d_f.norm()) == pytest.approx(float(w_f.norm()), rel=1e-5)
    assert {name for name in d if d[name].any()} == set(counts)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"normalize": "filters"}, ValueError, "normalize is 'filters'. Pass 'filter', 'layer', 'tensor', 'model' or None"),
        ({"layers": "fcc"}, ValueError, "No parameter matches 'fcc'. Did you mean 'fc'"),
        ({"layers": "encoder.*"}, ValueError, "No parameter matches 'encoder"),
        ({"ignore": "fc.biases"}, ValueError, "No parameter matches 'fc.biases'. Did you mean 'fc.bias'"),
        ({"layers": 3}, TypeError, "layers is 3. Pass a name, a glob"),
        ({"layers": []}, ValueError, "layers is empty. Pass at least one name"),
        ({"ignore": "*"}, ValueError, r"Nothing is left to move: layers=None and ignore=\('\*',\). Ignore less"),
    ],
)  # fmt: skip
def test_options_that_say_nothing_are_named(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw(**options)


# Dinh et al. 2017: neighbouring layers of a ReLU net may be rescaled without changing what it computes.


def relu_slice(c: float, normalize: Any, orthogonal: bool) -> np.ndarray:
    model = mlp(6, 16, 3, dtype=torch.float64, act=nn.ReLU)
    with torch.no_grad():
        for parameter, factor in zip(model.parameters(), (c, c, 1 / c, 1.0), strict=True):
            parameter.mul_(factor)
    objective = la.Objective(model, F.cross_entropy, classification(50, dtype=torch.float64))
    plane = la.Plane.random(objective, 2, normalize=normalize, orthogonal=orthogonal)
    return la.Landscape(objective, plane).grid(shape=(5, 5))


@pytest.mark.parametrize("orthogonal", [False, True])
@pytest.mark.parametrize("normalize", ["filter", "layer", "tensor"])
def test_slices_scaled_piece_by_piece_do_not_know_how_layers_are_scaled(
    normalize: str, orthogonal: bool
) -> None:
    plain, scaled = (relu_slice(c, normalize, orthogonal) for c in (1.0, 10.0))
    np.testing.assert_allclose(scaled, plain, rtol=1e-11)


@pytest.mark.parametrize("normalize", ["model", None])
def test_slices_scaled_as_a_whole_or_not_at_all_do_know_it(normalize: str | None) -> None:
    plain, scaled = (relu_slice(c, normalize, False) for c in (1.0, 10.0))
    assert scaled[2, 2] == pytest.approx(plain[2, 2], rel=1e-12)
    assert np.abs(scaled - plain).max() > 0.1 * np.ptp(plain)
