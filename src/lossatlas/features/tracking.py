"""Tracking: how sharp the loss is where a run goes, while it is recorded, beside the line that its optimizer's steps come back from.

The largest eigenvalue of the Hessian at every n-th kept step, in the background: the eigenvector of the step before is nearly the
one of this step, so that a few products find it (Cohen et al. 2021 follow full-batch training so). The thread that trains only says
that there is news.
"""

from __future__ import annotations

import contextlib
import math
import threading
import warnings
import weakref
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from torch.optim import Optimizer

from lossatlas import jobs
from lossatlas.curvature import Spectrum, Stability, Study, stability_of
from lossatlas.curvature.errors import NotFinite
from lossatlas.features.recorder import Recorder
from lossatlas.objective import Objective

# Products of one step at most. What is not settled by then says so in its residual.
_PRODUCTS = 60

# At each so many steps a random start looks besides whether the warm one has lost the largest.
_LOOK_AGAIN = 8

_SKETCHED = (
    "The recorder keeps sketches, which tell distances but no points, so that there is no Hessian to look at. Record "
    "without sketch=."
)
_NO_OPTIMIZER = (
    "No optimizer was passed, so that there is no line. Pass the one that trains, optimizer=optimizer."
)


@dataclass(frozen=True)
class Sharpest:
    """λmax at a step of a run. residual: ‖Hv − λv‖ with ‖v‖ = 1; limit: the line there, None where none applies; products: taken."""

    step: int
    value: float
    residual: float
    limit: float | None
    products: int


class Tracker:
    """λmax along a run that is being recorded: `track` makes one.

    What is found is told to the recorder as "sharpness", with "limit" where a line applies. Where training is faster, the newest step
    goes first, and what was passed over is made up for, the newest first, when there is nothing newer; `skipped` says how many are
    still passed over. It ends with the recorder, with `close`, or, with a warning, when the model raises.
    """

    def __init__(
        self, recorder: Recorder, objective: Objective, every: int = 50, optimizer: Optimizer | None = None,
        full_batch: bool = False,
    ) -> None:  # fmt: skip
        if not isinstance(recorder, Recorder):
            raise TypeError(
                f"recorder is a {type(recorder).__name__}. Pass the Recorder that the training loop tells of its steps."
            )
        if not isinstance(objective, Objective):
            raise TypeError(
                f"objective is a {type(objective).__name__}. Pass la.Objective(model, loss_fn, data)."
            )
        if isinstance(every, bool) or not hasattr(every, "__index__") or every < 1:
            raise ValueError(f"every is {every!r}. Pass a whole number from 1 on.")
        if recorder.closed:
            raise ValueError(
                "The recorder is closed: nothing more can be told to it. Track while it records."
            )
        if recorder.sketched:
            raise ValueError(_SKETCHED)
        if (
            recorder.model is not None
        ):  # where there is none yet, a run of another model is refused when it comes
            recorder.since(recorder.last).along(objective.parameters)
        self.objective, self.every, self._full_batch = objective, int(every), full_batch
        self._stretch = self.every * recorder.every  # steps from one that is due to the next
        #: The line of the optimizer as it was set last.
        self.stability = Stability(None, "", _NO_OPTIMIZER) if optimizer is None else self._line_of(optimizer)
        self._optimizer = None if optimizer is None else weakref.ref(optimizer)
        self._lines: dict[int, tuple[float, Stability]] = {}
        self._found: dict[int, Sharpest] = {}
        self._seen, self._heard, self._passed = -1, -1, set[int]()
        self._near: Spectrum | None = None
        self._lock, self._waiting = threading.Lock(), threading.Lock()
        self._turn: object = None  # whose it is to work
        self._job: jobs.Job[None] | None = None
        self._in_hand: int | None = None
        self._busy = self._news = False
        self.closed = False
        # A recorder that nobody else holds ends, and this with it.
        self._recorder = weakref.ref(recorder)
        recorder.listen(self._hear)
        self._hear()

    @property
    def found(self) -> tuple[Sharpest, ...]:
        """What was found so far, by step."""
        return tuple(found for _, found in sorted(self._found.copy().items()))

    @property
    def steps(self) -> np.ndarray:
        """The steps at which λmax is known, (K,) int64, ascending."""
        return np.array([one.step for one in self.found], dtype=np.int64)

    @property
    def sharpness(self) -> np.ndarray:
        """λmax at these steps, (K,) float64; NaN where the Hessian is not finite."""
        return np.array([one.value for one in self.found], dtype=np.float64)

    @property
    def limit(self) -> np.ndarray:
        """The line at these steps, (K,) float64; NaN where none applies."""
        return np.array([math.nan if one.limit is None else one.limit for one in self.found])

    @property
    def reason(self) -> str:
        """Why no line applies, or what the line is, in a sentence."""
        return self.stability.reason

    @property
    def skipped(self) -> int:
        """How many steps were due and have been passed over."""
        return len(self._passed)

    def wait(self) -> None:
        """Compute all that is due, also what was passed over, before this returns; an interrupt ends the waiting alone."""
        with self._waiting:
            if self.closed:
                return
            turn = object()
            with self._lock:  # whoever is at it in the background drops it
                self._put_back()
                job, self._turn, self._job, self._busy = self._job, turn, None, True
            if job is not None:
                job.cancel()
            jobs.call(self._work(turn))
            if job is not None and not jobs.worker.is_current_thread:  # it may be telling what it has found
                with contextlib.suppress(jobs.Cancelled):
                    job.wait()

    def close(self) -> None:
        """Track no more; what was found stays. A second call changes nothing."""
        self.closed = True
        with self._lock:
            self._turn, self._near = None, None
            self._lines.clear()
        if self._job is not None:
            self._job.cancel()
        recorder = self._recorder()
        if recorder is not None:
            recorder.unlisten(self._hear)

    def __repr__(self) -> str:
        found, skipped = self.found, f", {self.skipped} skipped" if self.skipped else ""
        last = f", {found[-1].value:.4g} at step {found[-1].step}" if found else ""
        return f"Tracker({len(found)} steps{last}{skipped})"

    def _hear(self) -> None:
        """There is something new. Called by whoever trains: it takes no time but at a step that is due."""
        recorder = self._recorder()
        if recorder is None:
            return
        if recorder.closed:
            self.close()
            return
        stretch = recorder.last // self._stretch
        if stretch <= self._heard or self.closed:
            return
        self._heard = stretch
        optimizer = None if self._optimizer is None else self._optimizer()
        if optimizer is not None:  # as it is set at this step: later it may be another
            self.stability = self._line_of(optimizer)
            self._lines[stretch] = float(optimizer.param_groups[0]["lr"]), self.stability
        with self._lock:
            self._news = True
            if self._busy and (self._job is None or not self._job.done):
                return
            self._busy, self._turn = True, object()
            self._job = jobs.worker.submit(self._work(self._turn), jobs.POINT)

    def _line_of(self, optimizer: Optimizer) -> Stability:
        return stability_of(optimizer, self._full_batch, self.objective.weight_decay)

    def _work(self, turn: object) -> Generator[None, None, None]:
        """All that is due, for as long as the turn is whose it was."""
        try:
            while (stretch := self._next(turn)) is not None:
                yield from self._measure(stretch, turn)
                yield
        except Exception as error:  # of the model, or of a run of another one
            if self._turn is turn:
                self.close()
                warnings.warn(f"The sharpness is tracked no more: {error}", RuntimeWarning, stacklevel=2)
        finally:
            with self._lock:
                if self._turn is turn:  # also where it was cancelled on the way
                    self._put_back()
                    self._busy = False

    def _put_back(self) -> None:
        if self._in_hand is not None:
            self._passed.add(self._in_hand)
            self._in_hand = None

    def _next(self, turn: object) -> int | None:
        """What to look at next, by its number in stretches of `every` kept steps; None where nothing is due, or not to this turn."""
        while True:
            with self._lock:
                self._news = False
            recorder = self._recorder()
            if recorder is None or recorder.closed:
                self.close()
                return None
            kept = {int(stretch) for stretch in recorder.steps // self._stretch}
            del recorder
            with self._lock:
                if self._turn is not turn:
                    return None
                fresh = {stretch for stretch in kept if stretch > self._seen}
                due = fresh or (self._passed & kept)
                if due:
                    chosen = max(due)
                    self._passed = (self._passed | fresh) - {chosen}
                    self._seen, self._in_hand = max(self._seen, chosen), chosen
                    return chosen
                if not self._news:
                    self._busy = False  # under the lock: what comes now is another job's
                    return None

    def _measure(self, stretch: int, turn: object) -> Generator[None, None, None]:
        """λmax at the first kept step of a stretch, told to the recorder."""
        recorder = self._recorder()
        row = None if recorder is None else recorder.since(stretch * self._stretch - 1, 1)
        if row is None or not len(row) or row.steps[0] // self._stretch != stretch:
            return  # thinned since
        step, theta = int(row.steps[0]), self.objective.checked(row.along(self.objective.parameters)[0])
        del recorder
        study = Study(
            self.objective, theta, top=1, bottom=0, near=self._near, products=_PRODUCTS,
            thorough=len(self._found) % _LOOK_AGAIN == 0,
        )  # fmt: skip
        value, residual, spectrum = math.nan, math.nan, None
        with contextlib.suppress(NotFinite):  # a fact about the run, which may go on to where it is
            spectrum = yield from study.run()
        if self._turn is not turn:
            return
        if spectrum is not None and len(spectrum.eigenvalues):
            value, residual = float(spectrum.eigenvalues[0]), float(spectrum.residuals[0])
            self._near = spectrum
        self._tell(step, stretch, value, residual, study.hessian.products)

    def _tell(self, step: int, stretch: int, value: float, residual: float, products: int) -> None:
        recorder = self._recorder()
        if recorder is None or self.closed:
            return
        limit = self._limit_at(step, stretch, recorder)
        with self._lock:
            self._found[step] = Sharpest(step, value, residual, limit, products)
            if self._in_hand == stretch:
                self._in_hand = None
        try:
            recorder.tell(step, sharpness=value, limit=limit)
        except RuntimeError:
            if not recorder.closed:
                raise
            self.close()

    def _limit_at(self, step: int, stretch: int, recorder: Recorder) -> float | None:
        """The line at a step, where the optimizer was seen as it was set there."""
        optimizer = None if self._optimizer is None else self._optimizer()
        heard = self._lines.pop(stretch, None)
        if heard is None and optimizer is not None:  # recorded before this was made
            heard = float(optimizer.param_groups[0]["lr"]), self._line_of(optimizer)
        if heard is None:
            return None
        told = float(recorder.curves.lr[step])
        same = math.isnan(told) or math.isclose(told, heard[0], rel_tol=1e-6)
        return heard[1].limit if same else None


def track(
    recorder: Recorder, objective: Objective, every: int = 50, optimizer: Optimizer | None = None, full_batch: bool = False,
) -> Tracker:  # fmt: skip
    """Track λmax of the objective's Hessian along a run while it is recorded, at every so many kept steps, in the background.

        tracker = la.track(recorder, objective, every=50, optimizer=optimizer, full_batch=True)

    The recorder is told "sharpness" and, where one applies, "limit", the line beyond which the optimizer's steps do not come back, as
    of `stability_of(optimizer, full_batch)`; else `tracker.reason` says why there is none. `tracker.wait()` computes all that is
    due; the training never waits. Raises TypeError or ValueError for what is none of these, for a recorder of sketches or of
    another model, and for one that is closed.
    """
    return Tracker(recorder, objective, every, optimizer, full_batch)
