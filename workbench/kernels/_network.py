"""A network ready to be searched: stations with data and coordinates, and times between places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from obspy import UTCDateTime

from workbench.errors import MissingCoordinates
from workbench.kernels._candidates import Picking
from workbench.kernels._instruments import Instrument, instruments
from workbench.kernels._segments import segments
from workbench.kernels._sites import Site, SiteMap
from workbench.maths.geodesy import distance_azimuth
from workbench.maths.layered import Layers
from workbench.notices import notice
from workbench.nouns import Stations, VelocityModel, Waveforms

__all__ = ["Network", "Paths"]

Floats = npt.NDArray[np.float64]

_FAR_KM, _FAR_TIMES = 500.0, 10.0
"""A station farther from the middle than this, and than so many times the others, is misplaced."""


@dataclass(frozen=True, eq=False, slots=True)
class Paths:
    """From one place to all stations of a `Network`; each array has the shape (n_stations,)."""

    distance_km: Floats
    p: Floats
    s: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Network:
    """Stations with data and coordinates.

    Attributes
    ----------
    names : tuple of str
        ``NET.STA``, sorted.
    sites : tuple of Site
    instruments : tuple of tuple of Instrument
        Of each station.
    layers : tuple of Layers
        For P and S.
    """

    names: tuple[str, ...]
    sites: tuple[Site, ...]
    instruments: tuple[tuple[Instrument, ...], ...]
    layers: tuple[Layers, Layers]

    @classmethod
    def of(cls, waveforms: Waveforms, stations: Stations, model: VelocityModel, picking: Picking) -> Network:
        """Put data and coordinates together, and name what lacks one of them.

        Raises
        ------
        NoData
            If there are no usable samples.
        MissingCoordinates
            If no station has both.
        BadVelocityModel
            If the model has no S velocities.
        """
        layers = Layers.of(model, "P"), Layers.of(model, "S")
        grouped: dict[str, list[Instrument]] = {}
        for instrument in instruments(segments(waveforms), picking.freqmin, picking.freqmax):
            grouped.setdefault(instrument.station, []).append(instrument)
        places = SiteMap(stations)
        found: dict[str, Site] = {}
        for name, own in sorted(grouped.items()):
            channel = next(iter(own[0].channels))
            site = places.find(channel, UTCDateTime(ns=own[0].span[0]))
            if site is None:
                notice(
                    name,
                    "has waveforms but no coordinates",
                    "It is left out; give its coordinates as StationXML or CSV.",
                )
            else:
                found[name] = site
        if not found:
            raise MissingCoordinates(
                ", ".join(sorted(grouped)) or "the waveforms",
                "have no coordinates",
                "Give the stations of these waveforms; network and station codes must agree.",
            )
        names = tuple(name for name in found if name not in _misplaced(found))
        return cls(
            names, tuple(found[name] for name in names), tuple(tuple(grouped[name]) for name in names), layers
        )

    def paths(self, latitude: float, longitude: float, depth_km: float) -> Paths:
        """Trace first P and S to all stations."""
        distance, _ = distance_azimuth(
            latitude,
            longitude,
            np.array([site.latitude for site in self.sites]),
            np.array([site.longitude for site in self.sites]),
        )
        receiver = np.array([-site.elevation_km for site in self.sites])
        p, s = (layers.arrivals(depth_km, receiver, distance)[0] for layers in self.layers)
        return Paths(distance, p, s)

    def every(self) -> Iterator[Instrument]:
        """Go through all instruments."""
        for own in self.instruments:
            yield from own


def _misplaced(sites: dict[str, Site]) -> set[str]:
    """Name the stations whose coordinates cannot be right: at 0, 0 or far from all others."""
    wrong = {name for name, site in sites.items() if site.latitude == 0 and site.longitude == 0}
    rest = [site for name, site in sites.items() if name not in wrong]
    if len(rest) >= 3:
        middle = (
            float(np.median([site.latitude for site in rest])),
            float(np.median([site.longitude for site in rest])),
        )
        away = {
            name: float(distance_azimuth(*middle, site.latitude, site.longitude)[0])
            for name, site in sites.items()
            if name not in wrong
        }
        limit = max(_FAR_KM, _FAR_TIMES * float(np.median(list(away.values()))))
        wrong |= {name for name, km in away.items() if km > limit}
    for name in sorted(wrong):
        notice(
            name,
            f"has coordinates ({sites[name].latitude:g}, {sites[name].longitude:g}) far from all others",
            "It is left out; correct its coordinates.",
        )
    return wrong
