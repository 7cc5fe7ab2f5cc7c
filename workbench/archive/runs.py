"""Runs: evenly spaced samples of one channel without a gap.

Records become runs when they are read, and traces become runs when they are
written.  Their times are integer nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    "end_to_end",
    "from_records",
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
    good = np.flatnonzero((decoded.counts > 0) & (scan.records["rate"] > 0))
    if not len(good):
        return []
    rows = scan.records if len(good) == len(scan.records) else scan.records[good]
    edges, last = edges_of(rows, decoded.kinds[good])
    found = []
    for first, stop in pairwise(edges):
        run = of_record(scan.ids[int(rows[first]["channel"])], rows[first], decoded.samples[good[first]])
        if stop - first > 1:
            data = end_to_end(decoded, good[first:stop])
            run = replace(run, data=data, last=int(last[stop - 1]), leap=bool(rows["leap"][stop - 1]))
        found.append(run)
    return found


def edges_of(
    rows: npt.NDArray[np.void], kinds: npt.NDArray[np.int64]
) -> tuple[list[int], npt.NDArray[np.int64]]:
    """Return where runs of records begin, and the last of them ends; and the last sample of each record."""
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
    return [0, *(np.flatnonzero(~follows) + 1).tolist(), len(rows)], last


def end_to_end(decoded: Decoded, places: npt.NDArray[np.intp]) -> Samples:
    """Put the samples of records end to end; those that lie so in memory already need no copy."""
    ends, counts = decoded.stop[places], decoded.counts[places]
    if ends[0] < 0 or (ends[1:] - counts[1:] != ends[:-1]).any():
        return np.concatenate([decoded.samples[place] for place in places.tolist()])
    first, stop = int(ends[0] - counts[0]), int(ends[-1])
    # All of it is handed on as it is: it owns its memory, so nobody will copy it to have that.
    return decoded.whole if stop - first == len(decoded.whole) else decoded.whole[first:stop]


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


def first_at(start: int, rate: float, time: int) -> int:
    """Return the number of the first sample that is not before a time (ns)."""
    number = max(0, int((time - start) * rate / 1e9) - 1)
    while start + round(number * 1e9 / rate) < time:
        number += 1
    return number


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
    first = min(first_at(run.start, run.rate, start), len(run.data))
    stop = min(first_at(run.start, run.rate, end + 1), len(run.data))
    if first >= stop:
        return None
    return run if (first, stop) == (0, len(run.data)) else run.part(first, stop)


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
