"""Extents: when the channels of a selection have data, in which files, and how much of it.

What planning needs: read from the index channel by channel, so that an archive
of any size passes through a few megabytes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.archive.index import Index
from workbench.archive.layout import DayFile, day_of

__all__ = ["COLUMNS", "Extents", "Holds"]

COLUMNS = ("start", "end", "samples", "length", "offset", "file")
"""Times of the first and the last sample (ns), samples, bytes, place in the file, number of the file."""

_NEVER = 2**62
_TOGETHER = 500
_ROWS = """
SELECT start, "end", n, length, offset, file FROM stretch
WHERE file IN ({}) AND id = ? AND start <= ? AND "end" >= ?
"""


@dataclass(frozen=True, eq=False, slots=True)
class Extents:
    """Stretches of records of one channel.

    Attributes
    ----------
    rows : ndarray of int64, shape (n_stretches, 6)
        Columns as `COLUMNS`.
    files : list of DayFile
        By the number in the last column.
    """

    rows: npt.NDArray[np.int64]
    files: list[DayFile]


class Holds:
    """What an index knows of some files, brought up to date once, when it is made.

    Parameters
    ----------
    index : Index
    files : sequence of DayFile
        As the archive lists them now.
    """

    def __init__(self, index: Index, files: Sequence[DayFile]) -> None:
        self._index = index
        # A span that nothing lies in: the headers of new files are read, and nothing is returned.
        index.look(files, _NEVER, _NEVER)
        paths = [file.path for file in files]
        # Not of all that are in the index: a day of one channel must not cost what all years of all do.
        numbers: dict[str, int] = index._run(lambda base: _numbers(base, paths)) if files else {}
        self._named: dict[str, list[tuple[int, DayFile]]] = {}
        for file in files:
            # What could not be read is not in the index.
            if file.path in numbers:
                self._named.setdefault(file.id, []).append((numbers[file.path], file))

    @property
    def ids(self) -> list[str]:
        """SEED ids that files are named after, sorted."""
        return sorted(self._named)

    def days(self, ids: Iterable[str]) -> list[int]:
        """Return the days, counted from 1970, that some channels have files of."""
        return [file.day for seed_id in ids for _, file in self._named.get(seed_id, ())]

    def channels(self, ids: Sequence[str], start: int, end: int) -> list[Extents]:
        """Return what there is of each channel from `start` to `end` (ns, both included)."""
        # A record lies in the file of the day in which it begins, whose name may differ by one.
        first, last = day_of(start) - 1, day_of(end) + 1
        chosen = [
            [(number, file) for number, file in self._named.get(seed_id, ()) if first <= file.day <= last]
            for seed_id in ids
        ]

        def read(base: sqlite3.Connection) -> list[Extents]:
            return [
                _extents(base, seed_id, held, start, end) for seed_id, held in zip(ids, chosen, strict=True)
            ]

        return self._index._run(read) if any(chosen) else [_NOTHING] * len(ids)


_NOTHING = Extents(np.empty((0, len(COLUMNS)), np.int64), [])


def _extents(
    base: sqlite3.Connection, seed_id: str, held: list[tuple[int, DayFile]], start: int, end: int
) -> Extents:
    found: list[tuple[int, ...]] = []
    for at in range(0, len(held), _TOGETHER):
        some = [number for number, _ in held[at : at + _TOGETHER]]
        marks = ",".join("?" * len(some))
        found += base.execute(_ROWS.format(marks), (*some, seed_id, end, start)).fetchall()
    if not found:
        return _NOTHING
    rows = np.array(found, np.int64)
    numbers = np.array([number for number, _ in held])
    order = np.argsort(numbers)
    rows[:, -1] = order[np.searchsorted(numbers, rows[:, -1], sorter=order)]
    return Extents(rows, [file for _, file in held])


def _numbers(base: sqlite3.Connection, paths: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for at in range(0, len(paths), _TOGETHER):
        some = paths[at : at + _TOGETHER]
        marks = ",".join("?" * len(some))
        found.update(base.execute(f"SELECT path, id FROM file WHERE path IN ({marks})", some))  # noqa: S608
    return found
