"""Checks: a few points of a tile or view that are no nodes, at which what is drawn is held against what is evaluated.

Every node is a dyadic fraction of the plane. A wave that comes again from one to the next is the same at all of them, and
nothing that is held out among them would show it. Checks lie at irregular places, in every tile and view at others.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

from lossatlas.geometry import Extent
from lossatlas.sampling.store import Point

#: Checks of a tile, which has neighbours with theirs, and of a view.
OF_TILE, OF_VIEW = 4, 6

# 1/ρ and 1/ρ² of the plastic number ρ, ρ³ = ρ + 1: multiples of them are spread evenly over the unit square, however many
# there are (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences").
_PLASTIC = 1.324717957244746
_STRIDE = np.array([1 / _PLASTIC, 1 / _PLASTIC**2])


def check_points(extent: Extent, count: int) -> list[Point]:
    """So many points inside an extent, the same whenever it comes again; on one of no height they lie on a line.

    The sequence starts where the extent's hash says (a random shift: Cranley and Patterson 1976).
    """
    edges = [float(edge) + 0.0 for edge in extent]  # −0 is 0
    start = np.frombuffer(hashlib.blake2b(struct.pack("<4d", *edges), digest_size=16).digest(), "<u8")
    shares = (start / 2.0**64 + np.arange(count)[:, None] * _STRIDE) % 1.0
    a0, a1, b0, b1 = edges
    return [(a0 + share_a * (a1 - a0), b0 + share_b * (b1 - b0)) for share_a, share_b in shares.tolist()]
