"""Hypotheses of events: onsets that fit one hypocentre, and which of several is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from workbench.errors import BadInput
from workbench.kernels._network import Network, Paths
from workbench.kernels._reading import Onset
from workbench.maths.geiger import Arrivals, Location, locate

__all__ = ["Hypothesis", "Rules", "Seed", "choose", "is_seen", "located", "station_of"]

NEAR_ERROR, MODEL_ERROR = 0.15, 0.03
"""Error of a computed travel time, s, and as a fraction of it, when fits are compared.

It is generous: of two solutions the one with more phases shall win unless it
fits much worse, as the fewer phases are the better they fit.
"""

SAME_S = 0.1
"""Seconds within which two onsets of a station are one."""

SEEN, SEEN_WITHIN = 0.4, 0.9
"""Part of all phases of stations with data that must be there, within the distance

that this part of them is from: an event is not seen only here and there.
"""

SILENT = 0.4
"""Missing S over phases that are there, beyond which P is taken to be S."""

TOO_CLOSE = 0.5
"""Part of the time from P to S by which the P of two events must be apart."""

TRAIN, TRAIN_SHARE, LESSER = 1.0, 0.8, 0.6
"""An event is taken for later phases (Pg behind Pn, reflections, coda) of a larger one if

so large a share of its onsets fall into the larger one's wave train, which lasts
that many S-P times beyond S, and it has less than that part of its phases.
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """How many stations, phases, and stations with P an event must have.

    By S alone, depth and origin time are told apart badly.
    """

    min_stations: int
    min_phases: int
    p_stations: int = 3


@dataclass(frozen=True, slots=True)
class Seed:
    """A proposed hypocentre, and what it was proposed from.

    Attributes
    ----------
    latitude, longitude, depth_km : float
    time : int
        Of the origin, nanoseconds since 1970.
    reach_km : float
        Distance to which it was seen.
    picks : dict
        Times of the picks that belong to it, by station and phase.
    """

    latitude: float
    longitude: float
    depth_km: float
    time: int
    reach_km: float
    picks: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, slots=True)
class Hypothesis:
    """A located event.

    Attributes
    ----------
    onsets : tuple of Onset
        Those that fit.
    location : Location
    time : int
        Of the origin, nanoseconds since 1970.
    silent : int
        Stations with P that would show S and do not.
    """

    onsets: tuple[Onset, ...]
    location: Location
    time: int
    silent: int

    @property
    def p_stations(self) -> int:
        """Number of stations with P."""
        return sum(onset.phase == "P" for onset in self.onsets)

    @property
    def merit(self) -> float:
        """Number of phases, less their misfit, P that are late, and S that should be there.

        P is the first arrival; one that comes when the energy has risen as much
        before counts nothing.  Where P stands out of the noise S does too, as it
        is several times larger; if it does not, what is called P may be S.
        """
        travel = np.array([(onset.time - self.time) / 1e9 for onset in self.onsets])
        own = np.array([onset.uncertainty for onset in self.onsets])
        normal = self.location.residual / np.sqrt(own**2 + NEAR_ERROR**2 + (MODEL_ERROR * travel) ** 2)
        late = sum(min(onset.late / onset.significance, 1.0) for onset in self.onsets)
        return len(self.onsets) - 0.25 * float((normal**2).sum()) - late - self.silent

    @property
    def seed(self) -> Seed:
        """What to begin with to read its phases once more."""
        at = self.location
        return Seed(at.latitude, at.longitude, at.depth_km, self.time, float(at.distance_km.max()))


def station_of(onset: Onset) -> str:
    """``NET.STA``."""
    return ".".join(onset.id.split(".")[:2])


def located(network: Network, onsets: Iterable[Onset], rules: Rules) -> Hypothesis | None:
    """Locate by onsets, without those that do not fit; None if too few do."""
    kept = sorted(onsets, key=lambda onset: (onset.time, onset.id))
    while True:
        stations = {station_of(onset) for onset in kept}
        with_p = {station_of(onset) for onset in kept if onset.phase == "P"}
        if (
            len(kept) < max(rules.min_phases, 4)
            or len(stations) < rules.min_stations
            or len(with_p) < rules.p_stations
        ):
            return None
        reference = kept[0].time
        sites = [network.sites[network.names.index(station_of(onset))] for onset in kept]
        arrivals = Arrivals(
            latitude=np.array([site.latitude for site in sites]),
            longitude=np.array([site.longitude for site in sites]),
            elevation_km=np.array([site.elevation_km for site in sites]),
            is_s=np.array([onset.phase == "S" for onset in kept]),
            time=np.array([(onset.time - reference) / 1e9 for onset in kept]),
            sigma=np.array([onset.uncertainty for onset in kept]),
        )
        try:
            location = locate(arrivals, network.layers)
        except BadInput:
            return None
        fits = location.weight > 0
        if fits.all():
            time = reference + round(location.time * 1e9)
            return Hypothesis(tuple(kept), location, time, _silent(network, kept, location, time))
        kept = [onset for onset, good in zip(kept, fits, strict=True) if good]


def is_seen(network: Network, one: Hypothesis) -> bool:
    """Whether the phases make sense together, and are enough of those that stations could show."""
    if one.silent > SILENT * len(one.onsets):
        return False
    where = one.location
    near = float(np.quantile(where.distance_km, SEEN_WITHIN, method="lower"))
    paths = _paths(network, where)
    expected = 0
    for number in np.flatnonzero(paths.distance_km <= near + 1e-6):
        at = one.time + round(float(paths.p[number]) * 1e9)
        own = [instrument for instrument in network.instruments[number] if instrument.has(at)]
        expected += max((min(len(instrument.channels), 2) for instrument in own), default=0)
    return int((where.distance_km <= near).sum()) >= SEEN * expected


def choose(
    network: Network, found: Iterable[Hypothesis], rules: Rules, chosen: Iterable[Hypothesis] = ()
) -> list[Hypothesis]:
    """Give each onset to one event, the best first; what is left of the others may still be one.

    Those that have been chosen before are kept.
    """
    kept = list(chosen)
    taken: dict[str, list[int]] = {}
    for one in kept:
        for onset in one.onsets:
            taken.setdefault(station_of(onset), []).append(onset.time)
    waiting = sorted(found, key=_rank)
    while waiting:
        one = waiting.pop()
        free = [
            onset
            for onset in one.onsets
            if all(abs(onset.time - other) > SAME_S * 1e9 for other in taken.get(station_of(onset), ()))
        ]
        if len(free) < len(one.onsets):
            # If half of it or more belongs to better events, it is one of these, or nothing.
            again = located(network, free, rules) if 2 * len(free) > len(one.onsets) else None
            if again is not None and is_seen(network, again):
                waiting.append(again)
                waiting.sort(key=_rank)
            continue
        if any(_is_same(network, one, better) or _is_train(network, one, better) for better in kept):
            continue
        kept.append(one)
        for onset in one.onsets:
            taken.setdefault(station_of(onset), []).append(onset.time)
    return sorted(kept, key=lambda one: one.time)


def _rank(one: Hypothesis) -> tuple[float, int]:
    return one.merit, -one.time


def _paths(network: Network, where: Location) -> Paths:
    return network.paths(where.latitude, where.longitude, where.depth_km)


def _silent(network: Network, onsets: list[Onset], where: Location, time: int) -> int:
    """Count the stations with P, horizontal components and data at the time of S, but no S."""
    paths = _paths(network, where)
    with_s = {station_of(onset) for onset in onsets if onset.phase == "S"}
    silent = 0
    for onset in onsets:
        name = station_of(onset)
        if onset.phase == "P" and name not in with_s:
            number = network.names.index(name)
            after = time + round((float(paths.s[number]) + 1) * 1e9)
            silent += any(len(own.channels) > 1 and own.has(after) for own in network.instruments[number])
    return silent


def _is_same(network: Network, one: Hypothesis, better: Hypothesis) -> bool:
    """Whether two events are too close in time for their phases to be told apart."""
    paths, others = _paths(network, one.location), _paths(network, better.location)
    near = paths.distance_km <= one.location.distance_km.max() + 1e-6
    apart = (one.time - better.time) / 1e9 + paths.p[near] - others.p[near]
    return float(np.median(np.abs(apart))) < TOO_CLOSE * float(np.median((paths.s - paths.p)[near]))


def _is_train(network: Network, one: Hypothesis, larger: Hypothesis) -> bool:
    """Whether an event is nothing but later phases of a larger one."""
    if len(one.onsets) >= LESSER * len(larger.onsets):
        return False
    paths = _paths(network, larger.location)
    inside = 0
    for onset in one.onsets:
        number = network.names.index(station_of(onset))
        p, s = float(paths.p[number]), float(paths.s[number])
        inside += p <= (onset.time - larger.time) / 1e9 <= s + TRAIN * (s - p)
    return inside >= TRAIN_SHARE * len(one.onsets)
