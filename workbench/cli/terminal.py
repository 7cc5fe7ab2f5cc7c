"""What a person at a terminal sees: notices, progress, and a short look at a result."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from workbench import wire
from workbench.notices import Notice

__all__ = ["progress_bar", "say_notices", "show", "summarise"]

_MANY = 8
_ROWS = 40


def say_notices(notices: list[Notice]) -> None:
    """Print notices to stderr: each once, those that differ only in their subject together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for said in notices:
        groups.setdefault((said.problem, said.remedy), []).append(said.subject)
    for (problem, remedy), subjects in groups.items():
        names = list(dict.fromkeys(subjects))
        text = f"{names[0]}: {problem}"
        if len(names) > 1:
            listed = ", ".join(names[:_MANY]) + (
                f", and {len(names) - _MANY} more" if len(names) > _MANY else ""
            )
            text = f"{len(names)} times: {problem} ({listed})"
        click.echo(f"warning: {text}{'. ' + remedy if remedy else ''}", err=True)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[float, str], None] | None]:
    """Show progress while the block runs, if a person is looking."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def update(fraction: float, doing: str) -> None:
            bar.update(task, completed=fraction, description=doing or "working")

        yield update


def summarise(value: Any) -> str:
    """Say in a few words what a result is.

    Examples
    --------
    >>> from workbench.nouns import Picks
    >>> summarise(Picks())
    'no picks'
    """
    noun = wire.noun(value)
    if noun == "Waveforms":
        return _count(len(value), "trace")
    if noun == "Stations":
        return _count(sum(len(network) for network in value), "station")
    if noun == "Dataset":
        sizes = ", ".join(f"{name} {size}" for name, size in value.sizes.items())
        return f"a dataset ({sizes or 'no dimensions'})"
    rows = {"Events": "event", "Picks": "pick", "Triggers": "trigger", "Spans": "span"}
    return _count(len(value), rows[noun])


def show(outputs: Mapping[str, Any]) -> None:
    """Print the outputs: a table for a person, the canonical bytes for a pipe."""
    for name, value in outputs.items():
        if not sys.stdout.isatty():
            sys.stdout.buffer.write(wire.encode(value))
            continue
        if len(outputs) > 1:
            click.echo(f"{name}:")
        if wire.noun(value) not in ("Picks", "Triggers", "Spans", "Events"):
            click.echo(str(value))
            continue
        click.echo(summarise(value))
        if len(value):
            _table(value)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _table(value: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    columns, rows = _events(value) if wire.noun(value) == "Events" else _of_table(value)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column != "stations")
    for row in rows[:_ROWS]:
        table.add_row(*row)
    Console().print(table)
    if len(rows) > _ROWS:
        click.echo(f"... and {len(rows) - _ROWS} more; write them with -o FILE")


def _events(value: Any) -> tuple[list[str], list[list[str]]]:
    """Return what fits a line: the whole is for a file."""
    digits = {"latitude": 4, "longitude": 4, "depth_km": 1, "magnitude": 1, "rms_s": 2, "gap_deg": 0}
    shown = ["time", "lat", "lon", "depth_km", "mag", "rms_s", "gap", "phases"]
    text = csv.DictReader(io.StringIO(wire.encode(value, "text/csv").decode()))
    rows = [
        [
            _moment(row["time"]),
            *(_rounded(row[name], places) for name, places in digits.items()),
            row["n_phases"],
        ]
        for row in text
    ]
    return shown, rows


def _of_table(value: Any) -> tuple[list[str], list[list[str]]]:
    columns: dict[str, list[str]] = {}
    text = list(csv.DictReader(io.StringIO(wire.encode(value, "text/csv").decode())))
    codes = ("network", "station", "location", "channel")
    if wire.noun(value) in ("Picks", "Spans"):
        columns["channel"] = [".".join(row[code] for code in codes) for row in text]
    for name in value.columns:
        if name not in columns and name not in codes:
            cells = [row[name] for row in text]
            columns[name] = [
                _moment(cell) if name in ("time", "end") else _rounded(cell, 2) for cell in cells
            ]
    for name in ("channel", "peak", "snr", "polarity", "amplitude"):
        if name not in columns and text and name in text[0]:
            columns[name] = [_rounded(row[name], 2) for row in text]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def _moment(cell: str) -> str:
    return cell[:22].replace("T", " ").rstrip("Z")


def _rounded(cell: str, places: int) -> str:
    try:
        return cell if cell.isdigit() else f"{float(cell):.{places}f}"
    except ValueError:
        return cell
