"""Records that follow each other: in a file, and in time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from workbench.maths.headers import TOGETHER

__all__ = ["stretches", "successions"]

_DAY = 86_400_000_000_000


@njit(cache=True, nogil=True)
def _follows(before, after):  # type: ignore[no-untyped-def]
    step = 1e9 / before["rate"]
    late = after["start"] - before["end"] - step
    return abs(late) <= 0.5 * step and not before["leap"] and not after["leap"]


@njit(cache=True, nogil=True)
def _stretches(rows, together, out, rates):  # type: ignore[no-untyped-def]
    count = 0
    before = rows[0]
    for k in range(rows.size):
        row = rows[k]
        if row["n"] <= 0 or row["rate"] <= 0:
            continue
        if (
            count == 0
            or before["offset"] + before["length"] * before["records"] != row["offset"]
            or before["channel"] != row["channel"]
            or before["rate"] != row["rate"]
            or before["encoding"] != row["encoding"]
            or before["length"] != row["length"]
            or before["offset"] // together != row["offset"] // together
            or not _follows(before, row)
        ):
            out[count, 0], out[count, 2], out[count, 3] = row["offset"], row["channel"], row["start"]
            out[count, 5], out[count, 6], out[count, 7] = 0, row["length"], row["encoding"]
            rates[count] = row["rate"]
            count += 1
        mine = out[count - 1]
        mine[1] = row["offset"] + row["length"] * row["records"] - mine[0]
        mine[4] = row["end"]
        mine[5] += row["n"]
        mine[8] = row["leap"]
        before = row
    for k in range(count):
        out[k, 3] = min(out[k, 3], out[k, 4])
    return count


def stretches(
    rows: npt.NDArray[np.void], together: int = TOGETHER
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Group records that follow each other in time and in their file.

    Parameters
    ----------
    rows : ndarray of RECORD, shape (n_records,)
        In the order of the file; those without samples or rate are passed over.
    together : int
        Bytes of the file, counted from its beginning, within which all records
        of a group begin.  So a group is the same whatever lies before it.

    Returns
    -------
    found : ndarray of int64, shape (n_groups, 9)
        Offset and length (bytes), channel, first and last sample (ns since
        1970), samples, length of a record, encoding, leap second.
    rates : ndarray, shape (n_groups,)
        Samples a second.
    """
    found, rates = np.empty((len(rows), 9), np.int64), np.empty(len(rows))
    count = _stretches(rows, together, found, rates) if len(rows) else 0
    return found[:count], rates[:count]


@njit(cache=True, nogil=True)
def _successions(rows, last, home, out, rates):  # type: ignore[no-untyped-def]
    count = 0
    for k in range(rows.size):
        row = rows[k]
        if row["n"] <= 0 or row["rate"] <= 0:
            continue
        channel = row["channel"]
        before = last[channel]
        if before >= 0:
            mine = home[channel]
            if (
                abs(row["rate"] - rates[mine]) <= 1e-4 * row["rate"]
                and row["start"] // _DAY == out[mine, 1] // _DAY
                and _follows(rows[before], row)
            ):
                out[mine, 2] = row["end"]
                out[mine, 3] += row["n"]
                out[mine, 4] += row["records"]
                last[channel] = k
                continue
        out[count, 0] = channel
        out[count, 1] = row["start"]
        out[count, 2] = max(row["start"], row["end"])
        out[count, 3] = row["n"]
        out[count, 4] = row["records"]
        rates[count] = row["rate"]
        last[channel], home[channel] = k, count
        count += 1
    return count


def successions(
    rows: npt.NDArray[np.void], channels: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Put records together that follow each other in time within half a sample, channel by channel.

    What begins on another day (UTC) is on its own, so that the records of a
    day can be told from it.

    Parameters
    ----------
    rows : ndarray of RECORD, shape (n_records,)
        In the order of the file; those without samples or rate are passed over.
    channels : int
        How many there are.

    Returns
    -------
    found : ndarray of int64, shape (n_successions, 5)
        Channel, first and last sample (ns since 1970), samples, records.
    rates : ndarray, shape (n_successions,)
        Samples a second.
    """
    found, rates = np.empty((len(rows), 5), np.int64), np.empty(len(rows))
    last, home = np.full(channels, -1), np.full(channels, -1)
    count = _successions(rows, last, home, found, rates)
    return found[:count], rates[:count]
