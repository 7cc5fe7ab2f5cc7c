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

from workbench.maths.words import big_word, differ, little_word

__all__ = [
    "DONE",
    "FAILED",
    "FULL",
    "HUNGRY",
    "LONGEST",
    "SHORTEST",
    "STATE",
    "STOPPED",
    "TOGETHER",
    "UNNAMED",
    "channels",
    "length_at",
    "sweep",
    "walk",
]

SHORTEST, LONGEST = 128, 1 << 20
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
def _u2(b, at, big):  # type: ignore[no-untyped-def]
    if big:
        return np.int64(b[at]) << 8 | np.int64(b[at + 1])
    return np.int64(b[at + 1]) << 8 | np.int64(b[at])


@njit(cache=True, nogil=True)
def _i2(b, at, big):  # type: ignore[no-untyped-def]
    value = _u2(b, at, big)
    return value - 65536 if value >= 32768 else value


@njit(cache=True, nogil=True)
def _u4(b, at, big):  # type: ignore[no-untyped-def]
    if big:
        return _u2(b, at, big) << 16 | _u2(b, at + 2, big)
    return _u2(b, at + 2, big) << 16 | _u2(b, at, big)


@njit(cache=True, nogil=True)
def _float(bits):  # type: ignore[no-untyped-def]
    """IEEE 754 single precision from its bits; 0 if it is not finite."""
    sign = -1.0 if bits >> 31 else 1.0
    power = (bits >> 23) & 0xFF
    mantissa = bits & 0x7FFFFF
    if power == 255:
        return 0.0
    if power == 0:
        return sign * mantissa * 2.0**-149
    return sign * (mantissa + 8388608) * 2.0 ** (power - 150)


@njit(cache=True, nogil=True)
def _dated(b, at, big):  # type: ignore[no-untyped-def]
    year, day = _u2(b, at + 20, big), _u2(b, at + 22, big)
    return 1900 <= year <= 2100 and 1 <= day <= 366


@njit(cache=True, nogil=True)
def _six_digits(b, at):  # type: ignore[no-untyped-def]
    """Tell whether six bytes are digits: four at a time, each with a 3 above and less than ten below."""
    first, last = np.int64(little_word(b, at)), np.int64(little_word(b, at + 2))
    high = (first ^ 0x30303030) | (last ^ 0x30303030) | (first + 0x06060606) ^ 0x30303030
    high |= (last + 0x06060606) ^ 0x30303030
    return high & 0xF0F0F0F0 == 0


@njit(cache=True, nogil=True)
def _numbered(b, at):  # type: ignore[no-untyped-def]
    """Tell whether the first six bytes are a sequence number: digits, blanks and zeros."""
    good = True
    for k in range(6):
        good = good and (48 <= b[at + k] <= 57 or b[at + k] == 32 or b[at + k] == 0)
    return good


@njit(cache=True, nogil=True)
def _begins(b, at):  # type: ignore[no-untyped-def]
    """Tell whether a data header may begin here."""
    if at + 48 > b.size:
        return False
    if not _numbered(b, at):
        return False
    quality = b[at + 6]
    if not (quality == 68 or quality == 82 or quality == 81 or quality == 77):  # D R Q M
        return False
    if not (b[at + 7] == 32 or b[at + 7] == 0):
        return False
    if b[at + 24] > 23 or b[at + 25] > 59 or b[at + 26] > 60:
        return False
    return _dated(b, at, True) or _dated(b, at, False)


@njit(cache=True, nogil=True)
def _named_length(b, at):  # type: ignore[no-untyped-def]
    """Return the length that blockette 1000 of a header names: 0 if that is none, -1 without it."""
    big = _dated(b, at, True)
    place = _u2(b, at + 46, big)
    while place >= 48 and at + place + 8 <= b.size:
        if _u2(b, at + place, big) == 1000:
            power = np.int64(b[at + place + 6])
            return 1 << power if 7 <= power <= 20 else 0
        following = _u2(b, at + place + 2, big)
        if following <= place:
            break
        place = following
    return -1


@njit(cache=True, nogil=True)
def length_at(b, at):  # type: ignore[no-untyped-def]
    """Return the length of the record that begins here, 0 if none does.

    Blockette 1000 tells it; without one the next header does, or the end.
    """
    if not _begins(b, at):
        return 0
    named = _named_length(b, at)
    if named >= 0:
        return named
    length = SHORTEST
    while length <= LONGEST and at + length <= b.size:
        if at + length == b.size or _begins(b, at + length):
            return length
        length *= 2
    return 0


@njit(cache=True, nogil=True)
def _rate(factor, multiplier):  # type: ignore[no-untyped-def]
    if factor == 0:
        return 0.0
    rate = float(factor) if factor > 0 else -1.0 / factor
    if multiplier > 0:
        rate *= multiplier
    elif multiplier < 0:
        rate = -rate / multiplier
    return rate


@njit(cache=True, nogil=True)
def _days(year, day):  # type: ignore[no-untyped-def]
    """Days since 1970 of a day of a year."""
    before = year - 1
    return (year - 1970) * 365 + (before // 4 - before // 100 + before // 400) - 477 + day - 1


@njit(cache=True, nogil=True)
def _capacity(encoding, room):  # type: ignore[no-untyped-def]
    """Return the most samples that so many bytes can hold, -1 if unknown."""
    if encoding == 10:
        return room // 64 * 60
    if encoding == 11:
        return room // 64 * 105
    if encoding in (1, 13, 14, 16, 30, 32):
        return room // 2
    if encoding in (3, 4):
        return room // 4
    if encoding == 5:
        return room // 8
    if encoding in (2, 12):
        return room // 3
    return -1


@njit(cache=True, nogil=True)
def _coded(b, at):  # type: ignore[no-untyped-def]
    """Tell whether the twelve bytes of the codes are letters, digits, '-', '_' and blanks."""
    for k in range(at, at + 12):
        c = b[k]
        if not (48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == 32 or c == 0 or c == 45 or c == 95):
            return False
    return True


@njit(cache=True, nogil=True)
def _model(b, at, big, length, mask):  # type: ignore[no-untyped-def]
    """Tell whether a header whose bytes are the same where a mask has ones says the same.

    What may differ is number, time, samples, timing quality, and flags that do not say how to
    read the time.  The blockettes are a 1000 and perhaps a 1001 behind it, codes and the place
    of the samples are good, and no leap second is near.
    """
    if _u2(b, at + 46, big) != 48 or _u2(b, at + 48, big) != 1000 or b[at + 36] & 0x10 or b[at + 26] == 60:
        return False
    following = _u2(b, at + 50, big)
    timed = following == 56 and _u2(b, at + 56, big) == 1001 and _u2(b, at + 58, big) <= 56
    mask[:] = 0
    mask[6:24] = mask[32:37] = mask[40:56] = 255
    if timed:
        mask[56:60] = 255
    return (following <= 48 or timed) and 48 <= _u2(b, at + 44, big) < length and _coded(b, at + 8)


@njit(cache=True, nogil=True)
def _alike(b, at, model, mask):  # type: ignore[no-untyped-def]
    """Tell whether a header is one that a model speaks for.

    Without a branch, as this goes through whole archives; a sequence number with blanks is good as
    well, but takes the long way.
    """
    # Hour, minute and second: what is too large carries into the highest bit of its byte.
    clock = np.int64(little_word(b, at + 24))
    late = (clock | (clock + 0x00444468)) & 0x00808080
    return (not differ(b, at, model, mask)) & (late == 0) & _six_digits(b, at)


@njit(cache=True, nogil=True)
def _span(n, rate):  # type: ignore[no-untyped-def]
    """Return the time from the first to the last sample, ns."""
    if rate > 0 and n > 1:
        return np.int64(np.rint(min((n - 1) * 1e9 / rate, 1e18)))
    return np.int64(0)


@njit(cache=True, nogil=True)
def _time_in_day(b, at, big):  # type: ignore[no-untyped-def]
    """Return the time of a header without its date, ns."""
    seconds = np.int64(b[at + 24]) * 3600 + np.int64(b[at + 25]) * 60 + np.int64(b[at + 26])
    return seconds * 1_000_000_000 + _u2(b, at + 28, big) * 100_000


@njit(cache=True, nogil=True)
def _microseconds(b, at):  # type: ignore[no-untyped-def]
    """Return the microseconds of the blockette 1001 that lies behind a blockette 1000, ns."""
    extra = np.int64(b[at + 61])
    return (extra - 256 if extra >= 128 else extra) * 1_000


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
            start += _microseconds(b, at)
        if n == 0 or n > most >= 0 or start >= midnight or abs(start - end - step) > 0.5 * step:
            break
        end = start + _span(n, rate)
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
                timing, micro = np.int64(b[at + 60]), _microseconds(b, at)
        else:
            length = length_at(b, at)
            if length == 0 or at + length > b.size:
                break
            big = _dated(b, at, True)
            data = _u2(b, at + 44, big)
            day = _days(_u2(b, at + 20, big), _u2(b, at + 22, big)) * DAY
            correction = np.int64(0)
            if not b[at + 36] & 2:  # a time correction that is not yet in the start
                correction = _u4(b, at + 40, big)
                correction = (correction - 4294967296 if correction >= 2147483648 else correction) * 100_000
            rate = _rate(_i2(b, at + 32, big), _i2(b, at + 34, big))
            encoding, order = np.int64(UNNAMED), big
            timed = False
            place = _u2(b, at + 46, big)
            while place >= 48 and place + 8 <= length:
                kind = _u2(b, at + place, big)
                if kind == 1000:
                    encoding, order = np.int64(b[at + place + 4]), b[at + place + 5] != 0
                elif kind == 1001:
                    timed = True
                    timing = np.int64(b[at + place + 4])
                    micro += _microseconds(b, at + place - 56)
                elif kind == 100:
                    actual = _float(_u4(b, at + place + 4, big))
                    if actual > 0:
                        rate = actual
                following = _u2(b, at + place + 2, big)
                if following <= place:
                    break
                place = following
            most = _capacity(encoding, length - data)
            model = at if _model(b, at, big, length, mask) else np.int64(-1)
        n = _u2(b, at + 30, big)
        second = np.int64(b[at + 26])
        start = day + _time_in_day(b, at, big) + correction + micro
        end = start + _span(n, rate)
        leap = False
        if second == 60 or b[at + 36] & 0x10:
            midnight = start // DAY * DAY if second == 60 else (start // DAY + 1) * DAY
            leap = second == 60 or end >= midnight
            if leap:
                end = midnight - 1 if end < midnight + 1_000_000_000 else end - 1_000_000_000
        if not known and not _coded(b, at + 8):
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
            if _named_length(view, last) < 0:
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
