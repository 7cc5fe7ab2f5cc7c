"""Triggers of a network, made of those of its stations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from workbench.kernel import kernel
from workbench.kernels._detections import Detection, Detector
from workbench.notices import notice
from workbench.nouns import Triggers, Waveforms
from workbench.units import Count, Hertz, Ratio, Seconds


def _detector(settings: Any) -> Detector:
    return Detector(
        kind=settings.kind,
        sta=settings.sta,
        lta=settings.lta,
        on=settings.on,
        off=settings.off,
        freqmin=settings.freqmin,
        freqmax=settings.freqmax,
        max_duration=settings.max_duration,
    )


def _chain(settings: Any) -> float:
    """Return the seconds that a chain of station triggers is followed, backwards and forwards."""
    return 3 * (settings.max_duration + settings.hold)


@kernel(
    per="network",
    lead=lambda settings: _detector(settings).lead + _chain(settings),
    trail=_chain,
    cut_tolerance=1e-5,
)
def coincidence(
    waveforms: Waveforms,
    *,
    min_stations: Count = 3,
    kind: Literal["recursive", "classic"] = "recursive",
    sta: Seconds = 0.5,
    lta: Seconds = 10.0,
    on: Ratio = 3.5,
    off: Ratio = 1.0,
    freqmin: Hertz | None = 2.0,
    freqmax: Hertz | None = 20.0,
    hold: Seconds = 0.0,
    max_duration: Seconds = 120.0,
) -> Triggers:
    """Find where several stations trigger together.

    A station is on while any of its channels is (see `triggers.sta_lta`).  A
    network trigger begins with the first of a chain of stations, each of which
    comes on before the ones before it have all gone off; it takes
    `min_stations` different stations, each counted once, however many
    channels, locations or repeated triggers it has.  A repeated trigger of a
    station can begin the next network trigger.

    Parameters
    ----------
    waveforms : Waveforms
    min_stations : Count
        Stations that a network trigger takes at least: 3 is the least that
        noise at one or two sites cannot make.
    kind : {'recursive', 'classic'}
        How the averages are taken.
    sta, lta : Seconds
        Lengths of the averages; the defaults are for local earthquakes, with
        P waves of a few tenths of a second and a few seconds between events.
    on, off : Ratio
        Thresholds of a station's STA/LTA.  The low `off` keeps a station on
        through its S waves, so that those make no trigger of their own.
    freqmin, freqmax : Hertz, optional
        Corners of the band (Butterworth, 4 corners, causal); by default that
        of local earthquakes, above the microseism and most wind.
    hold : Seconds
        How much longer a station counts as on: the time that waves take from
        one station to the next, where they are far apart.
    max_duration : Seconds
        A longer trigger of a station is ended here.

    Returns
    -------
    Triggers
        A row a network trigger: ``time`` at which the first station came on,
        ``duration_s`` until the last of the chain goes off, ``n_stations``,
        and ``stations`` in alphabetical order.

    Raises
    ------
    InvalidSetting
        If the settings contradict each other.
    NoData
        If no channel has usable samples.

    Notes
    -----
    With one channel a station this is the rule of ObsPy's
    ``coincidence_trigger``, without the second report of an event whose
    stations trigger again.

    References
    ----------
    Withers, M. et al. (1998). A comparison of select trigger algorithms for
    automated global seismic phase and event detection. BSSA 88, 95-106.
    Trnkoczy, A. (2012). Understanding and parameter setting of STA/LTA trigger
    algorithm. In: Bormann, P. (ed.), New Manual of Seismological Observatory
    Practice (NMSOP-2), IS 8.1. GFZ Potsdam.

    Examples
    --------
    >>> import obspy
    >>> stream = obspy.read().select(channel="EHZ")
    >>> for name in ("A", "B"):
    ...     stream += stream[:1].copy()
    ...     stream[-1].stats.station = name
    >>> found = coincidence(stream, lta=3.0)
    >>> print(found.table[["time", "n_stations", "stations"]].to_string(header=False, index=False))
    2009-08-24 00:20:07.780 3 BW.A BW.B BW.RJOB
    """
    detector = Detector(kind, sta, lta, on, off, freqmin, freqmax, max_duration)
    detector.check("subnets.coincidence")
    channels: list[Detection] = []
    looked_at: set[str] = set()
    for part, detections in detector.detections(waveforms):
        looked_at.add(part.station)
        channels.extend(detections)
    if len(looked_at) < min_stations:
        notice(
            " ".join(sorted(looked_at)) or "the network",
            f"only {len(looked_at)} stations have usable data",
            f"Nothing can trigger: min_stations is {min_stations}.",
            loss=False,
        )
    rows = [
        {
            "time": np.datetime64(group[0].on, "ns"),
            "duration_s": (max(found.off for found in group) - group[0].on) / 1e9,
            "n_stations": len(group),
            "stations": " ".join(sorted(found.station for found in group)),
        }
        for group in _groups(_by_station(channels), min_stations, round(hold * 1e9))
    ]
    return Triggers(rows)


def _by_station(channels: Iterable[Detection]) -> list[Detection]:
    """Join the triggers of each station's channels where they overlap, and sort them by time."""
    joined: dict[str, list[Detection]] = {}
    for found in sorted(channels, key=lambda found: (found.on, found.off, found.id)):
        own = joined.setdefault(found.station, [])
        if own and found.on <= own[-1].off:
            last = own[-1]
            own[-1] = Detection(last.id, last.on, max(last.off, found.off), max(last.peak, found.peak))
        else:
            own.append(found)
    return sorted(
        (found for own in joined.values() for found in own), key=lambda found: (found.on, found.station)
    )


def _groups(stations: list[Detection], min_stations: int, hold: int) -> list[list[Detection]]:
    """Put station triggers together that overlap, each station once a group."""
    groups: list[list[Detection]] = []
    used = [False] * len(stations)
    for number, first in enumerate(stations):
        if used[number]:
            continue
        members, names, off = [number], {first.station}, first.off
        for later in range(number + 1, len(stations)):
            found = stations[later]
            if found.on > off + hold:
                break
            if not used[later] and found.station not in names:
                members.append(later)
                names.add(found.station)
                off = max(off, found.off)
        if len(members) >= min_stations:
            groups.append([stations[member] for member in members])
            for member in members:
                used[member] = True
    return groups
