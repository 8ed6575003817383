"""Several threads evaluate one list of nodes: the numbers must not know it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from tests.zoo import F, classification, cnn, counting, load, mlp, normal, whole


@pytest.fixture(params=[1, 4], ids=["one thread", "four threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """The process's worker with so many threads, whatever the machine has."""
    before = jobs.worker.threads
    jobs.worker.stop()
    jobs.worker.threads = request.param
    yield request.param
    jobs.worker.stop()
    jobs.worker.threads = before


class Counting(nn.Module):
    """Writes to a buffer, and replaces another, between the layers of every forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = mlp(6, 8, dtype=torch.float64), mlp(8, 3, dtype=torch.float64)
        self.register_buffer("written", torch.zeros((), dtype=torch.float64))
        self.register_buffer("replaced", torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        self.written.add_(1)
        self.replaced = self.replaced + 1
        hidden = torch.tanh(self.first(x))
        time.sleep(0)  # lets another thread come in between
        return self.second(hidden) * (self.written + self.replaced)


@pytest.mark.parametrize(
    ("build", "x"),
    [
        (lambda: mlp(6, 8, 3, dtype=torch.float64), normal(80, 6, dtype=torch.float64)),
        (lambda: cnn().double(), normal(80, 1, 8, 8, dtype=torch.float64)),
        (Counting, normal(80, 6, dtype=torch.float64)),
    ],
    ids=["mlp", "cnn with batch norm", "a model with a state"],
)
def test_every_node_is_the_models_own_value_there(
    threads: int, build: Callable[[], nn.Module], x: Tensor
) -> None:
    y = whole(3, 80)
    objective = la.Objective(build(), F.cross_entropy, (x, y))
    plane = la.Plane.random(objective)
    grid = la.Landscape(objective, plane).grid(shape=(9, 11))
    for row, b in enumerate(np.linspace(-1, 1, 9)):
        for column, a in enumerate(np.linspace(-1, 1, 11)):
            model = load(build().eval(), plane.at(float(a), float(b)))
            expected = F.cross_entropy(model(x), y).item()
            assert grid[row, column] == pytest.approx(expected, rel=1e-12)


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    def grid(count: int) -> list[list[float]]:
        jobs.worker.stop()
        jobs.worker.threads = count
        objective = la.Objective(mlp(6, 32, 3), F.cross_entropy, classification(500))
        return la.Landscape(objective, la.Plane.random(objective)).grid(shape=(8, 8)).tolist()

    before = jobs.worker.threads
    try:
        assert grid(1) == grid(2) == grid(5)
    finally:
        jobs.worker.stop()
        jobs.worker.threads = before


def test_a_function_that_loads_the_point_into_a_module_is_called_one_at_a_time(threads: int) -> None:
    model, (x, y) = mlp(6, 8, 3, dtype=torch.float64), classification(30, dtype=torch.float64)

    def f(theta: Tensor) -> Tensor:
        load(model, theta.detach())
        time.sleep(0)  # lets another thread come in between
        return F.cross_entropy(model(x), y)

    objective = la.Objective.from_function(
        f, torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    )
    plane = la.Plane(objective.theta, *(normal(objective.size, seed=i, dtype=torch.float64) for i in (1, 2)))
    grid = la.Landscape(objective, plane).grid(shape=(7, 7))
    for row, b in enumerate(np.linspace(-1, 1, 7)):
        for column, a in enumerate(np.linspace(-1, 1, 7)):
            assert grid[row, column] == pytest.approx(f(plane.at(float(a), float(b))).item(), rel=1e-12)


def test_a_replica_made_in_the_middle_of_a_forward_pass_is_like_the_others() -> None:
    others: list[Any] = []

    def loss(output: Tensor, y: Tensor) -> Tensor:
        if others == ["now"]:
            with objective.replica() as other:
                others[:] = [other]
        return F.cross_entropy(output, y)

    objective = la.Objective(Counting(), loss, (normal(20, 6, dtype=torch.float64), whole(3, 20)))
    others.append("now")
    value = objective.value(objective.theta)
    others[0].buffer.copy_(objective.theta)
    assert jobs.call(objective.evaluate_in(others[0], "there"))[0] == value


def test_each_node_is_evaluated_once_although_all_take_part(threads: int) -> None:
    loss, calls = counting(F.cross_entropy)
    objective = la.Objective(mlp(6, 3), loss, classification(20))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    calls.clear()
    landscape.grid(shape=(20, 20))
    assert len(calls) == 400
    landscape.grid(shape=(20, 20))
    assert len(calls) == 400


def test_an_error_of_any_thread_reaches_the_caller_and_nothing_stays_in_hand(threads: int) -> None:
    class Fragile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = mlp(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            if self.layer[0].weight.abs().max() > 3:
                raise IndexError("too far")
            return self.layer(x)

    objective = la.Objective(Fragile(), F.cross_entropy, classification(20))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    far = np.linspace(0, 100, 50)
    for _ in range(3):
        with pytest.raises(la.EvaluationError, match=r"IndexError at a = [\d.]+, b = 0"):
            landscape.evaluate(far, 0.0)
    assert np.isfinite(landscape.evaluate(np.linspace(0, 0.1, 50), 0.0)).all()


def test_a_cancelled_evaluation_leaves_every_node_to_the_next(threads: int) -> None:
    objective = la.Objective(mlp(6, 3), F.cross_entropy, classification(20))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    a = np.linspace(-1, 1, 500)
    for _ in range(10):
        job = jobs.worker.submit(landscape.work([(float(x), 0.0) for x in a]), jobs.TILES)
        landscape.evaluate(0.0, 5.0)
        job.cancel()
    values = landscape.evaluate(a, 0.0)
    fresh = la.Landscape(objective, landscape.plane).evaluate(a, 0.0)
    assert values.tolist() == fresh.tolist()


def test_gradients_and_maps_at_the_same_time_do_not_disturb_each_other(threads: int) -> None:
    model, data = cnn().double(), (normal(40, 1, 8, 8, dtype=torch.float64), whole(3, 40))
    objective = la.Objective(model, F.cross_entropy, data)
    landscape = la.Landscape(objective, la.Plane.random(objective))
    points = [objective.theta * (1 + 0.01 * k) for k in range(20)]
    alone = [objective.gradient(point) for point in points]
    grid = la.Landscape(objective, landscape.plane).grid(shape=(12, 12))

    found: list[Any] = []
    other = threading.Thread(target=lambda: found.append(landscape.grid(shape=(12, 12))))
    other.start()
    together = [objective.gradient(point) for point in points]
    other.join()
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert found[0].tolist() == grid.tolist()


def test_jobs_that_ask_for_maps_within_a_step_do_not_wait_for_each_other(threads: int) -> None:
    x, y = classification(20)
    batches = list(
        zip(x.split(4), y.split(4), strict=True)
    )  # kept whole, so that a node is given up between two
    objective = la.Objective(mlp(6, 3), F.cross_entropy, batches, separable=False)

    def inside(seed: int) -> Any:
        yield
        return la.Landscape(objective, la.Plane.random(objective, seed)).grid(shape=(4, 4))

    asked = [
        jobs.worker.submit(inside(seed), (jobs.TILES, jobs.PROBE, jobs.CALL)[seed % 3]) for seed in range(24)
    ]
    for seed, job in enumerate(asked):
        expected = la.Landscape(objective, la.Plane.random(objective, seed)).grid(shape=(4, 4))
        assert job.wait(60).tolist() == expected.tolist()
