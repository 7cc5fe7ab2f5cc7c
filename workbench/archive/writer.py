"""Day files that grow: what is new is added, what is there stays, byte by byte.

Records that come from a file are kept as they are, and only one that runs
over midnight is cut there.  A record whose samples are all there already is
left out.  Samples that differ from those at the same time are kept as well:
which are right is for a person to say, and ``workbench archive check`` names
them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.archive.bundles import Bundle, Record, pack
from workbench.archive.coverage import Coverage, parts
from workbench.archive.files import lock, replace_file, trouble
from workbench.archive.records import Scan, scan
from workbench.archive.runs import Run, of_record
from workbench.archive.samples import decode

__all__ = ["Written", "write"]


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
    fresh: list[Record] = []
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
            added.append((part.start, pack(part)))
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


def _overlapped(old: bytes, there: Scan, bundle: Bundle, fresh: list[Record]) -> list[Run]:
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
