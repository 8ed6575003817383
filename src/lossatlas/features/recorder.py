"""Recorder: training as it happens, kept step by step: parameters within a budget, and all that is told beside them."""

from __future__ import annotations

import bisect
import contextlib
import threading
import warnings
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lossatlas.features.gather import Gather
from lossatlas.features.sketch import Sketcher
from lossatlas.features.told import Told, checked_numbers
from lossatlas.geometry import Trajectory
from lossatlas.geometry.log import Log, check_no_run
from lossatlas.geometry.rows import empty_rows
from lossatlas.geometry.trajectory import Curves, Sketches, rows_since
from lossatlas.geometry.vectors import is_finite
from lossatlas.objective import ParameterSpace
from lossatlas.objective.parameters import common_dtype, trainable

#: What the parameters of a run may take of memory, in bytes.
MEMORY = 512 << 20

# Where one copy is thinned into another, both exist: the rows have this share of the memory.
_SHARE = 0.65

# So many rows are kept, whatever they take: fewer show no path.
_FEWEST = 4

# Kept rows from one look at whether parameters were added to the next.
_LOOK = 64


class Recorder:
    """Records a run: one line in the training loop, between `loss.backward()` and `optimizer.step()`.

        recorder = la.Recorder(model)
        …
        loss.backward()
        recorder.step(loss, lr=lr, accuracy=accuracy)
        optimizer.step()

    So the loss and the parameters of a step belong together. every: parameters are kept at each so many steps; what is told is
    kept at all. memory: what they may take, in bytes; when it is reached, every second row is let go, and from then on half as
    many are kept. path: a folder where they go instead, and where `Trajectory.load` finds them, however the process ends. dtype:
    torch.float16 keeps half the digits; how far that is off is measured at each row. sketch: keep random projections to so many
    numbers instead of parameters, which tell distances and shares of the variance, but no directions; seed: of them.
    optimizer: told, each step's learning rate is read from it, and, within `with la.Recorder(model, optimizer=optimizer):`,
    its steps are recorded by themselves, without a loss where `step` does not tell it.

    model: may be left out where a callback knows it: that of `lightning()`, for a Trainer of Lightning, or of `trainer()`, for the
    one of transformers; `watch` gives it too.

    Nothing that happens here ends a training: a full disk, parameters that are no longer finite or that were added on the way
    are said in a warning, once, and what was recorded is kept. Raises TypeError or ValueError for wrong arguments.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        every: int = 1,
        *,
        memory: int = MEMORY,
        path: str | Path | None = None,
        dtype: torch.dtype | None = None,
        sketch: int | None = None,
        seed: int = 0,
        optimizer: Optimizer | None = None,
    ) -> None:
        self.every, self.optimizer = _checked_count("every", every), optimizer
        self._memory, self._path = _checked_count("memory", memory), None if path is None else Path(path)
        self._wanted, self._seed = None if dtype is None else _checked_dtype(dtype), seed
        self._numbers = None if sketch is None else _checked_count("sketch", sketch)
        if path is not None and sketch is not None:
            raise ValueError(
                "Both path and sketch were passed: sketches are small and stay in memory. Pass one of them."
            )
        if self._path is not None:
            check_no_run(self._path)
        self._log: Log | None = None
        self._sketcher: Sketcher | None = None
        self._stride = self.every
        self._kept, self._rounding = array("q"), array("d")
        self._told = Told()
        self._steps = self._revision = self._keeps = 0
        self._lock = threading.RLock()
        self._said: set[str] = set()
        self._hook: Any = None
        self._told_step = False
        self._listeners: list[Callable[[], object]] = []
        self.closed = False
        self.model: nn.Module | None = None
        if model is not None:
            self.watch(model)

    def watch(self, model: nn.Module) -> None:
        """Record this model, where none was passed: the trainable parameters that it has now.

        Raises RuntimeError when there is a model already, and TypeError or ValueError for what cannot be recorded.
        """
        if self.model is not None:
            raise RuntimeError("The recorder has a model already. Make a recorder for each model.")
        named = trainable(_checked_model(model))
        space = ParameterSpace((name, tuple(parameter.shape)) for name, parameter in named)
        own, _ = common_dtype(model)
        self.dtype = self._wanted or _checked_dtype(own)
        # bfloat16 and float16 have as many bits, and neither holds the other's numbers.
        self._exact = torch.promote_types(own, self.dtype) == self.dtype
        if self._numbers is not None:
            self._sketcher = Sketcher(space.size, self._numbers, self._seed)
        width = space.size if self._sketcher is None else self._sketcher.size
        room = int(self._memory * _SHARE) // (width * self.dtype.itemsize)
        # Even: of an odd number every second one leaves a step that is not of the wider stride.
        self._capacity = max(_FEWEST, room - room % 2)
        if self._path is not None:
            self._log = Log(self._path, space, self.dtype)
        elif room < _FEWEST:
            self._say("memory", f"One row of parameters takes {width * self.dtype.itemsize / 1e6:.0f} MB, more than the memory is for: {_FEWEST} are kept all the same. Pass path=, sketch= or dtype=torch.float16, or more memory.")  # fmt: skip
        # Pages come as they are written.
        self._rows = empty_rows(0 if self._log else self._capacity, width, self.dtype)
        self.space, self._gather = space, Gather([parameter for _, parameter in named])
        # As most are kept: the parameters go to their row by themselves.
        self._plain = self._exact and self._log is None and self._sketcher is None
        self._all = {id(parameter) for _, parameter in named}
        _check_optimizer(self.optimizer, model)
        self.model = model

    def step(self, /, loss: Any = None, *, lr: float | None = None, **metrics: Any) -> int:
        """Record a step: the parameters as they are, and what is told of them. Returns its number.

        loss, metrics: numbers or tensors of one; lr: by default that of the optimizer, where there is one. Raises RuntimeError
        when the recorder is closed, and TypeError for what is no number.
        """
        self._check_open()
        if self.model is None:
            raise RuntimeError(
                "The recorder has no model yet. Pass it, as in la.Recorder(model), or to recorder.watch(model)."
            )
        if lr is None and self.optimizer is not None:
            lr = self.optimizer.param_groups[0]["lr"]
        # All of them before anything is kept: a step is whole or is none.
        told = checked_numbers({"loss": loss, "lr": lr, **metrics})
        with self._lock:
            number = self._steps
            self._told.put(number, told)
            kept = number % self._stride == 0 and self._keep()
            if self._log is not None:
                off = self._rounding[-1] if kept and self._rounding else None
                self._write(number, told, kept=kept, rounding=off)
            self._steps, self._told_step, self._revision = number + 1, True, self._revision + 1
        for listener in tuple(self._listeners):
            listener()
        return number

    def tell(self, step: int | None = None, /, **told: Any) -> None:
        """Tell more of a step that was recorded, by default the last one: what came to be known after it.

        told: "loss", "lr" or metrics, as for `step`. Raises ValueError where that step was not recorded, RuntimeError when the
        recorder is closed, and TypeError for what is no number.
        """
        self._check_open()
        numbers = checked_numbers(told)
        with self._lock:
            number = self._steps - 1 if step is None else step
            if not 0 <= number < self._steps:
                raise ValueError(f"Step {number} was not recorded: there are {self._steps}. Call step first.")
            self._told.put(number, numbers)
            if self._log is not None:
                self._write(number, numbers)
            self._revision += 1
        for listener in tuple(self._listeners):
            listener()

    def lightning(self) -> Any:
        """A callback for a Trainer of Lightning, of the package `lightning` or `pytorch_lightning`, that records each step.

            recorder = la.Recorder()
            lightning.Trainer(callbacks=[recorder.lightning()]).fit(module)

        Without a model the recorder takes the whole LightningModule; `la.Recorder(module.net)` records a part of it. A step is
        one of an optimizer, however many batches it is made of: its loss is the one whose gradient it takes, with the learning
        rate and what `training_step` has logged of it. What validation logs belongs to the parameters that it saw: it is told
        with the step that comes next or, after the last one, as a row of its own without a loss. Recorded is what the first process
        holds; sharded parameters are refused. Raises ImportError where Lightning is missing.
        """
        from lossatlas.integrations.lightning import callback_of

        return callback_of(self)

    def trainer(self) -> Any:
        """A callback for the Trainer of transformers, that records each step of its optimizer.

            recorder = la.Recorder()
            transformers.Trainer(model, arguments, callbacks=[recorder.trainer()], …).train()

        The Trainer does not hand its loss to callbacks. It is read off the model's output, by a hook while it trains, and weighted by
        the gradient that arrives there, which counts batches that are accumulated as the Trainer does. What the Trainer logs is
        compared with that: where they differ, for it trains on a loss of its own (label smoothing, compute_loss), the loss of a
        step is the logged one with logging_steps=1, else NaN, and a warning says so. A model that is compiled is not hooked.
        Evaluation is told as by `lightning`. Raises ImportError where transformers or accelerate is missing.
        """
        from lossatlas.integrations.trainer import callback_of

        return callback_of(self)

    @property
    def last(self) -> int:
        """The number of the last step, kept or not; −1 before the first."""
        return self._steps - 1

    @property
    def sketched(self) -> bool:
        """Whether sketches are kept instead of parameters."""
        return self._numbers is not None

    @property
    def steps(self) -> np.ndarray:
        """The steps whose parameters are kept, (T,) int64."""
        with self._lock:  # while it is read, nothing can be added to it
            return np.array(self._kept, dtype=np.int64)

    @property
    def thetas(self) -> Tensor:
        """The parameters that are kept, (T, P). Raises ValueError where only sketches are."""
        found = self.trajectory.thetas
        if found is None:
            raise ValueError(
                "Only sketches of the parameters were kept. Record without sketch= to have them."
            )
        return found

    @property
    def trajectory(self) -> Trajectory:
        """What has been recorded so far: a value, which later steps do not change. Raises ValueError before the first."""
        with self._lock:
            steps, count = self.steps, len(self._kept)
            if not count:
                raise ValueError(
                    "Nothing has been recorded yet. Call step(loss) between backward() and optimizer.step()."
                )
            file = None if self._log is None else self._log.rows.first(count)
            rows = torch.from_numpy(self._rows[:count]) if file is None else file.all()
            curves = self._told.curves(self._steps)
            rounding = None if self._exact else np.array(self._rounding)
        sketches = None if self._sketcher is None else Sketches(rows)
        metrics = {name: values[steps] for name, values in curves.metrics.items()}
        return Trajectory(
            rows if sketches is None else None, steps, curves.loss[steps], curves.lr[steps], metrics, self.space,
            curves=curves, rounding=rounding, sketches=sketches, file=file,
        )  # fmt: skip

    @property
    def curves(self) -> Curves:
        """What was told at each step so far."""
        with self._lock:
            return self._told.curves(self._steps)

    def since(self, step: int, most: int | None = None, every: int = 1) -> Trajectory:
        """The steps after this one whose parameters are kept, the first `most` of them: copies; perhaps none, of sketches none.

        every: of those each so many, the last one among them.
        """
        with self._lock:
            end = len(self._kept) if self._sketcher is None else 0
            rows = rows_since(bisect.bisect_right(self._kept, step), end, most, every)
            thetas = torch.empty(len(rows), self.space.size, dtype=self.dtype)
            for k, row in enumerate(rows):
                thetas[k] = (
                    torch.from_numpy(self._rows[row]) if self._log is None else self._log.rows.row(row)
                )
            steps = self._kept[rows.start : rows.stop : rows.step]
            told = self._told.at(steps)
            rounding = None if self._exact else np.array(self._rounding[rows.start : rows.stop : rows.step])
        return Trajectory(
            thetas, np.array(steps, np.int64), told.pop("loss"), told.pop("lr"), told, self.space, rounding=rounding
        )  # fmt: skip

    def kept_since(self, step: int) -> int:
        """How many steps after this one have their parameters kept."""
        with self._lock:
            return len(self._kept) - bisect.bisect_right(self._kept, step)

    @property
    def revision(self) -> int:
        """A number that grows whenever anything is recorded or told."""
        return self._revision

    def listen(self, listener: Callable[[], object]) -> None:
        """Call this after each step, in the thread that trains: it is to take no time. `unlisten` ends it."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], object]) -> None:
        """Call it no more; one that is not called changes nothing."""
        with contextlib.suppress(ValueError):
            self._listeners.remove(listener)

    def close(self) -> None:
        """End the recording: what was recorded stays, files are written out; a second call changes nothing."""
        if self.closed:
            return
        self.closed = True
        if self._hook is not None:
            self._hook.remove()
        with self._lock:
            if self._log is not None:
                try:
                    self._log.close()
                except OSError as error:
                    self._not_written(self._steps - 1, error)
        for listener in tuple(self._listeners):
            listener()

    def __enter__(self) -> Recorder:
        if self.optimizer is not None and self._hook is None:
            self._hook = self.optimizer.register_step_pre_hook(self._before_step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Recorder({self._steps} steps, parameters of {len(self._kept)})"

    def _before_step(self, *_: Any) -> None:
        """The optimizer is about to step: record what `step` has not been called for."""
        if not self._told_step and not self.closed:
            self.step()
        self._told_step = False

    def _check_open(self) -> None:
        if self.closed:
            raise RuntimeError(
                "The recorder is closed: what it has recorded is in .trajectory. Make a new one to record more."
            )

    def _keep(self) -> bool:
        """Keep the parameters as they are; whether that was possible."""
        if "ended" in self._said:
            return False
        assert self.model is not None
        self._keeps += 1  # those that were let go of too
        # Looking costs as much as the rest of a small step: it is done often at first, then now and then.
        due = self._keeps % _LOOK == 0 or (self._keeps < _LOOK and self._keeps & (self._keeps - 1) == 0)
        if due and {id(one) for one in self.model.parameters() if one.requires_grad} - self._all:
            self._say("added", "Parameters were added to the model while it was recorded, or unfrozen. Those that were trained at the start are recorded on.")  # fmt: skip
        if self._plain:
            row = self._free_row()
            self._gather.into(row)
            if np.isfinite(row).all():
                self._kept.append(self._steps)
                return True
        found = self._gather.vector()
        if not is_finite(found):
            self._end(f"The parameters are no longer finite at step {self._steps}.")
            return False
        kept = found if self._sketcher is None else self._sketcher.of(found)
        if kept.dtype != self.dtype:
            kept = kept.to(self.dtype)
        if not self._exact and not is_finite(kept):
            self._end(f"The parameters of step {self._steps} reach {float(found.abs().max()):.3g}, beyond what {self.dtype} holds.")  # fmt: skip
            return False
        if not self._exact and self._sketcher is None:
            self._rounding.append(float((kept.double() - found.double()).norm()))
        try:
            if self._log is not None:
                self._log.rows.append(kept)
            else:
                torch.from_numpy(self._free_row()).copy_(kept)
        except OSError as error:
            self._end(f"The parameters of step {self._steps} could not be written: {error}.")
            return False
        self._kept.append(self._steps)
        return True

    def _free_row(self) -> np.ndarray:
        """Memory for one more row, which counts once its step is kept."""
        count = len(self._kept)
        if count == self._capacity:
            # Into memory of its own: a trajectory that was handed out keeps what it has.
            thinned = empty_rows(self._capacity, self._rows.shape[1], self.dtype)
            count = (count + 1) // 2
            thinned[:count] = self._rows[::2]
            self._rows, self._kept, self._rounding = thinned, self._kept[::2], self._rounding[::2]
            self._stride *= 2
        row: np.ndarray = self._rows[count]
        return row

    def _write(
        self,
        number: int,
        told: Mapping[str, float | Tensor],
        kept: bool | None = None,
        rounding: float | None = None,
    ) -> None:
        assert self._log is not None
        try:
            self._log.tell(number, self._told.of(number, tuple(told)), kept, rounding)
        except OSError as error:
            self._not_written(number, error)

    def _not_written(self, number: int, error: OSError) -> None:
        folder = self._log.folder if self._log is not None else ""
        self._say("log", f"Step {number} could not be written to {folder}: {error}. It is kept in memory.")

    def _end(self, why: str) -> None:
        self._said.add("ended")
        warnings.warn(
            f"{why} From here on only the loss and what else is told is recorded; the parameters of {len(self._kept)} steps "
            "are kept.",
            RuntimeWarning, stacklevel=4,
        )  # fmt: skip

    def _say(self, topic: str, sentence: str) -> None:
        if topic not in self._said:
            self._said.add(topic)
            warnings.warn(sentence, RuntimeWarning, stacklevel=4)


def _checked_model(model: Any) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}. Pass the torch module that is trained.")
    if not trainable(model):
        raise ValueError("The model has no trainable parameter, so there is nothing to record.")
    return model


def _check_optimizer(optimizer: Any, model: nn.Module) -> None:
    """Raise TypeError for what is no optimizer, and ValueError for that of another model."""
    if optimizer is None:
        return
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__}. Pass the torch.optim.Optimizer that trains the model."
        )
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if held.isdisjoint(id(parameter) for parameter in model.parameters()):
        raise ValueError(
            "The optimizer holds none of the model's parameters: it was made of another model, perhaps of the one before this cell "
            "was run again. Pass the optimizer that trains this model."
        )


def _checked_count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is {value!r}. Pass a whole number.")
    if int(value) < 1:
        raise ValueError(f"{name} is {value}. Pass 1 or more.")
    return int(value)


def _checked_dtype(dtype: torch.dtype) -> torch.dtype:
    known = (torch.float16, torch.float32, torch.float64)
    if dtype in known:
        return dtype
    if dtype is torch.bfloat16:
        return torch.float32  # holds each of its numbers
    raise ValueError(f"dtype is {dtype}. Pass torch.float16, torch.float32 or torch.float64.")
