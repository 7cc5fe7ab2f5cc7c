"""Magnitudes of events that have been located."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from obspy.core.event import Event, Origin

from workbench.kernel import kernel
from workbench.kernels._deflections import Seismograph, earliest_p, window
from workbench.kernels._ground import Removal
from workbench.kernels._magnitudes import Reading, Scale, put
from workbench.kernels._phases import phase_of
from workbench.kernels._responses import Response, Responses
from workbench.kernels._segments import Segment, by_channel, segments
from workbench.kernels._sites import Site, SiteMap
from workbench.maths.geodesy import distance_azimuth
from workbench.notices import notice, progress
from workbench.nouns import Events, Stations, Waveforms
from workbench.preferred import preferred_origin
from workbench.units import Count, Decibels, Hertz, Kilometres, Magnitude, Ratio

_HORIZONTAL = "NE12XYRT3"
"""Last letters of horizontal channels; 3 is one beside a Z."""

_SLOWEST_RATE = 10.0
"""Samples a second below which the short periods of a Wood-Anderson are lost."""

_LEVEL = 20.0
"""Degrees by which a horizontal sensor may dip."""

_UNKNOWN_DEPTH = 10.0
"""Depth in km that is taken for an origin without one: that of most crustal earthquakes."""


@dataclass(frozen=True, slots=True)
class _Channel:
    """A horizontal channel that can be used: where it is, and its data with their responses."""

    id: str
    site: Site
    parts: tuple[tuple[Segment, Response], ...]

    @property
    def station(self) -> str:
        return ".".join(self.id.split(".")[:2])


@kernel(per="event", cut=False)
def local(
    waveforms: Waveforms,
    stations: Stations,
    events: Events,
    *,
    scale: Literal["HB87", "IASPEI", "table"] = "HB87",
    table: tuple[tuple[Kilometres, Magnitude], ...] | None = None,
    wa_gain: Ratio = 2080.0,
    min_snr: Ratio = 2.0,
    min_stations: Count = 1,
    max_distance: Kilometres = 600.0,
    freqmin: Hertz = 0.5,
    freqmax: Annotated[Hertz, Ge(2)] | None = None,
    water_level: Decibels = 40.0,
    digital_filters: Literal["given", "mended"] = "given",
) -> Events:
    """Measure the local magnitude ML.

    On each horizontal channel the record of a Wood-Anderson seismograph is
    made (see `waveforms.wood_anderson`), and half of its largest peak-to-peak
    amplitude within 0.8 s is read between S and the slowest surface waves, but
    before P of the next event.  ML of a channel is

        log10 A + (-log10 A0)(r)

    with A in mm and r the hypocentral distance in km from depth and elevation;
    of a station it is the mean of its channels, and of the event the median of
    its stations, which a few wrong ones do not move.

    Parameters
    ----------
    waveforms : Waveforms
        In counts.
    stations : Stations
        With coordinates and responses.
    events : Events
        Located.  Picks of P and S at a station say where to look; without them
        the distance does.
    scale : {'HB87', 'IASPEI', 'table'}
        ``HB87``: Hutton and Boore (1987), Southern California, 10 to 700 km;
        the formula takes the amplitude as it is read, whatever `wa_gain` is.
        ``IASPEI``: the same curve, anchored to ground displacement in nm, that
        is amplitude over `wa_gain`; at a gain of 2080 the two agree to 0.002.
        ``table``: your own.
    table : tuple of (Kilometres, Magnitude), optional
        Pairs of hypocentral distance (km, growing) and -log10 A0, for
        amplitudes in mm; linear in between, nothing outside.
    wa_gain : Ratio
        Magnification of the Wood-Anderson: 2080; old catalogues used 2800.
    min_snr : Ratio
        Least ratio of the amplitude to the largest of the same kind in up to
        20 s of noise before P.  Twice the largest swing is about six times the
        rms of the noise; to ask for more leaves out the quieter stations, and
        makes small events too large.
    min_stations : Count
        Fewer stations give no magnitude of the event.
    max_distance : Kilometres
        Largest hypocentral distance.
    freqmin : Hertz
        Lowest frequency of the records that is kept in full: above the
        microseism, and below the Wood-Anderson's own 1.25 Hz.  For sources of
        30 bar (3 MPa) the default takes 0.01 off ML at M 5, 0.02 at M 6 and
        0.04 at M 7.
    freqmax : Hertz, optional
        Highest one; by default and at most 3/4 of the Nyquist frequency.
    water_level : Decibels
        See `waveforms.remove_response`; lower here, as a Wood-Anderson hardly
        hears what a sensor is that weak for.
    digital_filters : {'given', 'mended'}
        See `waveforms.remove_response`.

    Returns
    -------
    Events
        Copies of the events, their elements with their ids, and added to each:
        an amplitude (type ``AML``, in m on the record) and a station magnitude
        for each channel, and a magnitude (type ``ML``) with the contributions.
        Its uncertainty is the robust spread of the stations (1.4826 times the
        median absolute deviation).  It becomes the preferred magnitude, unless
        the one there has been reviewed.

    Raises
    ------
    InvalidSetting
        If there is no table, or one that does not grow.
    MissingResponse
        If no horizontal channel has a usable response.
    NoData
        If no channel has usable samples.

    Notes
    -----
    Left out, each with a notice: channels without response or coordinates,
    clipped ones, those with a gap where the largest wave may be, those that
    stand out of the noise too little; events without an origin.

    References
    ----------
    Hutton, L. K. and Boore, D. M. (1987). The ML scale in Southern California.
    BSSA 77, 2074-2094.
    Uhrhammer, R. A. and Collins, E. R. (1990). Synthesis of Wood-Anderson
    seismograms from broadband digital records. BSSA 80, 702-716.
    IASPEI (2013). Summary of magnitude working group recommendations on
    standard procedures for determining earthquake magnitudes from digital data.

    Examples
    --------
    >>> import obspy
    >>> from obspy.core.event import Catalog, Event, Origin
    >>> origin = Origin(
    ...     time=obspy.UTCDateTime("2009-08-24T00:20:06"), latitude=47.75, longitude=12.85, depth=4000.0
    ... )
    >>> catalogue = Catalog([Event(origins=[origin])])
    >>> (event,) = local(obspy.read(), obspy.read_inventory(), catalogue)
    >>> f"{event.magnitudes[0].magnitude_type} {event.magnitudes[0].mag:.1f}"
    'ML 0.2'
    """
    law = Scale.of("magnitudes.local", scale, table, wa_gain)
    removal = Removal(freqmin, freqmax, water_level)
    removal.check("magnitudes.local")
    seismograph = Seismograph(removal, wa_gain)
    content = (scale, table, wa_gain, min_snr, max_distance, freqmin, freqmax, water_level, digital_filters)
    channels = _channels(waveforms, stations, digital_filters)
    result = deepcopy(events)
    origins = [preferred_origin(event) for event in result]
    for number, (event, origin) in enumerate(zip(result, origins, strict=True)):
        progress(number / len(origins), "measuring magnitudes")
        if not _is_located(event, origin):
            continue
        others = [other for other in origins if other is not origin and other is not None]
        readings = _readings(event, origin, channels, others, seismograph, law, max_distance, min_snr)
        put(event, origin, readings, law, seismograph, min_stations, content)
    return result


def _is_located(event: Event, origin: Origin | None) -> bool:
    if origin is None or origin.time is None or origin.latitude is None or origin.longitude is None:
        notice(
            event.resource_id.id,
            "has no origin" if origin is None else "has an origin without time or epicentre",
            "It gets no magnitude; locate it first (locators.geiger).",
        )
        return False
    if origin.depth is None:
        notice(
            event.resource_id.id,
            "has an origin without a depth",
            f"{_UNKNOWN_DEPTH:g} km is taken for its magnitude.",
            loss=False,
        )
    return True


def _channels(
    waveforms: Waveforms, stations: Stations, digital_filters: Literal["given", "mended"]
) -> list[_Channel]:
    """Find the horizontal channels that have data, coordinates and a response.

    Raises
    ------
    MissingResponse
        If there are none for want of responses.
    """
    sites, responses = SiteMap(stations), Responses(stations, digital_filters)
    grouped = by_channel(segments(waveforms))
    verticals = {name[:-1] for name in grouped if name.endswith("Z")}
    found: list[_Channel] = []
    horizontals: set[str] = set()
    located = 0
    for name, own in grouped.items():
        last = name[-1:]
        if last not in _HORIZONTAL or (last == "3" and name[:-1] not in verticals):
            continue
        horizontals.add(own[0].station)
        site = sites.find(name)
        if site is None:
            notice(
                own[0].station,
                "has data but no coordinates",
                "It gives no magnitude; give it in StationXML or CSV.",
            )
            continue
        located += 1
        if max(part.rate for part in own) < _SLOWEST_RATE:
            notice(
                name,
                f"has {own[0].rate:g} samples a second, too few for a Wood-Anderson",
                "It gives no magnitude.",
                loss=False,
            )
            continue
        parts = tuple(
            (part, response)
            for segment in own
            if segment.rate >= _SLOWEST_RATE
            for part, response in responses.parts(segment)
            if response.dip is None or abs(response.dip) <= _LEVEL
        )
        if parts:
            found.append(_Channel(name, site, parts))
    for station in sorted({part[0].station for part in grouped.values()} - horizontals):
        notice(station, "has no horizontal channel", "It gives no magnitude ML.", loss=False)
    if not found and located:
        raise responses.missing([name for name in sorted(grouped) if name[-1:] in _HORIZONTAL])
    return found


def _readings(
    event: Event,
    origin: Origin,
    channels: Sequence[_Channel],
    others: Sequence[Origin],
    seismograph: Seismograph,
    law: Scale,
    max_distance: float,
    min_snr: float,
) -> list[Reading]:
    """Read one event on all channels."""
    found: list[Reading] = []
    quiet: list[str] = []
    outside: set[str] = set()
    picks = _picked(event)
    for channel in channels:
        away, azimuth = _distance(origin, channel.site)
        if away > max_distance:
            continue
        correction = law.correction(away)
        if np.isnan(correction):
            outside.add(channel.station)
            continue
        nearby = [
            earliest_p(other.time.ns, _distance(other, channel.site)[0])
            for other in others
            if other.time is not None and abs(other.time - origin.time) < 3600 and other.latitude is not None
        ]
        p, s = (picks.get((channel.station, phase)) for phase in ("P", "S"))
        where = window(origin.time.ns, away, p and p[0], s and s[0], nearby)
        swing = seismograph.deflection(channel.parts, where)
        if swing is None:
            continue
        if swing.amplitude <= 0 or (swing.snr is not None and swing.snr < min_snr):
            quiet.append(channel.id)
            continue
        value = law.magnitude(swing.amplitude, correction)
        found.append(Reading(swing, value, away, azimuth, s[1] if s else None))
    name = event.resource_id.id
    if quiet:
        notice(
            name,
            f"does not stand out of the noise on {', '.join(quiet)}",
            f"These give no magnitude: min_snr is {min_snr:g}.",
            loss=False,
        )
    if outside:
        notice(
            name,
            f"is at distances outside the table from {', '.join(sorted(outside))}",
            "These give no magnitude; extend the table.",
            loss=False,
        )
    return found


def _distance(origin: Origin, site: Site) -> tuple[float, float]:
    """Return the hypocentral distance in km and the azimuth from the epicentre."""
    flat, azimuth = distance_azimuth(origin.latitude, origin.longitude, site.latitude, site.longitude)
    depth = _UNKNOWN_DEPTH if origin.depth is None else origin.depth / 1000
    return float(np.hypot(float(flat), depth + site.elevation_km)), float(azimuth)


def _picked(event: Event) -> dict[tuple[str, str], tuple[int, str]]:
    """Return time (nanoseconds) and publicID of the first P and S pick at each station."""
    found: dict[tuple[str, str], tuple[int, str]] = {}
    for pick in event.picks:
        phase = phase_of(pick.phase_hint or "")
        if phase is None or pick.time is None or pick.waveform_id is None:
            continue
        key = (f"{pick.waveform_id.network_code or ''}.{pick.waveform_id.station_code or ''}", phase)
        found[key] = min(found.get(key, (2**63, "")), (pick.time.ns, pick.resource_id.id))
    return found
