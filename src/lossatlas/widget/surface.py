"""Surfaces: what a page's 3-D button asks for. A job evaluates the view, and a FigureWidget beside the map shows it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

import plotly.graph_objects as go

from lossatlas import jobs
from lossatlas.figures.surface import surface_figure
from lossatlas.held import AnyLandscape
from lossatlas.pictures import chart_from
from lossatlas.widget import kernel
from lossatlas.widget.checked import BadRequest
from lossatlas.widget.looks import home_domain
from lossatlas.widget.orders import Orders
from lossatlas.widget.protocol import VERSION, Message, error, finite_or_none
from lossatlas.widget.surface_request import Surface

#: Points per side: as many as a page turns without effort.
PIXELS = 129

#: A message that is made when it is sent, on the publisher's thread: making it opens a comm.
Later = Callable[[], Message]


class Surfaces:
    """One run a page: a new request cancels the one before.

    post(later) sends to the pages; fail(request, error) says what went wrong; show(figure, keep) puts a figure into the
    explorer's widget, keeping its camera, and gives the widget's model id; looks() is what the map looks like: tolerance, colormap and domain.
    """

    def __init__(
        self,
        post: Callable[[Later], None],
        fail: Callable[[Surface, Exception], None],
        show: Callable[[go.Figure, bool], str],
        looks: Callable[[], dict[str, Any]],
    ) -> None:
        self._post, self._fail, self._show, self._looks = post, fail, show, looks
        self._orders = Orders()

    def begin(self, request: Surface, landscape: AnyLandscape) -> None:
        """Make the surface of a view, and stop what this page had asked for before. Raises BadRequest on a line."""
        if landscape.on_line:
            raise BadRequest(
                "A line has no surface: it is drawn as a curve.", client=request.client, req=request.req
            )
        work = self._make(request, landscape, self._looks())
        self._orders.begin(request.client, request.req, work, jobs.TURN)

    def cancel(self, client: str, req: int | None = None) -> None:
        """Stop a page's run, or only if it is that of request `req`."""
        self._orders.cancel(client, req)

    def close(self) -> None:
        """Stop everything."""
        for client in self._orders.under_way:
            self.cancel(client)

    def _make(
        self, request: Surface, landscape: AnyLandscape, looks: dict[str, Any]
    ) -> Generator[None, None, None]:
        try:
            yield
            found = yield from landscape.map_work(
                request.extent, PIXELS, looks.get("tolerance", 0.01), request.field
            )
            colormap = request.colormap or looks.get("colormap", "viridis")
            domain = (
                request.domain
                or looks.get("domain")
                or home_domain(landscape, request.field, request.scale, colormap)
            )
            chart = chart_from(landscape, found, scale=request.scale, colormap=colormap, domain=domain)
            figure = surface_figure(chart, request.camera, theme=request.theme, size=request.size)
            self._post(lambda: self._shown(request, figure, found.error))
        except GeneratorExit:
            self._post(lambda: _cancelled(request))
            raise
        except Exception as problem:  # every request gets an answer
            self._fail(request, problem)
        finally:
            self._orders.ended(request.client, request.req)

    def _shown(self, request: Surface, figure: go.Figure, stated: float) -> Message:
        """Put the figure into its widget and say which that is: on the publisher's thread."""
        try:
            return surfaced(request, self._show(figure, request.camera is None), stated)
        except Exception as problem:  # every request gets an answer
            return error("eval_failed", str(problem), client=request.client, req=request.req)


def surfaced(request: Surface, model: str, stated: float) -> Message:
    """The surface is in the widget of that model id; stated: what its values may be off by, inf where that is not known."""
    return {
        "v": VERSION, "k": "surface", "client": request.client, "req": request.req, "model": model, "error": finite_or_none(stated),
    }, []  # fmt: skip


def _cancelled(request: Surface) -> Message:
    return error("cancelled", "The surface was not made: another one was asked for, or it was cancelled.", client=request.client, req=request.req)  # fmt: skip


def surface_widget(figure: go.Figure) -> Any:
    """A figure as a widget that answers where it is asked. Raises RuntimeError, in words, where there can be none."""
    try:
        made = go.FigureWidget(figure)
    except Exception as problem:
        raise RuntimeError(
            f"The surface is shown by plotly's FigureWidget, which cannot be made here: {problem} landscape.figure() draws the "
            "same figure without it."
        ) from problem
    kernel.answer_where_asked(made.comm)
    return made


def update_widget(widget: Any, figure: go.Figure, keep: bool) -> None:
    """Show another figure of the same traces in a widget; keep: its camera too, as the user has turned it."""
    layout: dict[str, Any] = figure.layout.to_plotly_json()
    if keep:
        layout["scene"] = _without(layout["scene"], "camera")
    for old, new in zip(widget.data, figure.data, strict=True):
        # Each by itself: in one batch what one trace alone is told, the others are told to forget.
        with widget.batch_update():
            old.update(_without(new.to_plotly_json(), "type"))
    with widget.batch_update():
        widget.layout.update(layout)


def _without(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}
