"""What is wrong with an archive, and what is merely worth knowing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from obspy import Inventory, UTCDateTime

from workbench.archive.holdings import Break, Holding, breaks, holdings
from workbench.archive.index import Held
from workbench.archive.layout import DAY_NS, DayFile, parse
from workbench.archive.reader import read_runs, take
from workbench.archive.runs import Run
from workbench.archive.samples import decode
from workbench.archive.sds import Archive
from workbench.archive.selection import Selection
from workbench.archive.stations import overlapping
from workbench.archive.stretches import Stretch
from workbench.notices import listen, progress

__all__ = ["Finding", "Severity", "check"]

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes
    ----------
    severity : str
        ``error``: samples are lost, wrong or out of reach.  ``warning``:
        something is missing that work with the data needs.  ``info``: how the
        data are, such as a gap.
    kind : str
        corrupt, conflict, misplaced, no metadata, gap, overlap and so on.
    subject : str
        The channel or file.
    detail : str
        What is found, with times.
    remedy : str
        What to do.
    """

    severity: Severity
    kind: str
    subject: str
    detail: str
    remedy: str = ""


def check(archive: Archive, selection: Selection | None = None, *, quick: bool = False) -> list[Finding]:
    """Look through an archive.

    Parameters
    ----------
    archive : Archive
    selection : Selection, optional
        By default everything.
    quick : bool
        Read headers only: damaged samples are not found, and overlaps are not compared.

    Returns
    -------
    list of Finding
        The gravest first, then by kind and subject.
    """
    chosen = selection or Selection()
    files = archive.files(chosen)
    held = archive.index.look(files, complete=selection is None)
    within = [one for one in held.stretches if chosen.matches(one.id)]
    results: list[Finding] = []
    if selection is None:
        results += _strangers(archive)
    results += _faults(held)
    results += _misplaced(archive, files, held.stretches)
    if not quick:
        results += _damaged(archive, files, held)
    results += _breaks(archive, files, breaks(within), quick=quick)
    results += _metadata(archive, chosen, holdings(within))
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(results, key=lambda one: (order[one.severity], one.kind, one.subject, one.detail))


def _strangers(archive: Archive) -> Iterator[Finding]:
    """Files in the tree of the years that no reader will find."""
    for year in sorted(archive.root.glob("[12][0-9][0-9][0-9]")):
        for folder, _, names in os.walk(year):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), archive.root)  # noqa: PTH118
                if name.startswith(".") and name.endswith(".part"):
                    yield Finding("info", "left over", path, "a write was interrupted; nothing is lost")
                elif parse(path) is None:
                    yield Finding(
                        "error",
                        "misplaced",
                        path,
                        "is not named as SDS asks, and is not read",
                        "Add it with 'workbench archive add', then delete it here.",
                    )


def _faults(held: Held) -> Iterator[Finding]:
    for path, fault in held.faults:
        yield Finding(
            "error",
            "corrupt",
            path,
            f"bytes {fault.offset} to {fault.offset + fault.length - 1}: {fault.problem}",
            "Fetch the day again; the good records around are read.",
        )


def _misplaced(archive: Archive, files: Sequence[DayFile], found: Sequence[Stretch]) -> Iterator[Finding]:
    named = {file.path: file for file in files}
    for path, group in groupby(found, key=lambda one: one.path):
        file, parts = named[path], list(group)
        remedy = f"Run 'workbench archive add {archive.root / path}', then move the file away."
        others = sorted({one.id for one in parts} - {file.id})
        if others:
            yield Finding(
                "error",
                "misplaced",
                path,
                f"holds records of {', '.join(others)}, which are not read",
                remedy,
            )
        first, last = file.day * DAY_NS, (file.day + 1) * DAY_NS
        own = [one for one in parts if one.id == file.id]
        wrong = [one for one in own if one.end < first or one.start >= last]
        if wrong:
            # Readers look one day around, as other programs leave records where they begin.
            far = any(one.end < first - DAY_NS or one.start >= last + DAY_NS for one in wrong)
            yield Finding(
                "error" if far else "warning",
                "misplaced",
                path,
                f"holds records of another day, from {_time(wrong[0].start)} on",
                remedy,
            )


def _damaged(archive: Archive, files: Sequence[DayFile], held: Held) -> Iterator[Finding]:
    """Decode everything, file by file."""
    ids = {one.id for one in held.stretches}
    paths = [file.path for file in files]
    for taken in take(archive.index, files, held, -(2**62), 2**62, ids):
        progress(paths.index(taken.path) / len(paths), taken.path)
        for place, problem in decode(taken.buffer, taken.scan.records).bad.items():
            row = taken.scan.records[place]
            yield Finding(
                "error",
                "corrupt",
                taken.path,
                f"the record from {_time(int(row['start']))}: {problem}",
                "Fetch the day again; the good records around are read.",
            )


def _breaks(
    archive: Archive, files: Sequence[DayFile], found: Sequence[Break], *, quick: bool
) -> Iterator[Finding]:
    for one in found:
        span = f"{_time(one.start)} to {_time(one.end)}"
        if one.kind == "gap":
            yield Finding("info", "gap", one.id, f"{one.samples} samples are missing, {span}")
            continue
        clashes = 0 if quick else _clashes(archive, files, one)
        if clashes:
            yield Finding(
                "error",
                "conflict",
                one.id,
                f"two versions of {clashes} samples, {span}",
                "Decide which is right and move the records of the other away.",
            )
        else:
            yield Finding("info", "overlap", one.id, f"{one.samples} samples are there twice, {span}")


def _clashes(archive: Archive, files: Sequence[DayFile], one: Break) -> int:
    near = [
        file
        for file in files
        if file.id == one.id and one.start // DAY_NS - 1 <= file.day <= one.end // DAY_NS + 1
    ]
    with listen():  # damaged records are findings of their own
        runs = read_runs(archive.index, near, one.start, one.end)
    return sum(_shared(a, b) for k, a in enumerate(runs) for b in runs[k + 1 :])


def _shared(a: Run, b: Run) -> int:
    if a.leap or b.leap:
        return 0
    inside = min(a.last, b.last) - max(a.start, b.start)
    return max(0, int(inside / b.step) + 1) if inside >= 0 else 0


def _metadata(archive: Archive, selection: Selection, held: Iterable[Holding]) -> Iterator[Finding]:
    stations = Selection(selection.network, selection.station)
    with listen() as heard:
        inventory = archive.stations.get(stations)
    for said in heard.notices:
        yield Finding("error", "corrupt", said.subject, said.problem, said.remedy)
    epochs = _epochs(inventory)
    known = {".".join(code.split(".")[:2]) for code in epochs} | {
        f"{network.code}.{station.code}" for network in inventory for station in network
    }
    with_data = set()
    for one in held:
        station = ".".join(one.id.split(".")[:2])
        with_data.add(station)
        remedy = f"Add its StationXML, or 'workbench archive fetch {one.id}@...'."
        spans = epochs.get(one.id, [])
        if station not in known:
            yield Finding("warning", "no metadata", one.id, "the station has no StationXML", remedy)
        elif not spans:
            yield Finding("warning", "no metadata", one.id, "its StationXML lacks the channel", remedy)
        elif not _covered(one, spans):
            yield Finding(
                "warning",
                "no metadata",
                one.id,
                f"no epoch covers all of {_time(one.start)} to {_time(one.end)}",
                remedy,
            )
        elif not all(response for _, _, response in spans):
            yield Finding("warning", "no response", one.id, "an epoch has no instrument response", remedy)
    for code in overlapping(inventory):
        yield Finding(
            "warning", "epochs", code, "two epochs at one time", "Close the older one in its StationXML."
        )
    for station in sorted(known - with_data):
        yield Finding("info", "no data", station, "has StationXML and no waveforms")


def _epochs(inventory: Inventory) -> dict[str, list[tuple[int, int, bool]]]:
    found: dict[str, list[tuple[int, int, bool]]] = {}
    for network in inventory:
        for station in network:
            for channel in station:
                code = f"{network.code}.{station.code}.{channel.location_code}.{channel.code}"
                start = channel.start_date.ns if channel.start_date else -(2**63)
                end = channel.end_date.ns if channel.end_date else 2**63
                found.setdefault(code, []).append((start, end, channel.response is not None))
    return found


def _covered(one: Holding, spans: list[tuple[int, int, bool]]) -> bool:
    at = one.start
    for start, end, _ in sorted(spans):
        # Epochs end a second, or the fraction of one, before the next begins.
        if start <= at + 1_000_000_000:
            at = max(at, end)
    return at >= one.end


def _time(time_ns: int) -> str:
    return str(UTCDateTime(ns=time_ns))
