"""RMS of ground velocity in bands, sub-window by sub-window."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from workbench.errors import InvalidSetting
from workbench.kernels._ground import Removal
from workbench.kernels._responses import Responses
from workbench.kernels._rms import bounds
from workbench.kernels._segments import Segment
from workbench.notices import notice

__all__ = ["WATER_LEVEL", "Bands"]

WATER_LEVEL = 60.0
"""dB below the largest response of a band; within a band of a few octaves no response falls that far."""

_PERIODS = 2.0
"""Longest periods that a stretch of data has to hold."""


class Bands:
    """Bands of frequency that touch.

    Parameters
    ----------
    corners : sequence of float
        Where they begin, and where the last of them ends, Hz.
    """

    def __init__(self, corners: tuple[float, ...]) -> None:
        self.corners = corners
        self.each = [Removal(low, high, WATER_LEVEL) for low, high in pairwise(corners)]

    def check(self, kernel: str) -> None:
        """Refuse corners that make no bands.

        Raises
        ------
        InvalidSetting
        """
        if len(self.corners) < 2 or any(low >= high for low, high in pairwise(self.corners)):
            listed = ", ".join(f"{corner:g}" for corner in self.corners) or "none"
            raise InvalidSetting(
                kernel, f"bands = {listed} Hz are not two or more growing corners", "Give 0.1,1,10."
            )

    @property
    def reach(self) -> float:
        """Seconds before and after a sub-window that its value depends on."""
        return max((one.reach for one in self.each), default=0.0)

    @property
    def names(self) -> list[str]:
        """What the bands are called: ``0.1-1 Hz``."""
        return [f"{low:g}-{high:g} Hz" for low, high in pairwise(self.corners)]

    def squares(
        self, segments: list[Segment], responses: Responses, edges: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Sum the squares of the ground velocity of one channel.

        Each sub-window is worked out by itself, from the samples in it and a
        fixed time around it, so its value does not depend on the rest.

        Parameters
        ----------
        segments : list of Segment
            Of one channel, in the order of time.
        responses : Responses
        edges : ndarray of int, shape (n_parts + 1,)
            Of the sub-windows, ns.

        Returns
        -------
        squares : ndarray, shape (n_parts, n_bands)
            (m/s)**2.
        counts : ndarray of int, shape (n_parts, n_bands)
            Samples.
        """
        shape = len(edges) - 1, len(self.each)
        squares, counts = np.zeros(shape), np.zeros(shape, np.int64)
        for segment in segments:
            for part, response in responses.parts(segment):
                limits = bounds(part, edges)
                for band, removal in enumerate(self.each):
                    if not self._possible(part, removal):
                        continue
                    side = round(removal.reach * 1e9)
                    before, after = bounds(part, edges[:-1] - side), bounds(part, edges[1:] + side)
                    for k in np.flatnonzero(np.diff(limits)).tolist():
                        long = Segment(
                            part.id, part.time_of(int(before[k])), part.rate, part.data[before[k] : after[k]]
                        )
                        if len(long.data) * removal.freqmin < _PERIODS * long.rate:
                            continue
                        ground = removal.ground(long, response, "VEL")
                        if ground is not None:
                            inner = ground.data[limits[k] - before[k] : limits[k + 1] - before[k]]
                            squares[k, band] += np.sum(inner * inner)
                            counts[k, band] += len(inner)
        return squares, counts

    def _possible(self, segment: Segment, removal: Removal) -> bool:
        """Whether a band lies below the Nyquist frequency, and above what the stretch is too short for."""
        high, low = removal.freqmax or 0.0, removal.freqmin
        if high > 0.45 * segment.rate:
            notice(
                segment.id,
                f"has {segment.rate:g} samples a second, too few for {low:g}-{high:g} Hz",
                "Its ground velocity is left out there.",
                loss=False,
            )
            return False
        if len(segment.data) * low < _PERIODS * segment.rate:
            notice(
                segment.id,
                f"has stretches that are shorter than two periods of {low:g} Hz",
                f"Their ground velocity is left out from {low:g} to {high:g} Hz.",
                loss=False,
            )
            return False
        return True
