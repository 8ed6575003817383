"""Runs on the map while they are recorded: rows that come unasked, anew for every plane, and what is kept of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.geometry.trajectory import Curves
from lossatlas.widget.explorer import Explorer
from lossatlas.widget.live import _changed, _columns
from tests.zoo import F, classification, mlp


class Heard:
    """What a page has made of the messages about runs."""

    def __init__(self) -> None:
        self.paths: dict[tuple[str, str], np.ndarray] = {}
        self.curves: dict[str, dict[str, np.ndarray]] = {}
        self.errors: list[str] = []
        self.threads: set[str] = set()

    def receive(self, head: dict[str, Any], buffers: list[bytes]) -> None:
        if head["k"] == "error":
            self.errors.append(head["text"])
        if head["k"] not in ("path", "curves"):
            return
        self.threads.add(threading.current_thread().name)
        rows = np.frombuffer(buffers[0], "<f8").reshape(head["n"], len(head["columns"]))
        if head["k"] == "path":
            key = (head["name"], head["scene"])
            before = self.paths.get(key, np.zeros((0, 5)))
            assert head["from"] <= len(before)
            self.paths[key] = np.concatenate([before[: head["from"]], rows])
        else:
            before = self.curves.get(head["name"], {})
            self.curves[head["name"]] = {
                name: np.concatenate([before.get(name, np.zeros(0))[: head["from"]], rows[:, k]])
                for k, name in enumerate(head["columns"])
            }


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    page = Heard()
    monkeypatch.setattr(Explorer, "send", lambda self, head, buffers=None: page.receive(head, buffers or []))
    return page


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "It never came to be."
        time.sleep(0.01)


def started(**options: Any) -> tuple[torch.nn.Module, la.Recorder, Any, Explorer]:
    model, data = mlp(6, 8, 3), classification(60)
    recorder = la.Recorder(model, **options)
    explorer = la.explore(model, F.cross_entropy, data, recorder=recorder)
    greet(explorer)
    return model, recorder, data, explorer


def greet(explorer: Explorer) -> None:
    """A page comes that knows nothing."""
    head = {"v": 1, "k": "hello", "client": "page", "have": "", "dpr": 1, "renderer": "cpu"}
    explorer._live_session.handle(head)


def train(model: torch.nn.Module, recorder: la.Recorder, data: Any, steps: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), 0.2)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[0]), data[1])
        loss.backward()
        recorder.step(loss, lr=0.2)
        optimizer.step()


def test_the_path_and_the_curves_grow_while_a_run_is_recorded(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    key = ("run 1", explorer.landscape.scene.hash)
    train(model, recorder, data, 10)
    until(lambda: len(heard.paths.get(key, ())) == 10)
    train(model, recorder, data, 7)
    until(lambda: len(heard.paths[key]) == 17 and len(heard.curves["run 1"]["step"]) == 17)
    shadow = explorer.landscape.project(recorder)
    np.testing.assert_allclose(heard.paths[key][:, :2], shadow.points, rtol=1e-9)
    assert heard.paths[key][:, 2].tolist() == list(range(17))
    np.testing.assert_allclose(heard.paths[key][:, 3], shadow.distance, rtol=1e-9)
    assert heard.paths[key][:, 4].tolist() == recorder.trajectory.loss.tolist()
    assert heard.curves["run 1"]["loss"].tolist() == recorder.curves.loss.tolist()
    assert "MainThread" not in heard.threads  # a send from a running cell would make the map deaf
    assert heard.errors == []
    explorer.close()


def test_on_another_plane_the_run_falls_elsewhere(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    train(model, recorder, data, 150)
    first = explorer.landscape.scene.hash
    until(lambda: len(heard.paths.get(("run 1", first), ())) == 150)
    explorer.turn_u = 40
    until(lambda: explorer.landscape.scene.hash != first)
    second = explorer.landscape.scene.hash
    until(lambda: len(heard.paths.get(("run 1", second), ())) == 150)
    np.testing.assert_allclose(
        heard.paths["run 1", second][:, :2], explorer.landscape.project(recorder).points, rtol=1e-9
    )
    explorer.close()


def test_a_page_that_knows_nothing_is_told_all(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    key = ("run 1", explorer.landscape.scene.hash)
    train(model, recorder, data, 5)
    until(lambda: len(heard.paths.get(key, ())) == 5)
    heard.paths.clear()
    heard.curves.clear()
    greet(explorer)
    until(lambda: len(heard.paths.get(key, ())) == 5 and len(heard.curves["run 1"]["step"]) == 5)
    explorer.close()


def test_while_no_page_is_there_nothing_is_told_and_the_first_one_is_told_all(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, recorder, data, explorer = started()
    live, key = explorer._live_session.live, ("run 1", explorer.landscape.scene.hash)
    until(lambda: live._feeds["run 1"].revision is not None)  # it has been looked at
    explorer._live_session.handle({"v": 1, "k": "bye", "client": "page", "removed": False})
    looks: list[int] = []
    monkeypatch.setattr(live, "_tell", lambda feed: looks.append(1) or iter(()))
    train(model, recorder, data, 3)
    until(lambda: live.pump() is None and live._news)  # there is something, for nobody
    train(model, recorder, data, 3)
    assert looks == []
    assert heard.paths == {}
    monkeypatch.undo()
    monkeypatch.setattr(Explorer, "send", lambda self, head, buffers=None: heard.receive(head, buffers or []))
    greet(explorer)
    until(lambda: len(heard.paths.get(key, ())) == 6)
    explorer.close()


def test_what_has_ended_is_in_the_traits(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    train(model, recorder, data, 8)
    assert explorer.paths == []
    recorder.close()
    until(lambda: explorer.paths and explorer.runs)
    (path,), (curves,) = explorer.paths, explorer.runs
    assert path["name"] == curves["name"] == "run 1"
    assert path["scene"] == explorer.landscape.scene.hash
    np.testing.assert_allclose(path["points"], explorer.landscape.project(recorder).points, atol=1e-12)
    assert curves["series"]["loss"] == recorder.curves.loss.tolist()
    explorer.close()


def test_a_long_run_is_told_thinned_with_its_last_step_and_kept_when_it_has_ended(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossatlas.widget.live._MOST_STEPS", 10)
    _, recorder, _, explorer = started()
    for k in range(36):
        recorder.step(float(k))
    until(lambda: heard.curves.get("run 1", {}).get("step", np.zeros(1))[-1] == 35)
    assert heard.curves["run 1"]["step"].tolist() == [0, 4, 8, 12, 16, 20, 24, 28, 32, 35]
    recorder.step(36.0)
    recorder.close()
    until(lambda: explorer.runs)
    assert explorer.runs[0]["steps"] == [0, 4, 8, 12, 16, 20, 24, 28, 32, 36]
    assert explorer.runs[0]["series"]["loss"] == explorer.runs[0]["steps"]
    until(lambda: explorer._live_session.live.pump() is None)  # nobody looks at it any more
    explorer.close()


def test_of_many_rows_at_once_some_are_told_while_it_goes_on_and_all_in_the_end(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossatlas.widget.live._MOST_ROWS", 20)
    _, recorder, _, explorer = started()
    key = ("run 1", explorer.landscape.scene.hash)
    with recorder._lock:  # whoever looks meanwhile waits
        for k in range(300):
            recorder.step(float(k))
    until(lambda: key in heard.paths and heard.paths[key][-1, 2] == 299)
    some = heard.paths[key][:, 2]
    assert 20 <= len(some) < 60
    assert (np.diff(some) > 0).all()
    recorder.close()
    until(lambda: explorer.paths and len(explorer.paths[0]["steps"]) == 300)
    assert heard.paths[key][:, 2].tolist() == list(range(300))
    explorer.close()


def test_trajectories_are_drawn_beside_it_under_names_of_their_own(heard: Heard) -> None:
    _, _, data, explorer = started()
    other = la.Recorder(mlp(6, 8, 3, seed=4))
    train(other.model, other, data, 6)
    explorer.add_run(other.trajectory, color="#d55e00")
    explorer.add_run(other.trajectory, name="again")
    until(lambda: {path["name"] for path in explorer.paths} == {"run 2", "again"})
    assert {path["name"]: path["color"] for path in explorer.paths} == {"run 2": "#d55e00", "again": None}
    explorer.close()


def test_following_turns_the_plane_to_the_run_and_looks_at_it(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    with pytest.raises(ValueError, match="Nothing has been recorded yet"):
        explorer.follow()
    train(model, recorder, data, 40)
    explorer.follow()
    until(lambda: explorer.landscape.slice.names[0].endswith("90° towards component 1 to step 39"))
    objective = explorer.landscape.objective
    plane = la.Plane.pca(objective, recorder.trajectory)
    for found, expected in zip(explorer.landscape.slice.directions, (plane.u, plane.v), strict=True):
        assert float(torch.cosine_similarity(found, expected, dim=0)) == pytest.approx(1, abs=1e-6)
    shadow = explorer.landscape.project(recorder)
    away = np.abs(shadow.points - explorer.view["center"])
    assert away[:, 0].max() <= 0.5 * explorer.view["span"]
    with pytest.raises(ValueError, match=r"There is no run 'other' to follow: 'run 1'"):
        explorer.follow("other")
    explorer.close()


def test_quantities_of_the_parameters_are_told_with_the_curves(heard: Heard) -> None:
    model, recorder, data, explorer = started(every=2)
    train(model, recorder, data, 7)
    explorer.add_run(recorder, "run 1", quantities=["norm:0.*", "loss"])
    title = "‖0.*‖"

    def known() -> np.ndarray:
        return heard.curves.get("run 1", {}).get(title, np.zeros(0))

    until(lambda: np.isfinite(known()).sum() == 4)
    train(model, recorder, data, 4)
    until(lambda: np.isfinite(known()).sum() == 6)
    run = recorder.trajectory
    assert np.flatnonzero(np.isfinite(known())).tolist() == run.steps.tolist()
    # The first layer: 6 × 8 weights, and 8 biases after them.
    norms = run.thetas[:, :56].double().norm(dim=1).numpy()
    np.testing.assert_allclose(known()[run.steps], norms)

    def measure(quantity: str, *names: str) -> None:
        head = {
            "v": 1,
            "k": "measure",
            "client": "page",
            "req": -2000001,
            "names": list(names),
            "quantity": quantity,
        }
        explorer._live_session.handle(head)

    measure("0.bias[3]", "run 1", "a ball")
    until(lambda: "0.bias[3]" in heard.curves["run 1"])
    np.testing.assert_allclose(heard.curves["run 1"]["0.bias[3]"][run.steps], run.thetas[:, 51], rtol=1e-6)
    measure("1.bias[3]", "run 1")
    until(lambda: heard.errors)
    assert "1.bias" in heard.errors[0]
    measure("0.bias[3]", "a ball")
    until(lambda: len(heard.errors) == 2)
    assert heard.errors[1].startswith("Of these runs no parameters are kept")
    recorder.close()
    until(lambda: explorer.runs and set(explorer.runs[0]["series"]) == {"loss", "lr", title, "0.bias[3]"})
    explorer.close()


def test_a_recorder_waits_on_the_map_for_its_model(heard: Heard) -> None:
    _, _, data, explorer = started()
    recorder = la.Recorder()
    explorer.add_run(recorder, "late")
    time.sleep(0.3)
    model = mlp(6, 8, 3)
    recorder.watch(model)
    train(model, recorder, data, 3)
    until(lambda: len(heard.paths.get(("late", explorer.landscape.scene.hash), ())) == 3)
    assert heard.errors == []
    explorer.close()


def test_what_is_told_seldom_stays_when_the_others_are_thinned(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossatlas.widget.live._MOST_STEPS", 40)
    _, recorder, _, explorer = started()
    for k in range(100):
        recorder.step(float(k), **({"accuracy": k / 100} if k % 25 == 24 else {}))
    until(lambda: heard.curves.get("run 1", {}).get("step", np.zeros(1))[-1] == 99)
    told = heard.curves["run 1"]
    assert (np.diff(told["step"]) > 0).all()
    assert told["step"][np.isfinite(told["accuracy"])].tolist() == [24, 49, 74, 99]
    assert told["loss"].tolist() == told["step"].tolist()
    explorer.close()


def test_thinned_curves_are_told_anew_from_the_first_row() -> None:
    def columns(count: int) -> dict[str, np.ndarray]:
        steps = np.arange(count)
        return _columns(Curves(steps, steps / 2, np.full(count, np.nan)))

    before, after = columns(4000), columns(4001)
    assert len(after["step"]) < len(before["step"]) == 4000
    assert _changed(before, after) == 0
    assert _changed(after, columns(4002)) == len(after["step"])
    assert _changed(columns(4002), columns(4003)) == len(after["step"])  # the last one, which was between two


def test_steps_that_descend_are_refused_and_one_run_without_a_quantity_hides_none(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    train(model, recorder, data, 5)
    rows = list(recorder.thetas)
    with pytest.raises(ValueError, match="The steps do not ascend: 5 is followed by 4"):
        explorer.add_run(la.Trajectory.from_states(rows, steps=[5, 4, 3, 2, 1]))
    sketched = la.Recorder(model, sketch=8)
    train(model, sketched, data, 3)
    explorer.add_run(sketched, "sketched")
    explorer._live_session.live.measure(["sketched", "run 1"], "norm")
    until(lambda: "‖θ‖" in heard.curves.get("run 1", {}))
    with pytest.raises(ValueError, match="the recorder has none of a model"):
        explorer._live_session.live.measure(["sketched"], "norm")
    explorer.close()


def test_a_page_turns_the_plane_to_several_runs_together(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    train(model, recorder, data, 20)
    other = la.Recorder(mlp(6, 8, 3, seed=4))
    train(other.model, other, data, 12)
    explorer.add_run(other, "other")

    def follow(*names: str) -> None:
        head = {"v": 1, "k": "follow", "client": "page", "req": -2000001, "names": list(names)}
        explorer._live_session.handle(head)

    threads: set[str] = set()
    explorer.observe(lambda _: threads.add(threading.current_thread().name))
    follow("run 1", "other")
    until(lambda: explorer.landscape.slice.names[0].endswith("component 1 of 2 runs, 32 points"))
    plane = la.Plane.pca(explorer.landscape.objective, [recorder.trajectory, other.trajectory])
    for found, expected in zip(explorer.landscape.slice.directions, (plane.u, plane.v), strict=True):
        assert float(torch.cosine_similarity(found, expected, dim=0)) == pytest.approx(1, abs=1e-6)
    for one in (recorder, other):
        away = np.abs(explorer.landscape.project(one).points - explorer.view["center"])
        assert away[:, 0].max() <= 0.5 * explorer.view["span"]
    assert threads == {"lossatlas-publisher"}
    follow("other", "a ball")  # of which no parameters are kept
    until(lambda: explorer.landscape.slice.names[0].endswith("component 1 to step 11"))
    follow("nobody")
    until(lambda: heard.errors)
    assert heard.errors[0].startswith("There is no run 'nobody' to follow: 'run 1', 'other'.")
    explorer.close()


def test_runs_of_one_length_have_planes_of_their_own(heard: Heard) -> None:
    _, _, data, explorer = started()
    recorders = {}
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        recorders[name] = la.Recorder(mlp(6, 8, 3, seed=seed))
        train(recorders[name].model, recorders[name], data, 12)
        explorer.add_run(recorders[name], name)
    names = []
    for chosen in (["a"], ["b"], ["a", "b"], ["a", "c"], ["a"]):
        explorer.follow(chosen)
        names.append(explorer.u_to)
        plane = la.Plane.pca(explorer.landscape.objective, [recorders[one] for one in chosen])
        direction = explorer.landscape.directions[explorer.u_to].vector
        assert float(torch.cosine_similarity(direction, plane.u, dim=0)) == pytest.approx(1, abs=1e-6)
    assert names[1] == f"{names[0]} · 2"
    assert names[4] == names[0]  # the same plane has the same name
    with pytest.raises(
        ValueError, match=r"There is no run to follow in \[\]. Pass names of these: 'run 1', 'a'"
    ):
        explorer.follow([])
    explorer.close()


def test_steps_may_begin_below_0_and_one_quantity_is_a_name(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    train(model, recorder, data, 4)
    run = la.Trajectory.from_states(list(recorder.thetas), steps=[-2, -1, 0, 1])
    explorer.add_run(run, "early", quantities="norm")
    until(lambda: [one for one in explorer.paths if one["name"] == "early"])
    assert explorer.paths[0]["steps"] == [-2, -1, 0, 1]
    assert None not in explorer.runs[0]["series"]["‖θ‖"]
    explorer.close()


def test_what_becomes_known_of_an_early_step_is_told_again_from_there(heard: Heard) -> None:
    model, recorder, data, explorer = started()
    train(model, recorder, data, 12)
    until(lambda: len(heard.curves.get("run 1", {}).get("step", ())) == 12)
    recorder.tell(3, sharpness=5.0)
    until(lambda: "sharpness" in heard.curves["run 1"])
    assert np.flatnonzero(np.isfinite(heard.curves["run 1"]["sharpness"])).tolist() == [3]
    recorder.tell(8, sharpness=6.0)
    until(lambda: np.isfinite(heard.curves["run 1"]["sharpness"]).sum() == 2)
    explorer.close()


def test_a_run_of_another_model_says_so_and_the_map_lives(heard: Heard) -> None:
    _, _, _, explorer = started()
    other = la.Recorder(mlp(6, 9, 3))
    other.step(1.0)
    explorer.add_run(other, "wide")
    until(lambda: heard.errors)
    assert heard.errors[0].startswith("The run 'wide' cannot be drawn: The trajectory's tensor '0.weight'")
    with pytest.raises(TypeError, match="The run is a list"):
        explorer.add_run([1, 2])  # type: ignore[arg-type]
    explorer.close()


def test_a_closed_map_lets_go_of_the_recorder() -> None:
    model, recorder, data, explorer = started()
    explorer.close()
    assert recorder._listeners == []
    train(model, recorder, data, 3)
