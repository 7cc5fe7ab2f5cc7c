"""P and S read again where a hypocentre says that they should be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.kernels._candidates import LONG, SETTLE, SHORT, Picking, windows
from workbench.kernels._instruments import Component, Instrument, Record
from workbench.kernels._reading import Onset, change, measured
from workbench.maths.onsets import risen, significance, significance_since

__all__ = ["Expected", "Reader"]

Singles = npt.NDArray[np.float32]


GRID_S = 8
"""Grid on which windows of records begin and end, s."""

CLEAR = 4.0
"""Difference of scores up to which two bands are about as clear; strong onsets score 15 to 30."""

REMEMBERED = 256
"""Records that are kept: about 100 MB."""


@dataclass(frozen=True, slots=True)
class Expected:
    """When P and S should arrive at a station (nanoseconds), and within how many seconds."""

    p: int
    s: int
    p_within: float
    s_within: float


class Reader:
    """Reads P and S near expected times, and remembers the records that it has filtered.

    Parameters
    ----------
    picking : Picking
        Its `s_threshold` is what both phases must reach.
    """

    def __init__(self, picking: Picking) -> None:
        self._picking = picking
        self._records: dict[tuple[str, float, int, int], list[Record]] = {}

    def read(self, instruments: Iterable[Instrument], expected: Expected) -> list[Onset]:
        """Read P and S at a station, each on its best instrument.

        An onset scores its significance, less what its distance from the expected
        time and its error cost.
        """
        found: dict[str, tuple[float, Onset]] = {}
        for instrument in instruments:
            for record in self._near(instrument, expected):
                p = _read_p(record, expected, self._picking)
                since = expected.p if p is None else p[1].time
                s = _read_s(record, expected, since, self._picking)
                for phase, one in (("P", p), ("S", s)):
                    if one is not None and (phase not in found or one[0] > found[phase][0]):
                        found[phase] = one
        return [onset for _, onset in found.values()]

    def _near(self, instrument: Instrument, expected: Expected) -> list[Record]:
        """Return the records that decide on P and S, from and to whole grid times.

        Rounds of reading ask for nearly the same windows, so each is filtered once.
        """
        low = self._picking.freqmin
        lead = ((LONG + 2) * SHORT + SETTLE) / low + expected.p_within + 2
        trail = SHORT / low + expected.s_within + 2
        first = math.floor((expected.p / 1e9 - lead) / GRID_S) * GRID_S
        last = math.ceil((expected.s / 1e9 + trail) / GRID_S) * GRID_S
        key = (instrument.code, instrument.rate, first, last)
        if key not in self._records:
            if len(self._records) >= REMEMBERED:
                self._records.pop(next(iter(self._records)))
            part = instrument.window(round(first * 1e9), round(last * 1e9))
            self._records[key] = part.records(self._picking.freqmin, self._picking.freqmax)
        return self._records[key]


def _read_p(record: Record, expected: Expected, picking: Picking) -> tuple[float, Onset] | None:
    """Read P on the vertical component, or on all where it shows nothing.

    P is the first arrival: of several onsets those lose that come when the energy
    has risen before.  In S, the window since P sees to that.
    """
    span = _Span.of(record, expected.p, expected.p_within, 0)
    for components in ((record.vertical,) if record.vertical else (), record.components):
        found = []
        for row, band in enumerate(record.bands):
            of_band = windows(band, record.rate)
            curves = [_plain(record, component, row, span, *of_band) for component in components]
            earlier = [_risen(record, component, row, span) for component in components]
            best = _best(curves, earlier, span, picking.s_threshold, of_band[0])
            if best is not None:
                short = SHORT / band.low
                before, after = max(0.3, short), max(0.2, 0.3 * short)
                found.append(
                    _onset(
                        record, "P", components, row, (row,), best, span, (before, after), picking.s_threshold
                    )
                )
        read = [one for one in found if one is not None]
        if read:
            # Of bands that are about as clear, the highest tells the time best.
            clearest = max(score for score, _ in read)
            return [one for one in read if one[0] >= clearest - CLEAR][-1]
    return None


def _read_s(record: Record, expected: Expected, since: int, picking: Picking) -> tuple[float, Onset] | None:
    """Read S on the horizontal components, or on what there is, with the coda of P as noise."""
    floor = max(0, round((since - record.start) * record.rate / 1e9) + round(0.05 * record.rate))
    span = _Span.of(record, expected.s, expected.s_within, floor)
    components = record.horizontals or record.components
    used = tuple(range(min(3, len(record.bands))))
    found = []
    for row in used:
        curves = [_since(record, component, row, span) for component in components]
        best = _best(curves, [], span, picking.s_threshold, 0)
        if best is not None:
            found.append(
                _onset(record, "S", components, row, used, best, span, (0.5, 0.3), picking.s_threshold)
            )
    read = [one for one in found if one is not None]
    return max(read, key=lambda one: one[0]) if read else None


@dataclass(frozen=True, slots=True)
class _Span:
    """Samples of a record in which an onset is expected: around `centre`, within `half`.

    What lies before sample `floor` is not looked at.
    """

    centre: float
    half: float
    first: int
    last: int
    floor: int

    @classmethod
    def of(cls, record: Record, at: int, within: float, floor: int) -> _Span:
        centre, half = (at - record.start) * record.rate / 1e9, within * record.rate
        first = max(floor + 1, math.ceil(centre - half))
        last = max(first, min(record.n_samples, math.floor(centre + half) + 1))
        return cls(centre, half, first, last, floor)

    @property
    def size(self) -> int:
        return self.last - self.first

    def cost(self, sample: float, error: float) -> float:
        """Return what distance from the middle and error take from the score.

        That of a Gaussian with half the window as standard deviation.
        """
        return 2 * (((sample - self.centre) / self.half) ** 2 + (error / self.half) ** 2)


def _plain(record: Record, component: Component, row: int, span: _Span, short: int, long: int) -> Singles:
    """Significance in a band at each sample of a span."""
    out = np.zeros(span.size, np.float32)
    band = record.bands[row]
    settle = round(SETTLE / band.low * record.rate)
    for piece in component.pieces:
        # Only what decides on the span is gone through: the windows before and after it.
        begin = max(span.first - piece.offset - long, 0)
        stop = max(span.last - piece.offset + short, 0)
        z = significance(
            piece.bands[row, begin:stop], short, long, band.freedom(record.rate), max(settle - begin, 0)
        )
        _lay(out, z, piece.offset + begin - span.first)
    return out


def _risen(record: Record, component: Component, row: int, span: _Span) -> Singles:
    """By how much the energy has risen before each sample of a span."""
    out = np.zeros(span.size, np.float32)
    length, _ = windows(record.bands[0], record.rate)
    freedom = record.bands[row].freedom(record.rate)
    for piece in component.pieces:
        first = max(span.first - piece.offset, 0)
        last = min(span.last - piece.offset, piece.bands.shape[1])
        z = risen(piece.bands[row], first, last, length, round(LONG), freedom)
        _lay(out, z, piece.offset + first - span.first)
    return out


def _since(record: Record, component: Component, row: int, span: _Span) -> Singles:
    out = np.zeros(span.size, np.float32)
    band = record.bands[row]
    short, long = windows(band, record.rate)
    for piece in component.pieces:
        begin = max(span.floor - piece.offset, 0)
        stop = min(span.last - piece.offset, piece.bands.shape[1])
        if stop > begin:
            z = significance_since(piece.bands[row], begin, stop, short, 2 * long, band.freedom(record.rate))
            _lay(out, z, piece.offset + begin - span.first)
    return out


def _lay(out: Singles, z: Singles, at: int) -> None:
    """Copy `z` into `out`, of which it begins at sample `at`."""
    begin, stop = max(at, 0), min(at + z.size, out.size)
    if stop > begin:
        out[begin:stop] = z[begin - at : stop - at]


@dataclass(frozen=True, slots=True)
class _Peak:
    """A sample, its significance, and what earlier energy takes from its score."""

    sample: int
    significance: float
    burden: float


def _best(
    curves: list[Singles], earlier: list[Singles], span: _Span, threshold: float, near: int
) -> _Peak | None:
    """Find the best onset of a band, components joined.

    What has risen before decides between onsets, and within `near` samples of
    the one that it is the significance decides.
    """
    if span.size < 2 or not curves:
        return None
    joint = np.sum(curves, axis=0) / math.sqrt(len(curves))
    burden = np.sum(earlier, axis=0) / math.sqrt(len(curves)) if earlier else np.zeros(span.size)
    score = joint - 2 * ((np.arange(span.first, span.last) - span.centre) / span.half) ** 2
    first = int(np.where(score >= threshold, score - burden, -np.inf).argmax())
    if score[first] < threshold:
        return None
    begin = max(first - near, 0)
    at = begin + int(score[begin : first + near + 1].argmax())
    return _Peak(span.first + at, float(joint[at]), float(burden[first]))


def _onset(
    record: Record,
    phase: Literal["P", "S"],
    components: tuple[Component, ...],
    band: int,
    used: tuple[int, ...],
    best: _Peak,
    span: _Span,
    around: tuple[float, float],
    threshold: float,
) -> tuple[float, Onset] | None:
    """Read an onset, with its score; None if the change lies too far from what was expected."""
    sample, error = change(record, components, used, best.sample, *around, span.floor)
    score = best.significance - span.cost(sample, error * record.rate)
    if score < threshold:
        return None
    onset = measured(record, phase, components, sample, band, best.significance, error)
    return None if onset is None else (score - best.burden, replace(onset, late=best.burden))
