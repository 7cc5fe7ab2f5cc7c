"""The first example notebook, top to bottom, in a user's container: by its kernel, and in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from chromium import log_in
from person import Person

pytestmark = [pytest.mark.docker, pytest.mark.services]

NOTEBOOK = Path(__file__).parents[2] / "examples" / "01-first-earthquake.ipynb"


@pytest.fixture(scope="module")
def ben(hub):
    with Person(hub.url, "ben", hub.passwords["ben"]) as ben:
        ben.start_server()
        yield ben


def test_finds_its_earthquakes_in_a_container(ben):
    kernel = ben.start_kernel()
    ben.run(kernel, "import os; os.chdir(os.path.expanduser('~/examples'))")
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    said = "\n".join(ben.run(kernel, cell.source, 180) for cell in cells if cell.cell_type == "code")
    found, true = map(int, re.search(r"(\d+) found, (\d+) in the truth", said).groups())
    assert found == true


@pytest.mark.browser
def test_its_figures_are_drawn_in_jupyterlab(hub, ben, shots, browsed):
    with browsed(hub.url, 1000) as page:
        page.goto(hub.url)
        page.screenshot(path=shots / "host-login.png")
        log_in(page, hub, "ben")
        page.wait_for_url("**/user/ben/lab**", timeout=60_000)
        page.goto(f"{hub.url}/user/ben/lab/tree/examples/{NOTEBOOK.name}")
        expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=60_000)
        expect(page.get_by_text("(ipykernel) | Idle")).to_be_visible(timeout=60_000)
        page.get_by_text("Run", exact=True).first.click()
        page.get_by_text("Run All Cells", exact=True).click()
        expect(page.locator(".bk-Figure canvas").nth(3)).to_be_attached(timeout=180_000)
        expect(page.get_by_text("(ipykernel) | Idle")).to_be_visible(timeout=180_000)
        page.locator(".bk-Figure").nth(3).scroll_into_view_if_needed()
        page.screenshot(path=shots / "host-notebook.png")
        assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
