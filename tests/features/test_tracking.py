"""Tracking: λmax along a run while it is recorded. The quadratic has it in closed form."""

from __future__ import annotations

import gc
import math
import threading
import warnings
import weakref
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.curvature import Study
from tests.zoo import F, classification, mlp

# A residual of 1e-3 λ leaves an error of its square over the gap, at most.
SMALL = 2e-6

A = torch.diag(torch.tensor([3.0, 1.0, 0.5, 0.2, 0.1], dtype=torch.float64))


class Bowl(nn.Module):
    """½ wᵀAw, whatever it is fed."""

    def __init__(self, size: int = 5) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(size, dtype=torch.float64))

    def forward(self, _: Tensor) -> Tensor:
        return 0.5 * self.w @ A @ self.w


def bowl() -> tuple[Bowl, la.Objective]:
    model = Bowl()
    data = (torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1))
    return model, la.Objective(model, lambda out, _: out, data)


def roll(
    model: nn.Module, recorder: la.Recorder, optimizer: torch.optim.Optimizer, steps: int, tell: bool = True
) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.zeros(1, 1))
        loss.backward()
        recorder.step(loss, lr=optimizer.param_groups[0]["lr"] if tell else None)
        optimizer.step()


def net(dtype: torch.dtype = torch.float64) -> tuple[nn.Module, tuple[Tensor, Tensor], la.Objective]:
    model, data = mlp(6, 12, 3, dtype=dtype), classification(60, dtype=dtype)
    return model, data, la.Objective(model, F.cross_entropy, data)


def train(model: nn.Module, data: tuple[Tensor, Tensor], recorder: la.Recorder, steps: int, lr: float = 0.3) -> None:  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0]), data[1])
        loss.backward()
        recorder.step(loss)
        optimizer.step()


class Held:
    """The worker's threads, busy with something else meanwhile."""

    def __enter__(self) -> None:
        self._go = threading.Event()
        self._jobs = [jobs.worker.submit(self._block(), jobs.PROBE) for _ in range(jobs.worker.threads)]

    def _block(self) -> Generator[None, None, None]:
        self._go.wait(60)
        yield

    def __exit__(self, *_: object) -> None:
        self._go.set()
        for job in self._jobs:
            job.wait(60)


# Closed forms.


@pytest.mark.parametrize(("momentum", "factor"), [(0.0, 2.0), (0.9, 3.8)])
def test_on_a_quadratic_every_tracked_step_has_the_exact_value_and_the_line(
    momentum: float, factor: float
) -> None:
    model, objective = bowl()
    optimizer = torch.optim.SGD(model.parameters(), 0.2, momentum=momentum)
    recorder = la.Recorder(model)
    tracker = la.track(recorder, objective, every=10, optimizer=optimizer, full_batch=True)
    roll(model, recorder, optimizer, 41)
    tracker.wait()
    assert tracker.steps.tolist() == [0, 10, 20, 30, 40]
    for one in tracker.found:  # of a Rayleigh quotient: the gap to the next eigenvalue is 2
        assert abs(one.value - 3.0) <= one.residual**2 / 2 + 1e-12
        assert one.residual <= 1e-3 * 3.0
    np.testing.assert_allclose(tracker.limit, factor / 0.2, rtol=1e-12)
    assert tracker.skipped == 0
    assert "no longer come back" in tracker.reason
    told = recorder.curves.metrics
    assert np.flatnonzero(np.isfinite(told["sharpness"])).tolist() == tracker.steps.tolist()
    np.testing.assert_array_equal(told["sharpness"][tracker.steps], tracker.sharpness)
    np.testing.assert_array_equal(told["limit"][tracker.steps], tracker.limit)


def test_the_line_of_a_step_is_that_of_the_rate_it_was_taken_with() -> None:
    model, objective = bowl()
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    recorder = la.Recorder(model)
    with Held():  # all of it is computed afterwards, when the rate is another
        tracker = la.track(recorder, objective, every=5, optimizer=optimizer, full_batch=True)
        for lr in (0.2, 0.1, 0.05):
            optimizer.param_groups[0]["lr"] = lr
            roll(model, recorder, optimizer, 5)
    tracker.wait()
    np.testing.assert_allclose(tracker.limit, [10.0, 20.0, 40.0])


def test_of_steps_before_it_was_made_there_is_a_line_where_the_rate_was_this_one() -> None:
    model, objective = bowl()
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    recorder = la.Recorder(model)
    roll(model, recorder, optimizer, 5)
    optimizer.param_groups[0]["lr"] = 0.1
    roll(model, recorder, optimizer, 5)
    tracker = la.track(recorder, objective, every=5, optimizer=optimizer, full_batch=True)
    tracker.wait()
    assert tracker.steps.tolist() == [0, 5]
    np.testing.assert_allclose(tracker.limit, [math.nan, 20.0])


def test_the_objectives_weight_decay_is_in_the_value_and_not_again_in_the_line() -> None:
    model = Bowl()
    data = (torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1))
    objective = la.Objective(model, lambda out, _: out, data, weight_decay=0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.2, weight_decay=0.5)
    recorder = la.Recorder(model)
    tracker = la.track(recorder, objective, every=1, optimizer=optimizer, full_batch=True)
    roll(model, recorder, optimizer, 2)
    tracker.wait()
    np.testing.assert_allclose(tracker.sharpness, 3.5, rtol=SMALL)
    np.testing.assert_allclose(tracker.limit, 10.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "full_batch", "words"),
    [
        (lambda p: torch.optim.Adam(p, lr=0.1), True, "Adam scales each parameter's step"),
        (lambda p: torch.optim.SGD(p, lr=0.1), False, "mini-batches"),
        (None, True, "No optimizer was passed"),
    ],
)
def test_where_no_line_applies_there_is_none_and_a_reason(make: Any, full_batch: bool, words: str) -> None:
    model, objective = bowl()
    recorder = la.Recorder(model)
    optimizer = None if make is None else make(model.parameters())
    tracker = la.track(recorder, objective, every=2, optimizer=optimizer, full_batch=full_batch)
    roll(model, recorder, optimizer or torch.optim.SGD(model.parameters(), 0.1), 3)
    tracker.wait()
    assert words in tracker.reason
    assert np.isnan(tracker.limit).all()
    assert "limit" not in recorder.curves.metrics
    np.testing.assert_allclose(recorder.curves.metrics["sharpness"][[0, 2]], 3.0, rtol=SMALL)


# Networks.


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_what_is_tracked_of_a_network_is_its_largest_eigenvalue_within_the_residual(
    dtype: torch.dtype,
) -> None:
    model, data, objective = net(dtype)
    recorder = la.Recorder(model)
    tracker = la.track(recorder, objective, every=10)
    train(model, data, recorder, 61)
    tracker.wait()
    assert tracker.steps.tolist() == list(range(0, 61, 10))
    for one in tracker.found:
        exact = objective.spectrum(recorder.thetas[one.step], top=1)
        assert exact.exact
        rounding = 1e-12 if dtype == torch.float64 else 1e-5
        off = one.residual + exact.residuals[0] + rounding * exact.eigenvalues[0]
        assert abs(one.value - exact.eigenvalues[0]) <= off
        assert one.residual <= 2e-3 * one.value


def test_a_warm_start_takes_fewer_products_than_a_cold_one() -> None:
    model, data, objective = net()
    recorder = la.Recorder(model)
    tracker = la.track(recorder, objective, every=5)
    train(model, data, recorder, 41, lr=0.05)
    tracker.wait()
    warm, cold = [], []
    for k, one in enumerate(tracker.found):
        study = Study(objective, recorder.thetas[one.step], top=1, bottom=0, products=60, thorough=False)
        jobs.call(study.run())
        cold.append(study.hessian.products)
        warm.append(one.products)
        assert one.products <= 60, k
    # The newest step may have come first: of nine at most two have looked again from a random start.
    assert np.median(warm) < 0.7 * np.median(cold)


def test_rows_of_another_order_and_of_a_whole_module_are_laid_out_as_the_objective_asks() -> None:
    class Swapped(nn.Module):
        def __init__(self, whole: nn.Module) -> None:
            super().__init__()
            self.last, self.first = whole[2], whole[0]  # type: ignore[index]

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(torch.tanh(self.first(x)))
            return out

    class Whole(nn.Module):
        def __init__(self, part: nn.Module) -> None:
            super().__init__()
            self.head, self.net = nn.Linear(2, 2).double(), part

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.net(x)
            return out

    part, data, objective = net()
    recorder = la.Recorder(Whole(part))
    tracker = la.track(recorder, objective, every=1)
    train(part, data, recorder, 2)
    tracker.wait()
    for one in tracker.found:
        row = torch.cat([p.flatten() for p in (recorder.thetas[one.step][6:],)])
        assert one.value == pytest.approx(objective.spectrum(row, top=1).eigenvalues[0], rel=1e-6)

    with pytest.raises(ValueError, match="lacks the tensor"):
        la.track(recorder, la.Objective(Swapped(mlp(6, 12, 3).double()), F.cross_entropy, data))


def test_half_the_digits_are_enough_to_track() -> None:
    model, data, objective = net(torch.float32)
    recorder = la.Recorder(model, dtype=torch.float16)
    tracker = la.track(recorder, objective, every=3)
    train(model, data, recorder, 4)
    tracker.wait()
    row = recorder.thetas[3].float()
    assert tracker.sharpness[1] == pytest.approx(objective.spectrum(row, top=1).eigenvalues[0], rel=1e-3)


# While it is recorded.


def test_where_training_is_faster_the_newest_goes_first_and_the_rest_is_made_up_for() -> None:
    model, objective = bowl()
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    recorder = la.Recorder(model)
    with Held():
        tracker = la.track(recorder, objective, every=10)
        order: list[int] = []
        recorder.listen(
            lambda: order.extend(step for step in tracker.steps.tolist() if step not in order)
        )  # tell is heard too
        roll(model, recorder, optimizer, 41)
        assert len(tracker.steps) == 0
    tracker.wait()
    assert order == [40, 30, 20, 10, 0]
    assert tracker.skipped == 0


def test_what_is_thinned_before_its_turn_is_counted_as_skipped() -> None:
    model, objective = bowl()
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    recorder = la.Recorder(model, memory=13 * 5 * 8)
    told, go = threading.Semaphore(0), threading.Semaphore(0)

    def hold() -> None:
        if threading.current_thread() is not threading.main_thread():  # what was found is being told
            told.release()
            go.acquire(timeout=60)

    recorder.listen(hold)
    tracker = la.track(recorder, objective, every=1)
    roll(model, recorder, optimizer, 1)
    told.acquire(timeout=60)  # step 0 is looked at
    roll(model, recorder, optimizer, 7)
    go.release()
    told.acquire(timeout=60)  # then 7, the newest, and 1 … 6 are passed over
    roll(model, recorder, optimizer, 32)
    recorder.unlisten(hold)
    go.release()
    tracker.wait()
    assert recorder.steps.tolist() == [0, 8, 16, 24, 32]  # eight rows have room
    assert tracker.steps.tolist() == [0, 7, 8, 16, 24, 32]
    assert tracker.skipped == 6
    np.testing.assert_allclose(tracker.sharpness, 3.0, rtol=SMALL)


def test_a_recorder_that_keeps_some_steps_is_tracked_at_every_so_many_of_them() -> None:
    model, objective = bowl()
    recorder = la.Recorder(model, every=3)
    tracker = la.track(recorder, objective, every=4)
    roll(model, recorder, torch.optim.SGD(model.parameters(), 0.2), 30)
    tracker.wait()
    assert tracker.steps.tolist() == [0, 12, 24]


def test_it_ends_with_the_recorder_and_is_not_kept_nor_keeps() -> None:
    model, objective = bowl()
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    with la.Recorder(model) as recorder:
        tracker = la.track(recorder, objective, every=1)
        roll(model, recorder, optimizer, 3)
        tracker.wait()
    assert tracker.closed
    assert tracker.steps.tolist() == [0, 1, 2]
    tracker.wait()  # nothing is due any more
    alive, tracked = weakref.ref(recorder), weakref.ref(tracker)
    del recorder
    gc.collect()
    assert alive() is None
    del tracker
    gc.collect()
    assert tracked() is None

    recorder = la.Recorder(model)
    tracker = la.track(recorder, objective, every=1)
    roll(model, recorder, optimizer, 1)
    tracker.wait()
    tracker.close()
    tracker.close()
    roll(model, recorder, optimizer, 3)
    tracked = weakref.ref(tracker)
    assert tracker.steps.tolist() == [0]
    del tracker
    gc.collect()
    assert tracked() is None
    alive = weakref.ref(recorder)
    tracker = la.track(recorder, objective, every=1)
    tracker.wait()
    del recorder
    gc.collect()
    assert alive() is None  # it was held by nobody but who trains


def test_a_model_that_raises_ends_the_tracking_with_a_warning_and_not_the_training() -> None:
    model = Bowl()
    fail = False

    def loss(out: Tensor, _: Tensor) -> Tensor:
        if fail:
            raise RuntimeError("no such luck")
        return out

    data = (torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1))
    objective = la.Objective(model, loss, data)
    recorder = la.Recorder(model)
    tracker = la.track(recorder, objective, every=1)
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    roll(model, recorder, optimizer, 1)
    tracker.wait()
    fail = True

    def on() -> None:
        roll(model, recorder, optimizer, 1)
        tracker.wait()

    with pytest.warns(RuntimeWarning, match="tracked no more.*no such luck"):
        on()
    assert tracker.closed
    roll(model, recorder, optimizer, 2)
    assert len(recorder.steps) == 4
    assert tracker.steps.tolist() == [0]


def test_a_hessian_that_is_not_finite_is_a_fact_about_the_run() -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(2, dtype=torch.float64))

        def forward(self, _: Tensor) -> Tensor:
            return self.w.abs().pow(1.5).sum()

    model = Root()
    data = (torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1))
    objective = la.Objective(model, lambda out, _: out, data)
    recorder = la.Recorder(model)
    tracker = la.track(recorder, objective, every=1)
    for value in (1.0, 0.0, 4.0):
        with torch.no_grad():
            model.w.fill_(value)
        recorder.step(0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracker.wait()
    np.testing.assert_allclose(tracker.sharpness, [0.75, math.nan, 0.375], rtol=1e-10)
    assert not tracker.closed


def test_a_recorder_that_gets_its_model_later_is_tracked_from_then_on() -> None:
    model, objective = bowl()
    recorder = la.Recorder()
    tracker = la.track(recorder, objective, every=1)
    tracker.wait()
    recorder.watch(model)
    roll(model, recorder, torch.optim.SGD(model.parameters(), 0.2), 2)
    tracker.wait()
    assert tracker.steps.tolist() == [0, 1]
    other = la.Recorder()
    tracker = la.track(other, objective, every=1)
    other.watch(nn.Linear(2, 2))

    def on() -> None:
        other.step(1.0)
        tracker.wait()

    with pytest.warns(RuntimeWarning, match="tracked no more.*lacks the tensor 'w'"):
        on()


def test_a_wrong_call_says_what_to_do() -> None:
    model, objective = bowl()
    recorder = la.Recorder(model)
    with pytest.raises(TypeError, match="Pass the Recorder"):
        la.track(recorder.model, objective)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Pass la.Objective"):
        la.track(recorder, model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="every is 0"):
        la.track(recorder, objective, every=0)
    with pytest.raises(TypeError, match=r"torch\.optim\.Optimizer"):
        la.track(recorder, objective, optimizer="sgd")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Record without sketch="):
        la.track(la.Recorder(model, sketch=4), objective)
    with pytest.raises(ValueError, match="lacks the tensor"):
        la.track(la.Recorder(nn.Linear(2, 2)), objective)
    recorder.close()
    with pytest.raises(ValueError, match="is closed"):
        la.track(recorder, objective)
