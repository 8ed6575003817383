"""The callback of Lightning: what it records is what a loop by hand would."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import lossatlas as la
from tests.zoo import F, classification, flat, mlp

lightning = pytest.importorskip("lightning.pytorch")

# What Lightning thinks of a run as small as these; our own warnings are RuntimeWarnings.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("UserWarning", "DeprecationWarning", "FutureWarning")
]

X, Y = classification(40)


def module_of(package: Any, **options: Any) -> Any:
    """A LightningModule of that package; it notes its parameters before each step of its optimizer."""

    class Net(package.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp(6, 5, 3)
            self.before: list[Tensor] = []
            self.losses: list[float] = []
            self.rates: list[float] = []
            self.interrupt_at: int | None = None

        def training_step(self, batch: Any, index: int) -> Tensor:
            loss = F.cross_entropy(self.net(batch[0]), batch[1])
            self.losses.append(float(loss.detach()))
            self.log("loss", loss)
            self.log("train/twice", 2 * loss.detach())
            self.log("epoch_mean", loss.detach(), on_step=False, on_epoch=True)
            if index == 1:
                self.log("now_and_then", 7.0)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            self.log("val_loss", F.cross_entropy(self.net(batch[0]), batch[1]))

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            if self.interrupt_at is not None and len(self.before) == self.interrupt_at:
                raise KeyboardInterrupt
            self.before.append(flat(self.net))
            self.rates.append(optimizer.param_groups[0]["lr"])

        def configure_optimizers(self) -> Any:
            optimizer = options.get("optimizer", torch.optim.SGD)(self.parameters(), lr=0.5)
            schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    return Net()


def batches(size: int = 10) -> DataLoader:
    return DataLoader(TensorDataset(X, Y), batch_size=size)


def trainer_of(package: Any, folder: Path, *callbacks: Any, **options: Any) -> Any:
    usual = {
        "max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "log_every_n_steps": 1,
        "enable_progress_bar": False, "enable_model_summary": False, "default_root_dir": folder,
    }  # fmt: skip
    return package.Trainer(callbacks=list(callbacks), **{**usual, **options})


@pytest.fixture(params=["lightning.pytorch", "pytorch_lightning"])
def package(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def test_its_rows_are_the_parameters_before_each_step_with_loss_rate_and_what_was_logged(
    package: Any, tmp_path: Path
) -> None:
    module = module_of(package)
    recorder = la.Recorder()
    callback = recorder.lightning()
    assert isinstance(callback, package.Callback)
    trainer_of(package, tmp_path, callback).fit(module, batches())
    found = recorder.trajectory
    assert recorder.model is module
    assert next(entry.name for entry in found.space) == "net.0.weight"
    assert torch.equal(found.thetas, torch.stack(module.before))
    assert len(found) == 8
    np.testing.assert_array_equal(found.loss, np.float32(module.losses))
    np.testing.assert_allclose(found.lr, 0.5 * 0.9 ** np.arange(8), rtol=1e-12)
    np.testing.assert_array_equal(found.lr, module.rates)
    np.testing.assert_array_equal(found.metrics["train/twice"], 2 * np.float32(module.losses))
    # Of a whole epoch, at its last step; and what is logged at some steps is told at those.
    means = np.full(8, np.nan)
    means[[3, 7]] = np.mean(module.losses[:4]), np.mean(module.losses[4:])
    np.testing.assert_allclose(found.metrics["epoch_mean"], means, rtol=1e-6)
    assert np.isfinite(found.metrics["now_and_then"]).nonzero()[0].tolist() == [1, 5]
    assert set(found.metrics) == {"train/twice", "epoch_mean", "now_and_then"}


def test_it_is_the_run_of_a_loop_by_hand(tmp_path: Path) -> None:
    module = module_of(lightning)
    net = mlp(6, 5, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    by_hand = la.Recorder(net)
    for _ in range(2):
        for x, y in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            by_hand.step(loss, lr=schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
    recorder = la.Recorder(module.net)
    trainer_of(lightning, tmp_path, recorder.lightning()).fit(module, batches())
    one, other = by_hand.trajectory, recorder.trajectory
    assert torch.equal(one.thetas, other.thetas)
    assert one.loss.tolist() == other.loss.tolist()
    assert one.lr.tolist() == other.lr.tolist()
    assert [entry.name for entry in other.space] == [entry.name for entry in one.space]


def test_batches_that_are_accumulated_are_one_step_with_their_mean(tmp_path: Path) -> None:
    module = module_of(lightning)
    recorder = la.Recorder()
    trainer = trainer_of(lightning, tmp_path, recorder.lightning(), accumulate_grad_batches=3, max_epochs=1)
    trainer.fit(module, batches())
    assert trainer.global_step == 2  # of three batches, and of the one that is left
    assert torch.equal(recorder.thetas, torch.stack(module.before))
    means = [np.mean(module.losses[:3]), module.losses[3]]
    np.testing.assert_allclose(recorder.trajectory.loss, means, rtol=1e-6)


def test_an_optimizer_that_asks_for_its_loss_again_makes_one_step(tmp_path: Path) -> None:
    module = module_of(lightning, optimizer=torch.optim.LBFGS)
    recorder = la.Recorder()
    trainer_of(lightning, tmp_path, recorder.lightning(), max_steps=3).fit(module, batches())
    assert len(module.before) > 3
    assert len(recorder.steps) == 3
    assert torch.equal(recorder.thetas[0], module.before[0])
    assert recorder.trajectory.loss[0] == pytest.approx(module.losses[0])
    for row in recorder.thetas:
        assert any(torch.equal(row, before) for before in module.before)


def test_what_validation_says_is_told_with_the_parameters_that_it_saw(tmp_path: Path) -> None:
    module = module_of(lightning)
    recorder = la.Recorder()
    trainer = trainer_of(lightning, tmp_path, recorder.lightning(), num_sanity_val_steps=2)
    trainer.fit(module, batches(), batches(40))
    found = recorder.trajectory
    told = found.metrics["val_loss"]
    # After the first epoch, which is before step 4, and after the last one, as a row of its own.
    assert np.isfinite(told).nonzero()[0].tolist() == [4, 8]
    assert np.isnan(found.loss[8])
    objective = la.Objective(mlp(6, 5, 3), F.cross_entropy, (X, Y))
    for row in (4, 8):
        assert told[row] == pytest.approx(objective.value(found.thetas[row]), rel=1e-6)
    assert torch.equal(found.last, flat(module.net))


def test_a_part_of_what_was_recorded_has_its_plane(tmp_path: Path) -> None:
    module = module_of(lightning)
    recorder = la.Recorder()
    trainer_of(lightning, tmp_path, recorder.lightning()).fit(module, batches())
    objective = la.Objective(module.net, F.cross_entropy, (X, Y))
    assert torch.equal(recorder.trajectory.along(objective.parameters), torch.stack(module.before))
    assert la.Plane.pca(objective, recorder.trajectory).size == 53
    module.forward = module.net.forward
    assert la.Objective(module, F.cross_entropy, (X, Y)).size == 53


def test_steps_by_hand_with_two_optimizers_are_each_a_step(tmp_path: Path) -> None:
    class Two(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.a, self.b = nn.Linear(6, 5), nn.Linear(5, 3)
            self.before: list[Tensor] = []
            self.losses: list[float] = []

        def training_step(self, batch: Any, index: int) -> None:
            for optimizer in self.optimizers():
                optimizer.zero_grad()
                loss = F.cross_entropy(self.b(self.a(batch[0])), batch[1])
                self.manual_backward(loss / 2)
                self.manual_backward(self.a.bias.square().sum())
                self.losses.append(float(loss.detach()) / 2 + float(self.a.bias.detach().square().sum()))
                self.before.append(flat(self))
                optimizer.step()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.a.parameters(), 0.1), torch.optim.SGD(self.b.parameters(), 0.2)

    module, recorder = Two(), la.Recorder()
    trainer_of(lightning, tmp_path, recorder.lightning(), max_epochs=1).fit(module, batches())
    assert torch.equal(recorder.thetas, torch.stack(module.before))
    np.testing.assert_allclose(recorder.trajectory.loss, module.losses, rtol=1e-6)
    assert recorder.trajectory.lr.tolist() == [0.1, 0.2] * 4


def test_a_fit_that_is_interrupted_leaves_what_was_recorded(tmp_path: Path) -> None:
    module = module_of(lightning)
    module.interrupt_at = 3
    recorder = la.Recorder(path=tmp_path / "run")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer_of(lightning, tmp_path, recorder.lightning()).fit(module, batches())
    # The step at which it ended was recorded before it was made.
    assert torch.equal(recorder.thetas[:3], torch.stack(module.before))
    assert len(recorder.steps) == 4
    assert la.Trajectory.load(tmp_path / "run").steps.tolist() == [0, 1, 2, 3]
    module.interrupt_at = None
    trainer_of(lightning, tmp_path, recorder.lightning(), max_epochs=1).fit(module, batches())
    assert torch.equal(recorder.thetas[4:], torch.stack(module.before[3:]))


def test_checkpoints_are_as_without_it(tmp_path: Path) -> None:
    paths = []
    for name, with_it in (("with", True), ("without", False)):
        callbacks: list[Any] = [lightning.callbacks.ModelCheckpoint(tmp_path / name, save_last=True)]
        recorder = la.Recorder()
        module = module_of(lightning)
        trainer = trainer_of(
            lightning, tmp_path, *callbacks, *([recorder.lightning()] if with_it else []), enable_checkpointing=True
        )  # fmt: skip
        trainer.fit(module, batches())
        paths.append(tmp_path / name / "last.ckpt")
    one, other = (torch.load(path, weights_only=False) for path in paths)
    assert [key.split("{")[0] for key in one["callbacks"]] == [
        key.split("{")[0] for key in other["callbacks"]
    ]
    for name, tensor in one["state_dict"].items():
        assert torch.equal(tensor, other["state_dict"][name])
    found = la.Trajectory.from_folder(tmp_path / "with", "last.ckpt")
    assert torch.equal(found.last, flat(module.net))


def test_a_recorder_that_is_closed_lets_the_training_go_on(tmp_path: Path) -> None:
    with la.Recorder() as recorder:
        trainer_of(lightning, tmp_path, recorder.lightning()).fit(module_of(lightning), batches())
    trainer = trainer_of(lightning, tmp_path, recorder.lightning())
    trainer.fit(module_of(lightning), batches())
    assert trainer.global_step == 8
    assert len(recorder.steps) == 8


def test_another_model_than_the_one_that_is_trained_is_refused(tmp_path: Path) -> None:
    recorder = la.Recorder(mlp(6, 5, 3))
    with pytest.raises(ValueError, match="not the one that the Trainer trains, nor a part of it"):
        trainer_of(lightning, tmp_path, recorder.lightning()).fit(module_of(lightning), batches())


def test_without_lightning_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ImportError, match=r"needs the package lightning: pip install 'lossatlas\[lightning\]'"
    ):
        la.Recorder().lightning()


def test_a_loss_that_half_precision_has_scaled_is_told_as_it_was() -> None:
    from types import SimpleNamespace

    from lossatlas.integrations.lightning import _unscaled

    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    trainer = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=scaler), accumulate_grad_batches=4)
    loss = torch.tensor(0.75)
    assert float(_unscaled(scaler.scale(loss / 4), trainer, automatic=True)) == 0.75
    assert float(_unscaled(scaler.scale(loss), trainer, automatic=False)) == 0.75
