"""Ground motion from counts: the instrument taken off, in the band where that can be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.errors import InvalidSetting
from workbench.kernels._responses import Motion, Response
from workbench.kernels._segments import Segment
from workbench.maths.spectra import apply, passband
from workbench.notices import notice

__all__ = ["Removal"]

Complexes = npt.NDArray[np.complex128]

_FLAT, _END = 0.75, 0.9
"""Upper end of the band, and where nothing is left, as shares of the Nyquist frequency.

In between the anti-alias filters of digitisers begin to cut, and taking them
off would bring up what they have folded back.
"""

_PERIODS = 2.0
"""Longest periods that a stretch of data has to hold."""

_ECHO = 12.0
"""Longest periods after which what was there before is no longer seen."""


@dataclass(frozen=True, slots=True)
class Removal:
    """How an instrument is taken off.

    Attributes
    ----------
    freqmin : float
        Lowest frequency that is kept in full, Hz; nothing is kept below half of it.
    freqmax : float or None
        Highest one; None is as high as the sampling rate allows.
    water_level : float
        dB below the largest response in the band; weaker responses are raised to that.
    """

    freqmin: float
    freqmax: float | None
    water_level: float

    def check(self, kernel: str) -> None:
        """Refuse a band that is upside down.

        Raises
        ------
        InvalidSetting
        """
        if self.freqmax is not None and self.freqmax <= self.freqmin:
            raise InvalidSetting(
                kernel,
                f"freqmin = {self.freqmin:g} Hz is not below freqmax = {self.freqmax:g} Hz",
                "Give the lower corner as freqmin and the upper one as freqmax.",
            )

    @property
    def reach(self) -> float:
        """Seconds of data before and after a window that its ground motion depends on."""
        return _ECHO / self.freqmin

    def ground(
        self,
        segment: Segment,
        response: Response,
        motion: Motion,
        further: Callable[[npt.NDArray[np.float64]], Complexes] | None = None,
        oversample: int = 1,
    ) -> Segment | None:
        """Return the ground motion of a segment, in m, m/s or m/s**2.

        Parameters
        ----------
        segment : Segment
        response : Response
        motion : {'DISP', 'VEL', 'ACC'}
        further : callable, optional
            Response of another instrument to that motion, at frequencies in Hz,
            whose record is wanted instead.
        oversample : int
            Samples of the result for each of the input.

        Returns
        -------
        Segment or None
            None, with a notice, if there is no band left.
        """
        corners = self._corners(segment, response)
        if corners is None:
            return None

        def transfer(frequency: npt.NDArray[np.float64]) -> Complexes:
            band = passband(frequency, *corners)
            inside = band > 0
            # The water level is measured in what the sensor responds to evenly; in any
            # other motion it would flood one end of the band.
            counts = response.spectrum(frequency, corners[0] / 8)
            size = np.abs(counts)
            level = size[inside].max(initial=0.0) * 10 ** (-self.water_level / 20)
            floored = np.where(
                size < level, np.where(size > 0, counts / np.where(size > 0, size, 1), 1) * level, counts
            )
            factor = response.to(motion, frequency)
            if further is not None:
                factor *= further(frequency)
            result = np.zeros(len(frequency), dtype=np.complex128)
            result[inside] = band[inside] * factor[inside] / floored[inside]
            return result

        data = apply(segment.data, segment.rate, transfer, 1 / corners[1], oversample)
        return replace(segment, rate=segment.rate * oversample, data=data)

    def _corners(self, segment: Segment, response: Response) -> tuple[float, float, float, float] | None:
        """Return where the band begins to rise, is flat from and to, and has ended."""
        seconds = len(segment.data) / segment.rate
        rate = segment.rate
        if 0 < response.rate < 0.99 * segment.rate:
            # The filters of the response end where its own Nyquist frequency is.
            rate = response.rate
            notice(
                segment.id,
                f"has {segment.rate:g} samples a second, but its response is for {response.rate:g}",
                f"It is used below {_FLAT * rate / 2:g} Hz; check the StationXML.",
                loss=False,
            )
        low, high = self.freqmin, _FLAT * rate / 2
        if low * seconds < _PERIODS:
            low = _PERIODS / seconds
            notice(
                segment.id,
                f"has a stretch of only {seconds:g} s at {UTCDateTime(ns=segment.start)}",
                f"Nothing is said below {low:.2g} Hz there.",
                loss=False,
            )
        if self.freqmax is not None:
            if self.freqmax > _END * rate / 2:
                notice(
                    segment.id,
                    f"has {rate:g} samples a second, too few for {self.freqmax:g} Hz",
                    f"Its ground motion is kept up to {high:g} Hz.",
                    loss=False,
                )
            else:
                high = self.freqmax
        if low >= high:
            notice(
                segment.id,
                f"holds {seconds:g} s at {rate:g} samples a second: no band is left above {low:.2g} Hz",
                "It is left out; give longer stretches, or lower freqmin.",
            )
            return None
        return low / 2, low, high, min(high / _FLAT * _END, _END * rate / 2 + 1e-9 * rate)
