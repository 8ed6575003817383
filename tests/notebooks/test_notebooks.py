"""Every notebook runs from top to bottom in a fresh kernel, with its outputs as they are described."""

from __future__ import annotations

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
    here, there = printed.strip().splitlines()[-1].split()
    assert here == there  # the map's centre is the objective at the model's own weights, to the bit
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
