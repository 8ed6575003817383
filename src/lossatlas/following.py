"""Following: a recorded run as it falls onto the plane of a landscape, also while it is being recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lossatlas.features import Recorder
from lossatlas.geometry import Direction, Frame, Plane, Shadow, Trajectory, shadow_of
from lossatlas.geometry.quantities import quantity
from lossatlas.geometry.trajectory import Curves
from lossatlas.held import AnyLandscape

# What a view of a run shows, as a multiple of the run.
_ROOM = 1.4

# Rows that are measured at a time.
_ROWS = 64

#: Steps before and after those of any run.
BEFORE, _BEYOND = -(1 << 62), 1 << 62


@dataclass(frozen=True)
class _Measured:
    """A quantity of the parameters, at the kept steps that were looked at."""

    name: str
    steps: list[int]
    values: list[float]


def project(landscape: AnyLandscape, run: Trajectory | Recorder) -> Shadow:
    """A run on this plane: the points nearest to its parameters, (T, 2), and how far each is from the plane, (T,).

    By least squares in float64. Raises TypeError for what is no run, and ValueError for one of another model or of sketches.
    """
    return shadow_of(recorded(run), Frame(landscape.slice), landscape.objective.parameters)


def recorded(run: Trajectory | Recorder) -> Trajectory:
    """What there is of a run so far. Raises TypeError for what is no run."""
    found = run.trajectory if isinstance(run, Recorder) else run
    if not isinstance(found, Trajectory):
        raise TypeError(f"The run is a {type(run).__name__}. Pass a Recorder or a Trajectory.")
    return found


class Followed:
    """A run that is looked at again and again. Raises TypeError for what is no run, and as `measure` for quantities."""

    def __init__(self, run: Trajectory | Recorder, quantities: Sequence[str] = ()) -> None:
        self.recorder = run if isinstance(run, Recorder) else None
        self._run = run if isinstance(run, Recorder) else recorded(run)
        self._frame: Frame | None = None
        self._measured: dict[str, _Measured] = {}
        for name in quantities:
            self.measure(name)

    def measure(self, name: str) -> None:
        """Tell of a quantity of the kept parameters too, at their steps: "norm:0.*", "0.weight[3, 5]"; one that is told stays as it is.

        Raises ValueError for one that there is not, and where no parameters are kept.
        """
        if self.recorder is not None and (self.recorder.model is None or self.recorder.sketched):
            raise ValueError(
                f"The quantity {name!r} is one of parameters, and the recorder has none of a model."
            )
        if name not in ("step", *self._told.by_name):
            title, _ = quantity(self._run.since(_BEYOND), name)
            self._measured.setdefault(title, _Measured(name, [], []))

    @property
    def ended(self) -> bool:
        """Whether nothing is added to it any more."""
        return self.recorder is None or self.recorder.closed

    @property
    def revision(self) -> tuple[int, int]:
        """Another one whenever there is something new."""
        return 0 if self.recorder is None else self.recorder.revision, len(self._measured)

    @property
    def curves(self) -> Curves:
        """What was told at each step so far, and what is measured at the kept ones."""
        told = self._told
        if not self._measured:
            return told
        metrics = dict(told.metrics)
        for title, measured in list(self._measured.items()):
            while len(rows := self._run.since(measured.steps[-1] if measured.steps else BEFORE, _ROWS)):
                measured.steps.extend(rows.steps.tolist())
                measured.values.extend(quantity(rows, measured.name)[1].tolist())
            metrics[title] = np.full(len(told), np.nan)
            at = np.searchsorted(told.steps, measured.steps)  # all but those that came since
            metrics[title][at[at < len(told)]] = np.array(measured.values)[at < len(told)]
        return Curves(told.steps, told.loss, told.lr, metrics)

    @property
    def _told(self) -> Curves:
        return self._run.curves if isinstance(self._run, Recorder) else self._run.told

    def every(self, step: int, most: int) -> int:
        """Each so many of the kept steps after this one are about so many at most; all of a run that has ended."""
        return 1 if self.ended or self.recorder is None else max(1, self.recorder.kept_since(step) // most)

    def since(self, step: int, landscape: AnyLandscape, most: int, every: int = 1) -> Shadow | None:
        """The first `most` kept steps after this one, on the plane of the landscape; None where there are none.

        every: of one that is recorded still, each so many, the last one among them.
        """
        if self.recorder is not None and self.recorder.model is None:  # which a callback gives it
            return None
        rows = self._run.since(step, most, every)
        if not len(rows):
            return None
        if self._frame is None or self._frame.where is not landscape.slice:
            self._frame = Frame(landscape.slice)
        return shadow_of(rows, self._frame, landscape.objective.parameters)

    @property
    def so_far(self) -> Trajectory:
        """What there is of it. Raises ValueError before its first step."""
        return recorded(self._run)


def components_of(landscape: AnyLandscape, runs: Sequence[Trajectory]) -> tuple[Direction, Direction]:
    """The principal components of runs together, as directions. Raises ValueError where they span no plane."""
    plane = Plane.pca(landscape.objective, runs)
    of = (
        f"to step {int(runs[0].steps[-1])}"
        if len(runs) == 1
        else f"of {len(runs)} runs, {sum(map(len, runs))} points"
    )
    first, second = (
        Direction.own(vector, f"component {k} {of}", about)
        for k, (vector, about) in enumerate(zip((plane.u, plane.v), plane.about, strict=True), 1)
    )
    return first, second


def view_of(landscape: AnyLandscape, runs: Sequence[Trajectory]) -> dict[str, object]:
    """Where runs lie on this plane: the centre and the width in a that hold them, with some room about them."""
    points = np.concatenate([project(landscape, run).points for run in runs])
    low, high = points.min(axis=0), points.max(axis=0)
    # A frame is about as high as it is wide, or less high.
    span = _ROOM * max(float(high[0] - low[0]), 1.6 * float(high[1] - low[1])) or 1.0
    return {"center": ((low + high) / 2).tolist(), "span": span}
