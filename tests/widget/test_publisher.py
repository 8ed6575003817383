"""One thread sends everything."""

import threading

from lossatlas.widget.publisher import Publisher


class Counter:
    """Counts its calls, and asks to be called `again` times more."""

    def __init__(self, again=0):
        self.calls, self.again = 0, again
        self.threads = set()
        self.done = threading.Event()

    def pump(self):
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        if self.calls > self.again:
            self.done.set()
            return None
        return 0.001


def test_everything_is_sent_on_one_thread_and_again_when_asked():
    publisher = Publisher()
    pumps = [Counter(again=3) for _ in range(5)]
    for pump in pumps:
        publisher.wake(pump)
    assert all(pump.done.wait(5) for pump in pumps)
    assert set.union(*(pump.threads for pump in pumps)) == {"lossatlas-publisher"}
    assert [pump.calls for pump in pumps] == [4] * 5
    publisher.stop()


def test_a_broken_comm_does_not_silence_the_others(caplog):
    class Broken:
        def pump(self):
            raise OSError("the socket is gone")

    publisher = Publisher()
    publisher.wake(Broken())
    good = Counter()
    publisher.wake(good)
    assert good.done.wait(5)
    assert "could not send" in caplog.text
    publisher.stop()


def test_stopped_it_ends_and_woken_it_starts_again():
    publisher = Publisher()
    first, second = Counter(), Counter()
    publisher.wake(first)
    assert first.done.wait(5)
    publisher.stop()
    publisher.wake(second)
    assert second.done.wait(5)
    publisher.stop()
