"""A landscape as a surface, a plot and files: what is drawn is what was computed, at the page's levels, in its colours."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.figures.colours import colour_at, lookup_table
from lossatlas.figures.files import save
from lossatlas.figures.isolines import isolines
from lossatlas.figures.labels import places
from lossatlas.figures.ladder import ladder
from lossatlas.figures.plot import plot_chart
from lossatlas.pictures import chart_at

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

SVG = {"svg": "http://www.w3.org/2000/svg"}
SMALL = {"pixels": 33, "tolerance": 0.0}


def bowl(**options: object) -> la.Landscape:
    """2 + a² + 3 b²."""
    origin = torch.zeros(2, dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: 2 + t[0] ** 2 + 3 * t[1] ** 2, origin)
    return la.Landscape(objective, la.Plane(origin, *torch.eye(2, dtype=torch.float64)), **options)


def holed() -> la.Landscape:
    """NaN to the left of a = −0.5."""
    origin = torch.zeros(2, dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: torch.log(t[0] + 0.5) + t[1] ** 2, origin)
    return la.Landscape(
        objective, la.Plane(origin, *torch.eye(2, dtype=torch.float64)), title="<b>$x$</b> & co"
    )


def on_line(f: object = None) -> la.Landscape:
    origin = torch.zeros(2, dtype=torch.float64)
    objective = la.Objective.from_function(f or (lambda t: 1 + (t**2).sum()), origin)
    return la.Landscape(objective, la.Line(origin, torch.tensor([2.0, 0.0]).double()))


# Isolines.


def test_isolines_of_a_quadratic_are_its_ellipses() -> None:
    b, a = np.mgrid[-1:1:201j, -1:1:201j]
    values = 2 + a**2 + 3 * b**2
    for level in (2.1, 2.5, 2.9):
        (line,) = isolines(values, level)
        a, b = line.T / 100 - 1
        # Linear along an edge of 0.01: off by at most a quarter of the spacing squared times the curvature, 3 at most.
        np.testing.assert_allclose(2 + a**2 + 3 * b**2, level, atol=0.01**2 / 4 * 3)
        np.testing.assert_array_equal(line[0], line[-1])  # closed


@pytest.mark.parametrize("turn", range(4))
def test_a_saddle_is_settled_by_the_mean_of_its_corners_however_it_is_turned(turn: int) -> None:
    for middle in (0.4, -0.4):
        values = np.rot90(np.array([[1.0, -1.0], [-1.0, 1.0]]) + middle, turn)
        lines = isolines(values, 0.0)
        # Each line cuts off one of the two corners that are on the other side than the middle.
        cut = np.argwhere(np.sign(values) != np.sign(middle))[:, ::-1]
        nearest = [np.abs(cut - line.mean(axis=0)).sum(axis=1) for line in lines]
        assert sorted(int(away.argmin()) for away in nearest) == [0, 1]
        assert max(away.min() for away in nearest) < 0.5


def test_no_isoline_passes_a_cell_that_has_a_hole() -> None:
    values = np.add.outer(np.zeros(5), np.arange(5.0))
    values[2, 2] = np.nan
    lines = isolines(values, 1.5)
    assert sorted(sorted(line[:, 1].tolist()) for line in lines) == [[0.0, 1.0], [3.0, 4.0]]
    assert isolines(np.full((3, 3), np.nan), 0.0) == []
    assert isolines(np.ones((3, 3)), 1.0) == []


def test_labels_stand_within_the_frame_and_apart_from_each_other() -> None:
    angle = np.linspace(0, 2 * np.pi, 400)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    lines = [(150 + radius * ring, 20.0) for radius in (30, 45, 60, 140, 148)] + [(150 + 5 * ring, 20.0)]
    found = np.array(places(lines, 300.0, 300.0))
    assert 3 <= len(found) <= 5  # not the one that is too short
    assert found.min() >= 12
    assert found.max() <= 288
    away = np.hypot(*(found[:, None] - found[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(found))
    assert away.min() >= 30


# The surface.


def test_the_figure_of_a_plane_is_a_surface_of_the_map() -> None:
    landscape = bowl()
    figure = landscape.figure(extent=(-1, 1, -0.5, 0.5), pixels=(33, 65), scale="linear")
    surface = figure.data[0]
    found = landscape.map((-1, 1, -0.5, 0.5), (33, 65))
    np.testing.assert_array_equal(surface.z, found.values)
    np.testing.assert_array_equal(surface.x, np.linspace(-1, 1, 65))
    np.testing.assert_array_equal(surface.y, np.linspace(-0.5, 0.5, 33))
    assert figure.layout.scene.xaxis.title.text == "a · u · 1 = 1.00 units of θ"
    assert figure.layout.uirevision
    assert "error ≤" in figure.layout.title.text
    assert landscape.scene.hash[:7] in figure.layout.title.text


def test_the_isolines_of_a_surface_lie_on_the_levels_of_the_page_and_again_on_the_floor() -> None:
    figure = bowl().figure(scale="log", pixels=129)
    levels = {level.value: level.major for level in ladder(2.0, 6.0, "log").levels}
    for on, below, major in ((figure.data[1], figure.data[3], False), (figure.data[2], figure.data[4], True)):
        heights = np.unique(below.line.color[np.isfinite(below.line.color)])
        inside = [value for value, rank in levels.items() if rank == major and value < 6]  # 6 is a corner
        np.testing.assert_allclose(np.exp(heights), inside, rtol=1e-12)
        a, b, level = below.x, below.y, np.exp(below.line.color)
        known = np.isfinite(a)
        # Linear in the logarithm along an edge of 1/64: second derivative at most 4, value at most 6.
        np.testing.assert_allclose((2 + a**2 + 3 * b**2)[known], level[known], atol=6 * 4 / 64**2 / 4)
        assert len(np.unique(below.z)) == 1
        assert below.z[0] < np.log(2.0)
        assert len(on.x) == len(below.x)


def test_a_surface_has_gaps_where_values_are_not_finite_and_says_so() -> None:
    figure = holed().figure(pixels=(17, 33), tolerance=0.0)
    a = np.linspace(-1, 1, 33)
    assert np.isnan(figure.data[0].z).all(axis=0).tolist() == (a <= -0.5).tolist()
    assert "153 of 561 values not finite" in figure.layout.title.text
    assert "&lt;b&gt;$x$&lt;/b&gt; &amp; co" in figure.layout.title.text  # a name is text


def test_a_surface_keeps_the_camera_it_is_given_and_refuses_what_is_none_of_its_options() -> None:
    eye = {"eye": {"x": 2.0, "y": 0.0, "z": 1.0}}
    assert bowl().figure(pixels=9, camera=eye).layout.scene.camera.eye.x == 2.0
    for options, words in (
        ({"scale": "loud"}, "scale is 'loud'"),
        ({"colormap": "jet"}, "There is no colour map 'jet'"),
        ({"domain": (2, 1)}, r"domain is \(2, 1\)"),
        ({"extent": (1, 0, 0, 1)}, "The extent runs from 1 to 0 along a"),
        ({"field": "nothing"}, "There is no field 'nothing'"),
    ):
        landscape = bowl()
        with pytest.raises(ValueError, match=words):
            landscape.figure(**options)
        assert landscape.evaluated == 0


# The profile.


def test_a_profile_has_a_figure_in_units_of_the_plane_and_of_the_model() -> None:
    origin = torch.tensor([3.0, 4.0], dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: (t**2).sum(), origin)
    landscape = la.Landscape(objective, la.Plane(origin, *(2 * torch.eye(2, dtype=torch.float64))))
    profile = landscape.profile((0, 0), (3, 4), num=11)
    figure = profile.figure()
    np.testing.assert_allclose(figure.data[0].x, np.linspace(0, 5, 11))
    np.testing.assert_array_equal(figure.data[0].y, profile.values)
    np.testing.assert_allclose(figure.data[1].x, np.linspace(0, 2, 11))  # 10 in parameter space, ‖θ‖ = 5
    assert figure.layout.xaxis2.title.text == "distance in ‖θ‖"
    assert figure.layout.title.text == "loss from (0, 0) to (3, 4)"
    along = landscape.profile((-1, 0.5), (1, 0.5), num=5).figure()
    np.testing.assert_array_equal(along.data[0].x, np.linspace(-1, 1, 5))
    assert along.layout.xaxis.title.text == "a, at b = 0.5"
    assert len(landscape.profile((1, 1), (1, 1), num=3).figure().data) == 2


# The plot.


def test_a_plot_has_the_axes_the_levels_and_the_numbers_of_the_page() -> None:
    landscape = bowl()
    ax = landscape.plot(scale="linear", **SMALL)
    found = ladder(2.0, 6.0, "linear")
    drawn = {
        one.get_gid(): list(one.levels)
        for one in ax.collections
        if isinstance(one, matplotlib.contour.ContourSet)
    }
    assert drawn["isolines-major"] == [one.value for one in found.levels if one.major]
    assert drawn["isolines-minor"] == [one.value for one in found.levels if not one.major]
    assert ax.get_xlabel() == "a · u · 1 = 1.00 units of θ"
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 1), (-1, 1))
    assert any("every value evaluated" in text.get_text() for text in ax.texts)
    named = {one.label for one in found.named}
    assert {text.get_text() for text in ax.texts} & named
    np.testing.assert_array_equal(ax.images[0].get_array(), landscape.grid(shape=(33, 33)))
    matplotlib.pyplot.close(ax.figure)


def test_a_plot_goes_into_the_axes_that_it_is_given() -> None:
    figure, (left, right) = matplotlib.pyplot.subplots(1, 2)
    assert bowl().plot(left, levels=[2.5, 3.0], **SMALL) is left
    assert not right.images
    (lines,) = (one for one in left.collections if isinstance(one, matplotlib.contour.ContourSet))
    assert list(lines.levels) == [2.5, 3.0]
    assert not bowl().plot(right, levels=[], **SMALL).collections
    matplotlib.pyplot.close(figure)


def test_a_plot_writes_its_cap_and_its_floor_and_hatches_what_is_not_finite() -> None:
    ax = bowl().plot(scale="linear", domain=(2.5, 4), **SMALL)
    beside = " ".join(text.get_text() for child in ax.child_axes for text in child.texts)
    assert "cap 4.00\nhighest 6.00" in beside
    assert "floor 2.50\nlowest 2.00" in beside
    matplotlib.pyplot.close(ax.figure)
    ax = holed().plot(**SMALL)
    (entry,) = ax.get_legend().get_texts()
    assert entry.get_text() == "297 of 1\u202f089 values not finite"
    assert ax.get_title(loc="left") == r"<b>\$x\$</b> & co"
    assert any(patch.get_hatch() for patch in ax.patches)
    matplotlib.pyplot.close(ax.figure)


def test_a_plot_of_a_line_is_its_curve_with_gaps() -> None:
    ax = on_line(lambda t: torch.log(t[0]) + 9).plot(num=5, scale="linear")
    at, heights = ax.lines[0].get_data()
    np.testing.assert_array_equal(at, [-1, -0.5, 0, 0.5, 1])
    assert np.isnan(heights).tolist() == [True, True, True, False, False]
    assert ax.get_xlabel() == "a · u · 1 = 2.00 units of θ"
    matplotlib.pyplot.close(ax.figure)


# The files.


def saved(path: Path, landscape: la.Landscape, **looks: object) -> object:
    """Write a view of 257 × 257 values as `to_png` and its like do; the axes that it was drawn into."""
    chart = chart_at(landscape, None, pixels=257, **looks)  # a quadratic is its own spline
    drawn = []

    def draw(ax: object) -> object:
        drawn.append(plot_chart(chart, ax))
        return ax

    save(path, draw, width=5.0, aspect=1.0, dpi=100, title="", caption="", recipe="{}", paper="#ffffff")
    return chart, drawn[0]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_pixel_has_the_colour_of_the_value_there(tmp_path: Path, scale: str) -> None:
    chart, ax = saved(tmp_path / "map.png", bowl(), scale=scale, levels=[])
    pixels = np.rint(255 * matplotlib.image.imread(tmp_path / "map.png")[..., :3])
    low, high = chart.domain
    for a, b in ((0.2, 0.1), (0.5, -0.25), (-0.75, 0.5), (0.9, 0.9), (-0.9, -0.1)):
        value = 2 + a**2 + 3 * b**2
        share = ((np.log(value) if scale == "log" else value) - low) / (high - low)
        x, y = ax.transData.transform((a, b))
        found = pixels[int(len(pixels) - y), int(x)]
        # Half a pixel is 1/200 of a; the colour changes by 2 entries on that way at most, and each by 2.
        np.testing.assert_allclose(found, colour_at(lookup_table().astype(float), np.array(share)), atol=5)


def test_an_svg_has_the_levels_as_lines_the_numbers_as_text_and_the_caption(tmp_path: Path) -> None:
    landscape = bowl(title="a <bowl> & more")
    landscape.to_svg(tmp_path / "map.svg", scale="linear", **SMALL)
    root = ElementTree.parse(tmp_path / "map.svg").getroot()
    assert root[0].tag.endswith("title")
    assert root[0].text == "a <bowl> & more"
    assert landscape.scene.hash in root[1].text
    assert "1 on its axis is" in root[1].text
    assert "every value evaluated" in root[1].text
    texts = {"".join(node.itertext()) for node in root.iter(f"{{{SVG['svg']}}}text")}
    found = ladder(2.0, 6.0, "linear")
    assert {one.label for one in found.named if 2.5 < one.value < 5} <= texts
    assert "a · u · 1 = 1.00 units of θ" in texts
    for rank, major in (("minor", False), ("major", True)):
        group = root.find(f".//svg:g[@id='isolines-{rank}']", SVG)
        paths = [node.get("d") for node in group.iter(f"{{{SVG['svg']}}}path")]
        assert len(paths) == sum(one.major == major for one in found.levels)
    assert root.findall(".//svg:image", SVG)


def test_isolines_in_an_svg_lie_on_their_level(tmp_path: Path) -> None:
    _, ax = saved(tmp_path / "map.svg", bowl(), scale="linear", levels=[2.75])
    root = ElementTree.parse(tmp_path / "map.svg").getroot()
    group = root.find(".//svg:g[@id='isolines-major']", SVG)
    text = " ".join(node.get("d") for node in group.iter(f"{{{SVG['svg']}}}path"))
    points = np.array([[float(x), float(y)] for x, y in re.findall(r"[ML] (\S+) (\S+)", text)])
    height = float(root.get("height").removesuffix("pt"))
    points[:, 1] = height - points[:, 1]
    a, b = ax.transData.inverted().transform(points * 100 / 72).T
    assert len(points) > 100
    # What is drawn is thinned to a ninth of a pixel, 1/1700 of a; the slope is 6 at most.
    np.testing.assert_allclose(2 + a**2 + 3 * b**2, 2.75, atol=6 / 1700)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_figure_is_the_same_file(tmp_path: Path, kind: str) -> None:
    for name in ("one", "two"):
        getattr(bowl(), f"to_{kind}")(tmp_path / f"{name}.{kind}", relief=0.5, **SMALL)
    one, two = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert {path.name for path in tmp_path.iterdir()} == {f"one.{kind}", f"two.{kind}"}


def test_a_png_and_a_pdf_carry_the_caption(tmp_path: Path) -> None:
    from PIL import Image

    landscape = bowl()
    landscape.to_png(tmp_path / "map.png", dpi=50, **SMALL)
    with Image.open(tmp_path / "map.png") as picture:
        assert landscape.scene.hash in picture.text["Description"]
        assert picture.text["Title"] == landscape.scene.title
    landscape.to_pdf(tmp_path / "map.pdf", **SMALL)
    data = (tmp_path / "map.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert b"/Subject" in data
    assert b"CreationDate" not in data


def test_what_is_no_path_and_no_option_is_refused_before_anything_is_evaluated(tmp_path: Path) -> None:
    landscape = bowl()
    for call, kind, words in (
        (lambda: landscape.to_png(tmp_path / "map.jpg"), ValueError, "Pass one that ends in .png"),
        (lambda: landscape.to_svg(tmp_path / "no" / "map.svg"), ValueError, "does not exist. Make it first"),
        (lambda: landscape.to_pdf(3), TypeError, "path is a int. Pass where the file is to be"),
        (
            lambda: landscape.to_png(tmp_path / "map.png", dpi=0),
            ValueError,
            "dpi is 0. Pass a number from 20",
        ),
        (
            lambda: landscape.to_png(tmp_path / "map.png", relief=2),
            ValueError,
            "relief is 2. Pass a number from 0",
        ),
        (lambda: landscape.plot(theme="blue"), ValueError, 'theme is \'blue\'. Pass "light" or "dark"'),
        (lambda: landscape.plot(levels="many"), ValueError, "levels is 'many'. Pass \"auto\", or values"),
        (lambda: landscape.plot(levels=[-1], scale="log"), ValueError, "that the log scale can draw"),
    ):
        with pytest.raises(kind, match=words):
            call()
    assert landscape.evaluated == 0
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.svg"
    path.write_text("before")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        bowl().to_svg(path, **SMALL)
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["map.svg"]


def test_without_matplotlib_there_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    landscape = bowl()
    for call in (landscape.plot, lambda: landscape.to_png(tmp_path / "map.png")):
        with pytest.raises(
            ImportError, match=r"matplotlib, which is not installed. Run: pip install 'lossatlas\[plot\]'"
        ):
            call()
    assert landscape.evaluated == 0
    assert landscape.figure(pixels=9).data  # needs none


def test_everything_non_finite_is_drawn_as_such(tmp_path: Path) -> None:
    origin = torch.zeros(2, dtype=torch.float64)
    objective = la.Objective.from_function(lambda t: t.sum() * torch.nan, origin)
    landscape = la.Landscape(objective, la.Plane(origin, *torch.eye(2, dtype=torch.float64)))
    landscape.to_png(tmp_path / "map.png", dpi=40, pixels=9)
    assert "81 of 81 values not finite" in landscape.figure(pixels=9).layout.title.text
    flat = la.Objective.from_function(lambda t: t.sum() * 0 + 3, origin)
    la.Landscape(flat, landscape.plane).to_png(tmp_path / "flat.png", dpi=40, pixels=9)
    assert (tmp_path / "flat.png").stat().st_size > 1000
