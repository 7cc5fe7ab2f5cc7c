"""Single onsets on single channels by Akaike's criterion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.kernels._bands import filtered, memory
from workbench.kernels._segments import Segment
from workbench.maths.changepoints import changepoint, first_break
from workbench.notices import notice, progress
from workbench.nouns import Picks

__all__ = ["Refining", "refined", "single"]

_CORNERS = 2
_VERTICAL = frozenset("Z3")


@dataclass(frozen=True, slots=True)
class Refining:
    """Half the window in seconds, and the corners of the filter in Hz."""

    window: float
    freqmin: float | None
    freqmax: float | None

    def read(self, segment: Segment, centre: int | None, first_motion: bool) -> _Reading | None:
        """Read the onset of a segment, or of the window around a time (nanoseconds)."""
        cut: Segment | None = segment
        if centre is not None:
            half = round(self.window * 1e9)
            warm = round(memory(_CORNERS, self.freqmin, self.freqmax) * 1e9)
            cut = segment.window(centre - half - warm, centre + half)
        if cut is None or len(cut.data) < 2:
            return None
        band = filtered(cut, freqmin=self.freqmin, freqmax=self.freqmax, corners=_CORNERS)
        if band is not None and centre is not None:
            band = band.window(centre - half, centre + half)
        if band is None:
            return None
        x = band.data - band.data.mean()
        sample, error = changepoint(x[None, :], np.ones(1))
        if sample < 0:
            return None
        noise, signal = float(x[:sample].std()), float(x[sample:].std())
        if not signal > noise > 0:
            return None
        if first_motion:
            sample = first_break(x, sample, noise, round(0.1 * band.rate))
        return _Reading(band.time_of(sample), float(np.hypot(error, 0.5) / band.rate), signal / noise)


@dataclass(frozen=True, slots=True)
class _Reading:
    time: int
    uncertainty: float
    snr: float


def single(parts: list[Segment], refining: Refining) -> Picks:
    """Find the one onset of each segment."""
    rows = []
    for number, part in enumerate(parts):
        progress(number / len(parts), f"reading {part.id}")
        reading = refining.read(part, None, first_motion=True)
        if reading is not None:
            names = ("network", "station", "location", "channel")
            rows.append(dict(zip(names, part.id.split("."), strict=True)) | _columns(reading))
    return Picks(rows)


def refined(parts: list[Segment], picks: Picks, refining: Refining) -> Picks:
    """Refine each pick on the channel that suits it."""
    table = picks.table.copy()
    for name in ("uncertainty_s", "snr"):
        if name not in table:
            table[name] = np.nan
    for number, pick in enumerate(picks):
        progress(number / len(picks), "refining picks")
        centre = pd.Timestamp(pick.time).value
        is_p = pick.phase.upper().startswith("P")
        readings = [
            (reading, part)
            for part in _suited(parts, pick, is_p, centre)
            if (reading := refining.read(part, centre, first_motion=is_p)) is not None
        ]
        if not readings:
            notice(
                f"{pick.network}.{pick.station}.{pick.location}.{pick.channel}",
                f"has no onset within {refining.window:g} s of the pick at {pick.time.isoformat()}",
                "The pick stays as it is; check that the waveforms reach around it.",
                loss=False,
            )
            continue
        reading, part = max(readings, key=lambda one: (one[0].snr, one[1].id))
        values = _columns(reading)
        if not pick.channel:
            values |= dict(zip(("location", "channel"), part.id.split(".")[2:], strict=True))
        for name, value in values.items():
            table.loc[number, name] = value
    return Picks(table)


def _suited(parts: list[Segment], pick: Any, is_p: bool, centre: int) -> Iterator[Segment]:
    """Segments of the pick's own channel; else of its station, by the component that suits."""
    here = [
        part
        for part in parts
        if part.station == f"{pick.network}.{pick.station}" and part.start <= centre <= part.end
    ]
    own = [part for part in here if part.id.split(".")[2:] == [pick.location, pick.channel]]
    suited = [part for part in here if (part.id[-1] in _VERTICAL) == is_p]
    yield from own or suited or here


def _columns(reading: _Reading) -> dict[str, Any]:
    return {
        "time": np.datetime64(reading.time, "ns"),
        "uncertainty_s": reading.uncertainty,
        "snr": reading.snr,
    }
