"""``workbench-slurm doctor``: what of a cluster is as it should be."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from workbench_slurm.cluster import Cluster
from workbench_slurm.doctor import Patient, examine, myself

__all__ = ["doctor"]

_MARKS = {True: "good", False: "[red]bad[/red]", None: "[yellow]-[/yellow]"}


@click.command()
@click.option("--conf", type=click.Path(path_type=Path, exists=True), help="slurm.conf of another cluster.")
@click.option(
    "--user", default="", help="Who tries jobs; by default the first of the cluster's, or yourself."
)
@click.pass_obj
def doctor(cluster: Cluster, conf: Path | None, user: str) -> None:
    """Look at settings and nodes, and try jobs; exit code 1 if something is not as it should be."""
    bad = False
    table = Table("what", "", "found", box=None, pad_edge=False)
    for finding in examine(_site(conf, user) if conf else _own(cluster, user)):
        table.add_row(finding.what, _MARKS[finding.good], finding.words)
        bad = bad or finding.good is False
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    raise SystemExit(1 if bad else 0)


def _own(cluster: Cluster, user: str) -> Patient:
    images = cluster.images.all()
    digest = images[0].digest if images else ""
    names = cluster.names
    for known in cluster.users.all():
        if user in ("", known.name):
            who = (known.name, known.uid, known.gid, Path(known.home))
            return Patient(cluster.conf, *who, names=names, exec=cluster.exec, digest=digest)
    return Patient(cluster.conf, *myself(user), names=names, exec=cluster.exec, digest=digest)


def _site(conf: Path, user: str) -> Patient:
    return Patient(conf, *myself(user))
