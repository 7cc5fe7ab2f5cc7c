"""Windows of time on a grid: where they begin, what they are called, how many there may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.errors import InvalidSetting, ResourceExceeded
from workbench.maths.availability import GRID_NS

__all__ = ["divided", "early", "edges", "moment", "nanoseconds", "on_time", "parts_of", "time_axis"]

_MOST = 50_000_000
"""Most windows of all channels: beyond, a setting is wrong, or memory is not enough."""


def nanoseconds(kernel: str, name: str, seconds: float) -> int:
    """Return a length of time as whole nanoseconds.

    Raises
    ------
    InvalidSetting
        If it is none.
    """
    length = round(seconds * 1e9)
    if length < 1 or abs(length - seconds * 1e9) > 0.01:
        raise InvalidSetting(
            kernel, f"{name} = {seconds!r} s is no whole number of nanoseconds", "Take a rounder number."
        )
    return length


def divided(kernel: str, window: float, subwindow: float) -> tuple[int, int]:
    """Return the lengths of a window and of its sub-windows, ns.

    Raises
    ------
    InvalidSetting
        If the one is no multiple of the other.
    """
    length, part = nanoseconds(kernel, "window", window), nanoseconds(kernel, "subwindow", subwindow)
    if length % part:
        raise InvalidSetting(
            kernel,
            f"window = {window:g} s is no multiple of subwindow = {subwindow:g} s",
            "Change one of them.",
        )
    return length, part


def moment(kernel: str, name: str, text: str | None) -> int | None:
    """Read a time setting, ISO 8601 in UTC, as ns since 1970.

    Raises
    ------
    InvalidSetting
        If it is no time.

    Examples
    --------
    >>> moment("quality.completeness", "starttime", "1970-01-02")
    86400000000000
    """
    if text is None or not text.strip():
        return None
    try:
        return int(UTCDateTime(text.strip(), iso8601=True).ns)
    except (ValueError, TypeError) as error:
        raise InvalidSetting(
            kernel, f"{name} = {text!r} is no time ({error})", "Write UTC as 2018-01-01T00:00:00."
        ) from error


def edges(
    kernel: str, window: int, first: int, last: int, start: int | None, end: int | None, channels: int
) -> npt.NDArray[np.int64]:
    """Return where the windows begin, and where the last of them ends.

    Parameters
    ----------
    kernel : str
    window : int
        Length, ns.  Windows begin at its multiples since 1970.
    first, last : int
        First and last sample that there is, ns.
    start, end : int or None
        The span asked for; without them windows are those that hold data, and
        those between.
    channels : int

    Raises
    ------
    InvalidSetting
        If the end is not after the start.
    ResourceExceeded
        If there are too many.
    """
    if start is not None and end is not None and end <= start:
        raise InvalidSetting(kernel, "endtime is not after starttime", "Exchange the two.")
    begin = (first if start is None else start) // window
    stop = last // window + 1 if end is None else -(-end // window)
    number = max(stop - begin, 0)
    if number * max(channels, 1) > _MOST:
        raise ResourceExceeded(
            kernel,
            f"would give {number} windows of {channels} channels",
            "Take longer windows, a shorter time, or fewer channels.",
        )
    return np.arange(begin, begin + number + 1, dtype=np.int64) * window


def parts_of(edges: npt.NDArray[np.int64], part: int) -> npt.NDArray[np.int64]:
    """Return where the parts of windows begin, and where the last of them ends, ns.

    Counted and not stepped: NumPy finds out how many steps there are with
    floats, and loses the last one of some hundred days.

    Examples
    --------
    >>> len(parts_of(np.array([0, 365]) * 86_400_000_000_000, 86_400_000_000_000))
    366
    """
    number = int(edges[-1] - edges[0]) // part
    return edges[0] + np.arange(number + 1, dtype=np.int64) * part


def on_time(time: int, rate: float) -> int:
    """Return the latest time that a header may have meant by a time of a sample, ns."""
    return time + int(early(np.float64(rate)))


def early(rate: npt.NDArray[np.float64] | np.float64) -> npt.NDArray[np.int64]:
    """Return by how much the time in a header may be early at sampling rates (Hz), ns."""
    return np.minimum(GRID_NS, 0.25e9 / rate).astype(np.int64)


def time_axis(edges: npt.NDArray[np.int64], window: int) -> tuple[str, Any, dict[str, Any]]:
    """Return the coordinate ``time``: where each window begins."""
    return (
        "time",
        edges[:-1].view("datetime64[ns]"),
        {"long_name": "begin of window", "window_s": window / 1e9},
    )
