"""Samples of miniSEED records: taken out of records, and put into them.

Plain and Steim encodings are decoded here, many records at a time, so that
several threads can read at once and a damaged record is known by its place;
the rare encodings of old networks, and all writing, are left to ObsPy.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import overload

import numpy as np
import numpy.typing as npt
from obspy import Stream, Trace, UTCDateTime, read
from obspy.io.mseed import InternalMSEEDError, InternalMSEEDWarning

from workbench.errors import BadInput
from workbench.maths.steim import DAMAGED, GOOD, SHORT, steim

__all__ = ["ENCODINGS", "Decoded", "Samples", "decode", "encode"]

Array = npt.NDArray[np.generic]

ENCODINGS = {
    0: "ASCII",
    1: "INT16",
    3: "INT32",
    4: "FLOAT32",
    5: "FLOAT64",
    10: "STEIM1",
    11: "STEIM2",
    13: "GEOSCOPE16_3",
    14: "GEOSCOPE16_4",
    16: "CDSN",
    30: "SRO",
    32: "DWWSSN",
}
"""The encodings that can be read, by their number in blockette 1000."""

_PLAIN = {1: ("i2", "i4"), 3: ("i4", "i4"), 4: ("f4", "f4"), 5: ("f8", "f8")}
_RARE = (13, 14, 16, 30, 32)
_WRITTEN = {1: np.int32, 3: np.int32, 4: np.float32, 5: np.float64, 10: np.int32, 11: np.int32}

_obspy = threading.Lock()
"""ObsPy hands libmseed one set of callbacks for all threads."""


class Samples(Sequence[Array]):
    """The samples of each record, cut out of where they lie together when they are asked for.

    Parameters
    ----------
    whole : ndarray of int32
        Those of all compressed records.
    stop, counts : ndarray of int, shape (n_records,)
        Where in it those of a record end, and how many they are.
    others : dict of int to ndarray
        Those of the other records, by place.
    """

    def __init__(
        self,
        whole: npt.NDArray[np.int32],
        stop: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        others: dict[int, Array],
    ) -> None:
        self._whole, self._stop, self._counts, self._others = whole, stop, counts, others

    def __len__(self) -> int:
        return len(self._stop)

    @overload
    def __getitem__(self, place: int) -> Array: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Array]: ...

    def __getitem__(self, place: int | slice) -> Array | Sequence[Array]:
        if isinstance(place, slice):
            return [self[k] for k in range(len(self))[place]]
        stop, count = int(self._stop[place]), int(self._counts[place])
        if stop < 0 and count:
            return self._others[int(place) % len(self)]
        return self._whole[stop - count : stop] if count else self._whole[:0]


@dataclass(frozen=True, slots=True)
class Decoded:
    """Samples of records.

    Attributes
    ----------
    samples : sequence of ndarray
        Of each record, int32, float32 or float64; empty where it is bad.
        Neighbours of one type share memory, end to end.
    bad : dict
        What is wrong, by the record's place.
    whole : ndarray of int32
        What the samples of compressed records are parts of.
    stop : ndarray of int, shape (n_records,)
        Where in it those of each record end; -1 if they are not in it.
    counts : ndarray of int, shape (n_records,)
        How many samples of each record there are; 0 where it is bad.
    kinds : ndarray of int, shape (n_records,)
        Their type, by the number that NumPy gives it.
    """

    samples: Sequence[Array]
    bad: dict[int, str]
    whole: npt.NDArray[np.int32]
    stop: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]


def decode(buffer: bytes | npt.NDArray[np.uint8], records: npt.NDArray[np.void]) -> Decoded:
    """Decode records.

    Parameters
    ----------
    buffer : bytes or ndarray of uint8
        Where the records are, at their offsets.
    records : ndarray of RECORD, shape (n_records,)
    """
    view = np.frombuffer(buffer, dtype=np.uint8)
    others: dict[int, Array] = {}
    bad: dict[int, str] = {}
    packed = (records["encoding"] == 10) | (records["encoding"] == 11)
    stop = np.full(len(records), -1, dtype=np.int64)
    whole = _decode_steim(view, records, np.flatnonzero(packed), bad, stop)
    counts = np.where(stop >= 0, records["n"], 0).astype(np.int64)
    kinds = np.full(len(records), whole.dtype.num, dtype=np.int64)
    for place in np.flatnonzero(~packed & (records["n"] > 0)).tolist():
        found = _decode_other(view, records[place], place, bad)
        if found is not None:
            others[place] = found
            counts[place], kinds[place] = len(found), found.dtype.num
    return Decoded(Samples(whole, stop, counts, others), bad, whole, stop, counts, kinds)


def _decode_other(
    view: npt.NDArray[np.uint8], record: np.void, place: int, bad: dict[int, str]
) -> Array | None:
    encoding = int(record["encoding"])
    if encoding in _PLAIN:
        stored, kind = _PLAIN[encoding]
        begin = int(record["offset"] + record["data"])
        form = np.dtype((">" if record["big"] else "<") + stored)
        return view[begin : begin + int(record["n"]) * form.itemsize].view(form).astype(kind, copy=True)
    found = _decode_obspy(view, record) if encoding in _RARE else None
    if encoding in _RARE and found is None:
        bad[place] = "the samples cannot be decoded"
    elif found is None:
        bad[place] = "it holds text" if encoding == 0 else f"encoding {encoding} is not known"
    return found


def _decode_steim(
    view: npt.NDArray[np.uint8],
    records: npt.NDArray[np.void],
    places: npt.NDArray[np.intp],
    bad: dict[int, str],
    stop: npt.NDArray[np.int64],
) -> npt.NDArray[np.int32]:
    if not len(places):
        return np.zeros(0, np.int32)
    rows = records if len(places) == len(records) else records[places]
    counts = rows["n"].astype(np.int64)
    out, status = steim(
        view,
        rows["offset"] + rows["data"],
        rows["offset"] + rows["length"],
        counts,
        np.where(rows["encoding"] == 10, 1, 2).astype(np.uint8),
        rows["big"].astype(np.bool_),
    )
    stop[places] = np.where(status == GOOD, np.cumsum(counts), -1)
    for k in np.flatnonzero(status != GOOD).tolist():
        bad[int(places[k])] = _STEIM[int(status[k])]
    return out


_STEIM = {
    SHORT: "the compressed samples end too early",
    DAMAGED: "the compressed samples do not end at the value the record names",
}


def _decode_obspy(view: npt.NDArray[np.uint8], record: np.void) -> npt.NDArray[np.generic] | None:
    begin = int(record["offset"])
    one = view[begin : begin + int(record["length"])].tobytes()
    try:
        with _obspy:
            stream = read(BytesIO(one), format="MSEED")
    except (InternalMSEEDError, InternalMSEEDWarning, ValueError):
        return None
    if len(stream) != 1 or len(stream[0]) != record["n"]:
        return None
    return np.asarray(stream[0].data)


def encode(
    seed_id: str,
    start: int,
    rate: float,
    data: npt.NDArray[np.generic],
    *,
    encoding: int | None = None,
    record_length: int = 4096,
    quality: str = "D",
    big: bool = True,
    timing: int = -1,
) -> bytes:
    """Put evenly spaced samples into records.

    Parameters
    ----------
    seed_id : str
        ``NET.STA.LOC.CHA``.
    start : int
        Time of the first sample, ns since 1970; miniSEED 2 holds whole microseconds.
    rate : float
        Samples a second.
    data : ndarray of int32, float32 or float64, shape (n_samples,)
    encoding : int, optional
        Number of the encoding; by default, and where the samples do not fit,
        Steim-2 for integers (INT32 where they jump by 2**29 or more) and
        plain floats.
    record_length : int
        Bytes, a power of two.
    quality : str
        D, R, Q or M.
    big : bool
        Byte order of the samples.
    timing : int
        Timing quality, percent; -1 for none.

    Raises
    ------
    BadInput
        If the records do not give the same samples back.
    """
    encoding = _fitting(data, encoding)
    trace = Trace(np.ascontiguousarray(data, dtype=np.int16 if encoding == 1 else _WRITTEN[encoding]))
    network, station, location, channel = seed_id.split(".")
    trace.stats.update(
        {
            "network": network,
            "station": station,
            "location": location,
            "channel": channel,
            "starttime": UTCDateTime(ns=start),
            "sampling_rate": rate,
            "mseed": {"dataquality": quality},
        }
    )
    if timing >= 0:
        trace.stats.mseed["blkt1001"] = {"timing_quality": min(timing, 100)}
    out = BytesIO()
    try:
        with _obspy:
            Stream([trace]).write(
                out, format="MSEED", encoding=encoding, reclen=record_length, byteorder=">" if big else "<"
            )
    except (InternalMSEEDError, InternalMSEEDWarning) as error:
        raise BadInput(seed_id, f"cannot be put into miniSEED ({error})", "Check the samples.") from error
    made = out.getvalue()
    _verify(seed_id, made, data)
    return made


def _fitting(data: npt.NDArray[np.generic], wish: int | None) -> int:
    kind = data.dtype
    if kind == np.float32:
        return 4
    if kind == np.float64:
        return 5
    if wish == 1 and len(data) and data.min() >= -(2**15) and data.max() < 2**15:
        return 1
    if wish == 3 or (len(data) > 1 and np.abs(np.diff(data.astype(np.int64))).max() >= 2**29):
        return 3
    return wish if wish in (10, 11) else 11


def _verify(seed_id: str, made: bytes, data: npt.NDArray[np.generic]) -> None:
    from workbench.archive.records import scan

    found = scan(made)
    decoded = decode(made, found.records)
    if (
        found.faults
        or decoded.bad
        or found.ids != [seed_id]
        or not np.array_equal(
            np.concatenate(decoded.samples), data, equal_nan=bool(np.issubdtype(data.dtype, np.floating))
        )
    ):
        raise BadInput(
            seed_id, "does not come back from miniSEED as it went in", "Check its codes and samples."
        )
