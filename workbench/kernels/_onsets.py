"""P and S onsets on the records of one instrument.

1. In bands of two octaves the energy after each sample is compared with that
   before it (`maths.onsets`); peaks of the joint significance are onsets.
2. Akaike's criterion finds the sample.
3. An onset is S if the energy rises more on the horizontal components than on
   the vertical one, P otherwise; spikes are dropped.
4. Behind each P, up to the next, S is looked for once more on the horizontal
   components, with nothing before the P taken as noise.
5. P is put where the trace leaves the noise.

All that decides on an onset lies within `Picking.lead` before and
`Picking.trail` after it, so records may be cut.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.kernels._instruments import Band, Component, Record
from workbench.kernels._reading import Onset, change, measured, rise
from workbench.maths.onsets import combine, lasting, peaks, significance, significance_since

__all__ = ["LONG", "SETTLE", "SHORT", "Picking", "find", "windows"]

Floats = npt.NDArray[np.float64]
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

TWIN = 0.3
"""Seconds within which two onsets of one phase are one."""

FIRST_RATIO, LATER_RATIO = 0.5, -0.25
"""Log ratio of the rises, horizontal over vertical, up to which an onset is P.

The middle between P and S is near 0 (medians -1.5 and 1.5 at labelled
onsets); before anything else has come P is more likely, after it S.
"""

DEAD_RATIO = 2.5
"""The same, above which a vertical component is deaf: a wave that rises above
the noise twelve times more on the horizontals comes, if it were S, after a
P that would have been seen."""


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
class _Candidate:
    """An onset on the grid of a record."""

    phase: Literal["P", "S"]
    sample: int
    significance: float
    band: int
    used: tuple[int, ...]
    error: float
    ratio: float


def find(record: Record, picking: Picking) -> list[Onset]:
    """Find P and S on a record, in order of time."""
    if not record.bands:
        return []
    z = [_significances(record, component) for component in record.components]
    candidates = _labelled(record, _refined(record, z, picking), picking)
    candidates = _without_twins(candidates, record.rate)
    if record.horizontals:
        candidates = _with_s(record, candidates, picking)
    found = [onset for candidate in candidates if (onset := _read(record, candidate)) is not None]
    return sorted(found, key=lambda onset: (onset.time, onset.phase))


def windows(band: Band, rate: float) -> tuple[int, int]:
    """Lengths of the windows after and before an onset in a band, in samples."""
    short = max(2, round(SHORT / band.low * rate))
    return short, max(4, round(LONG * SHORT / band.low * rate))


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


def _refined(
    record: Record, z: list[tuple[Singles, npt.NDArray[np.bool_]]], picking: Picking
) -> list[_Candidate]:
    """Peaks of significance, each moved to where the criterion puts it; all are P as yet."""
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
        if _lasts(record, best, sample):
            found.append(_Candidate("P", sample, float(joint[peak]), best, used, error, 0.0))
    return sorted(found, key=lambda candidate: candidate.sample)


def _lasts(record: Record, band: int, at: int) -> bool:
    """Whether the energy stays up on any component, as it does not after a spike."""
    of_band = record.bands[band]
    spans, freedom = windows(of_band, record.rate), of_band.freedom(record.rate)
    pieces = [piece for component in record.components if (piece := component.at(at)) is not None]
    found = [lasting(piece.bands[band], at - piece.offset, *spans, freedom) for piece in pieces]
    return any(significance >= LASTING and share >= FADED for significance, share in found)


def _ratio(record: Record, at: int) -> float | None:
    """Log ratio of the rises of energy, horizontal over vertical; None where one has no data.

    It is averaged over the bands above the lowest, as far as there are others, with the
    log of the rise as weight: a band in which nothing rises tells nothing.
    """
    if record.vertical is None or not record.horizontals:
        return None
    total = weight = 0.0
    for band in range(min(1, len(record.bands) - 1), len(record.bands)):
        after, before = rise(record, record.vertical, band, at)
        lying = [rise(record, component, band, at) for component in record.horizontals]
        flat_after, flat_before = sum(a for a, _ in lying), sum(b for _, b in lying)
        if min(before, after, flat_after, flat_before) <= 0:
            continue
        share = min(max(np.log((after / before + flat_after / flat_before) / 2), 0.1), 4.0)
        total += share * (np.log(flat_after / flat_before) - np.log(after / before))
        weight += share
    return total / weight if weight > 0 else None


def _labelled(record: Record, candidates: list[_Candidate], picking: Picking) -> list[_Candidate]:
    """Tell P from S, and read each again on the components that show it best."""
    found = []
    for number, candidate in enumerate(candidates):
        earlier = [
            other
            for other in candidates[:number]
            if TWIN * record.rate < candidate.sample - other.sample < picking.max_sp * record.rate
        ]
        ratio = _ratio(record, candidate.sample)
        deaf = ratio is not None and not earlier and ratio > DEAD_RATIO
        if ratio is not None:
            is_s = not deaf and ratio > (LATER_RATIO if earlier else FIRST_RATIO)
        elif record.vertical is not None:
            # One component: S has lower frequencies than the P before it.
            is_s = bool(earlier) and candidate.band < max(earlier, key=lambda o: o.significance).band
        else:
            is_s = False
        if is_s:
            components = record.horizontals or record.components
        else:
            components = record.horizontals if deaf or record.vertical is None else (record.vertical,)
        low = record.bands[candidate.band].low
        sample, error = change(
            record,
            components,
            candidate.used,
            candidate.sample,
            max(0.3, SHORT / low),
            max(0.2, 0.3 * SHORT / low),
        )
        found.append(
            replace(
                candidate,
                phase="S" if is_s else "P",
                sample=sample,
                error=error,
                ratio=0.0 if ratio is None else float(ratio),
            )
        )
    return sorted(found, key=lambda candidate: candidate.sample)


def _without_twins(candidates: list[_Candidate], rate: float) -> list[_Candidate]:
    """Of onsets of one phase that are as good as simultaneous keep the most significant."""

    def beaten(number: int, one: _Candidate) -> bool:
        rank = (one.significance, -number)
        return any(
            other.phase == one.phase
            and abs(other.sample - one.sample) < TWIN * rate
            and (other.significance, -index) > rank
            for index, other in enumerate(candidates)
        )

    return [one for number, one in enumerate(candidates) if not beaten(number, one)]


def _with_s(record: Record, candidates: list[_Candidate], picking: Picking) -> list[_Candidate]:
    """Look for S behind each P, and drop what was taken for S between the two."""
    found = list(candidates)
    p_onsets = [candidate for candidate in candidates if candidate.phase == "P"]
    for p, following in zip_longest(p_onsets, p_onsets[1:]):
        last = p.sample + round(picking.max_sp * record.rate)
        if following is not None:
            last = min(last, following.sample - round(0.2 * record.rate))
        s = _s_behind(record, p, last, picking)
        if s is not None:
            stop = s.sample + TWIN * record.rate
            found = [one for one in found if one.phase == "P" or not p.sample < one.sample < stop]
            found.append(s)
    return found


def _s_behind(record: Record, p: _Candidate, last: int, picking: Picking) -> _Candidate | None:
    """Find the most significant onset on the horizontals between a P and the largest amplitude."""
    first = p.sample + round(0.05 * record.rate)
    pieces = [piece for one in record.horizontals if (piece := one.at(first)) is not None]
    last = min([last, *(piece.stop for piece in pieces)])
    if not pieces or last - first < 0.3 * record.rate:
        return None
    used = range(min(3, len(record.bands)))
    energy = np.zeros(last - first)
    for piece in pieces:
        for b in used:
            energy += piece.bands[b, first - piece.offset : last - piece.offset] ** 2
    span = min(round(record.rate), energy.size)
    smooth = np.convolve(energy, np.full(span, 1 / span))[: energy.size]
    last = first + int(smooth.argmax()) + 1
    best: tuple[float, int, int] | None = None
    for b in used:
        band = record.bands[b]
        short, _ = windows(band, record.rate)
        joint = sum(
            significance_since(
                piece.bands[b],
                first - piece.offset,
                last - piece.offset,
                short,
                2 * round(LONG) * short,
                band.freedom(record.rate),
            )
            for piece in pieces
        ) / np.sqrt(len(pieces))
        joint[: round(0.2 * record.rate)] = 0
        at = int(joint.argmax()) if joint.size else 0
        if joint.size and (best is None or joint[at] > best[0]):
            best = float(joint[at]), first + at, b
    if best is None or best[0] < picking.s_threshold:
        return None
    sample, error = change(record, record.horizontals, tuple(used), best[1], 0.5, 0.3, first)
    if not _lasts(record, best[2], sample):
        return None
    return _Candidate("S", sample, best[0], best[2], tuple(used), error, 0.0)


def _read(record: Record, candidate: _Candidate) -> Onset | None:
    components = record.horizontals or record.components
    if candidate.phase == "P":
        deaf = record.vertical is None or candidate.ratio > DEAD_RATIO
        components = record.components if deaf or record.vertical is None else (record.vertical,)
    return measured(
        record,
        candidate.phase,
        components,
        candidate.sample,
        candidate.band,
        candidate.significance,
        candidate.error,
    )
