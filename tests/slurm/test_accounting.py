"""Who used how much, as slurmdbd keeps it: by user and account, each for themselves."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable

import pytest

from slurmed import UIDS, Slurm
from workbench_slurm.accounting import accounted
from workbench_slurm.usage import JobUsage, used

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(120)]

SPIN = 'python3 -c "import time\nx = bytearray(120 * 2**20)\nwhile time.process_time() < 2: pass"'


@pytest.fixture(autouse=True)
def _accounting(slurm_cluster: Slurm, missing: Callable[[str, str], None]):
    if not slurm_cluster.cluster.plan.accounting:
        missing(
            "slurm", "there is no slurmdbd or no MariaDB; as root: apt-get install slurmdbd mariadb-server"
        )


def by_slurmdbd(slurm: Slurm, since: float, user: str = "") -> dict[int, JobUsage]:
    return {row.job: row for row in accounted(slurm.cluster.ask, since, user)}


def test_what_jobs_used_by_user_and_account(slurm: Slurm, eventually: Callable[..., None]):
    since = time.time() - 1
    job = slurm.submit(f"srun {SPIN}", "--nodes=2", "--ntasks=2", "--mem=300", "--account=volcano")
    failing = slurm.submit("exit 7", user="ben")
    assert slurm.wait(job) == "COMPLETED"
    assert slurm.wait(failing) == "FAILED"

    def ended() -> set[int]:
        return {number for number, row in by_slurmdbd(slurm, since).items() if not math.isnan(row.ended)}

    eventually(lambda: {job, failing} <= ended(), 20, "the records")
    rows = by_slurmdbd(slurm, since)
    row = rows[job]
    assert (row.uid, row.user, row.account, row.exit_code) == (UIDS["anna"], "anna", "volcano", "0:0")
    assert len(row.nodes) in (1, 2)  # written as SLURM writes lists of nodes
    assert row.cpu_seconds is not None
    assert 4.0 <= row.cpu_seconds < 10.0
    assert row.memory is not None
    assert 120 * 2**20 < row.memory <= 300 * 2**20
    assert since < row.begun < row.ended < time.time() + 1
    assert (rows[failing].user, rows[failing].account, rows[failing].exit_code) == ("ben", "everybody", "7:0")
    assert set(by_slurmdbd(slurm, since, "ben")) == {failing}
    # The epilog counted the same, without slurmdbd.
    mine = next(row for row in used(slurm.cluster) if row.job == job)
    assert mine.cpu_seconds == pytest.approx(row.cpu_seconds, rel=0.3, abs=0.5)
    assert mine.user == row.user


def test_nobody_sees_what_another_used(slurm: Slurm, eventually: Callable[..., None]):
    job = slurm.submit("true", "--job-name=secret", "--account=volcano", user="anna")
    slurm.wait(job)
    mine = ("sacct", "--noheader", "--parsable2", "--format=JobIDRaw,JobName")
    eventually(lambda: "secret" in slurm.run(*mine, user="anna").stdout, 20, "the record")
    for words in (
        ("--allusers",),
        ("--user=anna",),
        (f"--jobs={job}",),
        ("--allusers", "--accounts=volcano"),
    ):
        assert "secret" not in slurm.run(*mine, *words, user="ben", check=False).stdout, words
    for words in (("cluster", "AccountUtilizationByUser"), ("user", "TopUsage")):
        said = slurm.run("sreport", "--noheader", *words, "start=today", "end=now", user="ben", check=False)
        assert "anna" not in said.stdout


WORDS = [
    ("add", "user", "ben", "Accounts=volcano"),
    ("add", "account", "mine"),
    ("modify", "user", "ben", "set", "AdminLevel=Administrator"),
    ("delete", "user", "anna"),
]


@pytest.mark.parametrize("words", WORDS)
def test_nobody_gives_themselves_an_account(slurm: Slurm, words: tuple[str, ...]):
    slurm.run("sacctmgr", "--immediate", *words, user="ben", check=False)
    ask = ("sacctmgr", "--noheader", "--parsable2", "list")
    listed = slurm.root_command(*ask, "associations", "format=user,account")
    assert {line for line in listed.split() if line.partition("|")[0] in UIDS} == {
        *("anna|volcano", "anna|everybody", "ben|everybody")
    }
    admins = slurm.root_command(*ask, "users", "format=user,admin")
    assert "ben|None" in admins.splitlines()


@pytest.mark.parametrize("daemon", ["slurmdbd", "database"])
def test_what_is_used_while_nobody_counts_is_counted_later(
    slurm: Slurm, eventually: Callable[..., None], daemon: str
):
    since = time.time() - 1
    os.kill(slurm.pid(daemon), signal.SIGKILL)
    job = slurm.submit("true")
    assert slurm.wait(job) == "COMPLETED"
    eventually(slurm.all_well, 60, "the cluster")
    eventually(lambda: job in by_slurmdbd(slurm, since), 60, "the record")


def test_the_database_is_nobodys_but_slurms(slurm: Slurm):
    socket = slurm.cluster.database_socket
    for user in ("root", "slurm", "anna"):
        words = ("mariadb", "--no-defaults", f"--socket={socket}", f"--user={user}", "-e", "show databases")
        done = slurm.run(*words, user="anna", check=False)
        assert done.returncode, done.stdout
        assert "denied" in done.stderr
    assert slurm.run("cat", slurm.cluster.etc / "slurmdbd.conf", check=False).returncode
    assert slurm.run("ls", slurm.cluster.database / "data", check=False).returncode
