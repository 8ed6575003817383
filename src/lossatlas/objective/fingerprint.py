"""Identity of what is measured: a hash over its parts, and a watch over the user's model."""

from __future__ import annotations

import functools
import hashlib
import json
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def digest(parts: Iterable[Any]) -> str:
    """16 hexadecimal digits over tensors (dtype, shape, bytes) and JSON values, in order."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            tensor = part.detach().cpu().contiguous()
            sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            sha.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            sha.update(json.dumps(part, sort_keys=True, default=str).encode())
        sha.update(b"\0")
    return sha.hexdigest()[:16]


def name_of(function: Callable[..., Any]) -> str:
    """A name of a callable that is the same in every process: module, name, and its code where it has one."""
    if isinstance(function, functools.partial):
        return f"partial({name_of(function.func)}, {function.args!r}, {sorted(function.keywords.items())!r})"
    if isinstance(function, nn.Module):
        return repr(function)
    owner = function if hasattr(function, "__qualname__") else type(function)
    name = f"{owner.__module__}.{owner.__qualname__}"
    code = getattr(function, "__code__", None)
    if code is None:
        return name
    constants = [c for c in code.co_consts if isinstance(c, int | float | str | bool | type(None))]
    return f"{name}:{hashlib.sha256(code.co_code + repr(constants).encode()).hexdigest()[:8]}"


class Watch:
    """Notices when a module's tensors have been written to or replaced, by version counters; reads no value."""

    def __init__(self, module: nn.Module) -> None:
        self._module = weakref.ref(module)
        self._seen = _versions(module)

    @property
    def changed(self) -> bool:
        """Whether anything was written since; a module that no longer exists has not changed."""
        module = self._module()
        return module is not None and _versions(module) != self._seen


def _versions(module: nn.Module) -> list[tuple[str, int, int]]:
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return [(name, tensor.data_ptr(), tensor._version) for name, tensor in tensors]
