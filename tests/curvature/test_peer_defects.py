"""What other packages for Hessian spectra get or got wrong, each as what ours does instead.

The defects were seen in PyHessian, spectral-density, curvlinops and hessian-eigenthings, or reported by their users and
those of scipy's eigsh.
"""

from __future__ import annotations

import copy
import gc

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas.curvature import Spectrum
from tests.curvature.test_spectrum import by_krylov, integral, quadratic
from tests.zoo import F, classification, cnn, mlp, normal

OUTLIERS = np.array([30.0, 12.0, 7.0, 5.0, 4.5])
BULK = np.random.default_rng(0).normal(0, 0.3, 400)
VALUES = np.concatenate([OUTLIERS, BULK, [-2.0, -2.5]])


def factored(values: np.ndarray, size: int) -> tuple[la.Objective, Tensor]:
    """½ Σ λ (qᵀθ)² for a few orthonormal q, (P, k): a Hessian of low rank in as many dimensions as one likes."""
    q, _ = torch.linalg.qr(normal(size, len(values), dtype=torch.float64))
    weights = torch.as_tensor(values)
    objective = la.Objective.from_function(
        lambda t: 0.5 * weights @ (q.T @ t) ** 2, torch.zeros(size).double()
    )
    return objective, q


def small() -> la.Objective:
    return la.Objective(
        mlp(6, 30, 3, dtype=torch.float64), F.cross_entropy, classification(64, dtype=torch.float64)
    )


# Lengths, scales and breakdown


@pytest.mark.parametrize("length", [1e-30, 1e-12, 1e12])
def test_a_product_is_as_long_as_its_vector_is(length: float) -> None:
    """A norm divided by itself plus 1e-6 would bias short vectors."""
    objective = small()
    v = normal(objective.size, dtype=torch.float64)
    of_unit = objective.hvp(objective.theta, v)
    torch.testing.assert_close(
        objective.hvp(objective.theta, length * v) / length, of_unit, rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("scale", [1e-20, 1e-9, 1e9])
def test_a_loss_in_other_units_has_the_same_spectrum_in_those(scale: float) -> None:
    """An absolute breakdown test would stop early for small units and go on into noise for large ones."""
    plain, scaled = by_krylov(quadratic(VALUES)), by_krylov(quadratic(scale * VALUES))
    np.testing.assert_allclose(scaled.eigenvalues / scale, plain.eigenvalues, rtol=1e-9, atol=1e-9 * 30.0)
    np.testing.assert_array_equal(scaled.converged, plain.converged)
    assert scaled.products == plain.products
    assert scaled.trace / scale == pytest.approx(plain.trace, rel=1e-9)
    assert scaled.trace_error / scale == pytest.approx(plain.trace_error, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_hessian_of_low_rank_ends_the_process_without_a_nan(scale: float) -> None:
    """What is left over after the third product is rounding, and no direction to go on with."""
    objective, q = factored(scale * np.array([3.0, 2.0, -1.0]), 3000)
    found = objective.spectrum(top=2, bottom=1)
    np.testing.assert_allclose(found.eigenvalues / scale, [3.0, 2.0, -1.0], rtol=1e-12)
    assert found.converged.all()
    assert found.products < 40
    alignment = (found.eigenvectors.T @ q).abs()
    torch.testing.assert_close(alignment, torch.eye(3).double(), rtol=0, atol=1e-7)
    for value in (found.density.values, found.density.band, found.residuals):
        assert np.isfinite(value).all()
    assert integral(found.density.values, found.density.grid) == pytest.approx(1.0, abs=1e-5)
    assert abs(found.trace / scale - 4.0) <= 4 * found.trace_error / scale + 1e-9


def test_the_identity_has_as_many_ones_as_are_asked_for() -> None:
    """On which eigsh has failed."""
    found = by_krylov(quadratic(np.ones(300)))
    np.testing.assert_allclose(found.eigenvalues, 1.0, rtol=1e-10)
    assert found.converged.all()
    assert found.trace == pytest.approx(300.0, rel=1e-6)


# Which eigenvalues


def test_pairs_of_either_sign_come_in_their_order_and_soon() -> None:
    """Power iteration converges to the largest magnitude, and to neither of a pair of equal ones."""
    pairs = np.array([10.0, 9.99, 5.0, -5.0, -9.99, -10.0])
    found = by_krylov(quadratic(np.concatenate([pairs, BULK])), top=3, bottom=3)
    np.testing.assert_allclose(found.eigenvalues, pairs, rtol=1e-5)
    assert found.products < 100


def test_a_long_process_has_every_eigenvalue_once() -> None:
    """Without reorthogonalisation, or with one pass of it, what has converged comes again as a ghost."""
    outliers = np.geomspace(30.0, 1.5, 20)
    values = np.concatenate([outliers, BULK, [-2.0, -2.5]])
    found = by_krylov(quadratic(values, torch.float32), top=20, tolerance=1e-5)
    assert found.products > 40
    expected = np.concatenate([outliers, [-2.0, -2.5]])
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=0, atol=1e-4 * 30.0)
    overlap = found.eigenvectors.T @ found.eigenvectors
    torch.testing.assert_close(overlap, torch.eye(22), rtol=0, atol=1e-4)


def test_a_tight_cluster_has_all_its_members() -> None:
    cluster = 5.0 + 1e-6 * np.arange(4)
    found = by_krylov(quadratic(np.concatenate([cluster, BULK])), top=5)
    np.testing.assert_allclose(found.eigenvalues[:4], 5.0, atol=1e-4)
    assert found.eigenvalues[4] == pytest.approx(np.sort(BULK)[-1], abs=2e-2)


def test_what_is_asked_too_quickly_is_given_with_what_it_lacks() -> None:
    """Where eigsh raises, and has nothing to give."""
    found = quadratic(VALUES).spectrum(products=5)
    assert len(found.eigenvalues) == 5
    assert np.isfinite(found.eigenvalues).all()
    assert not found.converged.all()
    exact = np.sort(VALUES)[::-1]
    nearest = np.abs(found.eigenvalues[:, None] - exact).min(axis=1)
    assert (nearest <= found.residuals + 1e-9).all()


def test_the_small_matrix_is_solved_in_double_precision() -> None:
    """In single precision its own rounding would show beside that of the products: 1e-7 of the largest."""
    found = by_krylov(quadratic(VALUES, torch.float32), tolerance=1e-5)
    assert found.eigenvalues.dtype == found.residuals.dtype == np.float64
    expected = np.concatenate([OUTLIERS, [-2.0, -2.5]])
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=0, atol=1e-6 * 30.0)
    vectors = found.eigenvectors.double()
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(7).double(), rtol=0, atol=1e-5)


# The density and the trace


@pytest.mark.parametrize("seed", range(5))
def test_the_density_reaches_past_both_ends_and_nothing_of_it_is_cut_off(seed: int) -> None:
    """Ends averaged over runs clip the extremes, and a density normalised on its grid hides that they are missing."""
    density = by_krylov(quadratic(VALUES), seed=seed).density
    assert density.grid[0] < VALUES.min() - 3 * density.width
    assert density.grid[-1] > VALUES.max() + 3 * density.width
    assert integral(density.values, density.grid) == pytest.approx(1.0, abs=1e-6)
    ends = (density.grid > 20.0), (density.grid < -1.8)
    for end, count in zip(ends, (1, 2), strict=True):
        assert integral(density.values[end], density.grid[end]) == pytest.approx(
            count / len(VALUES), rel=0.01
        )


def test_the_density_weighs_by_first_components_and_by_nothing_else() -> None:
    """Half of the eigenvalues at 0.5 and a tenth about 3: by all components every node would weigh the same."""
    random = np.random.default_rng(3)
    values = np.concatenate(
        [random.normal(0.5, 0.02, 500), random.normal(3.0, 0.02, 100), random.uniform(1, 2, 400), [9.0, -5.0]]
    )
    density = by_krylov(quadratic(values), top=1, bottom=1).density
    for low, high, share in ((0.0, 0.75, 0.5), (0.75, 2.5, 0.4), (2.5, 4.0, 0.1)):
        part = (density.grid > low) & (density.grid < high)
        # The share of a random vector's square that lies along 500 of 1000 dimensions: ± 0.02.
        assert integral(density.values[part], density.grid[part]) == pytest.approx(share, abs=0.06)


def test_a_negative_trace_is_found_like_any_other() -> None:
    """A relative change whose denominator is the trace itself is below any bound when the trace is negative."""
    found = by_krylov(quadratic(-VALUES))
    assert found.trace < 0
    assert 0 < found.trace_error < 0.5 * abs(found.trace)
    assert abs(found.trace + VALUES.sum()) <= 4 * found.trace_error


def test_the_trace_of_a_bulk_that_is_narrower_than_the_tolerance_is_within_its_error() -> None:
    """Deep nets have it: outliers a thousand times as large as what most eigenvalues lie within."""
    bulk = np.random.default_rng(0).uniform(0.0, 0.3, 500)
    objective = quadratic(
        np.concatenate([[400.0, 130, 80, 42, 38], np.geomspace(20, 1, 15), bulk, -np.geomspace(4, 0.5, 8)])
    )
    truth = objective.spectrum().trace
    held = [
        abs((found := by_krylov(objective, seed=seed)).trace - truth) <= 2 * found.trace_error
        for seed in range(20)
    ]
    assert sum(held) >= 17


# Data, memory and the user's model


def test_the_spectrum_is_that_of_the_mean_over_samples_however_they_are_cut() -> None:
    """A mean over batches weighs the samples of a short one more."""
    x, y = classification(67, dtype=torch.float64)
    model = mlp(6, 30, 3, dtype=torch.float64)
    whole = la.Objective(model, F.cross_entropy, (x, y))
    cut = la.Objective(model, F.cross_entropy, [(x[:40], y[:40]), (x[40:66], y[40:66]), (x[66:], y[66:])])
    np.testing.assert_allclose(
        cut.spectrum().eigenvalues, whole.spectrum().eigenvalues, rtol=1e-10, atol=1e-13
    )
    np.testing.assert_allclose(
        by_krylov(cut).eigenvalues, by_krylov(whole).eigenvalues, rtol=1e-8, atol=1e-10
    )


def tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), Tensor) for thing in gc.get_objects())


def test_spectra_one_after_the_other_leave_no_tensors_behind() -> None:
    """A gradient with a graph, kept as .grad of the leaves that it is of, is a cycle that is never freed."""
    objective = small()
    found = [by_krylov(objective, seed=seed).trace for seed in range(2)]  # what is kept for good is kept now
    before = tensors()
    found += [by_krylov(objective, seed=seed).trace for seed in range(4)]
    assert tensors() <= before
    assert found[:2] == found[2:4]  # and none remembers another


def test_a_spectrum_leaves_the_model_and_the_random_stream_as_they_were() -> None:
    """No evaluation mode, no gradients, no statistics, no numbers drawn."""
    model = cnn().train()
    x, y = normal(20, 1, 8, 8), classification(20)[1]
    model[0].weight.grad = torch.ones_like(model[0].weight)
    state, stream = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    found: Spectrum = la.Objective(model, F.cross_entropy, (x, y)).spectrum(products=30)
    assert found.products <= 30
    assert all(part.training for part in model.modules())
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model[0].weight.grad.eq(1).all()
    assert [p.grad for p in model.parameters()].count(None) == len(list(model.parameters())) - 1


def test_frozen_parameters_have_no_part_in_it() -> None:
    model = mlp(6, 30, 3, dtype=torch.float64)
    model[0].requires_grad_(False)
    data = classification(64, dtype=torch.float64)
    head = nn.Sequential(copy.deepcopy(model[2])).requires_grad_(True)
    hidden = torch.tanh(model[0](data[0])).detach()
    expected = la.Objective(head, F.cross_entropy, (hidden, data[1])).spectrum().eigenvalues
    found = la.Objective(model, F.cross_entropy, data).spectrum().eigenvalues
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)
