"""Commands of `workbench-hub` for the life with a hub."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from workbench.errors import InvalidSetting, WorkbenchError
from workbench_hub.deployment import Deployment

__all__ = ["commands"]

# What the commands need is imported where one is called: `workbench-hub up` shall not wait for it.


@click.group()
def audit() -> None:
    """Read the audit log, and check that nobody laid a hand on it."""


@audit.command()
@click.option("--anchor", default="", help="NUMBER:HASH of a line that must be in it, from an earlier check.")
@click.pass_obj
def verify(deployment: Deployment, anchor: str) -> None:
    """Check the whole chain; exit code 4 where it is broken.  What it prints is the next anchor."""
    from workbench_hub.life.audit import Anchor, Broken
    from workbench_hub.life.wiring import audit_of

    try:
        verdict = audit_of(deployment).verify(Anchor.parse(anchor) if anchor else None)
    except Broken as error:
        click.echo(f"BROKEN  {error}", err=True)
        raise SystemExit(4) from error
    except WorkbenchError as error:
        raise click.BadParameter(str(error)) from error
    click.echo(
        f"whole, from {verdict.first} to {verdict.head.number}; writers killed on the way: {verdict.torn}"
    )
    click.echo(f"anchor  {verdict.head}")


@audit.command()
@click.option("--user", default="", help="Only what this user did, or what was done to them.")
@click.option("--event", default="", help="Only this, for example 'login refused'.")
@click.option("-n", "--lines", default=50, show_default=True, help="How many of the newest.")
@click.pass_obj
def show(deployment: Deployment, user: str, event: str, lines: int) -> None:
    """Show the newest lines."""
    from collections import deque

    from workbench_hub.life.wiring import audit_of

    wanted = (
        entry
        for entry in audit_of(deployment).entries()
        if (not user or user in (entry.actor, entry.subject)) and (not event or entry.event == event)
    )
    for entry in deque(wanted, maxlen=lines):
        about = f" -> {entry.subject}" if entry.subject else ""
        details = " ".join(f"{key}={value}" for key, value in entry.details.items())
        click.echo(f"{entry.number:>7} {entry.time} {entry.event:<16} {entry.actor}{about}  {details}")


@click.command()
@click.option("--month", "label", default="", help="As 2026-03; by default this one.")
@click.option("--csv", "as_csv", is_flag=True, help="For a spreadsheet.")
@click.pass_obj
def usage(deployment: Deployment, label: str, as_csv: bool) -> None:
    """Show who used how much in a month: hours of servers, memory, processor time."""
    from workbench_hub.life.web import month
    from workbench_hub.life.wiring import usage_of

    try:
        since, until = month(label)
    except ValueError as error:
        raise click.BadParameter(f"'{label}' is no month; write it as 2026-03") from error
    record = usage_of(deployment)
    totals = record.totals(since, until)
    record.close()
    rows = [
        (one.user, f"{one.hours:.2f}", f"{one.gib_hours:.2f}", f"{one.cpu_hours:.2f}",
         f"{one.memory_peak / 2**30:.2f}", str(one.oom_kills))
        for one in totals
    ]  # fmt: skip
    head = ("user", "hours", "gib_hours", "core_hours", "peak_gib", "oom_kills")
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([head, *rows])
        return
    table = Table(*(name.replace("_", " ") for name in head), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    click.echo(f"{since:%B %Y}, UTC")
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@click.command()
@click.argument("text", default="")
@click.option("--warning", is_flag=True, help="As a warning.")
@click.option("--from", "begins", default="", help="From when on, as 2026-03-01T08:00+01:00.")
@click.option("--until", "ends", default="", help="Until when.")
@click.option("--group", "groups", multiple=True, help="Only for this group; may be given again.")
@click.option("--remove", default="", metavar="ID", help="Take one back.")
@click.pass_obj
def announce(
    deployment: Deployment,
    text: str,
    warning: bool,
    begins: str,
    ends: str,
    groups: tuple[str, ...],
    remove: str,
) -> None:
    """Tell all users something, on the hub's pages and in their Labs; without TEXT, list what stands."""
    from workbench_hub.life.wiring import announcements_of, audit_of
    from workbench_hub.policy.work import Announcement

    announcements = announcements_of(deployment)
    who = os.environ.get("SUDO_USER") or os.environ.get("USER") or str(os.getuid())
    if remove:
        gone = announcements.remove(remove)
        audit_of(deployment).append("announcement removed", actor=f"account {who}", text=gone.text)
        return
    if not text:
        for name, one in announcements.made().items():
            span = f"{one.begins or 'now'} to {one.ends or 'for ever'}"
            click.echo(f"{name}  {one.level:<8} {span}  {','.join(one.groups) or 'all'}  {one.text}")
        return
    fields = {"text": text, "level": "warning" if warning else "info", "groups": groups}
    fields |= {key: value for key, value in (("begins", begins), ("ends", ends)) if value}
    try:
        name = announcements.add(Announcement.model_validate(fields))
    except ValidationError as error:
        said = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors(include_url=False))
        raise InvalidSetting(
            "The announcement", said, "Times need a zone: 2026-03-01T08:00+01:00."
        ) from error
    audit_of(deployment).append("announcement", actor=f"account {who}", text=text)
    click.echo(name)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--homes", is_flag=True, help="Users' homes and shared folders too.")
@click.option("--keep", default=0, help="Remove older backups there, but for this many; 0 keeps all.")
@click.pass_obj
def backup(deployment: Deployment, folder: Path, homes: bool, keep: int) -> None:
    """Write a backup into FOLDER while everything runs: databases, secrets, audit, policy, settings."""
    from workbench_hub.life import backups

    made = backups.backup(deployment, folder, homes=homes)
    for old in backups.expire(folder, keep) if keep else ():
        click.echo(f"removed  {old}")
    click.echo(f"wrote    {made}   ({backups.size(made) / 2**20:.1f} MiB)")
    left_out = ["the archive", "logs"] + ([] if homes else ["homes and folders (--homes)"])
    click.echo(f"Not in it: {', '.join(left_out)}.  It holds secrets: keep it under lock.")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only see whether the backup is whole.")
@click.pass_obj
def restore(deployment: Deployment, folder: Path, check: bool) -> None:
    """Bring a backup back into WORKBENCH_STATE, which must be empty; then `make up`."""
    from workbench_hub.life import backups, restoring

    manifest = backups.verify(folder)
    click.echo(
        f"whole: {len(manifest.files)} files of {manifest.made:%Y-%m-%d %H:%M} UTC, {manifest.profile}"
    )
    if not check:
        restoring.restore(deployment, folder, manifest)
        click.echo(f"restored into {deployment.state}; `make up` starts it")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--backups", type=click.Path(file_okay=False, path_type=Path), help="Where to keep nightly backups."
)
@click.pass_obj
def units(deployment: Deployment, folder: Path, backups: Path | None) -> None:
    """Write systemd units into FOLDER, for example /etc/systemd/system."""
    from workbench_hub.life.units import write_units

    _ready(deployment)
    for path in write_units(deployment, folder, backups.absolute() if backups else None):
        click.echo(path)
    click.echo("Then: systemctl daemon-reload; systemctl enable --now workbench.target")


@click.command()
@click.pass_obj
def prepare(deployment: Deployment) -> None:
    """Make what has to be there before processes start; systemd's units do that first."""
    from workbench_hub import host

    _ready(deployment)
    if deployment.on_host:
        host.prepare(deployment, click.echo)


@click.command()
@click.argument("name")
@click.pass_obj
def run(deployment: Deployment, name: str) -> None:
    """Become one process of the list; systemd's units do that."""
    from workbench_hub.life import units

    units.run(deployment, name)


@click.command()
@click.argument("urls", nargs=-1)
@click.pass_obj
def clock(deployment: Deployment, urls: tuple[str, ...]) -> None:
    """Compare this machine's clock with those of others, by HTTP; exit code 1 where one is off by 30 s."""
    from workbench_hub.life.clock import TOLERANCE, skew

    well = True
    for url in urls or (f"{deployment.url}hub/health",):
        found = skew(url)
        well = well and abs(found) <= TOLERANCE
        click.echo(f"{url}  {found.total_seconds():+.1f} s")
    raise SystemExit(0 if well else 1)


def _ready(deployment: Deployment) -> None:
    """Make the state directory; ports stay as they were chosen, since processes that run hold them."""
    deployment.create()
    if not (deployment.run / "ports.json").is_file():
        deployment.choose_ports()


commands: list[click.Command] = [audit, usage, announce, backup, restore, units, prepare, run, clock]
