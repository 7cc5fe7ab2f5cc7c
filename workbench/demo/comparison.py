"""Located events beside the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from obspy import Catalog
from obspy.core.event import Event

from workbench.errors import NoData
from workbench.maths.geodesy import distance_azimuth
from workbench.preferred import preferred_magnitude, preferred_origin

__all__ = ["Comparison", "Difference", "Hypocentre", "compare"]

_SAME_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Hypocentre:
    """Where and when, and how large: depth in km below sea level."""

    time: str
    latitude: float
    longitude: float
    depth_km: float
    magnitude: float | None

    @classmethod
    def of(cls, event: Event) -> Self:
        """Read the preferred origin and magnitude of an event."""
        origin: Any = preferred_origin(event)
        magnitude = preferred_magnitude(event)
        return cls(
            str(origin.time),
            float(origin.latitude),
            float(origin.longitude),
            float(origin.depth) / 1000,
            None if magnitude is None else float(magnitude.mag),
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Found less truth."""

    origin_time_s: float
    epicentre_km: float
    depth_km: float
    magnitude: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The largest true event, what was found of it, and how many there are."""

    found: Hypocentre
    truth: Hypocentre
    difference: Difference
    n_found: int
    n_true: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def compare(found: Catalog, truth: Catalog) -> Comparison:
    """Compare located events with the truth.

    Raises
    ------
    NoData
        If the largest true event was not found.
    """
    largest = max(truth, key=lambda event: float(event.magnitudes[0].mag))
    pairs = {id(event): _nearest(event, found) for event in truth}
    match = pairs[id(largest)]
    if match is None:
        raise NoData("The largest generated earthquake", "was not found", "This is an error of ours.")
    said, true = Hypocentre.of(match), Hypocentre.of(largest)
    kilometres, _ = distance_azimuth(true.latitude, true.longitude, said.latitude, said.longitude)
    difference = Difference(
        _time(match) - _time(largest),
        float(kilometres),
        said.depth_km - true.depth_km,
        None if said.magnitude is None or true.magnitude is None else said.magnitude - true.magnitude,
    )
    return Comparison(said, true, difference, sum(pair is not None for pair in pairs.values()), len(truth))


def _nearest(event: Event, found: Catalog) -> Event | None:
    close = [(abs(_time(other) - _time(event)), index) for index, other in enumerate(found)]
    best = min(close, default=None)
    return found[best[1]] if best is not None and best[0] <= _SAME_SECONDS else None


def _time(event: Event) -> float:
    origin: Any = preferred_origin(event)
    return float(origin.time.timestamp)
