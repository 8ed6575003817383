"""What pages, screens and people do to a map: it goes on, or says why not, and never complains on the console."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.lab import Lab, LabServer, Notebook
from tests.browser.maps import (
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
    words,
)
from tests.browser.test_lifetime import COUNT_CONTEXTS

LISTEN = """
heard = []
explorer.on_msg(lambda _widget, message, _buffers: heard.append(message["k"]))
"""


@pytest.fixture(scope="module")
def opened(lab_server: LabServer, chromium: Browser) -> Iterator[Notebook]:
    """One notebook for all tests here that leave the map as they found it."""
    lab = Lab(lab_server, chromium)
    notebook = open_map(lab, ONE_THREAD + SMALL, init_script=COUNT_CONTEXTS)
    tell(notebook, LISTEN)
    yield notebook
    lab.close()


@pytest.fixture
def notebook(opened: Notebook) -> Iterator[Notebook]:
    yield opened
    assert opened.console_errors == []
    opened.eval_widget(
        "w => { w.focus(); w.dispatchEvent(new KeyboardEvent('keydown', {key: '0', bubbles: true})); w.blur(); }"
    )
    wait_complete(opened)


def hint(notebook: Notebook) -> str:
    """The sentence over the map, once it is shown."""
    card(notebook).locator(".la-hint.la-shown").wait_for()
    return words(notebook, ".la-hint")


def test_zooming_stops_with_a_sentence_where_numbers_end(notebook: Notebook) -> None:
    x, y = middle(notebook)
    card(notebook).focus()
    notebook.page.mouse.move(x + 100, y + 50)
    for span, wheel, sentence in (
        (1e-30, -240, "No closer: here float32 can hardly tell neighbouring points apart"),
        (1e30, 240, "No farther: this is all that can be shown"),
    ):
        notebook.eval_widget("(w, span) => w.lossatlas.setView({center: [0.25, 0.25], span})", span)
        assert hint(notebook) == sentence
        wait_map(notebook, "(w, s) => s.complete")
        end = notebook.eval_widget("w => w.lossatlas.view()")
        assert 1e-9 < end["span"] < 1e9
        card(notebook).locator(".la-hint.la-shown").wait_for(state="hidden")
        notebook.page.mouse.wheel(0, wheel)
        assert hint(notebook) == sentence
        # Where it cannot come closer, it does not creep towards the pointer either.
        assert notebook.eval_widget("w => w.lossatlas.view()") == end
        assert notebook.eval_widget("w => w.lossatlas.valueAt(0.25, 0.25)") is not None


HIDE = """() => {
    for (const [name, value] of [["hidden", true], ["visibilityState", "hidden"]])
        Object.defineProperty(document, name, {configurable: true, get: () => value});
    document.dispatchEvent(new Event("visibilitychange"));
}"""
UNHIDE = """() => {
    delete document.hidden;
    delete document.visibilityState;
    document.dispatchEvent(new Event("visibilitychange"));
}"""
PIXELS = "w => { const {width, height} = w.querySelector('.la-canvas'); return width * height; }"


def test_a_page_behind_another_draws_and_asks_nothing_and_comes_back(notebook: Notebook) -> None:
    whole = notebook.eval_widget(PIXELS)
    notebook.page.evaluate(HIDE)
    assert notebook.eval_widget(PIXELS) < whole / 50
    frames = stats(notebook)["frames"]
    notebook.page.wait_for_timeout(600)  # what the map had still to tell of its view would be the last word
    tell(notebook, "heard.clear(); explorer.view = {'center': [0.5, 0.5], 'span': 0.5}")
    wait_map(notebook, "(w) => w.lossatlas.view().span === 0.5")
    notebook.page.wait_for_timeout(1000)
    assert ask(notebook, "heard") == []
    assert stats(notebook)["frames"] == frames
    # It is whole in the very next picture of the page.
    assert (
        notebook.page.evaluate(
            f"() => {{ ({UNHIDE})(); return ({PIXELS})(document.querySelector('.lossatlas')); }}"
        )
        == whole
    )
    wait_complete(notebook)
    assert "want" in ask(notebook, "heard")
    assert_draws(notebook, [(0.5, 0.5)], exact(notebook, [(0.5, 0.5)]))


def test_a_cell_without_a_size_waits_and_draws_when_it_is_shown(notebook: Notebook) -> None:
    area = "w.closest('.jp-OutputArea')"
    whole = notebook.eval_widget(PIXELS)
    notebook.eval_widget(f"w => {{ {area}.style.display = 'none'; }}")
    wait_map(notebook, f"(w, s, whole) => ({PIXELS})(w) < whole / 50", whole)
    frames = stats(notebook)["frames"]
    tell(notebook, "explorer.height = 300")
    notebook.page.wait_for_timeout(300)
    assert stats(notebook)["frames"] == frames
    notebook.eval_widget(f"w => {{ {area}.style.display = ''; }}")
    wait_map(notebook, f"(w, s, whole) => ({PIXELS})(w) > 0.6 * whole && ({PIXELS})(w) < whole", whole)
    wait_complete(notebook)
    assert colours(notebook) > 20
    tell(notebook, "explorer.height = 360")
    wait_map(notebook, f"(w, s, whole) => ({PIXELS})(w) === whole", whole)
    # A cell narrower than the map can be, too.
    notebook.eval_widget("w => { w.parentElement.style.width = '8px'; }")
    wait_map(notebook, "(w) => w.dataset.size === 'narrow'")
    notebook.eval_widget("w => { w.parentElement.style.width = ''; }")
    wait_map(notebook, f"(w, s, whole) => ({PIXELS})(w) === whole", whole)


def test_a_lost_context_leaves_the_map_to_the_cpu_until_it_is_back(notebook: Notebook) -> None:
    tell(notebook, "explorer.renderer = 'webgl2'")
    wait_map(notebook, "(w, s) => s.renderer === 'webgl2' && w.dataset.renderer === 'webgl2'")
    notebook.page.evaluate(
        "() => { window.lost = [...window.contexts].at(-1).getExtension('WEBGL_lose_context'); window.lost.loseContext(); }"
    )
    notebook.eval_widget("w => w.lossatlas.setView({center: [0.5, 0.5], span: 1})")
    wait_map(notebook, "(w, s) => w.dataset.renderer === 'cpu' && s.complete")
    assert colours(notebook) > 20
    notebook.page.evaluate("() => window.lost.restoreContext()")
    # The map asks again when it next draws, two seconds later at the soonest.
    wait_map(
        notebook,
        "(w, s) => { w.lossatlas.setView({center: [0.5, 0.5], span: 0.9 + 0.1 * Math.random()}); return w.dataset.renderer === 'webgl2'; }",
    )
    wait_complete(notebook)
    assert colours(notebook) > 20
    tell(notebook, "explorer.renderer = 'auto'")
    wait_map(notebook, "(w) => w.dataset.renderer === 'cpu'")


def test_a_view_beyond_all_numbers_is_refused_in_words(notebook: Notebook) -> None:
    before = notebook.eval_widget("w => w.lossatlas.view()")
    for view in (
        "{'center': [0, 0], 'span': 0}",
        "{'center': [0, 0], 'span': float('inf')}",
        "{'center': [float('nan'), 0], 'span': 1}",
    ):
        with pytest.raises(AssertionError, match=r"TraitError: view is .* finite, span > 0\."):
            tell(notebook, f"explorer.view = {view}")
    for junk in (
        "{center: [0, 0], span: 0}",
        "{center: [0, 0], span: Infinity}",
        "{center: [NaN, 0], span: 1}",
        "{center: [0], span: 1}",
    ):
        notebook.eval_widget(f"w => w.lossatlas.setView({junk})")
    assert notebook.eval_widget("w => w.lossatlas.view()") == before


def test_a_map_that_is_closed_while_it_is_dragged_leaves_quietly(lab: Lab) -> None:
    notebook = open_map(lab, ONE_THREAD + SMALL)
    x, y = middle(notebook)
    notebook.page.mouse.move(x, y)
    notebook.page.mouse.down()
    notebook.page.mouse.move(x + 30, y + 10, steps=3)
    tell(notebook, "explorer.close()")
    notebook.page.mouse.move(x + 90, y + 40, steps=6)
    notebook.page.mouse.up()
    notebook.page.wait_for_function("() => document.querySelector('.lossatlas') === null")
    notebook.run_cell(1)
    wait_complete(notebook)
    assert notebook.console_errors == []

    # A kernel that goes takes no output along.
    notebook.page.mouse.move(*middle(notebook))
    notebook.page.mouse.down()
    notebook.page.mouse.move(x + 30, y + 10, steps=3)
    notebook.restart_kernel()
    notebook.wait_state("frozen", timeout=30)
    before = notebook.eval_widget("w => w.lossatlas.view().center")
    notebook.page.mouse.move(x + 90, y + 40, steps=6)
    notebook.page.mouse.up()
    # What is there can still be looked at.
    assert notebook.eval_widget("w => w.lossatlas.view().center") != before
    assert words(notebook, ".la-state").startswith("kernel gone, map frozen")
    assert colours(notebook) > 20
    assert notebook.console_errors == []
