from __future__ import annotations

import pytest
import torch

import lossatlas as la
from lossatlas.objective.fields import accuracy, error, resolve_fields
from tests.zoo import F, classification, flat, mlp, normal, whole


def test_the_loss_comes_first_whatever_the_order() -> None:
    names, metrics = resolve_fields(("accuracy", "loss", {"margin": max}))
    assert names == ("loss", "accuracy", "margin")
    assert metrics == (accuracy, max)


def test_one_name_or_one_mapping_need_no_tuple() -> None:
    assert resolve_fields("error")[0] == ("loss", "error")
    assert resolve_fields({"margin": max})[0] == ("loss", "margin")


def test_accuracy_is_the_share_of_right_answers_and_error_the_rest() -> None:
    output = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [0.0, 5.0]])
    y = torch.tensor([0, 1, 1, 1])
    assert float(accuracy(output, y)) == 0.75
    assert float(error(output, y)) == 0.25


def test_accuracy_leaves_out_targets_that_are_ignored() -> None:
    output = torch.tensor([[[2.0, 0.0, 9.0], [1.0, 1.0, 0.0]]])  # (1, 2 classes, 3 tokens)
    assert float(accuracy(output, torch.tensor([[0, 0, -100]]))) == 0.5


@pytest.mark.parametrize("y", [torch.zeros(4), torch.zeros(4, 1, dtype=torch.int64), "labels"])
def test_accuracy_of_other_targets_is_refused_in_words(y: object) -> None:
    with pytest.raises(TypeError, match=r"needs outputs of shape \(n, classes, …\).*Pass \{'accuracy': fn"):
        accuracy(torch.zeros(4, 2), y)


def test_every_field_comes_from_the_same_forward_pass() -> None:
    model, (x, y) = mlp(6, 5, 3), classification(20)
    passes = []
    objective = la.Objective(
        model,
        F.cross_entropy,
        (x, y),
        fields=("accuracy", {"entropy": lambda o, _y: passes.append(1) or o.mean()}),
    )
    landscape = la.Landscape(objective, la.Plane.random(objective))
    passes.clear()
    assert landscape.evaluate(0.0, 0.0, field="accuracy") == float((model(x).argmax(1) == y).double().mean())
    assert landscape.evaluate(0.0, 0.0, field="loss") == objective.value(flat(model))
    landscape.evaluate(0.0, 0.0, field="entropy")
    assert len(passes) == 2  # one for the node, one for `value`


def test_a_metric_that_is_no_mean_over_samples_keeps_the_batches_whole() -> None:
    def spread(output: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return output.var()

    model, (x, y) = mlp(6, 5, 3), classification(3000, d=6)
    x = torch.cat([x, normal(3000, 300)], dim=1)  # rows long enough for several chunks
    model = mlp(306, 5, 3)
    objective = la.Objective(model, F.cross_entropy, (x, y), fields=({"spread": spread},))
    assert not objective.separable
    landscape = la.Landscape(objective, la.Plane.random(objective))
    # The same operation on the same batch, in another number of threads.
    assert landscape.evaluate(0, 0, field="spread") == pytest.approx(
        float(spread(model(x).detach(), y)), rel=1e-5
    )


@pytest.mark.parametrize(
    ("fields", "error_type", "message"),
    [
        (("los",), ValueError, "There is no field 'los'. Use 'loss', 'accuracy', 'error' or"),
        (("accuracy", "accuracy"), ValueError, "'accuracy' is given twice"),
        (({"f1": 3},), TypeError, "The field 'f1' is a int. Pass a function"),
    ],
)
def test_fields_that_are_none_are_named(fields: tuple, error_type: type[Exception], message: str) -> None:
    with pytest.raises(error_type, match=message):
        resolve_fields(fields)


def test_a_metric_that_raises_says_so_when_the_objective_is_made() -> None:
    x, _ = classification(8)
    with pytest.raises(la.EvaluationError, match="TypeError on a first batch.*The field 'accuracy' needs"):
        la.Objective(mlp(6, 3), F.mse_loss, (x, normal(8, 3)), fields=("accuracy",))


def test_a_field_that_was_not_asked_for_is_named_with_those_that_were() -> None:
    objective = la.Objective(mlp(6, 3), F.cross_entropy, classification(8))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    with pytest.raises(ValueError, match="no field 'accuracy' here. This objective has 'loss'"):
        landscape.evaluate(0, 0, field="accuracy")


def test_labels_of_one_dimension_per_token_make_a_token_accuracy() -> None:
    output, y = normal(4, 3, 5), whole(3, 4, 5)
    assert float(accuracy(output, y)) == float((output.argmax(1) == y).double().mean())
