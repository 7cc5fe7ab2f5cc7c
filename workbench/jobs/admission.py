"""Whether SLURM would take a job: asked before anything is started or written."""

from __future__ import annotations

from dataclasses import replace

from workbench.errors import InvalidSetting, Unavailable
from workbench.jobs import launch, slurm
from workbench.jobs.launch import Limits

__all__ = ["admitted"]


def admitted(limits: Limits, *, shorten: bool = False) -> Limits:
    """Return the limits, if SLURM takes jobs of them.

    Parameters
    ----------
    limits : Limits
    shorten : bool
        Whether the time was not asked for, and may become what the partition gives.

    Raises
    ------
    Unavailable
        If SLURM does not answer, or the partition takes no jobs.
    InvalidSetting
        If there is no such partition, or it is too much for it.
    """
    partition = _partition(limits.partition)
    longest = _longest(partition)
    if longest is not None and limits.walltime > longest:
        if not shorten:
            raise InvalidSetting(
                f"walltime of {limits.walltime} minutes",
                f"is more than partition {partition.name} gives ({longest} minutes)",
                "Ask for less, or name another partition.",
            )
        limits = replace(limits, walltime=longest)
    if limits.cores > partition.cpus or limits.memory > partition.memory:
        raise InvalidSetting(
            f"{limits.cores} cores and {limits.memory} MiB",
            f"are more than any node of partition {partition.name} has "
            f"({partition.cpus} cores, {partition.memory} MiB)",
            "Ask for less, or name another partition.",
        )
    try:
        slurm.ask("sbatch", "--test-only", given=launch.script(limits.directives, {}, ["true"]))
    except InvalidSetting as error:
        # It says so too while the nodes that would do are down or drained: then the queue tells.
        if "node configuration" not in error.problem:
            raise
    return limits


def _partition(name: str) -> slurm.Partition:
    there = slurm.partitions()
    found = next((one for one in there if (one.name == name if name else one.default)), None)
    if found is None:
        known = ", ".join(one.name for one in there) or "none that you may see"
        raise InvalidSetting(
            f"Partition {name}" if name else "SLURM's partition",
            "is unknown to SLURM" if name else "has to be named: none is the default",
            f"There are: {known}. Name one as partition= or in WORKBENCH_PARTITION.",
        )
    if not found.up:
        others = ", ".join(one.name for one in there if one.up) or "none"
        raise Unavailable(f"Partition {found.name}", "is down and starts no jobs", f"These are up: {others}.")
    return found


def _longest(partition: slurm.Partition) -> int | None:
    """Return the longest time that a partition gives, in minutes; None is no end."""
    return None if partition.longest in ("infinite", "n/a") else launch.minutes(partition.longest)
