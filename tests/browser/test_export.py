"""A map as a page of its own: opened from disk, without kernel and network, it is the same map."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from torch import nn

import lossatlas as la

API = "document.querySelector('.lossatlas').lossatlas"
NASTY = '</script><img src=x onerror="window.hurt = 1"> <b>net</b>'


class Exported:
    """A page on disk, and what it was made from."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        x = torch.randn(64, 6)
        y = (x[:, 0] * x[:, 1] > 0).long()
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
        recorder = la.Recorder(model)
        optimizer = torch.optim.SGD(model.parameters(), 0.5)
        for _ in range(40):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            recorder.step(loss, lr=0.5)
            optimizer.step()
        self.explorer = la.explore(
            model,
            nn.functional.cross_entropy,
            (x, y),
            fields=("loss", "accuracy"),
            title=NASTY,
            recorder=recorder,
        )
        self.explorer.mark(0.4, 0.3, NASTY)
        self.path = folder / "a map — ∇L.html"
        self.baked = self.explorer.bake(depth=3, spectra=[(0, 0)], progress=False)
        self.explorer.to_html(self.path, depth=3)

    def close(self) -> None:
        self.explorer.close()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    made = Exported(tmp_path_factory.mktemp("export"))
    yield made
    made.close()


class Opened:
    """The page in a browser that has no network, with all that it said and asked for."""

    def __init__(self, browser: Browser, path: Path, **options: Any) -> None:
        self.context = browser.new_context(offline=True, viewport={"width": 1100, "height": 800}, **options)
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def wait_drawn(self) -> None:
        self.wait(f"{API}.tiles().length > 0 && {API}.stats().complete")
        self.page.wait_for_selector(".la-scalebar")  # the instrument is here

    def wait(self, condition: str) -> None:
        self.page.wait_for_function(condition)

    def ask(self, expression: str, argument: Any = None) -> Any:
        return self.page.evaluate(f"(it) => {API}.{expression}", argument)

    def look(self, a: float, b: float, span: float) -> None:
        self.ask("setView(it)", {"center": [a, b], "span": span})
        self.wait(f"{API}.stats().complete && Math.abs({API}.view().span - {span}) < 1e-9")


@pytest.fixture
def opened(chromium: Browser, exported: Exported) -> Iterator[Opened]:
    page = Opened(chromium, exported.path)
    page.wait_drawn()
    yield page
    assert page.said == []
    # Its own file, and what it holds itself.
    assert [url for url in page.asked if not url.startswith(("file:", "blob:", "data:"))] == []
    page.context.close()


def test_every_value_at_a_baked_node_is_the_engines_within_the_bound(
    opened: Opened, exported: Exported
) -> None:
    landscape, bound = exported.explorer.landscape, exported.baked.bound["loss"]
    for span, step in ((2.0, 0.5), (0.5, 0.125)):
        opened.look(0.0, 0.0, span)
        at = np.arange(-span / 2, span / 2 + step / 2, step)
        for a in at.tolist():
            found = [opened.ask("valueAt(...it)", [a, b]) for b in at.tolist()]
            expected = landscape.evaluate(a, at)
            assert np.abs(np.array(found) - expected).max() <= bound


def test_between_nodes_it_is_within_the_error_that_it_states(opened: Opened, exported: Exported) -> None:
    rng = np.random.default_rng(0)
    spread = np.ptp(exported.explorer.landscape.grid(shape=(17, 17)))
    for a, b in rng.uniform(-1, 1, (20, 2)).tolist():
        found = opened.ask("valueAt(...it)", [a, b])
        assert abs(found - exported.explorer.landscape.evaluate(a, b)) <= 0.011 * spread


def test_the_wheel_zooms_a_drag_pans_and_home_comes_back(opened: Opened) -> None:
    page = opened.page
    start = opened.ask("view()")
    box = page.locator(".la-area").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.click(x + 200, y + 100)
    page.mouse.wheel(0, -240)
    opened.wait(f"{API}.view().span < {start['span'] / 1.9}")
    closer = opened.ask("view()")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    page.mouse.up()
    opened.wait(f"{API}.view().center[0] < {closer['center'][0]}")
    page.get_by_label("home", exact=False).first.click()
    opened.wait(f"Math.abs({API}.view().span - {start['span']}) < 1e-9")


def test_fields_and_layers_are_switched_and_the_scale_too(opened: Opened) -> None:
    page = opened.page
    loss = opened.ask("valueAt(0, 0)")
    fields = page.get_by_label("field", exact=False).first
    assert fields.locator("option").all_inner_texts() == ["loss", "accuracy"]
    fields.select_option("accuracy")
    opened.wait(f"{API}.valueAt(0, 0) !== {loss} && {API}.valueAt(0, 0) <= 1")
    fields.select_option("loss")
    opened.wait(f"{API}.valueAt(0, 0) === {loss}")
    expect(page.locator(".la-label.la-shown").first).to_be_attached()
    page.get_by_label("scale", exact=False).first.select_option("log")
    opened.wait(f"{API}.stats().scale === 'log'")


def test_it_says_that_it_was_saved_and_how_exact_it_is(opened: Opened, exported: Exported) -> None:
    words = opened.page.locator(".la-state").inner_text()
    found = re.fullmatch(r"saved, values ± (\S+)", words)
    assert found
    bound = exported.baked.bound["loss"]
    assert float(found[1].replace("−", "-")) == pytest.approx(bound, rel=0.06)
    # What needs a kernel is not offered.
    assert opened.page.locator(".la-sliders").is_hidden()
    opened.page.locator(".la-recipe").click()
    text = opened.page.locator(".la-about p").inner_text()
    assert exported.explorer.landscape.scene.hash in text


def test_a_path_its_curves_and_a_spectrum_are_there(opened: Opened, exported: Exported) -> None:
    page = opened.page
    page.get_by_role("button", name="runs", exact=True).click()
    expect(page.locator(".la-runs-in")).to_be_visible()
    expect(page.locator(".la-runs-in")).to_contain_text("run 1")
    page.get_by_role("button", name="runs", exact=True).click()
    # A click near the circle opens what was measured there; far from it there is only a word.
    expect(page.locator(".la-glyphs circle")).to_have_count(1)
    page.locator(".la-area").click(position={"x": 30, "y": 30})
    expect(page.locator(".la-hint")).to_contain_text("A kernel is needed")
    box = page.locator(".la-area").bounding_box()  # whose middle is (0, 0)
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 - 2)
    spectrum = page.get_by_text("Hessian spectrum")
    expect(spectrum).to_be_visible()
    largest = exported.explorer.landscape.spectrum((0, 0)).eigenvalues[0]
    expect(page.locator(".la-values").first).to_contain_text(f"{largest:.4g}")


def test_an_svg_is_taken_from_it_with_its_caption(opened: Opened) -> None:
    svg = opened.ask("svg()")
    assert svg.startswith(("<svg", "<?xml"))
    assert "<path" in svg
    assert "<img" not in svg


def test_names_with_markup_are_text(opened: Opened) -> None:
    page = opened.page
    assert page.evaluate("window.hurt") is None
    assert page.locator("img").count() == 0
    assert page.locator(".lossatlas b", has_text="net").count() in (0, 1)
    assert NASTY[:9] in page.locator(".la-title, header, .lossatlas").first.inner_text()


def test_without_scripts_there_is_a_picture(chromium: Browser, exported: Exported) -> None:
    page = Opened(chromium, exported.path, java_script_enabled=False)
    picture = page.page.locator("img")
    expect(picture).to_be_visible()
    box = picture.bounding_box()
    assert box is not None
    assert box["width"] >= 257
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_colours_of_the_system(chromium: Browser, exported: Exported, scheme: Any) -> None:
    page = Opened(chromium, exported.path, color_scheme=scheme)
    page.wait_drawn()
    assert page.page.locator(".lossatlas").get_attribute("data-theme") == scheme
    page.context.close()


def test_a_map_cut_on_its_way_leaves_its_picture(
    chromium: Browser, exported: Exported, tmp_path: Path
) -> None:
    text = exported.path.read_text(encoding="utf-8")
    broken = tmp_path / "cut.html"
    start = text.index(">", text.index('class="la-baked"'))
    broken.write_text(text[: start + 2000] + text[text.index("</script>", start) :], encoding="utf-8")
    page = Opened(chromium, broken)
    expect(page.page.locator("img")).to_be_visible()
    assert page.page.locator(".lossatlas").count() == 0
    assert page.said == []
    page.context.close()


def test_bytes_of_another_kind_are_said_to_be_unreadable(
    chromium: Browser, exported: Exported, tmp_path: Path
) -> None:
    text = exported.path.read_text(encoding="utf-8")
    start = text.index(">", text.index('class="la-baked"')) + 1
    end = text.index("</script>", start)
    broken = tmp_path / "other.html"
    broken.write_text(text[:start] + "A" * (end - start - 4) + text[end - 4 :], encoding="utf-8")
    page = Opened(chromium, broken)
    expect(page.page.locator(".la-error")).to_contain_text("cannot be read")
    page.context.close()
