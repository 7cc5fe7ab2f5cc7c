"""Reading: from a selection to samples, by way of the index and no further records than needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from obspy import UTCDateTime

from workbench.archive.chains import join
from workbench.archive.index import Held, Index
from workbench.archive.layout import DayFile, day_of
from workbench.archive.records import Fault, Scan, scan
from workbench.archive.runs import Run, from_records, trim
from workbench.archive.samples import Decoded, decode
from workbench.archive.stretches import Stretch, digest
from workbench.archive.trees import Tree
from workbench.errors import UnreadableFile
from workbench.notices import notice

__all__ = [
    "Taken",
    "fingerprints",
    "name_bad",
    "name_faults",
    "ranges",
    "read_records",
    "read_runs",
    "take",
]


@dataclass(frozen=True, slots=True)
class Taken:
    """Records of a file that lie in a time span, and the bytes that hold them."""

    path: str
    buffer: bytes
    scan: Scan
    """With offsets into the buffer."""


def read_runs(
    index: Index, files: Sequence[DayFile], start: int, end: int, ids: Iterable[str] | None = None
) -> list[Run]:
    """Return the samples of the files from `start` to `end` (ns, both included).

    Parameters
    ----------
    index : Index
    files : sequence of DayFile
    start, end : int
    ids : iterable of str, optional
        SEED ids to keep; by default those that the files are named after.

    Returns
    -------
    list of Run
        Sorted by channel and time; joined as far as their samples agree.
    """
    wanted = {file.id for file in files} if ids is None else set(ids)
    runs: list[Run] = []
    held = index.look(files, start, end)
    for taken in take(index, files, held, start, end, wanted):
        decoded = decode(taken.buffer, taken.scan.records)
        name_bad(index.tree, taken.path, taken.scan, decoded)
        runs += from_records(taken.scan, decoded)
    days = {file.path for file in files if day_of(start) <= file.day <= day_of(end)}
    name_faults(index.tree, [fault for fault in held.faults if fault[0] in days])
    found = (trim(run, start, end) for run in join(runs))
    return [run for run in found if run is not None]


def read_records(index: Index, files: Sequence[DayFile], start: int, end: int) -> bytes:
    """Return the whole records that hold the samples from `start` to `end`, each once."""
    wanted = {file.id for file in files}
    found: list[tuple[str, int, bytes]] = []
    for taken in take(index, files, index.look(files, start, end), start, end, wanted):
        for row in taken.scan.records:
            begin = int(row["offset"])
            raw = taken.buffer[begin : begin + int(row["length"])]
            found.append((taken.scan.ids[int(row["channel"])], int(row["start"]), raw))
    seen: set[bytes] = set()
    out = []
    for _, _, raw in sorted(found, key=lambda item: item[:2]):
        if raw[8:] not in seen:
            seen.add(raw[8:])
            out.append(raw)
    return b"".join(out)


def take(
    index: Index, files: Sequence[DayFile], held: Held, start: int, end: int, wanted: set[str]
) -> Iterator[Taken]:
    """Read those records that lie in a time span, file by file.

    Parameters
    ----------
    index : Index
    files : sequence of DayFile
    held : Held
        What the index says about them.
    start, end : int
    wanted : set of str
        SEED ids.
    """
    for path, group in groupby(held.stretches, key=lambda one: one.path):
        some = [one for one in group if one.id in wanted]
        try:
            parts = index.tree.ranges(path, held.status[path], ranges(some)) if some else []
            if parts is None:
                # Another version of the file is there now.  However fast it changes, what
                # one opening of it shows belongs together.
                whole = index.tree.read(path)
                parts = [] if whole is None else [whole]
        except UnreadableFile as error:
            # As in the index: one file costs one file.
            notice(error.subject, error.problem, error.remedy)
            continue
        for buffer in parts:
            headers = scan(buffer)
            rows = headers.records
            channels = [k for k, seed_id in enumerate(headers.ids) if seed_id in wanted]
            inside = (np.minimum(rows["start"], rows["end"]) <= end) & (rows["end"] >= start)
            inside &= np.isin(rows["channel"], channels) & (rows["n"] > 0) & (rows["rate"] > 0)
            if inside.any():
                yield Taken(path, buffer, Scan(headers.ids, rows if inside.all() else rows[inside], []))


def fingerprints(tree: Tree, held: Held, found: Sequence[Stretch]) -> list[Stretch] | None:
    """Return those stretches that have good samples, with their fingerprints.

    None if a file is not the one of the index any more.
    """
    done = []
    for path, group in groupby(found, key=lambda one: one.path):
        some = list(group)
        parts = tree.ranges(path, held.status[path], [(one.offset, one.length) for one in some])
        if parts is None:
            return None
        for one, buffer in zip(some, parts, strict=True):
            samples = [part for part in decode(buffer, scan(buffer).records).samples if len(part)]
            if samples:
                name = digest(one.id, one.start, one.rate, np.concatenate(samples))
                done.append(replace(one, fingerprint=name))
    return done


def ranges(some: list[Stretch]) -> list[tuple[int, int]]:
    """Return where stretches lie in their file (offset, length), neighbours together."""
    found: list[tuple[int, int]] = []
    for one in some:
        if found and sum(found[-1]) == one.offset:
            found[-1] = found[-1][0], found[-1][1] + one.length
        else:
            found.append((one.offset, one.length))
    return found


def name_bad(tree: Tree, path: str, found: Scan, decoded: Decoded) -> None:
    """Say which records could not be decoded."""
    for k, problem in decoded.bad.items():
        row = found.records[k]
        notice(
            f"{found.ids[int(row['channel'])]} {UTCDateTime(ns=int(row['start']))}",
            f"{problem} ({tree.full(path)})",
            "The record is left out; get it again from where it came.",
        )


def name_faults(tree: Tree, found: list[tuple[str, Fault]]) -> None:
    """Say which files have bytes that are no records."""
    for path, group in groupby(found, key=lambda item: item[0]):
        faults = [fault for _, fault in group]
        lost = sum(fault.length for fault in faults)
        notice(
            tree.full(path),
            f"{lost} bytes cannot be read, from byte {faults[0].offset} on: {faults[0].problem}",
            "The rest is read; 'workbench archive check' names each place.",
        )
