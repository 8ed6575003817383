"""Runs: what an explorer does with training runs: draw them, follow them, keep them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lossatlas.geometry import Direction, Turn
from lossatlas.widget.names import free
from lossatlas.widget.overlays import Overlays

if TYPE_CHECKING:
    from lossatlas.held import AnyLandscape
    from lossatlas.widget.session import Session

NO_TURNS = "A line is not turned or moved. Make a landscape of a plane, as in Plane.along(objective, u, v)."


class Runs(Overlays):
    """The runs of an explorer, which has a session, a landscape and controls that turn its plane."""

    @property
    def landscape(self) -> AnyLandscape:
        """What is shown now."""
        raise NotImplementedError

    @property
    def _live_session(self) -> Session:
        raise NotImplementedError

    @property
    def _position(self) -> dict[str, Any]:
        raise NotImplementedError

    def _turn_to(self, position: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def add_run(
        self,
        run: Any,
        name: str | None = None,
        color: str | None = None,
        quantities: str | Sequence[str] = (),
    ) -> None:
        """Draw a run on the map, and its curves beside it: a Trajectory, or a Recorder, whose path then grows while it records.

        name: in the legend, "run 1" and so on by default; a run of the same name is replaced. color: of CSS. The path falls anew
        onto every plane that is shown; what has ended is in the traits `paths` and `runs`, which a saved page has. quantities: of its
        parameters, that stand beside what was recorded: norms of tensors such as "norm:0.*", single ones such as "0.weight[3, 5]".
        Raises TypeError for what is no run, ValueError when the map is closed and for a quantity that there is not.
        """
        from lossatlas.following import Followed

        self.landscape.slice  # noqa: B018 - says in words that a run falls on no map without its model
        live = self._live_session.live
        if name is None:
            name = next(free for k in itertools.count(1) if (free := f"run {k}") not in live.runs)
        wanted = (quantities,) if isinstance(quantities, str) else tuple(quantities)
        live.add(name, Followed(run, wanted), color)

    def follow(self, name: str | Sequence[str] | None = None) -> None:
        """Turn the plane to the principal components of a run so far, or of several together, and look where they are.

        name: of the run, or names; by default the run that was added last. Raises ValueError where there is none of that name, on a
        line, and for runs that span no plane yet.
        """
        self._aim(name)()

    def _aim_at_shown(self, names: Sequence[str]) -> Callable[[], None]:
        """The same for a page, which shows balls too: of those the path alone is kept."""
        return self._aim([one for one in names if one in self._live_session.live.runs] or names)

    def _aim(self, name: str | Sequence[str] | None) -> Callable[[], None]:
        """What turns the plane there: finding it may take long, and turning is for a thread that may set traits."""
        from lossatlas.following import components_of, view_of

        runs, landscape = self._live_session.live.runs, self.landscape
        names = list(runs)[-1:] if name is None else [name] if isinstance(name, str) else list(name)
        if not names and runs:
            raise ValueError(
                f"There is no run to follow in []. Pass names of these: {', '.join(map(repr, runs))}."
            )
        missing = [one for one in names if one not in runs]
        if missing or not names:
            known = ", ".join(map(repr, runs)) or "none yet"
            raise ValueError(
                f"There is no run {(missing or [''])[0]!r} to follow: {known}. Add one with explorer.add_run(recorder)."
            )
        if landscape.on_line:
            raise ValueError(NO_TURNS)
        chosen = [runs[one].so_far for one in names]
        first, second = (_put(landscape, direction) for direction in components_of(landscape, chosen))
        position = {
            "turn_u": 90, "turn_v": 90, "u_from": "", "v_from": "", "u_to": first, "v_to": second, "offset": 0.0,
        }  # fmt: skip
        view = view_of(landscape.turned(Turn(**{**self._position, **position})), chosen)

        def turn() -> None:
            self._turn_to(position)
            self.view = view

        return turn

    def _keep_run(self, path: dict[str, Any], curves: dict[str, Any]) -> None:
        """Hold a run that has ended for pages without a kernel; called on the publisher's thread."""
        self.paths = [*(one for one in self.paths if one["name"] != path["name"]), path]
        self.runs = [*(one for one in self.runs if one["name"] != curves["name"]), curves]


def _put(landscape: AnyLandscape, direction: Direction) -> str:
    """Under which name a direction is among those of a landscape, where it is put if it is not."""
    directions, known = landscape.directions, direction.recipe["hash"]
    named = [name for name, one in directions.added.items() if one.recipe.get("hash") == known]
    if named:
        return named[0]
    given = free(direction.name, directions.names)
    directions.add(given, direction)
    return given
