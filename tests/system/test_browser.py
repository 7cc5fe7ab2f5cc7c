"""What a person sees: headless Chromium logs in, opens JupyterLab, and uses the web services."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from chromium import log_in

pytestmark = [pytest.mark.services, pytest.mark.browser]


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
    # A cell that is run before its kernel is ready is dropped without a word.
    expect(page.get_by_text("(ipykernel) | Idle")).to_be_visible(timeout=60_000)
    cell.click()
    page.keyboard.type("import workbench; print('version', workbench.__version__)")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("version 0", timeout=60_000)
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
