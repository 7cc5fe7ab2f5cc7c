"""``workbench doctor``: what does not work, and why."""

from __future__ import annotations

from typing import Any

import click

from workbench.cli.limits import limits

__all__ = ["doctor"]

_SIGNS = {True: ("ok", "green"), False: ("NO", "red"), None: ("-", "yellow")}


@click.group()
def doctor() -> None:
    """Try out what does not work, and say why."""


@doctor.command()
@limits
@click.option(
    "--wait", type=float, default=120, show_default=True, help="Longest time to wait for a worker, seconds."
)
def cluster(wait: float, **asked: Any) -> None:
    """Start two Dask workers by SLURM, and try the way between them and this place in both directions.

    Exit code 0 if all is well, 1 if something is not.
    """
    from workbench.jobs.examination import examine
    from workbench.jobs.launch import Limits
    from workbench.settings import Settings

    settings = Settings()
    good = True
    for found in examine(settings, Limits.of(settings, **asked), wait):
        sign, colour = _SIGNS[found.good]
        good = good and found.good is not False
        click.echo(f"{click.style(f'{sign:<3}', fg=colour)} {found.what:<29} {found.said}")
    raise SystemExit(0 if good else 1)
