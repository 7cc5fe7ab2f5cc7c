"""The command line, made from the declarations.

Nothing that knows seismology is imported before a command needs it, so that
``workbench --help`` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings

import click

import workbench

__all__ = ["app", "main"]

_COMMANDS = {
    "archive": ("workbench.cli.archive", "archive", "Waveform archives: add, ls, check, fetch."),
    "describe": ("workbench.cli.catalogue", "describe", "Print all about a kernel, as JSON."),
    "doctor": ("workbench.cli.doctor", "doctor", "Try out what does not work, and say why."),
    "jobs": ("workbench.cli.jobs", "jobs", "List batch jobs, and what became of them."),
    "kernel": ("workbench.cli.scaffold", "kernel", "Add a kernel of your own."),
    "list": ("workbench.cli.catalogue", "list_kernels", "List the kernels, a sentence each."),
    "map": ("workbench.cli.map", "map_command", "Run a kernel over an archive, restartable."),
    "run": ("workbench.cli.run", "run", "Run a kernel on data, or a Call file."),
    "serve": ("workbench_api.__main__", "main", "Serve every kernel as a web process."),
    "submit": ("workbench.cli.submit", "submit", "Submit a kernel on data, or Call files, and do not wait."),
    "settings": ("workbench.cli.deployment", "settings", "Print the settings of this deployment."),
}
"""Command: module, name in it, and the sentence of the overview."""


class Lazy(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, _, words) in sorted(_COMMANDS.items())])


@click.command(cls=Lazy, name="workbench", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(workbench.__version__, prog_name="workbench")
@click.option("--debug", is_flag=True, help="Show where an error came from.")
def app(debug: bool) -> None:
    """Work on seismic data: every method here is also a Python function and a web process.

    Exit codes: 0 done (no event found is done), 2 wrong command or setting,
    3 no data, 4 bad data, 5 out of memory, space or quota, 6 incomplete under
    --strict, 1 anything else.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with an exit code."""
    from workbench.cli.exits import report

    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    if not debug:
        # Libraries warn developers; what concerns the user comes as a notice.
        warnings.simplefilter("ignore")
    given = [argument for argument in given if argument != "--debug"] if debug else given
    try:
        app.main(["--debug", *given] if debug else given, prog_name="workbench", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(report(KeyboardInterrupt(), debug=False))
    except BrokenPipeError:
        # A pipe that closes early (| head) ends the program without a word,
        # also when Python flushes what is left at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - the outermost handler
        sys.exit(report(error, debug=debug))
