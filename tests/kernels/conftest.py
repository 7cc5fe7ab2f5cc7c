"""How kernels are cut in time, and instruments, networks and earthquakes that are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
from obspy import Inventory, Stream, Trace, UTCDateTime
from obspy.core.event import Catalog, Event, Origin, ResourceIdentifier
from obspy.core.inventory import (
    Channel,
    InstrumentSensitivity,
    Network,
    PolesZerosResponseStage,
    Response,
    Station,
)

from workbench.errors import NoData
from workbench.kernel import Kernel
from workbench.kernels.magnitudes import local
from workbench.maths.attenuation import hutton_boore
from workbench.maths.geodesy import distance_azimuth, from_plane
from workbench.notices import listen
from workbench.wire.clip import clip
from workbench.wire.packed import pack
from workbench.wire.together import together


@pytest.fixture(scope="session")
def pieced() -> Callable[..., Any]:
    """Run a kernel over windows of its waveforms, each with the lead and trail that it declares.

    Returns what each window keeps of its own result, put together.
    """

    def run(kernel: Kernel, stream: Stream, edges: list[UTCDateTime], *data: Any, **values: Any) -> Any:
        settings = kernel.validate(values)
        lead, trail = kernel.lead(settings), kernel.trail(settings)
        parts = []
        for start, end in pairwise(edges):
            part = stream.slice(start - lead, end + trail)
            with listen(), suppress(NoData):
                parts.append(pack(clip(kernel(part, *data, **values), start.ns, end.ns)))
        return together(kernel.outputs[0].noun, parts, grid=round(kernel.grid(settings) * 1e9))

    return run


@pytest.fixture(scope="session")
def bursts() -> Callable[..., Stream]:
    """Make a network that records noise, and bursts that decay, at known times."""

    def make(
        onsets: list[float],
        *,
        seconds: float = 300.0,
        stations: int = 4,
        rate: float = 50.0,
        delay: float = 0.4,
        components: str = "Z",
        seed: int = 0,
        amplitude: float = 3000.0,
        offset: int = 12_345,
    ) -> Stream:
        rng = np.random.default_rng(seed)
        time = np.arange(math.ceil(seconds * rate)) / rate
        stream = Stream()
        for number in range(stations):
            for component in components:
                data = rng.normal(0, 50, len(time)) + offset
                for onset in onsets:
                    since = time - onset - delay * number
                    wave = rng.normal(0, 1, len(time)) * np.exp(-since.clip(0) / 1.5)
                    data += amplitude * wave * (since >= 0)
                header = {
                    "network": "XX",
                    "station": f"S{number}",
                    "channel": f"HH{component}",
                    "sampling_rate": rate,
                    "starttime": UTCDateTime(2020, 1, 1),
                }
                stream.append(Trace(np.round(data).astype(np.int32), header))
        return stream

    return make


SENSORS = {
    "broadband": ("M/S", 1, [0j, 0j], [-0.037 + 0.037j, -0.037 - 0.037j, -500.0 + 0j]),
    "short-period": ("M/S", 1, [0j, 0j], [-4.44 + 4.44j, -4.44 - 4.44j]),
    "accelerometer": ("M/S**2", 2, [], [-1000.0 + 1000.0j, -1000.0 - 1000.0j]),
}
"""Input unit, derivatives of displacement in it, zeros and poles in rad/s."""


def even(sensor: str) -> float:
    """Return the factor that makes the gain 1 at 5 Hz."""
    _, _, zeros, poles = SENSORS[sensor]
    s = 2j * np.pi * 5.0
    return float(abs(np.prod([s - pole for pole in poles]) / np.prod([s - zero for zero in zeros] or [1.0])))


@pytest.fixture(scope="session")
def inventory() -> Callable[..., Inventory]:
    """Describe channels, given as SEED ids, that have one instrument."""

    def make(
        *ids: str,
        sensor: str = "broadband",
        gain: float = 1e9,
        unit: str = "",
        rate: float = 100.0,
        latitude: float = 40.0,
        longitude: float = 20.0,
        elevation: float = 0.0,
        start: str | None = None,
        end: str | None = None,
    ) -> Inventory:
        networks: dict[str, dict[str, list[Channel]]] = {}
        for name in ids:
            network, station, location, code = name.split(".")
            units = unit or SENSORS[sensor][0]
            response = Response(
                instrument_sensitivity=InstrumentSensitivity(gain, 5.0, units, "COUNTS"),
                response_stages=[
                    PolesZerosResponseStage(
                        1,
                        gain,
                        5.0,
                        units,
                        "COUNTS",
                        "LAPLACE (RADIANS/SECOND)",
                        5.0,
                        SENSORS[sensor][2],
                        SENSORS[sensor][3],
                        normalization_factor=even(sensor),
                    )
                ],
            )
            channel = Channel(
                code,
                location,
                latitude,
                longitude,
                elevation,
                0.0,
                dip=-90.0 if code.endswith("Z") else 0.0,
                sample_rate=rate,
                start_date=UTCDateTime(start) if start else None,
                end_date=UTCDateTime(end) if end else None,
                response=response,
            )
            networks.setdefault(network, {}).setdefault(station, []).append(channel)
        return Inventory(
            [
                Network(
                    network,
                    [
                        Station(station, latitude, longitude, elevation, channels=channels)
                        for station, channels in stations.items()
                    ],
                )
                for network, stations in networks.items()
            ]
        )

    return make


@pytest.fixture(scope="session")
def recorded() -> Callable[..., np.ndarray[Any, Any]]:
    """Record a ground displacement in m with a sensor: counts, exact in the frequency domain."""

    def record(
        displacement: np.ndarray[Any, Any], rate: float, sensor: str = "broadband", gain: float = 1e9
    ) -> np.ndarray[Any, Any]:
        _, derivatives, zeros, poles = SENSORS[sensor]
        padded = 4 * len(displacement)
        s = 2j * np.pi * np.fft.rfftfreq(padded, 1 / rate)
        response = gain * even(sensor) * s**derivatives
        for zero in zeros:
            response = response * (s - zero)
        for pole in poles:
            response = response / (s - pole)
        return np.fft.irfft(np.fft.rfft(displacement, padded) * response, padded)[: len(displacement)]

    return record


class Quakes:
    """Earthquakes of known ML below a network of five stations."""

    origin = UTCDateTime(2020, 1, 1, 0, 0, 40)
    latitude, longitude, depth = 40.0, 20.0, 8.0
    places: ClassVar = {
        "A": (0.0, 30.0),
        "B": (40.0, 0.0),
        "C": (-25.0, -25.0),
        "D": (10.0, -60.0),
        "E": (-50.0, 20.0),
    }
    """East and north of the epicentre, km."""

    def __init__(self, inventory: Callable[..., Inventory], recorded: Callable[..., Any]) -> None:
        self._inventory, self._recorded = inventory, recorded

    def event(self, number: int = 0, after: float = 0.0, **origin: Any) -> Event:
        """Return the located event, or one so many seconds later."""
        values = {"latitude": self.latitude, "longitude": self.longitude, "depth": self.depth * 1000}
        values |= {"time": self.origin + after, **origin}
        name = ResourceIdentifier(f"smi:test/origin/{number}")
        return Event(
            resource_id=ResourceIdentifier(f"smi:test/event/{number}"),
            origins=[Origin(resource_id=name, **values)],
        )

    def measured(
        self, stream: Stream, stations: Inventory, events: Catalog | None = None, **values: Any
    ) -> tuple[Catalog, list[tuple[str, str, bool]]]:
        """Run `magnitudes.local` and return its events, and subject, problem and loss of its notices."""
        with listen() as heard:
            given = Catalog([self.event()]) if events is None else events
            found = local(stream, stations, given, **values)
        return found, [(item.subject, item.problem, item.loss) for item in heard.notices]

    def place(self, name: str) -> tuple[float, float]:
        """Return latitude and longitude of a station."""
        latitude, longitude = from_plane(*self.places[name], self.latitude, self.longitude)
        return float(latitude), float(longitude)

    def away(self, name: str, elevation: float = 0.0) -> float:
        """Return the hypocentral distance of a station, km."""
        flat, _ = distance_azimuth(self.latitude, self.longitude, *self.place(name))
        return float(np.hypot(flat, self.depth + elevation))

    def p(self, name: str) -> UTCDateTime:
        """Return when P begins."""
        return self.origin + self.away(name) / 6.0

    def peak(self, name: str) -> UTCDateTime:
        """Return when S is largest."""
        return self.origin + self.away(name) / 3.5 + 3

    def record(
        self,
        magnitude: float = 3.0,
        names: str = "ABCDE",
        *,
        components: str = "NEZ",
        after: float = 0.0,
        rate: float = 100.0,
        seconds: float = 150.0,
    ) -> tuple[Stream, Inventory]:
        """Return waveforms and stations.

        S is a wave group of 2 Hz, of which the Wood-Anderson would have written
        as many mm as that ML has at that distance; P is a tenth of it.
        """
        rng = np.random.default_rng(5)
        start = self.origin - 40
        time = np.arange(round(seconds * rate)) / rate
        stream, stations = Stream(), Inventory()
        s, free = 2j * np.pi * 2.0, 2 * np.pi * 1.25
        gain = abs(2080 * s**2 / (s**2 + 1.4 * free * s + free**2))
        for name in names:
            metres = 10 ** (magnitude - float(hutton_boore(self.away(name)))) / 1000 / gain
            motion = sum(
                share * np.exp(-(((time - at) / 1.5) ** 2)) * np.cos(2 * np.pi * 2.0 * (time - at))
                for share, at in (
                    (0.1, self.p(name) + 1 - start + after),
                    (1.0, self.peak(name) - start + after),
                )
            )
            for component in components:
                counts = self._recorded(metres * motion, rate) + rng.normal(0, 3, len(time))
                header = {"network": "XX", "station": name, "channel": f"HH{component}"}
                header |= {"sampling_rate": rate, "starttime": start}
                stream.append(Trace(np.round(counts).astype(np.int32), header))
            latitude, longitude = self.place(name)
            ids = [f"XX.{name}..HH{component}" for component in components]
            stations += self._inventory(*ids, latitude=latitude, longitude=longitude, rate=rate)
        return stream, stations


@pytest.fixture(scope="session")
def quakes(inventory: Callable[..., Inventory], recorded: Callable[..., Any]) -> Quakes:
    """Earthquakes of known ML below a network of five stations."""
    return Quakes(inventory, recorded)
