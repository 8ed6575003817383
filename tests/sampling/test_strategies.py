"""Every strategy gives the plain one's values, or says why it is not used; none looks at a model's class."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.objective import Objective
from lossatlas.sampling.strategies.choice import _candidates, _kept_plain, _sample, choice_for
from lossatlas.sampling.strategies.program import Unfit
from lossatlas.sampling.strategies.stack import Stack
from lossatlas.sampling.strategies.strategy import Strategy, plain, rearranged
from tests.zoo import F, classification, cnn, counting, mlp, normal, whole
from tests.zoo.kinds import ZOO

PLACES = [(0.0, 0.0), (0.3, -0.2), (-1.0, 1.0), (0.7, 0.1), (2.0, -3.0), (0.125, 0.5), (-0.4, -0.9)]


def values(strategy: Strategy, plane: Any, places: list[tuple[float, float]] = PLACES) -> np.ndarray:
    """All fields at these places, as a worker's thread evaluates them, in groups as large as may be."""

    def work() -> Any:
        runner = strategy.on(plane)
        rows = np.empty((0, len(plane.origin)))
        for start in range(0, len(places), runner.group):
            more = yield from runner.run(places[start : start + runner.group])
            rows = np.concatenate([rows, more]) if len(rows) else more
        return rows

    return jobs.call(work())


class Residual(nn.Module):
    """A plain stack in words of its own: functions, operators, a buffer, a frozen layer, a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.inner, self.out = nn.Linear(6, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 3)
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 6))

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.into((x * self.scale).flatten(1)))
        h = h + torch.tanh(self.inner(h)) * 0.5
        h += self.frozen(h).relu_()
        return F.log_softmax(self.out(F.dropout(h, 0.5, self.training)), dim=-1)


class Scalar(nn.Module):
    """One number a sample."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = mlp(6, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(-1)


def objective(kind: str, dtype: torch.dtype = torch.float64, **options: Any) -> Objective:
    torch.manual_seed(0)
    x, y = classification(150, dtype=dtype)
    built: dict[str, Callable[[], tuple[nn.Module, Any, Any]]] = {
        "mlp": lambda: (mlp(6, 16, 12, 3), F.cross_entropy, (x, y)),
        "residual": lambda: (Residual(), nn.CrossEntropyLoss(), (x, y)),
        "regression": lambda: (mlp(6, 9, 2), nn.MSELoss(), (x, normal(150, 2, seed=3, dtype=dtype))),
        "one number": lambda: (Scalar(), F.mse_loss, (x, normal(150, seed=3, dtype=dtype))),
        "one layer": lambda: (nn.Linear(6, 3), F.cross_entropy, (x, y)),
    }
    model, loss, data = built[kind]()
    return la.Objective(model.to(dtype), loss, data, **options)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("kind", ["mlp", "residual", "regression", "one number", "one layer"])
def test_a_stack_has_the_plain_strategys_values(kind: str, dtype: torch.dtype) -> None:
    subject = objective(kind, dtype)
    plane = la.Plane.random(subject, ignore=False)
    rounding = 64 * torch.finfo(dtype).eps
    stack = values(Stack(subject, list(subject.held)), plane)
    np.testing.assert_allclose(stack, values(plain(subject), plane), rtol=rounding)


def test_a_stack_has_all_fields_the_decay_and_several_chunks() -> None:
    subject = objective("mlp", fields=("accuracy", "error"), weight_decay=0.3)
    plane = la.Plane.random(subject, seed=2)
    strategy = Stack(subject, [part for batch in subject.held for part in batch.chunks(37)])
    assert len(strategy.chunks) == 5
    expected = values(plain(subject), plane)
    np.testing.assert_allclose(values(strategy, plane), expected, rtol=1e-12)
    assert subject.fields == ("loss", "data_loss", "weight_decay", "accuracy", "error")


def test_a_stack_on_a_line_and_where_values_are_not_finite() -> None:
    subject = objective("mlp")
    line = la.Line(subject.theta, la.Plane.random(subject).u)
    places = [(a, 0.0) for a in (-0.5, 0.0, 0.25, 1.0, 1e308)]
    found, expected = (
        values(strategy, line, places) for strategy in (Stack(subject, list(subject.held)), plain(subject))
    )
    assert not np.isfinite(expected[-1, 0])
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    np.testing.assert_allclose(found[:-1], expected[:-1], rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
def test_the_bits_of_a_stack_do_not_depend_on_the_company(dtype: torch.dtype) -> None:
    subject = objective("mlp", dtype)
    plane, strategy = la.Plane.random(subject), Stack(subject, list(subject.held))
    together = values(strategy, plane)
    assert together.tobytes() == np.concatenate([values(strategy, plane, [p]) for p in PLACES]).tobytes()
    assert together[::-1].tobytes() == values(strategy, plane, PLACES[::-1]).tobytes()


@pytest.mark.parametrize("channels_last", [False, True])
def test_other_chunks_and_layouts_have_the_plain_strategys_values(channels_last: bool) -> None:
    x, y = normal(70, 1, 8, 8, dtype=torch.float64), whole(3, 70)
    subject = la.Objective(cnn().double(), F.cross_entropy, (x, y), fields=("accuracy",))
    plane = la.Plane.random(subject)
    found = values(rearranged(subject, subject.held, 16, channels_last), plane)
    np.testing.assert_allclose(found, values(plain(subject), plane), rtol=1e-12)


@pytest.mark.parametrize("name", ZOO)
def test_what_is_chosen_for_a_model_of_the_zoo_has_the_plain_strategys_values(name: str) -> None:
    subject = ZOO[name].objective(ZOO[name].build())
    plane = la.Plane.random(subject)

    def work() -> Any:
        yield
        return choice_for(subject, plane)

    choice = jobs.call(work())
    expected = values(plain(subject), plane, PLACES[:4])
    rounding = 64 * torch.finfo(subject.dtype).eps
    np.testing.assert_allclose(
        values(choice.strategy, plane, PLACES[:4]), expected, rtol=rounding, atol=rounding
    )


@pytest.mark.parametrize("name", ZOO)
def test_every_strategy_that_fits_a_model_of_the_zoo_has_the_plain_strategys_values(name: str) -> None:
    subject = ZOO[name].objective(ZOO[name].build())
    if _kept_plain(subject):
        return  # the test above holds what is left
    plane, few = la.Plane.random(subject), PLACES[:3]
    expected = values(plain(subject), plane, few)
    rounding = 64 * torch.finfo(subject.dtype).eps
    for candidate in _candidates(subject, _sample(subject)):
        try:
            strategy = candidate.make(list(subject.held or ()))
        except Unfit:
            continue
        found = values(strategy, plane, few)
        np.testing.assert_allclose(found, expected, rtol=rounding, atol=rounding, err_msg=candidate.name)


REFUSED: dict[str, tuple[Callable[[], Objective], str]] = {
    "convolutions": (
        lambda: la.Objective(cnn(), F.cross_entropy, (normal(70, 1, 8, 8), whole(3, 70))), "it uses conv2d",
    ),
    "a branch on a node's values": (
        lambda: la.Objective(Branching(), F.cross_entropy, classification(70), separable=True), "it uses sum",
    ),
    "a small model under a loss of one's own": (
        lambda: la.Objective(mlp(6, 3), lambda o, y: F.cross_entropy(o, y), classification(70)), "your own",
    ),
    "two precisions": (
        lambda: la.Objective(TwoPrecisions(), F.cross_entropy, classification(70), separable=True), "several precisions",
    ),
}  # fmt: skip


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = mlp(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.layers(x)
        return h if h.sum() > -1e9 else -h


class TwoPrecisions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 4), nn.Linear(4, 3).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.float()).double())


@pytest.mark.parametrize("name", REFUSED)
def test_a_stack_that_does_not_fit_says_why(name: str) -> None:
    make, reason = REFUSED[name]
    subject = make()
    with pytest.raises(Unfit, match=reason):
        Stack(subject, list(subject.held))
    report = la.Landscape(subject, la.Plane.random(subject)).report()
    assert "stack: not used, " in report
    assert reason in report


def test_batches_that_are_kept_whole_leave_the_plain_strategy_alone_and_the_report_says_so() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    subject = la.Objective(model, F.cross_entropy, classification(80), mode="batch_stats")
    report = la.Landscape(subject, la.Plane.random(subject)).report()
    assert "plain: the only one, since its batches are kept whole and in order" in report


def test_a_strategy_that_disagrees_is_never_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    on = Stack.on

    def wrong(self: Stack, plane: Any) -> Any:
        runner = on(self, plane)
        honest = runner.run

        def lying(points: Any) -> Any:
            return (1 + 1e-4) * (yield from honest(points))

        runner.run = lying
        return runner

    monkeypatch.setattr(Stack, "on", wrong)
    subject = objective("mlp", torch.float32)
    landscape = la.Landscape(subject, la.Plane.random(subject, seed=11))
    monkeypatch.setattr("lossatlas.sampling.strategies.choice._winners", {})
    assert "stack: not used, its loss differs by" in landscape.report()
    assert "chosen: flat buffer" in landscape.report()


def test_a_probe_that_fails_half_way_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Stack, plane: Any) -> Any:
        raise MemoryError("no room")

    monkeypatch.setattr(Stack, "on", failing)
    monkeypatch.setattr("lossatlas.sampling.strategies.choice._winners", {})
    subject = objective("mlp", torch.float32)
    report = la.Landscape(subject, la.Plane.random(subject)).report()
    assert "stack: not used, it failed with MemoryError: no room" in report
    assert "chosen: flat buffer" in report


def test_the_same_recipe_gets_the_same_strategy_and_so_the_same_bits() -> None:
    grids = []
    for _ in range(3):
        subject = objective("mlp", torch.float32)
        grids.append(la.Landscape(subject, la.Plane.random(subject)).grid(shape=(4, 5)).tobytes())
    assert len(set(grids)) == 1


def test_what_was_chosen_does_not_keep_an_objective_alive() -> None:
    subject = objective("mlp")
    la.Landscape(subject, la.Plane.random(subject)).grid(shape=(2, 2))
    gone = weakref.ref(subject)
    del subject
    gc.collect()
    assert gone() is None


def test_a_group_that_rests_between_chunks_leaves_its_thread_as_it_was() -> None:
    subject = objective("mlp")
    plane = la.Plane.random(subject)
    strategy = Stack(subject, [part for batch in subject.held for part in batch.chunks(50)])
    work = strategy.on(plane).run(PLACES)
    for _ in work:
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_recording_a_model_is_not_seen_by_another_thread() -> None:
    calls, stop, failures = [], threading.Event(), []
    model = mlp(6, 8, 3)

    def train() -> None:
        try:
            while not stop.is_set():
                model(normal(4, 6)).sum().backward()
                calls.append(1)
        except Exception as error:  # told to the test
            failures.append(error)

    other = threading.Thread(target=train)
    other.start()
    try:
        for _ in range(20):
            subject = objective("residual")
            Stack(subject, list(subject.held))
    finally:
        stop.set()
        other.join()
    assert failures == []
    assert calls


def test_a_small_models_own_loss_is_called_once_a_node_and_by_no_probe() -> None:
    loss, calls = counting(F.cross_entropy)
    subject = la.Objective(mlp(6, 3), loss, classification(40))
    landscape = la.Landscape(subject, la.Plane.random(subject))
    calls.clear()
    landscape.grid(shape=(5, 5))
    assert len(calls) == 25


def test_what_all_nodes_share_is_made_once_by_all_who_are_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = normal(2048, 6), whole(3, 2048)
    subject = la.Objective(mlp(6, 64, 3), F.cross_entropy, (x, y))
    monkeypatch.setattr("lossatlas.sampling.strategies.stack._VALUES_BYTES", 1 << 18)
    runner = Stack(subject, list(subject.held or ())).on(la.Plane.random(subject))
    made, make = [], runner._made
    chunks = runner.shares
    assert chunks > 4

    def fails_once(chunk: Any) -> Any:
        made.append(chunk)
        if len(made) == 2:
            raise RuntimeError("out of memory")
        return make(chunk)

    monkeypatch.setattr(runner, "_made", fails_once)

    def take_part() -> None:
        with contextlib.suppress(RuntimeError):
            for _ in runner.prepare():
                pass

    takers = [threading.Thread(target=take_part) for _ in range(3)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join(30)
    assert not any(taker.is_alive() for taker in takers)
    assert len(made) == chunks + 1  # the one that failed was taken up by another
    assert runner.shares == 0
