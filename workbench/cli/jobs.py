"""``workbench jobs``: one's own batch jobs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click

from workbench.cli.limits import limits

__all__ = ["jobs"]

_JOB = click.argument("job")


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each.")
@click.pass_context
def jobs(context: click.Context, as_json: bool) -> None:
    """List one's own batch jobs, and what became of them.

    JOB is an id, or its beginning; ID/3 is one Call of an array.
    """
    if context.invoked_subcommand is None:
        _show("", as_json)


@jobs.command()
@_JOB
@click.option("--json", "as_json", is_flag=True, help="All that is known, as JSON.")
def show(job: str, as_json: bool) -> None:
    """Show some."""
    _show(job, as_json)


@jobs.command()
@_JOB
@click.option("-n", "--lines", default=40, show_default=True, help="How many lines.")
def log(job: str, lines: int) -> None:
    """Print the newest lines of what they said."""
    found = _find(job)
    for one in found:
        if len(found) > 1:
            click.echo(f"==> {one.id} <==")
        click.echo(one.log(lines))


@jobs.command()
@_JOB
@click.option("--seconds", type=float, help="Longest time to wait.  [default: no end]")
def wait(job: str, seconds: float | None) -> None:
    """Wait until they have ended; the exit code is the first that is not 0."""
    found = _find(job).wait(seconds)
    click.echo(repr(found))
    codes = [one.exit_code for one in found.statuses if one.exit_code]
    raise SystemExit(codes[0] if codes else 0)


@jobs.command()
@_JOB
def cancel(job: str) -> None:
    """End them, also those that wait."""
    click.echo(repr(_find(job).cancel()))


@jobs.command()
@_JOB
@limits
def retry(job: str, **asked: Any) -> None:
    """Send again what failed or was ended, with other limits if some are said."""
    click.echo(repr(_find(job).retry(**asked)))


@jobs.command()
@_JOB
def remove(job: str) -> None:
    """Forget them, and remove what they wrote into their own folders."""
    for one in {one.submission.id: one for one in _find(job)}.values():
        one.remove()


def _find(job: str) -> Any:
    from workbench.jobs.batch import jobs as find

    return find(job)


def _show(job: str, as_json: bool) -> None:
    found = _find(job)
    if not as_json:
        click.echo(repr(found))
        return
    for one, status in zip(found, found.statuses, strict=True):
        about = {"id": one.id, "process": one.call.process, "to": str(one.to), **asdict(status)}
        click.echo(json.dumps(about, ensure_ascii=False))
