"""Recorder: what was told and the parameters of each step, within a budget, whatever happens on the way."""

from __future__ import annotations

import gc
import json
import math
import resource
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas.features.told import Told
from tests.zoo import F, classification, flat, mlp


def train(model: nn.Module, recorder: la.Recorder, steps: int, rate: float = 0.1) -> list[Tensor]:
    """Plain descent, recorded; the parameters before each step."""
    x, y = classification(40)
    optimizer = torch.optim.SGD(model.parameters(), rate)
    before = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        before.append(flat(model))
        recorder.step(loss, lr=rate, accuracy=0.5)
        optimizer.step()
    return before


def test_loss_and_parameters_of_a_step_belong_together() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model)
    before = train(model, recorder, 12)
    trajectory = recorder.trajectory
    assert torch.equal(trajectory.thetas, torch.stack(before))
    assert trajectory.steps.tolist() == list(range(12))
    objective = la.Objective(mlp(6, 5, 3), F.cross_entropy, classification(40))
    np.testing.assert_allclose(trajectory.loss, [objective.value(theta) for theta in before], rtol=1e-6)
    assert trajectory.lr.tolist() == [0.1] * 12
    assert trajectory.metrics["accuracy"].tolist() == [0.5] * 12
    np.testing.assert_allclose(trajectory.norms, torch.stack(before).double().norm(dim=1), rtol=1e-12)


def test_every_keeps_the_parameters_of_some_steps_and_what_was_told_of_all() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model, every=5)
    before = train(model, recorder, 12)
    trajectory = recorder.trajectory
    assert trajectory.steps.tolist() == [0, 5, 10]
    assert torch.equal(trajectory.thetas, torch.stack([before[0], before[5], before[10]]))
    assert trajectory.curves is not None
    assert trajectory.curves.steps.tolist() == list(range(12))
    assert trajectory.loss.tolist() == trajectory.curves.loss[[0, 5, 10]].tolist()


@pytest.mark.parametrize("rows", [24, 26, 31])
def test_a_budget_is_kept_by_letting_every_second_row_go(rows: int) -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model, memory=rows * 53 * 4)
    early = None
    before = []
    for part in range(10):
        before += train(model, recorder, 20)
        assert len(recorder.steps) * 53 * 4 <= rows * 53 * 4
        if part == 0:
            early = recorder.trajectory
    trajectory = recorder.trajectory
    assert 200 / (0.65 * rows) <= np.diff(trajectory.steps)[0] <= 2 * 200 / (0.65 * rows - 2)
    assert len(set(np.diff(trajectory.steps).tolist())) == 1
    for step, row in zip(trajectory.steps, trajectory.thetas, strict=True):
        assert torch.equal(row, before[step])
    assert early is not None  # what was handed out stays as it was
    assert all(torch.equal(row, before[step]) for step, row in zip(early.steps, early.thetas, strict=True))


def test_a_trajectory_is_a_value_that_later_steps_do_not_change() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model)
    train(model, recorder, 3)
    then = recorder.trajectory
    rows = then.thetas.clone()
    train(model, recorder, 3)
    assert len(then) == 3
    assert torch.equal(then.thetas, rows)
    assert len(recorder.trajectory) == 6


def test_in_a_folder_a_run_is_found_again_also_when_it_was_cut_off(tmp_path: Path) -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model, path=tmp_path / "a run", every=2)
    before = train(model, recorder, 9)
    trajectory = recorder.trajectory
    again = la.Trajectory.load(tmp_path / "a run")  # while it is written
    for found in (trajectory, again):
        assert found.steps.tolist() == [0, 2, 4, 6, 8]
        assert torch.equal(found.thetas, torch.stack(before[::2]))
        np.testing.assert_allclose(found.norms, torch.stack(before[::2]).double().norm(dim=1), rtol=1e-12)
        assert len(found.curves) == 9
        assert found.space is not None
        assert [entry.name for entry in found.space] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    del recorder
    with (tmp_path / "a run" / "rows.bin").open("ab") as file:
        file.write(b"half a row")
    with (tmp_path / "a run" / "steps.jsonl").open("a") as file:
        file.write('{"step": 9, "ke')
    assert la.Trajectory.load(tmp_path / "a run").steps.tolist() == [0, 2, 4, 6, 8]
    with pytest.raises(FileExistsError, match="holds a recorded run already"):
        la.Recorder(model, path=tmp_path / "a run")
    with pytest.raises(FileNotFoundError, match="holds no recorded run"):
        la.Trajectory.load(tmp_path / "nothing")


def test_half_of_the_digits_are_off_by_what_is_said() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model, dtype=torch.float16)
    before = torch.stack(train(model, recorder, 4))
    trajectory = recorder.trajectory
    off = (trajectory.thetas.double() - before.double()).norm(dim=1)
    np.testing.assert_allclose(trajectory.rounding, off, rtol=1e-12)
    assert (trajectory.rounding < 2**-11 * trajectory.norms * 1.01).all()


def test_sketches_tell_distances_and_shares_within_what_they_say_and_no_directions() -> None:
    model = mlp(6, 200, 3)
    full, sketched = la.Recorder(model), la.Recorder(model, sketch=2048, seed=3)
    x, y = classification(40)
    optimizer = torch.optim.SGD(model.parameters(), 0.3)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        full.step()
        sketched.step()
        optimizer.step()
    sketches = sketched.trajectory.sketches
    assert sketches is not None
    assert sketches.error == pytest.approx(math.sqrt(2 / 2048))
    rows = full.thetas.double()
    true = torch.cdist(rows, rows).numpy()
    apart = ~np.eye(30, dtype=bool)
    off = np.abs(sketches.distances[apart] ** 2 / true[apart] ** 2 - 1)
    assert off.max() < 4 * sketches.error
    centred = rows - rows.mean(dim=0)
    values = torch.linalg.eigvalsh(centred @ centred.T).flip(0)
    np.testing.assert_allclose(sketches.shares[:2], (values / values.sum())[:2], atol=0.03)
    objective = la.Objective(model, F.cross_entropy, (x, y))
    for use in (
        lambda: la.Plane.pca(objective, sketched.trajectory), lambda: sketched.trajectory.last, lambda: sketched.thetas,
    ):  # fmt: skip
        with pytest.raises(ValueError, match="Only sketches of the parameters were kept"):
            use()


def test_a_sketch_has_the_squared_lengths_on_average_with_the_variance_that_is_said() -> None:
    from lossatlas.features.sketch import Sketcher

    vector = torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = [
        float(Sketcher(500, 64, seed).of(vector).square().sum() / vector.square().sum())
        for seed in range(400)
    ]
    error = math.sqrt(2 / 64)
    assert np.mean(found) == pytest.approx(1, abs=4 * error / 20)
    assert 0.8 * error < np.std(found) < 1.1 * error


def test_parameters_that_are_no_longer_finite_end_their_recording_with_a_sentence() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model)
    train(model, recorder, 3)
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    with pytest.warns(RuntimeWarning, match="no longer finite at step 3.*parameters of 3 steps are kept"):
        recorder.step(float("nan"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder.step(1.0)  # once is enough
    assert recorder.trajectory.steps.tolist() == [0, 1, 2]
    assert np.isnan(recorder.curves.loss[3])
    assert recorder.curves.loss[4] == 1.0


def test_a_disk_that_fills_up_leaves_what_was_recorded(tmp_path: Path) -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model, path=tmp_path / "run")
    before = train(model, recorder, 3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 53 * 4 + 100, limits[1]))
    try:
        with pytest.warns(RuntimeWarning) as said:
            train(model, recorder, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    sentences = [str(warning.message) for warning in said]
    assert any("parameters of step 3 could not be written" in sentence for sentence in sentences)
    assert torch.equal(recorder.thetas, torch.stack(before))
    assert len(recorder.curves) == 5
    assert torch.equal(la.Trajectory.load(tmp_path / "run").thetas, torch.stack(before))


def test_parameters_that_are_added_on_the_way_are_told_and_left_out() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model)
    recorder.step(1.0)
    model.append(nn.Linear(3, 3))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(140):
            recorder.step(1.0)
    assert [str(one.message)[:36] for one in said] == ["Parameters were added to the model w"]  # once
    assert recorder.thetas.shape == (141, 53)


def test_added_parameters_are_noticed_also_where_few_rows_are_kept() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model, memory=53 * 4 * 40)
    recorder.step(1.0)
    model.append(nn.Linear(3, 3))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2000):
            recorder.step(1.0)
    assert [str(one.message)[:36] for one in said] == ["Parameters were added to the model w"]


def test_a_layer_that_is_replaced_or_unfrozen_is_noticed_within_a_few_steps() -> None:
    for change in ("replaced", "unfrozen"):
        model = mlp(6, 5, 3)
        if change == "unfrozen":
            model[0].requires_grad_(False)
        recorder = la.Recorder(model)
        recorder.step(1.0)
        if change == "replaced":
            model[0] = nn.Linear(6, 5)
        else:
            model[0].requires_grad_(True)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for _ in range(4):
                recorder.step(1.0)
        assert [str(one.message)[:36] for one in said] == ["Parameters were added to the model w"]


def test_an_optimizer_of_another_model_and_what_is_none_are_refused() -> None:
    stale = torch.optim.SGD(mlp(6, 5, 3).parameters(), 0.1)
    with pytest.raises(ValueError, match="The optimizer holds none of the model's parameters"):
        la.Recorder(mlp(6, 5, 3), optimizer=stale)
    with pytest.raises(TypeError, match="optimizer is a str"):
        la.Recorder(mlp(6, 5, 3), optimizer="adam")  # type: ignore[arg-type]


def test_closed_it_records_no_more_and_keeps_what_it_has() -> None:
    model = mlp(6, 5, 3)
    with la.Recorder(model) as recorder:
        recorder.step(1.0)
    recorder.close()
    recorder.close()
    assert len(recorder.trajectory) == 1
    with pytest.raises(RuntimeError, match="The recorder is closed"):
        recorder.step(1.0)
    assert model._forward_hooks == {}


def test_within_with_an_optimizers_steps_are_recorded_before_they_are_made() -> None:
    model = mlp(6, 5, 3)
    x, y = classification(40)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = []
    with la.Recorder(model, optimizer=optimizer) as recorder:
        for k in range(4):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            before.append(flat(model))
            if k % 2:
                recorder.step(loss)
            optimizer.step()
    optimizer.step()
    assert torch.equal(recorder.thetas, torch.stack(before))
    assert np.isfinite(recorder.curves.loss).tolist() == [False, True, False, True]
    assert recorder.curves.lr.tolist() == [0.1] * 4


def test_an_interrupted_training_leaves_whole_steps() -> None:
    model = mlp(6, 5, 3)

    def interrupted() -> None:
        with recorder:
            train(model, recorder, 2)
            raise KeyboardInterrupt

    recorder = la.Recorder(model)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(recorder.trajectory) == 2


def test_what_becomes_known_later_stands_at_its_step(tmp_path: Path) -> None:
    model = mlp(6, 5, 3)
    for path in (None, tmp_path / "run"):
        recorder = la.Recorder(model, path=path)
        train(model, recorder, 4)
        recorder.tell(1, sharpness=7.0)
        train(model, recorder, 1)
        found = [recorder.trajectory] + ([] if path is None else [la.Trajectory.load(path)])
        for trajectory in found:
            assert np.isfinite(trajectory.metrics["sharpness"]).tolist() == [False, True, False, False, False]
            assert trajectory.metrics["sharpness"][1] == 7.0
        with pytest.raises(ValueError, match="Step 5 was not recorded"):
            recorder.tell(5, sharpness=1.0)


def test_what_a_page_asks_for_since_a_step_is_copied() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model)
    heard: list[int] = []
    recorder.listen(lambda: heard.append(1))
    before = train(model, recorder, 4)
    assert len(heard) == 4
    found = recorder.since(1)
    assert found.steps.tolist() == [2, 3]
    assert torch.equal(found.row(1), before[3])


def test_rows_since_a_step_are_those_of_the_trajectory_in_memory_and_in_a_folder(tmp_path: Path) -> None:
    for options in ({}, {"path": tmp_path / "run"}, {"dtype": torch.float16}):
        model = mlp(6, 5, 3)
        recorder = la.Recorder(model, every=2, **options)
        train(model, recorder, 9)
        recorder.tell(4, sharpness=2.0)
        found, expected = recorder.since(1, 3), recorder.trajectory.since(1, 3)
        assert found.steps.tolist() == expected.steps.tolist() == [2, 4, 6]
        assert torch.equal(found.thetas, expected.thetas)
        for name, values in expected.told.by_name.items():
            np.testing.assert_array_equal(found.told.by_name[name], values)
        np.testing.assert_array_equal(found.rounding, expected.rounding)
        assert len(recorder.since(8)) == len(recorder.trajectory.since(8)) == 0
        assert recorder.kept_since(1) == 4
        for step, every, steps in ((-1, 2, [0, 4, 8]), (1, 3, [2, 8]), (1, 9, [8]), (8, 2, [])):
            some = recorder.since(step, every=every)
            assert some.steps.tolist() == steps
            assert recorder.trajectory.since(step, every=every).steps.tolist() == steps
            assert torch.equal(some.thetas, recorder.trajectory.thetas[np.isin(recorder.steps, steps)])


def test_what_is_told_last_of_a_step_counts_also_where_the_first_number_is_on_its_way() -> None:
    told = Told()
    told.put(0, {"loss": torch.tensor(1.0), "accuracy": 0.5})
    told.put(1, {"loss": torch.tensor(2.0)})
    told.put(0, {"loss": 3.0})
    curves = told.curves(3)
    assert curves.loss.tolist()[:2] == [3.0, 2.0]
    assert np.isnan(curves.loss[2])
    assert curves.metrics["accuracy"][0] == 0.5
    assert told.of(1, ["loss"]) == {"loss": 2.0}


def test_a_recorder_is_let_go_with_its_model() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model)
    recorder.step(1.0)
    import weakref

    alive = weakref.ref(recorder)
    del recorder
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"model": "net"}, TypeError, "model is a str"),
        ({"model": None, "every": 0}, ValueError, "every is 0"),
        ({"model": nn.ReLU()}, ValueError, "no trainable parameter"),
        ({"every": 0}, ValueError, "every is 0"),
        ({"every": 1.5}, TypeError, "every is 1.5"),
        ({"memory": -1}, ValueError, "memory is -1"),
        ({"dtype": torch.int8}, ValueError, "dtype is torch.int8"),
        ({"sketch": 0}, ValueError, "sketch is 0"),
        ({"sketch": 5, "path": "x"}, ValueError, "Both path and sketch"),
    ],
)
def test_what_cannot_be_recorded_is_said(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        la.Recorder(**{"model": mlp(6, 5, 3), **arguments})


def test_a_loss_that_is_no_number_is_refused_in_words() -> None:
    recorder = la.Recorder(mlp(6, 5, 3))
    with pytest.raises(TypeError, match="loss is a str"):
        recorder.step("low")
    with pytest.raises(ValueError, match="Nothing has been recorded yet"):
        _ = recorder.trajectory


def test_the_log_is_lines_of_json(tmp_path: Path) -> None:
    recorder = la.Recorder(mlp(6, 5, 3), path=tmp_path / "run", every=2)
    for loss in (1.0, float("inf"), float("nan")):
        recorder.step(loss, lr=0.1)
    lines = [json.loads(line) for line in (tmp_path / "run" / "steps.jsonl").read_text().splitlines()]
    assert [line["kept"] for line in lines] == [True, False, True]
    found = la.Trajectory.load(tmp_path / "run")
    assert found.curves.loss[:2].tolist() == [1.0, math.inf]
    assert np.isnan(found.curves.loss[2])


def test_a_step_that_is_refused_leaves_no_trace() -> None:
    recorder = la.Recorder(mlp(6, 5, 3))
    for wrong in ("high", torch.zeros(2)):
        with pytest.raises(TypeError, match="accuracy is a"):
            recorder.step(1.0, lr=0.5, accuracy=wrong)
    recorder.step(2.0, lr=0.1, accuracy=0.25)
    found = recorder.trajectory
    assert (found.loss.tolist(), found.lr.tolist()) == ([2.0], [0.1])
    assert found.metrics["accuracy"].tolist() == [0.25]


def test_without_a_model_it_waits_for_one(tmp_path: Path) -> None:
    recorder = la.Recorder(path=tmp_path / "run")
    with pytest.raises(RuntimeError, match=r"has no model yet. Pass it, as in la.Recorder\(model\)"):
        recorder.step(1.0)
    assert not (tmp_path / "run").exists()
    model = mlp(6, 5, 3)
    recorder.watch(model)
    assert recorder.step(1.0) == 0
    assert recorder.step(0.5) == 1
    assert torch.equal(recorder.thetas, torch.stack([flat(model), flat(model)]))
    with pytest.raises(RuntimeError, match="has a model already"):
        recorder.watch(model)
    with pytest.raises(FileExistsError, match="holds a recorded run already"):
        la.Recorder(path=tmp_path / "run")


def test_more_can_be_told_of_a_step_once_it_is_known(tmp_path: Path) -> None:
    recorder = la.Recorder(mlp(6, 5, 3), path=tmp_path / "run", every=2)
    with pytest.raises(ValueError, match="Step -1 was not recorded: there are 0. Call step first."):
        recorder.tell(accuracy=0.5)
    for loss in (3.0, 2.0, 1.0):
        recorder.step(loss)
    recorder.tell(accuracy=0.5)
    recorder.tell(0, loss=4.0, step=7)
    for found in (recorder.trajectory, la.Trajectory.load(tmp_path / "run")):
        assert found.loss.tolist() == [4.0, 1.0]
        np.testing.assert_array_equal(found.metrics["accuracy"], [np.nan, 0.5])
        np.testing.assert_array_equal(found.curves.metrics["step"], [7.0, np.nan, np.nan])
    with pytest.raises(ValueError, match="Step 3 was not recorded"):
        recorder.tell(3, loss=1.0)
    recorder.close()
    with pytest.raises(RuntimeError, match="The recorder is closed"):
        recorder.tell(loss=1.0)


def test_numbers_that_float16_cannot_hold_end_the_rows_and_leave_those_before() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model, dtype=torch.float16)
    recorder.step(1.0)
    with torch.no_grad():
        model[0].weight[0, 0] = 1e5
    with pytest.warns(
        RuntimeWarning, match=r"parameters of step 1 reach 1e\+05, beyond what torch.float16 holds"
    ):
        recorder.step(2.0)
    assert recorder.trajectory.steps.tolist() == [0]
    assert recorder.curves.loss.tolist() == [1.0, 2.0]


def test_the_rounding_of_bfloat16_to_float16_is_said() -> None:
    model = mlp(6, 5, 3).to(torch.bfloat16)
    with torch.no_grad():
        model[0].weight[0, 0] = 2.0**-30  # finer than float16 goes
    recorder = la.Recorder(model, dtype=torch.float16)
    recorder.step(1.0)
    off = (recorder.thetas[0].double() - flat(model).double()).norm()
    assert recorder.trajectory.rounding.tolist() == [float(off)]
    assert off > 0


def test_what_is_told_goes_on_when_its_file_is_full_and_the_recorder_closes(tmp_path: Path) -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model, path=tmp_path / "run", every=100)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (53 * 4, limits[1]))
    try:
        with pytest.warns(RuntimeWarning, match="could not be written"):
            train(model, recorder, 20)
        recorder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(recorder.curves) == 20
    assert np.isfinite(recorder.curves.loss).all()


def test_a_memory_that_is_too_small_for_a_path_is_said() -> None:
    with pytest.warns(
        RuntimeWarning, match="One row of parameters takes .* 4 are kept all the same. Pass path="
    ):
        recorder = la.Recorder(mlp(6, 5, 3), memory=100)
    for loss in range(9):
        recorder.step(loss)
    assert len(recorder.steps) <= 4


def test_parameters_whose_sum_is_too_large_are_finite_all_the_same() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model)
    with torch.no_grad():
        model[0].weight.fill_(3e38)
    recorder.step(1.0)
    assert torch.equal(recorder.thetas[0], flat(model))


def test_what_is_kept_may_be_asked_for_while_another_thread_trains() -> None:
    model = mlp(6, 5, 3)
    recorder = la.Recorder(model)
    ended = threading.Event()
    seen = []

    def look() -> None:
        while not ended.is_set():
            seen.append(len(recorder.steps))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(5000):
            recorder.step(1.0)
    finally:
        ended.set()
        thread.join()
    assert seen == sorted(seen)
    assert recorder.last == 4999
