"""HeldLandscape: a map without its model. It shows the values that a source holds, and evaluates nothing."""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from lossatlas.geometry import (
    HOME,
    Extent,
    TileAddress,
    Turn,
    check_coordinates,
    check_count,
    check_extent,
    check_interval,
    check_shape,
    check_tolerance,
    check_way,
    home_tiles,
    level_of,
)
from lossatlas.landscape import Landscape
from lossatlas.sampling import Map, Pass, Point, Profile, Tile, grid_points, mosaic, nodes_of
from lossatlas.scene import Scene
from lossatlas.sources import Draws, NotHeld, Source, Told

#: What is said of whatever needs the model.
READ_ONLY = "This map was opened without its model: it shows what it holds. Pass the objective to la.load to compute more."

# The largest numbers of the dtypes that NumPy has not.
_REACH = {"bfloat16": 3.38953139e38}


class ReadOnly(ValueError):
    """What is asked for needs the model, and the map was opened without it."""


class HeldLandscape:
    """A map of what a source holds, which shows, reads and exports as a `Landscape` does and evaluates nothing.

    scene: what it shows; caption: what its axes mean, as text, by default as much as the scene says of it; recipe: JSON values
    that make the scene again; without: the sentence that is said of whatever needs the model.

    `evaluate`, `grid` and `profile` are exact, and raise ReadOnly, a ValueError, where a point is not held. `tile` is what is held
    of one, `map` what is drawn of it. Fields are by default the scene's first.
    """

    def __init__(
        self, scene: Scene, source: Source, *, caption: str = "", recipe: dict[str, Any] | None = None, without: str = READ_ONLY
    ) -> None:  # fmt: skip
        self.scene, self.source, self.recipe, self.without = scene, source, recipe, without
        self._caption = caption
        self._directions: HeldDirections | None = None

    @property
    def home(self) -> Extent:
        """The home view."""
        return self.scene.home

    @property
    def fields(self) -> tuple[str, ...]:
        """What can be drawn."""
        return self.scene.fields

    @property
    def levels(self) -> tuple[int, int]:
        """The coarsest and the finest level z that mean anything."""
        return self.scene.levels

    @property
    def title(self) -> str:
        """What the map is called."""
        return self.scene.title

    @property
    def on_line(self) -> bool:
        """Whether this is the landscape of a line."""
        return len(self.scene.axes) == 1

    @property
    def reach(self) -> float:
        """The largest coordinate that its dtype holds."""
        known = _REACH.get(self.scene.dtype)
        return float(np.finfo(self.scene.dtype).max) if known is None else known

    @property
    def model_changed(self) -> bool:
        """Never: there is no model."""
        return False

    @property
    def evaluated(self) -> int:
        """How many nodes are held, of any field."""
        return self.source.evaluated

    @property
    def objective(self) -> NoReturn:
        """There is none. Raises ReadOnly."""
        raise ReadOnly(self.without)

    @property
    def slice(self) -> NoReturn:
        """The vectors are not here. Raises ReadOnly."""
        raise ReadOnly(self.without)

    @property
    def plane(self) -> NoReturn:
        """The vectors are not here. Raises ReadOnly."""
        raise ReadOnly(self.without)

    @property
    def directions(self) -> HeldDirections:
        """The names of what u and v can be mixed from. Raises TypeError when this is the landscape of a line."""
        self._check_plane("turns")
        if self._directions is None:
            self._directions = HeldDirections(self.scene.directions, self.without)
        return self._directions

    def evaluate(self, a: Any, b: Any = None, *, field: str | None = None) -> Any:
        """The exact field at points that are held, as of `Landscape.evaluate`. Raises ReadOnly for others."""
        name = self.check_field(field)
        if (b is None) != self.on_line:
            raise TypeError(
                "A point of a plane needs both a and b."
                if b is None
                else "A point of a line has no b. Pass a alone."
            )
        a, b = check_coordinates(a, 0.0 if b is None else b, self.reach, self.scene.dtype)
        points = list(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
        return self._values(points, name).reshape(a.shape)[()]

    def grid(
        self, extent: Sequence[float] | None = None, shape: tuple[int, int] | int | None = None, *, field: str | None = None
    ) -> np.ndarray:  # fmt: skip
        """The exact field on a regular grid, as of `Landscape.grid`. Raises ReadOnly where a point is not held."""
        if self.on_line:
            a0, a1 = self.home[:2] if extent is None else check_interval(extent)
            return np.asarray(
                self.evaluate(np.linspace(a0, a1, check_count(51 if shape is None else shape)), field=field)
            )
        a0, a1, b0, b1 = check_extent(HOME if extent is None else extent)
        rows, columns = check_shape((51, 51) if shape is None else shape)
        a, b = np.meshgrid(np.linspace(a0, a1, columns), np.linspace(b0, b1, rows))
        return np.asarray(self.evaluate(a, b, field=field))

    def profile(self, start: Any = None, stop: Any = None, num: int = 101, *, field: str | None = None) -> Profile:  # fmt: skip
        """The exact field along a way, as of `Landscape.profile`. Raises ReadOnly where a point is not held.

        Distances are in ‖θ‖, or in units of the axes where that is not known; NaN along a way that turns neither u nor v alone, for
        their angle is not held.
        """
        a, b = check_way(start, stop, num, self.home, on_line=self.on_line)
        values = np.asarray(self.evaluate(a, None if self.on_line else b, field=field))
        return self._profile(a, b, values, self.check_field(field), 0.0)

    def drawn_profile(self, a0: float, a1: float, num: int, *, field: str | None = None) -> Profile:
        """What is drawn along a line from a0 to a1: held values where all are held, else through those that are, with an error."""
        name, a = self.check_field(field), np.linspace(a0, a1, check_count(num))
        values, error, _ = self._drawn(a, np.zeros(1), 0.0, name)
        return self._profile(a, np.zeros(len(a)), values[0], name, error)

    def _profile(self, a: np.ndarray, b: np.ndarray, values: np.ndarray, field: str, error: float) -> Profile:
        lengths = [length for _, length, _ in self.scene.axes]
        ways = [np.abs(at - at[0]) * length for at, length in zip((a, b), lengths, strict=False)]
        along = [way for way in ways if way.any()]
        distance = np.full(len(a), math.nan) if len(along) > 1 else sum(along, np.zeros(len(a)))
        norm = 1.0 if self.scene.axes[0][2] == "‖θ‖" else 0.0
        return Profile(a, b, distance, values, field, norm, error)

    def tile(
        self, address: TileAddress, quality: int = 2, tolerance: float = 0.0, *, field: str | None = None
    ) -> Tile:
        """What is held of a tile, whatever quality and tolerance are: `evaluated` says where, `error` how far it may be off.

        Raises ReadOnly where nothing of it is held, and as `Landscape.tile` does for what is no tile.
        """
        name = self.check_field(field)
        self._check_plane("tiles")
        if quality not in (0, 1, 2):
            raise ValueError(f"quality is {quality!r}. Pass 0 (preview), 1 or 2 (all data).")
        self.check_address(address)
        check_tolerance(tolerance)
        found = self.source.known(address, name)
        if found is None:
            raise ReadOnly(f"Of {address} nothing is held. {self.without}")
        values, (evaluated, exact) = (
            found.filled(),
            self._held(nodes_of(address, found.filled().shape[1]), name),
        )
        evaluated = evaluated.reshape(values.shape)
        values = values.copy()
        values[evaluated] = exact
        sample = (2, 0.0, 0.0) if found.sample is None else (found.sample.quality, found.sample.level, found.sample.shape)  # fmt: skip
        error = math.inf if found.error.value is None else found.error.value
        return Tile(address, name, values, evaluated, found.nodes, *sample, error)

    def map(
        self, extent: Sequence[float] | None = None, pixels: tuple[int, int] | int = (512, 512), tolerance: float = 0.01, *,
        field: str | None = None,
    ) -> Map:  # fmt: skip
        """A view drawn of the best tiles that are held, NaN where there is none; error: the stated one, inf where that is unknown.

        With tolerance 0 the values themselves, with error 0, where all of them are held. Further as `Landscape.map`.
        """
        name, share = self.check_field(field), check_tolerance(tolerance)
        self._check_plane("maps")
        view = self.home if extent is None else check_extent(extent)
        rows, columns = check_shape((pixels, pixels) if isinstance(pixels, int) else pixels)
        a, b = np.linspace(*view[:2], columns), np.linspace(*view[2:], rows)
        values, error, nodes = self._drawn(a, b, share, name)
        return Map(view, name, values, error, share, 0, nodes, False)

    def map_work(
        self, extent: Sequence[float] | None, pixels: tuple[int, int] | int, tolerance: float, field: str
    ) -> Generator[None, None, Map]:
        """The map as a job."""
        yield
        return self.map(extent, pixels, tolerance, field=field)

    def _drawn(
        self, a: np.ndarray, b: np.ndarray, tolerance: float, field: str
    ) -> tuple[np.ndarray, float, int]:
        """Values at columns a and rows b, (len(b), len(a)), their error and of how many nodes: exact with tolerance 0, where all are held."""
        if tolerance == 0:
            held, exact = self._held(grid_points(a, b), field)
            if held.all():
                return exact.reshape(len(b), len(a)), 0.0, exact.size
        if isinstance(self.source, Draws):
            return *self.source.drawn(a, b, field), self.evaluated
        return mosaic(lambda address: self.source.known(address, field), self.home, self.levels, a, b)

    def turned(self, turn: Turn) -> HeldLandscape:
        """The landscape on another plane of the family. Raises ReadOnly for a plane that is not held."""
        if turn == self.scene.at:
            return self
        self._check_plane("turns")
        found = self.source.turned(turn)
        if found is None:
            raise ReadOnly(f"This plane is not held. {self.without}")
        scene, source = found
        caption, recipe = (source.caption, source.recipe) if isinstance(source, Told) else ("", None)
        return HeldLandscape(scene, source, caption=caption, recipe=recipe, without=self.without)

    def renewed(self) -> NoReturn:
        """There is no model to look at again. Raises ReadOnly."""
        raise ReadOnly(self.without)

    def on(self, data: Any, *, title: str | None = None) -> NoReturn:
        """There is no model to see other data. Raises ReadOnly."""
        raise ReadOnly(self.without)

    def called(self, title: str, directions: Any = None) -> HeldLandscape:
        """This landscape under another title."""
        return HeldLandscape(
            dataclasses.replace(self.scene, title=title), self.source, caption=self._caption, recipe=self.recipe,
            without=self.without,
        )  # fmt: skip

    def caption(self, others: Mapping[str, Any] | None = None) -> str:
        """What the axes mean, as text for a figure's caption. Raises ReadOnly for other points, whose way needs the vectors."""
        if others:
            raise ReadOnly(self.without)
        return self._caption or _caption_of(self.scene)

    def caption_work(self, others: Mapping[str, Any]) -> Generator[None, None, str]:
        """The caption as a job."""
        yield
        return self.caption(others)

    def report(self) -> str:
        """What is held, and what is said of it."""
        return "\n".join(
            [
                f"{self.evaluated} nodes are held, and none are evaluated",
                self.without,
                *([said] if (said := nothing_held(self)) else []),
                *self.scene.notes,
                *getattr(self.source, "notes", ()),  # of a source that is a file: what of it is damaged
            ]
        )

    def check_address(self, address: TileAddress) -> None:
        """Raise TypeError or ValueError when an address is no tile of this landscape."""
        if not isinstance(address, TileAddress):
            raise TypeError(f"address is a {type(address).__name__}. Pass a TileAddress(z, x, y).")
        coarsest, finest = self.levels
        if not coarsest <= address.z <= finest:
            raise ValueError(f"Tile z={address.z} is outside the levels {coarsest} to {finest} of this map.")

    def work(self, points: Iterable[Point], field: str | None = None) -> Generator[None, None, int]:
        """Nothing to be evaluated, as a job. Raises ReadOnly where a point is not held."""
        yield
        self._values(list(points), self.check_field(field))
        return 0

    def missing(self, address: TileAddress, field: str | None = None) -> list[tuple[int, list[Point]]]:
        """What could still be evaluated of a tile: nothing."""
        return []

    def knows(self, points: Iterable[Point], field: str | None = None) -> bool:
        """Whether all these points are held."""
        return bool(self._held(list(points), self.check_field(field))[0].all())

    def known(self, address: TileAddress, field: str | None = None) -> Pass | None:
        """What is held of a tile."""
        return self.source.known(address, self.check_field(field))

    def seen(self, address: TileAddress, field: str | None = None) -> Pass | None:
        """What a page can draw of a tile: what is held of it, or else of the nearest one around it."""
        while (found := self.known(address, field)) is None and address.z > self._widest:
            address = address.parent
        return found

    def previews(self) -> Generator[None, None, tuple[()]]:
        """No samples are looked at, as a job."""
        yield from ()
        return ()

    def at(self, a: float, b: float) -> Generator[None, None, dict[str, float]]:
        """Those fields that are held at a point, exact, as a job. Raises ReadOnly where none is."""
        yield
        found = {name: exact for name in self.fields if len(exact := self._held([(a, b)], name)[1])}
        if not found:
            self._values([(a, b)], self.fields[0])
        return {name: float(exact[0]) for name, exact in found.items()}

    def layer_of(self, field: str) -> str:
        """The field itself: none is evaluated together with others. Raises ValueError for one that there is not."""
        return self.check_field(field)

    def check_field(self, field: str | None) -> str:
        """The name of a field, the first one's for None. Raises ValueError for one that there is not."""
        if field is not None and field not in self.fields:
            raise ValueError(
                f"There is no field {field!r} here. This map has {', '.join(map(repr, self.fields))}."
            )
        return self.fields[0] if field is None else field

    @property
    def _widest(self) -> int:
        """The level from which on a tile is as large as the home view."""
        return max(self.levels[0], level_of(self.home) - 2)

    def _check_plane(self, what: str) -> None:
        if self.on_line:
            raise TypeError(
                f"This landscape lies on a line, which has no {what}. Use evaluate, grid or profile."
            )

    def _values(self, points: list[Point], field: str) -> np.ndarray:
        held, values = self._held(points, field)
        if held.all():
            return values
        a, b = points[int(np.argmin(held))]
        place = f"a = {a:.6g}" if self.on_line else f"({a:.6g}, {b:.6g})"
        lacking = int((~held).sum())
        raise ReadOnly(
            f"{lacking} of {len(points)} points {'is' if lacking == 1 else 'are'} not held, {place} the first. {self.without}"
        )

    def _held(self, points: list[Point], field: str) -> tuple[np.ndarray, np.ndarray]:
        """Which of the points are held, (n,) bool, and the values at those."""
        try:
            return np.ones(len(points), bool), self.source.values(points, field)
        except NotHeld as lack:
            missing = set(lack.points)
        held = np.array([point not in missing for point in points], bool)
        rest = [point for point in points if point not in missing]
        return held, self.source.values(rest, field) if rest else np.empty(0)

    def __sub__(self, other: Any) -> NoReturn:
        raise ReadOnly(f"A difference is evaluated, node by node. {self.without}")

    __rsub__ = __sub__

    def __repr__(self) -> str:
        return f"HeldLandscape({self.scene.title}, recipe {self.scene.hash[:7]}, {self.evaluated} nodes held)"


#: Whatever a map can be drawn of.
AnyLandscape = Landscape | HeldLandscape


class HeldDirections:
    """The names of the directions that u and v of a held plane were mixed from; none can be made or added."""

    def __init__(self, names: tuple[str, ...], without: str) -> None:
        self.names, self.making = names, ""
        self.watchers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.added: dict[str, Any] = {}
        self._without = without

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> NoReturn:
        self.check(name)
        raise ReadOnly(self._without)

    def check(self, name: str) -> None:
        """Raise ValueError, in words, for a name that there is not."""
        if name not in self:
            raise ValueError(f"There is no direction {name!r}. There are: {', '.join(self.names) or 'none'}.")

    def add(self, name: str, direction: Any) -> NoReturn:
        """Nothing can be added. Raises ReadOnly."""
        raise ReadOnly(self._without)

    def __repr__(self) -> str:
        return f"HeldDirections({', '.join(self.names)})"


def refusing(method: Callable[..., Any]) -> Callable[..., NoReturn]:
    """A method of Landscape that needs the model, as it is of a HeldLandscape: it raises ReadOnly."""

    def refuse(landscape: HeldLandscape, *args: Any, **options: Any) -> NoReturn:
        raise ReadOnly(landscape.without)

    refuse.__name__ = method.__name__
    refuse.__doc__ = f"As of a Landscape, it needs the model. Raises ReadOnly.\n\n{method.__doc__}"
    return refuse


def nothing_held(landscape: AnyLandscape) -> str:
    """What there is to say of a map that has values, and no tile of its home view to draw; "" of any other."""
    if not isinstance(landscape, HeldLandscape):
        return ""
    tiles = home_tiles(landscape.home, level_of(landscape.home))
    if any(landscape.seen(tile, field) is not None for tile in tiles for field in landscape.fields):
        return ""
    return (
        f"{landscape.evaluated} values are held, but no tile of the home view, which a map is drawn from: they were asked for one by "
        "one. Open it with its objective, let landscape.tile, landscape.explore() or explorer.bake evaluate the view, and save it again."
    )


def _caption_of(scene: Scene) -> str:
    """What a scene says of its axes; the share of the gradient needs the model."""
    where = "the line along a" if len(scene.axes) == 1 else "the plane of a and b"
    samples = f", all {scene.samples} samples" if scene.samples > 1 else ""
    points = [
        f"{name} lies at a = {a:.4g}." if len(scene.axes) == 1 else f"{name} lies at ({a:.4g}, {b:.4g})."
        for name, a, b in scene.points
    ]
    about = [line if line.endswith(".") else f"{line}." for line in (*scene.about, *scene.notes)]
    said = [f"{scene.title}: {scene.fields[0]} on {where}{samples}. It is a slice.", *about, *points]
    return " ".join([*said, f"Recipe {scene.hash}."])
