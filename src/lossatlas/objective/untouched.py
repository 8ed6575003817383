"""Law 1: whatever the engine does, the user's random streams stay where they were."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: Another thread that trains may draw between two looks at a global stream, but hardly every time.
LOOKS = 5


class DrewRandomNumbers(Exception):
    """An operation drew from a global random stream of torch."""


@contextlib.contextmanager
def random_streams_untouched() -> Iterator[None]:
    """Put the global random streams of torch, NumPy and Python back as they were, also after an error.

    What another thread draws in the meantime is undone too: only for what may draw and cannot be kept from it.
    """
    torch_state, others = _torch_state(), other_states()
    try:
        yield
    finally:
        _restore(torch_state)
        _restore_others(others)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let all global random streams start from `seed` inside, and go on afterwards as if nothing had been drawn."""
    with random_streams_untouched():
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global stream is what a data set draws from
        random.seed(seed)
        yield


@contextlib.contextmanager
def no_draws() -> Iterator[None]:
    """Raise DrewRandomNumbers when this thread draws from a global stream of torch, and leave that stream as it was.

    Operation by operation, so that another thread may train, and draw, at the same time. The streams of NumPy and
    Python are put back when the body raises, whatever it raises.
    """
    others = other_states()
    try:
        with _Looking():
            yield
    except BaseException:
        _restore_others(others)
        raise


class _Looking(TorchDispatchMode):
    """Looks at the random stream around every operation that may draw from it (attention only may, dropout does)."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # By default torch guards a mode against being compiled, and imports its compiler for that: 1.6 s.
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        before = _torch_state()
        for _ in range(LOOKS):
            start = _torch_state()
            result = func(*args, **kwargs)
            if _same(_torch_state(), start):
                return result
        _restore(before)
        raise DrewRandomNumbers(func.__name__)


def _torch_state() -> list[torch.Tensor]:
    accelerators = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return [torch.random.get_rng_state(), *accelerators]


def _same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    # As bytes: comparing tensors would be an operation to look at.
    return [t.numpy().tobytes() for t in a] == [t.numpy().tobytes() for t in b]


def _restore(state: list[torch.Tensor]) -> None:
    torch.random.set_rng_state(state[0])
    if state[1:]:
        torch.cuda.set_rng_state_all(state[1:])


def other_states() -> tuple[Any, ...]:
    """The states of the global random streams of NumPy and Python, comparable with ==."""
    state: Any = np.random.get_state(legacy=True)  # noqa: NPY002 - it is the global stream that must be kept
    name, keys, *rest = state
    return (name, keys.tobytes(), *rest), random.getstate()


def _restore_others(states: tuple[Any, ...]) -> None:
    (name, keys, *rest), python = states
    np.random.set_state((name, np.frombuffer(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    random.setstate(python)
