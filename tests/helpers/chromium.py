"""Headless Chromium on a deployment, as a person would use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, sync_playwright

from deployed import Running

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


@contextmanager
def browsing(program: str, url: str, height: int = 800) -> Iterator[Page]:
    """Give a page of a browser; see in the end that nothing was asked of another host."""
    ours = re.compile(rf"(https?|wss?)://{re.escape(url.partition('//')[2])}/|data:|blob:")
    foreign: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": height})
            page.on("request", lambda asked: None if ours.match(asked.url) else foreign.append(asked.url))
            yield page
        finally:
            browser.close()
    assert not foreign, f"pages asked for things from elsewhere: {foreign}"


def log_in(page: Page, running: Running, name: str) -> None:
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(running.passwords[name])
    page.get_by_role("button", name=re.compile("Sign in", re.IGNORECASE)).click()
