"""Identity: the parts that make up what is measured, each a plain value or a hash, and in words what differs between two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from lossatlas.objective import data as _data
from lossatlas.objective.fingerprint import code_of, digest, text_of
from lossatlas.objective.loading import Stream
from lossatlas.objective.parameters import ParameterSpace
from lossatlas.objective.replica import ModelReplica

if TYPE_CHECKING:
    from lossatlas.objective.objective import Objective

#: What each kind of objective is made of, in words.
KINDS = {
    "model": "a model, a loss and data",
    "step": "a model and a step",
    "function": "a function of θ",
    "difference": "a difference",
}

# What is said of a part that is a hash.
_DIFFER = {
    "structure": "the model's structure differs: its layers, or their options",
    "code": "the model's code differs",
    "buffers": "the model's buffers differ, such as running statistics",
    "frozen": "the model's frozen parameters differ",
    "theta": "the parameters θ differ (the model was trained on or initialised anew)",
    "metrics": "the functions of the fields differ",
    "estimation": "the batches differ that running statistics are estimated over",
}
_LOSS = {
    "model": "the loss function differs",
    "step": "the step function differs",
    "function": "the function differs",
}

# What is said with its two values.
_PLAIN = ("fields", "weight", "reduction", "weight_decay", "mode", "dtype", "separable")

# Hashes over numbers that are others where another part is: in another precision, or with statistics that are not used.
_FOLLOW: dict[str, frozenset[str]] = {
    "parameters": frozenset({"theta"}),
    "fields": frozenset({"metrics"}),
    "dtype": frozenset({"theta", "buffers", "frozen", "data", "estimation"}),
    "mode": frozenset({"buffers", "data", "estimation", "separable"}),
    "separable": frozenset({"data"}),
}

#: The parts of an objective of each kind.
PARTS: dict[str, frozenset[str]] = {
    "function": frozenset({"kind", "loss", "fields", "dtype", "parameters", "size", "theta"}),
    "difference": frozenset({"kind", "terms"}),
}
PARTS["step"] = PARTS["function"] | {
    "structure", "code", "weight_decay", "mode", "buffers", "frozen", "separable", "data", "estimation", "samples",
}  # fmt: skip
PARTS["model"] = PARTS["step"] | {"metrics", "weight", "reduction"}


def of_model(
    kind: str, module: nn.Module, loss: Any, weight_decay: float, mode: str, dtype: Any
) -> dict[str, Any]:
    """What is known of a model and its loss before data are read."""
    return {
        "kind": kind, "structure": digest([text_of(module)]), "code": code_of(module, tensors=False), "loss": code_of(loss),
        "weight_decay": float(weight_decay), "mode": mode, "dtype": str(dtype).removeprefix("torch."),
    }  # fmt: skip


def parts_of(objective: Objective) -> dict[str, Any]:
    """All parts of an objective, as JSON values: together they are what its hash is made of."""
    if objective.terms:
        return {"kind": "difference", "terms": [term.hash for term in objective.terms]}
    parts = {
        **objective._identity, "fields": list(objective.fields), "size": objective.size,
        "parameters": space_of(objective.parameters), "theta": theta_of(objective),
    }  # fmt: skip
    replica = objective._made
    if isinstance(replica, ModelReplica):
        names = {entry.name for entry in objective.parameters}
        frozen = ((name, p) for name, p in replica.module.named_parameters() if name not in names)
        parts |= {
            "buffers": _of_named(replica.module.named_buffers()), "frozen": _of_named(frozen),
            "separable": objective.separable, "samples": objective.samples, "data": _of_batches(replica.chunks),
            "estimation": _of_batches(replica.estimation),
        }  # fmt: skip
    return parts


def space_of(space: ParameterSpace) -> str:
    """16 hexadecimal digits over the names and shapes of the parameters, in order."""
    return digest([[entry.name, list(entry.shape)] for entry in space])


def origin_of(objective: Objective) -> str:
    """16 hexadecimal digits over θ and what its entries belong to: all that a random direction is scaled by."""
    return _kept(objective, "origin", lambda: digest([space_of(objective.parameters), theta_of(objective)]))


def theta_of(objective: Objective) -> str:
    """16 hexadecimal digits over θ: its bytes."""
    return _kept(objective, "theta", lambda: digest([objective._theta]))


def _kept(objective: Objective, what: str, make: Callable[[], str]) -> str:
    key = ("identity", what)
    if key not in objective.kept:
        objective.kept[key] = make()
    return str(objective.kept[key])


def _of_named(tensors: Iterable[tuple[str, Tensor]]) -> str:
    return digest(part for named in tensors for part in named)


def _of_batches(held: Any) -> str:
    if isinstance(held, Stream):
        return digest([held.digests, held.sizes])
    return digest(part for chunk in held for part in _data.identity(chunk))


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What differs between the parts of two objectives, a clause each, in the words "there" and "here"."""
    kind = here["kind"]
    if there["kind"] != kind:
        return [f"it is the objective of {KINDS[there['kind']]} there, of {KINDS[kind]} here"]
    other = {name for name in PARTS[kind] if there[name] != here[name]}
    # What follows from another part says nothing of its own.
    for name in other & _FOLLOW.keys():
        other -= _FOLLOW[name] if there.get("samples") == here.get("samples") else _FOLLOW[name] - {"data"}
    found = []
    if other & {"parameters", "size"}:
        found.append(
            f"the parameters have other names or shapes (P = {there['size']} there, {here['size']} here)"
        )
    if "loss" in other:
        found.append(_LOSS[kind])
    found += [words for name, words in _DIFFER.items() if name in other - {"estimation"}]
    found += [f"{name} is {there[name]!r} there, {here[name]!r} here" for name in _PLAIN if name in other]
    if other & {"data", "samples"}:
        same = there["samples"] == here["samples"]
        count = f"{here['samples']} samples in both, with other values, or cut or ordered otherwise" if same else (
            f"{there['samples']} samples there, {here['samples']} here"
        )  # fmt: skip
        found.append(f"the data differ ({count})")
    elif "estimation" in other:
        found.append(_DIFFER["estimation"])
    return found
