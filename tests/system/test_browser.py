"""What a person sees: headless Chromium logs in, opens JupyterLab, and uses the web services."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from deployed import Running

pytestmark = [pytest.mark.services, pytest.mark.browser]

# As root there is no sandbox; the rest keeps Chromium from looking for the internet.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def shots() -> Path:
    """Where screenshots go: the folder of test results."""
    folder = Path(os.environ.get("TEST_RESULTS", Path(__file__).parents[2] / "test-results"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page(running: Running, missing):
    program = shutil.which("chromium")
    if program is None:
        missing("browser", "there is no chromium; as root: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        foreign: list[str] = []
        page.on("request", lambda request: _note(foreign, request.url, running.url))
        yield page
        browser.close()
    assert not foreign, f"pages asked for things from elsewhere: {foreign}"


def _note(foreign: list[str], url: str, ours: str) -> None:
    host = ours.partition("//")[2]
    if not re.match(rf"(https?|wss?)://{re.escape(host)}/|data:|blob:", url):
        foreign.append(url)


def log_in(page: Page, running: Running, name: str) -> None:
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(running.passwords[name])
    page.get_by_role("button", name=re.compile("Sign in", re.IGNORECASE)).click()


def test_from_the_login_page_to_a_cell_in_jupyterlab(page, running, shots):
    page.goto(running.url)
    expect(page.get_by_text("each user can read and change what the others have")).to_be_visible()
    page.screenshot(path=shots / "login.png")
    log_in(page, running, "scientist")
    page.wait_for_url("**/user/scientist/lab**", timeout=60_000)
    launcher = page.get_by_title("Python 3 (ipykernel)").first
    expect(launcher).to_be_visible(timeout=60_000)
    page.screenshot(path=shots / "jupyterlab.png")
    launcher.click()
    cell = page.locator(".jp-Notebook .cm-content").first
    expect(cell).to_be_visible(timeout=30_000)
    cell.click()
    page.keyboard.type("import workbench; print('version', workbench.__version__)")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("version 0", timeout=60_000)
    page.screenshot(path=shots / "notebook.png")
    # Nobody is asked about news or updates, which would need the internet.
    expect(page.get_by_text("official Jupyter news")).to_have_count(0)


def test_the_web_services_are_pages_that_can_be_used(page, running, shots):
    page.goto(running.services)
    log_in(page, running, "scientist")
    page.wait_for_url("**/services/workbench/")
    expect(page.get_by_role("heading", name="Web services")).to_be_visible()
    page.screenshot(path=shots / "services.png", full_page=True)
    page.get_by_role("link", name="triggers.sta_lta").click()
    selection = "BW.RJOB..EH?@2009-08-24T00:20:03/2009-08-24T00:20:33"
    page.get_by_label("Selection from the archive").fill(selection)
    page.get_by_label("sta", exact=True).fill("0.5")
    page.get_by_label("lta", exact=True).fill("5")
    page.get_by_role("button", name="Execute").click()
    expect(page.locator("#answer pre")).to_contain_text("BW.RJOB..EHZ", timeout=60_000)
    page.screenshot(path=shots / "process.png", full_page=True)
    page.get_by_label("result as").select_option("image/png")
    page.get_by_role("button", name="Execute").click()
    image = page.locator("#answer img")
    expect(image).to_be_visible(timeout=60_000)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    page.screenshot(path=shots / "figure.png", full_page=True)
    page.get_by_label("sta", exact=True).fill("0")
    page.get_by_label("Selection from the archive").fill("XX.NOTHING..HHZ@2020-01-01/2020-01-02")
    page.get_by_role("button", name="Execute").click()
    expect(page.locator("#answer .problem")).to_be_visible(timeout=60_000)


def test_the_operator_sees_users_and_servers(page, running, shots):
    page.goto(f"{running.url}/hub/admin")
    log_in(page, running, "operator")
    page.wait_for_url("**/hub/admin**")
    expect(page.get_by_text("scientist").first).to_be_visible(timeout=30_000)
    page.screenshot(path=shots / "admin.png")
