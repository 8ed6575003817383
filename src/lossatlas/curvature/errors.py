"""NotFinite: there is no Hessian at a point, since the loss or its derivatives are not finite there."""

from __future__ import annotations


class NotFinite(ValueError):
    """A fact about the landscape, not about the call."""

    def __init__(self, what: str = "The Hessian is not finite") -> None:
        super().__init__(f"{what} at this point. Look at a point where the loss is smooth and finite.")
