"""The explorer's sliders as ordinary ipywidgets, for those who compose layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import traitlets

from lossatlas.widget import kernel

if TYPE_CHECKING:
    from lossatlas.widget.explorer import Explorer


def make_panel(explorer: Explorer) -> ipywidgets.VBox:
    """A box with the sliders turn u, turn v and offset, each linked to the explorer's trait both ways."""
    names = explorer.scene["turns"]
    sliders = {
        "turn_u": _slider(ipywidgets.IntSlider, f"turn u towards {names['u']}", -180, 180, 1),
        "turn_v": _slider(ipywidgets.IntSlider, f"turn v towards {names['v']}", -180, 180, 1),
        "offset": _slider(ipywidgets.FloatSlider, f"offset along {names['offset']}", -1.0, 1.0, 1 / 128),
    }
    for trait, slider in sliders.items():
        traitlets.link((explorer, trait), (slider, "value"))
    box = ipywidgets.VBox(list(sliders.values()))
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
