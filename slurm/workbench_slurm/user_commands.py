"""``workbench-slurm user``: names for uids that the machine does not know."""

from __future__ import annotations

import click

from workbench_hub import supervision
from workbench_slurm.accounting import associate
from workbench_slurm.cluster import Cluster
from workbench_slurm.users import EVERYBODY, User

__all__ = ["user"]


@click.group()
def user() -> None:
    """Give uids names that the cluster knows and the machine does not."""


@user.command("add")
@click.argument("name")
@click.argument("uid", type=int)
@click.option("--gid", type=int, help="By default as the uid.")
@click.option("--home", help="By default /home/NAME.")
@click.option("--group", "groups", multiple=True, metavar="NAME:GID", help="A further group.")
@click.option(
    "--account", "accounts", multiple=True, help="An account of SLURM's; the first is the usual one."
)
@click.pass_obj
def user_add(
    cluster: Cluster,
    name: str,
    uid: int,
    gid: int | None,
    home: str | None,
    groups: tuple[str, ...],
    accounts: tuple[str, ...],
) -> None:
    """Add a user, or change one."""
    further = {}
    for word in groups:
        group, _, number = word.partition(":")
        if not number.isdigit():
            raise click.BadParameter(f"{word!r} is not NAME:GID")
        further[group] = int(number)
    gid = uid if gid is None else gid
    added = User(name, uid, gid, home or f"/home/{name}", further, accounts or (EVERYBODY,))
    cluster.users.add(added)
    if cluster.exists and cluster.plan.accounting and supervision.pid(cluster) is not None:
        associate(cluster, [added])


@user.command("remove")
@click.argument("name")
@click.pass_obj
def user_remove(cluster: Cluster, name: str) -> None:
    """Remove a user."""
    cluster.users.remove(name)


@user.command("list")
@click.pass_obj
def user_list(cluster: Cluster) -> None:
    """Show the users that were added."""
    for entry in cluster.users.all():
        groups = " ".join(f"{name}:{gid}" for name, gid in entry.groups.items())
        accounts = ",".join(entry.accounts)
        click.echo(f"{entry.name} {entry.uid} {entry.gid} {entry.home} {accounts} {groups}".rstrip())
