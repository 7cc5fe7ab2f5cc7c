"""A whole deployment, started once as `make up` starts it, in a directory and at ports of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page

from deployed import Running, command, free_port, newest_logs
from workbench.settings import Settings
from workbench_hub import supervision
from workbench_hub.deployment import Deployment


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Start everything, once; stop it in the end and see that nothing is left."""
    state, port = tmp_path_factory.mktemp("state") / "workbench", free_port()
    done = command(state, port, "up")
    try:
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{newest_logs(state)}"
        passwords = dict(re.findall(r"^  (scientist|operator) +(\S+)$", done.stdout, re.MULTILINE))
        yield Running(state, port, done.stdout, passwords)
    finally:
        done = command(state, port, "down")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    left = supervision.marked(Deployment(Settings(state=state, port=port)))
    assert not left, f"processes outlived the deployment: {left}"


@pytest.fixture
def page(running: Running, browsed) -> Iterator[Page]:
    with browsed(running.url) as page:
        yield page


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of the processes with a test that failed."""
    outcome: Any = yield
    report = outcome.get_result()
    running = getattr(item, "funcargs", {}).get("running")
    if report.failed and running is not None:
        report.sections.append(("logs", newest_logs(running.state)))
