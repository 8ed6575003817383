"""Cancellable work with priorities: a job is a generator that yields between chunks of work.

The worker takes one step of the most urgent job, looks again, takes the next step. So a probe overtakes a map between
two chunks, a cancelled job stops at its next `yield`, and nothing ever waits for a long computation to end by itself.
"""

from __future__ import annotations

import atexit
import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: Smaller is more urgent. CALL is somebody's cell waiting for its answer: it is never slowed down.
CALL, PROBE, TURN, TILES = range(4)

# Below this a pause costs more in wake-ups than it gives back to the cell that is running.
_SHORTEST_PAUSE = 0.004


class Cancelled(Exception):
    """The job was cancelled before it had a result."""


class Job(Generic[T]):
    """A piece of work under way: `wait` for its result, or `cancel` it."""

    def __init__(self, work: Generator[None, None, T], priority: int) -> None:
        self.priority = priority
        self._work = work
        self._cancelled = False
        self._done = threading.Event()
        self._result: T | None = None
        self._exception: BaseException | None = None

    def cancel(self) -> None:
        """Ask the job to stop at its next yield."""
        self._cancelled = True

    @property
    def done(self) -> bool:
        """Whether a result, an exception or the cancellation has been reached."""
        return self._done.is_set()

    def wait(self, timeout: float | None = None) -> T:
        """Return the result, or raise what the job raised; an interrupt cancels the job.

        Raises Cancelled when the job was cancelled and TimeoutError when `timeout` seconds have passed.
        """
        try:
            # A bounded wait can be interrupted on every platform, an unbounded one not.
            limit = None if timeout is None else time.monotonic() + timeout
            while not self._done.wait(0.2 if limit is None else max(0.0, min(0.2, limit - time.monotonic()))):
                if limit is not None and time.monotonic() >= limit:
                    raise TimeoutError(f"The job is still running after {timeout} s.")
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self._exception is not None:
            raise self._exception
        return self._result  # type: ignore[return-value]

    def _step(self) -> bool:
        """Run to the next yield; True when the job has ended."""
        try:
            if self._cancelled:
                self._work.close()
                raise Cancelled("The job was cancelled before it had a result.")
            next(self._work)
            return False
        except StopIteration as end:
            self._result = end.value
        except BaseException as error:  # the job's own error belongs to whoever waits for it
            self._exception = error
        self._done.set()
        return True


class Worker:
    """One thread that runs jobs step by step, the most urgent first and the oldest of equals."""

    def __init__(
        self, on_start: Callable[[], None] | None = None, duty: Callable[[], float] | None = None
    ) -> None:
        self._on_start = on_start or (lambda: None)
        self._duty = duty or (lambda: 1.0)
        self._queue: list[tuple[int, int, Job[Any]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._owed = 0.0  # seconds of rest that a running cell is still due

    def submit(self, work: Generator[None, None, T], priority: int = CALL) -> Job[T]:
        """Queue a generator; its return value becomes the job's result."""
        job = Job(work, priority)
        with self._changed:
            heapq.heappush(self._queue, (priority, next(self._order), job))
            if self._thread is None or not self._thread.is_alive():
                self._stopping = False
                self._thread = threading.Thread(target=self._run, name="lossatlas-evaluator", daemon=True)
                self._thread.start()
            self._changed.notify()
        return job

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller already runs on this worker (waiting for another job there would never end)."""
        return threading.current_thread() is self._thread

    def stop(self) -> None:
        """Cancel everything and end the thread at its next yield."""
        with self._changed:
            self._stopping = True
            for _, _, job in self._queue:
                job.cancel()
            self._changed.notify()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2.0)

    def _run(self) -> None:
        self._on_start()
        while self._one_step():
            pass

    def _one_step(self) -> bool:
        """Take a step of the most urgent job, waiting for one; False when stopped.

        A function of its own, so that a waiting worker holds on to no job it has finished.
        """
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            if self._stopping:
                self._drain()
                return False
            entry = heapq.heappop(self._queue)
        job = entry[2]
        start = time.perf_counter()
        ended = job._step()
        worked = time.perf_counter() - start
        if not ended:
            with self._changed:
                heapq.heappush(self._queue, entry)
        duty = 1.0 if job.priority == CALL else self._duty()
        self._owed = 0.0 if duty >= 1.0 else self._owed + worked * (1.0 - duty) / duty
        if self._owed >= _SHORTEST_PAUSE:
            self._rest(self._owed)
            self._owed = 0.0
        return True

    def _rest(self, seconds: float) -> None:
        """Leave the processor to the running cell, unless a cell's own call comes in."""
        end = time.perf_counter() + seconds
        with self._changed:
            while not self._stopping and not (self._queue and self._queue[0][0] == CALL):
                left = end - time.perf_counter()
                if left <= 0 or self._duty() >= 1.0:
                    return
                self._changed.wait(min(left, 0.1))

    def _drain(self) -> None:
        for _, _, job in self._queue:
            job.cancel()
            with contextlib.suppress(Exception):  # a generator that fails while closing has nobody to tell
                job._step()
        self._queue.clear()


_start_hooks: list[Callable[[], None]] = []
_duty_hooks: list[Callable[[], float]] = []


def on_worker_start(hook: Callable[[], None]) -> None:
    """Run `hook` on the worker's thread before its first job."""
    _start_hooks.append(hook)


def slow_down(hook: Callable[[], float]) -> None:
    """Let `hook` say which share of the time (0 < share ≤ 1) work may take that no cell waits for."""
    _duty_hooks.append(hook)


def _on_start() -> None:
    for hook in _start_hooks:
        hook()


worker = Worker(
    on_start=_on_start,
    duty=lambda: min([hook() for hook in _duty_hooks], default=1.0),
)
# A daemon thread inside native code while the interpreter goes down can abort the process.
atexit.register(worker.stop)


def call(work: Generator[None, None, T]) -> T:
    """Run a generator on the worker, before everything else, and return its result."""
    if worker.is_current_thread:
        return _run_here(work)
    return worker.submit(work, CALL).wait()


def _run_here(work: Generator[None, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
