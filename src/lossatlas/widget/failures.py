"""Failures: what the wire calls an error that a job ended with."""

from __future__ import annotations

import logging

from lossatlas.held import ReadOnly
from lossatlas.objective import EvaluationError

_log = logging.getLogger("lossatlas")


def code_of(error: Exception) -> str:
    """The code that the wire has for an error; one that nobody foresaw is logged."""
    if isinstance(error, ReadOnly):
        return "read_only"
    if not isinstance(error, EvaluationError | ValueError | ArithmeticError | MemoryError):
        _log.error("An evaluation failed in an unforeseen way.", exc_info=error)
    out_of_memory = isinstance(error, MemoryError) or "out of memory" in str(error).lower()
    return "out_of_memory" if out_of_memory else "eval_failed"
