"""Comparison: maps beside each other, on one scale and looking at the same place."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from typing import Any

import ipywidgets

from lossatlas.difference import difference as difference_of
from lossatlas.difference import on_one_plane
from lossatlas.held import AnyLandscape
from lossatlas.landscape import Landscape
from lossatlas.scene import Scene
from lossatlas.widget import kernel
from lossatlas.widget.explorer import Explorer
from lossatlas.widget.link import USUAL, Link

# A map is at least so wide, in CSS pixels; as many stand in a row as there is room for.
_WIDTH, _HEIGHT = 320, 340

# Lengths of the axes that differ by no more than this factor are as good as the same.
_ALIKE = 1.05


class Comparison:
    """Linked explorers in a grid, the last line of a cell: `explorers`, one a landscape; `difference`, the explorer of the
    second less the first, or None; `link`, what they share; `notes`, what is not the same, a sentence each.
    """

    def __init__(
        self, landscapes: Sequence[AnyLandscape], difference: bool, columns: int | None, what: Sequence[str], traits: dict[str, Any]
    ) -> None:  # fmt: skip
        self.notes = tuple(_unlike(landscapes))
        self.explorers = tuple(Explorer(landscape, **traits) for landscape in landscapes)
        self.link = Link(self.explorers, what)
        self.difference: Explorer | None = None
        if difference:
            gap = difference_of(landscapes[1], landscapes[0])
            self.difference = Explorer(gap, **{k: v for k, v in traits.items() if k not in _OF_VALUES})
            self.link.add(self.difference, [one for one in what if one in ("view", "field", "plane")])
        self.box = _grid(self.shown, self.notes, columns)
        self.explorers[0].observe(self._on_comm, "comm")

    @property
    def shown(self) -> tuple[Explorer, ...]:
        """All its explorers."""
        return self.explorers if self.difference is None else (*self.explorers, self.difference)

    def close(self) -> None:
        """Close all explorers, and the grid."""
        self.explorers[0].unobserve_all("comm")
        for explorer in self.shown:
            explorer.close()
        for widget in _parts(self.box):
            widget.close()

    def _on_comm(self, change: Any) -> None:
        if change.new is None:  # the cell runs again
            self.close()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.box._repr_mimebundle_(**kwargs)

    def __repr__(self) -> str:
        return f"Comparison({', '.join(explorer.landscape.title for explorer in self.shown)})"


# Traits that are about the values of a loss, and not of a difference.
_OF_VALUES = ("scale", "colormap", "domain")


def compare(
    landscapes: Sequence[AnyLandscape],
    names: Sequence[str] | None,
    columns: int | None,
    difference: bool | None,
    link: Sequence[str],
    **traits: Any,
) -> Comparison:
    """See `lossatlas.compare`."""
    found = _checked(landscapes)
    titles = _titles(found, names)
    unknown = [one for one in link if one not in USUAL]
    if isinstance(link, str) or unknown:
        raise ValueError(f"link is {link!r}. Pass some of {', '.join(map(repr, USUAL))}.")
    if columns is not None and (isinstance(columns, bool) or not isinstance(columns, int) or columns < 1):
        raise ValueError(f"columns is {columns!r}. Pass how many maps stand in a row, 1 or more, or None.")
    models = [one for one in found if isinstance(one, Landscape)]
    together = len(models) == len(found) and not found[0].on_line and on_one_plane(models)
    if difference and (len(found) != 2 or not together):
        raise ValueError(
            f"difference=True needs two landscapes on one plane, and these are {len(found)}"
            f"{'' if together else ' on different planes'}. Subtract two of them and explore it: landscape1 - landscape2."
        )
    directions = models[0].directions if together else None
    called = [one.called(title, directions) for one, title in zip(found, titles, strict=True)]
    shown = together and len(found) == 2 if difference is None else difference
    what = [*link, "field", *(["plane"] if together else [])]
    return Comparison(called, shown, columns, what, {"height": _HEIGHT, **traits})


def _checked(landscapes: Any) -> list[AnyLandscape]:
    found = [landscapes] if isinstance(landscapes, AnyLandscape) else list(landscapes)
    for number, one in enumerate(found, 1):
        if not isinstance(one, AnyLandscape):
            raise TypeError(
                f"Landscape {number} is a {type(one).__name__}. Pass a list of lossatlas.Landscape."
            )
    if len(found) < 2:
        raise ValueError(
            f"There {['is no landscape', 'is one landscape'][len(found)]} to compare. Pass two or more."
        )
    if len({one.on_line for one in found}) > 1:
        raise ValueError("Some landscapes lie on lines, others on planes. Compare those of one kind.")
    homes = dict.fromkeys(one.home for one in found)
    if len(homes) > 1:
        said = " and ".join(
            f"({', '.join(f'{end:g}' for end in home)})" for home in itertools.islice(homes, 2)
        )
        raise ValueError(
            f"The landscapes have different home views, {said}. Choose one for all, with Landscape(…, extent=…)."
        )
    return found


def _titles(landscapes: Sequence[AnyLandscape], names: Sequence[str] | None) -> list[str]:
    if names is None:
        own = [one.title for one in landscapes]
        return own if len(set(own)) == len(own) else [f"{title} · {n}" for n, title in enumerate(own, 1)]
    if (
        isinstance(names, str)
        or len(names) != len(landscapes)
        or not all(isinstance(one, str) for one in names)
    ):
        raise ValueError(f"names is {names!r}. Pass a text for each of the {len(landscapes)} landscapes.")
    return list(names)


def _unlike(landscapes: Sequence[AnyLandscape]) -> list[str]:
    """What a and b mean in one of them and not in another, a sentence each."""
    scenes = [one.scene for one in landscapes]
    said = []
    for index, letter in zip(range(len(scenes[0].axes)), "ab", strict=False):
        axes = [scene.axes[index] for scene in scenes]
        lengths = [length for _, length, _ in axes]
        if len({unit for *_, unit in axes}) > 1 or max(lengths) > _ALIKE * min(lengths):
            said.append(f"1 along {letter} is {_each(scenes, [f'{x:.3g} {unit}' for _, x, unit in axes])}.")
    if said:
        said.insert(0, "The axes have different units.")
    sizes = [f"{one.objective.size} parameters" for one in landscapes if isinstance(one, Landscape)]
    if len(set(sizes)) > 1 and len(sizes) == len(scenes):
        said.append(f"The same a and b are not corresponding weights: {_each(scenes, sizes)}.")
    return said


def _each(scenes: Sequence[Scene], values: Sequence[str]) -> str:
    return ", ".join(f"{value} in “{scene.title}”" for value, scene in zip(values, scenes, strict=True))


def _grid(explorers: Sequence[Explorer], notes: Sequence[str], columns: int | None) -> ipywidgets.VBox:
    track = (
        f"repeat({columns}, minmax(0, 1fr))"
        if columns
        else f"repeat(auto-fit, minmax(min(100%, {_WIDTH}px), 1fr))"
    )
    grid = ipywidgets.GridBox(
        list(explorers), layout=ipywidgets.Layout(grid_template_columns=track, grid_gap="12px", width="100%")
    )
    # As text: names may hold anything.
    text = html.escape(" ".join(notes))
    words = [ipywidgets.HTML(f'<div style="line-height: 1.4">{text}</div>')] if notes else []
    box = ipywidgets.VBox([grid, *words])
    for widget in _parts(box):
        kernel.answer_where_asked(widget.comm)
    return box


def _parts(box: ipywidgets.VBox) -> list[ipywidgets.Widget]:
    """The widgets of a grid, without its explorers."""
    words = [part for one in box.children[1:] for part in (one, one.layout, one.style)]
    return [box, box.layout, box.children[0], box.children[0].layout, *words]
