"""What is in git, what is not, and what the lock files say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import lossatlas

ROOT = Path(__file__).resolve().parents[2]
BUILT = re.compile(r"^(src/lossatlas/static|js/node_modules|dist|build|\.venv[^/]*|\.overlays)/")


def tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split("\0")[:-1]


def test_no_build_output_is_in_git() -> None:
    assert [path for path in tracked_files() if BUILT.match(path)] == []


def test_lock_files_name_no_download_host() -> None:
    locked = json.loads((ROOT / "js" / "package-lock.json").read_text())["packages"]
    assert [path for path, package in locked.items() if "resolved" in package] == []
    assert "omit-lockfile-registry-resolved=true" in (ROOT / "js" / ".npmrc").read_text().split()
    # uv writes the address of every file into its lock.
    assert [path for path in tracked_files() if path.endswith("uv.lock")] == []
    assert "://" not in (ROOT / "constraints.txt").read_text()


def test_the_bundle_was_built_from_these_sources() -> None:
    node = shutil.which("node")
    assert node is not None, "No node on the path: run the tests by `make test`, which brings one."
    checked = subprocess.run([node, "build.mjs", "--check"], cwd=ROOT / "js", capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr + "Run `make bundle`."


def test_the_bundle_is_small_enough_to_be_stored_in_every_notebook() -> None:
    import gzip

    static = ROOT / "src" / "lossatlas" / "static"
    bundle = (static / "widget.js").read_bytes()
    assert len(bundle) <= 100_000
    assert len(gzip.compress(bundle)) <= 35_000
    part = (static / "point.js").read_bytes()  # sent when it is asked for, and stored in none
    assert len(part) <= 40_000
    assert len(gzip.compress(part)) <= 14_000


def test_the_package_says_the_version_of_its_metadata() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert lossatlas.__version__ == project["version"]
