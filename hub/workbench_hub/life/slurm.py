"""Which jobs a user has in SLURM: ``--jobs workbench_hub.life.slurm:jobs_of``.

It is asked by an account that sees everybody's jobs: root, SLURM's own, or an
operator where ``PrivateData`` hides them from others.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from workbench.errors import Unavailable
from workbench_hub.life.jobs import Job

__all__ = ["jobs_of"]

_SECONDS = 20
_OWN = ("SQUEUE_", "SLURM_")


def jobs_of(user: str) -> Sequence[Job]:
    """Return the jobs of a user that wait or run; those of an array that wait are one.

    Raises
    ------
    Unavailable
        If SLURM does not answer, or does not know the user.
    """
    words = ["squeue", "--noheader", f"--user={user}", "--format=%i|%T|%j"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(_OWN) or name == "SLURM_CONF"
    }
    try:
        done = subprocess.run(
            words, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable("SLURM", f"does not say which jobs {user} has ({error})") from error
    # It calls it a success to know no such user.
    if done.returncode or "error" in done.stderr:
        said = done.stderr.strip().splitlines()
        raise Unavailable("SLURM", f"does not say which jobs {user} has ({said[-1] if said else 'no word'})")
    rows = (line.split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2)
    return [Job(number.strip(), name, state) for number, state, name in rows]
