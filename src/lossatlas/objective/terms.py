"""Terms: what two objectives must share for their numbers to be compared, and in words what they do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossatlas.objective.data import Batch, identity, tensors_of
from lossatlas.objective.fingerprint import digest, text_of
from lossatlas.objective.objective import Objective


@dataclass(frozen=True)
class Terms:
    """On which data, by which loss and how an objective is measured; the model and its parameters are no part of it."""

    data: str  # 16 hexadecimal digits; "" of a plain function, which has none
    samples: int
    loss: str  # 16 hexadecimal digits of the loss, what it weighs by, and its reduction
    weight_decay: float
    mode: str
    precision: str


def terms_of(objective: Objective) -> Generator[None, None, Terms]:
    """The terms of an objective, as a job that yields between batches: all data are read once."""
    said = objective._identity
    if objective.held is None:
        return Terms("", 0, "", 0.0, "", said.get("dtype", ""))
    data = yield from fingerprint(objective.held)
    loss = digest([said["loss"], *(said[name] for name in ("weight", "reduction") if name in said)])
    return Terms(data, objective.samples, loss, said["weight_decay"], said["mode"], said["dtype"])


def fingerprint(batches: Iterable[Batch]) -> Generator[None, None, str]:
    """What samples hold, in order, as 16 hexadecimal digits: the same however they are cut, and in any precision ≥ float32."""
    found: dict[int, Any] = {}
    shapes: dict[int, Any] = {}
    for batch in batches:
        for place, part in enumerate(_parts(batch)):
            sha = found.setdefault(place, hashlib.sha256())
            if not isinstance(part, Tensor):
                sha.update(json.dumps(part, sort_keys=True, default=text_of).encode())
                continue
            shape = tuple(part.shape[1:])
            if shapes.get(place) != shape:  # said once, not once a batch: cutting must not change it
                sha.update(str(shape).encode())
                shapes[place] = shape
            plain = part.detach().cpu().to(torch.float32) if part.is_floating_point() else part.detach().cpu()
            sha.update(plain.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        yield
    return digest([sha.hexdigest() for _, sha in sorted(found.items())])


def differences(terms: Sequence[Terms]) -> tuple[str, ...]:
    """What is not the same, a sentence each; none where all are on equal terms."""
    if any(not one.data for one in terms):
        return ("A function of θ alone has no data: whether they are the same functions cannot be told.",)
    found = []
    if len({one.data for one in terms}) > 1:
        said = ", ".join(f"{one.samples} samples ({one.data})" for one in terms)
        found.append(f"The data differ: {said}. Measure both on the same, with objective.on(data).")
    if len({one.loss for one in terms}) > 1:
        found.append("The loss functions differ, or what they weigh samples by.")
    for name, values in (
        ("weight decay", [f"{one.weight_decay:g}" for one in terms]),
        ("mode of normalisation", [one.mode for one in terms]),
        ("precision", [one.precision for one in terms]),
    ):
        if len(set(values)) > 1:
            found.append(f"The {name} differs: {', '.join(values)}.")
    return tuple(found)


def _parts(batch: Batch) -> Iterable[Any]:
    if batch.y is None and not isinstance(batch.x, Tensor):
        return identity(batch)
    return [*tensors_of(batch.x), *tensors_of(batch.y)]
