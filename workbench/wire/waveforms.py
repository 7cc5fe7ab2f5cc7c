"""Waveforms as bytes: miniSEED, and whatever else ObsPy reads."""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from obspy import Stream, Trace, UTCDateTime

from workbench.archive import records, samples
from workbench.archive.runs import from_records, to_stream
from workbench.errors import BadInput, UnreadableFile
from workbench.notices import notice
from workbench.nouns import Waveforms
from workbench.wire import plugins
from workbench.wire.sample import Sample
from workbench.wire.times import iso

__all__ = ["MEDIA", "canonical", "encode", "fingerprint", "guess", "merge", "read", "sniff"]

MEDIA = {
    "application/vnd.fdsn.mseed": ".mseed",
    "application/json": ".json",
    "text/csv": ".csv",
    "image/png": ".png",
}
"""Media types that waveforms can be written as; the first is the canonical one."""

_FIRST = re.compile(rb"[0-9 \x00]{6}[DRQM][ \x00]")
_LOOK = 1 << 20
"""Bytes of a file that are searched for a first record."""

_TOLD = 20
"""Notices about one file; a file of noise would have thousands."""

_STEIM2 = 2**29 - 1
"""Largest difference of two samples that Steim-2 holds."""


def sniff(sample: Sample) -> str | None:
    """Return ``MSEED`` or ``JSON`` if the bytes are surely that."""
    if _FIRST.match(sample.data) or len(records.scan(sample.data[:_LOOK]).records):
        return "MSEED"
    if sample.text and sample.text.lstrip().startswith("{") and '"noun":"Waveforms"' in sample.text[:200]:
        return "JSON"
    return None


def guess(sample: Sample) -> str | None:
    """Return the ObsPy format that claims the bytes."""
    return plugins.detect("waveform", sample.data, skip=frozenset({"MSEED"}))


def read(data: bytes, name: str, form: str) -> Waveforms:
    """Read waveforms.

    Raises
    ------
    UnreadableFile
        If nothing in it can be read; good miniSEED records of a damaged file
        are kept, with a notice that says what is lost.
    """
    if form == "MSEED":
        return _read_miniseed(data, name)
    if form == "JSON":
        return _read_json(data, name)
    stream = plugins.read("waveform", data, form, name)
    return Stream([trace for trace in stream if trace.stats.npts])


def merge(parts: Sequence[tuple[str, Waveforms]]) -> Waveforms:
    """Put waveforms of several files together, without touching the samples."""
    return Stream([trace for _, stream in parts for trace in stream])


def encode(waveforms: Waveforms, media: str) -> bytes:
    """Write waveforms as a media type of `MEDIA`."""
    if media == "application/json":
        return _json(waveforms)
    if media == "text/csv":
        return _csv(waveforms)
    if media == "image/png":
        from workbench.wire import pictures

        return pictures.waveforms(waveforms)
    return canonical(waveforms)


def canonical(waveforms: Waveforms) -> bytes:
    """Return miniSEED that depends on the samples, their ids and their times alone.

    Gaps split, int64 goes to int32 where it fits, pieces are sorted.

    Raises
    ------
    BadInput
        Where miniSEED cannot hold the samples.
    """
    out = io.BytesIO()
    for piece in pieces(waveforms):
        network, station, location, channel = piece.id.split(".")
        header = {
            "network": network,
            "station": station,
            "location": location,
            "channel": channel,
            "starttime": UTCDateTime(ns=piece.start),
            "sampling_rate": piece.rate,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Stream([Trace(piece.data, header)]).write(
                out, format="MSEED", encoding=_encoding(piece), reclen=4096, byteorder=">"
            )
    return out.getvalue()


def fingerprint(waveforms: Waveforms) -> str:
    """Return a SHA-256 over ids, start times, rates and samples.

    The same data give the same fingerprint, cut into whichever files and
    traces they come.
    """
    sha = hashlib.sha256()
    for piece in pieces(waveforms):
        kind = piece.data.dtype.newbyteorder("<").str
        sha.update(json.dumps([piece.id, piece.start, piece.rate, kind, len(piece.data)]).encode())
        sha.update(np.ascontiguousarray(piece.data, dtype=kind).data)
    return sha.hexdigest()


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Samples of one channel in a row: int32, float32 or float64."""

    id: str
    start: int
    rate: float
    data: npt.NDArray[Any]

    @property
    def stop(self) -> float:
        """When the next sample would be, nanoseconds since 1970."""
        return self.start + len(self.data) * 1e9 / self.rate


def pieces(waveforms: Waveforms) -> list[Piece]:
    """Split at gaps, join what touches, drop what is there twice, sort."""
    split = [piece for trace in waveforms for piece in _split(trace)]
    split.sort(key=lambda piece: (piece.id, piece.start, piece.rate, len(piece.data), piece.data.tobytes()))
    rows: list[list[Piece]] = []
    for piece in split:
        last = rows[-1][-1] if rows else None
        if last is not None and _same(last, piece):
            continue
        if last is not None and _touch(last, piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [_join(row) for row in rows]


def _split(trace: Trace) -> Iterator[Piece]:
    if trace.data.dtype.kind == "S":
        # A log channel: no samples, and nothing computed has them.
        return
    values = np.ma.getdata(trace.data)
    data = _plain(values, trace.id)
    rate = float(trace.stats.sampling_rate)
    start = trace.stats.starttime.ns
    if not np.ma.isMaskedArray(trace.data) or not np.ma.is_masked(trace.data):
        if len(data):
            yield Piece(trace.id, start, rate, data)
        return
    bad = np.ma.getmaskarray(trace.data)
    edges = np.flatnonzero(np.diff(np.concatenate(([True], bad, [True])).astype(np.int8)))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        yield Piece(trace.id, start + round(int(first) * 1e9 / rate), rate, data[first:stop])


def _plain(data: npt.NDArray[Any], channel: str) -> npt.NDArray[Any]:
    """Bring samples to a type that miniSEED has."""
    kind = data.dtype
    if kind.kind in "iub":
        if kind.itemsize > 2 and kind != np.int32 and len(data):
            low, high = int(data.min()), int(data.max())
            if low < -(2**31) or high >= 2**31:
                raise BadInput(
                    channel,
                    f"has integer samples from {low} to {high}, more than 32 bits hold",
                    "Convert them to float64 first.",
                )
        return data.astype(np.int32, copy=False)
    if kind in (np.float32, np.float64):
        return data.astype(kind.newbyteorder("="), copy=False)
    if kind == np.float16:
        return data.astype(np.float32)
    raise BadInput(
        channel, f"has samples of type {kind}, which miniSEED cannot hold", "Use int32 or float64."
    )


def _same(a: Piece, b: Piece) -> bool:
    return (a.id, a.start, a.rate) == (b.id, b.start, b.rate) and np.array_equal(
        a.data, b.data, equal_nan=a.data.dtype.kind == "f"
    )


def _touch(a: Piece, b: Piece) -> bool:
    near = abs(b.start - a.stop) * a.rate < 0.25e9
    return a.id == b.id and a.rate == b.rate and a.data.dtype == b.data.dtype and near


def _join(row: list[Piece]) -> Piece:
    if len(row) == 1:
        return row[0]
    first = row[0]
    return Piece(first.id, first.start, first.rate, np.concatenate([piece.data for piece in row]))


def _encoding(piece: Piece) -> str:
    if piece.data.dtype == np.int32:
        steps = np.diff(piece.data.astype(np.int64))
        # The first difference of a record is against the sample before it.
        return "INT32" if steps.size and np.abs(steps).max() > _STEIM2 else "STEIM2"
    return {"f4": "FLOAT32", "f8": "FLOAT64"}[piece.data.dtype.str[1:]]


def _read_miniseed(data: bytes, name: str) -> Waveforms:
    found = records.scan(data)
    decoded = samples.decode(data, found.records)
    runs = from_records(found, decoded)
    text = [place for place, problem in decoded.bad.items() if problem == "it holds text"]
    broken = [(fault.offset, fault.length, fault.problem) for fault in found.faults]
    for place in sorted(set(decoded.bad) - set(text)):
        record = found.records[place]
        broken.append((int(record["offset"]), int(record["length"]), decoded.bad[place]))
    if not runs and broken:
        raise UnreadableFile(
            name,
            f"holds no good miniSEED record (at byte {broken[0][0]}: {broken[0][2]})",
            "Get the file again.",
        )
    for offset, length, problem in sorted(broken)[:_TOLD]:
        notice(
            name,
            f"bytes {offset} to {offset + length - 1} are no good: {problem}",
            "The records around are used; get the file again.",
        )
    if len(broken) > _TOLD:
        notice(
            name,
            f"{len(broken) - _TOLD} more stretches of bytes are no good",
            "The records around are used; get the file again.",
        )
    for channel in sorted({found.ids[int(found.records[place]["channel"])] for place in text}):
        notice(channel, f"holds text and no samples ({name})", loss=False)
    return to_stream(runs)


def _json(waveforms: Waveforms) -> bytes:
    traces = []
    for piece in pieces(waveforms):
        if piece.data.dtype.kind == "f" and not np.isfinite(piece.data).all():
            raise BadInput(piece.id, "has samples that JSON cannot hold (NaN or infinite)", "Use miniSEED.")
        traces.append(
            {
                "id": piece.id,
                "starttime": iso(piece.start),
                "sampling_rate_hz": piece.rate,
                "dtype": piece.data.dtype.name,
                "data": piece.data.tolist(),
            }
        )
    text = json.dumps({"noun": "Waveforms", "traces": traces}, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def _read_json(data: bytes, name: str) -> Waveforms:
    try:
        stream = Stream()
        for item in json.loads(data)["traces"]:
            network, station, location, channel = item["id"].split(".")
            kind = item.get("dtype", "float64")
            if kind not in ("int32", "float32", "float64"):
                raise ValueError(f"dtype {kind}")
            header = {
                "network": network,
                "station": station,
                "location": location,
                "channel": channel,
                "starttime": UTCDateTime(item["starttime"]),
                "sampling_rate": float(item["sampling_rate_hz"]),
            }
            stream.append(Trace(np.array(item["data"], dtype=kind), header))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise UnreadableFile(name, f"is no JSON of waveforms ({error})", "Use miniSEED.") from error
    return stream


def _csv(waveforms: Waveforms) -> bytes:
    lines = ["channel,time,value\n"]
    for piece in pieces(waveforms):
        times = piece.start + np.round(np.arange(len(piece.data)) * (1e9 / piece.rate)).astype(np.int64)
        lines += [
            f"{piece.id},{iso(int(time))},{value!r}\n"
            for time, value in zip(times, piece.data.tolist(), strict=True)
        ]
    return "".join(lines).encode()
