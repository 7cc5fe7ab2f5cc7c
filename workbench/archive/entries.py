"""Entries: what the headers of a file become in the index."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from workbench.archive import stretches
from workbench.archive.layout import parse
from workbench.archive.packed import pack
from workbench.archive.records import Fault
from workbench.archive.spans import Row, successions
from workbench.archive.trees import Headers, Status

__all__ = ["Entry", "entry", "keep"]

_FILE = """
INSERT INTO file (path, size, mtime_ns, inode, settled, spans) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
    size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode, settled = excluded.settled,
    spans = excluded.spans
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, as the index keeps it.

    Attributes
    ----------
    status : Status
    settled : bool
        Whether another content would have another status.
    stretches : list of list
        As `workbench.archive.stretches.columns` returns them.
    spans : list of Row
    faults : list of Fault
    """

    status: Status
    settled: bool
    stretches: list[list[Any]]
    spans: list[Row]
    faults: list[Fault]


def entry(headers: Headers) -> Entry:
    """Return what the index keeps of the headers of a file: some rows for thousands of records."""
    scan = headers.scan
    return Entry(headers.status, headers.settled, stretches.columns(scan), successions(scan), scan.faults)


def keep(base: sqlite3.Connection, fresh: list[tuple[str, Entry | None]]) -> None:
    """Put entries in the place of those that were there; None for files that are gone."""
    paths = [path for path, _ in fresh]
    marks = ",".join("?" * len(paths))
    for table in ("stretch", "fault"):
        base.execute(
            f"DELETE FROM {table} WHERE file IN (SELECT id FROM file WHERE path IN ({marks}))",  # noqa: S608
            paths,
        )
    base.executemany("DELETE FROM file WHERE path = ?", [(path,) for path, found in fresh if found is None])
    # The number stays the file's: somebody may just have asked for it.
    numbered = [
        (
            base.execute(_FILE, (path, *found.status, int(found.settled), _own(path, found))).fetchone()[0],
            found,
        )
        for path, found in fresh
        if found is not None
    ]
    for number, found in numbered:
        base.executemany(
            "INSERT INTO stretch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            # It ends with the stretches, as the number does not.
            zip(repeat(number), *found.stretches, strict=False),
        )
    base.executemany(
        "INSERT INTO fault VALUES (?, ?, ?, ?)",
        [(number, one.offset, one.length, one.problem) for number, found in numbered for one in found.faults],
    )


def _own(path: str, found: Entry) -> bytes:
    """Return the spans of the channel that a file is named after, packed."""
    named = parse(path)
    return pack(row for row in found.spans if named is not None and row.id == named[0])
