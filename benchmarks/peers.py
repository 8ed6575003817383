"""What the benchmarks compare with: loss-landscapes, and the loop of Li et al. written anew from their paper."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from typing import Protocol

import torch
from models import Problem
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


class Peer(Protocol):
    """Another way to evaluate nodes: along columns of a grid, as both of them go."""

    name: str

    def column(self, a: float, b: Sequence[float]) -> tuple[list[float], list[float]]:
        """The loss at (a, b) for evenly spaced b, and the seconds that each node took."""
        ...


class LossLandscapes:
    """A node of `loss_landscapes.random_plane`: one step added to all parameters in place, then its own metric."""

    name = "loss-landscapes"

    def __init__(self, problem: Problem, u: Tensor, v: Tensor) -> None:
        from loss_landscapes.metrics import Loss
        from loss_landscapes.model_interface.model_parameters import ModelParameters
        from loss_landscapes.model_interface.model_wrapper import wrap_model

        self._wrapper = wrap_model(copy.deepcopy(problem.model))
        self._metric = Loss(problem.loss, *problem.data)
        self._point = self._wrapper.get_module_parameters()
        shapes = [parameter.shape for parameter in self._point.parameters]
        self._origin = [parameter.detach().clone() for parameter in self._point.parameters]
        self._u, self._v = _cut(u, shapes), _cut(v, shapes)
        self._made = ModelParameters

    def column(self, a: float, b: Sequence[float]) -> tuple[list[float], list[float]]:
        """The loss at (a, b) for evenly spaced b, and the seconds that each node took."""
        step = b[1] - b[0]
        start = zip(self._point.parameters, self._origin, self._u, self._v, strict=True)
        for parameter, origin, along_u, along_v in start:
            parameter.data.copy_(origin + a * along_u + (b[0] - step) * along_v)
        direction = self._made([step * along for along in self._v])
        values, seconds = [], []
        for _ in b:
            begun = time.perf_counter()
            self._point.add_(direction)
            values.append(float(self._metric(self._wrapper)))
            seconds.append(time.perf_counter() - begun)
        return values, seconds


class LiEtAl:
    """The loop of Li et al. (2018): weights set one by one, then all batches of 128 from a loader."""

    name = "the loop of Li et al."

    def __init__(self, problem: Problem, u: Tensor, v: Tensor) -> None:
        self._model, self._loss = copy.deepcopy(problem.model), problem.loss
        self._parameters = list(self._model.parameters())
        shapes = [parameter.shape for parameter in self._parameters]
        self._origin = [parameter.detach().clone() for parameter in self._parameters]
        self._u, self._v = _cut(u, shapes), _cut(v, shapes)
        self._loader = DataLoader(TensorDataset(*problem.data), batch_size=128)

    def column(self, a: float, b: Sequence[float]) -> tuple[list[float], list[float]]:
        """The loss at (a, b) for evenly spaced b, and the seconds that each node took."""
        values, seconds = [], []
        for across in b:
            begun = time.perf_counter()
            start = zip(self._parameters, self._origin, self._u, self._v, strict=True)
            for parameter, origin, along_u, along_v in start:
                parameter.data = origin + a * along_u + across * along_v
            total = 0.0
            with torch.no_grad():
                for x, y in self._loader:
                    total += self._loss(self._model(x), y).item() * len(x)
            values.append(total / len(self._loader.dataset))
            seconds.append(time.perf_counter() - begun)
        return values, seconds


def _cut(vector: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    parts = vector.split([shape.numel() for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
