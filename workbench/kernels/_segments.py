"""Waveforms made ready for arithmetic: gapless, finite, in order, each channel on its own.

Every kernel that looks at samples starts here, so that bad data are met in one
place and in one way: what cannot be used is left out and named, and the rest
goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from obspy import Trace, UTCDateTime

from workbench.errors import NoData
from workbench.notices import notice
from workbench.nouns import Waveforms, noun_of

__all__ = ["Segment", "as_stream", "by_channel", "pieces", "segments", "to_stream"]

_DEAD_SAMPLES, _DEAD_SECONDS = 50, 2.0
"""A sensor never repeats one value this often; digitisers and archives fill gaps like that."""

_SAME_RATE = 1e-4
"""Relative difference up to which two sampling rates are one, as ObsPy joins records."""

_IMPOSSIBLE = 1e30
"""No instrument counts this far, and squares of larger numbers overflow."""


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


def segments(
    waveforms: Waveforms, *, min_seconds: float = 0.0, flat: bool = False, least: int = 2
) -> list[Segment]:
    """Split waveforms into gapless, finite segments, sorted by channel and time.

    - Masked samples, NaN and infinities are gaps.
    - A stretch in which one value repeats for 2 s and 50 samples is a gap too:
      a dead sensor, or a gap that somebody filled.
    - Overlaps are joined where the samples agree; where they differ, every
      version is left out over the overlap, as none is known to be right.
    - A channel with several sampling rates gives segments of each.

    The input is not changed, and the order of its traces does not matter.

    Parameters
    ----------
    waveforms : Waveforms
        Or a cube of them.
    min_seconds : float
        Shorter segments are left out, with a notice.
    flat : bool
        Keep stretches of one value.
    least : int
        Samples that a segment has to have.

    Raises
    ------
    NoData
        If nothing usable is left.
    """
    traces = _by_id(waveforms)
    kept: list[Segment] = []
    for channel in sorted(traces):
        for same in _by_rate(channel, _finite(channel, traces[channel])):
            joined = _joined(channel, same)
            if not flat:
                joined = _alive(channel, joined)
            kept.extend(_long_enough(channel, joined, min_seconds, least))
    if not kept:
        what = f"{len(traces)} channels" if traces else "the waveforms"
        raise NoData(
            what, "hold no usable samples", "Check the selection, the time span and the notices above."
        )
    return sorted(kept, key=lambda segment: (segment.id, segment.start, segment.rate))


def pieces(waveforms: Waveforms) -> dict[str, list[Segment]]:
    """Cut waveforms into gapless, finite pieces, by channel; what overlaps stays apart.

    Masked, infinite and missing (NaN) samples are gaps; what cannot be used is
    left out and named.
    """
    traces = _by_id(waveforms)
    found = {channel: _finite(channel, traces[channel]) for channel in sorted(traces)}
    return {channel: parts for channel, parts in found.items() if parts}


def as_stream(waveforms: Waveforms) -> Waveforms:
    """Return waveforms as traces: a cube is read, channel by channel, and anything else is what it was.

    Raises
    ------
    BadInput
        If it is a dataset, and no cube.
    """
    if noun_of(type(waveforms)) == "Dataset":
        from workbench.cubes import to_stream

        return to_stream(waveforms)
    return waveforms


def by_channel(parts: Iterable[Segment]) -> dict[str, list[Segment]]:
    """Group segments by SEED id, keeping their order."""
    grouped: dict[str, list[Segment]] = {}
    for part in parts:
        grouped.setdefault(part.id, []).append(part)
    return grouped


def to_stream(parts: Iterable[Segment], *, unit: str = "", processing: str = "") -> Waveforms:
    """Return ObsPy's form of the segments.

    Parameters
    ----------
    parts : iterable of Segment
    unit : str
        Unit of the samples, kept in ``stats.unit`` of each trace.
    processing : str
        What was done, kept in ``stats.processing`` of each trace.
    """
    stream = Waveforms()
    for part in parts:
        network, station, location, channel = part.id.split(".")
        header = {
            "network": network,
            "station": station,
            "location": location,
            "channel": channel,
            "starttime": UTCDateTime(ns=part.start),
            "sampling_rate": part.rate,
        }
        if unit:
            header["unit"] = unit
        if processing:
            header["processing"] = [processing]
        stream.append(Trace(data=part.data, header=header))
    return stream


def _by_id(waveforms: Waveforms) -> dict[str, list[Trace]]:
    traces: dict[str, list[Trace]] = {}
    for trace in as_stream(waveforms):
        traces.setdefault(trace.id, []).append(trace)
    return traces


def _finite(channel: str, traces: list[Trace]) -> list[Segment]:
    """Cut the traces of a channel at masked and impossible samples."""
    if channel.count(".") != 3:
        notice(channel, "has a dot inside one of its codes", "Rename the channel.")
        return []
    pieces: list[Segment] = []
    broken = 0
    for trace in traces:
        rate = float(trace.stats.sampling_rate)
        values = np.ma.getdata(trace.data)
        if not (np.isfinite(rate) and rate > 0):
            notice(channel, f"has the sampling rate {rate:g} Hz", "Correct the header.")
            continue
        if values.ndim != 1 or not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
            notice(
                channel,
                f"has samples of type {values.dtype} and shape {values.shape}",
                "Give one row of integers or floats.",
            )
            continue
        if values.dtype == np.int32 and not np.ma.is_masked(trace.data):
            # Most there are, and a mask for each sample would cost as much as to look at it.
            if len(values):
                pieces.append(Segment(channel, trace.stats.starttime.ns, rate, values))
            continue
        good = ~np.ma.getmaskarray(trace.data)
        if np.issubdtype(values.dtype, np.floating):
            values = values.astype(np.float64, copy=False)
            with np.errstate(invalid="ignore"):
                possible = np.abs(values) < _IMPOSSIBLE
            broken += int((good & ~possible).sum())
            good &= possible
        elif values.dtype != np.int32:
            limits = np.iinfo(np.int32)
            fits = len(values) == 0 or limits.min <= values.min() <= values.max() <= limits.max
            values = values.astype(np.int32 if fits else np.float64)
        whole = Segment(channel, trace.stats.starttime.ns, rate, values)
        pieces.extend(_runs(whole, good))
    if broken:
        notice(
            channel,
            f"has {broken} samples that are NaN, infinite or impossibly large",
            "They are treated as a gap; look for the step that made them.",
        )
    if not pieces:
        notice(channel, "has no samples", "Check the selection and the time span.")
    return pieces


def _by_rate(channel: str, pieces: list[Segment]) -> list[list[Segment]]:
    """Group pieces by sampling rate, rates that are nearly the same in one group."""
    groups: list[list[Segment]] = []
    for piece in sorted(pieces, key=lambda piece: piece.rate):
        if groups and piece.rate - groups[-1][0].rate <= _SAME_RATE * piece.rate:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    if len(groups) > 1:
        listed = ", ".join(f"{group[0].rate:g}" for group in groups)
        notice(
            channel,
            f"has several sampling rates ({listed} Hz)",
            "Each is worked on by itself; check the digitiser's settings.",
            loss=False,
        )
    return [sorted(group, key=lambda piece: (piece.start, len(piece.data), piece.rate)) for group in groups]


def _runs(segment: Segment, good: npt.NDArray[np.bool_]) -> list[Segment]:
    """Return the stretches of a segment in which the samples are good."""
    if good.all():
        return [segment] if len(segment.data) else []
    edges = np.flatnonzero(np.diff(np.concatenate(([False], good, [False])).astype(np.int8)))
    return [
        replace(segment, start=segment.time_of(int(first)), data=segment.data[first:stop])
        for first, stop in zip(edges[::2], edges[1::2], strict=True)
    ]


def _joined(channel: str, pieces: list[Segment]) -> list[Segment]:
    """Put pieces of one rate together where they touch or overlap."""
    joined: list[Segment] = []
    group: list[tuple[int, Segment]] = []
    length = 0
    for piece in pieces:
        if group:
            offset = group[0][1].sample_at(piece.start)
            first = round(offset)
            if abs(offset - first) <= 0.25 and first <= length:
                group.append((first, piece))
                length = max(length, first + len(piece.data))
                continue
            end = group[0][1].time_of(length - 1)
            if piece.start <= end:
                notice(
                    channel,
                    f"overlaps itself at {UTCDateTime(ns=piece.start)} on a shifted time grid",
                    "The earlier samples are kept; check for double recording.",
                    loss=False,
                )
                skip = int(np.ceil(piece.sample_at(end) + 0.5))
                if skip >= len(piece.data):
                    continue
                piece = replace(piece, start=piece.time_of(skip), data=piece.data[skip:])
            joined.extend(_laid_out(channel, group, length))
        group, length = [(0, piece)], len(piece.data)
    if group:
        joined.extend(_laid_out(channel, group, length))
    return joined


def _laid_out(channel: str, group: list[tuple[int, Segment]], length: int) -> list[Segment]:
    """Lay pieces of one time grid into one row of samples, and drop what they disagree on."""
    base = group[0][1]
    if len(group) == 1:
        return [base]
    data = np.zeros(length, np.result_type(*(piece.data.dtype for _, piece in group)))
    covers = np.zeros(length, np.int32)
    differs = np.zeros(length, bool)
    for first, piece in group:
        span = slice(first, first + len(piece.data))
        before = covers[span] > 0
        differs[span] |= before & (data[span] != piece.data)
        data[span] = np.where(before, data[span], piece.data)
        covers[span] += 1
    whole = replace(base, data=data)
    if not differs.any():
        return [whole]
    # The whole of an overlap is in doubt, not only the samples that happen to differ.
    edges = np.flatnonzero(np.diff(np.concatenate(([False], covers > 1, [False])).astype(np.int8)))
    doubtful = np.zeros(length, bool)
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        if differs[first:stop].any():
            doubtful[first:stop] = True
            notice(
                channel,
                f"holds different versions of {stop - first} samples from "
                f"{UTCDateTime(ns=whole.time_of(int(first)))}",
                "All are left out over the overlap; check the archive with 'workbench archive check'.",
            )
    return _runs(whole, ~doubtful)


def _alive(channel: str, parts: list[Segment]) -> list[Segment]:
    """Cut out the stretches in which one value repeats."""
    alive: list[Segment] = []
    for part in parts:
        changes = np.flatnonzero(part.data[1:] != part.data[:-1]) + 1
        edges = np.concatenate(([0], changes, [len(part.data)]))
        lengths = np.diff(edges)
        dead = lengths >= max(_DEAD_SAMPLES, _DEAD_SECONDS * part.rate)
        if len(lengths) == 1 and len(part.data) > 1:
            dead[:] = True
        if not dead.any():
            alive.append(part)
            continue
        first = int(edges[:-1][dead][0])
        notice(
            channel,
            f"keeps one value ({part.data[first]:g}) at {UTCDateTime(ns=part.time_of(first))}"
            f" and for {lengths[dead].sum() / part.rate:g} s in all",
            "That is treated as a gap; check the sensor and the telemetry.",
        )
        alive.extend(_runs(part, ~np.repeat(dead, lengths)))
    return alive


def _long_enough(channel: str, parts: list[Segment], min_seconds: float, least: int) -> list[Segment]:
    """Leave out what is too short to work on."""
    kept = [part for part in parts if len(part.data) >= max(least, min_seconds * part.rate)]
    if len(kept) < len(parts):
        short = [part for part in parts if len(part.data) < max(least, min_seconds * part.rate)]
        longest = max(short, key=lambda part: len(part.data))
        size = "1 sample" if len(longest.data) == 1 else f"{len(longest.data)} samples"
        parts_of = "a part of only" if len(short) == 1 else f"{len(short)} parts of at most"
        needed = f"{min_seconds:g} s" if min_seconds * longest.rate > least else f"{least} samples"
        notice(
            channel,
            f"has {parts_of} {size} at {UTCDateTime(ns=longest.start)}",
            f"It is left out: at least {needed} without a gap are needed.",
        )
    return kept
