"""Identity of what is measured: a hash over its parts, and a watch over the user's model."""

from __future__ import annotations

import builtins
import functools
import hashlib
import json
import re
import sys
import sysconfig
import types
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Where an object lies, as Python's own repr says it.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

_SCALAR = (int, float, complex, str, bytes, type(None))

# What a class may hold beside its functions.
_PLAIN = (*_SCALAR, Tensor, np.ndarray, tuple, list, dict, set, frozenset)

# What every module has: the rest of its attributes are the user's, and may change what it computes.
_MODULE_KEYS = frozenset(vars(nn.Module())) | {"_flat_weights", "_flat_weight_refs"}


class Digest:
    """16 hexadecimal digits over tensors (dtype, shape, bytes) and JSON values, in the order in which they are added."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add(self, part: Any) -> None:
        """One more."""
        if isinstance(part, Tensor):
            tensor = part.detach().cpu().contiguous()
            self._sha.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            self._sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        else:
            self._sha.update(json.dumps(part, sort_keys=True, default=text_of).encode())
        self._sha.update(b"\0")

    @property
    def hash(self) -> str:
        """Of all so far."""
        return self._sha.hexdigest()[:16]


def text_of(thing: Any) -> str:
    """A thing by its text, without where it lies in memory: that is another place in every process."""
    return _ADDRESS.sub("", str(thing))


def digest(parts: Iterable[Any]) -> str:
    """16 hexadecimal digits over tensors (dtype, shape, bytes) and JSON values, in order."""
    found = Digest()
    for part in parts:
        found.add(part)
    return found.hash


def code_of(thing: Any, *, tensors: bool = True) -> str:
    """16 hexadecimal digits over what a function or module computes; `tensors`: a module's parameters and buffers too.

    Its code and the code that it calls in the same module, defaults, and the numbers, tensors and functions that it
    closes over or finds among its globals: two lambdas of one line are told apart. The same in every process. An
    object of a class of the user's is known by the code of its class and by its attributes, one of a library's by its
    type and its plain attributes.
    """
    return digest(_describe(thing, {}, tensors=tensors))


def _describe(value: Any, seen: dict[int, Any], *, tensors: bool = True) -> Iterator[Any]:
    if isinstance(value, _SCALAR):
        yield repr(value)
        return
    if isinstance(value, Tensor):
        yield value
        return
    if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        yield f"{value.dtype}{value.shape}" + hashlib.sha256(value.tobytes()).hexdigest()
        return
    if id(value) in seen:
        yield f"again {seen[id(value)][0]}"
        return
    seen[id(value)] = (len(seen), value)  # held, so that no other object gets its id
    if isinstance(value, nn.Module):
        yield from _describe_module(value, seen, tensors)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _describe(item, seen)
    elif isinstance(value, np.ndarray):  # of objects, whose bytes are where they lie in memory
        yield list(value.shape)
        yield from _describe(value.ravel().tolist(), seen)
    elif isinstance(value, tuple | list):
        yield len(value)
        for item in value:
            yield from _describe(item, seen)
    elif isinstance(value, set | frozenset):
        yield sorted(digest(_describe(item, {})) for item in value)
    elif isinstance(value, functools.partial):
        for part in (value.func, value.args, value.keywords):
            yield from _describe(part, seen)
    elif isinstance(value, types.MethodType):
        yield from _describe(value.__func__, seen)
        yield from _describe(value.__self__, seen)
    elif isinstance(value, types.FunctionType):
        yield from _describe_function(value, seen)
    elif isinstance(value, types.CodeType):
        yield [value.co_code.hex(), value.co_names]
        yield from _describe(value.co_consts, seen)
    elif isinstance(value, type):
        yield _name(value)
        yield from _describe_class(value, seen)
    else:
        yield _name(value)
        if not isinstance(value, types.ModuleType | types.BuiltinFunctionType):
            own = not _is_library(type(value))
            attributes = getattr(value, "__dict__", {}).items()
            # A hash of strings is another one in every process.
            known = {
                k: v for k, v in attributes if "hash" not in k and (own or isinstance(v, (*_SCALAR, Tensor)))
            }
            yield from _describe(known, seen)
            yield from _describe_class(type(value), seen)


def _describe_class(kind: type, seen: dict[int, Any]) -> Iterator[Any]:
    """The code and the plain attributes of a class of the user's, and of those that it comes from."""
    for one in kind.__mro__:
        if not _is_library(one):
            for name, member in vars(one).items():
                function = _function_of(member)
                # Beside functions, names with underscores say where a class was written, not what it does.
                plain = isinstance(function, _PLAIN) and not name.startswith("__")
                if plain or isinstance(function, types.FunctionType):
                    yield name
                    yield from _describe(function, seen)


def _function_of(member: Any) -> Any:
    """The function inside of a method or a property; anything else as it is."""
    if isinstance(member, staticmethod | classmethod):
        return member.__func__
    if isinstance(member, property):
        return member.fget
    return member.func if isinstance(member, functools.cached_property) else member


def _describe_function(function: types.FunctionType, seen: dict[int, Any]) -> Iterator[Any]:
    yield _name(function)
    if _is_library(function):
        return
    yield from _describe(function.__code__, seen)
    yield from _describe([function.__defaults__, function.__kwdefaults__], seen)
    for cell in function.__closure__ or ():
        try:
            yield from _describe(cell.cell_contents, seen)
        except ValueError:  # a name that is not bound yet
            yield "empty"
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__ and not hasattr(builtins, name):
            yield from _describe(function.__globals__[name], seen)


def _describe_module(module: nn.Module, seen: dict[int, Any], tensors: bool) -> Iterator[Any]:
    for name, part in module.named_modules():
        yield [name, _name(type(part))]
        yield from _describe_class(type(part), seen)
        own = {key: value for key, value in vars(part).items() if key not in _MODULE_KEYS}
        for mapping in (own, part._forward_pre_hooks, part._forward_hooks):
            yield from _describe(list(mapping.items()) if mapping is own else list(mapping.values()), seen)
    if tensors:
        yield from module.parameters()
        yield from module.buffers()


def refers_to(function: Any, model: nn.Module) -> bool:
    """Whether a function closes over a module or one of its parts, finds it among its globals, or is a method of one."""
    parts = set(model.modules())

    def holds(value: Any, depth: int) -> bool:
        if isinstance(value, nn.Module):
            return value in parts
        if not depth:
            return False
        if isinstance(value, functools.partial):
            inner = [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, types.MethodType):
            inner = [value.__self__, value.__func__]
        elif isinstance(value, types.FunctionType):
            inner = [cell.cell_contents for cell in value.__closure__ or () if _bound(cell)]
            inner += [value.__globals__[n] for n in _names(value.__code__) if n in value.__globals__]
        elif isinstance(value, types.ModuleType | type) or _is_library(type(value)):
            return False
        else:
            inner = list(getattr(value, "__dict__", {}).values())
        return any(holds(part, depth - 1) for part in inner)

    return holds(function, 3)


def _bound(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that is not bound yet
        return False


def _names(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _name(thing: Any) -> str:
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    owner = thing if hasattr(thing, "__qualname__") else type(thing)
    module = getattr(owner, "__module__", None) or ""
    version = _library(module.split(".")[0])
    return f"{module}.{owner.__qualname__}" + (f" {version}" if version else "")


def _is_library(thing: Any) -> bool:
    return _library((getattr(thing, "__module__", None) or "builtins").split(".")[0]) is not None


@functools.cache
def _library(root: str) -> str | None:
    """The version of an installed package, known by its name, "" for Python's own modules; None for the user's."""
    if root in ("torch", "numpy") or root in sys.stdlib_module_names:
        return ""
    module = sys.modules.get(root)
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    if module is None or not any((getattr(module, "__file__", None) or "").startswith(p) for p in installed):
        return None
    return str(getattr(module, "__version__", ""))


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
    # A tensor made in inference mode counts no versions.
    return [
        (name, tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version)
        for name, tensor in tensors
    ]
