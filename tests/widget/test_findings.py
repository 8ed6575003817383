"""What is known of a point on the wire, against the fixtures that the page's tests read too."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import torch

from lossatlas.curvature import Density, Jet, Spectrum, Stability
from lossatlas.widget import findings
from lossatlas.widget.protocol import Point, Towards
from tests.widget.test_protocol import fixture

REQUEST = Point("c1f09", -7, 3, (0.125, -0.5), 2.5)
DENSITY = Density(
    np.arange(-1.0, 4.0), np.array([0.0, 0.5, 0.25, 0.125, 0.0]),
    np.array([[0.0, 0.25, 0.125, 0.0, 0.0], [0.25, 0.75, 0.5, 0.25, 0.125]]), np.array([3.0]), 0.5,
)  # fmt: skip


def jet(differences: np.ndarray | None = None) -> Jet:
    return Jet(
        (0.125, -0.5), 0.5, 0.25, np.array([0.1, 0.0]), 0.125, np.diag([2.0, -1.0]), np.eye(2), 0.15625, differences
    )  # fmt: skip


def spectrum(density: Density = DENSITY) -> Spectrum:
    values = np.array([3.0, 2.0, np.nan])
    return Spectrum(
        eigenvalues=values, residuals=np.array([1e-3, 0.5, 0.0]), converged=np.array([True, False, True]),
        eigenvectors=torch.zeros(5, 3), density=density, trace=12.5, trace_error=0.25, noise=0.0, products=23,
        form="double backward, graph kept", exact=False,
    )  # fmt: skip


def test_the_first_message_holds_the_slice_alone() -> None:
    message = findings.found(REQUEST, jet(), None, products=2, of=None, size=4810, stability=None)
    assert message == (fixture("spectrum_first")["head"], [])


def test_the_last_message_holds_all_of_it() -> None:
    wanted = fixture("spectrum_done")
    line = Stability(**wanted["head"]["stability"])
    head, buffers = findings.found(
        REQUEST, jet(np.diag([3.0, -1.0])), spectrum(), products=23, of=None, size=4810, stability=line, done=True
    )  # fmt: skip
    assert head == wanted["head"]
    assert [base64.b64encode(buffer).decode() for buffer in buffers] == wanted["buffers"]
    assert json.loads(json.dumps(head, allow_nan=False)) == head


def test_the_answers_to_orders_are_what_the_page_reads() -> None:
    wanted = fixture("directed")["head"]
    assert findings.directed(Towards("c1f09", -8, -7, 0), wanted["name"]) == (wanted, [])


def test_a_thinned_density_keeps_every_peak_and_its_ends() -> None:
    grid = np.linspace(-1.0, 9.0, 5001)
    peaks = [-0.5, 2.0, 7.25]
    values = sum(np.exp(-0.5 * ((grid - peak) / 0.01) ** 2) for peak in peaks)
    density = Density(grid, values, np.stack([0.5 * values, 2.0 * values]), np.array(peaks), 0.01)
    found = findings.thinned(density)
    assert found.shape[0] == 4
    assert found.shape[1] <= 400
    assert (found[0, 0], found[0, -1]) == (-1.0, 9.0)
    assert (np.diff(found[0]) > 0).all()
    for peak in peaks:
        near = np.abs(found[0] - peak) < 0.05
        assert found[1][near].max() > 0.999
        assert found[1][near].min() < 0.05
    np.testing.assert_array_equal(found[2:], np.stack([0.5 * found[1], 2.0 * found[1]]))


def test_differences_that_are_rounding_say_so_on_the_wire() -> None:
    found = replace(jet(np.diag([3.0, -1.0])), rounding=2.0)
    head = findings.jet_head(found)
    assert (head["kinked"], head["rounded"]) == (False, True)


def test_a_jet_that_is_not_finite_travels_as_null() -> None:
    broken = Jet(
        (0.0, 0.0), float("nan"), float("inf"), np.full(2, np.nan), float("nan"), np.full((2, 2), np.nan), np.eye(2), 0.1,
        np.full((2, 2), np.inf),
    )  # fmt: skip
    head = findings.jet_head(broken)
    json.dumps(head, allow_nan=False)
    assert head["loss"] is None
    assert head["curvatures"] == [None, None]
    assert head["hessian"] == [[None, None], [None, None]]
