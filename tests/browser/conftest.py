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


# Tests that passed only when they were run once more.
_SECOND = pytest.StashKey[list[str]]()


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test that fails once more, on new pages and a new kernel, and say so there and at the end.

    Two browsers, two servers and a dozen kernels share a few cores, and some of it is not ours: an ipykernel 7.3 now and then
    starts and never answers. What fails twice has failed.
    """
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if failed := [report for report in reports if report.failed]:
        print(f"\nonce more, on a new page and kernel: {item.nodeid}")
        print("\n".join(report.longreprtext for report in failed))
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not any(report.failed for report in reports):
            item.config.stash.setdefault(_SECOND, []).append(item.nodeid)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for nodeid in config.stash.get(_SECOND, []):
        terminalreporter.write_line(f"PASSED THE SECOND TIME ONLY {nodeid}")
