"""What one batch tells about a model and its loss before anything is computed: the checks of laws 1, 3, 5 and 8."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lossatlas.objective.anybatch import tensors_in
from lossatlas.objective.data import Batch, Tree, map_tensors, tensors_of
from lossatlas.objective.errors import EvaluationError
from lossatlas.objective.fields import IGNORED
from lossatlas.objective.parameters import ParameterSpace
from lossatlas.objective.untouched import LOOKS, DrewRandomNumbers, no_draws, other_states

# A probe must be cheap beside a single evaluation, and large enough to hold several classes.
_PROBE_ROWS = 256


def probe_of(batch: Batch) -> Batch:
    """A few hundred samples drawn from the whole batch, because data are often sorted, or periodic, by class."""
    if batch.size <= _PROBE_ROWS:
        return batch
    drawn = np.random.default_rng(0).choice(batch.size, _PROBE_ROWS, replace=False)
    rows = torch.from_numpy(np.sort(drawn))

    def pick(tensor: Tensor) -> Tensor:
        return tensor[rows.to(tensor.device)] if tensor.dim() and tensor.shape[0] == batch.size else tensor

    return Batch(map_tensors(pick, batch.x), map_tensors(pick, batch.y), _PROBE_ROWS)


def telling_points(theta: Tensor, space: ParameterSpace) -> Iterator[Tensor]:
    """Places to look at the loss from, θ itself last: at a trained θ a loss near zero tells little about its kind.

    Each tensor is moved by Gaussian noise of half, then of a twentieth of its root mean square.
    """
    noise = torch.randn(
        space.size, generator=torch.Generator("cpu").manual_seed(0), device="cpu", dtype=torch.float32
    )
    noise = noise.to(theta.device, theta.dtype)
    for entry in space:
        size = entry.of(theta).square().mean().sqrt()
        entry.of(noise).mul_(torch.where(size > 0, size, torch.full_like(size, 0.1)))
    yield from (theta + share * noise for share in (0.5, 0.05, 0.0))


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
    try:
        with torch.inference_mode():
            evaluate()
        return False
    except RuntimeError as error:
        try:
            with torch.enable_grad():
                evaluate()
        except DrewRandomNumbers:
            raise
        except Exception:
            raise error from None
        return True


@contextlib.contextmanager
def checking_determinism() -> Iterator[None]:
    """Raise ValueError when what runs inside draws from a global random stream, and leave that stream as it was."""
    try:
        with no_draws():
            yield
    except DrewRandomNumbers as draw:
        raise _noisy(f"it draws random numbers ({draw})") from None


def check_deterministic(evaluate: Callable[[], float]) -> None:
    """Raise ValueError when two evaluations differ, or draw from NumPy or Python: such a loss is no function of θ."""
    first, second = evaluate(), evaluate()
    if not _same(first, second):
        raise _noisy(f"two evaluations gave {first!r} and {second!r}")
    for _ in range(LOOKS):
        before = other_states()
        evaluate()
        if other_states() == before:
            return
    raise _noisy("it draws random numbers (of NumPy or Python)")


def _noisy(seen: str) -> ValueError:
    return ValueError(
        f"The loss is not a function of the parameters alone: {seen}, in evaluation mode. "
        "Switch the noise off in the model or the loss (dropout by self.training, augmentation before the data)."
    )


def reduction_of(loss: Callable[[Batch], float], batch: Batch) -> Literal["mean", "sum"]:
    """What a doubled batch shows: a mean stays, a sum doubles."""
    try:
        once, twice = loss(batch), loss(_doubled(batch))
    except Exception:  # a model made for one batch size: a mean is what losses are by default
        return "mean"
    # A batch whose tensors do not all count samples cannot be doubled faithfully, so the two need not be equal.
    return "sum" if abs(twice - 2 * once) < 1e-3 * abs(once) else "mean"


def separable(
    fields: Callable[[Batch], Sequence[float]],
    weight: Callable[[Batch], float],
    batch: Batch,
    rounding: float,
) -> bool:
    """Whether each field of a batch is the weighted mean of its parts', so that data may be cut and joined freely."""
    try:
        whole = fields(batch)
        if batch.size < 2:
            # One sample per batch: nothing can be cut, and joining is only safe if a doubled sample says so.
            return _close(whole, fields(_doubled(batch)), rounding)
        # An uneven cut too: halves may happen to hold each class equally often.
        for cut in sorted({min(2, batch.size - 1), max(1, batch.size // 3), batch.size // 2}):
            parts = [batch.rows(0, cut), batch.rows(cut, batch.size)]
            weights = [weight(part) for part in parts]
            joined = [w * np.array(fields(part)) for w, part in zip(weights, parts, strict=True) if w]
            if not joined or not _close(np.sum(joined, axis=0) / sum(weights), whole, rounding):
                return False
    except Exception:  # a model that cannot do with a part of a batch
        return False
    return True


def raised(error: Exception, where: str, batch: Batch | None) -> EvaluationError:
    """The user's error with its place, the shapes that went in, and a cure."""
    shapes, who, check = "", "The model or the loss", "loss_fn(model(x), y)"
    if batch is not None and batch.y is None:
        shapes = f" with a batch of {_shapes(tuple(tensors_in(batch.x)))}"
        who, check = "The step", "step(model, batch)"
    elif batch is not None:
        shown = [f"{name} {_shapes(tree)}" for name, tree in (("x", batch.x), ("y", batch.y))]
        shapes = f" with {', '.join(shown)}"
    said = str(error).rstrip(". ") or "nothing more"
    cure = f"Check that {check} runs on one batch by itself."
    if batch is None:
        who, cure = "The function", "Check that f(theta) runs with theta at that point by itself."
    if "more than 1 value per channel" in said:
        cure = "A single sample has no statistics: use other batches (drop_last=True), or mode='eval'."
    elif "same dtype" in said:
        cure = "Pass one for the copy to be measured in, as in dtype=torch.float32."
    return EvaluationError(f"{who} raised {type(error).__name__} {where}{shapes}: {said}. {cure}")


def _shapes(tree: Tree) -> str:
    tensors = list(tensors_of(tree))
    return (
        " and ".join(f"{tuple(t.shape)} {str(t.dtype).removeprefix('torch.')}" for t in tensors[:4])
        or "nothing"
    )


def _close(a: Sequence[float] | np.ndarray, b: Sequence[float], rounding: float) -> bool:
    # The same sample in a batch of another size, and a sum in another order, differ by some tens of roundings.
    tolerance = max(256 * rounding, 1e-9)
    return all(
        _same(x, y) or abs(x - y) <= tolerance * max(abs(x), abs(y))
        for x, y in zip(map(float, a), b, strict=True)
    )


def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)


def _doubled(batch: Batch) -> Batch:
    def twice(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor]) if tensor.dim() and tensor.shape[0] == batch.size else tensor

    return Batch(map_tensors(twice, batch.x), map_tensors(twice, batch.y), 2 * batch.size)


def tokens(batch: Batch) -> float:
    """Targets that count: entries of y other than −100."""
    targets: Sequence[Tensor] = list(tensors_of(batch.y))
    if not targets:
        raise ValueError(
            'weight="tokens" counts the entries of y, but y holds no tensor. Pass weight=fn(batch).'
        )
    return float((targets[0] != IGNORED).sum())
