"""Passes made by hand, with checks that know of nothing that the nodes do not."""

from __future__ import annotations

import dataclasses

import numpy as np

from lossatlas.sampling import Pass, checks_of
from lossatlas.sampling.spline import fill_centres, sample_at


def agreeing(found: Pass) -> Pass:
    """The same pass with checks at which what is drawn is what is evaluated."""
    grid = found.values if found.centres is None else fill_centres(found.values, found.centres)
    a0, a1, b0, b1 = found.address.extent
    a, b = np.array(checks_of(found.address, line=len(found.values) == 1)).T
    cells = grid.shape[1] - 1
    drawn = sample_at(grid, (b - b0) / (b1 - b0) * cells, (a - a0) / (a1 - a0) * cells)
    return dataclasses.replace(found, checks=drawn)
