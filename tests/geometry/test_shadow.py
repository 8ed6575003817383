"""The shadow of a run on a plane: the nearest points and the distances to them, against the definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.geometry import Frame, shadow_of
from lossatlas.objective import ParameterSpace
from tests.zoo import normal

SIZE, STEPS = 700, 12
SPACE = ParameterSpace([("a", (20, 30)), ("b", (100,))])


def rows(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return normal(STEPS, SIZE, seed=5, dtype=dtype).cumsum(0)


def plane(seed: int = 0, angle: float = 1.0) -> la.Plane:
    u, w = normal(SIZE, seed=seed, dtype=torch.float64), normal(SIZE, seed=seed + 1, dtype=torch.float64)
    return la.Plane(normal(SIZE, seed=9, dtype=torch.float64), 0.1 * u, 3 * (u + angle * w))


def run(thetas: torch.Tensor) -> la.Trajectory:
    return la.Trajectory(
        thetas, np.arange(len(thetas)), np.full(len(thetas), 0.5), np.full(len(thetas), np.nan), {}, SPACE
    )


@pytest.mark.parametrize("angle", [1.0, 1e-3])
def test_it_is_the_least_squares_projection_of_every_row(angle: float) -> None:
    where = plane(angle=angle)
    found = shadow_of(run(rows()), Frame(where), SPACE)
    for k, row in enumerate(rows()):
        a, b, distance = where.project(row)
        np.testing.assert_allclose(found.points[k], (a, b), rtol=1e-8)
        assert found.distance[k] == pytest.approx(distance, rel=1e-10)
    assert found.loss.tolist() == [0.5] * STEPS


def test_points_of_the_plane_are_where_they_were_put_at_no_distance() -> None:
    where = plane()
    at = np.array([(0.0, 0.0), (1.0, 0.0), (0.3, -0.7), (1e3, 5.0)])
    found = shadow_of(run(torch.stack([where.at(a, b) for a, b in at])), Frame(where), SPACE)
    np.testing.assert_allclose(found.points, at, atol=1e-9)
    assert found.distance.max() < 1e-9 * 1e3 * SIZE


def test_the_model_may_hold_its_tensors_in_another_order() -> None:
    other = ParameterSpace([("b", (100,)), ("a", (20, 30))])
    swapped = torch.cat([rows()[:, 600:], rows()[:, :600]], dim=1)
    where = plane()
    moved = la.Plane(*(torch.cat([v[600:], v[:600]]) for v in (where.origin, where.u, where.v)))
    expected, found = shadow_of(run(rows()), Frame(where), SPACE), shadow_of(run(rows()), Frame(moved), other)
    np.testing.assert_allclose(found.points, expected.points, rtol=1e-9)
    assert torch.equal(run(rows()).along(other), swapped)


def test_on_a_line_b_is_nothing() -> None:
    where = la.Line(plane().origin, plane().u)
    found = shadow_of(run(rows()), Frame(where), SPACE)
    assert found.points[:, 1].tolist() == [0.0] * STEPS
    a, distance = where.project(rows()[4])
    assert (found.points[4, 0], found.distance[4]) == pytest.approx((a, distance), rel=1e-9)


def test_what_lies_in_a_file_has_the_same_shadow(tmp_path: Path) -> None:
    for step, row in enumerate(rows(torch.float32)):
        torch.save({"a": row[:600].view(20, 30), "b": row[600:]}, tmp_path / f"step-{10 * step}.pt")
    kept = la.Trajectory.from_folder(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lossatlas.geometry.checkpoints.MEMORY", 1)
        patch.setattr("lossatlas.geometry.rows._BLOCK", 8 * STEPS * 37)  # in many blocks
        filed = la.Trajectory.from_folder(tmp_path, losses=range(STEPS))
        assert filed.file is not None
        expected, found = shadow_of(kept, Frame(plane()), SPACE), shadow_of(filed, Frame(plane()), SPACE)
        np.testing.assert_allclose(filed.norms, rows(torch.float32).double().norm(dim=1), rtol=1e-12)
    np.testing.assert_allclose(found.points, expected.points, rtol=1e-12)
    np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-12)
    assert filed.steps.tolist() == list(range(0, 10 * STEPS, 10))
    assert torch.equal(filed.thetas, kept.thetas)
    assert torch.equal(filed.best, kept.first)
