"""``workbench submit``: a kernel on data, or Call files, without waiting for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from workbench import kernel as declarations
from workbench.calls import Call
from workbench.calls.reader import Reader
from workbench.cli import assign, options, terminal
from workbench.cli.limits import limits
from workbench.cli.run import Runner
from workbench.errors import InvalidSetting
from workbench.kernel import Kernel
from workbench.notices import listen

__all__ = ["submit"]

_LIMITS = ("cores", "memory", "walltime", "partition", "account")


class Submitter(Runner):
    """A command for each kernel, made when it is asked for, and one for Call files."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a kernel, or of a Call file."""
        if cmd_name.endswith(".json") or Path(cmd_name).is_file():
            return _call_command(Path(cmd_name))
        return _kernel_command(declarations.get(cmd_name))


@click.command(
    cls=Submitter, name="submit", subcommand_metavar="ID|CALL.json... [DATA...] [--setting value...]"
)
def submit() -> None:
    """Submit a kernel on data, or Call files, and do not wait.

    SLURM works it off where it is there, else a process of this machine that
    outlives the terminal; `workbench jobs` shows how it is.  What a job writes
    is what `workbench run` writes.
    """


def _kernel_command(kernel: Kernel) -> click.Command:
    from workbench.calls.describe import docstring

    text = docstring(kernel)

    def callback(data: tuple[str, ...], **typed: Any) -> None:
        settings = options.settings_of(kernel, typed)
        with listen() as heard:
            inputs = assign.assign(kernel, data, Reader())
        terminal.say_notices(heard.notices)
        _send(Call(process=kernel.id, inputs={**inputs, **settings}), typed)

    return click.Command(
        kernel.id,
        callback=callback,
        params=[
            click.Argument(["data"], nargs=-1, metavar="DATA..."),
            *options.options(kernel),
            *_own(),
        ],
        help="\n\n".join(filter(None, [text.short_description or "", f"DATA: {assign.takes(kernel)}."])),
        short_help=text.short_description,
    )


def _call_command(first: Path) -> click.Command:
    def callback(more: tuple[Path, ...], **typed: Any) -> None:
        _send([first, *more] if more else first, typed)

    return click.Command(
        str(first),
        callback=callback,
        params=[click.Argument(["more"], nargs=-1, type=click.Path(path_type=Path)), *_own()],
        help="Submit Call files, several as an array.  Paths in them are relative to them.",
    )


def _own() -> list[click.Parameter]:
    @limits
    @click.option(
        "-o",
        "--to",
        "to",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Folder for the result, provenance.json and log.jsonl; for several Calls one in it for each.",
    )
    @click.option(
        "--where",
        type=click.Choice(["auto", "local", "slurm"]),
        default="auto",
        show_default=True,
        help="Who works it off; auto is SLURM where it is there, and else this machine.",
    )
    @click.option("--again", is_flag=True, help="Compute it, also if an equal run has finished before.")
    def command() -> None: ...

    params: list[click.Parameter] = getattr(command, "__click_params__", [])
    return list(reversed(params))


def _send(calls: Any, typed: dict[str, Any]) -> None:
    from workbench.jobs.batch import submit as send
    from workbench.jobs.batchjob import BatchJob

    if typed["to"] is not None and typed["to"].suffix and not typed["to"].is_dir():
        raise InvalidSetting(str(typed["to"]), "is the name of a file", "Give a folder.")
    asked = {name: typed[name] for name in _LIMITS}
    sent = send(calls, typed["to"], typed["where"], **asked, reuse=not typed["again"])
    first = sent if isinstance(sent, BatchJob) else sent[0]
    where = first.submission.where
    click.echo(first.submission.id)
    number = f"{len(sent)} jobs" if not isinstance(sent, BatchJob) else "1 job"
    click.echo(
        f"{number} sent to {'SLURM' if where == 'slurm' else 'this machine'}; results: {first.to}", err=True
    )
