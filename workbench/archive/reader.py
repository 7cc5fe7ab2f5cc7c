"""Reading: from a selection to samples, by way of the index and no further records than needed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.archive.files import trouble
from workbench.archive.index import Index
from workbench.archive.layout import DayFile, day_of
from workbench.archive.records import Scan, scan
from workbench.archive.runs import Run, from_records, join, trim
from workbench.archive.samples import decode
from workbench.archive.stretches import Stretch, digest
from workbench.errors import Unavailable
from workbench.notices import notice

__all__ = ["Taken", "fingerprints", "read_records", "read_runs", "take"]

_TRIES = 5


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
    for taken in take(index, files, start, end, wanted):
        decoded = decode(taken.buffer, taken.scan.records)
        for k, problem in decoded.bad.items():
            row = taken.scan.records[k]
            notice(
                f"{taken.scan.ids[int(row['channel'])]} {UTCDateTime(ns=int(row['start']))}",
                f"{problem} ({index.root / taken.path})",
                "The record is left out; get it again from where it came.",
            )
        runs += from_records(taken.scan, decoded)
    _name_faults(index, files, start, end)
    found = (trim(run, start, end) for run in join(runs))
    return [run for run in found if run is not None]


def read_records(index: Index, files: Sequence[DayFile], start: int, end: int) -> bytes:
    """Return the whole records that hold the samples from `start` to `end`, each once."""
    wanted = {file.id for file in files}
    found: list[tuple[str, int, bytes]] = []
    for taken in take(index, files, start, end, wanted):
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


def take(index: Index, files: Sequence[DayFile], start: int, end: int, wanted: set[str]) -> Iterator[Taken]:
    """Read those records that lie in a time span, file by file.

    Raises
    ------
    Unavailable
        If a file changes faster than it can be read.
    """
    index.refresh(files)
    places = {file.path: file for file in files}
    found = index.stretches(files, start, end)
    for path, group in groupby(found, key=lambda one: one.path):
        some = list(group)
        for _ in range(_TRIES):
            parts = _read_file(index, path, [one for one in some if one.id in wanted])
            if parts is not None:
                break
            # Another version of the file is there now.
            status = _status(index.root / path)
            if status is None:
                parts = []
                break
            file = replace(
                places[path], size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino
            )
            index.refresh([file])
            some = index.stretches([file], start, end)
        else:
            raise Unavailable(
                str(index.root / path),
                f"has changed {_TRIES} times while it was read",
                "Try again when its writer has finished.",
            )
        for buffer in parts or []:
            headers = scan(buffer)
            rows = headers.records
            channels = [k for k, seed_id in enumerate(headers.ids) if seed_id in wanted]
            inside = (np.minimum(rows["start"], rows["end"]) <= end) & (rows["end"] >= start)
            inside &= np.isin(rows["channel"], channels) & (rows["n"] > 0) & (rows["rate"] > 0)
            if inside.any():
                yield Taken(path, buffer, Scan(headers.ids, rows[inside], []))


def fingerprints(root: Path, found: Sequence[Stretch]) -> list[Stretch]:
    """Return those stretches that have good samples, with their fingerprints."""
    done = []
    for path, group in groupby(found, key=lambda one: one.path):
        try:
            with (root / path).open("rb") as file:
                for one in group:
                    file.seek(one.offset)
                    buffer = file.read(one.length)
                    decoded = decode(buffer, scan(buffer).records)
                    samples = [part for part in decoded.samples if len(part)]
                    if samples:
                        name = digest(one.id, one.start, one.rate, np.concatenate(samples))
                        done.append(replace(one, fingerprint=name))
        except OSError as error:
            raise trouble(root / path, error) from error
    return done


def _read_file(index: Index, path: str, some: list[Stretch]) -> list[bytes] | None:
    """Return the bytes of stretches, neighbours together, or None if the file is not the one indexed."""
    if not some:
        return []
    try:
        with (index.root / path).open("rb") as file:
            if not index.unchanged(path, os.fstat(file.fileno())):
                return None
            parts = []
            for offset, length in _ranges(some):
                file.seek(offset)
                part = file.read(length)
                if len(part) < length:
                    return None
                parts.append(part)
            return parts
    except FileNotFoundError:
        return None
    except OSError as error:
        raise trouble(index.root / path, error) from error


def _ranges(some: list[Stretch]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for one in some:
        if ranges and sum(ranges[-1]) == one.offset:
            ranges[-1] = ranges[-1][0], ranges[-1][1] + one.length
        else:
            ranges.append((one.offset, one.length))
    return ranges


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _name_faults(index: Index, files: Sequence[DayFile], start: int, end: int) -> None:
    """Say which files of these days have bytes that are no records."""
    days = [file for file in files if day_of(start) <= file.day <= day_of(end)]
    for path, group in groupby(index.faults(days), key=lambda item: item[0]):
        faults = [fault for _, fault in group]
        lost: npt.NDArray[np.int64] = np.array([fault.length for fault in faults])
        notice(
            str(index.root / path),
            f"{int(lost.sum())} bytes cannot be read, from byte {faults[0].offset} on: {faults[0].problem}",
            "The rest is read; 'workbench archive check' names each place.",
        )
