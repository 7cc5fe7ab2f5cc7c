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

from workbench.maths.moments import add
from workbench.maths.shares import shared
from workbench.maths.words import LANES, big_word, little_word, running, unpack

__all__ = ["DAMAGED", "GOOD", "SHORT", "steim", "summed"]

GOOD = 0
"""The record gave all its samples, and the last one is right."""
SHORT = 1
"""The frames hold fewer samples than the header says, or a forbidden code."""
DAMAGED = 2
"""The last sample is not the one that the first frame promises."""


def _layouts() -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint32]
]:
    """Return how the differences lie in a word: how many, their bits, their sign, and where each is.

    By version, code and the two upper bits of the word, which tell nothing for some codes.
    """
    counts = np.zeros(32, np.int64)
    masks, signs, shifts = np.zeros(32, np.uint32), np.zeros(32, np.uint32), np.zeros((32, LANES), np.uint32)
    any_bits = range(4)
    for version, code, kinds, number, bits in (
        (1, 1, any_bits, 4, 8),
        (1, 2, any_bits, 2, 16),
        (1, 3, any_bits, 1, 32),
        (2, 1, any_bits, 4, 8),
        (2, 2, [1], 1, 30),
        (2, 2, [2], 2, 15),
        (2, 2, [3], 3, 10),
        (2, 3, [0], 5, 6),
        (2, 3, [1], 6, 5),
        (2, 3, [2], 7, 4),
    ):
        for kind in kinds:
            row = 16 * (version - 1) + 4 * code + kind
            counts[row], masks[row], signs[row] = number, (1 << bits) - 1, 1 << (bits - 1)
            shifts[row, :number] = np.arange(number)[::-1] * bits
    return counts, masks, signs, shifts


_COUNTS, _MASKS, _SIGNS, _SHIFTS = _layouts()


@njit(cache=True, nogil=True)
def _word(buffer, at, big):  # type: ignore[no-untyped-def]
    return big_word(buffer, at) if big else little_word(buffer, at)


@njit(cache=True, nogil=True)
def _difference(buffer, at, big, version, code):  # type: ignore[no-untyped-def]
    """Return a word of differences, the first of them on top.

    In little-endian frames bytes and halves stay in their places, and only
    what is inside a half or a packed word is turned round.
    """
    if big or code == 1:
        return big_word(buffer, at)
    word = little_word(buffer, at)
    if version == 1 and code == 2:
        return np.uint32(word << np.uint32(16)) | np.uint32(word >> np.uint32(16))
    return word


@njit(cache=True, nogil=True)
def _frames(buffer, frame, stop, need, version, big, out, at, counts, masks, signs, shifts):  # type: ignore[no-untyped-def]
    """Lay down the differences of a record; return how many, at most those needed."""
    done = 0
    begin = 3
    while done < need and frame + 64 <= stop:
        control = np.int64(_word(buffer, frame, big))
        for index in range(begin, 16):
            code = (control >> (30 - 2 * index)) & 3
            if code == 0:
                continue
            word = _difference(buffer, frame + 4 * index, big, version, code)
            row = 16 * (version - 1) + 4 * code + np.int64(word >> np.uint32(30))
            if counts[row] == 0:
                return done
            unpack(word, shifts, row, masks[row], signs[row], out, at + done)
            done += counts[row]
            if done >= need:
                # Differences beyond the last sample are padding.
                return need
        begin = 1
        frame += 64
    return done


@njit(cache=True, nogil=True)
def _record(buffer, first, stop, need, version, big, out, at, counts, masks, signs, shifts):  # type: ignore[no-untyped-def]
    """Decompress one record; return its status."""
    done = 0
    start, last = np.int64(0), np.int64(0)
    if need > 0 and first + 64 <= stop:
        start = np.int64(_word(buffer, first + 4, big))
        last = np.int64(_word(buffer, first + 8, big))
        done = _frames(buffer, first, stop, need, version, big, out, at, counts, masks, signs, shifts)
    value = start
    if done > 0:
        # The first difference leads here from the record before: the first sample is given.
        out[at] = value
        k = at + 1
        while k + LANES <= at + done:
            value += running(out, k, np.int32(value))
            k += LANES
        while k < at + done:
            value += out[k]
            out[k] = value
            k += 1
    if done < need:
        out[at + done : at + need] = 0
        return SHORT
    return DAMAGED if need > 0 and (value & 0xFFFFFFFF) != last else GOOD


@njit(cache=True, nogil=True)
def _steim(buffer, first, stop, needs, version, big, out, status, counts, masks, signs, shifts):  # type: ignore[no-untyped-def]
    at = 0
    for k in range(first.size):
        need = needs[k]
        # The last word of differences may be written beyond the last sample.
        alone = at + need + LANES > out.size
        room, place = (np.empty(need + LANES, np.int32), 0) if alone else (out, at)
        status[k] = _record(
            buffer, first[k], stop[k], need, np.int64(version[k]), big[k],
            room, place, counts, masks, signs, shifts,
        )  # fmt: skip
        if alone:
            out[at : at + need] = room[:need]
        at += need


@njit(cache=True, nogil=True)
def _summed(buffer, first, stop, needs, version, big, at, bounds, rows, counts, masks, signs, shifts):  # type: ignore[no-untyped-def]
    room = np.empty(needs.max() + LANES, np.int32)
    part = 0
    for k in range(first.size):
        need = needs[k]
        status = _record(
            buffer, first[k], stop[k], need, np.int64(version[k]), big[k],
            room, 0, counts, masks, signs, shifts,
        )  # fmt: skip
        if status != GOOD:
            return False
        while part < bounds.size - 1 and bounds[part + 1] <= at:
            part += 1
        inside = part
        while inside < bounds.size - 1 and bounds[inside] < at + need:
            begin, end = max(bounds[inside], at) - at, min(bounds[inside + 1], at + need) - at
            if begin < end:
                add(room[begin:end], rows[inside])
            inside += 1
        at += need
    return True


def summed(
    buffer: npt.NDArray[np.uint8],
    first: npt.NDArray[np.int64],
    stop: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    version: npt.NDArray[np.uint8],
    big: npt.NDArray[np.bool_],
    at: int,
    bounds: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
) -> bool:
    """Sum the samples of records that follow each other, part by part, without keeping them.

    Parameters
    ----------
    buffer, first, stop, counts, version, big
        As for `steim`.
    at : int
        Number of the first sample.
    bounds : ndarray of int64, shape (n_parts + 1,)
        Number of the sample with which each part begins, and the last of them ends.
    rows : ndarray of int64, shape (n_parts, 6)
        As `workbench.maths.moments.sums` has them; added to.

    Returns
    -------
    bool
        Whether all records are good; if not, the rows are spoilt.

    Examples
    --------
    The first two of the samples 5, 6, 4, which one frame holds, and the last:

    >>> frame = np.zeros(16, ">i4")
    >>> frame[0], frame[1], frame[2], frame[3] = 1 << 24, 5, 4, 0x0001FE00
    >>> one, rows = np.array([0]), np.zeros((2, 6), np.int64)
    >>> records = frame.view(np.uint8), one, one + 64, one + 3, np.uint8([1]), np.array([True])
    >>> summed(*records, 0, np.array([0, 2, 3]), rows), rows[:, :2].tolist()
    (True, [[2, 11], [1, 4]])
    """
    _check(buffer, first, stop)
    if not first.size:
        return True
    tables = _COUNTS, _MASKS, _SIGNS, _SHIFTS
    return bool(_summed(buffer, first, stop, counts, version, big, at, bounds, rows, *tables))


def _check(buffer: npt.NDArray[np.uint8], first: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]) -> None:
    if first.size and (first.min() < 0 or stop.max() > buffer.size):
        raise ValueError("frames lie outside the buffer")


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
        The records one after the other; zeros for what a `SHORT` one lacks.
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
    ends = np.cumsum(counts)
    out = np.empty(int(ends[-1]) if len(counts) else 0, dtype=np.int32)
    status = np.zeros(len(counts), dtype=np.uint8)
    _check(buffer, first, stop)

    def work(begin: int, end: int) -> None:
        some = slice(begin, end)
        inside = slice(int(ends[begin] - counts[begin]), int(ends[end - 1]))
        _steim(
            buffer, first[some], stop[some], counts[some], version[some], big[some],
            out[inside], status[some], _COUNTS, _MASKS, _SIGNS, _SHIFTS,
        )  # fmt: skip

    if len(counts):
        shared(work, len(counts), len(out))
    return out, status
