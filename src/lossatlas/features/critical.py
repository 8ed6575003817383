"""CriticalPoint: where a search for a point without slope has come to, with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from lossatlas.curvature import Spectrum
from lossatlas.features.kinds import Kind

#: Where the gradient is to vanish: in all parameters, or in the coordinates of the plane or line alone.
Within = Literal["space", "plane"]

#: Which critical points a search may end at: "any" kind, or a "minimum" downhill.
Towards = Literal["any", "minimum"]


@dataclass(frozen=True, eq=False)
class CriticalPoint:
    """A point where the gradient vanishes, or where the search for one ended: `converged` tells, `message` says why.

    theta: (P,); a, b: the nearest point of the plane, of a line with b = 0, at this distance; loss: all of it there.
    gradient_norm: ‖g‖ in the whole space; slice_gradient: ‖(∂L/∂a, ∂L/∂b)‖; outside: the length of what g has outside the
    plane, ‖g − Pg‖; gradient_rounding: what rounding makes of the one that was driven to 0, so that it cannot get below:
    gradient_norm within "space", slice_gradient within "plane". kind: "minimum", "maximum", "saddle", or "undecided" by second
    order or because the gradient does not vanish; within "plane" it is the kind of the slice, not of the loss.
    index: how many eigenvalues are negative, at least so many where not index_is_exact; flat: how many cannot be told
    from 0, None where that is not known; eigenvalues: (k,) descending, those that tell: all where P is small, else both
    ends; of the slice within "plane"; noise: within which an eigenvalue is none; spectrum: of the whole Hessian, None
    within "plane". flatness: ‖Hg‖ / (‖H‖ ‖g‖) where the search did not converge: when that is small and ‖g‖ is not, the
    gradient is flat there, and the point is not critical (Frye et al. 2021). steps: of the search; products: with the
    Hessian, all together.
    """

    theta: Tensor
    a: float
    b: float
    distance: float
    loss: float
    gradient_norm: float
    slice_gradient: float
    outside: float
    gradient_rounding: float
    kind: Kind
    index: int
    index_is_exact: bool
    flat: int | None
    eigenvalues: np.ndarray
    noise: float
    spectrum: Spectrum | None
    flatness: float | None
    converged: bool
    steps: int
    products: int
    message: str
    within: Within

    @property
    def label(self) -> str:
        """What it is, in a few words, such as "saddle of index 2" or "minimum of the slice"."""
        where = " of the slice" if self.within == "plane" else ""
        if not self.converged:
            return "no critical point" + where
        if self.kind != "saddle":
            return self.kind + where
        return f"saddle{where} of index {'' if self.index_is_exact else 'at least '}{self.index}"

    def __repr__(self) -> str:
        driven = self.gradient_norm if self.within == "space" else self.slice_gradient
        name = "‖g‖" if self.within == "space" else f"‖g‖ {self.gradient_norm:.2g}, of the slice"
        parts = [
            f"{self.label} at ({self.a:.4g}, {self.b:.4g})",
            f"{self.distance:.3g} from the plane",
            f"loss {self.loss:.6g}",
            f"{name} {driven:.2g} (rounding {self.gradient_rounding:.2g})",
        ]
        if len(self.eigenvalues):
            parts.append(f"eigenvalues {self.eigenvalues[-1]:.4g} to {self.eigenvalues[0]:.4g}")
        return f"CriticalPoint({'; '.join(parts)}; {self.message})"
