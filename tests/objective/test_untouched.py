"""Law 1: the user's model, and the settings of the user's threads, are never touched."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la
from lossatlas import jobs
from lossatlas.objective.untouched import DrewRandomNumbers, no_draws, random_streams_untouched
from tests.zoo import F, classification, cnn, flat, mlp, normal, whole


def states(model: nn.Module) -> dict[str, Any]:
    """All that must stay as it is, bit for bit, in a form that == compares."""

    def bits(tensor: Tensor | None) -> Any:
        return (
            None
            if tensor is None
            else (tensor.data_ptr(), tensor._version, tensor.detach().numpy().tobytes())
        )

    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    return {
        "parameters": {name: bits(p) for name, p in model.named_parameters()},
        "gradients": {name: bits(p.grad) for name, p in model.named_parameters()},
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "buffers": {name: bits(b) for name, b in model.named_buffers()},
        "modes": {name: m.training for name, m in model.named_modules()},
        "hooks": {
            name: (*m._forward_hooks.values(), *m._forward_pre_hooks.values()) for name, m in model.named_modules()
        },
        "attributes": {name: sorted(vars(m)) for name, m in model.named_modules()},
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": numpy_state[1].tobytes() + bytes(str(numpy_state[2:]), "ascii"),
        "python": random.getstate(),
        "threads": torch.get_num_threads(),
        "default dtype": torch.get_default_dtype(),
        "matmul": torch.get_float32_matmul_precision(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
    }  # fmt: skip


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    before = states(model)
    try:
        yield
    finally:
        after = states(model)
        assert {key for key in before if before[key] != after[key]} == set()


def trained() -> tuple[nn.Module, Any]:
    """A model as it is in the middle of a training cell: mode, gradients, statistics, hooks, one frozen tensor."""
    model = nn.Sequential(cnn(), nn.Dropout(0.3), nn.Linear(3, 3))
    x, y = normal(40, 1, 8, 8), whole(3, 40)
    model[2].bias.requires_grad_(False)
    model[2].register_forward_hook(lambda module, args, output: 1.5 * output)
    state = torch.get_rng_state()
    F.cross_entropy(model.train()(x), y).backward()
    torch.set_rng_state(state)
    model[0][1].eval()
    return model, (x, y)


USES: dict[str, Callable[[la.Objective, la.Landscape], object]] = {
    "value": lambda objective, landscape: objective.value(objective.theta + 0.1),
    "values": lambda objective, landscape: objective.values(objective.theta.repeat(2, 1)),
    "gradient": lambda objective, landscape: objective.gradient(objective.theta),
    "evaluate": lambda objective, landscape: landscape.evaluate([0.1, 0.2], 0.3),
    "grid": lambda objective, landscape: landscape.grid(shape=(3, 4)),
    "tile": lambda objective, landscape: landscape.tile(la.TileAddress(1, 0, 0)),
    "scene": lambda objective, landscape: landscape.scene,
    "renewed": lambda objective, landscape: landscape.renewed(),
}


@pytest.mark.parametrize("use", USES)
def test_nothing_of_the_users_changes(use: str) -> None:
    model, data = trained()
    with untouched(model):
        objective = la.Objective(model, F.cross_entropy, data, fields=("accuracy",))
        landscape = la.Landscape(objective, la.Plane.random(objective))
        USES[use](objective, landscape)


@pytest.mark.parametrize("shuffle", [True, False])
def test_reading_a_data_loader_draws_nothing_from_the_users_streams(shuffle: bool) -> None:
    model, (x, y) = trained()
    loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=shuffle)
    with untouched(model):
        la.Objective(model, F.cross_entropy, loader)


def test_an_augmented_data_set_is_frozen_and_the_users_streams_stay() -> None:
    class Augmented(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 12

        def __getitem__(self, index: int) -> Any:
            noise = np.random.normal(size=6) + torch.randn(6).numpy() + random.random()  # noqa: NPY002
            return noise.astype(np.float32), index % 3

    model = mlp(6, 3)
    with untouched(model):
        values = [
            la.Objective(model, F.cross_entropy, DataLoader(Augmented(), 4)).value(flat(model)) for _ in "ab"
        ]
    assert values[0] == values[1]


def test_nothing_changes_when_the_model_is_refused() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            scale = np.random.normal() + random.random()  # noqa: NPY002
            return F.dropout(scale * self.layer(x))

    model = Noisy()
    with untouched(model), pytest.raises(ValueError, match="not a function of the parameters alone"):
        la.Objective(model, F.cross_entropy, classification(8))
    with untouched(model), pytest.raises(ValueError, match="not a function of the parameters alone"):
        la.Objective.from_function(lambda t: t.sum() * torch.rand(()) * random.random(), torch.ones(2))


def test_nothing_changes_when_the_model_raises() -> None:
    model, (x, y) = trained()
    with untouched(model), pytest.raises(la.EvaluationError):
        la.Objective(model, F.cross_entropy, (x[:, :, :3], y))

    def loss(output: Tensor, y: Tensor) -> Tensor:
        if output.abs().max() > 1e3:
            raise OverflowError("too far out")
        return F.cross_entropy(output, y)

    objective = la.Objective(model, loss, (x, y))
    with untouched(model), pytest.raises(la.EvaluationError, match="OverflowError"):
        objective.value(1e4 * objective.theta)


def test_nothing_changes_when_a_cell_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = trained()
    objective = la.Objective(model, F.cross_entropy, data)
    landscape = la.Landscape(objective, la.Plane.random(objective))

    def interrupted(self: jobs.Job[Any], timeout: float | None = None) -> None:
        self.cancel()
        raise KeyboardInterrupt

    with untouched(model):
        with monkeypatch.context() as patch:
            patch.setattr(jobs.Job, "wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                landscape.grid(shape=(20, 20))
        assert landscape.evaluate(0, 0) == pytest.approx(objective.value(objective.theta), rel=1e-6)


@pytest.mark.parametrize("setting", ["float64", "no_grad", "inference", "eval", "autocast"])
def test_the_settings_of_a_users_thread_neither_change_nor_matter(setting: str) -> None:
    model, data = trained()
    expected = la.Objective(model, F.cross_entropy, data).value(flat(model))
    contexts = {
        "no_grad": torch.no_grad, "inference": torch.inference_mode,
        "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    }  # fmt: skip
    try:
        if setting == "float64":
            torch.set_default_dtype(torch.float64)
        if setting == "eval":
            model.eval()
        with contexts.get(setting, contextlib.nullcontext)(), untouched(model):
            objective = la.Objective(model, F.cross_entropy, data)
            landscape = la.Landscape(objective, la.Plane.random(objective))
            assert objective.value(objective.theta) == expected
            assert landscape.evaluate(0, 0) == pytest.approx(expected, rel=1e-6)  # in the quickest way
            objective.gradient(objective.theta)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_loss_module_with_a_state_of_its_own_is_copied_too() -> None:
    class Running(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, output: Tensor, y: Tensor) -> Tensor:
            self.seen += 1
            return F.cross_entropy(output, y)

    loss = Running()
    with untouched(loss):
        objective = la.Objective(mlp(6, 3), loss, classification(8))
        objective.value(objective.theta)


def train(model: nn.Module, steps: int, each: Callable[[], object] = lambda: None) -> Tensor:
    """Some steps of a training cell, dropout and shuffling from the global streams included."""
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    x, y = classification(64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        rows = torch.from_numpy(np.random.permutation(64)[:32])  # noqa: NPY002
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), y[rows]).backward()
        optimizer.step()
        each()
    return flat(model)


def dropped() -> nn.Module:
    return mlp(6, 16, 3, act=lambda: nn.Sequential(nn.Tanh(), nn.Dropout(0.2))).train()


def test_training_runs_as_if_nobody_looked_while_another_thread_maps_the_same_model() -> None:
    alone = train(dropped(), 150)
    model, stop, failures = dropped(), threading.Event(), []
    looked, made = threading.Event(), []

    def look() -> None:
        try:
            while not stop.is_set():
                objective = la.Objective(model, F.cross_entropy, classification(64))
                landscape = la.Landscape(objective, la.Plane.random(objective))
                landscape.grid(shape=(3, 3))
                made.append(landscape.renewed().grid(shape=(2, 2)))
                looked.set()
        except Exception as error:  # told to the test, not to the thread
            failures.append(error)
            looked.set()

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        # Training waits now and then for a look, so that the two do overlap.
        def overlap() -> None:
            if len(made) < 3:
                looked.clear()
                looked.wait(0.2)

        watched = train(model, 150, overlap)
    finally:
        stop.set()
        watcher.join()
    assert failures == []
    assert len(made) >= 3
    assert torch.equal(watched, alone)


def test_the_worker_has_one_thread_and_every_other_thread_what_the_user_set() -> None:
    jobs.worker.stop()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        seen: list[int] = []

        def work() -> Iterator[None]:
            seen.append(torch.get_num_threads())
            yield

        jobs.call(work())  # type: ignore[arg-type]
        other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        other.start()
        other.join()
        assert seen == [1, 3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_no_draws_notices_a_draw_and_takes_it_back() -> None:
    before = torch.get_rng_state()
    with pytest.raises(DrewRandomNumbers, match="randn"), no_draws():
        torch.randn(3)
    assert torch.equal(torch.get_rng_state(), before)
    with no_draws():
        torch.randn(3, generator=torch.Generator())
        F.scaled_dot_product_attention(*[torch.ones(1, 2, 3, 4)] * 3)


def test_streams_are_put_back_after_an_error() -> None:
    before = states(nn.Identity())
    with contextlib.suppress(ZeroDivisionError), random_streams_untouched():
        torch.rand(1), np.random.rand(), random.random()  # noqa: NPY002
        raise ZeroDivisionError
    assert states(nn.Identity()) == before


def test_the_users_own_module_is_never_called() -> None:
    model, data = mlp(6, 3), classification(8)
    objective = la.Objective(model, F.cross_entropy, data)

    def called(*_: object) -> None:
        raise AssertionError("the user's module was called")

    model.register_forward_pre_hook(called)
    landscape = la.Landscape(objective, la.Plane.random(objective))
    assert landscape.evaluate(0.0, 0.0) == pytest.approx(objective.value(flat(model)), rel=1e-6)
    objective.gradient(objective.theta)
