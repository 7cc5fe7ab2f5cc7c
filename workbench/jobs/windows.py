"""Windows: where time is cut, and how a length of time is said."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidSetting

__all__ = ["EVER", "Cut", "iso", "length_of", "touched"]

EVER = 2**62
"""Nanoseconds after, and before, any data."""

_UNITS = {"D": 86_400, "d": 86_400, "H": 3600, "h": 3600, "min": 60, "s": 1}
_LENGTH = re.compile(r"(?:(\d+(?:\.\d+)?)\s*(D|d|H|h|min|s)\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(D|d|H|h|min|s)")


def length_of(tile: str | float | None) -> int:
    """Return the length of a tile in nanoseconds; 0 is not cut at all.

    Parameters
    ----------
    tile : str or float or None
        ``1D``, ``12h``, ``1h30min``, ``600s``; or seconds; or None.

    Raises
    ------
    InvalidSetting
        If it is none of these.

    Examples
    --------
    >>> length_of("1h30min") // 10**9
    5400
    """
    if tile is None:
        return 0
    if isinstance(tile, str) and _LENGTH.fullmatch(tile.strip()):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(tile))
    elif isinstance(tile, int | float) and not isinstance(tile, bool):
        seconds = float(tile)
    else:
        seconds = 0.0
    if not 0 < seconds < EVER / 1e9:
        raise InvalidSetting(f"tile = {tile!r}", "is no length of time", "Write 1D, 12h, 30min, or seconds.")
    return round(seconds * 1e9)


@dataclass(frozen=True, slots=True)
class Cut:
    """How a kernel's work is cut in time, all in nanoseconds.

    Attributes
    ----------
    length : int
        Of a tile, a multiple of the grid; 0 is not cut.
    lead, trail : int
        Read before and after a window.
    grid : int
        Windows begin at its multiples; 0 is anywhere.
    reach : bool
        Whether a result may lie where there are no data, as the origin of an
        event does that is recorded later.
    """

    length: int
    lead: int = 0
    trail: int = 0
    grid: int = 0
    reach: bool = False

    def halves(self, start: int, stop: int) -> tuple[int, int, int] | None:
        """Return where a window falls into two, or None where that is no use any more."""
        grid = self.grid or 1
        middle = start + (stop - start) // (2 * grid) * grid
        least = max(self.lead + self.trail, grid, 10**9)
        if middle - start < least or stop - middle < least:
            return None
        return start, middle, stop


def touched(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Return the numbers of the windows of a length that spans (both ends included) lie in, sorted."""
    first, last = start // length, end // length
    long = last > first
    numbers = [first[~long]]
    numbers += [np.arange(a, b + 1) for a, b in zip(first[long].tolist(), last[long].tolist(), strict=True)]
    return np.unique(np.concatenate(numbers)) if len(start) else np.empty(0, np.int64)


def iso(ns: int) -> str:
    """Write a time as selections have it.

    Examples
    --------
    >>> iso(86_399_999_999_999)
    '1970-01-01T23:59:59.999999999'
    """
    seconds, rest = divmod(ns, 1_000_000_000)
    text = str(np.datetime64(seconds, "s"))
    return f"{text}.{rest:09d}".rstrip("0") if rest else text
