from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la
from tests.zoo import (
    F,
    classification,
    cnn,
    counting,
    flat,
    linear_net,
    load,
    loop,
    mlp,
    normal,
    number,
    whole,
)

# Rounding of a mean of some hundred float32 numbers in another order and number of threads.
FLOAT32 = 3e-6
# The same in float64; closed forms hold to 1e-10 (known answers, section 5).
FLOAT64 = 1e-12


# Law 2: a value is a plain loop's.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [32, 50, 64])
def test_a_value_is_that_of_a_plain_loop_over_samples_also_with_a_short_last_batch(
    size: int, dtype: torch.dtype
) -> None:
    x, y = classification(130, dtype=dtype)
    model = mlp(6, 8, 3, dtype=dtype)
    batches = list(zip(x.split(size), y.split(size), strict=True))
    objective = la.Objective(model, F.cross_entropy, batches)
    assert objective.value(flat(model)) == pytest.approx(
        loop(model, F.cross_entropy, batches), rel=FLOAT32 if dtype == torch.float32 else FLOAT64
    )


def test_batches_are_weighted_by_their_samples_and_not_counted() -> None:
    # Batch means 1 and 10: per sample (3 · 1 + 1 · 10) / 4, per batch 5.5.
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.ones_(model.weight)
    batches = [(torch.ones(3, 1), torch.zeros(3)), (torch.full((1, 1), 10.0), torch.zeros(1))]
    assert la.Objective(model, lambda out, y: out.mean(), batches).value(torch.ones(1)) == 13 / 4


def test_sums_run_in_float64_over_many_chunks() -> None:
    # 200 000 float32 terms of 0.1: a float32 accumulator is off in the fourth digit; two chunk means are rounded.
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    x = torch.full((300_000, 1), 0.1)
    objective = la.Objective(model, lambda out, y: out.mean(), (x, torch.zeros(300_000)))
    assert objective.value(torch.ones(1)) == pytest.approx(float(torch.tensor(0.1)), rel=3e-7)


# Closed forms.


def test_linear_regression_has_the_value_and_gradient_of_its_normal_equations() -> None:
    x, y = normal(40, 5, dtype=torch.float64), normal(40, 1, seed=1, dtype=torch.float64)
    model = linear_net(5, 1)
    objective = la.Objective(model, nn.MSELoss(), (x, y))
    w = normal(5, seed=2, dtype=torch.float64)
    residual = x @ w - y[:, 0]
    assert objective.value(w) == pytest.approx(float((residual**2).mean()), rel=1e-12)
    torch.testing.assert_close(objective.gradient(w), 2 / 40 * x.T @ residual, rtol=1e-11, atol=1e-13)


def test_a_quadratic_function_has_its_value_and_gradient() -> None:
    a = normal(6, 6, dtype=torch.float64)
    a = a + a.T
    objective = la.Objective.from_function(lambda t: 0.5 * t @ a @ t, normal(6, seed=1, dtype=torch.float64))
    t = normal(6, seed=2, dtype=torch.float64)
    assert objective.value(t) == pytest.approx(float(0.5 * t @ a @ t), rel=1e-13)
    torch.testing.assert_close(objective.gradient(t), a @ t, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("model", [mlp(6, 5, 3), mlp(6, 5, 4, 3, act=nn.Softplus)], ids=["tanh", "softplus"])
def test_the_gradient_is_that_of_central_differences(model: nn.Module) -> None:
    x, y = classification(70, dtype=torch.float64)
    batches = [(x[:64], y[:64]), (x[64:], y[64:])]
    objective = la.Objective(model.double(), F.cross_entropy, batches)
    theta, v = objective.theta, normal(objective.size, seed=5, dtype=torch.float64)
    h = 1e-5  # truncation h² ≈ 1e-10 times a third derivative, rounding 1e-16 / h = 1e-11
    difference = (objective.value(theta + h * v) - objective.value(theta - h * v)) / (2 * h)
    assert float(objective.gradient(theta) @ v) == pytest.approx(difference, rel=1e-7)


def test_the_gradient_is_autograds_own_on_every_kind_of_layer() -> None:
    model, x, y = cnn().eval(), normal(20, 1, 8, 8), whole(3, 20)
    F.cross_entropy(model(x), y).backward()
    expected = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    gradient = la.Objective(model, F.cross_entropy, (x, y)).gradient(flat(model))
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_values_are_the_value_of_every_row() -> None:
    objective = la.Objective(mlp(6, 5, 3), F.cross_entropy, classification(40))
    thetas = torch.stack([objective.theta * scale for scale in (0.5, 1.0, 2.0)])
    values = objective.values(thetas)
    assert values.dtype == np.float64
    assert values.tolist() == [objective.value(theta) for theta in thetas]
    assert objective.values(thetas[:0]).shape == (0,)


def test_theta_is_the_users_parameters_and_a_copy() -> None:
    model = mlp(6, 5, 3)
    objective = la.Objective(model, F.cross_entropy, classification(8))
    assert torch.equal(objective.theta, flat(model))
    objective.theta.zero_()
    assert torch.equal(objective.theta, flat(model))
    assert not objective.theta.requires_grad


# Law 3: what the user's loss weighs.


def test_a_sum_is_found_out_and_divided_by_the_samples() -> None:
    x, y = classification(100, dtype=torch.float64)
    model = mlp(6, 5, 3, dtype=torch.float64)
    batches = list(zip(x.split(32), y.split(32), strict=True))
    objective = la.Objective(model, nn.CrossEntropyLoss(reduction="sum"), batches)
    assert objective.value(flat(model)) == pytest.approx(number(F.cross_entropy(model(x), y)), rel=FLOAT64)
    assert any("sum over samples" in note for note in objective.notes)
    assert objective.separable


def test_a_sum_is_found_out_where_the_loss_is_exactly_zero() -> None:
    # A perfect fit doubles to zero, like a mean: the probe must look elsewhere.
    model = linear_net(3, 1)
    x = normal(10, 3, dtype=torch.float64)
    objective = la.Objective(model, nn.MSELoss(reduction="sum"), (x, model(x).detach()))
    w = flat(model) + 1
    assert objective.value(flat(model)) == 0.0
    assert objective.value(w) == pytest.approx(float((x.sum(1) ** 2).mean()), rel=FLOAT64)


def test_the_stated_reduction_settles_doubt() -> None:
    x, y = normal(10, 3, dtype=torch.float64), normal(10, 1, dtype=torch.float64)
    mean = la.Objective(linear_net(3, 1), nn.MSELoss(), (x, y))
    stated = la.Objective(linear_net(3, 1), nn.MSELoss(), (x, y), reduction="sum")
    assert stated.value(stated.theta) == pytest.approx(mean.value(mean.theta) / 10, rel=FLOAT64)


def test_one_loss_per_sample_is_averaged() -> None:
    x, y = classification(100, dtype=torch.float64)
    model = mlp(6, 5, 3, dtype=torch.float64)
    objective = la.Objective(model, nn.CrossEntropyLoss(reduction="none"), (x, y))
    assert objective.value(flat(model)) == pytest.approx(number(F.cross_entropy(model(x), y)), rel=FLOAT64)


def class_weights(scale: Tensor) -> Callable[[Any, Any], Any]:
    return lambda output, y: F.cross_entropy(output, y, weight=scale.to(output.dtype))


ARRANGED = {
    "as they come": lambda y: torch.arange(len(y)),
    "sorted by class": lambda y: y.argsort(stable=True),
    "one class after the other in turn": lambda y: torch.cat(
        [(y == c).nonzero()[: min(y.bincount())] for c in range(3)], dim=1
    ).reshape(-1),
}


@pytest.mark.parametrize("arrangement", ARRANGED)
@pytest.mark.parametrize("n", [90, 511, 1600])
def test_class_weights_give_the_users_own_full_batch_loss_in_every_order(n: int, arrangement: str) -> None:
    x, y = classification(n, dtype=torch.float64)
    x, y = (part[ARRANGED[arrangement](y)] for part in (x, y))
    model = mlp(6, 5, 3, dtype=torch.float64)
    loss = class_weights(torch.tensor([1.0, 5.0, 0.2]))
    objective = la.Objective(model, loss, (x, y))
    assert not objective.separable
    assert any("kept whole and in order" in note for note in objective.notes)
    assert objective.value(flat(model)) == pytest.approx(number(loss(model(x), y)), rel=FLOAT64)


def test_class_weights_are_seen_where_the_loss_is_exactly_zero() -> None:
    def hinge(output: Tensor, y: Tensor) -> Tensor:
        weight = torch.where(y == 1, 9.0, 1.0).to(output.dtype)
        return (weight * F.relu(0.001 - output[:, 0] * (2 * y - 1))).sum() / weight.sum()

    x = torch.tensor([[1.0], [-1.0], [2.0], [-3.0], [1.5]], dtype=torch.float64)
    y = (x[:, 0] > 0).long()
    model = linear_net(1, 1)
    nn.init.ones_(model[0].weight)
    objective = la.Objective(model, hinge, (x, y))
    assert objective.value(torch.ones(1)) == 0.0
    assert not objective.separable


def test_a_contrastive_loss_is_measured_on_the_users_batches() -> None:
    def contrastive(output: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(output @ output.T, torch.arange(len(output)))

    x = normal(48, 6, dtype=torch.float64)
    batches = [(part, torch.zeros(len(part))) for part in x.split(20)]
    model = mlp(6, 4, dtype=torch.float64)
    objective = la.Objective(model, contrastive, batches)
    assert not objective.separable
    assert objective.value(flat(model)) == pytest.approx(loop(model, contrastive, batches), rel=FLOAT64)


def test_a_nearly_perfect_fit_in_float32_is_still_seen_to_be_separable() -> None:
    # Residuals near the rounding of the outputs differ with the size of the batch: no reason to keep it whole.
    model = mlp(20, 64, 64, 1)
    x = normal(3000, 20, seed=3)
    with torch.no_grad():
        y = model(x) + 1e-6 * normal(3000, 1, seed=4)
    assert la.Objective(model, nn.MSELoss(), (x, y)).separable


def test_tokens_weigh_what_the_loss_averages_over() -> None:
    x, y = normal(64, 3, 10, dtype=torch.float64), whole(3, 64, 10)
    lengths = 1 + whole(10, 64, seed=5)
    y[torch.arange(10) >= lengths[:, None]] = -100
    model = nn.Conv1d(3, 3, 1).double()
    batches = list(zip(x.split(20), y.split(20), strict=True))
    objective = la.Objective(model, F.cross_entropy, batches, weight="tokens", fields=("accuracy",))
    assert objective.separable
    assert objective.value(flat(model)) == pytest.approx(number(F.cross_entropy(model(x), y)), rel=FLOAT64)
    accuracy = la.Landscape(objective, la.Plane.random(objective)).evaluate(0, 0, field="accuracy")
    counted = y != -100
    assert accuracy == pytest.approx(number((model(x).argmax(1) == y)[counted].double().mean()), rel=FLOAT64)


def test_a_sum_over_tokens_is_divided_by_the_tokens() -> None:
    x, y = normal(30, 3, 4, dtype=torch.float64), whole(3, 30, 4)
    y[:7, 1:] = -100
    model = nn.Conv1d(3, 3, 1).double()
    objective = la.Objective(model, nn.CrossEntropyLoss(reduction="sum"), (x, y), weight="tokens")
    assert objective.value(flat(model)) == pytest.approx(number(F.cross_entropy(model(x), y)), rel=FLOAT64)


def test_a_batch_in_which_nothing_counts_does_not_poison_the_mean() -> None:
    x, y = classification(40, dtype=torch.float64)
    y[:10] = -100  # the whole first batch: its own mean is 0 / 0
    model = mlp(6, 3, dtype=torch.float64)
    batches = list(zip(x.split(10), y.split(10), strict=True))
    objective = la.Objective(model, F.cross_entropy, batches, weight="tokens")
    expected = number(F.cross_entropy(model(x), y))
    assert objective.value(flat(model)) == pytest.approx(expected, rel=FLOAT64)
    assert torch.isfinite(objective.gradient(objective.theta)).all()


def test_a_function_may_say_what_a_batch_weighs() -> None:
    batches = [(torch.ones(3, 1), torch.zeros(3)), (torch.full((1, 1), 10.0), torch.zeros(1))]
    model = nn.Linear(1, 1, bias=False)
    objective = la.Objective(
        model, lambda out, y: out.mean(), batches, weight=lambda batch: float(batch.x[0, 0])
    )
    # Means 1 and 10 with weights 1 and 10: (1 · 1 + 10 · 10) / 11.
    assert objective.value(torch.ones(1)) == pytest.approx(101 / 11, rel=1e-7)


def test_a_model_made_for_one_batch_size_is_measured_on_the_users_batches() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3).double()

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.view(8, 6))

    x, y = classification(24, dtype=torch.float64)
    batches = list(zip(x.split(8), y.split(8), strict=True))
    model = Fixed()
    objective = la.Objective(model, F.cross_entropy, batches)
    assert objective.value(flat(model)) == pytest.approx(loop(model, F.cross_entropy, batches), rel=FLOAT64)
    assert not objective.separable


# Law 4.


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_stays_so(bad: float) -> None:
    objective = la.Objective.from_function(lambda t: torch.where(t[0] > 1, bad, t[0]), torch.zeros(2))
    value = objective.value(torch.tensor([2.0, 0.0]))
    assert np.isnan(value) if np.isnan(bad) else value == bad
    assert objective.value(torch.tensor([0.5, 0.0])) == 0.5


def test_nan_in_the_data_is_a_loss_of_nan_and_no_error() -> None:
    x, y = classification(10)
    x[3, 2] = float("nan")
    objective = la.Objective(mlp(6, 3), F.cross_entropy, (x, y))
    assert np.isnan(objective.value(objective.theta))


# Law 5: what makes the hash, and noise.


def make(**changes: Any) -> la.Objective:
    x, y = classification(30)
    given: dict[str, Any] = {"model": mlp(6, 5, 3), "loss_fn": F.cross_entropy, "data": (x, y), **changes}
    return la.Objective(**given)


def test_the_same_recipe_has_the_same_hash_and_the_same_bits() -> None:
    first, second = make(), make()
    assert first.hash == second.hash
    assert first.value(first.theta) == second.value(second.theta)


def smooth(value: float) -> Callable[[Any, Any], Any]:
    return lambda output, y: F.cross_entropy(output, y, label_smoothing=value)


class Scaled(nn.Module):
    """A constant that is no parameter, which repr does not show."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.layer, self.scale = mlp(6, 3), scale

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.layer(x)


class Rectified(nn.Module):
    def __init__(self, act: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.act = mlp(6, 3), act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.layer(x))


def hooked(model: nn.Module) -> nn.Module:
    model.register_forward_hook(lambda module, args, output: 2 * output)
    return model


x30, y30 = classification(30)
DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "parameters": ({}, {"model": mlp(6, 5, 3, seed=1)}),
    "inputs": ({}, {"data": (x30 + 1, y30)}),
    "targets": ({}, {"data": (x30, (y30 + 1) % 3)}),
    "order of samples": ({}, {"data": (x30.flip(0), y30.flip(0))}),
    "dtype": ({}, {"dtype": torch.float64}),
    "fields": ({}, {"fields": ("accuracy",)}),
    "weight": ({}, {"weight": "tokens"}),
    "buffers": ({"model": cnn(), "data": (normal(5, 1, 8, 8), y30[:5])}, {"model": cnn(seed=0).append(nn.Identity())}),
    "class weights": (
        {"loss_fn": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, 2.0]))},
        {"loss_fn": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, 3.0]))},
    ),
    "label smoothing": (
        {"loss_fn": nn.CrossEntropyLoss(label_smoothing=0.1)}, {"loss_fn": nn.CrossEntropyLoss(label_smoothing=0.2)},
    ),
    "closures": ({"loss_fn": smooth(0.1)}, {"loss_fn": smooth(0.2)}),
    "attributes": ({"model": Scaled(1.0)}, {"model": Scaled(2.0)}),
    "activations": ({"model": Rectified(torch.relu)}, {"model": Rectified(torch.tanh)}),
    "names in one line of code": (
        {"loss_fn": lambda output, y: F.mse_loss(output[:, 0], y.to(output.dtype))},
        {"loss_fn": lambda output, y: F.l1_loss(output[:, 0], y.to(output.dtype))},
    ),
    "hooks": ({}, {"model": hooked(mlp(6, 5, 3))}),
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFERENT)
def test_another_recipe_has_another_hash(what: str) -> None:
    first, second = DIFFERENT[what]
    assert make(**first).hash == make(**first).hash
    assert make(**first).hash != make(**{**first, **second}).hash


def test_functions_that_close_over_other_numbers_have_other_hashes() -> None:
    def quadratic(a: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda t: t @ a @ t

    one, two = (la.Objective.from_function(quadratic(a * torch.eye(3)), torch.ones(3)) for a in (1, 2))
    again = la.Objective.from_function(quadratic(torch.eye(3)), torch.ones(3))
    assert one.hash == again.hash != two.hash


class Noisy(nn.Module):
    def __init__(self, noise: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.noise = mlp(6, 3), noise

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.noise(x)


GENERATOR = torch.Generator()


@pytest.mark.parametrize(
    ("noise", "seen"),
    [
        (lambda x: F.dropout(x)[:, :3], "it draws random numbers"),
        (lambda x: 0 * torch.rand(3), "it draws random numbers"),
        (lambda x: float(np.random.normal()) * x[:, :3], "two evaluations gave"),  # noqa: NPY002
        (lambda x: 0 * float(np.random.normal()), r"it draws random numbers \(of NumPy"),  # noqa: NPY002
        (lambda x: torch.rand(3, generator=GENERATOR), "two evaluations gave"),
    ],
    ids=["dropout", "without effect", "numpy", "numpy without effect", "own generator"],
)
def test_a_loss_that_draws_random_numbers_is_refused_in_words(noise: Any, seen: str) -> None:
    with pytest.raises(
        ValueError, match=rf"not a function of the parameters alone: {seen}.*Switch the noise off"
    ):
        la.Objective(Noisy(noise), F.cross_entropy, classification(8))


def test_a_function_that_draws_random_numbers_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="not a function of the parameters alone"):
        la.Objective.from_function(lambda t: t.sum() + torch.rand(()), torch.zeros(2))


def test_dropout_layers_are_off_and_attention_is_no_noise() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.RReLU(), nn.Linear(8, 3))
    objective = la.Objective(model, F.cross_entropy, classification(8))
    assert objective.value(objective.theta) == objective.value(objective.theta)
    layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=8, batch_first=True)
    objective = la.Objective(layer, F.mse_loss, (normal(6, 5, 8), normal(6, 5, 8, seed=1)))
    assert objective.value(objective.theta) == pytest.approx(
        loop(layer, F.mse_loss, [(normal(6, 5, 8), normal(6, 5, 8, seed=1))]), rel=FLOAT32
    )


# Models and data of every kind, against the plain loop, at a point other than the origin.


class Differentiating(nn.Module):
    """Its output is the derivative of a network by its input, as in physics-informed models."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp(2, 8, 1, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().clone().requires_grad_(True)
            return torch.autograd.grad(self.net(x).sum(), x, create_graph=True)[0]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 5, batch_first=True).double(), nn.Linear(5, 3).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 3).double(), nn.Linear(2, 3).double()

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.left(left) * self.right(right)


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(6, 6).double(), nn.Linear(6, 3).double()
        self.middle = nn.Linear(6, 6).double()
        self.middle.weight = self.encoder.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(torch.tanh(self.middle(torch.tanh(self.encoder(x)))))


class Counting(nn.Module):
    """Writes to a buffer and replaces another in every forward pass, and scales its output by both."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3).double()
        self.register_buffer("written", torch.zeros(()))
        self.register_buffer("replaced", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        output = self.layer(x) * (1 + self.written + self.replaced)
        self.written.add_(1)
        self.replaced = self.replaced + 1
        return output


def frozen() -> nn.Module:
    model = mlp(6, 8, 3, dtype=torch.float64)
    model[0].weight.requires_grad_(False)
    return model


def doubled_by_a_hook() -> nn.Module:
    model = mlp(6, 8, 3, dtype=torch.float64)
    model[0].register_forward_hook(lambda module, args, output: 2 * output + 1)
    model[2].register_forward_pre_hook(lambda module, args: (args[0] * 3,))
    return model


X, Y = classification(70, dtype=torch.float64)
IMAGES, SEQUENCES = normal(70, 1, 8, 8, dtype=torch.float64), normal(70, 7, 4, dtype=torch.float64)
CASES: dict[str, tuple[Callable[[], nn.Module], Any, Any]] = {
    "mlp": (lambda: mlp(6, 8, 3, dtype=torch.float64), F.cross_entropy, X),
    "cnn with batch norm": (lambda: cnn().double(), F.cross_entropy, IMAGES),
    "tied weights": (Autoencoder, F.cross_entropy, X),
    "frozen parameters": (frozen, F.cross_entropy, X),
    "hooks that change outputs": (doubled_by_a_hook, F.cross_entropy, X),
    "lstm": (Recurrent, F.cross_entropy, SEQUENCES),
    "weight norm": (
        lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3).double()), F.cross_entropy, X,
    ),
    "a loss module": (lambda: mlp(6, 8, 3, dtype=torch.float64), nn.CrossEntropyLoss(label_smoothing=0.1), X),
    "a derivative inside": (Differentiating, lambda o, y: (o**2).mean(), X[:, :2].contiguous()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_model_has_the_value_and_gradient_of_a_plain_loop(case: str) -> None:
    build, loss_fn, x = CASES[case]
    model = build()
    batches = list(zip(x.split(32), Y.split(32), strict=True))
    objective = la.Objective(model, loss_fn, batches)
    assert objective.size == len(flat(model))
    point = objective.theta + 0.1 * normal(objective.size, seed=9, dtype=torch.float64)
    value, gradient = objective.value(point), objective.gradient(point)

    model = load(model, point).eval()
    assert value == pytest.approx(loop(model, loss_fn, batches), rel=FLOAT64)
    total = sum(loss_fn(model(a), b) * len(b) for a, b in batches) / len(Y)
    trainable = [p for p in model.parameters() if p.requires_grad]
    expected = torch.cat(
        [g.reshape(-1) for g in torch.autograd.grad(total, trainable, materialize_grads=True)]
    )
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


def test_a_model_that_counts_its_own_calls_has_one_value_per_point() -> None:
    model = Counting()
    objective = la.Objective(model, F.cross_entropy, (X, Y), separable=False)
    values = {objective.value(objective.theta) for _ in range(3)}
    assert len(values) == 1
    assert values.pop() == pytest.approx(number(F.cross_entropy(model.layer(X), Y)), rel=FLOAT64)


def test_a_forward_pass_that_fails_leaves_no_trace_in_the_next_value() -> None:
    class Fragile(Counting):
        def forward(self, x: Tensor) -> Tensor:
            output = super().forward(x)
            if self.layer.bias[0] > 5:
                raise RuntimeError("too far")
            return output

    objective = la.Objective(Fragile(), F.cross_entropy, (X, Y))
    before = objective.value(objective.theta)
    with pytest.raises(la.EvaluationError, match="too far"):
        objective.value(objective.theta + 100)
    assert objective.value(objective.theta) == before


def test_tuples_go_in_as_arguments_and_mappings_as_keywords() -> None:
    model = Two()
    left, right = normal(70, 3, dtype=torch.float64), normal(70, 2, seed=1, dtype=torch.float64)
    expected = number(F.cross_entropy(model(left, right), Y))
    for x in ((left, right), {"right": right, "left": left}):
        objective = la.Objective(model, F.cross_entropy, [(x, Y)])
        assert objective.value(objective.theta) == pytest.approx(expected, rel=FLOAT64)


def test_loaders_lists_and_arrays_give_the_same_value() -> None:
    model = mlp(6, 5, 3)
    x, y = classification(50)
    forms = [
        (x, y),
        (x.double().numpy(), y.numpy()),
        [(x[:20], y[:20]), (x[20:], y[20:])],
        DataLoader(TensorDataset(x, y), batch_size=7),
        DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True),
    ]
    values = [la.Objective(model, F.cross_entropy, data).value(flat(model)) for data in forms]
    assert values == pytest.approx([values[0]] * 5, rel=FLOAT32)


def test_a_module_as_loss_follows_into_another_precision() -> None:
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))
    model = mlp(6, 5, 3)
    x, y = classification(20)
    objective = la.Objective(model, loss, (x, y), dtype=torch.float64)
    expected = loss.double()(model.double()(x.double()), y)
    assert objective.value(objective.theta) == pytest.approx(number(expected), rel=FLOAT64)


def test_another_precision_is_another_objective_of_the_same_point() -> None:
    model, data = mlp(6, 5, 3), classification(20)
    objective = la.Objective(model, F.cross_entropy, data, dtype=torch.float64)
    assert objective.theta.dtype == torch.float64
    assert torch.equal(objective.theta.float(), flat(model))
    single = la.Objective(model, F.cross_entropy, data)
    assert objective.value(objective.theta) == pytest.approx(single.value(single.theta), rel=FLOAT32)


def test_an_objective_can_be_made_and_used_in_inference_mode() -> None:
    with torch.inference_mode():
        model = mlp(6, 5, 3)
        x, y = classification(20)
        objective = la.Objective(model, F.cross_entropy, (x, y))
        plane = la.Plane.random(objective)
        value = la.Landscape(objective, plane).evaluate(0.5, 0.5)
        assert value == pytest.approx(objective.value(plane.at(0.5, 0.5)), rel=1e-6)
        assert torch.isfinite(objective.gradient(objective.theta)).all()


# The user's model, later.


def test_a_change_of_the_model_is_noticed_and_renewed() -> None:
    model, data = mlp(6, 5, 3), classification(20)
    objective = la.Objective(model, F.cross_entropy, data, separable="auto")
    assert not objective.model_changed
    with torch.no_grad():
        model[0].bias.add_(1)
    assert objective.model_changed
    fresh = objective.renewed()
    assert torch.equal(fresh.theta, flat(model))
    assert fresh.hash == la.Objective(model, F.cross_entropy, data).hash != objective.hash
    assert not fresh.model_changed


def test_an_objective_keeps_no_model_alive_and_says_so() -> None:
    model = mlp(6, 5, 3)
    objective = la.Objective(model, F.cross_entropy, classification(20))
    del model
    assert not objective.model_changed
    with pytest.raises(ValueError, match="no longer exists. Make a new map"):
        objective.renewed()


def test_renewing_reads_no_data_again() -> None:
    x, y = classification(20)
    reads = []

    class Loader:
        def __iter__(self) -> Any:
            reads.append(1)
            return iter([(x, y)])

    model = mlp(6, 5, 3)
    objective = la.Objective(model, F.cross_entropy, Loader())
    assert objective.renewed().hash == objective.hash
    assert len(reads) == 1


# Law 8: a wrong call, in words.


class Complaining(nn.Module):
    """Raises where its first parameter is above 1."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.layer.weight[0, 0] > 1:
            raise IndexError("no such expert")
        return self.layer(x)


def with_nan() -> nn.Module:
    model = mlp(6, 3)
    with torch.no_grad():
        model[0].weight[1, 2] = float("nan")
    return model


def without_trainable() -> nn.Module:
    return mlp(6, 3).requires_grad_(False)


def mixed() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 3).double())


class Uncopied(nn.Identity):
    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError("not me")


GOOD = classification(8)
BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no module": (
        lambda: la.Objective(torch.relu, F.cross_entropy, GOOD), TypeError,
        "model is a builtin_function_or_method, not a torch.nn.Module. Pass the module, or a plain function",
    ),
    "a module class": (
        lambda: la.Objective(nn.Linear, F.cross_entropy, GOOD), TypeError, "model is a type, not a torch.nn.Module",
    ),
    "no trainable parameters": (
        lambda: la.Objective(without_trainable(), F.cross_entropy, GOOD), ValueError,
        "Sequential has no trainable parameters. Set requires_grad",
    ),
    "parameters of NaN": (
        lambda: la.Objective(with_nan(), F.cross_entropy, GOOD), ValueError,
        "The parameter '0.weight' holds 1 non-finite values among 18.*load a sound checkpoint",
    ),
    "lazy parameters": (
        lambda: la.Objective(nn.LazyLinear(3), F.cross_entropy, GOOD), ValueError,
        "'weight' has no shape yet. Run the model on one batch",
    ),
    "no values": (
        lambda: la.Objective(nn.Linear(6, 3, device="meta"), F.cross_entropy, GOOD), ValueError, "meta device",
    ),
    "complex parameters": (
        lambda: la.Objective(nn.Linear(6, 3, dtype=torch.complex64), F.cross_entropy, GOOD), ValueError,
        r"'weight' is complex \(torch.complex64\). Store it as two real tensors",
    ),
    "buffers without values": (
        lambda: la.Objective(nn.Sequential(mlp(6, 3), nn.BatchNorm1d(3, affine=False, device="meta")), F.cross_entropy, GOOD),
        ValueError, "The buffer '1.running_mean' is on the meta device and has no values. Load the weights",
    ),
    "no copy": (
        lambda: la.Objective(mlp(6, 3).append(Uncopied()), F.cross_entropy, GOOD), ValueError,
        "Sequential cannot be copied: not me. The engine works on a copy",
    ),
    "two dtypes": (
        lambda: la.Objective(mixed(), F.cross_entropy, GOOD), la.EvaluationError,
        "must have the same dtype.*Pass one for the copy to be measured in, as in dtype=torch.float32",
    ),
    "loss not callable": (
        lambda: la.Objective(mlp(6, 3), 0.5, GOOD), TypeError, "loss_fn is a float, not callable. Pass a function",
    ),
    "loss not a scalar": (
        lambda: la.Objective(mlp(6, 3), lambda o, y: o[:3], GOOD), ValueError,
        r"returned a tensor of shape \(3, 3\) for a batch of 8 samples, not a scalar. Return a scalar",
    ),
    "loss not a number": (
        lambda: la.Objective(mlp(6, 3), lambda o, y: "low", GOOD), TypeError, "returned a str, not a loss. Return",
    ),
    "loss of nothing": (
        lambda: la.Objective(mlp(6, 3), lambda o, y: None, GOOD), TypeError, "returned a NoneType, not a loss",
    ),
    "loss of integers": (
        lambda: la.Objective(mlp(6, 3), lambda o, y: o.argmax(), GOOD), TypeError, "a tensor of torch.int64",
    ),
    "empty data": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, []), ValueError, "data is empty",
    ),
    "different lengths": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, (GOOD[0], GOOD[1][:5])), ValueError, "lengths, 8 and 5",
    ),
    "another device": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, (GOOD[0].to("meta"), GOOD[1])), ValueError,
        r"x is on the device meta, but the model is on cpu. Move the data there with .to\('cpu'\)",
    ),
    "a generator": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, (pair for pair in [GOOD])), TypeError, r"Pass list\(data\)",
    ),
    "wrong width": (
        lambda: la.Objective(mlp(5, 3), F.cross_entropy, GOOD), la.EvaluationError,
        r"RuntimeError on a first batch with x \(8, 6\) float32, y \(8,\) int64: .*Check that loss_fn\(model\(x\), y\) runs",
    ),
    "reduction": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, GOOD, reduction="none"), ValueError, "reduction is 'none'",
    ),
    "separable": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, GOOD, separable="yes"), ValueError, "separable is 'yes'",
    ),
    "weight": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, GOOD, weight="rows"), ValueError, "weight is 'rows'",
    ),
    "no weight at all": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, GOOD, weight=lambda batch: 0.0), ValueError, "All batches weigh 0",
    ),
    "weight of NaN": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, GOOD, weight=lambda batch: float("nan")), ValueError,
        "The weight of batch 0 is nan",
    ),
    "weight that raises": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, GOOD, weight=lambda batch: batch.rows), ValueError,
        "weight raised TypeError",
    ),
    "dtype": (
        lambda: la.Objective(mlp(6, 3), F.cross_entropy, GOOD, dtype=torch.int64), TypeError, "dtype is torch.int64",
    ),
    "no function": (
        lambda: la.Objective.from_function(3, torch.zeros(2)), TypeError, "f is a int, not callable",
    ),
    "theta0 of words": (
        lambda: la.Objective.from_function(torch.sum, "start"), TypeError, "theta0 is a str. Pass a floating tensor",
    ),
    "theta0 of integers": (
        lambda: la.Objective.from_function(torch.sum, torch.arange(3)), ValueError,
        r"theta0 has shape \(3,\) and dtype torch.int64. Pass a floating vector",
    ),
    "theta0 of NaN": (
        lambda: la.Objective.from_function(torch.sum, torch.tensor([0.0, float("nan")])), ValueError,
        "theta0 holds 1 non-finite values among 2",
    ),
    "a function of no scalar": (
        lambda: la.Objective.from_function(lambda t: t, torch.zeros(2)), ValueError,
        r"f returned a tensor of shape \(2,\), not a scalar. Return a tensor of one element",
    ),
    "a function that raises": (
        lambda: la.Objective.from_function(lambda t: t[5], torch.zeros(2)), la.EvaluationError, "IndexError at theta0",
    ),
    "wrong length": (
        lambda: make().value(torch.zeros(3)), ValueError, r"theta has shape \(3,\). Pass a vector of length P = 53",
    ),
    "a matrix": (
        lambda: make().value(torch.zeros(1, 53)), ValueError, r"theta has shape \(1, 53\). Pass a vector",
    ),
    "a row too short": (
        lambda: make().values(torch.zeros(4, 3)), ValueError, r"thetas has shape \(4, 3\). Pass \(K, 53\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_call_is_named_with_its_value_and_the_cure(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message) as raised:
        call()
    assert re.search(r"[.!]$", str(raised.value)), "not a sentence"


def test_a_model_that_raises_in_the_middle_gives_its_error_as_the_cause() -> None:
    objective = la.Objective(Complaining(), F.cross_entropy, GOOD)
    with pytest.raises(la.EvaluationError, match="IndexError at row 1 with x.*no such expert") as raised:
        objective.values(torch.stack([objective.theta, objective.theta + 5]))
    assert isinstance(raised.value.__cause__, IndexError)
    with pytest.raises(la.EvaluationError, match="IndexError in the gradient with x"):
        objective.gradient(objective.theta + 5)
    assert isinstance(objective.value(objective.theta), float)


def test_a_frozen_mask_may_hold_infinity() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = mlp(6, 3)
            self.mask = nn.Parameter(torch.tensor([0.0, 0.0, -float("inf")]), requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return (self.layer(x) + self.mask).softmax(1)

    objective = la.Objective(Masked(), F.mse_loss, (GOOD[0], torch.zeros(8, 3)))
    assert np.isfinite(objective.value(objective.theta))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("mode", ["eval", "batch_stats", "reestimated"])
def test_a_model_on_a_gpu_is_measured_there(mode: str) -> None:
    x, y = normal(40, 1, 8, 8), whole(3, 40)
    here = la.Objective(cnn(), F.cross_entropy, (x, y), mode=mode)
    there = la.Objective(cnn().cuda(), F.cross_entropy, (x, y), mode=mode)
    assert there.device.type == there.theta.device.type == "cuda"
    assert there.value(there.theta) == pytest.approx(here.value(here.theta), rel=1e-5)
    if mode != "reestimated":
        torch.testing.assert_close(
            there.gradient(there.theta).cpu(), here.gradient(here.theta), rtol=1e-3, atol=1e-5
        )
    step = la.Objective.from_step(
        cnn().cuda(), lambda m, b: F.cross_entropy(m(b[0]), b[1]), [(x, y)], mode=mode
    )
    assert step.value(step.theta) == pytest.approx(here.value(here.theta), rel=1e-5)


def test_the_models_copy_runs_once_per_chunk_and_point() -> None:
    loss, calls = counting(F.cross_entropy)
    objective = la.Objective(mlp(6, 3), loss, GOOD)
    calls.clear()
    objective.values(objective.theta.repeat(5, 1))
    assert len(calls) == 5


def test_a_function_that_raises_is_called_a_function() -> None:
    def f(theta: torch.Tensor) -> torch.Tensor:
        if float(theta[0]) > 0.5:
            raise ArithmeticError("no logarithm of that")
        return (theta**2).sum()

    objective = la.Objective.from_function(f, torch.zeros(2))
    with pytest.raises(la.EvaluationError) as raised:
        objective.value(torch.ones(2))
    assert str(raised.value).startswith("The function raised ArithmeticError at row 0: no logarithm of that.")
    assert "model" not in str(raised.value)
