"""Open JupyterLab on the quickstart; run by `make demo`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    port = sys.argv[1] if len(sys.argv) > 1 else "8888"
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--port={port}",
        # So that the address which is printed leads to the notebook, also where no browser is opened.
        "--LabApp.default_url=/lab/tree/notebooks/quickstart.ipynb",
        f"--ServerApp.root_dir={ROOT}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    if not has_display():
        command.append("--no-browser")
    os.chdir(ROOT)
    print("-- JupyterLab prints the address to open below; Ctrl+C twice ends it", flush=True)
    os.execv(command[0], command)


def has_display() -> bool:
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    main()
