"""Onsets of any phase on the records of one instrument: where the energy rises and stays up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.kernels._instruments import Band, Component, Record
from workbench.kernels._reading import change
from workbench.maths.onsets import combine, lasting, peaks, significance

__all__ = ["LONG", "SETTLE", "SHORT", "Candidate", "Picking", "candidates", "lasts", "windows"]

Singles = npt.NDArray[np.float32]

SHORT = 2.0
"""Window after an onset, in periods of a band's lower corner: 0.25 s from 8 Hz, 2 s from 1 Hz."""

LONG = 5.0
"""Window before it over that after it; longer ones reach back into the last event of a swarm."""

SETTLE = 2.0
"""Time that a filter takes to settle, in periods of its lower corner."""

APART = 0.25
"""Seconds that two peaks must be apart."""

LASTING = 2.0
"""Significance that the energy must have at once and still half a window after, or it was a spike."""

FADED = 0.01
"""Share of the energy that must be left then: no earthquake falls by 20 dB so fast."""


@dataclass(frozen=True, slots=True)
class Picking:
    """The settings of the picker.

    Attributes
    ----------
    threshold, s_threshold : float
        Significance that an onset must have, and S behind a known P.
    freqmin, freqmax : float
        Hz.
    max_sp : float
        Longest time from P to S, s.
    """

    threshold: float
    s_threshold: float
    freqmin: float
    freqmax: float
    max_sp: float

    @property
    def lead(self) -> float:
        """Seconds before an onset on which it depends: to its P, and to what came before that."""
        return 2 * self.max_sp + 30 / self.freqmin

    @property
    def trail(self) -> float:
        """Seconds after an onset on which it depends."""
        return self.max_sp + 10 / self.freqmin


@dataclass(frozen=True, slots=True)
class Candidate:
    """An onset on the grid of a record.

    Attributes
    ----------
    phase : {'P', 'S'}
    sample : int
        Where the energy changes.
    significance : float
    band : int
        In which it is most significant,
    used : tuple of int
        and those in which it is half as much or more.
    error : float
        Of the change point, s.
    ratio : float
        Log ratio of the rises of energy, horizontal over vertical.
    """

    phase: Literal["P", "S"]
    sample: int
    significance: float
    band: int
    used: tuple[int, ...]
    error: float
    ratio: float


def windows(band: Band, rate: float) -> tuple[int, int]:
    """Lengths of the windows after and before an onset in a band, in samples."""
    short = max(2, round(SHORT / band.low * rate))
    return short, max(4, round(LONG * SHORT / band.low * rate))


def candidates(record: Record, picking: Picking) -> list[Candidate]:
    """Find onsets, each where the criterion puts it; all are P as yet."""
    z = [_significances(record, component) for component in record.components]
    stacked, live = np.stack([one for one, _ in z]), np.stack([one for _, one in z])
    joint, band_of = combine(stacked, live, 0 if record.vertical is not None else -1)
    found = []
    for peak in peaks(joint, picking.threshold, round(APART * record.rate)):
        best = int(band_of[peak])
        # Bands in which the onset is half as significant as in the best one.
        strength = stacked[:, :, peak].max(axis=0)
        used = tuple(int(b) for b in np.flatnonzero(strength >= 0.5 * strength.max()))
        low = record.bands[best].low
        sample, error = change(
            record,
            record.components,
            used,
            int(peak),
            max(0.5, 1.5 * SHORT / low),
            max(0.3, 0.5 * SHORT / low),
        )
        if lasts(record, best, sample):
            found.append(Candidate("P", sample, float(joint[peak]), best, used, error, 0.0))
    return sorted(found, key=lambda candidate: candidate.sample)


def lasts(record: Record, band: int, at: int) -> bool:
    """Whether the energy stays up on any component, as it does not after a spike."""
    of_band = record.bands[band]
    spans, freedom = windows(of_band, record.rate), of_band.freedom(record.rate)
    pieces = [piece for component in record.components if (piece := component.at(at)) is not None]
    found = [lasting(piece.bands[band], at - piece.offset, *spans, freedom) for piece in pieces]
    return any(significance >= LASTING and share >= FADED for significance, share in found)


def _significances(record: Record, component: Component) -> tuple[Singles, npt.NDArray[np.bool_]]:
    """Significance in each band and whether there are data, on the grid of the record."""
    z = np.zeros((len(record.bands), record.n_samples), np.float32)
    live = np.zeros(record.n_samples, np.bool_)
    for piece in component.pieces:
        live[piece.offset : piece.stop] = True
        for row, band in enumerate(record.bands):
            settle = round(SETTLE / band.low * record.rate)
            z[row, piece.offset : piece.stop] = significance(
                piece.bands[row], *windows(band, record.rate), band.freedom(record.rate), settle
            )
    return z, live
