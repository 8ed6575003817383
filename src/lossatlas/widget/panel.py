"""The explorer's controls as ordinary ipywidgets, for those who compose layouts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from lossatlas.geometry import TURNS
from lossatlas.widget import kernel

if TYPE_CHECKING:
    from lossatlas.widget.explorer import Explorer


def make_panel(explorer: Explorer) -> ipywidgets.VBox:
    """The sliders turn u, turn v and offset, what they turn between, and the planes seen; linked to the traits both ways.

    Raises TypeError for the explorer of a line, and of a plane without directions to turn to.
    """
    if explorer.landscape.on_line:
        raise TypeError("A line is not turned or moved, so that its explorer has no panel.")
    if not explorer.landscape.scene.directions:
        raise TypeError("This map knows no directions to turn to, so that its explorer has no panel.")
    sliders = {
        "turn_u": _slider(ipywidgets.IntSlider, -180, 180, 1),
        "turn_v": _slider(ipywidgets.IntSlider, -180, 180, 1),
        "offset": _slider(ipywidgets.FloatSlider, -1.0, 1.0, 1 / 128),
    }
    choices = {
        trait: ipywidgets.Dropdown(description=trait.replace("_", " "), options=[("", "")], value="")
        for trait in ("u_from", "u_to", "v_from", "v_to", "offset_along")
    }

    def describe(_change: Any = None) -> None:
        """The names that there are, and which of them the sliders turn towards."""
        for trait, choice in choices.items():
            options = _options(explorer, trait)
            if options != choice.options:
                choice.options = options
                choice.value = getattr(explorer, trait)
        for trait, words, to in (
            ("turn_u", "turn u towards", explorer.u_to or TURNS[0]),
            ("turn_v", "turn v towards", explorer.v_to or TURNS[1]),
            ("offset", "offset along", explorer.offset_along or TURNS[2]),
        ):
            sliders[trait].description = f"{words} {to}"

    describe()
    for trait, control in {**sliders, **choices}.items():
        traitlets.link((explorer, trait), (control, "value"))
    explorer.observe(describe, ["scene", "u_to", "v_to", "offset_along"])
    box = ipywidgets.VBox([*sliders.values(), *choices.values(), _planes(explorer)])
    for widget in _parts(box):
        kernel.answer_where_asked(widget.comm)
    return box


def close_panel(box: ipywidgets.VBox) -> None:
    """Close a panel with all that was made for it."""
    for widget in list(_parts(box)):
        widget.close()


def _planes(explorer: Explorer) -> ipywidgets.HBox:
    """Back, forward, and a name that keeps this plane or, where it is known, shows the one it stands for."""
    back = _button("‹", "The plane before", explorer.back)
    forward = _button("›", "The plane after", explorer.forward)
    bookmark = ipywidgets.Combobox(placeholder="bookmark", continuous_update=False)
    bookmark.tooltip = "A new name keeps this plane, a known one shows it again"

    def named(_change: Any) -> None:
        name, bookmark.value = bookmark.value.strip(), ""
        if name in explorer.bookmarks:
            explorer.go(name)
        elif name:
            explorer.bookmark(name)

    def describe(_change: Any = None) -> None:
        back.disabled = not explorer.around.get("back")
        forward.disabled = not explorer.around.get("forward")
        bookmark.options = tuple(explorer.bookmarks)

    describe()
    bookmark.observe(named, "value")
    explorer.observe(describe, ["around", "bookmarks"])
    return ipywidgets.HBox([back, forward, bookmark])


def _options(explorer: Explorer, trait: str) -> tuple[tuple[str, str], ...]:
    """The usual direction of a choice, under "", then all names."""
    names = explorer.scene["directions"]
    usual = dict(zip(("u_from", "v_from", "u_to", "v_to", "offset_along"), (*names[:2], *TURNS), strict=True))
    return ((f"{usual[trait]} (usual)", ""), *((name, name) for name in names if name != usual[trait]))


def _parts(box: ipywidgets.Box) -> Iterator[ipywidgets.Widget]:
    yield from (box, box.layout)
    for part in box.children:
        if isinstance(part, ipywidgets.Box):
            yield from _parts(part)
        else:
            yield from (part, part.layout, part.style)


def _button(text: str, title: str, act: Any) -> ipywidgets.Button:
    button = ipywidgets.Button(description=text, tooltip=title, layout=ipywidgets.Layout(width="auto"))
    button.on_click(lambda _button: act())
    return button


def _slider(kind: type[ipywidgets.Widget], low: float, high: float, step: float) -> ipywidgets.Widget:
    return kind(
        min=low,
        max=high,
        step=step,
        style={"description_width": "initial"},
        layout=ipywidgets.Layout(width="auto"),
    )
