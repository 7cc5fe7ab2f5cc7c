"""Which cluster a deployment has, and the one of its own: started, asked and stopped by ``workbench-slurm``.

That one has a supervisor of its own, and so lives on when ours dies; it belongs to the deployment by
its directory, ``slurm/`` in the state directory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench_hub import scheduling, supervision
from workbench_hub.containers.catalogue import choose_image
from workbench_hub.deployment import Deployment
from workbench_hub.life.slurm import JobsInSlurm
from workbench_hub.names import safe_name
from workbench_hub.policy import Policy
from workbench_hub.policy.work import Slurm
from workbench_hub.processes import Process
from workbench_hub.scheduling import Scheduler
from workbench_hub.supervised import Supervised
from workbench_hub.volumes.homes import alone
from workbench_hub.volumes.images import ImageQuota
from workbench_hub.volumes.mounts import exposed

__all__ = [
    "PROGRAM",
    "add_images",
    "ask",
    "check",
    "directory",
    "enrol",
    "prepare",
    "run",
    "shown_to_jobs",
    "stop",
    "why_not",
]

PROGRAM = Path(sys.executable).with_name("workbench-slurm")

_DAEMONS = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
_SHADOWED = ("/tmp", "/dev/shm")  # noqa: S108 - where a job sees its own
_SECONDS = 1800
_WRONG = 2
_ENROLLED: set[tuple[Path, tuple[str, ...]]] = set()
_ONE = Lock()


def directory(deployment: Deployment) -> Path:
    """Return where the cluster is."""
    return deployment.state / "slurm"


def check(deployment: Deployment, policy: Policy) -> None:
    """See that there can be the cluster that the policy asks for.

    Raises
    ------
    InvalidSetting, Unavailable
        If there cannot.
    """
    rules = policy.slurm
    if rules.cluster == "own" and (reason := why_not(deployment, policy)):
        raise Unavailable("slurm.cluster: own", reason, "Mend that, or write `none` into the policy.")
    if rules.cluster.startswith("/") and not Path(rules.cluster).is_file():
        raise InvalidSetting(
            f"slurm.cluster: {rules.cluster}", "is no file", "Name the slurm.conf of your cluster."
        )


def prepare(deployment: Deployment, say: Callable[[str], None]) -> Scheduler | None:
    """Start the cluster, or see that it runs, and write down which one there is.

    Parameters
    ----------
    deployment : Deployment
        Whose bridge is there.
    say : callable
        Is told which cluster there is, and why.

    Raises
    ------
    WorkbenchError
        If there is not the cluster that the policy asks for.
    """
    rules = deployment.policy.slurm
    check(deployment, deployment.policy)
    reason = why_not(deployment, deployment.policy) if rules.cluster == "auto" else ""
    scheduler = None
    if rules.cluster.startswith("/"):
        scheduler = Scheduler(Path(rules.cluster))
        say(f"  SLURM: that of {rules.cluster}")
    elif rules.cluster == "none" or reason:
        say(f"  SLURM: no cluster; {reason or 'the policy says so'}")
    else:
        scheduler = _start(deployment, rules)
        say(f"  SLURM: a cluster of our own in {directory(deployment)}, nodes: {rules.nodes}")
    if scheduler is None or scheduler.own is None:
        stop(deployment)
    scheduling.remember(deployment.run, scheduler)
    return scheduler


def why_not(deployment: Deployment, policy: Policy) -> str:
    """Return why there can be no cluster of our own here, or nothing."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    absent = [package for program, package in _DAEMONS.items() if not shutil.which(program, path=path)]
    if absent:
        return f"not installed (apt-get install {' '.join(absent)} libnss-wrapper)"
    if not PROGRAM.is_file():
        return f"there is no {PROGRAM}"
    if any(deployment.state.is_relative_to(place) for place in _SHADOWED):
        return f"{deployment.state} is hidden from jobs, which have a /tmp of their own"
    return shown_to_jobs(deployment, policy)


def shown_to_jobs(deployment: Deployment, policy: Policy) -> str:
    """Return what jobs would see of the archive that the policy hides from their users, or nothing.

    A job is a process of this machine and in no container.
    """
    open_to_all = next(exposed(policy, deployment.archive, datetime.now(UTC)), None)
    if open_to_all is None:
        return ""
    remedy = "let its group alone into it (chgrp, chmod o-rwx), and into others like it"
    return f"jobs would see {open_to_all}, which the policy does not show to everybody; {remedy}"


def _start(deployment: Deployment, rules: Slurm) -> Scheduler:
    """Start it at the bridge's address, which is this machine's and its containers' alone."""
    state = directory(deployment)
    deployment.archive.mkdir(parents=True, exist_ok=True)
    words = ["--nodes", str(rules.nodes), "--address", deployment.ip, "--archive", str(deployment.archive)]
    words += ["--memory", str(rules.memory // 2**20)] if rules.memory else []
    scheduler = Scheduler(state / "etc" / "slurm.conf", state)
    with _homes_of_the_queue(deployment, scheduler):
        run(state, "up", *words)
    return scheduler


@contextmanager
def _homes_of_the_queue(deployment: Deployment, scheduler: Scheduler) -> Iterator[None]:
    """Have homes in place before a queue that outlived a power cut goes on; then let go of the others."""
    quota, attached = ImageQuota(deployment.homes), []
    running = supervision.pid(_Cluster(directory(deployment))) is not None
    for name in scheduler.users if not running else ():
        home = deployment.homes / safe_name(name)
        if quota.image(home).is_file() and not quota.is_mounted(home):
            # One that is damaged is its user's trouble at the next spawn, and nobody else's now.
            with suppress(WorkbenchError), alone(home):
                quota.attach(home)
                attached.append((name, home))
    yield
    for name, home in attached:
        with suppress(WorkbenchError), alone(home):
            if not JobsInSlurm(scheduler)(name):
                quota.release(home)


class _Cluster(Supervised):
    """The cluster as far as one asks its supervisor whether it runs."""

    def processes(self) -> list[Process]:
        """Return nothing: they are its own."""
        return []


def stop(deployment: Deployment) -> None:
    """Cancel all jobs and stop it; where there is none, nothing happens."""
    if (directory(deployment) / "cluster.json").is_file():
        run(directory(deployment), "down")


def add_images(deployment: Deployment, scheduler: Scheduler, say: Callable[[str], None]) -> None:
    """Give the cluster those images of the policy that it does not have, each once."""
    if scheduler.own is None:
        return
    for label in deployment.policy.images:
        image = choose_image(label, deployment.policy, deployment.catalogue)
        if not scheduler.has(image.digest):
            say(f"  SLURM: adding the image '{image.title}', in which jobs will run")
            run(scheduler.own, "image", "add", image.digest, "--docker", deployment.settings.docker)


def enrol(
    scheduler: Scheduler,
    name: str,
    uid: int,
    gid: int,
    home: Path,
    groups: Sequence[tuple[str, int]],
    accounts: Sequence[str],
) -> None:
    """Tell the cluster the name of a uid; the names of a site's users it knows without us.

    Raises
    ------
    InvalidSetting
        If it is a name that a Linux user cannot have.
    """
    if scheduler.own is None:
        return
    words = ["user", "add", name, str(uid), "--gid", str(gid), "--home", str(home)]
    words += [word for group, number in groups for word in ("--group", f"{group}:{number}")]
    words += [word for account in accounts for word in ("--account", account)]
    with _ONE:
        if (scheduler.own, tuple(words)) in _ENROLLED:
            return
        run(scheduler.own, *words)
        _ENROLLED.add((scheduler.own, tuple(words)))


def run(state: Path, *words: str) -> str:
    """Run ``workbench-slurm`` on a directory, and return what it says.

    Raises
    ------
    InvalidSetting, Unavailable
        If it fails, with its words.
    """
    done = _do(state, *words)
    if done.returncode:
        kind = InvalidSetting if done.returncode == _WRONG else Unavailable
        said = done.stderr.strip().removeprefix("Error: ") or done.stdout.strip()
        raise kind(f"workbench-slurm {words[0]}", said or f"ended with {done.returncode}")
    return done.stdout


def ask(state: Path, *words: str) -> tuple[str, bool]:
    """Run ``workbench-slurm`` on a directory; return what it says, and whether all is well."""
    done = _do(state, *words)
    return f"{done.stdout}{done.stderr}".strip(), done.returncode == 0


def _do(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Of a job that we may have been started from, nothing reaches the daemons.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "WORKBENCH_"))}
    return subprocess.run(
        [str(PROGRAM), "--state", str(state), *words],
        env=kept,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
