"""Gather: the parameters of a model as one vector, as they are now, again and again while it trains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_KNOWN = (torch.float16, torch.float32, torch.float64)  # to NumPy


class Gather:
    """Tensors that change in place, joined at each call.

    Those that lie on the CPU, each in one piece, are read where they lie until one of them has moved: a step of a small network
    takes no longer than a dozen calls of torch, and joining it by these would take a tenth of that.
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._parameters = list(parameters)
        self._places: list[int] = []
        self._memory: list[np.ndarray] | None = None

    def into(self, row: np.ndarray) -> None:
        """Copy them into row, (P,), of a dtype that holds all their numbers."""
        places = [parameter.data_ptr() for parameter in self._parameters]
        if places != self._places:
            self._places, self._memory = places, self._look()
        if self._memory is None:
            torch.from_numpy(row).copy_(self.vector())
        else:
            np.concatenate(self._memory, out=row)

    def vector(self) -> Tensor:
        """A copy of them on the CPU, (P,)."""
        flat = [parameter.data.reshape(-1) for parameter in self._parameters]
        if len({part.device for part in flat}) > 1:  # a model that lies on several
            flat = [part.cpu() for part in flat]
        return torch.cat(flat).cpu()

    def _look(self) -> list[np.ndarray] | None:
        """Their memory, which stays where it is for as long as this is held; None where it cannot be read as it lies."""
        if all(p.is_cpu and p.is_contiguous() and p.dtype in _KNOWN for p in self._parameters):
            return [parameter.detach().numpy().reshape(-1) for parameter in self._parameters]
        return None
