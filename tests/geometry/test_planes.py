"""Planes by the way they are chosen: through points, weights, gradient, eigenvectors, principal components."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.geometry import Turn, random_direction, random_walk_shares
from lossatlas.geometry.directions import typical_length
from lossatlas.geometry.principal import random_walks_shares
from tests.zoo import F, classification, cnn, flat, himmelblau, load, mlp, normal, seeded, whole


def objective(seed: int = 0, dtype: torch.dtype = torch.float64) -> la.Objective:
    return la.Objective(mlp(6, 5, 3, seed=seed), F.cross_entropy, classification(20), dtype=dtype)


def quadratic(matrix: torch.Tensor, theta: torch.Tensor) -> la.Objective:
    return la.Objective.from_function(lambda t: 0.5 * t @ matrix @ t, theta)


O = objective()  # noqa: E741


# Through three points.


@pytest.mark.parametrize("form", ["vector", "state dict", "module"])
def test_a_plane_through_three_points_meets_them(form: str) -> None:
    models = [mlp(6, 5, 3, seed=seed) for seed in (1, 2)]
    given = {"vector": flat, "state dict": nn.Module.state_dict, "module": lambda model: model}[form]
    plane = la.Plane.through(O, *map(given, models))  # type: ignore[operator, arg-type]
    for (a, b), model in zip([(1.0, 0.0), (0.0, 1.0)], models, strict=True):
        torch.testing.assert_close(plane.at(a, b), flat(model).double(), rtol=1e-14, atol=1e-15)
        assert plane.project(flat(model).double()) == pytest.approx((a, b, 0.0), abs=1e-12)
    assert plane.points == (("θ", 0.0, 0.0), ("first", 1.0, 0.0), ("second", 0.0, 1.0))
    assert plane.home == (-0.5, 1.5, -0.5, 1.5)
    assert torch.equal(plane.origin, O.theta)


def test_an_orthonormal_plane_measures_distances() -> None:
    first, second = (flat(mlp(6, 5, 3, seed=seed)).double() for seed in (1, 2))
    plane = la.Plane.through(O, first, second, orthonormal=True)
    basis = torch.stack([plane.u, plane.v])
    torch.testing.assert_close(basis @ basis.T, torch.eye(2).double(), rtol=0, atol=1e-14)
    places = {name: (a, b) for name, a, b in plane.points}
    for name, theta in (("θ", O.theta), ("first", first), ("second", second)):
        assert plane.project(theta) == pytest.approx((*places[name], 0.0), abs=1e-12)
        torch.testing.assert_close(plane.at(*places[name]), theta, rtol=1e-12, atol=1e-13)
    assert places["first"] == pytest.approx((float((first - O.theta).norm()), 0.0), rel=1e-12)
    assert math.dist(places["first"], places["second"]) == pytest.approx(
        float((first - second).norm()), rel=1e-12
    )
    a0, a1, b0, b1 = plane.home
    assert all(a0 < a < a1 and b0 < b < b1 for a, b in places.values())
    assert a1 - a0 == pytest.approx(b1 - b0)


def test_wrapped_and_renamed_checkpoints_of_the_same_model_fit() -> None:
    state = mlp(6, 5, 3, seed=1).state_dict()
    for prefix in ("module.", "_orig_mod."):
        plane = la.Plane.through(O, {prefix + k: v for k, v in state.items()}, normal(O.size))
        assert plane.hash == la.Plane.through(O, state, normal(O.size)).hash


def test_running_statistics_of_a_checkpoint_are_left_out() -> None:
    o = la.Objective(cnn(), F.cross_entropy, (normal(20, 1, 8, 8), whole(3, 20)))
    plane = la.Plane.through(o, cnn(1).state_dict(), cnn(2))
    torch.testing.assert_close(plane.at(1.0, 0.0), flat(cnn(1)))


# Single weights.


def test_two_weights_as_axes_are_those_weights_in_their_own_units() -> None:
    plane = la.Plane.weights(O, "0.weight[3, 5]", "2.bias[1]")
    model = load(mlp(6, 5, 3), plane.at(0.5, -2.0))
    expected = mlp(6, 5, 3)
    with torch.no_grad():
        expected[0].weight[3, 5] += 0.5
        expected[2].bias[1] -= 2.0
    torch.testing.assert_close(flat(model), flat(expected))
    assert plane.names == ("0.weight[3, 5]", "2.bias[1]")
    assert la.Plane.weights(O, "0.weight[-2,-1]", "2.bias[ 1 ]").hash == plane.hash


def test_a_function_has_weights_too() -> None:
    o = la.Objective.from_function(himmelblau, torch.zeros(2, dtype=torch.float64))
    landscape = la.Landscape(o, la.Plane.weights(o, "theta[0]", "theta[1]"))
    assert landscape.evaluate(3.0, 2.0) == 0.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("0.wieght[3, 5]", "no trainable parameter '0.wieght'. Did you mean '0.weight'"),
        (
            "layers[0]",
            "no trainable parameter 'layers'. There are '0.weight', '0.bias', '2.weight', '2.bias'",
        ),
        ("0.weight[5, 0]", r"'0.weight\[5, 0\]' is out of range: '0.weight' has shape \(5, 6\)"),
        ("0.weight[3]", r"has 1 indices, but '0.weight' has shape \(5, 6\).*as in '0.weight\[0, 0\]'"),
        ("0.weight", "has 0 indices"),
        ("0.weight[a]", r"'0.weight\[a\]' names no single parameter"),
        (3, "3 names no single parameter"),
        ("2.bias[1]", r"Both axes are '2.bias\[1\]'. Pass two different"),
    ],
)
def test_weights_that_do_not_exist_are_named(name: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        la.Plane.weights(O, name, "2.bias[1]")


# Gradient.


def test_a_gradient_plane_goes_uphill_at_the_length_of_a_random_direction() -> None:
    plane = la.Plane.gradient(O, seed=3)
    gradient = O.gradient(O.theta)
    length = float(random_direction(O.parameters, O.theta, seed=0, index=0).norm())
    assert float(plane.u.norm()) == pytest.approx(length, rel=1e-12)
    torch.testing.assert_close(plane.u / plane.u.norm(), gradient / gradient.norm(), rtol=1e-12, atol=0)
    assert torch.equal(plane.v, la.Plane.random(O, 3).v)
    assert plane.share(gradient) == pytest.approx(1.0, abs=1e-12)
    # The slope along u is ⟨g, u⟩; central differences of h = 1e-5 leave 1e-9.
    values = la.Landscape(O, plane).evaluate(np.array([-1e-5, 1e-5]), 0.0)
    assert (values[1] - values[0]) / 2e-5 == pytest.approx(float(gradient @ plane.u), rel=1e-6)


def test_where_the_gradient_is_zero_another_direction_is_advised() -> None:
    o = quadratic(torch.eye(3).double(), torch.zeros(3).double())
    with pytest.raises(ValueError, match="gradient is zero here: θ is a critical point. Choose another"):
        la.Plane.gradient(o)


# Eigenvectors.


def test_the_eigenvectors_of_a_quadratic_are_those_of_its_matrix() -> None:
    root = torch.linalg.qr(normal(12, 12, dtype=torch.float64))[0]
    values = torch.arange(-3.0, 9.0, dtype=torch.float64)
    matrix = root @ torch.diag(values) @ root.T
    o = quadratic((matrix + matrix.T) / 2, normal(12, seed=4, dtype=torch.float64))
    plane = la.Plane.eigen(o)
    for direction, value, column in ((plane.u, 8.0, 11), (plane.v, -3.0, 0)):
        assert float(direction.norm()) == pytest.approx(typical_length(o), rel=1e-12)
        torch.testing.assert_close(matrix @ direction, value * direction, rtol=0, atol=1e-10)
        assert abs(float(direction @ root[:, column]) / typical_length(o)) == pytest.approx(1.0, rel=1e-10)
        assert float(direction[direction.abs().argmax()]) > 0
    assert plane.names == ("top eigenvector, λ = 8", "bottom eigenvector, λ = -3")
    torch.testing.assert_close(
        matrix @ la.Plane.eigen(o, 1, 2).v, 6.0 * la.Plane.eigen(o, 1, 2).v, rtol=0, atol=1e-10
    )


def test_the_eigenvectors_of_linear_regression_are_those_of_its_gram_matrix() -> None:
    x, y = normal(60, 5, dtype=torch.float64), normal(60, 1, seed=1, dtype=torch.float64)
    o = la.Objective(nn.Linear(5, 1, bias=False).double(), nn.MSELoss(), (x, y))
    expected = torch.linalg.eigvalsh(2 / 60 * x.T @ x)
    plane = la.Plane.eigen(o)
    for direction, value in ((plane.u, expected[-1]), (plane.v, expected[0])):
        rest = 2 / 60 * x.T @ (x @ direction) - value * direction
        assert float(rest.norm()) < 1e-12 * float(direction.norm())


def test_the_in_plane_curvature_of_an_eigen_plane_is_its_eigenvalues() -> None:
    plane = la.Plane.eigen(O)
    value = float(plane.names[0].split("= ")[1])
    h = 1e-3
    values = la.Landscape(O, plane).evaluate(np.array([-h, 0, h]), 0.0)
    second = np.diff(values, 2)[0] / h**2
    # Second differences at h = 1e-3: truncation 1e-6 of the fourth derivative, rounding 1e-10; the name has 4 digits.
    assert second == pytest.approx(value * float(plane.u @ plane.u), rel=1e-3)


def test_a_saddle_shows_up_and_down() -> None:
    o = la.Objective.from_function(lambda t: 0.5 * (t[0] * t[1] - 1) ** 2, torch.zeros(2).double())
    plane = la.Plane.eigen(o)
    assert plane.names == ("top eigenvector, λ = 1", "bottom eigenvector, λ = -1")


def test_large_models_have_eigenvectors_too() -> None:
    o = la.Objective(mlp(60, 50, 3), F.cross_entropy, classification(8, 60), dtype=torch.float64)
    assert o.size == 3203
    for number in (0, 1, -1):
        direction = la.Direction.eigenvector(o, number)
        v = direction.vector / direction.vector.norm()
        value = float(direction.name.split("= ")[1])
        assert float((o.hvp(o.theta, v) - value * v).norm()) < 2e-3 * float(o.hvp(o.theta, v).norm() + 1)
    with pytest.raises(ValueError, match="There is no eigenvector 99. Pass a whole number"):
        la.Direction.eigenvector(O, 99)
    with pytest.raises(ValueError, match=r"Eigenvectors \[1500\] of 3203 lie too deep"):
        la.Direction.eigenvector(o, 1500)


# Principal components.


def path(steps: int = 40, seed: int = 0, size: int = O.size) -> torch.Tensor:
    return O.theta + 0.1 * normal(steps, size, seed=seed, dtype=torch.float64).cumsum(0).flip(0)


def trajectory(thetas: torch.Tensor) -> la.Trajectory:
    return la.Trajectory.from_states(list(thetas))


def test_a_trajectory_plane_has_the_principal_components_about_the_mean() -> None:
    thetas = path()
    plane = la.Plane.pca(O, trajectory(thetas))
    centred = (thetas - thetas.mean(0)).numpy()
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    share = values**2 / (values**2).sum()
    np.testing.assert_allclose(plane.variance_explained, share[:2], rtol=1e-10)
    for direction, expected in zip((plane.u, plane.v), vectors, strict=False):
        unit = (direction / direction.norm()).numpy()
        assert abs(unit @ expected) == pytest.approx(1.0, abs=1e-10)
        assert unit[np.abs(unit).argmax()] > 0
    assert torch.equal(plane.origin, O.theta)


@pytest.mark.parametrize(("count", "size"), [(40, 700), (60, 20)])
def test_products_with_the_gram_matrix_find_what_the_matrix_shows(
    monkeypatch: pytest.MonkeyPatch, count: int, size: int
) -> None:
    o = la.Objective.from_function(lambda t: t @ t, torch.zeros(size, dtype=torch.float64))
    run = trajectory(normal(count, size, dtype=torch.float64).cumsum(0))
    expected = la.Plane.pca(o, run)
    monkeypatch.setattr("lossatlas.geometry.principal._GRAM", 8)
    found = la.Plane.pca(o, run)
    np.testing.assert_allclose(found.variance_explained, expected.variance_explained, rtol=1e-9)
    for one, other in ((found.u, expected.u), (found.v, expected.v)):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-8 * float(one.abs().max()))
    line = torch.linspace(0, 1, 50).double()[:, None] * normal(size).double()
    for rows, message in ((line, "on one line"), (0 * line + 1, "at one point")):
        with pytest.raises(ValueError, match=message):
            la.Plane.pca(o, trajectory(rows))


def test_walks_too_long_to_count_pairs_have_the_shares_of_shorter_ones() -> None:
    assert random_walks_shares([6000, 3000])[:2] == pytest.approx(
        random_walks_shares([1200, 600])[:2], rel=2e-3
    )


def test_the_path_reaches_nine_tenths_of_the_home_view() -> None:
    thetas = path()
    plane = la.Plane.pca(O, trajectory(thetas))
    places = np.array([plane.project(theta)[:2] for theta in thetas])
    assert np.abs(places).max() == pytest.approx(0.9, rel=1e-12)
    assert plane.home == (-1.0, 1.0, -1.0, 1.0)
    assert float(plane.u.norm()) == pytest.approx(float(plane.v.norm()), rel=1e-12)
    assert [(name, *places[k]) for name, k in (("start", 0), ("end", -1))] == [
        (name, pytest.approx(a), pytest.approx(b)) for name, a, b in plane.points
    ]


def test_a_random_walk_explains_what_is_known_of_random_walks() -> None:
    # 400 steps in 4000 dimensions gave 60.0 and 15.7 % once: a share strays by about 1 % there.
    o = la.Objective.from_function(lambda t: t @ t, torch.zeros(4000, dtype=torch.float64))
    plane = la.Plane.pca(o, trajectory(normal(400, 4000, dtype=torch.float64).cumsum(0)))
    assert plane.variance_explained is not None
    assert plane.variance_explained == pytest.approx([6 / math.pi**2, 1.5 / math.pi**2], abs=0.02)
    np.testing.assert_allclose(plane.variance_null, [6 / math.pi**2, 1.5 / math.pi**2], rtol=1e-4)


@pytest.mark.parametrize("points", [3, 10, 50])
def test_the_null_model_is_exact_for_any_number_of_steps(points: int) -> None:
    # E of the centred Gram matrix of a walk, by hand: cov(i, j) = min(i, j).
    walk = np.minimum.outer(np.arange(points), np.arange(points)).astype(float)
    centre = np.eye(points) - 1 / points
    values = np.sort(np.linalg.eigvalsh(centre @ walk @ centre))[::-1][: points - 1]
    np.testing.assert_allclose(random_walk_shares(points), values / values.sum(), rtol=1e-10)


def test_a_long_walk_tends_to_sixty_point_eight_percent() -> None:
    assert random_walk_shares(10_000)[:2] == pytest.approx([0.608, 0.152], abs=1e-3)


@pytest.mark.parametrize(
    ("thetas", "message"),
    [
        (path(1), "The trajectory has 1 point, which span no plane. Pass at least 3, or use Line.between"),
        (path(2), "has 2 points, which span no plane"),
        (O.theta.expand(5, -1), "The 5 points of the trajectory lie at one point"),
        (O.theta + torch.linspace(0, 1, 5).double()[:, None] * normal(O.size).double(), "lie on one line"),
        (path(5, size=53)[:, :-1], r"The trajectory has P = 52, but the objective has 53 parameters"),
    ],
)
def test_trajectories_that_span_no_plane_are_named(thetas: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        la.Plane.pca(O, trajectory(thetas))


def test_a_list_of_states_is_no_trajectory() -> None:
    with pytest.raises(
        TypeError, match=r"trajectory\[0\] is a OrderedDict. Pass a Trajectory, as in Trajectory.from_states"
    ):
        la.Plane.pca(O, [mlp(6, 5, 3).state_dict()])  # type: ignore[arg-type]


# Shares, turning, renewal.


def test_the_share_of_a_vector_in_the_plane_is_the_cosine_of_its_angle_to_it() -> None:
    eye = torch.eye(4).double()
    plane = la.Plane(torch.zeros(4).double(), eye[0], eye[0] + 1e-3 * eye[1])
    assert plane.share(torch.tensor([3.0, 0.0, 4.0, 0.0])) == pytest.approx(0.6, rel=1e-12)
    assert plane.share(eye[1]) == pytest.approx(1.0, abs=1e-9)
    assert plane.share(eye[3]) == 0.0
    with pytest.raises(ValueError, match="The vector is zero, so no share of it"):
        plane.share(0 * eye[0])
    with pytest.raises(ValueError, match="origin has length 4, but vector has 3"):
        plane.share(torch.ones(3))


PLANES = {
    "random": lambda o: la.Plane.random(o, 4),
    "layers": lambda o: la.Plane.random(o, 4, normalize="layer", ignore=False, layers="2", orthogonal=True),
    "gradient": lambda o: la.Plane.gradient(o, 2),
    "eigen": lambda o: la.Plane.eigen(o, 0, 1),
    "weights": lambda o: la.Plane.weights(o, "0.weight[0, 0]", "2.bias[2]"),
    "mixed": lambda o: la.Plane.along(
        o, la.Direction.gradient(o), la.Direction.random(o, 1), orthogonal=True
    ),
}


@pytest.mark.parametrize("kind", PLANES)
def test_a_recipe_makes_the_plane_again_elsewhere(kind: str) -> None:
    here, there = O, objective(seed=5)
    plane, expected = PLANES[kind](here), PLANES[kind](there)
    again = plane.renewed(there)
    for name in ("origin", "u", "v"):
        assert torch.equal(getattr(again, name), getattr(expected, name))
    assert again.hash == expected.hash != plane.hash
    assert plane.renewed(here).hash == plane.hash


def test_every_kind_of_plane_has_a_hash_of_its_own() -> None:
    hashes = [make(O).hash for make in PLANES.values()]
    hashes += [la.Plane.random(O, 4, normalize=kind).hash for kind in ("layer", "tensor", "model", None)]  # type: ignore[arg-type]
    assert len(set(hashes)) == len(hashes)


def test_turning_keeps_layers_and_norms() -> None:
    plane = la.Plane.random(O, 1, normalize="tensor", layers="0")
    turned = plane.turned(O, Turn(turn_u=40, offset=0.5))
    names = {name for name, part in O.parameters.unflatten(turned.u).items() if part.any()}
    assert names == {"0.weight"}
    assert not O.parameters["2.weight"].of(turned.origin - plane.origin).any()
    assert float(turned.u.norm()) == pytest.approx(float(plane.u.norm()), rel=1e-12)


def test_directions_of_any_two_kinds_make_a_plane() -> None:
    other = mlp(6, 5, 3, seed=3)
    kinds = [
        la.Direction.random(O, 1, 2), la.Direction.gradient(O), la.Direction.towards(O, other),
        la.Direction.weight(O, "2.bias[0]"), la.Direction.eigenvector(O), la.Direction.own(normal(O.size).double()),
    ]  # fmt: skip
    for first, second in itertools.combinations(kinds, 2):
        plane = la.Plane.along(O, first, second)
        assert torch.equal(plane.u, first.vector)
        assert torch.equal(plane.v, second.vector)
        assert plane.names == (first.name, second.name)


# Law 1 and law 8.


def test_making_planes_leaves_the_model_and_the_streams_alone() -> None:
    model = cnn()
    before, mode, stream = copy.deepcopy(model.state_dict()), model.training, torch.get_rng_state()
    o = la.Objective(model, F.cross_entropy, (normal(20, 1, 8, 8), whole(3, 20)))
    la.Plane.random(o, ignore=False)
    la.Plane.gradient(o)
    la.Plane.eigen(o)
    la.Plane.through(o, cnn(1), cnn(2).state_dict())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training == mode
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), stream)


def broken(name: str, value: Any) -> dict[str, Any]:
    return {**mlp(6, 5, 3, seed=1).state_dict(), name: value}


NAN = mlp(6, 5, 3).state_dict()["2.bias"] * math.nan


@pytest.mark.parametrize(
    ("first", "error", "message"),
    [
        (broken("2.bias", torch.zeros(4)), ValueError, r"first: the tensor '2.bias' has shape \(4,\), but the model's has \(3,\)"),
        ({"weight": torch.zeros(5, 6)}, ValueError, "first lacks the tensor '0.weight'. Did you mean 'weight'"),
        ({"model": mlp(6, 5, 3).state_dict()}, ValueError, r"It holds mappings of its own: pass first\['model'\]"),
        (broken("2.bias", NAN), ValueError, "first: the tensor '2.bias' holds 3 non-finite values among 3. Pass a sound"),
        (broken("2.bias", torch.ones(3).long()), TypeError, "'2.bias' has dtype torch.int64. Pass floating weights"),
        (broken("2.bias", [0.0] * 3), TypeError, "'2.bias' is a list, not a tensor"),
        (broken("2.bias", torch.zeros(3, device="meta")), ValueError, "'2.bias' is on the meta device and has no values"),
        (torch.zeros(52), ValueError, "first has length 52, but the objective has P = 53 parameters"),
        (torch.ones(53).long(), TypeError, "first has dtype torch.int64. Pass floating numbers"),
        (torch.full((53,), math.nan), ValueError, "first holds 53 non-finite values among 53"),
        ("checkpoint.pt", TypeError, "first is a str. Pass a .P,. tensor, a state dict or a module"),
        (mlp(6, 4, 3), ValueError, r"first: the tensor '0.weight' has shape \(4, 6\), but the model's has \(5, 6\)"),
        (mlp(6, 5, 3), ValueError, "first is the objective's θ itself. Pass three different points"),
        (0.5 * (O.theta + flat(mlp(6, 5, 3, seed=2))), ValueError, "three points lie on one line.*Use Line.between"),
    ],
)  # fmt: skip
def test_checkpoints_that_do_not_fit_are_named(first: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        la.Plane.through(O, first, flat(mlp(6, 5, 3, seed=2)))


def test_directions_must_be_floating_vectors_of_the_model() -> None:
    with pytest.raises(TypeError, match="vector has dtype torch.int64. Pass floating numbers"):
        la.Plane.along(O, torch.ones(53).long(), normal(53))
    with pytest.raises(ValueError, match="origin is torch.float64 on cpu, but u is torch.float32"):
        la.Plane.along(O, normal(53), normal(53, seed=1))
    with pytest.raises(ValueError, match="origin has length 53, but u has 4"):
        la.Plane.along(O, normal(4).double(), normal(4, seed=1).double())
    with pytest.raises(TypeError, match="objective is a Sequential. Pass a lossatlas.Objective"):
        la.Plane.through(mlp(6, 5, 3), flat(mlp(6, 5, 3)), flat(mlp(6, 5, 3)))  # type: ignore[arg-type]


def test_fused_attention_has_eigenvectors_too_by_differences_of_its_gradient() -> None:
    with seeded(0):
        model = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).double()
    data = normal(6, 5, 4, dtype=torch.float64), normal(6, 5, 4, seed=1, dtype=torch.float64)
    o = la.Objective(model, F.mse_loss, data)
    found = la.Plane.eigen(o)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        exact = la.Plane.eigen(o)
    torch.testing.assert_close(found.u, exact.u, rtol=1e-3, atol=1e-3 * float(exact.u.abs().max()))
