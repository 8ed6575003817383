"""Spectra: closed forms first, repeated eigenvalues, then the errors that they carry."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.curvature import Spectrum, Study, stream
from lossatlas.curvature.products import Products
from tests.curvature.test_krylov import matrix
from tests.zoo import F, classification, normal, seeded, whole

pytestmark = pytest.mark.statistics


def quadratic(values: np.ndarray, dtype: torch.dtype = torch.float64) -> la.Objective:
    a = matrix(values).to(dtype)
    return la.Objective.from_function(lambda t: 0.5 * t @ (a @ t), torch.zeros(len(values), dtype=dtype))


def integral(values: np.ndarray, grid: np.ndarray) -> float:
    """By the trapezium rule, which numpy calls by another name in each major version."""
    return float(np.sum(np.diff(grid) * (values[1:] + values[:-1])) / 2)


def by_krylov(objective: la.Objective, **options: object) -> Spectrum:
    """A spectrum by the process, of an objective that is small enough for the dense way."""
    return jobs.call(Study(objective, objective.theta, products=10_000, **options).run())  # type: ignore[arg-type]


def test_rosenbrock_and_the_scalar_linear_net_have_their_closed_forms() -> None:
    def rosenbrock(t: Tensor) -> Tensor:
        return (1 - t[0]) ** 2 + 100 * (t[1] - t[0] ** 2) ** 2

    found = la.Objective.from_function(rosenbrock, torch.ones(2).double()).spectrum()
    np.testing.assert_allclose(found.eigenvalues, [1001.6006, 0.39936], rtol=1e-5)
    assert found.exact
    assert (found.trace, found.trace_error) == (pytest.approx(1002.0), 0.0)
    net = la.Objective.from_function(lambda t: 0.5 * (t[0] * t[1] - 3.0) ** 2, torch.zeros(2).double())
    np.testing.assert_allclose(net.spectrum().eigenvalues, [3.0, -3.0])
    np.testing.assert_allclose(net.spectrum(torch.tensor([1.0, 3.0])).eigenvalues, [10.0, 0.0], atol=1e-12)


def softmax_at_zero(classes: int = 5, features: int = 7) -> tuple[la.Objective, np.ndarray]:
    """At W = 0: each eigenvalue μ / K of XᵀX / nK with multiplicity K − 1, and 0 as often as there are features."""
    x, y = normal(60, features, dtype=torch.float64), whole(classes, 60)
    model = nn.Linear(features, classes, bias=False).double()
    nn.init.zeros_(model.weight)
    values = torch.linalg.eigvalsh(x.T @ x / 60).numpy() / classes
    exact = np.sort(np.concatenate([np.repeat(values, classes - 1), np.zeros(features)]))[::-1]
    return la.Objective(model, F.cross_entropy, (x, y)), exact


def test_repeated_eigenvalues_are_all_found() -> None:
    objective, exact = softmax_at_zero()
    for found in (objective.spectrum(top=6), by_krylov(objective, top=6)):
        np.testing.assert_allclose(found.eigenvalues[:6], exact[:6], rtol=1e-5)
        np.testing.assert_allclose(found.eigenvalues[6:], [0.0, 0.0], atol=1e-9)
        assert found.converged.all()
        v = found.eigenvectors
        torch.testing.assert_close(v.T @ v, torch.eye(8).double(), rtol=0, atol=1e-8)


def test_a_two_layer_linear_net_at_zero_has_the_singular_values_of_its_correlation() -> None:
    """Eigenvalues ± σ(E), each as often as there are hidden units, the rest 0, of ½ mean ‖W₂ W₁ x − y‖²."""
    x, y = normal(30, 4, dtype=torch.float64), normal(30, 2, seed=1, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False)).double()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)

    def half(output: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (output - target).square().sum(dim=1).mean()

    objective = la.Objective(model, half, (x, y))
    sigma = torch.linalg.svdvals(y.T @ x / 30).numpy()
    exact = np.sort(
        np.concatenate([np.repeat(sigma, 3), np.repeat(-sigma, 3), np.zeros(objective.size - 12)])
    )[::-1]
    for found in (objective.spectrum(top=6, bottom=3), by_krylov(objective, top=6, bottom=3)):
        np.testing.assert_allclose(found.eigenvalues, [*exact[:6], *exact[-3:]], rtol=1e-5)
    deeper = nn.Sequential(nn.Linear(4, 3, bias=False), *model).double()
    deeper[1] = nn.Linear(3, 3, bias=False).double()
    for parameter in deeper.parameters():
        nn.init.zeros_(parameter)
    flat = la.Objective(deeper, half, (x, y)).spectrum()
    np.testing.assert_allclose(flat.eigenvalues, 0.0, atol=1e-14)  # flat to second order


VALUES = np.concatenate(
    [[30.0, 12.0, 12.0, 7.0, 5.0, 4.5], np.random.default_rng(0).normal(0, 0.3, 400), [-2.0, -2.5]]
)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_extreme_pairs_are_within_their_residual_and_noise(dtype: torch.dtype) -> None:
    objective = quadratic(VALUES, dtype)
    found = by_krylov(objective)
    exact = np.concatenate([np.sort(VALUES)[::-1][:5], [-2.0, -2.5]])
    assert found.converged.all()
    error = np.abs(found.eigenvalues - exact)
    assert (error <= found.residuals + found.noise + 1e-6 * 30.0).all()
    assert (error <= 1e-4 * 30.0).all()
    assert found.products < 90
    h = matrix(VALUES)
    v = found.eigenvectors.double()
    measured = (h @ v - v * torch.as_tensor(found.eigenvalues)).norm(dim=0).numpy()
    assert (measured <= found.residuals + (1e-4 if dtype == torch.float32 else 1e-6) * 30.0).all()


def test_the_density_integrates_to_one_and_has_its_atoms_where_they_are() -> None:
    found = by_krylov(quadratic(VALUES))
    density = found.density
    assert integral(density.values, density.grid) == pytest.approx(1.0, abs=1e-6)
    assert density.grid[0] < VALUES.min()
    assert density.grid[-1] > VALUES.max()
    assert {30.0, 12.0} <= set(np.round(density.atoms, 3))
    around = np.abs(density.grid - 30.0) < 8 * density.width
    share = integral(density.values[around], density.grid[around])
    assert share == pytest.approx(1 / len(VALUES), rel=1e-3)  # an outlier is one eigenvalue, never a weight
    assert (density.band[0] <= density.values).all()
    assert (density.values <= density.band[1]).all()


def test_the_densitys_moments_are_the_spectrums_within_their_error() -> None:
    found = by_krylov(quadratic(VALUES))
    density = found.density
    mean = integral(density.values * density.grid, density.grid)
    assert mean * len(VALUES) == pytest.approx(found.trace, rel=1e-3)
    assert abs(found.trace - VALUES.sum()) < 4 * found.trace_error


def test_small_objectives_are_exact_and_say_so() -> None:
    objective = quadratic(VALUES[:60])
    found = objective.spectrum()
    assert found.exact
    assert found.products == 60
    assert found.trace == pytest.approx(VALUES[:60].sum())
    assert found.trace_error == 0
    assert len(found.density.atoms) == 60
    assert integral(found.density.values, found.density.grid) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_array_equal(found.density.band[0], found.density.band[1])


def test_the_traces_error_holds_over_seeds() -> None:
    """Two standard errors of one probe's mean cover the truth about as often as a normal mean's would."""
    objective = quadratic(np.random.default_rng(1).normal(0.5, 1.0, 300))
    truth = float(objective.spectrum().trace)
    held = 0
    for seed in range(200):
        found = jobs.call(Study(objective, objective.theta, 2, 0, seed=seed, products=6).run())
        held += abs(found.trace - truth) <= 2 * found.trace_error
    assert 180 <= held <= 199


def test_a_zero_hessian_and_one_parameter_are_no_trouble() -> None:
    flat = la.Objective.from_function(lambda t: (t**4).sum(), torch.zeros(6).double())
    for found in (flat.spectrum(), by_krylov(flat)):
        assert found.eigenvalues.tolist() == [0.0] * 6
        assert found.converged.all()
    single = la.Objective.from_function(lambda t: 2 * t[0] ** 2, torch.ones(1).double()).spectrum(top=9)
    assert single.eigenvalues.tolist() == [4.0]


def test_one_product_tells_no_error() -> None:
    objective = quadratic(VALUES)
    found = jobs.call(Study(objective, objective.theta, products=1).run())
    assert found.trace_error == np.inf
    assert not found.converged.any()


def test_a_budget_that_is_too_small_says_what_has_not_converged() -> None:
    objective = quadratic(VALUES)
    found = jobs.call(Study(objective, objective.theta, products=6).run())
    assert found.products == 6
    assert not found.converged.all()
    unsure = ~found.converged
    assert (found.residuals[unsure] > 1e-3 * np.abs(found.eigenvalues).max()).all()
    assert len(found.eigenvalues) == 6  # no more than there were products


def test_a_spectrum_of_a_model_is_that_of_its_dense_hessian_and_the_model_stays_as_it_was() -> None:
    with seeded(4):
        model = nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 3)).double()
    x, y = classification(90, 6)
    objective = la.Objective(model, F.cross_entropy, (x.double(), y))
    before = [p.detach().clone() for p in model.parameters()]
    dense, krylov = objective.spectrum(), by_krylov(objective)
    assert (np.abs(krylov.eigenvalues - dense.eigenvalues) <= krylov.residuals + krylov.noise + 1e-12).all()
    assert krylov.products < 120
    assert (dense.exact, krylov.exact, krylov.form) == (True, False, "double backward, graph kept")
    assert abs(krylov.trace - dense.trace) < 4 * krylov.trace_error
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_what_cannot_be_asked_is_said_in_words() -> None:
    objective = quadratic(VALUES[:9])
    with pytest.raises(ValueError, match=r"top is -1. Pass a whole number"):
        objective.spectrum(top=-1)
    with pytest.raises(ValueError, match=r"tolerance is 2. Pass what a residual may be"):
        objective.spectrum(tolerance=2)
    with pytest.raises(ValueError, match=r"theta has shape \(3,\)"):
        objective.spectrum(torch.zeros(3))
    broken = la.Objective.from_function(lambda t: (t**0.5).sum(), torch.ones(4).double())
    with pytest.raises(ValueError, match="Hessian is not finite at this point"):
        broken.spectrum(torch.zeros(4))


def test_a_budget_of_memory_decides_whether_graphs_are_kept() -> None:
    objective, _ = softmax_at_zero()
    tight = Products(objective, objective.theta, budget=10)
    jobs.call(tight.times(objective.theta))
    assert tight.form == "double backward, graph made anew"


def test_a_landscape_has_spectra_at_its_points() -> None:
    with seeded(6):
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, y = classification(50, 4)
    objective = la.Objective(model, F.cross_entropy, (x.double(), y))
    there = la.Landscape(objective, la.Plane.random(objective))
    found = there.spectrum((0.25, -0.5))
    np.testing.assert_array_equal(
        found.eigenvalues, objective.spectrum(there.plane.at(0.25, -0.5)).eigenvalues
    )
    inside = float(there.plane.u @ objective.hvp(objective.theta, there.plane.u))
    assert inside <= there.spectrum().eigenvalues[0] * float(there.plane.u @ there.plane.u)
    line = la.Landscape(objective, la.Line.between(objective, there.plane.at(1.0, 0.0)))
    np.testing.assert_allclose(
        line.spectrum(0.5).eigenvalues, there.spectrum((0.5, 0.0)).eigenvalues, rtol=1e-9, atol=1e-12
    )
    with pytest.raises(ValueError, match=r"at is 3. Pass a point of the plane"):
        there.spectrum(3)


def test_a_spectrum_streams_and_ends_with_the_finished_one() -> None:
    values = torch.as_tensor(
        np.concatenate([VALUES, np.linspace(-0.5, 0.5, 15_000)])
    )  # enough to be looked at
    objective = la.Objective.from_function(lambda t: 0.5 * (values * t**2).sum(), torch.zeros_like(values))
    study = Study(objective, objective.theta, products=10_000)
    seen = list(stream(study))
    assert len(seen) > 3
    assert [found.products for found in seen] == sorted(found.products for found in seen)
    assert not seen[0].converged.all()
    np.testing.assert_array_equal(seen[-1].eigenvalues, by_krylov(objective).eigenvalues)
    tops = [found.eigenvalues[0] for found in seen]
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(tops))  # Ritz values lie inside
    for found in seen:
        assert integral(found.density.values, found.density.grid) == pytest.approx(1.0, abs=1e-5)


def test_leaving_a_stream_ends_the_work_and_what_was_known_stays_known() -> None:
    objective = quadratic(VALUES)
    study = Study(objective, objective.theta, products=10_000)
    for found in stream(study):
        if found.products >= 5:
            break
    products = study.hessian.products
    jobs.call(Products(objective, objective.theta).times(objective.theta))  # the worker has moved on
    assert study.hessian.products <= products + 1
    assert len(study.spectrum().eigenvalues) >= 5


def test_a_study_that_fails_says_so_in_the_stream() -> None:
    broken = la.Objective.from_function(lambda t: (t**0.5).sum(), torch.ones(4).double())
    with pytest.raises(ValueError, match="Hessian is not finite at this point"):
        list(stream(Study(broken, torch.zeros(4).double(), products=9)))


def test_a_figure_shows_the_density_its_band_and_every_eigenvalue_with_its_residual() -> None:
    found = by_krylov(quadratic(VALUES))
    figure = found.figure()  # type: ignore[attr-defined]
    band, line, points = figure.data
    np.testing.assert_array_equal(line.x, found.density.grid)
    peak = 1 / (len(VALUES) * found.density.width * np.sqrt(2 * np.pi))
    drawn = found.density.values > 0.1 * peak
    np.testing.assert_allclose(np.asarray(line.y)[drawn], found.density.values[drawn])
    assert 10 ** figure.layout.yaxis.range[0] < 0.1 * peak  # one eigenvalue is never cut off
    assert len(band.x) == 2 * len(found.density.grid)
    np.testing.assert_array_equal(points.x, found.eigenvalues)
    np.testing.assert_array_equal(points.error_x.array, found.residuals)
    assert "33 products" in figure.layout.title.text
    unsure = jobs.call(Study(quadratic(VALUES), torch.zeros(len(VALUES)).double(), products=6).run())
    names = [trace.name for trace in unsure.figure().data]  # type: ignore[attr-defined]
    assert names == ["two standard errors", "density", "eigenvalue", "not converged"]


def two_layers() -> la.Objective:
    with seeded(4):
        model = nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 3)).double()
    x, y = classification(90, 6)
    return la.Objective(model, F.cross_entropy, (x.double(), y))


def test_every_layer_has_a_spectrum_of_its_block() -> None:
    objective = two_layers()
    found = objective.spectrum(per_layer=True)
    assert list(found) == ["0", "2"]
    columns = torch.eye(objective.size).double()
    whole = objective.hvp(objective.theta, columns)
    exact = torch.linalg.eigvalsh(whole[280:, 280:]).flip(0).numpy()
    np.testing.assert_allclose(found["2"].eigenvalues, [*exact[:5], *exact[-2:]], rtol=1e-9, atol=1e-13)
    assert found["2"].eigenvectors.shape == (123, 7)
    assert found["0"].trace + found["2"].trace == pytest.approx(float(whole.trace()))
    block = objective.spectrum(layers="2.weight", products=1000)
    inside = torch.linalg.eigvalsh(whole[280:400, 280:400]).flip(0).numpy()
    np.testing.assert_allclose(block.eigenvalues[:5], inside[:5], rtol=1e-6)
    with pytest.raises(TypeError, match="per_layer=True takes every layer by itself"):
        objective.spectrum(per_layer=True, layers="2")


def test_the_matrix_of_a_spectrum_can_be_another() -> None:
    objective = two_layers()
    gauss_newton = objective.spectrum(matrix="gauss_newton")
    fisher = objective.spectrum(matrix="fisher")
    for found in (gauss_newton, fisher):
        assert found.eigenvalues[-1] > -1e-12  # both are positive semidefinite
    assert (gauss_newton.matrix, fisher.matrix) == ("gauss_newton", "fisher")
    assert gauss_newton.eigenvalues[0] != pytest.approx(fisher.eigenvalues[0], rel=1e-3)


def test_a_spectrum_of_a_part_of_the_data_says_so_and_how_far_its_halves_are_apart() -> None:
    objective = two_layers()
    part = objective.spectrum(samples=40, products=200)
    assert (part.samples, part.population) == (40, 90)
    assert part.share == pytest.approx(40 / 90)
    assert part.split_half is not None
    assert part.split_half > 0
    assert "40 of 90 samples, whose halves differ by" in repr(part)
    assert objective.spectrum().split_half is None


def test_a_part_of_the_data_says_too_much_of_the_largest_eigenvalue_on_average() -> None:
    """λmax is convex, so that its mean over samples is at least λmax of the mean (Jensen)."""
    objective = two_layers()
    whole = objective.spectrum().eigenvalues[0]
    parts = [objective.spectrum(samples=15, seed=seed, products=60).eigenvalues[0] for seed in range(12)]
    assert np.mean(parts) > whole


def test_the_condition_number_is_exact_where_all_eigenvalues_are_known_and_else_a_bound() -> None:
    values = np.concatenate([np.linspace(1.0, 2.0, 40), [50.0]])
    exact = quadratic(values).spectrum()
    assert exact.condition == pytest.approx(50.0)
    assert quadratic(np.append(values, 0.0)).spectrum().condition == np.inf
    assert by_krylov(quadratic(values), top=2, bottom=0).condition <= 50.0 * (1 + 1e-9)


def test_a_start_from_a_point_nearby_finds_the_same_with_fewer_products() -> None:
    generator = np.random.default_rng(3)
    h = matrix(VALUES)
    push = torch.as_tensor(generator.normal(size=h.shape))
    moved = h + 0.003 * (push + push.T)
    there, here = (
        la.Objective.from_function(lambda t, a=a: 0.5 * t @ (a @ t), torch.zeros(len(VALUES)).double())
        for a in (h, moved)
    )
    known = by_krylov(there)
    cold, warm = by_krylov(here), by_krylov(here, near=known)
    np.testing.assert_allclose(warm.eigenvalues, cold.eigenvalues, atol=1e-3 * 30)
    assert warm.converged.all()
    assert warm.warm
    assert not cold.warm
    assert warm.products < cold.products
    assert abs(warm.trace - VALUES.sum()) < 4 * warm.trace_error  # the density rests on a start of its own
    assert integral(warm.density.values, warm.density.grid) == pytest.approx(1.0, abs=1e-5)


def test_a_warm_start_that_has_locked_on_the_wrong_pairs_is_found_out() -> None:
    objective = quadratic(VALUES)
    known = by_krylov(objective, top=5, bottom=0)
    wrong = dataclasses.replace(known, eigenvectors=known.eigenvectors[:, 2:])  # without the two largest
    found = by_krylov(objective, top=3, bottom=0, near=wrong)
    np.testing.assert_allclose(found.eigenvalues, [30.0, 12.0, 12.0], rtol=1e-5)


def test_a_basis_that_does_not_fit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    objective = quadratic(VALUES)
    found = by_krylov(objective)
    assert "vectors in float64 on cpu" in found.basis
    assert found.graph_budget == 1 << 30
    monkeypatch.setattr("lossatlas.curvature.study._BASIS_BYTES", 8 * len(VALUES) * 9)
    small = by_krylov(objective)
    assert small.basis == "9 vectors in float64 on cpu, no more within 0 MiB"
    assert not small.converged.all()


def test_a_landscape_starts_from_the_nearest_point_that_it_knows_where_it_is_asked_to() -> None:
    objective = two_layers()
    there = la.Landscape(objective, la.Plane.random(objective))
    options = {"products": 500}
    assert not there.spectrum((0.1, 0.1), near="nearest", **options).warm  # nothing is known yet
    assert there.spectrum((0.11, 0.1), near="nearest", **options).warm
    assert not there.spectrum((0.11, 0.1), **options).warm
    assert not there.spectrum((0.5, 0.1), near="nearest", **options).warm  # too far


def test_no_residual_is_smaller_than_the_vectors_own_in_their_precision() -> None:
    objective = two_layers()
    single = la.Objective.from_function(
        lambda t: objective._made.at(objective.parameters.unflatten(t.double()), objective.held[0])[1][0],  # type: ignore[index, attr-defined]
        objective.theta.float(),
    )
    found = by_krylov(single, tolerance=1e-7)
    v = found.eigenvectors
    true = (single.hvp(single.theta, v).double() - v.double() * torch.as_tensor(found.eigenvalues)).norm(
        dim=0
    )
    assert (true.numpy() <= found.residuals).all()


@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_one_eigenvalue_alone_ends_after_as_many_starts_as_pairs_are_asked_for(scale: float) -> None:
    objective = la.Objective.from_function(
        lambda t: 0.5 * scale * t.square().sum(), torch.zeros(4000).double()
    )
    found = objective.spectrum(top=3, bottom=2)
    np.testing.assert_allclose(found.eigenvalues, scale, atol=1e-12)
    assert found.complete
    assert found.products < 40
    assert found.trace == pytest.approx(4000 * scale, abs=1e-9)


def test_the_k_th_largest_is_claimed_only_when_a_start_has_found_nothing_more() -> None:
    values = np.concatenate([np.ones(5), [0.9, 0.8, 0.7, 0.6], np.linspace(-0.2, 0.2, 3000)])
    diagonal = torch.as_tensor(values)
    objective = la.Objective.from_function(
        lambda t: 0.5 * (diagonal * t**2).sum(), torch.zeros_like(diagonal)
    )
    found = objective.spectrum(top=5, bottom=0)
    np.testing.assert_allclose(found.eigenvalues, 1.0, rtol=1e-6)
    assert found.complete
    first = objective.spectrum(top=5, bottom=0, thorough=False, products=100)
    assert first.converged.all()
    assert not first.complete
    assert "so far" in repr(first)


def test_halves_of_data_in_the_order_of_their_classes_are_drawn_by_chance() -> None:
    objective = two_layers()
    x, y = objective.held[0].x, objective.held[0].y  # type: ignore[index]
    order = y.argsort()
    ordered = objective.on((x[order], y[order]))
    mixed = [objective.spectrum(samples=60, seed=seed, products=60).split_half for seed in range(4)]
    sorted_ = [ordered.spectrum(samples=60, seed=seed, products=60).split_half for seed in range(4)]
    assert np.mean(sorted_) < 3 * np.mean(mixed)
    assert objective.spectrum(samples=1, products=20).split_half is None


def test_a_point_whose_loss_is_not_finite_has_no_spectrum() -> None:
    objective = la.Objective.from_function(lambda t: t.log().sum(), torch.ones(2).double())
    with pytest.raises(ValueError, match="The loss is nan at this point"):
        objective.spectrum(-torch.ones(2).double())
    np.testing.assert_allclose(objective.spectrum().eigenvalues, -1.0)  # what was asked first changes nothing


def test_a_layer_that_the_loss_does_not_reach_has_no_curvature() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Linear(6, 3), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    x, y = classification(40, 6)
    objective = la.Objective(Idle(), F.cross_entropy, (x, y))
    for matrix_ in ("hessian", "gauss_newton", "fisher"):
        found = objective.spectrum(per_layer=True, matrix=matrix_)
        assert found["used"].eigenvalues[0] > 0
        assert (found["idle"].eigenvalues == 0).all()


def test_what_one_cannot_start_from_is_said_in_words() -> None:
    objective, other = two_layers(), quadratic(VALUES[:9])
    with pytest.raises(TypeError, match="near is a str. Pass a Spectrum"):
        objective.spectrum(near="x")
    with pytest.raises(ValueError, match="near has eigenvectors of length 9, but this matrix has"):
        objective.spectrum(near=other.spectrum())
    empty = objective.spectrum(top=0, bottom=0, products=5)
    assert not objective.spectrum(near=empty, products=40).warm
    with pytest.raises(ValueError, match="seed is 'a'"):
        objective.spectrum(seed="a")
