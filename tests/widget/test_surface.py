"""The 3-D button from the kernel's side: a job, a FigureWidget that is one of the explorer, and an answer to every request."""

import threading

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

import lossatlas as la
from lossatlas import jobs
from lossatlas.widget.explorer import Explorer
from lossatlas.widget.session import Session
from tests.widget.helpers import Page, landscape


def ask(req, epoch=1, **more):
    head = {
        "v": 1, "k": "surface", "client": "page", "req": req, "epoch": epoch, "field": "loss", "scale": "linear",
        "view": {"center": [0.0, 0.0], "span": 1.0, "width": 800, "height": 400},
    }  # fmt: skip
    return {**head, **more}


def answer(page, req):
    def found():
        return [head for head, _ in list(page.messages) if head.get("req") == req]

    return page.wait_for(found, f"the answer to {req}")[0]


@pytest.fixture
def page():
    return Page()


@pytest.fixture
def session(page):
    made = Session(landscape(), page.receive, surface=page_shows(page))
    yield made
    made.close()


def page_shows(page):
    page.figures, page.threads = [], []

    def show(figure, keep):
        page.figures.append((figure, keep))
        page.threads.append(threading.current_thread().name)
        return "model-1"

    return show


def test_a_surface_is_evaluated_and_shown_from_the_publishers_thread(session, page):
    session.handle(ask(1))
    head = answer(page, 1)
    assert (head["k"], head["model"]) == ("surface", "model-1")
    ((figure, keep),) = page.figures
    assert keep
    assert page.threads == ["lossatlas-publisher"]
    found = session.landscape.map((-0.5, 0.5, -0.25, 0.25), 129, 0.01)
    np.testing.assert_array_equal(figure.data[0].z, found.values)
    assert head["error"] == found.error
    session.handle(ask(2, camera={"eye": {"x": 1, "y": 2, "z": 3}}))
    answer(page, 2)
    assert not page.figures[1][1]
    assert page.figures[1][0].layout.scene.camera.eye.y == 2
    session.handle(ask(3, epoch=None, theme="dark", size={"width": 500, "height": 400}))
    assert answer(page, 3)["k"] == "surface"
    assert page.figures[2][0].layout.paper_bgcolor == "#12151a"
    assert (page.figures[2][0].layout.width, page.figures[2][0].layout.height) == (500, 400)
    assert not page.figures[2][0].data[0].showscale  # the map beside has the bar


def test_what_cannot_be_made_is_answered_in_words(page):
    def broken(figure, keep):
        raise RuntimeError("no widgets here")

    session = Session(landscape(), page.receive, surface=broken)
    session.handle(ask(1))
    assert answer(page, 1)["text"] == "no widgets here"
    session.handle(ask(2, colormap="jet"))
    assert "There is no colour map 'jet'" in answer(page, 2)["text"]
    session.handle(ask(3, epoch=7))
    assert answer(page, 3)["code"] == "stale_epoch"
    session.handle(ask(4, view={"center": [0, 0], "span": 1e-40, "width": 1, "height": 1}))
    assert answer(page, 4)["code"] == "eval_failed"
    session.close()


def test_a_line_has_no_surface(page):
    origin = torch.zeros(2, dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: (t**2).sum(), origin)
    session = Session(la.Landscape(objective, la.Line(origin, torch.ones(2).double())), page.receive)
    session.handle(ask(1))
    assert answer(page, 1)["text"] == "A line has no surface: it is drawn as a curve."
    session.close()


def test_a_surface_is_cancelled_by_its_number_or_by_the_next_one_and_says_so(page):
    gate = threading.Event()
    gate.set()

    def slow(theta):
        gate.wait(5)
        return (theta**2).sum()

    session = Session(landscape(lambda theta: (theta**2).sum()), page.receive, surface=page_shows(page))
    session.handle({"v": 1, "k": "pause", "client": "page"})
    session._surfaces._orders.begin("page", 0, _until_cancelled(cancelled := []), jobs.TURN)
    session.handle(ask(1))
    assert answer(page, 1)["k"] == "surface"
    assert cancelled
    other = Session(landscape(slow), page.receive, surface=page_shows(page))
    gate.clear()
    other.handle(ask(2))
    other.handle({"v": 1, "k": "cancel", "client": "page", "req": 2})
    gate.set()
    assert answer(page, 2)["code"] == "cancelled"
    assert not page.figures
    session.close()
    other.close()


def _until_cancelled(said):
    """A run that ends when it is cancelled, and says so."""
    try:
        while True:
            yield
    finally:
        said.append(True)


@pytest.fixture
def explorer(page, monkeypatch):
    monkeypatch.setattr(Explorer, "send", lambda self, head, buffers=None: page.receive(head, buffers or []))
    made = landscape().explore()
    yield made
    made.close()


def test_an_explorer_has_one_widget_that_is_updated_in_place_and_closed_with_it(explorer, page):
    explorer._on_message(explorer, ask(1), [])
    first = answer(page, 1)
    widget = explorer._surface
    assert first["model"] == widget.model_id
    widget.update_layout(scene_camera={"eye": {"x": 3.0, "y": 0.0, "z": 0.5}})  # as a hand turns it
    before = np.array(widget.data[0].z)
    explorer._on_message(
        explorer, ask(2, view={"center": [0, 0], "span": 2, "width": 1, "height": 1}, scale="log"), []
    )
    assert answer(page, 2)["model"] == widget.model_id
    assert explorer._surface is widget
    assert widget.data[0].z.shape == (129, 129)
    assert (np.asarray(widget.data[0].z) != before).any()
    np.testing.assert_array_equal(widget.data[0].x, np.linspace(-1, 1, 129))
    assert widget.layout.scene.camera.eye.x == 3.0
    assert tuple(widget.layout.scene.xaxis.range) == (-1, 1)
    explorer._on_message(explorer, ask(3, camera={"eye": {"x": 0.0, "y": 0.0, "z": 2.0}}), [])
    answer(page, 3)
    assert widget.layout.scene.camera.eye.z == 2.0
    explorer.colormap, explorer.domain = "magma", [0.5, 1.0]
    explorer._on_message(explorer, ask(4), [])
    answer(page, 4)
    assert (widget.data[0].cmin, widget.data[0].cmax) == (0.5, 1.0)
    assert widget.data[0].colorscale[0][1] == "rgb(0,0,4)"
    explorer.close()
    assert widget.comm is None


def test_without_a_figure_widget_there_is_a_sentence(explorer, page, monkeypatch):
    def missing(*_args):
        raise ImportError("Please install anywidget to use the FigureWidget class")

    monkeypatch.setattr(go, "FigureWidget", missing)
    explorer._on_message(explorer, ask(1), [])
    text = answer(page, 1)["text"]
    assert "plotly's FigureWidget, which cannot be made here: Please install anywidget" in text
    assert "landscape.figure() draws the same" in text


# Files of what the map shows.


def test_an_explorer_writes_what_it_shows(explorer, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from lossatlas import pictures

    seen = {}

    def record(shown, path, **options):
        seen.update(options, landscape=shown, path=path)

    explorer._session.first_picture(20)
    for kind in ("png", "svg", "pdf"):
        monkeypatch.setattr(pictures, f"to_{kind}", record)
    explorer.view = {"center": [0.25, 0.5], "span": 0.5}
    explorer.scale, explorer.theme, explorer.levels = "log", "dark", [0.1, 0.2]
    explorer.domain, explorer.colormap = [0.1, 1.5], "magma"
    explorer.to_svg("x.svg")
    assert seen["extent"] == (0.0, 0.5, 0.25, 0.75)
    assert (seen["scale"], seen["theme"], seen["levels"], seen["domain"]) == (
        "log",
        "dark",
        [0.1, 0.2],
        (0.1, 1.5),
    )
    assert (seen["field"], seen["colormap"], seen["tolerance"]) == ("loss", "magma", 0.01)
    assert seen["landscape"] is explorer.landscape
    wide = Page().want([], view={"center": [0.25, 0.5], "span": 0.5, "width": 800, "height": 400})
    explorer._on_message(explorer, wide, [])
    explorer.domain = []
    explorer.to_png("x.png", dpi=50, theme="light")
    assert seen["extent"] == (0.0, 0.5, 0.375, 0.625)
    assert (seen["theme"], seen["dpi"]) == ("light", 50)
    low, high = seen["domain"]  # of the home view
    assert low < 0.1 < 1.5 < high
    monkeypatch.undo()
    explorer.levels = []
    explorer.to_pdf(tmp_path / "map.pdf", pixels=17)
    assert (tmp_path / "map.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(ValueError, match="Pass one that ends in .png"):
        explorer.to_png(tmp_path / "map.gif")
    explorer.close()
    with pytest.raises(ValueError, match="This map was closed"):
        explorer.to_png(tmp_path / "map.png")


def test_the_explorer_of_a_line_writes_its_curve(tmp_path):
    pytest.importorskip("matplotlib")
    origin = torch.zeros(2, dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: 1 + (t**2).sum(), origin)
    made = la.Landscape(objective, la.Line(origin, torch.ones(2).double())).explore()
    made.view = {"center": [0.0, 0.0], "span": 1.0}
    made.to_svg(tmp_path / "line.svg")
    assert "a · u" in (tmp_path / "line.svg").read_text()
    made.close()
