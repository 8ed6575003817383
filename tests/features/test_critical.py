"""Critical points with known answers, and points that look like one and are none."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.features import Search
from lossatlas.features.kinds import verdict_of_ends
from lossatlas.features.newton import ENOUGH, lowest, shortest
from tests.curvature.test_krylov import matrix
from tests.zoo import F, classification, himmelblau, linear_net, mlp, normal, rosenbrock, seeded

# A simple zero of the gradient is found to ‖g‖ / |λ|, and ‖g‖ to a few roundings: 1e-10 is far above.
CLOSED = 1e-10


def square(f: Callable[[Tensor], Tensor], theta: tuple[float, ...] = (0.0, 0.0)) -> la.Landscape:
    """The landscape of a function of two parameters, a and b themselves the parameters' offsets."""
    origin = torch.tensor(theta, dtype=torch.float64)
    plane = la.Plane(origin, *torch.eye(2, dtype=torch.float64))
    return la.Landscape(la.Objective.from_function(f, origin), plane)


def of_quadratic(values: Any, seed: int = 0) -> tuple[la.Objective, Tensor]:
    """½ θᵀAθ with these eigenvalues, and its eigenvectors as columns, in the order of the values."""
    a = matrix(np.asarray(values, dtype=float), seed)
    order = np.argsort(np.argsort(values))
    vectors = torch.linalg.eigh(a)[1][:, order]
    return la.Objective.from_function(lambda t: 0.5 * t @ (a @ t), torch.zeros(len(a)).double()), vectors


def squared(output: Tensor, y: Tensor) -> Tensor:
    return 0.5 * (output - y).square().sum(dim=1).mean()


def at_rounding(found: la.CriticalPoint) -> bool:
    driven = found.gradient_norm if found.within == "space" else found.slice_gradient
    return found.converged and driven <= ENOUGH * found.gradient_rounding


MINIMA = [(3.0, 2.0), (-2.80512, 3.13131), (-3.77931, -3.28319), (3.58443, -1.84813)]
SADDLES = [(-3.07303, -0.08135), (-0.12796, -1.95371), (0.08668, 2.88425), (3.38515, 0.07385)]
MAXIMUM = (-0.27084, -0.92304)
HEIGHTS = [0.0, 0.0, 0.0, 0.0, 104.015, 178.337, 67.719, 13.312, 181.617]


@pytest.mark.parametrize("within", ["space", "plane"])
def test_himmelblaus_nine_critical_points_are_found_each_with_its_kind(within: Any) -> None:
    landscape = square(himmelblau)
    found = []
    for (a, b), height in zip([*MINIMA, *SADDLES, MAXIMUM], HEIGHTS, strict=True):
        point = landscape.critical_point((a + 0.2, b - 0.15), within=within)
        assert at_rounding(point)
        assert (point.a, point.b) == pytest.approx((a, b), abs=1e-5)
        assert point.loss == pytest.approx(height, abs=1e-3)
        assert point.distance <= CLOSED
        assert point.index_is_exact
        found.append(point)
    kinds = [point.kind for point in found]
    assert kinds == ["minimum"] * 4 + ["saddle"] * 4 + ["maximum"]
    assert [point.index for point in found] == [0] * 4 + [1] * 4 + [2]
    assert kinds.count("minimum") - kinds.count("saddle") + kinds.count("maximum") == 1
    hessian = torch.autograd.functional.hessian(himmelblau, found[4].theta)
    np.testing.assert_allclose(found[4].eigenvalues, torch.linalg.eigvalsh(hessian).flip(0), rtol=CLOSED)
    assert (found[0].spectrum is None) == (within == "plane")
    label = {"space": "saddle of index 1", "plane": "saddle of the slice of index 1"}[within]
    assert found[4].label == label
    assert label in repr(found[4])


@pytest.mark.parametrize("within", ["space", "plane"])
def test_rosenbrocks_minimum_is_found_from_along_its_valley(within: Any) -> None:
    for near in ((0.7, 0.5), (1.5, 1.0)):
        found = square(rosenbrock).critical_point(near, within=within)
        assert at_rounding(found)
        assert found.kind == "minimum"
        np.testing.assert_allclose(found.theta, [1.0, 1.0], atol=1e-9)  # ‖g‖ / λmin
        np.testing.assert_allclose(found.eigenvalues, [1001.6006, 0.39936], rtol=1e-5)


def test_downhill_leads_to_the_minimum_from_where_the_gradients_norm_does_not() -> None:
    """Along Rosenbrock's valley ‖g‖ falls towards −∞ as well; and at Himmelblau's top every way is down."""
    landscape = square(rosenbrock)
    assert not landscape.critical_point((-1.2, 1.0), steps=40).converged
    for within in ("space", "plane"):
        found = landscape.critical_point((-1.2, 1.0), within=within, towards="minimum")
        assert at_rounding(found)
        np.testing.assert_allclose(found.theta, [1.0, 1.0], atol=1e-9)
        down = square(himmelblau).critical_point((-0.2, -0.9), within=within, towards="minimum")
        assert (down.kind, down.converged) == ("minimum", True)
        assert down.loss == pytest.approx(0.0, abs=1e-20)


def test_the_two_dimensional_proxys_critical_points_are_those_of_its_separated_form() -> None:
    """w₁² + w₂² + ½ sin 10w₁ cos 10w₂: in s = w₁ + w₂ and t = w₁ − w₂, x + 2.5 cos 10x = 0 for each."""

    def proxy(t: Tensor) -> Tensor:
        return t.square().sum() + 0.5 * torch.sin(10 * t[0]) * torch.cos(10 * t[1])

    x = np.linspace(-3.0, 3.0, 60_001)
    value = x + 2.5 * np.cos(10 * x)
    roots = x[:-1][value[:-1] * value[1:] < 0]
    assert len(roots) == 15
    for _ in range(5):
        roots = roots - (roots + 2.5 * np.cos(10 * roots)) / (1 - 25 * np.sin(10 * roots))
    for s, t in itertools.product(roots[4:9], roots[6:9]):
        found = square(proxy).critical_point(((s + t) / 2 + 0.004, (s - t) / 2 - 0.003))
        assert at_rounding(found)
        assert (found.a + found.b, found.a - found.b) == pytest.approx((s, t), abs=CLOSED)
        # L = ½ (s² + t²) + ¼ (sin 10s + sin 10t), whose second derivatives are 1 − 25 sin 10x; s and t are √2 long.
        curves = sorted((2 * (1 - 25 * np.sin(10 * x)) for x in (s, t)), reverse=True)
        assert found.index == sum(curve < 0 for curve in curves)
        np.testing.assert_allclose(found.eigenvalues, curves, rtol=CLOSED)


def test_the_scalar_linear_net_has_a_saddle_at_the_origin_and_a_valley_of_minima() -> None:
    landscape = square(lambda t: 0.5 * (t[0] * t[1] - 3.0) ** 2)
    saddle = landscape.critical_point((0.2, -0.1))
    assert (saddle.kind, saddle.index, saddle.flat) == ("saddle", 1, 0)
    np.testing.assert_allclose(saddle.eigenvalues, [3.0, -3.0], rtol=CLOSED)
    valley = landscape.critical_point((1.2, 2.0))
    assert at_rounding(valley)
    assert valley.a * valley.b == pytest.approx(3.0)
    assert valley.eigenvalues[0] == pytest.approx(valley.a**2 + valley.b**2)
    # By second order alone a valley and a flat saddle are the same.
    assert (valley.kind, valley.index, valley.flat) == ("undecided", 0, 1)
    assert "1 of 2 eigenvalues cannot be told from 0" in valley.message
    assert "though no direction curves down" in valley.message


@pytest.mark.parametrize(("widths", "near"), [((4, 3, 2), 0.0), ((3, 2, 3), 0.01)])
def test_a_two_layer_linear_net_has_a_saddle_at_the_origin_of_index_width_times_rank(
    widths: tuple[int, int, int], near: float
) -> None:
    """Apart from others where the correlation has an inverse; where it has a kernel, W₁ may lie in it as well."""
    inputs, hidden, outputs = widths
    x, y = normal(30, inputs, dtype=torch.float64), normal(30, outputs, seed=1, dtype=torch.float64)
    objective = la.Objective(linear_net(*widths), squared, (x, y))
    origin = torch.zeros(objective.size).double()
    axes = [normal(objective.size, seed=k, dtype=torch.float64) for k in (1, 2)]
    landscape = la.Landscape(objective, la.Plane(origin, *axes))
    found = landscape.critical_point((near, -2 * near))
    sigma = torch.linalg.svdvals(y.T @ x / 30).numpy()
    assert at_rounding(found)
    assert float(found.theta.norm()) < 1e-12
    assert found.kind == "saddle"
    assert found.index == hidden * len(sigma)
    assert found.flat == objective.size - 2 * found.index
    np.testing.assert_allclose(found.eigenvalues[: found.index], np.repeat(sigma, hidden), rtol=CLOSED)


def test_a_deeper_linear_net_is_flat_to_second_order_at_the_origin_and_stays_undecided() -> None:
    objective = la.Objective(
        linear_net(3, 2, 2, 2), squared, (normal(20, 3, dtype=torch.float64), normal(20, 2, seed=1, dtype=torch.float64))
    )  # fmt: skip
    origin = torch.zeros(objective.size).double()
    axes = [normal(objective.size, seed=k, dtype=torch.float64) for k in (1, 2)]
    found = la.Landscape(objective, la.Plane(origin, *axes)).critical_point()
    assert found.converged
    assert (found.kind, found.index, found.flat) == ("undecided", 0, objective.size)
    assert found.gradient_norm == 0


def test_an_indefinite_quadratic_takes_one_step() -> None:
    values = [8.0, 3.0, 1.0, 0.5, -0.25, -2.0]
    objective, vectors = of_quadratic(values)
    plane = la.Plane(objective.theta, vectors[:, 0], vectors[:, 5])
    found = la.Landscape(objective, plane).critical_point((0.3, 0.2))
    assert found.steps == 1
    assert float(found.theta.norm()) < 1e-14
    assert (found.kind, found.index, found.label) == ("saddle", 2, "saddle of index 2")
    np.testing.assert_allclose(found.eigenvalues, values, rtol=CLOSED)
    assert found.products < 20


def test_a_minimum_of_the_slice_can_be_a_saddle_of_the_whole_and_says_what_it_leaves_out() -> None:
    objective, vectors = of_quadratic([8.0, 3.0, 1.0, -0.25, -2.0])
    away = 0.5 * vectors[:, 4]  # where the slice lies, the loss falls in a direction that is not drawn
    landscape = la.Landscape(objective, la.Plane(away, vectors[:, 0], vectors[:, 1]))
    inside = landscape.critical_point((0.4, -0.3), within="plane")
    assert (inside.kind, inside.label) == ("minimum", "minimum of the slice")
    np.testing.assert_allclose(inside.eigenvalues, [8.0, 3.0], rtol=CLOSED)
    assert inside.slice_gradient < 1e-14
    assert inside.gradient_norm == pytest.approx(1.0)  # |−2| · 0.5
    assert inside.outside == pytest.approx(1.0)
    assert inside.distance < 1e-14
    whole = landscape.critical_point((0.4, -0.3))
    assert (whole.kind, whole.index) == ("saddle", 2)
    assert whole.distance == pytest.approx(0.5)
    assert whole.gradient_norm < 1e-13


def test_on_a_line_the_slice_has_one_eigenvalue() -> None:
    objective, vectors = of_quadratic([4.0, 1.0, -3.0])
    line = la.Line(objective.theta, vectors[:, 2])
    for near in (0.3, (0.3,), [0.3]):
        top = la.Landscape(objective, line).critical_point(near, within="plane")
        assert (top.label, top.b) == ("maximum of the slice", 0.0)
        assert top.a == pytest.approx(0.0, abs=1e-15)
        np.testing.assert_allclose(top.eigenvalues, [-3.0], rtol=CLOSED)
    assert la.Landscape(objective, line).critical_point(0.3).label == "saddle of index 1"


def test_logistic_regression_has_its_one_minimum_with_the_hessian_of_its_closed_form() -> None:
    x, y = normal(50, 4, dtype=torch.float64), (normal(50, seed=3) > 0).double()
    model = nn.Sequential(nn.Linear(4, 1, bias=False), nn.Flatten(0)).double()
    objective = la.Objective(model, F.binary_cross_entropy_with_logits, (x, y))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    found = landscape.critical_point((0.5, -0.5))
    assert at_rounding(found)
    assert found.kind == "minimum"
    chance = torch.sigmoid(x @ found.theta)
    assert float((x.T @ (chance - y) / 50).norm()) < 1e-14
    exact = torch.linalg.eigvalsh(x.T @ ((chance * (1 - chance))[:, None] * x) / 50).flip(0)
    np.testing.assert_allclose(found.eigenvalues, exact, rtol=CLOSED)
    same = landscape.critical_point((0.5, -0.5), towards="minimum")
    np.testing.assert_allclose(same.theta, found.theta, rtol=1e-9)


def network(dtype: torch.dtype = torch.float64, **options: Any) -> la.Landscape:
    x, y = classification(80, dtype=dtype)
    objective = la.Objective(mlp(6, 8, 3, dtype=dtype), F.cross_entropy, (x, y), weight_decay=0.02, **options)
    return la.Landscape(objective, la.Plane.random(objective))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_networks_minimum_is_found_to_the_rounding_of_its_gradient(dtype: torch.dtype) -> None:
    landscape = network(dtype)
    objective = landscape.objective
    before = objective.theta
    found = landscape.critical_point(towards="minimum")
    assert at_rounding(found)
    assert (found.kind, found.index, found.index_is_exact, found.flat) == ("minimum", 0, True, 0)
    gradient = objective.gradient(found.theta)
    assert found.gradient_norm == pytest.approx(float(gradient.double().norm()), rel=1e-6)
    assert found.gradient_norm < 1e3 * torch.finfo(dtype).eps
    assert found.loss == pytest.approx(objective.value(found.theta))
    assert landscape.plane.project(found.theta) == pytest.approx((found.a, found.b, found.distance))
    # λ‖θ‖²/2 lifts every eigenvalue: decay is in the products.
    dense = la.Objective.spectrum(objective, found.theta, top=objective.size)
    np.testing.assert_allclose(found.eigenvalues, dense.eigenvalues, rtol=1e-3, atol=1e-5)
    assert torch.equal(objective.theta, before)
    again = landscape.critical_point((found.a, found.b), within="plane")
    assert again.outside > 100 * again.slice_gradient  # on the plane it is no critical point


def test_a_gradient_that_is_flat_and_not_zero_is_refused() -> None:
    """x³ / 3 + 10⁻³ x + ½ y²: at 0 no step lowers ‖g‖, the Hessian is flat along it, and it is not 0 (Frye et al. 2021)."""
    landscape = square(lambda t: t[0] ** 3 / 3 + 1e-3 * t[0] + 0.5 * t[1] ** 2)
    for within, near in itertools.product(("space", "plane"), ((0.3, 0.2), (0.0, 0.1), (-0.4, 0.0))):
        found = landscape.critical_point(near, within=within)
        assert not found.converged
        assert found.kind == "undecided"
        assert "no critical point" in repr(found)
        assert found.gradient_norm == pytest.approx(1e-3, rel=1e-3)
        assert found.gradient_norm > 1e6 * found.gradient_rounding
        assert found.flatness is not None
        assert found.flatness < 1e-2
        assert "the Hessian is flat along it" in found.message


@pytest.mark.parametrize("within", ["space", "plane"])
def test_a_zero_of_higher_order_is_not_given_a_kind(within: Any) -> None:
    for f in (
        lambda t: t[0] ** 3 + t[1] ** 2,
        lambda t: (t**4).sum(),
        lambda t: t[0] ** 4 + t[1] ** 2,
        lambda t: (t[0] ** 2 - t[1] ** 2) * t[0],
    ):
        found = square(f).critical_point((0.3, 0.2), within=within)
        assert found.converged
        assert (found.kind, found.index) == ("undecided", 0)
        assert found.flat


def test_beyond_the_dense_sizes_signs_come_from_the_converged_ends_of_the_spectrum() -> None:
    size = 3000
    bulk = torch.linspace(2.0, 2.5, size - 5).double()
    for ends in ([0.5, 0.6, 0.8, 1.0, 1.2], [-3.0, -1.5, -1.0, 0.5, 0.8]):
        curve = torch.cat([torch.tensor(ends).double(), bulk])
        objective = la.Objective.from_function(
            lambda t, c=curve: 0.5 * (c * t * t).sum() + 0.1 * torch.cos(t).sum(), torch.zeros(size).double()
        )
        negative = sum(end < 0.1 for end in ends)
        axes = [normal(size, seed=k, dtype=torch.float64) / size**0.5 for k in (1, 2)]
        found = la.Landscape(objective, la.Plane(objective.theta, *axes)).critical_point((0.3, 0.1))
        assert at_rounding(found)
        assert found.spectrum is not None
        assert not found.spectrum.exact
        assert (found.kind, found.index) == ("saddle" if negative else "minimum", negative)
        assert found.index_is_exact
        np.testing.assert_allclose(found.eigenvalues[-4:][::-1], np.array(ends[:4]) - 0.1, atol=1e-4)


def test_an_index_that_is_not_known_to_the_end_is_a_lower_bound() -> None:
    values = np.concatenate([np.linspace(0.5, 2.0, 300), np.linspace(-1.0, -0.5, 40)])
    objective, vectors = of_quadratic(values)
    landscape = la.Landscape(objective, la.Plane(objective.theta, vectors[:, 0], vectors[:, 339]))
    found = landscape.critical_point((0.3, 0.2), products=150)
    assert (found.kind, found.index_is_exact, found.flat) == ("saddle", False, None)
    assert 1 <= found.index < 40
    assert found.products <= 150
    assert found.label == f"saddle of index at least {found.index}"


def test_a_budget_that_is_too_small_gives_what_there_is() -> None:
    landscape = network()
    none = landscape.critical_point(steps=0)
    assert (none.converged, none.kind, none.steps) == (False, "undecided", 0)
    torch.testing.assert_close(none.theta, landscape.objective.theta)
    assert "the steps were used up" in none.message
    few = landscape.critical_point(products=7, towards="minimum")
    assert not few.converged
    assert few.products <= 7
    assert "the products were used up" in few.message
    assert few.loss < none.loss
    one = landscape.critical_point(within="plane", products=1)
    assert (one.products, one.converged) == (0, False)


def test_a_search_that_is_left_keeps_what_it_has() -> None:
    landscape = network()
    search = Search(landscape.objective, landscape.slice, towards="minimum")
    fresh = search.point()
    assert (fresh.converged, fresh.message) == (False, "the search was not finished")
    assert np.isnan(fresh.loss)
    job = search.run()
    while search.point().steps < 3:
        next(job)
    job.close()
    found = search.point()
    assert (found.steps, found.converged, found.kind) == (3, False, "undecided")
    assert found.loss == pytest.approx(landscape.objective.value(found.theta))
    assert "the search was not finished" in found.message
    jobs.call(landscape.objective.gradient_work(found.theta))  # its replicas were given back


def test_a_model_without_second_derivatives_is_searched_by_differences() -> None:
    class NoSecond(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return torch.cosh(x)

        @staticmethod
        def backward(ctx: Any, upstream: Tensor) -> Any:
            if torch.is_grad_enabled():
                raise RuntimeError("derivative for cosh_backward is not implemented")
            return upstream * torch.sinh(ctx.saved_tensors[0])

    found = square(lambda t: NoSecond.apply(t - 0.5).sum() + 0.2 * (t[0] * t[1])).critical_point((0.2, 0.1))  # type: ignore[no-untyped-call]
    assert at_rounding(found)
    assert found.kind == "minimum"
    assert found.spectrum is not None
    assert found.spectrum.form.startswith("central differences")
    a, b = found.theta.tolist()
    assert np.sinh(a - 0.5) + 0.2 * b == pytest.approx(0.0, abs=1e-14)


def test_a_point_without_a_finite_gradient_is_a_result() -> None:
    landscape = square(lambda t: (t**1.5).sum())
    for within in ("space", "plane"):
        found = landscape.critical_point((-0.5, 0.5), within=within)
        assert (found.converged, found.kind) == (False, "undecided")
        assert np.isnan(found.loss)
        assert "is not finite here" in found.message
    pole = square(lambda t: (t.abs() ** 0.5).sum()).critical_point((0.0, 0.0))
    assert not pole.converged
    assert "is not finite here" in pole.message


def test_a_wrong_call_is_said_in_words() -> None:
    landscape = network()
    objective = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(40))  # in float32
    single = la.Landscape(objective, la.Plane.random(objective))
    with pytest.raises(ValueError, match=r'within is "?.sphere.+Pass "space", or "plane"'):
        landscape.critical_point(within="sphere")
    with pytest.raises(ValueError, match=r'towards is .top.. Pass "any", or "minimum"'):
        landscape.critical_point(towards="top")
    with pytest.raises(ValueError, match=r"near is 3. Pass a point of the plane \(a, b\)"):
        landscape.critical_point(3)
    with pytest.raises(ValueError, match=r"near is \(nan, 0.0\). Pass finite coordinates"):
        landscape.critical_point((float("nan"), 0.0))
    with pytest.raises(
        ValueError, match=r"near is \(1e\+300, 0\). Pass finite coordinates, at most 3.4e\+38"
    ):
        single.critical_point((1e300, 0))
    with pytest.raises(ValueError, match=r"near is 1e\+300. Pass finite coordinates, at most 3.4e\+38"):
        la.Landscape(single.objective, la.Line(single.objective.theta, single.plane.u)).critical_point(1e300)
    with pytest.raises(ValueError, match=r"products is 0. Pass a whole number of at least 1"):
        landscape.critical_point(products=0)
    with pytest.raises(ValueError, match=r"steps is 2.5. Pass a whole number of at least 0"):
        landscape.critical_point(steps=2.5)
    line = la.Landscape(landscape.objective, la.Line(landscape.objective.theta, landscape.plane.u))
    with pytest.raises(ValueError, match=r"near is 'x'. Pass a point of the line, one number"):
        line.critical_point("x")


def test_running_statistics_that_are_estimated_anew_have_no_hessian_to_search_with() -> None:
    with seeded(0):
        model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()
    objective = la.Objective(
        model, F.cross_entropy, classification(40, dtype=torch.float64), mode="reestimated"
    )
    with pytest.raises(ValueError, match="There is no Hessian of a loss whose running statistics"):
        la.Landscape(objective, la.Plane.random(objective)).critical_point()


def test_the_shortest_step_leaves_enough_and_stays_within_its_radius() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        a, t = generator.normal(size=(7, 5)), generator.normal(size=7)
        best = np.linalg.lstsq(a, -t, rcond=None)[0]
        least = np.linalg.norm(a @ best + t)
        free, bounded = shortest(a, t, 1e9, 0.0)
        np.testing.assert_allclose(free, best, rtol=1e-9)
        assert not bounded
        held, bounded = shortest(a, t, 0.5 * float(np.linalg.norm(best)), 0.0)
        assert bounded
        assert np.linalg.norm(held) == pytest.approx(0.5 * np.linalg.norm(best))
        # On the sphere the gradient of the residual points along −y.
        slope = a.T @ (a @ held + t)
        assert slope @ held == pytest.approx(-np.linalg.norm(slope) * np.linalg.norm(held))
        enough = float(least + np.linalg.norm(t)) / 2
        lax, bounded = shortest(a, t, 1e9, enough)
        assert np.linalg.norm(a @ lax + t) == pytest.approx(enough)
        assert np.linalg.norm(lax) < np.linalg.norm(best)
        assert not bounded
    nothing, _ = shortest(np.zeros((3, 2)), np.ones(3), 1.0, 0.0)
    assert not nothing.any()


def test_the_lowest_point_within_a_radius_has_the_slope_of_the_sphere() -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        values, t = generator.normal(size=6), generator.normal(size=6)
        y, bounded = lowest(values, t, 0.7, 0.0)
        assert bounded
        assert np.linalg.norm(y) == pytest.approx(0.7)
        multiplier = -(t + values * y) / y
        np.testing.assert_allclose(multiplier, multiplier[0], rtol=1e-6)
        assert multiplier[0] >= max(0.0, -values.min())
    inner, bounded = lowest(np.array([2.0, 1.0]), np.array([0.2, 0.1]), 1.0, 0.0)
    assert not bounded
    np.testing.assert_allclose(inner, [-0.1, -0.1])
    # The hard case: no slope where it curves down.
    hard, bounded = lowest(np.array([2.0, -1.0]), np.array([0.3, 0.0]), 1.0, -1.0)
    assert bounded
    np.testing.assert_allclose(np.abs(hard), [0.1, 0.99**0.5])


@pytest.mark.parametrize(
    ("values", "residuals", "unsure", "said"),
    [
        ([5.0, 3.0, 0.4, 0.2], 0.1, (), ("minimum", 0, True)),
        ([5.0, 3.0, 0.4, 0.2], 0.3, (), ("undecided", 0, False)),  # 0.2 ± 0.3 may be negative
        (
            [5.0, 3.0, 0.4, 0.001],
            0.0,
            (),
            ("undecided", 0, True),
        ),  # within the noise: flat, and none is negative
        ([5.0, 3.0, 0.4, -0.2], 0.1, (), ("saddle", 1, True)),
        ([5.0, 3.0, -0.1, -0.2], 0.0, (), ("saddle", 2, False)),  # the next may be negative too
        ([5.0, 3.0, -0.1, -0.2], 0.5, (2, 3), ("saddle", 1, False)),  # Ritz values lie inside the spectrum
        ([5.0, 3.0, 0.4, 0.2], 0.0, (3,), ("undecided", 0, False)),  # there may be smaller ones
        ([-1.0, -2.0, -7.0, -9.0], 0.1, (), ("maximum", 90, True)),
    ],
)
def test_the_ends_of_a_spectrum_tell_what_their_residuals_let_them(
    values: list[float], residuals: float, unsure: tuple[int, ...], said: tuple[str, int, bool]
) -> None:
    sure = [number not in unsure for number in range(4)]
    found = verdict_of_ends(np.array(values), np.full(4, residuals), sure, 0.01, bottom=2, size=90)
    assert (found.kind, found.index, found.index_is_exact) == said
