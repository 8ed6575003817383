"""Keeping: what somebody has done with a map stays in its atlas, and is how the next map of the scene begins."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import traitlets

if TYPE_CHECKING:
    from lossatlas.held import AnyLandscape

# Trait by trait, the table of the atlas that it is kept in.
_KEPT = {"view": "views", "bookmarks": "views", "marks": "notes", "paths": "paths", "runs": "paths"}

_log = logging.getLogger("lossatlas")


def keep(explorer: traitlets.HasTraits, landscape: AnyLandscape, given: Any) -> None:
    """Begin with what was kept, but for the traits that were given, and keep what changes from now on.

    Writing is left to the atlas's own thread; without an atlas nothing is kept.
    """
    source = getattr(landscape, "source", landscape)
    atlas, scene = getattr(source, "atlas", None), landscape.scene.hash
    if atlas is None:
        return
    for name, value in _found(atlas, scene).items():
        if name not in given:
            try:
                setattr(explorer, name, value)
            except (traitlets.TraitError, TypeError, ValueError, KeyError) as error:  # it may be a stranger's
                _log.warning("What was kept as %s of a map cannot be used: %s", name, error)
    if atlas.writable:
        explorer.observe(
            lambda change: atlas.keep_soon(_KEPT[change["name"]], scene, change["name"], change["new"]),
            list(_KEPT),
        )


def _found(atlas: Any, scene: str) -> dict[str, Any]:
    kept = {kind: atlas.kept(kind, scene) for kind in dict.fromkeys(_KEPT.values())}
    return {name: kept[kind][name][0] for name, kind in _KEPT.items() if name in kept[kind]}
