"""``workbench map``: a kernel over an archive, cut into tiles, going on where it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench import kernel as declarations
from workbench.calls.reader import Reader
from workbench.calls.results import user_name
from workbench.cli import assign, options, terminal
from workbench.cli.run import Runner
from workbench.errors import Incomplete, InvalidSetting
from workbench.kernel import Kernel
from workbench.notices import Notice, listen

if TYPE_CHECKING:
    from distributed import Client

    from workbench.jobs.fanout import Mapped
    from workbench.jobs.planning import Plan

__all__ = ["map_command"]

_COMMON = [
    click.Option(
        ["-o", "--to", "to"],
        type=click.Path(path_type=Path),
        metavar="FILE|FOLDER",
        help="Where the result goes; the suffix says the form.  A name without a suffix is a folder, which"
        " gets the result, provenance.json and log.jsonl.",
    ),
    click.Option(
        ["--tile"],
        default="1D",
        show_default=True,
        metavar="LENGTH",
        help="Length of a tile: 1D, 12h, 30min; 'all' does not cut in time.",
    ),
    click.Option(
        ["--workers"],
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Processes of this machine that work side by side.",
    ),
    click.Option(
        ["--retries"],
        type=click.IntRange(0),
        default=1,
        show_default=True,
        help="How often a tile that failed is tried again.",
    ),
    click.Option(["--preview"], is_flag=True, help="Run a sample, say what the whole will cost, and stop."),
    click.Option(
        ["--sample"],
        type=click.FloatRange(0, 1),
        default=0.01,
        show_default=True,
        help="Which part of the tiles a preview runs.",
    ),
    click.Option(
        ["--store"],
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Where finished tiles are kept; by default in the state directory.",
    ),
    click.Option(["--strict"], is_flag=True, help="Exit with 6 if any data had to be left out."),
    click.Option(["--quiet"], is_flag=True, help="No progress, no summary; warnings still come."),
]


class Mapper(Runner):
    """A command for each kernel, made when it is asked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a kernel."""
        return _kernel_command(declarations.get(cmd_name))


@click.command(cls=Mapper, name="map", subcommand_metavar="ID SELECTION [DATA...] [--setting value...]")
def map_command() -> None:
    """Run a kernel over an archive, cut into tiles.

    SELECTION is NET.STA.LOC.CHA@start/end (@/ takes all there is); DATA are
    further inputs, as for `workbench run`.  What is finished is kept: the same
    command again goes on where it was, and computes what has changed.
    """


def _kernel_command(kernel: Kernel) -> click.Command:
    from workbench.calls.describe import docstring

    text = docstring(kernel)
    words = [text.short_description or "", f"DATA: {assign.takes(kernel)}.", text.long_description or ""]

    def callback(data: tuple[str, ...], **typed: Any) -> None:
        names = {option.name for option in _COMMON}
        common = {name: value for name, value in typed.items() if name in names}
        settings = options.settings_of(kernel, typed)
        with listen() as heard:
            plan = _planned(kernel, data, settings, common)
        if common["preview"]:
            _preview(plan, heard.notices, common)
        else:
            _finish(plan, heard.notices, common)

    return click.Command(
        kernel.id,
        callback=callback,
        params=[
            click.Argument(["data"], nargs=-1, metavar="SELECTION [DATA...]"),
            *options.options(kernel),
            *_COMMON,
        ],
        help="\n\n".join(filter(None, words)),
        short_help=text.short_description,
    )


def _planned(kernel: Kernel, data: tuple[str, ...], settings: dict[str, Any], common: dict[str, Any]) -> Plan:
    from workbench.jobs.fanout import check_target
    from workbench.jobs.planning import plan
    from workbench.jobs.tilestore import TileStore

    inputs = assign.assign(kernel, data, Reader())
    name = next((one.name for one in kernel.inputs if {"Waveforms", "Spans"} & set(one.nouns)), None)
    given = inputs.pop(name, None) if name is not None else None
    listed: list[dict[str, Any]] = given if isinstance(given, list) else [given or {}]
    if name is not None and not all("selection" in one for one in listed):
        raise InvalidSetting(
            kernel.id, "is mapped over files", "Give a selection of an archive, or use `workbench run`."
        )
    selection = "+".join(one["selection"] for one in listed) if name is not None else ""
    tile = None if common["tile"] in ("all", "none") else common["tile"]
    store = None if common["store"] is None else TileStore(common["store"])
    found = plan(kernel, selection, {**inputs, **settings}, tile=tile, store=store)
    check_target(found, common["to"])
    return found


@contextlib.contextmanager
def _workers(number: int) -> Iterator[Client | None]:
    """Start processes of this machine, which nobody else can reach."""
    if number == 1:
        yield None
        return
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs={"dashboard": False},
            security=True,
            silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _preview(plan: Plan, said: list[Notice], common: dict[str, Any]) -> None:
    from workbench.jobs.preview import Preview

    with _workers(common["workers"]) as client:
        preview = Preview(
            plan,
            common["sample"],
            client=client,
            retries=common["retries"],
            progress=not common["quiet"],
        )
    terminal.say_notices([*said, *(preview.sample.notices if preview.sample is not None else [])])
    click.echo(repr(preview))


def _finish(plan: Plan, said: list[Notice], common: dict[str, Any]) -> None:
    from workbench.jobs.fanout import execute

    log = [_line(plan, "start", process=plan.kernel.id, tiles=len(plan))]
    with _workers(common["workers"]) as client:
        try:
            done = execute(
                plan, client=client, retries=common["retries"], progress=not common["quiet"], said=said
            )
        except KeyboardInterrupt as stop:
            click.echo(str(stop), err=True)
            raise
    try:
        written = _write(plan, done, common["to"], log)
    finally:
        terminal.say_notices(done.notices)
    if not common["quiet"]:
        click.echo(f"{', '.join([*map(str, written), repr(done)])}", err=True)
    if common["strict"] and not done.complete:
        lost = {item.subject for item in done.notices if item.loss}
        raise Incomplete(
            plan.kernel.id,
            f"{len(lost)} tiles, channels or files were left out",
            "The warnings above name them; without --strict this is no error.",
        )


def _write(plan: Plan, done: Mapped, to: Path | None, log: list[dict[str, Any]]) -> list[Path]:
    if to is None:
        terminal.show(done.result.outputs)
        return []
    log += [_line(plan, "failed", **row) for row in done.rows]
    counts, cost = done.tiles, done.cost
    log.append(
        _line(
            plan,
            "done",
            computed=counts.computed,
            reused=counts.reused,
            failed=counts.failed,
            cpu_s=round(cost.cpu_s, 3),
            wall_s=round(cost.wall_s, 3),
            bytes_in=cost.bytes_in,
            bytes_out=cost.bytes_out,
        )
    )
    return done.write(to, log)


def _line(plan: Plan, event: str, **facts: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    named = {"call": plan.job.name, "user": user_name(), "job": plan.job.batch}
    return {"time": now, "event": event, **named, **facts}
