"""Bundles: records and samples sorted into the day files that they belong to."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from obspy import UTCDateTime

from workbench.archive.layout import DAY_NS, check_id, day_of, place
from workbench.archive.midnights import cut_days
from workbench.archive.records import scan
from workbench.archive.runs import Form, Run, of_record
from workbench.archive.samples import decode, encode
from workbench.errors import BadInput, WorkbenchError

__all__ = ["Bundle", "Record", "bundles", "pack"]

_CORRECTED, _LEAPS = 0x02, 0x30
"""Activity flags: the time correction is in the start; a leap second passes."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is, and its samples unless it has none."""

    start: int
    raw: bytes
    run: Run | None


@dataclass(slots=True)
class Bundle:
    """What goes into one day file: records as they are, and samples still to be packed."""

    id: str
    records: list[Record] = field(default_factory=list)
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
            found.setdefault(path, Bundle(seed_id)).records.append(Record(start, raw, None))
            continue
        if k in decoded.bad:
            subject = f"{seed_id} {UTCDateTime(ns=start)}"
            problems.append(BadInput(subject, decoded.bad[k], "The record is left out; get it again."))
            continue
        run = of_record(seed_id, row, decoded.samples[k])
        days = list(cut_days(run))
        for day, part in days:
            pieces = [Record(start, raw, run)] if len(days) == 1 else _cut(raw, part)
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


def pack(run: Run) -> bytes:
    """Put a run into records of its own form."""
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


def _cut(raw: bytes, part: Run) -> list[Record]:
    """Return the records of one side of a record that is cut at midnight, with its flags."""
    made = pack(part)
    pieces: list[Record] = []
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
        pieces.append(Record(int(row["start"]), bytes(one), of_record(part.id, whole.records[0], samples)))
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
