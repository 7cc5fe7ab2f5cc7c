"""``workbench-hub policy``: look at a policy before the hub does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from workbench_hub.policy import load
from workbench_hub.policy.reference import schema

__all__ = ["commands"]


@click.group()
def policy() -> None:
    """Check a policy, or say what may stand in one."""


@policy.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Say everything that is wrong with a policy, with lines; exit code 2 if something is."""
    found = load(file)
    click.echo(
        f"{file}: well. {len(found.users)} users and {len(found.groups)} groups named, log-in by "
        f"{found.identity.source}, {len(found.images)} images, {len(found.profiles)} profiles."
    )
    now = datetime.now(UTC)
    for network, rule in sorted(found.networks.items()):
        state = "open" if rule.admits((), now) else f"seen by {', '.join(rule.groups) or 'nobody'}"
        until = f" until {rule.until:%Y-%m-%d %H:%M %Z}" if rule.until and rule.until > now else ""
        click.echo(f"  network {network:<8} {state}{until}")
    if "*" not in found.networks:
        click.echo("  All other networks are seen by nobody.")


@policy.command(name="schema")
def schema_() -> None:
    """Write the JSON schema of policies."""
    click.echo(schema(), nl=False)


commands: list[click.Command] = [policy]
