"""Spans: when channels have data, told by headers alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from workbench.archive.layout import DAY_NS
from workbench.archive.records import Scan
from workbench.archive.runs import Run
from workbench.archive.selection import Selection
from workbench.archive.traces import gapless
from workbench.maths import follow
from workbench.maths.availability import GRID_NS, first_sample
from workbench.nouns import Spans

__all__ = [
    "KINDS",
    "Row",
    "beside",
    "clip",
    "cut",
    "of_runs",
    "spans_of",
    "successions",
    "table",
    "to_spans",
]

_EVER = 2**62
_CODES = ("network", "station", "location", "channel")
KINDS = {"start": "<i8", "end": "<i8", "rate": "<f8", "n": "<i8", "records": "<i8"}
"""Of the columns of a `Row`, but for the first."""


class Row(NamedTuple):
    """One span of one channel, as `workbench.nouns.Spans` has it, in plain values.

    Attributes
    ----------
    id : str
        SEED id.
    start, end : int
        First and last sample, ns since 1970.
    rate : float
        Samples a second.
    n : int
        Samples.
    records : int
        Records that begin in it; 0 if they are not known.
    """

    id: str
    start: int
    end: int
    rate: float
    n: int
    records: int


def successions(scan: Scan) -> list[Row]:
    """Return the spans of a file: records of a channel that follow each other, each UTC day on its own."""
    found, rates = follow.successions(scan.records, len(scan.ids))
    ids = scan.ids
    return [
        Row(ids[channel], start, end, rate, n, records)
        for (channel, start, end, n, records), rate in zip(found.tolist(), rates.tolist(), strict=True)
    ]


def of_runs(runs: Iterable[Run]) -> list[Row]:
    """Return the spans of samples that came from no records."""
    return [Row(run.id, run.start, max(run.start, run.last), run.rate, len(run.data), 0) for run in runs]


def clip(row: Row, begin: int, stop: int) -> Row | None:
    """Return the part of a span whose samples lie from `begin` on and before `stop` (ns), or None.

    Its samples are evenly spaced.  So are its records, except that an archive
    cuts spans where records of another day begin: what reaches into the next
    day is the last record.
    """
    if begin <= row.start and row.end < stop - GRID_NS:
        return row
    spacing = (row.end - row.start) / (row.n - 1) if row.n > 1 and row.end > row.start else 1e9 / row.rate
    first = int(first_sample(row.start, spacing, row.n, begin))
    after = int(first_sample(row.start, spacing, row.n, stop))
    if first >= after:
        return None
    if (first, after) == (0, row.n):
        return row
    next_day = (row.start // DAY_NS + 1) * DAY_NS
    counted = row.n if stop >= next_day else after
    return row._replace(
        start=row.start + round(first * spacing),
        end=row.end if after == row.n else row.start + round((after - 1) * spacing),
        n=after - first,
        records=round(row.records * (counted - first) / row.n),
    )


def cut(rows: Iterable[Row], selection: Selection) -> list[Row]:
    """Return the selected parts; the end of the selection does not belong to it."""
    begin, stop = (moment.ns for moment in selection.span)
    listed = list(rows)
    chosen = {seed_id for seed_id in {row.id for row in listed} if selection.matches(seed_id)}
    parts = (clip(row, begin, stop) for row in listed if row.id in chosen)
    return [part for part in parts if part is not None]


def beside(rows: Iterable[Row], taken: dict[str, list[tuple[int, int]]]) -> Iterator[Row]:
    """Go through the parts of spans that lie beside what is taken.

    Parameters
    ----------
    rows : iterable of Row
    taken : dict of str to list of (int, int)
        By SEED id: from when on, and until before when (ns).
    """
    united = {seed_id: _united(intervals) for seed_id, intervals in taken.items()}
    for row in rows:
        if row.id not in united:
            yield row
            continue
        for (_, begin), (stop, _) in pairwise([(-_EVER, -_EVER), *united[row.id], (_EVER, _EVER)]):
            part = clip(row, begin, stop) if begin <= row.end and stop > row.start else None
            if part is not None:
                yield part


def spans_of(source: Any, selection: Selection) -> list[Row]:
    """Ask a source for spans; one that only knows waveforms is asked for these."""
    if hasattr(source, "spans"):
        found: list[Row] = source.spans(selection)
        return found
    stream = source.get_waveforms(*selection.codes, *selection.span)
    return cut(of_runs(run for trace in stream for run in gapless(trace)), selection)


def to_spans(rows: Iterable[Row]) -> Spans:
    """Return the table of rows."""
    names, *plain = zip(*listed, strict=True) if (listed := list(rows)) else ((), *[()] * 5)
    codes = sorted(tuple(name.split(".")) for name in set(names))
    places = {".".join(code): place for place, code in enumerate(codes)}
    number = np.array([places[name] for name in names], np.int64)
    return table(codes, number, *map(np.array, plain, KINDS.values()))


def table(
    codes: list[tuple[str, ...]],
    number: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    rate: npt.NDArray[np.float64],
    n: npt.NDArray[np.int64],
    records: npt.NDArray[np.int64],
) -> Spans:
    """Return the table of columns: those of a `Row`; instead of the SEED id the number of its codes."""
    if not len(number):
        return Spans()
    order = np.lexsort((records, n, rate, end, number, start))
    number = number[order]
    named = np.array(codes, object).T[:, number]
    return Spans.of_columns(
        {
            "time": start[order].view("M8[ns]"),
            **dict(zip(_CODES, named, strict=True)),
            "end": end[order].view("M8[ns]"),
            "sampling_rate": rate[order],
            "samples": n[order],
            "records": records[order],
        },
        (codes, number),
    )


def _united(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    done: list[tuple[int, int]] = []
    for begin, stop in sorted(intervals):
        if done and begin <= done[-1][1]:
            done[-1] = done[-1][0], max(done[-1][1], stop)
        else:
            done.append((begin, stop))
    return done
