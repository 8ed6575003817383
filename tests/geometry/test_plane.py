from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import lossatlas as la
from lossatlas.geometry import Turn, filter_normalize, random_direction
from tests.zoo import F, classification, flat, mlp, normal

P = 50


def own(seed: int = 0) -> la.Plane:
    return la.Plane(*(normal(P, seed=seed + i, dtype=torch.float64) for i in range(3)))


def objective(dtype: torch.dtype = torch.float32, seed: int = 0) -> la.Objective:
    # Weights are drawn in float32 and converted, so that the point is the same in both.
    return la.Objective(mlp(6, 5, 3, seed=seed), F.cross_entropy, classification(20), dtype=dtype)


coordinates = st.floats(-10, 10)


@given(coordinates, coordinates)
def test_at_is_the_formula(a: float, b: float) -> None:
    plane = own()
    torch.testing.assert_close(
        plane.at(a, b), plane.origin + a * plane.u + b * plane.v, rtol=1e-14, atol=1e-13
    )


@given(coordinates, coordinates)
def test_project_undoes_at(a: float, b: float) -> None:
    found = own().project(own().at(a, b))
    assert found == pytest.approx((a, b, 0.0), abs=1e-12)


def test_project_finds_the_nearest_point() -> None:
    plane, theta = own(), normal(P, seed=9, dtype=torch.float64)
    a, b, distance = plane.project(theta)
    away = theta - plane.at(a, b)
    assert distance == pytest.approx(float(away.norm()), rel=1e-12)
    # The rest is orthogonal to the plane: nothing within it is nearer.
    assert abs(float(away @ plane.u)) < 1e-12 * P
    assert abs(float(away @ plane.v)) < 1e-12 * P


def test_project_keeps_its_digits_where_directions_are_nearly_parallel_or_of_very_different_length() -> None:
    u = normal(P, dtype=torch.float64)
    v = u + 1e-5 * normal(P, seed=1, dtype=torch.float64)
    plane = la.Plane(torch.zeros(P, dtype=torch.float64), 1e8 * u, 1e-4 * v)
    a, b, _ = plane.project(2e-8 * plane.u + 5e4 * plane.v)
    # A condition of 1e5: 1e-16 becomes 1e-11. Normal equations would leave 1e-6.
    assert (a, b) == pytest.approx((2e-8, 5e4), rel=1e-9)


def test_a_plane_keeps_copies() -> None:
    parts = [normal(P, seed=i) for i in range(3)]
    plane = la.Plane(*parts)
    for part in parts:
        part.zero_()
    assert plane.origin.any()
    assert plane.u.any()
    assert plane.v.any()


def test_a_plane_of_parameters_carries_no_gradient() -> None:
    model = mlp(6, 5, 3)
    theta = nn.utils.parameters_to_vector(model.parameters())
    plane = la.Plane(theta, normal(53), normal(53, seed=1))
    assert not plane.origin.requires_grad
    assert not plane.at(1.0, 1.0).requires_grad


# Random planes.


def test_a_random_plane_passes_through_the_objectives_theta() -> None:
    o = objective()
    assert torch.equal(la.Plane.random(o).at(0.0, 0.0), o.theta)
    assert torch.equal(la.Plane.random(o).origin, flat(mlp(6, 5, 3)))


def test_the_two_directions_of_a_random_plane_are_different_and_filter_normalised() -> None:
    o = objective()
    plane = la.Plane.random(o)
    assert not torch.equal(plane.u, plane.v)
    cosine = float(plane.u @ plane.v / (plane.u.norm() * plane.v.norm()))
    assert abs(cosine) < 0.6  # four standard deviations of 1 / √45, the number of weights
    for direction in (plane.u, plane.v):
        torch.testing.assert_close(
            filter_normalize(direction, o.theta, o.parameters), direction, rtol=1e-6, atol=1e-7
        )


def test_the_same_seed_is_the_same_plane_and_another_seed_another() -> None:
    o = objective()
    first, again, other = la.Plane.random(o, 5), la.Plane.random(o, seed=5), la.Plane.random(o, 6)
    assert torch.equal(first.u, again.u)
    assert torch.equal(first.v, again.v)
    assert not torch.equal(first.u, other.u)
    assert first.hash == again.hash != other.hash


def test_the_same_seed_is_the_same_plane_in_float32_and_float64() -> None:
    single, double = (la.Plane.random(objective(dtype), 3) for dtype in (torch.float32, torch.float64))
    for name in ("origin", "u", "v"):
        torch.testing.assert_close(
            getattr(single, name).double(), getattr(double, name), rtol=1e-5, atol=1e-6
        )


def test_planes_of_one_seed_through_different_points_have_different_hashes() -> None:
    assert la.Plane.random(objective()).hash != la.Plane.random(objective(seed=1)).hash


def test_planes_of_ones_own_are_known_by_their_bytes() -> None:
    assert own().hash == own().hash != own(1).hash


# Turning.


def test_no_turn_is_the_same_plane() -> None:
    o = objective()
    plane = la.Plane.random(o)
    assert plane.turned(o, Turn()) is plane


def test_turning_keeps_the_filter_norms_and_goes_towards_further_random_directions() -> None:
    o = objective()
    plane = la.Plane.random(o, 2)
    turned = plane.turned(o, Turn(turn_u=30))
    towards = random_direction(o.parameters, o.theta, seed=2, index=2)
    angle = math.radians(30)
    expected = filter_normalize(math.cos(angle) * plane.u + math.sin(angle) * towards, o.theta, o.parameters)
    torch.testing.assert_close(turned.u, expected)
    assert torch.equal(turned.v, plane.v)
    assert torch.equal(turned.origin, plane.origin)


def test_a_quarter_turn_is_the_other_direction_and_a_half_turn_the_opposite() -> None:
    o = objective()
    plane = la.Plane.random(o, 2)
    quarter = plane.turned(o, Turn(turn_v=90))
    torch.testing.assert_close(quarter.v, random_direction(o.parameters, o.theta, seed=2, index=3))
    torch.testing.assert_close(plane.turned(o, Turn(turn_u=180)).u, -plane.u)


def test_moving_goes_along_a_direction_of_its_own() -> None:
    o = objective()
    plane = la.Plane.random(o, 2)
    moved = plane.turned(o, Turn(offset=0.25))
    towards = random_direction(o.parameters, o.theta, seed=2, index=4)
    torch.testing.assert_close(moved.origin, plane.origin + 0.25 * towards)
    assert torch.equal(moved.u, plane.u)


def test_a_plane_of_ones_own_turns_at_its_own_length() -> None:
    o = objective()
    u, v = 0.01 * normal(o.size, seed=1), 7.0 * normal(o.size, seed=2)
    turned = la.Plane(o.theta, u, v).turned(o, Turn(turn_u=90, turn_v=90))
    assert float(turned.u.norm()) == pytest.approx(float(u.norm()), rel=1e-5)
    assert float(turned.v.norm()) == pytest.approx(float(v.norm()), rel=1e-5)


turns = st.builds(
    Turn, st.integers(-180, 180), st.integers(-180, 180), st.integers(-128, 128).map(lambda n: n / 128)
)


@given(turns, turns)
def test_a_turn_recurs_exactly_and_has_a_hash_of_its_own(one: Turn, other: Turn) -> None:
    plane = PLANE
    first, second, again = (plane.turned(OBJECTIVE, turn) for turn in (one, other, one))
    for name in ("origin", "u", "v"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert first.hash == again.hash
    assert (first.hash == second.hash) == (one == other)


OBJECTIVE = objective()
PLANE = la.Plane.random(OBJECTIVE)


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({"turn_u": 0.5}, "turn_u is 0.5. Pass whole degrees"),
        ({"turn_v": 181}, "turn_v is 181. Pass whole degrees from −180 to 180"),
        ({"turn_u": True}, "turn_u is True"),
        ({"offset": 0.3}, "offset is 0.3. Pass a multiple of 1/128"),
        ({"offset": 1.5}, "offset is 1.5"),
        ({"offset": float("nan")}, "offset is nan"),
        ({"offset": "1"}, "offset is '1'"),
    ],
)
def test_a_position_that_would_not_recur_is_refused(turn: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Turn(**turn)


# Law 8.

ORIGIN, U, V = (normal(4, seed=i) for i in range(3))


@pytest.mark.parametrize(
    ("vectors", "error", "message"),
    [
        ((ORIGIN, U, 2 * U), ValueError, r"must not be parallel, but cos\(u, v\) = 1.000000. Pass another v"),
        ((ORIGIN, U, -3 * U), ValueError, r"must not be parallel, but cos\(u, v\) = -1.000000"),
        ((ORIGIN, U, U * (1 + 1e-7)), ValueError, "must not be parallel"),
        ((ORIGIN, torch.zeros(4), V), ValueError, "direction u is zero: .*Pass a direction that is not zero"),
        ((ORIGIN, U, torch.zeros(4)), ValueError, "direction v is zero"),
        ((ORIGIN, U[:3], V), ValueError, "origin has length 4, but u has 3"),
        ((ORIGIN, U, V.double()), ValueError, r"origin is torch.float32 on cpu, but v is torch.float64.*Convert it with v.to\(origin\)"),
        ((ORIGIN, U.numpy(), V), TypeError, "The plane's u is a ndarray, not a tensor. Pass"),
        ((ORIGIN, U.view(2, 2), V), ValueError, r"The plane's u has shape \(2, 2\). Pass a vector"),
        ((ORIGIN.long(), U, V), TypeError, "The plane's origin has dtype torch.int64. Pass floating numbers"),
        ((ORIGIN, U / 0, V), ValueError, "The plane's u holds 4 non-finite values among 4"),
        ((ORIGIN[:0], U[:0], V[:0]), ValueError, r"origin has shape \(0,\)"),
    ],
)  # fmt: skip
def test_vectors_that_make_no_plane_are_named(vectors: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        la.Plane(*vectors)


def test_short_and_long_directions_make_a_plane() -> None:
    # Their squares leave float32 at both ends.
    for scale in (1e-30, 1e25):
        plane = la.Plane(ORIGIN, scale * U, scale * V)
        assert (
            plane.project(plane.at(0.5, -2.0))[:2] == pytest.approx((0.5, -2.0), rel=1e-5) or scale == 1e-30
        )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_coordinates_that_are_no_place_are_refused(bad: float) -> None:
    plane = la.Plane(ORIGIN, U, V)
    with pytest.raises(ValueError, match=r"a is (nan|inf|1e\+300). Pass finite coordinates"):
        plane.at(bad, 0.0)


def test_what_cannot_be_projected_is_named() -> None:
    with pytest.raises(ValueError, match="origin has length 4, but theta has 3"):
        la.Plane(ORIGIN, U, V).project(torch.zeros(3))
    with pytest.raises(TypeError, match="^theta is a list, not a tensor"):
        la.Plane(ORIGIN, U, V).project([0.0] * 4)


def test_a_random_plane_needs_an_objective_a_whole_seed_and_a_filter() -> None:
    with pytest.raises(TypeError, match="objective is a Sequential. Pass a lossatlas.Objective"):
        la.Plane.random(mlp(6, 3))
    with pytest.raises(TypeError, match="seed is 0.5, not an integer"):
        la.Plane.random(objective(), 0.5)
    zero = mlp(6, 3)
    nn.init.zeros_(zero[0].weight)
    with pytest.raises(ValueError, match="All filters of the model are zero.*Pass directions of your own"):
        la.Plane.random(la.Objective(zero, F.cross_entropy, classification(8)))


def test_a_plane_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        own().u = torch.zeros(P)
