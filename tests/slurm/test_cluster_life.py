"""A cluster through starts, deaths of its daemons, and its end."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import psutil
import pytest

from slurmed import UIDS, Slurm, leftovers, slurmed
from workbench_hub import supervision
from workbench_hub.health import wait_for
from workbench_slurm.usage import used

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

ADDRESS = f"198.18.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"
"""Of this machine for the time of the tests, as a bridge's is; its name does not stand for it."""
UNTIL = "echo begun; while [ ! -e go ]; do sleep 0.1; done; echo done"
"""A job that ends well once its user says so."""


@pytest.fixture(scope="module")
def own(request: pytest.FixtureRequest) -> Iterator[Slurm]:
    """Return a cluster of this module's own, whose daemons die; a node that is silent is soon down."""
    import slurmed as helper

    if reason := helper.why_not():
        request.getfixturevalue("missing")("slurm", reason)
    with slurmed("--nodes", "2", "--silence", "6") as running:
        yield running


@pytest.fixture
def cluster(own: Slurm) -> Iterator[Slurm]:
    """Return that cluster, well, with no job in it."""
    own.clean()
    go = own.home("anna") / "go"
    go.unlink(missing_ok=True)
    yield own
    go.touch()
    own.clean()


def running(slurm: Slurm, *options: str) -> int:
    """Submit a job, and wait until it runs."""
    job = slurm.submit(UNTIL, *options)
    wait_for(lambda: "begun" in slurm.output(job), 30, f"job {job}")
    return job


def finish(slurm: Slurm, job: int) -> None:
    (slurm.home("anna") / "go").touch()
    assert slurm.wait(job) == "COMPLETED"
    assert slurm.output(job).endswith("done\n")


@pytest.mark.parametrize("daemon", ["munged", "database", "slurmdbd", "slurmctld", "slurmd", "supervisor"])
def test_a_job_outlives_the_death_of_a_daemon(
    cluster: Slurm, eventually: Callable[..., None], missing: Callable[[str, str], None], daemon: str
):
    if daemon not in {process.name for process in cluster.cluster.processes()} | {"slurmd", "supervisor"}:
        missing("slurm", f"there is no {daemon}; as root: apt-get install slurmdbd mariadb-server")
    job = running(cluster)
    if daemon in ("slurmctld", "supervisor"):  # with which the controller dies
        cluster.written_down(job)
    daemon = f"slurmd-{cluster.node_of(job)}" if daemon == "slurmd" else daemon
    dead = cluster.pid(daemon)
    os.kill(dead, signal.SIGKILL)

    def anew() -> bool:
        try:
            return cluster.pid(daemon) not in (0, dead)
        except OSError:  # nobody supervises, for a moment
            return False

    eventually(anew, 30, f"a new {daemon}")
    eventually(cluster.all_well, 60, "the cluster")
    assert cluster.state(job) == "RUNNING"
    finish(cluster, job)


def test_a_job_whose_node_is_lost_runs_again_on_another_if_it_may(cluster: Slurm):
    again = running(cluster, "--requeue", "--mem=100")
    lost = cluster.node_of(again)
    once = running(cluster, "--no-requeue", "--mem=100", f"--nodelist={lost}")
    cluster.lose(lost)
    try:
        # It is taken for lost, waits in the queue, and gets the node that is left.
        assert cluster.wait(again, "PENDING") == "PENDING"
        assert cluster.wait(once) == "NODE_FAIL"
        assert cluster.states()[lost].startswith("down")
        # SLURM lets two minutes pass before it runs such a job again; root need not.
        cluster.root_command("scontrol", "update", f"JobId={again}", "StartTime=now")
        finish(cluster, again)
        assert "Restarts=1" in cluster.root_command("scontrol", "show", "job", str(again))
        assert cluster.node_of(again) in {*cluster.nodes} - {lost}
    finally:
        cluster.find(lost)


def test_status_says_what_is_not_well(cluster: Slurm):
    said = cluster.command("status")
    assert said.returncode == 0, said.stdout
    assert "task/cgroup" in said.stdout
    node = cluster.nodes[0]
    cluster.root_command("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=new disk")
    try:
        said = cluster.command("status")
        assert said.returncode == 1
        assert f"{node}: drained (new disk)" in said.stdout
    finally:
        cluster.root_command("scontrol", "update", f"NodeName={node}", "State=RESUME")


def test_a_second_up_changes_nothing(cluster: Slurm):
    before = {process.name: cluster.pid(process.name) for process in cluster.cluster.processes()}
    said = cluster.command("up")
    assert said.returncode == 0, said.stderr
    assert "up already" in said.stdout
    assert {name: cluster.pid(name) for name in before} == before


@pytest.fixture(scope="module")
def polling(own: Slurm) -> Iterator[Slurm]:
    """Return another cluster on the same machine, at another address and without control groups."""
    options = ("--limits", "polling", "--no-accounting", "--address", ADDRESS)
    line = ("ip", "address", "{}", f"{ADDRESS}/32", "dev", "lo")
    subprocess.run([word.format("add") for word in line], check=True)
    try:
        with slurmed("--nodes", "1", *options) as other:
            yield other
    finally:
        subprocess.run([word.format("delete") for word in line], check=True)


def test_another_cluster_beside_it_is_another(cluster: Slurm, polling: Slurm):
    job = running(cluster)
    assert set(polling.nodes).isdisjoint(cluster.nodes)
    assert polling.root_command("squeue", "--noheader") == ""
    theirs = polling.submit("cat /proc/self/cgroup")
    assert polling.wait(theirs) == "COMPLETED"
    assert "slurm" not in polling.output(theirs)
    finish(cluster, job)


@pytest.mark.parametrize("which", ["own", "polling"])
def test_daemons_listen_at_the_clusters_address_alone(request: pytest.FixtureRequest, which: str):
    """Also where that is not what the machine's name stands for."""
    slurm: Slurm = request.getfixturevalue(which)
    plan = slurm.cluster.plan
    assert (plan.address == ADDRESS) == (which == "polling")
    assert "listen at every address" not in slurm.command("status").stdout
    expected = {(plan.address, port) for name, port in plan.ports.items() if name != "accounting"}
    ours = {slurm.pid(process.name) for process in slurm.cluster.processes()}
    found = [line for line in psutil.net_connections("tcp") if line.status == "LISTEN" and line.pid in ours]
    listening = {(line.laddr.ip, line.laddr.port) for line in found}
    assert expected <= listening
    # slurmdbd alone cannot be told where: it asks munge of everybody.
    others = listening - expected
    assert {port for _, port in others} <= {plan.ports["accounting"]}, others


def test_steps_work_wherever_the_daemons_listen(polling: Slurm):
    """As on a cluster behind a bridge, whose address the machine's name does not stand for."""
    job = polling.submit("srun --label sh -c 'echo here'", "--ntasks=2")
    assert polling.wait(job, seconds=30) == "COMPLETED", polling.output(job)
    assert sorted(polling.output(job).splitlines()) == ["0: here", "1: here"]
    assert polling.run("srun", "id", "-u").stdout.strip() == str(UIDS["anna"])


def test_memory_limits_hold_without_control_groups(polling: Slurm):
    hog = "exec python3 -c \"x = bytearray(400 * 2**20)\nimport time; time.sleep(60); print('never')\""
    assert "OverMemoryKill" in polling.command("status").stdout
    job = polling.submit(hog, "--mem=100")
    assert polling.wait(job, seconds=40) in ("OUT_OF_MEMORY", "CANCELLED", "FAILED")
    assert "never" not in polling.output(job)
    assert "memory limit" in polling.output(job).lower()


def test_what_a_user_writes_gets_into_no_record(polling: Slurm):
    account = 'x","uid":0,"\n{'
    job = polling.submit("true", f"--account={account}", '--job-name="}')
    assert polling.wait(job) == "COMPLETED"
    wait_for(lambda: any(row.job == job and row.user for row in used(polling.cluster)), 20, "the record")
    row = next(row for row in used(polling.cluster) if row.job == job)
    assert (row.uid, row.user, row.account) == (UIDS["anna"], "anna", "xuid0")
    # Without control groups nobody has counted.
    assert (row.cpu_seconds, row.memory) == (None, None)


def test_what_jobs_leave_running_ends_without_control_groups_too(polling: Slurm):
    job = polling.submit("setsid setsid sleep 1234 & sleep 1; echo begun; sleep 600")
    wait_for(lambda: "begun" in polling.output(job), 30, f"job {job}")
    polling.lose(polling.nodes[0])
    try:
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.is_file()]
        assert b"sleep\x001234\x00" not in commands
    finally:
        polling.find(polling.nodes[0])


def test_a_node_that_says_it_has_more_memory_than_it_has_gets_no_job():
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    with (
        pytest.raises(AssertionError, match="Low RealMemory"),
        slurmed("--nodes", "1", "--memory", str(whole + 4096)),
    ):
        pass


def test_down_ends_jobs_and_leaves_nothing():
    begun = monotonic()
    with slurmed("--nodes", "2", "--no-accounting") as slurm:
        job = slurm.submit("hostname")
        assert slurm.wait(job) == "COMPLETED"
        seconds = monotonic() - begun
        assert seconds < 20, f"{seconds:.1f} s from nothing to the first finished job"
        # This one does not listen to SIGTERM and starts a process that leaves its session.
        stubborn = slurm.submit("trap '' TERM; setsid sleep 600 & while :; do sleep 1; done")
        assert slurm.wait(stubborn, "RUNNING") == "RUNNING"
        said = slurm.command("down")
        assert "1 jobs were cancelled" in said.stdout
        assert leftovers(slurm.cluster) == []
        # It comes up again as it was, and knows its jobs.
        assert slurm.command("up", "--nodes", "2", "--no-accounting").returncode == 0
        assert slurm.state(stubborn) == "CANCELLED"


def test_down_after_a_power_cut_leaves_nothing():
    with slurmed("--nodes", "1", "--no-accounting") as slurm:
        job = slurm.submit("sleep 600")
        assert slurm.wait(job, "RUNNING") == "RUNNING"
        doomed = [slurm.pid("guardian"), slurm.pid("supervisor"), slurm.pid("slurmctld")]
        for number in doomed:
            os.kill(number, signal.SIGKILL)
        assert supervision.pid(slurm.cluster) is None
        assert slurm.command("down").returncode == 0
        assert leftovers(slurm.cluster) == []
