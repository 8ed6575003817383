"""Cancellable work with priorities: a job is a generator that yields between chunks of work.

A worker takes one step of the most urgent job, looks again, takes the next step. So a probe overtakes a map between
two chunks, a cancelled job stops at its next `yield`, and nothing ever waits for a long computation to end by itself.
"""

from __future__ import annotations

import atexit
import contextlib
import heapq
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: Smaller is more urgent. CALL is somebody's cell waiting for its answer, PROBE a moment's work that somebody's hand
#: waits for. TURN is more of it, POINT and TILES may be much: all three make way for a running cell, TURN least. POINT
#: goes before TILES, but only for as long as TILES get as much of the time.
CALL, PROBE, TURN, POINT, TILES = range(5)

# Below this a pause costs more in wake-ups than it gives back to the cell that is running.
_SHORTEST_PAUSE = 0.004

# How long one waits at a time for those who help, in seconds.
_GLANCE = 0.002

# How far POINT work may fall behind TILES work, in seconds, to be made up for later.
_MOST_BEHIND = 0.5

# The share of the time that turning a plane takes at least beside a running cell.
_TURN_DUTY = 0.5


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


# Priority, order among equals (a job's helpers before itself), a tie-breaker, the job.
_Entry = tuple[int, float, int, Job[Any]]


class Worker:
    """Threads that run jobs step by step, the most urgent first and the oldest of equals.

    on_start runs on each thread before its first job; duty says which share of the time (0 < share ≤ 1) work may take
    that nobody waits for. Below 1 a single thread works, and rests the other share.
    """

    def __init__(
        self,
        on_start: Callable[[], None] | None = None,
        duty: Callable[[], float] | None = None,
        threads: int = 1,
    ) -> None:
        self.threads = threads
        self._on_start = on_start or (lambda: None)
        self._duty = duty or (lambda: 1.0)
        self._queue: list[_Entry] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._running: list[threading.Thread] = []
        self._here = threading.local()  # .entry: what this thread is at
        self._stopping = False
        self._owed = 0.0  # seconds of rest that a running cell is still due
        self._ahead = 0.0  # seconds that POINT work has had more than TILES work

    def submit(self, work: Generator[None, None, T], priority: int = CALL) -> Job[T]:
        """Queue a generator; its return value becomes the job's result."""
        job = Job(work, priority)
        self.add(job)
        return job

    def add(self, job: Job[Any]) -> None:
        """Queue a job, once."""
        self._add(job, float(next(self._order)))

    def share(self, work: Callable[[], Generator[None, None, Any]], most: int) -> None:
        """From within a job: let up to `most` other threads take part in it, each with a generator of its own.

        They are taken before the job that asks, so that it never waits for one that waits for it.
        """
        entry: _Entry | None = getattr(self._here, "entry", None)
        if entry is not None:
            for _ in range(min(most, self.threads - 1)):
                self._add(Job(work(), entry[0]), entry[1] - 0.5)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody take part meanwhile: a step that waits for helpers could keep the last thread from them."""
        entry = getattr(self._here, "entry", None)
        self._here.entry = None
        try:
            yield
        finally:
            self._here.entry = entry

    def _add(self, job: Job[Any], order: float) -> None:
        with self._changed:
            heapq.heappush(self._queue, (job.priority, order, next(self._order), job))
            if not any(thread.is_alive() for thread in self._running):
                self._start()
            self._changed.notify_all()

    def _start(self) -> None:
        self._stopping = False
        started = threading.Semaphore(0)
        self._running = [
            threading.Thread(
                target=self._run, args=(i == 0, started), name=f"lossatlas-evaluator-{i}", daemon=True
            )
            for i in range(self.threads)
        ]
        for thread in self._running:
            thread.start()
        for _ in self._running:  # what the hooks change for a moment is settled before anybody goes on
            started.acquire()

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller already runs on this worker (waiting for another job there would never end)."""
        return threading.current_thread() in self._running

    def stop(self) -> None:
        """Cancel everything and end the threads at their next yield."""
        with self._changed:
            self._stopping = True
            for *_, job in self._queue:
                job.cancel()
            self._changed.notify_all()
            running = self._running
        limit = time.monotonic() + 2.0
        for thread in running:
            if thread is not threading.current_thread():
                thread.join(timeout=max(0.0, limit - time.monotonic()))

    def _run(self, first: bool, started: threading.Semaphore) -> None:
        try:
            self._on_start()
        finally:
            started.release()
        while self._one_step(first):
            pass

    def _one_step(self, first: bool) -> bool:
        """Take a step of the most urgent job, waiting for one; False when stopped.

        A function of its own, so that a waiting worker holds on to no job it has finished.
        """
        with self._changed:
            while not self._stopping and not self._may_work(first):
                # Whether a cell runs is asked now and then: nobody tells.
                self._changed.wait(0.1 if self._queue else None)
            if self._stopping:
                self._drain()
                # Still under the lock: what is queued from now on needs another thread.
                self._running = [t for t in self._running if t is not threading.current_thread()]
                return False
            entry = self._take()
        job = entry[3]
        self._here.entry = entry
        start = time.perf_counter()
        ended = job._step()
        worked = time.perf_counter() - start
        self._here.entry = None
        with self._changed:
            if job.priority in (POINT, TILES):
                self._share_out(worked if job.priority == POINT else -worked)
            if not ended:
                heapq.heappush(self._queue, entry)
        duty = self._duty_of(job.priority)
        if first:
            self._owed = 0.0 if duty >= 1.0 else self._owed + worked * (1.0 - duty) / duty
            if self._owed >= _SHORTEST_PAUSE:
                self._rest(self._owed, job.priority)
                self._owed = 0.0
        return True

    def _take(self) -> _Entry:
        """The most urgent job; TILES before a POINT that has had more of the time."""
        entry = heapq.heappop(self._queue)
        waiting = [other for other in self._queue if other[0] == TILES]
        if entry[0] != POINT or not waiting or self._ahead <= 0:
            return entry
        first = min(waiting)
        self._queue.remove(first)
        heapq.heapify(self._queue)
        heapq.heappush(self._queue, entry)
        return first

    def _share_out(self, seconds: float) -> None:
        """Count time that POINT (above 0) or TILES (below) work took; what nobody waited for is not owed."""
        self._ahead = max(self._ahead + seconds, -_MOST_BEHIND)
        if not any(other[0] == TILES for other in self._queue):
            self._ahead = min(self._ahead, 0.0)

    def _duty_of(self, priority: int) -> float:
        if priority < TURN:
            return 1.0
        duty = self._duty()
        return duty if priority > TURN else max(_TURN_DUTY, duty)

    def _may_work(self, first: bool) -> bool:
        return bool(self._queue) and (first or self._queue[0][0] == CALL or self._duty() >= 1.0)

    def _rest(self, seconds: float, priority: int) -> None:
        """Leave the processor to the running cell after work of this priority, unless something more urgent comes in."""
        end = time.perf_counter() + seconds
        with self._changed:
            while not self._stopping and not (self._queue and self._queue[0][0] < priority):
                left = end - time.perf_counter()
                if left <= 0 or self._duty() >= 1.0:
                    return
                self._changed.wait(min(left, 0.1))

    def _drain(self) -> None:
        for *_, job in self._queue:
            job.cancel()
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


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))  # what this process may use, not what the machine has
    except AttributeError:
        return os.cpu_count() or 1


worker = Worker(
    on_start=_on_start,
    duty=lambda: min([hook() for hook in _duty_hooks], default=1.0),
    threads=_cores(),
)
# A daemon thread inside native code while the interpreter goes down can abort the process.
atexit.register(worker.stop)


def call(work: Generator[None, None, T]) -> T:
    """Run a generator on the worker, before everything else, and return its result."""
    if worker.is_current_thread:
        return _run_here(work)
    job = Job(work, CALL)
    try:
        worker.add(job)
        return job.wait()
    except BaseException:  # an interrupt may come before the job is waited for
        job.cancel()
        raise


def gather(works: Sequence[Generator[None, None, T]]) -> Generator[None, None, list[T]]:
    """The results of several pieces of work in their order, as a job: free threads take part, and it does what is left.

    Which thread does a piece changes nothing of it. Raises what the first piece that fails raises; the others end at
    their next yield.
    """
    gathering = _Gathering(works)
    worker.share(gathering.take, len(works) - 1)
    try:
        while gathering.unfinished:
            yield from gathering.take()
            gathering.wait()
            yield
    finally:
        gathering.stop()
    if gathering.error is not None:
        raise gathering.error
    return gathering.results


class _Gathering(Generic[T]):
    """Pieces of work that several threads take from, one at a time each."""

    def __init__(self, works: Sequence[Generator[None, None, T]]) -> None:
        self.results: list[T] = [None] * len(works)  # type: ignore[list-item]
        self.error: Exception | None = None
        self._left = deque(enumerate(works))
        self._in_hand = 0
        self._changed = threading.Condition()
        self._stopped = False

    @property
    def unfinished(self) -> bool:
        """Whether pieces are left, or in anybody's hand."""
        with self._changed:
            return bool(self._left) or self._in_hand > 0

    def take(self) -> Generator[None, None, None]:
        """Do one piece after the other until none is left."""
        while (taken := self._next()) is not None:
            index, work = taken
            try:
                self.results[index] = yield from self._whole(work)
            except Exception as error:  # raised again by the job that everybody works for
                self.error = self.error or error
                self.stop()
            finally:
                with self._changed:
                    self._in_hand -= 1
                    self._changed.notify_all()

    def _next(self) -> tuple[int, Generator[None, None, T]] | None:
        with self._changed:
            if not self._left:
                return None
            self._in_hand += 1
            return self._left.popleft()

    def _whole(self, work: Generator[None, None, T]) -> Generator[None, None, T]:
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value
            if self._stopped:
                work.close()
                return None  # type: ignore[return-value]
            yield

    def stop(self) -> None:
        """Let nobody take any more; who is at a piece leaves it at its next yield."""
        with self._changed:
            self._stopped = True
            self._left.clear()

    def wait(self) -> None:
        """Wait a moment for those that are in hand elsewhere."""
        with self._changed:
            if self._in_hand:
                self._changed.wait(_GLANCE)


def _run_here(work: Generator[None, None, T]) -> T:
    with worker.alone():
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value
