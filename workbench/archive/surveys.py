"""Surveys: index, completeness and RMS of an archive, each file read once.

What `quality.completeness` and `quality.rms` say of the same selection, to the
bit, but samples are summed where they are decoded and never kept.  A channel
that is not plain (versions that differ, damage, floats) takes the kernels' own
way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from workbench.archive.chains import join
from workbench.archive.entries import Entry, entry
from workbench.archive.layout import DayFile, day_of
from workbench.archive.packed import unpack_table
from workbench.archive.records import Scan, scan
from workbench.archive.runs import Run, edges_of, first_at, from_records
from workbench.archive.samples import decode
from workbench.archive.sdsreader import SdsReader
from workbench.archive.selection import Selection
from workbench.archive.trees import Headers, Local, Tree
from workbench.errors import NoData, UnreadableFile
from workbench.kernels._amplitudes import say_slow, table
from workbench.kernels._rms import Parts, counted
from workbench.kernels._segments import Segment, segments
from workbench.kernels._windows import divided, edges, on_time, parts_of
from workbench.kernels.quality import completeness
from workbench.maths import moments
from workbench.maths.availability import first_sample
from workbench.maths.shares import CORES, threads
from workbench.maths.steim import summed
from workbench.notices import notice, progress

if TYPE_CHECKING:
    from workbench.nouns import Dataset

__all__ = ["Survey", "survey"]

_TOGETHER = 64
_LARGE = 1 << 20
"""Mean size of files from which on several channels are gone through at once, bytes."""
_EVER = 2**62


@dataclass(frozen=True, eq=False, slots=True)
class Survey:
    """What `survey` finds: two datasets, as the kernels of these names return them."""

    completeness: Dataset
    rms: Dataset


@dataclass(eq=False, slots=True)
class _Chain:
    """Samples that follow each other, from record to record and from file to file.

    Attributes
    ----------
    start : int
        Time of the first sample of the first record, ns.
    rate : float
        Samples a second.
    n : int
        Samples until now.
    last : int
        Time of the last one as its record tells it.
    low, high : int
        Those from number `low` on, and before `high`, are selected.
    """

    start: int
    rate: float
    last: int
    low: int
    high: int
    n: int = 0

    def time_of(self, number: int) -> int:
        return self.start + round(number * 1e9 / self.rate)

    def limits(self, more: int, part: int) -> tuple[int, npt.NDArray[np.int64]]:
        """Return the sub-windows (ns long) that so many more samples may lie in.

        The number of the first, since 1970, and the sample with which each
        begins, and the last of them ends.
        """
        begin = self.time_of(self.n) // part
        stop = self.time_of(self.n + more - 1) // part + 2
        step, base = 1e9 / self.rate, self.time_of(self.low)
        found = [self.low + first_sample(base, step, _EVER, k * part) for k in range(begin, stop + 1)]
        return begin, np.clip(np.array(found, np.int64), self.low, self.high)

    def grow(self, more: int, last: int) -> None:
        """Count more samples."""
        self.n += more
        self.last = last


@dataclass(eq=False, slots=True)
class _Channel:
    """What has been summed of a channel.

    Attributes
    ----------
    sums : list of (int, ndarray)
        Number of a sub-window since 1970, and the sums of it and those after it.
    chains : list of _Chain
    parts : list of Segment
        The samples themselves, where they had to be kept.
    plain : bool
        Whether the sums are all there is to say.
    """

    sums: list[tuple[int, npt.NDArray[np.int64]]] = field(default_factory=list)
    chains: list[_Chain] = field(default_factory=list)
    parts: list[Segment] = field(default_factory=list)
    plain: bool = True

    def spans(self) -> Iterator[tuple[int, int, float]]:
        """Go through first and last sample and rate of what there is."""
        for one in self.chains:
            if one.low < min(one.n, one.high):
                yield one.time_of(one.low), one.time_of(min(one.n, one.high) - 1), one.rate
        for part in self.parts:
            yield part.start, part.end, part.rate


def survey(
    archive: SdsReader, selection: Selection | str, *, window: float = 86400.0, subwindow: float = 3600.0
) -> Survey:
    """Bring the index up to date, and measure completeness and RMS.

    Parameters
    ----------
    archive : SdsReader
    selection : Selection or str
        With a time span.
    window, subwindow : float
        As for `quality.rms`, s.

    Raises
    ------
    InvalidSetting
        If `window` is no multiple of `subwindow`.
    NoData
        If there is nothing of the selection.

    Examples
    --------
    >>> import tempfile
    >>> from obspy import read
    >>> from workbench.archive import Archive
    >>> archive = Archive(tempfile.mkdtemp())
    >>> archive.write(read()).samples
    9000
    >>> found = survey(archive, "BW.*.*.*@2009-08-24/2009-08-25")
    >>> found.completeness["num_samples"].values.ravel().tolist()
    [3000, 3000, 3000]
    """
    chosen = Selection.parse(selection) if isinstance(selection, str) else selection
    length, part = divided("survey", window, subwindow)
    with archive.index.kept_open():
        return _surveyed(archive, chosen, window, length, part)


def _surveyed(archive: SdsReader, chosen: Selection, window: float, length: int, part: int) -> Survey:
    files = archive.files(chosen)
    found = _summed(archive, files, chosen, part)
    if not found:
        raise NoData(str(chosen), "the archive holds nothing of it", "See 'workbench archive ls'.")
    spans = [span for channel in found.values() for span in channel.spans()]
    first = min(on_time(start, rate) for start, _, rate in spans)
    last = max(on_time(end, rate) for _, end, rate in spans)
    limits = edges("survey", length, first, last, None, None, len(found) * (length // part))
    fine = parts_of(limits, part)
    rows = {}
    for seed_id, channel in sorted(found.items()):
        say_slow(seed_id, min(rate for _, _, rate in channel.spans()), part)
        parts = Parts(fine)
        for number, sums in channel.sums:
            # The first and the last may be sub-windows that hold no sample.
            begin = number - int(fine[0] // part)
            inside = slice(max(-begin, 0), max(len(fine) - 1 - begin, 0))
            parts.put(max(begin, 0), sums[inside])
        for one in channel.parts:
            parts.add(one)
        rows[seed_id] = counted(parts, length // part)
    held = unpack_table(archive.index.packed(files), chosen)
    return Survey(completeness(held, window=window), table(rows, limits, length, part))


def _summed(archive: SdsReader, files: list[DayFile], chosen: Selection, part: int) -> dict[str, _Channel]:
    """Go through the files, some channels at a time; keep their headers in the index."""
    start, end = (moment.ns for moment in chosen.span)
    stale = archive.index.stale(files)
    beside = [file for file in files if not day_of(start) <= file.day <= day_of(end)]
    # Of the days around only those are read that reach into the span.
    touching = {one.path for one in archive.index.look(beside, start, end).stretches}
    wanted = [file for file in files if file.path in touching or file not in beside]
    done: list[str] = []
    stopped = Event()

    def one(seed_id: str, group: list[DayFile]) -> _Channel:
        try:
            return gone_through(seed_id, group)
        except BaseException:
            stopped.set()
            raise

    def gone_through(seed_id: str, group: list[DayFile]) -> _Channel:
        channel = _Channel()
        for first in range(0, len(group), _TOGETHER):
            fresh: list[tuple[str, Entry | None]] = []
            for file in group[first : first + _TOGETHER]:
                if stopped.is_set():
                    return channel
                progress(len(done) / len(wanted), f"reading {file.path}")
                done.append(file.path)
                try:
                    read = _read(archive.index.tree, file.path)
                except UnreadableFile as error:
                    # As in the index: one file costs one file.
                    notice(error.subject, error.problem, error.remedy)
                    read = None
                if file.path in stale:
                    fresh.append((file.path, entry(read[0]) if read is not None else None))
                if read is not None and channel.plain:
                    channel.plain = _add(channel, seed_id, read[0].scan, read[1], (start, end), part)
            if fresh:
                archive.index.store(fresh)
        if channel.plain:
            return channel
        network, station, location, code = seed_id.split(".")
        stream = archive.get_waveforms(network, station, location, code, *chosen.span)
        return _Channel(parts=segments(stream, flat=True, least=1) if len(stream) else [], plain=False)

    ordered = sorted(wanted, key=lambda file: (file.id, file.day))
    # Of small files so little is summed at a time that threads would wait for each other.
    small = sum(file.size for file in wanted) < _LARGE * len(wanted)
    with threads(1 if small else CORES) as pool:
        # Notices go to whoever listens here.
        asked = {
            seed_id: pool.submit(copy_context().run, one, seed_id, list(group))
            for seed_id, group in groupby(ordered, key=lambda file: file.id)
        }
        try:
            found = {seed_id: channel.result() for seed_id, channel in asked.items()}
        except BaseException:
            stopped.set()
            raise
    return {seed_id: channel for seed_id, channel in found.items() if any(channel.spans())}


def _read(tree: Tree, path: str) -> tuple[Headers, npt.NDArray[np.uint8]] | None:
    if isinstance(tree, Local):
        return tree.whole(path)
    headers, content = tree.headers(path), tree.read(path)
    if headers is None or content is None:
        return None
    return Headers(headers.status, scan(content), headers.settled), np.frombuffer(content, np.uint8)


def _add(
    channel: _Channel,
    seed_id: str,
    found: Scan,
    view: npt.NDArray[np.uint8],
    span: tuple[int, int],
    part: int,
) -> bool:
    """Sum the samples of a file; return whether that was all plain."""
    if found.faults:
        return False
    rows = found.records
    number = found.ids.index(seed_id) if seed_id in found.ids else -1
    inside = (np.minimum(rows["start"], rows["end"]) <= span[1]) & (rows["end"] >= span[0])
    inside &= (rows["channel"] == number) & (rows["n"] > 0) & (rows["rate"] > 0)
    if not inside.all():
        rows = rows[inside]
    if not len(rows):
        return True
    if rows["leap"].any():
        return False
    limits, last = edges_of(rows, np.zeros(len(rows), np.int64))
    heads, tails = np.array(limits[:-1]), np.array(limits[1:]) - 1
    packed = (rows["encoding"] == 10) | (rows["encoding"] == 11)
    if packed.all() and _in_order(channel, rows["start"][heads], last[tails], rows["rate"][heads]):
        return all(
            _add_records(channel, view, rows[first:stop], int(last[stop - 1]), span, part)
            for first, stop in pairwise(limits)
        )
    # What is there twice may be the same, and then the file is as plain as any.
    decoded = decode(view, rows)
    if decoded.bad or (decoded.kinds != np.dtype(np.int32).num).any():
        return False
    runs = join(from_records(Scan(found.ids, rows, []), decoded))
    starts, ends, rates = (
        np.array([getattr(run, name) for run in runs]) for name in ("start", "last", "rate")
    )
    return _in_order(channel, starts, ends, rates) and all(_add_run(channel, run, span, part) for run in runs)


def _in_order(
    channel: _Channel,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    rates: npt.NDArray[np.float64],
) -> bool:
    """Tell whether each run begins after the one before, and the first after all that there was."""
    if channel.chains:
        chain = channel.chains[-1]
        starts, ends = np.append(chain.start, starts), np.append(chain.last, ends)
        rates = np.append(chain.rate, rates)
    late = starts[1:] - ends[:-1] > 0.5e9 / rates[:-1]
    # The kernel has something to say about several rates.
    return bool(late.all() and (np.abs(1 - rates[1:] / rates[:-1]) < 1e-4).all())


def _chain(channel: _Channel, start: int, rate: float, span: tuple[int, int]) -> _Chain:
    """Return the chain that what begins now goes on with, or a new one."""
    if channel.chains:
        chain = channel.chains[-1]
        if start - chain.last <= 1.5e9 / chain.rate:
            return chain
    low, high = first_at(start, rate, span[0]), first_at(start, rate, span[1] + 1)
    channel.chains.append(_Chain(start, rate, start, low, high))
    return channel.chains[-1]


def _add_records(
    channel: _Channel,
    view: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.void],
    last: int,
    span: tuple[int, int],
    part: int,
) -> bool:
    """Sum records that follow each other; return whether all of them are good."""
    chain = _chain(channel, int(rows["start"][0]), float(rows["rate"][0]), span)
    counts = rows["n"].astype(np.int64)
    begin, bounds = chain.limits(int(counts.sum()), part)
    sums = np.zeros((len(bounds) - 1, 6), np.int64)
    good = summed(
        view,
        rows["offset"] + rows["data"],
        rows["offset"] + rows["length"],
        counts,
        np.where(rows["encoding"] == 10, 1, 2).astype(np.uint8),
        rows["big"].astype(np.bool_),
        chain.n,
        bounds,
        sums,
    )
    chain.grow(int(counts.sum()), last)
    channel.sums.append((begin, sums))
    return good


def _add_run(channel: _Channel, run: Run, span: tuple[int, int], part: int) -> bool:
    """Sum samples that are decoded already."""
    chain = _chain(channel, run.start, run.rate, span)
    begin, bounds = chain.limits(len(run.data), part)
    own = np.clip(bounds - chain.n, 0, len(run.data))
    channel.sums.append((begin, moments.sums(run.data, own)))
    chain.grow(len(run.data), run.last)
    return True
