"""The line that says how far a reading is."""

from __future__ import annotations

import io
import itertools

import pytest

from lossatlas.objective.progress import Progress


class Clock:
    """Seconds that pass when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def reading(total: int | None, seconds: float, batches: int, stop: int | None = None) -> list[str]:
    """What is written while so many batches of 1 MB are read, `seconds` each; each entry replaces the one before."""
    clock, to = Clock(), io.StringIO()
    with Progress(total, clock=clock, to=to) as progress:
        for batch in range(batches):
            clock.now += seconds
            if batch == stop:
                raise KeyboardInterrupt(to.getvalue, to)
            progress.said(batch + 1, (batch + 1) * 10**6)
    return to.getvalue().split("\r")


def test_what_is_read_within_a_second_is_read_in_silence() -> None:
    assert reading(100, 0.0099, 100) == [""]


def test_the_line_says_how_much_is_read_and_what_is_left_and_ends_in_a_sentence() -> None:
    first, *lines, last = reading(40, 0.5, 40)
    assert first == ""
    assert lines[0] == f"lossatlas: reading the data {'━'}{'─' * 19} batch 2 of 40, 2 MB, 19 s left"
    assert lines[18].startswith(
        f"lossatlas: reading the data {'━' * 10}{'─' * 10} batch 20 of 40, 20 MB, 10 s left"
    )
    assert lines[-1].startswith(f"lossatlas: reading the data {'━' * 20} batch 40 of 40, 40 MB, 0 s left")
    assert last.rstrip(" \n") == "lossatlas: read 40 batches, 40 MB in 20 s"
    assert last.endswith("\n")


def test_nothing_of_a_longer_line_is_left_over() -> None:
    _, *lines = reading(12, 0.5, 12)
    for before, line in itertools.pairwise(lines):
        assert len(line.rstrip("\n")) >= len(before.rstrip())


def test_it_is_updated_a_few_times_a_second_at_most() -> None:
    assert len(reading(None, 0.001, 3000)) <= 1 + 2.0 / 0.2 + 2


def test_without_a_number_of_batches_it_counts_and_a_wrong_one_does_no_harm() -> None:
    assert reading(None, 0.5, 4)[1] == "lossatlas: reading the data: 2 batches, 2 MB"
    assert "━" * 20 + " batch 4 of 2, 4 MB, 0 s left" in reading(2, 0.5, 4)[-2]
    assert "reading the data: 2 batches" in reading(0, 0.5, 4)[1]


def test_a_reading_that_is_stopped_says_so_on_a_line_of_its_own() -> None:
    with pytest.raises(KeyboardInterrupt) as stopped:
        reading(40, 0.5, 40, stop=10)
    written = stopped.value.args[0]()
    assert written.endswith("\n")
    assert "lossatlas: stopped after 10 batches, 10 MB in 6 s" in written
