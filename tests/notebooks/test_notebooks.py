"""Every notebook runs from top to bottom in a fresh kernel, with its outputs as they are described."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def executed(name: str, folder: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(
        not cell.outputs and cell.execution_count is None
        for cell in notebook.cells
        if cell.cell_type == "code"
    )


def test_the_quickstart_trains_maps_and_reads_numbers(tmp_path: Path) -> None:
    notebook = executed("quickstart", tmp_path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) <= 3
    shown = [output.data for output in outputs(notebook) if "data" in output]
    maps = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    assert len(maps) == 1
    assert "image/png" in maps[0]
    printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    accuracy = float(printed.split("accuracy ")[1].split()[0])
    assert accuracy > 0.9  # it is a trained network that is mapped
    here, there = map(float, printed.strip().splitlines()[-1].split())
    assert here == pytest.approx(
        there, rel=1e-6
    )  # the map's centre is the objective at the model's own weights
    assert not [output for output in outputs(notebook) if output.output_type == "error"]


def test_your_own_model_measures_every_kind_of_input_it_shows(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    notebook = executed("your-own-model", tmp_path)
    shown = [output.data for output in outputs(notebook) if "data" in output]
    maps = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    assert ["image/png" in data for data in maps] == [True, True, True]  # a plane, one that is turned, a line
    printed = "".join(
        output.text
        for output in outputs(notebook)
        if output.output_type == "stream" and output.name == "stdout"
    )
    assert "The loader shuffles" in printed
    assert "may be cut: False" in printed
    assert "fields loss, bits" in printed
    modes = {
        line.split()[0]: float(line.split()[-1]) for line in printed.splitlines() if "at the weights" in line
    }
    assert list(modes) == ["eval", "batch_stats", "reestimated"]
    assert len(set(modes.values())) == 3
    thinned = {line.split(": ")[2] for line in printed.splitlines() if line.startswith("dropout=")}
    assert len(thinned) == 3
    assert "Of the gradient at the origin" in printed
    parts, total = next(
        pair for pair in itertools.pairwise(printed.splitlines()) if pair[1].startswith("sum ")
    )
    assert float(total.split()[-1]) == pytest.approx(json.loads(parts.replace("'", '"'))["loss"], rel=1e-12)
    assert not [output for output in outputs(notebook) if output.output_type == "error"]


def test_the_lesson_finds_a_saddle_in_the_middle_of_a_bowl(tmp_path: Path) -> None:
    notebook = executed("lesson-is-it-a-minimum", tmp_path)  # its own assertions hold: else it raises
    shown = [output.data for output in outputs(notebook) if "data" in output]
    maps = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    assert ["image/png" in data for data in maps] == [True, True, True]
    assert sum("application/vnd.plotly.v1+json" in data for data in shown) == 2
    assert "<table>" in shown[-1]["text/html"]
    printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    said = [
        "minimum of the slice", "49 of 226 eigenvalues are negative", "saddle of the slice of index 1", "each 7 times",
        "minimum  loss 1.2", "all converged: True", "9 eigenvalues are 0", "undecided", "8 minima, 7 maxima",
    ]  # fmt: skip
    places = [printed.find(words) for words in said]
    assert -1 not in places
    assert places == sorted(places)


def test_the_guide_compares_data_optimizers_and_widths(tmp_path: Path) -> None:
    notebook = executed("compare", tmp_path)  # its own assertions hold: else it raises
    shown = [output.data for output in outputs(notebook) if "data" in output]
    assert sum("application/vnd.jupyter.widget-view+json" in data for data in shown) == 5
    printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    said = [
        "validation − training", "at the weights", "in the home view", "the first less the second", "more in between",
        "8 units", "32 units", "128 units", "not corresponding weights: 610 parameters in “8 units”",
    ]  # fmt: skip
    places = [printed.find(words) for words in said]
    assert -1 not in places
    assert places == sorted(places)


def test_the_guide_tells_what_three_optimizers_did(tmp_path: Path) -> None:
    notebook = executed("what-did-my-optimizer-do", tmp_path)  # its own assertions hold: else it raises
    shown = [output.data for output in outputs(notebook) if "data" in output]
    maps = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    assert ["image/png" in data for data in maps] == [True, True]
    assert sum("application/vnd.plotly.v1+json" in data for data in shown) == 3
    printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    said = [
        "150 points kept", "of random walks", "off the plane", "λmax", "gradient descent on all data", "Adam scales each parameter's step",
        "Trajectory(5 steps, 1810 parameters) at steps [0, 30, 60, 90, 120]", "SGD · lr 0.1: loss", "2 / λmax",
    ]  # fmt: skip
    places = [printed.find(words) for words in said]
    assert -1 not in places
    assert places == sorted(places)
    assert not [output for output in outputs(notebook) if output.output_type == "error"]


def test_the_lesson_goes_to_the_edge_of_stability_and_stays_there(tmp_path: Path) -> None:
    notebook = executed("lesson-edge-of-stability", tmp_path)  # its own assertions hold: else it raises
    shown = [output.data for output in outputs(notebook) if "data" in output]
    maps = [data for data in shown if "application/vnd.jupyter.widget-view+json" in data]
    assert ["image/png" in data for data in maps] == [True]
    assert sum("application/vnd.plotly.v1+json" in data for data in shown) == 2
    printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    said = ["runs away", "2 / lr = 4", "times the line", "lr 0.25: line 8", "turn back"]
    places = [printed.find(words) for words in said]
    assert -1 not in places
    assert places == sorted(places)


def test_the_guide_keeps_a_map_and_shares_it(tmp_path: Path) -> None:
    notebook = executed("keep-and-share", tmp_path)
    printed = "".join(output.text for output in outputs(notebook) if output.output_type == "stream")
    for said in (
        "the same values: True",
        "This map was opened without its model",
        "the parameters θ differ",
        "the same scene: True",
        "from the file: True",
        "at its points: True",
    ):
        assert said in printed
    nodes = int(printed.split(" nodes evaluated")[0].split()[-1])
    assert nodes >= 81
    embedded = [output.data for output in outputs(notebook) if "text/html" in output.get("data", {})]
    assert len(embedded) == 1
    assert 'class="la-baked"' in embedded[0]["text/html"]
    assert "image/png" in embedded[0]
    assert {"digits.atlas", "digits.html", "digits.npz"} <= {path.name for path in tmp_path.glob("digits.*")}
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
