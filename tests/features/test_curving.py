"""Curvature as fields of a map: closed forms, what each value may be off by, and few products."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lossatlas as la
from lossatlas import jobs
from lossatlas.features import CURVATURE_FIELDS
from lossatlas.features.curving import Extremes, SliceCurvature, along_curve
from tests.curvature.test_krylov import matrix
from tests.zoo import F, classification, seeded

pytestmark = pytest.mark.statistics


def quartic(t: Tensor) -> Tensor:
    """Σ t⁴ / 12 + ½ Σ k t², with the Hessian diag(t² + k)."""
    return (t**4).sum() / 12 + 0.5 * (torch.arange(len(t), dtype=t.dtype) * t**2).sum()


@pytest.fixture(scope="module")
def landscape() -> la.Landscape:
    objective = la.Objective.from_function(quartic, 0.1 * torch.ones(6).double())
    u, v = torch.zeros(2, 6, dtype=torch.float64)
    u[0], v[1], v[2] = 2.0, 1.0, 1.0
    return la.Landscape(objective, la.Plane(objective.theta, u, v))


POINTS = np.array([-1.0, 0.0, 0.3, 0.7]), np.array([0.5, 0.0, -0.2, 0.9])


def hessian(a: float, b: float) -> np.ndarray:
    t = np.full(6, 0.1) + a * np.eye(6)[0] * 2.0 + b * (np.eye(6)[1] + np.eye(6)[2])
    return np.diag(t**2 + np.arange(6))


def test_the_extreme_eigenvalues_and_the_trace_are_those_of_the_closed_form(landscape: la.Landscape) -> None:
    values = [np.linalg.eigvalsh(hessian(a, b)) for a, b in zip(*POINTS, strict=True)]
    for field, exact in (
        ("lambda_max", [v[-1] for v in values]),
        ("lambda_min", [v[0] for v in values]),
        ("lambda_ratio", [abs(v[0] / v[-1]) for v in values]),
        ("trace", [v.sum() for v in values]),
    ):
        np.testing.assert_allclose(landscape.evaluate(*POINTS, field=field), exact, rtol=1e-3, atol=1e-3)


def test_the_curvature_of_the_slice_is_that_per_unit_of_length(landscape: la.Landscape) -> None:
    for a, b in zip(*POINTS, strict=True):
        h = hessian(a, b)
        inside = sorted([h[0, 0], (h[1, 1] + h[2, 2]) / 2])  # along u and along v, which are orthogonal
        assert landscape.evaluate(a, b, field="curvature_max") == pytest.approx(inside[1])
        assert landscape.evaluate(a, b, field="curvature_min") == pytest.approx(inside[0])
        most, least = (landscape.evaluate(a, b, field=name) for name in ("lambda_max", "lambda_min"))
        assert least - 0.05 <= inside[0] <= inside[1] <= most + 0.05  # within their residuals


def test_a_map_and_a_tile_of_curvature_state_their_error(landscape: la.Landscape) -> None:
    drawn = landscape.map((-1, 1, -1, 1), (41, 41), tolerance=0.02, field="trace")
    a, b = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-1, 1, 41))
    exact = [hessian(*point).trace() for point in zip(a.ravel(), b.ravel(), strict=True)]
    assert np.abs(drawn.values.ravel() - exact).max() <= drawn.error
    assert drawn.nodes < 41 * 41 / 4
    tile = landscape.tile(la.TileAddress(0, 0, 0), tolerance=0.1, field="trace")
    assert tile.nodes < 33
    assert tile.quality == 2


def net() -> la.Objective:
    with seeded(5):
        model = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 3)).double()
    x, y = classification(80, 6)
    return la.Objective(model, F.cross_entropy, (x.double(), y))


def test_every_value_is_within_what_it_may_be_off_by() -> None:
    objective = net()
    landscape = la.Landscape(objective, la.Plane.random(objective))
    points = [(a, b) for a in np.linspace(-0.5, 0.5, 4) for b in np.linspace(-0.5, 0.5, 4)]
    columns = torch.eye(objective.size).double()
    held = 0
    for point in points:
        exact = torch.linalg.eigvalsh(objective.hvp(landscape.plane.at(*point), columns)).numpy()
        for field, truth in (("lambda_max", exact[-1]), ("lambda_min", exact[0]), ("trace", exact.sum())):
            value = landscape.evaluate(*point, field=field)
            layer = landscape._layer(field)
            error = layer.inexact([point], layer.fields.index(field))
            assert error < 0.3 * abs(exact).max() + abs(exact.sum())
            if field == "trace":
                held += abs(value - truth) <= error
            else:
                assert abs(value - truth) <= error + 1e-12
    assert held >= 13  # two standard errors of eight probes, the same at every node


def test_nodes_beside_each_other_take_fewer_products_than_nodes_alone() -> None:
    objective = net()
    plane = la.Plane.random(objective)
    grid = [(a, b) for a in np.linspace(0, 0.06, 3) for b in np.linspace(0, 0.06, 3)]

    def products(evaluate: list[list[tuple[float, float]]]) -> int:
        counted = 0
        for points in evaluate:
            extremes = Extremes(objective, plane)
            jobs.call(extremes.evaluate(points))
            counted += sum(spectrum.products for spectrum in extremes.known._known.values())
        return counted

    assert products([grid]) < 0.7 * products([[point] for point in grid])


def test_a_warm_start_is_checked_against_a_random_one_now_and_then() -> None:
    """Two eigenvalues that cross along the line: the vector of the one that was the largest stays one."""
    h = matrix(np.array([2.0, 1.0, *np.linspace(-0.5, 0.5, 60)]))
    values, vectors = torch.linalg.eigh(h)
    first, second = vectors[:, -1], vectors[:, -2]

    def crossing(t: Tensor) -> Tensor:
        s = t[-1]
        x = t[:-1]
        return 0.5 * x @ (h @ x) + 0.5 * s * ((second @ x) ** 2 - (first @ x) ** 2)

    theta = torch.zeros(len(values) + 1, dtype=torch.float64)
    objective = la.Objective.from_function(crossing, theta)
    along = torch.zeros_like(theta)
    along[-1] = 1.0
    landscape = la.Landscape(objective, la.Line(theta, along))
    a = np.linspace(0.0, 1.0, 33)
    found = np.asarray(landscape.evaluate(a, field="lambda_max"))
    np.testing.assert_allclose(found, np.maximum(2 - a, 1 + a), atol=0.05)


def test_where_there_is_no_hessian_the_field_is_nan() -> None:
    objective = la.Objective.from_function(lambda t: (t**0.5).sum(), torch.ones(3).double())
    landscape = la.Landscape(objective, la.Line(objective.theta, torch.ones(3).double()))
    for field in CURVATURE_FIELDS:
        values = landscape.evaluate([0.0, -1.0], field=field)
        assert np.isfinite(values[0])
        assert np.isnan(values[1])


def test_what_there_is_no_field_of_is_said_in_words() -> None:
    objective = net()
    landscape = la.Landscape(objective, la.Plane.random(objective))
    assert landscape.fields == ("loss", *CURVATURE_FIELDS)
    with pytest.raises(
        ValueError, match="There is no field 'lambda' here. This objective has 'loss', 'curvature_max'"
    ):
        landscape.evaluate(0.0, 0.0, field="lambda")


def test_a_curve_fills_the_square_in_small_steps() -> None:
    points = [(a, b) for a in np.linspace(-1, 1, 16) for b in np.linspace(-1, 1, 16)]
    order = along_curve(points)
    assert sorted(order) == sorted(points)
    steps = [np.hypot(p[0] - q[0], p[1] - q[1]) for p, q in itertools.pairwise(order)]
    assert max(steps) < 2.1 * 2 / 15  # the next one in the grid, nearly always
    assert along_curve([]) == []
    assert along_curve([(1.0, 1.0), (1.0, 1.0)]) == [(1.0, 1.0), (1.0, 1.0)]


def test_two_jobs_that_want_the_same_nodes_know_one_value_of_each() -> None:
    objective = net()
    fields = SliceCurvature(objective, la.Plane.random(objective))
    points = [(a, 0.0) for a in np.linspace(0, 1, 9)]
    both = [jobs.worker.submit(fields.evaluate(points)) for _ in range(2)]
    assert sum(job.wait(30) for job in both) >= len(points)
    assert fields.store.evaluated == len(points)


def test_a_call_does_not_wait_for_a_map_of_the_same_field() -> None:
    """Whoever is asked first comes first: a job that is put off must hold nothing that a more urgent one needs."""
    objective = net()
    fields = Extremes(objective, la.Plane.random(objective))
    points = [(a / 50, 0.0) for a in range(40)]
    job = jobs.worker.submit(fields.evaluate(points), jobs.TILES)
    jobs.call(fields.evaluate(points[:2]))
    assert fields.store.knows(points[:2])
    job.cancel()
    with pytest.raises(jobs.Cancelled):
        job.wait(30)
    assert jobs.call(fields.evaluate(points[:6])) <= 6  # what the job had claimed is free again


def test_the_error_of_a_field_is_a_field_too() -> None:
    objective = net()
    landscape = la.Landscape(objective, la.Plane.random(objective))
    error = landscape.evaluate(0.1, 0.1, field="trace_error")
    assert 0 < error < abs(landscape.evaluate(0.1, 0.1, field="trace"))
    assert landscape.map((-1, 1, -1, 1), (5, 5), field="trace_error").error == 0.0


def test_a_model_that_raises_is_no_nan() -> None:
    def fussy(t: Tensor) -> Tensor:
        if t[0] > 0.5:
            raise ValueError("out of my domain")
        return t.square().sum()

    landscape = la.Landscape(
        objective := la.Objective.from_function(fussy, torch.zeros(2).double()),
        la.Plane(objective.theta, *torch.eye(2, dtype=torch.float64)),
    )
    for field in ("lambda_max", "curvature_max", "trace"):
        with pytest.raises(la.EvaluationError, match="out of my domain"):
            landscape.evaluate(1.0, 0.0, field=field)


def test_a_field_of_the_users_goes_before_one_of_ours() -> None:
    x, y = classification(40, 6)
    with seeded(5):
        model = nn.Sequential(nn.Linear(6, 3))
    objective = la.Objective(model, F.cross_entropy, (x, y), fields=({"trace": lambda o, _: o.sum()},))
    landscape = la.Landscape(objective, la.Plane.random(objective))
    assert landscape.fields.count("trace") == 1
    assert landscape.evaluate(0.0, 0.0, field="trace") == pytest.approx(
        float(model(x).sum().detach()), rel=1e-4
    )
