"""The options by which a command says what a job may use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

__all__ = ["limits"]

_OPTIONS = (
    click.option("--cores", type=int, help="Cores of the job.  [default: 1]"),
    click.option("--memory", metavar="SIZE", help="Its memory, as '4 GiB'.  [default: 2 GiB]"),
    click.option("--walltime", metavar="TIME", help="Its longest time, as 2h or 1-12:00:00.  [default: 1h]"),
    click.option("--partition", metavar="NAME", help="SLURM's partition.  [default: WORKBENCH_PARTITION]"),
    click.option("--account", metavar="NAME", help="SLURM's account.  [default: WORKBENCH_ACCOUNT]"),
)


def limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `workbench.jobs.launch.Limits`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
