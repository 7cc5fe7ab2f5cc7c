"""Local magnitudes of channels put together, and written as QuakeML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from obspy import UTCDateTime
from obspy.core.event import (
    Amplitude,
    Comment,
    Event,
    Magnitude,
    Origin,
    QuantityError,
    ResourceIdentifier,
    StationMagnitude,
    StationMagnitudeContribution,
    TimeWindow,
    WaveformStreamID,
)

from workbench.errors import InvalidSetting
from workbench.identifiers import public_id
from workbench.kernels._deflections import Deflection, Seismograph
from workbench.kernels._quakeml import method
from workbench.maths import attenuation
from workbench.maths.geodesy import azimuth_gaps
from workbench.notices import notice
from workbench.preferred import preferred_magnitude

__all__ = ["Reading", "Scale", "put"]

_SPREAD = 1.4826
"""Standard deviation over median absolute deviation, for normal errors."""

_REVIEWED = frozenset({"confirmed", "reviewed", "final", "reported"})


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale of local magnitude.

    Attributes
    ----------
    name : {'HB87', 'IASPEI', 'table'}
    table : tuple
        Pairs of distance and -log10 A0, empty for the others.
    gain : float
        Of the Wood-Anderson.
    """

    name: Literal["HB87", "IASPEI", "table"]
    table: tuple[tuple[float, float], ...]
    gain: float

    @classmethod
    def of(
        cls,
        kernel: str,
        name: Literal["HB87", "IASPEI", "table"],
        table: tuple[tuple[float, float], ...] | None,
        gain: float,
    ) -> Scale:
        """Check the settings.

        Raises
        ------
        InvalidSetting
        """
        if (name == "table") != (table is not None):
            raise InvalidSetting(
                kernel,
                f"scale is '{name}', but {'there is no' if table is None else 'there is a'} table",
                "Give scale 'table' and the table, or neither.",
            )
        distances = [distance for distance, _ in table or ()]
        if table is not None and (len(table) < 2 or distances != sorted(set(distances))):
            raise InvalidSetting(
                kernel,
                "the table does not have two rows or more with growing distances",
                "Give pairs of distance in km and -log10 A0.",
            )
        return cls(name, table or (), gain)

    def correction(self, distance_km: float) -> float:
        """Return -log10 A0 at a hypocentral distance; NaN outside a table."""
        if self.name == "HB87":
            return float(attenuation.hutton_boore(distance_km))
        if self.name == "IASPEI":
            return float(attenuation.iaspei(distance_km))
        return float(attenuation.tabulated(distance_km, self.table))

    def magnitude(self, amplitude_mm: float, correction: float) -> float:
        """Return the magnitude of an amplitude on the record.

        Examples
        --------
        >>> law = Scale("HB87", (), 2080.0)
        >>> law.magnitude(1.0, law.correction(100.0))
        3.0
        """
        amplitude = amplitude_mm * 1e6 / self.gain if self.name == "IASPEI" else amplitude_mm
        return float(np.log10(amplitude)) + correction


@dataclass(frozen=True, slots=True)
class Reading:
    """The magnitude of a channel.

    Attributes
    ----------
    deflection : Deflection
    magnitude : float
    distance_km : float
        Hypocentral.
    azimuth : float
        From the epicentre, degrees.
    pick : str or None
        publicID of the S pick that said where to look.
    """

    deflection: Deflection
    magnitude: float
    distance_km: float
    azimuth: float
    pick: str | None

    @property
    def station(self) -> str:
        """``NET.STA``."""
        return ".".join(self.deflection.id.split(".")[:2])


def put(
    event: Event,
    origin: Origin,
    readings: Sequence[Reading],
    scale: Scale,
    seismograph: Seismograph,
    min_stations: int,
    content: Sequence[object],
) -> None:
    """Add amplitudes, station magnitudes and the magnitude to an event.

    Elements that an earlier run with the same settings has put there are replaced.

    Parameters
    ----------
    event, origin : Event, Origin
        The event to add to, and its origin.
    readings : sequence of Reading
    scale : Scale
    seismograph : Seismograph
    min_stations : int
        Fewer give no magnitude.
    content : sequence
        The settings that the ids follow from.
    """
    by_station: dict[str, list[Reading]] = {}
    for reading in sorted(readings, key=lambda reading: reading.deflection.id):
        by_station.setdefault(reading.station, []).append(reading)
    of_stations = np.array([np.mean([own.magnitude for own in all_]) for all_ in by_station.values()])
    if len(by_station) < min_stations:
        notice(
            event.resource_id.id,
            f"has amplitudes at {len(by_station)} stations",
            f"It gets no magnitude: min_stations is {min_stations}.",
            loss=False,
        )
    origin_id = origin.resource_id.id
    how = method(f"magnitudes.local/{scale.name}")
    magnitude_id = public_id("magnitude", "ML", origin_id, *content)
    value = float(np.median(of_stations)) if len(of_stations) else np.nan
    amplitudes, stations, contributions = [], [], []
    for own in by_station.values():
        for reading in own:
            amplitude = _amplitude(reading, origin_id, scale, seismograph, content)
            station = StationMagnitude(
                resource_id=public_id("station_magnitude", amplitude.resource_id.id, *content),
                origin_id=ResourceIdentifier(origin_id),
                mag=reading.magnitude,
                station_magnitude_type="ML",
                amplitude_id=ResourceIdentifier(amplitude.resource_id.id),
                method_id=how,
                waveform_id=_stream(reading.deflection.id),
            )
            amplitudes.append(amplitude)
            stations.append(station)
            contributions.append(
                StationMagnitudeContribution(
                    station_magnitude_id=ResourceIdentifier(station.resource_id.id),
                    residual=reading.magnitude - value,
                    weight=1 / len(own),
                )
            )
    _replace(event.amplitudes, amplitudes)
    _replace(event.station_magnitudes, stations)
    if len(by_station) < max(min_stations, 1):
        return
    spread = _SPREAD * float(np.median(np.abs(of_stations - value)))
    magnitude = Magnitude(
        resource_id=magnitude_id,
        mag=value,
        mag_errors=QuantityError(uncertainty=spread) if len(of_stations) > 1 else QuantityError(),
        magnitude_type="ML",
        origin_id=ResourceIdentifier(origin_id),
        method_id=how,
        station_count=len(by_station),
        azimuthal_gap=azimuth_gaps([own[0].azimuth for own in by_station.values()])[0],
        evaluation_mode="automatic",
        station_magnitude_contributions=contributions,
        comments=[
            Comment(
                text=f"Median of the stations, each the mean of its horizontals. {_instrument(seismograph)}",
                resource_id=public_id("comment", magnitude_id.id),
            )
        ],
    )
    _replace(event.magnitudes, [magnitude])
    preferred = preferred_magnitude(event)
    if preferred is None or not _is_reviewed(preferred):
        event.preferred_magnitude_id = ResourceIdentifier(magnitude_id.id, referred_object=magnitude)


def _amplitude(
    reading: Reading, origin_id: str, scale: Scale, seismograph: Seismograph, content: Sequence[object]
) -> Amplitude:
    swing = reading.deflection
    name = public_id("amplitude", "AML", origin_id, swing.id, *content)
    time = UTCDateTime(ns=swing.time)
    return Amplitude(
        resource_id=name,
        generic_amplitude=swing.amplitude / 1000,
        type="AML",
        category="point",
        unit="m",
        method_id=method("waveforms.wood_anderson"),
        period=swing.period,
        snr=swing.snr,
        time_window=TimeWindow(
            begin=time - UTCDateTime(ns=swing.start), end=UTCDateTime(ns=swing.end) - time, reference=time
        ),
        pick_id=ResourceIdentifier(reading.pick) if reading.pick else None,
        waveform_id=_stream(swing.id),
        scaling_time=time,
        magnitude_hint="ML",
        evaluation_mode="automatic",
        comments=[
            Comment(
                text=f"Half of the peak-to-peak amplitude on the record. {_instrument(seismograph)}",
                resource_id=public_id("comment", name.id),
            )
        ],
    )


def _instrument(seismograph: Seismograph) -> str:
    return (
        f"Wood-Anderson of gain {seismograph.gain:g}, period {seismograph.period:g} s, "
        f"damping {seismograph.damping:g}, above {seismograph.removal.freqmin:g} Hz."
    )


def _stream(seed_id: str) -> WaveformStreamID:
    network, station, location, channel = seed_id.split(".")
    return WaveformStreamID(network, station, location or None, channel)


def _replace(known: list[object], new: Sequence[object]) -> None:
    """Add elements, in place of those with the same ids."""
    ids = {element.resource_id.id for element in new}  # type: ignore[attr-defined]
    known[:] = [element for element in known if element.resource_id.id not in ids]  # type: ignore[attr-defined]
    known.extend(new)


def _is_reviewed(magnitude: Magnitude) -> bool:
    return magnitude.evaluation_mode == "manual" or magnitude.evaluation_status in _REVIEWED
