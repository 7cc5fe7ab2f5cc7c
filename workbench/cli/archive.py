"""``workbench archive``: add, ls, check, fetch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from obspy import UTCDateTime

from workbench import wire
from workbench.archive import Archive, Selection, Source
from workbench.archive.check import check as look_through
from workbench.archive.fetch import fetch as fetch_into
from workbench.archive.holdings import Holding, holdings
from workbench.archive.records import is_miniseed
from workbench.archive.sdsreader import SdsReader
from workbench.archive.sources import opened
from workbench.archive.writer import Written
from workbench.cli import terminal
from workbench.errors import BadInput, Incomplete, InvalidSetting, NoData, UnreadableFile, WorkbenchError
from workbench.notices import Listener, Notice, listen, notice, progress
from workbench.settings import Settings
from workbench.wire.archives import LIMIT, unpack

__all__ = ["archive"]

_HEAD = 1 << 16

_root = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="The archive; by default your own, WORKBENCH_HOME_ARCHIVE (~/archive).",
)
_roots = click.option(
    "--root",
    "roots",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    metavar="FOLDER",
    help="An archive, may be repeated; by default the shared one (WORKBENCH_ARCHIVE) and your own"
    " (WORKBENCH_HOME_ARCHIVE).",
)
_strict = click.option("--strict", is_flag=True, help="Exit with 6 if anything was left out.")
_quiet = click.option("--quiet", is_flag=True, help="No progress, no summary; warnings still come.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def archive() -> None:
    """Waveform archives: add files, list and check what is there, fetch from data centres.

    An archive is a folder of day files (SDS), with StationXML in stations/ and
    QuakeML in events/.  Two are searched: the shared one, then your own.
    Nothing that is in an archive is ever changed or lost by these commands.
    """


@archive.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILES...")
@_root
@_strict
@_quiet
def add(files: tuple[Path, ...], root: Path | None, strict: bool, quiet: bool) -> None:
    """Add waveforms, StationXML and QuakeML; which is which is told by the content.

    FILES are files and folders, packed ones (zip, tar, gz) too.  miniSEED
    records are kept as they are, and only those that run over midnight are
    cut; other formats become miniSEED.  What is there already is not added
    twice; samples that differ from those at the same time are kept as well,
    and named.

    \b
    workbench archive add recordings/ station.xml
    workbench archive add *.sac --root /data/archive
    """  # noqa: D301
    target = Archive(root or Settings().home_archive)
    done, stations, events, failed = Written(), 0, 0, []
    paths = list(_files(files))
    with _listening(quiet):
        for number, path in enumerate(paths):
            progress(number / len(paths), path.name)
            try:
                for what in _contents(path):
                    if isinstance(what, Path | bytes) or wire.noun(what) == "Waveforms":
                        done.add(target.write(what))
                    elif wire.noun(what) == "Stations":
                        stations += len(target.stations.add(what))
                    else:
                        events += len(target.events.add(what))
            except (BadInput, NoData) as error:
                failed.append(error)
                notice(*_about(error, path))
    if len(failed) == len(paths):
        raise BadInput(f"{len(paths)} files", "could not be added", "The warnings above say why.")
    if not quiet:
        parts = [f"{done.samples} samples added" + (f" in {len(done.files)} files" if done.files else "")]
        parts += [f"{done.known} known already"] if done.known else []
        parts += [f"{done.conflicting} that contradict"] if done.conflicting else []
        parts += [f"{stations} stations"] if stations else []
        parts += [f"{events} events"] if events else []
        click.echo(f"{target.root}: {', '.join(parts)}", err=True)
    if strict and failed:
        raise Incomplete(f"{len(failed)} of {len(paths)} files", "were not added", "See the warnings above.")


@archive.command()
@click.argument("selection", required=False, metavar="[SELECTION]")
@_roots
@_json
def ls(selection: str | None, roots: tuple[Path, ...], as_json: bool) -> None:
    """List channels with their spans, samples and gaps.

    SELECTION is NET.STA.LOC.CHA, with or without @start/end; by default
    everything.  Only headers are read.

    \b
    workbench archive ls
    workbench archive ls 'IU.*.00.BH?@2018-01-01/2018-02-01'
    """  # noqa: D301
    chosen = Selection.parse(selection) if selection else Selection()
    start = None if chosen.starttime is None else chosen.starttime.ns
    end = None if chosen.endtime is None else chosen.endtime.ns
    rows: list[tuple[str, Holding]] = []
    searched = _archives(roots)
    with _listening(quiet=as_json):
        for one in searched:
            held = one.index.look(one.files(chosen), start, end, complete=chosen == Selection())
            found = [part for part in held.stretches if chosen.matches(part.id)]
            rows += [(one.place, row) for row in holdings(found, start, end)]
    if as_json:
        click.echo(json.dumps([_row(root, held) for root, held in rows], indent=2))
    if not rows:
        where = " and ".join(one.place for one in searched)
        raise NoData(selection or where, f"nothing of it in {where}", "Add files, or fetch.")
    if not as_json:
        header = ("channel", "from", "to", "Hz", "samples", "gaps", "overlaps", "archive")
        cells = [tuple(str(value) for value in _row(root, held).values()) for root, held in rows]
        _print_columns([header, *((*row[:3], row[3].strip("[]"), *row[4:]) for row in cells)])


@archive.command()
@click.argument("selection", required=False, metavar="[SELECTION]")
@_roots
@click.option("--quick", is_flag=True, help="Read headers only: no search for damaged samples.")
@click.option("--strict", is_flag=True, help="Exit with 6 if there are warnings.")
@_json
def check(selection: str | None, roots: tuple[Path, ...], quick: bool, strict: bool, as_json: bool) -> None:
    """Look for what is wrong.

    Errors: corrupt records, two versions of the same samples, files with a
    wrong name or day.  Warnings: channels without metadata or response,
    epochs that overlap.  Info: gaps, samples that are there twice, stations
    without data.

    Exit codes: 0 no errors, 3 nothing there, 4 errors, 6 warnings under --strict.
    """
    chosen = Selection.parse(selection) if selection else None
    found: list[tuple[str, Any]] = []
    searched = _archives(roots)
    some = False
    with _listening(quiet=as_json):
        for one in searched:
            if not isinstance(one, Archive):
                notice(one.place, "is only read here", "Check it where its files are.", loss=False)
                continue
            some |= bool(one.files(chosen or Selection()))
            found += [(one.place, item) for item in look_through(one, chosen, quick=quick)]
    if as_json:
        listed = [{"archive": root, **asdict(item)} for root, item in found]
        click.echo(json.dumps(listed, indent=2))
    else:
        for _, item in found:
            text = f"{item.severity}: {item.kind}: {item.subject}: {item.detail}"
            click.echo(f"{text}. {item.remedy}" if item.remedy else text)
    if not some and not found:
        where = " and ".join(one.place for one in searched)
        raise NoData(selection or where, f"nothing of it in {where}", "Add files, or fetch.")
    counts = {level: sum(item.severity == level for _, item in found) for level in ("error", "warning")}
    if counts["error"]:
        raise BadInput("the archive", f"has {counts['error']} errors", "They are listed above.")
    if strict and counts["warning"]:
        raise Incomplete("the archive", f"has {counts['warning']} warnings", "They are listed above.")


@archive.command()
@click.argument("selection", metavar="SELECTION")
@click.option("--from", "origin", required=True, metavar="NAME|URL|FOLDER", help="Where from: see above.")
@_root
@click.option("--again", is_flag=True, help="Ask again for what an earlier run has finished.")
@_strict
@_quiet
def fetch(selection: str, origin: str, root: Path | None, again: bool, strict: bool, quiet: bool) -> None:
    """Fetch waveforms, and StationXML with responses, into an archive.

    SELECTION is NET.STA.LOC.CHA@start/end.  --from takes a name that ObsPy
    knows (EARTHSCOPE, GEOFON, INGV, ORFEUS, ...), the URL of a server with
    FDSN web services, or the folder of another archive.

    A day of a station is asked for at a time, one request after the other,
    with pauses when the server is busy, and in halves when it finds a day too
    large.  Stopped or killed, the same command goes on where it was.

    \b
    workbench archive fetch 'IU.ANMO.00.BH?@2018-01-01/2018-02-01' --from EARTHSCOPE
    """  # noqa: D301
    target = Archive(root or Settings().home_archive)
    chosen = Selection.parse(selection)
    with _listening(quiet):
        done = fetch_into(target, chosen, _source(origin), again=again)
    if not quiet:
        text = f"{done.samples} samples added, {done.stations} stations"
        text += f", {done.known} samples known already" if done.known else ""
        text += f"; {done.earlier} of {done.chunks} requests were done before" if done.earlier else ""
        text += f"; {done.empty} found nothing" if done.empty else ""
        text += f"; {done.failed} failed" if done.failed else ""
        click.echo(f"{target.root}: {text}", err=True)
    if strict and done.failed:
        raise Incomplete(
            selection, f"{done.failed} of {done.chunks} requests failed", "Run the command again."
        )


@contextmanager
def _listening(quiet: bool) -> Iterator[Listener]:
    """Show progress to a person, and the notices at the end, whatever happens."""
    said: list[Notice] = []
    try:
        with (
            terminal.progress_bar(quiet) as show,
            listen(on_notice=said.append, on_progress=show) as heard,
        ):
            yield heard
    finally:
        terminal.say_notices(said)


def _source(origin: str) -> Source:
    if Path(origin).expanduser().is_dir():
        return Archive(origin)
    # The clients of data centres are slow to import, and the other commands do without.
    from workbench.archive import Fdsn

    return Fdsn(origin)


def _archives(roots: Iterable[Path]) -> list[SdsReader]:
    return [opened(root) for root in dict.fromkeys(tuple(roots) or Settings().archive_roots)]


def _files(given: Iterable[Path]) -> Iterator[Path]:
    """Go through files and what is in folders, but not what is hidden there."""
    for path in given:
        if path.is_dir():
            inside = (one for one in sorted(path.rglob("*")) if one.is_file())
            yield from (
                one for one in inside if not any(part[0] == "." for part in one.relative_to(path).parts)
            )
        elif path.exists():
            yield path
        else:
            raise InvalidSetting(str(path), "there is no such file", "Check the path.")


def _contents(path: Path) -> Iterator[Any]:
    """Go through what a file holds: a path or bytes if it is miniSEED, else objects."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if is_miniseed(head):
            yield path
            return
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            str(path), f"cannot be opened ({error.strerror})", "Check who may read it."
        ) from error
    for name, content in unpack(data, str(path), LIMIT):
        noun, form = wire.sniff(content, name)
        if (noun, form) == ("Waveforms", "MSEED"):
            yield content
        elif noun in ("Waveforms", "Stations", "Events"):
            yield wire.codec(noun).read(content, name, form)
        else:
            raise UnreadableFile(name, f"holds {noun}, which archives do not keep", "Leave it out.")


def _about(error: WorkbenchError, path: Path) -> tuple[str, str, str]:
    subject = error.subject if str(path) in error.subject else f"{path}: {error.subject}"
    return subject, error.problem, error.remedy


def _row(place: str, held: Holding) -> dict[str, Any]:
    return {
        "channel": held.id,
        "from": str(UTCDateTime(ns=held.start)),
        "to": str(UTCDateTime(ns=held.end)),
        "sampling_rate_hz": list(held.rates),
        "samples": held.samples,
        "gaps": held.gaps,
        "overlaps": held.overlaps,
        "archive": place,
    }


def _print_columns(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if 3 <= k <= 6 else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())
