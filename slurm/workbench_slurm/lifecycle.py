"""How a cluster starts and stops."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic

from workbench.errors import Unavailable
from workbench_hub import supervision
from workbench_hub.health import wait_for
from workbench_hub.lifecycle import tail
from workbench_hub.processes import Process
from workbench_slurm import accounting, configuration, enforcement
from workbench_slurm.cluster import MUNGE, SLURM, Cluster, program
from workbench_slurm.health import node_states, reasons, well
from workbench_slurm.jobs import waiting_or_running
from workbench_slurm.processes import node_of

__all__ = ["UnfitNode", "check", "start", "stop", "wait"]

_PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "scontrol", "sinfo", "squeue", "sbatch", "scancel")
_UNFIT = ("drain", "inval")
_UP_SECONDS = 60.0
_JOBS_SECONDS = 20.0


class UnfitNode(Unavailable):
    """A node that SLURM gives no job to, and says why."""


def check() -> None:
    """See that a cluster can be started here.

    Raises
    ------
    Unavailable
        If it cannot: not root, or a program or an account is missing.
    """
    if os.geteuid():
        raise Unavailable("A cluster", "is started by root alone, since nodes run jobs as their users")
    for name in _PROGRAMS:
        program(name)
    for account in (SLURM, MUNGE):
        try:
            pwd.getpwnam(account)
        except KeyError as error:
            raise Unavailable(
                f"The account {account}", "is not there", "Debian's packages make it."
            ) from error


def start(cluster: Cluster) -> None:
    """Write the configuration of the cluster's plan and start the supervisor."""
    configuration.create(cluster)
    cluster.users.refresh({cluster.host: cluster.plan.address})
    configuration.write_all(cluster)
    supervision.configure(cluster)
    supervision.start(cluster)


def wait(cluster: Cluster, say: Callable[[str], None] = lambda words: None) -> None:
    """Wait until each daemon is well.

    Raises
    ------
    Unavailable
        If one does not become so, with the newest lines of its log.
    """
    begun = monotonic()
    for process in cluster.processes():
        try:
            wait_for(partial(_well, cluster, process), _UP_SECONDS, process.name)
        except UnfitNode:
            raise
        except Unavailable as error:
            lines = "".join(tail(cluster.logs / f"{process.name}.log", 10))
            raise Unavailable(process.name, f"did not become well:\n{lines}") from error
        say(f"  {process.name:<16} {process.what:<40} well   {monotonic() - begun:5.1f} s")
    if cluster.plan.accounting:
        accounting.associate(cluster, cluster.users.all())


def _well(cluster: Cluster, process: Process) -> bool:
    if well(cluster, process):
        return True
    node = node_of(process.name)
    if node is None:  # and sinfo, without a controller, tries for seconds
        return False
    try:
        state = node_states(cluster).get(node, "")
        why = reasons(cluster)
    except Unavailable:
        return False
    if state.startswith(_UNFIT):
        raise UnfitNode(node, f"is {state}: {why.get(node, 'no reason was given')}")
    return False


def stop(cluster: Cluster) -> int:
    """Cancel every job and stop every daemon; leave no process, group or mount.

    Returns
    -------
    int
        How many jobs were cancelled.
    """
    cancelled = 0
    if cluster.exists and supervision.pid(cluster) is not None:
        with suppress(Unavailable, subprocess.TimeoutExpired):  # then they are ended without asking
            cancelled = _cancel(cluster)
    try:
        supervision.stop(cluster)
    except Unavailable:  # a daemon that hangs keeps the supervisor waiting for longer than we do
        supervision.end(cluster)
    if cluster.exists:
        enforcement.end(cluster.plan.nodes, cluster.tmp)
    _unmount(cluster.tmp)
    cluster.munge_socket.unlink(missing_ok=True)
    return cancelled


def _cancel(cluster: Cluster) -> int:
    found = waiting_or_running(cluster)
    if found:
        cluster.ask("scancel", *found, check=False)
        wait_for(lambda: not waiting_or_running(cluster), _JOBS_SECONDS, "", fail=False)
    return len(found)


def _unmount(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((name for name in mounts if name.startswith(str(folder))), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
