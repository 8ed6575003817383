"""A wheel and an sdist carry the front end, and neither installation nor environment brings what nobody asked for."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = (
    "widget.js",
    "widget.css",
    "ball.js",
    "instrument.js",
    "layers.js",
    "point.js",
    "runs.js",
    "webgl.js",
    "colormaps.json",
)


def run_without_node(command: list[str], where: Path, path: Path) -> None:
    """Run a command on a PATH that holds nothing but what `path` holds."""
    path.mkdir(exist_ok=True)
    done = subprocess.run(
        command, cwd=where, env={**os.environ, "PATH": str(path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    run_without_node(build, ROOT, folder / "empty")
    return next(folder.glob("lossatlas-*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip would build from the sdist, on a machine without Node."""
    folder = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    source = next(path for path in folder.iterdir() if path.is_dir())
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    run_without_node(build, folder, folder / "empty")
    return next(folder.glob("lossatlas-*-py3-none-any.whl"))


def test_the_sdist_carries_the_front_end_built_and_as_source(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/lossatlas/static/{name}" for name in BUNDLE} <= names
    assert {"js/package.json", "js/package-lock.json", "js/build.mjs", "hatch_build.py", "LICENSE"} <= names
    assert [name for name in names if "node_modules" in name] == []


def test_the_wheel_built_from_the_sdist_without_node_carries_the_front_end(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for name in BUNDLE:
            assert (
                archive.read(f"lossatlas/static/{name}")
                == (ROOT / "src/lossatlas/static" / name).read_bytes()
            )
    assert "lossatlas/py.typed" in names
    # Nothing lands beside the package: no tests, no js.
    assert {name.split("/")[0].split("-")[0] for name in names} == {"lossatlas"}


def load_hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("bundle", "node", "asks"),
    [
        (True, None, False),
        (True, "v24.0.0", False),
        (False, "v20.1.0", False),
        (False, "v18.19.0", True),
        (False, None, True),
    ],
)
def test_the_hook_asks_for_node_only_where_it_must_build_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: bool, node: str | None, asks: bool
) -> None:
    static = tmp_path / "src" / "lossatlas" / "static"
    static.mkdir(parents=True)
    for name in BUNDLE if bundle else ():
        (static / name).touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("node", "npm") if node else ():
        (programs / name).write_text(f"#!/bin/sh\necho {node}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    module = load_hook()
    hook = module.BundleHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel")
    assert hook.dependencies() == ([module.NODE_WHEEL] if asks else [])


def test_no_cuda_packages_came_to_a_machine_without_a_gpu() -> None:
    if shutil.which("nvidia-smi") or Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU, so they may be wanted")
    names = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    assert sorted(name for name in names if name.startswith(("nvidia-", "triton", "cuda-"))) == []
