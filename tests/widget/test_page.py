"""Pages of their own: nothing but the map in them, and nothing of what a user named that could act."""

from __future__ import annotations

import base64
import json
import os
import re
from html.parser import HTMLParser

import pytest

from lossatlas.widget import carry
from lossatlas.widget.page import document, fragment
from tests.widget.test_bake import bowl

NASTY = '</script><script>alert(1)</script><img src=x onerror=alert(2)> & "quoted" <!-- \u2028'


class Reader(HTMLParser):
    """The elements of a page as a parser sees them, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.scripts, self.title, self._inside = [], [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "title":
            self.title += data


@pytest.fixture
def explorer():
    made = bowl(title=NASTY).explore()
    yield made
    made.close()


def test_a_page_holds_the_state_the_baked_bytes_and_one_script(explorer, tmp_path):
    explorer.view = {"center": [0.25, -0.5], "span": 0.5}
    explorer.to_html(tmp_path / "map.html", depth=2, progress=False)
    page = Reader((tmp_path / "map.html").read_text(encoding="utf-8"))
    state, baked, script = page.scripts
    known = json.loads(state)
    assert known["view"] == {"center": [0.25, -0.5], "span": 0.5}
    assert known["scene"]["title"] == NASTY
    assert base64.b64decode(baked) == explorer._baked
    assert script.startswith("const LOSSATLAS_PLACE=")
    kinds = [attrs.get("type") for tag, attrs in page.elements if tag == "script"]
    assert kinds == ["application/json", "text/plain", "module"]


def test_what_a_user_named_is_never_markup(explorer, tmp_path):
    explorer.mark(0.1, 0.1, NASTY)
    explorer.bookmark(NASTY)
    explorer.paths = [{"name": NASTY, "points": [[0, 0], [1, 1]]}]
    explorer.to_html(tmp_path / "map.html", depth=1, progress=False)
    page = Reader((tmp_path / "map.html").read_text(encoding="utf-8"))
    assert page.title == NASTY
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 3
    assert tags.count("img") == 1
    (image,) = (attrs for tag, attrs in page.elements if tag == "img")
    assert image["alt"] == NASTY
    assert "onerror" not in image
    assert json.loads(page.scripts[0])["marks"][0]["text"] == NASTY


def test_a_page_refers_to_nothing_outside_itself(explorer, tmp_path):
    explorer.to_html(tmp_path / "map.html", depth=1, progress=False)
    text = (tmp_path / "map.html").read_text(encoding="utf-8")
    named = set(re.findall(r"https?://[\w./-]+", text))
    assert {name for name in named if not name.startswith("http://www.w3.org/")} == set()
    sources = [attrs[name] for _, attrs in Reader(text).elements for name in ("src", "href") if name in attrs]
    assert all(source.startswith("data:") for source in sources)


def test_a_page_to_depth_four_is_below_two_megabytes(explorer, tmp_path):
    explorer.to_html(tmp_path / "map.html", progress=False)
    assert (tmp_path / "map.html").stat().st_size < 2e6


def test_what_is_baked_already_is_written_as_it_is(explorer, tmp_path, monkeypatch):
    explorer.bake(depth=2, progress=False)
    monkeypatch.setattr(carry, "bake_work", None)  # nobody may ask for more
    explorer.to_html(tmp_path / "map.html", depth=2)
    with pytest.raises(TypeError):
        explorer.to_html(tmp_path / "map.html", depth=3)


def test_another_plane_is_baked_anew(tmp_path):
    explorer = bowl().explore()
    explorer.bake(depth=1, progress=False)
    before = explorer._baked
    explorer.turn_u = 30
    limit = 200
    while explorer.landscape.scene.at.turn_u != 30 and (limit := limit - 1):
        explorer._session.first_picture(0.05)
    explorer.to_html(tmp_path / "map.html", depth=1, progress=False)
    assert explorer._baked != before
    explorer.close()


@pytest.mark.parametrize("name", ["a map with spaces.html", "Ländschaft — ∇L.html", "100% #1?.html"])
def test_a_page_may_be_called_anything(explorer, tmp_path, name):
    explorer.to_html(tmp_path / name, depth=1, progress=False)
    assert (tmp_path / name).stat().st_size > 1e5


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("map.txt", "Pass one that ends in .html"),
        ("nowhere/map.html", "does not exist"),
        (7, "path is a int"),
    ],
)
def test_a_wrong_path_is_said_before_anything_is_evaluated(explorer, tmp_path, path, words):
    before = explorer.landscape.evaluated
    with pytest.raises((TypeError, ValueError), match=words):
        explorer.to_html(path if path == 7 else tmp_path / path, depth=7)
    assert explorer.landscape.evaluated - before < 100


def test_a_failure_leaves_what_was_there(explorer, tmp_path, monkeypatch):
    where = tmp_path / "map.html"
    where.write_text("before")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(OSError, match="No space left"):
        explorer.to_html(where, depth=1, progress=False)
    assert where.read_text() == "before"


def test_embedded_it_is_html_with_a_picture_for_those_that_run_no_scripts(explorer):
    bundle = explorer.embed(depth=1, progress=False)._repr_mimebundle_()
    page = Reader(bundle["text/html"])
    assert [tag for tag, _ in page.elements] == ["div", "img", "script", "script", "script"]
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/plain"].startswith("a map of ")
    assert "data-fill" not in bundle["text/html"]


def test_two_in_one_page_do_not_meet(explorer):
    places = [
        re.search(r'id="(lossatlas-\w+)"', explorer.embed(depth=1, progress=False).html)[1] for _ in range(2)
    ]
    assert places[0] != places[1]


def test_the_theme_of_a_page_is_the_explorers():
    assert '<body class="la-dark">' in document("", title="", theme="dark")
    assert "<body>" in document("", title="", theme="auto")


def test_a_front_end_that_would_end_its_own_element_is_refused():
    with pytest.raises(ValueError, match="Build it anew"):
        fragment({}, b"", None, script="'</script>'", style="", place="x", title="")


def test_what_is_not_finite_is_null():
    text = fragment(
        {"a": [float("nan"), {"b": float("inf")}]}, b"", None, script="", style="", place="x", title=""
    )
    assert json.loads(Reader(text).scripts[0])["a"] == [None, {"b": None}]
