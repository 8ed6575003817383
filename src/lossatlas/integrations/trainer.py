"""The Trainer of transformers: a callback that records each step of its optimizer."""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lossatlas.features import Recorder
from lossatlas.integrations.watched import extra, take

# What the Trainer logs beside the user's metrics, and what the recorder has by itself.
_OWN = frozenset({
    "loss", "lr", "learning_rate", "epoch", "total_flos", "train_loss", "train_runtime", "train_samples_per_second",
    "train_steps_per_second", "train_tokens_per_second", "num_input_tokens_seen",
})  # fmt: skip
_TIMES = ("_runtime", "_per_second", "_compilation_time")

# How far the logged loss may be from the recorded one: older versions round it to four decimals.
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4


def callback_of(recorder: Recorder) -> Any:
    """See `Recorder.trainer`."""
    base = extra("transformers", "Recorder.trainer()", "trainer").TrainerCallback
    extra("accelerate", "Recorder.trainer()", "trainer")
    return type("RecorderCallback", (_Hooks, base), {"__module__": __name__})(recorder)


class _Hooks:
    """What the Trainer calls, in the order in which it does."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._active = self._alone = False
        self._within = False  # a step: its loss is computed, and its optimizer has not stepped
        self._own_loss = True
        self._losses: list[Tensor] = []
        self._last: int | None = None  # the number of the last step
        self._window: list[Tensor | None] = []  # losses since the Trainer logged
        self._told: dict[str, float] = {}
        self._evaluated: dict[str, float] = {}
        self._hook: weakref.finalize[Any, Any] | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: nn.Module, **_: Any) -> None:
        self._unhook()
        self._active = state.is_world_process_zero and not self.recorder.closed
        self._alone, self._own_loss, self._within = args.world_size == 1, True, False
        self._losses, self._window, self._told, self._evaluated, self._last = [], [], {}, {}, None
        if not self._active:
            return
        take(self.recorder, model, "Trainer")
        if args.torch_compile:
            self._own_loss = False
            self._say("The model is compiled, and its loss is not read off it.")
        else:
            handle = model.register_forward_hook(_reader(model, self))
            self._hook = weakref.finalize(self, handle.remove)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._within, self._losses = True, []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, *, optimizer: Any, **_: Any) -> None:
        self._within = False
        told, self._told = {**self._evaluated, **self._told}, {}
        self._evaluated = {}
        losses, self._losses = self._losses, []
        if not self._recording:
            return
        loss = _sum(losses, getattr(optimizer, "scaler", None)) if self._own_loss else None
        self._window.append(loss)
        self._last = self.recorder.step(loss, lr=optimizer.param_groups[0]["lr"], **told)

    def on_log(
        self, args: Any, state: Any, control: Any, *, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        if not self._recording or not logs:
            return
        # What is logged while the loss is computed is of this step, and what comes after it, such as the norm of its gradient,
        # of the last one.
        news = {n: v for n, v in _numbers(logs).items() if n not in _OWN and not n.startswith("eval")}
        if self._within:
            self._told |= news
        elif news and self._last is not None:
            self.recorder.tell(self._last, **news)
        if "loss" in logs and not self._within and self._last is not None:
            self._compare(float(logs["loss"]), self._last)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, *, metrics: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        if not self._active:
            return
        self._evaluated |= {
            name: value
            for name, value in _numbers(metrics or {}).items()
            if name not in _OWN and not name.endswith(_TIMES)
        }
        if control.should_training_stop or state.global_step >= state.max_steps:
            self._tell_end()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if control.should_training_stop:  # an early end, which came to be known after the evaluation
            self._tell_end()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not args.load_best_model_at_end:  # else these are other parameters than those that were evaluated
            self._tell_end()
        self._unhook()
        self._active = False

    @property
    def _recording(self) -> bool:
        return self._active and not self.recorder.closed

    def _tell_end(self) -> None:
        """What was evaluated after the last step belongs to the parameters that it left."""
        if self._evaluated and self._recording:
            self.recorder.step(**self._evaluated)
        self._evaluated = {}

    def _compare(self, logged: float, last: int) -> None:
        """The loss that the Trainer logs is the mean over the steps since it logged before, of what it has trained on."""
        window, self._window = self._window, []
        read = [float(loss) for loss in window if loss is not None]
        # It leaves losses that are not finite out, and takes the mean over all processes.
        if not self._alone or not math.isfinite(logged) or not all(map(math.isfinite, read)):
            return
        mean = sum(read) / len(read) if len(read) == len(window) > 0 else math.nan
        if abs(mean - logged) <= _ABSOLUTE + _RELATIVE * abs(logged):
            return
        if len(window) == 1:
            self.recorder.tell(last, loss=logged)
            return
        for step in range(last - len(window) + 1, last + 1):
            self.recorder.tell(step, loss=math.nan)
        if self._own_loss:
            self._own_loss = False
            own = f"the model's is {mean:.6g}" if read else "the model's output has none"
            self._say(f"The Trainer trains on a loss of its own: it logged {logged:.6g}, and {own}.")

    def _say(self, why: str) -> None:
        warnings.warn(
            f"{why} The loss of a step is recorded where the Trainer logs each, and NaN elsewhere: set logging_steps=1.",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip

    def _unhook(self) -> None:
        if self._hook is not None:
            self._hook()
            self._hook = None


def _reader(model: nn.Module, callback: _Hooks) -> Any:
    """A forward hook that notes each loss which a gradient arrives at, times that gradient: its share of what is trained on."""
    # A copy of the model has this hook too, and may run while this one trains.
    known, told = weakref.ref(model), weakref.ref(callback)

    def read(module: nn.Module, _: Any, output: Any) -> None:
        alive, loss = told(), _loss_in(output)
        if alive is None or loss is None or module is not known() or not module.training:
            return
        value, notes = loss.detach().clone(), alive._losses
        loss.register_hook(lambda gradient: notes.append(value * gradient))

    return read


def _loss_in(output: Any) -> Tensor | None:
    """The loss in a model's output, found as the Trainer finds it."""
    if isinstance(output, Mapping):
        found = output.get("loss")
    else:
        found = output[0] if isinstance(output, tuple | list) and output else None
    return found if isinstance(found, Tensor) and found.requires_grad and found.numel() == 1 else None


def _sum(losses: list[Tensor], scaler: Any) -> Tensor | None:
    """The loss of a step, of all batches that it is made of; scaler: what has multiplied it where half precision needs it."""
    if not losses:
        return None
    total = torch.stack([loss.float().reshape(()) for loss in losses]).sum()
    return total if scaler is None else total / scaler.scale(torch.ones((), device=total.device))


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value) for name, value in logs.items()
        if isinstance(value, int | float) or (isinstance(value, Tensor) and value.numel() == 1)
    }  # fmt: skip
