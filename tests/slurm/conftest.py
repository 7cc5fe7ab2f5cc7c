"""What a test of the cluster shows when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of the daemons with a test that failed."""
    outcome: Any = yield
    report = outcome.get_result()
    slurm = getattr(item, "funcargs", {}).get("slurm")
    if report.failed and slurm is not None:
        report.sections.append(("logs", slurm.logs()))
