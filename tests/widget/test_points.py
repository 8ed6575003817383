"""Points of the map, from a page's request to what it receives: streams, cancelling, eigenvectors as directions."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.closeup import Closeup
from lossatlas.curvature import Products, Stability
from lossatlas.geometry import Turn
from lossatlas.widget import points as points_module
from lossatlas.widget.points import Points
from lossatlas.widget.protocol import Point, Towards
from lossatlas.widget.session import Session
from tests.widget.helpers import HOME, Page, landscape
from tests.zoo import F, classification, mlp

PATIENCE = 30.0

Opened = Callable[..., Session]


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def opened(page: Page) -> Iterator[Opened]:
    sessions: list[Session] = []

    def make(surface: la.Landscape, **options: Any) -> Session:
        sessions.append(Session(surface, page.receive, **options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


def small() -> la.Landscape:
    """A smooth net of 83 parameters, whose Hessian is taken whole."""
    objective = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(64))
    return la.Landscape(objective, la.Plane.random(objective))


def larger() -> la.Landscape:
    """A net of 3235 parameters: its spectrum is found by Krylov."""
    objective = la.Objective(mlp(6, 320, 3, act=nn.ReLU), F.cross_entropy, classification(64))
    return la.Landscape(objective, la.Plane.random(objective))


def ask(page: Page, at: tuple[float, float] = (0.25, -0.5), req: int = -1, epoch: int = 1) -> dict[str, Any]:
    return {
        "v": 1,
        "k": "spectrum",
        "client": page.client,
        "req": req,
        "epoch": epoch,
        "at": list(at),
        "span": 2.0,
    }


def order(page: Page, kind: str, **more: Any) -> dict[str, Any]:
    return {"v": 1, "k": kind, "client": page.client, **more}


def done(page: Page, req: int = -1) -> Any:
    def found() -> list[Any]:
        return [head for head in page.heads("spectrum_done") if head["req"] == req]

    return page.wait_for(found, "the end of the spectrum", PATIENCE)[0]


class Gate:
    """Holds products with a Hessian up, from the n-th on, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.reached, self.opened, self.count = threading.Event(), threading.Event(), 0
        times = Products.times

        def held(hessian: Products, v: Tensor) -> Any:
            self.count += 1
            if self.count > after:
                self.reached.set()
                while not self.opened.is_set():
                    yield
                    self.opened.wait(0.002)
            return (yield from times(hessian, v))

        monkeypatch.setattr(Products, "times", held)


def test_a_point_streams_the_slice_first_and_ends_with_the_spectrum(page: Page, opened: Opened) -> None:
    surface = larger()
    opened(surface).handle(ask(page))
    end = done(page)
    first, *rest = page.heads("spectrum_progress")
    assert first["products"] == 2
    assert first["jet"]["differences"] is None
    assert first["spectrum"] is None
    assert rest[0]["jet"]["differences"] is not None
    assert all(head["at"] == [0.25, -0.5] for head in page.heads("spectrum_progress"))
    assert not end["cancelled"]

    jet = surface.jet((0.25, -0.5), span=2.0)
    assert end["jet"]["loss"] == pytest.approx(jet.loss, rel=1e-6)
    np.testing.assert_allclose(end["jet"]["curvatures"], jet.curvatures, rtol=1e-4)
    found = surface.spectrum(at=(0.25, -0.5))
    np.testing.assert_allclose(end["spectrum"]["eigenvalues"], found.eigenvalues, rtol=1e-3, atol=1e-4)
    assert end["products"] > 10
    # In the whole space it curves at least as much as in any slice.
    assert end["spectrum"]["eigenvalues"][0] >= end["jet"]["curvatures"][0] * (1 - 1e-4)
    assert end["spectrum"]["eigenvalues"][-1] <= end["jet"]["curvatures"][-1] + 1e-4


def test_the_density_travels_as_four_rows_of_float32(page: Page, opened: Opened) -> None:
    surface = small()
    opened(surface).handle(ask(page))
    end = done(page)
    assert end["spectrum"]["exact"]
    assert end["of"] == end["size"] == surface.objective.size
    (buffer,) = next(buffers for head, buffers in page.messages if head["k"] == "spectrum_done")
    grid, values, lower, upper = np.frombuffer(buffer, "<f4").reshape(4, end["spectrum"]["points"])
    assert (np.diff(grid) > 0).all()
    assert (lower <= values).all()
    assert (values <= upper).all()
    density = surface.spectrum(at=(0.25, -0.5)).density
    assert values.max() == pytest.approx(density.values.max(), rel=1e-3)


def test_a_cancelled_run_ends_with_what_it_has(
    page: Page, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, after=8)
    session = opened(larger())
    session.handle(ask(page))
    assert gate.reached.wait(PATIENCE)
    session.handle(order(page, "cancel", req=-1))
    end = done(page)
    assert end["cancelled"]
    assert end["jet"] is not None
    assert len(end["spectrum"]["eigenvalues"]) == 6
    assert end["products"] == 8
    gate.opened.set()


def test_a_request_that_is_made_again_is_answered_again_and_measures_nothing(
    page: Page, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, after=8)
    session = opened(larger())
    session.handle(ask(page))
    assert gate.reached.wait(PATIENCE)
    session.handle(ask(page))  # a page that has heard nothing for a while
    gate.opened.set()
    first = done(page)
    assert not first["cancelled"]
    count = gate.count
    session.handle(ask(page))
    page.wait_for(lambda: len(page.heads("spectrum_done")) == 2, "the end again")
    assert page.heads("spectrum_done")[1] == first
    assert gate.count == count


def test_a_point_beside_a_known_one_is_started_from_it(page: Page, opened: Opened) -> None:
    session = opened(larger())
    for req, at in ((-1, (0.25, -0.5)), (-2, (0.26, -0.5)), (-3, (0.9, 0.9))):
        session.handle(ask(page, at, req=req))
        done(page, req)
    ends = {head["req"]: head["spectrum"] for head in page.heads("spectrum_done")}
    assert [ends[req]["warm"] for req in (-1, -2, -3)] == [False, True, False]
    truth = session.landscape.spectrum(at=(0.26, -0.5)).eigenvalues
    np.testing.assert_allclose(ends[-2]["eigenvalues"], truth, rtol=2e-3, atol=1e-3 * truth[0])


def test_a_run_that_is_cancelled_before_its_turn_is_answered_too(page: Page, opened: Opened) -> None:
    session, free = opened(small()), threading.Event()

    def hold() -> Iterator[None]:
        free.wait(PATIENCE)
        yield

    for _ in range(jobs.worker.threads):
        jobs.worker.submit(hold(), jobs.CALL)
    session.handle(ask(page))
    session.handle(order(page, "cancel", req=-1))
    free.set()
    end = done(page)
    assert end["cancelled"]
    assert (end["jet"], end["spectrum"], end["products"]) == (None, None, 0)


def test_another_point_cancels_the_one_under_way(
    page: Page, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, after=8)
    session = opened(larger())
    session.handle(ask(page, req=-1))
    assert gate.reached.wait(PATIENCE)
    session.handle(ask(page, (0.5, 0.5), req=-2))
    assert done(page, -1)["cancelled"]
    gate.opened.set()
    assert not done(page, -2)["cancelled"]


def test_the_runs_of_two_pages_do_not_cancel_each_other(page: Page, opened: Opened) -> None:
    session, other = opened(small()), Page("other")
    session.handle(ask(page))
    session.handle({**ask(other), "req": -1})
    for client in ("page", "other"):
        page.wait_for(
            lambda client=client: [h for h in page.heads("spectrum_done") if h["client"] == client], client
        )
    assert not any(head["cancelled"] for head in page.heads("spectrum_done"))


def test_a_point_of_a_plane_that_has_gone_is_refused(page: Page, opened: Opened) -> None:
    session = opened(small())
    session.handle(ask(page, epoch=7))
    error = page.wait_for(lambda: page.heads("error"), "an error")[0]
    assert (error["code"], error["req"]) == ("stale_epoch", -1)


def test_the_map_goes_on_while_a_spectrum_runs(
    page: Page, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, after=8)
    session = opened(larger())
    session.handle(ask(page))
    assert gate.reached.wait(PATIENCE)
    session.handle(page.want(HOME))
    page.wait_for(lambda: set(HOME) <= set(page.tiles()), "tiles", PATIENCE)
    assert not page.heads("spectrum_done")
    gate.opened.set()
    done(page)


def test_a_turn_does_not_end_a_run_that_is_under_way(
    page: Page, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, after=8)
    session = opened(larger())
    session.handle(ask(page))
    assert gate.reached.wait(PATIENCE)
    session.turn(Turn(turn_u=30))
    page.wait_for(lambda: page.heads("scene"), "the turned plane", PATIENCE)
    gate.opened.set()
    end = done(page)
    assert (end["epoch"], end["cancelled"]) == (1, False)


def test_a_closed_map_measures_no_more(page: Page, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, after=4)
    session = opened(larger())
    session.handle(ask(page))
    assert gate.reached.wait(PATIENCE)
    session.close()
    gate.opened.set()
    count = gate.count
    jobs.call(iter_once())
    assert gate.count <= count + 1


def iter_once() -> Any:
    yield


def test_where_the_hessian_is_not_finite_the_reason_is_said(page: Page, opened: Opened) -> None:
    session = opened(landscape(lambda t: t.log().sum(), size=3))
    session.handle(ask(page, (-1.0, -1.0)))
    error = page.wait_for(lambda: page.heads("error"), "an error", PATIENCE)[0]
    assert (error["code"], error["req"]) == ("eval_failed", -1)
    assert "is nan at this point" in error["text"]
    # What was known by then has been told.
    assert page.heads("spectrum_progress")[0]["jet"]["loss"] is None


def test_a_point_beyond_the_dtype_is_refused(page: Page, opened: Opened) -> None:
    opened(small()).handle(ask(page, (1e39, 0.0)))
    error = page.wait_for(lambda: page.heads("error"), "an error")[0]
    assert (error["code"], error["req"]) == ("bad_request", -1)


def test_the_line_of_stability_is_asked_for_anew_at_each_point(page: Page, opened: Opened) -> None:
    rate = [0.1]
    session = opened(small(), stability=lambda: Stability(2 / rate[0], "2 / lr", "words"))
    session.handle(ask(page, req=-1))
    assert done(page, -1)["stability"] == {"limit": 20.0, "label": "2 / lr", "reason": "words"}
    rate[0] = 0.5
    session.handle(ask(page, req=-2))
    assert done(page, -2)["stability"]["limit"] == 4.0


def test_an_eigenvector_becomes_the_direction_that_u_is_turned_to(page: Page, opened: Opened) -> None:
    surface, positions = small(), []
    session = opened(surface, on_position=positions.append)
    session.handle(ask(page))
    end = done(page)
    session.handle(order(page, "towards", req=-2, of=-1, index=0))
    answer = page.wait_for(lambda: page.heads("directed"), "an answer")[0]
    assert (answer["req"], answer["name"]) == (-2, "eigenvector 1 at (0.25, −0.5)")
    assert answer["name"] in surface.directions.names
    page.wait_for(lambda: page.heads("scene"), "the names")
    turned = surface.turned(Turn(**positions[0]))
    # The plane goes through the point, and along u it curves as the eigenvalue says.
    torch.testing.assert_close(turned.plane.origin, surface.plane.at(0.25, -0.5))
    jet = turned.jet()
    u = turned.plane.u
    assert float(u.norm()) == pytest.approx(float(surface.plane.u.norm()), rel=1e-5)
    assert jet.hessian[0, 0] / float(u @ u) == pytest.approx(end["spectrum"]["eigenvalues"][0], rel=1e-3)

    session.handle(order(page, "towards", req=-3, of=-1, index=0))
    page.wait_for(lambda: len(page.heads("directed")) == 2, "an answer")
    assert page.heads("directed")[1]["name"] == answer["name"]  # the same one, not another of that name
    assert positions[1] == positions[0]


def test_at_the_origin_the_plane_is_turned_and_not_moved(page: Page, opened: Opened) -> None:
    surface, positions = small(), []
    session = opened(surface, on_position=positions.append)
    session.handle(ask(page, (0.0, 0.0)))
    done(page)
    session.handle(order(page, "towards", req=-2, of=-1, index=6))
    page.wait_for(lambda: positions, "a position")
    assert (positions[0]["offset"], positions[0]["turn_u"]) == (0.0, 90)


def test_two_points_that_are_written_alike_have_directions_of_two_names(page: Page, opened: Opened) -> None:
    session = opened(small())
    for req, a in ((-1, 0.25), (-2, 0.2500001)):
        session.handle(ask(page, (a, 0.0), req=req))
        done(page, req)
        session.handle(order(page, "towards", req=10 * req, of=req, index=0))
    page.wait_for(lambda: len(page.heads("directed")) == 2, "two answers")
    assert [head["name"] for head in page.heads("directed")] == [
        "eigenvector 1 at (0.25, 0)",
        "eigenvector 1 at (0.25, 0) · 2",
    ]


def test_an_eigenvector_that_is_not_known_is_refused_in_words(page: Page, opened: Opened) -> None:
    session = opened(small())
    session.handle(ask(page))
    done(page)
    for req, of, index in ((-2, -9, 0), (-3, -1, 99), (-4, -1, -1)):
        session.handle(order(page, "towards", req=req, of=of, index=index))
    page.wait_for(lambda: len(page.heads("error")) == 3, "three errors")
    assert all("Measure the point again" in error["text"] for error in page.heads("error"))


def test_what_a_run_needed_is_let_go_when_it_has_ended(page: Page, opened: Opened) -> None:
    """A study keeps graphs of the whole data."""
    made: list[Any] = []

    class Watched(la.closeup.Closeup):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            made.append(weakref.ref(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lossatlas.widget.points.Closeup", Watched)
        opened(larger()).handle(ask(page))
        done(page)
    limit = time.monotonic() + PATIENCE
    while made[0]() is not None and time.monotonic() < limit:
        gc.collect()
        time.sleep(0.01)
    assert made[0]() is None


def test_an_eigenvector_of_the_model_as_it_was_is_refused_after_a_refresh(page: Page, opened: Opened) -> None:
    model = mlp(6, 8, 3)  # kept: a map of a model that is gone cannot be renewed
    objective = la.Objective(model, F.cross_entropy, classification(64))
    session = opened(la.Landscape(objective, la.Plane.random(objective)))
    session.handle(ask(page))
    done(page)
    session.refresh()
    page.wait_for(lambda: page.heads("scene"), "the map of the model as it is")
    session.handle(order(page, "towards", req=-2, of=-1, index=0))
    error = page.wait_for(lambda: page.heads("error"), "an error")[0]
    assert "Measure the point again" in error["text"]


def test_an_eigenvector_that_has_not_converged_is_no_direction_yet(
    page: Page, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, surface = Gate(monkeypatch, after=8), larger()
    session = opened(surface)
    session.handle(ask(page))
    assert gate.reached.wait(PATIENCE)
    page.wait_for(lambda: [h for h in page.heads("spectrum_progress") if h["spectrum"]], "a first spectrum")
    assert not page.heads("spectrum_progress")[-1]["spectrum"]["converged"][0]
    before = surface.directions.names
    session.handle(order(page, "towards", req=-2, of=-1, index=0))
    error = page.wait_for(lambda: page.heads("error"), "an error")[0]
    assert (error["code"], error["req"]) == ("bad_request", -2)
    assert "Eigenvector 1 has not converged yet" in error["text"]
    assert surface.directions.names == before

    gate.opened.set()
    end = done(page)
    index = end["spectrum"]["converged"].index(True)
    session.handle(order(page, "towards", req=-3, of=-1, index=index))
    page.wait_for(lambda: page.heads("directed"), "an answer")


class Fixed(Points):
    """Points without a page: what they post and what fails is kept."""

    def __init__(self, stability: Callable[[], Stability | None] = lambda: None) -> None:
        self.posted: list[Any] = []
        self.failed: list[tuple[Point, Exception]] = []
        super().__init__(self.posted.append, lambda *failed: self.failed.append(failed), stability)

    def measure(self, surface: la.Landscape, req: int = -1, client: str = "page", a: float = 0.25) -> None:
        """Measure a point to its end."""
        self.begin(Point(client, req, 1, (a, -0.5), 2.0), surface)
        limit = time.monotonic() + PATIENCE
        while self._orders.under_way and time.monotonic() < limit:
            time.sleep(0.005)
        assert not self._orders.under_way


def test_the_name_of_an_eigenvector_is_forgotten_when_a_later_spectrum_replaces_it() -> None:
    points, surface = Fixed(), small()
    points.measure(surface)
    name, position = points.towards(Towards("page", -2, -1, 0), surface)
    found = points._found["page", -1]
    assert found.spectrum is not None
    later = replace(found.spectrum, eigenvectors=found.spectrum.eigenvectors.flip(1))
    run = points_module._Run(Point("page", -1, 1, (0.25, -0.5), 2.0), surface.objective.size)
    run.found, run.closeup = found, Closeup(surface, (0.25, -0.5), 2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(run.closeup.study), "spectrum", lambda study: later)
        patch.setattr(type(run.closeup.study), "tells", True)
        points._tell(run)
    other, moved = points.towards(Towards("page", -3, -1, 0), surface)
    assert other == f"{name} · 2"
    torch.testing.assert_close(surface.directions[other].vector, later.eigenvectors[:, 0])
    assert moved["offset_along"] == position["offset_along"]  # the point is where it was


def test_a_request_whose_stability_cannot_be_told_is_answered_as_often_as_it_is_made() -> None:
    def broken() -> Stability | None:
        raise RuntimeError("The optimizer has gone.")

    points, surface = Fixed(broken), small()
    for count in (1, 2):
        points.measure(surface)
        assert [str(error) for _, error in points.failed] == ["The optimizer has gone."] * count


@pytest.mark.parametrize("tells", [True, False])
def test_what_is_kept_of_points_is_counted_whole_and_the_oldest_goes(
    tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, surface = Fixed(), small()
    if not tells:  # a run that ends before its spectrum is known
        monkeypatch.setattr("lossatlas.curvature.Study.tells", False)
    size = 4 * surface.objective.size
    points.measure(surface)
    each = points._found["page", -1].bytes
    assert each >= (8 * size if tells else size)  # θ, and seven eigenvectors
    monkeypatch.setattr(points_module, "_KEPT_BYTES", 2 * each + each // 2)
    for req in (-2, -3, -4):
        points.measure(surface, req, a=0.25 * req)
    assert sorted(req for _, req in points._found) == [-4, -3]


def test_what_a_run_under_way_has_found_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    points, surface = Fixed(), small()
    points.measure(surface, client="other")
    monkeypatch.setattr(points_module, "_KEPT_BYTES", 1)
    points._orders.begin("other", -1, iter_once(), jobs.POINT)
    points.begin(Point("page", -1, 1, (0.25, -0.5), 2.0), surface)
    limit = time.monotonic() + PATIENCE
    while "page" in points._orders.under_way and time.monotonic() < limit:
        time.sleep(0.005)
    assert points._orders.under_way == {"other": -1}
    assert list(points._found) == [("other", -1), ("page", -1)]


def test_what_a_page_found_is_forgotten_when_it_has_long_been_silent() -> None:
    points, surface, now = Fixed(), small(), time.monotonic()
    for client in ("silent", "busy", "alive", "new"):
        points.measure(surface, client=client)

    def heard(clients: list[str], later: float) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(points_module, "time", SimpleNamespace(monotonic=lambda: now + later))
            points.heard(clients)
        return [client for client, _ in points._found]

    everybody = ["silent", "busy", "alive", "new"]
    assert heard(["silent", "busy", "alive"], 0) == everybody
    assert heard(["alive"], points_module.SILENCE - 1) == everybody  # out of sight, perhaps
    points._orders.begin("busy", -2, iter_once(), jobs.POINT)
    # One that has not been heard of yet may be about to speak.
    assert heard(["alive"], points_module.SILENCE + 1) == ["busy", "alive", "new"]
    points._orders.ended("busy", -2)
    assert heard(["alive"], points_module.SILENCE + 2) == ["alive", "new"]


def test_what_a_page_found_is_forgotten_with_it(page: Page, opened: Opened) -> None:
    session = opened(small())
    session.handle(ask(page))
    done(page)
    session.handle(order(page, "bye", removed=False))
    session.handle(order(page, "towards", req=-2, of=-1, index=0))
    page.wait_for(lambda: page.heads("error"), "an error")


def test_on_a_line_a_point_has_one_curvature_and_nothing_turns(page: Page, opened: Opened) -> None:
    objective = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(64))
    session = opened(la.Landscape(objective, la.Line(objective.theta, objective.theta)))
    session.handle(ask(page, (0.5, 0.0)))
    assert len(done(page)["jet"]["curvatures"]) == 1
    session.handle(order(page, "towards", req=-2, of=-1, index=0))
    error = page.wait_for(lambda: page.heads("error"), "an error")[0]
    assert "A line is not turned" in error["text"]


def test_the_part_of_the_page_is_sent_when_it_is_asked_for(page: Page, opened: Opened) -> None:
    session = opened(small(), part=lambda name: f"export const text = {name!r};".encode())
    session.handle(order(page, "part", req=4, name="point"))
    page.wait_for(lambda: page.heads("part"), "the part")
    (message,) = [message for message in page.messages if message[0]["k"] == "part"]
    assert message == (
        {"v": 1, "k": "part", "client": "page", "req": 4, "name": "point"}, [b"export const text = 'point';"]
    )  # fmt: skip
