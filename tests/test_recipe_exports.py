"""A recipe in every file: what is read back out of it makes the same landscape, whatever its title holds."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.geometry import Turn
from lossatlas.recipe import recipe_text
from tests.zoo import F, classification, mlp

# What would be markup, a script, a comment, a line of its own, or the end of a text, were it not escaped.
TITLE = "</metadata><script>alert('1')</script> & \"$x$\" ]]> # a  b\n\r\\n (é → 漢 😀) %>>\x00"

OBJECTIVE = la.Objective(mlp(6, 5, 3), F.cross_entropy, classification(30))


def on_plane() -> la.Landscape:
    plane = la.Plane.random(OBJECTIVE, 2)
    landscape = la.Landscape(OBJECTIVE, plane, extent=(-0.5, 1, -1, 0.5), title=TITLE)
    return landscape.turned(Turn(20, -10, 0.5, u_to="gradient"))


def on_line() -> la.Landscape:
    line = la.Line.along(OBJECTIVE, la.Direction.random(OBJECTIVE, 3))
    return la.Landscape(OBJECTIVE, line, extent=(-0.5, 1), title=TITLE)


def of_npz(landscape: la.Landscape, folder: Path) -> Any:
    landscape.to_npz(folder / "map.npz", pixels=3)
    with np.load(folder / "map.npz", allow_pickle=False) as found:
        about = json.loads(str(found["about"]))
    assert about["recipe"] == landscape.scene.hash
    return about["recipe_json"]


def of_csv(landscape: la.Landscape, folder: Path) -> Any:
    landscape.to_csv(folder / "map.csv", pixels=3)
    lines = (folder / "map.csv").read_text(encoding="utf-8").splitlines()
    (found,) = [line.removeprefix("# recipe_json: ") for line in lines if line.startswith("# recipe_json: ")]
    return found


def of_xarray(landscape: la.Landscape, folder: Path) -> Any:
    pytest.importorskip("xarray")
    return landscape.to_xarray(pixels=3).attrs["recipe_json"]


def of_png(landscape: la.Landscape, folder: Path) -> Any:
    pytest.importorskip("matplotlib")
    from PIL import Image

    picture(landscape, folder / "map.png", dpi=40)
    with Image.open(folder / "map.png") as image:
        return image.info["Recipe"]


def of_svg(landscape: la.Landscape, folder: Path) -> Any:
    pytest.importorskip("matplotlib")
    picture(landscape, folder / "map.svg")
    root = ET.parse(folder / "map.svg").getroot()
    assert not root.findall(".//{*}script")
    (found,) = [one for one in root.findall("{*}metadata") if one.get("id") == "lossatlas-recipe"]
    return found.text


def of_pdf(landscape: la.Landscape, folder: Path) -> Any:
    pytest.importorskip("matplotlib")
    picture(landscape, folder / "map.pdf")
    found = re.search(rb"/Keywords \(((?:\\.|[^\\)])*)\)", (folder / "map.pdf").read_bytes(), re.DOTALL)
    assert found is not None
    # A literal string of PDF: a backslash stands before brackets and itself, and before octal digits.
    plain = re.sub(rb"\\(?:([0-7]{3})|(.))", lambda m: bytes([int(m[1], 8)]) if m[1] else m[2], found[1])
    return plain.decode("ascii")


def of_plotly(landscape: la.Landscape, folder: Path) -> Any:
    options = {"num": 5} if landscape.on_line else {"pixels": 5}
    meta = json.loads(landscape.figure(**options).to_json())["layout"]["meta"]
    assert meta["recipe"] == landscape.scene.hash
    return meta["recipe_json"]


def picture(landscape: la.Landscape, path: Path, **options: Any) -> None:
    options |= {"num": 5} if landscape.on_line else {"pixels": 9}
    getattr(landscape, f"to_{path.suffix[1:]}")(path, **options)


@pytest.mark.parametrize("make", [on_plane, on_line])
@pytest.mark.parametrize("read", [of_npz, of_csv, of_xarray, of_png, of_svg, of_pdf, of_plotly])
@pytest.mark.filterwarnings("ignore:(?s)Glyph .* missing from")  # the font draws no 漢
def test_a_recipe_is_read_out_of_a_file_and_makes_the_landscape_again(
    read: Callable[[la.Landscape, Path], Any], make: Callable[[], la.Landscape], tmp_path: Path
) -> None:
    landscape = make()
    if read in (of_png, of_svg, of_pdf):  # XML and fonts have no such character
        landscape = landscape.called(TITLE.replace("\x00", ""))
    text = read(landscape, tmp_path)
    assert text == recipe_text(landscape)
    made = la.from_recipe(text, OBJECTIVE)
    assert made.scene.hash == landscape.scene.hash
    assert made.title == landscape.title
    assert torch.equal(made.slice.directions[0], landscape.slice.directions[0])


def test_the_text_of_a_recipe_is_one_line_of_ascii() -> None:
    text = recipe_text(on_plane())
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == json.loads(json.dumps(on_plane().recipe))


def test_the_hash_of_a_recipe_stands_in_the_caption() -> None:
    landscape = on_plane()
    assert f"Recipe {landscape.recipe['scene']}." in landscape.caption()
