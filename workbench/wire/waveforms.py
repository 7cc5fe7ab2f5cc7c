"""Waveforms as bytes: miniSEED, and whatever else ObsPy reads."""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
from collections.abc import Sequence

import numpy as np
from obspy import Stream, Trace, UTCDateTime

from workbench.archive import records, samples
from workbench.archive.runs import from_records, to_stream
from workbench.errors import BadInput, UnreadableFile
from workbench.notices import notice
from workbench.nouns import Waveforms
from workbench.wire import plugins
from workbench.wire.pieces import Piece, pieces
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
        from workbench.plots import pictures

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
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
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
