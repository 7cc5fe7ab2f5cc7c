"""Waveforms made ready for arithmetic: gapless, finite, in order, each channel on its own.

Every kernel that looks at samples starts here, so that bad data are met in one
place and in one way: what cannot be used is left out and named, and the rest
goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from obspy import Trace, UTCDateTime

from workbench.errors import NoData
from workbench.notices import notice
from workbench.nouns import Waveforms

__all__ = ["Segment", "by_channel", "segments", "to_stream"]


@dataclass(frozen=True, eq=False, slots=True)
class Segment:
    """Samples of one channel without a gap.

    Attributes
    ----------
    id : str
        SEED id ``NET.STA.LOC.CHA``.
    start : int
        Time of the first sample, nanoseconds since 1970, UTC.
    rate : float
        Samples a second.
    data : ndarray, shape (n_samples,)
        int32 or float64, finite.
    """

    id: str
    start: int
    rate: float
    data: npt.NDArray[np.float64] | npt.NDArray[np.int32]

    @property
    def station(self) -> str:
        """``NET.STA``."""
        return ".".join(self.id.split(".")[:2])

    @property
    def end(self) -> int:
        """Time of the last sample, nanoseconds since 1970, UTC."""
        return self.time_of(len(self.data) - 1)

    def time_of(self, sample: float) -> int:
        """Time of a sample (fractions allowed), nanoseconds since 1970, UTC."""
        return self.start + round(sample * 1e9 / self.rate)

    def sample_at(self, time: int) -> float:
        """Sample number, with its fraction, at a time in nanoseconds."""
        return (time - self.start) * self.rate / 1e9

    def window(self, start: int, end: int) -> Segment | None:
        """Return the part from `start` to `end` (nanoseconds, both included), or None."""
        first = max(0, int(np.ceil(self.sample_at(start) - 1e-6)))
        last = min(len(self.data) - 1, int(np.floor(self.sample_at(end) + 1e-6)))
        if first > last:
            return None
        return replace(self, start=self.time_of(first), data=self.data[first : last + 1])


def segments(waveforms: Waveforms, *, min_seconds: float = 0.0, flat: bool = False) -> list[Segment]:
    """Split waveforms into gapless, finite segments, sorted by channel and time.

    Overlaps are joined where the samples agree; where they differ, both
    versions are left out over the overlap, as neither is known to be right.
    The input is not changed.

    Parameters
    ----------
    waveforms : Waveforms
    min_seconds : float
        Shorter segments are left out, with a notice.
    flat : bool
        Keep segments whose samples are all equal; by default they are left
        out, with a notice.

    Raises
    ------
    NoData
        If nothing usable is left.
    """
    found: list[Segment] = []
    ids = sorted({trace.id for trace in waveforms})
    for channel in ids:
        pieces = [piece for trace in waveforms if trace.id == channel for piece in _finite(trace)]
        rates = sorted({piece.rate for piece in pieces})
        if len(rates) > 1:
            listed = ", ".join(f"{rate:g}" for rate in rates)
            notice(
                channel,
                f"has several sampling rates ({listed} Hz)",
                "Each is worked on by itself; check the digitiser's settings.",
                loss=False,
            )
        for rate in rates:
            same = sorted((p for p in pieces if p.rate == rate), key=lambda p: (p.start, len(p.data)))
            found.extend(_joined(channel, same))
    kept = [segment for segment in found if _usable(segment, min_seconds, flat)]
    if not kept:
        what = f"{len(ids)} channels" if ids else "the waveforms"
        raise NoData(
            what, "hold no usable samples", "Check the selection, the time span and the notices above."
        )
    return sorted(kept, key=lambda segment: (segment.id, segment.start, segment.rate))


def by_channel(parts: list[Segment]) -> dict[str, list[Segment]]:
    """Group segments by SEED id, keeping their order."""
    grouped: dict[str, list[Segment]] = {}
    for part in parts:
        grouped.setdefault(part.id, []).append(part)
    return grouped


def to_stream(parts: list[Segment]) -> Waveforms:
    """Return ObsPy's form of the segments."""
    stream = Waveforms()
    for part in parts:
        network, station, location, channel = part.id.split(".")
        stream.append(
            Trace(
                data=part.data,
                header={
                    "network": network,
                    "station": station,
                    "location": location,
                    "channel": channel,
                    "starttime": UTCDateTime(ns=part.start),
                    "sampling_rate": part.rate,
                },
            )
        )
    return stream


def _finite(trace: Trace) -> Iterator[Segment]:
    """Cut a trace at masked and non-finite samples."""
    data = trace.data
    if len(data) == 0:
        return
    bad = np.ma.getmaskarray(data) if np.ma.isMaskedArray(data) else np.zeros(len(data), dtype=bool)
    values = np.ma.getdata(data)
    if np.issubdtype(values.dtype, np.floating):
        broken = ~np.isfinite(values) & ~bad
        if broken.any():
            notice(
                trace.id,
                f"has {int(broken.sum())} samples that are NaN or infinite",
                "They are treated as a gap; look for the step that made them.",
            )
            bad = bad | broken
        values = values.astype(np.float64, copy=False)
    elif values.dtype == np.int32:
        pass
    elif np.issubdtype(values.dtype, np.integer):
        small = len(values) and np.abs(values.astype(np.float64)).max() < 2**31
        values = values.astype(np.int32 if small else np.float64)
    else:
        notice(trace.id, f"has samples of type {values.dtype}", "Give integers or floats.")
        return
    whole = Segment(trace.id, trace.stats.starttime.ns, float(trace.stats.sampling_rate), values)
    if not bad.any():
        yield whole
        return
    edges = np.flatnonzero(np.diff(np.concatenate(([True], bad, [True])).astype(np.int8)))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        yield replace(whole, start=whole.time_of(int(first)), data=values[first:stop])


def _joined(channel: str, pieces: list[Segment]) -> Iterator[Segment]:
    """Put pieces of one rate together where they touch or overlap."""
    current: Segment | None = None
    for piece in pieces:
        if current is None:
            current = piece
            continue
        offset = current.sample_at(piece.start)
        first = round(offset)
        if first > len(current.data) or (abs(offset - first) > 0.25 and first >= len(current.data)):
            yield current
            current = piece
            continue
        if abs(offset - first) > 0.25:
            # Overlap on another time grid: keep the first version as it is.
            skip = int(np.ceil(piece.sample_at(current.end) + 0.5))
            notice(
                channel,
                f"overlaps itself at {UTCDateTime(ns=piece.start)} on a shifted time grid",
                "The earlier samples are kept; check for double recording.",
                loss=False,
            )
            if skip < len(piece.data):
                yield current
                current = replace(piece, start=piece.time_of(skip), data=piece.data[skip:])
            continue
        shared = min(len(current.data) - first, len(piece.data))
        if shared > 0 and not np.array_equal(current.data[first : first + shared], piece.data[:shared]):
            notice(
                channel,
                f"holds two different versions of {shared} samples from {UTCDateTime(ns=piece.start)}",
                "Both are left out over the overlap; check the archive with 'workbench archive check'.",
            )
            if first > 0:
                yield replace(current, data=current.data[:first])
            stop = first + shared
            rest = (
                replace(current, start=current.time_of(stop), data=current.data[stop:])
                if stop < len(current.data)
                else replace(piece, start=piece.time_of(shared), data=piece.data[shared:])
                if shared < len(piece.data)
                else None
            )
            current = rest
            continue
        if len(piece.data) > shared:
            current = replace(current, data=np.concatenate([current.data, piece.data[shared:]]))
    if current is not None:
        yield current


def _usable(segment: Segment, min_seconds: float, flat: bool) -> bool:
    if len(segment.data) < 2 or len(segment.data) < min_seconds * segment.rate:
        notice(
            segment.id,
            f"has only {len(segment.data)} samples at {UTCDateTime(ns=segment.start)}",
            f"At least {max(min_seconds, 2 / segment.rate):g} s without a gap are needed.",
        )
        return False
    if not flat and segment.data.min() == segment.data.max():
        notice(
            segment.id,
            f"is constant ({segment.data[0]:g}) from {UTCDateTime(ns=segment.start)}"
            f" for {len(segment.data) / segment.rate:g} s",
            "It is left out; check the sensor.",
        )
        return False
    return True
