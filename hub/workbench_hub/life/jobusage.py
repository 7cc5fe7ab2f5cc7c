"""Who used how much of the cluster, as ``workbench-slurm usage`` has it from the cluster's own records."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any

from workbench_hub import cluster
from workbench_hub.scheduling import Scheduler

__all__ = ["JobUsage"]

_FRESH_SECONDS = 60.0


@dataclass
class JobUsage:
    """What jobs used, by user and account; asked at most once a minute for the same days.

    Parameters
    ----------
    scheduler : Scheduler or None
        Without a cluster nobody used anything.
    """

    scheduler: Scheduler | None
    _known: dict[tuple[datetime, datetime], tuple[float, list[dict[str, Any]]]] = field(default_factory=dict)

    def totals(self, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """Return the totals of jobs that ended from one time to another.

        Each has ``user``, ``account``, ``jobs``, ``hours``, ``cpu_hours`` and ``memory_peak`` (bytes).

        Raises
        ------
        Unavailable
            If the cluster does not say.
        """
        if self.scheduler is None:
            return []
        asked, rows = self._known.get((since, until), (0.0, []))
        if not asked or monotonic() - asked > _FRESH_SECONDS:
            days = [f"--since={since:%Y-%m-%d}", f"--until={until:%Y-%m-%d}"]
            if self.scheduler.own is None:
                days += ["--conf", str(self.scheduler.conf)]
            said = cluster.run(self.scheduler.own or self.scheduler.conf.parent, "usage", "--json", *days)
            rows = list(json.loads(said))
            self._known = {(since, until): (monotonic(), rows)}
        return rows
