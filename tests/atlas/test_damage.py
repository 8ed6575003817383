"""Bad files: each is said in words, nothing runs, nothing is lost, and what can be used is used."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import zlib
from pathlib import Path

import numpy as np
import pytest

import lossatlas as la
from lossatlas.atlas import file as atlas_file
from lossatlas.atlas import open_atlas, schema
from lossatlas.geometry import TileAddress
from tests.atlas.helpers import ADDRESSES, check_integrity, function, landscape

HOME = TileAddress(0, 0, 0)


@pytest.fixture(scope="module")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run.atlas"
    kept = landscape()
    for address in ADDRESSES:
        kept.tile(address)
    kept.evaluate(0.1, np.linspace(0, 0.9, 20))
    kept.save(path)
    open_atlas(path).close()
    return path


@pytest.fixture
def path(_whole: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "run.atlas"
    shutil.copyfile(_whole, copy)
    return copy


def changed(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def all_values(kept: la.Landscape) -> bytes:
    return b"".join(kept.tile(address).values.tobytes() for address in ADDRESSES)


def test_a_file_that_is_no_atlas_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text, other = tmp_path / "notes.txt", tmp_path / "other.sqlite"
    text.write_text("these are notes\n" * 20)
    changed(other, "CREATE TABLE mine (a)", "INSERT INTO mine VALUES (1)")
    for where, words in ((text, "it is not an SQLite file"), (other, "it is an SQLite file, but no atlas")):
        before = where.read_bytes()
        for act in (lambda p=where: la.load(p), lambda p=where: la.load(p, function()), lambda p=where: landscape(p), lambda p=where: landscape().save(p)):  # fmt: skip
            with pytest.raises(ValueError, match=words):
                act()
        assert where.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["notes.txt", "other.sqlite"]


def test_a_path_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder. Pass the path of a file"):
        landscape(tmp_path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        la.load(tmp_path)
    with pytest.raises(ValueError, match="starts with ~, which is not replaced"):
        landscape("~/run.atlas")
    with pytest.raises(ValueError, match="The path of an atlas is ''"):
        landscape("")
    with pytest.raises(TypeError, match="is a int"):
        landscape(3)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        la.load(tmp_path / "none.atlas", function())
    (tmp_path / "file").touch()
    with pytest.raises(PermissionError, match="cannot be written here"):
        landscape(tmp_path / "file" / "run.atlas")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "name", ["a run.atlas", "läuft 🗺.atlas", "100%?#x=1&mode=memory.atlas", "a;b'c\".atlas", ":memory:"]
)
def test_any_name_of_a_file_is_that_name(tmp_path: Path, name: str) -> None:
    kept = landscape(tmp_path / "new" / "folder" / name)
    kept.evaluate(0.5, 0.5)
    kept.atlas.close()
    assert [one.name for one in (tmp_path / "new" / "folder").iterdir()] == [name]
    assert la.load(tmp_path / "new" / "folder" / name).evaluate(0.5, 0.5) == kept.evaluate(0.5, 0.5)


def test_damaged_rows_are_left_out_by_who_reads_and_evaluated_again_by_who_goes_on(path: Path) -> None:
    whole = landscape()
    expected = all_values(whole)
    changed(path, "UPDATE tiles SET data = zeroblob(length(data)) WHERE z = 0")
    held = la.load(path)
    assert held.source.known(HOME, "loss") is not None  # of what is left
    assert not held.source.known(HOME, "loss").complete
    assert "damaged rows of nodes: they are left out" in held.report()
    kept = la.load(path, function())
    before = kept.evaluated
    assert all_values(kept) == expected
    assert 0 < kept.evaluated - before < whole.evaluated / 2
    assert "what they held is evaluated again" in kept.report()
    kept.atlas.close()
    assert la.load(path).source.known(HOME, "loss").complete


def test_values_that_were_exchanged_between_rows_are_noticed(path: Path) -> None:
    changed(
        path,
        "UPDATE tiles SET (count, evaluated, data, checksum) = (SELECT count, evaluated, data, checksum FROM tiles "
        "WHERE z = 2 AND x = 1 AND y = 1) WHERE z = 2 AND x = 0 AND y = 0",
    )
    held = la.load(path)
    assert not held.source.known(TileAddress(2, 0, 0), "loss").complete
    assert held.source.known(TileAddress(2, 1, 1), "loss").complete
    assert "1 damaged row" in held.report()


@pytest.mark.parametrize("part", [0.35, 0.6, 0.9, 0.97])
def test_what_can_be_read_of_a_truncated_file_is_used(path: Path, part: float) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(int(size * part))
    damaged = path.read_bytes()
    try:
        held = la.load(path)
    except ValueError as error:  # too little is left for a scene
        assert "holds no scene that can be read" in str(error) and "was damaged" in str(error)  # noqa: PT018
    else:
        assert "was damaged" in held.report()
    assert path.read_bytes() == damaged
    objective = function()
    kept = la.Landscape(objective, la.Plane.random(objective, seed=1), store=path)
    assert "was damaged" in kept.report()
    before = kept.evaluated
    assert all_values(kept) == all_values(landscape())
    if part > 0.8:
        assert kept.evaluated - before < 8000
    kept.atlas.close()
    check_integrity(path)
    assert path.with_name("run.atlas.damaged-1").read_bytes() == damaged


def test_any_flipped_bytes_change_no_value(path: Path) -> None:
    expected, draw = landscape(), np.random.default_rng(0)
    whole = path.read_bytes()
    for _ in range(25):
        data = bytearray(whole)
        for place in draw.integers(0, len(data), 30):
            data[place] ^= int(draw.integers(1, 256))
        path.write_bytes(data)
        try:
            held = la.load(path)
        except (ValueError, OSError):
            continue
        for address in ADDRESSES:
            found = held.source.known(address, "loss")
            if found is not None:
                side = found.nodes
                exact = expected.tile(address).values[:: 32 // (side - 1), :: 32 // (side - 1)]
                assert found.values.tobytes() == exact.tobytes()


def test_a_file_that_is_not_even_a_database_any_more_is_refused(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(3000))
    before = path.read_bytes()
    for act in (lambda: la.load(path), lambda: landscape(path)):
        with pytest.raises(ValueError, match="cannot be"):
            act()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON tiles BEGIN DELETE FROM scenes; END", "a trigger 't'"),
        ("CREATE VIEW v AS SELECT * FROM tiles", "a view 'v'"),
        ("CREATE TABLE more (a)", "a table 'more'"),
        ("CREATE INDEX i ON tiles (z, abs(x))", "a index 'i'"),
        ("ALTER TABLE tiles ADD COLUMN more AS (abs(x))", "its table 'tiles' is another one"),
        ("DROP TABLE notes", "its table 'notes' is missing"),
        (f"PRAGMA user_version = {schema.VERSION + 1}", "Open it with a newer lossatlas"),
        ("PRAGMA application_id = 7", "no atlas of lossatlas"),
    ],
)  # fmt: skip
def test_a_file_with_anything_else_in_it_is_refused(path: Path, statement: str, words: str) -> None:
    changed(path, statement)
    before = path.read_bytes()
    for act in (lambda: la.load(path), lambda: landscape(path), lambda: landscape().save(path)):
        with pytest.raises(ValueError, match=words):
            act()
    assert path.read_bytes() == before


def test_a_view_in_place_of_a_table_is_refused(path: Path) -> None:
    changed(path, "DROP TABLE tiles", "CREATE VIEW tiles AS SELECT 1")
    with pytest.raises(ValueError, match="it has a view 'tiles'"):
        la.load(path)


def test_a_file_is_opened_so_that_it_can_run_nothing(path: Path) -> None:
    with open_atlas(path, write=False).file.reading() as connection:
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)
        assert connection.execute("PRAGMA cell_size_check").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM tiles")
        if hasattr(connection, "getconfig"):
            assert connection.getconfig(atlas_file._DEFENSIVE)


def test_scenes_that_a_stranger_wrote_are_left_out(path: Path) -> None:
    bomb = zlib.compress(bytes(1 << 26))
    changed(path, "UPDATE scenes SET head = '{\"scene\": {}}'")
    with pytest.raises(ValueError, match="holds no scene that can be read") as told:
        la.load(path)
    assert "1 scenes or findings could not be read" in str(told.value)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE tiles SET data = ? WHERE z = 0", (bomb,))
    connection.close()
    kept = landscape(path)  # its nodes are found by their hashes
    kept.tile(HOME)
    kept.tile(TileAddress(2, 1, 1))
    assert kept.evaluated < 1200


def test_a_vector_with_other_bytes_is_said(tmp_path: Path) -> None:
    objective, path = function(), tmp_path / "run.atlas"
    plane = la.Plane(objective.theta, objective.theta.flip(0), objective.theta.roll(1))
    kept = la.Landscape(objective, plane, store=path)
    kept.evaluate(0.5, 0.5)
    kept.atlas.close()
    again = la.load(path, function())
    assert again.plane.u.tolist() == plane.u.tolist()
    again.atlas.close()
    changed(path, "UPDATE vectors SET data = zeroblob(length(data))")
    with pytest.raises(ValueError, match="is damaged .*Pass the plane itself"):
        la.load(path, function())
    assert la.load(path).evaluate(0.5, 0.5) == kept.evaluate(0.5, 0.5)


def test_a_full_disk_is_said_once_and_the_computation_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = landscape(tmp_path / "run.atlas")
    kept.tile(HOME)
    kept.flush()
    with kept.atlas.file.writing():
        pass
    connection = kept.atlas.file._writer
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with caplog.at_level(logging.WARNING, "lossatlas"):
        for address in ADDRESSES:
            kept.tile(address)
        with pytest.warns(RuntimeWarning, match="the disk is full.*What was written stays"):
            kept.flush()
        kept.flush()  # said once
    assert kept.report().count("the disk is full") == 1
    assert sum("the disk is full" in record.message for record in caplog.records) == 1
    assert la.load(tmp_path / "run.atlas").tile(HOME).evaluated.all()
    with pytest.raises(OSError, match="the disk is full"):
        kept.save(tmp_path / "run.atlas")
    connection.execute("PRAGMA max_page_count = 1073741823")
    kept.flush()  # there is room again
    assert "full" not in kept.report()
    kept.atlas.close()
    held = la.load(tmp_path / "run.atlas")
    assert all(held.source.known(address, "loss").complete for address in ADDRESSES)
    check_integrity(tmp_path / "run.atlas")


def test_what_could_not_be_saved_is_all_there_once_it_can_be(tmp_path: Path) -> None:
    path, first, second = tmp_path / "run.atlas", landscape(tmp_path / "run.atlas"), landscape(size=4)
    first.evaluate(0.5, 0.5)
    first.flush()
    for address in ADDRESSES:
        second.tile(address)
    connection = first.atlas.file._writer
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 3}")
    with pytest.raises(OSError, match="the disk is full"):
        second.save(path)
    connection.execute("PRAGMA max_page_count = 1073741823")
    first.evaluate(0.25, 0.5)  # takes the number that the other layer was to have
    second.save(path)
    held = la.load(path, scene=second.scene.hash)
    assert held.evaluated == second.evaluated
    assert all(held.source.known(address, "loss").complete for address in ADDRESSES)
    assert la.load(path, scene=first.scene.hash).evaluated == 2


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_file_or_folder_is_read_and_not_written(path: Path) -> None:
    path.parent.chmod(0o500)
    path.chmod(0o400)
    try:
        assert la.load(path).tile(HOME).evaluated.all()
        with pytest.raises(PermissionError, match="cannot be written"):
            landscape(path)
        with pytest.raises(PermissionError):
            landscape().save(path.with_name("other.atlas"))
    finally:
        path.parent.chmod(0o700)


def test_a_file_that_may_only_be_read_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atlas_file.os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match=r"cannot be written here .*Pass a path in a folder of yours"):
        landscape(path)
    assert la.load(path).tile(HOME).evaluated.all()


def test_an_atlas_in_a_folder_without_room_for_its_log_is_read_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = atlas_file._connected

    def refusing(where: Path, mode: str, *options: str) -> sqlite3.Connection:
        if mode == "ro" and not options:
            raise sqlite3.OperationalError("unable to open database file")
        return connected(where, mode, *options)

    monkeypatch.setattr(atlas_file, "_connected", refusing)
    assert la.load(path).tile(HOME).evaluated.all()


def test_a_file_that_is_removed_while_it_is_written_is_said_and_a_new_one_is_another(tmp_path: Path) -> None:
    path, kept = tmp_path / "run.atlas", landscape(tmp_path / "run.atlas")
    kept.evaluate(0.5, 0.5)
    kept.flush()
    for file in tmp_path.iterdir():
        file.unlink()
    kept.evaluate(0.25, 0.5)
    with pytest.warns(RuntimeWarning, match="was moved, removed or replaced"):
        kept.flush()
    assert kept.evaluate(0.25, 0.5) == landscape().evaluate(0.25, 0.5)
    fresh = landscape(path)
    assert fresh.atlas is not kept.atlas
    assert not fresh.knows([(0.5, 0.5)])
    fresh.evaluate(0.75, 0.5)
    fresh.flush()
    assert la.load(path).evaluated == 1


def test_a_file_that_was_replaced_is_read_anew(path: Path) -> None:
    held = la.load(path)
    before = held.evaluated
    other = landscape()
    other.evaluate(0.5, 0.5)
    other.save(path.with_name("other.atlas"))
    path.with_name("other.atlas").replace(path)
    assert la.load(path).evaluated == 1
    assert held.evaluated == before


def test_a_file_that_is_removed_while_it_is_closed_is_made_anew_by_who_goes_on(tmp_path: Path) -> None:
    first = landscape(tmp_path / "run.atlas", size=4)
    first.evaluate(0.1, 0.1)
    first.flush()
    with pytest.warns(UserWarning, match="kept beside"):
        kept = landscape(tmp_path / "run.atlas")
    kept.evaluate(0.5, 0.5)
    kept.atlas.close()
    (tmp_path / "run.atlas").unlink()
    kept.evaluate(0.25, 0.5)
    kept.atlas.close()
    connection = sqlite3.connect(tmp_path / "run.atlas")
    found = connection.execute(
        "SELECT objective, count FROM tiles JOIN layers ON layer = layers.id"
    ).fetchall()
    connection.close()
    assert [row.scene.hash for row in kept.atlas.scenes()] == [kept.scene.hash]
    assert found == [(kept.objective.hash, 1)]  # under its own layer, whatever number that had before
