"""Events that association proposes, read again, located, and weighed against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from workbench.errors import BadInput
from workbench.kernels._candidates import Picking
from workbench.kernels._network import Network
from workbench.kernels._predicted import Expected, read
from workbench.kernels._reading import Onset
from workbench.maths.geiger import Arrivals, Location, locate

__all__ = ["Hypothesis", "Seed", "choose", "refine"]

ROUNDS = ((0.8, 0.06), (0.5, 0.05), (0.3, 0.05))
"""Half windows in which phases are read again, round by round: seconds, and a part of the travel time.

The first holds the error of an associated origin, the last that of a crustal model.
"""

APART = 0.4
"""Part of the time from P to S that a window may take, so that the two never meet."""

FARTHER = 1.5
"""How much farther than the farthest phase so far others are looked for."""

ANCHOR_S = 0.3
"""Half window around a pick that an event was proposed from."""

GOOD = 0.7
"""Rank over number of phases of a fit that is good enough not to look for a better one.

It would be 0.5 if residuals were as large as expected.
"""

MODEL_ERROR = 0.03
"""Error of a computed travel time as a fraction of it, when the fits of two events are compared."""

SAME_S = 0.1
"""Seconds within which two onsets of a station are one."""

P_STATIONS = 3
"""Stations that must show P: by S alone, depth and origin time are told apart badly."""

SEEN, SEEN_WITHIN = 0.4, 0.9
"""Part of all phases of stations with data that must be there, within the distance

that this part of them is from: an event is not seen only here and there.
"""

TRAIN, TRAIN_SHARE, LESSER = 1.0, 0.8, 0.6
"""An event is taken for later phases (Pg behind Pn, reflections, coda) of a larger one if

so large a share of its onsets fall into the larger one's wave train, which lasts
that many S-P times beyond S, and it has less than that part of its phases.
"""


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
    """A located event: the onsets that fit it, and where they say that it was.

    `time` is in nanoseconds since 1970.
    """

    onsets: tuple[Onset, ...]
    location: Location
    time: int

    @property
    def stations(self) -> int:
        """Number of stations."""
        return len({_station(onset) for onset in self.onsets})

    @property
    def rank(self) -> tuple[float, ...]:
        """What makes it better than another that shares onsets with it: phases that fit."""
        travel = np.array([(onset.time - self.time) / 1e9 for onset in self.onsets])
        own = np.array([onset.uncertainty for onset in self.onsets])
        normal = self.location.residual / np.hypot(own, MODEL_ERROR * travel)
        return len(self.onsets) - 0.5 * float((normal**2).sum()), -self.time

    @property
    def seed(self) -> Seed:
        """What to begin with to read its phases once more."""
        where = self.location
        return Seed(
            where.latitude, where.longitude, where.depth_km, self.time, float(where.distance_km.max())
        )


def refine(
    network: Network, seed: Seed, picking: Picking, min_stations: int, min_phases: int
) -> Hypothesis | None:
    """Read the phases of a proposed event again and locate it, a few times over.

    A wrong beginning may lead to wrong phases that fit each other somehow, so
    if the fit is not good it is tried from other beginnings: without the picks
    that the event was proposed from, and from their P alone, as S is taken for
    something else more often than P.

    None if too few phases are where they should be.
    """
    best: Hypothesis | None = None
    for opening in (seed, replace(seed, picks={}), _by_p(network, seed, picking, min_stations, min_phases)):
        found = None if opening is None else _settled(network, opening, picking, min_stations, min_phases)
        if found is not None and (best is None or found.rank > best.rank):
            best = found
        if best is not None and best.rank[0] > GOOD * len(best.onsets):
            break
    return best if best is not None and _is_seen(network, best) else None


def _settled(
    network: Network, seed: Seed, picking: Picking, min_stations: int, min_phases: int
) -> Hypothesis | None:
    found: Hypothesis | None = None
    for seconds, part in ROUNDS:
        onsets = _reread(network, seed, picking, seconds, part)
        found = located(network, onsets, min_stations, min_phases)
        if found is None:
            return None
        seed = found.seed
    return found


def _by_p(network: Network, seed: Seed, picking: Picking, min_stations: int, min_phases: int) -> Seed | None:
    onsets = [onset for onset in _reread(network, seed, picking, *ROUNDS[0]) if onset.phase == "P"]
    found = located(network, onsets, min_stations, min(min_phases, 5))
    return None if found is None else found.seed


def located(
    network: Network, onsets: Iterable[Onset], min_stations: int, min_phases: int
) -> Hypothesis | None:
    """Locate by onsets, without those that do not fit; None if too few do."""
    kept = sorted(onsets, key=lambda onset: (onset.time, onset.id))
    while True:
        stations = {_station(onset) for onset in kept}
        with_p = {_station(onset) for onset in kept if onset.phase == "P"}
        if len(kept) < max(min_phases, 4) or len(stations) < min_stations or len(with_p) < P_STATIONS:
            return None
        reference = kept[0].time
        sites = [network.sites[network.names.index(_station(onset))] for onset in kept]
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
            return Hypothesis(tuple(kept), location, reference + round(location.time * 1e9))
        kept = [onset for onset, good in zip(kept, fits, strict=True) if good]


def choose(
    network: Network, found: Iterable[Hypothesis], min_stations: int, min_phases: int
) -> list[Hypothesis]:
    """Give each onset to one event, the best first; what is left of the others may still be one."""
    taken: dict[str, list[int]] = {}
    kept: list[Hypothesis] = []
    waiting = sorted(found, key=lambda one: one.rank)
    while waiting:
        one = waiting.pop()
        free = [
            onset
            for onset in one.onsets
            if all(abs(onset.time - other) > SAME_S * 1e9 for other in taken.get(_station(onset), ()))
        ]
        if len(free) < len(one.onsets):
            # More than half of it belongs to a better event: it is the same, or nothing.
            again = (
                located(network, free, min_stations, min_phases) if 2 * len(free) > len(one.onsets) else None
            )
            if again is not None:
                waiting.append(again)
                waiting.sort(key=lambda one: one.rank)
            continue
        if any(_is_train(network, one, larger) for larger in kept):
            continue
        kept.append(one)
        for onset in one.onsets:
            taken.setdefault(_station(onset), []).append(onset.time)
    return sorted(kept, key=lambda one: one.time)


def _is_seen(network: Network, one: Hypothesis) -> bool:
    """Whether enough phases are there, of those that stations near enough could show."""
    where = one.location
    near = float(np.quantile(where.distance_km, SEEN_WITHIN, method="lower"))
    paths = network.paths(where.latitude, where.longitude, where.depth_km)
    expected = 0
    for number in np.flatnonzero(paths.distance_km <= near + 1e-6):
        at = one.time + round(float(paths.p[number]) * 1e9)
        own = [instrument for instrument in network.instruments[number] if instrument.has(at)]
        expected += max((min(len(instrument.channels), 2) for instrument in own), default=0)
    return int((where.distance_km <= near).sum()) >= SEEN * expected


def _is_train(network: Network, one: Hypothesis, larger: Hypothesis) -> bool:
    """Whether an event is nothing but later phases of a larger one."""
    if len(one.onsets) >= LESSER * len(larger.onsets):
        return False
    where = larger.location
    paths = network.paths(where.latitude, where.longitude, where.depth_km)
    inside = 0
    for onset in one.onsets:
        number = network.names.index(_station(onset))
        p, s = float(paths.p[number]), float(paths.s[number])
        inside += p <= (onset.time - larger.time) / 1e9 <= s + TRAIN * (s - p)
    return inside >= TRAIN_SHARE * len(one.onsets)


def _reread(network: Network, seed: Seed, picking: Picking, seconds: float, part: float) -> list[Onset]:
    paths = network.paths(seed.latitude, seed.longitude, seed.depth_km)
    onsets: list[Onset] = []
    for number, own in enumerate(network.instruments):
        if paths.distance_km[number] > FARTHER * seed.reach_km + 20:
            continue
        p, s = float(paths.p[number]), float(paths.s[number])
        within = APART * (s - p)
        name = network.names[number]
        at_p, at_s = seed.picks.get((name, "P")), seed.picks.get((name, "S"))
        expected = Expected(
            p=seed.time + round(p * 1e9) if at_p is None else at_p,
            s=seed.time + round(s * 1e9) if at_s is None else at_s,
            p_within=min(seconds + part * p if at_p is None else ANCHOR_S, within),
            s_within=min(seconds + part * s if at_s is None else ANCHOR_S, within),
        )
        onsets.extend(read(own, expected, picking))
    return onsets


def _station(onset: Onset) -> str:
    return ".".join(onset.id.split(".")[:2])
