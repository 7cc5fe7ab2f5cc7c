"""How far a Wood-Anderson would have swung in an earthquake, channel by channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.kernels._ground import Removal
from workbench.kernels._responses import Response
from workbench.kernels._segments import Segment
from workbench.maths import spectra
from workbench.maths.amplitudes import clipped, half_cycle, half_range
from workbench.notices import notice

__all__ = ["Deflection", "Seismograph", "Window", "earliest_p", "window"]

_FASTEST_P, _FASTEST_S, _SLOWEST = 8.5, 4.7, 2.0
"""Apparent velocities from the hypocentre, km/s: Pn and Sn under any crust, the last Lg and Rg."""

_RUPTURE = 10.0
"""Seconds after the slowest wave, for the earthquake itself and an origin time that is off."""

_BEFORE_P, _BEFORE_S = 1.0, 1.0
"""Seconds by which onsets may be early."""

_NOISE = (2.0, 20.0)
"""Least and largest length of the noise in front of P, s."""

_HALF_PERIOD = 0.8
"""Longest time from peak to trough, s: Wood-Anderson records have periods up to 1.6 s."""

_FAST_ENOUGH = 200.0
"""Samples a second at which peaks are read, so that none falls between two samples."""


@dataclass(frozen=True, slots=True)
class Window:
    """Where to look for noise and for S, nanoseconds since 1970."""

    noise_start: int
    noise_end: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Deflection:
    """Half of the largest peak-to-peak amplitude.

    Attributes
    ----------
    id : str
        SEED id.
    amplitude : float
        mm on the record.
    period : float
        Twice the time from peak to trough, s.
    time : int
        Between peak and trough, nanoseconds since 1970.
    start, end : int
        Where it was looked for.
    snr : float or None
        Over the same measure of the noise; None if there is nothing in front of P.
    """

    id: str
    amplitude: float
    period: float
    time: int
    start: int
    end: int
    snr: float | None


def window(origin: int, distance_km: float, p: int | None, s: int | None, others: Iterable[int]) -> Window:
    """Return where to look for an earthquake at a station.

    From a second before S, or from the earliest that S can be, until the
    slowest waves have passed; it ends before P of the next earthquake.

    Parameters
    ----------
    origin : int
        Origin time, nanoseconds since 1970.
    distance_km : float
        Hypocentral.
    p, s : int or None
        Picks at the station.
    others : iterable of int
        The earliest that P of other earthquakes can be at the station.
    """
    first_p = min(origin + round(distance_km / _FASTEST_P * 1e9), p if p is not None else 2**63)
    start = (s if s is not None else origin + round(distance_km / _FASTEST_S * 1e9)) - round(_BEFORE_S * 1e9)
    end = origin + round((distance_km / _SLOWEST + _RUPTURE) * 1e9)
    end = min([end, *(other for other in others if other > start + 2e9)])
    noise_end = min(first_p, start) - round(_BEFORE_P * 1e9)
    return Window(noise_end - round(_NOISE[1] * 1e9), noise_end, start, end)


def earliest_p(origin: int, distance_km: float) -> int:
    """Return the earliest that P can be, nanoseconds since 1970."""
    return origin + round((distance_km / _FASTEST_P - _BEFORE_P) * 1e9)


@dataclass(frozen=True, slots=True)
class Seismograph:
    """A Wood-Anderson: gain, and the band in which a record is made."""

    removal: Removal
    gain: float
    period: float = 0.8
    damping: float = 0.7

    def record(self, part: Segment, response: Response) -> Segment | None:
        """Return the record in mm, sampled finely enough to read peaks."""

        def millimetres(frequency: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
            return 1000 * spectra.wood_anderson(frequency, self.gain, self.period, self.damping)

        oversample = max(1, int(np.ceil(_FAST_ENOUGH / part.rate)))
        return self.removal.ground(part, response, "DISP", millimetres, oversample)

    def deflection(self, parts: Iterable[tuple[Segment, Response]], where: Window) -> Deflection | None:
        """Measure a channel, or say why not.

        Parameters
        ----------
        parts : iterable of tuple
            Its stretches without a gap, each with its response.
        where : Window

        Returns
        -------
        Deflection or None
            None if there are no data, or with a notice if they cannot be used.
        """
        # The largest wave comes in the first half of the window, long before the slowest.
        need = (where.start + where.end) // 2
        around = round(self.removal.reach / 2 * 1e9)
        for segment, response in parts:
            if segment.end < where.start or segment.start > need:
                continue
            if segment.start > where.start or segment.end < need:
                notice(
                    segment.id,
                    f"has a gap between {UTCDateTime(ns=where.start)} and {UTCDateTime(ns=need)}",
                    "It gives no magnitude: the largest wave may be missing.",
                )
                return None
            part = segment.window(where.noise_start - around, where.end + around)
            shaken = segment.window(where.noise_end, where.end)
            if part is None or shaken is None:
                continue
            if clipped(shaken.data):
                notice(
                    segment.id,
                    f"is clipped after {UTCDateTime(ns=where.noise_end)}",
                    "It gives no magnitude; use a less sensitive instrument.",
                )
                return None
            record = self.record(part, response)
            return None if record is None else self._read(record, where)
        return None

    def _read(self, record: Segment, where: Window) -> Deflection | None:
        n = round(_HALF_PERIOD * record.rate)
        signal, noise = (
            record.window(where.start, where.end),
            record.window(where.noise_start, where.noise_end),
        )
        if signal is None:
            return None
        amplitude, first, last = half_range(signal.data, n)
        snr = None
        if noise is not None and len(noise.data) >= _NOISE[0] * record.rate:
            before, _, _ = half_range(noise.data, n)
            snr = amplitude / before if before > 0 else None
        return Deflection(
            record.id,
            amplitude,
            2 * half_cycle(signal.data, amplitude, first, last) / record.rate,
            signal.time_of((first + last) / 2),
            signal.start,
            signal.end,
            snr,
        )
