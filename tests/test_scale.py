"""Scales: what is drawn of values, and which scale suits them."""

from __future__ import annotations

import numpy as np
import pytest

from lossatlas.scale import auto_scale, drawn, is_scale, linthresh


def test_a_symmetric_logarithm_is_linear_near_0_and_a_logarithm_far_from_it() -> None:
    near = np.linspace(-1e-4, 1e-4, 9)
    np.testing.assert_allclose(drawn(near, "symlog:0.01"), near / 0.02, rtol=1e-5)
    far = np.array([3.0, 70.0, 1e6])
    # ln(v / c) + c² / v² and less: 1e-5 at the first
    np.testing.assert_allclose(drawn(far, "symlog:0.01"), np.log(far / 0.01), atol=1.2e-5)
    np.testing.assert_array_equal(drawn(-far, "symlog:0.01"), -drawn(far, "symlog:0.01"))


def test_what_has_no_logarithm_is_not_drawn() -> None:
    values = np.array([-1.0, 0.0, np.nan, np.inf, np.e])
    np.testing.assert_allclose(drawn(values, "log"), [np.nan, np.nan, np.nan, np.nan, 1.0], rtol=1e-15)
    assert np.isfinite(drawn(values, "symlog:1")).tolist() == [True, True, False, False, True]
    assert drawn(values, "linear")[0] == -1.0


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1.0, 19.0], "linear"),
        ([1.0, 21.0], "log"),
        ([0.0, 21.0], "linear"),
        ([-1.0, 0.5, 2.0], "linear"),
        ([-0.1, 0.05, 0.02, 300.0], "symlog:1"),
        ([-0.01, 0.005, 0.002, -0.3], "symlog:0.001"),
        ([np.nan, np.inf], "linear"),
    ],
)
def test_the_scale_is_chosen_by_what_values_span(values: list[float], scale: str) -> None:
    assert auto_scale(np.array(values)) == scale


@pytest.mark.parametrize(
    "name", ["cubic", "symlog", "symlog:", "symlog:0", "symlog:-1", "symlog:inf", "symlog:nan", 3, None]
)
def test_another_name_is_no_scale(name: object) -> None:
    assert not is_scale(name)


def test_a_symmetric_logarithm_is_named_by_its_c() -> None:
    assert all(map(is_scale, ["linear", "log", "symlog:0.01", "symlog:1e-7"]))
    assert linthresh("symlog:1e-7") == 1e-7
    assert linthresh("log") is None
