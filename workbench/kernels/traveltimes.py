"""How long waves take from a source to the stations."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from workbench.errors import InvalidSetting, NoData
from workbench.kernel import kernel
from workbench.kernels._sites import SiteMap
from workbench.maths.geodesy import central_angle, distance_azimuth
from workbench.maths.layered import EARTH_KM, REACH_KM, Layers
from workbench.notices import notice
from workbench.nouns import Dataset, Stations, VelocityModel
from workbench.units import Degrees, DepthKm, Ratio

if TYPE_CHECKING:
    from obspy.taup import TauPyModel

__all__ = ["layered", "taup"]

Floats = npt.NDArray[np.float64]
Latitude = Annotated[Degrees, Ge(-90), Le(90)]


@kernel(per="station", cut=False)
def layered(
    stations: Stations,
    *,
    velocity_model: VelocityModel,
    latitude: Latitude,
    longitude: Degrees,
    depth: DepthKm,
    vp_vs: Ratio | None = None,
    phases: tuple[Literal["P", "S"], ...] = ("P", "S"),
) -> Dataset:
    """Compute first arrivals at stations in a layered model, exactly.

    The direct ray and every head wave are traced from the source to the sensor
    at its elevation, and the first of them is given.

    Parameters
    ----------
    stations : Stations
    velocity_model : VelocityModel
        A table of constant layers is a flat Earth.  TauP names and ``.nd`` models
        are a round one, good to 1100 km; use `taup` beyond.
    latitude, longitude : Degrees
        Of the source.
    depth : DepthKm
        Of the source, below sea level.
    vp_vs : Ratio, optional
        Fills S velocities that the model lacks.
    phases : tuple of {'P', 'S'}
        Which first arrivals.

    Returns
    -------
    Dataset
        ``time`` (s) and ``takeoff`` (degrees from straight down) by station and
        phase; ``distance`` (km), ``azimuth`` and ``back_azimuth`` (degrees from
        north) by station.

    Raises
    ------
    NoData
        If no station has coordinates.
    InvalidSetting
        If a station is beyond the reach of a round model.
    BadVelocityModel
        If S velocities are missing.

    References
    ----------
    Tian, Y., Chen, Y. (2005). Rapid computation of seismic rays and travel times
    in layered models. Computers & Geosciences 31, 1030-1040.

    Examples
    --------
    >>> from obspy.core.inventory import Inventory, Network, Station
    >>> stations = Inventory([Network("XX", stations=[Station("A", 46.0, 7.0, 0.0)])])
    >>> model = VelocityModel((0.0,), (6.0,), (3.5,))
    >>> found = layered(stations, velocity_model=model, latitude=46.0, longitude=7.0, depth=12.0)
    >>> found["time"].sel(station="XX.A").round(3).values.tolist()
    [2.0, 3.429]
    """
    codes, place, distance, azimuth, back = _paths(stations, latitude, longitude)
    model = velocity_model.with_vp_vs(vp_vs) if vp_vs is not None else velocity_model
    stacks = [Layers.of(model, phase) for phase in phases]
    if stacks and stacks[0].radius_km and distance.max() > REACH_KM:
        far = codes[int(np.argmax(distance))]
        raise InvalidSetting(
            "traveltimes.layered",
            f"{far} is {distance.max():.0f} km away and the layers of this model reach {REACH_KM:g} km",
            "Use traveltimes.taup for distant stations.",
        )
    if stacks and depth > stacks[0].bottom_km:
        raise InvalidSetting(
            "traveltimes.layered",
            f"depth is {depth:g} km and the layers of this model reach {stacks[0].bottom_km:g} km",
            "Use traveltimes.taup for deeper sources; depths are in kilometres.",
        )
    found = [stack.arrivals(depth, -place[:, 2], distance) for stack in stacks]
    return _dataset(
        codes,
        phases,
        time=[each[0] for each in found],
        takeoff=[each[3] for each in found],
        distance=distance,
        azimuth=azimuth,
        back=back,
        source=(latitude, longitude, depth),
    )


@kernel(per="station", cut=False)
def taup(
    stations: Stations,
    *,
    velocity_model: VelocityModel,
    latitude: Latitude,
    longitude: Degrees,
    depth: DepthKm,
    phases: tuple[str, ...] = ("P", "S"),
) -> Dataset:
    """Compute arrivals of any phase at stations near and far in a global model.

    Parameters
    ----------
    stations : Stations
    velocity_model : VelocityModel
        A TauP name.
    latitude, longitude : Degrees
        Of the source.
    depth : DepthKm
        Of the source, below sea level, not above it.
    phases : tuple of str
        Names as TauP has them; of several arrivals of a phase the first is given.
        ``P`` and ``S`` stand for all that leave and arrive as such, and are the
        first of ``p, P, Pn, Pg, Pdiff, PKP, PKIKP, PKiKP`` and their like.

    Returns
    -------
    Dataset
        As from `layered`; NaN where a phase does not arrive.

    Raises
    ------
    NoData
        If no station has coordinates.
    InvalidSetting
        If the model is a table, the source in the air, or a phase unknown.

    Notes
    -----
    The Earth is a sphere and distances are between geocentric latitudes, as in
    published tables; there is no correction for ellipticity, which comes to about
    1 s at most.  A station's elevation counts with the vertical slowness
    of the arriving ray in the model's uppermost layer.

    References
    ----------
    Crotwell, H. P., Owens, T. J., Ritsema, J. (1999). The TauP Toolkit. Seismol.
    Res. Lett. 70, 154-160; as in ObsPy.

    Examples
    --------
    >>> from obspy.core.inventory import Inventory, Network, Station
    >>> stations = Inventory([Network("XX", stations=[Station("A", 0.0, 60.0, 0.0)])])
    >>> model = VelocityModel.taup("iasp91")
    >>> found = taup(stations, velocity_model=model, latitude=0.0, longitude=0.0, depth=0.0)
    >>> [round(float(second)) for second in found["time"].sel(station="XX.A")]
    [608, 1103]
    """
    if not velocity_model.name:
        raise InvalidSetting(
            "traveltimes.taup",
            "the velocity model is a table",
            "Give a TauP name such as iasp91 or ak135, or use traveltimes.layered.",
        )
    if depth < 0:
        raise InvalidSetting(
            "traveltimes.taup", f"depth {depth:g} km is above the surface of TauP's models", "Use 0."
        )
    codes, place, distance, azimuth, back = _paths(stations, latitude, longitude)
    time = np.full((len(phases), len(codes)), np.nan)
    takeoff = np.full_like(time, np.nan)
    angle = central_angle(latitude, longitude, place[:, 0], place[:, 1])
    for i, phase in enumerate(phases):
        for j, degrees in enumerate(angle):
            first = _first(velocity_model.name, phase, depth, float(degrees))
            if first is not None:
                surface = float(Layers.of(velocity_model, _arrives_as(phase)).velocity[0])
                slowness = first.ray_param / EARTH_KM
                vertical = np.sqrt(max(surface**-2 - slowness**2, 0.0))
                time[i, j] = first.time + place[j, 2] * vertical
                takeoff[i, j] = first.takeoff_angle
    return _dataset(
        codes,
        phases,
        time=time,
        takeoff=takeoff,
        distance=distance,
        azimuth=azimuth,
        back=back,
        source=(latitude, longitude, depth),
    )


_ALL = {
    "P": ("p", "P", "Pn", "Pg", "Pdiff", "PKP", "PKIKP", "PKiKP"),
    "S": ("s", "S", "Sn", "Sg", "Sdiff", "SKS", "SKIKS", "SKiKS"),
}
"""What the plain names stand for."""


@cache
def _taup_model(name: str) -> TauPyModel:
    from obspy.taup import TauPyModel

    return TauPyModel(name)


def _first(model: str, phase: str, depth: float, degrees: float) -> Any:
    """Return TauP's first arrival of a phase, or None."""
    try:
        arrivals = _taup_model(model).get_travel_times(depth, degrees, phase_list=_ALL.get(phase, (phase,)))
    except ValueError as error:
        raise InvalidSetting(
            "traveltimes.taup", f"phase '{phase}': {error}", "Give TauP's phase names."
        ) from error
    return min(arrivals, key=lambda arrival: arrival.time, default=None)


def _arrives_as(phase: str) -> Literal["P", "S"]:
    """Return what a phase is under the station: the last leg of its name."""
    legs = [letter for letter in phase if letter in "PSpsKIJ"]
    return "S" if legs and legs[-1] in "Ss" else "P"


def _paths(
    stations: Stations, latitude: float, longitude: float
) -> tuple[list[str], Floats, Floats, Floats, Floats]:
    """Return station codes, their places (degrees, km) and the way there from the source."""
    sites = SiteMap(stations)
    named = sorted({f"{network.code}.{station.code}" for network in stations for station in network})
    codes = []
    rows = []
    for code in named:
        site = sites.find(code)
        if site is None:
            notice(code, "has no coordinates", "It is left out; add them to the stations.")
            continue
        codes.append(code)
        rows.append((site.latitude, site.longitude, site.elevation_km))
    if not rows:
        raise NoData("the stations", "have no coordinates", "Give StationXML, FDSN text or CSV with them.")
    place = np.array(rows)
    distance, azimuth = distance_azimuth(latitude, longitude, place[:, 0], place[:, 1])
    back = distance_azimuth(place[:, 0], place[:, 1], latitude, longitude)[1]
    return codes, place, distance, azimuth, back


def _dataset(
    codes: list[str],
    phases: Iterable[str],
    *,
    time: Any,
    takeoff: Any,
    distance: Floats,
    azimuth: Floats,
    back: Floats,
    source: tuple[float, float, float],
) -> Dataset:
    from xarray import Dataset

    names = list(phases)
    shape = (len(names), len(codes))
    return Dataset(
        {
            "time": (("station", "phase"), np.reshape(time, shape).T, {"units": "s"}),
            "takeoff": (
                ("station", "phase"),
                np.reshape(takeoff, shape).T,
                {"units": "deg", "long_name": "take-off angle from straight down"},
            ),
            "distance": ("station", distance, {"units": "km", "long_name": "epicentral distance"}),
            "azimuth": ("station", azimuth, {"units": "deg", "long_name": "azimuth from the epicentre"}),
            "back_azimuth": ("station", back, {"units": "deg", "long_name": "azimuth from the station"}),
        },
        coords={"station": codes, "phase": names},
        attrs=dict(zip(("latitude", "longitude", "depth_km"), source, strict=True)),
    )
