"""Told: what is told of steps, by name, as it comes: a number here and there, some of them on an accelerator still."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lossatlas.geometry.trajectory import Curves

# Numbers on an accelerator are fetched together, so that a step does not wait for each.
_PENDING = 256


class Told:
    """Numbers by name and step, NaN where nothing was told; "loss" and "lr" are always among the names."""

    def __init__(self) -> None:
        self._values: dict[str, array[float]] = {"loss": array("d"), "lr": array("d")}
        self._pending: list[tuple[int, str, Tensor]] = []

    def put(self, step: int, numbers: Mapping[str, float | Tensor]) -> None:
        """Tell of a step, the last one or one before it, in place of what was told of it under these names."""
        for name, value in numbers.items():
            values = self._values.get(name)
            if values is None:
                values = self._values[name] = array("d")
            if len(values) > step:
                self._fetch()  # what is on its way for this step was told before
            elif len(values) < step:
                values.extend([math.nan] * (step - len(values)))
            if len(values) == step:
                values.append(math.nan)
            if isinstance(value, float):
                values[step] = value
            else:
                self._pending.append((step, name, value))
        if len(self._pending) >= _PENDING:
            self._fetch()

    def of(self, step: int, names: Sequence[str]) -> dict[str, float]:
        """What was told of one step under these names."""
        self._fetch()
        return {name: self._values[name][step] for name in names}

    def at(self, steps: Sequence[int]) -> dict[str, np.ndarray]:
        """What was told of these steps, under every name."""
        self._fetch()
        return {
            name: np.array([values[step] if step < len(values) else math.nan for step in steps])
            for name, values in self._values.items()
        }

    def curves(self, count: int) -> Curves:
        """What was told of the first `count` steps."""
        self._fetch()
        found = {}
        for name, values in self._values.items():
            found[name] = np.full(count, np.nan)
            found[name][: len(values)] = values[:count]
        return Curves(np.arange(count), found.pop("loss"), found.pop("lr"), found)

    def _fetch(self) -> None:
        for step, name, value in self._pending:
            self._values[name][step] = float(value)
        self._pending.clear()


def checked_numbers(told: Mapping[str, Any]) -> dict[str, float | Tensor]:
    """What was told, without what is None: numbers, and copies of those that are on an accelerator still.

    Raises TypeError for what is no number.
    """
    found: dict[str, float | Tensor] = {}
    for name, value in told.items():
        if value is None:
            continue
        is_tensor = isinstance(value, Tensor)
        if is_tensor and value.numel() != 1:
            raise TypeError(
                f"{name} is a tensor of shape {tuple(value.shape)}. Pass a number or a tensor of one."
            )
        if is_tensor and not value.is_cpu:
            # A copy: a loop may add to its tensor before it is fetched.
            found[name] = value.detach().clone()
            continue
        try:
            found[name] = float(value.item() if is_tensor else value)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(
                f"{name} is a {type(value).__name__}, which is no number. Pass a number or a tensor of one."
            ) from None
    return found
