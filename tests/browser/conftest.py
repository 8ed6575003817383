"""The fixture `lab`: one server and one browser for the session, a clean slate for each test."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.lab import Lab, LabServer, launch_chromium


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", default="1/1", help="of the files, every n-th from the k-th on: k/n")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whole files, since their tests share servers: two shares are run beside each other (tools/checks.py)."""
    k, n = (int(part) for part in config.getoption("--share").split("/"))
    files = sorted({item.path for item in items})
    mine = set(files[k - 1 :: n])
    config.hook.pytest_deselected(items=[item for item in items if item.path not in mine])
    items[:] = [item for item in items if item.path in mine]


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    server = LabServer(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def spare_pages() -> list[Page]:
    return []


@pytest.fixture
def lab(lab_server: LabServer, chromium: Browser, spare_pages: list[Page]) -> Iterator[Lab]:
    lab = Lab(lab_server, chromium, spare_pages)
    yield lab
    lab.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Show with a failed test what the page and the server said."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(lab, Lab):
        lab.failed = True
        report.sections.append(("JupyterLab", lab.report()))
    return report


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test on ipykernel 7.3 once more when it fails, and say so: such a kernel now and then starts and never answers."""
    if "ipykernel-7.3" not in item.nodeid:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        print(f"\nonce more, on a new kernel: {item.nodeid}")
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
