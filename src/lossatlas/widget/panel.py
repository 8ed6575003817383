"""The explorer's sliders as ordinary ipywidgets, for those who compose layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets
import traitlets

from lossatlas.widget import kernel

if TYPE_CHECKING:
    from lossatlas.widget.explorer import Explorer


def make_panel(explorer: Explorer) -> ipywidgets.Widget:
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
    for widget in (
        box,
        box.layout,
        *sliders.values(),
        *(part for s in sliders.values() for part in (s.layout, s.style)),
    ):
        kernel.answer_where_asked(widget.comm)
    return box


def _slider(
    kind: type[ipywidgets.Widget], label: str, low: float, high: float, step: float
) -> ipywidgets.Widget:
    return kind(
        description=label, min=low, max=high, step=step, style={"description_width": "initial"},
        layout=ipywidgets.Layout(width="auto"),
    )  # fmt: skip
