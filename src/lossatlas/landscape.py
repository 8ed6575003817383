"""Landscape: one scene, evaluated lazily. The object a user holds; it ties the rooms together."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lossatlas import jobs
from lossatlas.atlas import Atlas
from lossatlas.features import CURVATURE_FIELDS, KINDS
from lossatlas.geometry import (
    CHOICES,
    HOME,
    Levels,
    Line,
    NamedDirections,
    Plane,
    TileAddress,
    Turn,
    caption_of,
    check_coordinates,
    check_count,
    check_extent,
    check_interval,
    check_shape,
    check_tolerance,
    check_way,
    home_tiles,
    length_of,
    level_of,
)
from lossatlas.objective import Objective
from lossatlas.sampling import (
    Family,
    Layer,
    Map,
    NodeStore,
    Pass,
    Point,
    Preview,
    Profile,
    Tile,
    checks_of,
    draw,
    nodes_of,
    paying,
    preview_of,
    previews_in_words,
    seen,
)
from lossatlas.scene import Scene, check_scene, scene_of

# Nodes per side of a tile of curvature in the explorer: each takes products instead of a pass.
_CURVATURE_NODES = 5

_LOCK = threading.Lock()  # held while an evaluator of curvature is made

# Nodes per side of a tile on a sample of the data: never a dense grid.
_PREVIEW_NODES = 5


class Landscape:
    """The objective on a plane or a line: nothing is computed until it is asked for, and no node twice.

    extent: the home view (a0, a1, b0, b1), by default the plane's own. On a line there are `evaluate`, `grid`,
    `profile`, `explore`, `caption` and `on`; `tile` needs a plane. store: the path of an atlas, a file in which nodes are kept as
    they come and found again; a missing one is created. Raises TypeError or ValueError when plane and objective do not belong
    together. Every value is exact (all data, accumulated in float64); NaN and ±inf stay what they are.
    """

    def __init__(
        self,
        objective: Objective,
        plane: Plane | Line,
        *,
        extent: Sequence[float] | None = None,
        title: str | None = None,
        store: str | os.PathLike[str] | Atlas | None = None,
    ) -> None:
        self.home = check_scene(objective, plane, extent)
        self.objective, self.slice = objective, plane
        self._title = title
        self._turn = Turn()
        self._family = Family(objective, plane, keeping=_atlas_of(store, objective))
        self._evaluator = self._family.first
        self._directions: NamedDirections | None = None
        self._scene: Scene | None = None
        self._show()

    @property
    def scene(self) -> Scene:
        """What this landscape shows, as plain values."""
        if self._scene is None:
            self._scene = scene_of(
                self.objective, self.slice, self._turn, home=self.home, levels=self.levels, title=self._title,
                directions=self._names, fields=self.fields,
            )  # fmt: skip
        names = self._names
        if names != self._scene.directions:  # one was added since
            self._scene = replace(self._scene, directions=names)
        return self._scene

    @property
    def title(self) -> str:
        """What the map is called."""
        return self._title or self.objective.title

    @property
    def plane(self) -> Plane:
        """The plane. Raises TypeError when this is the landscape of a line."""
        if not isinstance(self.slice, Plane):
            raise TypeError(
                "This landscape lies on a line, which has no tiles, maps or turns. Use evaluate, grid or profile, or make "
                "a landscape of a plane."
            )
        return self.slice

    @property
    def on_line(self) -> bool:
        """Whether this is the landscape of a line."""
        return isinstance(self.slice, Line)

    @property
    def reach(self) -> float:
        """The largest coordinate that the dtype of the plane's vectors holds."""
        return self.slice.reach

    @property
    def model_changed(self) -> bool:
        """Whether the user's model is no longer the one that this shows."""
        return self.objective.model_changed

    @property
    def evaluated(self) -> int:
        """How many nodes have been evaluated, of any field."""
        kinds = [self.kept[kind].store for kind in KINDS if kind in self.kept]
        return sum(store.evaluated for store in (self._store, *kinds))

    def evaluate(self, a: Any, b: Any = None, *, field: str = "loss") -> Any:
        """The exact field at points (a, b) of a plane, or a of a line: arrays that broadcast in, float64 of that shape out.

        Fields of curvature are as exact as their name with "_error" says, "lambda_max_error" for one.

        Raises ValueError for coordinates that are not finite and EvaluationError when the model raises.
        """
        layer = self._layer(field)
        if (b is None) == isinstance(self.slice, Plane):
            raise TypeError(
                "A point of a plane needs both a and b."
                if b is None
                else "A point of a line has no b. Pass a alone."
            )
        a, b = check_coordinates(a, 0.0 if b is None else b, self.reach, str(self.slice.origin.dtype))
        points = list(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
        jobs.call(layer.evaluator.evaluate(points))
        if not points:
            return np.empty(a.shape)
        return layer.values(points, field).reshape(a.shape)[()]

    def grid(
        self,
        extent: Sequence[float] | None = None,
        shape: tuple[int, int] | int | None = None,
        *,
        field: str = "loss",
    ) -> np.ndarray:
        """The exact field on a regular grid: (rows of b, columns of a) float64, end points included, row 0 at b0.

        extent: (a0, a1, b0, b1), by default (−1, 1, −1, 1); shape: (51, 51) by default. On a line extent is (a0, a1), its
        home by default, and shape a number of points. Raises ValueError for an extent of no width and a shape below 1,
        EvaluationError when the model raises.
        """
        if isinstance(self.slice, Line):
            a0, a1 = self.home[:2] if extent is None else check_interval(extent)
            return np.asarray(
                self.evaluate(np.linspace(a0, a1, check_count(51 if shape is None else shape)), field=field)
            )
        a0, a1, b0, b1 = check_extent(HOME if extent is None else extent)
        rows, columns = check_shape((51, 51) if shape is None else shape)
        a, b = np.meshgrid(np.linspace(a0, a1, columns), np.linspace(b0, b1, rows))
        return np.asarray(self.evaluate(a, b, field=field))

    def profile(self, start: Any = None, stop: Any = None, num: int = 101, *, field: str = "loss") -> Profile:
        """The exact field at `num` points from start to stop: (a, b) each on a plane, a each on a line.

        On a line start and stop are the ends of its home by default. Raises TypeError or ValueError for points that are
        none, EvaluationError when the model raises.
        """
        a, b = check_way(start, stop, num, self.home, on_line=self.on_line)
        values = np.asarray(self.evaluate(a, None if self.on_line else b, field=field))
        distance = np.linspace(0.0, length_of(self.slice, a[-1] - a[0], b[-1] - b[0]), len(a))
        return Profile(a, b, distance, values, field, float(self.objective.theta.double().norm()))

    def tile(
        self, address: TileAddress, quality: int = 2, tolerance: float = 0.0, *, field: str = "loss"
    ) -> Tile:
        """One tile, on all data: pass after pass until its stated error is within the tolerance, by default every node.

        quality: 2, or 0 and 1 for a preview of 5 × 5 nodes on 512 and 2048 samples with their standard errors; where
        there is no such sample (`report` says why) the tile rests on all data. tolerance: a share of the field's range
        over the tile, 0 for exact. Raises ValueError for a tile finer than the dtype can tell apart, EvaluationError
        when the model raises.
        """
        self._layer(field)
        self.plane  # noqa: B018 - says in words that a line has no tiles
        if quality not in (0, 1, 2):
            raise ValueError(f"quality is {quality!r}. Pass 0 (preview), 1 or 2 (all data).")
        self.check_address(address)
        allowed = check_tolerance(tolerance)
        return jobs.call(self._tile(address, quality, allowed, field))

    def _tile(
        self, address: TileAddress, quality: int, tolerance: float, field: str
    ) -> Generator[None, None, Tile]:
        yield
        layer = self._layer(field)
        column, own = layer.fields.index(field), field in self.objective.fields
        sketch = preview_of(self._evaluator, quality, self._rounding) if quality < 2 and own else None
        if isinstance(sketch, Preview):
            yield from sketch.evaluate(nodes_of(address, _PREVIEW_NODES) + checks_of(address))
            found, store = sketch.known(address, column), sketch.store
        else:
            yield from layer.refine(address, field, tolerance)
            found, store = layer.known(address, field), layer.evaluator.store
        assert found is not None
        return found.tile(field, store, column)

    def map(
        self,
        extent: Sequence[float] | None = None,
        pixels: tuple[int, int] | int = (512, 512),
        tolerance: float = 0.01,
        *,
        field: str = "loss",
    ) -> Map:
        """A view drawn from few nodes: values at the points of `grid(extent, shape=pixels)`, with their stated error.

        extent: (a0, a1, b0, b1), by default the home view; pixels: (rows of b, columns of a); tolerance: a share of the
        field's range over the view that the stated error may take, 0 for every value evaluated. Raises ValueError for an
        extent, pixels or a tolerance that are none, or a view finer than the dtype can tell apart, EvaluationError when
        the model raises.
        """
        return jobs.call(self.map_work(extent, pixels, tolerance, field))

    def map_work(
        self, extent: Sequence[float] | None, pixels: tuple[int, int] | int, tolerance: float, field: str
    ) -> Generator[None, None, Map]:
        """The map as a job; a wrong call raises at once."""
        self.plane  # noqa: B018 - says in words that a line has no maps
        layer, tolerance = self._layer(field), check_tolerance(tolerance)
        view = self.home if extent is None else check_extent(extent)
        shape = check_shape((pixels, pixels) if isinstance(pixels, int) else pixels)
        self.check_address(home_tiles(view, level_of(view))[0])
        return draw(
            view, shape, tolerance, self._rounding, layer.evaluator.evaluate,
            lambda points: layer.values(points, field), field,
            lambda points: layer.inexact(points, layer.fields.index(field)),
            lambda points: layer.size(points, layer.fields.index(field)),
        )  # fmt: skip

    def turned(self, turn: Turn) -> Landscape:
        """The landscape on the plane turned by `turn`; one that was seen before still has its nodes.

        Raises ValueError for the name of a direction that there is not, and when the two that come out are parallel.
        """
        if turn == self._turn:
            return self
        self.plane  # noqa: B018 - says in words that a line has no turns
        for choice in CHOICES:
            if name := getattr(turn, choice):
                self.directions.check(name)
        family, position = self._family, turn.settled
        # A name may stand for another direction where another landscape of the family has others.
        named = any(getattr(position, choice) for choice in CHOICES)
        evaluator = family.evaluator(
            (position, self.directions) if named else position,
            lambda: self._first.turned(self.objective, position, self.directions),
        )
        other = Landscape(self.objective, evaluator.plane, extent=self.home, title=self._title)
        other._turn, other._family, other._evaluator = turn, family, evaluator
        other._directions = self.directions
        other._show()
        return other

    def called(self, title: str, directions: NamedDirections | None = None) -> Landscape:
        """This landscape, with its nodes, under another title; directions: what its plane is turned by from here on."""
        other = Landscape(self.objective, self.slice, extent=self.home, title=title)
        other._turn, other._family, other._evaluator = self._turn, self._family, self._evaluator
        other._directions = directions or (None if self.on_line else self.directions)
        other._show()
        return other

    @property
    def directions(self) -> NamedDirections:
        """The directions that u and v can be mixed from, by name; `directions.add(name, vector)` puts in yours.

        Raises TypeError when this is the landscape of a line.
        """
        if self._directions is None:
            self.plane  # noqa: B018 - says in words that a line has no turns
            first = (*self.objective.terms, self.objective)[0]
            self._directions = NamedDirections(first, self._first)
        return self._directions

    @property
    def _names(self) -> tuple[str, ...]:
        return self.directions.names if isinstance(self.slice, Plane) else ()

    @property
    def _first(self) -> Any:
        """The plane or line that all turns start from."""
        return self._family.first.plane

    @property
    def atlas(self) -> Atlas | None:
        """The file that its nodes are kept in; None where they are in memory alone."""
        return self._family.keeping if isinstance(self._family.keeping, Atlas) else None

    def _show(self, *, used: bool = False) -> None:
        """Be open in the atlas, which writes the scene of what was used."""
        if self.atlas is not None:
            self.atlas.show(self, used=used)

    @property
    def kept(self) -> dict[Any, Any]:
        """What others make of this plane, kept as long as its nodes."""
        return self._evaluator.kept

    @property
    def _store(self) -> NodeStore:
        return self._evaluator.store

    def renewed(self) -> Landscape:
        """The landscape of the user's model as it is now, on the same plane recipe, from the first plane on.

        Raises ValueError when the model no longer exists.
        """
        objective = self.objective.renewed()
        first = self._first
        fresh = Landscape(
            objective, first.renewed(objective), extent=self.home, title=self._title, store=self.atlas
        )
        for name, direction in (self._directions.added if self._directions is not None else {}).items():
            fresh.directions.add(name, direction)
        return fresh.turned(self._turn)

    def on(self, data: Any, *, title: str | None = None) -> Landscape:
        """The same plane on other data, held out data for example: the model as it was when this objective was made.

        Directions keep their meaning, so that both turn alike: the gradient is the one on the data of this landscape.
        data: as for `Objective`; title: of the map. Raises as `Objective` does.
        """
        other = Landscape(self.objective.on(data), self._first, extent=self.home, title=title or self._title)
        other._directions = self.directions if isinstance(self.slice, Plane) else None
        return other.turned(self._turn)

    def caption(self, others: Mapping[str, Any] | None = None) -> str:
        """What the axes mean, as text for a figure's caption.

        The recipe of each direction, its length relative to θ and the angle between them, the data and the mode, how
        much of the gradient lies in the plane, and where the marked points lie. others: further points by name, each a
        (P,) vector, a state dict or a module, with the share of their way from the origin that lies in the plane.
        """
        return jobs.call(self.caption_work(others or {}))

    def caption_work(self, others: Mapping[str, Any]) -> Generator[None, None, str]:
        """The caption as a job: it takes one gradient."""
        return caption_of(
            self.objective, self.slice, title=self.scene.title, recipe=self.scene.hash, others=others
        )

    def report(self) -> str:
        """How nodes are evaluated: what was compared when the objective was first looked at, what was chosen and why."""
        threads = f"threads: {jobs.worker.threads}, one node or group of nodes each, one intra-op thread each"
        lines = [*self._evaluator.report, threads, previews_in_words(self.objective)]
        if self.objective.device.type != "cpu":
            precision = torch.get_float32_matmul_precision()
            lines.append(f"on {self.objective.device}, float32 matrix products in precision {precision!r}")
        return "\n".join([*lines, *self.objective.notes, *(self.atlas.notes if self.atlas else ())])

    def check_address(self, address: TileAddress) -> None:
        """Raise TypeError or ValueError when an address is no tile of this landscape."""
        Levels(self.objective.dtype).check(address)

    @property
    def levels(self) -> tuple[int, int]:
        """The coarsest and the finest level z that mean anything in the objective's dtype."""
        levels = Levels(self.objective.dtype)
        return levels.coarsest, levels.finest

    def work(self, points: Iterable[Point], field: str | None = None) -> Generator[None, None, int]:
        """Evaluate the missing ones of `points`, yielding between chunks; returns how many there were."""
        return self._layer(field or self._usual).evaluator.evaluate(points)

    def missing(self, address: TileAddress, field: str | None = None) -> list[tuple[int, list[Point]]]:
        """What a map still lacks of a tile: pieces of nodes, each with the `Pass.rank` that it completes."""
        return self._layer(field or self._usual).missing(address)

    def knows(self, points: Iterable[Point], field: str | None = None) -> bool:
        """Whether all these nodes have been evaluated."""
        store, asked = self._layer(field or self._usual).evaluator.store, list(points)
        store.seek(asked)
        return store.knows(asked)

    def known(self, address: TileAddress, field: str = "loss") -> Pass | None:
        """What is known of a tile: its largest pass whose nodes are all evaluated. Evaluates nothing."""
        return self._layer(field).known(address, field)

    def previews(self) -> Generator[None, None, tuple[Preview, ...]]:
        """The samples that are worth looking at while all data take long, the smallest first, as a job."""
        return paying(self._evaluator, self._rounding)

    def seen(self, address: TileAddress, field: str = "loss") -> Pass | None:
        """What is known of a tile on all data, or else on a sample of them. Evaluates nothing."""
        found = self.known(address, field)
        if found is not None or field not in self.objective.fields:
            return found
        return seen(self._evaluator, address, self.objective.fields.index(field))

    def at(self, a: float, b: float) -> Generator[None, None, dict[str, float]]:
        """All fields at a point, exact, as a job."""
        yield from self._evaluator.evaluate([(a, b)])
        return dict(zip(self.objective.fields, self._store.get([(a, b)])[0].tolist(), strict=False))

    def home_pass(self, nodes: int = 3) -> list[Point]:
        """The nodes of a first picture of the home view."""
        tiles = home_tiles(self.home, level_of(self.home))
        return [point for tile in tiles for point in nodes_of(tile, nodes, line=self.on_line)]

    @property
    def _rounding(self) -> float:
        return float(torch.finfo(self.objective.dtype).eps) / 2

    @property
    def fields(self) -> tuple[str, ...]:
        """What can be drawn: the objective's own fields and, where there is a Hessian, its curvature."""
        own = self.objective.fields
        ours = CURVATURE_FIELDS if "reestimated" not in self.objective.mode else ()
        return own + tuple(
            name for name in ours if name not in own
        )  # a field of the user's goes before one of ours

    def layer_of(self, field: str) -> str:
        """The first of the fields that are evaluated together with this one."""
        return self._layer(field).fields[0]

    def _layer(self, field: str) -> Layer:
        if (
            field not in self.fields
            and field.removesuffix("_error") not in self.fields[len(self.objective.fields) :]
        ):
            known = ", ".join(map(repr, self.fields))
            raise ValueError(f"There is no field {field!r} here. This objective has {known}.")
        self._show(used=True)
        if field in self.objective.fields:
            evaluator = self._evaluator
            return Layer(evaluator, self.objective.fields, self._rounding, self.on_line, size=evaluator.size)
        kind = next(kind for kind in KINDS if field.removesuffix("_error") in kind.fields)
        kept = self.kept
        with _LOCK:
            if kind not in kept:
                store = self._family.keeping.store(self.objective, self.slice, kind.columns())
                kept[kind] = kind(self.objective, self.slice, store)
        measured = kept[kind]
        return Layer(
            measured, kind.columns(), self._rounding, self.on_line, _CURVATURE_NODES, measured.inexact
        )

    @property
    def _usual(self) -> str:
        return self.objective.fields[0]

    def __repr__(self) -> str:
        return (
            f"Landscape({self.scene.title}, recipe {self.scene.hash[:7]}, {self.evaluated} nodes evaluated)"
        )


def _atlas_of(store: Any, objective: Objective) -> Atlas | None:
    if store is None or isinstance(store, Atlas):
        return store
    from lossatlas.stored import opened

    return opened(store, objective)
