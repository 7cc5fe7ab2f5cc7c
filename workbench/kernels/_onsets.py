"""P and S onsets on the records of one instrument.

1. Onsets of any phase are found (`_candidates`).
2. An onset is S if the energy rises more on the horizontal components than on
   the vertical one, P otherwise.
3. Behind each P, up to the next, S is looked for once more on the horizontal
   components, with nothing before the P taken as noise.
4. P is put where the trace leaves the noise.

All that decides on an onset lies within `Picking.lead` before and
`Picking.trail` after it, so records may be cut.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest

import numpy as np

from workbench.kernels._candidates import LONG, SHORT, Candidate, Picking, candidates, lasts, windows
from workbench.kernels._instruments import Record
from workbench.kernels._reading import Onset, change, measured, rise
from workbench.maths.onsets import significance_since

__all__ = ["find"]

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


def find(record: Record, picking: Picking) -> list[Onset]:
    """Find P and S on a record, in order of time."""
    if not record.bands:
        return []
    labelled = _without_twins(_labelled(record, candidates(record, picking), picking), record.rate)
    if record.horizontals:
        labelled = _with_s(record, labelled, picking)
    found = [onset for candidate in labelled if (onset := _read(record, candidate)) is not None]
    return _single(sorted(found, key=lambda onset: (onset.time, onset.phase)))


def _single(onsets: list[Onset]) -> list[Onset]:
    """Drop onsets that reading has moved onto a clearer one of their phase."""

    def beaten(number: int, one: Onset) -> bool:
        return any(
            other.phase == one.phase
            and abs(other.time - one.time) < TWIN * 1e9
            and (other.significance, -index) > (one.significance, -number)
            for index, other in enumerate(onsets)
        )

    return [one for number, one in enumerate(onsets) if not beaten(number, one)]


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


def _labelled(record: Record, found: list[Candidate], picking: Picking) -> list[Candidate]:
    """Tell P from S, and read each again on the components that show it best."""
    labelled = []
    for number, candidate in enumerate(found):
        earlier = [
            other
            for other in found[:number]
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
        labelled.append(
            replace(
                candidate,
                phase="S" if is_s else "P",
                sample=sample,
                error=error,
                ratio=0.0 if ratio is None else float(ratio),
            )
        )
    return sorted(labelled, key=lambda candidate: candidate.sample)


def _without_twins(onsets: list[Candidate], rate: float) -> list[Candidate]:
    """Of onsets of one phase that are as good as simultaneous keep the most significant."""

    def beaten(number: int, one: Candidate) -> bool:
        rank = (one.significance, -number)
        return any(
            other.phase == one.phase
            and abs(other.sample - one.sample) < TWIN * rate
            and (other.significance, -index) > rank
            for index, other in enumerate(onsets)
        )

    return [one for number, one in enumerate(onsets) if not beaten(number, one)]


def _with_s(record: Record, onsets: list[Candidate], picking: Picking) -> list[Candidate]:
    """Look for S behind each P, and drop what was taken for S between the two."""
    found = list(onsets)
    p_onsets = [candidate for candidate in onsets if candidate.phase == "P"]
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


def _s_behind(record: Record, p: Candidate, last: int, picking: Picking) -> Candidate | None:
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
    if not lasts(record, best[2], sample):
        return None
    return Candidate("S", sample, best[0], best[2], tuple(used), error, 0.0)


def _read(record: Record, candidate: Candidate) -> Onset | None:
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
