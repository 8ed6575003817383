"""Runs: what is recorded of training beside its path, as a trait and as messages that come while it runs."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import traitlets

from lossatlas.widget import Explorer
from lossatlas.widget.curves import RunCurves
from lossatlas.widget.paths import DrawnPath
from lossatlas.widget.run_messages import curves_message, path_message
from tests.widget.helpers import landscape

FIXTURES = Path(__file__).parent.parent / "fixtures" / "protocol"


@pytest.fixture
def explorer():
    explorer = Explorer(landscape())
    yield explorer
    explorer.close()


def assert_is_fixture(message, name):
    head, buffers = message
    wanted = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    assert head == wanted["head"]
    assert [base64.b64encode(buffer).decode() for buffer in buffers] == wanted["buffers"]


def test_rows_of_a_path_are_what_the_page_reads():
    message = path_message(
        "SGD",
        "7f3a91c2d4e5f607",
        [[0.5, -0.25], [0.375, -0.125]],
        start=2,
        steps=[20, 30],
        distance=[0.125, 0.0],
        loss=[0.5, np.nan],
        color="#d55e00",
    )
    assert_is_fixture(message, "path")


def test_arrows_downhill_are_two_columns_more_and_need_not_be_finite():
    head, (buffer,) = path_message("run", "s", [[0, 0], [1, 1]], arrows=[[0.5, -1], [np.inf, 0]])
    assert head["columns"] == ["a", "b", "step", "distance", "loss", "down_a", "down_b"]
    rows = np.frombuffer(buffer, "<f8").reshape(2, 7)
    assert rows[:, 5:].tolist() == [[0.5, -1], [np.inf, 0]]
    with pytest.raises(ValueError, match=r"arrows has the shape \(1, 2\), where the points ask for \(2, 2\)"):
        path_message("run", "s", [[0, 0], [1, 1]], arrows=[[0.5, -1]])


def test_rows_of_curves_are_what_the_page_reads():
    series = {"loss": [2.5, 1.25, np.inf], "lr": [0.5, 0.5, 0.25], "sharpness": [4, np.nan, 3]}
    assert_is_fixture(curves_message("<b>Adam</b>", [0, 1, 2], series), "curves")


def test_a_path_without_steps_counts_its_rows_and_without_distance_lies_in_the_plane():
    head, (buffer,) = path_message("run", "s", np.zeros((2, 2)), start=np.int64(7))
    rows = np.frombuffer(buffer, "<f8").reshape(head["n"], len(head["columns"]))
    assert rows[:, 2].tolist() == [7, 8]
    assert rows[:, 3].tolist() == [0, 0]
    assert np.isnan(rows[:, 4]).all()
    assert json.loads(json.dumps(head)) == head


def test_no_rows_from_0_forget_what_was_told():
    assert path_message("run", "s", [])[0]["n"] == 0
    head, buffers = curves_message("run", [], {"loss": []})
    assert (head["from"], head["n"], buffers) == (0, 0, [b""])


@pytest.mark.parametrize("start", [-1, 0.5, "0", None])
def test_rows_begin_at_a_row(start):
    with pytest.raises(ValueError, match="start is"):
        path_message("run", "s", [[0, 0]], start=start)
    with pytest.raises(ValueError, match="start is"):
        curves_message("run", [0], {"loss": [1]}, start=start)


def test_a_point_that_is_not_finite_is_no_point_of_a_path():
    with pytest.raises(ValueError, match="points holds a number that is not finite"):
        path_message("run", "s", [[0, np.nan]])


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"steps": [[0, 1]]}, r"shape \(1, 2\)"),
        ({"steps": [1, 0]}, "do not ascend"),
        ({"steps": [0, None]}, "not finite"),
        ({"series": {"loss": [1]}}, r"'loss' has the shape \(1,\)"),
        ({"series": {"loss": ["a", "b"]}}, "no numbers"),
        ({"series": [1, 2]}, "no mapping"),
        ({"series": {"step": [1, 2]}}, "called 'step'"),
        ({"color": "expression(1)"}, "color is"),
        ({"name": 3}, "no text"),
        ({"losses": []}, "no run"),
    ],
)
def test_what_is_no_run_is_refused_in_words(explorer, more, text):
    with pytest.raises(traitlets.TraitError, match=text) as raised:
        explorer.runs = [{"name": "run", "steps": [0, 1], "series": {}, **more}]
    assert "runs[0]" in str(raised.value)


def test_two_runs_of_one_name_are_refused(explorer):
    with pytest.raises(traitlets.TraitError, match=r"runs\[1\] is called 'run' like another"):
        explorer.runs = [{"name": "run", "steps": [], "series": {}}] * 2


def test_what_is_not_finite_travels_as_null(explorer):
    values = np.array([1.5, np.nan, np.inf])
    explorer.runs = [{"name": "run", "steps": range(3), "series": {"loss": values, "val": [1, None, 2]}}]
    assert explorer.runs[0] == {
        "name": "run",
        "color": None,
        "steps": [0, 1, 2],
        "series": {"loss": [1.5, None, None], "val": [1, None, 2]},
    }
    assert DrawnPath("run", np.zeros((3, 2)), loss=values).head()["loss"] == [1.5, None, None]
    assert json.dumps(explorer.runs, allow_nan=False)


def test_the_curves_stand_beside_the_map_when_they_are_asked_to(explorer):
    assert explorer.curves is False
    explorer.curves = True


def test_a_run_keeps_its_numbers():
    run = RunCurves("run", [0, 2], {"loss": [2, 1]}, "red")
    assert run.steps.dtype == run.series["loss"].dtype == np.float64
