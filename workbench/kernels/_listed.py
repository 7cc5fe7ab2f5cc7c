"""Picks as the associator takes them: one of an onset, at a station that has a place."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.errors import MissingCoordinates, NoData
from workbench.kernels._phases import number, phase_of, seed_id, station_of
from workbench.kernels._sites import Site, SiteMap
from workbench.maths.geodesy import distance_azimuth, from_plane, to_plane
from workbench.notices import notice
from workbench.nouns import Picks, Stations

__all__ = ["Listed", "listed"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOVED_KM = 0.3
"""A station that has moved farther than this is another one."""

_FAR_KM = 1000.0
"""Stations farther than this from the middle are left out: layers do not reach there."""

_STRAY_KM, _STRAY_TIMES = 300.0, 10.0
"""A station farther than this from the middle, and so many times as far as half of them, is misplaced."""


@dataclass(frozen=True, eq=False, slots=True)
class Listed:
    """Picks and their stations, as columns.

    Attributes
    ----------
    rows : list
        Rows of `Picks`, with the network code filled in.
    label : ndarray of int, shape (n_picks,)
        0 for P, 1 for S, 2 for unknown.
    station : ndarray of int, shape (n_picks,)
        Which of the sites.
    time : ndarray, shape (n_picks,)
        Seconds after `reference`.
    probability : ndarray, shape (n_picks,)
        NaN where there is none.
    reference : UTCDateTime
        The first pick.
    sites : list of Site
    x, y, depth : ndarray, shape (n_sites,)
        East and north of the middle of the network, and depth below sea level, km.
    middle : tuple of float
        Latitude and longitude.
    """

    rows: list[Any]
    label: Ints
    station: Ints
    time: Floats
    probability: Floats
    reference: UTCDateTime
    sites: list[Site]
    x: Floats
    y: Floats
    depth: Floats
    middle: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Pick:
    row: Any
    label: int
    station: int
    ns: int


def listed(picks: Picks, stations: Stations, *, repeat: float, min_probability: float) -> Listed:
    """Take the picks that can be used, and say which cannot.

    Parameters
    ----------
    picks : Picks
    stations : Stations
    repeat : float
        Picks of a phase at a station closer than this, s, are one: the surest is kept.
    min_probability : float
        Less sure picks are left out; those that do not say stay.

    Raises
    ------
    NoData
        If there are no picks, or none of P or S.
    MissingCoordinates
        If no pick is at a station with coordinates.
    """
    if not len(picks):
        raise NoData("the picks", "are none", "Pick first: pickers.picker.")
    rows = [row for row in picks if (number(row, "probability") or 1.0) >= min_probability]
    labelled = [(row, label) for row in rows if (label := _label(row)) is not None]
    _say_others(rows)
    if not labelled:
        raise NoData(
            "the picks",
            "hold no P or S that is sure enough",
            "Name the phases P and S in the column 'phase', or lower min_probability.",
        )
    sites: list[Site] = []
    placed = _without_strays(_placed(labelled, SiteMap(stations), sites), sites)
    kept = _without_repeats(placed, repeat)
    used = sorted({pick.station for pick in kept})
    new = {old: i for i, old in enumerate(used)}
    near = [sites[i] for i in used]
    middle = _middle(near)
    x, y = to_plane([s.latitude for s in near], [s.longitude for s in near], *middle)
    first = min(pick.ns for pick in kept)
    return Listed(
        rows=[pick.row for pick in kept],
        label=np.array([pick.label for pick in kept], np.int64),
        station=np.array([new[pick.station] for pick in kept], np.int64),
        time=np.array([(pick.ns - first) / 1e9 for pick in kept]),
        probability=np.array([_probability(pick.row) for pick in kept]),
        reference=UTCDateTime(ns=first),
        sites=near,
        x=x,
        y=y,
        depth=np.array([-site.elevation_km for site in near]),
        middle=middle,
    )


def _label(row: Any) -> int | None:
    if not row.phase.strip():
        return 2
    phase = phase_of(row.phase)
    return None if phase is None else "PS".index(phase)


def _probability(row: Any) -> float:
    probability = number(row, "probability")
    return math.nan if probability is None else probability


def _say_others(rows: list[Any]) -> None:
    for name, count in sorted(Counter(row.phase for row in rows if _label(row) is None).items()):
        notice(
            f"phase '{name}'",
            f"is no first arrival of P or S ({count} picks)",
            "They take no part in the association.",
        )


def _placed(labelled: list[tuple[Any, int]], known: SiteMap, sites: list[Site]) -> list[_Pick]:
    """Find the site of each pick; fill `sites`."""
    groups: dict[str, list[tuple[Any, int]]] = {}
    for row, label in labelled:
        groups.setdefault(seed_id(row), []).append((row, label))
    of_station: dict[str, list[int]] = {}
    lost: Counter[tuple[str, bool]] = Counter()
    placed = []
    for name in sorted(groups):
        group = groups[name]
        code = known.code(name)
        ends = [known.find(name, _time(row)) for row, _ in (group[0], group[-1])]
        moved = ends[0] != ends[1]
        for row, label in group:
            site = known.find(name, _time(row)) if moved else ends[0]
            if code is None or site is None:
                lost[station_of(row), code is None] += 1
                continue
            number = _number(site, of_station.setdefault(code, []), sites)
            if not row.network:
                row = row._replace(network=code.split(".")[0])
            placed.append(_Pick(row, label, number, int(row.time.value)))
    for (station, unknown), count in sorted(lost.items()):
        notice(
            station,
            f"has {count} picks and {'is not among the stations' if unknown else 'no coordinates'}",
            "They are left out; add it, with its coordinates, to the stations.",
        )
    if not placed:
        raise MissingCoordinates(
            "the picks",
            f"are all of stations without coordinates ({', '.join(sorted({s for s, _ in lost})[:5])}, ...)",
            "Give the stations of these picks; network and station codes must be the same in both.",
        )
    return placed


def _time(row: Any) -> UTCDateTime:
    return UTCDateTime(ns=int(row.time.value))


def _number(site: Site, known: list[int], sites: list[Site]) -> int:
    """Return the number of a station's site; sensors close together are at one."""
    for i in known:
        km, _ = distance_azimuth(site.latitude, site.longitude, sites[i].latitude, sites[i].longitude)
        if float(km) <= _MOVED_KM:
            return i
    known.append(len(sites))
    sites.append(site)
    return known[-1]


def _middle(sites: list[Site]) -> tuple[float, float]:
    """Return the middle of the stations: the median on a plane, as one may be anywhere."""
    for origin in (sites[0], sites[len(sites) // 2]):
        x, y = to_plane(
            [s.latitude for s in sites], [s.longitude for s in sites], origin.latitude, origin.longitude
        )
        lat, lon = from_plane(np.median(x), np.median(y), origin.latitude, origin.longitude)
    return round(float(lat), 6), round(float(lon), 6)


def _without_strays(placed: list[_Pick], sites: list[Site]) -> list[_Pick]:
    middle = _middle(sites)
    away, _ = distance_azimuth(*middle, [s.latitude for s in sites], [s.longitude for s in sites])
    limit = min(_FAR_KM, max(_STRAY_KM, _STRAY_TIMES * float(np.median(away))))
    strays: dict[str, float] = {}
    for pick in placed:
        if away[pick.station] > limit:
            strays[station_of(pick.row)] = float(away[pick.station])
    for station, km in sorted(strays.items()):
        notice(
            station,
            f"is {km:.0f} km from the middle of the network",
            "Its picks are left out; check its coordinates, or associate far parts one by one.",
        )
    return [pick for pick in placed if away[pick.station] <= limit]


def _without_repeats(placed: list[_Pick], repeat: float) -> list[_Pick]:
    """Of picks of one onset keep the surest."""
    kept: list[_Pick] = []
    ordered = sorted(placed, key=lambda pick: (pick.station, pick.label, pick.ns, _rank(pick)))
    start = 0
    while start < len(ordered):
        first, end = ordered[start], start + 1
        while (
            end < len(ordered)
            and (ordered[end].station, ordered[end].label) == (first.station, first.label)
            and ordered[end].ns - first.ns <= repeat * 1e9
        ):
            end += 1
        kept.append(min(ordered[start:end], key=_rank))
        start = end
    if len(kept) < len(placed):
        notice(
            "the picks",
            f"have {len(placed) - len(kept)} that repeat another within {repeat:g} s",
            "The surest of each onset is kept.",
            loss=False,
        )
    return sorted(kept, key=lambda pick: (pick.ns, pick.station, pick.label))


def _rank(pick: _Pick) -> tuple[float, float, int, str]:
    probability, error = number(pick.row, "probability"), number(pick.row, "uncertainty_s")
    return (
        -(probability if probability is not None else 0.0),
        error if error is not None else math.inf,
        pick.ns,
        seed_id(pick.row),
    )
