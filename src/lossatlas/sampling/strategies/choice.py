"""Which strategy evaluates an objective: those that fit, agree with the plain one, and are the fastest when timed."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lossatlas.geometry import Slice
from lossatlas.objective import Objective
from lossatlas.objective.data import Batch, merge, reaching, tensors_of
from lossatlas.objective.replica import ModelReplica
from lossatlas.sampling.store import Point
from lossatlas.sampling.strategies.program import Unfit
from lossatlas.sampling.strategies.stack import Stack
from lossatlas.sampling.strategies.strategy import Runner, Strategy, plain, rearranged

# Samples that candidates are timed on.
_SAMPLES = 2048
_SAMPLES_OF_IMAGES = 128

_FEW = 64

# Chunks of images or sequences that keep a core's caches.
_CHUNKS = (64, 32, 16)

# A candidate must be this much faster than the plain strategy to be worth other bits.
_WORTH = 1.1

# Values may differ by so many roundings of the largest.
_ROUNDINGS = 64

# A group that takes this long need not be timed twice.
_ENOUGH_SECONDS = 0.1

_PLACES: tuple[Point, ...] = ((0.0, 0.0), (0.4375, -0.28125), (-0.71875, 0.5625))


@dataclass(frozen=True)
class Choice:
    """The strategy chosen for an objective, and what was found out about each candidate."""

    strategy: Strategy
    report: tuple[str, ...]
    name: str  # of the candidate, by which it is made again


# What won for a recipe, so that the same objective made again gets the same bits (law 5).
_winners: dict[str, tuple[str, tuple[str, ...]]] = {}
_lock = threading.Lock()

_PLAIN = "plain"


def choice_for(objective: Objective, plane: Slice) -> Choice:
    """The choice for an objective: made once, by a timed probe on `plane`, and kept for all its landscapes."""
    with _lock:
        if Choice not in objective.kept:
            if objective.hash not in _winners:
                _winners[objective.hash] = _compare(objective, plane)
            winner, report = _winners[objective.hash]
            strategy = _made(objective, winner)
            objective.kept[Choice] = Choice(strategy, (*report, f"chosen: {strategy.identity}"), winner)
        choice: Choice = objective.kept[Choice]
        return choice


def chosen_before(objective: Objective, name: str, identity: str) -> Choice:
    """The choice that was made for an objective once, made again without a probe.

    Raises Unfit, as the end of a sentence, where there is no such strategy, or it is another one today.
    """
    with _lock:
        choice: Choice | None = objective.kept.get(Choice)
        if choice is not None and (choice.name, choice.strategy.identity) == (name, identity):
            return choice
        if name != _PLAIN and (reason := _kept_plain(objective)):
            raise Unfit(reason)
        try:
            strategy = _made(objective, name)
        except ValueError as error:
            raise Unfit(f"there is no strategy {name!r} for it here") from error
        if strategy.identity != identity:
            raise Unfit(f"it is now {strategy.identity}")
        choice = Choice(strategy, (f"chosen before: {identity}",), name)
        objective.kept.setdefault(Choice, choice)
        return choice


def _made(objective: Objective, winner: str) -> Strategy:
    if winner == _PLAIN:
        return plain(objective)
    (candidate,) = (
        candidate for candidate in _candidates(objective, _sample(objective)) if candidate.name == winner
    )
    return candidate.make(list(objective.held or ()))


def _compare(objective: Objective, plane: Slice) -> tuple[str, tuple[str, ...]]:
    """The name of the fastest candidate that agrees with the plain strategy, and what was found out about each."""
    reason = _kept_plain(objective)
    if reason:
        return _PLAIN, (f"{_PLAIN}: the only one, since {reason}",)
    sample = _sample(objective)
    trial, candidates = _Trial(objective, plane, sample), _candidates(objective, sample)
    rewritten = {item.base: item for item in candidates if item.base is not None}
    made = [item for item in candidates if item.base is None and trial.make(item)]
    if not made and not trial.make(rewritten[_PLAIN]):  # nothing to compare with, so nothing is run
        return _PLAIN, (*trial.report, f"{_PLAIN}: the only one")
    if trial.time_plain():
        for item in made:
            if trial.is_promising(item):
                trial.time(item)
        last = rewritten.get(trial.best)  # what has won, once more with less to do
        if last is not None and trial.make(last):
            trial.time(last)
    return trial.best, tuple(trial.report)


class _Trial:
    """Candidates timed one after the other on some samples: which is best, and what was found out about each."""

    def __init__(self, objective: Objective, plane: Slice, sample: Batch) -> None:
        self._objective, self._plane, self._sample = objective, plane, sample
        self._strategies: dict[str, Strategy] = {}
        self._seconds: dict[str, float] = {}  # of the latest, by family
        self._fading: set[str] = set()  # families of which the latest was slower than the one before
        self.best, self.report = _PLAIN, list[str]()

    def make(self, candidate: _Candidate) -> bool:
        """Whether a candidate fits the model."""
        if candidate.name in self._strategies:
            return True
        try:
            self._strategies[candidate.name] = candidate.make([self._sample])
        except Unfit as why:
            self.report.append(f"{candidate.name}: not used, {why}")
        except Exception as error:
            self.report.append(f"{candidate.name}: not used, it failed with {type(error).__name__}: {error}")
        return candidate.name in self._strategies

    def time_plain(self) -> bool:
        """Whether the plain strategy, which all others are held against, can be run."""
        try:
            self._expected, seconds = _time(rearranged(self._objective, [self._sample]), self._plane)
        except Exception as error:  # the nodes themselves will raise it, in words, where it happens
            self.report.append(f"{_PLAIN}: the probe failed with {type(error).__name__}: {error}")
            return False
        self.report.append(f"{_PLAIN}: {1e3 * seconds:.3g} ms a node on {self._sample.size} samples")
        self._least = seconds / _WORTH
        return True

    def is_promising(self, candidate: _Candidate) -> bool:
        """Whether to time a candidate: not smaller chunks where they got slower, nor of a layout that is behind another."""
        family = candidate.family
        if family is None or family not in self._seconds:
            return True
        return family not in self._fading and self._seconds[family] <= _WORTH * min(self._seconds.values())

    def time(self, candidate: _Candidate) -> None:
        """Time a candidate that fits; it is the best when it agrees with the plain strategy and is the fastest so far."""
        try:
            values, taken = _time(self._strategies[candidate.name], self._plane)
            _check_agreement(values, self._expected, self._objective, self._sample.size)
        except Unfit as why:
            self.report.append(f"{candidate.name}: not used, {why}")
        except Exception as error:
            self.report.append(f"{candidate.name}: not used, it failed with {type(error).__name__}: {error}")
        else:
            self.report.append(f"{candidate.name}: {1e3 * taken:.3g} ms a node")
            if candidate.family is not None:
                if taken > self._seconds.get(candidate.family, taken):
                    self._fading.add(candidate.family)
                self._seconds[candidate.family] = taken
            if taken < self._least:
                self.best, self._least = candidate.name, taken


def _kept_plain(objective: Objective) -> str | None:
    """Why nothing but the plain strategy may be used, as the end of a sentence."""
    replica = objective.spare_replica()
    if not isinstance(replica, ModelReplica):
        return "this is a function without a model"
    if not objective.separable:
        return "its batches are kept whole and in order"
    if replica.estimation:
        return "its statistics are estimated anew at every node"
    if not isinstance(replica.chunks, list):
        return "its data are read again in every pass"
    return None


def _sample(objective: Objective) -> Batch:
    held = objective.held
    assert held
    most = _SAMPLES_OF_IMAGES if _is_wide(held[0]) else _SAMPLES
    # The first alone where they cannot be joined.
    joined = merge(held[: reaching((batch.size for batch in held), most)])[0]
    return joined.rows(0, min(joined.size, most))


@dataclass(frozen=True)
class _Candidate:
    """What may be faster than the plain strategy, made for some batches.

    base: another one that it is tried after; family: of those alike but for the size of their chunks.
    """

    name: str
    make: Callable[[Sequence[Batch]], Strategy]
    base: str | None = None
    family: str | None = None


def _candidates(objective: Objective, sample: Batch) -> list[_Candidate]:
    found = [
        _Candidate("stack", functools.partial(Stack, objective)),
        _rewritten(objective, _PLAIN, None, False),
    ]
    filters = any(len(entry.shape) == 4 for entry in objective.parameters)
    if objective.samples < _FEW:  # nothing to cut
        return found
    for rows in _CHUNKS if filters or _is_wide(sample) else ():
        for channels_last in (False, True) if filters else (False,):
            # Chunks that hold the whole sample are all alike.
            if rows < sample.size or (channels_last and rows < 2 * sample.size):
                layout = ", channels last" if channels_last else ""
                name = f"chunks of {rows}{layout}"
                make = functools.partial(rearranged, objective, rows=rows, channels_last=channels_last)
                found.append(_Candidate(name, make, family=f"chunks{layout}"))
                found.append(_rewritten(objective, name, rows, channels_last))
    return found


def _rewritten(objective: Objective, base: str, rows: int | None, channels_last: bool) -> _Candidate:
    make = functools.partial(rearranged, objective, rows=rows, channels_last=channels_last, rewritten=True)
    name = "rewritten" if base == _PLAIN else f"{base}, rewritten"
    return _Candidate(name, make, base)


def _is_wide(batch: Batch) -> bool:
    """Whether a sample is an image or a sequence."""
    return any(tensor.dim() >= 2 + tensor.is_floating_point() for tensor in tensors_of(batch.x))


def _time(strategy: Strategy, plane: Slice) -> tuple[np.ndarray, float]:
    """Values of all fields at some places, (3, F), and the seconds that a node takes."""
    runner = strategy.on(plane)
    places = [(a, b if len(plane.directions) > 1 else 0.0) for a, b in _PLACES]
    single = [_timed(runner, [place]) for place in places]
    values = np.concatenate([found for found, _ in single])
    taken = [seconds for _, seconds in single[1:]]  # the first makes what is made once
    if runner.group > 1:
        group, taken = (places * runner.group)[: runner.group], []
        while len(taken) < 2 and sum(taken) * len(group) < _ENOUGH_SECONDS:
            together, seconds = _timed(runner, group)
            if together[: len(places)].tobytes() != values[: len(group)].tobytes():
                raise Unfit("its bits depend on how nodes are grouped")
            taken.append(seconds)
    return values, min(taken)


def _timed(runner: Runner, points: Sequence[Point]) -> tuple[np.ndarray, float]:
    begun = time.perf_counter()
    values = _drained(runner.run(points))
    return values, (time.perf_counter() - begun) / len(points)


def _drained(work: Generator[None, None, np.ndarray]) -> np.ndarray:
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: np.ndarray = end.value
            return result


def _check_agreement(values: np.ndarray, expected: np.ndarray, objective: Objective, samples: int) -> None:
    """Raise Unfit when values differ by more than rounding, or in what is finite."""
    if not np.array_equal(np.isfinite(values), np.isfinite(expected)):
        raise Unfit("it is finite elsewhere than the plain one")
    finite = np.isfinite(expected)
    epsilon = float(torch.finfo(objective.dtype).eps) / 2
    for index, name in enumerate(objective.fields):
        kept = finite[:, index]
        largest = float(np.abs(expected[kept, index]).max(initial=0.0))
        # A sample on the edge between two classes may go over to the other.
        allowed = _ROUNDINGS * epsilon * largest + (0.0 if name in _SMOOTH else 2.0 / samples)
        differs = float(np.abs(values - expected)[kept, index].max(initial=0.0))
        if differs > allowed:
            raise Unfit(f"its {name} differs by {differs:.2g} from the plain one's")


_SMOOTH = ("loss", "data_loss", "weight_decay")
