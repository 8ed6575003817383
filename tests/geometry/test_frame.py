"""Frames: orthonormal coordinates of a slice, against a dense QR."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.geometry.frame import Frame
from tests.zoo import normal


@pytest.mark.parametrize("size", [2, 7, (1 << 17) + 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coordinates_are_those_of_a_dense_qr(size: int, dtype: torch.dtype) -> None:
    origin, u, v, theta = (normal(size, seed=k, dtype=dtype) for k in range(4))
    plane = la.Plane(origin, u, 0.5 * u + v)
    frame = Frame(plane)
    q, r = torch.linalg.qr(torch.stack([d.double() for d in plane.directions], dim=1))
    signs = torch.sign(torch.diagonal(r))
    np.testing.assert_allclose(
        frame.r, (signs[:, None] * r).numpy(), rtol=1e-11, atol=1e-11 * float(r.norm())
    )
    point = np.array([0.3, -2.0])
    there = origin.double() + point[0] * u.double() + point[1] * plane.v.double()
    x = frame.coordinates(point)
    np.testing.assert_allclose(x, (signs * (q.T @ there)).numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(frame.point(x), point, rtol=1e-10)
    np.testing.assert_allclose(
        frame.turned(frame.products(theta)), (signs * (q.T @ theta.double())).numpy(), rtol=1e-9, atol=1e-10
    )
    a, b, distance = plane.project(theta)
    found, away = frame.project(theta)
    np.testing.assert_allclose(found, (a, b), rtol=1e-9, atol=1e-12)
    assert away == pytest.approx(distance, rel=1e-10, abs=1e-12 * float(theta.double().norm()))


def test_a_line_has_one_coordinate_its_length() -> None:
    origin, u = normal(5, dtype=torch.float64), normal(5, seed=1, dtype=torch.float64)
    frame = Frame(la.Line(origin, u))
    assert frame.r.tolist() == [[pytest.approx(float(u.norm()))]]
    theta = origin + 2.5 * u
    point, distance = frame.project(theta)
    assert point.tolist() == [pytest.approx(2.5)]
    assert distance == pytest.approx(0, abs=1e-14)


def test_projecting_changes_nothing_of_what_is_projected() -> None:
    plane = la.Plane(*(normal(5, seed=k, dtype=torch.float64) for k in range(3)))
    theta = normal(5, seed=9, dtype=torch.float64)
    before = [tensor.clone() for tensor in (theta, plane.origin, plane.u, plane.v)]
    Frame(plane).project(theta)
    assert all(map(torch.equal, before, (theta, plane.origin, plane.u, plane.v)))


@pytest.mark.parametrize("angle", [1e-2, 1e-4, 3e-6])
def test_nearly_parallel_directions_keep_their_digits(angle: float) -> None:
    origin, u, w, theta = (normal(50, seed=k, dtype=torch.float64) for k in range(4))
    w = w - (w @ u) / (u @ u) * u
    plane = la.Plane(origin, u, u + angle * w)
    frame = Frame(plane)
    assert frame.r[1, 1] == pytest.approx(angle * float(w.norm()), rel=1e-14 / angle + 1e-12)
    a, b, distance = plane.project(theta)
    found, away = frame.project(theta)
    np.testing.assert_allclose(found, (a, b), rtol=1e-13 / angle**1.5 + 1e-10)
    assert away == pytest.approx(distance, rel=1e-10)
