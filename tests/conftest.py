"""What a test is for follows from its folder: `make test` runs the parts one after the other and times each."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples every time, and none is wrong for having been slow beside other work.
settings.register_profile("lossatlas", deadline=None, derandomize=True, database=None)
settings.load_profile("lossatlas")

HERE = Path(__file__).parent
MARKERS = {"browser": pytest.mark.browser, "notebooks": pytest.mark.notebook}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            folder = item.path.relative_to(HERE).parts[0]
            if folder in MARKERS:
                item.add_marker(MARKERS[folder])


@pytest.fixture(autouse=True, scope="session")
def _interrupts_arrive() -> Iterator[None]:
    """A shell that starts the tests in the background has them, and all they start, ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _one_thread_of_torch() -> Iterator[None]:
    """What a test computes by itself runs on one thread: several collapse where another process wants a core."""
    torch = sys.modules.get("torch")
    if torch is None:  # nobody has imported it, and a fixture need not
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
