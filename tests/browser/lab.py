"""Drive a real JupyterLab in Debian's Chromium: the one browser harness.

A test takes the fixture `lab` (see conftest.py):

    def test_a_counter_counts(lab):
        notebook = lab.open(["1 + 1"])
        notebook.run_cell(0)
        assert notebook.outputs(0) == ["2"]

One server and one browser serve the whole session. A notebook is shown in a page that an earlier test has left, with all
that it had open closed; what asks for a theme, settings or scripts gets a browser context of its own. After each test every
kernel is ended, so that no test sees another one's objects. Each starts with its imports done, as STARTUP says: the next
one does them while the test before is still at work.

Cells are run, kernels restarted and notebooks saved by JupyterLab's own commands (those behind its menus and keys), not by
key presses: a Shift+Enter that comes while the kernel connects is swallowed without a trace.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Locator, Page, Playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ROOT / ".overlays"  # kernelspecs lossatlas-ipykernel-7.3 and -6.31, made by `make test`

# What JupyterLab 4.6 and its parts say by themselves, on a notebook without any widget of ours.
KNOWN_NOISE: tuple[tuple[str, str], ...] = (
    (r"^error: Comm not found for comm id", "the kernel's answer to another page's comm reaches every page"),
    (
        r"GPU stall due to ReadPixels",
        "Chromium's own, where WebGL is emulated and a picture is copied out of it",
    ),
    (
        r"^warning: Plugin \S+ (\(with \d+ dependants\) took [\d.]+ms|is taking too long) to activate",
        "JupyterLab's own parts on a machine that is busy with something else",
    ),
    (
        r"^warning: Connection lost, reconnecting in \d+ seconds",
        "what a kernel restart looks like to its channels",
    ),
)

CHROMIUM_FLAGS = (
    "--no-sandbox",  # root in a container has no user namespaces
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL2 in software; without it Chromium warns on the console
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# User settings of every page; `lab.open(settings=...)` adds to them or replaces them.
SETTINGS: dict[str, dict[str, Any]] = {
    # The popup about news covers a corner, and asks the network.
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    # All cells stay in the document, so that cell i is the i-th element.
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    # A test decides when its notebook is saved.
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

PANEL = "window.jupyterapp.shell.currentWidget"

# What every kernel does before it first answers; it leaves no name behind.
STARTUP = """
__import__("lossatlas"), __import__("torch")
"""

# What a cell says that changes more of its kernel than names: no other notebook is to have that one.
OF_ITS_OWN = "\n__import__('sys').modules['of its own'] = None\n"

# Leave a kernel as one that has just started, but for what it has imported.
RESET = """
assert "of its own" not in __import__("sys").modules
__import__("ipywidgets").Widget.close_all()
get_ipython().run_line_magic("reset", "-f")
__import__("gc").collect()
"""

# Close all notebooks of a page without a question, and begin as a new page would.
CLEAR = """async () => {
    const {shell, commands} = window.jupyterapp;
    for (const panel of shell.widgets("main")) if (panel.context) panel.context.model.dirty = false;
    await commands.execute("application:close-all");
    delete window.testRuns;
    delete window.testAnswer;
}"""


class LabServer:
    """A Jupyter server with its own home and configuration under one folder."""

    def __init__(self, folder: Path) -> None:
        self.notebooks = folder / "notebooks"
        self.settings = folder / "settings"
        self.log_path = folder / "server.log"
        self._home = folder / "home"
        self._token = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        startup = self._home / "ipython" / "profile_default" / "startup"
        for made in (self.notebooks, self.settings, startup):
            made.mkdir(parents=True)
        (startup / "imports.py").write_text(STARTUP)
        self._process = self._start()
        self._wait_until_up()
        self._next_kernel = self._start_kernel()
        self._kept: list[str] = []  # sessions whose kernels another notebook can have

    def url(self, path: str, query: str = "") -> str:
        return f"http://127.0.0.1:{self._port}/{path}?token={self._token}{query}"

    def request(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url(path), data, method=method)
        request.add_header("Authorization", f"token {self._token}")
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def kernelspecs(self) -> list[str]:
        return sorted(self.request("GET", "api/kernelspecs")["kernelspecs"])

    def give_kernel(self, path: str) -> None:
        """Where the notebook has no kernel, give it one that has done its imports: one that is kept, or a new one."""
        if any(session["path"] == path for session in self.request("GET", "api/sessions")):
            return
        if self._kept:
            self.request("PATCH", f"api/sessions/{self._kept.pop()}", {"path": path, "name": path})
            return
        kernel = {"id": self._next_kernel}
        self.request(
            "POST", "api/sessions", {"path": path, "name": path, "type": "notebook", "kernel": kernel}
        )
        self._next_kernel = self._start_kernel()

    def keep_kernel(self, path: str) -> None:
        """Let another notebook have this one's kernel."""
        self._kept += [
            session["id"] for session in self.request("GET", "api/sessions") if session["path"] == path
        ]

    def _start_kernel(self) -> str:
        return str(self.request("POST", "api/kernels", {"name": "python3"})["id"])

    def end_kernels(self, wait: bool = True) -> None:
        """End every kernel that a notebook has used and that is not kept; wait: until they have ended."""
        sessions = {entry["id"]: entry["kernel"]["id"] for entry in self.request("GET", "api/sessions")}
        stays = {self._next_kernel, *self._kept, *(sessions.get(kept) for kept in self._kept)}
        kernels = [entry["id"] for entry in self.request("GET", "api/kernels")]
        used = [f"api/sessions/{one}" for one in sessions if one not in stays]
        used += [f"api/kernels/{one}" for one in kernels if one not in stays]
        ending = threading.Thread(target=self._delete, args=(used,), daemon=True)
        ending.start()
        if wait:
            ending.join()

    def _delete(self, paths: list[str]) -> None:
        for path in paths:
            try:
                self.request("DELETE", path)
            except urllib.error.HTTPError as error:
                if error.code != 404:  # it has just ended by itself
                    raise

    def log(self, since: int = 0) -> str:
        return self.log_path.read_bytes()[since:].decode(errors="replace")

    def stop(self) -> None:
        self._next_kernel = ""
        self.end_kernels()
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            "--allow-root",
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={self._port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={self._token}",
            f"--ServerApp.root_dir={self.notebooks}",
            "--LabApp.expose_app_in_browser=True",
        ]
        env = {
            **os.environ,
            "HOME": str(self._home),
            "JUPYTER_CONFIG_DIR": str(self._home / "config"),
            "JUPYTER_DATA_DIR": str(self._home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self._home / "runtime"),
            "JUPYTER_PATH": str(OVERLAYS / "share" / "jupyter"),
            "JUPYTERLAB_SETTINGS_DIR": str(self.settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._home / "workspaces"),
            "IPYTHONDIR": str(self._home / "ipython"),
        }
        with self.log_path.open("wb") as log:
            return subprocess.Popen(
                command, env=env, cwd=self.notebooks, stdout=log, stderr=subprocess.STDOUT
            )

    def _wait_until_up(self, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.request("GET", "api/status")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise RuntimeError(f"JupyterLab did not come up within {timeout:.0f} s. It said:\n{self.log()}")


# Whether the kernel of the notebook in sight runs a first line within so many milliseconds.
ANSWERS = f"""(patience) => Promise.race([
    {PANEL}.sessionContext.session.kernel.requestExecute({{code: "import torch", silent: true}}).done.then(() => true),
    new Promise((resolve) => setTimeout(() => resolve(false), patience)),
])"""


# Whether the notebook's kernel is one that any notebook may have, is idle and has done this in time.
RENEW = f"""async ([code, patience]) => {{
    const kernel = {PANEL}?.sessionContext?.session?.kernel;
    if (kernel?.name !== "python3" || kernel.status !== "idle" || kernel.connectionStatus !== "connected") return false;
    const late = new Promise((resolve) => setTimeout(() => resolve(null), patience));
    const answer = await Promise.race([kernel.requestExecute({{code, silent: true}}).done, late]);
    return answer?.content.status === "ok";
}}"""


class Lab:
    """What one test sees of the server and the browser."""

    def __init__(self, server: LabServer, browser: Browser, spare: list[Page] | None = None) -> None:
        """spare: plain pages that tests before have left."""
        self.server = server
        self.opened: list[Notebook] = []
        self.failed = False  # then nothing of it is used again
        self._browser = browser
        self._spare = [] if spare is None else spare
        self._plain: list[Notebook] = []
        self._log_start = len(server.log())

    def open(
        self,
        notebook_cells: list[str] | None,
        kernel: str = "python3",
        name: str | None = None,
        theme: str = "light",
        viewport: tuple[int, int] = (1280, 900),
        *,
        settings: dict[str, dict[str, Any]] | None = None,
        init_script: str | None = None,
        device_scale_factor: float = 1,
    ) -> Notebook:
        """Open a notebook in a page that shows nothing else and wait for its kernel.

        notebook_cells: the code of each cell; None opens the notebook `name` as it is (a second browser on one kernel).
        kernel: "python3" (ipykernel 7.4), "lossatlas-ipykernel-7.3" or "lossatlas-ipykernel-6.31".
        settings: user settings by plugin id, e.g. {"@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True}}.
        init_script: JavaScript that runs before any other of the page, e.g. to take WebGL away.
        """
        known = self.server.kernelspecs()
        assert kernel in known, (
            f"There is no kernel {kernel!r}, only {known}. `make test` makes the overlays."
        )
        name = name or f"notebook-{secrets.token_hex(4)}"
        if notebook_cells is not None:
            write_notebook(self.server.notebooks / f"{name}.ipynb", notebook_cells, kernel)
        if kernel == "python3":
            self.server.give_kernel(f"{name}.ipynb")
        size = {"width": viewport[0], "height": viewport[1]}
        plain = (theme, settings, init_script, device_scale_factor) == ("light", None, None, 1)
        if plain and self._spare:
            page = self._spare.pop()
            page.set_viewport_size(size)
            notebook = Notebook(self.server, page, name)
        else:
            theme_setting = {"@jupyterlab/apputils-extension:themes": {"theme": THEMES[theme]}}
            _write_settings(self.server.settings, {**SETTINGS, **theme_setting, **(settings or {})})
            context = self._browser.new_context(viewport=size, device_scale_factor=device_scale_factor)
            if init_script is not None:
                context.add_init_script(init_script)
            notebook = Notebook(self.server, context.new_page(), name)
        self.opened.append(notebook)
        if plain:
            self._plain.append(notebook)
        if kernel == "python3" or notebook_cells is None:
            notebook.load()
        else:
            notebook.load_with_new_kernel()
        return notebook

    def close(self) -> None:
        for notebook in self.opened:
            if notebook in self._plain and not self.failed and notebook.clear():
                self._spare.append(notebook.page)
                if notebook.kernel_is_as_new:
                    self.server.keep_kernel(notebook.path.name)
            else:
                notebook.close()
        self.server.end_kernels(wait=False)

    def report(self) -> str:
        """What helps to see why a test failed: the consoles and what the server said meanwhile."""
        consoles = [f"{n.name}: {message}" for n in self.opened for message in n.console]
        return "\n".join(["-- consoles", *consoles, "-- server", self.server.log(self._log_start)[-8000:]])


class Notebook:
    """One notebook in one page."""

    def __init__(self, server: LabServer, page: Page, name: str) -> None:
        self.name = name
        self.path = server.notebooks / f"{name}.ipynb"
        self.kernel_is_as_new = False  # once it is cleared
        self.console: list[str] = []  # everything that the page said, noise included
        self.page = page
        self._server = server
        self._errors: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_error)

    # Opening

    def load(self, idle: float = 60) -> None:
        """Open the notebook, in a page that has JupyterLab already or in a new one; idle: seconds that its kernel has."""
        if self.page.url == "about:blank":
            self.reload(idle)
            return
        self.page.evaluate(
            "async path => { await window.jupyterapp.commands.execute('docmanager:open', {path}); }",
            self.path.name,
        )
        self._wait_shown(idle)

    def load_with_new_kernel(self) -> None:
        """The same with a kernel that nobody has made ready: one that starts and never answers is started once more.

        ipykernel 7.3 does so now and then, whatever is run on it.
        """
        try:
            self.load(idle=25)
            answers = bool(self.page.evaluate(ANSWERS, 25_000))
        except PlaywrightTimeoutError:
            answers = False
        if not answers:
            self.restart_kernel()

    def reload(self, idle: float = 60) -> None:
        """Open the page, or open it again: kernels outlive that."""
        self.page.goto(self._server.url(f"lab/tree/{self.path.name}", "&reset"))
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
        self._wait_shown(idle)
        # A page that was narrow once has no side bar, a new one has: a card is to be as wide in both.
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")

    def _wait_shown(self, idle: float) -> None:
        self.page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook", timeout=60_000)
        self.page.wait_for_function(f"() => {PANEL}?.sessionContext !== undefined", timeout=60_000)
        self.wait_idle(timeout=idle)

    def clear(self) -> bool:
        """Close the notebook, and say whether its page can show another: it is there, silent, and asks nothing."""
        if self.page.is_closed() or self.console_errors or self.page.locator(".jp-Dialog").count() > 0:
            return False
        self.page.mouse.move(0, 0)
        self.kernel_is_as_new = self.page.evaluate(RENEW, [RESET, 5000])
        self.page.evaluate(CLEAR)
        self.page.remove_listener("console", self._on_console)
        self.page.remove_listener("pageerror", self._on_error)
        return True

    def close(self) -> None:
        self.page.context.close()

    # Running

    def run_cell(self, i: int, wait: bool = True, *, check: bool = True, timeout: float = 60) -> None:
        """Run cell i; wait: until it has ended, and then (check) fail if it raised."""
        self.page.evaluate(
            f"""i => {{
                const notebook = {PANEL}.content;
                notebook.deselectAll();
                notebook.activeCellIndex = i;
                window.testRuns ??= [];
                window.testRuns[i] = "running";
                window.jupyterapp.commands.execute("notebook:run-cell").then(() => {{ window.testRuns[i] = "done"; }});
            }}""",
            i,
        )
        if wait:
            self.wait_cell(i, timeout=timeout, check=check)

    def wait_cell(self, i: int, *, timeout: float = 60, check: bool = True) -> None:
        """Wait until cell i, started with wait=False, has ended."""
        self.page.wait_for_function("i => window.testRuns?.[i] === 'done'", arg=i, timeout=timeout * 1000)
        if check and (raised := self.error(i)):
            raise AssertionError(f"Cell {i} of {self.name} raised {raised}")

    def run_all(self, wait: bool = True, *, check: bool = True, timeout: float = 120) -> None:
        """Run > Run All Cells; wait: until the last cell has ended."""
        self.page.evaluate(
            f"""() => {{
                window.testRuns = {PANEL}.content.widgets.map(() => "running");
                window.jupyterapp.commands.execute("notebook:run-all-cells")
                    .then(() => {{ window.testRuns = window.testRuns.map(() => "done"); }});
            }}"""
        )
        if wait:
            for i in range(self.page.locator(".jp-Notebook .jp-Cell").count()):
                self.wait_cell(i, timeout=timeout, check=check)

    def wait_idle(self, timeout: float = 60) -> None:
        """Wait until the kernel is idle and no cell waits for it."""
        self.page.wait_for_function(
            f"""() => {PANEL}.sessionContext.session?.kernel?.status === "idle"
                && {PANEL}.sessionContext.session.kernel.connectionStatus === "connected"
                && ![...document.querySelectorAll(".jp-InputPrompt")].some((p) => p.textContent.includes("*"))""",
            timeout=timeout * 1000,
        )

    def interrupt(self) -> None:
        self.page.evaluate(f"() => {PANEL}.sessionContext.session.kernel.interrupt()")

    def restart_kernel(self) -> None:
        """Restart the kernel without the question whether one is sure, and wait until it is back."""
        self.page.evaluate(f"() => {PANEL}.sessionContext.session.kernel.restart()")
        self.wait_idle()

    def save(self) -> None:
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def delete_outputs(self, i: int) -> None:
        self.page.evaluate(f"i => {{ {PANEL}.content.widgets[i].model.clearExecution(); }}", i)

    # Looking

    def cell(self, i: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(i)

    def outputs(self, i: int) -> list[str]:
        """The text of each output of cell i."""
        return self.cell(i).locator(".jp-OutputArea-output").all_inner_texts()

    def error(self, i: int) -> str | None:
        """What cell i raised, with its traceback, or None."""
        outputs = self.page.evaluate(f"i => {PANEL}.content.widgets[i].model.outputs.toJSON()", i)
        for output in outputs:
            if output["output_type"] == "error":
                traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output["traceback"]))
                return f"{output['ename']}: {output['evalue']}\n{traceback}"
        return None

    def widget(self) -> Locator:
        """The roots of our widgets, in the order of the page."""
        return self.page.locator(".lossatlas")

    def wait_state(self, state: str, timeout: float = 15) -> None:
        """Wait until the first map says that it is in this state (its root's data-state)."""
        try:
            self.page.wait_for_selector(f'.lossatlas[data-state="{state}"]', timeout=timeout * 1000)
        except PlaywrightTimeoutError:
            states = self.page.locator(".lossatlas").evaluate_all("ws => ws.map((w) => w.dataset.state)")
            raise AssertionError(f"No map is {state!r} after {timeout:.0f} s; states: {states}") from None

    def eval_widget(self, script: str, arg: Any = None) -> Any:
        """The value of a JavaScript function of the first map's root: "w => w.lossatlas.stats()"."""
        return self.widget().first.evaluate(script, arg)

    def screenshot(self, path: Path | str) -> None:
        self.page.screenshot(path=path)

    @property
    def console_errors(self) -> list[str]:
        """Errors and warnings of the page's console, uncaught exceptions too, without JupyterLab's own noise."""
        return [e for e in self._errors if not any(re.search(pattern, e) for pattern, _ in KNOWN_NOISE)]

    def _on_console(self, message: ConsoleMessage) -> None:
        where = message.location.get("url", "").split("?")[0]
        self._note(message.type, f"{message.text} ({where})", is_error=message.type in ("error", "warning"))

    def _on_error(self, error: Error) -> None:
        self._note("pageerror", str(error), is_error=True)

    def _note(self, kind: str, text: str, *, is_error: bool) -> None:
        self.console.append(f"{kind}: {text}")
        if is_error:
            self._errors.append(f"{kind}: {text}")


def launch_chromium(playwright: Playwright) -> Browser:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise RuntimeError(
            "The browser tests need Chromium, and none is on the path. `make test` installs it where it may; "
            "else, as root: apt-get install chromium"
        )
    return playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))


def write_notebook(path: Path, cells: list[str], kernel: str) -> None:
    # By hand: importing nbformat takes seconds.
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{i}",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for i, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook), encoding="utf-8")


def _write_settings(folder: Path, settings: dict[str, dict[str, Any]]) -> None:
    """As the settings editor leaves them: PLUGIN:NAME in PLUGIN/NAME.jupyterlab-settings."""
    shutil.rmtree(folder)
    for plugin, values in settings.items():
        package, _, name = plugin.partition(":")
        path = folder / package / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
