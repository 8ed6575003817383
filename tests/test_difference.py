"""One landscape less another, against closed forms and against the two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.geometry import Turn
from tests.zoo import F, classification, mlp, normal

# Closed forms hold to 1e-10 in float64 (known answers, section 5).
CLOSED = 1e-10

HOME = la.TileAddress(0, 0, 0)


def quadratic(seed: int) -> torch.Tensor:
    matrix = normal(4, 4, seed=seed, dtype=torch.float64)
    return matrix + matrix.T


def two_quadratics() -> tuple[la.Landscape, la.Landscape, torch.Tensor]:
    """½ θᵀAθ and ½ θᵀBθ on one plane, and A − B."""
    one, other = quadratic(1), quadratic(2)
    theta = normal(4, seed=3, dtype=torch.float64)
    objectives = [
        la.Objective.from_function(lambda t, m=m: 0.5 * t @ m @ t + m.sum(), theta) for m in (one, other)
    ]
    plane = la.Plane.random(objectives[0], 0, normalize=None, ignore=None)
    first, second = (la.Landscape(objective, plane) for objective in objectives)
    return first, second, one - other


def networks(**options: Any) -> tuple[la.Landscape, la.Landscape]:
    """A network on some data, and on others."""
    objective = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(100), **options)
    landscape = la.Landscape(objective, la.Plane.random(objective), title="train")
    return landscape.on(classification(60, seed=5), title="validation"), landscape


def test_the_difference_of_two_quadratics_is_the_quadratic_of_the_difference() -> None:
    first, second, matrix = two_quadratics()
    gap = first - second
    a, b = np.meshgrid(np.linspace(-2, 1, 7), np.linspace(-1, 3, 5))
    theta = torch.stack(
        [first.plane.at(x, y) for x, y in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)]
    )
    expected = 0.5 * ((theta @ matrix) * theta).sum(1).reshape(a.shape).numpy() + float(matrix.sum())
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gap.grid((-2, 1, -1, 3), (5, 7)), expected, atol=CLOSED * scale)
    np.testing.assert_allclose(gap.evaluate(a, b), expected, atol=CLOSED * scale)
    along = gap.profile((-2, -1), (1, 3), 3)
    np.testing.assert_allclose(along.values[[0, -1]], expected[[0, -1], [0, -1]], atol=CLOSED * scale)
    drawn = gap.map((-2, 1, -1, 3), (5, 7))
    assert np.abs(drawn.values - expected).max() <= max(drawn.error, CLOSED * scale)


def test_gradient_hessian_and_curvature_are_those_of_the_difference() -> None:
    first, second, matrix = two_quadratics()
    gap = first - second
    theta, v = gap.objective.theta, normal(4, seed=9, dtype=torch.float64)
    np.testing.assert_allclose(gap.objective.gradient(theta), matrix @ theta, atol=CLOSED)
    np.testing.assert_allclose(gap.objective.hvp(theta, v), matrix @ v, atol=CLOSED)
    expected = torch.linalg.eigvalsh(matrix).numpy()[::-1]
    found = gap.spectrum(top=2, bottom=2)
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-9)
    assert gap.evaluate(0.3, 0.2, field="lambda_max") == pytest.approx(expected[0], abs=1e-9)
    assert gap.evaluate(0.3, 0.2, field="trace") == pytest.approx(float(matrix.trace()), abs=1e-9)
    u = gap.plane.u
    assert gap.jet((0.1, 0.2)).hessian[0, 0] == pytest.approx(float(u @ matrix @ u), abs=1e-9)


def test_either_landscape_evaluates_each_node_once_whoever_asks() -> None:
    first, second = networks()
    gap = first - second
    tile = gap.tile(HOME)
    count = 33 * 33 + 4  # its checks
    assert (first.evaluated, second.evaluated, gap.evaluated) == (count, count, count)
    np.testing.assert_array_equal(tile.values, first.tile(HOME).values - second.tile(HOME).values)
    assert (first.evaluated, second.evaluated) == (count, count)  # nothing was evaluated again
    again = first - second
    again.tile(HOME)
    assert (first.evaluated, second.evaluated) == (count, count)
    second.tile(la.TileAddress(0, -1, 0))
    before = second.evaluated
    gap.tile(la.TileAddress(0, -1, 0))
    assert (first.evaluated, second.evaluated) == (before, before)


def test_its_error_is_its_own_and_not_the_sum_of_two() -> None:
    theta = torch.zeros(2, dtype=torch.float64)
    plane = la.Plane(theta, *torch.eye(2, dtype=torch.float64))

    def rough(t: torch.Tensor) -> torch.Tensor:
        return torch.sin(9 * t[0]) * torch.cos(7 * t[1])

    def tilted(t: torch.Tensor) -> torch.Tensor:
        return rough(t) + 0.25 * t[0] + 0.5

    first, second = (la.Landscape(la.Objective.from_function(f, theta), plane) for f in (tilted, rough))
    gap = first - second
    extent = (-1.0, 1.0, -1.0, 1.0)
    drawn, other = gap.map(extent, 129), second.map(extent, 129)
    a, _ = np.meshgrid(np.linspace(-1, 1, 129), np.linspace(-1, 1, 129))
    assert np.abs(drawn.values - (0.25 * a + 0.5)).max() <= drawn.error
    assert drawn.nodes < other.nodes  # what both have in common needs no nodes
    assert drawn.error < 1e-3 * other.error


def test_its_noise_floor_is_that_of_the_losses_and_not_of_their_difference() -> None:
    theta = torch.zeros(2)
    plane = la.Plane(theta, *torch.eye(2))
    one = la.Objective.from_function(lambda t: 1000 + (t**2).sum(), theta)
    other = la.Objective.from_function(lambda t: 1000 + (t**2).sum() * (1 + 3e-5), theta)
    gap = la.Landscape(one, plane) - la.Landscape(other, plane)
    drawn = gap.map((-1, 1, -1, 1), 257)
    assert drawn.noise  # a float32 near 1000 is right to 3e-5, and that is what they differ by
    assert drawn.nodes < 200
    assert drawn.error >= 2000 * 2.0**-23
    tile = gap.tile(HOME, tolerance=0.01)
    assert tile.nodes < 33
    assert gap.known(HOME).error.noise


def test_the_hash_knows_both_recipes_and_the_sign() -> None:
    first, second = networks()
    gap = first - second
    hashes = {one.scene.hash for one in (first, second, gap, second - first, first - first)}
    assert len(hashes) == 5
    again = networks()
    assert (again[0] - again[1]).scene.hash == gap.scene.hash


def test_the_title_and_the_caption_say_what_is_subtracted_from_what() -> None:
    first, second = networks()
    gap = first - second
    assert gap.scene.title == "validation − train"
    assert la.difference(first, second, title="gap").scene.title == "gap"
    words = gap.caption()
    assert words.startswith(
        "validation − train: the difference of two losses, the first less the second, on the plane"
    )
    assert f"The first: Sequential · 83 parameters, 60 samples, recipe {first.objective.hash[:7]}." in words
    assert f"The second: Sequential · 83 parameters, 100 samples, recipe {second.objective.hash[:7]}" in words
    same = la.Landscape(second.objective, second.plane) - la.Landscape(first.objective, second.plane)
    assert same.scene.title == "Sequential · 83 parameters, first − second"
    assert "first, " in gap.report()
    assert "previews: none, since this is a difference of two objectives" in gap.report()


def test_turning_the_plane_turns_both_by_the_directions_of_the_first() -> None:
    first, second = networks()
    gap = first - second
    for turn in (Turn(30, -20, 0.25), Turn(45, u_to="gradient"), Turn()):
        turned, one, other = (landscape.turned(turn) for landscape in (gap, first, second))
        expected = one.evaluate([0.1, -0.5], [0.2, 0.7]) - other.evaluate([0.1, -0.5], [0.2, 0.7])
        counts = one.evaluated, other.evaluated
        np.testing.assert_array_equal(turned.evaluate([0.1, -0.5], [0.2, 0.7]), expected)
        assert (one.evaluated, other.evaluated) == counts
    both = first.turned(Turn(30)) - second.turned(Turn(30))
    assert both.scene.at == Turn(30)  # where the controls stand
    assert both.scene.hash == gap.turned(Turn(30)).scene.hash


def test_landscapes_whose_directions_differ_are_evaluated_on_the_planes_of_the_first() -> None:
    _, train = networks()
    alone = la.Landscape(train.objective.on(classification(60, seed=5)), train.plane)
    assert not torch.equal(alone.directions["gradient"].vector, train.directions["gradient"].vector)
    turn = Turn(60, u_to="gradient")
    alone.turned(turn).evaluate(0.5, 0.5)  # has a plane of that turn, which is another
    gap = (train - alone).turned(turn)
    theta = gap.plane.at(0.5, 0.5)
    assert torch.equal(gap.plane.u, train.turned(turn).plane.u)
    expected = train.objective.value(theta) - alone.objective.value(theta)
    assert gap.evaluate(0.5, 0.5) == pytest.approx(expected, abs=1e-6)


def test_fields_that_only_one_has_are_left_out() -> None:
    first, second = networks(fields=("accuracy",))
    plain = la.Landscape(
        la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(100), fields=("error", "accuracy")),
        second.plane,
    )
    gap = first - plain
    assert gap.objective.fields == ("loss", "accuracy")
    expected = first.evaluate(0.5, 0.5, field="accuracy") - plain.evaluate(0.5, 0.5, field="accuracy")
    assert gap.evaluate(0.5, 0.5, field="accuracy") == expected
    with pytest.raises(ValueError, match="There is no field 'error' here"):
        gap.evaluate(0, 0, field="error")


def test_a_difference_can_be_subtracted_renewed_and_measured_on_other_data() -> None:
    first, second = networks()
    gap = first - second
    twice = gap - first
    assert twice.evaluate(0.3, 0.3) == pytest.approx(-float(second.evaluate(0.3, 0.3)), abs=1e-6)
    other = gap.on(classification(30, seed=9))
    assert other.evaluate(0.3, 0.3) == 0.0  # both on the same data
    model = mlp(6, 8, 3)
    objective = la.Objective(model, F.cross_entropy, classification(100))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    gap = landscape.on(classification(60, seed=5)) - landscape
    with torch.no_grad():
        model[0].weight.mul_(1.5)
    assert gap.objective.model_changed
    fresh = gap.renewed()
    assert not fresh.objective.model_changed
    renewed = landscape.renewed()
    expected = renewed.on(classification(60, seed=5)).evaluate(0.5, 0.5) - renewed.evaluate(0.5, 0.5)
    assert fresh.evaluate(0.5, 0.5) == pytest.approx(float(expected), abs=1e-6)


def test_what_is_not_finite_in_either_is_not_finite_in_the_difference() -> None:
    theta = torch.zeros(2, dtype=torch.float64)
    plane = la.Plane(theta, *torch.eye(2, dtype=torch.float64))
    one = la.Objective.from_function(lambda t: torch.where(t[0] > 0.5, torch.inf, t[0]), theta)
    other = la.Objective.from_function(lambda t: torch.where(t[1] > 0.5, torch.inf, t[1]), theta)
    gap = la.Landscape(one, plane) - la.Landscape(other, plane)
    found = gap.evaluate([0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0])
    assert [repr(float(value)) for value in found] == ["0.0", "inf", "-inf", "nan"]
    assert not np.isfinite(gap.map((-1, 1, -1, 1), 33).values).all()


def test_lines_are_subtracted_too() -> None:
    first, second = networks()
    line = la.Line(second.plane.origin, second.plane.u)
    one, other = (la.Landscape(landscape.objective, line) for landscape in (first, second))
    found = (one - other).profile(num=5).values
    np.testing.assert_array_equal(found, one.profile(num=5).values - other.profile(num=5).values)


def test_what_cannot_be_subtracted_is_said_in_words() -> None:
    first, second = networks()
    other = la.Landscape(second.objective, la.Plane.random(second.objective, seed=1))
    with pytest.raises(ValueError, match="lie on different planes .* Make both on one plane"):
        first - other
    with pytest.raises(ValueError, match="lie on different planes"):
        first - second.turned(Turn(10))
    with pytest.raises(ValueError, match="lie on different planes"):
        first - la.Landscape(second.objective, la.Line(second.plane.origin, second.plane.u))
    with pytest.raises(TypeError, match="second is a float. Pass a lossatlas.Landscape"):
        la.difference(first, 1.0)
    with pytest.raises(TypeError, match="unsupported operand"):
        first - 1.0
    gap = first - second
    with pytest.raises(ValueError, match="No samples can be drawn here: this is a difference"):
        gap.spectrum(samples=10)


def test_planes_of_equal_values_are_the_same_plane() -> None:
    first, second = networks()
    copy = la.Plane(second.plane.origin, second.plane.u, second.plane.v)
    gap = first - la.Landscape(second.objective, copy)
    assert gap.evaluate(0.2, 0.1) == first.evaluate(0.2, 0.1) - second.evaluate(0.2, 0.1)
    turned = la.Landscape(second.objective, second.turned(Turn(20)).plane)
    gap = first.turned(Turn(20)) - turned  # turned in one, made so in the other
    assert gap.scene.at == Turn()
    expected = first.turned(Turn(20)).evaluate(0.2, 0.1) - turned.evaluate(0.2, 0.1)
    assert gap.evaluate(0.2, 0.1) == expected
