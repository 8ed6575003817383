"""Imports at module level go one way (the house's plan is the table ROOMS), and no source file grows past 500 lines."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "lossatlas"
MAX_LINES = 500

# room: the rooms that it may import at module level. `lossatlas/__init__.py` wires them together and may import all;
# an import inside a function is a crossing on purpose and not looked at.
ROOMS: dict[str, set[str]] = {
    "jobs": set(),
    "scale": set(),
    "objective": {"jobs"},
    "geometry": {"jobs", "objective"},
    "sampling": {"jobs", "objective", "geometry", "scale"},
    "curvature": {"jobs", "objective"},
    "features": {"jobs", "objective", "geometry", "sampling", "curvature"},
    "scene": {"objective", "geometry"},
    "atlas": {"jobs", "objective", "geometry", "sampling", "scale", "scene"},
    "landscape": {
        "jobs",
        "objective",
        "geometry",
        "sampling",
        "curvature",
        "features",
        "scale",
        "scene",
        "atlas",
    },
    "sources": {"geometry", "sampling", "scene"},
    "held": {"geometry", "sampling", "landscape", "scene", "sources"},
    "stored": {
        "objective",
        "geometry",
        "sampling",
        "features",
        "scene",
        "atlas",
        "landscape",
        "held",
        "sources",
        "recipe",
    },
    "grids": {"objective", "geometry", "sampling", "scene", "held", "sources"},
    "hdf5": {"grids", "held"},
    "closeup": {"jobs", "objective", "geometry", "curvature", "landscape"},
    "kept_spectrum": {"curvature", "landscape"},
    "at_point": {"jobs", "geometry", "curvature", "features", "landscape", "closeup", "kept_spectrum"},
    "following": {"objective", "geometry", "features", "held"},
    "spread": {"objective", "geometry", "landscape"},
    "difference": {"objective", "geometry", "sampling", "landscape", "held"},
    "recipe_format": {"objective", "geometry"},
    "recipe": {"objective", "geometry", "landscape", "held", "recipe_format"},
    "pictures": {"geometry", "sampling", "scale", "held", "recipe"},
    "numbers": {"geometry", "held", "pictures", "recipe"},
    "carried": {"held", "numbers", "scale"},
    "learning": {"geometry"},
    "integrations": {"geometry", "curvature", "features", "held", "pictures"},
    "figures": {"sampling", "scale"},
    "widget": {
        "jobs",
        "objective",
        "geometry",
        "sampling",
        "curvature",
        "features",
        "scale",
        "scene",
        "landscape",
        "held",
        "recipe",
        "closeup",
        "following",
        "difference",
        "pictures",
        "figures",
    },
}
JUPYTER = {"anywidget", "comm", "ipykernel", "ipywidgets", "IPython", "plotly", "traitlets"}
# Packages that a user may lack.
EXTRAS = {
    "accelerate",
    "h5py",
    "lightning",
    "matplotlib",
    "pytorch_lightning",
    "tensorboard",
    "transformers",
    "xarray",
    "zarr",
}
FORBIDDEN = dict.fromkeys(
    (
        "scale",
        "objective",
        "geometry",
        "sampling",
        "curvature",
        "features",
        "scene",
        "atlas",
        "landscape",
        "held",
        "stored",
        "kept_spectrum",
        "closeup",
        "at_point",
        "following",
        "spread",
        "difference",
        "recipe_format",
        "recipe",
        "pictures",
        "numbers",
        "carried",
        "learning",
        "integrations",
    ),
    JUPYTER | EXTRAS,
) | {
    "held": {"torch"} | JUPYTER | EXTRAS,
    "grids": {"torch"} | JUPYTER | EXTRAS,
    "hdf5": {"torch"} | JUPYTER | EXTRAS,
    "figures": {"torch"} | EXTRAS,
    "widget": {"torch"} | EXTRAS,
}

MODULES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")
SCRIPTS = sorted(path for path in (ROOT / "js" / "src").rglob("*.js") if not path.name.endswith(".test.js"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that the file imports when it is itself imported, by its full name, with the line."""
    package = ("lossatlas", *path.relative_to(SOURCE).parts[:-1])
    for node in at_module_level(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module or "") if part)
            yield module, node.lineno
            # `from .. import x` and `from lossatlas import x` name modules too.
            yield from (
                (f"{module}.{alias.name}", node.lineno) for alias in node.names if module == "lossatlas"
            )


def at_module_level(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run on import: not inside a function, and not for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_module_level(child)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_rooms_below_its_own(path: Path) -> None:
    room = room_of(path)
    assert room in ROOMS, (
        f"{name_of(path)} is in no room of the table ROOMS: add it there, with what it may import."
    )
    allowed = ROOMS[room] | {room}
    for module, line in imports(path):
        top, _, inner = module.partition(".")
        if top == "lossatlas" and inner and not inner.startswith("__"):
            assert inner.split(".")[0] in allowed, f"{name_of(path)}:{line}: {room} must not import {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_numerics_know_no_jupyter_and_the_widget_knows_no_torch(path: Path) -> None:
    forbidden = FORBIDDEN.get(room_of(path), set())
    for module, line in imports(path):
        assert module.split(".")[0] not in forbidden, (
            f"{name_of(path)}:{line}: {room_of(path)} must not import {module}"
        )


def test_jobs_needs_the_standard_library_alone() -> None:
    path = SOURCE / "jobs.py"
    found = {module.split(".")[0] for module, _ in imports(path)}
    assert found <= sys.stdlib_module_names, f"jobs.py imports {found - sys.stdlib_module_names}"


@pytest.mark.parametrize("path", MODULES + SCRIPTS, ids=name_of)
def test_no_source_file_is_longer_than_500_lines(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, (
        f"{name_of(path)} has {lines} lines: it holds two ideas; give the second a module."
    )
