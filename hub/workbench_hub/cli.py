"""``workbench-hub``: start, stop and look at a deployment."""

from __future__ import annotations

import sys
from importlib import import_module
from time import monotonic, time
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench.settings import Settings
from workbench_hub import cluster, host, lifecycle, supervision
from workbench_hub.deployment import Deployment
from workbench_hub.health import healthy
from workbench_hub.lifecycle import GENERATED, tail

__all__ = ["main"]

_PARTS = ("doctor", "life", "policy")


class _Group(click.Group):
    """Commands whose errors are said in a line."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except WorkbenchError as error:
            click.echo(f"Error: {error}", err=True)
            raise SystemExit(2 if isinstance(error, InvalidSetting) else 1) from error
        except OSError as error:
            click.echo(f"Error: {error}. WORKBENCH_STATE names the directory to work in.", err=True)
            raise SystemExit(1) from error


@click.group(cls=_Group)
@click.pass_context
def main(context: click.Context) -> None:
    """Run the workbench on this machine: hub, users' servers, web services, Dask, one archive."""
    try:
        context.obj = Deployment(Settings())
    except ValidationError as error:
        for item in error.errors(include_url=False):
            name = "WORKBENCH_" + "_".join(str(part) for part in item["loc"]).upper()
            click.echo(f"{name} = {item['input']!r}: {item['msg']}", err=True)
        raise SystemExit(2) from error


@main.command()
@click.pass_obj
def up(deployment: Deployment) -> None:
    """Start everything and wait until it is well."""
    begun = monotonic()
    deployment.check()
    click.echo(f"Profile {deployment.profile}: {deployment.why}.")
    shown: dict[str, str] = {}
    try:
        if deployment.on_host:
            host.check(deployment)  # before anything is written
        deployment.run.mkdir(parents=True, exist_ok=True)
        with deployment.alone():
            running = supervision.pid(deployment) is not None
            if not running:
                shown = lifecycle.start(deployment, click.echo)
        demonstration = lifecycle.demonstration(deployment)
        lifecycle.wait(deployment, quiet=running)
        if demonstration is not None and demonstration.wait():
            raise Unavailable("The demonstration", "failed, as said above", "`make up` tries it again.")
    finally:
        _show_passwords(shown)
    if running:
        click.echo(f"The workbench is up already: {deployment.url}")
        if lifecycle.policy_differs(deployment):
            click.echo(f"{deployment.policy_file} has changed since: `workbench-hub reload` takes it.")
        return
    if deployment.settings.archive is not None:
        click.echo(f"\nNo demo archive was built: WORKBENCH_ARCHIVE names one of yours, {deployment.archive}")
    click.echo(f"\nThe workbench is up: {deployment.url}   ({monotonic() - begun:.0f} s)")
    click.echo("  Log in as scientist and open examples/01-first-earthquake.ipynb.")
    click.echo(f"  Log in as operator to see users and servers: {deployment.url}hub/admin")
    click.echo(f"  Web services: {deployment.url}services/workbench/")
    click.echo(f"  State and logs: {deployment.state}   `make status`, `make logs`, `make down`")
    if not deployment.on_host:
        from workbench_hub.spawner import UNISOLATED

        click.echo(f"  {UNISOLATED}")
    elif deployment.policy.identity.source == "local":
        click.echo(f"  {GENERATED}")


@main.command()
@click.pass_obj
def down(deployment: Deployment) -> None:
    """Stop everything, users' servers too."""
    if not deployment.exists:
        click.echo("Nothing was ever started here.")
        return
    with deployment.alone():
        lifecycle.stop(deployment)
    click.echo("The workbench is down.")


@main.command()
@click.pass_obj
def reload(deployment: Deployment) -> None:
    """Take the policy and config.d as they are now: the hub starts anew, users' servers go on."""
    _must_run(deployment)
    with deployment.alone():
        lifecycle.reload(deployment)
    lifecycle.wait(deployment, quiet=True)
    click.echo("The policy is in force; servers that run keep what they were started with.")


@main.command()
@click.pass_obj
def restart(deployment: Deployment) -> None:
    """Start every process anew, after an upgrade for example; users' containers go on."""
    _must_run(deployment)
    if deployment.on_host:
        host.check(deployment)
    with deployment.alone():
        lifecycle.stop(deployment, servers=False)
        lifecycle.start(deployment, click.echo)
    lifecycle.wait(deployment, quiet=False)


@main.command()
@click.pass_obj
def status(deployment: Deployment) -> None:
    """Show each process, and whether it is well; exit code 1 if one is not."""
    if not deployment.exists or supervision.pid(deployment) is None:
        click.echo("The workbench is down.")
        raise SystemExit(1)
    table = Table("process", "what", "pid", "state", "health", "up", "address", box=None, pad_edge=False)
    states, well = supervision.states(deployment), True
    supervisor = str(supervision.pid(deployment))
    table.add_row(
        "supervisor", "Starts each of the others again if it dies", supervisor, "running", "well", "", ""
    )
    for process in deployment.processes():
        entry = states.get(process.name, {"statename": "UNKNOWN", "pid": 0, "start": 0})
        runs = entry["statename"] == "RUNNING"
        good = runs and (not process.health or healthy(process.health))
        well = well and good
        table.add_row(
            process.name,
            process.what,
            str(entry["pid"] or ""),
            entry["statename"].lower(),
            "well" if good else "[red]not well[/red]",
            _duration(time() - entry["start"]) if runs else "",
            process.address,
        )
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    if (scheduler := deployment.slurm) is not None and scheduler.own is not None:
        words, fine = cluster.ask(scheduler.own, "status")
        click.echo(f"\n{words}")
        well = well and fine
    raise SystemExit(0 if well else 1)


@main.command()
@click.argument("names", nargs=-1)
@click.option("-n", "--lines", default=20, show_default=True, help="How many lines of each.")
@click.pass_obj
def logs(deployment: Deployment, names: tuple[str, ...], lines: int) -> None:
    """Show the newest lines of the logs of some processes, or of all."""
    files = sorted(deployment.logs.glob("*.log"))
    known = [file.stem for file in files]
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no log '{name}'; there are: {', '.join(known) or 'none'}")
    for file in files:
        if not names or file.stem in names:
            click.echo(f"==> {file} <==")
            click.echo("".join(tail(file, lines)))


@main.command()
@click.argument("name")
@click.option("--admin/--no-admin", default=None, help="Whether the user administers the hub.")
@click.pass_obj
def passwd(deployment: Deployment, name: str, admin: bool | None) -> None:
    """Give a user a new password, and make the user if there is none of that name."""
    if not name.isidentifier() or name != name.lower():
        raise click.BadParameter("a name has small letters, digits and underscores, and begins with a letter")
    from workbench_hub.passwords import Passwords  # imports the hub, which takes a second

    deployment.create()
    with deployment.alone():
        _show_passwords({name: Passwords(deployment.passwords).set(name, admin)})


def _register() -> None:
    """Take over the commands of the parts that are there."""
    for name in _PARTS:
        for command in import_module(f"workbench_hub.{name}.commands").commands:
            main.add_command(command)


def _must_run(deployment: Deployment) -> None:
    if not deployment.exists or supervision.pid(deployment) is None:
        raise Unavailable("The workbench", "is down", "`make up` starts it.")


def _show_passwords(passwords: dict[str, str]) -> None:
    if passwords:
        click.echo("\nPasswords, shown this once (`workbench-hub passwd NAME` makes another):")
        for name, password in passwords.items():
            click.echo(f"  {name:<12} {password}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


_register()
