"""Moving about the map: zooms glide to the pointer, boxes, the views before and after, places by number, fingers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import CDPSession

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import (
    ask,
    canvas_box,
    card,
    middle,
    open_map,
    slider,
    stats,
    tell,
    wait_complete,
    wait_map,
    words,
)

VIEW = "w => w.lossatlas.view()"

# Notes the view at each animation frame.
WATCH = """w => {
    const seen = window.seen = [w.lossatlas.view()];
    const look = () => {
        if (window.seen !== seen) return;
        seen.push(w.lossatlas.view());
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""
WATCHED = "() => { const {seen} = window; window.seen = null; return seen; }"


def ready(lab: Lab, **options: Any) -> Notebook:
    """A map with its instrument, which has rested at home."""
    notebook = open_map(lab, **options)
    wait_map(notebook, "(w) => w.querySelector('.la-scalebar text')?.textContent")
    notebook.page.wait_for_timeout(50)
    return notebook


def view(notebook: Notebook) -> dict[str, Any]:
    return dict(notebook.eval_widget(VIEW))


def at_rest(notebook: Notebook) -> dict[str, Any]:
    """The view once it is the same in ten frames running."""
    return dict(
        notebook.eval_widget("""async (w) => {
            let [last, same] = ["", 0];
            while (same < 10) {
                await new Promise(requestAnimationFrame);
                const now = JSON.stringify(w.lossatlas.view());
                same = now === last ? same + 1 : 0;
                last = now;
            }
            return w.lossatlas.view();
        }""")
    )


def watched(notebook: Notebook, act: Callable[[], object]) -> list[dict[str, Any]]:
    """The views of all frames from before `act`, which changes it, until the map is at rest again, each once."""
    before = view(notebook)
    notebook.eval_widget(WATCH)
    act()
    wait_map(
        notebook, "(w, s, before) => JSON.stringify(w.lossatlas.view()) !== JSON.stringify(before)", before
    )
    at_rest(notebook)
    seen = notebook.page.evaluate(WATCHED)
    return [now for before, now in zip([None, *seen], seen, strict=False) if now != before]


def place(notebook: Notebook, seen: dict[str, Any], x: float, y: float) -> tuple[float, float]:
    """The point of the plane at a pixel of the page, in a view."""
    box = canvas_box(notebook)
    scale = seen["span"] / box["width"]
    a, b = seen["center"]
    return (
        a + (x - box["x"] - box["width"] / 2) * scale,
        b - (y - box["y"] - box["height"] / 2) * scale,
    )


def test_a_notch_of_the_wheel_glides_about_the_pointer_to_where_a_step_would_lead(lab: Lab) -> None:
    notebook = ready(lab)
    x, y = (round(at) for at in middle(notebook))  # a wheel tells of whole pixels
    x, y = x + 150, y - 80
    card(notebook).focus()
    notebook.page.mouse.move(x, y)
    start = view(notebook)
    seen = watched(notebook, lambda: notebook.page.mouse.wheel(0, -120))
    assert len(seen) > 2  # however few frames a busy machine draws on the way
    spans = [each["span"] for each in seen]
    assert spans == sorted(spans, reverse=True)
    assert spans[-1] == start["span"] / 2**0.5
    held = place(notebook, start, x, y)
    for each in seen:  # a hundredth of a pixel, in the plane
        off = [abs(p - q) for p, q in zip(place(notebook, each, x, y), held, strict=True)]
        assert max(off) < 0.01 * start["span"] / canvas_box(notebook)["width"]

    def twice() -> None:
        notebook.page.mouse.wheel(0, -120)
        notebook.page.mouse.wheel(0, -120)

    seen = watched(notebook, twice)
    assert seen[-1]["span"] == pytest.approx(spans[-1] / 2, rel=1e-15)
    assert (
        max(abs(p - q) for p, q in zip(place(notebook, seen[-1], x, y), held, strict=True))
        < 0.01 * seen[-1]["span"] / canvas_box(notebook)["width"]
    )
    # A trackpad's small steps are followed as they come.
    seen = watched(notebook, lambda: notebook.page.mouse.wheel(0, -6))
    assert [each["span"] for each in seen] == [seen[0]["span"], seen[0]["span"] / 2 ** (6 / 240)]
    assert notebook.console_errors == []


def test_every_way_to_zoom_glides_and_scripts_jump(lab: Lab) -> None:
    notebook = ready(lab)
    home = view(notebook)
    x, y = middle(notebook)
    keyboard = notebook.page.keyboard
    card(notebook).focus()
    for act, factor in (
        (lambda: keyboard.press("+"), 2**0.5),
        (lambda: card(notebook).get_by_label("zoom in").click(), 2),
        (lambda: notebook.page.mouse.dblclick(x + 60, y), 2),
        (lambda: card(notebook).get_by_label("zoom out").click(), 0.5),
    ):
        before = view(notebook)
        seen = watched(notebook, act)
        assert len(seen) > 2
        assert seen[-1]["span"] == before["span"] / factor
    card(notebook).focus()
    seen = watched(notebook, lambda: keyboard.press("0"))
    assert len(seen) > 2
    assert seen[-1] == home
    jump = "w => w.lossatlas.setView({center: [0.25, 0.5], span: 0.5})"
    seen = watched(notebook, lambda: notebook.eval_widget(jump))
    assert seen == [home, {"center": [0.25, 0.5], "span": 0.5}]
    # Also from the middle of a glide, which then has an end.
    card(notebook).focus()
    keyboard.press("0")
    notebook.eval_widget(jump)
    assert at_rest(notebook) == {"center": [0.25, 0.5], "span": 0.5}
    assert notebook.console_errors == []


def test_a_hand_stops_what_moves_and_less_motion_is_none(lab: Lab) -> None:
    notebook = ready(lab)
    home = view(notebook)
    x, y = middle(notebook)
    card(notebook).focus()
    notebook.page.mouse.move(x, y)
    # In one task, so that the hand comes while it moves, on however slow a machine.
    span = notebook.eval_widget(
        """async (w, [x, y]) => {
            const area = w.querySelector(".la-area");
            w.querySelector("[aria-label='zoom in']").click();
            let {span} = w.lossatlas.view();
            while (w.lossatlas.view().span === span) await new Promise(requestAnimationFrame);
            const hand = {bubbles: true, cancelable: true, button: 0, pointerId: 1, clientX: x, clientY: y};
            area.setPointerCapture = () => {};
            area.dispatchEvent(new PointerEvent("pointerdown", hand));
            ({span} = w.lossatlas.view());
            area.dispatchEvent(new PointerEvent("pointermove", {...hand, clientX: x + 30}));
            area.dispatchEvent(new PointerEvent("pointerup", {...hand, clientX: x + 30}));
            delete area.setPointerCapture;
            return span;
        }""",
        [x, y],
    )
    assert home["span"] / 2 < span < home["span"]
    assert at_rest(notebook)["span"] == span
    assert view(notebook)["center"][0] == pytest.approx(-30 * span / canvas_box(notebook)["width"])

    notebook.page.emulate_media(reduced_motion="reduce")
    card(notebook).focus()
    seen = watched(notebook, lambda: notebook.page.keyboard.press("0"))
    assert seen[1:] == [home]
    seen = watched(notebook, lambda: notebook.page.mouse.wheel(0, -120))
    assert [each["span"] for each in seen] == [home["span"], home["span"] / 2**0.5]
    notebook.page.emulate_media(reduced_motion="no-preference")
    assert notebook.console_errors == []


# The levels of the tiles that are asked for, as they leave the page.
LISTEN = """() => {
    const send = window.testSend = WebSocket.prototype.send, asked = window.testAsked = [];
    WebSocket.prototype.send = function (data) {
        const text = typeof data === "string" ? data : new TextDecoder().decode(data);
        const said = text.match(/"tiles":(\\[\\[.*?\\]\\])/);
        if (said) asked.push(...JSON.parse(said[1]).map(([z]) => z));
        return send.call(this, data);
    };
}"""
HEARD = "() => { WebSocket.prototype.send = window.testSend; return window.testAsked; }"


@pytest.mark.long
def test_on_the_way_home_nothing_is_asked_for_that_lies_between(lab: Lab) -> None:
    notebook = ready(lab)
    home = stats(notebook)["level"]
    notebook.eval_widget("w => w.lossatlas.setView({center: [0.31, 0.17], span: 0.01})")
    wait_complete(notebook)
    deep = stats(notebook)["level"]
    assert deep > home + 5
    notebook.page.evaluate(LISTEN)
    card(notebook).focus()
    notebook.page.keyboard.press("0")
    at_rest(notebook)
    wait_complete(notebook)
    notebook.eval_widget("w => w.lossatlas.setView({center: [1.31, 0.17], span: 0.01})")
    wait_complete(notebook)
    asked = set(notebook.page.evaluate(HEARD))
    assert {deep} <= asked <= {home, home - 1, deep, deep - 2, deep - 1}
    assert notebook.console_errors == []


def test_a_box_is_zoomed_to_and_can_be_given_up(lab: Lab) -> None:
    notebook = ready(lab)
    mouse, keyboard = notebook.page.mouse, notebook.page.keyboard
    box = canvas_box(notebook)
    rubber, button = card(notebook).locator(".la-rubber"), card(notebook).get_by_label("zoom to a box")

    def draw(width: float, height: float, release: bool = True) -> tuple[list[float], list[float]]:
        x, y = box["x"] + 200, box["y"] + 100
        mouse.move(x, y)
        mouse.down()
        mouse.move(x + width, y + height, steps=4)
        if release:
            mouse.up()
        first, last = place(notebook, home, x, y), place(notebook, home, x + width, y + height)
        return [first[0], last[0]], [last[1], first[1]]

    home = view(notebook)
    keyboard.down("Shift")
    (a0, a1), (b0, b1) = draw(240, 60)
    keyboard.up("Shift")
    seen = at_rest(notebook)
    assert seen["span"] == pytest.approx(a1 - a0)
    assert seen["center"] == pytest.approx([(a0 + a1) / 2, (b0 + b1) / 2])
    assert not rubber.is_visible()
    card(notebook).focus()
    keyboard.press("0")
    assert at_rest(notebook) == home

    # A high one is wider, so that it fits.
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    (a0, a1), (b0, b1) = draw(20, 150)
    seen = at_rest(notebook)
    assert seen["span"] == pytest.approx((b1 - b0) * box["width"] / box["height"])
    assert button.get_attribute("aria-pressed") == "false"
    card(notebook).focus()
    keyboard.press("0")
    assert at_rest(notebook) == home

    button.click()
    draw(100, 100, release=False)
    assert rubber.is_visible()
    keyboard.press("Escape")
    assert not rubber.is_visible()
    assert button.get_attribute("aria-pressed") == "false"
    mouse.up()
    keyboard.down("Shift")
    draw(100, 7)
    keyboard.up("Shift")
    assert at_rest(notebook) == home
    assert notebook.console_errors == []


def test_back_and_forward_go_through_the_views_that_were_rested_on(lab: Lab) -> None:
    notebook = ready(lab)
    keyboard = notebook.page.keyboard
    back, forward = card(notebook).get_by_label("view before"), card(notebook).get_by_label("next view")
    home = view(notebook)
    assert back.is_disabled()
    assert forward.is_disabled()

    def look(a: float) -> dict[str, Any]:
        notebook.eval_widget("(w, a) => w.lossatlas.setView({center: [a, 0], span: 0.5})", a)
        wait_map(notebook, "(w) => !w.querySelector('[aria-label=\"view before\"]').disabled")
        notebook.page.wait_for_timeout(650)
        return view(notebook)

    first, second = look(0.25), look(-0.25)
    back.click()
    assert at_rest(notebook) == first
    back.click()
    assert at_rest(notebook) == home
    assert back.is_disabled()
    card(notebook).focus()
    keyboard.press("Alt+ArrowRight")
    assert at_rest(notebook) == first
    # Another plane is no other view.
    slider(notebook, "turn_u").focus()
    keyboard.press("ArrowRight")
    wait_complete(notebook)
    notebook.page.wait_for_timeout(650)
    forward.click()
    assert at_rest(notebook) == second
    assert forward.is_disabled()
    # Both, faster than it moves.
    card(notebook).focus()
    keyboard.press("Alt+ArrowLeft")
    keyboard.press("Alt+ArrowLeft")
    assert at_rest(notebook) == home
    keyboard.press("Alt+ArrowRight")
    at_rest(notebook)
    third = look(0.75)
    assert forward.is_disabled()
    keyboard.press("Alt+ArrowLeft")
    assert at_rest(notebook) == first
    keyboard.press("Alt+ArrowRight")
    assert at_rest(notebook) == third
    # The button at the side of a mouse, before the new view has rested or was even drawn.
    notebook.eval_widget("""w => {
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
        for (const name of ["mousedown", "mouseup"])
            w.querySelector(".la-area").dispatchEvent(new MouseEvent(name, {button: 3, bubbles: true, cancelable: true}));
    }""")
    assert at_rest(notebook) == third
    assert notebook.console_errors == []


BAR = """w => {
    const bar = w.querySelector(".la-scalebar path").getBBox(), text = w.querySelector(".la-scalebar text").textContent;
    return [bar.width + 1.5, text];
}"""


@pytest.mark.long
def test_the_scale_bar_is_as_long_as_it_says(lab: Lab) -> None:
    notebook = ready(lab)
    lengths = [axis["length"] for axis in ask(notebook, "explorer.scene['axes']")]
    for span in (2.5, 0.3, 0.07, 1e-4):
        notebook.eval_widget("(w, span) => w.lossatlas.setView({center: [0.1, 0.1], span})", span)
        at_rest(notebook)
        pixels, text = notebook.eval_widget(BAR)
        length = float(text.split()[0].replace("−", "-"))
        assert length == pytest.approx(pixels * span / canvas_box(notebook)["width"], rel=0.02)
        assert 40 < pixels < 190
        assert "‖θ‖" in text
        own = [float(f"{length * each:.2g}") for each in lengths]
        assert all(f"{each:g}" in text.replace("−", "-") for each in own if each >= 1e-4)
    assert notebook.console_errors == []


@pytest.mark.long
def test_a_place_is_gone_to_by_its_numbers(lab: Lab) -> None:
    notebook = ready(lab)
    keyboard, pop = notebook.page.keyboard, card(notebook).get_by_role("dialog", name="Go to")
    home = view(notebook)
    card(notebook).focus()
    keyboard.press("g")
    fields = {name: pop.get_by_label(name, exact=True) for name in ("a", "b", "span")}
    assert [float(field.input_value().replace("−", "-")) for field in fields.values()] == pytest.approx(
        [*home["center"], home["span"]], rel=1e-3
    )
    fields["a"].fill("left")
    keyboard.press("Enter")
    assert "a is “left”. Write a number" in pop.inner_text()
    assert fields["a"].get_attribute("aria-invalid") == "true"
    fields["a"].fill("−0,125")
    fields["span"].fill("-1")
    keyboard.press("Enter")
    assert "more than 0" in pop.inner_text()
    fields["b"].fill("0.5")
    fields["span"].fill("0.25")
    keyboard.press("Enter")
    assert at_rest(notebook) == {"center": [-0.125, 0.5], "span": 0.25}
    assert not pop.is_visible()
    # The map has the focus again, and what is not typed anew keeps its digits.
    keyboard.press("ArrowRight")
    before = at_rest(notebook)
    keyboard.press("g")
    fields["b"].fill("0")
    keyboard.press("Enter")
    assert at_rest(notebook) == {"center": [before["center"][0], 0], "span": 0.25}
    keyboard.press("g")
    keyboard.press("Escape")
    assert not pop.is_visible()
    keyboard.press("?")
    keys = card(notebook).get_by_role("dialog", name="Keys")
    assert "view before" in keys.inner_text()
    keyboard.press("Escape")
    assert not keys.is_visible()
    assert notebook.eval_widget("w => document.activeElement === w")
    assert notebook.console_errors == []


def test_at_the_end_of_the_numbers_a_zoom_stops_with_a_sentence_and_moves_nothing(lab: Lab) -> None:
    notebook = ready(lab)
    notebook.eval_widget("w => w.lossatlas.setView({center: [0.25, 0.25], span: 1e-30})")
    deepest = at_rest(notebook)
    x, y = middle(notebook)
    card(notebook).focus()
    notebook.page.mouse.move(x + 90, y + 40)
    notebook.page.mouse.wheel(0, -120)
    card(notebook).locator(".la-hint").get_by_text("float32").wait_for()
    assert words(notebook, ".la-hint").startswith("No closer")
    assert at_rest(notebook) == deepest
    assert notebook.console_errors == []


class Fingers:
    """Fingers on the page, by the browser's own protocol."""

    def __init__(self, notebook: Notebook) -> None:
        self.page = notebook.page
        self.session: CDPSession = notebook.page.context.new_cdp_session(notebook.page)
        self.session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def _send(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def put(self, *points: tuple[float, float]) -> None:
        for i in range(len(points)):
            self._send("touchStart", *points[: i + 1])

    def move(self, before: list[tuple[float, float]], now: list[tuple[float, float]], steps: int = 6) -> None:
        for i in range(1, steps + 1):
            t = i / steps
            self._send(
                "touchMove",
                *(
                    (x0 + t * (x - x0), y0 + t * (y - y0))
                    for (x0, y0), (x, y) in zip(before, now, strict=True)
                ),
            )

    def lift(self) -> None:
        self._send("touchEnd")

    def tap(self, x: float, y: float) -> None:
        self.put((x, y))
        self.lift()

    def close(self) -> None:
        self.session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
        self.session.detach()


def test_two_fingers_move_and_zoom_the_map_and_one_belongs_to_the_page(lab: Lab) -> None:
    notebook = ready(lab, more=tuple("# far below\n" * 12 for _ in range(5)))
    notebook.page.evaluate("() => document.activeElement.blur()")
    fingers = Fingers(notebook)
    x, y = middle(notebook)
    home = view(notebook)
    top = "w => w.getBoundingClientRect().top"
    before = notebook.eval_widget(top)
    fingers.put((x, y))
    fingers.move([(x, y)], [(x, y - 120)], steps=12)
    fingers.lift()
    notebook.page.wait_for_function(
        "(top) => document.querySelector('.lossatlas').getBoundingClientRect().top < top - 50", arg=before
    )
    assert at_rest(notebook) == home
    assert "two fingers" in words(notebook, ".la-hint")

    card(notebook).scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(300)  # the end of the scroll
    x, y = middle(notebook)
    apart, further = [(x - 40, y), (x + 40, y)], [(x - 60, y + 30), (x + 100, y + 30)]
    held = place(notebook, home, x, y)
    before = notebook.eval_widget(top)
    fingers.put(*apart)
    fingers.move(apart, further)
    fingers.lift()
    seen = at_rest(notebook)
    assert seen["span"] == pytest.approx(home["span"] / 2, rel=1e-6)
    assert place(notebook, seen, x + 20, y + 30) == pytest.approx(held, abs=1e-6)
    assert notebook.eval_widget(top) == before

    # A tap gives the map the focus and reads the value; then one finger drags it.
    fingers.tap(x, y)
    pill = card(notebook).locator(".la-pill")
    pill.get_by_text("exact").wait_for()
    assert notebook.eval_widget("w => document.activeElement === w")
    assert card(notebook).locator(".la-point").count() == 0
    notebook.page.wait_for_timeout(350)  # no half of a double tap any more
    fingers.put((x, y))
    fingers.move([(x, y)], [(x + 50, y - 30)])
    fingers.lift()
    moved = at_rest(notebook)
    assert moved["span"] == seen["span"]
    scale = seen["span"] / canvas_box(notebook)["width"]
    assert moved["center"] == pytest.approx([seen["center"][0] - 50 * scale, seen["center"][1] - 30 * scale])
    assert notebook.eval_widget(top) == before

    fingers.tap(x + 30, y)
    fingers.tap(x + 30, y)
    twice = at_rest(notebook)
    assert twice["span"] == moved["span"] / 2
    assert math.dist(place(notebook, twice, x + 30, y), place(notebook, moved, x + 30, y)) < 1e-9

    # Held down, it measures.
    fingers.put((x, y))
    card(notebook).locator(".la-point:not([hidden])").wait_for()
    fingers.lift()
    fingers.close()
    assert notebook.console_errors == []


LINE = """
objective = la.Objective(model, nn.functional.cross_entropy, (x, y))
explorer = la.explore(objective, line=la.Line.between(objective, torch.zeros(objective.size)), height=300, tolerance=0)
explorer
"""


def test_on_a_line_a_stretch_is_zoomed_to_whatever_its_height(lab: Lab) -> None:
    notebook = open_map(lab, show=LINE)
    wait_map(notebook, "(w) => w.querySelector('.la-scalebar') !== null")
    home, box = view(notebook), canvas_box(notebook)
    notebook.page.keyboard.down("Shift")
    notebook.page.mouse.move(box["x"] + 100, box["y"] + 50)
    notebook.page.mouse.down()
    notebook.page.mouse.move(box["x"] + 200, box["y"] + 51, steps=3)
    notebook.page.mouse.up()
    notebook.page.keyboard.up("Shift")
    seen = at_rest(notebook)
    assert seen["span"] == pytest.approx(100 * home["span"] / box["width"])
    assert seen["center"] == [pytest.approx(place(notebook, home, box["x"] + 150, 0)[0]), 0]
    card(notebook).focus()
    notebook.page.keyboard.press("0")
    assert at_rest(notebook) == home
    tell(notebook, "explorer.view = {'center': [0.5, 0.0], 'span': 0.5}")
    wait_map(notebook, "(w) => w.lossatlas.view().span === 0.5")
    assert notebook.console_errors == []
