"""Units: the channels that a kernel has to have together, in all their windows of time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.archive import Selection
from workbench.archive.selection import matches
from workbench.archive.stations import station_files
from workbench.archive.trees import Tree
from workbench.jobs.windows import EVER, iso, touched
from workbench.notices import notice

__all__ = ["File", "Rows", "Span", "Tile", "Unit"]

if TYPE_CHECKING:
    from workbench.jobs.tiles import Tiles

File = tuple[int, str, int, int, int]
"""Number of the source; path below its root; size, time of change (ns), inode."""

_SAMPLE = 8
"""Bytes of a sample while a kernel works on it."""

_MANY = 16
"""Channels of a unit from which on its stretches are read month by month."""

_DAY = 86_400 * 10**9
_MONTH = 31 * _DAY

Rows = npt.NDArray[np.int64]
_CHANNEL, _SOURCE, _CORE, _CORE_END = 6, 7, 8, 9


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the work.

    Attributes
    ----------
    number : int
        Its place among all.
    unit : str
        The channel or the station; ``all`` for the whole network.
    start, stop : int
        The window [start, stop) that its result is cut to, ns since 1970.
    inputs : dict of str to list of str
        The selections of its Call, by the name of the input.
    files : tuple of File
        What it reads, as it was when the work was planned.
    samples, bytes : int
        How much that is.
    key : str
        Names its result: the Call, the data, the code and the environment.
    metadata : str
        Names the version of the station files that it may read.
    inner : tuple of str
        What it selects without the beginnings and ends of other stretches of
        data that lie in its lead and trail; nothing, if there are none.
    """

    number: int
    unit: str
    start: int
    stop: int
    inputs: dict[str, list[str]]
    files: tuple[File, ...]
    samples: int
    bytes: int
    key: str
    metadata: str = ""
    inner: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How a person calls it."""
        if self.start <= -EVER:
            return self.unit
        return f"{self.unit} {iso(self.start)}/{iso(self.stop)}"


@dataclass(frozen=True, slots=True)
class Span:
    """A selection with its ends as numbers; open ends are `EVER` away."""

    selection: Selection
    start: int
    end: int


class Unit:
    """The tiles of the channels that have to be together."""

    def __init__(self, plan: Tiles, unit: str, ids: list[str]) -> None:
        self.plan, self.name, self.ids, self.cut = plan, unit, ids, plan.cut
        self.start = min(span.start for seed_id in ids for span in plan.chosen[seed_id])
        self.end = max(span.end for seed_id in ids for span in plan.chosen[seed_id])
        spans = plan.chosen.get(unit, plan.spans)
        self.data = [(codes, span) for span in spans if (codes := _narrowed(unit, span.selection))]
        site = "all" if unit == "all" else ".".join(unit.split(".")[:2])
        self.stations = {
            name: [(codes, span) for span in spans if (codes := _narrowed(site, span.selection))]
            # Who names stations that are not those of the data gets what the whole gets.
            or [(".".join(span.selection.codes), span) for span in spans]
            for name, spans in plan.stations.items()
        }
        asked = [codes for spans in self.stations.values() for codes, _ in spans]
        self.metadata = _versions(plan.trees, asked) if asked else ""

    def tiles(self, numbers: Iterator[int]) -> Iterator[Tile]:
        """Go through the tiles in the order of time, numbered from `numbers`."""
        if not self.cut.length:
            rows, files = self.plan.rows(self.ids, self.start, self.end)
            if len(rows):
                yield self._whole(next(numbers), rows, files)
            return
        ahead, behind = self._reach
        for first, last in self._blocks(self.start - ahead, self.end + behind):
            yield from self._of_block(numbers, first, last)

    @property
    def _reach(self) -> tuple[int, int]:
        """How far before and after data there may be results."""
        return (self.cut.trail, self.cut.lead) if self.cut.reach else (0, 0)

    def _blocks(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Cut time so that the stretches of a block are no more than memory bears."""
        if len(self.ids) <= _MANY:
            yield start, end
            return
        days = [day for _, one in self.plan.holds for day in one.days(self.ids)]
        start = max(start, (min(days) - 2) * _DAY)
        end = min(end, (max(days) + 3) * _DAY)
        size = max(1, _MONTH // self.cut.length) * self.cut.length
        for block in range(start // size, end // size + 1):
            yield max(start, block * size), min(end, (block + 1) * size - 1)

    def _of_block(self, numbers: Iterator[int], first: int, last: int) -> Iterator[Tile]:
        cut = self.cut
        rows, files = self.plan.rows(self.ids, first - cut.lead, last + cut.trail)
        if not len(rows):
            return
        ahead, behind = self._reach
        core = np.maximum(rows[:, _CORE] - ahead, first)
        until = np.minimum(rows[:, _CORE_END] + behind, last)
        there = until >= core
        starts = touched(core[there], until[there], cut.length) * cut.length
        # Rows lie in the order of their beginnings; how far any row up to each one
        # reaches tells which of them a window cannot need any more.
        reaches = np.maximum.accumulate(rows[:, 1])
        first_row = np.searchsorted(reaches, starts - cut.lead, "left")
        stop_row = np.searchsorted(rows[:, 0], starts + cut.length + cut.trail, "left")
        for start, a, b in zip(starts.tolist(), first_row.tolist(), stop_row.tolist(), strict=True):
            yield from self._split(numbers, start, start + cut.length, rows[a:b], files)

    def _split(
        self, numbers: Iterator[int], start: int, stop: int, rows: Rows, files: list[File]
    ) -> Iterator[Tile]:
        """Make a tile of a window; several, if it holds too much."""
        cut = self.cut
        first, last = start - cut.lead, stop + cut.trail - 1
        mine = rows[(rows[:, _CORE_END] >= first) & (rows[:, _CORE] <= last)]
        if not len(mine):
            return
        samples = _overlap(mine, first, last)
        halves = cut.halves(start, stop) if samples * _SAMPLE > self.plan.max_bytes else None
        if halves is None:
            yield self._tile(next(numbers), (start, stop), (first, last), mine, files, samples)
            return
        for begin, end in pairwise(halves):
            if cut.reach or ((mine[:, _CORE_END] >= begin) & (mine[:, _CORE] < end)).any():
                yield from self._split(numbers, begin, end, mine, files)

    def _whole(self, number: int, rows: Rows, files: list[File]) -> Tile:
        data = int(rows[:, _CORE].min()), int(rows[:, _CORE_END].max())
        samples = _overlap(rows, *data)
        if samples * _SAMPLE > self.plan.max_bytes:
            notice(
                self.name,
                f"is worked on in one piece, of about {samples * _SAMPLE / 2**30:.1f} GiB",
                "Give a shorter span or fewer channels if memory does not suffice.",
                loss=False,
            )
        # What is selected, not what there is: a kernel may see where it ends.
        starts = [data[0] if span.start <= -EVER else span.start for _, span in self.data]
        ends = [data[1] + 1 if span.end >= EVER else span.end for _, span in self.data]
        return self._tile(number, (-EVER, EVER), (min(starts), max(ends)), rows, files, samples)

    def _tile(
        self,
        number: int,
        window: tuple[int, int],
        data: tuple[int, int],
        rows: Rows,
        files: list[File],
        samples: int,
    ) -> Tile:
        inputs = {self.plan.waveforms: _said(self.data, data)}
        for name, spans in self.stations.items():
            inputs[name] = _said(spans, data) or _said(spans, (-EVER, EVER))
        used = [files[at] for at in sorted(set(rows[:, 5].tolist()))]
        used.sort()
        sha = self.plan.base.copy()
        sha.update(json.dumps([inputs, window, used, self.metadata]).encode())
        # Files of the same size and time whose headers differ have been seen.
        sha.update(np.ascontiguousarray(rows[:, :5]).tobytes())
        inner = _inner(rows, *window) if len(self.ids) == 1 else None
        return Tile(
            number,
            self.name,
            *window,
            inputs,
            tuple(used),
            samples,
            int(rows[:, 3].sum()),
            sha.hexdigest(),
            self.metadata,
            () if inner is None else tuple(_said(self.data, inner)),
        )


def _narrowed(unit: str, selection: Selection) -> str | None:
    """Return the codes of a selection, narrowed to a unit; None if it has nothing of it."""
    if unit == "all":
        return ".".join(selection.codes)
    codes = unit.split(".")
    if len(codes) == 4:
        return unit if selection.matches(unit) else None
    if not (matches(codes[0], selection.network) and matches(codes[1], selection.station)):
        return None
    return ".".join((*codes, *selection.codes[2:]))


def _versions(trees: Sequence[Tree], codes: Sequence[str]) -> str:
    """Name the versions of the station files that tell of some channels."""
    found = []
    for tree in trees:
        paths = sorted({path for one in codes for path in station_files(tree, Selection.parse(one))})
        found.append(list(zip(paths, tree.statuses(paths), strict=True)))
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16]


def _inner(rows: Rows, start: int, stop: int) -> tuple[int, int] | None:
    """Return the span of the gapless data of a channel that touch a window; None if there are no others."""
    outside = (rows[:, _CORE] >= stop) | (rows[:, _CORE_END] < start)
    if not outside.any():
        return None
    reach = np.maximum.accumulate(rows[:, 1])
    step = (rows[:, 1] - rows[:, 0]) / np.maximum(rows[:, 2] - 1, 1)
    # Stretches of records end with their file: only a gap in time makes another beginning.
    number = np.concatenate([[0], np.cumsum(rows[1:, 0] - reach[:-1] > 1.5 * step[:-1])])
    mine = np.isin(number, number[~outside])
    if mine.all() or not mine.any():
        return None
    return int(rows[mine, _CORE].min()), int(rows[mine, _CORE_END].max())


def _said(spans: list[tuple[str, Span]], data: tuple[int, int]) -> list[str]:
    """Return selections as text, narrowed to a span."""
    found = []
    for codes, span in spans:
        start, end = max(span.start, data[0]), min(span.end, data[1])
        if start > end:
            continue
        first, last = "" if start <= -EVER else iso(start), "" if end >= EVER else iso(end)
        found.append(f"{codes}@{first}/{last}")
    return found


def _overlap(rows: Rows, first: int, last: int) -> int:
    """Return about how many samples of some stretches lie in a span."""
    inside = np.minimum(rows[:, _CORE_END], last) - np.maximum(rows[:, _CORE], first)
    length = rows[:, 1] - rows[:, 0]
    return int((rows[:, 2] * (inside / np.maximum(length, 1))).sum()) + len(rows)
