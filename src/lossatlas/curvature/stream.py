"""What a study knows, as it comes: for a loop over it, and for whoever looks at it meanwhile."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator

from lossatlas import jobs
from lossatlas.curvature.spectrum import Spectrum
from lossatlas.curvature.study import Study

# How long one waits at a time for news, in seconds.
_GLANCE = 0.05


def stream(study: Study) -> Iterator[Spectrum]:
    """What a study knows after each product, as fast as one looks, and the finished spectrum last.

    Leaving the loop cancels the work. Raises what the study raises.
    """
    found: queue.SimpleQueue[tuple[Spectrum, bool]] = queue.SimpleQueue()
    looking = threading.Event()

    def work() -> Generator[None, None, None]:
        run, products = study.run(), 0
        while True:
            try:
                next(run)
            except StopIteration as end:
                found.put((end.value, True))
                return
            if looking.is_set() and study.hessian.products > products and study.tells:
                products = study.hessian.products
                looking.clear()
                found.put((study.spectrum(), False))
            yield

    job = jobs.worker.submit(work())
    try:
        finished = False
        while not finished:
            looking.set()
            while True:
                ended = job.done
                with contextlib.suppress(queue.Empty):
                    spectrum, finished = found.get(block=not ended, timeout=_GLANCE)
                    break
                if ended:
                    job.wait()  # raises what it ended with
            yield spectrum
    finally:
        job.cancel()
