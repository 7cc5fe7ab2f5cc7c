"""Hours of a record: what is searched at once, with as much around it as may matter.

Hours begin where the clock says, whatever the record begins with.  So the parts
of a long record give what the whole gives: each hour sees the same samples in
both, and belongs to one part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from obspy import UTCDateTime
from obspy.core.event import Event

from workbench.nouns import Events, Waveforms
from workbench.preferred import moment

__all__ = ["HOUR_S", "Hour", "hours"]

HOUR_S = 3600.0
"""Length of what is searched at once."""

_HOUR = round(HOUR_S * 1e9)
_EVER = 2**62


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour that holds samples, and what of time is its own, ns since 1970."""

    waveforms: Waveforms
    start: int
    stop: int

    def own(self, events: Events) -> list[Event]:
        """Return the events of this hour."""
        return [event for event in events if self.start <= (moment(event) or 0) < self.stop]


def hours(waveforms: Waveforms, margin_s: float) -> Iterator[Hour]:
    """Go through the hours that hold samples.

    Time without samples belongs to the hour after it: an earthquake may be
    earlier than what recorded it.

    Parameters
    ----------
    waveforms : Waveforms
        Not changed; the parts share their samples.
    margin_s : float
        What is shown before and after each hour, s.

    Examples
    --------
    >>> import obspy
    >>> stream = obspy.read()
    >>> for trace in stream:
    ...     trace.stats.starttime = obspy.UTCDateTime(2024, 1, 1, 9, 59, 50)
    >>> [len(hour.waveforms[0]) for hour in hours(stream, 5.0)]
    [1501, 2500]
    """
    numbers = sorted(
        {
            number
            for trace in waveforms
            if len(trace)
            for number in range(trace.stats.starttime.ns // _HOUR, trace.stats.endtime.ns // _HOUR + 1)
        }
    )
    if len(numbers) < 2:
        yield Hour(waveforms, -_EVER, _EVER)
        return
    margin = round(margin_s * 1e9)
    for before, number in zip([None, *numbers], numbers, strict=False):
        first, last = number * _HOUR - margin, (number + 1) * _HOUR + margin
        yield Hour(
            waveforms.slice(UTCDateTime(ns=first), UTCDateTime(ns=last)),
            -_EVER if before is None else (before + 1) * _HOUR,
            _EVER if number == numbers[-1] else (number + 1) * _HOUR,
        )
