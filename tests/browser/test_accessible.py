"""Who does not see the map, or has no pointer: names, a sensible order, contrast, and what axe-core finds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.browser.lab import ROOT, Lab, Notebook
from tests.browser.maps import ask, card, open_map, wait_map

AXE = ROOT / "js" / "node_modules" / "axe-core" / "axe.min.js"

# Every rule that axe-core has switched on, and the size of targets, which it has not.
RUN = """async () => {
    const {violations} = await axe.run(".lossatlas", {rules: {"target-size": {enabled: true}}});
    return violations.map(({id, help, nodes}) => `${id}: ${help}: ${nodes.map(({html}) => html.slice(0, 160)).join("  ")}`);
}"""


def ready(lab: Lab, **options: Any) -> Notebook:
    notebook = open_map(lab, viewport=(1280, 1000), **options)
    wait_map(notebook, "(w) => w.querySelector('.la-scalebar text')?.textContent")
    return notebook


def violations(notebook: Notebook) -> list[str]:
    if not notebook.page.evaluate("() => 'axe' in window"):
        notebook.page.evaluate(Path(AXE).read_text())
    return list(notebook.page.evaluate(RUN))


# Each text that is seen, as [ratio, text]: its colour against what lies behind it, of a map the lightest there can be.
CONTRAST = """w => {
    const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
    const over = (top, below) => [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * below[i]);
    const light = (rgb) => {
        const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        if (element.matches(".la-area")) return [255, 255, 255];
        const own = parse(getComputedStyle(element).backgroundColor);
        return own[3] === 1 ? own.slice(0, 3) : over(own, behind(element.parentElement));
    };
    const found = [];
    const texts = document.createTreeWalker(w, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode.textContent.trim(), element = texts.currentNode.parentElement;
        if (!text || element.closest("style, title, option, datalist, .la-live, :disabled, .la-area svg")) continue;
        if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
        const style = getComputedStyle(element), below = behind(element);
        const ink = parse(element instanceof SVGElement ? style.fill : style.color);
        const [x, y] = [light(over(ink, below)), light(below)].sort((p, q) => q - p);
        found.push([(x + 0.05) / (y + 0.05), text]);
    }
    for (const input of w.querySelectorAll("input[placeholder]:enabled, select:enabled")) {
        if (!input.checkVisibility()) continue;
        const kind = input.matches("input") ? "::placeholder" : null;
        const below = behind(input), ink = parse(getComputedStyle(input, kind).color);
        const [x, y] = [light(over(ink, below)), light(below)].sort((p, q) => q - p);
        found.push([(x + 0.05) / (y + 0.05), input.placeholder ?? input.value]);
    }
    return found;
}"""


def weak(notebook: Notebook) -> list[Any]:
    found = notebook.eval_widget(CONTRAST)
    assert len(found) > 10
    return [each for each in found if each[0] < 4.5]


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_axe_finds_nothing_and_all_text_has_contrast(lab: Lab, theme: str) -> None:
    notebook = ready(lab, theme=theme)
    keyboard = notebook.page.keyboard
    assert violations(notebook) == []
    assert weak(notebook) == []
    for key in ("g", "?"):
        card(notebook).focus()
        keyboard.press(key)
        if key == "g":
            keyboard.type("x")
            keyboard.press("Enter")  # and is told what is wrong
        assert violations(notebook) == []
        assert weak(notebook) == []
        keyboard.press("Escape")
    card(notebook).get_by_label("zoom to a box").click()
    assert violations(notebook) == []
    assert weak(notebook) == []
    keyboard.press("Escape")

    for button in (".la-more button", "[aria-label='take it away']"):
        card(notebook).locator(button).first.click()
        assert violations(notebook) == [], button
        assert weak(notebook) == [], button
        keyboard.press("Escape")

    card(notebook).locator(".la-recipe").click()
    card(notebook).locator(".la-about:not(.la-table) p").get_by_text("Of the gradient").wait_for()
    assert violations(notebook) == []
    keyboard.press("Escape")

    card(notebook).focus()
    keyboard.press("c")
    point = card(notebook).locator(".la-point:not([hidden])")
    point.wait_for()
    point.get_by_text("λ", exact=False).first.wait_for()
    notebook.page.wait_for_timeout(400)  # it comes in from the side
    assert violations(notebook) == []
    assert weak(notebook) == []
    card(notebook).focus()
    keyboard.press("Escape")

    for width in (700, 420):
        notebook.eval_widget("(w, width) => { w.parentElement.style.width = `${width}px`; }", width)
        wait_map(notebook, "(w, s, width) => w.clientWidth < width && s.complete", width)
        assert violations(notebook) == []
        assert weak(notebook) == []
    assert notebook.console_errors == []


def test_the_map_has_a_name_and_a_description_and_tells_values_at_most_once_a_second(lab: Lab) -> None:
    notebook = ready(lab)
    region = notebook.page.get_by_role("application", name="Map of the loss")
    assert region.get_attribute("tabindex") == "0"
    description = notebook.page.locator(f"#{region.get_attribute('aria-describedby')}")
    assert "Arrows pan" in (description.text_content() or "")
    live = card(notebook).locator(".la-live[aria-live=polite]")
    notebook.eval_widget("""w => {
        const live = w.querySelector("[aria-live=polite]"), spoken = window.spoken = [];
        new MutationObserver(() => spoken.push([performance.now(), live.textContent])).observe(live, {childList: true});
    }""")
    card(notebook).focus()
    notebook.page.keyboard.press("Enter")
    live.get_by_text("exact").wait_for(state="attached")
    for _ in range(8):
        notebook.page.keyboard.press("ArrowRight")
        notebook.page.keyboard.press("Enter")
        notebook.page.wait_for_timeout(250)
    value = ask(notebook, "explorer.landscape.objective.value(explorer.landscape.objective.theta)")
    assert f"{value:.4g}" in notebook.page.evaluate("() => window.spoken")[0][1]
    notebook.page.wait_for_function("""() => {
        const pill = document.querySelector(".la-pill").textContent;
        return pill.includes("exact") && window.spoken.at(-1)[1] === pill;
    }""")
    spoken = [when for when, _ in notebook.page.evaluate("() => window.spoken")]
    assert len(spoken) >= 3
    assert min(after - before for before, after in pairwise(spoken)) > 990
    assert notebook.console_errors == []


# What has the focus: its zone of the card from above, its name, whether one sees it.
FOCUSED = """w => {
    const here = document.activeElement;
    if (here === w || !w.contains(here)) return null;
    const {outlineStyle, outlineWidth} = getComputedStyle(here);
    const zone = [".la-head", ".la-body", ".la-sliders", ".la-foot"].findIndex((name) => here.closest(name));
    const name = here.getAttribute("aria-label") || here.labels?.[0]?.textContent || here.textContent;
    return [zone, name.trim(), outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
}"""


@pytest.mark.parametrize("width", [1100, 420])
def test_every_control_is_reached_by_tab_from_above_and_is_seen_to_be(lab: Lab, width: int) -> None:
    notebook = ready(lab)
    notebook.eval_widget("(w, width) => { w.parentElement.style.width = `${width}px`; }", width)
    wait_map(notebook, "(w, s, width) => w.clientWidth < width && s.complete", width)
    controls = notebook.eval_widget("""w => [...w.querySelectorAll("button, input, select")]
        .filter((each) => !each.disabled && each.checkVisibility()).length""")
    card(notebook).focus()
    reached = []
    for _ in range(controls + 1):
        notebook.page.keyboard.press("Tab")
        reached.append(notebook.eval_widget(FOCUSED))
    assert reached.pop() is None  # it is left again
    assert all(each is not None and each[1] and each[2] for each in reached)
    zones = [zone for zone, _, _ in reached]
    assert zones == sorted(zones)
    assert "home view" in [name for _, name, _ in reached]
    # Out of the map by Escape: the keys are the page's again.
    card(notebook).focus()
    notebook.page.keyboard.press("Escape")
    assert notebook.eval_widget("w => !w.contains(document.activeElement)")
    assert notebook.console_errors == []


def test_the_head_of_the_card_is_one_row_at_any_width(lab: Lab) -> None:
    notebook = ready(lab)
    for width in (1100, 840, 700, 600, 500):
        notebook.eval_widget("(w, width) => { w.parentElement.style.width = `${width}px`; }", width)
        wait_map(notebook, "(w, s, width) => w.clientWidth < width && w.clientWidth > width - 30", width)
        wait_map(notebook, "(w, s, size) => w.dataset.size === size", "wide" if width > 760 else "compact")
        parts = ".la-head, .la-head > :not(.la-buttons, .la-more), .la-buttons > *, .la-more > *"
        head, *boxes = notebook.eval_widget(
            """(w, parts) => [...w.querySelectorAll(parts)]
            .filter((each) => each.checkVisibility())
            .map((each) => each.getBoundingClientRect()).map(({left, right, top, bottom}) => [left, right, top, bottom])""",
            parts,
        )
        for (_, right, _, _), (left, _, _, _) in pairwise(boxes):
            assert right <= left
        for left, right, top, bottom in boxes:
            assert head[0] <= left <= right <= head[1]
            assert head[2] <= top < bottom <= head[3]
        assert head[3] - head[2] < 50
    assert notebook.console_errors == []


def test_a_narrow_map_keeps_the_way_home(lab: Lab) -> None:
    notebook = ready(lab)
    notebook.eval_widget("w => { w.parentElement.style.width = '420px'; }")
    wait_map(notebook, "(w, s) => w.dataset.size === 'narrow' && s.complete")
    shown = [
        each.get_attribute("aria-label")
        for each in card(notebook).locator(".la-head button").all()
        if each.is_visible()
    ]
    assert shown == ["home view", "zoom out", "zoom in"]
    home = notebook.eval_widget("w => w.lossatlas.view().span")
    card(notebook).get_by_label("zoom in").click()
    wait_map(notebook, "(w, s, home) => w.lossatlas.view().span === home / 2", home)
    card(notebook).get_by_label("home view").click()
    wait_map(notebook, "(w, s, home) => w.lossatlas.view().span === home", home)
    assert notebook.console_errors == []
