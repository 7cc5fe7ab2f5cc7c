"""STA/LTA triggers of single channels, of which those of a network are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from workbench.errors import InvalidSetting
from workbench.kernels._bands import check_band, filtered, memory
from workbench.kernels._segments import Segment, segments
from workbench.maths.stalta import classic, onsets, recursive
from workbench.notices import notice, progress
from workbench.nouns import Waveforms

__all__ = ["CORNERS", "Detection", "Detector"]

CORNERS = 4
"""Poles of the filter before the averages, 24 dB an octave."""

_FORGETTING = 16.0
"""Long averages after which a recursive one has forgotten: exp(-16) is 1e-7."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A time for which one channel's STA/LTA stood above its thresholds.

    Attributes
    ----------
    id : str
        SEED id.
    on, off : int
        First and last sample, nanoseconds since 1970, UTC.
    peak : float
        Largest STA/LTA.
    """

    id: str
    on: int
    off: int
    peak: float

    @property
    def station(self) -> str:
        """``NET.STA``."""
        return ".".join(self.id.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Detector:
    """The settings of an STA/LTA trigger.

    Attributes
    ----------
    kind : {'recursive', 'classic'}
    sta, lta : float
        Lengths of the averages, s.
    on, off : float
        Thresholds of their ratio.
    freqmin, freqmax : float or None
        Band in front of them, Hz.
    max_duration : float
        Seconds after which a trigger is ended.
    """

    kind: Literal["recursive", "classic"]
    sta: float
    lta: float
    on: float
    off: float
    freqmin: float | None
    freqmax: float | None
    max_duration: float

    def check(self, kernel: str) -> None:
        """Refuse settings that contradict each other.

        Raises
        ------
        InvalidSetting
        """
        check_band(kernel, self.freqmin, self.freqmax)
        if not 0 < self.sta < self.lta:
            raise InvalidSetting(
                kernel,
                f"sta = {self.sta:g} s is not above zero and below lta = {self.lta:g} s",
                "Take an lta of 10 to 30 times the sta.",
            )
        if self.off > self.on:
            raise InvalidSetting(
                kernel, f"off = {self.off:g} is above on = {self.on:g}", "Give the lower threshold as off."
            )

    @property
    def lead(self) -> float:
        """Seconds of data before a window that decide on the triggers in it.

        The averages (with their own memory) and the filter, and the longest
        trigger, so that one that is on when the window begins is known to be.
        """
        averages = self.sta + self.lta if self.kind == "classic" else _FORGETTING * self.lta
        return averages + memory(CORNERS, self.freqmin, self.freqmax) + self.max_duration

    def detections(self, waveforms: Waveforms) -> Iterator[tuple[Segment, list[Detection]]]:
        """Go through the usable segments, each with its triggers."""
        parts = segments(waveforms)
        for number, part in enumerate(parts):
            progress(number / len(parts), f"averaging {part.id}")
            if len(part.data) <= self.lta * part.rate:
                notice(
                    part.id,
                    f"has only {len(part.data) / part.rate:g} s without a gap",
                    f"Nothing is triggered in it: the long average needs {self.lta:g} s.",
                )
                continue
            band = filtered(part, freqmin=self.freqmin, freqmax=self.freqmax, corners=CORNERS)
            if band is not None:
                yield part, self._in(band)

    def _in(self, band: Segment) -> list[Detection]:
        averages = recursive if self.kind == "recursive" else classic
        nsta, nlta = max(1, round(self.sta * band.rate)), max(2, round(self.lta * band.rate))
        ratio = averages(band.data, nsta, nlta)
        spans, peaks = onsets(ratio, self.on, self.off, round(self.max_duration * band.rate))
        return [
            Detection(band.id, band.time_of(int(first)), band.time_of(int(last)), float(peak))
            for (first, last), peak in zip(spans, peaks, strict=True)
        ]
