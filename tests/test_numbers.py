"""The numbers of a view in other hands: what is read back is what was computed."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lossatlas as la
from tests.zoo import F, classification, mlp

VIEW = (-1.0, 0.5, -0.25, 0.25)


def network() -> la.Landscape:
    objective = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(60), fields=("loss", "accuracy"))
    return la.Landscape(objective, la.Plane.random(objective), title="two\nlines")


def on_line() -> la.Landscape:
    origin = torch.zeros(2, dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: torch.log(t[0]), origin)
    return la.Landscape(objective, la.Line(origin, torch.tensor([1.0, 0.0]).double()))


def test_an_npz_has_every_field_its_places_and_what_they_are_without_a_pickle(tmp_path: Path) -> None:
    landscape, path = network(), tmp_path / "map.npz"
    landscape.to_npz(path, VIEW, pixels=(5, 7), fields=("loss", "accuracy"), tolerance=0)
    with np.load(path, allow_pickle=False) as found:
        np.testing.assert_array_equal(found["a"], np.linspace(-1.0, 0.5, 7))
        np.testing.assert_array_equal(found["b"], np.linspace(-0.25, 0.25, 5))
        for field in ("loss", "accuracy"):
            np.testing.assert_array_equal(found[field], landscape.grid(VIEW, (5, 7), field=field))
        about = json.loads(str(found["about"]))
    assert about["recipe"] == landscape.scene.hash
    assert about["caption"] == landscape.caption()
    assert about["error"] == {"loss": 0.0, "accuracy": 0.0}
    assert about["axes"][0]["name"] == landscape.scene.axes[0][0]


def test_a_view_within_a_tolerance_says_what_it_may_be_off_by(tmp_path: Path) -> None:
    landscape = network()
    landscape.to_npz(tmp_path / "map.npz", VIEW, pixels=(33, 33), tolerance=0.05)
    found = landscape.map(VIEW, (33, 33), 0.05)
    with np.load(tmp_path / "map.npz", allow_pickle=False) as read:
        np.testing.assert_array_equal(read["loss"], found.values)
        assert json.loads(str(read["about"]))["error"]["loss"] == found.error > 0


def test_the_same_numbers_are_the_same_file(tmp_path: Path) -> None:
    for kind in ("npz", "csv"):
        for name in ("one", "two"):
            getattr(network(), f"to_{kind}")(tmp_path / f"{name}.{kind}", VIEW, pixels=5)
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_a_csv_has_a_row_a_point_with_every_digit_and_its_caption_above(tmp_path: Path) -> None:
    landscape, path = network(), tmp_path / "map.csv"
    landscape.to_csv(path, VIEW, pixels=(2, 3), fields=("loss", "accuracy"), tolerance=0)
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line for line in lines if line.startswith("#")]
    assert comments[0] == "# title: two lines"
    assert any(landscape.scene.hash in line for line in comments)
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert [float(row["b"]) for row in rows] == [-0.25] * 3 + [0.25] * 3
    for field in ("loss", "accuracy"):
        read = np.array([float(row[field]) for row in rows]).reshape(2, 3)
        np.testing.assert_array_equal(read, landscape.grid(VIEW, (2, 3), field=field))


def test_the_numbers_of_a_line_have_one_coordinate_and_keep_what_is_not_finite(tmp_path: Path) -> None:
    landscape = on_line()
    landscape.to_csv(tmp_path / "line.csv", (-1, 1), pixels=3)
    rows = [row for row in (tmp_path / "line.csv").read_text().splitlines() if not row.startswith("#")]
    assert rows == ["a,loss", "-1.0,nan", "0.0,-inf", "1.0,0.0"]
    found = landscape.numbers((-1, 1), pixels=3)
    assert found.b.size == 0
    np.testing.assert_array_equal(found.values["loss"], [np.nan, -np.inf, 0.0])


def test_a_dataset_has_dimensions_coordinates_and_attributes() -> None:
    pytest.importorskip("xarray")
    landscape = network()
    found = landscape.to_xarray(VIEW, pixels=(5, 7), fields=("loss", "accuracy"), tolerance=0)
    assert found["loss"].dims == ("b", "a")
    assert dict(found.sizes) == {"b": 5, "a": 7}
    np.testing.assert_array_equal(found["accuracy"], landscape.grid(VIEW, (5, 7), field="accuracy"))
    assert found["loss"].attrs["error"] == 0.0
    assert found.attrs["recipe"] == landscape.scene.hash
    assert found["a"].attrs["long_name"] == landscape.scene.axes[0][0]
    assert float(found["loss"].sel(a=0.5, b=0.25)) == landscape.evaluate(0.5, 0.25)
    assert on_line().to_xarray((0.5, 1), pixels=4)["loss"].dims == ("a",)


def test_without_xarray_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    landscape = network()
    with pytest.raises(
        ImportError, match=r"xarray, which is not installed. Run: pip install 'lossatlas\[numbers\]'"
    ):
        landscape.to_xarray()
    assert landscape.evaluated == 0


def test_what_cannot_be_written_is_refused_before_anything_is_evaluated(tmp_path: Path) -> None:
    landscape = network()
    for call, words in (
        (lambda: landscape.to_npz(tmp_path / "map.csv"), "Pass one that ends in .npz"),
        (lambda: landscape.to_csv(tmp_path / "no" / "map.csv"), "does not exist. Make it first"),
        (lambda: landscape.to_npz(tmp_path / "map.npz", fields=("depth",)), "There is no field 'depth'"),
        (lambda: landscape.to_npz(tmp_path / "map.npz", fields=()), "Pass names of loss, accuracy"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert landscape.evaluated == 0


def test_a_field_that_is_called_as_a_part_of_the_file_is_refused() -> None:
    fields = ("loss", {"b": lambda output, y: output.square().mean()})
    objective = la.Objective(mlp(6, 8, 3), F.cross_entropy, classification(20), fields=fields)
    with pytest.raises(ValueError, match="A field is called 'b', as is a part of the file"):
        la.Landscape(objective, la.Plane.random(objective)).numbers(fields=("loss", "b"))
