"""What jobs used, as prolog and epilog wrote it down on each node."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench_slurm.cluster import Cluster

__all__ = ["JobUsage", "Total", "totals", "used"]


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


@dataclass(frozen=True, slots=True)
class Total:
    """What the jobs of a user used that were counted on an account.

    Parameters
    ----------
    user, account : str
        A uid, where SLURM knew no name; empty, where it knew no account.
    jobs : int
    hours : float
        From begin to end, of all jobs together.
    cpu_hours : float
        As far as control groups counted.
    memory_peak : int
        The most that one job had on a node, bytes.
    """

    user: str
    account: str
    jobs: int
    hours: float
    cpu_hours: float
    memory_peak: int


def totals(rows: Iterable[JobUsage], since: float, until: float) -> list[Total]:
    """Return the totals by user and account of the jobs that ended from one time to another.

    Examples
    --------
    >>> row = JobUsage(1, 20101, "anna", "volcano", ("n1",), 0.0, 7200.0, 3600.0, 2**30, "0:0")
    >>> totals([row, row], 0, 10000)
    [Total(user='anna', account='volcano', jobs=2, hours=4.0, cpu_hours=2.0, memory_peak=1073741824)]
    """
    by: dict[tuple[str, str], list[JobUsage]] = {}
    for row in rows:
        # One that runs on has no end, and one that never began has no begin.
        if since <= row.ended < until:
            by.setdefault((row.user or str(row.uid), row.account), []).append(row)
    return [
        Total(
            user,
            account,
            len(those),
            sum(row.ended - row.begun for row in those if row.begun <= row.ended) / 3600,
            sum(row.cpu_seconds or 0.0 for row in those) / 3600,
            max(row.memory or 0 for row in those),
        )
        for (user, account), those in sorted(by.items())
    ]


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
