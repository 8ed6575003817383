"""Turn: where the sliders stand that turn and move a plane, and between which directions."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: What u, v and the origin of a plane turn towards and move along unless others are chosen.
TURNS = ("random 3", "random 4", "random 5")

#: The choices of a mixing: the name of a direction each, "" for the usual one.
CHOICES = ("u_from", "u_to", "v_from", "v_to", "offset_along")


@dataclass(frozen=True)
class Turn:
    """Where the sliders stand: u and v turned by whole degrees, the plane moved by `offset` of a third direction.

    u turns from the direction named u_from towards the one named u_to, v likewise, and the plane moves along
    offset_along; "" is the plane's own u and v, and random directions beyond them.

    Raises ValueError when the angles are no whole degrees in [−180, 180] or the offset is no multiple of 1/128 in
    [−1, 1]: only such positions recur exactly. Raises TypeError for a name that is no text.
    """

    turn_u: int = 0
    turn_v: int = 0
    offset: float = 0.0
    u_from: str = ""
    u_to: str = ""
    v_from: str = ""
    v_to: str = ""
    offset_along: str = ""

    def __post_init__(self) -> None:
        for name in ("turn_u", "turn_v"):
            angle = getattr(self, name)
            if isinstance(angle, bool) or not isinstance(angle, int) or abs(angle) > 180:
                raise ValueError(f"{name} is {angle!r}. Pass whole degrees from −180 to 180.")
        if not isinstance(self.offset, int | float) or not abs(self.offset) <= 1 or self.offset * 128 % 1:
            raise ValueError(f"offset is {self.offset!r}. Pass a multiple of 1/128 from −1 to 1.")
        for name in CHOICES:
            if not isinstance(getattr(self, name), str):
                raise TypeError(
                    f"{name} is {getattr(self, name)!r}. Pass the name of a direction, '' for the usual."
                )

    @property
    def settled(self) -> Turn:
        """The same plane without the choices that do nothing: what an angle of 0 turns towards, an offset of 0 moves along."""
        return replace(
            self,
            u_to=self.u_to if self.turn_u else "",
            v_to=self.v_to if self.turn_v else "",
            offset_along=self.offset_along if self.offset else "",
        )

    @property
    def moves(self) -> bool:
        """Whether the plane is another than the one that is turned."""
        return bool(self.turn_u or self.turn_v or self.offset or self.u_from or self.v_from)

    @property
    def towards(self) -> tuple[str, str, str]:
        """The names of what u and v turn towards and the plane moves along."""
        return (self.u_to or TURNS[0], self.v_to or TURNS[1], self.offset_along or TURNS[2])
