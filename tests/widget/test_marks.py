"""Marks and paths: what a map holds beside its values, checked at the border and tied to the plane they were made on."""

import numpy as np
import pytest
import torch
import traitlets

import lossatlas as la
from lossatlas.widget.marks import KINDS, Mark
from lossatlas.widget.paths import DrawnPath
from tests.widget.helpers import landscape


def quadratic(theta: torch.Tensor) -> torch.Tensor:
    """A saddle of index 1 at the origin, and steep in the third direction."""
    return 1 + theta[0] ** 2 - theta[1] ** 2 + 5 * theta[2] ** 2


@pytest.fixture
def explorer():
    made = landscape().explore()
    yield made
    made.close()


def test_a_mark_is_of_the_plane_that_is_shown(explorer):
    explorer.mark(0.5, -0.25, "<b>here</b>")
    explorer.mark(0, 1, kind="maximum")
    scene = explorer.landscape.scene.hash
    assert explorer.marks == [
        {"a": 0.5, "b": -0.25, "text": "<b>here</b>", "kind": "note", "scene": scene},
        {"a": 0, "b": 1, "text": "", "kind": "maximum", "scene": scene},
    ]


def test_marks_and_paths_that_are_set_without_a_scene_are_of_the_one_that_is_shown(explorer):
    scene = explorer.landscape.scene.hash
    explorer.marks = [{"a": 0, "b": 0}, {"a": 0, "b": 0, "scene": "another"}]
    assert [mark["scene"] for mark in explorer.marks] == [scene, "another"]
    explorer.paths = [{"name": "run", "points": np.zeros((3, 2))}]
    assert explorer.paths[0]["scene"] == scene
    assert explorer.paths[0]["points"] == [[0, 0]] * 3
    made = landscape().explore(marks=[{"a": 0, "b": 0}])
    assert made.marks[0]["scene"] == made.landscape.scene.hash
    made.close()


def test_a_critical_point_is_marked_where_it_falls_on_the_plane():
    objective = la.Objective.from_function(quadratic, torch.tensor([1.0, 1.0, 0.1], dtype=torch.float64))
    u, v = torch.eye(3, dtype=torch.float64)[:2]
    shown = la.Landscape(objective, la.Plane(objective.theta, u, v))
    explorer = shown.explore()
    explorer.mark(shown.critical_point((-0.8, -0.9)))
    (mark,) = explorer.marks
    assert (mark["a"], mark["b"]) == pytest.approx((-1, -1))
    assert mark["kind"] == "saddle"
    assert mark["text"] == "saddle, index 1, loss 1, 0.1 off the plane"
    with pytest.raises(TypeError, match="Pass it alone"):
        explorer.mark(shown.critical_point((0, 0)), text="mine")
    explorer.close()


def test_a_point_in_the_plane_is_not_said_to_lie_off_it():
    shown = landscape(lambda theta: (theta**2).sum() + 1)
    mark = Mark.of(shown.critical_point((0.2, 0.1)), shown.slice, "scene")
    assert mark.text == "minimum, loss 1"
    assert mark.kind == "minimum"


def test_a_mark_on_a_line_has_one_coordinate():
    objective = la.Objective.from_function(lambda t: (t**2).sum(), torch.zeros(2, dtype=torch.float64))
    line = la.Landscape(objective, la.Line(objective.theta, torch.tensor([1.0, 0.0], dtype=torch.float64)))
    explorer = line.explore()
    explorer.mark(0.5, text="half")
    explorer.mark(line.critical_point(0.3))
    assert [(mark["a"], mark["b"]) for mark in explorer.marks] == [(0.5, 0), (pytest.approx(0, abs=1e-6), 0)]
    explorer.close()


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        ({"a": "0", "b": 0}, "a is '0'. Pass a number"),
        ({"a": 0, "b": float("nan")}, "b is nan. Pass a finite number"),
        ({"a": 0, "b": 0, "text": 3}, "text is a int. Pass text"),
        ({"a": 0, "b": 0, "kind": "bowl"}, "kind is 'bowl'. Take one of: note, minimum"),
        ({"a": 0}, "no mark"),
        ({"a": 0, "b": 0, "c": 0}, "no mark"),
    ],
)
def test_what_is_no_mark_is_refused_in_words(explorer, mark, text):
    with pytest.raises(traitlets.TraitError, match=text):
        explorer.marks = [mark]
    assert explorer.marks == []


def test_a_place_has_two_coordinates_on_a_plane(explorer):
    with pytest.raises(TypeError, match="b is missing"):
        explorer.mark(0.5)
    assert all(Mark(0, 0, kind=kind).kind == kind for kind in KINDS)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"points": []}, r"shape \(0,\)"),
        ({"points": [[0, 0, 0]]}, r"shape \(1, 3\)"),
        ({"points": [[0, float("inf")]]}, "not finite"),
        ({"points": [["a", "b"]]}, "no numbers"),
        ({"steps": [0]}, r"steps has the shape \(1,\)"),
        ({"steps": [1, 0]}, "do not ascend"),
        ({"distance": [0, -1]}, "below 0"),
        ({"loss": [0.5]}, r"loss has the shape \(1,\)"),
        ({"color": "url(https://example.org)"}, "color is"),
        ({"colour": "red"}, "no path"),
        ({"name": None}, "no text"),
    ],
)
def test_what_is_no_path_is_refused_in_words(explorer, more, text):
    with pytest.raises(traitlets.TraitError, match=text):
        explorer.paths = [{"name": "run", "points": [[0, 0], [1, 1]], **more}]


def test_a_path_travels_as_plain_numbers():
    path = DrawnPath("run", np.array([[0, 0], [1, 2]]), np.array([0, 10]), color="rgb(1, 2, 3)", scene="s")
    assert path.head() == {
        "name": "run",
        "points": [[0, 0], [1, 2]],
        "steps": [0, 10],
        "distance": None,
        "loss": None,
        "color": "rgb(1, 2, 3)",
        "scene": "s",
        "arrows": None,
    }
