"""Answers: what a page asks once and is told once: an exact value, what the axes mean, the plane of some runs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from lossatlas import jobs
from lossatlas.held import AnyLandscape
from lossatlas.widget import protocol
from lossatlas.widget.live import Live
from lossatlas.widget.protocol import Caption, Message, Probe
from lossatlas.widget.run_messages import followed, measured
from lossatlas.widget.run_request import Follow, Measure
from lossatlas.widget.surface import Later


class Answers:
    """Answers of one explorer.

    post(message) sends; fail(request, error) says what went wrong; aim(names) finds the plane of runs, and gives what turns to it, on a
    thread that may set traits.
    """

    def __init__(
        self,
        post: Callable[[Message | Later], None],
        fail: Callable[[Probe | Caption | Follow | Measure, Exception], None],
        aim: Callable[[Sequence[str]], Callable[[], None]],
    ) -> None:
        self._post, self._fail, self._aim = post, fail, aim

    def probe(self, request: Probe, landscape: AnyLandscape) -> None:
        """The exact value at a point."""

        def work() -> Generator[None, None, Message]:
            values = yield from landscape.at(*request.at)
            return protocol.probed(request, values, landscape.scene.samples)

        jobs.worker.submit(self._answer(request, work()), jobs.PROBE)

    def caption(self, request: Caption, landscape: AnyLandscape) -> None:
        """What the axes mean."""

        def work() -> Generator[None, None, Message]:
            text = yield from landscape.caption_work({})
            return protocol.captioned(request, text)

        # Behind the planes that a hand on a slider waits for: a gradient over all data may be long.
        jobs.worker.submit(self._answer(request, work()), jobs.TURN)

    def follow(self, request: Follow) -> None:
        """Turn the plane to runs, and say that it is."""

        def work() -> Generator[None, None, Later]:
            yield
            turn = self._aim(request.names)

            def turned() -> Message:
                turn()
                return followed(request)

            return turned

        jobs.worker.submit(self._answer(request, work()), jobs.TURN)

    def measure(self, request: Measure, live: Live) -> None:
        """Tell of a quantity of runs from now on."""

        def work() -> Generator[None, None, Message]:
            yield
            live.measure(request.names, request.quantity)
            return measured(request)

        jobs.worker.submit(self._answer(request, work()), jobs.TURN)

    def _answer(
        self, request: Probe | Caption | Follow | Measure, work: Generator[None, None, Message | Later]
    ) -> Generator[None, None, None]:
        try:
            self._post((yield from work))
        except Exception as error:  # every request gets an answer
            self._fail(request, error)
