"""What a recipe may hold: JSON text read without surprises, every key known and every value of its kind. Format 1."""

from __future__ import annotations

import functools
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lossatlas.geometry import CHOICES
from lossatlas.objective.identity import PARTS

#: The newest format that this version reads, and the one that it writes.
FORMAT = 1

#: Takes a value and where it stands; returns it. Raises TypeError or ValueError naming both.
Check = Callable[[Any, str], Any]

# More nested than any recipe of ours: a turned plane of turned planes, or a difference of differences.
_DEEPEST = 64

_HASH = re.compile(r"[0-9a-f]{16}")

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_shown = _SHORT.repr


def parsed(recipe: Any) -> dict[str, Any]:
    """A recipe from its dict or its JSON text. Raises TypeError or ValueError naming the key and the value that is wrong."""
    if isinstance(recipe, str):
        recipe = _read(recipe)
    if not isinstance(recipe, Mapping):
        raise TypeError(
            f"recipe is a {type(recipe).__name__}. Pass the dict landscape.recipe, or its JSON text."
        )
    _anything(recipe, "recipe")
    number = recipe.get("format")
    if isinstance(number, int) and not isinstance(number, bool) and number > FORMAT:
        raise ValueError(
            f"recipe['format'] is {number}: it was made by a newer lossatlas, and this one reads format {FORMAT}. Update lossatlas."
        )
    return dict(_RECIPE(recipe, "recipe"))


def _read(text: str) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(f"it holds {name}, which is no JSON number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} stands there twice")
        return found

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ValueError(
            f"The recipe is no JSON text: {why}. It begins with {_shown(text)}. Pass what json.dumps(landscape.recipe) gave."
        ) from error


def _wrong(value: Any, where: str, cure: str) -> str:
    return f"{where} is {_shown(value)}. {cure}"


def _anything(value: Any, where: str, depth: int = 0) -> Any:
    """Any JSON value of finite numbers."""
    if depth > _DEEPEST:
        raise ValueError(
            f"{where[:80]}… is nested more than {_DEEPEST} deep. Take the recipe as it was written."
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(_wrong(key, f"A key of {where}", "Keys are text."))
            _anything(item, f"{where}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _anything(item, f"{where}[{index}]", depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(_wrong(value, where, "Numbers of a recipe are finite."))
    elif value is not None and not isinstance(value, str | int | float):
        raise TypeError(_wrong(value, where, "Pass JSON values: text, numbers, lists and mappings."))
    return value


def _of(kinds: type | tuple[type, ...], words: str) -> Check:
    def check(value: Any, where: str) -> Any:
        allowed = isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))
        if not allowed:
            raise TypeError(_wrong(value, where, f"It is {words}."))
        return value

    return check


_text = _of(str, "text")
_whole = _of(int, "a whole number")
_flag = _of(bool, "true or false")


def _number(value: Any, where: str) -> Any:
    try:
        float(_of((int, float), "a number")(value, where))
    except OverflowError:
        raise ValueError(_wrong(value, where, "Numbers of a recipe are those of float64.")) from None
    return value


def _hash(value: Any, where: str) -> Any:
    if not _HASH.fullmatch(_text(value, where)):
        raise ValueError(_wrong(value, where, "It is a hash of 16 hexadecimal digits."))
    return value


def _one_of(*values: Any) -> Check:
    def check(value: Any, where: str) -> Any:
        if isinstance(value, bool) or value not in values:
            raise ValueError(_wrong(value, where, f"It is one of {', '.join(map(repr, values))}."))
        return value

    return check


def _maybe(check: Check) -> Check:
    return lambda value, where: None if value is None else check(value, where)


def _list(check: Check, *lengths: int) -> Check:
    def each(value: Any, where: str) -> Any:
        if not isinstance(value, list | tuple):
            raise TypeError(_wrong(value, where, "It is a list."))
        if lengths and len(value) not in lengths:
            raise ValueError(_wrong(value, where, f"It has {' or '.join(map(str, lengths))} entries."))
        return [check(item, f"{where}[{index}]") for index, item in enumerate(value)]

    return each


def _row(*checks: Check) -> Check:
    def each(value: Any, where: str) -> Any:
        _list(_anything, len(checks))(value, where)
        return [
            check(item, f"{where}[{i}]") for i, (check, item) in enumerate(zip(checks, value, strict=True))
        ]

    return each


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(_wrong(value, where, "It is a mapping."))
    return value


def _table(check: Check, keys: Iterable[str] | None = None) -> Check:
    """A mapping whose values are of one kind; keys: those that it may have, any by default."""

    def each(value: Any, where: str) -> Any:
        known = None if keys is None else list(keys)
        for key in _mapping(value, where):
            if known is not None and key not in known:
                raise _unknown(key, value[key], where, known)
        return {key: check(item, f"{where}[{key!r}]") for key, item in value.items()}

    return each


def _keys(optional: Iterable[str] = (), **checks: Check) -> Check:
    """A mapping of exactly these keys; optional: those that may be missing."""

    def each(value: Any, where: str) -> Any:
        for key in _mapping(value, where):
            if key not in checks:
                raise _unknown(key, value[key], where, checks)
        for key in checks:
            if key not in value and key not in optional:
                raise ValueError(f"{where} lacks the key {key!r}. Take the recipe as it was written.")
        return {key: checks[key](item, f"{where}[{key!r}]") for key, item in value.items()}

    return each


def _unknown(key: str, value: Any, where: str, known: Iterable[str]) -> ValueError:
    return ValueError(
        f"{where} has the unknown key {key!r}, which is {_shown(value)}. Its keys are {', '.join(map(repr, known))}."
    )


def _by_kind(checks: Mapping[str, Check], *, others: bool = False) -> Check:
    """A mapping whose keys follow from its kind; others: whether a kind of the user's own may hold anything."""

    def each(value: Any, where: str) -> Any:
        kind = _mapping(value, where).get("kind")
        if isinstance(kind, str) and kind in checks:
            return checks[kind](value, where)
        if others:
            return value
        raise ValueError(_wrong(kind, f"{where}['kind']", f"It is one of {', '.join(map(repr, checks))}."))

    return each


_names = _list(_text)
_scaling = {
    "normalize": _maybe(_one_of("filter", "layer", "tensor", "model")),
    "ignore": lambda value, where: value if isinstance(value, bool) else _names(value, where),
    "layers": _names,
}
_SCALED = ("ignore", "layers")


def _axis(value: Any, where: str) -> Any:
    return _keys(kind=_text, of=_of_plane, axis=_one_of("u", "v"))(value, where)


def _of_plane(value: Any, where: str) -> Any:
    return _hash(value, where) if isinstance(value, str) else _plane_recipe(value, where)


_of_bytes = _keys(kind=_text, hash=_hash)
_direction = _by_kind(
    {
        "random": _keys(_SCALED, kind=_text, seed=_whole, index=_whole, origin=_hash, **_scaling),
        "gradient": _keys(kind=_text, objective=_hash),
        "eigenvector": _keys(kind=_text, number=_whole, objective=_hash),
        "weight": _keys(kind=_text, name=_text, space=_hash),
        **dict.fromkeys(("own", "towards", "momentum", "adam"), _of_bytes),
        "axis": _axis,
    },
    others=True,
)


def _plane_recipe(value: Any, where: str) -> Any:
    return _PLANES(value, where)


_maybe_scaling = _maybe(_keys(_SCALED, **_scaling))
_PLANES = _by_kind(
    {
        "random": _keys((*_SCALED, "orthogonal"), kind=_text, seed=_whole, orthogonal=_flag, origin=_hash, **_scaling),
        "along": _keys(("orthogonal",), kind=_text, u=_direction, v=_direction, orthogonal=_flag),
        "through": _keys(kind=_text, hash=_hash, orthonormal=_flag),
        "pca": _of_bytes,
        "own": _of_bytes,
        "line": _keys(kind=_text, u=_direction),
        "between": _keys(kind=_text, u=_direction),
        "turned": _keys(
            ("chosen",), kind=_text, of=_plane_recipe, seed=_whole, turn_u=_whole, turn_v=_whole, offset=_number,
            scaling=_maybe_scaling, origin=_hash, chosen=_table(_row(_text, _direction, _maybe_scaling), CHOICES),
        ),
    },
    others=True,
)  # fmt: skip

_slice = _keys(
    kind=_one_of("plane", "line"), hash=_hash, recipe=_maybe(_plane_recipe), vectors=_table(_hash, ("origin", "u", "v")),
    names=_list(_text, 1, 2), about=_list(_text, 1, 2), points=_list(_row(_text, _number, _number)), home=_list(_number, 4),
    scaling=_maybe_scaling, variance=_maybe(_row(_list(_number, 2), _list(_number, 2))),
)  # fmt: skip

_turn = _keys(
    turn_u=_whole, turn_v=_whole, offset=_number, chosen=_table(_text, CHOICES),
    directions=_table(
        _keys(recipe=_direction, name=_text, about=_text, scaling=_maybe_scaling, vector=_maybe(_hash))
    ),
)  # fmt: skip

_PART: dict[str, Check] = {
    "kind": _text, "fields": _names, "metrics": _list(_hash), "weight": _text, "reduction": _maybe(_text), "weight_decay": _number,
    "mode": _text, "dtype": _text, "size": _whole, "samples": _whole, "separable": _flag, "terms": _list(_hash, 2),
    **dict.fromkeys(
        ("structure", "code", "loss", "parameters", "theta", "buffers", "frozen", "data", "estimation"), _hash
    ),
}  # fmt: skip


@functools.cache
def _parts() -> Check:
    return _by_kind(
        {kind: _keys((), **{name: _PART[name] for name in names}) for kind, names in PARTS.items()}
    )


def _objective(value: Any, where: str) -> Any:
    """The parts of an objective, and of a difference those of its terms."""
    found = _keys(
        title=_text, hash=_hash, device=_text, parts=_parts(), terms=_list(_objective, 0, 2)
    )(value, where)  # fmt: skip
    told = [term["hash"] for term in found["terms"]]
    if told != list(found["parts"].get("terms", ())):
        raise ValueError(_wrong(told, f"The hashes of {where}['terms']", "They are those of its parts."))
    return found


_RECIPE = _keys(
    format=_one_of(1), versions=_keys(lossatlas=_text, python=_text, torch=_text, numpy=_text), scene=_hash, title=_text,
    objective=_objective, plane=_slice, turn=_turn, home=_list(_number, 4),
)  # fmt: skip
