"""The picture taken away, and the numbers on its lines: what leaves the page is what is drawn, and says what it is."""

from __future__ import annotations

import base64
import itertools
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np

from tests.browser.lab import Lab, Notebook
from tests.browser.maps import (
    SHOW_SMALL,
    SMALL,
    ask,
    card,
    exact,
    open_map,
    stats,
    tell,
    wait_complete,
    wait_map,
)

SVG = "{http://www.w3.org/2000/svg}"
TITLE = "a <b>net</b> & more"
SHOW_TITLED = SHOW_SMALL.replace("height=360", f"height=360, title={TITLE!r}")
LEFT, TOP = 72, 44  # where the map lies in the picture, CSS pixels

# The bounding boxes of the numbers in their own directions, and the map's size.
BOXES = """w => {
    const area = w.querySelector(".la-area").getBoundingClientRect();
    const boxes = [...w.querySelectorAll(".la-label.la-shown")].map((label) => {
        const box = label.querySelector("text").getBBox();
        const matrix = label.getCTM();
        const corners = [[box.x, box.y], [box.x + box.width, box.y], [box.x + box.width, box.y + box.height], [box.x, box.y + box.height]];
        return {
            value: Number(label.dataset.level), text: label.textContent, angle: Math.atan2(matrix.b, matrix.a),
            corners: corners.map(([x, y]) => [matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f]),
        };
    });
    return {boxes, size: [area.width, area.height], view: w.lossatlas.view()};
}"""


def take(notebook: Notebook) -> ElementTree.Element:
    return ElementTree.fromstring(card(notebook).evaluate("w => w.lossatlas.svg()"))


# The pixels of a picture, once it is drawn: width, height, and red, green, blue, opacity of each.
PIXELS = """(picture) => {
    const {width, height} = picture;
    const copy = new OffscreenCanvas(width, height).getContext("2d");
    copy.drawImage(picture, 0, 0);
    const {data} = copy.getImageData(0, 0, width, height);
    let text = "";
    for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
    return [width, height, btoa(text)];
}"""


def pixels(notebook: Notebook, picture: str) -> np.ndarray:
    """(height, width, 3) of what an expression of `w`, the map, gives."""
    width, height, data = card(notebook).evaluate(f"async (w) => ({PIXELS})(await ({picture}))")
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3].astype(int)


def wait_labels(notebook: Notebook) -> dict[str, Any]:
    """Wait until the numbers stand, and have faded in."""
    wait_map(
        notebook,
        """w => {
            const labels = [...w.querySelectorAll(".la-label")];
            const state = labels.map((label) => label.getAttribute("transform")).join();
            const before = w.testLabels ?? {};
            if (state !== before.state) w.testLabels = {state, since: performance.now()};
            return labels.length > 0 && state === before.state && performance.now() - before.since > 500;
        }""",
    )
    return dict(card(notebook).evaluate(BOXES))


def apart(one: list[list[float]], other: list[list[float]]) -> bool:
    """Whether two rectangles have a line between them, along a side of one of them."""
    for corners in (one, other):
        for (x0, y0), (x1, y1) in itertools.pairwise(corners):
            axis = np.array([y1 - y0, x0 - x1])
            a, b = np.array(one) @ axis, np.array(other) @ axis
            if a.max() <= b.min() or b.max() <= a.min():
                return True
    return False


def test_the_svg_holds_true_lines_and_texts(lab: Lab) -> None:
    notebook = open_map(lab, SMALL, SHOW_TITLED)
    wait_labels(notebook)
    root = take(notebook)
    view = card(notebook).evaluate("w => w.lossatlas.view()")
    box = card(notebook).evaluate(
        "w => [w.querySelector('.la-area').clientWidth, w.querySelector('.la-area').clientHeight]"
    )
    scale = box[0] / view["span"]

    # Its isolines lie on their level: rounded to hundredths of a pixel, and off by what the map says it is off by.
    paths = root.findall(f".//{SVG}path[@data-drawn]")
    assert len({path.get("data-drawn") for path in paths}) >= 8
    assert len({path.get("stroke-width") for path in paths}) == 2
    points, levels = [], []
    for path in paths:
        found = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d", ""))
        for x, y in (found[0], found[len(found) // 3], found[2 * len(found) // 3]):
            a = view["center"][0] + (float(x) - box[0] / 2) / scale
            b = view["center"][1] - (float(y) - box[1] / 2) / scale
            points.append((a, b))
            levels.append(float(path.get("data-drawn", "nan")))
    values = exact(notebook, points)
    step = 1e-3
    slope = np.hypot(
        exact(notebook, [(a + step, b) for a, b in points]) - values,
        exact(notebook, [(a, b + step) for a, b in points]) - values,
    ) / step  # fmt: skip
    stated = card(notebook).evaluate("w => w.lossatlas.stats().error")
    assert 0 < stated < 0.1
    assert (np.abs(values - levels) <= stated + 0.02 / scale * slope).all()

    # Its texts are texts, and what the user wrote is no markup.
    texts = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert any(text.startswith(TITLE) for text in texts)
    assert root.find(f"{SVG}title").text == TITLE  # type: ignore[union-attr]
    assert not root.findall(f".//{SVG}b")
    assert not root.findall(".//b")
    shown = card(notebook).evaluate(
        "w => [...w.querySelectorAll('.la-label.la-shown text')].map((t) => t.textContent)"
    )
    assert shown
    assert set(shown) <= set(texts)
    bar = card(notebook).evaluate(
        "w => [...w.querySelectorAll('.la-bar-labels span')].map((t) => t.textContent)"
    )
    ticks = card(notebook).evaluate(
        "w => [...w.querySelectorAll('.la-tick-label')].map((t) => t.textContent)"
    )
    assert set(bar) | set(ticks) <= set(texts)
    described = root.find(f"{SVG}desc").text or ""  # type: ignore[union-attr]
    for said in (stats(notebook)["hash"], "linear scale", "nodes"):
        assert said in described
    assert notebook.console_errors == []


def test_a_png_has_as_many_pixels_as_were_asked_for_and_the_colours_of_the_screen(lab: Lab) -> None:
    notebook = open_map(lab)
    found = wait_labels(notebook)
    # For print there is no relief; on the screen there is.
    card(notebook).locator("[aria-label='take it away']").first.click()
    card(notebook).get_by_label("with relief").check()
    once, twice = (pixels(notebook, f"w.lossatlas.png({k}).then(createImageBitmap)") for k in (1, 2))
    assert twice.shape[:2] == tuple(2 * n for n in once.shape[:2])
    screen = pixels(notebook, 'w.querySelector(".la-canvas")')
    height, width = screen.shape[:2]
    map_once = once[TOP : TOP + height, LEFT : LEFT + width]
    map_twice = twice[2 * TOP : 2 * (TOP + height), 2 * LEFT : 2 * (LEFT + width)]
    # On the screen the numbers lie over the canvas, in the picture they are part of it.
    plain = np.ones((height, width), dtype=bool)
    for box in found["boxes"]:
        (left, top), (right, bottom) = (end(box["corners"], axis=0).astype(int) for end in (np.min, np.max))
        plain[max(0, top - 9) : bottom + 9, max(0, left - 9) : right + 9] = False
    plain[-50:, :180] = False  # the scale bar
    assert plain.mean() > 0.5
    np.testing.assert_allclose(map_once[plain], screen[plain], atol=2)
    # Lines are finer on the finer picture; away from them, where all is alike around, it has the same colours.
    calm = [
        (x, y)
        for y in range(8, height - 8, 11)
        for x in range(8, width - 8, 11)
        if np.ptp(screen[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3), axis=0).max() < 12 and plain[y, x]
    ]
    assert len(calm) > 20
    for x, y in calm:
        four = map_twice[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((0, 1))
        np.testing.assert_allclose(four, screen[y, x], atol=3)
    assert notebook.console_errors == []


def test_numbers_never_overlap_and_go_with_the_map(lab: Lab) -> None:
    notebook = open_map(lab)
    for zoom in range(4):
        found = wait_labels(notebook)
        boxes, (width, height) = found["boxes"], found["size"]
        assert boxes
        for one, other in itertools.combinations(boxes, 2):
            assert apart(one["corners"], other["corners"]), (one, other)
        for box in boxes:
            assert abs(box["angle"]) <= np.pi / 2 + 1e-6  # upright
            for x, y in box["corners"]:
                assert 2 <= x <= width - 2
                assert 2 <= y <= height - 2
                assert x > 160 or y < height - 28  # the scale bar's corner
        # A number stands on its line.
        middles = [np.mean(box["corners"], axis=0) for box in boxes]
        scale = width / found["view"]["span"]
        points = [
            (
                found["view"]["center"][0] + (x - width / 2) / scale,
                found["view"]["center"][1] - (y - height / 2) / scale,
            )
            for x, y in middles
        ]
        values = card(notebook).evaluate(
            "(w, points) => points.map(([a, b]) => w.lossatlas.valueAt(a, b))", points
        )
        beside = card(notebook).evaluate(
            "(w, [points, d]) => points.map(([a, b]) => [w.lossatlas.valueAt(a + d, b), w.lossatlas.valueAt(a, b + d)])",
            [points, 1 / scale],
        )
        for box, value, (right, up) in zip(boxes, values, beside, strict=True):
            assert abs(value - box["value"]) <= 2.5 * np.hypot(right - value, up - value)  # pixels
        if zoom < 3:
            card(notebook).focus()
            notebook.page.keyboard.press("+")
            wait_complete(notebook)

    before = wait_labels(notebook)["boxes"]
    card(notebook).focus()
    moved = card(notebook).evaluate(
        """w => {
            const view = w.lossatlas.view();
            const pixel = view.span / w.querySelector(".la-area").clientWidth;
            w.lossatlas.setView({center: [view.center[0] + 30 * pixel, view.center[1]], span: view.span});
            return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(
                [...w.querySelectorAll(".la-label.la-shown")].map((label) => label.getCTM().e)))));
        }"""
    )
    middles = [label["corners"] for label in before]
    assert len(moved) == len(middles)
    for x, corners in zip(moved, middles, strict=True):
        assert abs(x - (np.mean(corners, axis=0)[0] - 30)) < 1.5
    assert notebook.console_errors == []


def test_layers_that_are_off_have_no_numbers(lab: Lab) -> None:
    notebook = open_map(lab)
    wait_labels(notebook)
    tell(notebook, "explorer.layers = []")
    wait_map(notebook, "w => w.querySelectorAll('.la-label').length === 0")
    assert take(notebook).findall(f".//{SVG}path[@data-drawn]") == []


def test_pictures_are_saved_under_a_name_that_says_what_they_are(lab: Lab) -> None:
    notebook = open_map(lab, SMALL, SHOW_TITLED)
    button = card(notebook).locator("[aria-label='take it away']").first
    button.click()
    menu = card(notebook).locator(".la-take")
    assert button.get_attribute("aria-expanded") == "true"
    with notebook.page.expect_download() as download:
        menu.get_by_text("SVG").click()
    name = download.value.suggested_filename
    assert re.fullmatch(r"a-b-net-b-more-loss-[0-9a-f]{7}\.svg", name)
    assert ElementTree.parse(download.value.path()).getroot().tag == f"{SVG}svg"
    with notebook.page.expect_download() as download:
        menu.get_by_label("2 times as fine").click()
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert download.value.suggested_filename.endswith(".png")
    # The keyboard alone: down the menu, round, and out of it.
    notebook.page.keyboard.press("Escape")
    assert menu.is_hidden()
    notebook.page.keyboard.press("Enter")
    assert menu.is_visible()
    notebook.page.keyboard.press("ArrowUp")
    assert menu.locator(":focus").inner_text() == "copy caption"
    notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    notebook.page.keyboard.press("Enter")
    wait_map(notebook, "w => w.querySelector('.la-take-said').textContent === 'copied'")
    text = notebook.page.evaluate("() => navigator.clipboard.readText()")
    assert text.startswith(TITLE)
    for said in ("Of the gradient at the origin", "linear scale"):
        assert said in text
    notebook.page.keyboard.press("Escape")
    assert menu.is_hidden()
    assert notebook.console_errors == []


SHOW_LINE = """
objective = la.Objective(model, nn.functional.cross_entropy, (x, y))
line = la.Line.between(objective, torch.zeros(objective.size))
explorer = la.explore(objective, line=line, height=300, tolerance=0, scale="linear")
explorer
"""


def test_the_svg_of_a_line_has_its_curve_as_a_line(lab: Lab) -> None:
    notebook = open_map(lab, SMALL, SHOW_LINE)
    wait_map(notebook, "w => w.lossatlas.svg !== undefined")
    root = take(notebook)
    assert not root.findall(f".//{SVG}image")
    (curve,) = root.findall(f".//{SVG}path[@data-curve]")
    points = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", curve.get("d", "")), dtype=float)
    assert len(points) > 60
    view = card(notebook).evaluate("w => w.lossatlas.view()")
    width = card(notebook).evaluate("w => w.querySelector('.la-area').clientWidth")
    inside = points[(points[:, 0] >= 0) & (points[:, 0] <= width)][::7]
    a = view["center"][0] + (inside[:, 0] / width - 0.5) * view["span"]
    values = np.array(ask(notebook, f"explorer.landscape.evaluate({a.tolist()}).tolist()"))
    # Down the picture is down in loss, to scale: one straight line through all of them.
    slope, start = np.polyfit(inside[:, 1], values, 1)
    assert slope < 0
    np.testing.assert_allclose(start + slope * inside[:, 1], values, atol=2e-3 * np.ptp(values))
    # As it is painted.
    area = pixels(notebook, "w.querySelector('.la-canvas')")
    drawn = pixels(
        notebook,
        """(async () => {
            const picture = new Image(), {width, height} = w.querySelector('.la-canvas');
            picture.src = "data:image/svg+xml," + encodeURIComponent(w.lossatlas.svg());
            await picture.decode();
            const canvas = new OffscreenCanvas(width, height), scale = width / w.querySelector('.la-area').clientWidth;
            canvas.getContext("2d").drawImage(picture, -72 * scale, -44 * scale, picture.width * scale, picture.height * scale);
            return canvas;
        })()""",
    )  # fmt: skip
    assert np.abs(area - drawn).mean() < 2
    assert notebook.console_errors == []
