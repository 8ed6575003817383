"""Normalisation by running, batch and re-estimated statistics, each against torch's own means; weight decay."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

import lossatlas as la
from tests.zoo import F, classification, cnn, flat, load, mlp, normal, number, seeded, whole

FLOAT64 = 1e-12
IMAGES, LABELS = normal(70, 1, 8, 8, dtype=torch.float64), whole(3, 70)
BATCHES = list(zip(IMAGES.split(32), LABELS.split(32), strict=True))
X, Y = classification(70, dtype=torch.float64)


def with_dropout() -> nn.Module:
    return cnn().double().insert(5, nn.Dropout(0.5))


def with_instance_norm() -> nn.Module:
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.InstanceNorm2d(4, track_running_stats=True), nn.ReLU(),
            nn.AvgPool2d(4), nn.Flatten(), nn.Linear(16, 3),
        ).double()  # fmt: skip


def step(model: nn.Module, batch: Any) -> Tensor:
    return F.cross_entropy(model(batch[0]), batch[1])


MAKE = {
    "pairs": lambda model, **options: la.Objective(model, F.cross_entropy, BATCHES, **options),
    "step": lambda model, **options: la.Objective.from_step(model, step, BATCHES, **options),
}


def norms_in_training(model: nn.Module) -> nn.Module:
    """Dropout off, batch norm by the batch: by torch's own switches."""
    model.eval()
    for part in model.modules():
        if isinstance(part, nn.modules.batchnorm._NormBase):
            part.train()
    return model


def mean_loss(model: nn.Module) -> Tensor:
    return sum(F.cross_entropy(model(x), y) * len(y) for x, y in BATCHES) / len(LABELS)


@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize("build", [with_dropout, with_instance_norm])
def test_batch_statistics_are_those_of_each_of_the_users_batches_at_every_point(
    build: Any, make: str
) -> None:
    model = build()
    objective = MAKE[make](model, mode="batch_stats")
    point = objective.theta + 0.1 * normal(objective.size, dtype=torch.float64)
    plain = norms_in_training(load(copy.deepcopy(model), point))
    loss = mean_loss(plain)
    expected = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(plain.parameters()))])
    assert objective.value(point) == pytest.approx(number(loss), rel=FLOAT64)
    torch.testing.assert_close(objective.gradient(point), expected, rtol=1e-9, atol=1e-12)
    assert objective.value(point) == objective.value(point)
    assert not objective.separable
    assert any("statistics of each of your batches" in note for note in objective.notes)


@pytest.mark.parametrize("make", MAKE)
def test_re_estimated_statistics_are_those_of_torchs_own_update(make: str) -> None:
    model = with_dropout()
    objective = MAKE[make](model, mode="reestimated")
    for point in (objective.theta, objective.theta + 0.1 * normal(objective.size, dtype=torch.float64)):
        plain = load(copy.deepcopy(model), point).eval()
        plain[1].train()
        # update_bn sets the whole model to training: dropout is off by its own probability.
        plain[5].p = 0.0
        update_bn([x for x, _ in BATCHES], plain)
        plain.eval()
        assert objective.value(point) == pytest.approx(number(mean_loss(plain)), rel=FLOAT64)
        assert objective.value(point) == objective.value(point)
    assert any("estimated anew at every point" in note for note in objective.notes)


def test_re_estimated_instance_norm_averages_over_batches() -> None:
    model = with_instance_norm()
    objective = MAKE["pairs"](model, mode="reestimated")
    plain = copy.deepcopy(model)
    means, variances = [], []
    for x, _ in BATCHES:
        norm = copy.deepcopy(plain[1]).train()
        norm.momentum = 1.0
        norm(plain[0](x))
        means.append(norm.running_mean)
        variances.append(norm.running_var)
    plain[1].running_mean.copy_(torch.stack(means).mean(0))
    plain[1].running_var.copy_(torch.stack(variances).mean(0))
    assert objective.value(objective.theta) == pytest.approx(number(mean_loss(plain.eval())), rel=1e-10)


def test_one_batch_of_all_data_gives_the_same_loss_by_batch_and_by_re_estimated_statistics_up_to_bessel() -> (
    None
):
    # Running variances are divided by n − 1, those of a batch by n = 70 · 64: 2e-4 of a variance.
    model = cnn().double()
    data = [(IMAGES, LABELS)]
    by_batch, estimated = (
        la.Objective(model, F.cross_entropy, data, mode=mode) for mode in ("batch_stats", "reestimated")
    )
    theta = by_batch.theta
    assert by_batch.value(theta) == pytest.approx(estimated.value(theta), rel=1e-3)
    assert by_batch.value(theta) != estimated.value(theta)


def test_the_scale_of_a_weight_in_front_of_batch_norm_changes_nothing_by_batch_statistics() -> None:
    # Known answers, section 2: ⟨g_w, w⟩ = 0 as eps → 0, on one batch; in evaluation mode it does not hold.
    model = cnn().double()
    model[1].eps = 1e-12
    gradients = {}
    for mode in ("batch_stats", "eval"):
        objective = la.Objective(model, F.cross_entropy, [(IMAGES, LABELS)], mode=mode)
        entry = objective.parameters["0.weight"]
        g, w = (entry.of(vector) for vector in (objective.gradient(objective.theta), objective.theta))
        gradients[mode] = float((g * w).sum()) / float(g.norm() * w.norm())
    assert abs(gradients["batch_stats"]) < 1e-9
    assert abs(gradients["eval"]) > 1e-3


def test_the_partition_into_batches_is_part_of_what_is_measured() -> None:
    model = cnn().double()

    def made(size: int, mode: str) -> la.Objective:
        batches = list(zip(IMAGES.split(size), LABELS.split(size), strict=True))
        return la.Objective(model, F.cross_entropy, batches, mode=mode)

    for mode in ("batch_stats", "reestimated"):
        assert made(32, mode).hash != made(10, mode).hash
        assert made(32, mode).value(flat(model)) != made(10, mode).value(flat(model))
    assert made(32, "eval").hash == made(10, "eval").hash
    assert len({made(32, mode).hash for mode in ("eval", "batch_stats", "reestimated")}) == 3


@pytest.mark.parametrize("mode", ["batch_stats", "reestimated"])
def test_running_statistics_left_by_training_are_no_part_of_it(mode: str) -> None:
    model, other = cnn().double(), cnn().double()
    other[1].running_mean.add_(5.0)
    first, second = (la.Objective(m, F.cross_entropy, BATCHES, mode=mode) for m in (model, other))
    assert first.hash == second.hash
    assert first.value(first.theta) == second.value(first.theta)


@pytest.mark.parametrize("mode", ["batch_stats", "reestimated"])
def test_the_users_model_keeps_its_statistics_and_its_mode(mode: str) -> None:
    model = with_dropout().train()
    before = copy.deepcopy(model.state_dict())
    objective = la.Objective(model, F.cross_entropy, BATCHES, mode=mode)
    la.Landscape(objective, la.Plane.random(objective)).grid(shape=(3, 3))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert all(part.training for part in model.modules())
    assert model[1].momentum == 0.1


def test_a_model_without_running_statistics_says_that_the_mode_makes_no_difference() -> None:
    objective = la.Objective(mlp(6, 3), F.cross_entropy, classification(20), mode="batch_stats")
    assert any("the same as 'eval'" in note for note in objective.notes)
    assert objective.separable


def test_notes_name_the_statistics_and_dropout() -> None:
    objective = la.Objective(with_dropout(), F.cross_entropy, BATCHES)
    assert objective.notes[:2] == (
        "Normalisation layers use their running statistics (mode='eval').", "Dropout is off.",
    )  # fmt: skip
    assert la.Objective(mlp(6, 3), F.cross_entropy, classification(20)).notes == ()


def test_a_batch_of_one_sample_has_no_statistics_and_the_error_says_so() -> None:
    with seeded(0):
        model = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).double()
    batches = [(X[:20], Y[:20]), (X[20:21], Y[20:21])]
    objective = la.Objective(model, F.cross_entropy, batches, mode="batch_stats")
    with pytest.raises(la.EvaluationError, match=r"A single sample has no statistics: use other batches"):
        objective.value(objective.theta)


class Twice(nn.Module):
    """One batch norm used twice, under another: statistics of statistics."""

    def __init__(self) -> None:
        super().__init__()
        with seeded(0):
            self.first, self.norm, self.last = nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
            self.plain = nn.BatchNorm1d(4, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.first(x)))
        return self.last(self.plain(torch.tanh(self.norm(x))))


@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize("build", [with_dropout, Twice])
def test_the_gradient_of_re_estimated_statistics_is_that_of_central_differences(
    build: Any, make: str
) -> None:
    images = build is with_dropout
    batches = BATCHES if images else list(zip(X.split(32), Y.split(32), strict=True))
    act = build().double()
    if images:
        act[2], act[4] = nn.Softplus(), nn.Flatten()  # differences across kinks of a ReLU are no slopes
    options = {"mode": "reestimated", "weight_decay": 0.1}
    if make == "pairs":
        objective = la.Objective(act, F.cross_entropy, batches, **options)
    else:
        objective = la.Objective.from_step(act, step, batches, **options)
    theta = objective.theta
    gradient = objective.gradient(theta)
    h = 1e-5  # truncation 1e-10 of a third derivative, rounding 1e-16 / h = 1e-11
    for seed in range(3):
        v = normal(objective.size, seed=seed, dtype=torch.float64)
        difference = (objective.value(theta + h * v) - objective.value(theta - h * v)) / (2 * h)
        assert float(gradient @ v) == pytest.approx(difference, rel=1e-6, abs=1e-8)
    assert torch.equal(objective.gradient(theta), gradient)
    assert objective.value(theta) == objective.value(theta)


def test_statistics_that_cannot_be_followed_are_named() -> None:
    objective = MAKE["pairs"](with_instance_norm(), mode="reestimated")
    with pytest.raises(
        la.EvaluationError, match="re-estimated statistics of a InstanceNorm2d. Use mode='batch_stats'"
    ):
        objective.gradient(objective.theta)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "train"}, "mode is 'train'. Pass \"eval\""),
        ({"mode": "batch_stats", "separable": True}, "mode='batch_stats' needs them whole"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0. Pass λ"),
        ({"weight_decay": "much"}, "weight_decay is 'much'"),
        ({"weight_decay": 0.1, "fields": {"data_loss": F.cross_entropy}}, "'data_loss' is made by weight_decay=0.1"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        la.Objective(cnn().double(), F.cross_entropy, BATCHES, **options)


# Weight decay.


@pytest.mark.parametrize("make", MAKE)
def test_weight_decay_adds_half_lambda_theta_squared_as_a_field_of_its_own(make: str) -> None:
    model = cnn().double()
    plain, decayed = MAKE[make](model), MAKE[make](model, weight_decay=0.3)
    assert decayed.fields == ("loss", "data_loss", "weight_decay")
    point = plain.theta + 0.1
    expected = 0.15 * float(point @ point)
    landscape = la.Landscape(decayed, la.Plane(point, *torch.eye(len(point), dtype=point.dtype)[:2]))
    parts = {name: landscape.evaluate(0, 0, field=name) for name in decayed.fields}
    assert parts["data_loss"] == plain.value(point)
    assert parts["weight_decay"] == pytest.approx(expected, rel=FLOAT64)
    assert parts["loss"] == pytest.approx(plain.value(point) + expected, rel=FLOAT64)
    torch.testing.assert_close(
        decayed.gradient(point), plain.gradient(point) + 0.3 * point, rtol=1e-12, atol=1e-14
    )
    assert plain.hash != decayed.hash


def test_fields_of_the_users_come_after_those_of_the_decay() -> None:
    objective = la.Objective(
        mlp(6, 3), F.cross_entropy, classification(20), fields=("accuracy",), weight_decay=1e-3
    )
    assert objective.fields == ("loss", "data_loss", "weight_decay", "accuracy")


# Dropout, frozen.


class Thinned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.drop, self.last = nn.Linear(6, 40), nn.Dropout(0.25), nn.Linear(40, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(torch.tanh(self.first(x))))


def test_dropout_frozen_by_a_seed_is_a_thinned_network_the_same_everywhere() -> None:
    x, y = classification(50, dtype=torch.float64)
    model = Thinned().double().train()
    before = torch.get_rng_state()
    objective = la.Objective(model, F.cross_entropy, (x, y), dropout=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert type(model.drop) is nn.Dropout
    assert objective.separable
    assert objective.notes == (
        "Dropout is frozen by seed 3: one mask for all samples and points, in 1 layer.",
    )
    # By another route: some units of the hidden layer are taken out, the others are 4/3 as strong.
    with torch.no_grad():
        hidden = torch.tanh(model.first(x))
        outputs = []
        for unit in range(40):
            alone = torch.zeros_like(hidden)
            alone[:, unit] = hidden[:, unit]
            outputs.append(alone @ model.last.weight.T)
    (mask,) = objective._made.module.drop._masks.values() or [None]
    assert sorted(set(mask.tolist())) == pytest.approx([0.0, 4 / 3])
    assert 0.05 < float((mask == 0).double().mean()) < 0.5
    logits = sum(weight * part for weight, part in zip(mask, outputs, strict=True)) + model.last.bias
    assert objective.value(objective.theta) == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-12)


def test_the_seed_of_dropout_is_part_of_what_is_measured() -> None:
    x, y = classification(50)
    made = {seed: la.Objective(Thinned(), F.cross_entropy, (x, y), dropout=seed) for seed in (None, 1, 2)}
    assert len({objective.hash for objective in made.values()}) == 3
    again = la.Objective(Thinned(), F.cross_entropy, (x, y), dropout=1)
    assert again.hash == made[1].hash
    assert again.value(again.theta) == made[1].value(again.theta)
    other = made[1].on(classification(30, seed=4))
    assert other.notes == made[1].notes


@pytest.mark.parametrize(("dropout", "error"), [(0.5, TypeError), (True, TypeError), (-1, ValueError)])
def test_a_seed_of_dropout_that_is_none_is_named(dropout: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"dropout is {dropout}"):
        la.Objective(Thinned(), F.cross_entropy, classification(20), dropout=dropout)


def test_a_model_without_dropout_layers_says_that_there_is_nothing_to_freeze() -> None:
    objective = la.Objective(mlp(6, 3), F.cross_entropy, classification(20), dropout=1)
    assert "no dropout layer that could be frozen" in objective.notes[0]
