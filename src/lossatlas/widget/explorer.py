"""Explorer: the widget. A thin shell around a session: traits and comm here, everything else elsewhere."""

from __future__ import annotations

import base64
import contextlib
import contextvars
import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from lossatlas import jobs, pictures
from lossatlas.curvature import Stability
from lossatlas.features import CriticalPoint
from lossatlas.geometry import CHOICES, TURNS, NamedDirections, Turn, check_tolerance
from lossatlas.held import AnyLandscape, HeldDirections, HeldLandscape
from lossatlas.widget import kernel
from lossatlas.widget.carry import Carried
from lossatlas.widget.history import History
from lossatlas.widget.keeping import keep
from lossatlas.widget.looks import looks_of
from lossatlas.widget.marks import Mark
from lossatlas.widget.picture import home_png
from lossatlas.widget.protocol import Head, scene_head
from lossatlas.widget.runs import NO_TURNS, Runs
from lossatlas.widget.session import Session

_STATIC = Path(__file__).parent.parent / "static"

# How long a cell may wait for the small picture beside the map; a costly model does without.
_PICTURE_SECONDS = 1.0

_OFFSET_STEPS = 128

# What decides the plane: a position of all these is a bookmark, and a place in the history.
_CONTROLS = ("turn_u", "turn_v", "offset", *CHOICES)

#: What may be drawn over the colours, and what is from the start.
LAYERS = ("isolines", "relief", "arrows", "profiles", "marks", "paths", "critical", "doubt")
SHOWN = ("isolines", "relief", "marks", "paths", "critical")

COLORMAPS = ("viridis", "cividis", "magma", "batlow", "vik")

#: The one for values of both signs, whose middle stands for 0: that of differences.
DIVERGING = "vik"

_MOST_LEVELS = 64

jobs.slow_down(kernel.duty)


class Explorer(Carried, Runs, anywidget.AnyWidget):
    """A zoomable map of a landscape, or the curve of a line; display it, or make it the last line of a cell.

    view: {"center": [a, b], "span": width in a}; turn_u, turn_v: whole degrees in [−180, 180]; offset: in [−1, 1], in
    steps of 1/128; u_from, u_to, v_from, v_to, offset_along: what is turned towards what, by the names in
    `landscape.directions`, "" for the usual; bookmarks: positions of these controls by name; tolerance: share of the
    visible range that the map may be off by, 0 for every node evaluated; theme: "auto", "light" or "dark"; renderer:
    "auto", "webgl2" or "cpu"; scale: "auto", "linear", "log" or, for values of both signs, "symlog"; colormap, one of COLORMAPS, and
    domain, the two values that get its ends ([]: those of the home view); levels: values that have an isoline ([]: round ones); layers: names of what is drawn over the colours, of
    "isolines", "relief", "arrows", "profiles", "marks", "paths", "critical" and "doubt"; relief: how strong the light on the slopes is,
    0 to 1; marks: notes and critical points on planes, see `mark`; paths: curves in a plane, {"name", "points": [[a, b], …]}
    with "steps", "distance" to the plane, the true "loss" and "color" where they are known; runs: what was recorded of runs,
    {"name", "steps", "series": {"loss": […], …}}; curves: whether their learning curves stand beside the map; height: of the map in CSS pixels. All can be set from Python and linked to other widgets.
    stability: asked for at each point that is clicked, where an optimizer's steps stop coming back (`la.explore(…,
    optimizer=, full_batch=)` passes it).
    """

    # Its further parts (protocol.PARTS) are sent when they are first asked for, and in no notebook.
    _esm = _STATIC / "widget.js"
    _css = _STATIC / "widget.css"

    scene = traitlets.Dict(help="What the map shows.").tag(sync=True)
    view = traitlets.Dict(help="Center [a, b] and span, the width in a.").tag(sync=True)
    # The page that told the view, "" for none: to that page it is no news.
    _view_by = traitlets.Unicode("").tag(sync=True)
    turn_u = traitlets.Int(0, help="How far u is turned, in degrees.").tag(sync=True)
    turn_v = traitlets.Int(0, help="How far v is turned, in degrees.").tag(sync=True)
    offset = traitlets.Float(0.0, help="How far the plane is moved.").tag(sync=True)
    u_from = traitlets.Unicode("", help="The direction that u turns from.").tag(sync=True)
    u_to = traitlets.Unicode("", help="The direction that u turns towards.").tag(sync=True)
    v_from = traitlets.Unicode("", help="The direction that v turns from.").tag(sync=True)
    v_to = traitlets.Unicode("", help="The direction that v turns towards.").tag(sync=True)
    offset_along = traitlets.Unicode("", help="The direction that the plane moves along.").tag(sync=True)
    bookmarks = traitlets.Dict(help="Positions of these controls, by name.").tag(sync=True)
    around = traitlets.Dict(help="How many planes there are to go back and forward to.").tag(sync=True)
    field = traitlets.Unicode("loss", help="The field that is drawn.").tag(sync=True)
    scale = traitlets.Enum(["auto", "linear", "log", "symlog"], "auto").tag(sync=True)
    tolerance = traitlets.Float(
        0.01, help="Share of the visible range that the map may be off by; 0: exact."
    ).tag(sync=True)
    layers = traitlets.List(
        traitlets.Enum(LAYERS), list(SHOWN), help="What is drawn over the colours, of LAYERS."
    ).tag(sync=True)
    levels = traitlets.List(
        traitlets.Float(), help="Values that have an isoline; []: round ones, as many as suit the view."
    ).tag(sync=True)
    relief = traitlets.Float(0.5, min=0.0, max=1.0, help="How strong the light on the slopes is.").tag(
        sync=True
    )
    colormap = traitlets.Enum(COLORMAPS, "viridis").tag(sync=True)
    domain = traitlets.List(
        traitlets.Float(), help="Values that get the first and the last colour; []: those in sight at home."
    ).tag(sync=True)
    theme = traitlets.Enum(["auto", "light", "dark"], "auto").tag(sync=True)
    renderer = traitlets.Enum(["auto", "webgl2", "cpu"], "auto").tag(sync=True)
    group = traitlets.Unicode("", help="The explorers that it is linked with; '': none.").tag(sync=True)
    linked = traitlets.List(traitlets.Unicode(), help="What it shares with them.").tag(sync=True)
    height = traitlets.Int(480, min=120, max=4000).tag(sync=True)

    # On the class, since a widget closes itself even when it could not be made.
    _session: Session | None = None
    _panel: ipywidgets.VBox | None = None
    _surface: Any = None  # the FigureWidget beside the map, once it was asked for
    _names: NamedDirections | HeldDirections | None = None  # until there is a session
    _history: History
    _mover: str = ""  # the page whose move of a linked explorer is followed just now

    def __init__(
        self,
        landscape: AnyLandscape,
        *,
        stability: Callable[[], Stability | None] = lambda: None,
        **traits: Any,
    ) -> None:
        if not isinstance(landscape, AnyLandscape):
            raise TypeError(f"landscape is a {type(landscape).__name__}. Pass a lossatlas.Landscape.")
        home = landscape.home
        start = {"center": [(home[0] + home[1]) / 2, (home[2] + home[3]) / 2], "span": home[1] - home[0]}
        if landscape.on_line and set(traits) & set(_CONTROLS):
            raise TypeError(NO_TURNS)
        if landscape.scene.difference:
            traits = {"colormap": DIVERGING, **traits}
        if isinstance(landscape, HeldLandscape):
            traits = {"field": landscape.fields[0], **traits}
        self._names = None if landscape.on_line else landscape.directions
        super().__init__(scene=scene_head(landscape.scene), **{"view": start, **traits})
        keep(self, landscape, traits)
        self._history = History(self._position)
        self.around = self._history.around
        self._context = contextvars.copy_context()
        kernel.answer_where_asked(self.comm)
        self._session = Session(
            landscape, self._publish, slowed=kernel.busy, on_close=self.close, on_step=self._step,
            on_names=self._tell_scene, on_position=self._turn_to, stability=stability,
            part=_part, tolerance=self.tolerance, surface=self._show_surface, looks=self._surface_looks,
            keep_run=self._keep_run, run_names=lambda: {one["name"] for one in (*self.paths, *self.runs)},
            aim=self._aim_at_shown,
        )  # fmt: skip
        self.on_msg(_weakly(self._on_message))
        self.observe(self._on_turn, list(_CONTROLS))
        if Turn(**self._position).moves:
            self._on_turn(None)
        self._names = None
        _open(self)

    @property
    def landscape(self) -> AnyLandscape:
        """What is shown now: the landscape on the plane where the sliders stand."""
        return self._live_session.landscape

    @property
    def closed(self) -> bool:
        """Whether it has let go of its landscape."""
        return self._session is None

    @property
    def panel(self) -> ipywidgets.Widget:
        """The explorer's sliders as an ipywidgets box, to compose layouts with."""
        if self._panel is None:
            from lossatlas.widget.panel import make_panel

            self._panel = make_panel(self)
        return self._panel

    def back(self) -> None:
        """Show the plane before this one again. Raises ValueError when this is the first."""
        if not self._step(-1):
            raise ValueError("This is the first plane that this map showed. There is nothing to go back to.")

    def forward(self) -> None:
        """Undo `back`. Raises ValueError when this is the last."""
        if not self._step(1):
            raise ValueError("This is the newest plane that this map showed. There is nothing to go on to.")

    def bookmark(self, name: str) -> None:
        """Keep where the controls stand under a name, in place of what it stood for. Raises TypeError for no name."""
        if not isinstance(name, str) or not name:
            raise TypeError(f"name is {name!r}. Pass what the bookmark is to be called.")
        self.bookmarks = {**self.bookmarks, name: self._position}

    def go(self, name: str) -> None:
        """Put the controls where a bookmark has them. Raises ValueError for a name that there is not."""
        if name not in self.bookmarks:
            known = ", ".join(map(repr, self.bookmarks)) or "none yet"
            raise ValueError(f"There is no bookmark {name!r}. There are: {known}.")
        self._put(self.bookmarks[name])

    def mark(
        self, a: float | CriticalPoint, b: float | None = None, text: str = "", kind: str = "note"
    ) -> None:
        """Put a note at a point of the plane that is shown now, or a critical point where it falls on that plane.

        kind: "note", "minimum", "maximum", "saddle", "degenerate" or "point"; a critical point brings its own, and a text
        with its loss and its distance. It is seen on this plane alone: on another the same a, b are another point. Raises
        TypeError or ValueError for what is no place, and ValueError when the map is closed.
        """
        landscape = self._live_session.landscape
        if isinstance(a, CriticalPoint):
            if b is not None or text or kind != "note":
                raise TypeError("A critical point has its own place, text and kind. Pass it alone.")
            mark = Mark.of(a, landscape.slice, landscape.scene.hash)
        else:
            if b is None and not landscape.on_line:
                raise TypeError(
                    "b is missing. Pass both coordinates, as in explorer.mark(0.5, −0.2, 'here')."
                )
            mark = Mark(a, 0.0 if b is None else b, text, kind, landscape.scene.hash)
        self.marks = [*self.marks, mark.head()]

    def to_png(self, path: Any, *, dpi: float = 300, **options: Any) -> None:
        """Write what the map shows as a PNG: view, field, scale, colours, levels and theme, as they are now.

        options: as of `landscape.plot`, in place of any of these. Raises as `landscape.to_png` does, and ValueError when the
        map is closed.
        """
        pictures.to_png(self.landscape, path, dpi=dpi, **{**self._looks, **options})

    def to_svg(self, path: Any, **options: Any) -> None:
        """The same as an SVG, with isolines as lines and text as text."""
        pictures.to_svg(self.landscape, path, **{**self._looks, **options})

    def to_pdf(self, path: Any, **options: Any) -> None:
        """The same as a PDF."""
        pictures.to_pdf(self.landscape, path, **{**self._looks, **options})

    @property
    def _looks(self) -> dict[str, Any]:
        """What the map looks like, as options of a plot. Relief is for screens: it is left out unless it is asked for."""
        return looks_of(self, self._live_session)

    def refresh(self) -> None:
        """Map the model as it is now, on the same plane recipe. Raises ValueError when the map is closed or has none."""
        self.landscape.objective  # noqa: B018 - says in words that there is no model
        self._live_session.refresh()

    def close(self) -> None:
        """Stop evaluating and let go of the landscape; outputs that show the map become empty."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        _opened.pop(self, None)
        if self._panel is not None:
            from lossatlas.widget.panel import close_panel

            close_panel(self._panel)
        if self._surface is not None:
            self._surface.close()
        layout = self.layout
        super().close()
        layout.close()  # a widget of its own, made with this one; nobody else would

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        session = self._session
        if session is None or not bundle:
            return bundle
        picture = home_png(session.landscape) if session.first_picture(_PICTURE_SECONDS) else None
        if picture is not None:
            data = bundle[0] if isinstance(bundle, tuple) else bundle
            data["image/png"] = base64.b64encode(picture).decode()
        return bundle

    @property
    def _live_session(self) -> Session:
        if self._session is None:
            raise ValueError("This map was closed. Run its cell again for a new one.")
        return self._session

    def _on_message(self, _widget: Any, message: Any, _buffers: Any) -> None:
        self._context = contextvars.copy_context()
        session = self._session
        if session is not None:
            session.handle(message)
            # Here rather than where the plane changes: that is on a worker's thread, which must not touch traits.
            self._tell_scene()

    def _tell_scene(self) -> None:
        if self._session is not None:
            self.scene = scene_head(self._session.landscape.scene)

    @property
    def _position(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _CONTROLS}

    def _put(self, position: Mapping[str, Any]) -> None:
        with self.hold_sync(), self.hold_trait_notifications():
            for name in _CONTROLS:
                setattr(self, name, position.get(name, self.trait_defaults(name)))

    def _turn_to(self, position: Mapping[str, Any]) -> None:
        """Some controls elsewhere, as by one hand."""
        self._put({**self._position, **position})

    def _step(self, count: int) -> bool:
        position = self._history.step(count)
        if position is None:
            return False
        self._put(position)
        self.around = self._history.around
        return True

    def _on_turn(self, _change: Any) -> None:
        if self._session is not None:
            if self._session.landscape.on_line:
                raise TypeError(NO_TURNS)
            self._history.visit(self._position)
            self.around = self._history.around
            self._session.turn(Turn(**self._position))

    def _publish(self, head: Head, buffers: list[bytes]) -> None:
        # In the context of the page's last message, so that the kernel knows which shell it came by. In a copy: a
        # context can be entered only once, and the publisher may be in it when a cell closes the map.
        self._context.copy().run(self.send, head, buffers)

    def _surface_looks(self) -> dict[str, Any]:
        """What the surface has of the map: how exact it is, and its colours, locked ones or those of the home view."""
        return {"tolerance": self.tolerance, "colormap": self.colormap, "domain": tuple(self.domain) or None}

    def _show_surface(self, figure: Any, keep: bool) -> str:
        """Put a figure into the widget beside the map, made when it is first asked for; its model id.

        On the publisher's thread, and in the context of the page's last message like all that is sent: a widget opens a comm.
        """
        return self._context.copy().run(self._put_surface, figure, keep)

    def _put_surface(self, figure: Any, keep: bool) -> str:
        from lossatlas.widget.surface import surface_widget, update_widget

        if self._surface is None:
            self._surface = surface_widget(figure)
        else:
            update_widget(self._surface, figure, keep)
        if self._session is None:  # closed meanwhile
            self._surface.close()
        return str(self._surface.model_id)

    @traitlets.validate("turn_u", "turn_v")
    def _whole_degrees(self, proposal: Any) -> int:
        if abs(proposal["value"]) > 180:
            raise traitlets.TraitError(
                f"{proposal['trait'].name} is {proposal['value']}. Pass whole degrees from −180 to 180."
            )
        return int(proposal["value"])

    @traitlets.validate(*CHOICES)
    def _known_direction(self, proposal: Any) -> str:
        names = self._names
        if self._session is not None and not self._session.landscape.on_line:
            names = self._session.landscape.directions
        if proposal["value"] and names is not None:
            try:
                names.check(proposal["value"])
            except ValueError as error:
                raise traitlets.TraitError(f"{proposal['trait'].name}: {error}") from None
            usual = dict(zip(CHOICES, (names.names[0], TURNS[0], names.names[1], *TURNS[1:]), strict=True))
            if proposal["value"] == usual[proposal["trait"].name]:
                return ""  # the same plane has one position
        return str(proposal["value"])

    @traitlets.validate("bookmarks")
    def _sound_bookmarks(self, proposal: Any) -> dict[str, dict[str, Any]]:
        for name, position in proposal["value"].items():
            try:
                if not name or not isinstance(name, str):
                    raise ValueError("a name is text")
                Turn(**position)
            except (TypeError, ValueError) as error:
                raise traitlets.TraitError(
                    f"bookmarks holds {name!r}: {position!r}, which is no position: {error}. Pass names with where the "
                    f"controls stand, as in {{'name': {{'turn_u': 30, 'u_to': 'gradient'}}}}."
                ) from None
        return {name: dict(position) for name, position in proposal["value"].items()}

    @property
    def _shown(self) -> str:
        """The hash of what is shown."""
        session = self._session
        return session.landscape.scene.hash if session is not None else str(self.scene.get("hash", ""))

    @traitlets.validate("tolerance")
    def _share_of_the_range(self, proposal: Any) -> float:
        try:
            return check_tolerance(proposal["value"])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None

    @traitlets.validate("levels")
    def _sorted_levels(self, proposal: Any) -> list[float]:
        values = sorted(set(proposal["value"]))
        if len(values) > _MOST_LEVELS or not all(map(math.isfinite, values)):
            raise traitlets.TraitError(
                f"levels is {proposal['value']}. Pass at most {_MOST_LEVELS} finite values, or [] for round ones."
            )
        return values

    @traitlets.validate("domain")
    def _two_values(self, proposal: Any) -> list[float]:
        values = proposal["value"]
        if values and not (len(values) == 2 and all(map(math.isfinite, values)) and values[0] < values[1]):
            raise traitlets.TraitError(
                f"domain is {values}. Pass [lowest, highest] of the field, finite and ascending, or [] for those in sight."
            )
        return list(values)

    @traitlets.validate("offset")
    def _whole_steps(self, proposal: Any) -> float:
        value = float(proposal["value"])
        if not abs(value) <= 1:
            raise traitlets.TraitError(f"offset is {value}. Pass a number from −1 to 1.")
        return round(value * _OFFSET_STEPS) / _OFFSET_STEPS

    @traitlets.validate("view")
    def _sound_view(self, proposal: Any) -> dict[str, Any]:
        view = proposal["value"]
        try:
            a, b = (float(value) for value in view["center"])
            span = float(view["span"])
        except (KeyError, TypeError, ValueError):
            a = b = span = math.nan
        if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(span) and span > 0):
            raise traitlets.TraitError(
                f'view is {view}. Pass {{"center": [a, b], "span": width in a}}, finite, span > 0.'
            )
        if "view" not in self._property_lock:  # which is held for what a page tells
            self._view_by = self._mover
        return {"center": [a, b], "span": span}

    def send_state(self, key: Any = None) -> None:
        """A view goes with who made it, in one message: between two the page might tell a view of its own."""
        super().send_state(("view", "_view_by") if key == "view" else key)

    @contextlib.contextmanager
    def moved_like(self, other: Explorer) -> Iterator[None]:
        """Here it is moved by whoever moved another one: a page has moved both, and knows."""
        self._mover = other._view_by
        try:
            yield
        finally:
            self._mover = ""


# The explorers that are open, and the cell and execution that made each.
_opened: weakref.WeakKeyDictionary[Explorer, tuple[str, str] | None] = weakref.WeakKeyDictionary()


def _open(explorer: Explorer) -> None:
    """Note a new explorer; running a cell again closes those of its last run."""
    here = kernel.current_cell()
    for other, cell in list(_opened.items()):
        if here and cell and cell[0] == here[0] and cell[1] != here[1]:
            other.close()
    _opened[explorer] = here
    kernel.watch_cells(_after_cell)


def _after_cell() -> None:
    """A cell has ended: it may have trained the model of a map."""
    for explorer in list(_opened):
        if explorer._session is not None:
            explorer._session.check_model()


def _part(name: str) -> bytes:
    """A part of the front end, one of protocol.PARTS."""
    return (_STATIC / f"{name}.js").read_bytes()


def _weakly(method: Callable[..., None]) -> Callable[..., None]:
    """The bound method without keeping its object alive: a widget's own handler list would."""
    reference = weakref.WeakMethod(method)

    def call(*args: Any) -> None:
        target = reference()
        if target is not None:
            target(*args)

    return call
