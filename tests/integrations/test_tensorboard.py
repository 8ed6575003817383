"""What is written for TensorBoard, read back from its files."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.figures.over import plot_path
from tests.zoo import mlp, normal

pytest.importorskip("tensorboard")
matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SMALL = {"pixels": 33, "tolerance": 0.0}


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    found.Reload()
    return found


def scalars(found: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(tag)]


def picture(found: Any, tag: str) -> tuple[int, np.ndarray]:
    from PIL import Image

    (event,) = found.Images(tag)
    return event.step, np.asarray(Image.open(io.BytesIO(event.encoded_image_string)).convert("RGB"))


def bowl(rows: list[list[float]] | None = None) -> tuple[la.Landscape, la.Trajectory]:
    """½ (θ₀² + 3 θ₁² + 5 θ₂²) over θ₀ and θ₁, and a path through it that leaves the plane by 0.25 at most."""
    diagonal = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
    objective = la.Objective.from_function(
        lambda t: 0.5 * (diagonal * t * t).sum(), torch.zeros(3, dtype=torch.float64)
    )
    axes = torch.eye(3, dtype=torch.float64)
    landscape = la.Landscape(objective, la.Plane(axes[0] * 0, axes[0], axes[1]))
    states = rows or [[0.8, 0.6, 0.25], [0.4, 0.2, 0.1], [0.1, 0.0, 0.0]]
    thetas = [torch.tensor(row, dtype=torch.float64) for row in states]
    losses = [objective.value(theta) for theta in thetas]
    return landscape, la.Trajectory.from_states(thetas, losses, steps=[0, 10, 20])


def test_a_runs_scalars_stand_at_their_steps(tmp_path: Path) -> None:
    recorder = la.Recorder(mlp(6, 5, 3), every=2)
    for k in range(5):
        told = {"val/loss": 1.0 * k} if k == 3 else {}
        recorder.step(2.0**-k, lr=0.125, grad_norm=float("inf") if k == 1 else 1.0, **told)
    la.to_tensorboard(tmp_path, trajectory=recorder.trajectory, tag="mine")
    found = read(tmp_path)
    assert scalars(found, "mine/loss") == [(k, 2.0**-k) for k in range(5)]
    assert scalars(found, "mine/lr") == [(k, 0.125) for k in range(5)]
    assert scalars(found, "mine/grad_norm")[:3] == [(0, 1.0), (1, float("inf")), (2, 1.0)]
    assert scalars(found, "mine/val/loss") == [(3, 3.0)]
    norms = scalars(found, "mine/norm")
    assert [step for step, _ in norms] == [0, 2, 4]
    np.testing.assert_allclose([norm for _, norm in norms], recorder.trajectory.norms, rtol=1e-6)
    assert set(found.Tags()["scalars"]) == {
        "mine/loss", "mine/lr", "mine/grad_norm", "mine/val/loss", "mine/norm"
    }  # fmt: skip


def test_a_spectrums_ends_and_its_trace_are_scalars_and_its_density_a_picture(tmp_path: Path) -> None:
    landscape, _ = bowl()
    la.to_tensorboard(tmp_path, spectrum=landscape.spectrum(at=(0.0, 0.0)), step=7)
    found = read(tmp_path)
    assert scalars(found, "lossatlas/spectrum/lambda_max") == [(7, 5.0)]
    assert scalars(found, "lossatlas/spectrum/lambda_min") == [(7, 1.0)]
    assert scalars(found, "lossatlas/spectrum/trace") == [(7, 9.0)]
    step, pixels = picture(found, "lossatlas/spectrum")
    assert step == 7
    assert pixels.shape[1] == 900
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    (text,) = found.Tensors("lossatlas/spectrum/text_summary")
    assert b"Spectrum(eigenvalues 5, 3, 1; trace 9" in text.tensor_proto.string_val[0]


def test_an_end_that_was_not_asked_for_is_not_made_up(tmp_path: Path) -> None:
    diagonal = torch.linspace(-1, 4, 3000, dtype=torch.float64)
    objective = la.Objective.from_function(
        lambda t: 0.5 * (diagonal * t * t).sum(), torch.zeros(3000).double()
    )
    la.to_tensorboard(tmp_path / "top", spectrum=objective.spectrum(top=2, bottom=0))
    la.to_tensorboard(tmp_path / "both", spectrum=objective.spectrum(top=2, bottom=2))
    assert "lossatlas/spectrum/lambda_min" not in read(tmp_path / "top").Tags()["scalars"]
    for folder in ("top", "both"):
        ((_, largest),) = scalars(read(tmp_path / folder), "lossatlas/spectrum/lambda_max")
        assert largest == pytest.approx(4, abs=0.02)
    ((_, smallest),) = scalars(read(tmp_path / "both"), "lossatlas/spectrum/lambda_min")
    assert smallest == pytest.approx(-1, abs=0.02)


def test_the_map_is_a_picture_with_the_path_on_it(tmp_path: Path) -> None:
    landscape, trajectory = bowl()
    la.to_tensorboard(tmp_path / "without", landscape, **SMALL)
    la.to_tensorboard(tmp_path / "with", landscape, trajectory, **SMALL)
    first, plain = picture(read(tmp_path / "without"), "lossatlas/map")
    last, with_path = picture(read(tmp_path / "with"), "lossatlas/map")
    assert (first, last) == (0, 20)
    orange = np.array([0xD5, 0x5E, 0x00])
    assert (np.abs(plain.astype(int) - orange).max(axis=2) < 8).sum() == 0
    assert (np.abs(with_path.astype(int) - orange).max(axis=2) < 8).sum() > 100
    (text,) = read(tmp_path / "with").Tensors("lossatlas/map/text_summary")
    assert text.tensor_proto.string_val[0].decode() == landscape.caption()


def test_the_path_is_where_its_points_lie_and_says_how_far_from_the_plane() -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    from lossatlas.integrations.tensorboard import _path

    landscape, trajectory = bowl([[0.8, 0.6, 0.25], [0.4, 0.2, 0.1], [7.0, 0.0, 0.0]])
    found = _path(landscape, trajectory)
    assert found is not None
    points, distance = found
    np.testing.assert_allclose(points, trajectory.thetas[:, :2], atol=1e-12)
    np.testing.assert_allclose(distance, [0.25, 0.1, 0.0], atol=1e-12)
    ax = Figure().add_axes((0, 0, 1, 1))
    ax.set(xlim=(-1, 1), ylim=(-1, 1))
    plot_path(points, distance, ax)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (-1, 1))
    (said,) = ax.get_legend().get_texts()
    assert said.get_text() == "path · up to 0.25 from the plane · 1 of 3 points outside"
    lines = [one for one in ax.collections if isinstance(one, LineCollection)][-1]
    np.testing.assert_allclose(lines.get_segments(), [points[:2], points[1:]])
    strengths = lines.get_colors()[:, 3]
    assert strengths[0] == pytest.approx(0.2)  # the farthest is the faintest
    assert strengths[1] == pytest.approx(1 - 0.8 * 0.1 / 0.25)


def test_a_writer_of_the_users_stays_open_and_its_own_tags_stay(tmp_path: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    _, trajectory = bowl()
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("train/loss", 1.0, 0)
        la.to_tensorboard(writer, trajectory=trajectory)
        writer.add_scalar("train/loss", 2.0, 1)
    found = read(tmp_path)
    assert scalars(found, "train/loss") == [(0, 1.0), (1, 2.0)]
    np.testing.assert_allclose(scalars(found, "lossatlas/loss"), list(zip([0, 10, 20], trajectory.loss, strict=True)), rtol=1e-6)  # fmt: skip


def test_a_line_has_a_profile_and_no_path(tmp_path: Path) -> None:
    landscape, trajectory = bowl()
    line = la.Landscape(landscape.objective, la.Line(landscape.plane.origin, landscape.plane.u))
    la.to_tensorboard(tmp_path, line, trajectory, num=33)
    assert picture(read(tmp_path), "lossatlas/map")[1].shape[2] == 3


def test_sketches_have_curves_and_no_path(tmp_path: Path) -> None:
    recorder = la.Recorder(mlp(6, 5, 3), sketch=8)
    recorder.step(1.0)
    la.to_tensorboard(tmp_path, bowl()[0], recorder.trajectory, **SMALL)
    assert scalars(read(tmp_path), "lossatlas/loss") == [(0, 1.0)]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda w, one, run: la.to_tensorboard(w), ValueError, "There is nothing to write"),
        (lambda w, one, run: la.to_tensorboard(3, one), TypeError, "writer is a int. Pass a SummaryWriter"),
        (lambda w, one, run: la.to_tensorboard(w, run), TypeError, "landscape is a Trajectory. Pass a Landscape"),
        (lambda w, one, run: la.to_tensorboard(w, one, one), TypeError, "trajectory is a Landscape"),
        (lambda w, one, run: la.to_tensorboard(w, spectrum=5.0), TypeError, "spectrum is a float"),
        (lambda w, one, run: la.to_tensorboard(w, one, step=1.5), TypeError, "step is 1.5. Pass a whole number"),
        (lambda w, one, run: la.to_tensorboard(w, trajectory=run, scale="log"), TypeError, "no map that scale could be of"),
        (lambda w, one, run: la.to_tensorboard(w, one, scale="cubic"), ValueError, "scale is 'cubic'"),
        (lambda w, one, run: la.to_tensorboard(w, one, theme="blue"), ValueError, "theme is 'blue'"),
        (lambda w, one, run: la.to_tensorboard(
            w, one, la.Trajectory.from_states([normal(5), normal(5, seed=1)])), ValueError, "has P = 5, but the objective has 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_said_and_nothing_is_written(
    tmp_path: Path, call: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        call(tmp_path / "logs", *bowl())
    assert not (tmp_path / "logs").exists()


def test_without_tensorboard_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ImportError, match=r"needs the package tensorboard: pip install 'lossatlas\[tensorboard\]'"):  # fmt: skip
        la.to_tensorboard(tmp_path, bowl()[0])
