"""QuakeML elements with publicIDs that follow from what they are made of.

What is made of other elements (an arrival, an origin) takes its id from theirs
and from the settings, not from computed numbers, whose last digit may differ
from one processor to the next.  Elements of the input keep their ids.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from obspy import UTCDateTime
from obspy.core.event import (
    Arrival,
    Comment,
    ConfidenceEllipsoid,
    Origin,
    OriginQuality,
    OriginUncertainty,
    Pick,
    QuantityError,
    ResourceIdentifier,
    WaveformStreamID,
)

from workbench.identifiers import public_id
from workbench.kernels._phases import number, seed_id, text
from workbench.maths.ellipsoid import ellipse, ellipsoid
from workbench.maths.geiger import Location
from workbench.maths.settle import degrees_per_km
from workbench.nouns import Events, Picks, VelocityModel
from workbench.preferred import preferred_origin

__all__ = [
    "KM_PER_DEGREE",
    "earth_model",
    "flatten",
    "method",
    "origin",
    "pick",
    "pick_id",
]

KM_PER_DEGREE = 6371.0 * math.pi / 180
"""Of a great circle; QuakeML gives distances to stations in degrees."""

_POLARITY = {
    "positive": "positive",
    "up": "positive",
    "u": "positive",
    "c": "positive",
    "+": "positive",
    "1": "positive",
    "negative": "negative",
    "down": "negative",
    "d": "negative",
    "-": "negative",
    "-1": "negative",
    "undecidable": "undecidable",
}
_ONSET = {"impulsive": "impulsive", "i": "impulsive", "emergent": "emergent", "e": "emergent"}
_PROBABILITY = "probability "
"""Begins the comment that keeps what QuakeML has no place for."""


def pick(row: Any) -> Pick:
    """Make a QuakeML pick of a row of `Picks`.

    The column ``pick``, if there is one, is the publicID; without it the id
    follows from channel, phase and time, so that the same pick has the same id
    wherever it turns up.
    """
    time = UTCDateTime(ns=int(row.time.value))
    name = pick_id(row)
    uncertainty = number(row, "uncertainty_s")
    probability = number(row, "probability")
    comments = []
    if probability is not None:
        comments.append(
            Comment(
                text=f"{_PROBABILITY}{probability:.6g}",
                resource_id=public_id("comment", name.id, "probability"),
            )
        )
    return Pick(
        resource_id=name,
        time=time,
        time_errors=QuantityError(uncertainty=uncertainty),
        waveform_id=WaveformStreamID(
            network_code=row.network,
            station_code=row.station,
            location_code=row.location or None,
            channel_code=row.channel or None,
        ),
        phase_hint=row.phase or None,
        polarity=_POLARITY.get(text(row, "polarity").strip().lower()),
        onset=_ONSET.get(text(row, "onset").strip().lower()),
        evaluation_mode="manual" if text(row, "mode") == "manual" else "automatic",
        comments=comments,
    )


def pick_id(row: Any) -> ResourceIdentifier:
    """Return the publicID that `pick` gives to a row."""
    own = text(row, "pick")
    return ResourceIdentifier(own) if own else public_id("pick", seed_id(row), row.phase, int(row.time.value))


def flatten(events: Events) -> Picks:
    """Make rows of `Picks` from the picks of events.

    The columns ``event`` and ``pick`` hold the publicIDs.  A pick without a
    phase takes it from the arrival of the preferred origin.
    """
    rows = []
    for event in events:
        origin = preferred_origin(event)
        phases = {arrival.pick_id.id: arrival.phase for arrival in (origin.arrivals if origin else ())}
        for item in event.picks:
            if item.time is None or item.waveform_id is None:
                continue
            channel = item.waveform_id
            rows.append(
                {
                    "network": channel.network_code,
                    "station": channel.station_code,
                    "location": channel.location_code,
                    "channel": channel.channel_code,
                    "phase": item.phase_hint or phases.get(item.resource_id.id),
                    "time": np.datetime64(item.time.ns, "ns"),
                    "probability": _probability(item),
                    "uncertainty_s": _uncertainty(item.time_errors),
                    "polarity": item.polarity or "",
                    "onset": item.onset or "",
                    "mode": item.evaluation_mode or "",
                    "event": event.resource_id.id,
                    "pick": item.resource_id.id,
                }
            )
    return Picks(rows)


def _probability(item: Pick) -> float:
    said = [c.text for c in item.comments if c.text and c.text.startswith(_PROBABILITY)]
    try:
        return float(said[0].removeprefix(_PROBABILITY)) if said else math.nan
    except ValueError:
        return math.nan


def _uncertainty(errors: QuantityError | None) -> float:
    if errors is None:
        return math.nan
    if errors.uncertainty is not None:
        return float(errors.uncertainty)
    sides = [side for side in (errors.lower_uncertainty, errors.upper_uncertainty) if side is not None]
    return float(np.mean(sides)) if sides else math.nan


def method(name: str) -> ResourceIdentifier:
    """Return the id of a method of ours: ``locators.geiger``."""
    return ResourceIdentifier(f"smi:workbench/method/{name}")


def earth_model(model: VelocityModel) -> ResourceIdentifier:
    """Return the id of a velocity model: its name, or what follows from its rows."""
    if model.name:
        return ResourceIdentifier(f"smi:workbench/earth_model/{model.name}")
    return public_id("earth_model", model.depth_km, model.vp_km_s, model.vs_km_s, model.interpolation)


def origin(
    location: Location,
    reference: UTCDateTime,
    picks: Sequence[Pick],
    phases: Sequence[Literal["P", "S"] | str],
    *,
    model: VelocityModel,
    method_name: str,
    content: Sequence[object],
    associated: tuple[int, int],
    confidence: float = 0.68,
) -> Origin:
    """Make an origin with its arrivals from a location.

    Parameters
    ----------
    location : Location
    reference : UTCDateTime
        What the location's times count from.
    picks, phases : sequence
        The pick and the phase of each arrival, in the order of the location's.
    model : VelocityModel
    method_name : str
        For example ``locators.geiger``.
    content : sequence
        What the origin follows from besides its picks: event, settings.
    associated : tuple of int
        How many phases and how many stations the event has, used or not.
    confidence : float
        Probability that the ellipse and the ellipsoid hold the truth.
    """
    ids = sorted(item.resource_id.id for item in picks)
    earth = earth_model(model)
    name = public_id("origin", method_name, earth.id, *content, *ids)
    east, north = degrees_per_km(location.latitude)
    errors = np.sqrt(np.maximum(np.diag(location.covariance), 0.0))
    depth_error = (
        QuantityError(uncertainty=_rounded(errors[2] * 1000, 2)) if errors[2] > 0 else QuantityError()
    )
    return Origin(
        resource_id=name,
        time=UTCDateTime(ns=reference.ns + round(location.time * 1e6) * 1000),
        time_errors=QuantityError(uncertainty=_rounded(errors[3], 6)),
        latitude=_rounded(location.latitude, 7),
        latitude_errors=QuantityError(uncertainty=_rounded(errors[1] * north, 7)),
        longitude=_rounded(location.longitude, 7),
        longitude_errors=QuantityError(uncertainty=_rounded(errors[0] * east, 7)),
        depth=_rounded(location.depth_km * 1000, 2),
        depth_errors=depth_error,
        depth_type="operator assigned" if location.depth_fixed else "from location",
        time_fixed=False,
        epicenter_fixed=False,
        method_id=method(method_name),
        earth_model_id=earth,
        origin_type="hypocenter",
        evaluation_mode="automatic",
        quality=_quality(location, picks, associated),
        origin_uncertainty=_shape(location, confidence),
        arrivals=[
            Arrival(
                resource_id=public_id("arrival", name.id, item.resource_id.id),
                pick_id=ResourceIdentifier(item.resource_id.id),
                phase=phase,
                azimuth=_rounded(location.azimuth[i], 4),
                distance=_rounded(location.distance_km[i] / KM_PER_DEGREE, 7),
                takeoff_angle=_rounded(location.takeoff[i], 4),
                time_residual=_rounded(location.residual[i], 6),
                time_weight=_rounded(location.weight[i], 6),
                earth_model_id=earth,
            )
            for i, (item, phase) in enumerate(zip(picks, phases, strict=True))
        ],
    )


def _quality(location: Location, picks: Sequence[Pick], associated: tuple[int, int]) -> OriginQuality:
    used = location.weight > 0
    distance = np.round(location.distance_km[used] / KM_PER_DEGREE, 7)
    codes = {
        (item.waveform_id.network_code, item.waveform_id.station_code)
        for item, is_used in zip(picks, used, strict=True)
        if is_used
    }
    return OriginQuality(
        associated_phase_count=associated[0],
        used_phase_count=int(used.sum()),
        associated_station_count=associated[1],
        used_station_count=len(codes),
        depth_phase_count=0,
        standard_error=_rounded(location.rms, 6),
        azimuthal_gap=_rounded(location.gap, 4),
        secondary_azimuthal_gap=_rounded(location.secondary_gap, 4),
        minimum_distance=_rounded(distance.min(), 7),
        maximum_distance=_rounded(distance.max(), 7),
        median_distance=_rounded(np.median(np.unique(distance)), 7),
    )


def _shape(location: Location, confidence: float) -> OriginUncertainty:
    flat = ellipse(location.covariance, confidence)
    shape = OriginUncertainty(
        max_horizontal_uncertainty=_rounded(flat.major * 1000, 2),
        min_horizontal_uncertainty=_rounded(flat.minor * 1000, 2),
        azimuth_max_horizontal_uncertainty=flat.azimuth,
        preferred_description="uncertainty ellipse",
        confidence_level=100 * confidence,
    )
    if not location.depth_fixed:
        whole = ellipsoid(location.covariance, confidence)
        shape.preferred_description = "confidence ellipsoid"
        shape.confidence_ellipsoid = ConfidenceEllipsoid(
            semi_major_axis_length=_rounded(whole.major * 1000, 2),
            semi_intermediate_axis_length=_rounded(whole.intermediate * 1000, 2),
            semi_minor_axis_length=_rounded(whole.minor * 1000, 2),
            major_axis_plunge=whole.plunge,
            major_axis_azimuth=whole.azimuth,
            major_axis_rotation=whole.rotation,
        )
    return shape


def _rounded(value: float, digits: int) -> float:
    """Drop digits far below the error, which differ from one processor to the next."""
    return float(round(float(value), digits))
