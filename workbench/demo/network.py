"""A generated network sequence: records, stations and the truth behind them.

Everything in it is invented and says so: network code ``XX`` (which FDSN keeps
for tests), stations ``GEN01`` and so on, and a truth whose ids and comments
call it generated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from obspy import Inventory, Stream, Trace, UTCDateTime
from obspy.core.event import (
    Arrival,
    Catalog,
    Comment,
    Event,
    Magnitude,
    Origin,
    Pick,
    WaveformStreamID,
)
from obspy.core.inventory import Channel, Network, Response, Site, Station

from workbench.identifiers import public_id
from workbench.maths.geodesy import distance_azimuth, from_plane
from workbench.maths.layered import Layers
from workbench.maths.synthetic import arrival, corner_frequency, noise, radiation
from workbench.velocity import VelocityModel

__all__ = ["MODEL", "Sequence", "network_sequence"]

Floats = npt.NDArray[np.float64]

MODEL = VelocityModel(
    depth_km=(0.0, 3.0, 10.0, 22.0, 35.0),
    vp_km_s=(4.6, 5.6, 6.1, 6.7, 8.0),
    vs_km_s=(2.6, 3.2, 3.5, 3.8, 4.5),
)
"""The velocity model in which the rays are traced: a common continental crust."""

_CENTRE = (42.0, 13.0)
_COUNTS_PER_M_S = 6.0e8
_POLES = (-0.037 + 0.037j, -0.037 - 0.037j)
"""Of a 120 s broadband sensor, rad/s; with two zeros at the origin."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """What `network_sequence` makes.

    Attributes
    ----------
    waveforms : Stream
        Three components a station, counts (int32).
    stations : Inventory
        With response.
    truth : Catalog
        Origins, local magnitudes, and arrival times at each station.
    velocity_model : VelocityModel
        The one in which the rays were traced.
    """

    waveforms: Stream
    stations: Inventory
    truth: Catalog
    velocity_model: VelocityModel


def network_sequence(
    *,
    seed: int = 1,
    n_stations: int = 12,
    n_events: int = 5,
    duration_s: float = 600.0,
    rate: float = 100.0,
    aperture_km: float = 60.0,
    start: str = "2024-01-01T00:00:00",
    magnitudes: tuple[float, float] = (1.5, 3.0),
    part: int = 0,
) -> Sequence:
    """Generate the records of some earthquakes on a network.

    Parameters
    ----------
    seed : int
        The same seed gives the same samples.
    n_stations, n_events : int
        Events are spread over the duration, a minute away from both ends.
    duration_s, rate : float
        Length in seconds and samples a second.
    aperture_km : float
        Diameter of the network; epicentres lie within its inner half.
    start : str
        Time of the first sample, UTC.
    magnitudes : tuple of float
        Smallest and largest local magnitude.  The first event is the largest.
    part : int
        Each has the same stations, and other noise and earthquakes.

    Returns
    -------
    Sequence

    Examples
    --------
    >>> made = network_sequence(n_stations=3, n_events=1, duration_s=150.0)
    >>> len(made.waveforms), made.truth[0].magnitudes[0].mag
    (9, 3.0)
    """
    random = np.random.default_rng(seed)
    begin = UTCDateTime(start)
    n = round(duration_s * rate)
    sites = _sites(random, n_stations, aperture_km)
    ground = np.zeros((n_stations, 3, n))
    level = 10 ** random.uniform(-7.6, -7.0, n_stations)
    if part:
        random = np.random.default_rng([seed, part])
    for i in range(n_stations):
        for c in range(3):
            ground[i, c] = noise(n, rate, level[i], 4e-7, random)
    truth = Catalog(
        resource_id=public_id("catalog", "generated", seed, n_events, duration_s, *([part] if part else []))
    )
    spacing = max(duration_s - 120.0, 0.0) / max(n_events, 1)
    for number in range(n_events):
        at = 60.0 + (number + random.uniform(0.0, 0.7)) * spacing
        reach, turn = aperture_km / 4 * math.sqrt(random.uniform()), random.uniform(0, 2 * math.pi)
        x, y = reach * math.sin(turn), reach * math.cos(turn)
        depth = random.uniform(4.0, 14.0)
        low, high = magnitudes
        magnitude = high if number == 0 else round(low + (high - low) * random.uniform() ** 2, 1)
        latitude, longitude = (float(v) for v in from_plane(x, y, *_CENTRE))
        source = _Source(at, latitude, longitude, depth, magnitude)
        rays = _Rays.of(source, sites)
        first, made = _records(source, rays, n, rate, random)
        ground[:, :, first : first + made.shape[2]] += made
        truth.append(_event(source, rays, sites, begin))
    waveforms = Stream()
    for i, site in enumerate(sites):
        for c, component in enumerate("ZNE"):
            waveforms.append(_trace(ground[i, c], site.code, component, rate, begin))
    return Sequence(waveforms, _inventory(sites, rate), truth, MODEL)


@dataclass(frozen=True, slots=True)
class _Site:
    code: str
    latitude: float
    longitude: float
    elevation_m: float


@dataclass(frozen=True, slots=True)
class _Source:
    at_s: float
    latitude: float
    longitude: float
    depth_km: float
    magnitude: float


@dataclass(frozen=True, slots=True)
class _Rays:
    """Of one source to all stations; each array has the shape (n_stations,)."""

    distance: Floats
    azimuth: Floats
    hypocentral: Floats
    time: dict[str, Floats]
    slowness: dict[str, Floats]
    takeoff: dict[str, Floats]

    @classmethod
    def of(cls, source: _Source, sites: list[_Site]) -> _Rays:
        distance, azimuth = distance_azimuth(
            source.latitude,
            source.longitude,
            np.array([site.latitude for site in sites]),
            np.array([site.longitude for site in sites]),
        )
        receiver = np.array([-site.elevation_m / 1000 for site in sites])
        found = {
            "P": Layers.of(MODEL, "P").arrivals(source.depth_km, receiver, distance),
            "S": Layers.of(MODEL, "S").arrivals(source.depth_km, receiver, distance),
        }
        return cls(
            distance,
            azimuth,
            np.hypot(distance, source.depth_km - receiver),
            {phase: f[0] for phase, f in found.items()},
            {phase: f[1] for phase, f in found.items()},
            {phase: f[3] for phase, f in found.items()},
        )


def _sites(random: np.random.Generator, n_stations: int, aperture_km: float) -> list[_Site]:
    """Place stations on a spiral, which is even and has no symmetry."""
    sites = []
    for i in range(n_stations):
        reach = aperture_km / 2 * math.sqrt((i + 0.5) / n_stations)
        turn = math.radians(137.508 * i) + random.uniform(-0.2, 0.2)
        latitude, longitude = from_plane(reach * math.sin(turn), reach * math.cos(turn), *_CENTRE)
        height = float(random.integers(50, 1500))
        sites.append(_Site(f"GEN{i + 1:02d}", float(latitude), float(longitude), height))
    return sites


def _records(
    source: _Source, rays: _Rays, n: int, rate: float, random: np.random.Generator
) -> tuple[int, Floats]:
    """Ground velocity in m/s, scaled so that the median local magnitude is the source's.

    Returns the number of the first sample, and the samples from there on.
    """
    strike, dip, rake = random.uniform(0, 360), random.uniform(40, 90), random.uniform(-180, 180)
    corner = corner_frequency(source.magnitude)
    vp, vs = MODEL.vp_km_s[0], MODEL.vs_km_s[0]
    assert vs is not None
    first = max(0, int((source.at_s - 1) * rate))
    # Two minutes after the last S nothing is left of the coda.
    length = min(n - first, int((rays.time["S"].max() + 120) * rate))
    out = np.zeros((rays.distance.size, 3, length))
    for i in range(rays.distance.size):
        azimuth = float(rays.azimuth[i])
        back = math.radians(azimuth)
        of_p, _, _ = radiation(strike, dip, rake, azimuth, float(rays.takeoff["P"][i]))
        _, of_sv, of_sh = radiation(strike, dip, rake, azimuth, float(rays.takeoff["S"][i]))
        # Real radiation patterns are blurred by scattering: nodes are never empty.
        of_p, of_sv, of_sh = (math.copysign(max(abs(x), 0.2), x) for x in (of_p, of_sv, of_sh))
        for phase, velocity, amplitude in (("P", vp, of_p), ("S", vs, math.hypot(of_sv, of_sh))):
            incidence = math.asin(min(float(rays.slowness[phase][i]) * velocity, 1.0))
            if phase == "P":
                up, away, across = math.cos(incidence), math.sin(incidence), 0.0
            else:
                share = of_sv / amplitude
                up, away = -share * math.sin(incidence), share * math.cos(incidence)
                across = of_sh / amplitude
            motion = np.array(
                [
                    up,
                    away * math.cos(back) - across * math.sin(back),
                    away * math.sin(back) + across * math.cos(back),
                ]
            )
            # P is weaker than S by the cube of the velocity ratio; Q about 200 and 150.
            strength = abs(amplitude) * (0.2 if phase == "P" else 1.0) / float(rays.hypocentral[i])
            time = float(rays.time[phase][i])
            quality = 200.0 if phase == "P" else 150.0
            effective = 1 / (1 / corner + math.pi * time / quality)
            out[i] += arrival(
                length,
                rate,
                source.at_s + time - first / rate,
                effective,
                math.copysign(strength, amplitude) * motion,
                coda=(0.5, 0.3, 0.3) if phase == "P" else (0.3, 0.5, 0.5),
                coda_s=1.5 + 0.25 * time if phase == "P" else 2.5 + 0.4 * time,
                random=random,
            )
    r = rays.hypocentral
    correction = 1.110 * np.log10(r / 100) + 0.00189 * (r - 100) + 3.0
    amplitude_mm = np.abs(_wood_anderson(out[:, 1:], rate)).max(axis=2) * 1000
    is_now = np.median(np.log10(amplitude_mm) + correction[:, None])
    return first, out * 10 ** (source.magnitude - is_now)


def _wood_anderson(velocity: Floats, rate: float) -> Floats:
    """Return what a Wood-Anderson seismometer (2080, 0.8 s, 0.7) writes, m."""
    size = 1 << velocity.shape[-1].bit_length()
    s = 2j * np.pi * np.fft.rfftfreq(size, 1 / rate)
    omega = 2 * np.pi / 0.8
    # From velocity there is one zero at the origin less than from displacement.
    transfer = 2080 * s / (s * s + 2 * 0.7 * omega * s + omega * omega)
    return np.fft.irfft(np.fft.rfft(velocity, size) * transfer, size)[..., : velocity.shape[-1]]


def _trace(ground: Floats, code: str, component: str, rate: float, begin: UTCDateTime) -> Trace:
    size = 1 << ground.size.bit_length()
    s = 2j * np.pi * np.fft.rfftfreq(size, 1 / rate)
    transfer = s * s / ((s - _POLES[0]) * (s - _POLES[1]))
    counts = np.fft.irfft(np.fft.rfft(ground, size) * transfer, size)[: ground.size] * _COUNTS_PER_M_S
    header = {
        "network": "XX",
        "station": code,
        "location": "00",
        "channel": f"HH{component}",
        "starttime": begin,
        "sampling_rate": rate,
    }
    return Trace(np.rint(counts).astype(np.int32), header)


def _inventory(sites: list[_Site], rate: float) -> Inventory:
    stations = []
    for site in sites:
        where = {
            "latitude": site.latitude,
            "longitude": site.longitude,
            "elevation": site.elevation_m,
        }
        channels = []
        for component, azimuth, dip in (("Z", 0.0, -90.0), ("N", 0.0, 0.0), ("E", 90.0, 0.0)):
            response = Response.from_paz(
                zeros=[0j, 0j],
                poles=list(_POLES),
                stage_gain=_COUNTS_PER_M_S,
                stage_gain_frequency=1.0,
                input_units="M/S",
                output_units="COUNTS",
                normalization_frequency=1.0,
                normalization_factor=abs(np.prod([2j * np.pi - pole for pole in _POLES]) / (2j * np.pi) ** 2),
            )
            channels.append(
                Channel(
                    f"HH{component}",
                    "00",
                    depth=0.0,
                    azimuth=azimuth,
                    dip=dip,
                    sample_rate=rate,
                    start_date=UTCDateTime(2000, 1, 1),
                    response=response,
                    **where,
                )
            )
        stations.append(
            Station(
                site.code,
                channels=channels,
                site=Site(f"Generated station {site.code}"),
                start_date=UTCDateTime(2000, 1, 1),
                **where,
            )
        )
    network = Network("XX", stations=stations, description="Generated network, no real instrument")
    return Inventory([network], source="workbench.demo, generated", created=UTCDateTime(2024, 1, 1))


def _event(source: _Source, rays: _Rays, sites: list[_Site], begin: UTCDateTime) -> Event:
    key = (begin.ns, source.at_s, source.latitude, source.longitude, source.depth_km)
    time = begin + source.at_s
    picks, arrivals = [], []
    for i, site in enumerate(sites):
        for phase in "PS":
            at = time + float(rays.time[phase][i])
            pick = Pick(
                resource_id=public_id("pick", "generated", *key, site.code, phase),
                time=at,
                waveform_id=WaveformStreamID("XX", site.code, "00", "HHZ" if phase == "P" else "HHN"),
                phase_hint=phase,
            )
            picks.append(pick)
            arrivals.append(
                Arrival(
                    resource_id=public_id("arrival", "generated", *key, site.code, phase),
                    pick_id=pick.resource_id,
                    phase=phase,
                    distance=float(rays.distance[i]) / 111.19492664455873,
                    azimuth=float(rays.azimuth[i]),
                    takeoff_angle=float(rays.takeoff[phase][i]),
                    time_residual=0.0,
                )
            )
    origin = Origin(
        resource_id=public_id("origin", "generated", *key),
        time=time,
        latitude=source.latitude,
        longitude=source.longitude,
        depth=source.depth_km * 1000,
        arrivals=arrivals,
    )
    magnitude = Magnitude(
        resource_id=public_id("magnitude", "generated", *key),
        mag=source.magnitude,
        magnitude_type="ML",
        origin_id=origin.resource_id,
    )
    comment = Comment(
        resource_id=public_id("comment", "generated", *key),
        text="Generated: the truth behind a synthetic sequence, not an earthquake.",
    )
    event = Event(
        resource_id=public_id("event", "generated", *key),
        picks=picks,
        origins=[origin],
        magnitudes=[magnitude],
        comments=[comment],
    )
    event.preferred_origin_id = origin.resource_id
    event.preferred_magnitude_id = magnitude.resource_id
    return event
