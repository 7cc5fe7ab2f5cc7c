"""``workbench-hub``: start, stop and look at the embedded default."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Any

import click
import httpx
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from workbench.errors import InvalidSetting, Unavailable, WorkbenchError
from workbench.settings import Settings
from workbench_hub import supervision
from workbench_hub.deployment import Deployment, is_free
from workbench_hub.health import healthy, wait_for
from workbench_hub.passwords import Passwords
from workbench_hub.spawner import UNISOLATED

__all__ = ["main"]

_UP_SECONDS = 90.0
_SERVERS_SECONDS = 20.0
_FIRST_FREE_PORT = 1024
_FIRST_USERS = {"scientist": False, "operator": True}


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
    """Run the workbench on this machine: hub, web services, Dask, one archive."""
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
    deployment.run.mkdir(parents=True, exist_ok=True)
    shown: dict[str, str] = {}
    try:
        with deployment.alone():
            running = supervision.pid(deployment) is not None
            if not running:
                shown = _start(deployment)
        demonstration = _demonstration(deployment)
        _wait(deployment, quiet=running)
        if demonstration is not None and demonstration.wait():
            raise Unavailable("The demonstration", "failed, as said above", "`make up` tries it again.")
    finally:
        _show_passwords(shown)
    if running:
        click.echo(f"The workbench is up already: {deployment.url}")
        return
    if deployment.settings.archive is not None:
        click.echo(f"\nNo demo archive was built: WORKBENCH_ARCHIVE names one of yours, {deployment.archive}")
    click.echo(f"\nThe workbench is up: {deployment.url}   ({monotonic() - begun:.0f} s)")
    click.echo("  Log in as scientist and open examples/01-first-earthquake.ipynb.")
    click.echo(f"  Log in as operator to see users and servers: {deployment.url}hub/admin")
    click.echo(f"  Web services: {deployment.url}services/workbench/")
    click.echo(f"  State and logs: {deployment.state}   `make status`, `make logs`, `make down`")
    click.echo(f"  {UNISOLATED}")


@main.command()
@click.pass_obj
def down(deployment: Deployment) -> None:
    """Stop everything, users' servers too."""
    if not deployment.exists:
        click.echo("Nothing was ever started here.")
        return
    with deployment.alone():
        if supervision.pid(deployment) is not None:
            _stop_servers(deployment)
        supervision.stop(deployment)
    click.echo("The workbench is down.")


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
            click.echo("".join(_tail(file, lines)))


@main.command()
@click.argument("name")
@click.option("--admin/--no-admin", default=None, help="Whether the user administers the hub.")
@click.pass_obj
def passwd(deployment: Deployment, name: str, admin: bool | None) -> None:
    """Give a user a new password, and make the user if there is none of that name."""
    if not name.isidentifier() or name != name.lower():
        raise click.BadParameter("a name has small letters, digits and underscores, and begins with a letter")
    deployment.create()
    with deployment.alone():
        _show_passwords({name: Passwords(deployment.passwords).set(name, admin)})


def _start(deployment: Deployment) -> dict[str, str]:
    """Start the supervisor; return the passwords that were made."""
    port = deployment.settings.port
    if port < _FIRST_FREE_PORT and os.geteuid():
        raise InvalidSetting(
            f"Port {port}", "is for root alone", f"Choose one from {_FIRST_FREE_PORT} up with WORKBENCH_PORT."
        )
    if not is_free(port):
        raise InvalidSetting(
            f"Port {port} of 127.0.0.1",
            "is taken by another program",
            f"Choose another one with WORKBENCH_PORT, for example: WORKBENCH_PORT={port + 1} make up",
        )
    deployment.create()
    deployment.choose_ports()
    passwords = Passwords(deployment.passwords)
    users = passwords.users()
    shown = {name: passwords.set(name, admin) for name, admin in _FIRST_USERS.items() if name not in users}
    supervision.configure(deployment)
    supervision.start(deployment)
    return shown


def _wait(deployment: Deployment, *, quiet: bool) -> None:
    begun = monotonic()
    for process in deployment.processes():
        if not process.health:
            continue
        try:
            wait_for(partial(healthy, process.health), _UP_SECONDS, process.what)
        except Unavailable:
            click.echo("".join(_tail(deployment.logs / f"{process.name}.log", 20)), err=True)
            raise
        if not quiet:
            click.echo(f"  {process.what:<36} well   {monotonic() - begun:5.1f} s")
    # What a browser asks comes through the proxy, which learns its routes from the hub.
    for path in ("hub/health", "services/workbench/health"):
        wait_for(partial(healthy, deployment.url + path), _UP_SECONDS, path)


def _demonstration(deployment: Deployment) -> subprocess.Popen[bytes] | None:
    """Build the demo archive and locate its earthquake, beside the start; once."""
    done = deployment.state / "demonstration.json"
    if done.is_file():
        return None
    if deployment.settings.archive is not None:
        return None
    environment = dict(os.environ, WORKBENCH_STATE=str(deployment.state), OMP_NUM_THREADS="1")
    command = [sys.executable, "-m", "workbench.demo", str(deployment.archive), "--result", str(done)]
    return subprocess.Popen(command, env=environment)


def _stop_servers(deployment: Deployment) -> None:
    """Ask the hub to stop the users' servers, so that it knows that they are gone."""
    base = f"http://127.0.0.1:{deployment.ports['hub']}/hub/api"
    headers = {"Authorization": f"token {deployment.tokens['down']}"}
    try:
        with httpx.Client(headers=headers, timeout=_SERVERS_SECONDS, trust_env=False) as hub:

            def active() -> list[str]:
                answer = hub.get(f"{base}/users", params={"state": "active"})
                return [user["name"] for user in answer.raise_for_status().json()]

            for name in active():
                hub.delete(f"{base}/users/{name}/server")
            wait_for(lambda: not active(), _SERVERS_SECONDS, "", fail=False)
    except httpx.HTTPError as error:
        # They are stopped all the same, by their mark; the hub finds out at its next start.
        click.echo(f"The hub does not answer ({error}); users' servers are stopped without it.", err=True)


def _show_passwords(passwords: dict[str, str]) -> None:
    if passwords:
        click.echo("\nPasswords, shown this once (`workbench-hub passwd NAME` makes another):")
        for name, password in passwords.items():
            click.echo(f"  {name:<12} {password}")


def _tail(path: Path, lines: int) -> deque[str]:
    if not path.is_file():
        return deque()
    with path.open(errors="replace") as file:
        return deque(file, maxlen=lines)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
