"""What a user, root, and somebody with another key cannot do to a cluster."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurmed import Slurm
from workbench_hub.health import wait_for
from workbench_slurm.cluster import program

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def job(slurm_cluster: Slurm) -> Iterator[int]:
    """Return a job of anna's that runs, and whose name is a secret."""
    slurm_cluster.clean()
    script = "export WORD=very-secret; echo $WORD > /tmp/note; echo $WORD; sleep 600"
    number = slurm_cluster.submit(script, "--job-name=secret", user="anna")
    wait_for(lambda: "very-secret" in slurm_cluster.output(number), 20, f"job {number}")
    yield number
    slurm_cluster.clean()


TRIES = {
    "cancel": ("scancel", "{job}"),
    "signal": ("scancel", "--signal=USR1", "{job}"),
    "hold": ("scontrol", "hold", "{job}"),
    "suspend": ("scontrol", "suspend", "{job}"),
    "requeue": ("scontrol", "requeue", "{job}"),
    "shorten": ("scontrol", "update", "JobId={job}", "TimeLimit=1"),
    "take": ("scontrol", "update", "JobId={job}", "UserId=20102"),
    "attach": ("sattach", "{job}.batch"),
    "enter": ("srun", "--jobid={job}", "--overlap", "id"),
    "send files": ("sbcast", "--jobid={job}", "/etc/hostname", "/tmp/x"),
    "read the script": ("scontrol", "write", "batch_script", "{job}", "-"),
    "top": ("scontrol", "top", "{job}"),
}


@pytest.mark.parametrize("words", TRIES.values(), ids=TRIES)
def test_a_job_is_nobody_elses(slurm_cluster: Slurm, job: int, words: tuple[str, ...]):
    slurm = slurm_cluster
    before = _fields(slurm, job)
    done = slurm.run(*(word.format(job=job) for word in words), user="ben", check=False, seconds=20)
    # `scontrol write` says so, and calls that a success.
    assert done.returncode or "Invalid user id" in done.stderr, done.stdout + done.stderr
    assert _fields(slurm, job) == before
    assert before["JobState"] == "RUNNING"


@pytest.mark.parametrize("words", [("squeue",), ("squeue", "--jobs={job}"), ("scontrol", "show", "job"),
                                   ("scontrol", "show", "job", "{job}"), ("scontrol", "show", "step"),
                                   ("squeue", "--steps"), ("sstat", "{job}.batch"), ("sprio",)])  # fmt: skip
def test_a_job_is_not_seen_by_others(slurm_cluster: Slurm, job: int, words: tuple[str, ...]):
    slurm = slurm_cluster
    given = [word.format(job=job) for word in words]
    done = slurm.run(*given, user="ben", check=False, seconds=20)
    assert "secret" not in done.stdout
    assert not any(word == str(job) for line in done.stdout.splitlines()[1:] for word in line.split())
    if words == ("squeue",):
        assert "secret" in slurm.run("squeue", "--format=%j", user="anna").stdout


def test_what_a_job_writes_is_read_by_nobody_else(slurm_cluster: Slurm, job: int):
    state = slurm_cluster.cluster.state
    look = ("grep", "--recursive", "--no-messages", "--files-with-matches", "--devices=skip", "very-secret")
    assert slurm_cluster.run(*look, state, slurm_cluster.home("anna"), user="ben", check=False).stdout == ""
    # It is there: its owner and root find it, in what SLURM keeps of the job and in the job's own /tmp.
    assert f"job-{job}.out" in slurm_cluster.run(*look, slurm_cluster.home("anna"), user="anna").stdout
    found = subprocess.run([*look, str(state)], capture_output=True, text=True, check=False).stdout
    assert "slurm_script" in found
    assert "/note" in found


def test_its_owner_may_do_all_that(slurm: Slurm):
    job = slurm.submit("sleep 600")
    assert slurm.wait(job, "RUNNING") == "RUNNING"
    entered = slurm.run("srun", f"--jobid={job}", "--overlap", "id", "-u")
    assert entered.stdout.strip() == str(slurm.people["anna"].uid)
    assert "sleep 600" in slurm.run("scontrol", "write", "batch_script", str(job), "-").stdout
    slurm.run("scancel", str(job))
    assert slurm.wait(job) == "CANCELLED"


def test_roots_jobs_are_refused(slurm: Slurm):
    environment = {**os.environ, **slurm.cluster.environment}
    for words in (["sbatch", "--wrap=id"], ["srun", "id"]):
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, check=False, cwd="/var/tmp"
        )
        assert done.returncode, done.stdout
        assert "uid=0" not in done.stdout
    assert slurm.root_command("squeue", "--noheader") == ""


def test_accounts_of_the_machine_run_nothing(slurm: Slurm):
    done = subprocess.run(
        ["sbatch", "--wrap=id"],
        env={"PATH": "/usr/bin:/bin", **slurm.cluster.environment},
        user="daemon",
        group="daemon",
        extra_groups=[],
        cwd="/var/tmp",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert "below 1000" in done.stderr


def test_nobody_submits_as_another(slurm: Slurm):
    ben = slurm.people["ben"].uid
    done = slurm.run("sbatch", f"--uid={ben}", "--wrap=id", user="anna", check=False)
    assert done.returncode, done.stdout


@pytest.mark.parametrize("words", [("scontrol", "update", "NodeName={node}", "State=DOWN", "Reason=x"),
                                   ("scontrol", "shutdown"), ("scontrol", "reconfigure"),
                                   ("scontrol", "update", "PartitionName=main", "State=DOWN"),
                                   ("scontrol", "setdebug", "debug5")])  # fmt: skip
def test_the_cluster_is_nobody_elses(slurm: Slurm, words: tuple[str, ...]):
    done = slurm.run(*(w.format(node=slurm.nodes[0]) for w in words), user="ben", check=False)
    assert done.returncode, done.stdout
    assert slurm.all_well()


def test_keys_state_and_logs_are_closed(slurm: Slurm):
    secret = [slurm.cluster.munge / "key", slurm.cluster.logs, slurm.cluster.run, slurm.cluster.usage,
              slurm.cluster.control]  # fmt: skip
    for path in secret:
        done = slurm.run("ls" if path.is_dir() else "cat", path, user="ben", check=False)
        assert done.returncode, path
    # Nor can anybody else write to what the daemons read.
    writable = slurm.run("find", slurm.cluster.state, "-writable", "-not", "-type", "l", check=False).stdout
    assert writable.split() == [str(slurm.cluster.munge_socket)]


@pytest.fixture
def foreign(open_folder: Path, eventually: Callable[..., None]) -> Iterator[Path]:
    """Return the socket of a munged that has a key of its own."""
    folder = open_folder
    key, socket = folder / "key", folder / "socket"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    command = [program("munged"), "--foreground", f"--key-file={key}", f"--socket={socket}", "--force"]
    command += [f"--{name}-file={folder / name}" for name in ("pid", "log", "seed")]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(socket.is_socket, 10, "the foreign munged")
    yield socket
    running.terminate()
    running.wait(10)


def test_a_credential_of_another_key_is_refused(slurm: Slurm, foreign: Path):
    mine = slurm.home("anna") / "slurm.conf"
    mine.write_text(slurm.conf.read_text().replace(str(slurm.cluster.munge_socket), str(foreign)))
    mine.chmod(0o644)
    before = len((slurm.cluster.logs / "slurmctld.log").read_text())
    done = slurm.run("sbatch", "--wrap=id", more={"SLURM_CONF": str(mine)}, check=False, seconds=30)
    assert done.returncode
    assert slurm.root_command("squeue", "--noheader", "--states=PENDING,RUNNING") == ""
    log = (slurm.cluster.logs / "slurmctld.log").read_text()
    assert "REQUEST_SUBMIT_BATCH_JOB has authentication error" in log[before:]


_KEPT = {
    "JobState",
    "UserId",
    "TimeLimit",
    "Priority",
    "Requeue",
    "Restarts",
    "NodeList",
    "Command",
    "StartTime",
}


def _fields(slurm: Slurm, job: int) -> dict[str, str]:
    """Return what of a job does not change by itself."""
    words = (word.partition("=") for word in slurm.root_command("scontrol", "show", "job", str(job)).split())
    return {name: value for name, _, value in words if name in _KEPT}
