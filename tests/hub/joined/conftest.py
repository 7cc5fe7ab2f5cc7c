"""A deployment with a cluster of three nodes, and two people who have a server in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployed import Running, newest_logs
from dockerd import Daemon
from hosted import hosted
from joined import Kernel
from workbench.demo.known import Known, known
from workbench_hub.network import bridge_name, standing
from workbench_slurm.cluster import Cluster

KNOWN = {"channels": 6, "days": 30, "rate": 1}
"""Of which all is known beforehand: an archive of 180 days of channels."""


@pytest.fixture(scope="session")
def site(docker_daemon: Daemon, catalogue: Path, missing: Callable[[str, str], None]) -> Iterator[Running]:
    """Start a deployment whose policy says nothing of a cluster but its nodes."""
    import slurmed

    if reason := slurmed.why_not():
        missing("slurm", reason)
    with hosted(docker_daemon, catalogue, where="/var/tmp", slurm={"nodes": 3}) as running:
        yield running
    cluster = Cluster(running.state / "slurm")
    assert slurmed.leftovers(cluster) == []
    bridge = bridge_name(running.state)
    left = [line for table in ("filter", "nat") for line in standing(table=table) if bridge in line]
    # Docker's own rule goes with its network.
    assert left == []


@pytest.fixture(scope="session")
def cluster(site: Running) -> Cluster:
    """Return the cluster, to be asked as root."""
    return Cluster(site.state / "slurm")


@pytest.fixture(scope="session")
def truth(site: Running) -> Known:
    """Write an archive of which all is known into the shared one."""
    return known(Path(site.more["WORKBENCH_ARCHIVE"]), **KNOWN)


@pytest.fixture(scope="session")
def anna(site: Running, truth: Known) -> Iterator[Kernel]:
    kernel = Kernel(site, "anna")
    yield kernel
    kernel.close()


@pytest.fixture(scope="session")
def ben(site: Running, truth: Known) -> Iterator[Kernel]:
    kernel = Kernel(site, "ben")
    yield kernel
    kernel.close()


@pytest.fixture(autouse=True)
def _empty(cluster: Cluster, eventually: Callable[..., None]) -> Iterator[None]:
    """Leave no job to the next test."""
    yield
    if jobs := cluster.ask("squeue", "--noheader", "--format=%A").split():
        cluster.ask("scancel", *jobs, check=False)
    eventually(lambda: not cluster.ask("squeue", "--noheader"), 40, "an empty queue")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the logs of deployment and cluster with a test that failed."""
    outcome = yield
    report = outcome.get_result()
    running = getattr(item, "funcargs", {}).get("site")
    if report.failed and running is not None:
        report.sections.append(("logs", newest_logs(running.state)))
        logs = subprocess.run(
            f"tail -n 6 {running.state}/slurm/logs/*.log", shell=True, capture_output=True, text=True
        )
        report.sections.append(("cluster", logs.stdout))
