"""Headers of miniSEED 2 records, walked in a buffer.

Arrays in, arrays out: `walk` goes from record to record until something is no
record, and leaves it to its caller what to do then.

References
----------
SEED Reference Manual version 2.4 (FDSN, 2012), chapter 8, "Data record".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from workbench.maths.fields import (
    capacity,
    coded,
    dated,
    days,
    duration,
    i2,
    length_at,
    microseconds,
    named_length,
    nominal_rate,
    single,
    six_digits,
    time_in_day,
    u2,
    u4,
)
from workbench.maths.words import big_word, differ, little_word

__all__ = [
    "DONE",
    "FAILED",
    "FULL",
    "HUNGRY",
    "STATE",
    "STOPPED",
    "TOGETHER",
    "UNNAMED",
    "channels",
    "sweep",
    "walk",
]

UNNAMED = 10
"""Encoding of a record that does not name it: Steim-1, as in libmseed."""
TOGETHER = 256 * 1024
"""Bytes of a file, counted from its beginning, within which records may be put together."""

DAY = 86_400_000_000_000
OUTSIDE, TOO_MANY, CODES = 1, 2, 3
"""What may be wrong with a header: `fault`."""
DONE, STOPPED, FULL, HUNGRY, FAILED = 0, 1, 2, 3, 4
"""How `sweep` ended: with the file, before what needs care, without room or bytes, by an error."""
STATE = np.dtype([(name, "i8") for name in ("count", "known", "start", "size", "at", "ended")])
"""Rows, channels; place of the room in the file, bytes in it, bytes of these that are read; the end."""
AS_BEFORE = -1
"""Channel of a record that `walk` knows to have the codes of the record before."""

_MARGIN = 1 << 10
"""Bytes within which all blockettes of a header are."""
_read: Any = types.ExternalFunction("read", types.intp(types.int32, types.uintp, types.uintp))
"""That of the C library: Python's would stop all other threads again and again."""


@njit(cache=True, nogil=True)
def _model(b, at, big, length, mask):  # type: ignore[no-untyped-def]
    """Tell whether a header whose bytes are the same where a mask has ones says the same.

    What may differ is number, time, samples, timing quality, and flags that do not say how to
    read the time.  The blockettes are a 1000 and perhaps a 1001 behind it, codes and the place
    of the samples are good, and no leap second is near.
    """
    if u2(b, at + 46, big) != 48 or u2(b, at + 48, big) != 1000 or b[at + 36] & 0x10 or b[at + 26] == 60:
        return False
    following = u2(b, at + 50, big)
    timed = following == 56 and u2(b, at + 56, big) == 1001 and u2(b, at + 58, big) <= 56
    mask[:] = 0
    mask[6:24] = mask[32:37] = mask[40:56] = 255
    if timed:
        mask[56:60] = 255
    return (following <= 48 or timed) and 48 <= u2(b, at + 44, big) < length and coded(b, at + 8)


@njit(cache=True, nogil=True)
def _alike(b, at, model, mask):  # type: ignore[no-untyped-def]
    """Tell whether a header is one that a model speaks for.

    Without a branch, as this goes through whole archives; a sequence number with blanks is good as
    well, but takes the long way.
    """
    # Hour, minute and second: what is too large carries into the highest bit of its byte.
    clock = np.int64(little_word(b, at + 24))
    late = (clock | (clock + 0x00444468)) & 0x00808080
    return (not differ(b, at, model, mask)) & (late == 0) & six_digits(b, at)


@njit(cache=True, nogil=True)
def _following(b, at, stop, model, mask, length, big, timed, zero, rate, most, start, end):  # type: ignore[no-untyped-def]
    """Read headers that a model speaks for, as long as their samples follow each other within a day.

    Parameters
    ----------
    stop : int
        No record begins there, or later.
    zero : int
        Time from which that in the header counts, ns since 1970.
    start, end : int
        First and last sample of the record before, ns since 1970.

    Returns
    -------
    at : int
        Where it stopped.
    records, samples : int
        How many there are.
    end : int
        Last sample of the last of them, or of the record before, ns since 1970.
    """
    records, samples = 0, np.int64(0)
    step = 1e9 / rate
    midnight = (start // DAY + 1) * DAY
    stop = min(stop, b.size - length + 1)
    while at < stop and _alike(b, at, model, mask):
        clock = np.int64(little_word(b, at + 24))
        seconds = (clock & 255) * 3600 + ((clock >> 8) & 255) * 60 + ((clock >> 16) & 255)
        tail = np.int64(big_word(b, at + 28)) if big else np.int64(little_word(b, at + 28))
        n, ticks = (tail & 65535, tail >> 16) if big else (tail >> 16, tail & 65535)
        start = zero + seconds * 1_000_000_000 + ticks * 100_000
        if timed:
            start += microseconds(b, at)
        if n == 0 or n > most >= 0 or start >= midnight or abs(start - end - step) > 0.5 * step:
            break
        end = start + duration(n, rate)
        samples += n
        records += 1
        at += length
    return at, records, samples, end


@njit(cache=True, nogil=True)
def walk(b, at, base, rows, faults, together):  # type: ignore[no-untyped-def]
    """Read headers from `at` on, until the rows are full or there is no record.

    Records of one day mostly differ in time and samples alone, and such a
    header is read in a fifth of the time by what is known of the one before.

    Parameters
    ----------
    b : ndarray of uint8, shape (n_bytes,)
    at : int
        Where the first record begins.
    base : int
        Added to all offsets: where the buffer lies in its file.
    rows : ndarray of records, shape (n_rows,)
        Fields as in `workbench.archive.records.RECORD`, all filled; the
        channel is left to `channels`.  A time is in ns since 1970; the end is that of the last
        sample.  As in libmseed, times count on without a positive leap second;
        it is known by the second 60 in the header, or by bit 4 of the activity
        flags.  Such a record is marked, and if it ends within the leap second,
        its end is put right before midnight.
    faults : ndarray of uint8, shape (n_rows,)
        Filled with what is wrong with a header; 0 for nothing.
    together : bool
        Records of which one follows the other, in the file and in time, may share
        a row: within `TOGETHER` bytes of the file, and within a day (UTC).

    Returns
    -------
    count : int
        Rows filled.
    at : int
        Where it stopped.
    """
    count = 0
    # What the last header said that was read as a whole, and where it lies if others may be like it.
    model, timed = np.int64(-1), False
    mask = np.empty(64, np.uint8)
    length, data, correction, day = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    big, order = True, True
    rate, encoding, most = 0.0, np.int64(UNNAMED), np.int64(-1)
    while count < rows.shape[0]:
        fault, timing, micro = 0, np.int64(-1), np.int64(0)
        known = model >= 0 and at + length <= b.size and _alike(b, at, model, mask)
        if known:
            if timed:
                timing, micro = np.int64(b[at + 60]), microseconds(b, at)
        else:
            length = length_at(b, at)
            if length == 0 or at + length > b.size:
                break
            big = dated(b, at, True)
            data = u2(b, at + 44, big)
            day = days(u2(b, at + 20, big), u2(b, at + 22, big)) * DAY
            correction = np.int64(0)
            if not b[at + 36] & 2:  # a time correction that is not yet in the start
                correction = u4(b, at + 40, big)
                correction = (correction - 4294967296 if correction >= 2147483648 else correction) * 100_000
            rate = nominal_rate(i2(b, at + 32, big), i2(b, at + 34, big))
            encoding, order = np.int64(UNNAMED), big
            timed = False
            place = u2(b, at + 46, big)
            while place >= 48 and place + 8 <= length:
                kind = u2(b, at + place, big)
                if kind == 1000:
                    encoding, order = np.int64(b[at + place + 4]), b[at + place + 5] != 0
                elif kind == 1001:
                    timed = True
                    timing = np.int64(b[at + place + 4])
                    micro += microseconds(b, at + place - 56)
                elif kind == 100:
                    actual = single(u4(b, at + place + 4, big))
                    if actual > 0:
                        rate = actual
                following = u2(b, at + place + 2, big)
                if following <= place:
                    break
                place = following
            most = capacity(encoding, length - data)
            model = at if _model(b, at, big, length, mask) else np.int64(-1)
        n = u2(b, at + 30, big)
        second = np.int64(b[at + 26])
        start = day + time_in_day(b, at, big) + correction + micro
        end = start + duration(n, rate)
        leap = False
        if second == 60 or b[at + 36] & 0x10:
            midnight = start // DAY * DAY if second == 60 else (start // DAY + 1) * DAY
            leap = second == 60 or end >= midnight
            if leap:
                end = midnight - 1 if end < midnight + 1_000_000_000 else end - 1_000_000_000
        if not known and not coded(b, at + 8):
            fault = CODES
        elif n > 0 and (data < 48 or data >= length):
            fault = OUTSIDE
        elif n > most >= 0:
            fault = TOO_MANY
        row = rows[count]
        row["offset"], row["length"], row["start"], row["end"], row["n"] = base + at, length, start, end, n
        row["rate"], row["encoding"], row["big"], row["data"] = rate, encoding, order, data
        row["quality"], row["timing"], row["leap"] = b[at + 6], timing, leap
        row["channel"] = AS_BEFORE if known else 0
        row["records"] = 1
        faults[count] = fault
        count += 1
        at += length
        if together and model >= 0 and fault == 0 and n > 0 and rate > 0 and not leap:
            stop = (row["offset"] // TOGETHER + 1) * TOGETHER - base
            at, more, samples, end = _following(
                b, at, stop, model, mask, length, big, timed, day + correction, rate, most, start, end
            )
            row["records"], row["n"], row["end"] = 1 + more, n + samples, end
    return count, at


@njit(cache=True, nogil=True)
def _same_codes(b, at, code):  # type: ignore[no-untyped-def]
    return (
        little_word(b, at + 8) == little_word(code, 0)
        and little_word(b, at + 12) == little_word(code, 4)
        and little_word(b, at + 16) == little_word(code, 8)
    )


@njit(cache=True, nogil=True)
def channels(b, base, rows, codes, count):  # type: ignore[no-untyped-def]
    """Give each record the number of its channel, in the order they come.

    Parameters
    ----------
    b : ndarray of uint8, shape (n_bytes,)
    base : int
        As for `walk`.
    rows : ndarray of records, shape (n_rows,)
        As `walk` left them.  The field ``channel`` is filled.
    codes : ndarray of uint8, shape (n_codes, 12)
        Those of the channels that are known, and room for more.
    count : int
        How many are known.

    Returns
    -------
    int
        How many are known now; -1 if there is no room for another.
    """
    last = 0
    for k in range(rows.size):
        if rows[k]["channel"] == AS_BEFORE:
            rows[k]["channel"] = last
            continue
        at = rows[k]["offset"] - base
        if count == 0 or not _same_codes(b, at, codes[last]):
            last = 0
            while last < count and not _same_codes(b, at, codes[last]):
                last += 1
            if last == count:
                if count == codes.shape[0]:
                    return -1
                codes[count] = b[at + 8 : at + 20]
                count += 1
        rows[k]["channel"] = last
    return count


@njit(cache=True, nogil=True)
def sweep(file, room, state, rows, faults, codes, together):  # type: ignore[no-untyped-def]
    """Read the headers of a file, as long as one good record follows the other.

    Parameters
    ----------
    file : int
        Its descriptor; -1 if the caller fills the room.
    room : ndarray of uint8, shape (n_bytes,)
        Through which the file goes.
    state : ndarray of STATE, shape (1,)
        Zeros at first, and changed: to be called again, with more room, or more
        in the room (from `size` on; `ended` if the file has no more).
    rows, faults, together
        As for `walk`, and filled from the first on.
    codes : ndarray of uint8, shape (n_codes, 12)
        As for `channels`.

    Returns
    -------
    int
        DONE, STOPPED, FULL, HUNGRY or FAILED.
    """
    now = state[0]
    while True:
        while file >= 0 and not now["ended"] and now["size"] < room.size:
            got = _read(file, room.ctypes.data + now["size"], room.size - now["size"])
            if got < 0:
                return FAILED
            now["ended"] = got == 0
            now["size"] += got
        view, begin, done = room[: now["size"]], now["at"], now["count"]
        count, at = walk(view, begin, now["start"], rows[done:], faults[done:], together)
        fresh = rows[done : done + count]
        known = channels(view, now["start"], fresh, codes, now["known"])
        if known < 0:
            return FULL
        now["count"], now["known"], now["at"] = done + count, known, at
        if count == rows.size - done:
            return FULL
        if now["ended"]:
            return STOPPED if at < view.size else DONE
        if at == view.size and now["count"]:
            last = rows[now["count"] - 1]["offset"] - now["start"]
            if named_length(view, last) < 0:
                # Its length has been told from the end of the room, which is none of the file.
                now["count"] -= 1
                at = last
        elif view.size - at > _MARGIN and not length_at(view, at):
            return STOPPED
        now["at"] = at
        if at == 0:
            return STOPPED
        for k in range(at, view.size):
            room[k - at] = room[k]
        now["start"] += at
        now["size"], now["at"] = view.size - at, 0
        if file < 0:
            return HUNGRY
