"""What the kernel around us does: whether a cell runs, which cell that is, and where comm messages are answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

# At a quarter of the time a training cell keeps 75 to 82 % of its speed on two cores (the design, 6); the page's drawing
# of what arrives takes as much again.
_DUTY_WHILE_BUSY = 0.15

# A cell that is over in a moment need not be made way for.
_GRACE = 0.5

_cell_started: float | None = None
_after_cell: list[Callable[[], None]] = []
_watching: Any = None


def duty() -> float:
    """The share of the time that work in the background may take now."""
    started = _cell_started
    return 1.0 if started is None or time.monotonic() - started < _GRACE else _DUTY_WHILE_BUSY


def busy() -> bool:
    """Whether a cell is being run."""
    return duty() < 1.0


def is_notebook() -> bool:
    """Whether this process is a kernel, whose cells show what is written."""
    return getattr(_shell(), "kernel", None) is not None


def watch_cells(after: Callable[[], None]) -> None:
    """Notice when cells start and end in this IPython, if there is one, and call `after` at each end."""
    global _watching
    shell = _shell()
    if after not in _after_cell:
        _after_cell.append(after)
    if shell is None or shell is _watching:
        return
    _watching = shell
    shell.events.register("pre_run_cell", _on_start)
    shell.events.register("post_run_cell", _on_end)
    # The cell that makes the first map is under way already.
    if getattr(shell, "kernel", None) is not None:
        _on_start(None)


def current_cell() -> tuple[str, str] | None:
    """(cell, execution) that is running, where the front end tells: JupyterLab and Notebook do."""
    kernel = getattr(_shell(), "kernel", None)
    try:
        parent = kernel.get_parent() if kernel is not None else None
        cell = parent["metadata"].get("cellId") if parent else None
        return (str(cell), str(parent["header"]["msg_id"])) if cell and parent else None
    except (AttributeError, KeyError, TypeError, LookupError):  # another kernel keeps its parent elsewhere
        return None


def answer_where_asked(comm: Any) -> None:
    """Let messages on this comm be answered by the subshell that the page named.

    ipykernel 7.4 overrides it by the shell that last published on the comm, which a running cell keeps busy. The name
    is private: where it is missing, nothing is needed.
    """
    if comm is not None and hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default


def _on_start(_info: Any) -> None:
    global _cell_started
    _cell_started = time.monotonic()


def _on_end(_result: Any) -> None:
    global _cell_started
    _cell_started = None
    for call in _after_cell:
        call()


def _shell() -> Any:
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()
