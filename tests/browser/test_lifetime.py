"""Many maps, one after the other and side by side: none outlives its output, and none disturbs another."""

from __future__ import annotations

import pytest

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import (
    COARSE,
    SHOW_SMALL,
    ask,
    assert_draws,
    exact,
    middle,
    open_map,
    stats,
    tell,
    wait_complete,
    wait_map,
)

MEASURE = """
import gc, threading, ctypes, psutil, ipywidgets
from lossatlas.widget import explorer as _module
def measured():
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what is free but kept by the allocator is no leak
    except OSError:
        pass
    return {
        "memory": psutil.Process().memory_info().rss,
        "threads": threading.active_count(),
        "open": len(_module._opened),
        "widgets": len(ipywidgets.widgets.widget._instances),
    }
first = explorer
"""


def rerun(notebook: Notebook, times: int) -> None:
    for _ in range(times):
        known = ask(notebook, "explorer.comm.comm_id")
        notebook.run_cell(1)
        assert ask(notebook, "explorer.comm.comm_id") != known
        notebook.wait_state("live")
        wait_map(notebook, "(w, s) => s.centre.nodes >= 5")


def run_again_and_again(lab: Lab, times: int) -> None:
    notebook = open_map(lab)
    tell(notebook, MEASURE)
    rerun(notebook, 8)  # by then the allocator has what it keeps
    assert ask(notebook, "first._session is None and first.comm is None")
    tell(notebook, "del first")
    before = ask(notebook, "measured()")
    rerun(notebook, times)
    after = ask(notebook, "measured()")
    grown = (after["memory"] - before["memory"]) / 2**20
    print(f"\n{times} runs of the explore cell: {grown:+.1f} MB, {before} to {after}")
    assert {k: after[k] for k in ("threads", "open", "widgets")} == {
        k: before[k] for k in ("threads", "open", "widgets")
    }
    assert after["open"] == 1
    assert grown <= 8
    wait_complete(notebook)
    assert_draws(notebook, COARSE, exact(notebook, COARSE))
    assert notebook.console_errors == []


def test_a_cell_run_again_leaves_one_map_and_no_threads_or_memory(lab: Lab) -> None:
    run_again_and_again(lab, 6)


@pytest.mark.long
def test_fifty_runs_of_a_cell_leave_one_map_and_no_threads_or_memory(lab: Lab) -> None:
    run_again_and_again(lab, 50)


def test_a_map_whose_output_is_deleted_is_closed(lab: Lab) -> None:
    notebook = open_map(lab)
    notebook.delete_outputs(1)
    for _ in range(200):
        if ask(notebook, "explorer._session is None"):
            break
    assert ask(notebook, "explorer._session is None")
    assert notebook.console_errors == []


COUNT_CONTEXTS = """
window.contexts = new Set();
for (const kind of [HTMLCanvasElement, globalThis.OffscreenCanvas]) {
    const original = kind.prototype.getContext;
    kind.prototype.getContext = function (name, ...rest) {
        const context = original.call(this, name, ...rest);
        if (name === "webgl2" && context) window.contexts.add(context);
        return context;
    };
}
"""


@pytest.mark.long
def test_two_maps_in_a_notebook_share_one_webgl_context(lab: Lab) -> None:
    gl = SHOW_SMALL.replace("height=360", 'height=300, renderer="webgl2"')
    other = gl.replace("explorer", "other").replace('scale="linear"', 'scale="linear", seed=7')
    notebook = open_map(lab, show=gl, more=(other,), init_script=COUNT_CONTEXTS, viewport=(1100, 1300))
    notebook.run_cell(2)
    wait_complete(notebook, at=1)
    for at, name in enumerate(["explorer", "other"]):
        assert stats(notebook, at)["renderer"] == "webgl2"
        assert_draws(notebook, COARSE, exact(notebook, COARSE, f"{name}.landscape"), at)
    assert notebook.page.evaluate("() => window.contexts.size") == 1
    assert stats(notebook, 0)["hash"] != stats(notebook, 1)["hash"]
    assert notebook.console_errors == []


def test_two_browsers_on_one_kernel_do_not_cancel_each_other(lab: Lab) -> None:
    notebook = open_map(lab)
    notebook.save()
    second = lab.open(None, name=notebook.name, viewport=(1100, 1000))
    second.wait_state("live", timeout=30)
    wait_complete(second)
    for page, dx in ((notebook, -180), (second, 180)):
        x, y = middle(page)
        page.page.mouse.dblclick(x + dx, y)
        page.page.mouse.dblclick(x + dx, y)
    for page in (notebook, second):
        wait_complete(page)
        assert stats(page)["centre"]["z"] == stats(page)["level"]
    left, right = (page.eval_widget("w => w.lossatlas.view().center[0]") for page in (notebook, second))
    # Traits are the model's: the view that was set last is the one of both, each has kept its own, or they have crossed.
    assert abs(left) == pytest.approx(abs(right), abs=0.02)
    for page in (notebook, second):
        assert_draws(page, [(0.0, 0.0)], exact(page, [(0.0, 0.0)]))
    notebook.close()
    second.page.mouse.dblclick(*middle(second))
    wait_complete(second)
    assert ask(second, "explorer._session is not None")
    assert second.console_errors == []
