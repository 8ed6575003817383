"""VTK and Zarr: what is written is read back by others, number by number."""

import struct
import sys
import tempfile
import warnings

import numpy as np
import pytest

import lossatlas as la

SQUARE = (-1.0, 1.0, -1.0, 1.0)


def made(shape=(5, 7), title="A bowl · with <b>markup</b>", **fields):
    a, b = np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[0]))
    return la.from_grid(1 + a**2 + 2 * b**2 + a / 4, SQUARE, fields=fields, title=title)


def parsed(path):
    """A legacy VTK file, read by hand: the title, the dimensions, points (n, 3) and the fields."""
    data = path.read_bytes()
    lines, at = [], 0
    for _ in range(6):
        end = data.index(b"\n", at)
        lines.append(data[at:end])
        at = end + 1
    assert lines[0] == b"# vtk DataFile Version 3.0"
    assert lines[2:4] == [b"BINARY", b"DATASET STRUCTURED_GRID"]
    dims = tuple(map(int, lines[4].split()[1:]))
    name, count, kind = lines[5].split()
    assert (name, kind) == (b"POINTS", b"double")
    count = int(count)
    points = np.array(struct.unpack(f">{3 * count}d", data[at : at + 24 * count])).reshape(count, 3)
    rest, fields = data[at + 24 * count :], {}
    head = f"\nPOINT_DATA {count}\n".encode()
    assert rest.startswith(head)
    rest = rest[len(head) :]
    while rest:
        first, table, rest = rest.split(b"\n", 2)
        word, field, *kind = first.split()
        assert (word, kind, table) == (b"SCALARS", [b"double", b"1"], b"LOOKUP_TABLE default")
        fields[field.decode()] = np.frombuffer(rest[: 8 * count], ">f8")
        assert rest[8 * count : 8 * count + 1] == b"\n"
        rest = rest[8 * count + 1 :]
    return lines[1], dims, points, fields


def test_a_vtk_file_has_every_value_at_its_point(tmp_path):
    landscape = made(accuracy=np.arange(35.0).reshape(5, 7))
    landscape.to_vtk(tmp_path / "map.vtk", pixels=(5, 7), fields="all", tolerance=0)
    title, dims, points, fields = parsed(tmp_path / "map.vtk")
    assert dims == (7, 5, 1)
    a, b = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 5))
    np.testing.assert_array_equal(points[:, :2], np.column_stack([a.ravel(), b.ravel()]))
    np.testing.assert_array_equal(fields["loss"], landscape.grid(SQUARE, (5, 7)).ravel())
    np.testing.assert_array_equal(fields["accuracy"], np.arange(35.0))
    assert f"recipe {landscape.scene.hash}".encode() in title
    assert len(title) < 256
    title.decode()


def test_the_surface_is_as_high_as_it_is_told(tmp_path):
    landscape = made()
    values = landscape.grid(SQUARE, (5, 7)).ravel()
    for options, shown, height in (
        ({}, values, 1.0),
        ({"height": 3}, values, 3.0),
        ({"height": 0}, values, 0.0),
        ({"scale": "log"}, np.log(values), 1.0),
    ):
        landscape.to_vtk(tmp_path / "map.vtk", pixels=(5, 7), tolerance=0, **options)
        _, _, points, fields = parsed(tmp_path / "map.vtk")
        expected = (shown - shown.min()) / np.ptp(shown) * height
        np.testing.assert_allclose(points[:, 2], expected, rtol=0, atol=1e-15 * 8)
        np.testing.assert_array_equal(fields["loss"], values)


def test_an_independent_reader_reads_the_same(tmp_path):
    meshio = pytest.importorskip("meshio")
    landscape = made(accuracy=np.ones((5, 7)))
    landscape.to_vtk(tmp_path / "map.vtk", pixels=(5, 7), fields="all", tolerance=0)
    mesh = meshio.read(tmp_path / "map.vtk")
    _, _, points, fields = parsed(tmp_path / "map.vtk")
    np.testing.assert_array_equal(mesh.points, points)
    assert set(mesh.point_data) == {"loss", "accuracy"}
    for name, values in mesh.point_data.items():
        np.testing.assert_array_equal(np.ravel(values), fields[name])
    assert sum(len(block.data) for block in mesh.cells) == 4 * 6


def test_what_is_not_finite_stays_in_the_data_and_lies_on_the_floor(tmp_path):
    values = np.array([[1.0, np.nan, 3.0], [np.inf, 2.0, -np.inf]])
    la.from_grid(values, SQUARE).to_vtk(tmp_path / "map.vtk", pixels=(2, 3), tolerance=0)
    _, _, points, fields = parsed(tmp_path / "map.vtk")
    np.testing.assert_array_equal(fields["loss"], values.ravel())
    np.testing.assert_array_equal(points[:, 2], [0, 0, 1, 0, 0.5, 0])


def test_a_flat_surface_and_one_of_no_values_are_written(tmp_path):
    for value in (2.0, np.nan):
        la.from_grid(np.full((2, 2), value), SQUARE).to_vtk(tmp_path / "map.vtk", pixels=2)
        assert not parsed(tmp_path / "map.vtk")[2][:, 2].any()


def test_a_line_is_a_curve(tmp_path):
    la.from_grid(np.arange(5.0) ** 2, (0, 2)).to_vtk(tmp_path / "line.vtk", pixels=5)
    _, dims, points, fields = parsed(tmp_path / "line.vtk")
    assert dims == (5, 1, 1)
    np.testing.assert_array_equal(points[:, 0], np.linspace(0, 2, 5))
    np.testing.assert_array_equal(fields["loss"], np.arange(5.0) ** 2)


def test_a_long_title_is_cut_between_letters(tmp_path):
    made(title="曲面\n" * 100).to_vtk(tmp_path / "map.vtk", pixels=2)
    title, *_ = parsed(tmp_path / "map.vtk")
    assert 250 < len(title) < 256
    assert title.decode().startswith("曲面 曲面")


def test_a_landscape_with_its_model_is_written_too(tmp_path):
    from tests.widget.helpers import landscape

    alive = landscape()
    alive.to_vtk(tmp_path / "map.vtk", (-1, 1, 0, 1), pixels=(3, 5), tolerance=0)
    _, _, _, fields = parsed(tmp_path / "map.vtk")
    np.testing.assert_array_equal(fields["loss"], alive.grid((-1, 1, 0, 1), (3, 5)).ravel())


def test_wrong_calls_are_refused_before_anything_is_written(tmp_path):
    landscape = made()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for wrong, error, words in (
        (lambda: landscape.to_vtk(tmp_path / "map.vtp"), ValueError, "Pass one that ends in .vtk"),
        (lambda: landscape.to_vtk(3), TypeError, "path is a int"),
        (lambda: landscape.to_vtk(tmp_path / "no" / "map.vtk"), ValueError, "does not exist. Make it first"),
        (lambda: landscape.to_vtk(tmp_path / "map.vtk", height=-1), ValueError, "height is -1"),
        (lambda: landscape.to_vtk(tmp_path / "map.vtk", height="tall"), ValueError, "height is 'tall'"),
        (lambda: landscape.to_vtk(tmp_path / "map.vtk", scale="cubic"), ValueError, "scale is 'cubic'"),
        (lambda: landscape.to_vtk(tmp_path / "map.vtk", fields="depth"), ValueError, "no field 'depth'"),
    ):
        with pytest.raises(error, match=words):
            wrong()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "notes"]


def test_a_read_only_folder_is_said_to_be_one(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)  # whoever runs the tests may be allowed everything
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with pytest.raises(PermissionError, match="Nothing may be written into the folder .* Choose another one"):
        made().to_vtk(tmp_path / "map.vtk", pixels=3)
    pytest.importorskip("zarr")
    with pytest.raises(PermissionError, match="Nothing may be written into the folder .* Choose another one"):
        made().to_zarr(tmp_path / "map.zarr", pixels=3)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def xarray():
    pytest.importorskip("zarr")
    return pytest.importorskip("xarray")


def opened(xarray, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what zarr is going to do
        return xarray.open_zarr(path).load()


@pytest.mark.filterwarnings("ignore")
def test_a_store_has_what_the_dataset_has(tmp_path, xarray):
    landscape, path = made(accuracy=np.ones((5, 7))), tmp_path / "Fläche 曲面 1.zarr"
    landscape.to_zarr(path, pixels=(5, 7), fields="all", tolerance=0)
    expected = landscape.to_xarray(pixels=(5, 7), fields="all", tolerance=0)
    xarray.testing.assert_identical(opened(xarray, path), expected)
    again = la.from_grid(opened(xarray, str(path)))
    np.testing.assert_array_equal(again.grid(SQUARE, (5, 7)), landscape.grid(SQUARE, (5, 7)))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.filterwarnings("ignore")
def test_a_store_is_replaced_and_nothing_else_is(tmp_path, xarray):
    path = tmp_path / "map.zarr"
    made().to_zarr(path, pixels=9)
    path.joinpath("old").write_text("of the one before")
    made().to_zarr(path, pixels=3)
    assert opened(xarray, path).sizes == {"b": 3, "a": 3}
    assert not path.joinpath("old").exists()
    notes = tmp_path / "notes"
    notes.mkdir()
    made().to_zarr(notes, pixels=3)  # an empty folder
    other = tmp_path / "other"
    other.mkdir()
    other.joinpath("mine.txt").write_text("mine")
    for taken in (other, other / "mine.txt"):
        with pytest.raises(ValueError, match="exists and is no Zarr store"):
            made().to_zarr(taken, pixels=3)
    assert other.joinpath("mine.txt").read_text() == "mine"
    for wrong, error, words in (
        (3, TypeError, "path is a int"), (tmp_path / "no" / "map.zarr", ValueError, "does not exist"), ("", ValueError, "name of a store"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            made().to_zarr(wrong)


@pytest.mark.filterwarnings("ignore")
def test_a_failure_leaves_the_store_of_before(tmp_path, xarray, monkeypatch):
    path = tmp_path / "map.zarr"
    made().to_zarr(path, pixels=9)

    def fail(self, *args, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(xarray.Dataset, "to_zarr", fail)
    with pytest.raises(OSError, match="No space left"):
        made().to_zarr(path, pixels=3)
    assert opened(xarray, path).sizes == {"b": 9, "a": 9}
    assert [one.name for one in tmp_path.iterdir()] == ["map.zarr"]


@pytest.mark.parametrize("package", ["zarr", "xarray"])
def test_without_zarr_there_is_a_sentence(monkeypatch, tmp_path, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"is not installed. Run: pip install 'lossatlas\[zarr\]'"):
        made().to_zarr(tmp_path / "map.zarr")
    assert not list(tmp_path.iterdir())
