"""The end of a worker's job that SLURM asks for: Dask calls `dask_setup` where a worker starts.

Dask waits up to half a minute for what its threads are at, and by then SLURM
kills the job, whose claims hold for another half.  Nothing is won by that: a
tile is finished, or it is not, and who takes it over need not wait.
"""

from __future__ import annotations

import logging
import os
import signal
from types import FrameType
from typing import Any

from workbench.jobs import claims

__all__ = ["dask_setup"]


def dask_setup(_worker: Any) -> None:
    """Leave at once when SLURM ends the job: cancelled, or at its time limit."""
    signal.signal(signal.SIGTERM, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    claims.release_all()
    os.write(
        2, f"{signal.Signals(number).name}: the worker ends, and what it was at is given back\n".encode()
    )
    logging.shutdown()
    os._exit(128 + number)
