"""The tour: twelve views, drawn one after the other on one landscape."""

from __future__ import annotations

#: Pixels per side of each view.
PIXELS = 512

#: Middle (a, b) and half the width r. Home; three depths, each moved by r/2 along a and then along b; deeper; home again.
VIEWS: tuple[tuple[float, float, float], ...] = (
    (0.0, 0.0, 1.0),
    *(
        view
        for r in (1 / 4, 1 / 16, 1 / 64)
        for view in ((0.3, 0.2, r), (0.3 + r / 2, 0.2, r), (0.3 + r / 2, 0.2 + r / 2, r))
    ),
    (0.3, 0.2, 1 / 256),
    (0.0, 0.0, 1.0),
)


def extent(view: tuple[float, float, float]) -> tuple[float, float, float, float]:
    """A view as (a0, a1, b0, b1)."""
    a, b, r = view
    return a - r, a + r, b - r, b + r
