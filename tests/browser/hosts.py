"""Hosts other than JupyterLab: a page of each that shows one explorer, served by a process of its own.

with voila(folder, "explorer = la.explore(...)") as served:
    page.goto(served.url)
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from tests.browser.lab import write_notebook


class Served:
    """A server of one page, ended by its process id."""

    def __init__(self, name: str, folder: Path, arguments: list[str], path: str = "") -> None:
        """arguments: of `python -m`; PORT stands for the port, which is free."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.name = name
        self.url = f"http://127.0.0.1:{self._port}/{path}"
        self._log = folder / "server.log"
        command = [sys.executable, "-m", *(part.replace("PORT", str(self._port)) for part in arguments)]
        homes = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
        env = {**os.environ, **{name: str(folder / name.lower()) for name in homes}}
        env["MARIMO_SKIP_UPDATE_CHECK"] = "1"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_up(self, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} did not come up within {timeout:.0f} s. It said:\n{self.log()}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def notebook7(folder: Path, code: str) -> Served:
    """Notebook 7. Its page has to be told to run the cell that makes `explorer`."""
    write_notebook(folder / "map.ipynb", [f"{code}\nexplorer"], "python3")
    token = secrets.token_hex(16)
    arguments = [
        *("notebook", "--allow-root", "--no-browser", "--ip=127.0.0.1", "--port=PORT"),
        *(
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={folder}",
        ),
        "--JupyterNotebookApp.expose_app_in_browser=True",
    ]
    return Served("notebook", folder, arguments, f"notebooks/map.ipynb?token={token}")


def voila(folder: Path, code: str) -> Served:
    """voila, which runs the notebook when its page is opened."""
    write_notebook(folder / "map.ipynb", [f"{code}\nexplorer"], "python3")
    arguments = ["voila", str(folder / "map.ipynb"), "--no-browser", "--port=PORT", "--Voila.ip=127.0.0.1"]
    return Served("voila", folder, arguments)


def marimo(folder: Path, code: str) -> Served:
    """marimo, which runs its app when the page is opened, and draws each widget in a shadow root of its own."""
    lines = [*code.strip().splitlines(), "mo.ui.anywidget(explorer)"]
    cell = "\n".join(["@app.cell", "def _():", "    import marimo as mo", *(f"    {line}" for line in lines)])
    (folder / "map.py").write_text(f"import marimo\n\napp = marimo.App()\n\n\n{cell}\n")
    arguments = ["marimo", "run", str(folder / "map.py"), "--headless", "--no-token", "--port", "PORT"]
    return Served("marimo", folder, arguments)
