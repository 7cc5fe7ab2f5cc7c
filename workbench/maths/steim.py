"""Steim-1 and Steim-2 compression, undone.

Every record is checked against the last sample that its first frame holds, so
that damage is found in the very record where it is, and nothing outside a
record is ever read.

References
----------
SEED Reference Manual version 2.4 (FDSN, 2012), appendix B, "Data compression".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["DAMAGED", "GOOD", "SHORT", "steim"]

GOOD = 0
"""The record gave all its samples, and the last one is right."""
SHORT = 1
"""The frames hold fewer samples than the header says, or a forbidden code."""
DAMAGED = 2
"""The last sample is not the one that the first frame promises."""


@njit(cache=True, nogil=True)
def _word(buffer, at, big):  # type: ignore[no-untyped-def]
    if big:
        return (
            np.int64(buffer[at]) << 24
            | np.int64(buffer[at + 1]) << 16
            | np.int64(buffer[at + 2]) << 8
            | np.int64(buffer[at + 3])
        )
    return (
        np.int64(buffer[at + 3]) << 24
        | np.int64(buffer[at + 2]) << 16
        | np.int64(buffer[at + 1]) << 8
        | np.int64(buffer[at])
    )


@njit(cache=True, nogil=True)
def _layout(version, code, word):  # type: ignore[no-untyped-def]
    """Return how many differences a word holds and how many bits each has; 0, 0 if forbidden."""
    if code == 1:
        return 4, 8
    if version == 1:
        return (2, 16) if code == 2 else (1, 32)
    kind = (word >> 30) & 3
    if code == 2:
        if kind == 1:
            return 1, 30
        if kind == 2:
            return 2, 15
        if kind == 3:
            return 3, 10
    elif kind == 0:
        return 5, 6
    elif kind == 1:
        return 6, 5
    elif kind == 2:
        return 7, 4
    return 0, 0


@njit(cache=True, nogil=True)
def _difference(buffer, at, big, version, code):  # type: ignore[no-untyped-def]
    """Return a word of differences, the first of them on top.

    In little-endian frames bytes and halves stay in their places, and only
    what is inside a half or a packed word is turned round.
    """
    if big or code == 1:
        return _word(buffer, at, True)
    if version == 1 and code == 2:
        return (
            np.int64(buffer[at + 1]) << 24
            | np.int64(buffer[at]) << 16
            | np.int64(buffer[at + 3]) << 8
            | np.int64(buffer[at + 2])
        )
    return _word(buffer, at, False)


@njit(cache=True, nogil=True)
def _add(out, at, value, word, number, bits):  # type: ignore[no-untyped-def]
    """Lay down the running sum of the differences in a word; with constants this has no branches."""
    for k in range(number):
        # To the top and back: the shift back carries the sign.
        value += (word << (64 - (number - k) * bits)) >> (64 - bits)
        out[at + k] = np.int32(value)
    return value


@njit(cache=True, nogil=True)
def _add_all(out, at, value, word, number, bits):  # type: ignore[no-untyped-def]
    """Choose the constants, from the commonest on."""
    if bits == 8:
        return _add(out, at, value, word, 4, 8)
    if bits == 4:
        return _add(out, at, value, word, 7, 4)
    if bits == 5:
        return _add(out, at, value, word, 6, 5)
    if bits == 6:
        return _add(out, at, value, word, 5, 6)
    if bits == 10:
        return _add(out, at, value, word, 3, 10)
    if bits == 15:
        return _add(out, at, value, word, 2, 15)
    return _add(out, at, value, word, number, bits)


@njit(cache=True, nogil=True)
def _steim(buffer, first, stop, counts, version, big, out, status):  # type: ignore[no-untyped-def]
    at = 0
    spare = np.empty(7, np.int32)
    for record in range(first.size):
        need = counts[record]
        done = 0
        value = np.int64(0)
        start = np.int64(0)
        last = np.int64(0)
        sound = True
        frame = first[record]
        leading = True
        while sound and done < need and frame + 64 <= stop[record]:
            control = _word(buffer, frame, big[record])
            begin = 1
            if leading:
                value = start = _word(buffer, frame + 4, big[record])
                last = _word(buffer, frame + 8, big[record])
                begin = 3
            for index in range(begin, 16):
                code = (control >> (30 - 2 * index)) & 3
                if code == 0:
                    continue
                word = _difference(buffer, frame + 4 * index, big[record], version[record], code)
                number, bits = _layout(version[record], code, word)
                if number == 0:
                    sound = False
                    break
                if done + number <= need:
                    value = _add_all(out, at + done, value, word, number, bits)
                    done += number
                    continue
                if done < need:
                    # Differences beyond the last sample are padding.
                    _add_all(spare, 0, value, word, number, bits)
                    out[at + done : at + need] = spare[: need - done]
                    value = np.int64(spare[need - done - 1])
                    done = need
            leading = False
            frame += 64
        if done > 0:
            # The first difference leads here from the record before, so it was one too many.
            surplus = np.int32(out[at] - np.int32(start))
            for k in range(at, at + done):
                out[k] -= surplus
            value -= surplus
        if done < need:
            status[record] = 1
        elif need > 0 and (value & 0xFFFFFFFF) != (last & 0xFFFFFFFF):
            status[record] = 2
        at += need


def steim(
    buffer: npt.NDArray[np.uint8],
    first: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    version: npt.NDArray[np.uint8],
    big: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Decompress many records at once.

    Parameters
    ----------
    buffer : ndarray of uint8, shape (n_bytes,)
        Whatever holds the records.
    first, stop : ndarray of int64, shape (n_records,)
        Where the frames of each record begin, and end, in the buffer.
    counts : ndarray of int64, shape (n_records,)
        Samples in each record.
    version : ndarray of uint8, shape (n_records,)
        1 or 2.
    big : ndarray of bool, shape (n_records,)
        Whether the words are big-endian.

    Returns
    -------
    samples : ndarray of int32, shape (counts.sum(),)
        The records one after the other; zeros where one is `SHORT`.
    status : ndarray of uint8, shape (n_records,)
        `GOOD`, `SHORT` or `DAMAGED`.

    Examples
    --------
    One frame with the samples 5, 6, 4 as 8-bit differences:

    >>> frame = np.zeros(16, ">i4")
    >>> frame[0], frame[1], frame[2], frame[3] = 1 << 24, 5, 4, 0x0001FE00
    >>> one = np.array([0])
    >>> steim(frame.view(np.uint8), one, one + 64, one + 3, np.uint8([1]), np.array([True]))[0]
    array([5, 6, 4], dtype=int32)
    """
    out = np.zeros(int(counts.sum()), dtype=np.int32)
    status = np.zeros(len(counts), dtype=np.uint8)
    if first.size and (first.min() < 0 or stop.max() > buffer.size):
        raise ValueError("frames lie outside the buffer")
    _steim(buffer, first, stop, counts, version, big, out, status)
    return out, status
