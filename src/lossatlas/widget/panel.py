"""The explorer's sliders as ordinary ipywidgets, for those who compose layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import traitlets

from lossatlas.widget import kernel

if TYPE_CHECKING:
    from lossatlas.widget.explorer import Explorer


def make_panel(explorer: Explorer) -> ipywidgets.VBox:
    """The sliders turn u, turn v and offset, and below them what they turn between, linked to the traits both ways.

    Raises TypeError for the explorer of a line.
    """
    names = explorer.scene["turns"]
    if not names["u"]:
        raise TypeError("A line is not turned or moved, so that its explorer has no panel.")
    sliders = {
        "turn_u": _slider(ipywidgets.IntSlider, f"turn u towards {names['u']}", -180, 180, 1),
        "turn_v": _slider(ipywidgets.IntSlider, f"turn v towards {names['v']}", -180, 180, 1),
        "offset": _slider(ipywidgets.FloatSlider, f"offset along {names['offset']}", -1.0, 1.0, 1 / 128),
    }
    for trait, slider in sliders.items():
        traitlets.link((explorer, trait), (slider, "value"))
    own = [axis["name"] for axis in explorer.scene["axes"]]
    usual = {
        "u_from": own[0],
        "u_to": names["u"],
        "v_from": own[1],
        "v_to": names["v"],
        "offset_along": names["offset"],
    }
    choices = []
    for trait, name in usual.items():
        options = [(f"{name} (usual)", ""), *((other, other) for other in explorer.scene["directions"])]
        choice = ipywidgets.Dropdown(
            description=trait.replace("_", " "), options=options, value=getattr(explorer, trait)
        )
        traitlets.link((explorer, trait), (choice, "value"))
        choices.append(choice)
    box = ipywidgets.VBox([*sliders.values(), *choices])
    for widget in _parts(box):
        kernel.answer_where_asked(widget.comm)
    return box


def close_panel(box: ipywidgets.VBox) -> None:
    """Close a panel with all that was made for it."""
    for widget in _parts(box):
        widget.close()


def _parts(box: ipywidgets.VBox) -> list[ipywidgets.Widget]:
    inner = [part for slider in box.children for part in (slider, slider.layout, slider.style)]
    return [box, box.layout, *inner]


def _slider(
    kind: type[ipywidgets.Widget], label: str, low: float, high: float, step: float
) -> ipywidgets.Widget:
    return kind(
        description=label, min=low, max=high, step=step, style={"description_width": "initial"},
        layout=ipywidgets.Layout(width="auto"),
    )  # fmt: skip
