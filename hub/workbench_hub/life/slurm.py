"""Which jobs a user has in SLURM; for any cluster: ``--jobs workbench_hub.life.slurm:jobs_of``.

It is asked by an account that sees everybody's jobs: root, SLURM's own, or an
operator where ``PrivateData`` hides them from others.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.errors import Unavailable
from workbench_hub.life.jobs import Job
from workbench_hub.scheduling import Scheduler

__all__ = ["JobsInSlurm", "jobs_of"]

_SECONDS = 20
_OWN = ("SQUEUE_", "SLURM_")


@dataclass(frozen=True)
class JobsInSlurm:
    """Returns the jobs of a user that wait or run; those of an array that wait are one.

    Parameters
    ----------
    scheduler : Scheduler, optional
        The cluster; by default the one that SLURM's commands find by themselves.
    """

    scheduler: Scheduler | None = None

    def __call__(self, user: str) -> Sequence[Job]:
        """Ask.

        Raises
        ------
        Unavailable
            If SLURM does not answer, or does not know the user.
        """
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_OWN) or name == "SLURM_CONF"
        }
        if self.scheduler is not None:
            if not self.scheduler.knows(user):
                return []
            environment |= {"SLURM_CONF": str(self.scheduler.conf), **self.scheduler.names}
        words = ["squeue", "--noheader", f"--user={user}", "--format=%i|%T|%j"]
        try:
            done = subprocess.run(
                words, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable("SLURM", f"does not say which jobs {user} has ({error})") from error
        # It calls it a success to know no such user.
        if done.returncode or "error" in done.stderr:
            said = done.stderr.strip().splitlines()
            why = said[-1] if said else "no word"
            raise Unavailable("SLURM", f"does not say which jobs {user} has ({why})")
        rows = (line.split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2)
        return [Job(number.strip(), name, state) for number, state, name in rows]


jobs_of = JobsInSlurm()
"""Of the cluster that SLURM's commands find by themselves."""
