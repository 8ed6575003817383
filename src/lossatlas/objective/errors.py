"""The error of a computation that could not be done, told apart from a wrong call."""

from __future__ import annotations


class EvaluationError(RuntimeError):
    """The user's model or loss raised while it was being evaluated; the original error is the cause."""
