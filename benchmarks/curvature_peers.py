"""What curvature is compared with: PyHessian, curvlinops with scipy's eigsh, and hessian-eigenthings.

Each is asked on one batch of all data, at θ, in the model's dtype, by what its own documentation shows, with what makes it
quickest: PyHessian keeps the graph of the gradient, curvlinops goes without its check that nothing is random.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable
from typing import Any, Protocol
from unittest import mock

import numpy as np
import torch
from models import Problem
from torch import Tensor, nn

# Steps of the Lanczos process that curvlinops takes its density from, as in its example (Papyan 2020).
PAPYAN_STEPS = 128

# hessian-eigenthings takes ten runs by default: one, as the others do.
RUNS = 1

# Of its trace, as of PyHessian's by default; curvlinops has no default.
PROBES = 100

# Columns that curvlinops multiplies at once for its trace: a hundred would hold a hundred times the activations.
COLUMNS = 4

Seed = int
Budget = Any


class Peer(Protocol):
    """A package that is asked for eigenvalues to a budget, and for trace and density by its defaults."""

    name: str
    asked: str

    def budgets(self) -> Iterable[Budget]:
        """What the largest eigenvalues can be asked for, the cheapest first."""
        ...

    def top(self, budget: Budget, seed: Seed) -> np.ndarray:
        """The five largest eigenvalues, descending, from nothing but the model and the data."""
        ...

    def bottom(self, budget: Budget, seed: Seed) -> np.ndarray | None:
        """The two smallest, descending; None where the package has no way to them."""
        ...

    def rest(self, seed: Seed) -> float:
        """Density and trace; returns the trace."""
        ...


class PyHessian:
    """Deflated power iteration: pairs by magnitude, to a relative change; Hutchinson's trace, quadrature from one start."""

    name = "PyHessian"
    asked = "`eigenvalues`, `trace()` and `density()` as they come (100 probes at most, 100 steps); no smallest ones, for which it has no way"

    def __init__(self, problem: Problem, data: tuple[Tensor, Tensor], by_magnitude: int) -> None:
        self._problem, self._data = problem, data
        self._most = (
            by_magnitude  # how many pairs it takes by magnitude until the five largest are among them
        )
        self._model = copy.deepcopy(problem.model)

    def budgets(self) -> Iterable[Budget]:
        """Tolerances, at most so many iterations a pair."""
        return [(100, 1e-4), (300, 1e-5), (1000, 1e-6)]

    def top(self, budget: Budget, seed: Seed) -> np.ndarray:
        """The five largest of those that it finds by magnitude."""
        iterations, tolerance = budget
        values, _ = self._at(seed).eigenvalues(maxIter=iterations, tol=tolerance, top_n=self._most)
        self._clear()
        return np.sort(values)[::-1][:5]

    def bottom(self, budget: Budget, seed: Seed) -> None:
        """It would have to find all that are larger in magnitude first."""
        return

    def rest(self, seed: Seed) -> float:
        """Both by their defaults. Its density ends in torch.eig, which torch has no longer: eigh stands in for it."""
        found = self._at(seed)
        trace = float(np.mean(found.trace()))
        with mock.patch.object(torch, "eig", _eig, create=True):
            found.density()
        self._clear()
        return trace

    def _at(self, seed: Seed) -> Any:
        from pyhessian import hessian

        torch.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the cycle that it makes
            return hessian(self._model, self._problem.loss, data=self._data, cuda=False)

    def _clear(self) -> None:
        """It leaves gradients with their graphs on the parameters, a cycle that is never freed."""
        for parameter in self._model.parameters():
            parameter.grad = None


class Curvlinops:
    """curvlinops' operator, eigsh on it, Hutchinson's trace, and the density of Papyan (2020)."""

    name = "curvlinops + eigsh"
    asked = (
        f"`eigsh` at either end with the number of vectors that is quickest, `hutchinson_trace` with {PROBES} probes, "
        f"`lanczos_approximate_spectrum` with {PAPYAN_STEPS} steps, as in its example, between ends that are known"
    )

    def __init__(self, problem: Problem, data: tuple[Tensor, Tensor]) -> None:
        self._problem, self._data = problem, data
        self._model = copy.deepcopy(problem.model)
        self._ends = (0.0, 1.0)

    def budgets(self) -> Iterable[Budget]:
        """Tolerances, with several numbers of vectors each."""
        return [
            (tolerance, vectors)
            for tolerance in (3e-1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
            for vectors in (12, 20, 30, 40)
        ]

    def top(self, budget: Budget, seed: Seed) -> np.ndarray:
        """By eigsh."""
        return self._ends_of(self._at(), 5, "LA", budget, seed)

    def bottom(self, budget: Budget, seed: Seed) -> np.ndarray:
        """By eigsh once more."""
        return self._ends_of(self._at(), 2, "SA", budget, seed)

    def rest(self, seed: Seed) -> float:
        """By its own functions."""
        from curvlinops import hutchinson_trace, lanczos_approximate_spectrum

        torch.manual_seed(seed)
        operator = self._at()
        trace = np.mean([float(hutchinson_trace(operator, COLUMNS)) for _ in range(PROBES // COLUMNS)])
        lanczos_approximate_spectrum(operator, PAPYAN_STEPS, boundaries=self._ends)
        return float(trace)

    def _at(self) -> Any:
        from curvlinops import HessianLinearOperator

        parameters = [p for p in self._model.parameters() if p.requires_grad]
        return HessianLinearOperator(
            self._model, nn.CrossEntropyLoss(), parameters, [self._data], check_deterministic=False, num_data=len(self._data[0]),
        )  # fmt: skip

    def _ends_of(self, operator: Any, count: int, which: str, budget: Budget, seed: Seed) -> np.ndarray:
        from scipy.sparse.linalg import eigsh

        tolerance, vectors = budget
        start = np.random.default_rng(seed).normal(size=operator.shape[0]).astype(np.float32)
        values, _ = eigsh(operator.to_scipy(), k=count, which=which, tol=tolerance, ncv=vectors, v0=start)
        found = np.sort(values.astype(float))[::-1]
        self._ends = (found[-1], self._ends[1]) if which == "SA" else (self._ends[0], found[0])
        return found


class Eigenthings:
    """hessian-eigenthings: Lanczos of a given length, Hutch++, quadrature."""

    name = "hessian-eigenthings"
    asked = f"`lanczos` at either end, `trace()` (Hutch++, 100 products), `spectral_density` of 80 steps, {RUNS} run instead of its ten"

    def __init__(self, problem: Problem, data: tuple[Tensor, Tensor]) -> None:
        self._problem, self._data = problem, data
        self._model = copy.deepcopy(problem.model)

    def budgets(self) -> Iterable[Budget]:
        """Steps."""
        return [*range(8, 40), *range(40, 100, 2), *range(100, 401, 10)]

    def top(self, budget: Budget, seed: Seed) -> np.ndarray:
        """By Lanczos."""
        return self._ends_of(self._at(), 5, "LA", budget, seed)

    def bottom(self, budget: Budget, seed: Seed) -> np.ndarray:
        """By Lanczos once more."""
        return self._ends_of(self._at(), 2, "SA", budget, seed)

    def rest(self, seed: Seed) -> float:
        """By its defaults, but for the runs."""
        from hessian_eigenthings import spectral_density, trace

        operator = self._at()
        spectral_density(operator, num_runs=RUNS, seed=seed)
        return float(trace(operator, num_matvecs=PROBES, seed=seed).estimate)

    def _at(self) -> Any:
        from hessian_eigenthings import HessianOperator, supervised_loss

        return HessianOperator(self._model, [self._data], supervised_loss(self._problem.loss))

    def _ends_of(self, operator: Any, count: int, which: Any, budget: Budget, seed: Seed) -> np.ndarray:
        from hessian_eigenthings import lanczos

        # Without reorthogonalisation, which it leaves out beyond 50 steps, values come back as ghosts.
        found = lanczos(operator, k=count, max_iter=budget, which=which, seed=seed, reorthogonalize=True)
        return np.sort(found.eigenvalues.double().numpy())[::-1]


class Remembering:
    """A peer's products with the vectors that come again: those of a shorter run with the same start.

    For the search of budgets alone, where one run after the other begins as the one before.
    """

    def __init__(self, peer: Any) -> None:
        self._peer, self._made = peer, peer._at
        self._seen: dict[bytes, Tensor] = {}

    def __enter__(self) -> None:
        self._peer._at = self._remembering

    def __exit__(self, *_: object) -> None:
        self._peer._at = self._made

    def _remembering(self) -> Any:
        operator = self._made()
        method = "_matmat" if hasattr(operator, "_matmat") else "matvec"
        setattr(operator, method, self._of(getattr(operator, method)))
        return operator

    def _of(self, times: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def of(v: Any) -> Any:
            parts = v if isinstance(v, list) else [v]
            key = b"".join(part.detach().reshape(-1)[:64].contiguous().numpy().tobytes() for part in parts)
            if key not in self._seen:
                self._seen[key] = times(v)
            found = self._seen[key]
            return [part.clone() for part in found] if isinstance(found, list) else found.clone()

        return of


def _eig(matrix: Tensor, eigenvectors: bool) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(matrix)
    return torch.stack([values, torch.zeros_like(values)], dim=1), vectors
