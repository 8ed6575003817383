"""The drawn spline, against the fixture that JavaScript reads too, scipy, and closed forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import make_interp_spline

from lossatlas.sampling.spline import fill_centres, interpolate, spline_matrix

CASES = json.loads((Path(__file__).parents[1] / "fixtures" / "spline.json").read_text())["cases"]


def numbers(rows: Any) -> np.ndarray:
    return np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=float)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['n']} to {case['m']}")
def test_the_spline_is_the_one_of_the_fixture(case: dict[str, Any]) -> None:
    grid = numbers(case["values"])
    if "centres" in case:
        grid = fill_centres(grid, numbers(case["centres"]))
    filled = interpolate(grid, case["m"])
    # The fixture is rounded to 12 decimals, and its values are below 20.
    if "filled" in case:
        np.testing.assert_allclose(filled, numbers(case["filled"]), rtol=0, atol=2e-11)
    for row, column, value in case.get("samples", []):
        assert filled[row, column] == pytest.approx(value, abs=2e-11)


@pytest.mark.parametrize(("n", "m"), [(5, 9), (9, 33), (17, 129), (33, 129), (6, 14)])
def test_the_cubic_is_scipys_b_spline_with_not_a_knot_ends(n: int, m: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    truth = make_interp_spline(np.arange(n), values, k=3)(np.linspace(0, n - 1, m))
    np.testing.assert_allclose(spline_matrix(n, m) @ values, truth, rtol=0, atol=1e-12)


def surface(n: int, f: Any) -> np.ndarray:
    b, a = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    return f(a, b)


@pytest.mark.parametrize("n", [5, 9, 17])
def test_bicubic_polynomials_are_reproduced(n: int) -> None:
    c = np.random.default_rng(1).normal(size=(4, 4))
    f = lambda a, b: np.polynomial.polynomial.polyval2d(a, b, c)  # noqa: E731
    np.testing.assert_allclose(interpolate(surface(n, f), 33), surface(33, f), rtol=0, atol=1e-12)


def test_three_nodes_reproduce_biquadratic_polynomials() -> None:
    c = np.random.default_rng(2).normal(size=(3, 3))
    f = lambda a, b: np.polynomial.polynomial.polyval2d(a, b, c)  # noqa: E731
    np.testing.assert_allclose(interpolate(surface(3, f), 33), surface(33, f), rtol=0, atol=1e-13)


def test_the_error_falls_with_the_fourth_power_of_the_spacing() -> None:
    f = lambda a, b: np.exp(a) * np.sin(2 * b)  # noqa: E731
    errors = [np.abs(interpolate(surface(n, f), 129) - surface(129, f)).max() for n in (9, 17, 33)]
    assert errors[0] / errors[1] > 12
    assert errors[1] / errors[2] > 12


@given(st.sampled_from([3, 5, 9, 17]), st.integers(0, 10_000))
def test_the_drawn_function_passes_through_every_node_to_the_bit(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(n, n)) * 10.0 ** (seed % 9)
    assert np.array_equal(interpolate(values, 33)[:: 32 // (n - 1), :: 32 // (n - 1)], values)


@given(st.sampled_from([3, 5, 9, 17]), st.integers(0, 10_000))
def test_a_border_is_drawn_from_border_nodes_alone(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(2, n, n))
    right[:, 0] = left[:, -1]
    assert np.array_equal(interpolate(left, 33)[:, -1], interpolate(right, 33)[:, 0])
    centres = rng.normal(size=(2, n - 1, n - 1))
    half = [fill_centres(values, c) for values, c in zip((left, right), centres, strict=True)]
    assert np.array_equal(half[0][:, -1], half[1][:, 0])


@given(st.sampled_from([3, 5, 9]), st.integers(0, 10_000))
def test_turning_or_mirroring_the_nodes_turns_or_mirrors_the_drawing(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(n, n))
    filled = interpolate(values, 33)
    np.testing.assert_allclose(interpolate(values.T, 33), filled.T, rtol=0, atol=1e-13)
    np.testing.assert_allclose(interpolate(values[::-1], 33), filled[::-1], rtol=0, atol=1e-13)


def test_a_constant_is_drawn_as_that_constant() -> None:
    np.testing.assert_allclose(interpolate(np.full((9, 9), 7.25), 129), 7.25, rtol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_drawn_around_itself_and_nowhere_else(bad: float) -> None:
    values = surface(5, lambda a, b: a + 2 * b)
    values[1, 3] = bad
    filled = interpolate(values, 17)
    rows, columns = np.nonzero(~np.isfinite(filled))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 7, 9, 15)
    assert len(rows) == 49
    # Elsewhere bilinear, which is exact for this plane.
    finite = np.isfinite(filled)
    np.testing.assert_allclose(
        filled[finite], surface(17, lambda a, b: a + 2 * b)[finite], rtol=0, atol=1e-14
    )


def test_centres_stand_where_they_were_evaluated() -> None:
    f = lambda a, b: np.exp(a * b)  # noqa: E731
    full = surface(9, f)
    grid = fill_centres(full[::2, ::2], full[1::2, 1::2])
    assert np.array_equal(grid[::2, ::2], full[::2, ::2])
    assert np.array_equal(grid[1::2, 1::2], full[1::2, 1::2])
    # Edge midpoints inside gain by their neighbours; on the border they may not, so that neighbours meet.
    inside = np.s_[1:-1, 1:-1]
    missed = np.abs(interpolate(full[::2, ::2], 9) - full)
    assert np.abs(grid - full)[inside].max() < 0.5 * missed[inside].max()


def test_centres_beside_a_hole_stay_what_they_are() -> None:
    values, centres = np.ones((5, 5)), np.full((4, 4), 3.0)
    centres[0, 0] = np.nan
    grid = fill_centres(values, centres)
    assert np.isnan(grid[1, 1])
    assert (grid[1::2, 1::2].ravel()[1:] == 3.0).all()
    assert (grid[::2, ::2] == 1.0).all()


def test_one_node_makes_no_spline() -> None:
    with pytest.raises(ValueError, match="at least 2 nodes, got 1"):
        spline_matrix(1, 5)
