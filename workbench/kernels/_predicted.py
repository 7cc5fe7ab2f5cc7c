"""P and S read again where a hypocentre says that they should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from workbench.kernels._instruments import Band, Component, Instrument, Record
from workbench.kernels._onsets import LONG, SETTLE, SHORT, Picking, windows
from workbench.kernels._reading import Onset, change, measured
from workbench.maths.onsets import significance, significance_since

__all__ = ["Expected", "read"]

Singles = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Expected:
    """When P and S should arrive at a station (nanoseconds), and within how many seconds."""

    p: int
    s: int
    p_within: float
    s_within: float


def read(instruments: Iterable[Instrument], expected: Expected, picking: Picking) -> list[Onset]:
    """Read P and S at a station near the expected times, each on its best instrument.

    An onset scores its significance, less what its distance from the expected
    time costs a Gaussian with half the window as standard deviation.
    """
    found: dict[str, tuple[float, Onset]] = {}
    lead = (LONG * SHORT + SETTLE) / picking.freqmin + expected.p_within + 2
    trail = SHORT / picking.freqmin + expected.s_within + 2
    for instrument in instruments:
        part = instrument.window(expected.p - round(lead * 1e9), expected.s + round(trail * 1e9))
        for record in part.records(picking.freqmin, picking.freqmax):
            p = _read_p(record, expected, picking)
            since = expected.p if p is None else p[1].time
            s = _read_s(record, expected, since, picking)
            for phase, one in (("P", p), ("S", s)):
                if one is not None and (phase not in found or one[0] > found[phase][0]):
                    found[phase] = one
    return [onset for _, onset in found.values()]


def _read_p(record: Record, expected: Expected, picking: Picking) -> tuple[float, Onset] | None:
    """Read P on the vertical component, or on all where it shows nothing."""
    first, last, cost = _span(record, expected.p, expected.p_within)
    if last - first < 2:
        return None
    for components in ((record.vertical,) if record.vertical else (), record.components):
        best = _best(
            record,
            [
                (component, band, _plain(record, component, band, first, last))
                for component in components
                for band in range(len(record.bands))
            ],
            cost,
            picking.s_threshold,
        )
        if best is not None:
            return _onset(record, "P", components, first, best, 0)
    return None


def _read_s(record: Record, expected: Expected, since: int, picking: Picking) -> tuple[float, Onset] | None:
    """Read S on the horizontal components, or on what there is, with the coda of P as noise."""
    first, last, cost = _span(record, expected.s, expected.s_within)
    floor = max(0, round((since - record.start) * record.rate / 1e9) + round(0.05 * record.rate))
    first, cost = max(first, floor + 1), cost[max(0, floor + 1 - first) :]
    if last - first < 2:
        return None
    components = record.horizontals or record.components
    best = _best(
        record,
        [
            (component, band, _since(record, component, band, floor, first, last))
            for component in components
            for band in range(min(3, len(record.bands)))
        ],
        cost,
        picking.s_threshold,
    )
    return None if best is None else _onset(record, "S", components, first, best, floor)


def _span(record: Record, at: int, within: float) -> tuple[int, int, Singles]:
    """Return the samples within a time, and what each loses by its distance from the middle."""
    centre = (at - record.start) * record.rate / 1e9
    first = max(0, int(np.ceil(centre - within * record.rate)))
    last = min(record.n_samples, int(np.floor(centre + within * record.rate)) + 1)
    away = (np.arange(first, max(last, first)) - centre) / (within * record.rate)
    return first, last, (2 * away**2).astype(np.float32)


def _plain(record: Record, component: Component, row: int, first: int, last: int) -> Singles:
    out = np.zeros(last - first, np.float32)
    band = record.bands[row]
    short, long = windows(band, record.rate)
    for piece in component.pieces:
        z = significance(
            piece.bands[row], short, long, band.freedom(record.rate), round(SETTLE / band.low * record.rate)
        )
        _lay(out, z, piece.offset - first)
    return out


def _since(record: Record, component: Component, row: int, floor: int, first: int, last: int) -> Singles:
    out = np.zeros(last - first, np.float32)
    band: Band = record.bands[row]
    short, long = windows(band, record.rate)
    for piece in component.pieces:
        begin = max(floor - piece.offset, 0)
        stop = min(last - piece.offset, piece.bands.shape[1])
        if stop > begin:
            z = significance_since(piece.bands[row], begin, stop, short, 2 * long, band.freedom(record.rate))
            _lay(out, z, piece.offset + begin - first)
    return out


def _lay(out: Singles, z: Singles, at: int) -> None:
    """Copy `z` into `out`, of which it begins at sample `at`."""
    begin, stop = max(at, 0), min(at + z.size, out.size)
    if stop > begin:
        out[begin:stop] = z[begin - at : stop - at]


def _best(
    record: Record,
    curves: list[tuple[Component, int, Singles]],
    cost: Singles,
    threshold: float,
) -> tuple[float, float, int, int] | None:
    """Score, significance, sample and band of the best onset, components joined."""
    best: tuple[float, float, int, int] | None = None
    for row in range(len(record.bands)):
        of_band = [z for _, band, z in curves if band == row]
        if not of_band:
            continue
        joint = sum(of_band) / np.sqrt(len(of_band))
        score = joint - cost
        at = int(score.argmax())
        if score[at] >= threshold and (best is None or score[at] > best[0]):
            best = float(score[at]), float(joint[at]), at, row
    return best


def _onset(
    record: Record,
    phase: Literal["P", "S"],
    components: tuple[Component, ...],
    first: int,
    best: tuple[float, float, int, int],
    floor: int,
) -> tuple[float, Onset] | None:
    score, z, at, band = best
    low = record.bands[band].low
    if phase == "P":
        before, after = max(0.3, SHORT / low), max(0.2, 0.3 * SHORT / low)
    else:
        before, after = 0.5, 0.3
    used = tuple(range(min(3, len(record.bands)))) if phase == "S" else (band,)
    sample, error = change(record, components, used, first + at, before, after, floor)
    onset = measured(record, phase, components, sample, band, z, error)
    return None if onset is None else (score, onset)
