"""Products and spectra of real models, in float64, against scipy's eigsh, curvlinops and hessian-eigenthings."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import lossatlas as la
from tests.zoo import load, mlp, normal, seeded

# Of torch's own forward mode, when it is first used.
pytestmark = [
    pytest.mark.statistics,
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]

# A pass of ten thousand terms in float64 leaves about 1e-14 of a product's length; the peers sum in another order.
ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class Case:
    """A trained model on digits, in batches of uneven sizes, and what we make of it."""

    model: nn.Module
    loss: nn.Module
    batches: list[tuple[Tensor, Tensor]]
    objective: la.Objective

    @property
    def whole(self) -> list[tuple[Tensor, Tensor]]:
        """All data as one batch."""
        x, y = zip(*self.batches, strict=True)
        return [(torch.cat(x), torch.cat(y))]


def digits(count: int) -> tuple[Tensor, Tensor]:
    x, y = load_digits(return_X_y=True)
    return torch.as_tensor(x[:count]).double() / 16, torch.as_tensor(y[:count])


def pictured() -> nn.Sequential:
    """A small convolutional net with batch norm, whose running statistics training has moved."""
    with seeded(1):
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 10),
        ).double()  # fmt: skip


def trained(
    model: nn.Module, loss: nn.Module, one_hot: bool = False, sizes: tuple[int, ...] = (90, 50, 7)
) -> Case:
    x, y = digits(sum(sizes))
    y = nn.functional.one_hot(y, 10).double() if one_hot else y
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    model.train()
    for _ in range(30):
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    optimizer.zero_grad()
    batches = list(zip(x.split(sizes), y.split(sizes), strict=True))
    return Case(model.eval(), loss, batches, la.Objective(model, loss, batches))


CASES: dict[str, Callable[[], Case]] = {
    "perceptron, cross entropy": lambda: trained(mlp(64, 12, 10, dtype=torch.float64), nn.CrossEntropyLoss()),
    "perceptron with kinks, squared error": lambda: trained(
        mlp(64, 8, 8, 10, dtype=torch.float64, act=nn.ReLU), nn.MSELoss(), one_hot=True
    ),
    "convolutions with batch norm, cross entropy": lambda: trained(pictured(), nn.CrossEntropyLoss()),
    "more than is made dense, cross entropy": lambda: trained(
        mlp(64, 40, 10, dtype=torch.float64), nn.CrossEntropyLoss()
    ),
}


small_ones = pytest.mark.parametrize("case", list(CASES)[:3], indirect=True)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    torch.set_num_threads(1)
    return CASES[request.param]()


@pytest.fixture(scope="module")
def found(case: Case) -> la.curvature.Spectrum:
    """By the process, also where the dense way would be taken."""
    return case.objective.spectrum(products=10_000)


@pytest.fixture(scope="module")
def arpack(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """The extreme pairs of our products, by eigsh."""
    return extremes(of_products(case.objective))


@pytest.fixture(scope="module")
def dense(case: Case) -> np.ndarray:
    """The whole matrix, column by column, by autograd on the model itself."""
    parameters = list(case.model.parameters())
    ((x, y),) = case.whole
    slopes = torch.autograd.grad(case.loss(case.model(x), y), parameters, create_graph=True)
    columns = []
    for unit in torch.eye(case.objective.size).double():
        parts = [
            part.view_as(p)
            for part, p in zip(unit.split([p.numel() for p in parameters]), parameters, strict=True)
        ]
        column = torch.autograd.grad(slopes, parameters, parts, retain_graph=True)
        columns.append(torch.cat([part.reshape(-1) for part in column]))
    return torch.stack(columns).numpy()


@pytest.fixture(scope="module")
def truth(dense: np.ndarray) -> np.ndarray:
    """All eigenvalues, the largest first."""
    return np.linalg.eigvalsh(dense)[::-1]


def imported(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed: it is in the extra `peers`")


def curvlinops(case: Case, model: nn.Module | None = None) -> Any:
    model = model or case.model
    return imported("curvlinops").HessianLinearOperator(
        model, case.loss, list(model.parameters()), case.batches, check_deterministic=False
    )


def eigenthings(case: Case) -> Any:
    """On one batch: it would weigh a short batch like a long one."""
    peer = imported("hessian_eigenthings")
    return peer.HessianOperator(case.model, case.whole, peer.supervised_loss(case.loss))


def of_products(objective: la.Objective) -> Any:
    """Our products, as scipy takes them."""
    from scipy.sparse.linalg import LinearOperator

    def times(v: np.ndarray) -> np.ndarray:
        return objective.hvp(objective.theta, torch.as_tensor(v).reshape(-1)).numpy()

    return LinearOperator((objective.size, objective.size), matvec=times, dtype=np.float64)


def extremes(operator: Any) -> tuple[np.ndarray, np.ndarray]:
    """The top five and bottom two of eigsh, in our order: values, to 1e-8 of each, and vectors."""
    from scipy.sparse.linalg import eigsh

    options = {"v0": np.random.default_rng(0).normal(size=operator.shape[0]), "ncv": 60, "tol": 1e-8}
    top, above = eigsh(operator, k=5, which="LA", **options)
    bottom, below = eigsh(operator, k=2, which="SA", **options)
    return np.concatenate([top[::-1], bottom[::-1]]), np.hstack([above[:, ::-1], below[:, ::-1]])


def wasserstein(density: la.curvature.Density, values: np.ndarray) -> float:
    """The integral of how far the distribution functions lie apart, in units of the eigenvalue."""
    grid = density.grid
    mass = np.concatenate([[0.0], np.cumsum(np.diff(grid) * (density.values[1:] + density.values[:-1]) / 2)])
    fine = np.union1d(grid, values)
    apart = np.interp(fine, grid, mass) - np.searchsorted(np.sort(values), fine, side="right") / len(values)
    return float(np.sum(np.abs(apart[:-1]) * np.diff(fine)))


# Products


def test_products_are_those_of_curvlinops_one_vector_and_several(case: Case) -> None:
    operator, theta = curvlinops(case), case.objective.theta
    several = normal(case.objective.size, 3, dtype=torch.float64)
    expected = operator @ several
    for mine, theirs in (
        (case.objective.hvp(theta, several), expected),
        (case.objective.hvp(theta, several[:, 0]), expected[:, 0]),
    ):
        assert float((mine - theirs).norm()) <= ROUNDING * float(theirs.norm())


def test_products_are_those_of_hessian_eigenthings_on_one_batch(case: Case) -> None:
    v = normal(case.objective.size, seed=1, dtype=torch.float64)
    theirs = eigenthings(case).matvec(v)
    mine = case.objective.hvp(case.objective.theta, v)
    assert float((mine - theirs).norm()) <= ROUNDING * float(theirs.norm())


def test_products_elsewhere_are_those_of_a_model_that_stands_there(case: Case) -> None:
    there = case.objective.theta + 0.05 * normal(case.objective.size, seed=2, dtype=torch.float64)
    v = normal(case.objective.size, seed=3, dtype=torch.float64)
    mine = case.objective.hvp(there, v)
    theirs = curvlinops(case, load(copy.deepcopy(case.model), there)) @ v
    assert float((mine - theirs).norm()) <= ROUNDING * float(theirs.norm())


# Eigenpairs


def test_eigenvalues_are_those_of_eigsh_within_their_residuals(
    case: Case, found: la.curvature.Spectrum, arpack: tuple[np.ndarray, np.ndarray]
) -> None:
    scale = float(np.abs(found.eigenvalues).max())
    assert found.converged.all()
    error = np.abs(found.eigenvalues - arpack[0])
    assert (error <= found.residuals + found.noise + 1e-8 * scale).all()
    # Outliers are as good as their residual squared, over the gap: far better than 1e-3, the residual asked for.
    assert (error[:5] <= 1e-5 * scale).all()


def test_eigenvalues_are_those_of_eigsh_on_the_products_of_curvlinops(
    case: Case, found: la.curvature.Spectrum
) -> None:
    from scipy.sparse.linalg import eigsh

    operator = curvlinops(case).to_scipy()
    theirs = eigsh(operator, k=5, which="LA", v0=np.ones(operator.shape[0]), return_eigenvectors=False)
    np.testing.assert_allclose(found.eigenvalues[:5], np.sort(theirs)[::-1], rtol=0, atol=1e-5 * theirs.max())


def test_eigenvectors_are_those_of_eigsh_as_far_as_the_gap_allows(
    found: la.curvature.Spectrum, arpack: tuple[np.ndarray, np.ndarray]
) -> None:
    """The sine of the angle is at most the residual over the distance to every other eigenvalue (Davis & Kahan 1970)."""
    values, vectors = arpack
    gaps = np.abs(values[:, None] - values) + np.diag(np.full(len(values), np.inf))
    # The sixth largest and the third smallest are not known: pairs next to them have no gap that is.
    known = [0, 1, 2, 3, 6]
    cosines = np.abs((found.eigenvectors.numpy() * vectors).sum(axis=0))
    sines = np.sqrt(np.maximum(1.0 - cosines**2, 0.0))
    assert (sines * (gaps.min(axis=1) - found.residuals) <= found.residuals + 1e-6 * values[0])[known].all()
    np.testing.assert_allclose(found.eigenvectors.norm(dim=0).numpy(), 1.0, atol=1e-9)


def test_residuals_are_what_a_product_of_curvlinops_leaves(case: Case, found: la.curvature.Spectrum) -> None:
    v = found.eigenvectors
    left = (curvlinops(case) @ v - v * torch.as_tensor(found.eigenvalues)).norm(dim=0).numpy()
    np.testing.assert_allclose(left, found.residuals, rtol=1e-3, atol=1e-9 * found.eigenvalues[0])


def test_eigenvalues_are_those_of_hessian_eigenthings(case: Case, found: la.curvature.Spectrum) -> None:
    lanczos = imported("hessian_eigenthings").lanczos
    options = {"max_iter": 120, "reorthogonalize": True, "seed": 0}
    above = lanczos(eigenthings(case), k=5, which="LA", **options)
    below = lanczos(eigenthings(case), k=2, which="SA", **options)
    theirs = torch.cat([above.eigenvalues, below.eigenvalues.flip(0)]).numpy()
    slack = torch.cat([above.residuals, below.residuals.flip(0)]).numpy()
    error = np.abs(found.eigenvalues - theirs)
    assert (error <= found.residuals + slack + 1e-9 * found.eigenvalues[0]).all()


@small_ones
def test_a_finer_tolerance_gives_finer_eigenvalues(case: Case, truth: np.ndarray) -> None:
    fine = case.objective.spectrum(tolerance=1e-7, products=10_000)
    expected = np.concatenate([truth[:5], truth[-2:]])
    np.testing.assert_allclose(fine.eigenvalues, expected, rtol=0, atol=1e-7 * truth[0])


# The whole of it


@small_ones
def test_the_trace_is_that_of_the_dense_matrix_within_its_error(
    found: la.curvature.Spectrum, dense: np.ndarray
) -> None:
    assert 0 < found.trace_error < 0.3 * abs(found.trace)  # of a single random start
    # Four standard errors: a chance of 1e-4 for a normal mean, and the seed is fixed.
    assert abs(found.trace - np.trace(dense)) <= 4 * found.trace_error


def test_the_trace_is_that_of_hessian_eigenthings_within_both_errors(
    case: Case, found: la.curvature.Spectrum
) -> None:
    theirs = imported("hessian_eigenthings").hutchinson(eigenthings(case), num_samples=60, seed=0)
    assert abs(found.trace - theirs.estimate) <= 4 * np.hypot(found.trace_error, theirs.stderr)


@small_ones
def test_the_densitys_first_moments_are_those_of_all_eigenvalues(
    found: la.curvature.Spectrum, truth: np.ndarray
) -> None:
    grid, values = found.density.grid, found.density.values
    size = len(truth)

    def moment(power: int) -> float:
        terms = values * grid**power
        return float(np.sum(np.diff(grid) * (terms[1:] + terms[:-1]) / 2))

    assert moment(0) == pytest.approx(1.0, abs=1e-6)
    assert abs(moment(1) - truth.mean()) <= 4 * found.trace_error / size + 1e-6 * truth[0]
    # Smoothing adds its own variance.
    second = moment(2) - found.density.width**2
    assert second == pytest.approx(float((truth**2).mean()), rel=0.03)


@small_ones
def test_the_density_lies_near_all_eigenvalues_and_no_farther_than_the_peers(
    case: Case, found: la.curvature.Spectrum, truth: np.ndarray
) -> None:
    """By the Wasserstein distance: how far mass would have to be moved, in units of the eigenvalue."""
    peer = imported("hessian_eigenthings").spectral_density(
        eigenthings(case), num_runs=1, lanczos_steps=found.products
    )
    theirs = la.curvature.Density(
        peer.grid.numpy(), peer.density.numpy(), np.empty(0), np.empty(0), peer.sigma
    )
    mine = wasserstein(found.density, truth)
    assert mine <= 0.01 * np.ptp(truth)
    assert mine <= wasserstein(theirs, truth)


@small_ones
def test_the_band_holds_the_density_of_all_eigenvalues(
    found: la.curvature.Spectrum, truth: np.ndarray
) -> None:
    """Two standard errors hold 95 % of normal numbers; neighbours on the grid err together, so that 80 % is asked."""
    density = found.density
    smooth = np.exp(-0.5 * ((density.grid[:, None] - truth) / density.width) ** 2).sum(axis=1)
    smooth /= len(truth) * density.width * np.sqrt(2 * np.pi)
    slack = 1e-3 * smooth.max()
    inside = (density.band[0] - slack <= smooth) & (smooth <= density.band[1] + slack)
    mass = np.sum(smooth[inside]) / np.sum(smooth)
    assert inside.mean() >= 0.8, (inside.mean(), mass)
