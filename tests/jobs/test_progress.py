"""Progress: what is left, and where it is shown."""

from __future__ import annotations

import sys

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.jobs import progress
from workbench.jobs.progress import Meter, shown


class Screen:
    def __init__(self):
        self.shown = []

    def show(self, fraction, text):
        self.shown.append((fraction, text))

    def close(self):
        self.shown.append("closed")


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_the_estimate_weighs_tiles_and_leaves_out_what_was_finished(clock):
    screen = Screen()
    meter = Meter(4, 1000, screen, _begun=100.0)
    assert meter.left_s is None
    meter.step("reused", 400)
    assert meter.left_s is None
    clock[0] = 110.0
    meter.step("computed", 100)
    # 100 took 10 s, and 500 are left.
    assert meter.left_s == 50.0
    assert screen.shown[-1] == (0.5, "2 of 4 tiles, 1 finished before, about 50 s left")
    clock[0] = 130.0
    meter.step("failed", 300)
    assert meter.left_s == 15.0
    assert meter.text == "3 of 4 tiles, 1 finished before, 1 failed, about 15 s left"
    clock[0] = 145.0
    meter.step("computed", 200)
    assert meter.left_s == 0.0
    assert screen.shown[-1][0] == 1.0


def test_it_is_drawn_now_and_then_and_at_the_end(clock):
    screen = Screen()
    meter = Meter(1000, 1000, screen, _begun=100.0)
    for number in range(1000):
        clock[0] += 0.001
        meter.step("computed", 1)
        assert meter.done == number + 1
    assert 4 <= len(screen.shown) <= 7
    assert screen.shown[-1][0] == 1.0


def test_nobody_looks(monkeypatch):
    with shown(True) as display:
        assert display is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with shown(False) as display:
        assert display is None


CELL = """
from workbench.jobs.progress import Meter, shown
with shown(True) as display:
    print(type(display).__name__)
    meter = Meter(3, 3, display)
    for _ in range(3):
        meter.step("computed", 1)
    print(display._bar.value, display._label.value)
"""


def test_a_notebook_has_a_bar():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    text = "".join(item.get("text", "") for item in outputs)
    assert text == "_Widget\n1.0 3 of 3 tiles\n"
    assert any("application/vnd.jupyter.widget-view+json" in item.get("data", {}) for item in outputs)
