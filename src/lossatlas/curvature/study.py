"""A study of a curvature matrix at one point: starts of a Krylov process, one after the other, until nothing is missing.

The first start gives the extreme pairs, a quadrature of the density and a sample of the trace at once. It sees one copy of
each eigenvalue; so further starts, orthogonal to what is known, look for more until one finds nothing beyond it. From a
point nearby the first start is a warm one, along what is known there: it tells nothing of the density, which the random one
after it does, and that one sees too whether the warm one has locked on the wrong pairs.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossatlas import jobs
from lossatlas.curvature.dense import DENSE, dense
from lossatlas.curvature.density import Probe
from lossatlas.curvature.errors import NotFinite
from lossatlas.curvature.krylov import Lanczos, Ritz
from lossatlas.curvature.matrices import Matrix
from lossatlas.curvature.products import Products
from lossatlas.curvature.spectrum import Pairs, Spectrum, ends, spectrum_of
from lossatlas.objective import Objective
from lossatlas.objective.naming import layers_of

# A further start is asked this far, in shares of the largest |λ|: whether there is something beyond what is known.
_ROUGH = 0.03

# A start that has taken fewer products may not have met yet what it has little of.
_LEAST = 10

# What the basis may take of memory, in bytes.
_BASIS_BYTES = 1 << 30

# Products of a start at most: the bulk of a spectrum never converges.
_MOST = 400

# A long process is looked at so often while it doubles: its small matrix takes m³.
_LOOKS = 20

# From this size on, the dense way is so long that the process is asked first.
_SLOW = 300

# Fewer samples are not halved.
_FEW = 4

# How far λmax of a half is asked for, in shares of it.
_HALF = 0.01


class Study:
    """The spectrum of a curvature matrix at theta, (P,): `run` it as a job, ask for what is known at any time.

    top, bottom: how many of the largest and of the smallest eigenvalues; matrix, layers, samples: as of `Products`;
    tolerance: what a residual may be, as a share of the largest |λ|; seed: of the random starts and samples; products: at
    most so many, which also takes the place of the dense way; near: the spectrum of a point nearby, to start from;
    thorough: whether to look for what the first start has missed. Raises TypeError or ValueError for what cannot be asked.
    """

    def __init__(
        self, objective: Objective, theta: Tensor, top: int = 5, bottom: int = 2, *, matrix: Matrix = "hessian",
        layers: Any = None, samples: int | None = None, tolerance: float = 1e-3, seed: int = 0,
        products: int | None = None, near: Spectrum | None = None, thorough: bool = True,
    ) -> None:  # fmt: skip
        for name, value in (
            ("top", top),
            ("bottom", bottom),
            ("products", 1 if products is None else products),
        ):
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < (name == "products"):
                raise ValueError(
                    f"{name} is {value!r}. Pass a whole number that is not negative, at least 1 of products."
                )
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise ValueError(f"seed is {seed!r}. Pass a whole number.")
        if not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
            raise ValueError(
                f"tolerance is {tolerance!r}. Pass what a residual may be, as a share of the largest |λ|: 0.001, say."
            )
        self.hessian = Products(objective, theta, matrix, layers=layers, samples=samples, seed=seed)
        self.size = self.hessian.size
        self.top, self.bottom = min(int(top), self.size), min(int(bottom), self.size)
        self.tolerance, self.seed, self.thorough = tolerance, seed, thorough
        self._budget = products
        self._near = self._checked(near)
        self._known = Pairs.none(self.hessian.theta, self.size)
        # What the first start was asked for and did not make sure of.
        self._unsure = self._known
        # What the last random start tells of all eigenvalues but those that were known before it, the first `_atoms`.
        self._probe: Probe | None = None
        self._atoms = 0
        self._process: Lanczos | None = None
        self._starts = 0
        #: Whether a further start has found what the first one had missed.
        self.missed = False
        self._exact = self._complete = False
        self._noise = 0.0
        self._split_half: float | None = None
        self._vectors = 0  # of the largest basis
        self._full = False  # whether one was ended by the memory that it may take

    def _checked(self, near: Any) -> Spectrum | None:
        """A spectrum to start from, if it has any vectors. Raises TypeError or ValueError for what is none of this matrix."""
        if near is None:
            return None
        if not isinstance(near, Spectrum):
            raise TypeError(
                f"near is a {type(near).__name__}. Pass a Spectrum of a point nearby, or near='nearest' to a landscape."
            )
        if len(near.eigenvectors) != self.size:
            raise ValueError(
                f"near has eigenvectors of length {len(near.eigenvectors)}, but this matrix has {self.size} rows. Pass a "
                "spectrum of the same parameters."
            )
        return near if near.eigenvectors.shape[1] else None

    def run(self) -> Generator[None, None, Spectrum]:
        """The study to its end, as a job that yields between chunks. Raises EvaluationError and ValueError."""
        whole = self.size <= DENSE and self._budget is None
        if whole and self.size >= _SLOW:
            yield from self._start()  # something to look at meanwhile
        if whole:
            yield from self._whole()
        else:
            finished = False
            while not finished and len(self._known.values) < self.size and self._left() > 0:
                finished = (yield from self._start()) or not self.thorough
        if _FEW <= self.hessian.samples < self.hessian.objective.samples and self.top:
            yield from self._halve()
        return self.spectrum()

    def spectrum(self) -> Spectrum:
        """What is known by now."""
        pairs, probe, atoms = self._known.joined(self._unsure), self._probe, self._known.values[: self._atoms]
        process = self._process
        if process is not None and process.steps and not self._starts and not self.warm:
            ritz = process.ritz()
            pairs = _pairs(process, ritz, ends(len(ritz.values), self.top, self.bottom))
            probe = Probe(ritz.values, ritz.weights, self.size)
        sure = pairs.residuals <= self.tolerance * float(np.abs(pairs.values).max(initial=0.0))
        return spectrum_of(
            self.hessian, self.top, self.bottom, pairs, sure, atoms, probe, exact=self._exact, noise=self._noise,
            split_half=self._split_half, basis=self._basis(), warm=self._near is not None,
            complete=self._complete or self._exact,
        )  # fmt: skip

    @property
    def tells(self) -> bool:
        """Whether the density is known a little: one product says nothing of its own error."""
        running = (
            self._process is not None and self._process.steps > 1 and not (self.warm and not self._starts)
        )
        return self._probe is not None or self._exact or (running and not self._starts)

    @property
    def warm(self) -> bool:
        """Whether the first start is one from a point nearby."""
        return self._near is not None

    def _whole(self) -> Generator[None, None, None]:
        matrix = yield from dense(self.hessian)
        if not bool(torch.isfinite(matrix).all()):
            raise NotFinite
        # An upper bound of what the symmetric part is off by, as a matrix.
        self._noise = float((matrix - matrix.T).norm()) / 2
        values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
        theta = self.hessian.theta
        self._known = Pairs(
            values.numpy()[::-1].copy(), np.zeros(self.size), vectors.flip(1).to(theta.device, theta.dtype)
        )
        self._unsure = Pairs.none(theta, self.size)
        self._probe, self._atoms, self._exact = None, self.size, True

    def _left(self) -> int:
        """Products that may still be taken."""
        return _MOST * 50 if self._budget is None else self._budget - self.hessian.products

    def _start(self) -> Generator[None, None, bool]:
        """One start of the process, to where it has told what it can; whether nothing more is to be found."""
        process = self._process = Lanczos(self.hessian.times, self._first_vector(), self._known.vectors)
        room = max(2, _BASIS_BYTES // (self.size * self.hessian.theta.element_size()))
        most = max(1, min(_MOST, room, self.size - len(self._known.values), self._left()))
        while process.steps < most:
            if not (yield from process.step()) or process.exhausted:
                break
            if process.steps % max(1, process.steps // _LOOKS) == 0 and self._has_told(process.ritz()):
                break
            yield
        self._process = None
        if process.broken:
            raise NotFinite
        if not process.steps:
            self._complete = True
            return True
        self._vectors = max(self._vectors, process.steps)
        self._full |= process.steps == room and not process.exhausted
        return self._harvest(process)

    def _first_vector(self) -> Tensor:
        theta = self.hessian.theta
        if self._near is not None and not self._starts:
            return self._near.eigenvectors.double().sum(dim=1).to(theta.device, theta.dtype)
        generator = torch.Generator().manual_seed(0x5EC7 + 7919 * self.seed + self._starts)
        start = torch.randn(self.size, generator=generator, dtype=torch.float64)
        return start.to(theta.device, theta.dtype)

    def _harvest(self, process: Lanczos) -> bool:
        """Keep what a start has found; whether that was nothing, and nothing more is to be found."""
        ritz, first = process.ritz(), not self._starts
        self._noise = max(self._noise, ritz.noise)
        sure = ritz.residuals <= self.tolerance * self._scale(ritz)
        asked = np.isin(np.arange(len(sure)), ends(len(sure), self.top, self.bottom))
        found = sure if first else sure & self._beyond(ritz)
        if process.exhausted:
            found = np.ones(len(sure), bool)
        if not (first and self.warm):  # of all that it was orthogonal to, a random start tells without bias
            self._atoms = len(self._known.values)
            self._probe = Probe(ritz.values, ritz.weights, self.size - self._atoms, process.exhausted)
        which = np.flatnonzero(found)
        more = not first and bool((sure & self._beyond(ritz)).any())
        self.missed |= more
        self._known = self._known.joined(_pairs(process, ritz, which))
        if first:
            self._unsure = _pairs(process, ritz, np.flatnonzero(asked & ~sure))
        self._starts += 1
        if len(self._known.values) >= self.size:
            self._exact, self._probe, self._atoms = True, None, self.size
        self._complete = not first and not more
        return self._complete

    def _halve(self) -> Generator[None, None, None]:
        """How far λmax is apart on the two halves of the samples: a subset says too much, and by about so much."""
        found = []
        start = self._known.joined(self._unsure).vectors[:, :1]
        for half in self.hessian.halves():
            process = Lanczos(half.times, start[:, 0])
            while process.steps < _MOST and (yield from process.step()):
                ritz = process.ritz()
                if process.exhausted or ritz.residuals[0] <= _HALF * abs(ritz.values[0]):
                    break
                yield
            found.append(float(process.ritz().values[0]))
            self.hessian.products += half.products
        self._split_half = abs(found[0] - found[1])

    def _basis(self) -> str:
        theta = self.hessian.theta
        kept = f"{self._vectors} vectors in {str(theta.dtype).removeprefix('torch.')} on {theta.device.type}"
        return f"{kept}, no more within {_BASIS_BYTES >> 20} MiB" if self._full else kept

    def _scale(self, ritz: Ritz) -> float:
        return float(
            max(np.abs(ritz.values).max(initial=0.0), np.abs(self._known.values).max(initial=0.0), 1e-300)
        )

    def _has_told(self, ritz: Ritz) -> bool:
        """Whether a start has said what it was asked for."""
        sure = ritz.residuals <= self.tolerance * self._scale(ritz)
        if not self._starts:
            return len(ritz.values) >= self.top + self.bottom and bool(
                sure[ends(len(sure), self.top, self.bottom)].all()
            )
        rough = ritz.residuals <= _ROUGH * self._scale(ritz)
        outermost = ends(len(sure), min(self.top, 1), min(self.bottom, 1))
        return (
            len(ritz.values) >= _LEAST
            and bool(rough[outermost].all())
            and bool(sure[self._beyond(ritz)].all())
        )

    def _beyond(self, ritz: Ritz) -> np.ndarray:
        """Which Ritz values lie beyond the last of those that were asked for, on either side."""
        known, order = self._known, np.argsort(-self._known.values)
        # A Ritz value lies inside the spectrum: above what the last of them may be there is a larger eigenvalue.
        epsilon = torch.finfo(known.vectors.dtype).eps
        margin = self._noise + 32 * epsilon * self._scale(ritz)
        above = below = np.zeros(len(ritz.values), bool)
        if self.top:
            last = order[self.top - 1] if self.top <= len(order) else None
            least = -np.inf if last is None else known.values[last] + known.residuals[last] + margin
            above = ritz.values > least
        if self.bottom:
            last = order[-self.bottom] if self.bottom <= len(order) else None
            most = np.inf if last is None else known.values[last] - known.residuals[last] - margin
            below = ritz.values < most
        found: np.ndarray = above | below
        return found


def spectrum_at(
    objective: Objective, theta: Tensor | None = None, top: int = 5, bottom: int = 2, *, per_layer: bool = False, **options: Any,
) -> Spectrum | dict[str, Spectrum]:  # fmt: skip
    """The spectrum of a curvature matrix of the loss at theta, (P,), by default the origin.

    top, bottom: how many of the largest and of the smallest eigenvalues. matrix: "hessian", "gauss_newton" or "fisher";
    layers: the tensors that it is restricted to, by name of a tensor or a module, or glob; samples: on so many of the data;
    tolerance: what a residual may be, as a share of the largest |λ|; seed; products: at most so many; near: a spectrum of a
    point nearby, to start from. per_layer: one of each layer's block by the layer's name instead.
    Raises TypeError or ValueError for what cannot be asked, EvaluationError when the model raises.
    """
    where = objective.theta if theta is None else objective.checked(theta)
    if not per_layer:
        return jobs.call(Study(objective, where, top, bottom, **options).run())
    if "layers" in options or "near" in options:
        raise TypeError(
            "per_layer=True takes every layer by itself. Leave layers and near out, or per_layer."
        )
    return {
        name or "θ": jobs.call(
            Study(objective, where, top, bottom, layers=[entry.name for entry in entries], **options).run()
        )
        for name, entries in layers_of(objective.parameters).items()
    }


def _pairs(process: Lanczos, ritz: Ritz, which: np.ndarray) -> Pairs:
    return Pairs(ritz.values[which], ritz.residuals[which], process.pairs(ritz, which))
