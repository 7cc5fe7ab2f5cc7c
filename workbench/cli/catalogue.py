"""``workbench list`` and ``workbench describe``: what kernels there are, and what they take."""

from __future__ import annotations

import json

import click

from workbench import kernel as declarations

__all__ = ["describe", "list_kernels"]


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_kernels(as_json: bool) -> None:
    """List the kernels, a sentence each."""
    from workbench.calls.describe import summary

    rows = [summary(item) for item in declarations.kernels().values()]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max((len(row["id"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{row['id']:{width}}  {row['title']}")


@click.command()
@click.argument("kernel_id", metavar="ID")
def describe(kernel_id: str) -> None:
    """Print all about a kernel, as JSON: inputs, settings with units and bounds, outputs."""
    from workbench.calls import describe as words

    found = words.describe(declarations.get(kernel_id))
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))
