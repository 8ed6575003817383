"""Kernels that are interrupted, restarted and left, pages that are opened again."""

from __future__ import annotations

import numpy as np

from tests.browser.lab import Lab
from tests.browser.maps import (
    COARSE,
    assert_draws,
    colours,
    drawn,
    exact,
    middle,
    open_map,
    slider,
    stats,
    wait_complete,
    wait_map,
    words,
)


def test_an_interrupted_cell_leaves_the_map_live(lab: Lab) -> None:
    asleep = "print('asleep'); import time; time.sleep(100)"
    evaluating = "print('evaluating'); explorer.landscape.grid(shape=(2001, 2001))"
    notebook = open_map(lab, more=(asleep, evaluating))
    for cell, begun in ((2, "asleep"), (3, "evaluating")):
        notebook.run_cell(cell, wait=False)
        notebook.cell(cell).get_by_text(begun, exact=True).wait_for()
        notebook.page.mouse.dblclick(*middle(notebook))
        notebook.interrupt()
        notebook.wait_cell(cell, check=False)
        assert "KeyboardInterrupt" in (notebook.error(cell) or "")
        wait_complete(notebook)
        assert stats(notebook)["centre"]["z"] == stats(notebook)["level"]
    assert_draws(notebook, [(0.0, 0.0)], exact(notebook, [(0.0, 0.0)]))
    assert notebook.console_errors == []


def test_a_restarted_kernel_freezes_the_map_until_its_cells_run_again(lab: Lab) -> None:
    notebook = open_map(lab)
    before = drawn(notebook, COARSE)
    notebook.restart_kernel()
    notebook.wait_state("frozen", timeout=30)
    assert words(notebook, ".la-state").startswith("kernel gone, map frozen")
    np.testing.assert_array_equal(drawn(notebook, COARSE), before)
    assert colours(notebook) > 50
    # What was known can still be looked at.
    notebook.page.mouse.dblclick(*middle(notebook))
    assert notebook.eval_widget("w => w.lossatlas.valueAt(0, 0)") is not None
    assert slider(notebook, "turn_u").is_disabled()
    notebook.run_cell(0)
    notebook.run_cell(1)
    wait_complete(notebook)
    assert_draws(notebook, COARSE, exact(notebook, COARSE))
    np.testing.assert_allclose(drawn(notebook, COARSE), before, rtol=1e-6)
    assert notebook.console_errors == []

    lab.server.end_kernels()  # for good; JupyterLab logs what it asks of it in vain
    notebook.wait_state("frozen", timeout=30)
    np.testing.assert_allclose(drawn(notebook, COARSE), before, rtol=1e-6)


def test_a_page_that_is_loaded_again_finds_the_map_in_its_kernel(lab: Lab) -> None:
    """JupyterLab asks the kernel for its widgets when it opens a notebook whose output shows one."""
    notebook = open_map(lab)
    notebook.page.mouse.dblclick(*middle(notebook))
    wait_complete(notebook)
    view = notebook.eval_widget("w => w.lossatlas.view()")
    notebook.save()
    notebook.reload()
    notebook.wait_state("live", timeout=30)
    wait_complete(notebook)
    wait_map(notebook, "(w, s, span) => Math.abs(w.lossatlas.view().span - span) < 1e-6 * span", view["span"])
    assert_draws(notebook, [(0.0, 0.0)], exact(notebook, [(0.0, 0.0)]))
    assert notebook.console_errors == []
