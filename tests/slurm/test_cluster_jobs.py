"""Jobs on a real cluster: as their user, over its nodes, within what they asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slurmed import UIDS, VOLCANO, Slurm
from workbench_slurm.usage import used

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]

HOG = 'python3 -c "x = bytearray({mb} * 2**20); print(len(x) // 2**20)"'


def test_a_job_runs_over_three_nodes(slurm: Slurm):
    job = slurm.submit("srun --label sh -c 'echo $SLURMD_NODENAME'", "--nodes=3", "--ntasks=3")
    assert slurm.wait(job) == "COMPLETED"
    found = [line.split(": ")[1] for line in slurm.output(job).splitlines()]
    assert sorted(found) == sorted(slurm.nodes)


def test_a_job_runs_as_its_user_in_their_groups(slurm: Slurm):
    job = slurm.submit("id -u; id -G; echo $HOME; echo $SLURM_JOB_USER; pwd", "--export=NONE")
    assert slurm.wait(job) == "COMPLETED"
    uid, home = UIDS["anna"], str(slurm.home("anna"))
    assert slurm.output(job).splitlines() == [f"{uid}", f"{uid} {VOLCANO}", home, "anna", home]


def test_a_job_without_an_environment_of_its_own_has_none_of_the_daemons(slurm: Slurm):
    job = slurm.submit("env", "--export=NONE")
    assert slurm.wait(job) == "COMPLETED"
    names = {line.partition("=")[0] for line in slurm.output(job).splitlines()}
    assert {name for name in names if not name.startswith("SLURM")} <= {
        *("ENVIRONMENT", "HOME", "HOSTNAME", "PATH", "PWD", "TMPDIR", "USER", "OLDPWD", "_")
    }


def test_each_job_has_a_tmp_of_its_own(slurm: Slurm, eventually: Callable[..., None]):
    first = slurm.submit(
        "touch /tmp/first /dev/shm/first; ls /tmp /dev/shm; sleep 60", "--nodelist", slurm.nodes[0]
    )
    eventually(
        lambda: slurm.state(first) == "RUNNING" and "first" in slurm.output(first), 20, "the first job"
    )
    second = slurm.submit("ls -A /tmp /dev/shm; echo nothing", "--nodelist", slurm.nodes[0])
    assert slurm.wait(second) == "COMPLETED"
    assert "first" not in slurm.output(second)
    # What the first one wrote is on no other path that the second one could read.
    spread = slurm.run("find", slurm.cluster.tmp, "-name", "first", user="ben", check=False)
    assert spread.stdout == ""


def test_a_tmp_is_gone_with_its_job(slurm: Slurm, eventually: Callable[..., None]):
    job = slurm.submit("head -c 1000000 /dev/zero > /tmp/large")
    assert slurm.wait(job) == "COMPLETED"
    eventually(lambda: not list(slurm.cluster.tmp.rglob("large")), 20, "the end of its files")


def test_a_job_within_its_memory_runs_and_one_above_is_ended(slurm: Slurm):
    assert slurm.cluster.plan.limits.startswith("cgroup"), "this machine has control groups"
    modest = slurm.submit(HOG.format(mb=100), "--mem=200")
    greedy = slurm.submit(HOG.format(mb=300), "--mem=200")
    assert slurm.wait(modest) == "COMPLETED"
    assert slurm.output(modest) == "100\n"
    assert slurm.wait(greedy) == "OUT_OF_MEMORY"
    assert "oom-kill" in slurm.output(greedy)


def test_what_a_job_used_is_written_down(slurm: Slurm, eventually: Callable[..., None]):
    spin = 'python3 -c "import time; x = bytearray(150 * 2**20)\nwhile time.process_time() < 1.5: pass"'
    job = slurm.submit(f"srun {spin}", "--nodes=2", "--ntasks=2", "--mem=400", "--account=volcano")
    failing = slurm.submit("exit 7", '--account=x","uid":"0', user="ben")
    assert slurm.wait(job) == "COMPLETED"
    assert slurm.wait(failing) == "FAILED"

    def rows():
        return {row.job: row for row in used(slurm.cluster)}

    eventually(lambda: {job, failing} <= {n for n, row in rows().items() if row.user}, 20, "the records")
    row = rows()[job]
    assert (row.uid, row.user, row.account) == (UIDS["anna"], "anna", "volcano")
    assert len(row.nodes) == 2
    assert row.exit_code == "0:0"
    assert row.cpu_seconds is not None
    assert 3.0 <= row.cpu_seconds < 8.0
    assert row.memory is not None
    assert 150 * 2**20 < row.memory <= 400 * 2**20
    assert 1 <= row.ended - row.begun < 30
    row = rows()[failing]
    assert (row.uid, row.user, row.exit_code) == (UIDS["ben"], "ben", "7:0")
    # Nobody has an account of that name; without slurmdbd, it is what its user wrote.
    assert row.account == ("everybody" if slurm.cluster.plan.accounting else "xuid0")


def test_a_partition_that_is_down_says_so(slurm: Slurm):
    slurm.root_command("scontrol", "update", "PartitionName=short", "State=DOWN")
    try:
        job = slurm.submit("true", "--partition=short")
        assert slurm.wait(job, "PENDING") == "PENDING"
        reason = slurm.run("squeue", "--noheader", f"--jobs={job}", "--format=%r").stdout
        assert reason.strip() == "PartitionDown"
    finally:
        slurm.root_command("scontrol", "update", "PartitionName=short", "State=UP")
    assert slurm.wait(job) == "COMPLETED"


def test_a_partition_that_is_not_there_says_so(slurm: Slurm):
    said = slurm.run("sbatch", "--partition=none", "--wrap=true", check=False)
    assert said.returncode
    assert "invalid partition" in said.stderr


def test_more_memory_than_any_node_has_is_refused(slurm: Slurm):
    mb = slurm.cluster.plan.memory + 1
    said = slurm.run("sbatch", f"--mem={mb}", "--wrap=true", check=False)
    assert said.returncode
    assert "Memory specification can not be satisfied" in said.stderr
