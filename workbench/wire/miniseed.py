"""miniSEED 2 record by record: which bytes are good records, and which are not.

ObsPy gives up on a whole file for one broken record, or drops its end without
a word.  Here the records are found first, from their fixed headers, and only
the good ones are handed on.

References
----------
SEED Reference Manual, version 2.4, FDSN 2012: fixed section of data header,
blockette 1000.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Extent", "good_records", "is_miniseed", "looks_like_header", "scan"]

_HEADER = 48
_START = re.compile(rb"[0-9 \x00]{6}[DRQM][ \x00][\x20-\x7e]{12}")


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of a file: whole records of one length, or bytes that are none."""

    offset: int
    length: int
    record: int
    """Length of a record; 0 for bytes that are no record."""
    why: str = ""
    """What is wrong with the bytes."""


def looks_like_header(data: bytes, offset: int = 0) -> bool:
    """Whether a fixed header of a data record may begin here.

    Examples
    --------
    >>> looks_like_header(b"000001D ANMO 00BHZIU")
    True
    """
    return _START.match(data, offset) is not None


def is_miniseed(data: bytes) -> bool:
    """Whether the bytes hold miniSEED 2, also when the first records are broken."""
    if looks_like_header(data) and _record_length(data, 0):
        return True
    head = data[: 1 << 16]
    return any(_record_length(head, found.start()) for found in _START.finditer(head))


def scan(data: bytes) -> Iterator[Extent]:
    """Go through a file and tell records from what is none."""
    offset, size = 0, len(data)
    while offset < size:
        length = _record_length(data, offset)
        if length and offset + length <= size:
            count = _same_after(data, offset, length)
            yield Extent(offset, count * length, length)
            offset += count * length
            continue
        found = _next_header(data, offset + 1)
        why = "a record that is cut off" if length else "no miniSEED record"
        yield Extent(offset, found - offset, 0, why)
        offset = found


def good_records(data: bytes, extent: Extent, decodes: Callable[[bytes], bool]) -> Iterator[Extent]:
    """Split an extent of records into those that decode and those that do not.

    Parameters
    ----------
    data : bytes
    extent : Extent
    decodes : callable
        Whether some bytes can be decoded as a whole; called for halves and
        halves of halves, so that one broken record costs few trials.
    """
    piece = data[extent.offset : extent.offset + extent.length]
    if decodes(piece):
        yield extent
        return
    count = extent.length // extent.record
    if count == 1:
        yield Extent(extent.offset, extent.length, 0, "samples do not decode")
        return
    half = count // 2 * extent.record
    yield from good_records(data, Extent(extent.offset, half, extent.record), decodes)
    rest = Extent(extent.offset + half, extent.length - half, extent.record)
    yield from good_records(data, rest, decodes)


def _record_length(data: bytes, offset: int) -> int:
    """Return the length of the record that begins here, 0 if none does."""
    if not looks_like_header(data, offset) or offset + _HEADER > len(data):
        return 0
    year, day = struct.unpack_from(">HH", data, offset + 20)
    order = ">" if 1900 <= year <= 2500 and 1 <= day <= 366 else "<"
    year, day, hour, minute, second = struct.unpack_from(f"{order}HHBBB", data, offset + 20)
    if not (1900 <= year <= 2500 and 1 <= day <= 366 and hour < 24 and minute < 60 and second <= 60):
        return 0
    at = struct.unpack_from(f"{order}H", data, offset + 46)[0]
    for _ in range(data[offset + 39]):
        if at < _HEADER or offset + at + 8 > len(data):
            return 0
        kind, following = struct.unpack_from(f"{order}HH", data, offset + at)
        if kind == 1000:
            exponent = data[offset + at + 6]
            return 1 << exponent if 7 <= exponent <= 20 else 0
        if following <= at:
            break
        at = following
    # Without blockette 1000 the record reaches to the next header.
    found = _next_header(data, offset + _HEADER)
    length = found - offset
    return length if length >= 128 and length & (length - 1) == 0 else 0


def _same_after(data: bytes, offset: int, length: int) -> int:
    """Count the records of this length that follow one another from here, the first included."""
    count = (len(data) - offset) // length
    if count < 2:
        return 1
    rows = np.frombuffer(data, np.uint8, count * length, offset).reshape(count, length)
    at = int.from_bytes(rows[0, 46:48].tobytes(), "big")
    if not (_HEADER <= at <= length - 8 and rows[0, at : at + 2].tobytes() == b"\x03\xe8"):
        return 1
    # Same place and content of blockette 1000, same header pattern, a time that can be.
    alike = (rows[:, 46:48] == rows[0, 46:48]).all(axis=1)
    alike &= (rows[:, at : at + 2] == rows[0, at : at + 2]).all(axis=1) & (rows[:, at + 6] == rows[0, at + 6])
    alike &= np.isin(rows[:, 6], list(b"DRQM")) & np.isin(rows[:, 7], list(b" \x00"))
    digits = rows[:, :6]
    alike &= (((digits >= 48) & (digits <= 57)) | (digits == 32) | (digits == 0)).all(axis=1)
    codes = rows[:, 8:20]
    alike &= ((codes >= 32) & (codes < 127)).all(axis=1)
    year = rows[:, 20].astype(int) * 256 + rows[:, 21]
    day = rows[:, 22].astype(int) * 256 + rows[:, 23]
    alike &= (year >= 1900) & (year <= 2500) & (day >= 1) & (day <= 366)
    alike &= (rows[:, 24] < 24) & (rows[:, 25] < 60) & (rows[:, 26] <= 60)
    alike[0] = True
    return count if alike.all() else int(np.argmin(alike))


def _next_header(data: bytes, offset: int) -> int:
    found = _START.search(data, offset)
    return found.start() if found else len(data)
