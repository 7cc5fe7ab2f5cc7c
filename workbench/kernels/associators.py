"""Association: which picks belong to one earthquake."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from annotated_types import Gt, Lt
from obspy.core.event import Catalog, Comment, Event, ResourceIdentifier

from workbench.errors import BadInput
from workbench.identifiers import public_id
from workbench.kernel import kernel
from workbench.kernels import _quakeml
from workbench.kernels._listed import Listed, listed
from workbench.kernels._phases import sigma_of, station_of
from workbench.maths.association.cells import Volume
from workbench.maths.association.found import Found
from workbench.maths.association.search import search
from workbench.maths.association.times import Spread, Times
from workbench.maths.geiger import Arrivals, locate
from workbench.maths.geodesy import from_plane
from workbench.maths.layered import REACH_KM, Layers
from workbench.notices import notice, progress
from workbench.nouns import Events, Picks, Stations, VelocityModel
from workbench.units import Count, DepthKm, Fraction, Kilometres, Ratio, Seconds, Unit

__all__ = ["associate"]

_CAREFUL = 30.0
"""How many times rarer chance is than Markov's inequality promises.

Measured on picks drawn at random at 12 stations, 50 to 120 an hour each: 30 events in
29 days, where one a day is the setting; networks differ by a factor of three.
"""

_PICK_ERRORS = {"P": 0.1, "S": 0.2}
"""Standard errors of picks that state none, s: those of `locators.geiger`."""


@kernel(per="network", cut=False)
def associate(
    picks: Picks,
    stations: Stations,
    *,
    velocity_model: VelocityModel,
    vp_vs: Ratio | None = None,
    min_picks: Annotated[Count, Gt(3)] = 6,
    min_stations: Annotated[Count, Gt(2)] = 4,
    false_per_day: Annotated[float, Unit("1/d"), Gt(0)] = 1.0,
    pick_error: Seconds = 0.1,
    path_error: Seconds = 0.1,
    model_error: Fraction = 0.015,
    mislabelled: Annotated[Fraction, Lt(0.5)] = 0.05,
    repeat: Seconds = 0.1,
    min_probability: Fraction = 0.0,
    margin: Kilometres | None = None,
    max_depth: DepthKm | None = None,
) -> Events:
    """Find the earthquakes that picks belong to, and locate them.

    Every place and origin time in a volume around the stations is asked how much
    better an earthquake there explains the picks, and the stations without picks,
    than chance does, at the rate at which each station is picked just then.  Where
    the answer is clear enough is an event; it takes the picks that fit it better
    than chance.  Events that overlap in time share their picks out by which fits
    better.  Each is then located as by `locators.geiger`.

    Picks may be named wrongly: one that is called P and comes when S is due is an
    arrival of phase S, if that makes sense of it.  Picks without a phase may be
    either.  How far arrivals scatter about the model, and how many picks are of
    the codas of events, is learnt from the picks themselves, as far as there are
    enough.

    Parameters
    ----------
    picks : Picks
        Of a whole network, in any order.  A probability breaks ties only.
    stations : Stations
        Coordinates; picks of a station without are left out, with a notice.
        Stations that have no picks at all are taken as not working.
    velocity_model : VelocityModel
        Depths are below sea level and stations stand at their elevations.
    vp_vs : Ratio, optional
        Fills S velocities that the model lacks; needed only if there are S picks.
    min_picks, min_stations : Count
        Picks of an event, and stations that have them, at least.  A hypocentre has
        four unknowns, so four picks always fit one; two more tell that it is real,
        and P and S of three stations leave one direction open.
    false_per_day : float, per day
        About how many events a day noise may bring: picks that come independently at
        the rates seen.  What is needed for an event follows from this, from how
        many places the network tells apart, and from the rates, so it adapts to the
        network and to how busy it is.  Smaller is stricter.
    pick_error : Seconds
        Standard error of a pick.
    path_error : Seconds
        Standard error of a travel time of one second; it grows with the root of
        travel time, as of errors that are independent along the path.
    model_error : Fraction
        Standard error of the model's travel times as a fraction of them.  The three
        together give 0.2 s at 15 km, 0.7 s at 200 km and 1.2 s at 400 km for P,
        close to what the Binder associator of Earthworm allows (in its taper) to
        three of them; they are only where learning starts from.
    mislabelled : Fraction
        Part of the picks that carry the wrong one of the names P and S.
    repeat : Seconds
        Picks of a phase at a station closer than this are one onset, seen on several
        channels or written twice; the surest is kept.
    min_probability : Fraction
        Picks that are less sure are left out.
    margin : Kilometres, optional
        How far beyond the outermost stations events are searched for; by default
        half of the network's aperture, 15 to 200 km.  Farther out the curvature of
        wave fronts, and so the distance, is lost in the errors.
    max_depth : DepthKm, optional
        How deep they are searched for; by default half of the aperture, 30 to
        250 km, for the same reason.

    Returns
    -------
    Events
        In the order of their origin times; empty if there are none.  Each has its
        picks, and an origin with arrivals, errors and quality, as `locators.geiger`
        makes it.  The comment says how much likelier than chance it is.

    Raises
    ------
    NoData
        If there are no picks of P or S.
    MissingCoordinates
        If no pick is at a station with coordinates.
    BadVelocityModel
        If there are S picks and the model has no S velocities.

    References
    ----------
    Arora, N. S., Russell, S., Sudderth, E. (2013). NET-VISA: Network processing
    vertically integrated seismic analysis. BSSA 103, 709-729 (likelihood of an
    event against noise, from picks and missing picks).
    Muenchmeyer, J. (2024). PyOcto: A high-throughput seismic phase associator.
    Seismica 3(1) (cells of space and time, best event first).
    Zhang, M., Ellsworth, W. L., Beroza, G. C. (2019). Rapid earthquake association
    and location. Seismol. Res. Lett. 90, 2276-2284 (the test case of central Italy).
    Dietz, L. (2002). Notes on configuring BINDER_EW: Earthworm's phase associator.

    Examples
    --------
    >>> from obspy.core.inventory import Inventory, Network, Station
    >>> from workbench.maths.geodesy import distance_azimuth
    >>> places = {"A": (46.2, 7.0), "B": (45.9, 7.3), "C": (46.0, 6.7), "D": (46.1, 7.2), "E": (45.8, 6.9)}
    >>> sites = [Station(code, lat, lon, 0.0) for code, (lat, lon) in places.items()]
    >>> stations = Inventory([Network("XX", stations=sites)])
    >>> rows = []
    >>> for code, place in places.items():
    ...     km = float(np.hypot(distance_azimuth(46.05, 7.05, *place)[0], 8.0))
    ...     for phase, speed in (("P", 6.0), ("S", 3.5)):
    ...         time = np.datetime64("2020-01-01", "ns") + np.timedelta64(round(km / speed * 1e9), "ns")
    ...         rows.append({"network": "XX", "station": code, "phase": phase, "time": time})
    >>> model = VelocityModel((0.0,), (6.0,), (3.5,))
    >>> event, = associate(Picks(rows), stations, velocity_model=model)
    >>> origin = event.preferred_origin()
    >>> len(event.picks), round(origin.latitude, 2), round(origin.longitude, 2), round(origin.depth / 1000)
    (10, 46.05, 7.05, 8)
    """
    progress(0.0, "reading picks")
    inputs = listed(picks, stations, repeat=repeat, min_probability=min_probability)
    model = velocity_model.with_vp_vs(vp_vs) if vp_vs is not None else velocity_model
    uses_s = bool((inputs.label != 0).any()) or model.has_vs
    p_layers = Layers.of(model, "P")
    layers = p_layers, Layers.of(model, "S") if uses_s else p_layers
    volume = _volume(inputs, margin, max_depth)
    extent = math.hypot(*(volume.high - volume.low)[:2])
    times = Times.build(
        layers,
        inputs.x,
        inputs.y,
        inputs.depth,
        distance_km=min(extent, REACH_KM),
        depth_km=(float(volume.low[2]), float(volume.high[2])),
    )
    found = search(
        inputs.time,
        inputs.station,
        inputs.label,
        inputs.probability,
        times,
        volume,
        error=Spread(pick_error, path_error, model_error),
        false_per_day=false_per_day * _CAREFUL,
        min_picks=min_picks,
        min_stations=min_stations,
        named=1.0 - mislabelled if uses_s else 1.0,
        progress=lambda part: progress(0.8 * part, "associating"),
    )
    settings = (min_picks, min_stations, false_per_day, pick_error, path_error, model_error, mislabelled)
    events = []
    for number, event in enumerate(found):
        progress(0.8 + 0.2 * number / len(found), "locating")
        events.append(_event(event, inputs, model, layers, max_depth, settings))
    progress(1.0, "locating")
    return Catalog(events, resource_id=public_id("catalog", *(event.resource_id.id for event in events)))


def _volume(inputs: Listed, margin: float | None, max_depth: float | None) -> Volume:
    aperture = math.hypot(float(np.ptp(inputs.x)), float(np.ptp(inputs.y)))
    beyond = min(max(aperture / 2, 15.0), 200.0) if margin is None else margin
    top = float(inputs.depth.min())
    bottom = min(max(aperture / 2, 30.0), 250.0) if max_depth is None else max_depth
    return Volume(
        np.array([inputs.x.min() - beyond, inputs.y.min() - beyond, top]),
        np.array([inputs.x.max() + beyond, inputs.y.max() + beyond, max(bottom, top + 1.0)]),
    )


def _event(
    found: Found,
    inputs: Listed,
    model: VelocityModel,
    layers: tuple[Layers, Layers],
    max_depth: float | None,
    settings: tuple[object, ...],
) -> Event:
    """Make a QuakeML event of what was found, and locate it."""
    order = found.picks.argsort(kind="stable")
    which, phases = found.picks[order], ["PS"[phase] for phase in found.phases[order]]
    rows = [inputs.rows[i] for i in which]
    picks = [_quakeml.pick(row) for row in rows]
    name = public_id("event", *sorted(pick.resource_id.id for pick in picks))
    event = Event(
        resource_id=name,
        picks=picks,
        comments=[
            Comment(
                text=f"evidence {found.evidence:.1f} (log of the likelihood ratio to chance)",
                resource_id=public_id("comment", name.id, "evidence"),
            )
        ],
    )
    sites = [inputs.sites[i] for i in inputs.station[which]]
    arrivals = Arrivals(
        latitude=np.array([site.latitude for site in sites]),
        longitude=np.array([site.longitude for site in sites]),
        elevation_km=np.array([site.elevation_km for site in sites]),
        is_s=np.array([phase == "S" for phase in phases]),
        time=inputs.time[which] - inputs.time[which[0]],
        sigma=np.array([sigma_of(row, _PICK_ERRORS[p]) for row, p in zip(rows, phases, strict=True)]),
    )
    latitude, longitude = from_plane(found.place[0], found.place[1], *inputs.middle)
    try:
        location = locate(
            arrivals,
            layers,
            start=(float(latitude), float(longitude), float(found.place[2])),
            max_depth=max_depth,
        )
    except BadInput as error:
        notice(
            f"the event at {inputs.reference + found.origin}",
            f"cannot be located: {error.subject} {error.problem}",
            error.remedy,
        )
        return event
    origin = _quakeml.origin(
        location,
        picks[0].time,
        picks,
        phases,
        model=model,
        method_name="associators.associate",
        content=(name.id, *settings),
        associated=(len(picks), len({station_of(row) for row in rows})),
    )
    event.origins = [origin]
    event.preferred_origin_id = ResourceIdentifier(origin.resource_id.id)
    return event
