"""``workbench-hub doctor`` and ``workbench-hub network``: whether the walls are up, and what they are."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from workbench.errors import InvalidSetting
from workbench_hub import cluster, network, walls
from workbench_hub.containers.catalogue import choose_image
from workbench_hub.deployment import Deployment
from workbench_hub.doctor.examination import Examination, examine

__all__ = ["commands"]

_WIDTH = 160


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.option("--outside", is_flag=True, help="Try the destinations of the allow-list too; sends to them.")
@click.option("--image", default="", help="Name of the image to try from; by default the policy's first.")
@click.pass_obj
def doctor(deployment: Deployment, *, as_json: bool, outside: bool, image: str) -> None:
    """Try from within a container what it reaches; exit code 1 if a wall is down."""
    _on_host(deployment)
    policy = deployment.policy
    label = image or next(iter(policy.images))
    chosen = choose_image(label, policy, deployment.catalogue)
    client = walls.connect(deployment)
    try:
        found = examine(
            client,
            walls.plan(deployment),
            chosen.digest,
            accepted=policy.accept,
            outside=outside,
        )
    finally:
        client.close()
    if deployment.brokered:
        from workbench_hub.broker.doctor import examine as broker

        found = replace(found, findings=(*found.findings, *broker(deployment)))
    scheduler = deployment.slurm
    words, fine = cluster.ask(scheduler.own, "doctor") if scheduler and scheduler.own else ("", True)
    if words and (shown := cluster.shown_to_jobs(deployment, policy)):
        words, fine = f"{words}\n{shown}", False
    good = found.good and fine
    if as_json:
        click.echo(json.dumps(asdict(found) | {"good": good, "slurm": words}, indent=2))
    else:
        _show(found)
        click.echo(
            f"\n{words}\n\n{'The cluster is well.' if fine else 'The cluster is not well.'}" * bool(words)
        )
    raise SystemExit(0 if good else 1)


@click.group(name="network")
def net() -> None:
    """Show, put up or take away the firewall's rules of this deployment."""


@net.command()
@click.option("--output", type=click.Path(path_type=Path), help="File to write to.")
@click.pass_obj
def rules(deployment: Deployment, output: Path | None) -> None:
    """Write the rules, as iptables-restore --noflush takes them."""
    _on_host(deployment)
    text = network.rules(walls.plan(deployment))
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text)


@net.command()
@click.pass_obj
def apply(deployment: Deployment) -> None:
    """Make the bridge and put the rules up; once or ten times is the same."""
    _on_host(deployment)
    walls.up(deployment)
    click.echo("The walls are up.")


@net.command()
@click.pass_obj
def check(deployment: Deployment) -> None:
    """Say what of the rules does not stand; exit code 1 if anything."""
    _on_host(deployment)
    fallen = network.missing(walls.plan(deployment))
    click.echo("\n".join(fallen) or "The walls are up.")
    raise SystemExit(1 if fallen else 0)


def _on_host(deployment: Deployment) -> None:
    if not deployment.on_host:
        raise InvalidSetting(
            f"Profile {deployment.profile}", "has no containers and no walls", "Use `make up PROFILE=host`."
        )
    if not deployment.exists:
        raise InvalidSetting(str(deployment.state), "was never started", "Use `make up PROFILE=host` first.")


def _show(found: Examination) -> None:
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    reached = Table("from a user's container", "should be", "is", "", box=None, pad_edge=False)
    for row in found.rows:
        is_ = row.found if row.good else f"[red]{row.found}[/red]"
        reached.add_row(row.what, row.expected, is_, row.why)
    console.print(reached)
    console.print()
    looked = Table("looked at", "", "", box=None, pad_edge=False)
    for finding in found.findings:
        words = finding.detail if finding.good else f"{finding.detail}. {finding.remedy}".lstrip(". ")
        looked.add_row(finding.what, "well" if finding.good else "[red]not well[/red]", words)
    console.print(looked)
    console.print("\nAll walls are up." if found.good else "\n[red]Not all walls are up.[/red]")


commands: list[click.Command] = [doctor, net]
"""What ``workbench-hub`` takes over."""
