"""``workbench-slurm doctor``: finds what is wrong with a cluster, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from slurmed import Slurm
from workbench_slurm.doctor import Finding, Patient, examine

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]


def patient(slurm: Slurm) -> Patient:
    who = slurm.people["ben"]
    return Patient(slurm.conf, who.name, who.uid, who.gid, slurm.home("ben"), slurm.cluster.names)


def found(slurm: Slurm, until: str) -> Finding:
    """Return what is found under a name; what comes after it is not tried."""
    return next(finding for finding in examine(patient(slurm)) if finding.what == until)


@pytest.fixture
def configured(slurm: Slurm, eventually: Callable[..., None]) -> Iterator[Callable[[str, str], None]]:
    """Change a line that the daemons read: ``configured("DisableRootJobs=YES", "DisableRootJobs=NO")``."""
    conf = slurm.cluster.daemons / "slurm.conf"
    before = conf.read_text()

    def put(text: str) -> None:
        conf.write_text(text)
        slurm.root_command("scontrol", "reconfigure")
        eventually(slurm.all_well, 30, "the cluster")

    def change(old: str, new: str) -> None:
        assert old in before
        put(before.replace(old, new))

    yield change
    put(before)


def test_a_cluster_that_is_well(slurm: Slurm, small_image: str):
    done = slurm.command("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert sum("good" in row for row in rows) == 11 + slurm.cluster.plan.accounting, done.stdout
    assert ("no slurmdbd" in done.stdout) != slurm.cluster.plan.accounting
    words = slurm.command("image", "list").stdout.split()
    digests = [word[:19] for word in words if word.startswith("sha256:")]
    assert small_image[:19] in digests
    assert any(digest in done.stdout for digest in digests)
    for node in slurm.nodes:
        assert node in done.stdout


def test_another_clusters_settings_without_its_state(slurm: Slurm):
    done = slurm.command("doctor", "--conf", str(slurm.conf))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "root runs no jobs" in done.stdout


def test_an_unknown_user_says_so(slurm: Slurm):
    done = slurm.command("doctor", "--user", "nobody-of-that-name")
    assert done.returncode == 1
    assert "is no user" in done.stderr


def test_settings_that_keep_nobody_apart(slurm: Slurm, configured: Callable[[str, str], None]):
    configured("PrivateData=jobs,usage", "PrivateData=none")
    finding = found(slurm, "PrivateData")
    assert finding.good is False
    assert "see each other's jobs" in finding.words
    configured("DisableRootJobs=YES", "DisableRootJobs=NO")
    assert found(slurm, "DisableRootJobs").good is False
    assert found(slurm, "PrivateData").good is True


def test_a_node_and_a_partition_that_are_not_up(slurm: Slurm):
    node = slurm.nodes[1]
    slurm.root_command("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=fan")
    slurm.root_command("scontrol", "update", "PartitionName=short", "State=DOWN")
    try:
        nodes, partitions = found(slurm, "nodes"), found(slurm, "partitions")
    finally:
        slurm.root_command("scontrol", "update", f"NodeName={node}", "State=RESUME")
        slurm.root_command("scontrol", "update", "PartitionName=short", "State=UP")
    assert nodes.good is False
    assert f"{node} is drained (fan)" in nodes.words
    assert partitions.good is False
    assert "short not up" in partitions.words


def test_a_controller_that_does_not_answer(slurm: Slurm, tmp_path):
    conf = tmp_path / "slurm.conf"
    port = slurm.cluster.plan.ports["controller"]
    conf.write_text(slurm.conf.read_text().replace(f"SlurmctldPort={port}", "SlurmctldPort=9"))
    findings = list(examine(Patient(conf)))
    assert [(finding.what, finding.good) for finding in findings] == [("controller", False)]
