"""Learning curves and scatters of runs: what is drawn is what was recorded."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lossatlas as la
from lossatlas.figures.learning import LOOKS, thinned
from lossatlas.scale import drawn
from tests.zoo import mlp, normal


def run(steps: int = 12, every: int = 1, seed: int = 0, scale: float = 1.0) -> la.Trajectory:
    """A walk; the loss halves at each step, val_loss and val_acc are told at every fourth, something infinite once."""
    model = mlp(6, 5, 3, seed=seed)
    recorder = la.Recorder(model, every=every)
    for k in range(steps):
        told: dict[str, float] = {} if k % 4 else {"val_loss": 1.0 + k, "val_acc": k / steps}
        recorder.step(
            scale * 2.0**-k, lr=0.1, grad_norm=float("inf") if k == 3 else 3.0 + k % 2, **{"train/acc": k / steps}, **told
        )  # fmt: skip
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * normal(*parameter.shape, seed=k)
    return recorder.trajectory


def titles(figure: Any) -> list[str]:
    return [axis.title.text for axis in figure.select_yaxes()]


def test_every_step_that_was_told_is_drawn_also_where_no_parameters_were_kept() -> None:
    figure = run(every=5).figure()
    loss = next(trace for trace in figure.data if trace.name == "loss")
    assert loss.x.tolist() == list(range(12))
    assert loss.y.tolist() == (2.0 ** -np.arange(12)).tolist()


def test_losses_share_an_axis_accuracies_too_and_all_else_has_its_own() -> None:
    figure = run().figure(title="<b>a run</b>")
    assert titles(figure) == [
        "loss, val_loss<br>log scale", "grad_norm<br>1 not finite", "train/acc, val_acc", "learning rate",
    ]  # fmt: skip
    assert {trace.yaxis for trace in figure.data} == {"y", "y2", "y3", "y4"}
    spans = [axis.domain for axis in figure.select_yaxes()]
    assert all(upper[0] > lower[1] for upper, lower in pairwise(spans))
    assert figure.layout.title.text == "&lt;b&gt;a run&lt;/b&gt;"
    assert figure.layout.yaxis.type == "log"


def test_the_sharpness_stands_on_one_axis_with_its_limit() -> None:
    recorder = la.Recorder(mlp(6, 5, 3))
    for k in range(4):
        recorder.step(1.0)
        recorder.tell(sharpness=1.0 + k, limit=4.0)
    figure = recorder.trajectory.figure()
    assert titles(figure) == ["loss", "sharpness, limit"]
    assert [trace.line.dash for trace in figure.data if trace.yaxis == "y2"] == ["solid", "dash"]


def test_what_is_told_now_and_then_is_points_that_are_joined_and_what_is_not_finite_is_a_gap() -> None:
    figure = run().figure()
    told = next(trace for trace in figure.data if trace.name == "val_loss")
    assert told.x.tolist() == [0, 4, 8]
    assert told.mode == "lines+markers"
    norm = next(trace for trace in figure.data if trace.yaxis == "y2")
    assert np.isnan(norm.y).nonzero()[0].tolist() == [3]
    assert norm.connectgaps is False


def test_figures_and_pages_give_runs_the_same_colours() -> None:
    source = (Path(__file__).parents[2] / "js" / "src" / "runs" / "store.js").read_text(encoding="utf-8")
    page = re.search(r"COLOURS = \[(.*?)\]", source)
    assert page is not None
    for look in LOOKS.values():
        assert list(look.runs) == re.findall(r'"(#\w+)"', page[1])


def test_runs_have_the_colours_of_their_paths_on_every_axis() -> None:
    one, other = run(), run(seed=1, scale=3.0)
    figure = one.figure(other, names=["SGD", "Adam"], theme="dark")
    for k, name in enumerate(["SGD", "Adam"]):
        mine = [trace for trace in figure.data if trace.legendgroup == str(k)]
        assert len(mine) == 6
        assert {trace.line.color for trace in mine} == {LOOKS["dark"].runs[k]}
        assert f"{name} · loss" in {trace.name for trace in mine if trace.showlegend}
    losses = [trace.y for trace in figure.data if trace.name.endswith("· loss")]
    np.testing.assert_array_equal(losses[1], 3 * losses[0])


def test_a_run_of_which_nothing_was_told_has_axes_all_the_same() -> None:
    figure = la.Trajectory.from_states([mlp(6, 5, 3), mlp(6, 5, 3, seed=1)]).figure()
    assert titles(figure) == ["loss"]


def test_a_long_curve_keeps_what_stands_out_and_its_gaps() -> None:
    values = np.sin(np.arange(100_000) / 500)
    values[[77_777, 12_345, 50_000]] = 40, -40, np.nan
    x, y = thinned(np.arange(100_000), values)
    assert len(x) <= 4000
    assert {77_777, 12_345, 50_000, 0, 99_999} <= set(x.tolist())
    np.testing.assert_array_equal(y, values[x])
    assert (np.diff(x) > 0).all()


def test_a_scatter_shows_two_parameters_and_norms_of_their_groups() -> None:
    trajectory = run()
    thetas = trajectory.thetas.double()
    figure = trajectory.scatter("0.weight[3, 5]", "norm:0.*")
    points = next(trace for trace in figure.data if trace.mode == "markers")
    np.testing.assert_array_equal(points.x, thetas[:, 3 * 6 + 5])
    np.testing.assert_allclose(points.y, thetas[:, :35].norm(dim=1), rtol=1e-12)
    np.testing.assert_allclose(points.marker.color, drawn(trajectory.loss, "log"))
    np.testing.assert_array_equal(points.customdata[:, 1], trajectory.loss)
    assert figure.layout.xaxis.title.text == "0.weight[3, 5]"
    assert figure.layout.yaxis.title.text == "‖0.*‖"
    assert figure.layout.coloraxis.colorbar.title.text == "loss · log scale"
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (points.marker.color.min(), points.marker.color.max())  # fmt: skip
    line = next(trace for trace in figure.data if trace.mode == "lines")
    np.testing.assert_array_equal(line.x, points.x)


def test_any_recorded_quantity_can_be_an_axis_or_the_colour() -> None:
    trajectory = run()
    for name, values in {
        "step": trajectory.steps, "loss": trajectory.loss, "lr": trajectory.lr, "train/acc": trajectory.metrics["train/acc"],
        "norm": trajectory.thetas.double().norm(dim=1).numpy(), "2.bias[-1]": trajectory.thetas[:, -1].double().numpy(),
    }.items():  # fmt: skip
        figure = trajectory.scatter(name, "step", color=name)
        points = next(trace for trace in figure.data if trace.mode == "markers")
        np.testing.assert_allclose(points.x, values, rtol=1e-12)
        np.testing.assert_allclose(points.customdata[:, 1], values, rtol=1e-12)


def test_points_without_a_finite_colour_are_grey_and_those_without_a_place_are_counted() -> None:
    trajectory = run()
    figure = trajectory.scatter("step", "loss", color="val_loss")
    known, grey = (trace for trace in figure.data if trace.mode == "markers" and trace.customdata is not None)
    assert known.x.tolist() == [0, 4, 8]
    assert len(grey.x) == 9
    assert grey.marker.color == LOOKS["light"].quiet
    assert trajectory.scatter("val_loss", "loss").layout.xaxis.title.text == "val_loss · 9 of 12 not finite"
    unknown = la.Trajectory.from_states([mlp(6, 5, 3), mlp(6, 5, 3, seed=1)]).scatter("step", "norm")
    assert unknown.layout.coloraxis.cmin is None


def test_vectors_without_names_are_one_tensor() -> None:
    rows = [normal(3, seed=k).double() for k in range(4)]
    figure = la.Trajectory.from_states(rows).scatter("theta[0]", "norm:theta")
    points = next(trace for trace in figure.data if trace.mode == "markers")
    np.testing.assert_allclose(points.x, [float(row[0]) for row in rows])
    np.testing.assert_allclose(points.y, [float(row.norm()) for row in rows])


def test_a_run_on_disk_is_drawn_from_its_file(tmp_path: Any) -> None:
    model = nn.Linear(2, 1)
    recorder = la.Recorder(model, path=tmp_path / "run")
    for k in range(4):
        with torch.no_grad():
            model.weight[0, 1] = k
        recorder.step(1.0)
    recorder.close()
    points = la.Trajectory.load(tmp_path / "run").scatter("weight[0, 1]", "step").data[1]
    assert points.x.tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: t.scatter("los", "step"), ValueError, "The run has no quantity 'los'. Did you mean 'loss'"),
        (lambda t: t.scatter("norm:9.*", "step"), ValueError, "No tensor's name matches '9.*'"),
        (lambda t: t.scatter("0.weight[9, 9]", "step"), ValueError, "is out of range"),
        (lambda t: t.scatter("0.weight", "step"), ValueError, "has 0 indices"),
        (lambda t: t.scatter("4.weight[0]", "step"), ValueError, "There is no trainable parameter '4.weight'"),
        (lambda t: t.scatter(3, "step"), ValueError, "3 is no name of a quantity"),
        (lambda t: t.scatter("loss", "step", theme="blue"), ValueError, "theme is 'blue'"),
        (lambda t: t.scatter("loss", "step", colormap="jet"), ValueError, "no colour map 'jet'"),
        (lambda t: t.figure("other"), TypeError, "figure got a str. Pass trajectories"),
        (lambda t: t.figure(t, names=["one"]), ValueError, "there are 2 runs. Pass a name for each"),
        (lambda t: t.figure(names="one"), ValueError, "names is 'one', but there are 1 runs"),
        (lambda t: t.figure(theme="blue"), ValueError, "theme is 'blue'"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_said(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(run(4))


def test_sketches_have_norms_and_no_parameters() -> None:
    recorder = la.Recorder(mlp(6, 5, 3), sketch=8)
    recorder.step(1.0)
    assert recorder.trajectory.figure().data
    with pytest.raises(ValueError, match="Only sketches of the parameters were kept"):
        recorder.trajectory.scatter("0.weight[0, 0]", "step")
