"""The Lanczos process: invariants, the bound, and its quadrature's moments."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import pytest
import torch
from torch import Tensor

from lossatlas.curvature.krylov import Lanczos, Times


def matrix(values: np.ndarray, seed: int = 0) -> Tensor:
    """A symmetric matrix of these eigenvalues."""
    random = np.random.default_rng(seed).normal(size=(len(values), len(values)))
    q, _ = np.linalg.qr(random)
    return torch.as_tensor(q @ np.diag(values) @ q.T)


def times(a: Tensor) -> Times:
    def of(v: Tensor) -> Generator[None, None, Tensor]:
        yield
        return a.to(v.dtype) @ v

    return of


def run(process: Lanczos, steps: int) -> Lanczos:
    for _ in range(steps):
        for _ in process.step():
            pass
    return process


class Watched(Lanczos):
    """A process that is read in the middle of its steps, as another thread may."""

    read = 0

    def _cleaned(self, vector: Tensor) -> Tensor:
        if self.steps:
            ritz = self.ritz()
            vectors = self.pairs(ritz, np.arange(len(ritz.values)))
            off = (A @ vectors - vectors * torch.as_tensor(ritz.values)).norm(dim=0)
            np.testing.assert_allclose(off, ritz.residuals, atol=1e-10)
            assert self.basis.shape == (len(VALUES), len(ritz.values))
            self.read += 1
        return super()._cleaned(vector)


VALUES = np.concatenate([[9.0, 5.0, 4.9], np.linspace(-1, 1, 60), [-3.0]])
A = matrix(VALUES)
START = torch.randn(len(VALUES), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_basis_is_orthonormal_and_the_matrix_tridiagonal_in_it(dtype: torch.dtype) -> None:
    process = run(Lanczos(times(A), START.to(dtype)), 40)
    q = process.basis.double()
    rounding = 100 * torch.finfo(dtype).eps
    assert float((q.T @ q - torch.eye(40)).abs().max()) < rounding
    t = q.T @ A @ q
    assert float((t - torch.triu(torch.tril(t, 1), -1)).abs().max()) < 10 * rounding
    assert 0 <= process.ritz().noise < 10 * rounding


def test_in_the_middle_of_a_step_a_process_is_what_it_was_before() -> None:
    assert run(Watched(times(A), START), 40).read == 39


def test_every_ritz_value_lies_inside_and_within_its_bound_of_an_eigenvalue() -> None:
    process = Lanczos(times(A), START)
    for _ in range(50):
        run(process, 1)
        ritz = process.ritz()
        assert VALUES.min() - 1e-12 <= ritz.values.min()
        assert ritz.values.max() <= VALUES.max() + 1e-12
        nearest = np.abs(ritz.values[:, None] - VALUES).min(axis=1)
        assert (nearest <= ritz.residuals + 1e-12).all()


def test_the_quadrature_has_the_starts_moments_up_to_twice_its_steps_less_one() -> None:
    a, m = (
        matrix(np.random.default_rng(2).uniform(-1, 1, len(START))),
        5,
    )  # without outliers, which would hide the rest
    process = run(Lanczos(times(a), START), m)
    ritz = process.ritz()
    v, moments = START / START.norm(), []
    for _ in range(2 * m + 1):
        moments.append(float(START @ v / START.norm()))
        v = a @ v
    found = [float(ritz.weights @ ritz.values**power) for power in range(2 * m + 1)]
    np.testing.assert_allclose(found[: 2 * m], moments[: 2 * m], rtol=1e-9, atol=1e-12)
    assert found[2 * m] != pytest.approx(moments[2 * m], rel=1e-4)


def test_converged_pairs_have_no_ghosts() -> None:
    process = run(Lanczos(times(A), START.float()), 63)
    values = process.ritz().values
    assert int((np.abs(values - 9.0) < 1e-3).sum()) == 1


def test_what_a_start_does_not_reach_ends_it() -> None:
    """A matrix of three eigenvalues is known after three products."""
    process = run(Lanczos(times(matrix(np.repeat([2.0, 1.0, -1.0], 20))), torch.ones(60).double()), 9)
    assert process.exhausted
    np.testing.assert_allclose(process.ritz().values, [2.0, 1.0, -1.0], atol=1e-12)
    assert process.ritz().residuals.max() == 0.0


def test_a_process_looks_only_at_what_is_orthogonal_to_the_locked() -> None:
    _, vectors = torch.linalg.eigh(A)
    locked = vectors[:, -1:]  # of the eigenvalue 9
    process = run(Lanczos(times(A), START, locked), 40)
    assert process.ritz().values[0] == pytest.approx(5.0, abs=1e-10)
    pairs = process.pairs(process.ritz(), np.array([0, 1]))
    assert float((locked.T @ pairs).abs().max()) < 1e-12
    torch.testing.assert_close(A @ pairs[:, 0], 5.0 * pairs[:, 0], rtol=0, atol=1e-8)


def test_no_start_and_no_numbers_end_it_at_once() -> None:
    assert run(Lanczos(times(A), torch.zeros(64).double()), 1).steps == 0
    broken = run(Lanczos(times(A * torch.nan), START), 1)
    assert (broken.steps, broken.exhausted) == (0, True)
