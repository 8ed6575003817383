"""Overlays: what an explorer shows beside its values, as traits: marks, paths, and the learning curves of runs."""

from __future__ import annotations

from typing import Any

import traitlets

from lossatlas.widget.curves import parse_runs
from lossatlas.widget.marks import parse_marks
from lossatlas.widget.paths import parse_paths


class Overlays(traitlets.HasTraits):
    """Marks and paths, each of the plane whose scene it names, those without one of what is shown; and curves, of no plane."""

    marks = traitlets.List(traitlets.Dict(), help="Notes and critical points on planes.").tag(sync=True)
    paths = traitlets.List(traitlets.Dict(), help="Curves in planes, such as training runs.").tag(sync=True)
    runs = traitlets.List(traitlets.Dict(), help="What was recorded of training runs.").tag(sync=True)
    curves = traitlets.Bool(False, help="Whether the learning curves stand beside the map.").tag(sync=True)

    @property
    def _shown(self) -> str:
        """The hash of what is shown."""
        raise NotImplementedError

    @traitlets.validate("marks")
    def _sound_marks(self, proposal: Any) -> list[dict[str, Any]]:
        try:
            return parse_marks(proposal["value"], self._shown)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None

    @traitlets.validate("paths")
    def _sound_paths(self, proposal: Any) -> list[dict[str, Any]]:
        try:
            return parse_paths(proposal["value"], self._shown)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None

    @traitlets.validate("runs")
    def _sound_runs(self, proposal: Any) -> list[dict[str, Any]]:
        try:
            return parse_runs(proposal["value"])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
