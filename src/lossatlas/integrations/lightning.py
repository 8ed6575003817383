"""Lightning: a callback that records each step of its Trainer."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lossatlas.features import Recorder
from lossatlas.integrations.watched import extra, take

# Two packages of one content, whose Trainers ask for callbacks of their own.
_PACKAGES = ("lightning.pytorch", "pytorch_lightning")

# What the recorder has by itself.
_OWN = ("loss", "lr")


def callback_of(recorder: Recorder) -> Any:
    """See `Recorder.lightning`."""
    kind = type("RecorderCallback", (_Hooks, *_bases()), {"__module__": __name__})
    return kind(recorder)


def _bases() -> tuple[Any, ...]:
    """Callback of each package that is in use, or of the one that there is."""
    used = [name for name in _PACKAGES if sys.modules.get(name) is not None]
    if not used:
        try:
            used = [extra("pytorch_lightning", "", "").__name__]
        except ImportError:
            used = [extra("lightning.pytorch", "Recorder.lightning()", "lightning").__name__]
    return tuple(sys.modules[name].Callback for name in used)


class _Hooks:
    """What Lightning calls, in the order in which it does."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._active = False
        self._at: int | None = None
        self._losses: list[Tensor] = []
        self._seen: dict[str, Tensor] = {}
        self._validated: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Any, pl_module: nn.Module) -> None:
        self._active = trainer.is_global_zero and not self.recorder.closed
        self._at, self._losses, self._validated = None, [], {}
        if self._active:
            take(self.recorder, pl_module, "Trainer")
            self._seen = dict(trainer.logged_metrics)

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Tensor) -> None:
        if self._active:
            self._losses.append(_unscaled(loss.detach(), trainer, pl_module.automatic_optimization))

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Optimizer) -> None:
        losses, self._losses = self._losses, []
        # An optimizer such as LBFGS asks for the loss several times a step: the first time is before it.
        if not self._recording or trainer.global_step == self._at:
            return
        self._at = trainer.global_step
        told: dict[str, Any] = {**self._validated, **self._news(trainer)}
        self._validated = {}
        self.recorder.step(
            _loss(losses, pl_module.automatic_optimization), lr=optimizer.param_groups[0]["lr"], **told
        )

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        # These are the parameters that the next step starts from.
        if self._active:
            self._validated |= self._news(trainer)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """What is logged of a whole epoch is told with its last step."""
        news = self._news(trainer) if self._active else {}
        if news and self._at is not None and self._recording:
            self.recorder.tell(**news)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if self._validated and self._recording:
            self.recorder.step(None, **dict[str, Any](self._validated))
        self._active, self._validated = False, {}

    @property
    def _recording(self) -> bool:
        return self._active and not self.recorder.closed

    def _news(self, trainer: Any) -> dict[str, Tensor]:
        """What was logged since the last time: each logging makes a tensor of its own, and those seen are held."""
        logged = {name: value for name, value in trainer.logged_metrics.items() if isinstance(value, Tensor)}
        before, self._seen = self._seen, logged
        return {
            name: value for name, value in logged.items()
            if name not in _OWN and value.numel() == 1
            and not (name in before and before[name].data_ptr() == value.data_ptr())
        }  # fmt: skip


def _unscaled(loss: Tensor, trainer: Any, automatic: bool) -> Tensor:
    """The loss of a batch: Lightning has divided it by the batches of a step, and multiplied it where half precision needs it."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is not None:
        loss = loss / scaler.scale(torch.ones((), device=loss.device))
    return loss * (trainer.accumulate_grad_batches if automatic else 1)


def _loss(losses: list[Tensor], automatic: bool) -> Tensor | None:
    """The mean over the batches of a step; where `training_step` calls backward itself, the sum that it has differentiated."""
    if not losses:
        return None
    together = torch.stack(losses)
    return together.mean() if automatic else together.sum()
