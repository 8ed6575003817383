from __future__ import annotations

import contextlib
import gc
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from lossatlas import jobs
from lossatlas.jobs import CALL, POINT, PROBE, TILES, TURN, Cancelled, Job, Worker

# Nothing here takes longer than a moment: whoever waits so long has found a bug.
PATIENCE = 30.0

Work = Generator[None, None, Any]


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.stop()


def steps(log: list[str], name: str, count: int) -> Work:
    for index in range(count):
        log.append(f"{name}{index}")
        yield
    return name


def gate(opened: threading.Event, reached: threading.Event | None = None) -> Work:
    """Holds the worker until the gate is opened, so that jobs can be queued behind it."""
    if reached is not None:
        reached.set()
    assert opened.wait(PATIENCE)
    yield


def behind_a_gate(worker: Worker, queue: Callable[[], list[Job[Any]]]) -> list[Any]:
    opened = threading.Event()
    first = worker.submit(gate(opened), CALL)
    queued = queue()
    opened.set()
    first.wait(PATIENCE)
    return [job.wait(PATIENCE) for job in queued]


def test_a_job_gives_what_its_generator_returns(worker: Worker) -> None:
    job = worker.submit(steps([], "a", 3))
    assert job.wait(PATIENCE) == "a"
    assert job.done


def test_the_most_urgent_goes_first_whatever_the_order_of_submission(worker: Worker) -> None:
    log: list[str] = []
    names = {TILES: "tiles", TURN: "turn", PROBE: "probe", CALL: "call"}
    behind_a_gate(worker, lambda: [worker.submit(steps(log, name, 2), p) for p, name in names.items()])
    assert log == ["call0", "call1", "probe0", "probe1", "turn0", "turn1", "tiles0", "tiles1"]


def test_of_equals_the_oldest_goes_first(worker: Worker) -> None:
    log: list[str] = []
    behind_a_gate(worker, lambda: [worker.submit(steps(log, name, 2), TILES) for name in "abc"])
    assert log == ["a0", "a1", "b0", "b1", "c0", "c1"]


def test_a_point_and_the_tiles_share_the_time(worker: Worker) -> None:
    log: list[str] = []

    def slowly(name: str) -> Work:
        for _ in range(6):
            log.append(name)
            threading.Event().wait(0.005)
            yield

    behind_a_gate(
        worker, lambda: [worker.submit(slowly(name), p) for p, name in ((TILES, "t"), (POINT, "p"))]
    )
    assert log[0] == "p"  # the point goes first
    # No job is through before the other has begun: each waits for as long as the other has taken, not for its end.
    assert log.index("t") < 5
    assert len(log) - log[::-1].index("p") > 6


def test_a_point_that_nobody_waits_behind_owes_nothing(worker: Worker) -> None:
    log: list[str] = []
    worker.submit(busy(4), POINT).wait(PATIENCE)
    behind_a_gate(
        worker, lambda: [worker.submit(steps(log, name, 1), p) for p, name in ((TILES, "t"), (POINT, "p"))]
    )
    assert log == ["p0", "t0"]


def test_an_urgent_job_overtakes_between_two_steps(worker: Worker) -> None:
    log: list[str] = []

    def long() -> Work:
        log.append("long starts")
        probe = worker.submit(steps(log, "probe", 1), PROBE)
        yield
        log.append("long goes on")
        yield
        assert probe.done

    worker.submit(long(), TILES).wait(PATIENCE)
    assert log == ["long starts", "probe0", "long goes on"]


def test_a_cancelled_job_stops_at_its_next_yield_and_cleans_up(worker: Worker) -> None:
    log: list[str] = []
    running, cancelled = threading.Event(), threading.Event()

    def work() -> Work:
        try:
            running.set()
            assert cancelled.wait(PATIENCE)
            log.append("the step ends")
            yield
            log.append("never")
        finally:
            log.append("cleaned up")

    job = worker.submit(work())
    assert running.wait(PATIENCE)
    job.cancel()
    cancelled.set()
    with pytest.raises(Cancelled, match="cancelled before it had a result"):
        job.wait(PATIENCE)
    assert log == ["the step ends", "cleaned up"]


def test_a_job_cancelled_before_its_turn_never_starts(worker: Worker) -> None:
    log: list[str] = []
    opened = threading.Event()
    worker.submit(gate(opened))
    job = worker.submit(steps(log, "a", 1))
    job.cancel()
    opened.set()
    with pytest.raises(Cancelled):
        job.wait(PATIENCE)
    assert log == []


def test_a_result_is_not_lost_by_a_cancellation_that_comes_too_late(worker: Worker) -> None:
    job = worker.submit(steps([], "a", 1))
    job.wait(PATIENCE)
    job.cancel()
    assert job.wait(PATIENCE) == "a"


def failing(error: BaseException) -> Work:
    yield
    raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("k"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_job_raises_reaches_whoever_waits_and_the_worker_lives(
    worker: Worker, error: BaseException
) -> None:
    job = worker.submit(failing(error))
    with pytest.raises(type(error)) as raised:
        job.wait(PATIENCE)
    assert raised.value is error
    assert job.done
    assert worker.submit(steps([], "next", 1)).wait(PATIENCE) == "next"


def test_an_error_while_cleaning_up_reaches_whoever_waits(worker: Worker) -> None:
    running, cancelled = threading.Event(), threading.Event()

    def work() -> Work:
        try:
            yield from gate(cancelled, running)
        finally:
            raise OSError("disk full")

    job = worker.submit(work())
    assert running.wait(PATIENCE)
    job.cancel()
    cancelled.set()
    with pytest.raises(OSError, match="disk full"):
        job.wait(PATIENCE)


def test_waiting_no_longer_than_allowed_says_so_and_leaves_the_job(worker: Worker) -> None:
    opened = threading.Event()
    job = worker.submit(gate(opened))
    with pytest.raises(TimeoutError, match="still running after 0 s"):
        job.wait(0)
    assert not job.done
    opened.set()
    assert job.wait(PATIENCE) is None


def test_an_interrupt_while_waiting_cancels_the_job() -> None:
    cleaned, main = threading.Event(), threading.main_thread().ident
    assert main is not None

    def work() -> Work:
        try:
            signal.pthread_kill(main, signal.SIGINT)
            while True:
                yield
        finally:
            cleaned.set()

    with pytest.raises(KeyboardInterrupt):
        jobs.call(work())
    assert cleaned.wait(PATIENCE)


def test_an_interrupt_of_a_wait_cancels_too(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    job = worker.submit(forever())

    def interrupted(_: float | None = None) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job._done, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job.wait()
    with pytest.raises(Cancelled):
        job.wait(PATIENCE)


def forever() -> Work:
    while True:
        yield


def test_a_call_from_within_a_job_runs_at_once_instead_of_waiting_for_itself() -> None:
    def outer() -> Work:
        yield
        return jobs.call(steps([], "inner", 3))

    assert jobs.call(outer()) == "inner"


def test_a_call_from_within_a_job_gets_no_helpers_that_it_could_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs.worker, "threads", 3)
    log: list[str] = []

    def inner() -> Work:
        jobs.worker.share(lambda: steps(log, "helper", 1), 5)
        yield

    def outer() -> Work:
        yield
        jobs.call(inner())

    jobs.call(outer())
    jobs.worker.submit(steps([], "after all helpers", 1), TILES).wait(PATIENCE)
    assert log == []


def test_the_start_hook_runs_on_the_workers_thread_before_its_first_job() -> None:
    log: list[Any] = []
    worker = Worker(on_start=lambda: log.append(threading.current_thread()))

    def work() -> Work:
        log.append(threading.current_thread())
        log.append(worker.is_current_thread)
        yield

    worker.submit(work()).wait(PATIENCE)
    worker.submit(work()).wait(PATIENCE)
    worker.stop()
    assert len(set(log) - {True}) == 1
    assert log[0] is not threading.current_thread()
    assert log.count(log[0]) == 3
    assert not worker.is_current_thread


def test_every_thread_has_been_through_its_start_hook_before_a_job_is_queued() -> None:
    started: list[int] = []

    def hook() -> None:
        threading.Event().wait(0.02)
        started.append(1)

    worker = Worker(on_start=hook, threads=3)
    job = worker.submit(steps([], "a", 1))
    assert len(started) == 3
    job.wait(PATIENCE)
    worker.stop()


def test_several_threads_take_part_in_a_job_that_shares_its_work() -> None:
    worker, meeting, names = Worker(threads=3), threading.Barrier(3), set()

    def part() -> Work:
        meeting.wait(PATIENCE)  # only together do they get past it
        names.add(threading.current_thread().name)
        yield

    def whole() -> Work:
        worker.share(part, 5)
        yield from part()

    worker.submit(whole()).wait(PATIENCE)
    worker.stop()
    assert len(names) == 3


def test_alone_means_that_nobody_takes_part() -> None:
    worker, log = Worker(threads=3), []

    def whole() -> Work:
        with worker.alone():
            worker.share(lambda: steps(log, "helper", 1), 5)
        yield

    worker.submit(whole()).wait(PATIENCE)
    worker.submit(steps([], "a", 1), TILES).wait(PATIENCE)
    worker.stop()
    assert log == []


# The duty cycle.


def resting(duty: float, monkeypatch: pytest.MonkeyPatch) -> tuple[Worker, list[float]]:
    """A worker that notes how long it would rest, and does not."""
    rests: list[float] = []
    monkeypatch.setattr(Worker, "_rest", lambda self, seconds, priority: rests.append(seconds))
    return Worker(duty=lambda: duty), rests


def busy(count: int) -> Work:
    for _ in range(count):
        threading.Event().wait(0.005)
        yield


def test_background_work_rests_in_proportion_to_what_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, rests = resting(0.25, monkeypatch)
    worker.submit(busy(4), TILES).wait(PATIENCE)
    worker.stop()
    # Each step takes 5 ms at least, and three times as much is owed for a quarter of the time.
    assert len(rests) >= 4
    assert all(rest >= 3 * 0.005 for rest in rests[:4])


def test_turning_rests_half_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, rests = resting(0.25, monkeypatch)
    worker.submit(busy(4), TURN).wait(PATIENCE)
    worker.stop()
    assert sum(rests) >= 3 * 0.005  # half of the time
    assert worker._duty_of(TURN) == 0.5


@pytest.mark.parametrize("priority", [CALL, PROBE])
def test_what_somebody_waits_for_is_not_slowed_down(priority: int, monkeypatch: pytest.MonkeyPatch) -> None:
    worker, rests = resting(0.01, monkeypatch)
    worker.submit(busy(4), priority).wait(PATIENCE)
    worker.stop()
    assert rests == []


def test_without_a_running_cell_nothing_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    worker, rests = resting(1.0, monkeypatch)
    worker.submit(busy(4), TILES).wait(PATIENCE)
    worker.stop()
    assert rests == []


@pytest.mark.parametrize("priority", [CALL, PROBE, TURN])
def test_what_somebody_waits_for_ends_the_rest_of_the_work_before_it(priority: int) -> None:
    worker = Worker(duty=lambda: 1e-7)  # 5 ms of work are owed 14 hours
    rested = threading.Event()
    worker.submit(busy(2), TILES)

    def look() -> Work:
        rested.set()
        yield
        return "answer"

    assert worker.submit(look(), priority).wait(PATIENCE) == "answer"
    assert rested.is_set()
    worker.stop()


def test_the_end_of_the_cell_ends_the_rest() -> None:
    share = [1e-7]
    worker = Worker(duty=lambda: share[0])
    job = worker.submit(busy(2), TILES)
    share[0] = 1.0
    job.wait(PATIENCE)
    worker.stop()


# Ends.


def test_stopping_cancels_what_runs_and_what_waits() -> None:
    worker, cleaned = Worker(), threading.Event()

    def work() -> Work:
        try:
            yield from forever()
        finally:
            cleaned.set()

    queued = [worker.submit(work(), TURN), worker.submit(forever(), TILES)]
    worker.submit(steps([], "a", 1), CALL).wait(PATIENCE)
    worker.stop()
    for job in queued:
        with pytest.raises(Cancelled):
            job.wait(PATIENCE)


def test_a_stopped_worker_starts_again_with_the_next_job() -> None:
    worker = Worker()
    for _ in range(200):
        job = worker.submit(steps([], "a", 1))
        assert job.wait(PATIENCE) == "a"
        worker.stop()


def test_no_job_is_lost_between_a_stop_and_the_next_start() -> None:
    worker, end = Worker(), threading.Event()

    def stop() -> None:
        while not end.is_set():
            worker.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        for _ in range(500):
            job = worker.submit(steps([], "a", 1))
            with contextlib.suppress(Cancelled):  # an answer too
                assert job.wait(PATIENCE) == "a"
    finally:
        end.set()
        stopper.join()
        worker.stop()


def test_an_idle_worker_holds_on_to_nothing(worker: Worker) -> None:
    class Large:
        pass

    def work() -> Work:
        yield
        return Large()

    reference = weakref.ref(worker.submit(work()).wait(PATIENCE))
    # The thread has yet to put the finished job aside.
    moment = threading.Event()
    for _ in range(1000):
        gc.collect()
        if reference() is None:
            break
        moment.wait(0.01)
    assert reference() is None


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_an_interpreter_with_a_running_job_exits_by_itself_without_a_word() -> None:
    done = run(
        """
        from lossatlas import jobs
        def forever():
            while True:
                yield
        jobs.worker.submit(forever(), jobs.TILES)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interpreter_in_the_middle_of_a_map_exits_by_itself_without_a_word() -> None:
    done = run(
        """
        import torch, lossatlas as la
        from lossatlas import jobs
        model = torch.nn.Sequential(torch.nn.Linear(20, 300), torch.nn.ReLU(), torch.nn.Linear(300, 5))
        data = torch.zeros(20_000, 20), torch.zeros(20_000, dtype=torch.int64)
        objective = la.Objective(model, torch.nn.functional.cross_entropy, data)
        landscape = la.Landscape(objective, la.Plane.random(objective))
        points = [(i / 1e5, 0.0) for i in range(100_000)]
        jobs.worker.submit(landscape.work(points), jobs.TILES)
        landscape.evaluate(-1.0, -1.0)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_gathered_work_comes_back_in_its_order_from_several_threads() -> None:
    names: set[str] = set()

    def piece(index: int) -> Work:
        names.add(threading.current_thread().name)
        time.sleep(0.02)
        yield
        return index

    assert jobs.call(jobs.gather([piece(index) for index in range(7)])) == list(range(7))
    assert len(names) == min(jobs.worker.threads, 7) or jobs.worker.threads > 7


def test_the_first_error_of_gathered_work_ends_the_others_and_is_raised() -> None:
    steps_taken: list[str] = []

    def failing() -> Work:
        yield
        raise ValueError("Seven is no number of legs.")

    with pytest.raises(ValueError, match="Seven is no number of legs"):
        jobs.call(jobs.gather([failing(), steps(steps_taken, "a", 100_000)]))
    assert len(steps_taken) < 100_000


def test_gathered_work_that_is_cancelled_ends_on_all_threads() -> None:
    log: list[str] = []
    started = threading.Event()

    def forever(index: int) -> Work:
        while True:
            started.set()
            log.append(str(index))
            yield

    job = jobs.worker.submit(jobs.gather([forever(0), forever(1)]))
    assert started.wait(PATIENCE)
    job.cancel()
    with pytest.raises(Cancelled):
        job.wait(PATIENCE)
    jobs.call(jobs.gather([steps([], "b", 3)]))  # the threads are free again
    count = len(log)
    time.sleep(0.05)
    assert len(log) <= count + 1
