"""Windows: what of a result lies in a span of time, by noun.

Work that is cut in time computes more than it keeps: each part reads some data
before and after its window, and keeps what lies in the window.  What each part
keeps is decided here, and nowhere else, so that nothing between two windows is
lost and nothing is there twice.

==================  =====================================================
Waveforms           samples, by their times
tables              rows, by the column ``time``
Events              by the time of the preferred origin, or the first pick
Dataset             along the dimension ``time``
anything else       has no time, and stays as it is
==================  =====================================================
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from obspy import Stream, Trace, UTCDateTime

from workbench.nouns import Events, Table, Waveforms, noun_of
from workbench.preferred import moment
from workbench.wire.tables import ready

if TYPE_CHECKING:
    from workbench.nouns import Dataset

__all__ = ["clip"]


def clip(value: Any, start: int, stop: int) -> Any:
    """Return what of a result lies in the window [start, stop).

    Parameters
    ----------
    value : object
        A noun; it is not changed, and returned as it is where all of it lies inside.
    start, stop : int
        Nanoseconds since 1970.

    Examples
    --------
    >>> import obspy
    >>> stream = obspy.read()
    >>> begin = stream[0].stats.starttime.ns
    >>> [len(trace) for trace in clip(stream, begin, begin + 10**9)]
    [100, 100, 100]
    """
    if isinstance(value, Table):
        return _table(value, start, stop)
    if isinstance(value, Waveforms):
        cut = (_trace(trace, start, stop) for trace in value)
        return Stream([trace for trace in cut if trace is not None])
    if isinstance(value, Events):
        return _events(value, start, stop)
    if noun_of(type(value)) == "Dataset":
        return _dataset(value, start, stop)
    return value


def _trace(trace: Trace, start: int, stop: int) -> Trace | None:
    """Cut between samples: a quarter of one before each edge.

    A sample on the very edge may be off by the rounding of its record's header,
    and differently so in the two parts that have it.
    """
    step = 1e9 / float(trace.stats.sampling_rate)
    begin = trace.stats.starttime.ns
    first, last = (
        min(max(math.ceil((edge - begin) / step - 0.25), 0), trace.stats.npts) for edge in (start, stop)
    )
    if first >= last:
        return None
    if (first, last) == (0, trace.stats.npts):
        return trace
    header = trace.stats.copy()
    header.starttime = UTCDateTime(ns=begin + round(first * step))
    return Trace(trace.data[first:last], header)


def _table(table: Table, start: int, stop: int) -> Table:
    times = table.table["time"].to_numpy("datetime64[ns]").astype(np.int64)
    # Rows of a table lie in the order of their times.
    first, last = np.searchsorted(times, [start, stop]).tolist()
    if (first, last) == (0, len(times)):
        return table
    return ready(type(table), table.table.iloc[first:last].reset_index(drop=True))


def _events(events: Events, start: int, stop: int) -> Events:
    def inside(time: int | None) -> bool:
        return time is None or start <= time < stop

    return Events([event for event in events if inside(moment(event))])


def _dataset(dataset: Dataset, start: int, stop: int) -> Dataset:
    if "time" not in dataset.dims or "time" not in dataset.coords:
        return dataset
    times = dataset["time"].values
    if times.dtype.kind != "M":
        return dataset
    ns = times.astype("datetime64[ns]").astype(np.int64)
    return dataset.isel(time=(ns >= start) & (ns < stop))
