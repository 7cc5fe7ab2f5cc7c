"""Picks of whole stations: tile by tile, the best instrument of each, as rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from workbench.kernels._candidates import Picking
from workbench.kernels._instruments import Instrument
from workbench.kernels._onsets import find
from workbench.kernels._reading import Onset
from workbench.nouns import Picks

__all__ = ["best", "onsets", "table"]

TILE_S = 1800.0
"""Seconds that are worked on at once: 100 MB for three components at 100 Hz."""

SAME_S = 0.5
"""Seconds within which onsets on two instruments of a station are one arrival."""

_HALF = 4.0
"""Significance of an onset that is as likely real as not."""

_POLARITY = {1: "positive", -1: "negative", 0: ""}
_COLUMNS = [
    *("network", "station", "location", "channel", "phase", "time", "probability"),
    *("uncertainty_s", "snr", "polarity"),
]


def onsets(instrument: Instrument, picking: Picking) -> Iterator[Onset]:
    """Go through an instrument's data in tiles that overlap as far as onsets depend on it."""
    start, end = instrument.span
    tile = round(TILE_S * 1e9)
    lead, trail = round(picking.lead * 1e9), round(picking.trail * 1e9)
    for first in range(start, end + 1, tile):
        part = instrument.window(first - lead, first + tile + trail)
        for record in part.records(picking.freqmin, picking.freqmax):
            yield from (onset for onset in find(record, picking) if first <= onset.time < first + tile)


def best(of_station: Iterable[Onset]) -> list[Onset]:
    """Of onsets that several instruments of a station see keep the clearest."""
    every = sorted(of_station, key=lambda onset: (onset.time, onset.id))
    kept = []
    for onset in every:
        rivals = (
            other
            for other in every
            if other.id[:-1] != onset.id[:-1] and abs(other.time - onset.time) < SAME_S * 1e9
        )
        if all((onset.snr, onset.id) > (other.snr, other.id) for other in rivals):
            kept.append(onset)
    return kept


def table(found: Iterable[Onset]) -> Picks:
    """Put onsets into a table."""
    return Picks(pd.DataFrame([_row(onset) for onset in found], columns=_COLUMNS))


def _row(onset: Onset) -> dict[str, Any]:
    network, station, location, channel = onset.id.split(".")
    return {
        "network": network,
        "station": station,
        "location": location,
        "channel": channel,
        "phase": onset.phase,
        "time": np.datetime64(onset.time, "ns"),
        "probability": 1 / (1 + math.exp(_HALF - onset.significance)),
        "uncertainty_s": onset.uncertainty,
        "snr": onset.snr,
        "polarity": _POLARITY[onset.polarity],
    }
