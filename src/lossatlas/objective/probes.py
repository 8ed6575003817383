"""What one batch tells about a model and its loss before anything is computed: the checks of laws 1, 3, 5 and 8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lossatlas.objective.data import Batch, Tree, map_tensors, tensors_of
from lossatlas.objective.errors import EvaluationError
from lossatlas.objective.untouched import random_state, random_streams_untouched

# A probe must be cheap beside a single evaluation, and large enough to hold several classes.
_PROBE_ROWS = 256


def probe_of(batch: Batch) -> Batch:
    """A few hundred samples spread over the whole batch, because data are often sorted by class."""
    if batch.size <= _PROBE_ROWS:
        return batch
    rows = torch.linspace(0, batch.size - 1, _PROBE_ROWS).round().long()

    def pick(tensor: Tensor) -> Tensor:
        return tensor[rows.to(tensor.device)] if tensor.dim() and tensor.shape[0] == batch.size else tensor

    return Batch(map_tensors(pick, batch.x), map_tensors(pick, batch.y), _PROBE_ROWS)


def check_loss(value: Any, size: int) -> None:
    """Raise TypeError or ValueError, in words, when a loss function returned no loss."""
    cure = "Return a scalar tensor (a mean) or one value per sample."
    if isinstance(value, bool) or not isinstance(value, Tensor | int | float):
        raise TypeError(f"loss_fn returned a {type(value).__name__}, not a loss. {cure}")
    if not isinstance(value, Tensor):
        return
    if not value.is_floating_point():
        raise TypeError(f"loss_fn returned a tensor of {value.dtype}, not of floating numbers. {cure}")
    if value.dim() and value.shape[0] != size and value.numel() != 1:
        raise ValueError(
            f"loss_fn returned a tensor of shape {tuple(value.shape)} for a batch of {size} samples, not a scalar. {cure}"
        )


def needs_autograd(evaluate: Callable[[], Any]) -> bool:
    """Whether a step differentiates inside: it fails without autograd and succeeds with it."""
    with random_streams_untouched():
        try:
            with torch.inference_mode():
                evaluate()
            return False
        except RuntimeError as error:
            try:
                with torch.enable_grad():
                    evaluate()
            except Exception:
                raise error from None
            return True


def check_deterministic(evaluate: Callable[[], float]) -> None:
    """Raise ValueError when two evaluations differ or draw random numbers: such a loss is no function of θ."""
    with random_streams_untouched():
        before = random_state()
        first = evaluate()
        drew = random_state() != before
        second = evaluate()
    same = first == second or (first != first and second != second)
    if drew or not same:
        seen = "it draws random numbers" if drew else f"two evaluations gave {first!r} and {second!r}"
        raise ValueError(
            f"The loss is not a function of the parameters alone: {seen} (in evaluation mode). "
            "Switch the noise off in the model or the loss (dropout by self.training, augmentation before the data)."
        )


def reduction_of(loss: Callable[[Batch], float], batch: Batch, stated: str | None) -> str:
    """ "mean" or "sum", as stated or as a doubled batch shows: a mean stays, a sum doubles."""
    if stated is not None:
        return stated
    once, twice = loss(batch), loss(_doubled(batch))
    # A batch whose tensors do not all count samples cannot be doubled faithfully; a mean is what losses are by default.
    is_sum = abs(twice - 2 * once) < 1e-3 * abs(once) and abs(once) > 0
    return "sum" if is_sum else "mean"


def separable(
    loss: Callable[[Batch], float], weight: Callable[[Batch], float], batch: Batch, rounding: float
) -> bool:
    """Whether a batch's mean is the weighted mean of its parts', so that data may be cut and joined freely."""
    if batch.size < 2:
        # One sample per batch: nothing can be cut, and joining is only safe if a doubled sample says so.
        return _close(loss(batch), loss(_doubled(batch)), rounding)
    for cut in {batch.size // 2, max(1, batch.size // 3)}:
        parts = [batch.rows(0, cut), batch.rows(cut, batch.size)]
        weights = [weight(part) for part in parts]
        if not sum(weights):
            return False
        joined = sum(w * loss(part) for w, part in zip(weights, parts, strict=True) if w) / sum(weights)
        if not _close(joined, loss(batch), rounding):
            return False
    return True


def raised(error: Exception, where: str, batch: Batch | None) -> EvaluationError:
    """The user's error with its place, the shapes that went in, and a cure."""
    shapes = ""
    if batch is not None:
        shown = [f"{name} {_shapes(tree)}" for name, tree in (("x", batch.x), ("y", batch.y))]
        shapes = f" with {', '.join(shown)}"
    return EvaluationError(
        f"The model or the loss raised {type(error).__name__} {where}{shapes}: {error} "
        "Check that loss_fn(model(x), y) runs on one batch by itself."
    )


def _shapes(tree: Tree) -> str:
    tensors = list(tensors_of(tree))
    return (
        " and ".join(f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in tensors[:4])
        or "nothing"
    )


def _close(a: float, b: float, rounding: float) -> bool:
    # Means of up to a few hundred samples in another order differ by some tens of roundings.
    return a == b or abs(a - b) <= 64 * rounding * max(abs(a), abs(b))


def _doubled(batch: Batch) -> Batch:
    def twice(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor]) if tensor.dim() and tensor.shape[0] == batch.size else tensor

    return Batch(map_tensors(twice, batch.x), map_tensors(twice, batch.y), 2 * batch.size)


def tokens(batch: Batch) -> float:
    """Targets that count: entries of y other than −100, the index that torch's losses ignore by default."""
    targets: Sequence[Tensor] = list(tensors_of(batch.y))
    if not targets:
        raise ValueError(
            'weight="tokens" counts the entries of y, but y holds no tensor. Pass weight=fn(batch).'
        )
    return float((targets[0] != -100).sum())
