"""A SLURM cluster that tests started, and people who submit jobs to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time

from workbench.errors import Unavailable
from workbench_hub import supervision
from workbench_hub.health import wait_for
from workbench_slurm import enforcement, lifecycle
from workbench_slurm.cluster import Cluster
from workbench_slurm.health import node_states, well
from workbench_slurm.users import EVERYBODY, User

PROGRAM = Path(sys.executable).with_name("workbench-slurm")
UIDS = {"anna": 20101, "ben": 20102}
"""People of every cluster; anna is in the group volcano, too."""
VOLCANO = 20500

_ACCOUNTING = ("database", "slurmdbd")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_ENDED = {
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "DEADLINE",
    "BOOT_FAIL",
}


@dataclass
class Slurm:
    """What tests know of a cluster that runs.

    Examples
    --------
    ``slurm.submit("hostname", user="anna")`` returns a job's number, ``slurm.wait(number)`` the state
    in which it ended, ``slurm.output(number)`` what it wrote.
    """

    root: Path
    cluster: Cluster
    people: dict[str, User] = field(default_factory=dict)
    answered: tuple[int, ...] = ()
    """Processes of the accounting that answered when they were last asked."""

    @property
    def conf(self) -> Path:
        """What SLURM_CONF has to name."""
        return self.cluster.conf

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.cluster.plan.nodes

    def home(self, user: str) -> Path:
        return Path(self.people[user].home)

    def environment(self, user: str) -> dict[str, str]:
        """Return what a shell of a user has in its environment; nothing of the tests' own."""
        home = str(self.home(user))
        own = {"HOME": home, "USER": user, "LOGNAME": user, "PATH": _PATH, "LANG": "C.UTF-8"}
        return own | self.cluster.environment

    def run(
        self,
        *words: str | Path,
        user: str = "anna",
        check: bool = True,
        seconds: float = 60,
        more: Mapping[str, str] | None = None,
        given: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a user, in their home; `given` is its standard input."""
        who = self.people[user]
        done = subprocess.run(
            [str(word) for word in words],
            cwd=who.home,
            env={**self.environment(user), **(more or {})},
            user=who.uid,
            group=who.gid,
            extra_groups=sorted(who.groups.values()),
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert not check or not done.returncode, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self, *words: str | Path, user: str = "anna") -> subprocess.Popen[str]:
        """Start a command as a user, in their home, and do not wait for it."""
        who = self.people[user]
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=who.home,
            env=self.environment(user),
            user=who.uid,
            group=who.gid,
            extra_groups=sorted(who.groups.values()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``workbench-slurm`` on it."""
        return command(self.cluster.state, *words)

    def submit(self, script: str, *options: str, user: str = "anna") -> int:
        """Submit a shell script by sbatch; its output goes to ``job-NUMBER.out`` in its user's home."""
        script = script if script.startswith("#!") else f"#!/bin/sh\n{script}\n"
        out = "--output=job-%j.out"
        done = self.run("sbatch", "--parsable", out, *options, user=user, given=script)
        return int(done.stdout.strip())

    def state(self, job: int) -> str:
        """Return a job's state in SLURM's words."""
        done = self.root_command("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T")
        return done.strip()

    def root_command(self, *words: str) -> str:
        """Run one of SLURM's commands as root."""
        return self.cluster.ask(*words)

    def wait(self, job: int, *states: str, seconds: float = 60) -> str:
        """Wait until a job is in one of some states, or has ended."""
        wanted = {*states} or _ENDED
        wait_for(lambda: self.state(job) in wanted, seconds, f"job {job} ({self.state(job)})")
        return self.state(job)

    def written_down(self, job: int) -> None:
        """Wait until the controller has on its disk that a job runs, which it does within some seconds."""
        known, begun = self.cluster.control / "state" / "job_state", time()
        self.root_command("scontrol", "update", f"JobId={job}", "Comment=one more thing to write down")
        wait_for(lambda: known.is_file() and known.stat().st_mtime > begun, 20, "the state of jobs on disk")

    def node_of(self, job: int) -> str:
        """Return where a job runs or ran."""
        return self.root_command("squeue", "-h", "--states=all", f"--jobs={job}", "--format=%N").strip()

    def output(self, job: int, user: str = "anna") -> str:
        """Return what a job has written so far."""
        path = self.home(user) / f"job-{job}.out"
        return path.read_text() if path.is_file() else ""

    def pid(self, process: str) -> int:
        """Return the number of a process: ``munged``, ``slurmctld``, ``slurmd-NODE``, ``supervisor``."""
        if process == "supervisor":
            return supervision.pid(self.cluster) or 0
        return int(supervision.states(self.cluster)[process]["pid"])

    def all_well(self, *, anew: bool = True) -> bool:
        """Whether every process is well; if not `anew`, an accounting that was is asked once it is another.

        It takes five times as long to answer as all others, and there are hundreds of tests.
        """
        try:
            states = supervision.states(self.cluster)
        except OSError:
            return False
        asked = self.cluster.processes()
        accounting = tuple(states[name]["pid"] for name in _ACCOUNTING if name in states)
        if not anew and accounting == self.answered:
            asked = [process for process in asked if process.name not in _ACCOUNTING]
        found = all(state["statename"] == "RUNNING" for state in states.values()) and all(
            well(self.cluster, process) for process in asked
        )
        self.answered = accounting if found else ()
        return found

    def states(self) -> dict[str, str]:
        """Return the state of each node in SLURM's words."""
        return node_states(self.cluster)

    def lose(self, node: str) -> None:
        """End a node as a power cut would: its slurmd, and all that runs on it."""
        supervision.halt(self.cluster, f"slurmd-{node}")
        enforcement.end([node], self.cluster.tmp)

    def find(self, node: str) -> None:
        """Start a lost node again."""
        supervision.restart(self.cluster, f"slurmd-{node}")
        wait_for(self.all_well, 60, "the cluster")

    def clean(self) -> None:
        """Cancel what runs and wait until every node is free and well."""
        jobs = self.root_command("squeue", "--noheader", "--format=%A").split()
        if jobs:
            self.cluster.ask("scancel", *jobs, check=False)
        wait_for(lambda: not self.root_command("squeue", "--noheader"), 30, "the end of all jobs")
        wait_for(lambda: self.all_well(anew=False), 60, "the cluster")

    def logs(self) -> str:
        """Return the newest lines of each log."""
        parts = []
        for path in sorted(self.cluster.logs.glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()[-8:]
            parts.append("\n".join([f"==> {path.name} <==", *lines]))
        return "\n".join(parts)


def command(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``workbench-slurm`` on a state directory."""
    words = ("--state", str(state), *words)
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=180, check=False)


def why_not() -> str:
    """Return why no cluster can be started here, or nothing."""
    try:
        lifecycle.check()
    except Unavailable as error:
        return str(error)
    return ""


@contextmanager
def slurmed(*options: str) -> Iterator[Slurm]:
    """Start a cluster with ``workbench-slurm up OPTIONS``, and leave nothing behind."""
    # Not below /tmp, in whose place a job sees its own.
    root = Path(tempfile.mkdtemp(prefix="wbt-", dir="/var/tmp"))
    root.chmod(0o755)
    slurm = Slurm(root, Cluster(root / "slurm"))
    try:
        (root / "homes").mkdir(mode=0o755)
        for name, uid in UIDS.items():
            home = root / "homes" / name
            home.mkdir(mode=0o700)
            os.chown(home, uid, uid)
            groups = {"volcano": VOLCANO} if name == "anna" else {}
            slurm.people[name] = User(name, uid, uid, str(home), groups, (*groups, EVERYBODY))
            slurm.cluster.users.add(slurm.people[name])
        done = slurm.command("up", *options)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{slurm.logs()}"
        yield slurm
    finally:
        done = slurm.command("down")
        left = leftovers(slurm.cluster)
        shutil.rmtree(root)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert left == [], left


def leftovers(cluster: Cluster) -> list[str]:
    """Return what a cluster that was stopped has left: processes, control groups, mounts."""
    processes = [str(pid) for pid in supervision.marked(cluster)]
    groups: list[Path] = []
    if cluster.exists:
        groups = [
            path for node in cluster.plan.nodes for path in Path("/sys/fs/cgroup").glob(f"*/slurm_{node}")
        ]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if f" {cluster.state}/" in line]
    return [*processes, *map(str, groups), *mounts]
