"""Dask from a notebook with a network of its own, as in a container; and when a way is blocked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from apart import Apart, apart
from notebooks import CellError, Notebook
from slurmed import Slurm

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

START = """
from workbench.jobs.clusters import cluster
client = cluster({how}, kind="slurm", wait=40)
answer = client.scheduler.address
"""
BEGIN = """
import os, subprocess, sys
words = [sys.executable, "-m", "workbench.cli", "doctor", "cluster", "--wait", "40"]
doctors = {
    name: subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, name: ports})
    for name, ports in PORTS.items()
}
"""
SAID = """
said, _ = doctors[{name!r}].communicate(timeout=90)
answer = doctors[{name!r}].returncode, said.splitlines()
"""
WORKERS, SCHEDULERS = "WORKBENCH_WORKER_PORTS", "WORKBENCH_SCHEDULER_PORTS"
BLOCKED = {WORKERS: "43100:43119", SCHEDULERS: "43200:43219"}


@pytest.fixture(scope="module")
def network(slurm_cluster: Slurm) -> Iterator[Apart]:
    """Return a network of its own. (That there is SLURM says that this is root.)"""
    with apart() as made:
        yield made


@pytest.fixture(scope="module")
def book(slurm_cluster: Slurm, network: Apart, person_python: Path) -> Iterator[Notebook]:
    """Return anna's notebook in that network, with a slurm.conf that is written for it."""
    slurm_cluster.clean()
    port = slurm_cluster.cluster.plan.ports["controller"]
    conf = slurm_cluster.home("anna") / "apart.conf"
    host = r"^(SlurmctldHost=\S+)\(.*\)"
    conf.write_text(
        re.sub(host, rf"\1({network.machine})", slurm_cluster.conf.read_text(), flags=re.MULTILINE)
    )
    conf.chmod(0o644)
    more = {"SLURM_CONF": str(conf)}
    with (
        network.passed_on(port),
        network.blocked(BLOCKED[WORKERS], into=False),
        network.blocked(BLOCKED[SCHEDULERS], into=True),
        Notebook(slurm_cluster, person_python, more=more, network=network.name) as opened,
    ):
        # Each waits for what does not come: both at once, beside the tests.
        opened.run(BEGIN.replace("PORTS", repr(BLOCKED)))
        yield opened
    slurm_cluster.clean()


def examined(book: Notebook, blocked: str) -> tuple[int, dict[str, str]]:
    """Return what the doctor found who works with ports that are blocked."""
    code, lines = book.run(SAID.format(name=blocked), 120)
    return code, {line[4:33].strip(): line[:3].strip() + " " + line[34:] for line in lines}


def test_both_ways_are_open(book: Notebook, network: Apart):
    address = book.run(START.format(how="1"), 90)
    assert re.fullmatch(rf"tls://{network.own}:\d+", address)
    there = book.run("answer = list(client.scheduler_info()['workers'])")
    assert [place.rpartition(":")[0] for place in there] == [f"tls://{network.machine}"]
    assert book.run("answer = client.submit(sum, [1, 2]).result(timeout=30)") == 3
    book.run("client.close()")


def test_workers_are_not_reached(book: Notebook):
    book.run(f"os.environ[{WORKERS!r}] = {BLOCKED[WORKERS]!r}")
    with pytest.raises(CellError) as caught:
        book.run(START.format(how="1"), 90)
    assert "has reached the scheduler, and is not reached by it" in str(caught.value)
    assert "Let the ports 43100:43119 of the nodes pass" in str(caught.value)
    code, found = examined(book, WORKERS)
    assert code == 1
    assert found["node to scheduler"].startswith("ok ")
    assert found["scheduler to worker"].startswith("NO The worker at tls://")
    assert found["worker to worker"] == "- not tried"


def test_the_scheduler_is_not_reached(book: Notebook, network: Apart):
    code, found = examined(book, SCHEDULERS)
    assert code == 1
    assert found["scheduler, workers asked for"].startswith(f"ok tls://{network.own}:432")
    assert found["node to scheduler"].startswith("NO Worker ")
    assert f"ended before it reached the scheduler at tls://{network.own}:432" in found["node to scheduler"]
