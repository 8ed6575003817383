"""The harness itself, on a widget of its own, so that a failure there is not taken for one of the map."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.lab import Lab

COUNTER = """
import anywidget, traitlets

class Counter(anywidget.AnyWidget):
    _esm = '''
    export default {render({model, el}) {
        const root = document.createElement("button");
        root.className = "lossatlas";
        root.dataset.state = "live";
        root.lossatlas = {count: () => model.get("count")};
        root.onclick = () => { model.set("count", model.get("count") + 1); model.save_changes(); };
        el.append(root);
    }};
    '''
    count = traitlets.Int(0).tag(sync=True)

counter = Counter()
counter
"""


@pytest.mark.parametrize(
    ("kernel", "version"),
    [("python3", "7.4.0"), ("lossatlas-ipykernel-7.3", "7.3.0"), ("lossatlas-ipykernel-6.31", "6.31.0")],
)
def test_a_widget_and_its_kernel_talk_to_each_other(
    lab: Lab, kernel: str, version: str, tmp_path: Path
) -> None:
    notebook = lab.open(
        [COUNTER, "counter.count", "import ipykernel; print(ipykernel.__version__)"], kernel=kernel
    )
    notebook.run_cell(0)
    notebook.wait_state("live")
    notebook.widget().click()
    assert notebook.eval_widget("w => w.lossatlas.count()") == 1
    notebook.run_cell(1)
    assert notebook.outputs(1) == ["1"]
    notebook.run_cell(2)
    assert [text.strip() for text in notebook.outputs(2)] == [version]
    assert notebook.console_errors == []
    notebook.screenshot(tmp_path / "counter.png")
    assert (tmp_path / "counter.png").stat().st_size > 1000


def test_run_all_restart_interrupt_and_a_second_page(lab: Lab) -> None:
    notebook = lab.open(["import time\nx = 1", "print(x)", "print('asleep'); time.sleep(60)"], theme="dark")
    assert notebook.page.locator("body").get_attribute("data-jp-theme-light") == "false"
    notebook.run_all(wait=False)
    notebook.cell(2).get_by_text("asleep", exact=True).wait_for()
    notebook.interrupt()
    with pytest.raises(AssertionError, match="KeyboardInterrupt"):
        notebook.wait_cell(2)
    second = lab.open(None, name=notebook.name)
    notebook.restart_kernel()
    notebook.run_cell(1, check=False)
    assert "NameError" in notebook.outputs(1)[0]
    second.wait_idle()
    assert second.console_errors == []


def test_a_page_that_logs_an_error_is_found_out(lab: Lab) -> None:
    notebook = lab.open(["1 + 1"])
    assert notebook.console_errors == []
    notebook.page.evaluate("console.error('lossatlas: broken')")
    assert any("lossatlas: broken" in error for error in notebook.console_errors)
