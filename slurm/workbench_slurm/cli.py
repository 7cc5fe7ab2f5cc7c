"""``workbench-slurm``: start, stop and look at a cluster on this machine."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from time import monotonic, time
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench_hub import supervision
from workbench_slurm import enforcement, lifecycle
from workbench_slurm.accounting import installed
from workbench_slurm.cluster import Cluster
from workbench_slurm.health import node_states, reasons, well

__all__ = ["main"]

_STATE = "/var/lib/workbench/slurm"


class _Group(click.Group):
    """Commands whose errors are said in a line."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except WorkbenchError as error:
            click.echo(f"Error: {error}", err=True)
            raise SystemExit(2 if isinstance(error, InvalidSetting) else 1) from error
        except OSError as error:
            click.echo(f"Error: {error}. --state names the directory to work in.", err=True)
            raise SystemExit(1) from error


@click.group(cls=_Group)
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=_STATE,
    show_default=True,
    envvar="WORKBENCH_SLURM_STATE",
    help="Directory of all that belongs to the cluster; not below /tmp.",
)
@click.pass_context
def main(context: click.Context, state: Path) -> None:
    """Run a SLURM cluster on this machine, for development and tests."""
    context.obj = Cluster(state.absolute())


@main.command()
@click.option("--nodes", default=3, show_default=True, help="How many nodes.")
@click.option("--memory", type=int, help="MB of each node; by default the machine's, divided.")
@click.option("--address", help="Where the daemons are reached; by default an address of this machine alone.")
@click.option("--silence", default=30, show_default=True, help="Seconds until a silent node is down.")
@click.option(
    "--limits",
    default="auto",
    show_default=True,
    help=f"How memory limits are enforced: auto, {', '.join(enforcement.ENFORCEMENTS)}.",
)
@click.option(
    "--archive",
    "archives",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="What wb-exec shows read-only besides the home.",
)
@click.option(
    "--accounting/--no-accounting",
    default=None,
    help="With slurmdbd and MariaDB; by default where they are installed.",
)
@click.pass_obj
def up(
    cluster: Cluster,
    nodes: int,
    memory: int | None,
    address: str | None,
    silence: int,
    limits: str,
    archives: tuple[Path, ...],
    accounting: bool | None,
) -> None:
    """Start the cluster and wait until it is well."""
    begun = monotonic()
    lifecycle.check()
    cluster.state.mkdir(mode=0o755, parents=True, exist_ok=True)
    with cluster.alone():
        running = supervision.pid(cluster) is not None
        if not running:
            cluster.choose(
                nodes,
                address=address,
                memory=memory,
                silence=silence,
                limits=limits,
                archives=archives,
                accounting=installed() if accounting is None else accounting,
            )
            lifecycle.start(cluster)
    lifecycle.wait(cluster, say=lambda words: None if running else click.echo(words))
    if running:
        click.echo("The cluster is up already.")
        return
    click.echo(f"The cluster is up, {nodes} nodes ({monotonic() - begun:.1f} s).")
    click.echo(f"  export SLURM_CONF={cluster.conf}")


@main.command()
@click.pass_obj
def down(cluster: Cluster) -> None:
    """Cancel all jobs and stop the cluster."""
    if not cluster.exists:
        click.echo("Nothing was ever started here.")
        return
    with cluster.alone():
        cancelled = lifecycle.stop(cluster)
    click.echo(
        f"The cluster is down; {cancelled} jobs were cancelled." if cancelled else "The cluster is down."
    )


@main.command()
@click.pass_obj
def status(cluster: Cluster) -> None:
    """Show each daemon, each node and what holds jobs to their limits; exit code 1 if one is not well."""
    if not cluster.exists or supervision.pid(cluster) is None:
        click.echo("The cluster is down.")
        raise SystemExit(1)
    table = Table("process", "what", "pid", "state", "health", "up", "address", box=None, pad_edge=False)
    states, good = supervision.states(cluster), True
    for process in cluster.processes():
        entry = states.get(process.name, {"statename": "UNKNOWN", "pid": 0, "start": 0})
        runs = entry["statename"] == "RUNNING"
        fine = runs and well(cluster, process)
        good = good and fine
        table.add_row(
            process.name,
            process.what,
            str(entry["pid"] or ""),
            entry["statename"].lower(),
            "well" if fine else "[red]not well[/red]",
            f"{time() - entry['start']:.0f} s" if runs else "",
            process.address,
        )
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    try:
        why = reasons(cluster)
        for node, state in node_states(cluster).items():
            click.echo(f"{node}: {state}" + (f" ({why[node]})" if node in why else ""))
    except Unavailable as error:
        click.echo(f"No node can be asked for: {error}")
    click.echo(f"Memory limits: {enforcement.ENFORCEMENTS[cluster.plan.limits].what}")
    if not cluster.listens_there_alone:
        click.echo(
            f"The daemons listen at every address: the machine's name is not that of {cluster.plan.address}."
        )
    click.echo(f"SLURM_CONF={cluster.conf}")
    raise SystemExit(0 if good else 1)


def _register() -> None:
    for name in ("doctor", "image", "usage", "user"):
        main.add_command(getattr(import_module(f"workbench_slurm.{name}_commands"), name))


_register()
