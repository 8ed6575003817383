"""A writer that is killed loses at most what it had in hand, and whoever goes on evaluates nothing twice."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest

import lossatlas as la
from tests.atlas.helpers import (
    ADDRESSES,
    check_integrity,
    compute,
    held_nodes,
    hold,
    landscape,
    processes,
    refuse,
)


def killed_again_and_again(path: Path, times: int, seed: int) -> None:
    draw, context, before = random.Random(seed), processes(), 0
    expected = landscape()
    for _ in range(times):
        begun = context.Event()
        child = context.Process(target=compute, args=(str(path), begun, 0.02))
        child.start()
        assert begun.wait(60)
        child.join(draw.uniform(0.0, 0.9))
        if child.pid is not None and child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
        child.join(60)
        check_integrity(path)
        held = held_nodes(path) if scenes_of(path) else {}
        assert len(held) >= before  # what was written stays
        before = len(held)
        if held:
            points = np.array(list(held))
            values = expected.evaluate(points[:, 0], points[:, 1])
            assert values.tobytes() == np.concatenate(list(held.values())).tobytes()
        if not child.exitcode:  # it was done: from the start
            path.unlink()
            before = 0


def scenes_of(path: Path) -> int:
    from lossatlas.atlas import open_atlas

    return len(open_atlas(path, write=False).scenes())


def test_an_atlas_survives_its_writer_being_killed_ten_times(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path / "run.atlas", 10, seed=0)


@pytest.mark.long
def test_an_atlas_survives_its_writer_being_killed_a_hundred_times(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path / "run.atlas", 100, seed=1)


def test_nothing_is_evaluated_twice_over_a_restart(tmp_path: Path) -> None:
    path, context = tmp_path / "run.atlas", processes()
    begun = context.Event()
    child = context.Process(target=compute, args=(str(path), begun))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert [file.name for file in tmp_path.iterdir()] == ["run.atlas"]
    again = landscape(path)
    for address in ADDRESSES:
        assert again.known(address) is not None
        assert again.missing(address) == []
        again.tile(address)
        again.evaluate(0.1 * address.x, 0.3 + address.y)
    assert again.evaluated == 0
    plain = landscape()
    for address in ADDRESSES:
        assert plain.tile(address).values.tobytes() == again.tile(address).values.tobytes()
    assert again.evaluated == 0
    assert isinstance(la.load(path), la.HeldLandscape)


def test_what_was_in_hand_when_the_writer_was_killed_is_evaluated_again_and_the_rest_is_not(
    tmp_path: Path,
) -> None:
    path, context, begun = tmp_path / "run.atlas", processes(), processes().Event()
    child = context.Process(target=compute, args=(str(path), begun, 0.05))
    child.start()
    assert begun.wait(60)
    child.join(0.8)
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    held, again = len(held_nodes(path)), landscape(path)
    plain = landscape()
    for address in ADDRESSES:
        again.tile(address)
        plain.tile(address)
        again.evaluate(0.1 * address.x, 0.3 + address.y)
        plain.evaluate(0.1 * address.x, 0.3 + address.y)
    assert again.evaluated == plain.evaluated - held
    again.atlas.close()
    assert len(held_nodes(path)) == plain.evaluated


def test_a_process_that_is_refused_takes_nothing_from_the_writer_which_is_then_killed(tmp_path: Path) -> None:
    path, context = tmp_path / "run.atlas", processes()
    begun, refused, flushed = context.Event(), context.Event(), context.Event()
    writer = context.Process(target=hold, args=(str(path), begun, refused, flushed))
    writer.start()
    assert begun.wait(60)
    other = context.Process(target=refuse, args=(str(path),))
    other.start()
    other.join(60)
    assert other.exitcode == 0
    assert path.with_name("run.atlas-wal").stat().st_size > 0
    refused.set()
    assert flushed.wait(60)
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(60)
    check_integrity(path)
    plain = landscape()
    plain.tile(ADDRESSES[0])
    plain.tile(ADDRESSES[-1])
    assert len(held_nodes(path)) == plain.evaluated
