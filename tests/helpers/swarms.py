"""Generated pick lists: earthquakes whose truth is known, and what spoils pick lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from obspy import Inventory, UTCDateTime
from obspy.core.event import Catalog, Event
from obspy.core.inventory import Network, Station

from workbench.maths.geodesy import distance_azimuth, from_plane
from workbench.maths.layered import Layers
from workbench.nouns import Picks, VelocityModel

MODEL = VelocityModel((0.0, 3.0, 12.0, 30.0), (5.0, 5.7, 6.2, 8.0), (2.9, 3.3, 3.55, 4.5))

START = UTCDateTime(2021, 6, 1)

MIDDLE = 44.0, 11.0


@dataclass(frozen=True)
class Quake:
    """East and north of the middle of the network and depth, km; origin time, s after `START`."""

    x: float
    y: float
    depth: float
    at: float
    picks: tuple[tuple[str, str, int], ...] = ()

    @property
    def place(self) -> tuple[float, float]:
        latitude, longitude = from_plane(self.x, self.y, *MIDDLE)
        return float(latitude), float(longitude)


@dataclass
class Swarm:
    """A network, its earthquakes and its picks.

    Attributes
    ----------
    stations : dict
        Latitude, longitude and elevation (m) by code; the network is ``XX``.
    quakes : list of Quake
        Each with the picks that it truly has: station, phase, nanoseconds.
    rows : list of dict
        The picks, in no order.
    """

    stations: dict[str, tuple[float, float, float]]
    duration: float
    quakes: list[Quake] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def picks(self) -> Picks:
        return Picks(self.rows)

    @property
    def inventory(self) -> Inventory:
        sites = [Station(code, *place) for code, place in self.stations.items()]
        return Inventory([Network("XX", stations=sites)])

    def add(self, code: str, phase: str, at: float, probability: float | None = None) -> None:
        row = {"network": "XX", "station": code, "phase": phase, "time": START + round(at, 6)}
        self.rows.append(row if probability is None else row | {"probability": probability})


def swarm(
    n_quakes: int,
    *,
    seed: int = 1,
    n_stations: int = 12,
    aperture: float = 60.0,
    duration: float = 600.0,
    apart: float = 12.0,
    noise: float = 0.1,
    missing: float = 0.15,
    false: float = 0.0,
    mislabelled: float = 0.0,
    repeated: float = 0.0,
    seen: tuple[float, float] = (0.6, 1.2),
    quakes: list[Quake] | None = None,
    model: VelocityModel = MODEL,
) -> Swarm:
    """Generate earthquakes, and the picks of a picker that is not perfect.

    Parameters
    ----------
    apart : float
        Seconds between origin times, at least.
    noise : float
        Standard error of P, s; that of S is twice as large.
    missing : float
        Part of the phases within the distance to which an event is seen that have no pick.
    false : float
        Part of all picks that belong to nothing.
    mislabelled, repeated : float
        Part of the picks that carry the other name, and that are written twice.
    seen : tuple of float
        To which distance events are seen, in apertures.
    """
    random = np.random.default_rng(seed)
    codes = [f"S{number:02d}" for number in range(n_stations)]
    turn = np.arange(n_stations) * 2.39996 + random.uniform(0, 6.28)
    reach = aperture / 2 * np.sqrt((np.arange(n_stations) + 0.5) / n_stations)
    latitude, longitude = from_plane(reach * np.sin(turn), reach * np.cos(turn), *MIDDLE)
    height = random.uniform(0, 1200, n_stations)
    places = zip(latitude.tolist(), longitude.tolist(), height.tolist(), strict=True)
    made = Swarm(dict(zip(codes, places, strict=True)), duration)
    layers = {"P": Layers.of(model, "P"), "S": Layers.of(model, "S")}
    times: list[float] = []
    while quakes is None and len(times) < n_quakes:
        at = random.uniform(5, duration - 30)
        if all(abs(at - other) >= apart for other in times):
            times.append(at)
    for one in quakes or [_quake(random, aperture, at) for at in sorted(times)]:
        true = []
        km, _ = distance_azimuth(*one.place, latitude, longitude)
        limit = aperture * random.uniform(*seen)
        for phase, of in layers.items():
            travel = of.arrivals(one.depth, -height / 1000, km)[0]
            for number, code in enumerate(codes):
                if km[number] > limit or random.random() < missing:
                    continue
                at = one.at + travel[number] + random.normal(0, noise * (1 if phase == "P" else 2))
                true.append((code, phase, (START + round(at, 6)).ns))
                name = phase if random.random() >= mislabelled else "SP"["PS".index(phase)]
                made.add(code, name, at)
                if random.random() < repeated:
                    made.add(code, name, at + random.uniform(0, 0.09))
        made.quakes.append(Quake(one.x, one.y, one.depth, one.at, tuple(true)))
    for _ in range(round(len(made.rows) * false / (1 - false))):
        made.add(str(random.choice(codes)), "PS"[random.integers(2)], random.uniform(0, duration))
    return made


def noise(rate: float, *, seed: int = 1, n_stations: int = 12, hours: float = 1.0, **more: Any) -> Swarm:
    """Generate picks that belong to nothing: `rate` of them an hour at each station, in the mean."""
    made = swarm(0, seed=seed, n_stations=n_stations, duration=3600 * hours, **more)
    random = np.random.default_rng(seed + 1000)
    for code in made.stations:
        for _ in range(random.poisson(rate * hours)):
            made.add(code, "PS"[random.integers(2)], random.uniform(0, 3600 * hours))
    return made


def hits(found: Catalog, made: Swarm, *, seconds: float = 1.0, km: float = 6.0) -> list[tuple[Quake, Event]]:
    """Pair each earthquake with the event that is it, as far as there is one."""
    pairs: list[tuple[Quake, Event]] = []
    left = list(found)
    for one in made.quakes:
        for event in left:
            origin = event.preferred_origin()
            away, _ = distance_azimuth(origin.latitude, origin.longitude, *one.place)
            if abs(origin.time - START - one.at) < seconds and float(away) < km:
                pairs.append((one, event))
                left.remove(event)
                break
    return pairs


def _quake(random: np.random.Generator, aperture: float, at: float) -> Quake:
    reach, turn = aperture / 2 * random.uniform() ** 0.5, random.uniform(0, 6.2832)
    return Quake(reach * np.sin(turn), reach * np.cos(turn), random.uniform(3.0, 15.0), at)
