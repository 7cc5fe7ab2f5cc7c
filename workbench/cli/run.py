"""``workbench run``: a kernel on data, or a Call file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from workbench import kernel as declarations
from workbench.calls import Call, Policy, Result
from workbench.calls import run as run_call
from workbench.calls.files import is_store, write_bytes
from workbench.calls.reader import Reader
from workbench.calls.results import check_free, user_name, write_output, write_results
from workbench.cli import assign, options, terminal
from workbench.errors import Incomplete, InvalidSetting, WorkbenchError
from workbench.kernel import Kernel
from workbench.notices import Notice, listen

__all__ = ["run"]

_COMMON = [
    click.Option(
        ["-o", "--to", "to"],
        type=click.Path(path_type=Path),
        metavar="FILE|FOLDER",
        help="Where the result goes; the suffix says the form.  A name without a suffix is a folder, which"
        " gets the result, provenance.json and log.jsonl.",
    ),
    click.Option(["--strict"], is_flag=True, help="Exit with 6 if any data had to be left out."),
    click.Option(["--quiet"], is_flag=True, help="No progress, no summary; warnings still come."),
]


class Runner(click.Group):
    """A command for each kernel, made when it is asked for, and one for a Call file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the ids of all kernels."""
        return list(declarations.kernels())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a kernel, or of a Call file."""
        if cmd_name.endswith(".json") or Path(cmd_name).is_file():
            return _call_command(Path(cmd_name))
        return _kernel_command(declarations.get(cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take the first argument as it stands, dots and slashes included."""
        name = args[0]
        return name, self.get_command(ctx, name), args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the kernels with their first sentences."""
        from workbench.calls.describe import summary

        rows = [(name, summary(item)["title"]) for name, item in declarations.kernels().items()]
        with formatter.section("Kernels"):
            formatter.write_dl(rows)


@click.command(cls=Runner, name="run", subcommand_metavar="ID|CALL.json [DATA...] [--setting value...]")
def run() -> None:
    """Run a kernel on data, or a Call file.

    DATA are files, folders, patterns or selections (NET.STA.LOC.CHA@start/end)
    in any order: what they are is seen from their content.  Where that leaves
    a choice, say input=FILE.
    """


def _kernel_command(kernel: Kernel) -> click.Command:
    from workbench.calls.describe import docstring

    text = docstring(kernel)
    words = [text.short_description or "", f"DATA: {assign.takes(kernel)}.", text.long_description or ""]

    def callback(
        data: tuple[str, ...],
        to: Path | None,
        strict: bool,
        quiet: bool,
        save_call: Path | None,
        **typed: Any,
    ) -> None:
        settings = options.settings_of(kernel, typed)
        reader = Reader()
        with (
            terminal.progress_bar(quiet) as progress,
            listen(on_progress=progress) as heard,
            _telling(heard.notices),
        ):
            inputs = assign.assign(kernel, data, reader)
        call = Call(process=kernel.id, inputs={**inputs, **settings})
        call.split()
        if save_call is not None:
            terminal.say_notices(heard.notices)
            _save(call, save_call)
            return
        _finish(call, Policy(reader=reader), to, strict, quiet, heard.notices)

    return click.Command(
        kernel.id,
        callback=callback,
        params=[
            click.Argument(["data"], nargs=-1, metavar="DATA..."),
            *options.options(kernel),
            *_COMMON,
            click.Option(
                ["--save-call"],
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="Write the Call file that stands for this command, and do not run it.",
            ),
        ],
        help="\n\n".join(filter(None, words)),
        short_help=text.short_description,
    )


def _call_command(path: Path) -> click.Command:
    def callback(to: Path | None, strict: bool, quiet: bool) -> None:
        call = Call.load(path)
        _finish(call, Policy(base=path.absolute().parent), to, strict, quiet, [])

    return click.Command(
        str(path),
        callback=callback,
        params=list(_COMMON),
        help="Run a Call file.  Its paths are relative to it.",
    )


def _finish(
    call: Call, policy: Policy, to: Path | None, strict: bool, quiet: bool, notices: list[Notice]
) -> None:
    """Run a Call and write, or show, what comes out."""
    folder = to is not None and (not to.suffix or (to.is_dir() and not is_store(to)))
    heard = list(notices)
    log = [_line(call, "start", process=call.process)]
    try:
        _check_output(call, to, folder)
        with terminal.progress_bar(quiet) as progress:
            result = run_call(
                call, policy, key=folder, notices=notices, on_notice=heard.append, on_progress=progress
            )
    finally:
        terminal.say_notices(list(dict.fromkeys(heard)))
    log += [_line(call, "notice", **_said(item)) for item in result.notices]
    log.append(_line(call, "done", run_key=result.run_key, duration_s=result.duration_s))
    written = _write(result, to, folder, log)
    if not quiet and written:
        said = ", ".join(terminal.summarise(value) for value in result.outputs.values())
        click.echo(f"{', '.join(map(str, written))}: {said}", err=True)
    if strict and not result.complete:
        lost = {item.subject for item in result.notices if item.loss}
        raise Incomplete(
            call.process,
            f"{len(lost)} channels or files were left out",
            "The warnings above name them; without --strict this is no error.",
        )


def _check_output(call: Call, to: Path | None, folder: bool) -> None:
    """Find out before the work, not after it, that the result cannot be written."""
    from workbench import wire

    outputs = declarations.get(call.process).outputs
    if to is None:
        return
    if not to.absolute().parent.is_dir():
        raise InvalidSetting(str(to), "its folder does not exist", f"Make {to.absolute().parent} first.")
    if folder:
        check_free(to)
        return
    if len(outputs) > 1:
        names = ", ".join(item.name for item in outputs)
        raise InvalidSetting(str(to), f"{call.process} has several results ({names})", "Give a folder.")
    wire.media_of(outputs[0].noun, to.suffix.lower())


def _write(result: Result, to: Path | None, folder: bool, log: list[dict[str, Any]]) -> list[Path]:
    if to is None:
        terminal.show(result.outputs)
        return []
    if folder:
        return write_results(result, to, log)
    write_output(result.value, to)
    return [to]


def _save(call: Call, path: Path) -> None:
    """Write a Call file: paths relative to it, with the hash of each file."""
    home = path.absolute().parent

    def portable(value: Any) -> Any:
        if isinstance(value, list):
            return [portable(item) for item in value]
        if not isinstance(value, dict) or "path" not in value:
            return value
        file = Path(value["path"]).absolute()
        relative = os.path.relpath(file, home)
        if not file.is_file():
            return {"path": relative}
        with file.open("rb") as stream:
            return {"path": relative, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}

    inputs = {name: portable(value) for name, value in call.inputs.items()}
    text = json.dumps({"process": call.process, "inputs": inputs}, indent=2, ensure_ascii=False)
    write_bytes(path, text.encode() + b"\n")
    click.echo(f"{path}: run it with 'workbench run {path} -o FOLDER'", err=True)


@contextlib.contextmanager
def _telling(notices: list[Notice]) -> Any:
    """Print what was said so far if the block fails."""
    try:
        yield
    except (WorkbenchError, click.ClickException):
        terminal.say_notices(notices)
        raise


def _line(call: Call, event: str, **facts: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "time": now,
        "event": event,
        "call": hashlib.sha256(json.dumps(call.to_json(), sort_keys=True).encode()).hexdigest()[:16],
        "user": user_name(),
        "job": os.environ.get("SLURM_JOB_ID", ""),
        **facts,
    }


def _said(item: Notice) -> dict[str, Any]:
    return {"subject": item.subject, "problem": item.problem, "remedy": item.remedy, "loss": item.loss}
