"""Reading for a cube: the samples of some places on its axis, from no further records than needed."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.archive.cubeplan import Channel, Plan
from workbench.archive.index import Held
from workbench.archive.layout import DAY_NS, DayFile, day_of, place
from workbench.archive.reader import name_bad, name_faults, ranges
from workbench.archive.records import Scan, scan
from workbench.archive.runs import end_to_end, of_record, trim
from workbench.archive.samples import Decoded, decode
from workbench.archive.sdsreader import SdsReader
from workbench.archive.stretches import Stretch, stretches
from workbench.cubes.grid import follow, one_rate
from workbench.cubes.rows import Row
from workbench.errors import BadInput, UnreadableFile
from workbench.notices import notice

__all__ = ["CubeReader"]

_KEPT_BYTES = 128 * 2**20
"""What may wait in a process for being asked for, of windows of which one part was."""

Key = tuple[Any, ...]
Placed = tuple[Stretch, int]
"""A stretch, and the number on the grid of its first sample."""


class CubeReader:
    """Reads windows of a planned cube.

    Several threads may read at once, and it can be pickled.

    Parameters
    ----------
    sources : sequence of SdsReader
        Searched in order.
    plan : Plan
    shifts : bool
        Read also how far the time of each sample is from that of its place.
    """

    def __init__(self, sources: Sequence[SdsReader], plan: Plan, *, shifts: bool = False) -> None:
        self._sources = tuple(sources)
        self.plan = plan
        self._shifts = shifts
        self._name = uuid.uuid4()

    def read(self, part: str, channel: int, first: int, size: int) -> npt.NDArray[Any]:
        """Return one part of a window: ``data``, ``valid`` or ``t_shift``.

        The records hold all parts together; the others are kept for a while,
        as they will be asked for next.

        Parameters
        ----------
        part : str
        channel : int
            Which of the plan's.
        first : int
            Number on the grid of the first place.
        size : int
        """
        one = self.plan.channels[channel]
        files = [self._files(source, one, first, size) for source in self._sources]
        key = (self._name, channel, first, size, tuple(map(tuple, files)))
        kept = _halves.take(key, part)
        if kept is not None:
            return kept
        parts = self._row(one, files, first, size).parts()
        wanted = parts.pop(part)
        _halves.keep(key, parts)
        return wanted

    def _row(self, channel: Channel, files: list[list[DayFile]], first: int, size: int) -> Row:
        whole: Row | None = None
        for number, (source, some) in enumerate(zip(self._sources, files, strict=True)):
            row = Row(first, size, self.plan.dtype, shifts=self._shifts)
            if some:
                self._read(row, number, source, channel, some)
            if row.contradicted:
                notice(
                    f"{channel.id} {UTCDateTime(ns=self.plan.grid.time(first) + channel.offset)}",
                    f"{row.contradicted} samples from here on are there in versions that differ",
                    "They are not valid in the cube; compare the versions with 'workbench archive check'.",
                )
            if whole is None:
                whole = row
            else:
                whole.fill(row)
            if whole.full:
                break
        assert whole is not None
        return whole

    def _read(self, row: Row, number: int, source: SdsReader, channel: Channel, files: list[DayFile]) -> None:
        """Put into a row what one source has."""
        held = source.index.look(files)
        begin, end = row.first, row.first + row.size
        days = {file.path: file.day for file in files}
        first, last = (day_of(self.plan.grid.time(one)) for one in (begin, end - 1))
        for path, group in groupby(held.stretches, key=lambda one: one.path):
            lean = channel.leans.get((number, days[path]), 0.0)
            placed = self._placed(channel, group, lean)
            wanted = [item for item in placed if item[1] < end and item[1] + item[0].n > begin]
            for base, buffer, some in _buffers(source, held, path, wanted):
                if some is None:
                    some = self._placed(channel, stretches(path, scan(buffer)), lean)
                self._put(row, source, path, base, buffer, some, channel)
        faults = [fault for fault in held.faults if first <= days[fault[0]] <= last]
        name_faults(source.index.tree, faults)

    def _placed(self, channel: Channel, found: Any, lean: float) -> list[Placed]:
        """Return the stretches of a channel in a file with their places, by offset."""
        grid = self.plan.grid
        mine = [one for one in found if one.id == channel.id and one_rate(one.rate, grid.rate)]
        mine.sort(key=lambda one: (one.start, one.offset))
        numbers, _ = follow((grid.number(one.start - channel.offset) for one in mine), lean)
        return sorted(zip(mine, numbers, strict=True), key=lambda item: item[0].offset)

    def _put(
        self,
        row: Row,
        source: SdsReader,
        path: str,
        base: int,
        buffer: bytes,
        placed: list[Placed],
        channel: Channel,
    ) -> None:
        """Put the records of a buffer, which lies at `base` in its file, where their stretches are."""
        found = scan(buffer)
        rows = found.records[(found.records["n"] > 0) & (found.records["rate"] > 0)]
        offsets = np.array([one.offset - base for one, _ in placed])
        home = np.searchsorted(offsets, rows["offset"], side="right") - 1
        stops = np.array([one.offset - base + one.length for one, _ in placed])
        known = (home >= 0) & (rows["offset"] < stops[home])
        rows, home = rows[known], home[known]
        if not len(rows):
            return
        counts = rows["n"].astype(np.int64)
        before = np.cumsum(counts) - counts
        heads = np.searchsorted(home, np.arange(len(placed)))
        starts = np.array([number for _, number in placed]) - before[np.minimum(heads, len(rows) - 1)]
        numbers = before + starts[home]
        inside = (numbers < row.first + row.size) & (numbers + counts > row.first)
        rows, home, numbers = rows[inside], home[inside], numbers[inside]
        decoded = decode(buffer, rows)
        name_bad(source.index.tree, path, Scan(found.ids, rows, []), decoded)
        for piece in self._pieces(rows, home, decoded, channel.id):
            if not np.can_cast(piece[1].dtype, self.plan.dtype):
                raise BadInput(
                    channel.id,
                    f"has {piece[1].dtype} samples now, and the cube was opened with {self.plan.dtype}",
                    "Open it again.",
                )
            at, samples, time = numbers[piece[0]] + piece[2], piece[1], piece[3]
            shift = time - self.plan.grid.time(int(at)) - channel.offset if self._shifts else 0
            row.put(int(at), samples, shift)

    def _pieces(
        self, rows: npt.NDArray[np.void], home: npt.NDArray[np.intp], decoded: Decoded, seed_id: str
    ) -> Iterator[tuple[int, npt.NDArray[Any], int, int]]:
        """Go through samples that lie together: record, samples, how many were cut off, time of the first."""
        good = np.array([len(samples) > 0 for samples in decoded.samples])
        whole = good & (rows["start"] >= self.plan.start) & (rows["end"] <= self.plan.end) & ~rows["leap"]
        # Each record on its own, where each may be off by a little of its own.
        alone = self._shifts
        k = 0
        while k < len(rows):
            stop = k + 1
            if whole[k]:
                while not alone and stop < len(rows) and whole[stop] and home[stop] == home[k]:
                    stop += 1
                yield k, end_to_end(decoded, np.arange(k, stop)), 0, int(rows[k]["start"])
            elif good[k]:
                yield from self._cut(k, rows[k], decoded.samples[k], seed_id)
            k = stop

    def _cut(
        self, k: int, record: np.void, samples: npt.NDArray[Any], seed_id: str
    ) -> Iterator[tuple[int, npt.NDArray[Any], int, int]]:
        """Return the samples of a record that lie in the span of the cube, and in a day of 86400 s."""
        run = of_record(seed_id, record, samples)
        end = self.plan.end
        if run.leap:
            midnight = run.last // DAY_NS * DAY_NS
            end = min(end, midnight - 1)
            notice(
                f"{seed_id} {UTCDateTime(ns=midnight)}",
                "is preceded by a leap second, which has no place in a cube",
                "Its samples are left out; get_waveforms has them.",
            )
        part = trim(replace(run, leap=False), self.plan.start, end)
        if part is not None:
            yield k, part.data, round((part.start - run.start) / run.step), part.start

    def _files(self, source: SdsReader, channel: Channel, first: int, size: int) -> list[DayFile]:
        """Return the day files that may hold a window; others put a record where its first sample is."""
        grid = self.plan.grid
        begin = day_of(grid.time(first) + channel.offset) - 1
        end = day_of(grid.time(first + size - 1) + channel.offset) + 1
        days = list(range(begin, end + 1))
        paths = [place(channel.id, day) for day in days]
        return [
            DayFile(path, channel.id, day, *status)
            for path, day, status in zip(paths, days, source.index.tree.statuses(paths), strict=True)
            if status is not None
        ]


def _buffers(
    source: SdsReader, held: Held, path: str, wanted: list[Placed]
) -> Iterator[tuple[int, bytes, list[Placed] | None]]:
    """Read stretches: offset, bytes, and which stretches they are, None if that has to be found out."""
    if not wanted:
        return
    places = ranges([one for one, _ in wanted])
    whole = None
    try:
        parts = source.index.tree.ranges(path, held.status[path], places)
        if parts is None:
            # Another version of the file is there now.
            whole = source.index.tree.read(path)
    except UnreadableFile as error:
        notice(error.subject, error.problem, error.remedy)
        return
    if parts is None:
        if whole is not None:
            yield 0, whole, None
        return
    for (offset, length), part in zip(places, parts, strict=True):
        yield offset, part, [item for item in wanted if offset <= item[0].offset < offset + length]


class _Halves:
    """Parts of windows that were read on the way: each is handed out once, and kept for a while till then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, dict[str, npt.NDArray[Any]]] = OrderedDict()
        self._bytes = 0

    def take(self, key: Key, part: str) -> npt.NDArray[Any] | None:
        """Return a part that is kept, and keep it no longer."""
        with self._lock:
            parts = self._kept.get(key)
            if parts is None or part not in parts:
                return None
            found = parts.pop(part)
            self._bytes -= found.nbytes
            if not parts:
                del self._kept[key]
            return found

    def keep(self, key: Key, parts: dict[str, npt.NDArray[Any]]) -> None:
        """Keep parts, and let go the oldest ones if they become too many."""
        size = sum(part.nbytes for part in parts.values())
        if size > _KEPT_BYTES:
            return
        with self._lock:
            before = self._kept.pop(key, {})
            self._bytes += size - sum(part.nbytes for part in before.values())
            self._kept[key] = parts
            while self._bytes > _KEPT_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= sum(part.nbytes for part in oldest.values())


_halves = _Halves()
