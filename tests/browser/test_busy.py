"""A kernel that runs a cell: with ipykernel 7 the map is answered meanwhile, with 6 it says that it waits."""

from __future__ import annotations

import re

import pytest

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import (
    SHOW_SMALL,
    SMALL,
    card,
    middle,
    slider,
    stats,
    wait_complete,
    wait_map,
    words,
)

# Trains until the test has seen what it wants to see, or for two minutes.
BUSY = """
import pathlib, time
stop = pathlib.Path("stop-{name}")
stop.unlink(missing_ok=True)
def until_stopped():
    end = time.monotonic() + 120
    while not stop.exists() and time.monotonic() < end:
        yield
"""
TRAIN = "for _ in until_stopped(): train(1, rate=0.0)"

ANSWERING = ["python3", "lossatlas-ipykernel-7.3"]


def busy_notebook(lab: Lab, cells: list[str], name: str, kernel: str) -> Notebook:
    name = f"{name}-{kernel.removeprefix('lossatlas-')}"
    return lab.open([SMALL + BUSY.format(name=name), *cells], kernel=kernel, name=name, viewport=(1100, 1000))


def stop(notebook: Notebook) -> None:
    (notebook.path.parent / f"stop-{notebook.name}").touch()


def go_on(notebook: Notebook) -> None:
    (notebook.path.parent / f"stop-{notebook.name}").unlink()


def wait_until_running(notebook: Notebook, cell: int) -> None:
    notebook.page.wait_for_function(
        "i => document.querySelectorAll('.jp-InputPrompt')[i].textContent.includes('*')",
        arg=cell,
        timeout=60_000,
    )
    card(notebook).wait_for(timeout=60_000)


def running(notebook: Notebook, cell: int) -> bool:
    return (
        bool(notebook.page.evaluate("i => window.testRuns[i] === 'running'", cell))
        and "*" in notebook.cell(cell).locator(".jp-InputPrompt").inner_text()
    )


def assert_everything_is_answered(notebook: Notebook, cell: int) -> None:
    """The greeting, first passes, a probe, a slider and new ground, all while the cell runs."""
    notebook.wait_state("live", timeout=60)
    card(notebook).scroll_into_view_if_needed()
    wait_map(notebook, "(w, s) => s.centre.nodes > 1")
    x, y = middle(notebook)
    notebook.page.mouse.move(x + 31, y - 17)
    card(notebook).locator(".la-pill").get_by_text("exact").wait_for()
    before = stats(notebook)
    slider(notebook, "turn_u").focus()
    for _ in range(3):
        notebook.page.keyboard.press("ArrowRight")
    wait_map(notebook, "(w, s, hash) => s.hash !== hash && s.centre.nodes > 1", before["hash"])
    notebook.page.mouse.dblclick(x, y)
    notebook.page.mouse.dblclick(x, y)
    wait_map(notebook, "(w, s, level) => s.level >= level + 2 && s.centre.z === s.level", before["level"])
    assert running(notebook, cell), "The cell had ended before the map was answered."
    assert notebook.widget().first.get_attribute("data-state") == "live"


@pytest.mark.parametrize("kernel", ANSWERING)
def test_run_all_with_a_training_cell_leaves_the_map_answering(lab: Lab, kernel: str) -> None:
    notebook = busy_notebook(lab, [SHOW_SMALL, TRAIN], "train", kernel)
    notebook.run_all(wait=False)
    assert_everything_is_answered(notebook, 2)
    card(notebook).locator(".la-state").get_by_text("slowed while a cell runs").wait_for()
    stop(notebook)
    notebook.wait_cell(2)
    wait_complete(notebook)
    assert notebook.console_errors == []


@pytest.mark.parametrize("kernel", ANSWERING)
def test_a_cell_that_shows_the_map_trains_on_and_sets_its_traits_leaves_it_answering(
    lab: Lab, kernel: str
) -> None:
    cell = (
        SHOW_SMALL.replace("\nexplorer\n", "\ndisplay(explorer)\n")
        + "for i, _ in enumerate(until_stopped()):\n    train(1, rate=0.0)\n    explorer.theme = ('light', 'auto')[i % 2]\n"
        + "    time.sleep(0.02)"
    )
    notebook = busy_notebook(lab, [cell], "traits", kernel)
    notebook.run_all(wait=False)
    assert_everything_is_answered(notebook, 1)
    stop(notebook)
    notebook.wait_cell(1)
    wait_complete(notebook)
    assert notebook.console_errors == []


def test_on_ipykernel_6_the_map_says_that_the_kernel_is_busy_and_recovers(lab: Lab) -> None:
    notebook = busy_notebook(lab, [SHOW_SMALL, TRAIN], "old", "lossatlas-ipykernel-6.31")
    notebook.run_all(wait=False)
    wait_until_running(notebook, 2)
    card(notebook).scroll_into_view_if_needed()
    stop(notebook)
    notebook.wait_cell(2)
    wait_complete(notebook)

    go_on(notebook)
    notebook.run_cell(2, wait=False)
    wait_until_running(notebook, 2)
    x, y = middle(notebook)
    notebook.page.mouse.dblclick(x, y)
    notebook.page.mouse.dblclick(x, y)
    notebook.wait_state("busy", timeout=30)
    assert re.fullmatch(r"kernel busy, \d+ tiles waiting", words(notebook, ".la-state"))
    assert notebook.eval_widget("w => w.lossatlas.valueAt(0, 0)") is not None
    assert running(notebook, 2)
    stop(notebook)
    notebook.wait_cell(2)
    wait_complete(notebook)
    assert stats(notebook)["centre"]["z"] == stats(notebook)["level"]
    assert notebook.console_errors == []
