"""The callback of transformers' Trainer: what it records is what a loop by hand would."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from tests.zoo import F, classification, flat, mlp

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

# What transformers thinks of a run as small as these; our own warnings are RuntimeWarnings.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("UserWarning", "DeprecationWarning", "FutureWarning")
]

X, Y = classification(40)
DATA = [{"x": x, "labels": y} for x, y in zip(X, Y, strict=True)]


class Net(nn.Module):
    """As a model of transformers: it returns its loss, where there are labels, beside its output."""

    def __init__(self, named: bool = True) -> None:
        super().__init__()
        self.net, self.named = mlp(6, 5, 3), named

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.net(x)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        if self.named:
            return {"logits": logits} if loss is None else {"loss": loss, "logits": logits}
        return (logits,) if loss is None else (loss, logits)


class Witness(transformers.TrainerCallback):
    """The parameters before each step of the optimizer, and its learning rate."""

    def __init__(self) -> None:
        self.before: list[Tensor] = []
        self.rates: list[float] = []
        self.interrupt_at: int | None = None

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if len(self.before) == self.interrupt_at:
            raise KeyboardInterrupt
        self.before.append(flat(kwargs["model"]))
        self.rates.append(kwargs["optimizer"].param_groups[0]["lr"])


def trainer_of(
    folder: Path, model: nn.Module, *callbacks: Any, kind: Any = transformers.Trainer, more: Any = None, **options: Any
) -> Any:  # fmt: skip
    usual = {
        "output_dir": str(folder), "num_train_epochs": 2, "per_device_train_batch_size": 10, "learning_rate": 0.5,
        "report_to": [], "save_strategy": "no", "optim": "sgd", "logging_steps": 3, "use_cpu": True, "disable_tqdm": True,
        "max_grad_norm": 1e9, "lr_scheduler_type": "linear",
    }  # fmt: skip
    arguments = transformers.TrainingArguments(**{**usual, **options})
    trainer = kind(model, arguments, train_dataset=DATA, callbacks=list(callbacks), **(more or {}))
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


class Noting(transformers.Trainer):
    """It notes the loss of each batch as it is trained on."""

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        found = super().training_step(*args, **kwargs)
        self.noted = [*getattr(self, "noted", []), float(found)]
        return found


@pytest.mark.parametrize("named", [True, False])
def test_its_rows_are_the_parameters_before_each_step_with_loss_and_rate(tmp_path: Path, named: bool) -> None:
    model, witness, recorder = Net(named), Witness(), la.Recorder()
    callback = recorder.trainer()
    assert isinstance(callback, transformers.TrainerCallback)
    trainer = trainer_of(tmp_path, model, callback, witness, kind=Noting)
    trainer.train()
    found = recorder.trajectory
    assert recorder.model is model
    assert len(found) == trainer.state.global_step == 8
    assert torch.equal(found.thetas, torch.stack(witness.before))
    np.testing.assert_array_equal(found.loss, trainer.noted)
    np.testing.assert_allclose(found.lr, 0.5 * (1 - np.arange(8) / 8), rtol=1e-12)
    assert found.lr.tolist() == witness.rates
    # What is logged after a step is of that step.
    assert np.isfinite(found.metrics["grad_norm"]).nonzero()[0].tolist() == [2, 5]
    assert model._forward_hooks == {}


def test_batches_that_are_accumulated_are_one_step_with_their_mean(tmp_path: Path) -> None:
    model, witness, recorder = Net(), Witness(), la.Recorder(every=1)
    trainer = trainer_of(
        tmp_path,
        model,
        recorder.trainer(),
        witness,
        kind=Noting,
        gradient_accumulation_steps=2,
        num_train_epochs=1,
    )
    trainer.train()
    assert trainer.state.global_step == 2
    found = recorder.trajectory
    assert torch.equal(found.thetas, torch.stack(witness.before))
    # The Trainer has divided the loss of each batch by two.
    np.testing.assert_allclose(found.loss, np.sum(np.reshape(trainer.noted, (2, 2)), axis=1), rtol=1e-6)
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert not logged or logged[0] == pytest.approx(np.mean(found.loss), rel=1e-3)


def test_a_model_that_scales_its_loss_over_accumulated_batches_is_read_as_it_is_trained(
    tmp_path: Path,
) -> None:
    class Scaled(Net):
        """As those that take num_items_in_batch: their loss is a share of the whole step's."""

        def forward(
            self, x: Tensor, labels: Tensor | None = None, num_items_in_batch: Any = None, **_: Any
        ) -> Any:
            logits = self.net(x)
            if labels is None:
                return {"logits": logits}
            total = F.cross_entropy(logits, labels, reduction="sum")
            return {"loss": total / (len(labels) if num_items_in_batch is None else num_items_in_batch)}

    model, witness, recorder = Scaled(), Witness(), la.Recorder()
    trainer = trainer_of(
        tmp_path,
        model,
        recorder.trainer(),
        witness,
        kind=Noting,
        gradient_accumulation_steps=2,
        logging_steps=1,
    )
    trainer.train()
    found = recorder.trajectory
    assert torch.equal(found.thetas, torch.stack(witness.before))
    np.testing.assert_allclose(found.loss, np.reshape(trainer.noted, (-1, 2)).sum(axis=1), rtol=1e-6)


def test_a_step_is_read_as_the_mean_of_the_objective(tmp_path: Path) -> None:
    model, recorder = Net(), la.Recorder()
    trainer_of(tmp_path, model, recorder.trainer(), per_device_train_batch_size=40).train()
    found = recorder.trajectory
    objective = la.Objective.from_step(Net(), lambda net, batch: net(*batch)["loss"], [(X, Y)])
    np.testing.assert_allclose(found.loss, [objective.value(row) for row in found.thetas], rtol=1e-6)


def test_what_evaluation_says_is_told_with_the_parameters_that_it_saw(tmp_path: Path) -> None:
    model, recorder = Net(), la.Recorder()
    trainer = trainer_of(
        tmp_path,
        model,
        recorder.trainer(),
        eval_strategy="epoch",
        more={"eval_dataset": DATA},
        logging_steps=1,
    )
    trainer.train()
    found = recorder.trajectory
    told = found.metrics["eval_loss"]
    assert np.isfinite(told).nonzero()[0].tolist() == [4, 8]
    assert np.isnan(found.loss[8])
    assert torch.equal(found.last, flat(model))
    objective = la.Objective.from_step(Net(), lambda net, batch: net(*batch)["loss"], [(X, Y)])
    for row in (4, 8):
        assert told[row] == pytest.approx(objective.value(found.thetas[row]), rel=1e-6)
    assert set(found.metrics) == {"eval_loss", "grad_norm"}


def test_a_best_model_that_is_loaded_at_the_end_is_not_taken_for_the_last(tmp_path: Path) -> None:
    model, recorder, witness = Net(), la.Recorder(), Witness()
    trainer = trainer_of(
        tmp_path, model, recorder.trainer(), witness, eval_strategy="epoch", save_strategy="epoch", learning_rate=50.0,
        load_best_model_at_end=True, more={"eval_dataset": DATA}, save_only_model=True,
    )  # fmt: skip
    trainer.train()
    found = recorder.trajectory
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    told = found.metrics["eval_loss"]
    np.testing.assert_allclose(told[np.isfinite(told)], losses, rtol=1e-6)
    objective = la.Objective.from_step(Net(), lambda net, batch: net(*batch)["loss"], [(X, Y)])
    for row in np.isfinite(told).nonzero()[0]:
        assert told[row] == pytest.approx(objective.value(found.thetas[row]), rel=1e-5)


class Doubled(transformers.Trainer):
    """It trains on a loss of its own."""

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        loss = loss + model.net[0].bias.square().sum() + 1
        return (loss, outputs) if return_outputs else loss


def test_a_loss_of_the_trainers_own_is_noticed_and_taken_where_each_is_logged(tmp_path: Path) -> None:
    recorder = la.Recorder()
    trainer = trainer_of(tmp_path, Net(), recorder.trainer(), kind=Doubled, logging_steps=1)
    trainer.train()
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    np.testing.assert_allclose(recorder.trajectory.loss, logged, rtol=1e-12)
    recorder = la.Recorder()
    with pytest.warns(
        RuntimeWarning, match="trains on a loss of its own: it logged .* NaN elsewhere: set logging_steps=1"
    ):
        trainer_of(tmp_path, Net(), recorder.trainer(), kind=Doubled, logging_steps=4).train()
    assert np.isnan(recorder.trajectory.loss).all()
    assert np.isfinite(recorder.trajectory.lr).all()


def test_a_loss_that_the_models_output_does_not_hold_is_not_made_up(tmp_path: Path) -> None:
    def own(outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        return F.cross_entropy(outputs["logits"], labels)

    recorder = la.Recorder()
    with pytest.warns(RuntimeWarning, match="the model's output has none"):
        trainer_of(
            tmp_path, Net(), recorder.trainer(), logging_steps=4, more={"compute_loss_func": own}
        ).train()
    assert np.isnan(recorder.trajectory.loss).all()


def test_a_loss_that_is_not_finite_stays_what_it_is(tmp_path: Path) -> None:
    class Broken(Net):
        calls = 0

        def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
            out = super().forward(x, labels)
            self.calls += 1
            return {**out, "loss": out["loss"] * float("nan")} if self.calls == 8 else out

    recorder = la.Recorder()
    trainer_of(tmp_path, Broken(), recorder.trainer(), logging_steps=1).train()
    assert np.isnan(recorder.trajectory.loss).nonzero()[0].tolist() == [7]


def test_a_copy_of_the_model_that_runs_meanwhile_is_not_read(tmp_path: Path) -> None:
    class Copying(transformers.TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            twin = copy.deepcopy(kwargs["model"]).train()
            twin(X, Y)["loss"].backward()

    recorder = la.Recorder()
    trainer = trainer_of(tmp_path, Net(), recorder.trainer(), Copying(), kind=Noting)
    trainer.train()
    np.testing.assert_array_equal(recorder.trajectory.loss, trainer.noted)


def test_a_training_that_is_interrupted_leaves_what_was_recorded(tmp_path: Path) -> None:
    model, witness, recorder = Net(), Witness(), la.Recorder(path=tmp_path / "run")
    witness.interrupt_at = 3
    with pytest.raises(KeyboardInterrupt), recorder:
        trainer_of(tmp_path, model, witness, recorder.trainer()).train()
    assert torch.equal(recorder.thetas, torch.stack(witness.before))
    assert la.Trajectory.load(tmp_path / "run").steps.tolist() == [0, 1, 2]


def test_training_is_the_same_with_it(tmp_path: Path) -> None:
    ends = []
    for callbacks in ([], [la.Recorder().trainer()]):
        torch.manual_seed(0)
        model = Net()
        trainer_of(tmp_path, model, *callbacks).train()
        ends.append(flat(model))
    assert torch.equal(*ends)


def test_another_model_than_the_one_that_is_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the one that the Trainer trains, nor a part of it"):
        trainer_of(tmp_path, Net(), la.Recorder(mlp(6, 5, 3)).trainer()).train()
    model = Net()
    recorder = la.Recorder(model.net)
    trainer_of(tmp_path, model, recorder.trainer(), num_train_epochs=1).train()
    assert next(entry.name for entry in recorder.trajectory.space) == "0.weight"


@pytest.mark.parametrize("name", ["transformers", "accelerate"])
def test_without_the_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"needs the package {name}: pip install 'lossatlas\[trainer\]'"):
        la.Recorder().trainer()


def test_a_loss_that_half_precision_has_scaled_is_told_as_it_was() -> None:
    from lossatlas.integrations.trainer import _sum

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    losses = [torch.tensor(0.5), torch.tensor(0.25)]
    scaled = [scaler.scale(loss) for loss in losses]
    assert float(_sum(scaled, scaler)) == 0.75
    assert float(_sum(losses, None)) == 0.75
    assert _sum([], None) is None
