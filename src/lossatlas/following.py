"""Following: a recorded run as it falls onto the plane of a landscape, also while it is being recorded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lossatlas.features import Recorder
from lossatlas.geometry import Direction, Frame, Plane, Shadow, Trajectory, shadow_of
from lossatlas.geometry.trajectory import Curves
from lossatlas.landscape import Landscape

# What a view of a run shows, as a multiple of the run.
_ROOM = 1.4


def project(landscape: Landscape, run: Trajectory | Recorder) -> Shadow:
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
    """A run that is looked at again and again. Raises TypeError for what is no run."""

    def __init__(self, run: Trajectory | Recorder) -> None:
        self.recorder = run if isinstance(run, Recorder) else None
        self._run = run if isinstance(run, Recorder) else recorded(run)
        self._frame: Frame | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing is added to it any more."""
        return self.recorder is None or self.recorder.closed

    @property
    def revision(self) -> int:
        """A number that grows whenever there is something new."""
        return 0 if self.recorder is None else self.recorder.revision

    @property
    def curves(self) -> Curves:
        """What was told at each step so far."""
        return self._run.curves if isinstance(self._run, Recorder) else self._run.told

    def since(self, step: int, landscape: Landscape, most: int) -> Shadow | None:
        """The first `most` kept steps after this one, on the plane of the landscape; None where there are none."""
        rows = self._run.since(step, most)
        if not len(rows):
            return None
        if self._frame is None or self._frame.where is not landscape.slice:
            self._frame = Frame(landscape.slice)
        return shadow_of(rows, self._frame, landscape.objective.parameters)

    @property
    def so_far(self) -> Trajectory:
        """What there is of it. Raises ValueError before its first step."""
        return recorded(self._run)


def components_of(landscape: Landscape, runs: Sequence[Trajectory]) -> tuple[Direction, Direction]:
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


def view_of(landscape: Landscape, runs: Sequence[Trajectory]) -> dict[str, object]:
    """Where runs lie on this plane: the centre and the width in a that hold them, with some room about them."""
    points = np.concatenate([project(landscape, run).points for run in runs])
    low, high = points.min(axis=0), points.max(axis=0)
    # A frame is about as high as it is wide, or less high.
    span = _ROOM * max(float(high[0] - low[0]), 1.6 * float(high[1] - low[1])) or 1.0
    return {"center": ((low + high) / 2).tolist(), "span": span}
