"""Names that pages see: each one is given once."""

from __future__ import annotations

import itertools
from collections.abc import Container


def free(name: str, taken: Container[str]) -> str:
    """The name, or, where it is taken, the first free one of "name · 2", "name · 3" …"""
    numbered = (f"{name} · {count}" for count in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in taken)
