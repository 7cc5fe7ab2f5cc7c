"""A deployment of the profile ``host``, started once, on the tests' own dockerd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployed import Running, newest_logs
from dockerd import Daemon
from person import Person
from spawning import containers, image, network, site  # noqa: F401


@pytest.fixture(scope="session")
def hub(docker_daemon: Daemon, catalogue: Path) -> Iterator[Running]:
    """Start a deployment with the policy of `hosted.POLICY`; every test of a run shares it."""
    from hosted import hosted

    with hosted(docker_daemon, catalogue) as running:
        yield running


@pytest.fixture
def log_in(hub: Running) -> Iterator[Callable[[str], Person]]:
    """Log somebody in by the form: ``log_in("anna")``; with ``start_server`` to follow."""
    people: list[Person] = []

    def enter(name: str) -> Person:
        people.append(Person(hub.url, name, hub.passwords[name]))
        assert people[-1].logged_in, people[-1].answer.text
        return people[-1]

    yield enter
    for person in people:
        person.http.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of hub, daemon and containers with a test that failed."""
    outcome: Any = yield
    report = outcome.get_result()
    funcargs = getattr(item, "funcargs", {})
    if not report.failed:
        return
    if (hub := funcargs.get("hub")) is not None:
        report.sections.append(("logs", newest_logs(hub.state)))
    if (daemon := funcargs.get("docker_daemon")) is not None and daemon.alive and daemon.answers():
        report.sections.append(("dockerd", daemon.said(10)))
        report.sections += _containers(daemon)


def _containers(daemon: Daemon) -> list[tuple[str, str]]:
    with daemon.client() as client:
        found = client.containers.list(all=True, ignore_removed=True)
        return [(c.name, f"{c.status}\n{c.logs(tail=15).decode(errors='replace')}") for c in found]
