"""Any optimizer of torch.optim on tensors of ours: made by name, class or factory, and stepped along a schedule."""

from __future__ import annotations

import contextlib
import inspect
import math
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from lossatlas.objective import EvaluationError
from lossatlas.objective.objective import one_thread_each
from lossatlas.objective.untouched import DrewRandomNumbers, no_draws

#: A name, such as "adam"; a class of torch.optim; or a function that makes an optimizer of a list of parameters.
Choice = str | type[Optimizer] | Callable[[list[nn.Parameter]], Optimizer]

#: "cosine" or "linear", down to 0; a function of the step that gives a factor; or one that makes a scheduler of an optimizer.
Schedule = str | Callable[[Any], Any] | None

#: Answers an optimizer that asks for the loss, its gradients in place: a piece of a job.
Evaluate = Callable[[], Generator[None, None, float]]

_CLASSES: dict[str, type[Optimizer]] = {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, Optimizer) and kind is not Optimizer
}
_NAMED: dict[str, tuple[type[Optimizer], dict[str, Any]]] = {
    **{name: (kind, {}) for name, kind in _CLASSES.items()},
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}

# Learning rates where none is chosen: what torch has for its own default is a tenth of these, for many more steps.
_USUAL_SGD, _USUAL_SCALED = 0.1, 0.01


def make_optimizer(choice: Any, leaves: list[nn.Parameter], lr: Any, options: Mapping[str, Any]) -> Optimizer:
    """The optimizer of these parameters. Raises TypeError or ValueError, in words, for what is none."""
    if isinstance(lr, torch.Tensor | np.generic) and lr.ndim == 0:
        lr = lr.item()
    if lr is not None and (isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr < math.inf):
        raise ValueError(f"lr is {lr!r}. Pass a learning rate: a finite number above 0.")
    if isinstance(choice, Optimizer):
        raise TypeError(
            f"optimizer is a {type(choice).__name__} of parameters of your own, which a ball must not touch. Pass its class, or "
            "a function that makes one, as in lambda params: torch.optim.SGD(params, lr=0.1)."
        )
    if isinstance(choice, str):
        if choice.lower() not in _NAMED:
            raise ValueError(
                f'There is no optimizer {choice!r}. Pass "sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop" or another of '
                f"torch.optim ({', '.join(sorted(_CLASSES))}), a class, or a function that makes one of a list of parameters."
            )
        kind, more = _NAMED[choice.lower()]
        return _made(kind, leaves, lr, {**more, **options})
    if isinstance(choice, type) and issubclass(choice, Optimizer):
        return _made(choice, leaves, lr, options)
    if not callable(choice) or isinstance(choice, type):
        what = choice.__name__ if isinstance(choice, type) else type(choice).__name__
        raise TypeError(
            f"optimizer is a {what}. Pass a name such as 'adam', a class of torch.optim, or a function that makes one of a list "
            "of parameters."
        )
    if options:
        raise TypeError(
            f"The optimizer is made by a function of yours, so {', '.join(options)} cannot be chosen here. Choose in the function."
        )
    return _of_factory(choice, leaves, lr)


def _made(
    kind: type[Optimizer], leaves: list[nn.Parameter], lr: float | None, options: Mapping[str, Any]
) -> Optimizer:
    if lr is None:
        lr = _USUAL_SGD if kind in (torch.optim.SGD, torch.optim.ASGD) else _USUAL_SCALED
        if kind in (torch.optim.LBFGS, torch.optim.Adadelta):
            lr = 1.0  # steps of Newton's kind, whose length is 1
    try:
        return kind(leaves, lr=lr, **options)  # type: ignore[call-arg]
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).rstrip(". ").replace(f"{kind.__name__}.__init__() ", "")
        raise type(error)(f"{kind.__name__} cannot be made: {said}. Check its options.") from error


def _of_factory(
    factory: Callable[[list[nn.Parameter]], Any], leaves: list[nn.Parameter], lr: float | None
) -> Optimizer:
    with _the_same_twice():
        made = factory(leaves)
    if not isinstance(made, Optimizer):
        raise TypeError(
            f"The function that makes the optimizer returned a {type(made).__name__}. Return a torch.optim.Optimizer, as in "
            "lambda params: torch.optim.SGD(params, lr=0.1)."
        )
    ours = {id(leaf) for leaf in leaves}
    if any(id(parameter) not in ours for group in made.param_groups for parameter in group["params"]):
        raise ValueError(
            "The optimizer moves parameters of your own, which a ball must not touch. Make it of the list that the function is "
            "given, as in lambda params: torch.optim.SGD(params, lr=0.1)."
        )
    if lr is not None:
        for group in made.param_groups:
            group["lr"] = float(lr)
    return made


@contextlib.contextmanager
def _the_same_twice() -> Iterator[None]:
    try:
        with no_draws():
            yield
    except DrewRandomNumbers as draw:
        raise _Noisy(
            f"The optimizer draws random numbers ({draw}), so that a ball would not roll the same way twice. Use one that does "
            "not."
        ) from None


def rate_of(optimizer: Optimizer) -> float:
    """The learning rate as it is set now, of the first group; NaN where it has none."""
    return float(optimizer.param_groups[0].get("lr", math.nan))


def title_of(optimizer: Optimizer) -> str:
    """An optimizer in a legend, such as "SGD, momentum 0.9 · lr 0.1"."""
    name, group = type(optimizer).__name__, optimizer.param_groups[0]
    if type(optimizer) is torch.optim.SGD and group["momentum"]:
        name += f", {'Nesterov' if group['nesterov'] else 'momentum'} {group['momentum']:g}"
    rate = rate_of(optimizer)
    return name if math.isnan(rate) else f"{name} · lr {rate:.4g}"


def asks(optimizer: Optimizer) -> bool:
    """Whether an optimizer asks for several losses a step, as LBFGS does: its step has no meaning without a closure."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


class Stepper:
    """An optimizer with its schedule: `before` a step the rate is set, `step` moves the parameters, `after` it time goes on.

    steps: how many there will be, for "cosine" and "linear". Raises TypeError or ValueError for a schedule that is none, and for
    one of an optimizer that chooses its own steps.
    """

    def __init__(self, optimizer: Optimizer, schedule: Schedule, steps: int) -> None:
        self.optimizer = optimizer
        self.asks = asks(optimizer)  # before a scheduler wraps its step
        self._strange = not type(optimizer).__module__.startswith("torch.optim")
        self._rates: list[Any] = [group.get("lr") for group in optimizer.param_groups]
        self._factor: Callable[[int], float] | None = None
        self._scheduler: LRScheduler | None = None
        if schedule is None:
            return
        if self.asks:
            raise ValueError(
                f"{type(optimizer).__name__} asks for several losses a step and chooses its own steps, so that a schedule of "
                "its rate means nothing. Pass schedule=None."
            )
        if any(rate is None for rate in self._rates):
            raise ValueError(f"{type(optimizer).__name__} has no learning rate. Pass schedule=None.")
        if schedule == "cosine":
            self._factor = lambda step: 0.5 * (1 + math.cos(math.pi * step / steps))
        elif schedule == "linear":
            self._factor = lambda step: 1 - step / steps
        elif not callable(schedule):
            raise ValueError(
                f'schedule is {schedule!r}. Pass "cosine", "linear", a function of the step that gives a factor, or one that makes '
                "a scheduler of an optimizer."
            )
        else:
            self._read(schedule)

    def _read(self, schedule: Callable[[Any], Any]) -> None:
        """Find out which kind of function it is: a number is taken by one, an optimizer by the other."""
        try:
            found = schedule(0)
        except Exception as first:
            try:
                found = schedule(self.optimizer)
            except Exception:
                raise ValueError(
                    f"The schedule raised {type(first).__name__} at step 0: {first}. Pass a function of the step that gives a "
                    "factor, or one that makes a scheduler of an optimizer."
                ) from first
        if isinstance(found, LRScheduler):
            self._scheduler = found
            return
        _factor_of(found, 0)
        self._factor = schedule

    def before(self, step: int) -> None:
        """Set the rate of this step. Raises ValueError for a factor that is none."""
        if self._factor is None:
            return
        factor = _factor_of(self._factor(step), step)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def step(self, evaluate: Evaluate) -> Generator[None, None, None]:
        """Move the parameters by their gradients, which are in place; evaluate: of the loss, for one that asks again.

        Raises EvaluationError when the optimizer raises.
        """
        if self.asks:
            yield from self._answering(evaluate)
        else:
            self._moved(None)

    def after(self, loss: float) -> None:
        """Tell the scheduler that a step was taken."""
        if isinstance(self._scheduler, ReduceLROnPlateau):
            self._scheduler.step(loss)
        elif self._scheduler is not None:
            self._scheduler.step()

    def _moved(self, closure: Callable[[], Any] | None) -> None:
        # A look at the first step tells whether an optimizer of the user's own draws random numbers.
        looking, self._strange = self._strange, False
        try:
            with _the_same_twice() if looking else contextlib.nullcontext():
                self.optimizer.step(*(() if closure is None else (closure,)))
        except (EvaluationError, _Ended, _Noisy):
            raise
        except Exception as error:
            said = str(error).rstrip(". ") or "nothing more"
            raise EvaluationError(
                f"{type(self.optimizer).__name__} raised {type(error).__name__} in a step: {said}. Use another optimizer, or "
                "other options."
            ) from error

    def _answering(self, evaluate: Evaluate) -> Generator[None, None, None]:
        """A step of an optimizer that asks for losses in the middle of it.

        It runs on a thread of its own and waits there for each answer, which is a piece of the job: so the job yields between
        chunks, and ends at its next yield, as any other.
        """
        asked: queue.SimpleQueue[BaseException | bool] = queue.SimpleQueue()  # True: asks; False: done
        answers: queue.SimpleQueue[float | None] = queue.SimpleQueue()

        def closure() -> torch.Tensor:
            asked.put(True)
            loss = answers.get()
            if loss is None:
                answers.put(None)  # for one that asks again all the same
                raise _Ended
            return torch.tensor(loss, dtype=torch.float64)

        def work() -> None:
            try:
                one_thread_each()
                self._moved(closure)
                asked.put(False)
            except BaseException as error:
                asked.put(error)

        thread = threading.Thread(target=work, name="lossatlas-step", daemon=True)
        thread.start()
        try:
            while (said := asked.get()) is True:
                answers.put((yield from evaluate()))
            if isinstance(said, BaseException):
                raise said
        finally:
            answers.put(None)  # whoever still waits for an answer leaves
            thread.join()


class _Noisy(ValueError):
    """An optimizer that does not do the same twice."""


class _Ended(Exception):
    """The job that answered has gone."""


def _factor_of(value: Any, step: int) -> float:
    number = not isinstance(value, bool) and hasattr(value, "__float__")
    if not number or not 0 <= float(value) < math.inf:
        raise ValueError(
            f"The schedule gave {value!r} at step {step}. Return the factor of the learning rate: a finite number that is not "
            "negative."
        )
    return float(value)
