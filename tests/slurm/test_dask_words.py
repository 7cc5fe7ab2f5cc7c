"""Why there is no cluster: each cause on the real SLURM, said in words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notebooks import Notebook
from slurmed import Slurm
from workbench_hub.deployment import free_port

pytest_plugins = ["opening"]
pytestmark = [pytest.mark.slurm, pytest.mark.timeout(180)]

Open = Callable[..., Notebook]

TRY = """
import os, pathlib
from workbench.jobs.clusters import check, cluster
before = dict(os.environ)
os.environ.update({environment!r})
try:
    client = cluster({how})
    answer = type(client.cluster).__name__
    client.close()
except Exception as error:
    answer = f"{{type(error).__name__}}: {{error}}"
os.environ.clear()
os.environ.update(before)
folder = pathlib.Path("~/.workbench/clusters").expanduser()
left = [path.name for path in folder.iterdir()] if folder.exists() else []
"""


@pytest.fixture(scope="module")
def book(slurm_cluster: Slurm, person_python: Path) -> Iterator[Notebook]:
    """Return anna's notebook, in which every try is made."""
    slurm_cluster.clean()
    with Notebook(slurm_cluster, person_python) as opened:
        yield opened


@pytest.fixture
def attempt(book: Notebook, slurm: Slurm) -> Iterator[Callable[..., str]]:
    """Try to start a cluster: return its type, or the error."""

    def run(how: str, **environment: str) -> str:
        return str(book.run(TRY.format(how=how, environment=environment), 120))

    yield run
    # Whatever came of it: no keys are left, and no job.
    assert book.run("answer = left") == []
    assert slurm.root_command("squeue", "--noheader", "--format=%A") == ""


def other_conf(slurm: Slurm, pattern: str, new: str) -> str:
    """Write a slurm.conf of anna's own with a line changed; return its path."""
    path = slurm.home("anna") / "other.conf"
    path.write_text(re.sub(pattern, new, slurm.conf.read_text(), flags=re.MULTILINE))
    path.chmod(0o644)
    return str(path)


def test_where_slurm_is_not(attempt: Callable[..., str]):
    assert "there is no sbatch here" in attempt("kind='slurm'", PATH="/nonexistent")
    assert "there is no /nonexistent" in attempt("kind='slurm'", SLURM_CONF="/nonexistent")
    # Then what is there is this machine.
    assert attempt("1", PATH="/nonexistent") == "Local"


def test_munge_does_not_answer(slurm: Slurm, attempt: Callable[..., str]):
    conf = other_conf(slurm, "^AuthInfo=.*", "AuthInfo=socket=/nonexistent/socket")
    said = attempt("1", SLURM_CONF=conf)
    assert said.startswith("Unavailable: munge: does not answer here")
    assert "/nonexistent/socket" in said
    assert "kind='local'" in said


def test_the_controller_does_not_answer(slurm: Slurm, attempt: Callable[..., str]):
    conf = other_conf(slurm, "^SlurmctldPort=.*", f"SlurmctldPort={free_port(set())}")
    assert attempt("1", SLURM_CONF=conf).startswith("Unavailable: SLURM's controller: does not answer")


WRONG = {
    "an unknown partition": (
        "1, partition='fast'",
        "InvalidSetting: Partition fast: is unknown",
        "main, short",
    ),
    "too long": (
        "1, partition='short', walltime='2h'",
        "InvalidSetting: walltime of 120 minutes",
        "30 minutes",
    ),
    "too much": ("1, memory='1 TiB'", "InvalidSetting: 1 cores and 1048576 MiB", "more than any node"),
    "too many cores": ("1, cores=999", "InvalidSetting: 999 cores", "more than any node"),
    "no time": ("1, walltime='soon'", "InvalidSetting: walltime = 'soon'", "2h"),
    "no memory": ("1, memory='much'", "InvalidSetting: memory = 'much'", "4 GiB"),
    "no name": (r"1, account='a\nb'", "InvalidSetting: account = ", "no name"),
    "a wish and a range": ("1, minimum=0", "InvalidSetting: workers", "one or the other"),
    "no worker": ("0", "InvalidSetting: 0 to 0 workers", "At least one"),
    "no kind": ("1, kind='spark'", "InvalidSetting: kind = 'spark'", "auto, local, slurm"),
}


@pytest.mark.parametrize(("how", "begin", "within"), WRONG.values(), ids=WRONG)
def test_what_is_asked_for_is_wrong(attempt: Callable[..., str], how: str, begin: str, within: str):
    said = attempt(how)
    assert said.startswith(begin)
    assert within in said


def test_no_time_said_is_what_the_partition_gives(attempt: Callable[..., str]):
    assert attempt("minimum=0, maximum=1, partition='short'") == "Workers"


def test_a_partition_that_is_down(slurm: Slurm, attempt: Callable[..., str]):
    slurm.root_command("scontrol", "update", "PartitionName=short", "State=DOWN")
    try:
        said = attempt("1, partition='short'")
    finally:
        slurm.root_command("scontrol", "update", "PartitionName=short", "State=UP")
    assert said == "Unavailable: Partition short: is down and starts no jobs. These are up: main."


def test_an_account_that_may_not(slurm: Slurm, attempt: Callable[..., str]):
    slurm.root_command("scontrol", "update", "PartitionName=short", "AllowAccounts=others")
    try:
        said = attempt("1, partition='short', wait=20")
    finally:
        slurm.root_command("scontrol", "update", "PartitionName=short", "AllowAccounts=ALL")
    assert re.match(r"(Unavailable|InvalidSetting): (Worker \d+|The account): ", said), said
    assert "account" in said.lower()


def test_a_host_that_is_not_ours(attempt: Callable[..., str]):
    said = attempt("1", WORKBENCH_SCHEDULER_HOST="192.0.2.1")
    assert said.startswith("InvalidSetting: The scheduler cannot listen at 192.0.2.1")


def test_an_image_that_is_not_there(slurm: Slurm, attempt: Callable[..., str]):
    digest = "sha256:" + "0" * 64
    launcher = str(slurm.cluster.exec)
    said = attempt("1, wait=30", WORKBENCH_IMAGE=digest, WORKBENCH_LAUNCHER=launcher)
    assert said.startswith("Unavailable: Worker ")
    assert f"wb-exec: {digest}: is not in" in said


def test_the_doctor_finds_nothing_wrong(slurm: Slurm, person_python: Path):
    done = doctor(slurm, person_python)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line[:2] for line in done.stdout.splitlines()] == ["ok"] * 10


def doctor(slurm: Slurm, python: Path, **more: str) -> subprocess.CompletedProcess[str]:
    words = [python, "-m", "workbench.cli", "doctor", "cluster", "--wait", "30"]
    return slurm.run(*words, more=more, check=False, seconds=120)
