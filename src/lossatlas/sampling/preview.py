"""Preview: a plane's few first nodes on a sample of the data, while those on all data take long."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from typing import Any

import numpy as np

from lossatlas import jobs
from lossatlas.geometry import PASSES, TileAddress
from lossatlas.objective import Objective
from lossatlas.objective.subset import SIZES, no_subset
from lossatlas.sampling.evaluator import Evaluator
from lossatlas.sampling.store import NodeStore, Point
from lossatlas.sampling.strategies.program import Unfit
from lossatlas.sampling.strategies.sampled import Sampled
from lossatlas.sampling.subtraction import Subtraction
from lossatlas.sampling.tile import Pass, Sample, nodes_of, read_pass

# Qualities below that of all data.
QUALITIES = tuple(range(len(SIZES)))

# A first picture of so many nodes is waited for; one on all data that takes longer than this, in seconds, by quality,
# is preceded by a preview.
_FIRST_NODES = 25
_WAITED = (0.4, 2.0)

# And a preview takes at most this share of what it precedes.
_SHARE = 0.25

_lock = threading.Lock()


class Preview:
    """Nodes of one plane or line on the sample of one quality, with standard errors, in a store of their own."""

    def __init__(
        self, evaluator: Evaluator | Subtraction, sampled: Sampled, quality: int, rounding: float
    ) -> None:
        objective = evaluator.objective
        self.quality, self.subset, self._rounding = quality, sampled.subset, rounding
        self._fields = len(objective.fields)
        self._at_work = sampled.on(evaluator.plane)
        self._line = len(evaluator.plane.directions) == 1
        self.store = NodeStore(2 * self._fields)
        self._evaluator = Evaluator(objective, evaluator.plane, self.store, self._at_work)

    def evaluate(self, points: Iterable[Point]) -> Generator[None, None, int]:
        """Evaluate the missing ones of `points`; yields between chunks."""
        return self._evaluator.evaluate(points)

    def first_pass(self, address: TileAddress) -> Generator[None, None, int]:
        """Evaluate the nodes of a tile's coarsest pass; yields between chunks."""
        return self.evaluate(nodes_of(address, PASSES[0], line=self._line))

    def known(self, address: TileAddress, field: int) -> Pass | None:
        """What is known of a tile, with its standard errors. Evaluates nothing."""
        reference = self._at_work.known
        if reference is None:
            return None

        def sample_of(points: list[Point]) -> Sample:
            shape = float(np.max(self.store.get(points)[:, self._fields + field]))
            return Sample(self.quality, self.subset.words, float(reference.level[field]), shape)

        return read_pass(self.store, address, field, self._rounding, line=self._line, sample_of=sample_of)

    def pays(self) -> Generator[None, None, bool]:
        """Whether a first picture on all data is so far away that this one is worth its time."""
        share = self.subset.size / self.subset.population
        if share > _SHARE:
            return False
        reference = yield from self._at_work.reference()
        nodes = _FIRST_NODES / jobs.worker.threads
        return reference.seconds / share * nodes > _WAITED[self.quality]


def preview_of(evaluator: Evaluator | Subtraction, quality: int, rounding: float) -> Preview | str:
    """The preview of a plane or line, or why there is none, as the end of a sentence. Made once."""
    kept: dict[Any, Any] = evaluator.kept
    with _lock:
        if quality not in kept:
            samples = evaluator.objective.kept
            if (Sampled, quality) not in samples:
                try:
                    samples[Sampled, quality] = Sampled(evaluator.objective, quality)
                except Unfit as why:
                    samples[Sampled, quality] = str(why)
            sampled = samples[Sampled, quality]
            kept[quality] = (
                sampled if isinstance(sampled, str) else Preview(evaluator, sampled, quality, rounding)
            )
        found: Preview | str = kept[quality]
        return found


def paying(evaluator: Evaluator | Subtraction, rounding: float) -> Generator[None, None, tuple[Preview, ...]]:
    """The previews that are worth their time, the smallest first. The same ones as long as the plane is kept."""
    if "paying" not in evaluator.kept:
        found = []
        for quality in QUALITIES:
            if SIZES[quality] > _SHARE * evaluator.objective.samples:
                break
            one = preview_of(evaluator, quality, rounding)
            if isinstance(one, str) or not (yield from one.pays()):
                break
            found.append(one)
        evaluator.kept["paying"] = tuple(found)
    previews: tuple[Preview, ...] = evaluator.kept["paying"]
    return previews


def seen(evaluator: Evaluator | Subtraction, address: TileAddress, field: int) -> Pass | None:
    """What the previews that are worth their time know of a tile, the largest first. Evaluates nothing."""
    previews: tuple[Preview, ...] = evaluator.kept.get("paying", ())
    passes = (preview.known(address, field) for preview in reversed(previews))
    return next((found for found in passes if found is not None), None)


def in_words(objective: Objective) -> str:
    """Which samples previews of an objective rest on, or why there are none: a line of its report."""
    with objective.replica() as replica:
        reasons = [no_subset(objective, replica, quality) for quality in QUALITIES]
    if reasons[0]:
        return f"previews: none, since {reasons[0]}"
    sizes = " and ".join(str(size) for size, reason in zip(SIZES, reasons, strict=True) if reason is None)
    over = "" if objective.separable else ", in whole batches, over whose means their error is estimated"
    return f"previews: on {sizes} of {objective.samples} samples{over}, where all of them take long"
