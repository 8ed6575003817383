"""A study of the Hessian at one point: starts of a Krylov process, one after the other, until nothing is missing.

The first start gives the extreme pairs, a quadrature of the density and a sample of the trace at once. It sees one copy of
each eigenvalue; so further starts, orthogonal to what is known, look for more until one finds nothing beyond it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor

from lossatlas import jobs
from lossatlas.curvature.dense import DENSE, dense
from lossatlas.curvature.density import Probe
from lossatlas.curvature.krylov import Lanczos, Ritz
from lossatlas.curvature.products import Hessian
from lossatlas.curvature.spectrum import Spectrum, ends, spectrum_of
from lossatlas.objective import Objective

# A further start is asked this far, in shares of the largest |λ|: whether there is something beyond what is known.
_ROUGH = 0.03

# A start that has taken fewer products may not have met yet what it has little of.
_LEAST = 10

# What the basis may take of memory, in bytes.
_BASIS_BYTES = 1 << 30

# How long one waits at a time for news, in seconds.
_GLANCE = 0.05

# Products of a start at most: the bulk of a spectrum never converges.
_MOST = 400


class Study:
    """The spectrum of an objective's Hessian at theta, (P,): `run` it as a job, ask for what is known at any time.

    top, bottom: how many of the largest and of the smallest eigenvalues; tolerance: what a residual may be, as a share of
    the largest |λ|; seed: of the random starts; products: at most so many. Raises ValueError for what cannot be asked.
    """

    def __init__(
        self, objective: Objective, theta: Tensor, top: int = 5, bottom: int = 2, *,
        tolerance: float = 1e-3, seed: int = 0, products: int | None = None,
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
        if not 0 < tolerance < 1:
            raise ValueError(
                f"tolerance is {tolerance!r}. Pass what a residual may be, as a share of the largest |λ|: 0.001, say."
            )
        self.size = objective.size
        self.top, self.bottom = min(int(top), self.size), min(int(bottom), self.size)
        self.tolerance, self.seed = tolerance, seed
        self.products = products
        self.hessian = Hessian(objective, theta)
        self.exact = False
        self._locked = theta.new_empty(self.size, 0)
        self._values, self._residuals = np.empty(0), np.empty(0)
        # Pairs that the first start was asked for and did not make sure of.
        self._unsure: tuple[np.ndarray, np.ndarray, Tensor] = np.empty(0), np.empty(0), self._locked
        self._probes: list[Probe] = []
        self._process: Lanczos | None = None
        self._starts = 0
        self._noise = 0.0

    def run(self) -> Generator[None, None, Spectrum]:
        """The study to its end, as a job that yields between chunks. Raises EvaluationError and ValueError."""
        if self.size <= DENSE and self.products is None:
            yield from self._whole()
        else:
            finished = False
            while not finished and len(self._values) < self.size and self._left() > 0:
                finished = yield from self._start()
        return self.spectrum()

    def spectrum(self) -> Spectrum:
        """What is known by now."""
        values = np.concatenate([self._values, self._unsure[0]])
        residuals = np.concatenate([self._residuals, self._unsure[1]])
        vectors = torch.cat([self._locked, self._unsure[2]], dim=1)
        probes = list(self._probes)
        process = self._process
        if process is not None and process.steps and not self._starts:
            ritz = process.ritz()
            kept = ends(len(ritz.values), self.top, self.bottom)
            values, residuals = ritz.values[kept], ritz.residuals[kept]
            vectors = process.pairs(ritz, kept)
            probes = [Probe(ritz.values, ritz.weights, self.size)]
        scale = float(np.abs(values).max(initial=0.0))
        sure = residuals <= self.tolerance * scale
        return spectrum_of(
            self.size, self.top, self.bottom, values, residuals, sure, vectors, probes,
            products=self.hessian.products, form=self.hessian.form, exact=self.exact, noise=self._noise,
        )  # fmt: skip

    @property
    def tells(self) -> bool:
        """Whether anything is known yet: one product says nothing of its own error."""
        return len(self._values) > 0 or (self._process is not None and self._process.steps > 1)

    def _whole(self) -> Generator[None, None, None]:
        matrix = yield from dense(self.hessian)
        if not bool(torch.isfinite(matrix).all()):
            raise _not_finite()
        values, vectors = torch.linalg.eigh(matrix)
        theta = self.hessian.theta
        self._values = values.numpy()[::-1].copy()
        self._residuals = np.zeros(self.size)
        self._locked = vectors.flip(1).to(theta.device, theta.dtype)
        self.exact = True

    def _left(self) -> int:
        """Products that may still be taken."""
        return _MOST * 50 if self.products is None else self.products - self.hessian.products

    def _start(self) -> Generator[None, None, bool]:
        """One start of the process, to where it has told what it can; whether nothing more is to be found."""
        theta = self.hessian.theta
        generator = torch.Generator().manual_seed(0x5EC7 + 7919 * self.seed + self._starts)
        start = torch.randn(self.size, generator=generator, dtype=torch.float64).to(theta.device, theta.dtype)
        process = self._process = Lanczos(self.hessian.times, start, self._locked)
        room = _BASIS_BYTES // (self.size * theta.element_size())
        most = max(1, min(_MOST, room, self.size - len(self._values), self._left()))
        while process.steps < most:
            if not (yield from process.step()):
                break
            if process.exhausted or self._has_told(process.ritz()):
                break
            yield
        if not process.steps:
            if process.exhausted and not self._starts:
                raise _not_finite()
            return True
        ritz = process.ritz()
        self._noise = max(self._noise, ritz.noise)
        sure = ritz.residuals <= self.tolerance * self._scale(ritz)
        beyond = np.ones(len(ritz.values), bool) if process.exhausted else sure & self._beyond(ritz)
        found = sure if not self._starts else beyond
        which = np.flatnonzero(found)
        dimension = self.size - len(self._values) - len(which)
        rest = ~found
        self._locked = torch.cat([self._locked, process.pairs(ritz, which)], dim=1)
        self._values = np.concatenate([self._values, ritz.values[which]])
        self._residuals = np.concatenate([self._residuals, ritz.residuals[which]])
        if rest.any() and dimension > 0 and ritz.weights[rest].sum() > 0:
            weights = ritz.weights[rest]
            self._probes.append(Probe(ritz.values[rest], weights / weights.sum(), dimension))
        if not self._starts:
            asked = ends(len(sure), self.top, self.bottom)
            left = asked[~sure[asked]]
            self._unsure = ritz.values[left], ritz.residuals[left], process.pairs(ritz, left)
        self._starts += 1
        self.exact = len(self._values) >= self.size
        self._process = None
        return self._starts > 1 and not len(which)

    def _scale(self, ritz: Ritz) -> float:
        return float(max(np.abs(ritz.values).max(initial=0.0), np.abs(self._values).max(initial=0.0), 1e-300))

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
        known = np.sort(self._values)[::-1]
        margin = self.tolerance * self._scale(ritz)
        least = known[self.top - 1] if 0 < self.top <= len(known) else -np.inf
        most = known[-self.bottom] if 0 < self.bottom <= len(known) else np.inf
        above = ritz.values > least + margin if self.top else np.zeros(len(ritz.values), bool)
        below = ritz.values < most - margin if self.bottom else np.zeros(len(ritz.values), bool)
        found: np.ndarray = above | below
        return found


def stream(study: Study) -> Iterator[Spectrum]:
    """What a study knows after each product, as fast as one looks, and the finished spectrum last.

    Leaving the loop cancels the work. Raises what the study raises.
    """
    found: queue.SimpleQueue[tuple[Spectrum, bool]] = queue.SimpleQueue()
    looking = threading.Event()

    def work() -> Generator[None, None, None]:
        run, products = study.run(), 0
        while True:
            try:
                next(run)
            except StopIteration as end:
                found.put((end.value, True))
                return
            if looking.is_set() and study.hessian.products > products and study.tells:
                products = study.hessian.products
                looking.clear()
                found.put((study.spectrum(), False))
            yield

    job = jobs.worker.submit(work())
    try:
        finished = False
        while not finished:
            looking.set()
            while True:
                ended = job.done
                with contextlib.suppress(queue.Empty):
                    spectrum, finished = found.get(block=not ended, timeout=_GLANCE)
                    break
                if ended:
                    job.wait()  # raises what it ended with
            yield spectrum
    finally:
        job.cancel()


def _not_finite() -> ValueError:
    return ValueError(
        "The Hessian is not finite at this point. Look at a point where the loss is smooth and finite."
    )
