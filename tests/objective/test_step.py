"""Objectives of a user's own step: any model, any batch."""

from __future__ import annotations

import re
from collections import UserDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la
from tests.zoo import F, classification, flat, linear_net, load, mlp, normal, number

FLOAT64 = 1e-12

X, Y = classification(70, dtype=torch.float64)
BATCHES = list(zip(X.split(32), Y.split(32), strict=True))  # 32, 32 and 6 samples


def net() -> nn.Sequential:
    return mlp(6, 8, 3, dtype=torch.float64)


def step(model: nn.Module, batch: Any) -> Tensor:
    x, y = batch
    return F.cross_entropy(model(x), y)


def with_accuracy(model: nn.Module, batch: Any) -> dict[str, Any]:
    output = model(batch[0])
    right = (output.argmax(1) == batch[1]).double().mean()
    return {"accuracy": right, "loss": F.cross_entropy(output, batch[1]), "weight": len(batch[1])}


def test_a_step_has_the_value_and_gradient_of_the_same_loss_of_pairs() -> None:
    pairs = la.Objective(net(), F.cross_entropy, BATCHES)
    steps = la.Objective.from_step(net(), step, BATCHES)
    point = pairs.theta + 0.1 * normal(pairs.size, dtype=torch.float64)
    assert steps.value(point) == pytest.approx(pairs.value(point), rel=FLOAT64)
    torch.testing.assert_close(steps.gradient(point), pairs.gradient(point), rtol=1e-10, atol=1e-13)
    assert steps.size == pairs.size
    assert steps.samples == 70
    assert steps.fields == ("loss",)
    assert not steps.separable


def test_every_entry_of_a_mapping_is_a_field_of_the_same_pass() -> None:
    objective = la.Objective.from_step(net(), with_accuracy, DataLoader(TensorDataset(X, Y), batch_size=32))
    assert objective.fields == ("loss", "accuracy")
    landscape = la.Landscape(objective, la.Plane.random(objective))
    output = net()(X)
    assert landscape.evaluate(0, 0) == pytest.approx(number(F.cross_entropy(output, Y)), rel=FLOAT64)
    right = (output.argmax(1) == Y).double().mean()
    assert landscape.evaluate(0, 0, field="accuracy") == pytest.approx(number(right), rel=FLOAT64)


def test_a_batch_counts_for_what_the_step_says() -> None:
    # Means 1 and 10 with weights 3 and 2, and one of no weight, whose mean is 0 / 0.
    model = nn.Linear(1, 1, bias=False).double()
    data = [(1.0, 3), (10.0, 2), (float("nan"), 0)]

    def weighted(model: nn.Module, batch: Any) -> dict[str, Any]:
        return {"loss": model.weight.sum() * batch[0], "weight": torch.tensor(batch[1])}

    objective = la.Objective.from_step(model, weighted, data)
    assert objective.value(torch.ones(1)) == pytest.approx((3 * 1 + 2 * 10) / 5, rel=FLOAT64)
    assert float(objective.gradient(torch.ones(1))) == pytest.approx(23 / 5, rel=FLOAT64)


Pair = namedtuple("Pair", "x y")


@dataclass(frozen=True)
class Graph:
    """Nodes, edges and a label each, as graph libraries have them: no tuple, no mapping."""

    x: Tensor
    edges: Tensor
    extra: dict[str, Tensor]
    name: str = "graph"


class Moving:
    """An object that moves itself, and changes when it does."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y, self.moved = x, y, []

    def to(self, device: Any) -> Moving:
        self.moved.append(device)
        return self


def popping(model: nn.Module, batch: Any) -> Tensor:
    y = batch.pop("y")
    return F.cross_entropy(model(**batch), y)


BATCH: dict[str, tuple[Any, Callable[[nn.Module, Any], Any]]] = {
    "a tuple": ((X, Y), step),
    "a named tuple": ([Pair(X, Y)], lambda m, b: F.cross_entropy(m(b.x), b.y)),
    "a list": ([[X, Y]], step),
    "a mapping": ({"input": X, "y": Y}, popping),
    "a mapping of another kind": ([UserDict(input=X, y=Y)], popping),
    "nested": ([{"in": (X, [Y])}], lambda m, b: F.cross_entropy(m(b["in"][0]), b["in"][1][0])),
    "arrays": ([(X.numpy(), Y.numpy())], lambda m, b: F.cross_entropy(m(torch.from_numpy(b[0])), torch.from_numpy(b[1]))),
    "a data class": ([Graph(X, Y, {"y": Y})], lambda m, b: F.cross_entropy(m(b.x), b.extra["y"])),
    "an object with .to": ([Moving(X, Y)], lambda m, b: F.cross_entropy(m(b.x), b.y)),
    "a packed sequence": (
        [(nn.utils.rnn.pack_sequence([X]), Y)], lambda m, b: F.cross_entropy(m(b[0].data), b[1]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BATCH)
def test_a_batch_reaches_the_step_in_the_users_own_type_every_time(kind: str) -> None:
    data, of_batch = BATCH[kind]
    objective = la.Objective.from_step(net(), of_batch, data)
    expected = number(F.cross_entropy(net()(X), Y))
    assert [objective.value(objective.theta) for _ in range(2)] == pytest.approx([expected] * 2, rel=FLOAT64)
    assert objective.hash == la.Objective.from_step(net(), of_batch, data).hash


def test_a_bare_tensor_is_a_batch() -> None:
    model = linear_net(6, 6)
    objective = la.Objective.from_step(model, lambda m, x: F.mse_loss(m(x), x), DataLoader(X, batch_size=32))
    assert objective.value(flat(model)) == pytest.approx(number(F.mse_loss(model(X), X)), rel=FLOAT64)


def test_data_of_the_users_are_copied_and_stay() -> None:
    graph, moving = Graph(X.clone(), Y, {"y": Y.clone()}), Moving(X.clone(), Y)
    first = la.Objective.from_step(net(), lambda m, b: F.cross_entropy(m(b.x), b.extra["y"]), [graph])
    second = la.Objective.from_step(net(), lambda m, b: F.cross_entropy(m(b.x), b.y), [moving])
    before = first.value(first.theta)
    graph.x.zero_()
    moving.x.zero_()
    assert moving.moved == []
    assert first.value(first.theta) == second.value(second.theta) == before


def test_other_data_another_step_and_another_number_in_it_have_another_hash() -> None:
    def scaled(by: float) -> Callable[[nn.Module, Any], Any]:
        return lambda model, batch: by * step(model, batch)

    made = [
        la.Objective.from_step(net(), scaled(1.0), BATCHES),
        la.Objective.from_step(net(), scaled(2.0), BATCHES),
        la.Objective.from_step(net(), scaled(1.0), [(X, Y)]),
        la.Objective.from_step(net(), scaled(1.0), [(X, (Y + 1) % 3)]),
        la.Objective.from_step(net(), scaled(1.0), BATCHES, weight_decay=0.1),
    ]
    assert len({objective.hash for objective in made}) == len(made)
    assert la.Objective.from_step(net(), scaled(1.0), BATCHES).hash == made[0].hash


def test_a_model_that_returns_its_loss_and_methods_of_it_will_do() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, x: Tensor, y: Tensor) -> Any:
            return {"loss": F.cross_entropy(self.net(x), y), "logits": None}

        def training_step(self, batch: Any, index: int) -> Tensor:
            return self(*batch)["loss"]

    model = Own()
    whole = la.Objective.from_step(model, lambda m, b: m(*b)["loss"], (X, Y))
    method = la.Objective.from_step(model, lambda m, b: m.training_step(b, 0), (X, Y))
    point = whole.theta + 0.1
    assert whole.value(point) == method.value(point) == pytest.approx(
        number(F.cross_entropy(load(net(), point)(X), Y)), rel=FLOAT64
    )  # fmt: skip
    assert torch.equal(whole.gradient(point), method.gradient(point))


def test_a_step_may_differentiate_by_its_inputs() -> None:
    # u'' of u(x) = w x²: a physics-informed residual mean((2 w − 1)²), gradient 4 (2 w − 1).
    class Square(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return self.w * x**2

    def residual(model: nn.Module, batch: Tensor) -> Tensor:
        x = batch.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        return ((bend - 1) ** 2).mean()

    objective = la.Objective.from_step(Square(), residual, normal(20, dtype=torch.float64))
    assert objective.value(torch.tensor([3.0])) == pytest.approx(25.0, rel=FLOAT64)
    assert float(objective.gradient(torch.tensor([3.0]))) == pytest.approx(20.0, rel=FLOAT64)


def test_autocast_inside_of_a_step_is_measured_as_it_is() -> None:
    def cast(model: nn.Module, batch: Any) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = model(batch[0])
        return F.cross_entropy(output.float(), batch[1])

    model, (x, y) = mlp(6, 8, 3), classification(30)
    objective = la.Objective.from_step(model, cast, (x, y))
    assert objective.value(objective.theta) == number(cast(model, (x, y)))
    assert torch.isfinite(objective.gradient(objective.theta)).all()


def test_a_model_trained_later_is_renewed_with_its_step() -> None:
    model = net()
    objective = la.Objective.from_step(model, with_accuracy, BATCHES, weight_decay=0.1)
    with torch.no_grad():
        model[0].bias.add_(1)
    fresh = objective.renewed()
    assert fresh.hash == la.Objective.from_step(model, with_accuracy, BATCHES, weight_decay=0.1).hash
    assert torch.equal(fresh.theta, flat(model))


def test_parameters_that_change_nothing_are_told() -> None:
    class Free(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(2))

    objective = la.Objective.from_step(Free(), lambda m, b: (m.w * 0).sum() + b.mean(), X)
    assert any("does step use its first argument" in note for note in objective.notes)


MODEL = net()


def of_the_notebook(model: nn.Module, batch: Any) -> Tensor:
    return step(MODEL, batch)


def noisy(model: nn.Module, batch: Any) -> Tensor:
    return step(model, batch) + 0 * torch.rand(())


def another(model: nn.Module, batch: Any) -> dict[str, Any]:
    loss = step(model, batch)
    return {"loss": loss, "few": loss} if len(batch[0]) < 10 else {"loss": loss}


def writing(model: nn.Module, batch: Any) -> Tensor:
    batch[0].mul_(1.0)
    return step(model, batch)


def giving(value: Any) -> Callable[[], Any]:
    return lambda: la.Objective.from_step(net(), lambda m, b: value(step(m, b)), BATCHES)


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "not callable": (
        lambda: la.Objective.from_step(net(), 3, BATCHES), TypeError, r"step is a int, not callable. Pass a function step\(",
    ),
    "the users own model": (
        lambda: la.Objective.from_step(MODEL, of_the_notebook, BATCHES), ValueError,
        "step uses your own model and not its first argument",
    ),
    "nothing": (giving(lambda loss: None), TypeError, "step returned a NoneType, not a number. Return a scalar mean"),
    "several numbers": (
        giving(lambda loss: loss.repeat(3)), ValueError, r"step returned a tensor of shape \(3,\), not a scalar",
    ),
    "an integer": (giving(lambda loss: loss.long()), TypeError, "a tensor of torch.int64, which has no slope"),
    "no loss": (
        giving(lambda loss: {"accuracy": loss}), ValueError, "a mapping without 'loss', of 'accuracy'. Return {'loss'",
    ),
    "a field of words": (
        giving(lambda loss: {"loss": loss, "kind": "low"}), TypeError, "'kind' that step returned is a str, not a number",
    ),
    "a weight below zero": (
        giving(lambda loss: {"loss": loss, "weight": -1}), ValueError, "step returned a weight of -1.0. Return a finite",
    ),
    "fields that change": (
        lambda: la.Objective.from_step(net(), another, BATCHES).value(flat(net())), la.EvaluationError,
        "The step raised ValueError at row 0 with a batch of .*the fields loss, few, but loss for the first batch",
    ),
    "no weight at all": (
        lambda: la.Objective.from_step(net(), lambda m, b: {"loss": step(m, b), "weight": 0}, BATCHES).value(flat(net())),
        la.EvaluationError, "All batches weigh 0",
    ),
    "noise": (lambda: la.Objective.from_step(net(), noisy, BATCHES), ValueError, "not a function of the parameters alone"),
    "writing to the data": (
        lambda: la.Objective.from_step(net(), writing, BATCHES), ValueError, "step writes to the tensors of its batch",
    ),
    "a generator": (
        lambda: la.Objective.from_step(net(), step, (pair for pair in BATCHES)), TypeError, r"Pass list\(data\)",
    ),
    "no data": (lambda: la.Objective.from_step(net(), step, []), ValueError, "data is empty"),
    "None": (lambda: la.Objective.from_step(net(), step, None), TypeError, "data is a NoneType"),
    "numbers": (lambda: la.Objective.from_step(net(), step, [1, 2]), TypeError, "Batch 0 of data is a int. Pass"),
    "an empty batch": (
        lambda: la.Objective.from_step(net(), step, [(X, Y), (X[:0], Y[:0])]), ValueError, "Batch 1 of data is empty",
    ),
    "what raises": (
        lambda: la.Objective.from_step(net(), step, [X]), la.EvaluationError,
        r"The step raised ValueError on the first batch with a batch of \(70, 6\) float64: .*Check that step\(model, batch\)",
    ),
    "what cannot be moved": (
        lambda: la.Objective.from_step(net(), step, [(X, type("Stuck", (), {"to": lambda self: 1})())]), TypeError,
        "A Stuck in the data cannot be copied and moved to cpu",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_step_is_named_with_its_value_and_the_cure(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message) as raised:
        call()
    assert re.search(r"[.!]$", str(raised.value)), "not a sentence"


def test_numbers_of_numpy_and_python_are_numbers() -> None:
    objective = la.Objective.from_step(
        net(), lambda m, b: {"loss": step(m, b), "numpy": np.float64(3), "python": 4}, BATCHES
    )
    plane = la.Plane.random(objective)
    landscape = la.Landscape(objective, plane)
    assert [landscape.evaluate(0, 0, field=name) for name in ("numpy", "python")] == [3, 4]
