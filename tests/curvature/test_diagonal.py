"""The diagonal: exact where it is small, and an estimate whose variance and errors are those of the theory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import lossatlas as la
from tests.zoo import F, classification, flat, mlp, normal

pytestmark = pytest.mark.statistics

# Student's t of 7 degrees of freedom: so many standard errors of 8 probes hold in 95 %.
T7 = 2.365


def symmetric(size: int, seed: int = 0) -> Tensor:
    b = normal(size, size, seed=seed, dtype=torch.float64)
    return b + b.T + torch.diag(torch.arange(size).double())


def quadratic(a: Tensor) -> la.Objective:
    return la.Objective.from_function(lambda t: 0.5 * t @ (a @ t), torch.zeros(len(a), dtype=a.dtype))


def test_the_diagonal_of_a_small_model_is_that_of_its_dense_hessian() -> None:
    model = mlp(5, 4, 3, dtype=torch.float64)
    x, y = classification(40, 5, dtype=torch.float64)
    objective = la.Objective(model, F.cross_entropy, (x, y))

    def loss(theta: Tensor) -> Tensor:
        w, b, v, c = theta.split([20, 4, 12, 3])
        return F.cross_entropy(torch.tanh(x @ w.view(4, 5).T + b) @ v.view(3, 4).T + c, y)

    truth = torch.autograd.functional.hessian(loss, flat(model))
    found = objective.hessian_diagonal()
    torch.testing.assert_close(found.values, truth.diagonal(), rtol=1e-9, atol=1e-12)
    assert found.trace == pytest.approx(float(truth.trace()))
    assert (found.exact, found.trace_error, found.products) == (True, 0.0, objective.size)
    assert not found.errors.any()
    elsewhere = objective.hessian_diagonal(torch.zeros(objective.size))
    assert (elsewhere.values - found.values).abs().max() > 1e-3


def test_one_probe_gives_a_diagonal_hessian_exactly_and_no_error() -> None:
    entries = normal(50, dtype=torch.float64)
    found = quadratic(torch.diag(entries)).hessian_diagonal(probes=1)
    torch.testing.assert_close(found.values, entries, rtol=1e-12, atol=0)
    assert torch.isinf(found.errors).all()
    assert (found.exact, found.trace_error, found.products) == (False, np.inf, 1)
    several = quadratic(torch.diag(entries)).hessian_diagonal(probes=3)
    torch.testing.assert_close(several.values, entries, rtol=1e-12, atol=0)
    assert float(several.errors.max()) < 1e-12


def test_the_variance_is_hutchinsons() -> None:
    """2 (‖A‖_F² − Σ a_ii²) a probe for the trace, Σ_{j≠i} a_ij² for an entry: 2000 probes tell it to 3 % each."""
    a, probes = symmetric(60), 50
    found = [quadratic(a).hessian_diagonal(probes=probes, seed=seed) for seed in range(40)]
    off = a.square().sum(dim=1) - a.diagonal().square()
    variance = probes * np.mean([one.trace_error**2 for one in found])
    assert variance == pytest.approx(2 * float(off.sum()), rel=0.15)
    entries = probes * torch.stack([one.errors**2 for one in found]).mean(dim=0)
    torch.testing.assert_close(entries, off, rtol=0.15, atol=0)
    mean = torch.stack([one.values for one in found]).mean(dim=0)
    apart = (mean - a.diagonal()) / (off / (probes * len(found))).sqrt()
    assert float(apart.abs().max()) < 4.5  # unbiased: the largest of 60 standard normal numbers
    assert found[0].products == probes


def test_the_standard_errors_hold_over_seeds() -> None:
    a = symmetric(60, seed=2)
    found = [quadratic(a).hessian_diagonal(probes=8, seed=seed) for seed in range(200)]
    traces = np.mean([abs(one.trace - float(a.trace())) <= T7 * one.trace_error for one in found])
    assert 0.90 <= traces <= 0.995
    inside = torch.stack([(one.values - a.diagonal()).abs() <= T7 * one.errors for one in found])
    assert 0.90 <= float(inside.double().mean()) <= 0.995
    again = quadratic(a).hessian_diagonal(probes=8, seed=3)
    assert torch.equal(again.values, found[3].values)


def test_beyond_2500_parameters_it_is_estimated_and_as_many_probes_as_parameters_are_exact() -> None:
    entries = torch.linspace(-1, 2, 2501)
    large = la.Objective.from_function(lambda t: 0.5 * (entries * t * t).sum(), torch.zeros(2501))
    found = large.hessian_diagonal()
    assert (found.exact, found.products) == (False, 32)
    torch.testing.assert_close(found.values, entries)
    assert found.values.dtype == torch.float32
    small = quadratic(symmetric(6)).hessian_diagonal(probes=9)
    assert (small.exact, small.products) == (True, 6)
    assert repr(small) == f"Diagonal(6 entries; trace {small.trace:.4g}; 6 products)"


def test_what_has_no_diagonal_is_said_in_words() -> None:
    objective = quadratic(symmetric(6))
    for wrong in (0, 2.5, True):
        with pytest.raises(ValueError, match=rf"probes is {wrong}. Pass how many products"):
            objective.hessian_diagonal(probes=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"theta has shape \(3,\)"):
        objective.hessian_diagonal(torch.zeros(3))
    broken = la.Objective.from_function(lambda t: (t**0.5).sum(), torch.ones(4).double())
    for probes in (None, 2):
        with pytest.raises(ValueError, match="Hessian is not finite at this point"):
            broken.hessian_diagonal(torch.zeros(4), probes=probes)
