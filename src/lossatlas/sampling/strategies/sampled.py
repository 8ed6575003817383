"""Nodes on a sample of the data, each with its standard errors: what a preview is drawn from, never a map's exact values."""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lossatlas.geometry import Slice
from lossatlas.objective import Objective
from lossatlas.objective.probes import raised
from lossatlas.objective.replica import ModelReplica
from lossatlas.objective.subset import SIZES, PerSample, no_subset, subset, weights
from lossatlas.sampling.store import Point
from lossatlas.sampling.strategies.program import Unfit
from lossatlas.sampling.strategies.strategy import Pool
from lossatlas.sampling.uncertainty import standard_errors


@dataclass(frozen=True, eq=False)
class Reference:
    """What is known of a sample at the plane's origin, against which all other nodes are compared."""

    residuals: np.ndarray  # (n, F), about the mean
    level: np.ndarray  # (F,) standard error of the mean: what the whole preview may lie too high or too low
    seconds: float  # that it took


class Sampled:
    """One node at a time on the sample of a quality. Raises Unfit where there is none. Reads a loader beyond its budget."""

    def __init__(self, objective: Objective, quality: int, seed: int = 0) -> None:
        replica = objective.spare_replica()
        if reason := no_subset(objective, replica, quality):
            raise Unfit(reason)
        assert isinstance(replica, ModelReplica)
        self.samples, self.population = SIZES[quality], objective.samples
        self.decay = replica.decay
        self.batches = subset(objective, quality, seed)
        weighed = weights(replica, self.batches)
        self.weights = (weighed / weighed.mean()).numpy()[:, None]
        self.reader = PerSample()
        maker = weakref.proxy(objective)
        self.replicas: Pool[ModelReplica] = Pool(lambda: self._made(maker))

    def _made(self, objective: Objective) -> ModelReplica:
        replica = objective.spare_replica()
        assert isinstance(replica, ModelReplica)
        replica.hold(self.batches)
        return replica

    @property
    def identity(self) -> str:
        """What it does, in words."""
        return f"{self.samples} of {self.population} samples, one node at a time, one thread"

    def on(self, plane: Slice) -> SampledOn:
        """The strategy on this plane or line."""
        return SampledOn(self, plane)


class SampledOn:
    """A sample at work on one plane: the same samples at every node, so that what they share cancels between nodes."""

    group = 1

    def __init__(self, sampled: Sampled, plane: Slice) -> None:
        self._sampled, self._plane = sampled, plane
        self.known: Reference | None = None

    def reference(self) -> Generator[None, None, Reference]:
        """The sample at the plane's origin; yields between chunks."""
        if self.known is None:
            begun = time.perf_counter()
            values, _ = yield from self._values(0.0, 0.0)
            residuals = self._residuals(values)
            level = self._of_fields(standard_errors(residuals, self._sampled.population), 0.0)
            self.known = Reference(residuals, level, time.perf_counter() - begun)
        return self.known

    def prepare(self) -> Generator[None, None, None]:
        """The reference that all other nodes are compared with."""
        yield from self.reference()

    def run(self, points: Sequence[Point]) -> Generator[None, None, np.ndarray]:
        """All fields at one point and their standard errors of shape, (1, 2 F) float64; yields between chunks."""
        reference = yield from self.reference()
        rows = []
        for a, b in points:
            values, decay = yield from self._values(a, b)
            means = (self._sampled.weights * values).mean(axis=0)
            shape = standard_errors(self._residuals(values) - reference.residuals, self._sampled.population)
            means[0] += decay
            rows.append(np.concatenate([self._of_fields(means, decay), self._of_fields(shape, 0.0)]))
        return np.array(rows)

    def _values(self, a: float, b: float) -> Generator[None, None, tuple[np.ndarray, float]]:
        """The fields of each sample at a point, (n, F) float64, and ½ λ‖θ‖²."""
        sampled, found = self._sampled, []
        with sampled.replicas.lend() as replica:
            self._plane.write(a, b, replica.buffer)
            for batch in sampled.batches:
                try:
                    found.append(sampled.reader.read(replica, batch))
                except Exception as error:
                    raise raised(error, f"at a = {a:g}, b = {b:g}", batch) from error
                yield
            square = float(replica.buffer.double().square().sum()) if sampled.decay else 0.0
        return torch.cat(found).cpu().numpy(), 0.5 * sampled.decay * square

    def _of_fields(self, measured: np.ndarray, decay: float) -> np.ndarray:
        """The columns of all fields: weight decay makes two of the loss and itself, of which no sample is drawn."""
        if not self._sampled.decay:
            return measured
        return np.array([measured[0], measured[0] - decay, decay, *measured[1:]])

    def _residuals(self, values: np.ndarray) -> np.ndarray:
        """How each sample moves the weighted mean."""
        weights = self._sampled.weights
        residuals: np.ndarray = weights * (values - (weights * values).mean(axis=0))
        return residuals
