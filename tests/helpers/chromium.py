"""Headless Chromium on a deployment, as a person would use it."""

from __future__ import annotations

import re

from playwright.sync_api import Page

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


def note_foreign(foreign: list[str], url: str, ours: str) -> None:
    host = ours.partition("//")[2]
    if not re.match(rf"(https?|wss?)://{re.escape(host)}/|data:|blob:", url):
        foreign.append(url)


def log_in(page: Page, running: Running, name: str) -> None:
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(running.passwords[name])
    page.get_by_role("button", name=re.compile("Sign in", re.IGNORECASE)).click()
