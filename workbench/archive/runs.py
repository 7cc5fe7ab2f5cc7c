"""Runs: evenly spaced samples of one channel without a gap.

Records become runs when they are read, and traces become runs when they are
written; joining, trimming and cutting at midnight are done on runs, with
integer nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from obspy import Stream, Trace, UTCDateTime

from workbench.archive.layout import DAY_NS
from workbench.archive.records import Scan
from workbench.archive.samples import ENCODINGS, Decoded

__all__ = [
    "ROUNDING_NS",
    "Form",
    "Run",
    "cut_days",
    "from_records",
    "join",
    "of_record",
    "same_grid",
    "to_stream",
    "trim",
]

Samples = npt.NDArray[Any]

ROUNDING_NS = 110_000
"""Headers count 0.1 ms, and some programs round where others cut: the same sample may differ by that."""


@dataclass(frozen=True, slots=True)
class Form:
    """How samples lie, or should lie, in records."""

    encoding: int | None = None
    record_length: int = 4096
    quality: str = "D"
    big: bool = True
    timing: int = -1


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """Samples of one channel, evenly spaced.

    Attributes
    ----------
    id : str
        SEED id ``NET.STA.LOC.CHA``.
    start : int
        Time of the first sample, ns since 1970.
    rate : float
        Samples a second.
    data : ndarray, shape (n_samples,)
    last : int
        Time of the last sample as its own record tells it, which may differ
        from what start and rate give by half a sample a record.
    leap : bool
        Whether it ends in a leap second, whose samples have the same numbers
        as the first second of the next day.
    form : Form or None
        How it lay in its first record, if it comes from records.
    """

    id: str
    start: int
    rate: float
    data: Samples
    last: int
    leap: bool = False
    form: Form | None = None

    @property
    def step(self) -> float:
        """Nanoseconds from sample to sample."""
        return 1e9 / self.rate

    def time_of(self, sample: int) -> int:
        """Time of a sample, ns since 1970."""
        return self.start + round(sample * 1e9 / self.rate)

    def part(self, first: int, stop: int) -> Run:
        """Return some of the samples."""
        last = self.last if stop == len(self.data) else self.time_of(stop - 1)
        return replace(
            self,
            start=self.time_of(first),
            data=self.data[first:stop],
            last=last,
            leap=self.leap and stop == len(self.data),
        )


def from_records(scan: Scan, decoded: Decoded) -> list[Run]:
    """Put decoded records together, in their order, as far as one follows the other.

    A record follows another if it starts within half a sample of where it
    should; libmseed and ObsPy do the same.
    """
    kinds = np.array([samples.dtype.num for samples in decoded.samples], dtype=np.int64)
    good = np.flatnonzero([len(samples) > 0 for samples in decoded.samples])
    good = good[scan.records["rate"][good] > 0]
    if not len(good):
        return []
    rows, kinds = scan.records[good], kinds[good]
    step = 1e9 / rows["rate"]
    last = rows["start"] + np.rint((rows["n"] - 1) * step).astype(np.int64)
    gap = rows["start"][1:] - last[:-1] - step[:-1]
    follows = (
        (np.abs(gap) <= 0.5 * step[:-1])
        & (rows["channel"][1:] == rows["channel"][:-1])
        & (np.abs(1 - rows["rate"][1:] / rows["rate"][:-1]) < 1e-4)
        & (kinds[1:] == kinds[:-1])
        & ~rows["leap"][:-1]
    )
    edges = [0, *(np.flatnonzero(~follows) + 1).tolist(), len(rows)]
    found = []
    for first, stop in pairwise(edges):
        parts = [decoded.samples[k] for k in good[first:stop]]
        run = of_record(scan.ids[int(rows[first]["channel"])], rows[first], parts[0])
        if len(parts) > 1:
            run = replace(
                run, data=_together(parts), last=int(last[stop - 1]), leap=bool(rows["leap"][stop - 1])
            )
        found.append(run)
    return found


def _together(parts: list[Samples]) -> Samples:
    """Put arrays end to end; those that lie so in memory already need no copy."""
    whole, size = parts[0].base, sum(len(part) for part in parts)
    if isinstance(whole, np.ndarray) and whole.ndim == 1 and all(part.base is whole for part in parts):
        first = (_address(parts[0]) - _address(whole)) // whole.itemsize
        if _address(parts[-1]) + parts[-1].nbytes == _address(parts[0]) + size * whole.itemsize:
            return whole[first : first + size]
    return np.concatenate(parts)


def _address(array: Samples) -> int:
    return int(array.__array_interface__["data"][0])


def of_record(seed_id: str, row: np.void, samples: Samples) -> Run:
    """Return one record as a run."""
    start, rate = int(row["start"]), float(row["rate"])
    return Run(
        id=seed_id,
        start=start,
        rate=rate,
        data=samples,
        last=start + round((len(samples) - 1) * 1e9 / rate),
        leap=bool(row["leap"]),
        form=Form(
            int(row["encoding"]),
            int(row["length"]),
            chr(row["quality"]),
            bool(row["big"]),
            int(row["timing"]),
        ),
    )


def same_grid(a_start: int, b_start: int, step: float) -> int | None:
    """Return how many samples `b` starts after `a` (ns), or None if it is between two samples."""
    offset = (b_start - a_start) / step
    whole = round(offset)
    return whole if abs(offset - whole) * step <= min(ROUNDING_NS, step / 4) else None


def join(runs: Iterable[Run]) -> list[Run]:
    """Join runs that follow each other or overlap with the same samples.

    Runs that overlap with other samples, or between the samples of another,
    stay apart: which is right is not known here, and nothing is dropped.

    Returns
    -------
    list of Run
        Sorted by channel, start and rate.
    """
    ordered = sorted(runs, key=lambda run: (run.id, run.start, run.rate, -len(run.data)))
    done: list[Run] = []
    chains: list[_Chain] = []
    for run in ordered:
        alive = [chain for chain in chains if chain.reaches(run)]
        done += [chain.run() for chain in chains if chain not in alive]
        chains = alive
        shared = [chain.shared(run) for chain in chains]
        if len(run.data) in shared:
            continue
        fitting = next((k for k, number in enumerate(shared) if number is not None), None)
        if fitting is None:
            chains.append(_Chain(run))
        else:
            chains[fitting].grow(run, shared[fitting] or 0)
    done += [chain.run() for chain in chains]
    return sorted(done, key=lambda run: (run.id, min(run.start, _eve(run)), run.rate))


def _eve(run: Run) -> int:
    """Return the last moment before the midnight that a leap second precedes."""
    return run.last // DAY_NS * DAY_NS - 1 if run.leap else run.start


class _Chain:
    """A run that grows; its parts are put together once, at the end."""

    def __init__(self, run: Run) -> None:
        self.first = run
        self.last = run.last
        self.leap = run.leap
        self.size = len(run.data)
        self.parts = [run.data]

    def run(self) -> Run:
        data = _together(self.parts) if len(self.parts) > 1 else self.parts[0]
        return replace(self.first, data=data, last=self.last, leap=self.leap)

    def reaches(self, run: Run) -> bool:
        return run.id == self.first.id and run.start <= self.last + 1.5 * self.first.step

    def shared(self, run: Run) -> int | None:
        """Return how many samples a run has in common with the end of this, or None if it does not fit."""
        if abs(1 - run.rate / self.first.rate) >= 1e-4 or run.data.dtype != self.first.data.dtype:
            return None
        step = self.first.step
        if self.leap:
            # Numbers after a leap second repeat, so only the very same run is known again.
            same = run.leap and run.start == self.first.start and np.array_equal(run.data, self.run().data)
            return len(run.data) if same else None
        if run.start > self.last + step / 2:
            return 0
        back = same_grid(run.start, self.last, step)
        if back is None or back >= self.size:
            return None
        number = min(back + 1, len(run.data))
        same = _equal(self._tail(back + 1)[:number], run.data[:number])
        return number if same else None

    def grow(self, run: Run, skip: int) -> None:
        """Add the samples of a run from number `skip` on."""
        self.parts.append(run.data[skip:])
        self.size += len(run.data) - skip
        self.last, self.leap = run.last, run.leap

    def _tail(self, number: int) -> Samples:
        taken: list[Samples] = []
        left = number
        for part in reversed(self.parts):
            taken.append(part[max(0, len(part) - left) :])
            left -= len(taken[-1])
            if not left:
                break
        return np.concatenate(taken[::-1])


def _equal(a: Samples, b: Samples) -> bool:
    return np.array_equal(a, b, equal_nan=bool(np.issubdtype(a.dtype, np.floating)))


def trim(run: Run, start: int, end: int) -> Run | None:
    """Return the samples from `start` to `end` (ns, both included), or None.

    A leap second comes before the midnight that its samples are numbered after.
    """
    if run.leap:
        midnight = run.last // DAY_NS * DAY_NS
        if start >= midnight:
            return None
        # A window that reaches the last sample's second reaches what follows in the same day.
        end = run.last if end > midnight - run.step else end
    first = max(0, int((start - run.start) / run.step) - 1)
    while first < len(run.data) and run.time_of(first) < start:
        first += 1
    stop = min(len(run.data), int((end - run.start) / run.step) + 2)
    while stop > first and run.time_of(stop - 1) > end:
        stop -= 1
    if first >= stop:
        return None
    return run if (first, stop) == (0, len(run.data)) else run.part(first, stop)


def cut_days(run: Run) -> Iterator[tuple[int, Run]]:
    """Cut a run at each UTC midnight: the day, counted from 1970, and its samples.

    miniSEED 2 counts whole microseconds, so times are rounded first, and the
    sample that is written with midnight's time is the first of its day.
    """
    if run.start % 1000:
        run = replace(run, start=_whole(run.start))
    if run.leap:
        yield from _cut_leap(run)
        return
    if run.start // DAY_NS == _whole(run.last) // DAY_NS:
        yield run.start // DAY_NS, run
        return
    first = 0
    while first < len(run.data):
        day = _whole(run.time_of(first)) // DAY_NS
        midnight = (day + 1) * DAY_NS
        stop = min(len(run.data), max(first + 1, int((midnight - run.start) / run.step) - 1))
        while stop < len(run.data) and _whole(run.time_of(stop)) < midnight:
            stop += 1
        part = run.part(first, stop)
        yield day, replace(part, start=_whole(part.start))
        first = stop


def _cut_leap(run: Run) -> Iterator[tuple[int, Run]]:
    """Cut a record with a leap second where that ends: a second late by the numbers."""
    midnight = run.last // DAY_NS * DAY_NS
    stop = 0
    while stop < len(run.data) and _whole(run.time_of(stop)) < midnight + 1_000_000_000:
        stop += 1
    if stop:
        yield midnight // DAY_NS - 1, replace(run.part(0, stop), leap=True, last=run.time_of(stop - 1))
    if stop < len(run.data):
        after = run.part(stop, len(run.data))
        yield (
            midnight // DAY_NS,
            replace(
                after,
                start=_whole(after.start) - 1_000_000_000,
                last=after.last - 1_000_000_000,
                leap=False,
            ),
        )


def _whole(time_ns: int) -> int:
    return (time_ns + 500) // 1000 * 1000


def to_stream(runs: Iterable[Run]) -> Stream:
    """Return ObsPy's form, as its own miniSEED reader gives it."""
    stream = Stream()
    for run in runs:
        network, station, location, channel = run.id.split(".")
        header: dict[str, Any] = {
            "network": network,
            "station": station,
            "location": location,
            "channel": channel,
            "starttime": UTCDateTime(ns=run.start),
            "sampling_rate": run.rate,
        }
        if run.form is not None:
            header["_format"] = "MSEED"
            header["mseed"] = {
                "dataquality": run.form.quality,
                "encoding": ENCODINGS[run.form.encoding or 11],
                "byteorder": ">" if run.form.big else "<",
                "record_length": run.form.record_length,
            }
        stream.append(Trace(np.require(run.data, requirements=["C", "W", "O"]), header))
    return stream
