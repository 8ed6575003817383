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
from lossatlas.objective.subset import PerBatch, PerSample, subset
from lossatlas.sampling.store import Point
from lossatlas.sampling.strategies.program import Unfit
from lossatlas.sampling.strategies.strategy import Pool, arranged_replica
from lossatlas.sampling.uncertainty import standard_errors


@dataclass(frozen=True, eq=False)
class Reference:
    """What is known of a sample at the plane's origin, against which all other nodes are compared."""

    residuals: np.ndarray  # (n, F), about the mean
    level: np.ndarray  # (F,) standard error of the mean: what the whole preview may lie too high or too low
    seconds: float  # that the mean alone takes there


class Sampled:
    """One node at a time on the subset of a quality. Raises Unfit where there is none. Reads a loader beyond its budget."""

    def __init__(self, objective: Objective, quality: int, seed: int = 0) -> None:
        with objective.replica() as replica:
            found = subset(objective, replica, quality, seed)
            if isinstance(found, str):
                raise Unfit(found)
            assert isinstance(replica, ModelReplica)
            self.subset, self.decay = found, replica.decay
        self.reader = PerSample() if found.unit == "samples" else PerBatch()
        maker = weakref.proxy(objective)
        self.replicas = Pool(lambda: arranged_replica(maker, list(found.batches), channels_last=False))

    @property
    def identity(self) -> str:
        """What it does, in words."""
        return f"{self.subset.size} of {self.subset.population} {self.subset.unit}, one node at a time, one thread"

    def on(self, plane: Slice) -> SampledOn:
        """The strategy on this plane or line."""
        return SampledOn(self, plane)


class SampledOn:
    """A sample at work on one plane: the same samples at every node, so that what they share cancels between nodes."""

    group = shares = 1

    def __init__(self, sampled: Sampled, plane: Slice) -> None:
        self._sampled, self._plane = sampled, plane
        self.known: Reference | None = None

    def reference(self) -> Generator[None, None, Reference]:
        """The sample at the plane's origin; yields between chunks."""
        if self.known is None:
            values, weights, _ = yield from self._values(0.0, 0.0)
            seconds = yield from self._seconds()
            residuals = _residuals(values, weights)
            level = self._of_fields(standard_errors(residuals, self._sampled.subset.population), 0.0)
            self.known = Reference(residuals, level, seconds)
        return self.known

    def prepare(self) -> Generator[None, None, None]:
        """The reference that all other nodes are compared with."""
        yield from self.reference()

    def run(self, points: Sequence[Point]) -> Generator[None, None, np.ndarray]:
        """All fields at one point and their standard errors of shape, (1, 2 F) float64; yields between chunks."""
        reference = yield from self.reference()
        rows = []
        for a, b in points:
            values, weights, decay = yield from self._values(a, b)
            means = (weights * values).mean(axis=0)
            differences = _residuals(values, weights) - reference.residuals
            shape = standard_errors(differences, self._sampled.subset.population)
            means[0] += decay
            rows.append(np.concatenate([self._of_fields(means, decay), self._of_fields(shape, 0.0)]))
        return np.array(rows)

    def _values(self, a: float, b: float) -> Generator[None, None, tuple[np.ndarray, np.ndarray, float]]:
        """The fields of each sample at a point, (n, F) float64, what it counts for, (n, 1) with mean 1, and ½ λ‖θ‖²."""
        sampled, found = self._sampled, []
        with sampled.replicas.lend() as replica:
            self._plane.write(a, b, replica.buffer)
            for batch in sampled.subset.batches:
                try:
                    found.append(sampled.reader.read(replica, batch))
                except Exception as error:
                    raise raised(error, f"at a = {a:g}, b = {b:g}", batch) from error
                yield
            square = float(replica.buffer.double().square().sum()) if sampled.decay else 0.0
        values, weights = (torch.cat(part).numpy() for part in zip(*found, strict=True))
        values[weights == 0] = 0.0  # the mean of no target is NaN, and counts for nothing
        return values, (weights / weights.mean())[:, None], 0.5 * sampled.decay * square

    def _seconds(self) -> Generator[None, None, float]:
        """How long the plain mean over the sample takes: what a node on all data takes more of."""
        with self._sampled.replicas.lend() as replica:
            begun = time.perf_counter()
            yield from replica.run()
            return time.perf_counter() - begun

    def _of_fields(self, measured: np.ndarray, decay: float) -> np.ndarray:
        """The columns of all fields: weight decay makes two of the loss and itself, of which no sample is drawn."""
        if not self._sampled.decay:
            return measured
        return np.array([measured[0], measured[0] - decay, decay, *measured[1:]])


def _residuals(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How each sample moves the weighted mean."""
    residuals: np.ndarray = weights * (values - (weights * values).mean(axis=0))
    return residuals
