"""What a test is for follows from its folder: `make test` runs the parts one after the other and times each."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
MARKERS = {"browser": pytest.mark.browser, "notebooks": pytest.mark.notebook}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            folder = item.path.relative_to(HERE).parts[0]
            if folder in MARKERS:
                item.add_marker(MARKERS[folder])
