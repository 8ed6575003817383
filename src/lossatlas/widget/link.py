"""Link: explorers that look at the same part of the plane, in the same colours and along the same isolines.

What they share acts in the page (link.js), in every frame and without a kernel. Here the traits follow, also where no page is.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from lossatlas.geometry import CHOICES
from lossatlas.widget.explorer import Explorer

#: What explorers share unless something else is chosen.
USUAL = ("view", "domain", "levels")

# The traits that each of what can be shared is made of.
_TRAITS: dict[str, tuple[str, ...]] = {
    "view": ("view",),
    "domain": ("scale", "colormap", "domain"),
    "levels": (),
    "field": ("field",),
    "plane": ("turn_u", "turn_v", "offset", *CHOICES),
}


class Link:
    """Explorers that share something, until `unlink`: `explorers` are they, the first of which shares `what`."""

    def __init__(self, explorers: Sequence[Explorer], what: Sequence[str]) -> None:
        self.what, self.group = tuple(what), uuid.uuid4().hex[:12]
        self.explorers: tuple[Explorer, ...] = ()
        self._following = False
        for explorer in explorers:
            self.add(explorer, what)

    def add(self, explorer: Explorer, what: Sequence[str]) -> None:
        """Let one more share these, as far as the others do; it takes the first one's."""
        explorer.linked, explorer.group = list(what), self.group
        for name in _traits(what):
            for first in self.explorers[:1]:
                self._pass_on(first, name, explorer)
        explorer.observe(self._on_change, _traits(what))
        self.explorers = (*self.explorers, explorer)

    def unlink(self) -> None:
        """Let each go its own way from here; a second call changes nothing."""
        for explorer in self.explorers:
            if explorer.group == self.group:
                explorer.unobserve(self._on_change, _traits(explorer.linked))
                explorer.group, explorer.linked = "", []

    def _on_change(self, change: Any) -> None:
        if self._following:  # the others have been told what this one follows
            return
        self._following = True
        try:
            for explorer in self.explorers:
                if explorer is not change.owner:
                    with explorer.moved_like(change.owner):
                        self._pass_on(change.owner, change.name, explorer)
        finally:
            self._following = False

    def _pass_on(self, source: Explorer, name: str, to: Explorer) -> None:
        alike = name not in _TRAITS["domain"] or source.field == to.field  # another field has other values
        if alike and name in _traits(to.linked) and not to.closed:
            setattr(to, name, getattr(source, name))

    def __repr__(self) -> str:
        return f"Link({len(self.explorers)} explorers share {', '.join(self.what)})"


def _traits(what: Sequence[str]) -> list[str]:
    return [name for shared in what for name in _TRAITS[shared]]


def link(explorers: Sequence[Explorer], what: Sequence[str]) -> Link:
    """See `lossatlas.link`."""
    check_explorers(explorers)
    shared = [what] if isinstance(what, str) else list(what)
    unknown = [one for one in shared if one not in _TRAITS]
    if unknown or not shared:
        raise ValueError(f"what is {what!r}. Pass some of {', '.join(map(repr, _TRAITS))}.")
    if "plane" in shared and len({id(explorer.landscape.directions) for explorer in explorers}) > 1:
        raise ValueError(
            'The explorers turn their planes by directions of their own, so that "plane" cannot be shared. Make one of the '
            "landscapes from the other, as with landscape.on(data)."
        )
    return Link(explorers, shared)


def check_explorers(explorers: Sequence[Any]) -> None:
    """Raise TypeError or ValueError, in words, for what cannot be linked."""
    for number, explorer in enumerate(explorers, 1):
        if not isinstance(explorer, Explorer):
            raise TypeError(
                f"Argument {number} is a {type(explorer).__name__}. Pass explorers, as landscape.explore() makes them."
            )
        if explorer.closed:
            raise ValueError(f"Explorer {number} was closed. Make a new one with landscape.explore().")
        if explorer.group:
            raise ValueError(
                f"Explorer {number} is linked already. Unlink it first, or link all of them in one call."
            )
    if len(set(map(id, explorers))) < max(2, len(explorers)):
        raise ValueError(
            f"There are {len(set(map(id, explorers)))} explorers to link. Pass two or more, each once."
        )
    lines = [explorer.landscape.on_line for explorer in explorers]
    if any(lines) and not all(lines):
        raise ValueError(
            "Some explorers show lines, others planes: they have no view in common. Link those of one kind."
        )
