"""The jet of a slice: closed forms by both measures, and a rectifier's kinks, which only one of them counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import lossatlas as la
from lossatlas.curvature import Products
from tests.curvature.test_krylov import matrix
from tests.zoo import F, classification, mlp, normal


def quadratic_landscape() -> tuple[la.Landscape, Tensor]:
    """½ θᵀAθ over two directions that are neither orthogonal nor of one length."""
    a = matrix(np.array([7.0, 3.0, 1.0, -0.5, -2.0]))
    objective = la.Objective.from_function(
        lambda t: 0.5 * t @ (a @ t), normal(5, seed=3, dtype=torch.float64)
    )
    u, v = normal(5, seed=1, dtype=torch.float64), 2.0 * normal(5, seed=2, dtype=torch.float64)
    return la.Landscape(objective, la.Plane(objective.theta, u, v)), a


def test_the_slice_of_a_quadratic_has_its_matrix_by_both_measures() -> None:
    landscape, a = quadratic_landscape()
    u, v = landscape.plane.u, landscape.plane.v
    theta = landscape.plane.at(0.3, -0.7)
    exact = np.array([[float(p @ a @ q) for q in (u, v)] for p in (u, v)])
    jet = landscape.jet((0.3, -0.7))
    np.testing.assert_allclose(jet.hessian, exact, rtol=1e-10)
    assert jet.differences is not None
    # A parabola is its own second difference; what is left is rounding of L over h².
    np.testing.assert_allclose(jet.differences, exact, atol=1e-14 * 100 / jet.step**2)
    assert jet.loss == pytest.approx(float(0.5 * theta @ a @ theta), rel=1e-12)
    slope = a @ theta
    assert jet.gradient_norm == pytest.approx(float(slope.norm()), rel=1e-12)
    np.testing.assert_allclose(jet.slope, [float(u @ slope), float(v @ slope)], rtol=1e-10)
    assert jet.step == pytest.approx(2 / 16)
    assert not jet.kinked


def test_the_principal_curvatures_are_the_extremes_of_the_quotient_in_the_plane() -> None:
    landscape, a = quadratic_landscape()
    jet = landscape.jet()
    basis = torch.linalg.qr(torch.stack(landscape.plane.directions).T).Q
    exact = torch.linalg.eigvalsh(basis.T @ a @ basis).flip(0).numpy()
    np.testing.assert_allclose(jet.curvatures, exact, rtol=1e-10)
    for value, (x, y) in zip(jet.curvatures, jet.axes.T, strict=True):
        step = x * landscape.plane.u + y * landscape.plane.v
        assert float(step.norm()) == pytest.approx(1.0)
        assert float(step @ a @ step) == pytest.approx(value, rel=1e-10)
    # Between the extremes of the whole space, whatever the plane (Courant and Fischer).
    assert -2.0 <= jet.curvatures[1] <= jet.curvatures[0] <= 7.0


def test_the_gradient_in_the_slice_is_its_projection() -> None:
    landscape, a = quadratic_landscape()
    jet = landscape.jet()
    slope = a @ landscape.plane.origin
    basis = torch.linalg.qr(torch.stack(landscape.plane.directions).T).Q
    assert jet.gradient_in_slice == pytest.approx(float((basis.T @ slope).norm()), rel=1e-10)


def test_on_a_line_there_is_one_curvature() -> None:
    a = matrix(np.array([4.0, 1.0, -3.0]))
    objective = la.Objective.from_function(lambda t: 0.5 * t @ (a @ t), normal(3, dtype=torch.float64))
    u = 2.0 * normal(3, seed=1, dtype=torch.float64)
    jet = la.Landscape(objective, la.Line(objective.theta, u)).jet(0.25)
    assert jet.hessian.shape == (1, 1)
    assert jet.curvatures[0] == pytest.approx(float(u @ a @ u / (u @ u)), rel=1e-10)
    assert jet.curvatures_at_scale is not None
    np.testing.assert_allclose(jet.curvatures_at_scale, jet.curvatures, atol=1e-10)


def test_the_hessian_in_the_plane_of_a_net_is_that_of_its_products() -> None:
    model = mlp(6, 8, 3, dtype=torch.float64)
    objective = la.Objective(model, F.cross_entropy, classification(40, dtype=torch.float64))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    u, v = landscape.plane.u, landscape.plane.v
    hu, hv = (objective.hvp(objective.theta, d) for d in (u, v))
    jet = landscape.jet(span=0.01)
    np.testing.assert_allclose(
        jet.hessian, [[float(u @ hu), float(u @ hv)], [float(v @ hu), float(v @ hv)]], rtol=1e-9
    )
    # The net is smooth: over a step of 1/1600 the two agree to truncation.
    assert jet.differences is not None
    np.testing.assert_allclose(jet.differences, jet.hessian, rtol=1e-3, atol=1e-3 * np.abs(jet.hessian).max())


def test_a_rectifier_has_kinks_that_autograd_does_not_count() -> None:
    """L = |a| + ½ a² + b² as a ReLU net writes it: curvature 1 at every point but the kink, whatever lies around."""

    def kinked(t: Tensor) -> Tensor:
        return torch.relu(t[0]) + torch.relu(-t[0]) + 0.5 * t[0] ** 2 + t[1] ** 2

    objective = la.Objective.from_function(kinked, torch.zeros(2, dtype=torch.float64))
    u, v = torch.eye(2, dtype=torch.float64)
    landscape = la.Landscape(objective, la.Plane(objective.theta, u, v))
    jet = landscape.jet((0.01, 0.0))
    np.testing.assert_allclose(jet.hessian, [[1.0, 0.0], [0.0, 2.0]], atol=1e-12)
    assert jet.differences is not None
    h = jet.step  # |a − h| − 2 |a| + |a + h| = 2 (h − a) for 0 < a < h
    assert jet.differences[0, 0] == pytest.approx(1.0 + 2.0 * (h - 0.01) / h**2, rel=1e-9)
    assert jet.kinked
    assert not landscape.jet((0.5, 0.0)).kinked


@pytest.mark.parametrize(("dtype", "rounded"), [(torch.float32, True), (torch.float64, False)])
def test_the_rounding_of_a_smooth_net_is_no_kink(dtype: torch.dtype, rounded: bool) -> None:
    objective = la.Objective(mlp(6, 8, 3, dtype=dtype), F.cross_entropy, classification(64, dtype=dtype))
    for seed in range(3):
        landscape = la.Landscape(objective, la.Plane.random(objective, seed=seed))
        jet = landscape.jet((0.25, -0.5), span=0.02)
        assert jet.curvatures_at_scale is not None
        gap = np.abs(jet.curvatures_at_scale - jet.curvatures).max()
        assert gap < jet.rounding or not rounded
        assert (jet.kinked, jet.rounded) == (False, rounded)
        wide = landscape.jet((0.25, -0.5), span=0.3)
        assert (wide.kinked, wide.rounded) == (False, False)
        assert jet.rounding == pytest.approx(15**2 * wide.rounding, rel=0.1)


def test_rounding_is_told_per_unit_of_length_whatever_the_directions_are() -> None:
    """On the parabola 1 + ½ s² in s = ‖u‖ a: h is ‖u‖ step of length, and 4 ε |L| / h² its rounding."""
    objective = la.Objective.from_function(lambda t: 1.0 + 0.5 * t @ t, torch.zeros(2, dtype=torch.float64))
    for length in (1.0, 20.0):
        u = length * torch.tensor([1.0, 0.0], dtype=torch.float64)
        jet = la.Landscape(objective, la.Line(objective.theta, u)).jet(span=0.16 / length)
        exact = 4 * (torch.finfo(torch.float64).eps / 2) * (1.0 + 0.5 * 0.01**2) / 0.01**2
        assert jet.rounding == pytest.approx(exact, rel=1e-9)


def test_kinks_are_seen_in_float32_where_they_are_more_than_rounding() -> None:
    objective = la.Objective.from_function(lambda t: 1.0 + t.abs().sum() + 0.5 * t @ t, torch.zeros(2))
    landscape = la.Landscape(objective, la.Plane(objective.theta, *torch.eye(2)))
    jet = landscape.jet(span=0.02)
    assert (jet.kinked, jet.rounded) == (True, False)


def test_a_point_where_the_loss_is_not_finite_says_so_in_numbers() -> None:
    objective = la.Objective.from_function(lambda t: t.log().sum(), torch.ones(2, dtype=torch.float64))
    landscape = la.Landscape(objective, la.Plane(objective.theta, *torch.eye(2, dtype=torch.float64)))
    jet = landscape.jet((-3.0, 0.0))
    assert np.isnan(jet.loss)
    assert jet.curvatures_at_scale is not None
    assert np.isnan(jet.curvatures_at_scale).all()


@pytest.mark.parametrize("span", [0.0, -1.0, float("nan"), float("inf")])
def test_a_span_of_no_width_is_refused(span: float) -> None:
    with pytest.raises(ValueError, match="Pass the width in a"):
        quadratic_landscape()[0].jet(span=span)


def test_a_jet_takes_two_products() -> None:
    landscape, _ = quadratic_landscape()
    count = 0
    times = Products.times

    def counted(self: Products, v: Tensor) -> object:
        nonlocal count
        count += 1
        return times(self, v)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Products, "times", counted)
        landscape.jet()
    assert count == 2
