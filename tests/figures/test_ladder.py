"""The ladder, the numbers and the colours of figures are those of the page: one fixture, read by both."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossatlas.figures.colours import colour_at, domain_of, lookup_table
from lossatlas.figures.ladder import MAX_LEVELS, format_level, labelled, ladder, tick_step, ticks
from lossatlas.figures.words import axis_title, scale_in_words
from lossatlas.scale import drawn, scale_of, undrawn

FIXTURE = json.loads((Path(__file__).parents[1] / "fixtures" / "figures.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", FIXTURE["ladders"], ids=lambda c: f"{c['lo']} to {c['hi']}, {c['scale']}")
def test_a_figure_has_the_isolines_of_the_page(case: dict) -> None:
    found = ladder(case["lo"], case["hi"], case["scale"])
    assert [[one.value, one.major, one.step, one.label] for one in found.levels] == case["levels"]
    assert (found.rung, found.step) == (case["rung"], case["step"])


@pytest.mark.parametrize(("value", "step", "text"), FIXTURE["numbers"])
def test_a_number_is_written_as_in_the_page(value: float, step: float, text: str) -> None:
    assert format_level(value, step) == text


def test_what_is_not_finite_has_a_name() -> None:
    assert [format_level(value, 1) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "∞", "−∞"]


@pytest.mark.parametrize("case", FIXTURE["axes"], ids=lambda c: f"{c['lo']} to {c['hi']}")
def test_an_axis_has_the_ticks_of_the_page(case: dict) -> None:
    places = ticks(case["lo"], case["hi"], case["count"])
    assert places == case["ticks"]
    assert tick_step(case["lo"], case["hi"], case["count"]) == case["step"]
    assert labelled(places, case["step"]) == (case["texts"], case["shift"])


def test_an_axis_has_the_title_of_the_page() -> None:
    for axis, title in FIXTURE["titles"]:
        assert axis_title("a", (axis["name"], axis["length"], axis["unit"])) == title


@pytest.mark.parametrize("case", FIXTURE["domains"], ids=lambda c: f"{len(c['values'])}, {c['scale']}")
def test_the_colours_span_the_values_that_they_span_in_the_page(case: dict) -> None:
    scale = case["scale"]
    found = domain_of(drawn(np.array([*case["values"], np.nan, np.inf]), scale), scale)
    # Two ways of interpolating between the same two samples.
    assert found == pytest.approx(case["domain"], rel=1e-14)


def test_where_nothing_is_finite_there_is_no_domain() -> None:
    assert domain_of(np.array([np.nan, np.inf]), "linear") is None


@given(
    low=st.floats(1e-30, 1e30),
    size=st.floats(1e-8, 1e12),
    scale=st.sampled_from(["linear", "log", "symlog:0.001"]),
)
def test_levels_ascend_lie_in_the_range_and_are_told_apart_by_their_labels(
    low: float, size: float, scale: str
) -> None:
    found = ladder(low, low * (1 + size), scale).levels
    values = [one.value for one in found]
    assert 5 <= len(values) <= MAX_LEVELS
    assert values == sorted(set(values))
    assert low <= values[0]
    assert values[-1] <= low * (1 + size)
    assert len({one.label for one in found}) == len(found)


@given(value=st.floats(-1e6, 1e6), c=st.floats(1e-3, 1e3))
def test_a_symmetric_log_scale_is_undone(value: float, c: float) -> None:
    scale = f"symlog:{c}"
    assert float(undrawn(drawn(np.asarray(value), scale), scale)) == pytest.approx(value, rel=1e-9, abs=1e-12)


def test_a_chosen_symmetric_log_gets_a_c_that_suits_the_values() -> None:
    assert scale_of("symlog", np.array([-50.0, 3.0, np.nan])) == "symlog:0.1"
    assert scale_of("symlog", np.zeros(2)) == "symlog:1"
    assert scale_of("symlog:2", np.ones(1)) == "symlog:2"
    assert scale_of("auto", np.array([1.0, 20.5])) == "log"
    assert scale_in_words("symlog:0.1") == "symmetric log scale, about linear within ± 0.1"


@pytest.mark.parametrize("choice", ["logarithmic", "symlog:0", "symlog:x", None, 3])
def test_a_scale_that_there_is_not_is_refused_in_words(choice: object) -> None:
    with pytest.raises(ValueError, match='Pass "auto", "linear", "log", "symlog"'):
        scale_of(choice, np.ones(2))


@pytest.mark.parametrize(("name", "digits"), FIXTURE["tables"])
def test_a_colour_map_has_the_entries_of_the_page(name: str, digits: str) -> None:
    page = np.frombuffer(bytes.fromhex(digits), np.uint8).reshape(256, 3)
    # A tie may be rounded either way.
    assert np.abs(lookup_table(name).astype(int) - page).max() <= 1


def test_a_diverging_map_has_its_middle_at_0() -> None:
    values = np.array([-1.0, 0.0, 4.0])
    assert domain_of(values, "linear", "vik") == pytest.approx((-4.0, 4.0), rel=0.02)
    assert domain_of(values, "linear")[0] == -1.0


def test_the_colours_are_those_of_matplotlib_to_one_step() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    for name in ("viridis", "cividis", "magma"):
        expected = np.rint(255 * matplotlib.colormaps[name](np.arange(256))[:, :3])
        assert np.abs(lookup_table(name) - expected).max() <= 1, name


def test_a_colour_is_linear_between_entries_and_clamped_at_the_ends() -> None:
    table = lookup_table("viridis").astype(float)
    assert colour_at(table, np.array([-1.0, 2.0])).tolist() == [[68, 1, 84], [253, 231, 37]]
    np.testing.assert_allclose(colour_at(table, np.array(0.5 / 255)), (table[0] + table[1]) / 2)


def test_a_colour_map_that_there_is_not_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="There is no colour map 'jet'. Take one of 'viridis'"):
        lookup_table("jet")
