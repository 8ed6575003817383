from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from tests.zoo import F, cnn, flat, mlp, normal, whole


def states(count: int = 4) -> list[dict[str, torch.Tensor]]:
    return [mlp(6, 5, 3, seed=seed).state_dict() for seed in range(count)]


def test_a_trajectory_of_states_holds_their_parameters_in_order() -> None:
    trajectory = la.Trajectory.from_states(states(), losses=[3.0, 2.0, 1.0, 0.5])
    assert trajectory.thetas.shape == (4, 53)
    for seed, row in enumerate(trajectory.thetas):
        assert torch.equal(row, flat(mlp(6, 5, 3, seed=seed)))
    assert trajectory.steps.tolist() == [0, 1, 2, 3]
    assert trajectory.loss.tolist() == [3.0, 2.0, 1.0, 0.5]
    assert np.isnan(trajectory.lr).all()
    assert trajectory.metrics == {}
    assert len(trajectory) == 4


def test_it_keeps_values_and_not_the_tensors() -> None:
    model = mlp(6, 5, 3)
    trajectory = la.Trajectory.from_states([model.state_dict(), model])
    with torch.no_grad():
        model[0].weight.zero_()
    assert torch.equal(trajectory.thetas[0], flat(mlp(6, 5, 3)))
    assert torch.equal(trajectory.thetas[0], trajectory.thetas[1])
    assert not trajectory.thetas.requires_grad


def test_running_statistics_and_counters_are_left_out() -> None:
    trajectory = la.Trajectory.from_states([cnn(seed).state_dict() for seed in range(3)])
    assert torch.equal(trajectory.thetas[1], flat(cnn(1)))


class Tied(nn.Module):
    """Its output layer is its embedding; a frozen layer and a mask lie between, which a state dict holds too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.middle = nn.Linear(4, 4)
        self.middle.weight.requires_grad_(False)
        self.register_buffer("mask", torch.ones(4))
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.middle(self.embedding(x)) * self.mask)


def test_what_an_objective_does_not_hold_is_left_out_of_its_plane() -> None:
    model = Tied()
    o = la.Objective(model, F.cross_entropy, (whole(7, 20), whole(7, 20, seed=1)))
    path = []
    for step in range(5):
        with torch.no_grad():
            model.embedding.weight += normal(7, 4, seed=step)
            model.middle.bias += normal(4, seed=step)
        path.append(({k: v.clone() for k, v in model.state_dict().items()}, flat(model)))
    found = la.Trajectory.from_states([state for state, _ in path]).along(o.parameters)
    assert torch.equal(found, torch.stack([theta for _, theta in path]))
    plane = la.Plane.pca(o, la.Trajectory.from_states([state for state, _ in path]))
    assert plane.size == o.size == 28 + 4


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, "states is empty. Pass at least one"),
        (mlp(6, 5, 3).state_dict(), TypeError, "states is a OrderedDict. Pass a list of state dicts"),
        ([*states(1), mlp(6, 4, 3).state_dict()], ValueError, r"differ in the tensor '0.weight': states\[0\] has \(5, 6\), states\[1\] has \(4, 6\)"),
        ([*states(1), mlp(6, 5).state_dict()], ValueError, r"differ in the tensor '2.weight': states\[0\] has \(3, 5\), states\[1\] lacks it"),
        ([*states(1), {**states(1)[0], "2.bias": torch.full((3,), math.nan)}], ValueError,
         r"states\[1\]: the tensor '2.bias' holds 3 non-finite values"),
        ([{"model": states(1)[0]}], ValueError, r"states\[0\] holds mappings of its own.*states\[0\]\['model'\]"),
        ([{"step": 3}], ValueError, r"states\[0\] holds no floating tensor"),
        ([3], TypeError, r"states\[0\] is a int. Pass a state dict, a module"),
        ([torch.zeros(3), torch.zeros(4)], ValueError, r"states\[1\] has length 4, but states\[0\] has 3"),
        ([torch.zeros(3, 3)], ValueError, r"states\[0\] has shape \(3, 3\)"),
        ([torch.zeros(3).long()], TypeError, r"states\[0\] has dtype torch.int64"),
    ],
)  # fmt: skip
def test_checkpoints_that_make_no_trajectory_are_named(
    given: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        la.Trajectory.from_states(given)


def test_one_loss_for_every_checkpoint() -> None:
    with pytest.raises(
        ValueError, match=r"loss has shape \(2,\), but there are 4 steps. Pass one value per step"
    ):
        la.Trajectory.from_states(states(), losses=[1.0, 2.0])


def test_a_trajectory_of_another_model_is_named() -> None:
    o = la.Objective(mlp(6, 5, 3), F.cross_entropy, (normal(8, 6), whole(3, 8)))
    with pytest.raises(
        ValueError, match=r"trajectory's tensor '0.weight' has shape \(4, 6\), but the model's has \(5, 6\)"
    ):
        la.Plane.pca(o, la.Trajectory.from_states([mlp(6, 4, 3, seed=s).state_dict() for s in range(3)]))
    with pytest.raises(ValueError, match="The trajectory lacks the tensor '2.weight'"):
        la.Plane.pca(o, la.Trajectory.from_states([mlp(6, 5, seed=s).state_dict() for s in range(3)]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_checkpoints_that_are_too_much_for_memory_are_read_in_every_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    models = [mlp(6, 5, 3, seed=seed).to(dtype) for seed in range(3)]
    for step, model in enumerate(models):
        torch.save(model.state_dict(), tmp_path / f"step-{step}.pt")
    monkeypatch.setattr("lossatlas.geometry.checkpoints.MEMORY", 1)
    found = la.Trajectory.from_folder(tmp_path)
    assert found.file is not None
    assert torch.equal(found.thetas.double(), torch.stack([flat(model).double() for model in models]))


def test_a_part_of_the_recorded_model_is_found_by_its_names_where_there_is_one() -> None:
    class Two(nn.Module):
        def __init__(self, second: bool) -> None:
            super().__init__()
            self.head, self.net = nn.Linear(2, 2), mlp(6, 5, 3, seed=1)
            self.twin = mlp(6, 5, 3, seed=2) if second else None

    part = la.ParameterSpace.of_module(mlp(6, 5, 3))
    model = Two(second=False)
    assert torch.equal(la.Trajectory.from_states([model]).along(part)[0], flat(model.net))
    with pytest.raises(ValueError, match="The trajectory lacks the tensor '0.weight'"):
        la.Trajectory.from_states([Two(second=True)]).along(part)
