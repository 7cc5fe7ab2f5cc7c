"""Fixtures of a broker: ``pytest_plugins = ["brokers", "opening"]`` in a test module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from brokered import Brokered, brokered
from ordinary import folders_of

if TYPE_CHECKING:
    from slurmed import Slurm


@pytest.fixture(scope="session")
def running_broker(slurm_cluster: Slurm, python_image: str, person_python: Path) -> Iterator[Brokered]:
    """Start hub and broker beside the cluster."""
    shown = {f"python{number}": path for number, path in enumerate(folders_of(person_python))}
    with brokered(slurm_cluster, python_image, **shown) as running:
        yield running


@pytest.fixture
def broker(running_broker: Brokered, slurm: Slurm) -> Brokered:
    """Return the broker, with nothing in the queue."""
    return running_broker


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of hub and broker with a test that failed."""
    outcome = yield
    report = outcome.get_result()
    broker = getattr(item, "funcargs", {}).get("broker")
    if report.failed and broker is not None:
        report.sections.append(("hub and broker", broker.hub.said()))
