"""``workbench-slurm usage``: who used how much."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from workbench_slurm.accounting import accounted
from workbench_slurm.cluster import Cluster
from workbench_slurm.doctor import Patient
from workbench_slurm.usage import totals, used

__all__ = ["usage"]

_DAYS = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.option("--since", type=_DAYS, help="First day, UTC; by default of this month.")
@click.option("--until", type=_DAYS, help="The day after the last one; by default now.")
@click.option("--conf", type=click.Path(path_type=Path, exists=True), help="slurm.conf of another cluster.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def usage(
    cluster: Cluster, since: datetime | None, until: datetime | None, conf: Path | None, *, as_json: bool
) -> None:
    """Show what the jobs used that ended in some days, by user and account."""
    now = datetime.now(UTC)
    first = (since or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)).replace(tzinfo=UTC)
    last = (until or now).replace(tzinfo=UTC)
    begin = first.timestamp()
    ask: Callable[..., str] | None = cluster.ask if conf is None and cluster.plan.accounting else None
    if conf is not None:
        ask = Patient(conf).ask
    rows = accounted(ask, begin) if ask is not None else used(cluster)
    found = totals(rows, begin, last.timestamp())
    if as_json:
        click.echo(json.dumps([asdict(total) for total in found]))
        return
    table = Table("user", "account", "jobs", "hours", "core hours", "peak GiB", box=None, pad_edge=False)
    for total in found:
        numbers = (str(total.jobs), f"{total.hours:.2f}", f"{total.cpu_hours:.2f}")
        table.add_row(total.user, total.account, *numbers, f"{total.memory_peak / 2**30:.2f}")
    click.echo(f"{first:%Y-%m-%d} to {last:%Y-%m-%d %H:%M}, UTC")
    Console(width=None if sys.stdout.isatty() else 200).print(table)
