"""The explorer wherever Jupyter widgets are shown: drawn, live, zoomed by the wheel and clicked, twice at once too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.browser.hosts import Served, marimo, notebook7, voila
from tests.browser.lab import PANEL, Lab
from tests.browser.maps import (
    COARSE,
    ONE_THREAD,
    SMALL,
    ask,
    assert_draws,
    card,
    colours,
    exact,
    middle,
    open_map,
    stats,
    tell,
    wait_complete,
    wait_map,
)

# The title is what PyTorch says of the middle of the map.
TITLED = (
    ONE_THREAD
    + SMALL
    + """
loss = nn.functional.cross_entropy(model(x), y).item()
explorer = la.explore(model, nn.functional.cross_entropy, (x, y), height=360, tolerance=0, title=str(loss))
"""
)

# What the hosts say on pages without any widget of ours.
NOISE: dict[str, tuple[str, ...]] = {
    "notebook": (
        r"Menu entry for command '\S+' is duplicated",
        r"Not same Y\.Doc",
        r"reading 'schema'",  # its own menus, when another part's settings are not there
    ),
    "voila": (
        r"ERR_NAME_NOT_RESOLVED|ERR_FAILED|ERR_INTERNET_DISCONNECTED",  # icon fonts from afar
        r"shared (singleton )?module",  # it offers older parts than JupyterLab's extensions were built for
        r"Failed to create module",
    ),
    "marimo": (r"was preloaded using link preload but not used",),
}
MAKE: dict[str, Callable[[Path, str], Served]] = {"notebook": notebook7, "voila": voila, "marimo": marimo}


class Shown:
    """The page of one host; our root may be in a shadow root, which locators look into."""

    def __init__(self, served: Served, page: Page) -> None:
        self.served = served
        self.page = page
        self.root: Locator = page.locator(".lossatlas")
        self._said: list[str] = []
        page.on("console", lambda m: self._said.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self._said.append(str(error)))

    def open(self) -> None:
        self.served.wait_until_up()
        self.page.goto(self.served.url)

    def wait(self, condition: str, arg: object = None) -> None:
        """Wait until `(w, s, arg) => …` holds; s: the map's stats."""
        self.root.wait_for(timeout=60_000)
        script = f"([w, arg]) => ({condition})(w, w.lossatlas.stats(), arg)"
        self.page.wait_for_function(script, arg=[self.root.element_handle(), arg], timeout=60_000)

    @property
    def said(self) -> list[str]:
        """What the page complained of, without what it says anyway."""
        return [text for text in self._said if not any(re.search(p, text) for p in NOISE[self.served.name])]


RUN_ALL = f"""() => {PANEL}?.sessionContext?.session?.kernel?.status === "idle"
    && (window.jupyterapp.commands.execute("notebook:run-all-cells"), true)"""


@pytest.fixture(scope="module")
def shown(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shown]]:
    """All hosts, started and at work side by side."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(make(tmp_path_factory.mktemp(name), TITLED)) for name, make in MAKE.items()
        ]
        pages = []
        for server in servers:
            context = chromium.new_context(viewport={"width": 1100, "height": 900})
            stack.callback(context.close)
            pages.append(Shown(server, context.new_page()))
        for each in pages:
            each.open()
        pages[0].page.wait_for_function(RUN_ALL, timeout=60_000)
        yield {each.served.name: each for each in pages}


@pytest.mark.parametrize("host", MAKE)
def test_the_explorer_is_drawn_live_zoomed_and_clicked(shown: dict[str, Shown], host: str) -> None:
    at = shown[host]
    at.wait("(w, s) => w.dataset.state === 'live' && s.complete")
    home, span = at.root.evaluate("w => [w.lossatlas.stats().level, w.lossatlas.view().span]")
    in_shadow = at.root.evaluate("w => w.getRootNode() !== document")
    assert in_shadow == (host == "marimo")
    loss = float(at.root.locator(".la-title").inner_text())
    assert at.root.evaluate("w => w.lossatlas.valueAt(0, 0)") == pytest.approx(loss, rel=1e-6)
    # The sheet has come too: the area lies over the map's room, and the buttons beside each other.
    assert at.root.locator(".la-area").evaluate("e => getComputedStyle(e).position") == "absolute"

    box = at.root.locator(".la-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    at.root.evaluate("w => w.focus({preventScroll: true})")
    at.page.mouse.move(x, y)
    for _ in range(2):
        at.page.mouse.wheel(0, -120)
    at.wait("(w, s, span) => w.lossatlas.view().span < 0.51 * span", span)
    at.wait("(w, s, home) => s.complete && s.centre.z === home + 1", home)

    at.page.mouse.click(x + 30, y)
    at.wait("(w) => w.querySelector('.la-point')?.dataset.running === 'false'")
    row = at.root.locator(".la-point .la-row", has_text="loss").locator("b")
    there = at.root.evaluate("(w, a) => w.lossatlas.valueAt(a, 0)", 30 / box["width"] * span / 2)
    assert float(row.inner_text()) == pytest.approx(there, rel=1e-3)
    assert at.said == []


LISTEN = """
heard = []
explorer.on_msg(lambda _widget, message, _buffers: heard.append(message))
"""
NEW_VIEW = f"""() => {{
    {PANEL}.content.activeCellIndex = 1;
    return window.jupyterapp.commands.execute("notebook:create-output-view");
}}"""
CLOSE_NEW_VIEW = """() => {
    for (const widget of window.jupyterapp.shell.widgets("main")) if (!widget.context) widget.close();
}"""
# The notebook becomes the page's current document again, which the kernel is asked through.
TO_NOTEBOOK = """() => {
    const {shell} = window.jupyterapp;
    shell.activateById([...shell.widgets("main")].find((widget) => widget.context).id);
}"""
WANTS = "[m for m in heard if m['k'] == 'want']"


def test_two_views_of_one_explorer_have_a_view_each_and_ask_for_their_tiles_once(lab: Lab) -> None:
    notebook = open_map(lab, ONE_THREAD + SMALL, viewport=(1300, 1300))
    tell(notebook, LISTEN)
    notebook.page.evaluate(NEW_VIEW)
    card(notebook, 1).wait_for()
    for at in (0, 1):
        wait_complete(notebook, at=at)
        assert colours(notebook, at) > 20
    first = card(notebook, 0).evaluate("w => w.lossatlas.view()")
    notebook.page.mouse.dblclick(*middle(notebook, 1))
    notebook.page.mouse.dblclick(*middle(notebook, 1))
    wait_map(notebook, "(w, s, span) => w.lossatlas.view().span < 0.3 * span", first["span"], at=1)
    wait_complete(notebook, at=1)
    # Longer than a view waits until it is told to the model, from where it would come back to the other one.
    notebook.page.wait_for_timeout(800)
    assert card(notebook, 0).evaluate("w => w.lossatlas.view()") == first
    second = card(notebook, 1).evaluate("w => w.lossatlas.view()")
    notebook.page.evaluate(TO_NOTEBOOK)
    assert ask(notebook, "explorer.view['span']") == second["span"]
    levels = [stats(notebook, at)["level"] for at in (0, 1)]
    assert levels[1] >= levels[0] + 2
    for at in (0, 1):
        assert_draws(notebook, COARSE[4:5], exact(notebook, COARSE[4:5]), at)

    # What Python chooses is for both.
    tell(notebook, "explorer.view = {'center': [0.5, 0.25], 'span': 1.5}")
    for at in (0, 1):
        wait_map(notebook, "(w) => w.lossatlas.view().span === 1.5", at=at)
    for at in (0, 1):
        wait_complete(notebook, at=at)
    # One page greets the kernel, with one list for both, in which no tile is named twice.
    wants = ask(notebook, WANTS)
    assert len({want["client"] for want in wants}) == 1
    assert any(
        levels[0] in zs and levels[1] in zs
        for zs in ({z for z, *_ in w["tiles"] + w["shown"]} for w in wants)
    )
    for want in wants:
        for named in (want["tiles"], want["shown"]):
            assert len({tuple(tile) for tile in named}) == len(named)

    notebook.page.evaluate(CLOSE_NEW_VIEW)
    notebook.page.wait_for_function("() => document.querySelectorAll('.lossatlas').length === 1")
    notebook.page.mouse.dblclick(*middle(notebook))
    wait_map(notebook, "(w, s) => w.lossatlas.view().span < 1")
    wait_complete(notebook)
    assert ask(notebook, "len([m for m in heard if m['k'] == 'bye'])") == 0
    assert np.isfinite(ask(notebook, "explorer.landscape.evaluate([0.5], [0.25]).tolist()")).all()
    assert notebook.console_errors == []
