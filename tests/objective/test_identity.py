"""Identity: other numbers have another hash, the same source has the same one in every process, and words say what differs."""

from __future__ import annotations

import logging
import os
import pathlib
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas.objective import fingerprint
from lossatlas.objective.fingerprint import code_of
from lossatlas.objective.identity import PARTS, differences, origin_of, parts_of
from tests.zoo import F, classification, cnn, mlp, normal, whole

X, Y = classification(30)


def made(**changes: Any) -> la.Objective:
    given: dict[str, Any] = {"model": mlp(6, 5, 3), "loss_fn": F.cross_entropy, "data": (X, Y), **changes}
    return la.Objective(**given)


def of_step(**changes: Any) -> la.Objective:
    def step(model: nn.Module, batch: Any) -> Tensor:
        return F.cross_entropy(model(batch[0]), batch[1])

    return la.Objective.from_step(mlp(6, 5, 3), step, [(X, Y)], **changes)


def of_function(offset: float = 0.0) -> la.Objective:
    return la.Objective.from_function(lambda t: t @ t + offset, torch.ones(3))


def from_source(source: str, name: str) -> Any:
    """What a cell of a notebook leaves behind."""
    names: dict[str, Any] = {"__name__": "cell", "F": F, "np": np, "torch": torch}
    exec(compile(textwrap.dedent(source), "<cell>", "exec"), names)
    return names[name]


CALLABLE = """
class Loss:
    table = [1.0, 2.0]
    def __init__(self, weights=(1.0, 2.0)):
        self.weights = list(weights)
    @property
    def factor(self):
        return 1.0
    def __call__(self, output, y):
        return {} * self.factor * self.weights[1] * F.cross_entropy(output, y)
"""


def test_a_callable_object_is_known_by_the_code_of_its_class_and_by_its_attributes() -> None:
    one, other = (from_source(CALLABLE.format(factor), "Loss") for factor in ("1.0", "2.0"))
    again = from_source("\n\n\n" + CALLABLE.format("1.0"), "Loss")
    assert code_of(one()) == code_of(again()) != code_of(other())
    assert code_of(one((1.0, 2.0))) != code_of(one((1.0, 3.0)))
    for old, new in (("return 1.0", "return 2.0"), ("[1.0, 2.0]", "[1.0, 3.0]")):
        changed = from_source(CALLABLE.format("1.0").replace(old, new), "Loss")
        assert code_of(one()) != code_of(changed())


def test_a_class_that_a_function_uses_is_a_part_of_it() -> None:
    source = """
    class Helper:
        @staticmethod
        def scale(x):
            return {} * x
    def loss(output, y):
        return Helper.scale(F.cross_entropy(output, y))
    """
    one, other = (from_source(source.format(factor), "loss") for factor in (1, 2))
    assert code_of(one) == code_of(from_source(source.format(1), "loss")) != code_of(other)


def test_which_of_several_objects_comes_again_is_told_apart() -> None:
    def path(order: tuple[int, ...]) -> Callable[[Tensor], Any]:
        parts = [mlp(2, 2), mlp(2, 2, seed=1)]
        through = [parts[index] for index in order]
        return lambda x: through

    assert code_of(path((0, 1, 0))) == code_of(path((0, 1, 0))) != code_of(path((0, 1, 1)))


PROCESS = """
import functools, numpy as np, torch
from torch import nn
import lossatlas as la
from lossatlas.objective import fingerprint
from lossatlas.objective.fingerprint import code_of

class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.names = nn.Linear(2, 2, bias=False), {"one", "two", "three", "four"}
        self.table = np.array([None, "text", (1, 2)], dtype=object)
        with torch.no_grad():
            self.layer.weight.copy_(torch.arange(4.0).view(2, 2))
    def extra_repr(self):
        return f"act={functools.partial(sorted)!r}, made={object()!r}"
    def forward(self, x):
        return self.layer(x) if "one" in {"one", "two"} else x

class Loss:
    table = {1, "two", 3.0}
    def __init__(self):
        self.odd = {"keys": {"a", "b"}, "fn": lambda x: x}
    def __call__(self, output, y):
        return self.odd["fn"]((output - y).square().mean())

class Taking(Odd):
    def forward(self, x, what):
        return super().forward(x)

taking = la.Objective(Taking(), Loss(), ({"x": torch.ones(3, 2), "what": object()}, torch.zeros(3, 2)))
objective = la.Objective(Odd(), Loss(), (torch.ones(3, 2), torch.zeros(3, 2)))
print(objective.hash, taking.hash, la.Plane.gradient(objective).hash)
"""


def test_what_holds_addresses_and_sets_has_the_same_hash_in_every_process() -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, text=True
        )
        for seed in ("0", "1", "2")
    ]  # fmt: skip
    found = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(found) == 1


@pytest.mark.parametrize("make", [made, of_step, of_function])
def test_every_kind_of_objective_has_its_parts(make: Callable[[], la.Objective]) -> None:
    objective = make()
    assert set(objective.parts) == PARTS[objective.parts["kind"]]
    assert parts_of(make()) == objective.parts


def thawed(frozen: bool) -> nn.Module:
    model = mlp(6, 5, 3)
    model[0].weight.requires_grad_(not frozen)
    return model


class Doubled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = mlp(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.layer(x)


class Plain(Doubled):
    def forward(self, x: Tensor) -> Tensor:
        return 1 * self.layer(x)


def images(model: nn.Module, **changes: Any) -> la.Objective:
    data = [(normal(5, 1, 8, 8, seed=k), whole(3, 5, seed=k)) for k in range(2)]
    return la.Objective(model, F.cross_entropy, data, **changes)


def moved() -> nn.Module:
    model = cnn()
    model[1].running_mean.add_(1)
    return model


CHANGES: dict[str, tuple[la.Objective, la.Objective, list[str]]] = {
    "nothing": (made(), made(), []),
    "θ": (
        made(), made(model=mlp(6, 5, 3, seed=1)),
        ["the parameters θ differ (the model was trained on or initialised anew)"],
    ),
    "fewer samples": (
        made(), made(data=(X[:20], Y[:20])), ["the data differ (30 samples there, 20 here)"],
    ),
    "other values": (
        made(), made(data=(X + 1, Y)),
        ["the data differ (30 samples in both, with other values, or cut or ordered otherwise)"],
    ),
    "mode": (
        images(cnn()), images(cnn(), mode="reestimated"),
        ["mode is 'eval' there, 'reestimated' here"],
    ),
    "dtype": (made(), made(dtype=torch.float64), ["dtype is 'float32' there, 'float64' here"]),
    "fields": (
        made(), made(fields=("accuracy",)), ["fields is ['loss'] there, ['loss', 'accuracy'] here"],
    ),
    "weight decay": (
        made(weight_decay=0.1), made(weight_decay=0.2), ["weight_decay is 0.1 there, 0.2 here"],
    ),
    "weight": (made(), made(weight="tokens"), ["weight is 'samples' there, 'tokens' here"]),
    "reduction": (made(), made(reduction="mean"), ["reduction is None there, 'mean' here"]),
    "separable": (made(), made(separable=False), ["separable is True there, False here"]),
    "loss": (made(), made(loss_fn=nn.CrossEntropyLoss(label_smoothing=0.1)), ["the loss function differs"]),
    "code": (made(model=Doubled()), made(model=Plain()), ["the model's code differs"]),
    "buffers": (images(cnn()), images(moved()), ["the model's buffers differ, such as running statistics"]),
    "function": (of_function(), of_function(1.0), ["the function differs"]),
    "kind": (made(), of_step(), ["it is the objective of a model, a loss and data there, of a model and a step here"]),
    "frozen": (
        made(), made(model=thawed(True)),
        ["the parameters have other names or shapes (P = 53 there, 23 here)", "the model's frozen parameters differ"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_differs_is_said_in_words(what: str) -> None:
    there, here, words = CHANGES[what]
    found = differences(there.parts, here.parts)
    assert [one for one in found if "structure" not in one] == words
    assert (there.hash == here.hash) == (not found)


def test_where_a_random_direction_is_scaled_is_θ_with_its_shapes() -> None:
    flat = la.Objective.from_function(lambda t: t @ t, made().theta)
    assert origin_of(made()) == origin_of(made(data=(X + 1, Y))) != origin_of(flat)
    assert origin_of(made()) != origin_of(made(model=mlp(6, 5, 3, seed=1)))


def test_what_belongs_to_python_is_known_by_its_name_and_not_followed_into_its_source() -> None:
    gate, log, name = threading.Event(), logging.getLogger("mine"), pathlib.Path("data")

    def loss(theta: Tensor) -> Tensor:
        gate.wait(0)
        log.debug("%s", name)
        return theta @ theta

    described = list(fingerprint._describe(loss, {}))
    assert len(described) < 100
    assert "threading.Event" in described
    assert (
        la.Objective.from_function(loss, torch.zeros(2)).hash
        == la.Objective.from_function(loss, torch.zeros(2)).hash
    )
