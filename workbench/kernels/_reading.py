"""Reading an onset: its sample, error, strength and first motion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.kernels._instruments import Component, Record, high_pass
from workbench.maths.changepoints import changepoint, first_break, first_motion
from workbench.maths.filters import initial_state, sosfilt
from workbench.maths.onsets import jump

__all__ = ["Onset", "change", "measured", "rise"]

READABLE = 0.1
"""Part of a period to which an onset can be read."""

_BROADEST = 4.0
"""Highest corner in Hz above which a first break is read; the break of a 20 Hz wave is there at 4 Hz."""


@dataclass(frozen=True, slots=True)
class Onset:
    """An onset of P or S on one instrument.

    Attributes
    ----------
    phase : {'P', 'S'}
    id : str
        SEED id of the channel that it is read on.
    time : int
        Nanoseconds since 1970.
    significance : float
        In standard deviations of stationary noise.
    uncertainty : float
        Standard error, s.
    snr : float
        Root mean square after over before, in the band where it is clearest.
    polarity : int
        1 up, -1 down, 0 not clear.
    late : float
        Significance of what the energy had risen by before a P: a first arrival has none.
    """

    phase: Literal["P", "S"]
    id: str
    time: int
    significance: float
    uncertainty: float
    snr: float
    polarity: int
    late: float = 0.0


def change(
    record: Record,
    components: tuple[Component, ...],
    used: tuple[int, ...],
    at: int,
    before_s: float,
    after_s: float,
    floor: int = 0,
) -> tuple[int, float]:
    """Sample at which components change in bands, around a sample, and its error in seconds."""
    first = max(floor, at - round(before_s * record.rate))
    stop = at + round(after_s * record.rate)
    pieces = [piece for component in components if (piece := component.at(at)) is not None]
    for piece in pieces:
        first, stop = max(first, piece.offset), min(stop, piece.stop)
    if not pieces or stop - first < 2:
        return at, 0.0
    rows = [piece.bands[b, first - piece.offset : stop - piece.offset] for piece in pieces for b in used]
    # Neighbouring bands share half of their width: each counts half.
    weights = [0.5 * record.bands[b].freedom(record.rate) for _ in pieces for b in used]
    sample, error = changepoint(np.array(rows), np.array(weights))
    return (at, 0.0) if sample < 0 else (first + sample, error / record.rate)


def rise(record: Record, component: Component, band: int, at: int) -> tuple[float, float]:
    """Energies after and before a sample in a band: one period against ten."""
    piece = component.at(at)
    if piece is None:
        return 0.0, 0.0
    period = record.rate / record.bands[band].low
    return jump(piece.bands[band], at - piece.offset, max(2, round(period)), round(10 * period))


def measured(
    record: Record,
    phase: Literal["P", "S"],
    components: tuple[Component, ...],
    at: int,
    band: int,
    significance: float,
    error: float,
) -> Onset | None:
    """Read the time, its error, the signal-to-noise ratio and the first motion.

    The component on which the energy rises most is read.  P is put where the
    trace leaves the noise, S where its energy changes: the coda of P hides its
    first break.

    Parameters
    ----------
    record : Record
    phase : {'P', 'S'}
    components : tuple of Component
        To choose from.
    at : int
        Sample of the record where the energy changes.
    band : int
        The clearest band.
    significance, error : float
        Of the onset, the latter as a time in seconds.
    """
    best: tuple[float, Component] | None = None
    for component in components:
        after, before = rise(record, component, band, at)
        if before > 0 and (best is None or after / before > best[0]):
            best = after / before, component
    if best is None:
        return None
    ratio, component = best
    piece = component.at(at)
    assert piece is not None
    sample, polarity = at - piece.offset, 0
    low, high = record.bands[band].low, record.bands[band].high
    if phase == "P":
        sample, polarity = _break(record, piece.segment.data, sample, min(low, _BROADEST))
        if component is not record.vertical:
            polarity = 0
    # The change point's own error, half a sample and the period join as independent errors.
    joint = math.sqrt(error**2 + (0.5 / record.rate) ** 2 + READABLE**2 / (low * high))
    return Onset(
        phase, component.id, piece.segment.time_of(sample), significance, joint, math.sqrt(ratio), polarity
    )


def _break(record: Record, data: npt.NDArray[np.generic], at: int, low: float) -> tuple[int, int]:
    """Sample at which the trace leaves the noise near `at`, and the sense of the first motion.

    The trace is only high-passed: a low-pass would round the onset off and delay it.
    """
    rate = record.rate
    first = max(0, at - round(max(0.5, 1 / low) * rate))
    stop = min(data.size, at + round(max(0.2, 0.4 / low) * rate))
    warm = max(0, first - round(6 / low * rate))
    sections = high_pass(rate, low)
    x = sosfilt(sections, data[warm:stop], initial_state(sections, float(data[warm])))[first - warm :]
    sample, _ = changepoint(x[None, :], np.ones(1))
    if sample < 0:
        return at, 0
    noise = float(x[: max(3, sample - round(0.05 * rate))].std())
    onset = first_break(x, sample, noise, round(max(0.1, 0.3 / low) * rate))
    return first + onset, first_motion(x, onset, noise, round(0.5 / low * rate))
