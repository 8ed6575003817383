"""Law 1: whatever the engine does, the user's random streams stay where they were."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


def random_state() -> tuple[object, ...]:
    """The state of every global random stream a model could draw from, comparable with ==."""
    numpy_state: Any = np.random.get_state(legacy=True)  # noqa: NPY002 - it is the global stream that must be kept
    accelerators = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return (
        torch.random.get_rng_state().numpy().tobytes(),
        tuple(state.numpy().tobytes() for state in accelerators),
        (numpy_state[0], numpy_state[1].tobytes(), *numpy_state[2:]),
        random.getstate(),
    )


@contextlib.contextmanager
def random_streams_untouched() -> Iterator[None]:
    """Put the global random streams of torch, NumPy and Python back as they were, also after an error."""
    cpu = torch.random.get_rng_state()
    accelerators = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    numpy_state = np.random.get_state()  # noqa: NPY002
    python_state = random.getstate()
    try:
        yield
    finally:
        torch.random.set_rng_state(cpu)
        if accelerators is not None:
            torch.cuda.set_rng_state_all(accelerators)
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
