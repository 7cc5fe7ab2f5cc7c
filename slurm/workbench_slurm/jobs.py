"""Which jobs there are, as the controller says."""

from __future__ import annotations

from workbench_slurm.cluster import Cluster

__all__ = ["jobs_with", "waiting_or_running"]


def waiting_or_running(cluster: Cluster) -> list[str]:
    """Return the numbers of all jobs that have not ended, each task of an array for itself."""
    return sorted(set(cluster.ask("squeue", "--noheader", "--array", "--format=%A").split()), key=int)


def jobs_with(cluster: Cluster, word: str) -> list[str]:
    """Return the jobs that wait or run with a word in their script, command or comment; root sees all."""
    found = []
    for number in waiting_or_running(cluster):
        script = cluster.ask("scontrol", "write", "batch_script", number, "-", check=False)
        about = cluster.ask("scontrol", "show", "job", number, check=False)
        if word in script or word in about:
            found.append(number)
    return found
