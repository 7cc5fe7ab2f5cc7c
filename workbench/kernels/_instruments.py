"""Channels put together as the instruments that they are, filtered in bands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from workbench.kernels._segments import Segment
from workbench.maths.filters import butterworth_sos, initial_state, sosfilt
from workbench.notices import notice

__all__ = ["Band", "Component", "Instrument", "Piece", "Record", "bands", "high_pass", "instruments"]

Floats = npt.NDArray[np.float64]

_COMPONENTS = frozenset("ZNE123RTUVWXY")
_MOTION = frozenset("HLGNPMEC")
"""Second letters of SEED channel codes that measure motion of the ground.

Not among them are, for example, D (pressure), K and W (weather), A (tilt) and
S (strain).
"""

_WIDTH = 4.0
"""Upper over lower corner of a band: two octaves, as wide as a local P wave."""

_NARROWEST = 2.5
"""The same for a band that is cut short at the top; narrower ones ring, and add nothing."""

_USABLE = 0.4
"""Highest frequency over sampling rate; above it the anti-alias filter has its say."""


@dataclass(frozen=True, eq=False, slots=True)
class Band:
    """Corners in Hz and the filter between them."""

    low: float
    high: float
    sections: Floats

    def freedom(self, rate: float) -> float:
        """Independent observations a sample in noise of this band."""
        return 2 * (self.high - self.low) / rate


@lru_cache(maxsize=256)
def bands(rate: float, freqmin: float, freqmax: float) -> tuple[Band, ...]:
    """Return bands of two octaves, an octave apart, as the sampling rate allows.

    Examples
    --------
    >>> [(band.low, band.high) for band in bands(20.0, 1.0, 32.0)]
    [(1.0, 4.0), (2.0, 8.0)]
    """
    top = min(freqmax, _USABLE * rate)
    found = []
    low = freqmin
    while top / low >= _NARROWEST:
        high = min(_WIDTH * low, top)
        found.append(Band(low, high, butterworth_sos(2, low, high, rate)))
        low *= 2
    return tuple(found)


@lru_cache(maxsize=256)
def high_pass(rate: float, low: float) -> Floats:
    """Return the filter that takes off what lies below `low` Hz."""
    return butterworth_sos(2, low, None, rate)


@dataclass(frozen=True, eq=False, slots=True)
class Instrument:
    """The channels of one sensor at one sampling rate.

    Attributes
    ----------
    code : str
        SEED id without the component: ``NET.STA.LOC.HH``.
    rate : float
        Samples a second.
    vertical : str
        SEED id of the vertical channel, empty if there is none.
    channels : dict of str to tuple of Segment
        Segments of each channel, in order of time.
    """

    code: str
    rate: float
    vertical: str
    channels: dict[str, tuple[Segment, ...]]

    @property
    def station(self) -> str:
        """``NET.STA``."""
        return ".".join(self.code.split(".")[:2])

    @property
    def span(self) -> tuple[int, int]:
        """First and last sample, nanoseconds since 1970."""
        parts = [part for channel in self.channels.values() for part in channel]
        return min(part.start for part in parts), max(part.end for part in parts)

    def has(self, time: int) -> bool:
        """Whether any channel has data at a time (nanoseconds)."""
        return any(part.start <= time <= part.end for parts in self.channels.values() for part in parts)

    def window(self, start: int, end: int) -> Instrument:
        """Return the part between two times (nanoseconds); it may be empty."""
        channels = {}
        for channel, parts in self.channels.items():
            cut = [part.window(start, end) for part in parts if part.start <= end and part.end >= start]
            if kept := tuple(part for part in cut if part is not None):
                channels[channel] = kept
        return replace(self, channels=channels)

    def records(self, freqmin: float, freqmax: float) -> list[Record]:
        """Filter, and split where no component has data."""
        parts = sorted(
            (part for channel in self.channels.values() for part in channel), key=lambda part: part.start
        )
        groups: list[list[Segment]] = []
        reach = 0
        for part in parts:
            if not groups or part.start > reach + 1.5e9 / self.rate:
                groups.append([])
            groups[-1].append(part)
            reach = max(reach, part.end)
        of_rate = bands(self.rate, freqmin, freqmax)
        return [Record.of(self, group, of_rate) for group in groups]


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A gapless part of a component within a `Record`.

    Attributes
    ----------
    offset : int
        Its first sample on the grid of the record.
    segment : Segment
    bands : ndarray, shape (n_bands, n_samples)
        Filtered.
    """

    offset: int
    segment: Segment
    bands: Floats

    @property
    def stop(self) -> int:
        """Sample of the record after the last of this piece."""
        return self.offset + self.bands.shape[1]


@dataclass(frozen=True, eq=False, slots=True)
class Component:
    """One component within a `Record`."""

    id: str
    pieces: tuple[Piece, ...]

    def at(self, sample: int) -> Piece | None:
        """Return the piece that holds a sample of the record, or None."""
        return next((piece for piece in self.pieces if piece.offset <= sample < piece.stop), None)


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """Components of one instrument on a common grid of samples, in bands.

    The components' own time stamps are kept; on the grid they are shifted by
    up to half a sample.

    Attributes
    ----------
    instrument : Instrument
    start : int
        Time of sample 0, nanoseconds since 1970.
    n_samples : int
    bands : tuple of Band
    vertical : Component or None
    horizontals : tuple of Component
    """

    instrument: Instrument
    start: int
    n_samples: int
    bands: tuple[Band, ...]
    vertical: Component | None
    horizontals: tuple[Component, ...]

    @classmethod
    def of(cls, instrument: Instrument, parts: list[Segment], of_rate: tuple[Band, ...]) -> Record:
        """Filter the segments of one stretch and lay them on one grid.

        Microseisms are a hundred times stronger than what is looked for, so what
        lies below the lowest band is taken off twice.
        """
        start = min(part.start for part in parts)
        pieces: dict[str, list[Piece]] = {}
        for part in parts:
            offset = round((part.start - start) * part.rate / 1e9)
            filtered = np.empty((len(of_rate), len(part.data)))
            above = high_pass(part.rate, of_rate[0].low)
            plain = sosfilt(above, part.data, initial_state(above, float(part.data[0])))
            for row, band in enumerate(of_rate):
                filtered[row] = sosfilt(band.sections, plain)
            pieces.setdefault(part.id, []).append(Piece(offset, part, filtered))
        found = {name: Component(name, tuple(pieces[name])) for name in sorted(pieces)}
        stop = max(piece.stop for component in found.values() for piece in component.pieces)
        vertical = found.pop(instrument.vertical, None)
        return cls(instrument, start, stop, of_rate, vertical, tuple(found.values()))

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.instrument.rate

    @property
    def components(self) -> tuple[Component, ...]:
        """The vertical one first, if there is one."""
        return self.horizontals if self.vertical is None else (self.vertical, *self.horizontals)


def instruments(parts: Iterable[Segment], freqmin: float, freqmax: float) -> list[Instrument]:
    """Sort segments by instrument and sampling rate.

    The vertical component is Z, or 3 where there is no Z.  Channels that do
    not measure ground motion and those that are sampled too slowly for the band are
    left out, with a notice.
    """
    # Clocks of one digitiser give 99.9999 and 100 Hz: four digits tell rates apart.
    groups: dict[tuple[str, str], dict[str, list[Segment]]] = {}
    for part in parts:
        channel = part.id.split(".")[3]
        if channel and (channel[-1] not in _COMPONENTS or (len(channel) == 3 and channel[1] not in _MOTION)):
            notice(part.id, "is no channel of ground motion", "It is left out.", loss=False)
        elif not bands(part.rate, freqmin, freqmax):
            notice(
                part.id,
                f"has {part.rate:g} samples a second, too few for picks above {freqmin:g} Hz",
                "It is left out; use a channel with a higher sampling rate, or lower freqmin.",
            )
        else:
            groups.setdefault((part.id[:-1], f"{part.rate:.4g}"), {}).setdefault(part.id, []).append(part)
    found = []
    for (code, _), channels in sorted(groups.items()):
        vertical = next((code + letter for letter in "Z3" if code + letter in channels), "")
        ordered = {name: tuple(channels[name]) for name in sorted(channels)}
        rate = next(iter(ordered.values()))[0].rate
        found.append(Instrument(code, rate, vertical, ordered))
    return found
