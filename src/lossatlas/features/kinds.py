"""What kind of critical point it is, by the signs of the eigenvalues of its Hessian, as far as they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

#: By second order alone; "undecided" where that does not tell, or the point is none.
Kind = Literal["minimum", "maximum", "saddle", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """The kind; how many eigenvalues are negative, and whether that is all of them; how many are flat, None unknown; why."""

    kind: Kind
    index: int
    index_is_exact: bool
    flat: int | None
    words: str


def verdict_of(values: np.ndarray, noise: float) -> Verdict:
    """The verdict on a Hessian all of whose eigenvalues are known, each to within `noise`, beyond which it has a sign."""
    below, above = int((values < -noise).sum()), int((values > noise).sum())
    flat = len(values) - below - above
    count = f"{flat} of {len(values)} eigenvalues" if len(values) > 1 else "the eigenvalue"
    undecided = f"{count} cannot be told from 0 (within {noise:.2g}), so second order does not tell"
    if below and above:
        return Verdict("saddle", below, True, flat, "it curves up and down")
    if flat:
        signs = {(0, 0): "", (1, 0): ", though it is no minimum", (0, 1): ", though no direction curves down"}
        return Verdict("undecided", below, True, flat, undecided + signs[bool(below), bool(above)])
    if below:
        return Verdict("maximum", below, True, 0, "every direction curves down")
    return Verdict("minimum", 0, True, 0, "every direction curves up")


def verdict_of_ends(
    values: np.ndarray, residuals: np.ndarray, converged: Sequence[bool] | np.ndarray, noise: float,
    bottom: int, size: int,
) -> Verdict:  # fmt: skip
    """The verdict on what a Krylov process knows: eigenvalues descending, the last `bottom` of them the smallest of all.

    An eigenvalue lies within its residual of each; where one has not converged, there is still an eigenvalue at least as
    far out (Ritz values lie inside the spectrum), so that one negative and one positive value make a saddle.
    """
    sure = np.asarray(converged, dtype=bool)
    reach = residuals + noise
    below, above = sure & (values < -reach), sure & (values > reach)
    least = max(int(below.sum()), int(bool((values < -noise).any())))
    most = max(int(above.sum()), int(bool((values > noise).any())))
    ends = slice(len(values) - min(bottom, len(values)), None)
    # All that were asked for are known to be negative or not, and the last negative one is among them.
    not_below = sure & (values >= residuals - noise)
    exact = bool((below | not_below)[ends].all() and not_below[ends].any())
    if least and most:
        return Verdict("saddle", least, exact, None, "it curves up and down")
    if exact and above[ends].all():
        return Verdict("minimum", 0, True, 0, "the smallest eigenvalue is positive")
    if len(values) and sure[0] and values[0] < -reach[0]:
        return Verdict("maximum", size, True, 0, "the largest eigenvalue is negative")
    words = (
        f"the smallest eigenvalues are not known to be other than 0 (within {noise:.2g} and their residuals)"
    )
    return Verdict("undecided", least, exact, None, words)
