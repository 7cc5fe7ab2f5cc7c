"""A deployment whose containers get to SLURM by the broker alone, and two people who have a server in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deployed import Running, newest_logs
from dockerd import Daemon
from hosted import hosted
from joined import Kernel
from workbench_slurm.cluster import Cluster


@pytest.fixture(scope="session")
def site(docker_daemon: Daemon, catalogue: Any, missing: Callable[[str, str], None]) -> Iterator[Running]:
    """Start a deployment with a policy that names the broker."""
    import slurmed

    if reason := slurmed.why_not():
        missing("slurm", reason)
    slurm = {"cluster": "own", "nodes": 2, "access": "broker"}
    with hosted(docker_daemon, catalogue, where="/var/tmp", slurm=slurm) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(site: Running) -> Cluster:
    """Return the cluster, to be asked as root."""
    return Cluster(site.state / "slurm")


@pytest.fixture(scope="session")
def anna(site: Running) -> Iterator[Kernel]:
    """Open a notebook of anna's, who is in the group volcano."""
    kernel = Kernel(site, "anna")
    yield kernel
    kernel.close()


@pytest.fixture(scope="session")
def ben(site: Running) -> Iterator[Kernel]:
    """Open a notebook of ben's, who is in no group."""
    kernel = Kernel(site, "ben")
    yield kernel
    kernel.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of deployment and cluster with a test that failed."""
    outcome: Any = yield
    report = outcome.get_result()
    running = getattr(item, "funcargs", {}).get("site")
    if report.failed and running is not None:
        report.sections.append(("logs", newest_logs(running.state)))
        words = f"tail -n 6 {running.state}/slurm/logs/*.log"
        logs = subprocess.run(words, shell=True, capture_output=True, text=True, check=False)
        report.sections.append(("cluster", logs.stdout))
