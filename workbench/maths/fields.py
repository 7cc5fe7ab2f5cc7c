"""Fields of the headers of miniSEED 2 records, in a buffer.

Nothing here looks beyond a header, but where only the next one tells how long a record is.

References
----------
SEED Reference Manual version 2.4 (FDSN, 2012), chapter 8, "Data record".
"""

from __future__ import annotations

import numpy as np
from numba import njit

from workbench.maths.words import little_word

__all__ = [
    "LONGEST",
    "SHORTEST",
    "capacity",
    "coded",
    "dated",
    "days",
    "duration",
    "i2",
    "length_at",
    "microseconds",
    "named_length",
    "nominal_rate",
    "single",
    "six_digits",
    "time_in_day",
    "u2",
    "u4",
]

SHORTEST, LONGEST = 128, 1 << 20
"""Lengths that a record may have, in bytes."""


@njit(cache=True, nogil=True)
def u2(b, at, big):  # type: ignore[no-untyped-def]
    """Return two bytes as a number without sign."""
    if big:
        return np.int64(b[at]) << 8 | np.int64(b[at + 1])
    return np.int64(b[at + 1]) << 8 | np.int64(b[at])


@njit(cache=True, nogil=True)
def i2(b, at, big):  # type: ignore[no-untyped-def]
    """Return two bytes as a number with a sign."""
    value = u2(b, at, big)
    return value - 65536 if value >= 32768 else value


@njit(cache=True, nogil=True)
def u4(b, at, big):  # type: ignore[no-untyped-def]
    """Return four bytes as a number without sign."""
    if big:
        return u2(b, at, big) << 16 | u2(b, at + 2, big)
    return u2(b, at + 2, big) << 16 | u2(b, at, big)


@njit(cache=True, nogil=True)
def single(bits):  # type: ignore[no-untyped-def]
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
def dated(b, at, big):  # type: ignore[no-untyped-def]
    """Tell whether year and day of a header make sense in a byte order, which shows by that alone."""
    year, day = u2(b, at + 20, big), u2(b, at + 22, big)
    return 1900 <= year <= 2100 and 1 <= day <= 366


@njit(cache=True, nogil=True)
def six_digits(b, at):  # type: ignore[no-untyped-def]
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
    return dated(b, at, True) or dated(b, at, False)


@njit(cache=True, nogil=True)
def named_length(b, at):  # type: ignore[no-untyped-def]
    """Return the length that blockette 1000 of a header names: 0 if that is none, -1 without it."""
    big = dated(b, at, True)
    place = u2(b, at + 46, big)
    while place >= 48 and at + place + 8 <= b.size:
        if u2(b, at + place, big) == 1000:
            power = np.int64(b[at + place + 6])
            return 1 << power if 7 <= power <= 20 else 0
        following = u2(b, at + place + 2, big)
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
    named = named_length(b, at)
    if named >= 0:
        return named
    length = SHORTEST
    while length <= LONGEST and at + length <= b.size:
        if at + length == b.size or _begins(b, at + length):
            return length
        length *= 2
    return 0


@njit(cache=True, nogil=True)
def nominal_rate(factor, multiplier):  # type: ignore[no-untyped-def]
    """Return the samples a second that factor and multiplier of a header mean; 0 for none."""
    if factor == 0:
        return 0.0
    rate = float(factor) if factor > 0 else -1.0 / factor
    if multiplier > 0:
        rate *= multiplier
    elif multiplier < 0:
        rate = -rate / multiplier
    return rate


@njit(cache=True, nogil=True)
def days(year, day):  # type: ignore[no-untyped-def]
    """Days since 1970 of a day of a year."""
    before = year - 1
    return (year - 1970) * 365 + (before // 4 - before // 100 + before // 400) - 477 + day - 1


@njit(cache=True, nogil=True)
def capacity(encoding, room):  # type: ignore[no-untyped-def]
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
def coded(b, at):  # type: ignore[no-untyped-def]
    """Tell whether the twelve bytes of the codes are letters, digits, '-', '_' and blanks."""
    for k in range(at, at + 12):
        c = b[k]
        if not (48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c == 32 or c == 0 or c == 45 or c == 95):
            return False
    return True


@njit(cache=True, nogil=True)
def duration(n, rate):  # type: ignore[no-untyped-def]
    """Return the time from the first to the last sample, ns."""
    if rate > 0 and n > 1:
        return np.int64(np.rint(min((n - 1) * 1e9 / rate, 1e18)))
    return np.int64(0)


@njit(cache=True, nogil=True)
def time_in_day(b, at, big):  # type: ignore[no-untyped-def]
    """Return the time of a header without its date, ns."""
    seconds = np.int64(b[at + 24]) * 3600 + np.int64(b[at + 25]) * 60 + np.int64(b[at + 26])
    return seconds * 1_000_000_000 + u2(b, at + 28, big) * 100_000


@njit(cache=True, nogil=True)
def microseconds(b, at):  # type: ignore[no-untyped-def]
    """Return the microseconds of the blockette 1001 that lies behind a blockette 1000, ns."""
    extra = np.int64(b[at + 61])
    return (extra - 256 if extra >= 128 else extra) * 1_000
