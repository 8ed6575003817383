"""What the tests of the map share: cells that make one, and ways to ask the page and the kernel what they hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from playwright.sync_api import Locator
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.browser.lab import OF_ITS_OWN, PANEL, Notebook

# Gradient descent by hand: the first optimizer of torch.optim to be made takes seconds of imports.
TRAIN = """
def train(steps, rate=0.5):
    for _ in range(steps):
        gradients = torch.autograd.grad(nn.functional.cross_entropy(model(x), y), list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradients): p -= rate * g
"""

# Several threads collapse where other processes want the cores.
ONE_THREAD = OF_ITS_OWN + "import torch; torch.set_num_threads(1)"

# scikit-learn's digits and a network of 64-64-32-10: the map of the README.
DIGITS = (
    """
import torch, lossatlas as la
from torch import nn
from sklearn.datasets import load_digits
x, y = load_digits(return_X_y=True)
x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
"""
    + TRAIN
    + "train(100)"
)
# Exact, so that a map is complete when every node in sight is evaluated: what tolerances do has tests of its own.
SHOW_DIGITS = """
explorer = la.explore(model, nn.functional.cross_entropy, (x, y), title="digits MLP", height=520, tolerance=0)
explorer
"""

# A network so small that a map of it is there in a moment.
SMALL = (
    """
import torch, lossatlas as la
from torch import nn
torch.manual_seed(0)
x = torch.randn(64, 6); y = (x[:, 0] * x[:, 1] > 0).long()
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
"""
    + TRAIN
    + "train(50)"
)
SHOW_SMALL = """
explorer = la.explore(model, nn.functional.cross_entropy, (x, y), height=360, scale="linear", tolerance=0)
explorer
"""

# Nodes that even the first pass of the home view evaluates: on a map of this height it is drawn by tiles of level −1.
COARSE = [(float(i), float(j)) for j in range(-1, 2) for i in range(-1, 2)]


def ask(notebook: Notebook, expression: str, timeout: float = 60) -> Any:
    """The value of a Python expression in the notebook's kernel, which no cell may occupy."""
    return json.loads(tell(notebook, f"import json as _json; print(_json.dumps({expression}))", timeout))


def tell(notebook: Notebook, code: str, timeout: float = 60) -> str:
    """Run Python in the notebook's kernel, beside its cells; what it printed."""
    notebook.page.evaluate(
        f"""(code) => {{
            const future = {PANEL}.sessionContext.session.kernel.requestExecute({{code, store_history: false}});
            const answer = window.testAnswer = {{text: "", error: null, done: false}};
            future.onIOPub = ({{header, content}}) => {{
                if (header.msg_type === "stream" && content.name === "stdout") answer.text += content.text;
                if (header.msg_type === "error") answer.error = `${{content.ename}}: ${{content.evalue}}`;
            }};
            future.done.then(() => {{ answer.done = true; }});
        }}""",
        code,
    )
    notebook.page.wait_for_function("() => window.testAnswer.done", timeout=timeout * 1000)
    answer = notebook.page.evaluate("() => window.testAnswer")
    assert answer["error"] is None, f"{answer['error']} in {code}"
    return str(answer["text"])


def card(notebook: Notebook, at: int = 0) -> Locator:
    """The at-th map of the page."""
    return notebook.widget().nth(at)


def stats(notebook: Notebook, at: int = 0) -> dict[str, Any]:
    return dict(card(notebook, at).evaluate("w => w.lossatlas.stats()"))


def wait_map(
    notebook: Notebook, condition: str, arg: Any = None, *, at: int = 0, timeout: float = 60
) -> None:
    """Wait until `(w, s, arg) => …` of the at-th map holds; s: its stats."""
    script = f"""([at, arg]) => {{
        const w = document.querySelectorAll(".lossatlas")[at];
        return w?.lossatlas !== undefined && ({condition})(w, w.lossatlas.stats(), arg);
    }}"""
    try:
        notebook.page.wait_for_function(script, arg=[at, arg], timeout=timeout * 1000)
    except PlaywrightTimeoutError:
        maps = notebook.widget().evaluate_all(
            "ws => ws.map((w) => [w.dataset.state, w.querySelector('.la-foot')?.innerText, w.lossatlas?.stats()])"
        )
        raise AssertionError(f"Map {at} never came to hold {condition} for {arg}. Maps: {maps}") from None


def wait_complete(notebook: Notebook, *, at: int = 0, timeout: float = 90) -> None:
    """Wait until every tile in the view of the at-th map has all its nodes."""
    card(notebook, at).wait_for(timeout=timeout * 1000)
    card(notebook, at).scroll_into_view_if_needed()
    wait_map(
        notebook, "(w, s) => w.dataset.state === 'live' && s.complete",
        at=at, timeout=timeout,
    )  # fmt: skip


def open_map(
    lab: Any, setup: str = SMALL, show: str = SHOW_SMALL, more: tuple[str, ...] = (), **options: Any
) -> Notebook:
    """A notebook whose cell 1 shows a complete map of what cell 0 makes; `more`: the cells after them, not run."""
    notebook: Notebook = lab.open([setup, show, *more], **{"viewport": (1100, 1000), **options})
    notebook.run_cell(0)
    notebook.run_cell(1)
    wait_complete(notebook)
    return notebook


def drawn(notebook: Notebook, points: list[tuple[float, float]], at: int = 0) -> np.ndarray:
    """What the page draws at points of the plane, NaN where nothing is drawn."""
    values = card(notebook, at).evaluate(
        "(w, points) => points.map(([a, b]) => w.lossatlas.valueAt(a, b))", points
    )
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def exact(
    notebook: Notebook, points: list[tuple[float, float]], landscape: str = "explorer.landscape"
) -> np.ndarray:
    """What the engine evaluates there."""
    a, b = ([point[k] for point in points] for k in (0, 1))
    return np.array(ask(notebook, f"{landscape}.evaluate({a}, {b}).tolist()"))


def assert_draws(
    notebook: Notebook, points: list[tuple[float, float]], expected: np.ndarray, at: int = 0
) -> None:
    """On a linear scale a node's value goes through three float32: a difference, its grid, and what is drawn."""
    size = float(np.abs(expected).max())
    np.testing.assert_allclose(drawn(notebook, points, at), expected, rtol=0, atol=3 * 2.0**-24 * size)


def canvas_box(notebook: Notebook, at: int = 0) -> dict[str, float]:
    box = card(notebook, at).locator(".la-canvas").bounding_box()
    assert box is not None
    return dict(box)


def middle(notebook: Notebook, at: int = 0) -> tuple[float, float]:
    """The middle of the map in pixels of the page."""
    box = canvas_box(notebook, at)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def colours(notebook: Notebook, at: int = 0) -> int:
    """How many colours the map's canvas holds."""
    return int(
        card(notebook, at).evaluate("""w => {
            const {width, height} = w.querySelector(".la-canvas");
            // Of a copy: read again and again, the map's own canvas would be taken for one that is only read.
            const copy = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
            copy.drawImage(w.querySelector(".la-canvas"), 0, 0);
            const {data} = copy.getImageData(0, 0, width, height);
            return new Set(new Uint32Array(data.buffer)).size;
        }""")
    )


def slider(notebook: Notebook, name: str, at: int = 0) -> Locator:
    return card(notebook, at).locator(f'input[data-name="{name}"]')


def words(notebook: Notebook, part: str, at: int = 0) -> str:
    """The text of a part of the card: ".la-state", ".la-error" …"""
    return card(notebook, at).locator(part).first.inner_text()
