"""Whether a daemon is well, as SLURM's own commands say."""

from __future__ import annotations

import subprocess

from workbench.errors import Unavailable
from workbench_hub.processes import Process
from workbench_slurm.accounting import database_ready
from workbench_slurm.cluster import Cluster, program
from workbench_slurm.processes import node_of

__all__ = ["node_states", "reasons", "well"]

_UNWELL = ("down", "drain", "fail", "unk", "no_respond", "maint", "inval")
_SECONDS = 10


def well(cluster: Cluster, process: Process) -> bool:
    """Whether a process of the list does its work."""
    try:
        if process.name == "munged":
            return _munge(cluster)
        if process.name == "slurmctld":
            return "UP" in cluster.ask("scontrol", "ping")
        if process.name == "database":
            return database_ready(cluster)
        if process.name == "slurmdbd":
            return bool(cluster.ask("sacctmgr", "--noheader", "--parsable2", "show", "stats"))
        node = node_of(process.name)
        return node is None or _fit(node_states(cluster).get(node, "unknown"))
    except (Unavailable, subprocess.TimeoutExpired):
        return False


def node_states(cluster: Cluster) -> dict[str, str]:
    """Return the state of each node in SLURM's words; a star at the end says that it does not answer."""
    said = cluster.ask("sinfo", "--noheader", "--Node", "--format=%N %T")
    return dict(line.split(maxsplit=1) for line in said.splitlines() if line.strip())


def reasons(cluster: Cluster) -> dict[str, str]:
    """Return why nodes are down or drained, by node."""
    said = cluster.ask("sinfo", "--noheader", "--Node", "--list-reasons", "--format=%N|%E")
    rows = (line.split("|", 1) for line in said.splitlines() if "|" in line)
    return {node: reason.strip() for node, reason in rows}


def _fit(state: str) -> bool:
    return not state.endswith("*") and not state.startswith(_UNWELL)


def _munge(cluster: Cluster) -> bool:
    command = [program("munge"), "--socket", str(cluster.munge_socket), "--no-input"]
    done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    return done.returncode == 0
