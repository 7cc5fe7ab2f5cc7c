"""Where the stations are, at the time of their data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from obspy import UTCDateTime

from workbench.nouns import Stations

__all__ = ["Site", "SiteMap"]


@dataclass(frozen=True, slots=True)
class Site:
    """Coordinates of a sensor.

    Attributes
    ----------
    latitude, longitude : float
        Degrees, WGS84.
    elevation_km : float
        Elevation of the sensor above sea level, km.
    """

    latitude: float
    longitude: float
    elevation_km: float


class SiteMap:
    """Looks up sites by SEED id and time.

    A channel's own coordinates win over its station's; an epoch that covers
    the time wins over one that does not.  Coordinates of a station without
    any epoch at that time are still used, as a site rarely moves.

    Parameters
    ----------
    stations : Stations
    """

    def __init__(self, stations: Stations) -> None:
        self._stations: dict[str, list[object]] = {}
        for network in stations:
            for station in network:
                self._stations.setdefault(f"{network.code}.{station.code}", []).append(station)

    def __contains__(self, station: str) -> bool:
        """Whether a station (``NET.STA``) has coordinates."""
        return self.find(station) is not None

    def codes(self) -> list[str]:
        """All stations that have coordinates, as ``NET.STA``, sorted."""
        return sorted(code for code in self._stations if code in self)

    def code(self, seed_id: str) -> str | None:
        """Return the station (``NET.STA``) that a SEED id or a station's code stands for, or None.

        Where there is no network code (``.STA``), here or with the coordinates,
        a station code that occurs once is enough: lists often lack the network.
        """
        network, station, *_ = seed_id.split(".")
        if f"{network}.{station}" in self._stations:
            return f"{network}.{station}"
        same = [
            code
            for code in self._stations
            if code.split(".")[1] == station and (not network or code.startswith("."))
        ]
        return same[0] if len(same) == 1 else None

    def find(self, seed_id: str, time: UTCDateTime | None = None) -> Site | None:
        """Return the site of a channel, or of a station, or None.

        Parameters
        ----------
        seed_id : str
            ``NET.STA`` or ``NET.STA.LOC.CHA``; see `code` where there is no network.
        time : UTCDateTime, optional
            Which epoch; by default the last.
        """
        parts = seed_id.split(".")
        known = self._stations.get(self.code(seed_id) or "")
        if not known:
            return None
        best: tuple[int, int, int] | None = None
        site: Site | None = None
        for order, station in enumerate(known):
            # Without a channel to go by, a station that has channels is the better known one.
            known_better = len(parts) < 4 and bool(station.channels)  # type: ignore[attr-defined]
            candidates = [(int(known_better), station)]
            if len(parts) == 4:
                candidates += [
                    (1 + (channel.location_code == parts[2]), channel)
                    for channel in station.channels  # type: ignore[attr-defined]
                    if channel.code == parts[3]
                ]
            for closeness, node in candidates:
                found = _site(node)
                if found is None:
                    continue
                rank = (int(_covers(node, time)), closeness, order)
                if best is None or rank > best:
                    best, site = rank, found
        return site


def _covers(node: object, time: UTCDateTime | None) -> bool:
    if time is None:
        return True
    start, end = getattr(node, "start_date", None), getattr(node, "end_date", None)
    return (start is None or start <= time) and (end is None or time <= end)


def _site(node: object) -> Site | None:
    latitude, longitude = getattr(node, "latitude", None), getattr(node, "longitude", None)
    elevation = getattr(node, "elevation", None)
    if latitude is None or longitude is None:
        return None
    if not (math.isfinite(latitude) and math.isfinite(longitude)):
        return None
    height = 0.0 if elevation is None or not math.isfinite(elevation) else float(elevation)
    return Site(float(latitude), float(longitude), height / 1000)
