"""The records of miniSEED: where each lies in a file, and what its header says.

ObsPy's own reader stops at the first bad record of a file and cannot say where
the others begin; an archive needs both, so headers are read here.  What they
mean (time, rate, length) is as in libmseed, against which the tests compare.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from workbench.maths import fields, headers

__all__ = ["RECORD", "Fault", "Scan", "concat", "is_miniseed", "record_blocks", "scan", "scan_file"]

RECORD = np.dtype(
    [
        ("offset", "i8"),  # of the record in the buffer or file
        ("length", "i4"),  # of the record, in bytes
        ("channel", "i4"),  # index into Scan.ids
        ("start", "i8"),  # time of the first sample, ns since 1970
        ("end", "i8"),  # time of the last sample; before midnight if that is in a leap second
        ("n", "i4"),  # samples
        ("rate", "f8"),  # samples a second; 0 for what has no rate
        ("encoding", "u1"),
        ("big", "?"),  # byte order of the samples
        ("data", "i4"),  # where the samples begin in the record
        ("quality", "u1"),  # ASCII of D, R, Q or M
        ("timing", "i2"),  # timing quality in percent, -1 if not given
        ("leap", "?"),  # the record runs into, or through, a leap second
        ("records", "i4"),  # that the row speaks for: 1, or as many as lie behind each other and are alike
    ]
)
"""One row a record, or for records that follow each other where they were put together."""

_ROOM = 1 << 19
"""Bytes of a file that are looked at together: what the caches of a processor hold."""
_BLOCK = 64 * 2**20
_BEGIN = re.compile(rb"(?=[0-9 \x00]{6}[DRQM][ \x00])")
_CONTROL = re.compile(rb"[0-9 \x00]{6}[VAST][ \x00*]")
_SENSELESS = {
    headers.OUTSIDE: "the header places the samples outside the record",
    headers.TOO_MANY: "the header promises more samples than fit in the record",
    headers.CODES: "the codes in the header are not letters and digits",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that are no good record."""

    offset: int
    length: int
    problem: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What the headers of a file say.

    Attributes
    ----------
    ids : list of str
        SEED ids ``NET.STA.LOC.CHA``.
    records : ndarray of RECORD, shape (n_records,)
        In the order of the file.
    faults : list of Fault
    """

    ids: list[str]
    records: npt.NDArray[np.void]
    faults: list[Fault]


def scan(buffer: bytes | npt.NDArray[np.uint8], *, offset: int = 0) -> Scan:
    """Read all headers of a buffer; damage is named and passed over.

    Parameters
    ----------
    buffer : bytes or ndarray of uint8
        miniSEED 2 of either byte order, of any mixture of record lengths.
    offset : int
        Added to all offsets: where the buffer lies in its file.
    """
    view = np.frombuffer(buffer, dtype=np.uint8)
    parts: list[Scan] = []
    faults: list[Fault] = []
    at = 0
    while at < len(view):
        # Most files have records of one length, which the first tells.
        usual = max(int(fields.length_at(view, at)), fields.SHORTEST)
        room = min((len(view) - at) // usual, 1 << 18)
        rows, wrong = np.empty(room, RECORD), np.empty(room, np.uint8)
        count, at = headers.walk(view, at, 0, rows, wrong, False)
        if count:
            parts.append(_named(view, rows[:count], wrong[:count]))
        if count < room or not room:
            length = fields.length_at(view, at)
            after = _next_record(view, at + 1)
            problem = _problem(view[at:after], length) if at < len(view) else ""
            if problem:
                faults.append(Fault(at, after - at, problem))
            at = after
    whole = concat(parts)
    if offset:
        whole.records["offset"] += offset
    faults = sorted(whole.faults + faults, key=lambda fault: fault.offset)
    return Scan(
        whole.ids, whole.records, [Fault(offset + one.offset, one.length, one.problem) for one in faults]
    )


def scan_file(file: BinaryIO, *, together: bool = False) -> Scan:
    """Read all headers of an open file.

    The file is read, not mapped: a program that shortens a mapped file kills
    whoever looks at it.

    Parameters
    ----------
    file : file
        Unbuffered, and at its beginning.
    together : bool
        Records that follow each other may share a row, which is much quicker:
        it has the offset, the start and the length of the first, the end of the
        last, and the samples and the number of all.
    """
    with _Desk.free() as desk:
        at = desk.sweep(file, together=together)
        found = desk.scan()
    if at is None:
        return found
    # Something that is no record, or a very long one: from there on with more care.
    file.seek(at)
    parts = [found]
    for block in record_blocks(file):
        parts.append(scan(block, offset=at))
        at += len(block)
    return concat(parts)


class _Desk:
    """Room for a part of a file and for its headers, used for one file after the other.

    So the processor's caches hold it, and no fresh memory has to be cleared.
    """

    _kept = threading.local()

    def __init__(self) -> None:
        self.room = np.empty(_ROOM, np.uint8)
        self.state = np.empty(1, headers.STATE)
        self._make(1 << 12, 16)

    def _make(self, rows: int, codes: int) -> None:
        self.rows, self.wrong = np.empty(rows, RECORD), np.empty(rows, np.uint8)
        self.codes = np.empty((codes, 12), np.uint8)

    @classmethod
    @contextmanager
    def free(cls) -> Iterator[_Desk]:
        """Lend the desk of this thread, cleared."""
        desk: _Desk = cls._kept.__dict__.pop("desk", None) or cls()
        desk.state[:] = 0
        try:
            yield desk
        finally:
            cls._kept.desk = desk

    def sweep(self, file: BinaryIO, *, together: bool) -> int | None:
        """Read headers, as long as one good record follows the other; return where that ends, if it does."""
        number = file.fileno() if isinstance(file, io.FileIO) else -1
        state = self.state[0]
        if number < 0:
            self._fill(file)
        while True:
            found = headers.sweep(number, self.room, self.state, self.rows, self.wrong, self.codes, together)
            if found == headers.FULL:
                rows, wrong, codes = self.rows, self.wrong, self.codes
                self._make(2 * len(rows), 2 * len(codes))
                self.rows[: len(rows)], self.wrong[: len(rows)], self.codes[: len(codes)] = rows, wrong, codes
            elif found == headers.HUNGRY:
                self._fill(file)
            elif found == headers.STOPPED:
                return int(state["start"] + state["at"])
            elif found == headers.FAILED:
                # Python knows what to do, or what to say.
                number = -1
                self._fill(file)
            else:
                return None

    def _fill(self, file: BinaryIO) -> None:
        state = self.state[0]
        while state["size"] < _ROOM:
            fresh = file.readinto(self.room[state["size"] :].data)  # type: ignore[attr-defined]
            if not fresh:
                state["ended"] = 1
                return
            state["size"] += fresh

    def scan(self) -> Scan:
        """Return what has been read."""
        count, channels = int(self.state["count"][0]), int(self.state["known"][0])
        ids = [_seed_id(code.tobytes()) for code in self.codes[:channels]]
        # NumPy copies records field by field, and bytes at once.
        rows = self.rows[:count].view(np.uint8).copy().view(RECORD)
        return _sensible(ids, rows, self.wrong[:count])


def record_blocks(file: BinaryIO, *, block: int = _BLOCK) -> Iterator[bytes]:
    """Go through an open file in blocks that end where a record ends."""
    block = max(block, 2 * fields.LONGEST)
    rest = b""
    while True:
        buffer = rest + file.read(block - len(rest))
        if len(buffer) < block:
            yield buffer
            return
        # What ends with the block may be cut there: leave that to the next round.
        records = scan(buffer).records
        ends = records["offset"] + records["length"]
        done = int(ends[ends < block].max(initial=0)) or int(records["offset"].min(initial=block))
        yield buffer[:done]
        rest = buffer[done:]


def is_miniseed(head: bytes) -> bool:
    """Tell whether a file that begins so is miniSEED, or full SEED with waveforms.

    Records further on are not enough: a zip file may hold them as they are.
    """
    found = scan(head).records
    return bool(len(found)) and (found["offset"][0] == 0 or _CONTROL.match(head) is not None)


def concat(parts: list[Scan]) -> Scan:
    """Put scans together, in their order."""
    if len(parts) == 1:
        return parts[0]
    ids: dict[str, int] = {}
    rows = []
    for part in parts:
        where = np.array([ids.setdefault(seed_id, len(ids)) for seed_id in part.ids], dtype=np.int32)
        fresh = part.records.copy()
        if len(fresh):
            fresh["channel"] = where[fresh["channel"]]
        rows.append(fresh)
    records = np.concatenate(rows) if rows else np.zeros(0, RECORD)
    return Scan(list(ids), records, [fault for part in parts for fault in part.faults])


def _named(view: npt.NDArray[np.uint8], rows: npt.NDArray[np.void], wrong: npt.NDArray[np.uint8]) -> Scan:
    codes = np.empty((16, 12), np.uint8)
    while (number := headers.channels(view, 0, rows, codes, 0)) < 0:
        codes = np.empty((2 * len(codes), 12), np.uint8)
    return _sensible([_seed_id(code.tobytes()) for code in codes[:number]], rows, wrong)


def _sensible(ids: list[str], rows: npt.NDArray[np.void], wrong: npt.NDArray[np.uint8]) -> Scan:
    """Leave out headers that cannot be true."""
    if not wrong.any():
        return Scan(ids, rows, [])
    faults = [
        Fault(int(rows["offset"][k]), int(rows["length"][k]), _SENSELESS[int(wrong[k])])
        for k in np.flatnonzero(wrong)
    ]
    return Scan(ids, rows[wrong == 0], faults)


def _seed_id(codes: bytes) -> str:
    text = codes.decode("ascii", errors="replace").replace("\0", " ")
    station, location, channel, network = text[:5], text[5:7], text[7:10], text[10:12]
    return ".".join(part.replace(" ", "") for part in (network, station, location, channel))


def _next_record(view: npt.NDArray[np.uint8], at: int) -> int:
    match = _BEGIN.search(view.data, at)
    while match is not None:
        length = fields.length_at(view, match.start())
        if length and match.start() + length <= len(view):
            return match.start()
        match = _BEGIN.search(view.data, match.start() + 1)
    return len(view)


def _problem(lost: npt.NDArray[np.uint8], length: int) -> str:
    """Say what bytes that are no record are; empty if they are harmless."""
    if length:
        return f"the record is cut off: {len(lost)} of {length} bytes are there"
    head = lost[:8].tobytes()
    if head[:3] == b"MS\x03":
        return "miniSEED 3 is not read; convert it to miniSEED 2"
    if _CONTROL.match(head):
        # Volume headers of full SEED: metadata, and no waveforms.
        return ""
    if not lost.any() or (set(head[:6]) <= set(b"0123456789 \0") and (lost[6:48] == 32).all()):
        # Padding, and the empty records that some loggers write.
        return ""
    return "these bytes are no miniSEED record"
