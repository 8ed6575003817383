"""Naming: parameters chosen by the name of a tensor or a module, or by a glob."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from lossatlas.objective.parameters import Entry, ParameterSpace

Names = str | Sequence[str]


def chosen(what: str, names: Any, space: ParameterSpace) -> tuple[str, ...]:
    """The patterns of a user's option `what`. Raises TypeError or ValueError for none, and for one that matches nothing."""
    patterns = (names,) if isinstance(names, str) else names
    if not isinstance(patterns, tuple | list | set | frozenset) or not all(
        isinstance(pattern, str) for pattern in patterns
    ):
        raise TypeError(f"{what} is {names!r}. Pass a name, a glob such as '*.weight', or a list of them.")
    if not patterns:
        raise ValueError(f"{what} is empty. Pass at least one name, or leave it out.")
    for pattern in patterns:
        if not any(matches(entry, (pattern,)) for entry in space):
            raise ValueError(f"No parameter matches {pattern!r}. {near(pattern, _known(space))}")
    return tuple(patterns)


def matches(entry: Entry, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches a tensor: by its own name, or by that of a module which holds it."""
    parts = entry.name.split(".")
    names = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def layer_of(name: str) -> str:
    """The module that a parameter belongs to; the pieces of a parametrization belong to the module they make."""
    return (
        name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
    )


def layers_of(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The tensors by the module that they belong to, in order."""
    layers: dict[str, list[Entry]] = {}
    for entry in entries:
        layers.setdefault(layer_of(entry.name), []).append(entry)
    return layers


def near(name: str, known: Iterable[str]) -> str:
    """A sentence that helps somebody who wrote `name` where only the `known` names exist."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(map(repr, names[:6]))
    return f"There are {shown}" + (f" and {len(names) - 6} more." if len(names) > 6 else ".")


def _known(space: ParameterSpace) -> list[str]:
    return list(dict.fromkeys(name for entry in space for name in (entry.name, layer_of(entry.name)) if name))
