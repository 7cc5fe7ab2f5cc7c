"""What jobs used, as prolog and epilog wrote it down on each node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench_slurm.cluster import Cluster

__all__ = ["JobUsage", "used"]


@dataclass(frozen=True, slots=True)
class JobUsage:
    """What a job used.

    Parameters
    ----------
    job : int
        Its number.
    uid : int
        Whose it was; `user` and `account` as SLURM knew them, empty where it did not.
    nodes : tuple of str
        Where it ran.
    begun, ended : float
        First and last second, since 1970.
    cpu_seconds : float or None
        Of all its processes on all nodes; None where no control group counted.
    memory : int or None
        The most that it had on any node, bytes, its files in memory included.
    exit_code : str
        ``code:signal``; empty while it is not known.
    """

    job: int
    uid: int
    user: str
    account: str
    nodes: tuple[str, ...]
    begun: float
    ended: float
    cpu_seconds: float | None
    memory: int | None
    exit_code: str


def used(cluster: Cluster) -> list[JobUsage]:
    """Return a row for each job that ended, in the order of their ends."""
    whose = {line["job"]: line for line in _lines(cluster.control / "jobs.jsonl")}
    where: dict[int, list[dict[str, Any]]] = {}
    for line in _lines(cluster.usage / "nodes.jsonl"):
        where.setdefault(line["job"], []).append(line)
    rows = [_row(job, lines, whose.get(job, {})) for job, lines in where.items()]
    return sorted(rows, key=lambda row: (row.ended, row.job))


def _row(job: int, lines: list[dict[str, Any]], whose: dict[str, Any]) -> JobUsage:
    seconds = [line["cpu_ns"] for line in lines if line["cpu_ns"] is not None]
    memory = [line["memory"] for line in lines if line["memory"] is not None]
    ended = max(line["ended"] for line in lines)
    return JobUsage(
        job=job,
        uid=lines[0]["uid"],
        user=whose.get("user", ""),
        account=whose.get("account", ""),
        nodes=tuple(sorted({line["node"] for line in lines})),
        begun=min((line["begun"] for line in lines if line["begun"] is not None), default=ended),
        ended=ended,
        cpu_seconds=sum(seconds) / 1e9 if seconds else None,
        memory=max(memory) if memory else None,
        exit_code=whose.get("exit_code", ""),
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        return
    with path.open() as file:
        for line in file:
            # A node that lost its power may have left half a line.
            if line.endswith("}\n"):
                yield json.loads(line)
