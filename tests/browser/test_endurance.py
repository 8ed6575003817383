"""Many explorers in one notebook, and one for a long time: memory stays flat and every question is answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import (
    ONE_THREAD,
    SMALL,
    ask,
    card,
    colours,
    open_map,
    tell,
    wait_map,
)
from tests.browser.test_lifetime import COUNT_CONTEXTS

MB = 2**20

MANY = """
from IPython.display import display
def show(seeds):
    for seed in seeds:
        display(la.explore(model, nn.functional.cross_entropy, (x, y), seed=seed, height=160, renderer="webgl2"))
"""


# While it is waited for, cards above it may still grow, and push it out of sight.
KEPT_IN_SIGHT = """(w, s) => {
    w.scrollIntoView({block: "center"});
    return w.dataset.state === "live" && s.complete && s.renderer === "webgl2";
}"""


def heap(notebook: Notebook) -> float:
    """MB that the page's scripts hold after a forced collection: objects, the document's, and the arrays behind them."""
    session = notebook.page.context.new_cdp_session(notebook.page)
    for _ in range(2):  # what only a finalised object held is found by the second
        session.send("HeapProfiler.collectGarbage")
    usage: dict[str, Any] = session.send("Runtime.getHeapUsage")
    session.detach()
    kinds = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
    return float(sum(usage[kind] for kind in kinds)) / MB


def pixels(notebook: Notebook) -> list[int]:
    """Of the canvas of each map."""
    return list(
        notebook.widget().evaluate_all(
            "ws => ws.map((w) => { const {width, height} = w.querySelector('.la-canvas'); return width * height; })"
        )
    )


@pytest.mark.parametrize("many", [12, pytest.param(30, marks=pytest.mark.long)])
def test_explorers_of_a_notebook_all_draw_on_one_context_and_little_memory(lab: Lab, many: int) -> None:
    few = 5
    notebook = lab.open(
        [ONE_THREAD + SMALL + MANY, f"show(range({few}))", f"show(range({few}, {many}))"],
        viewport=(1100, 1000),
        init_script=COUNT_CONTEXTS,
    )
    notebook.run_cell(0)
    held = []
    for cell, shown in ((1, range(few)), (2, range(few, many))):
        notebook.run_cell(cell)
        card(notebook, shown.stop - 1).wait_for()
        for at in shown:
            wait_map(notebook, KEPT_IN_SIGHT, at=at)
            assert colours(notebook, at) > 20
        held.append(heap(notebook))
    assert notebook.page.evaluate("() => window.contexts.size") == 1
    each = (held[1] - held[0]) / (many - few)
    print(f"\n{held[0]:.1f} MB with {few} explorers, {held[1]:.1f} MB with {many}: {each:.2f} MB each")
    assert each <= 5

    # In sight are the last ones; the others have given their pixels back, and kept enough not to be blank.
    seen = pixels(notebook)
    assert max(seen[:-4]) < max(seen) / 50
    assert colours(notebook, 0) > 20
    card(notebook, 0).scroll_into_view_if_needed()
    wait_map(
        notebook,
        "(w, s, whole) => { const {width, height} = w.querySelector('.la-canvas'); return width * height === whole; }",
        max(seen),
    )
    assert colours(notebook, 0) > 20
    assert notebook.console_errors == []


# `count` changes of the view by wheel, keys and scripts, one a frame; the same for the same seed.
WANDER = """async (w, [seed, count]) => {
    let state = seed;
    const random = () => {
        state = (state + 0x6D2B79F5) | 0;
        let t = Math.imul(state ^ (state >>> 15), 1 | state);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const area = w.querySelector(".la-area"), box = area.getBoundingClientRect();
    const key = () => {
        const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "+", "-", "0"];
        w.dispatchEvent(new KeyboardEvent("keydown", {key: keys[Math.floor(random() * keys.length)], bubbles: true}));
    };
    const wheel = () => area.dispatchEvent(new WheelEvent("wheel", {
        clientX: box.left + random() * box.width, clientY: box.top + random() * box.height,
        deltaY: 480 * random() - 240, ctrlKey: true, bubbles: true, cancelable: true,
    }));
    const go = () => w.lossatlas.setView({center: [2 * random() - 1, 2 * random() - 1], span: 4 * 2 ** (-4 * random())});
    for (let i = 0; i < count; i++) {
        [key, key, wheel, wheel, wheel, go][Math.floor(random() * 6)]();
        await new Promise(requestAnimationFrame);
    }
}"""
STEPS = 100

RESIDENT = """
import gc, psutil, ctypes
def resident():
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what is free but kept by the allocator is no leak
    except OSError:
        pass
    return psutil.Process().memory_info().rss / 2**20
"""


def wander(lab: Lab, rounds: int, walks: int) -> None:
    """Walk `rounds` times, each of a hundred changes, on one of so many ways: the same way again brings nothing new."""
    notebook = open_map(lab, ONE_THREAD + SMALL)
    tell(notebook, RESIDENT)
    home = notebook.eval_widget("w => w.lossatlas.view()")
    page_holds, kernel_holds, nodes = [], [], []
    for turn in range(rounds):
        notebook.eval_widget(WANDER, [turn % walks, STEPS])
        notebook.eval_widget("(w, view) => w.lossatlas.setView(view)", home)
        wait_map(notebook, "(w, s) => w.dataset.state === 'live' && s.complete && s.pending === 0")
        page_holds.append(heap(notebook))
        kernel_holds.append(ask(notebook, "resident()"))
        nodes.append(ask(notebook, "explorer.landscape.evaluated"))
    # By the middle the page keeps what it may of each way; from there on, nothing is to be added. The kernel keeps every
    # node that it has evaluated, at some 120 bytes each.
    start, middle, end = walks - 1, rounds // 2, rounds - 1
    held = {"MB of the page": page_holds, "MB of the kernel": kernel_holds, "nodes": nodes}
    for name, values in held.items():
        print(
            f"\n{rounds * STEPS} changes of the view, {name}: {[round(values[at]) for at in (start, middle, end)]}"
        )
    assert page_holds[end] - page_holds[middle] <= 8
    assert kernel_holds[end] - kernel_holds[middle] <= 8 + 200 * (nodes[end] - nodes[middle]) / MB
    assert notebook.console_errors == []


def test_five_hundred_changes_of_the_view_leave_memory_flat_and_no_tile_unanswered(lab: Lab) -> None:
    wander(lab, rounds=5, walks=1)


@pytest.mark.long
def test_an_hour_of_wandering_leaves_memory_flat_and_no_tile_unanswered(lab: Lab) -> None:
    wander(lab, rounds=50, walks=2)
