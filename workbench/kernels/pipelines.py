"""Whole chains of methods: from waveforms to a catalogue."""

from __future__ import annotations

import numpy as np
from obspy.core.event import Catalog, Event

from workbench.errors import MissingCoordinates, MissingResponse, NoData, WorkbenchError
from workbench.identifiers import public_id
from workbench.kernel import kernel
from workbench.kernels import _picks, associators, locators, magnitudes
from workbench.kernels._bands import check_band
from workbench.kernels._candidates import Picking
from workbench.kernels._hours import HOUR_S, hours
from workbench.kernels._hypotheses import Hypothesis, Rules, Seed, choose, station_of
from workbench.kernels._network import Network
from workbench.kernels._predicted import Reader
from workbench.kernels._quakeml import KM_PER_DEGREE
from workbench.kernels._refinement import refine
from workbench.kernels._segments import as_stream
from workbench.kernels._sites import SiteMap
from workbench.notices import notice, part, progress
from workbench.nouns import Events, Picks, Stations, VelocityModel, Waveforms
from workbench.preferred import preferred_origin
from workbench.units import Count, Hertz, Ratio, Seconds

FREELY = 300.0
"""Events a day that association may propose by chance; reading their phases weeds them out."""


_MARGIN_S = 300.0
"""Least of what is looked at around an hour, s."""

PASSES = 3
"""Searches among the picks that are left."""

TAKEN_S = 0.3
"""Seconds around an onset of an event within which picks are its own."""


@kernel(
    per="network",
    lead=lambda settings: _margin(settings.max_sp, settings.freqmin),
    trail=lambda settings: _margin(settings.max_sp, settings.freqmin),
    grid=HOUR_S,
)
def earthquakes(
    waveforms: Waveforms,
    stations: Stations,
    *,
    velocity_model: VelocityModel,
    vp_vs: Ratio | None = None,
    threshold: Ratio = 6.0,
    s_threshold: Ratio = 4.0,
    freqmin: Hertz = 1.0,
    freqmax: Hertz = 32.0,
    max_sp: Seconds = 40.0,
    min_stations: Count = 4,
    min_phases: Count = 6,
) -> Events:
    """Find, locate and measure the earthquakes in the records of a network.

    1. P and S are picked at each station (`pickers.picker`), with a low threshold.
    2. Picks are associated with events (`associators.associate`), more freely
       than for a catalogue.
    3. Where and when an event's P and S should then arrive, they are read again
       at all stations, weak ones too, in windows that narrow as the event is
       relocated; onsets that do not fit are dropped.  Events of which too little
       is seen are dropped altogether.
    4. Of events that claim the same onsets the better one keeps them; what is
       only the coda or a later phase of a larger event is dropped.
    5. Events are located (`locators.geiger`) and, where there are responses,
       measured (`magnitudes.local`).

    Parameters
    ----------
    waveforms : Waveforms
        Of at least `min_stations` stations: continuous or cut out, of one or
        three components, any instruments and sampling rates.  A few seconds of
        noise before P are enough.
    stations : Stations
        Coordinates, and responses for magnitudes.
    velocity_model : VelocityModel
        Depths are below sea level and stations stand at their elevations.
    vp_vs : Ratio, optional
        Fills S velocities that the model lacks.
    threshold : Ratio
        Significance of an onset; see `pickers.picker`.  It is lower than for
        picks by themselves, as onsets count only where several stations agree.
    s_threshold : Ratio
        Significance of S behind P, and of either where a located event makes
        them expected.
    freqmin, freqmax : Hertz
        Corners of the lowest and of the highest band of the picker.
    max_sp : Seconds
        Longest time from P to S; 40 s are 330 km.
    min_stations : Count
        Stations that must show an event: with four, one of them can be wrong.
    min_phases : Count
        P and S that must fit: two more than a hypocentre has unknowns.

    Returns
    -------
    Events
        In order of time: picks, an origin with uncertainties and arrivals, and,
        where there are responses, amplitudes, station magnitudes and ML.  A
        record without earthquakes gives an empty catalogue.

    Raises
    ------
    NoData
        If there are no usable samples.
    MissingCoordinates
        If no station with waveforms has coordinates.
    BadVelocityModel
        If the model lacks S velocities and `vp_vs` is not given.

    Notes
    -----
    Stations without coordinates, without waveforms, and with coordinates that
    cannot be right are left out and named.  Hour by hour is searched, with five
    minutes around each, so memory grows only with the input itself, and days
    that are searched apart give what they give together.  An event on the very
    edge of an hour that its two sides place differently, by what they know of
    the noise, could be there twice or not at all: a few milliseconds an hour.

    References
    ----------
    Nippress, S. E. J., Rietbrock, A., Heath, A. E. (2010). Optimized automatic
    pickers: application to the ANCORP data set. GJI 181, 911-925 (picking again
    around the times that a first location predicts).
    Diehl, T., Deichmann, N., Kissling, E., Husen, S. (2009). Automatic S-wave
    picker for local earthquake tomography. BSSA 99, 1906-1920 (S behind a known P).
    Those of the kernels that it is made of.

    Examples
    --------
    >>> from workbench.demo.network import network_sequence
    >>> made = network_sequence(n_stations=6, n_events=1, duration_s=150.0)
    >>> (event,) = earthquakes(made.waveforms, made.stations, velocity_model=made.velocity_model)
    >>> f"ML {event.preferred_magnitude().mag:.0f} with {len(event.picks)} picks"
    'ML 3 with 12 picks'
    """
    check_band("pipelines.earthquakes", freqmin, freqmax)
    model = velocity_model.with_vp_vs(vp_vs)
    picking = Picking(threshold, s_threshold, freqmin, freqmax, max_sp)
    rules = Rules(min_stations, min_phases)
    waveforms = as_stream(waveforms)  # once, as a cube may have to be read
    recorded = {f"{trace.stats.network}.{trace.stats.station}" for trace in waveforms}
    for name in sorted(set(SiteMap(stations).codes()) - recorded):
        notice(name, "has coordinates but no waveforms", "It is left out.", loss=False)
    each = list(hours(waveforms, _margin(max_sp, freqmin)))
    found: list[Event] = []
    unusable: list[WorkbenchError] = []
    for number, hour in enumerate(each):
        with part(number / len(each), (number + 1) / len(each)):
            try:
                found += hour.own(_searched(hour.waveforms, stations, model, picking, rules))
            except (NoData, MissingCoordinates) as error:
                unusable.append(error)
    if len(unusable) == len(each):
        raise unusable[0]
    return Catalog(found, resource_id=public_id("catalog", *(event.resource_id.id for event in found)))


def _margin(max_sp: float, freqmin: float) -> float:
    """Return what an event depends on before and after its origin, s: S of the farthest, and their picks."""
    # As long as that after the origin S is due 40 s after P; what a pick depends on is the picker's.
    return max(_MARGIN_S, 6 * max_sp + 40 / freqmin)


def _searched(
    waveforms: Waveforms, stations: Stations, model: VelocityModel, picking: Picking, rules: Rules
) -> Events:
    """Find the events of an hour."""
    network = Network.of(waveforms, stations, model, picking)
    with part(0.0, 0.5):
        picks = _picked(network, picking)
    with part(0.5, 0.7):
        chosen = _events(network, picks, stations, model, picking, rules)
    if not chosen:
        return Catalog(resource_id=public_id("catalog"))
    with part(0.7, 0.8):
        events = locators.geiger(_rows(chosen), stations, velocity_model=model)
    with part(0.8, 1.0):
        return _measured(waveforms, stations, events, network)


def _picked(network: Network, picking: Picking) -> Picks:
    """Pick at all stations, the clearest instrument at each."""
    onsets = []
    for number, (name, own) in enumerate(zip(network.names, network.instruments, strict=True)):
        progress(number / len(network.names), f"picking {name}")
        onsets.extend(_picks.best(o for i in own for o in _picks.onsets(i, picking)))
    return _picks.table(onsets)


def _events(
    network: Network,
    picks: Picks,
    stations: Stations,
    model: VelocityModel,
    picking: Picking,
    rules: Rules,
) -> list[Hypothesis]:
    """Associate, refine and choose; and again with the picks that are left, until nothing more is found."""
    reader = Reader(picking)
    chosen: list[Hypothesis] = []
    for _ in range(PASSES):
        free = _left(picks, chosen)
        if not len(free):
            break
        with part(0.0, 0.3):
            seeds = _seeds(associators.associate(free, stations, velocity_model=model, false_per_day=FREELY))
        found = []
        for number, seed in enumerate(seeds):
            progress(0.3 + 0.7 * number / len(seeds), "reading phases again")
            one = refine(network, seed, reader, rules)
            if one is not None:
                found.append(one)
        before, chosen = len(chosen), choose(network, found, rules, chosen)
        if len(chosen) == before:
            break
    return chosen


def _left(picks: Picks, chosen: list[Hypothesis]) -> Picks:
    """Return the picks that no event has."""
    taken: dict[str, list[int]] = {}
    for one in chosen:
        for onset in one.onsets:
            taken.setdefault(station_of(onset), []).append(onset.time)
    table = picks.table
    free = [
        all(abs(time - other) > TAKEN_S * 1e9 for other in taken.get(f"{network}.{station}", ()))
        for network, station, time in zip(
            table.network, table.station, table.time.astype(np.int64), strict=True
        )
    ]
    return Picks(table[free])


def _seeds(events: Events) -> list[Seed]:
    """Return what association proposes."""
    seeds = []
    for event in events:
        origin = preferred_origin(event)
        if origin is None:
            continue
        picks = {pick.resource_id.id: pick for pick in event.picks}
        used = [(arrival, picks[arrival.pick_id.id]) for arrival in origin.arrivals]
        seeds.append(
            Seed(
                origin.latitude,
                origin.longitude,
                (origin.depth or 0.0) / 1000,
                origin.time.ns,
                max((arrival.distance for arrival, _ in used), default=0.0) * KM_PER_DEGREE,
                {
                    (f"{p.waveform_id.network_code}.{p.waveform_id.station_code}", arrival.phase): p.time.ns
                    for arrival, p in used
                },
            )
        )
    return seeds


def _rows(chosen: list[Hypothesis]) -> Picks:
    """Return the picks of all events, with the publicID of the event that each belongs to."""
    parts = []
    for one in chosen:
        rows = _picks.table(one.onsets)
        content = sorted((onset.id, onset.phase, onset.time) for onset in one.onsets)
        rows.table["event"] = public_id("event", *content).id
        parts.append(rows)
    return Picks.concat(parts)


def _measured(waveforms: Waveforms, stations: Stations, events: Events, network: Network) -> Events:
    own = type(waveforms)(t for t in waveforms if f"{t.stats.network}.{t.stats.station}" in network.names)
    if not any(channel.response for net in stations for station in net for channel in station):
        notice(
            "the stations",
            "have no instrument responses",
            "The events get no magnitudes; give StationXML.",
            loss=False,
        )
        return events
    try:
        return magnitudes.local(own, stations, events)
    except MissingResponse as error:
        notice(error.subject, error.problem, f"The events get no magnitudes. {error.remedy}", loss=False)
        return events
