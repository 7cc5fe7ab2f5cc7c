"""Midnights: where runs are cut, a leap second included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from workbench.archive.layout import DAY_NS
from workbench.archive.runs import Run

__all__ = ["cut_days"]


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
