"""Day files that grow: what is new is added, what is there stays, byte by byte.

Records that come from a file are kept as they are, and only one that runs
over midnight is cut there.  A record whose samples are all there already is
left out.  Samples that differ from those at the same time are kept as well:
which are right is for a person to say, and ``workbench archive check`` names
them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.archive.coverage import Coverage, parts
from workbench.archive.files import lock, replace_file, trouble
from workbench.archive.layout import DAY_NS, check_id, day_of, place
from workbench.archive.records import Scan, scan
from workbench.archive.runs import Form, Run, cut_days, of_record
from workbench.archive.samples import decode, encode
from workbench.errors import BadInput, WorkbenchError

__all__ = ["Bundle", "Written", "bundles", "write"]

_CORRECTED, _LEAPS = 0x02, 0x30
"""Activity flags: the time correction is in the start; a leap second passes."""


@dataclass(slots=True)
class Written:
    """What was done.

    Attributes
    ----------
    files : list of str
        Day files that changed, below the root.
    samples : int
        Samples added.
    known : int
        Samples that were there already.
    conflicts : list of (str, int, int)
        Channel, time (ns) and number of samples that differ from others of their time.
    """

    files: list[str] = field(default_factory=list)
    samples: int = 0
    known: int = 0
    conflicts: list[tuple[str, int, int]] = field(default_factory=list)

    @property
    def conflicting(self) -> int:
        """Samples added that differ from others of their time."""
        return sum(number for _, _, number in self.conflicts)

    def add(self, other: Written) -> None:
        """Count in what another write did."""
        self.files = sorted({*self.files, *other.files})
        self.samples += other.samples
        self.known += other.known
        self.conflicts += other.conflicts


@dataclass(frozen=True, slots=True)
class _Record:
    """A record as it is, and its samples unless it has none."""

    start: int
    raw: bytes
    run: Run | None


@dataclass(slots=True)
class Bundle:
    """What goes into one day file: records as they are, and samples still to be packed."""

    id: str
    records: list[_Record] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


def bundles(
    buffer: bytes, runs: Iterable[Run] = (), *, offset: int = 0
) -> tuple[dict[str, Bundle], list[WorkbenchError]]:
    """Sort records and runs into day files.

    Parameters
    ----------
    buffer : bytes
        miniSEED, possibly none.
    runs : iterable of Run
    offset : int
        Where the buffer lies in its file.

    Returns
    -------
    dict
        A bundle for each path below the root.
    problems : list of WorkbenchError
        What was left out.
    """
    found: dict[str, Bundle] = {}
    into: dict[tuple[str, int], Bundle] = {}
    problems: list[WorkbenchError] = []
    whole = scan(buffer)
    refused: set[str] = set()
    for seed_id in whole.ids:
        try:
            check_id(seed_id)
        except BadInput as error:
            problems.append(error)
            refused.add(seed_id)
    decoded = decode(buffer, whole.records)
    for k, row in enumerate(whole.records):
        seed_id = whole.ids[int(row["channel"])]
        if seed_id in refused:
            continue
        start = int(row["start"])
        raw = buffer[int(row["offset"]) : int(row["offset"]) + int(row["length"])]
        if row["n"] == 0 or row["rate"] <= 0 or row["encoding"] == 0:
            path = place(seed_id, day_of(start), "D" if row["n"] == 0 else "L")
            found.setdefault(path, Bundle(seed_id)).records.append(_Record(start, raw, None))
            continue
        if k in decoded.bad:
            subject = f"{seed_id} {UTCDateTime(ns=start)}"
            problems.append(BadInput(subject, decoded.bad[k], "The record is left out; get it again."))
            continue
        run = of_record(seed_id, row, decoded.samples[k])
        days = list(cut_days(run))
        for day, part in days:
            pieces = [_Record(start, raw, run)] if len(days) == 1 else _cut(raw, part)
            bundle = into.get((seed_id, day))
            if bundle is None:
                bundle = into[seed_id, day] = found.setdefault(place(seed_id, day), Bundle(seed_id))
            bundle.records += pieces
    for run in runs:
        for day, part in cut_days(run):
            found.setdefault(place(run.id, day), Bundle(run.id)).runs.append(part)
    problems += [
        BadInput(f"byte {offset + fault.offset}", fault.problem, "It is left out; get the data again.")
        for fault in whole.faults
    ]
    return found, problems


def write(root: Path, locks: Path, day_bundles: dict[str, Bundle]) -> Written:
    """Put bundles into the archive, a station at a time under its lock."""
    done = Written()
    stations: dict[str, list[str]] = {}
    for path in sorted(day_bundles):
        station = ".".join(day_bundles[path].id.split(".")[:2])
        stations.setdefault(station, []).append(path)
    for station, paths in stations.items():
        with lock(locks / f"{station}.lock", station):
            for path in paths:
                done.add(_write_day(root, path, day_bundles[path]))
    return done


def _write_day(root: Path, path: str, bundle: Bundle) -> Written:
    try:
        old = (root / path).read_bytes() if (root / path).exists() else b""
    except OSError as error:
        raise trouble(root / path, error) from error
    there = scan(old)
    rows = there.records
    known = {
        old[int(offset) + 8 : int(offset + length)]
        for offset, length in zip(rows["offset"], rows["length"], strict=True)
    }
    done = Written()
    fresh: list[_Record] = []
    for record in bundle.records:
        if record.raw[8:] in known:
            done.known += len(record.run.data) if record.run else 0
        else:
            known.add(record.raw[8:])
            fresh.append(record)
    present = Coverage(_overlapped(old, there, bundle, fresh))
    added: list[tuple[int, bytes]] = []
    for record in sorted(fresh, key=lambda item: item.start):
        if record.run is not None:
            covered, differs = present.compare(record.run)
            if covered.all():
                done.known += len(covered)
                continue
            _count(done, record.run, covered, differs)
            present.add(record.run)
        added.append((record.start, record.raw))
    for run in sorted(bundle.runs, key=lambda run: run.start):
        covered, differs = present.compare(run)
        _count(done, run, covered, differs)
        for part in parts(run, ~covered):
            present.add(part)
            added.append((part.start, _encode(part)))
    if added:
        # Behind the last good record: a record that was cut off stays the last thing in the file.
        end = int((rows["offset"] + rows["length"]).max(initial=0))
        body = b"".join(raw for _, raw in sorted(added, key=lambda item: item[0]))
        replace_file(root / path, old[:end] + body + old[end:])
        done.files.append(path)
    return done


def _count(done: Written, run: Run, covered: npt.NDArray[np.bool_], differs: npt.NDArray[np.bool_]) -> None:
    done.known += int(covered.sum())
    done.samples += int((~covered).sum())
    if differs.any():
        done.conflicts.append((run.id, run.time_of(int(np.argmax(differs))), int(differs.sum())))


def _overlapped(old: bytes, there: Scan, bundle: Bundle, fresh: list[_Record]) -> list[Run]:
    """Return the archived records that lie in the time of the new ones, each a run."""
    coming = [record.run for record in fresh if record.run is not None] + bundle.runs
    if not coming or bundle.id not in there.ids:
        return []
    first, last = min(run.start for run in coming), max(run.last for run in coming)
    rows = there.records
    near = (
        (rows["channel"] == there.ids.index(bundle.id))
        & (rows["n"] > 0)
        & (rows["rate"] > 0)
        & (rows["start"] <= last)
        # A leap second's samples are numbered after the end that stands here.
        & (rows["end"] + np.where(rows["leap"], 1_000_000_000, 0) >= first)
    )
    chosen = rows[near]
    samples = decode(old, chosen).samples
    return [of_record(bundle.id, row, part) for row, part in zip(chosen, samples, strict=True) if len(part)]


def _encode(run: Run) -> bytes:
    form = run.form or Form()
    return encode(
        run.id,
        run.start,
        run.rate,
        run.data,
        encoding=form.encoding,
        record_length=max(form.record_length, 256),
        quality=form.quality,
        big=form.big,
        timing=form.timing,
    )


def _cut(raw: bytes, part: Run) -> list[_Record]:
    """Return the records of one side of a record that is cut at midnight, with its flags."""
    made = _encode(part)
    pieces: list[_Record] = []
    for row in scan(made).records:
        one = bytearray(made[int(row["offset"]) : int(row["offset"]) + int(row["length"])])
        one[0:6] = raw[0:6]
        # Times are computed, corrections included; the leap second is near one side only.
        one[36] = raw[36] & ~(_CORRECTED | _LEAPS)
        one[37:39] = raw[37:39]
        if part.leap:
            _mark_leap(one, row, part)
        whole = scan(bytes(one))
        (samples,) = decode(bytes(one), whole.records).samples
        pieces.append(_Record(int(row["start"]), bytes(one), of_record(part.id, whole.records[0], samples)))
    return pieces


def _mark_leap(one: bytearray, row: np.void, part: Run) -> None:
    """Write the leap second into a record: the number 60, or the flag that it passes."""
    midnight = part.last // DAY_NS * DAY_NS
    if row["start"] < midnight:
        one[36] |= _LEAPS & 0x10 if row["end"] >= midnight else 0
        return
    eve = UTCDateTime(ns=midnight - DAY_NS)
    struct.pack_into(
        ">HHBBB" if part.form is None or part.form.big else "<HHBBB",
        one,
        20,
        eve.year,
        eve.julday,
        23,
        59,
        60,
    )
