"""What belongs to a scene beside its nodes: spectra, views, notes and paths."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

import lossatlas as la
from lossatlas.atlas import codec, open_atlas
from tests.atlas.helpers import landscape, network


def test_findings_come_back_by_kind_scene_and_name_and_are_replaced(tmp_path: Path) -> None:
    atlas = open_atlas(tmp_path / "run.atlas")
    atlas.keep("notes", "scene", "one", {"text": "<script>θ"}, {"at": np.array([0.5, np.nan])})
    atlas.keep("notes", "scene", "two", [1, 2.5, None])
    atlas.keep("notes", "other", "one", "x")
    atlas.keep_soon("views", "scene", "view", {"span": 1})
    atlas.keep_soon("views", "scene", "view", {"span": 2})
    found = atlas.kept("notes", "scene")
    assert list(found) == ["one", "two"]
    value, arrays = found["one"]
    assert value == {"text": "<script>θ"}
    assert arrays["at"].tobytes() == np.array([0.5, np.nan]).tobytes()
    assert atlas.kept("views", "scene")["view"][0] == {"span": 2}
    atlas.keep("notes", "scene", "one", None)
    assert list(atlas.kept("notes", "scene")) == ["two"]
    with pytest.raises(ValueError, match="kind is 'tiles'. Pass one of spectra, paths, views, notes"):
        atlas.keep("tiles", "scene", "one", 1)
    with pytest.raises(ValueError, match="Out of range float"):
        atlas.keep("notes", "scene", "one", float("nan"))


def test_a_damaged_finding_is_left_out_and_said(tmp_path: Path) -> None:
    atlas = open_atlas(tmp_path / "run.atlas")
    atlas.keep("notes", "scene", "one", 1)
    atlas.keep("notes", "scene", "two", 2)
    atlas.close()
    connection = sqlite3.connect(tmp_path / "run.atlas")
    connection.execute("UPDATE notes SET value = '7' WHERE name = 'one'")
    connection.commit()
    connection.close()
    assert list(atlas.kept("notes", "scene")) == ["two"]
    assert any("1 scenes or findings could not be read" in note for note in atlas.notes)


def test_a_finished_spectrum_is_read_back_instead_of_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective, path = network(), tmp_path / "run.atlas"
    kept = la.Landscape(objective, la.Plane.random(objective), store=path)
    first = kept.spectrum((0.25, 0.5), top=3, bottom=1)
    kept.evaluate(0.0, 0.0)
    kept.atlas.close()
    again = la.load(path, network())
    monkeypatch.setattr(
        "lossatlas.at_point.spectrum_at", lambda *_, **__: pytest.fail("it was computed again")
    )
    found = again.spectrum((0.25, 0.5), top=3, bottom=1)
    for name in ("eigenvalues", "residuals", "converged"):
        assert getattr(found, name).tobytes() == getattr(first, name).tobytes()
    assert found.eigenvectors.equal(first.eigenvectors)
    assert found.density.values.tobytes() == first.density.values.tobytes()
    assert (found.trace, found.trace_error, found.products, found.exact, found.form) == (
        first.trace, first.trace_error, first.products, first.exact, first.form,
    )  # fmt: skip
    with pytest.raises(BaseException, match="computed again"):
        again.spectrum((0.25, 0.5), top=4, bottom=1)


def test_one_finding_is_read_without_the_others_and_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas, read = open_atlas(tmp_path / "run.atlas"), []
    unpacked = codec.unpacked_arrays
    monkeypatch.setattr(codec, "unpacked_arrays", lambda body: read.append(body) or unpacked(body))
    monkeypatch.setattr(atlas._writer, "_transaction", lambda *_: pytest.fail("it was written first"))
    with atlas._writer._writing:
        for number in range(5):
            atlas.keep("spectra", "scene", f"{number}", number, {"at": np.full(3, number)})
        assert atlas.kept_one("spectra", "scene", "3")[0] == 3
        monkeypatch.undo()
    monkeypatch.setattr(codec, "unpacked_arrays", lambda body: read.append(body) or unpacked(body))
    atlas.flush()
    assert atlas._unsettled == {}
    value, arrays = atlas.kept_one("spectra", "scene", "4")
    assert (value, arrays["at"].tolist()) == (4, [4, 4, 4])
    assert len(read) == 2
    assert atlas.kept_one("spectra", "scene", "5") is None
    atlas.keep("spectra", "scene", "4", None)
    assert atlas.kept_one("spectra", "scene", "4") is None
    atlas.flush()
    assert atlas.kept_one("spectra", "scene", "4") is None


def test_the_next_explorer_of_a_scene_begins_where_the_last_one_was(tmp_path: Path) -> None:
    path = tmp_path / "run.atlas"
    first = landscape(path).explore()
    first.view = {"center": [0.25, -0.5], "span": 0.125}
    first.turn_u = 30
    first.bookmark("here")
    first.turn_u = 0
    first.mark(0.5, 0.5, "<b>a note</b>")
    first.paths = [{"name": "run 1", "points": [[0.0, 0.0], [0.5, 0.25]]}]
    first.landscape.evaluate(0.0, 0.0)
    marks, bookmarks = first.marks, first.bookmarks
    first.landscape.flush()
    first.close()
    for source in (landscape(path), la.load(path, scene=landscape(path).scene.hash)):
        again = source.explore()
        assert again.view == {"center": [0.25, -0.5], "span": 0.125}
        assert again.bookmarks == bookmarks
        assert again.marks == marks
        assert again.paths[0]["points"] == [[0.0, 0.0], [0.5, 0.25]]
        again.close()
    other = landscape(path).explore(view={"center": [0.0, 0.0], "span": 1.0})
    assert other.view["span"] == 1.0
    other.close()


def test_what_a_stranger_kept_as_a_view_does_not_keep_the_map_from_opening(tmp_path: Path) -> None:
    path = tmp_path / "run.atlas"
    kept = landscape(path)
    kept.atlas.keep("views", kept.scene.hash, "view", "not a view")
    kept.atlas.keep("notes", kept.scene.hash, "marks", [{"a": "x"}])
    explorer = kept.explore()
    assert explorer.view["span"] == 2.0
    explorer.close()
