"""Turn: where the sliders stand that turn and move a plane."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """Where the sliders stand: u and v turned by whole degrees, the plane moved by `offset` of a third direction.

    Raises ValueError when the angles are no whole degrees in [−180, 180] or the offset is no multiple of 1/128 in
    [−1, 1]: only such positions recur exactly.
    """

    turn_u: int = 0
    turn_v: int = 0
    offset: float = 0.0

    def __post_init__(self) -> None:
        for name in ("turn_u", "turn_v"):
            angle = getattr(self, name)
            if isinstance(angle, bool) or not isinstance(angle, int) or abs(angle) > 180:
                raise ValueError(f"{name} is {angle!r}. Pass whole degrees from −180 to 180.")
        if not isinstance(self.offset, int | float) or not abs(self.offset) <= 1 or self.offset * 128 % 1:
            raise ValueError(f"offset is {self.offset!r}. Pass a multiple of 1/128 from −1 to 1.")


#: What u, v and the origin of a plane turn towards and move along.
TURNS = ("random 3", "random 4", "random 5")
