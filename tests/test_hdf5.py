"""Surface files of Li et al.'s tool, written here as that tool writes them: its numbers, at the places where it took them."""

import sys

import numpy as np
import pytest

import lossatlas as la
from lossatlas.held import ReadOnly

h5py = pytest.importorskip("h5py")


def crunched(path, f, x, y=None, unfinished=0, **more):
    """A file as `plot_surface.py` writes it: arrays of shape (len(x), len(y)), filled by the index of meshgrid(x, y), −1 before."""
    with h5py.File(path, "a") as file:
        file["dir_file"] = "resnet56_weights_xignore=biasbn_xnorm=filter.h5"
        file["xcoordinates"] = x
        if y is not None:
            file["ycoordinates"] = y
        shape = x.shape if y is None else (len(x), len(y))
        losses, accuracies = -np.ones(shape), -np.ones(shape)
        mesh_x, mesh_y = (x, 0 * x) if y is None else np.meshgrid(x, y)
        for index in range(losses.size - unfinished):
            at = mesh_x.ravel()[index], mesh_y.ravel()[index]
            losses.ravel()[index] = f(*at)
            accuracies.ravel()[index] = 90 - f(*at)
        file["train_loss"], file["train_acc"] = losses, accuracies
        for name, values in more.items():
            file[name] = values
    return path


def bowl(x, y):
    return 1 + x**2 + 2 * y**2 + 0.5 * x * y + 0.1 * x


X, Y = np.linspace(-1, 1, 51), np.linspace(-1, 1, 51)


def test_a_surface_has_the_tools_numbers_at_the_tools_points(tmp_path):
    landscape = la.from_hdf5(crunched(tmp_path / "surface.h5", bowl, X, Y))
    assert landscape.fields == ("loss", "accuracy_percent")
    assert landscape.home == (-1.0, 1.0, -1.0, 1.0)
    a, b = np.meshgrid(X, Y)
    np.testing.assert_array_equal(landscape.evaluate(a, b), bowl(a, b))
    np.testing.assert_array_equal(landscape.evaluate(a, b, field="accuracy_percent"), 90 - bowl(a, b))
    assert landscape.title == "surface"
    assert [name for name, *_ in landscape.scene.axes] == ["x of the surface file", "y of the surface file"]


def test_a_surface_whose_sides_differ_is_not_transposed(tmp_path):
    x, y = np.linspace(-0.5, 1.5, 7), np.linspace(0, 1, 4)
    landscape = la.from_hdf5(crunched(tmp_path / "surface.h5", bowl, x, y))
    a, b = np.meshgrid(x, y)
    np.testing.assert_array_equal(landscape.evaluate(a, b), bowl(a, b))
    assert landscape.home == (-0.5, 1.5, 0.0, 1.0)


def test_an_array_in_the_shape_of_its_numbers_is_read_the_same(tmp_path):
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 1, 3)
    a, b = np.meshgrid(x, y)
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["xcoordinates"], file["ycoordinates"], file["train_loss"] = x, y, bowl(a, b)
    np.testing.assert_array_equal(la.from_hdf5(tmp_path / "own.h5").evaluate(a, b), bowl(a, b))


def test_points_that_are_not_computed_yet_are_nan(tmp_path):
    landscape = la.from_hdf5(crunched(tmp_path / "surface.h5", bowl, X, Y, unfinished=60))
    values = landscape.grid((-1, 1, -1, 1), (51, 51))
    assert np.isnan(values).sum() == 60
    assert np.isnan(values[-1]).all()
    assert np.isnan(values[-2, -9:]).all()
    assert np.isfinite(values[:-2]).all()
    assert "60 of 2601 values of loss are missing" in landscape.scene.notes
    assert landscape.map().values.shape == (512, 512)


def test_a_file_of_one_direction_is_a_line(tmp_path):
    x = np.linspace(-0.5, 1.5, 401)
    landscape = la.from_hdf5(
        crunched(tmp_path / "line.h5", bowl, x, test_loss=np.ones(401), test_acc=np.full(401, 50.0))
    )
    assert landscape.on_line
    np.testing.assert_array_equal(landscape.evaluate(x), bowl(x, 0))
    assert landscape.fields == ("loss", "accuracy_percent", "test_loss", "test_accuracy_percent")
    assert landscape.evaluate(1.0, field="test_accuracy_percent") == 50.0


def test_other_arrays_over_all_points_keep_their_names(tmp_path):
    eigenvalues = np.linspace(-0.5, 2, 2601).reshape(51, 51)
    landscape = la.from_hdf5(
        crunched(tmp_path / "surface.h5", bowl, X, Y, min_eig=eigenvalues, note="text", one=3.0, few=np.arange(4.0))
    )  # fmt: skip
    assert landscape.fields == ("loss", "accuracy_percent", "min_eig")
    np.testing.assert_array_equal(landscape.grid((-1, 1, -1, 1), (51, 51), field="min_eig"), eigenvalues)


def test_paths_may_hold_spaces_brackets_and_any_letters(tmp_path):
    path = tmp_path / "Fläche 曲面_[-1.0,1.0,51]x[-1.0,1.0,51].h5"
    crunched(path, bowl, X, Y)
    assert la.from_hdf5(str(path)).title == "Fläche 曲面_[-1.0,1.0,51]x[-1.0,1.0,51]"
    assert la.from_hdf5(path, title="Mine").title == "Mine"


def test_a_surface_is_a_map_like_any_other(tmp_path):
    landscape = la.from_hdf5(crunched(tmp_path / "surface.h5", bowl, X, Y))
    landscape.to_png(tmp_path / "map.png")
    assert landscape.explore().landscape is landscape
    with pytest.raises(ReadOnly, match="computed elsewhere"):
        landscape.spectrum()


def test_what_is_no_surface_file_is_refused_in_words(tmp_path):
    empty, text, cut = tmp_path / "empty.h5", tmp_path / "text.h5", tmp_path / "cut.h5"
    h5py.File(empty, "w").close()
    text.write_text("no HDF5")
    whole = crunched(tmp_path / "whole.h5", bowl, X, Y).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    directions = tmp_path / "directions.h5"
    with h5py.File(directions, "w") as file:
        file["xdirection/0"] = np.ones(4)
    for path, error, words in (
        (tmp_path / "no.h5", FileNotFoundError, "There is no file"),
        (tmp_path, ValueError, "is a folder"),
        (3, TypeError, "path is a int"),
        (empty, ValueError, "'empty.h5' holds no arrays, and no xcoordinates"),
        (directions, ValueError, "'directions.h5' holds no arrays, and no xcoordinates"),
        (text, ValueError, "'text.h5' cannot be read: .* is no HDF5 file"),
        (cut, ValueError, "'cut.h5' cannot be read: .* It is damaged"),
        (crunched(tmp_path / "two.h5", bowl, np.array([0.0, 1.0, 3.0]), Y), ValueError, "steps from 1 to 2"),
        (crunched(tmp_path / "one.h5", bowl, np.array([0.0]), Y), ValueError, "at least 2 points a side"),
        (crunched(tmp_path / "back.h5", bowl, -X, Y), ValueError, "runs from 1 to -1 along a"),
    ):
        with pytest.raises(error, match=words):
            la.from_hdf5(path)


def test_values_that_do_not_fit_their_coordinates_are_refused_in_words(tmp_path):
    for name, values, words in (
        ("set_up", None, "no values of so many. Run plot_surface.py first"),
        ("other", np.zeros((3, 9)), r"train_loss has shape \(3, 9\), but there are 4 × 5 points"),
        ("text", "text", "no values of so many"),
        ("huge", np.zeros((2, 3000), np.int8), r"train_loss has shape \(2, 3000\), but"),
    ):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["xcoordinates"], file["ycoordinates"] = np.linspace(0, 1, 5), np.linspace(0, 1, 4)
            if values is not None:
                file["train_loss"] = values
        with pytest.raises(ValueError, match=words):
            la.from_hdf5(tmp_path / f"{name}.h5")


def test_a_surface_of_too_many_points_is_refused_in_words(tmp_path):
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file["xcoordinates"] = np.linspace(0, 1, 3000)
        file.create_dataset("train_loss", (3000,), "f8")
    with pytest.raises(ValueError, match="has 3000 points along a side, and 2048 can be shown at most"):
        la.from_hdf5(tmp_path / "huge.h5")


def test_a_damaged_file_is_never_more_than_a_sentence(tmp_path):
    whole, generator = (
        bytearray(crunched(tmp_path / "whole.h5", bowl, X, Y).read_bytes()),
        np.random.default_rng(0),
    )
    refused = 0
    for number in range(60):
        damaged = bytearray(whole)
        for at in generator.integers(0, 3000, 12):  # where the file says what it holds
            damaged[at] = generator.integers(0, 256)
        path = tmp_path / f"{number}.h5"
        path.write_bytes(damaged)
        try:
            la.from_hdf5(path)
        except ValueError as error:
            refused += 1
            assert len(str(error)) > 20
    assert refused > 20


def test_a_file_that_names_other_files_does_not_read_them(tmp_path):
    crunched(tmp_path / "secret.h5", bowl, X, Y)
    (tmp_path / "secret.bin").write_bytes(np.zeros(2601).tobytes())
    path = crunched(tmp_path / "surface.h5", bowl, X, Y)
    with h5py.File(path, "a") as file:
        file["linked"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "train_loss")
        file["soft"] = h5py.SoftLink("/train_loss")
        file.create_dataset("outside", (51, 51), "f8", external=[(str(tmp_path / "secret.bin"), 0, 2601 * 8)])
        layout = h5py.VirtualLayout((51, 51), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "train_loss", (51, 51))
        file.create_virtual_dataset("virtual", layout)
    assert la.from_hdf5(path).fields == ("loss", "accuracy_percent")


def test_without_h5py_there_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        ImportError, match=r"h5py, which is not installed. Run: pip install 'lossatlas\[hdf5\]'"
    ):
        la.from_hdf5("surface.h5")
