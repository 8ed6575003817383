"""Maps in documents: a notebook as HTML, the page in JupyterLab's viewer, a Markdown document that leads to both, a Sphinx site."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from playwright.sync_api import Browser, Frame, Locator, Page, expect

import lossatlas as la
from tests.browser.lab import Lab
from tests.browser.maps import SMALL

SHOW = """
explorer = la.explore(model, nn.functional.cross_entropy, (x, y), title="in a document", scale="linear")
explorer.embed(depth=2, progress=False)
"""

COMPLETE = "(w) => w.lossatlas.tiles().length > 0 && w.lossatlas.stats().complete"


def check_zooms(page: Page | Frame, root: Locator) -> None:
    """The map is drawn, and drawn finer when one looks closer."""
    root.wait_for()
    root.scroll_into_view_if_needed()
    handle = root.element_handle()
    page.wait_for_function(COMPLETE, arg=handle)
    expect(root.locator(".la-state")).to_contain_text("saved, values ±")
    root.evaluate("(w) => w.lossatlas.setView({center: [0.25, 0.25], span: 0.5})")
    page.wait_for_function("(w) => w.lossatlas.tiles().some((tile) => tile.z > 0)", arg=handle)


def offline(chromium: Browser, path: Path) -> tuple[Page, list[str]]:
    page = chromium.new_context(offline=True, viewport={"width": 1100, "height": 900}).new_page()
    raised: list[str] = []
    page.on("pageerror", lambda error: raised.append(str(error)))
    page.goto(path.as_uri())
    return page, raised


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A notebook whose last cell is an embedded map, run and saved."""
    path = tmp_path_factory.mktemp("documents") / "maps.ipynb"
    cells = [nbformat.v4.new_markdown_cell("# A map in a document")]
    cells += [nbformat.v4.new_code_cell(code.strip()) for code in (SMALL, SHOW)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    nbformat.write(notebook, path)
    return path


def test_an_embedded_map_zooms_in_what_nbconvert_writes(chromium: Browser, executed: Path) -> None:
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(executed), "--output", "maps.html"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page, raised = offline(chromium, executed.with_name("maps.html"))
    check_zooms(page, page.locator(".lossatlas-map .lossatlas"))
    # Without a network its own template misses MathJax; of ours nothing is said.
    assert [line for line in raised if "lossatlas" in line.lower()] == []
    page.context.close()


def test_a_page_opens_in_the_viewer_of_jupyterlab_once_it_is_trusted(lab: Lab) -> None:
    torch.manual_seed(0)
    objective = la.Objective.from_function(lambda t: (t**2).sum(), torch.ones(2, dtype=torch.float64))
    explorer = la.Landscape(objective, la.Plane.random(objective, seed=0)).explore()
    notebook = lab.open(["1"])
    explorer.to_html(notebook.path.with_name("map in the lab.html"), depth=2, progress=False)
    explorer.close()
    text = "# Results\n\n[the map](map%20in%20the%20lab.html) and [how it was made](HERE.ipynb)\n"
    notebook.path.with_name("results.md").write_text(text.replace("HERE", notebook.path.stem))

    page = notebook.page
    open_document = "async ([path, factory]) => { await window.jupyterapp.commands.execute('docmanager:open', {path, factory}); }"
    page.evaluate(open_document, ["results.md", "Markdown Preview"])
    preview = page.locator(".jp-MarkdownViewer")
    expect(preview.get_by_role("link", name="how it was made")).to_be_visible()
    preview.get_by_role("link", name="the map").click()
    viewer = page.locator(".jp-HTMLViewer")
    viewer.wait_for()
    frame = page.frame_locator(".jp-HTMLViewer iframe")
    expect(frame.locator("img")).to_be_visible()  # scripts wait for trust: until then it is a picture
    page.locator("[data-jp-item-name=trust] jp-button").click()
    root = frame.locator(".lossatlas")
    root.wait_for()
    inside = page.frames[-1]
    check_zooms(inside, root)


@pytest.mark.long
def test_a_sphinx_site_with_myst_nb_has_the_map_without_a_network(
    chromium: Browser, executed: Path, tmp_path: Path
) -> None:
    source = tmp_path / "docs"
    source.mkdir()
    (source / "conf.py").write_text(
        "project = 'maps'\nextensions = ['myst_nb']\nnb_execution_mode = 'off'\nmaster_doc = 'index'\n"
    )
    (source / "index.md").write_text("# Maps\n\n```{toctree}\nmaps\n```\n")
    (source / "maps.ipynb").write_bytes(executed.read_bytes())
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", str(source), str(tmp_path / "site")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    page, raised = offline(chromium, tmp_path / "site" / "maps.html")
    check_zooms(page, page.locator(".lossatlas-map .lossatlas"))
    assert raised == []
    page.context.close()
