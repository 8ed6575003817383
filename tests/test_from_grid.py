"""Values that were computed elsewhere: at their own points the map has them to the bit, between them it is their spline."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lossatlas as la
from lossatlas.geometry import TileAddress, home_tiles, level_of
from lossatlas.grids import NO_MODEL
from lossatlas.held import HeldLandscape, ReadOnly
from lossatlas.widget.session import Session
from tests.widget.helpers import Page

SQUARE = (-1.0, 1.0, -1.0, 1.0)


def grid(f, extent, shape):
    a0, a1, b0, b1 = extent
    a, b = np.meshgrid(np.linspace(a0, a1, shape[1]), np.linspace(b0, b1, shape[0]))
    return f(a, b)


def quadratic(a, b):
    return 3 * a**2 - a * b + 0.5 * b**2 + 0.25 * a - b + 2


def cubic(a, b):
    return a**3 * b**3 - 2 * a**2 * b + a * b**3 - b**2 + 4


def test_values_at_the_grids_own_points_are_exact_to_the_bit():
    for shape in ((51, 51), (7, 12), (33, 65), (2, 3)):
        values = grid(quadratic, SQUARE, shape)
        landscape = la.from_grid(values, SQUARE)
        assert isinstance(landscape, HeldLandscape)
        np.testing.assert_array_equal(landscape.grid(SQUARE, shape), values)
        found = landscape.map(SQUARE, pixels=shape)
        np.testing.assert_array_equal(found.values, values)
        assert found.error == 0.0
        assert landscape.evaluated == values.size


def test_row_0_lies_at_the_lowest_b_and_column_0_at_the_lowest_a():
    landscape = la.from_grid([[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]], (0, 2, -1, 1))
    assert landscape.evaluate(0, -1) == 0.0
    assert landscape.evaluate(2, -1) == 2.0
    assert landscape.evaluate(0, 1) == 10.0
    np.testing.assert_array_equal(landscape.evaluate([1, 2], 1), [11.0, 12.0])


@pytest.mark.parametrize(
    ("f", "count"),
    [(lambda a, b: 2 * a - 3 * b + a * b, 2), (quadratic, 3), (cubic, 4), (cubic, 5), (cubic, 51), (cubic, 300)],
)  # fmt: skip
def test_between_them_the_spline_reproduces_every_polynomial_that_it_holds(f, count):
    extent = (-1.5, 2.0, 0.25, 1.0)
    found = la.from_grid(grid(f, extent, (count, count + 1)), extent).map(pixels=(40, 57))
    # The condition of the spline's system times the rounding of values of size 100.
    np.testing.assert_allclose(found.values, grid(f, extent, (40, 57)), rtol=0, atol=1e-11)
    assert found.error == math.inf


def test_the_tiles_show_the_same_spline_whatever_the_grid_and_their_error_is_unknown():
    landscape = la.from_grid(grid(cubic, SQUARE, (51, 51)), SQUARE)
    for address in (*home_tiles(SQUARE), TileAddress(3, -8, 7), TileAddress(4, 3, 3)):
        known = landscape.known(address)
        a, b = np.meshgrid(*address.axes(33))
        np.testing.assert_allclose(known.values, cubic(a, b), rtol=0, atol=1e-12)
        assert known.error.value is None
        tile = landscape.tile(address)
        assert tile.error == math.inf
        assert tile.evaluated.sum() < tile.evaluated.size


def test_where_nodes_coincide_the_mask_says_so():
    values = grid(np.hypot, SQUARE, (65, 65))
    tile = la.from_grid(values, SQUARE).tile(TileAddress(0, -1, 0))
    assert tile.evaluated.all()
    np.testing.assert_array_equal(tile.values, values[32:, :33])
    tile = la.from_grid(values[::4, ::4], SQUARE).tile(TileAddress(0, -1, 0))
    expected = np.zeros((33, 33), bool)
    expected[::4, ::4] = True
    np.testing.assert_array_equal(tile.evaluated, expected)
    assert tile.error == math.inf


def test_neighbouring_tiles_meet():
    landscape = la.from_grid(grid(lambda a, b: np.sin(9 * a) * np.cos(7 * b), SQUARE, (23, 31)), SQUARE)
    left, right = (landscape.known(TileAddress(1, x, 0)).values for x in (-1, 0))
    np.testing.assert_array_equal(left[:, -1], right[:, 0])


def test_what_is_not_finite_stays_and_is_not_smeared():
    values = grid(quadratic, SQUARE, (9, 9))
    values[2, 3], values[5, 5], values[8, 0] = np.nan, np.inf, -np.inf
    landscape = la.from_grid(values, SQUARE)
    np.testing.assert_array_equal(landscape.grid(SQUARE, (9, 9)), values)
    np.testing.assert_array_equal(landscape.map(pixels=9).values, values)
    fine = landscape.map(pixels=33).values
    assert np.isnan(fine[8 - 3 : 8 + 4, 12 - 3 : 12 + 4]).all()
    assert np.isnan(fine).sum() + np.isinf(fine).sum() == 49 + 49 + 16
    assert fine[20, 20] == np.inf
    np.testing.assert_array_equal(fine[::4, ::4], values)


def test_outside_the_extent_there_is_nothing():
    landscape = la.from_grid(grid(quadratic, SQUARE, (5, 5)), SQUARE)
    found = landscape.map((-2, 2, -2, 2), pixels=9)
    assert np.isnan(found.values).sum() == 81 - 25
    assert landscape.known(TileAddress(0, 1, 0)) is None
    assert landscape.known(TileAddress(-1, -1, 0)) is not None
    with pytest.raises(ReadOnly, match="1 of 1 points is not held"):
        landscape.evaluate(0.1, 0.0)
    with pytest.raises(ReadOnly, match="nothing is held"):
        landscape.tile(TileAddress(0, 1, 0))


def test_zooming_ends_where_a_tile_is_a_step_of_the_grid():
    landscape = la.from_grid(np.zeros((51, 51)), SQUARE)
    assert landscape.levels == (-4, 5)  # a step is 0.04, and a tile of level 5 is 0.031
    assert landscape.levels[0] < level_of(SQUARE) < landscape.levels[1]
    narrow = la.from_grid(np.zeros((3, 3)), (0, 1e-9, 0, 1e-9)).levels
    assert narrow[0] < 31 < narrow[1] <= 40


def test_a_line_has_its_values_and_their_spline():
    at = np.linspace(-0.5, 1.5, 21)
    landscape = la.from_grid(at**3 - at, (-0.5, 1.5), title="A line")
    assert landscape.on_line
    assert landscape.home == (-0.5, 1.5, 0.0, 0.0)
    np.testing.assert_array_equal(landscape.evaluate(at), at**3 - at)
    np.testing.assert_array_equal(landscape.profile(num=21).values, at**3 - at)
    assert landscape.drawn_profile(-0.5, 1.5, 21).error == 0.0
    drawn = landscape.drawn_profile(-0.5, 1.5, 101)
    np.testing.assert_allclose(drawn.values, drawn.a**3 - drawn.a, rtol=0, atol=1e-14)
    assert drawn.error == math.inf
    np.testing.assert_allclose(
        landscape.known(TileAddress(0, 0, 0)).values[0], np.linspace(0, 1, 33) ** 3 - np.linspace(0, 1, 33), atol=1e-14
    )  # fmt: skip
    assert landscape.known(TileAddress(0, 0, 1)) is None
    with pytest.raises(ReadOnly, match="a = 0.33 the first"):
        landscape.evaluate(0.33)


def test_several_fields_are_switched_between():
    values = {name: grid(f, SQUARE, (9, 9)) for name, f in (("loss", quadratic), ("accuracy", np.hypot))}
    landscape = la.from_grid(values["loss"], SQUARE, fields={"accuracy": values["accuracy"]})
    assert landscape.fields == ("loss", "accuracy")
    np.testing.assert_array_equal(landscape.grid(SQUARE, (9, 9), field="accuracy"), values["accuracy"])
    assert set(landscape.numbers(fields="all", pixels=9).values) == {"loss", "accuracy"}


def test_a_map_of_another_field_needs_no_name_for_it(tmp_path):
    landscape = la.from_grid(grid(np.hypot, SQUARE, (9, 9)), SQUARE, field="error_rate")
    assert landscape.map().field == "error_rate"
    landscape.to_png(tmp_path / "map.png")
    assert "error_rate" in landscape.numbers(pixels=3).values
    assert "error_rate" in str(landscape.figure(pixels=9))
    explorer = landscape.explore()
    assert explorer.field == "error_rate"
    explorer.close()
    with pytest.raises(ValueError, match="There is no field 'loss' here. This map has 'error_rate'"):
        landscape.plot(field="loss")


def test_its_pictures_say_that_they_are_interpolated():
    landscape = la.from_grid(grid(quadratic, SQUARE, (9, 9)), SQUARE, title="Theirs")
    assert "error unknown" in landscape.figure(pixels=33).to_json()
    assert "near values that are not finite" not in landscape.figure(pixels=33).to_json()
    said = landscape.caption()
    assert said.startswith("Theirs: loss on the plane of a and b. It is a slice.")
    assert "Made of 9 × 9 values" in said
    assert "interpolated" in said
    assert f"Recipe {landscape.scene.hash}." in said


def test_equal_values_have_one_hash_and_others_another():
    values = grid(quadratic, SQUARE, (5, 5))
    first = la.from_grid(values, SQUARE).scene.hash
    assert la.from_grid(values.copy(), list(SQUARE)).scene.hash == first
    others = (
        la.from_grid(values + 1e-15 * (values == values.max()) * 4, SQUARE),
        la.from_grid(values, (-1, 1, -1, 2)),
        la.from_grid(values, SQUARE, field="error"),
        la.from_grid(values.T, SQUARE),
    )
    assert len({first, *(one.scene.hash for one in others)}) == 5


def test_the_values_are_copied():
    values = grid(quadratic, SQUARE, (5, 5))
    landscape = la.from_grid(values, SQUARE)
    kept = values[0, 0]
    values[:] = 0
    assert landscape.evaluate(-1, -1) == kept


def test_any_array_of_real_numbers_will_do():
    for values in (
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]], np.int8),
        torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        np.array([[1, 2], [3, 4]], ">f4"),
        np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]),
        np.arange(16.0).reshape(4, 4)[1:3, 1:3] * 0 + [[1, 2], [3, 4]],
    ):
        np.testing.assert_array_equal(la.from_grid(values, SQUARE).grid(SQUARE, (2, 2)), [[1, 2], [3, 4]])


GOOD = np.zeros((3, 4))
REFUSED = {
    "one dimension too many": ((np.zeros((2, 2, 2)), SQUARE), ValueError, r"have shape \(2, 2, 2\). Pass \(rows of b"),
    "a number": ((1.0, SQUARE), ValueError, r"have shape \(\)"),
    "one row": ((np.zeros((1, 5)), SQUARE), ValueError, "at least 2 points a side"),
    "one point": ((np.zeros(1), (0, 1)), ValueError, "at least 2 points a side"),
    "nothing": ((np.zeros((0, 3)), SQUARE), ValueError, "at least 2 points a side"),
    "far too many": ((np.zeros(5000), (0, 1)), ValueError, "a side may have 2048 points at most"),
    "complex": ((GOOD + 1j, SQUARE), TypeError, "have dtype complex128. Pass real numbers"),
    "objects": ((np.array([[None, 1], [2, 3]]), SQUARE), TypeError, "have dtype object"),
    "strings": (([["a", "b"], ["c", "d"]], SQUARE), TypeError, "have dtype <U1"),
    "a string": (("map.npy", SQUARE), TypeError, "have dtype <U7"),
    "booleans": ((GOOD > 0, SQUARE), TypeError, "have dtype bool"),
    "a masked array": ((np.ma.masked_array(GOOD), SQUARE), TypeError, r"masked array. Pass values.filled\(np.nan\)"),
    "ragged": (([[1, 2], [3]], SQUARE), ValueError, "make no array"),
    "a tensor with a gradient": ((torch.zeros(2, 2, requires_grad=True), SQUARE), ValueError, "make no array"),
    "no extent": ((GOOD,), TypeError, "extent is missing"),
    "the extent of a line": ((GOOD, (0, 1)), ValueError, "Pass four numbers"),
    "the extent of a plane": ((np.zeros(3), SQUARE), ValueError, "Pass two numbers"),
    "no width": ((GOOD, (0, 0, 0, 1)), ValueError, "runs from 0 to 0 along a"),
    "reversed": ((GOOD, (0, 1, 1, 0)), ValueError, "runs from 1 to 0 along b"),
    "infinite": ((GOOD, (0, math.inf, 0, 1)), ValueError, "Pass finite a0 < a1"),
    "not a number": ((GOOD, (0, math.nan, 0, 1)), ValueError, "Pass finite a0 < a1"),
    "text": ((GOOD, "home"), ValueError, "Pass four numbers"),
    "far too wide": ((GOOD, (-1e9, 1e9, 0, 1)), ValueError, "reaches from z = -20 to 40"),
    "far too narrow": ((GOOD, (0, 1e-15, 0, 1e-15)), ValueError, "reaches from z = -20 to 40"),
    "too narrow for its place": ((GOOD, (1e9, 1e9 + 1e-6, 0, 1e-6)), ValueError, "too narrow for where it lies"),
    "a mapping": (({"loss": GOOD}, SQUARE), TypeError, "others in fields"),
}  # fmt: skip


@pytest.mark.parametrize(("passed", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_grid_is_refused_in_words(passed, error, words):
    with pytest.raises(error, match=words):
        la.from_grid(*passed)


def test_fields_that_do_not_fit_are_refused_in_words():
    for fields, error, words in (
        (
            {"accuracy": np.zeros((4, 3))},
            ValueError,
            r"'accuracy' has shape \(4, 3\), but 'loss' has \(3, 4\)",
        ),
        ({"": GOOD}, TypeError, "A field is called ''"),
        ({3: GOOD}, TypeError, "A field is called 3"),
        ([GOOD], TypeError, "a mapping of names"),
    ):
        with pytest.raises(error, match=words):
            la.from_grid(GOOD, SQUARE, fields=fields)


def test_it_says_that_there_is_no_model_to_pass():
    landscape = la.from_grid(GOOD, SQUARE)
    for asked in (landscape.spectrum, landscape.renewed, lambda: landscape.objective):
        with pytest.raises(ReadOnly) as caught:
            asked()
        assert str(caught.value) == NO_MODEL


def test_a_dataset_comes_back_as_the_map_that_it_was_made_of():
    pytest.importorskip("xarray")
    landscape = la.from_grid(
        grid(quadratic, SQUARE, (9, 9)), SQUARE, fields={"more": GOOD[:1, :1] + np.ones((9, 9))}
    )
    dataset = landscape.to_xarray(pixels=9, fields="all")
    again = la.from_grid(dataset)
    assert again.fields == ("loss", "more")
    assert again.home == landscape.home
    assert again.caption() == landscape.caption()
    np.testing.assert_array_equal(again.grid(SQUARE, (9, 9)), landscape.grid(SQUARE, (9, 9)))
    assert la.from_grid(dataset["more"]).fields == ("more",)


def test_a_dataarray_may_lie_in_any_order():
    xarray = pytest.importorskip("xarray")
    values, at = grid(quadratic, (0, 2, 0, 1), (3, 5)), {"a": np.linspace(0, 2, 5), "b": np.linspace(0, 1, 3)}
    array = xarray.DataArray(values, at, ("b", "a"))
    for other in (array, array.transpose("a", "b"), array[::-1], array[:, ::-1].transpose("a", "b")):
        landscape = la.from_grid(other)
        assert landscape.home == (0.0, 2.0, 0.0, 1.0)
        np.testing.assert_array_equal(landscape.grid((0, 2, 0, 1), (3, 5)), values)
    assert la.from_grid(array[0]).on_line
    assert la.from_grid(array, field="error").fields == ("error",)


def test_what_is_no_dataset_of_a_map_is_refused_in_words():
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(GOOD, {"b": [0.0, 1.0, 2.0], "a": [0.0, 1.0, 2.0, 3.0]}, ("b", "a"))
    uneven = xarray.DataArray(GOOD, {"b": [0.0, 1.0, 2.0], "a": [0.0, 1.0, 2.0, 4.0]}, ("b", "a"))
    for other, words in (
        (array.rename(a="x"), r"The dimensions are \('b', 'x'\)"),
        (array.drop_vars("a"), "with these coordinates"),
        (uneven, "The coordinate a has steps from 1 to 2. Pass evenly spaced points"),
        (
            array.assign_coords(a=[0.0, 1.0, 2.0, math.nan]),
            "The coordinate a holds values that are no finite numbers",
        ),
        (xarray.Dataset(), r"The dimensions are \(\)"),
        (xarray.Dataset({"loss": array, "row": array[0].drop_vars("b")}), r"'row' has dimensions \('a',\)"),
    ):
        with pytest.raises(ValueError, match=words):
            la.from_grid(other)
    with pytest.raises(TypeError, match="brings its extent"):
        la.from_grid(array, SQUARE)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 40), st.integers(2, 40), st.integers(0, 2**32 - 1),
    st.floats(-100, 100), st.floats(-100, 100), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3),
)  # fmt: skip
def test_on_any_extent_any_grid_is_read_back_to_the_bit(rows, columns, seed, a0, b0, width, height):
    values = np.random.default_rng(seed).standard_normal((rows, columns))
    extent = (a0, a0 + width, b0, b0 + height)
    landscape = la.from_grid(values, extent)
    np.testing.assert_array_equal(landscape.grid(extent, (rows, columns)), values)
    np.testing.assert_array_equal(landscape.map(extent, (rows, columns)).values, values)
    assert all(landscape.known(tile) is not None for tile in home_tiles(extent, level_of(extent)))


def test_a_page_is_sent_the_spline_and_told_that_its_error_is_unknown():
    landscape, page = la.from_grid(grid(quadratic, SQUARE, (51, 51)), SQUARE), Page()
    session = Session(landscape, page.receive)
    try:
        session.handle(page.hello())
        page.wait_for(lambda: len(page.tiles()) == 4, "the home view")
        session.handle(page.want([(5, 3, 3), (0, 7, 7)]))
        page.wait_for(lambda: (5, 3, 3) in page.tiles(), "a deep tile")
        status = page.wait_for(lambda: page.heads("status"), "a status")[-1]
        assert (status["state"], status["queue"]) == ("idle", 0)
        for head, values in page.tiles().values():
            assert head["error"] is None
            a, b = np.meshgrid(*TileAddress(head["z"], head["x"], head["y"]).axes(33))
            np.testing.assert_allclose(values, quadratic(a, b), rtol=0, atol=1e-5)  # float32 differences
        session.handle(page.want([(6, 3, 3)], rev=2))
        error = page.wait_for(lambda: page.heads("error"), "an error")[0]
        assert "outside the levels" in error["text"]
    finally:
        session.close()


def test_a_plane_that_cannot_be_turned_has_no_sliders():
    explorer = la.from_grid(GOOD, SQUARE).explore()
    try:
        assert "turns" not in explorer.scene
        with pytest.raises(TypeError, match="knows no directions to turn to"):
            explorer.panel  # noqa: B018
    finally:
        explorer.close()


def test_a_grid_is_shown_as_the_last_line_of_a_cell():
    for landscape in (
        la.from_grid(grid(quadratic, SQUARE, (51, 51)), SQUARE),
        la.from_grid(np.arange(9.0) ** 2, (0, 1)),
    ):
        bundle = landscape._repr_mimebundle_()
        assert "image/png" in (bundle[0] if isinstance(bundle, tuple) else bundle)


def test_the_arrays_of_loss_landscapes_go_in_as_the_docstring_says():
    pytest.importorskip("loss_landscapes")
    import loss_landscapes

    model = torch.nn.Linear(2, 1, bias=False)
    start = torch.tensor([[2.0, -1.0]])
    with torch.no_grad():
        model.weight.copy_(start)

    def metric(_model):
        return float(model.weight.detach().square().sum())

    torch.manual_seed(0)
    steps = 10
    values = loss_landscapes.random_plane(
        model, metric, distance=1, steps=steps, normalization="model", deepcopy_model=False
    )
    extent = (-1, 1 - 2 / steps, -1, 1 - 2 / steps)
    landscape = la.from_grid(values.T, extent)
    # The model in the middle, where the docstring has it: in a row of odd index, which is not shifted.
    row = np.array([abs(value - float((start**2).sum())) for value in values[steps // 2]])
    assert row.argmin() in (steps // 2, steps // 2 - 1)
    assert landscape.evaluate(0.0, extent[2] + 2 / steps * row.argmin()) == pytest.approx(5.0, abs=1e-5)


def test_no_grid_needs_xarray():
    code = "import sys; sys.modules['xarray'] = None; import lossatlas as la; la.from_grid([[0, 1], [2, 3]], (0, 1, 0, 1))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
