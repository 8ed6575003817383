"""Fields beside the loss, from the same forward pass: accuracy, error, or the user's own metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

#: The target that torch's losses leave out by default.
IGNORED = -100

Metric = Callable[[Any, Any], Any]  # (output, y) -> scalar mean over the batch


def resolve_fields(
    fields: Sequence[str | Mapping[str, Metric]],
) -> tuple[tuple[str, ...], tuple[Metric, ...]]:
    """The names of all fields, "loss" first, and the functions of those beside it.

    Raises ValueError for an unknown or repeated name and TypeError for a metric that cannot be called.
    """
    if isinstance(fields, str | Mapping):
        fields = (fields,)
    named: dict[str, Metric | None] = {"loss": None}
    for field in fields:
        if field == "loss":
            continue
        items: dict[str, Any] = dict(field) if isinstance(field, Mapping) else {field: _KNOWN.get(field)}
        for name, metric in items.items():
            if metric is None:
                raise ValueError(
                    f"There is no field {name!r}. Use 'loss', {', '.join(map(repr, _KNOWN))} or {{name: fn(output, y)}}."
                )
            if not callable(metric):
                raise TypeError(
                    f"The field {name!r} is a {type(metric).__name__}. Pass a function fn(output, y)."
                )
            if name in named:
                raise ValueError(f"The field {name!r} is given twice. Give every field its own name.")
            named[name] = metric
    return tuple(named), tuple(metric for metric in named.values() if metric is not None)


def accuracy(output: Any, y: Any) -> Tensor:
    """The share of targets that are the index of the largest output along dimension 1; −100 is no target."""
    if (
        not isinstance(output, Tensor)
        or not isinstance(y, Tensor)
        or y.is_floating_point()
        or output.dim() < 2
        or output.shape[:1] + output.shape[2:] != y.shape
    ):
        raise TypeError(
            "The field 'accuracy' needs outputs of shape (n, classes, …) and integer targets (n, …), not "
            f"{_shown(output)} and {_shown(y)}. Pass {{'accuracy': fn(output, y)}} for another kind."
        )
    counts = y != IGNORED
    return (output.argmax(dim=1) == y)[counts].to(torch.float64).mean()


def error(output: Any, y: Any) -> Tensor:
    """One minus the accuracy."""
    return 1.0 - accuracy(output, y)


def _shown(value: Any) -> str:
    return f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


_KNOWN: dict[str, Metric] = {"accuracy": accuracy, "error": error}
