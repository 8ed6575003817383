"""A landscape with a store: what was evaluated is found again, by its own process and by others."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lossatlas as la
from lossatlas.atlas import Subject, open_atlas, raw
from lossatlas.atlas import atlas as module
from lossatlas.atlas.file import AtlasFile
from lossatlas.atlas.layers import Rows
from lossatlas.atlas.nodes import StoredNodes
from lossatlas.geometry import CELLS, TileAddress, Turn
from lossatlas.sampling import checks_of, nodes_of, parts, read_pass
from tests.atlas.helpers import ADDRESSES, compute, function, hold, landscape, network, processes, wave

HOME = TileAddress(0, 0, 0)


class Pretend:
    """Keeps nodes as an atlas does, when told to."""

    def __init__(self, path: Path, *, line: bool = False, columns: tuple[str, ...] = ("loss",)) -> None:
        self.file = AtlasFile(path, write=True)
        self.subject = Subject("objective", "plane", columns, line, -20, 40)
        self.stores: list[StoredNodes] = []

    def open(self, **options: int) -> StoredNodes:
        return StoredNodes(Rows(self.file, self.subject), self, **options)

    def wake(self, store: StoredNodes) -> None:
        self.stores.append(store)

    def flush(self) -> None:
        stores, self.stores = self.stores, []
        for store in stores:
            nodes = store.take(1 << 30)
            with self.file.writing() as connection:
                store.rows.merge(connection, [p for p, _ in nodes], np.array([row for _, row in nodes]))

    settle = flush


@st.composite
def tiles(draw: st.DrawFn) -> TileAddress:
    z = draw(st.integers(-20, 40))
    index = st.integers(-3, 3) | st.integers(-(2**20), 2**20)
    return TileAddress(z, draw(index), draw(index))


@given(st.lists(tiles(), min_size=1, max_size=3), st.data())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_part_of_some_tiles_was_put_is_what_is_known_of_them_when_they_are_opened_again(
    tmp_path: Path, addresses: list[TileAddress], data: st.DataObject
) -> None:
    path = tmp_path / f"{time.monotonic_ns()}.atlas"
    kept = Pretend(path)
    store = kept.open()
    for address in addresses:
        for _, piece in parts(store, address, most=data.draw(st.sampled_from([3, 5, 9, 17]))):
            for a, b in piece:
                store.put((a, b), np.array([np.sin(a) + 3 * b]))
        if data.draw(st.booleans()):
            kept.flush()
    kept.flush()
    for address in addresses:  # each by itself: it brings all that it needs
        again = kept.open()
        here, there = (read_pass(one, address, 0, 1e-16) for one in (store, again))
        assert here is not None
        assert there is not None
        assert (here.rank, here.values.tobytes()) == (there.rank, there.values.tobytes())
        assert parts(again, address) == parts(store, address)
        points = nodes_of(address, CELLS + 1) + checks_of(address)
        assert kept.open().wanted(points) == store.wanted(points)
    kept.file.close()
    path.unlink()


def test_memory_follows_what_is_looked_at(tmp_path: Path) -> None:
    kept = Pretend(tmp_path / "run.atlas")
    store = kept.open()
    for x in range(40):
        for point in nodes_of(TileAddress(6, x, 3), CELLS + 1):
            store.put(point, np.array(point[:1]))
    kept.flush()
    again = kept.open()
    assert len(again) == 0
    again.look(TileAddress(6, 7, 3))
    assert 1089 <= len(again) < 4 * 1089
    assert again.evaluated == 0


def test_what_was_forgotten_for_its_memory_is_read_again(tmp_path: Path) -> None:
    kept = Pretend(tmp_path / "run.atlas")
    store = kept.open(budget=1)  # a generation of as few nodes as may be
    points = [(float(a), float(b)) for a in range(40) for b in range(3)] + [
        (0.1 * a, 0.7) for a in range(1, 40)
    ]
    for point in points:
        store.put(point, np.array([point[0] - point[1]]))
    assert len(store) < 5
    assert store.wanted(points) == []
    assert store.get(points)[:, 0].tolist() == [a - b for a, b in points]
    assert store.evaluated == len(points)


def test_loose_points_asked_for_one_by_one_share_rows_and_are_found_again(tmp_path: Path) -> None:
    kept = Pretend(tmp_path / "run.atlas")
    store = kept.open()
    points = [(0.1 + index / 7, -0.3) for index in range(50)]
    opened = kept.open()
    for point in points:
        store.put(point, np.array([point[0]]))
        kept.flush()
        opened.hear()
    with kept.file.reading() as connection:
        assert connection.execute("SELECT count(*), sum(count) FROM points").fetchone() == (1, 50)
    assert kept.open().wanted([*points, (9.1, 0.0)]) == [(9.1, 0.0)]
    assert opened.wanted(points) == []


def test_a_line_is_kept_like_a_plane(tmp_path: Path) -> None:
    objective = function()
    line = la.Line(objective.theta, objective.theta.flip(0))
    first = la.Landscape(objective, line, store=tmp_path / "line.atlas")
    profile = first.profile(num=65)
    first.evaluate(0.123)
    first.atlas.close()
    held = la.load(tmp_path / "line.atlas")
    assert held.on_line
    assert held.profile(num=65).values.tobytes() == profile.values.tobytes()
    again = la.load(tmp_path / "line.atlas", function())
    again.profile(num=65)
    assert again.evaluated == first.evaluated  # the very store: it is the same process
    check = again._layer("loss")
    assert check.known(TileAddress(0, 0, 0), "loss") is not None


def test_every_field_and_every_turned_plane_is_kept_in_the_one_file(tmp_path: Path) -> None:
    path, objective = tmp_path / "run.atlas", network()
    first = la.Landscape(objective, la.Plane.random(objective), store=path)
    turned = first.turned(Turn(30, offset=0.25))
    a, b = np.array(nodes_of(HOME, 3)).T
    expected = {
        field: (first.evaluate(a, b, field=field), turned.evaluate(a, b, field=field))
        for field in ("loss", "curvature_max", "trace")
    }
    errors = first.evaluate(0.5, 0.5, field="trace_error")
    first.atlas.close()
    held = la.load(path, scene=first.scene.hash)
    other = held.turned(Turn(30, offset=0.25))
    assert other.scene == la.load(path, scene=turned.scene.hash).scene
    assert held.fields == ("loss", "curvature_max", "curvature_min", "trace")
    for field, values in expected.items():
        for one, known in zip((held, other), values, strict=True):
            assert one.evaluate(a, b, field=field).tobytes() == known.tobytes()
            assert one.tile(HOME, field=field).nodes == 3
    store, column = held.source._layers["trace"]
    assert store.get([(0.5, 0.5)])[0, column + 1] == errors
    with pytest.raises(ValueError, match="not held"):
        held.turned(Turn(31))


def test_a_difference_is_kept_with_what_was_rounded_for_it(tmp_path: Path) -> None:
    objective = network()
    x, y = objective.held[0].x, objective.held[0].y
    first = la.Landscape(objective, la.Plane.random(objective))
    gap = first.on((x[:40], y[:40])) - first
    tile = gap.tile(HOME, tolerance=0.3)
    gap.save(tmp_path / "gap.atlas")
    held = la.load(tmp_path / "gap.atlas").tile(HOME)
    assert held.values.tobytes() == tile.values.tobytes()
    assert held.error == tile.error


def test_values_are_those_of_the_strategy_that_was_chosen_when_the_file_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lossatlas.sampling.strategies import choice

    path = tmp_path / "run.atlas"
    monkeypatch.setattr(choice, "_winners", {})
    objective = network()
    choice._winners[objective.hash] = ("stack", ())
    kept = la.Landscape(objective, la.Plane.random(objective), store=path)
    kept.tile(HOME, tolerance=0.5)
    expected = kept.evaluate(0.3, 0.7)
    kept.atlas.close()
    choice._winners[objective.hash] = ("plain", ())  # what another process might have found
    other = network()
    plain = la.Landscape(other, la.Plane.random(other))
    plain.evaluate(0.0, 0.0)
    assert "one node at a time" in plain.report()
    again = la.load(path, other)
    assert "was evaluated so: stack" in again.report()
    for a, b in ((0.3, 0.7), (0.31, 0.71)):
        assert again.evaluate(a, b) == kept.evaluate(a, b)
    assert again.evaluate(0.3, 0.7) == expected
    plain.save(tmp_path / "plain.atlas")
    assert open_atlas(tmp_path / "plain.atlas", write=False).evaluator(other.hash)["name"] == "plain"


def test_a_strategy_that_cannot_be_made_any_more_is_said_and_another_goes_on(tmp_path: Path) -> None:
    path, objective = tmp_path / "run.atlas", network()
    atlas = open_atlas(path)
    atlas.put_evaluator(
        objective.hash, {"name": "of another time", "identity": "fast", "torch": "1.0", "device": "cpu"}
    )
    atlas.flush()
    kept = la.Landscape(objective, la.Plane.random(objective), store=path)
    kept.evaluate(0.5, 0.5)
    assert "another strategy (fast); new values agree with its values to rounding only" in kept.report()
    assert "torch was '1.0'" in kept.report()


def test_scenes_of_another_model_are_kept_beside_and_said_once(tmp_path: Path) -> None:
    path = tmp_path / "run.atlas"
    first = landscape(path)
    first.evaluate(0.5, 0.5)
    first.flush()
    with pytest.warns(UserWarning, match="kept beside this one and never mixed") as seen:
        other = landscape(path, size=4)
    assert "parameters" in str(seen[0].message)
    landscape(path, size=4)  # once
    other.evaluate(0.5, 0.5)
    other.flush()
    assert {row.scene.hash for row in other.atlas.scenes()} == {first.scene.hash, other.scene.hash}
    assert la.load(path).scene.hash == other.scene.hash  # the newest
    assert la.load(path, function()).scene.hash == first.scene.hash
    with pytest.raises(ValueError, match="holds no scene of this objective") as told:
        la.load(path, network())
    assert str(told.value).count("\n- ") == 2
    with pytest.raises(ValueError, match="holds no scene 'elsewhere'. It holds"):
        la.load(path, scene="elsewhere")


def test_save_writes_what_is_in_memory_and_adds_to_what_is_there(tmp_path: Path) -> None:
    path, kept = tmp_path / "new folder" / "ü ?#%20.atlas", landscape()
    tile = kept.tile(HOME)
    assert kept.save(path) == path
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert la.load(path).tile(HOME).values.tobytes() == tile.values.tobytes()
    more = landscape()
    more.tile(TileAddress(0, -1, -1))
    more.save(path)
    assert la.load(path).evaluated == len({*nodes(kept), *nodes(more)})
    stored = landscape(path)
    stored.save(tmp_path / "copy.atlas")
    assert la.load(tmp_path / "copy.atlas").evaluated == la.load(path).evaluated
    assert "lies in the plane" in la.load(path).caption() or "gradient" in la.load(path).caption()


def nodes(kept: la.Landscape) -> list[tuple[float, float]]:
    return kept._store.snapshot()[0]


def test_a_save_that_fails_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = landscape()
    kept.tile(HOME)
    with monkeypatch.context() as patch:
        patch.setattr(Rows, "merge", lambda *_: (_ for _ in ()).throw(OSError("no room")))
        with pytest.raises(OSError, match="no room"):
            kept.save(tmp_path / "run.atlas")
    assert list(tmp_path.iterdir()) == []
    kept.save(tmp_path / "run.atlas")
    assert la.load(tmp_path / "run.atlas").evaluated == kept.evaluated


def test_one_process_has_one_writer_and_another_one_is_told_so(tmp_path: Path) -> None:
    path, context = tmp_path / "run.atlas", processes()
    begun, end = context.Event(), context.Event()
    child = context.Process(target=hold, args=(str(path), begun, end))
    child.start()
    assert begun.wait(60)
    with pytest.raises(BlockingIOError, match=f"Process {child.pid} on .* is writing .*run.atlas"):
        landscape(path)
    held = la.load(path)  # reading along is free
    assert held.tile(HOME).evaluated.all()
    end.set()
    child.join(60)
    assert child.exitcode == 0
    mine = landscape(path)
    assert mine.atlas is landscape(os.path.relpath(path)).atlas
    assert mine.known(HOME) is not None


def test_the_lease_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path, context = tmp_path / "run.atlas", processes()
    begun, end = context.Event(), context.Event()
    child = context.Process(target=hold, args=(str(path), begun, end))
    child.start()
    assert begun.wait(60)
    child.kill()
    child.join(60)
    assert landscape(path).known(HOME) is not None


def test_a_reader_sees_what_another_process_writes_meanwhile(tmp_path: Path) -> None:
    path, context = tmp_path / "run.atlas", processes()
    begun = context.Event()
    child = context.Process(target=compute, args=(str(path), begun, 0.05))
    child.start()
    deadline, counts, held = time.monotonic() + 60, set(), None
    while time.monotonic() < deadline and (child.is_alive() or held is None):
        if held is None and path.exists():
            try:
                held = la.load(path)
            except (ValueError, FileNotFoundError):  # its first scene is not written yet
                time.sleep(0.02)
        elif held is not None:
            known = [held.source.known(address, "loss") for address in ADDRESSES]
            counts.add(sum(found is not None and found.complete for found in known))
            time.sleep(0.02)
    child.join(60)
    assert child.exitcode == 0
    assert held is not None
    assert len(counts) > 2  # it grew while it was read
    time.sleep(0.3)
    assert all(held.source.known(address, "loss").complete for address in ADDRESSES)


def test_many_threads_that_look_at_once_evaluate_nothing_that_is_kept(tmp_path: Path) -> None:
    kept = landscape(tmp_path / "run.atlas")
    for address in ADDRESSES:
        kept.tile(address)
    kept.atlas.close()
    del kept
    again = la.load(tmp_path / "run.atlas", function())
    before, lacking = again.evaluated, []

    def look() -> None:
        lacking.extend(address for address in ADDRESSES if again.missing(address))

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lacking == []
    assert again.evaluated == before


def test_without_a_store_nothing_is_written_and_flush_does_nothing(tmp_path: Path) -> None:
    kept = landscape()
    kept.flush()
    assert kept.atlas is None
    assert wave(function().theta).ndim == 0


def test_a_refreshed_landscape_goes_on_in_the_same_file(tmp_path: Path) -> None:
    import torch

    model = torch.nn.Linear(3, 2)
    objective = la.Objective(model, torch.nn.MSELoss(), (torch.ones(20, 3), torch.zeros(20, 2)))
    kept = la.Landscape(objective, la.Plane.random(objective), store=tmp_path / "run.atlas")
    kept.evaluate(0.5, 0.5)
    with torch.no_grad():
        model.weight.mul_(2)
    fresh = kept.renewed()
    assert fresh.atlas is kept.atlas
    fresh.evaluate(0.5, 0.5)
    fresh.flush()
    assert [row.scene.hash for row in kept.atlas.scenes()] == [kept.scene.hash, fresh.scene.hash]


def test_scenes_with_other_homes_share_their_nodes(tmp_path: Path) -> None:
    first = landscape(tmp_path / "run.atlas")
    first.tile(HOME)
    wide = la.Landscape(first.objective, first.plane, extent=(-2, 2, -2, 2), store=tmp_path / "run.atlas")
    before = wide.evaluated
    wide.tile(HOME)
    assert wide.evaluated == before
    wide.evaluate(1.75, 1.75)
    wide.flush()
    assert {row.scene.home for row in wide.atlas.scenes()} == {first.home, wide.home}


def hashes(path: Path) -> list[str]:
    return [row.scene.hash for row in open_atlas(path, write=False).scenes()]


@pytest.mark.parametrize("act", ["flush", "close", "save", "keep"])
def test_a_map_whose_nodes_are_all_known_is_a_scene_too(tmp_path: Path, act: str) -> None:
    path, first = tmp_path / "run.atlas", landscape(tmp_path / "run.atlas")
    first.evaluate(0.5, 0.5)
    first.flush()
    near = la.Landscape(first.objective, first.plane, extent=(0, 1, 0, 1), store=path)
    unused = la.Landscape(first.objective, first.plane, extent=(0, 2, 0, 2), store=path)
    if act == "keep":
        near.atlas.keep("notes", near.scene.hash, "one", 1)
        near.atlas.flush()
    else:
        near.evaluate(0.5, 0.5)
        {"flush": near.flush, "close": near.atlas.close, "save": lambda: near.save(path)}[act]()
    assert near.evaluated == 1
    assert hashes(path) == [first.scene.hash, near.scene.hash]
    assert unused.scene.hash not in hashes(path)


def test_the_scene_that_was_evaluated_last_is_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "run.atlas"
    first = landscape(path)
    near = la.Landscape(first.objective, first.plane, extent=(0, 1, 0, 1), store=path)
    again = landscape(path)
    for place, one in enumerate((near, first, near, again, near)):
        one.evaluate(0.125 * place, 0.5)
        one.flush()
        assert la.load(path).scene.hash == one.scene.hash
    assert len(hashes(path)) == 2


def test_planes_that_are_shown_again_and_again_take_no_memory(tmp_path: Path) -> None:
    kept = landscape(tmp_path / "run.atlas")
    for _ in range(20):
        kept.called("x")
    assert sum(map(len, kept.atlas._shown._planes.values())) <= 2


def writers(path: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [pid for (pid,) in connection.execute("SELECT pid FROM writer")]


def test_a_landscape_without_a_store_lets_go_of_the_file_that_it_was_saved_to(tmp_path: Path) -> None:
    path, kept = tmp_path / "run.atlas", landscape()
    kept.evaluate(0.5, 0.5)
    kept.save(path)
    kept.evaluate(0.25, 0.5)
    kept.save(path)
    assert writers(path) == []
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    stored = landscape(path)
    kept.save(path)
    assert writers(path) == [os.getpid()]  # it is open elsewhere
    assert stored.evaluate(0.25, 0.5) == kept.evaluate(0.25, 0.5)


def test_an_atlas_is_let_go_of_with_its_last_landscape(tmp_path: Path) -> None:
    path, kept = tmp_path / "run.atlas", landscape(tmp_path / "run.atlas")
    kept.evaluate(0.5, 0.5)
    kept.flush()
    assert writers(path) == [os.getpid()]
    del kept
    gc.collect()
    assert writers(path) == []
    kept = landscape(path)
    kept.evaluate(0.25, 0.5)
    waiting = kept.atlas._writer._thread
    del kept  # what waits is written first
    waiting.join(60)
    gc.collect()
    assert writers(path) == []
    assert la.load(path).evaluated == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_waits_for_no_lock_of_its_parent(tmp_path: Path) -> None:
    kept = landscape(tmp_path / "run.atlas")
    kept.evaluate(0.5, 0.5)
    kept.flush()
    atlas, store = kept.atlas, kept._store
    store.claim((0.25, 0.5))
    locks = (atlas._lock, atlas._choosing, atlas._shown._lock, store._lock, raw._lock, module._lock)
    with contextlib.ExitStack() as held:
        for lock in locks:
            held.enter_context(lock)
        owner = threading.Thread(target=store._loading.acquire)  # of a thread that the child has not
        owner.start()
        owner.join()
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            atlas.choose(kept.objective, kept.plane)
            kept.called("x")
            raw.is_sqlite(tmp_path / "run.atlas")
            kept.known(HOME)
            kept.evaluate([0.25, 0.5], 0.5)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_child_leaves_the_file_to_its_parent(tmp_path: Path) -> None:
    kept = landscape(tmp_path / "run.atlas")
    kept.evaluate(0.5, 0.5)
    kept.flush()
    script = "import os; kept.atlas._writer.wake(kept._store); kept.atlas.close(); os._exit(0)"
    child = os.fork()
    if child == 0:
        exec(script)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    kept.evaluate(0.25, 0.5)
    kept.flush()
    assert la.load(tmp_path / "run.atlas").evaluated == 2


def test_a_landscape_that_is_gone_at_once_is_in_the_file_with_its_scene(tmp_path):
    made = landscape(tmp_path / "one.atlas")
    made.grid(shape=(5, 5))
    scene = made.scene.hash
    del made
    gc.collect()
    held = la.load(tmp_path / "one.atlas")
    assert held.scene.hash == scene
    assert np.isfinite(held.grid(shape=(5, 5))).all()


def test_what_was_evaluated_here_is_read_here_at_once(tmp_path):
    made = landscape(tmp_path / "one.atlas")
    values = made.grid(shape=(9, 9))
    np.testing.assert_array_equal(la.load(tmp_path / "one.atlas").grid(shape=(9, 9)), values)
    assert la.load(tmp_path / "one.atlas", made.objective).scene.hash == made.scene.hash
