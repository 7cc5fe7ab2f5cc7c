"""Events as bytes: QuakeML first, GeoJSON and a table of the preferred values besides."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from obspy.core.event import Catalog, Event

from workbench.errors import UnreadableFile
from workbench.identifiers import public_id
from workbench.notices import notice
from workbench.nouns import Events, Picks
from workbench.preferred import moment, preferred_magnitude, preferred_origin
from workbench.wire import plugins
from workbench.wire.quiet import quiet
from workbench.wire.sample import Sample
from workbench.wire.times import iso

__all__ = [
    "MEDIA",
    "canonical",
    "encode",
    "fingerprint",
    "guess",
    "in_order",
    "merge",
    "of_picks",
    "read",
    "sniff",
    "to_picks",
]

MEDIA = {
    "application/xml": ".xml",
    "application/geo+json": ".json",
    "text/csv": ".csv",
    "image/png": ".png",
}
"""Media types that events can be written as; the first is the canonical one."""

_COLUMNS = (
    "time",
    "latitude",
    "longitude",
    "depth_km",
    "magnitude",
    "magnitude_type",
    "time_error_s",
    "horizontal_error_km",
    "depth_error_km",
    "rms_s",
    "gap_deg",
    "n_phases",
    "event",
)


def sniff(sample: Sample) -> str | None:
    """Return ``QUAKEML`` if the bytes are that."""
    return "QUAKEML" if sample.root == "quakeml" else None


def guess(sample: Sample) -> str | None:
    """Return the ObsPy format that claims the bytes."""
    return plugins.detect("event", sample.data, skip=frozenset({"QUAKEML", "SC3ML"}))


def read(data: bytes, name: str, form: str) -> Events:
    """Read events.

    Raises
    ------
    UnreadableFile
        If ObsPy cannot.
    """
    events = plugins.read("event", data, form, name)
    if not isinstance(events, Catalog):
        raise UnreadableFile(name, f"holds no events as {form}", "Use QuakeML.")
    return events


def merge(parts: Sequence[tuple[str, Events]]) -> Events:
    """Put catalogues together; an event that is there twice, by publicID, is kept once."""
    if len(parts) == 1:
        return parts[0][1]
    kept: dict[str, Event] = {}
    for name, events in parts:
        for event in events:
            known = kept.setdefault(event.resource_id.id, event)
            if known is not event and known != event:
                notice(
                    event.resource_id.id,
                    f"is another event in {name} than in a file before it",
                    "The first one is kept; give each event its own publicID.",
                )
    return Catalog(list(kept.values()))


def encode(events: Events, media: str) -> bytes:
    """Write events as a media type of `MEDIA`."""
    if media == "application/geo+json":
        return _geojson(events)
    if media == "text/csv":
        return _csv(events)
    if media == "image/png":
        from workbench.plots import epicentres

        return epicentres.events(events)
    return canonical(events)


def canonical(events: Events) -> bytes:
    """Return QuakeML in which nothing but the content decides.

    Events come in the order of their origin times; the catalogue's own
    publicID, which ObsPy draws at random, follows from theirs.
    """
    ordered = in_order(events)
    ids = [event.resource_id.id for event in ordered]
    catalogue = Catalog(
        ordered,
        resource_id=public_id("catalogue", *ids),
        description=events.description,
        comments=events.comments,
        creation_info=events.creation_info,
    )
    out = io.BytesIO()
    with quiet("", tell=False):
        catalogue.write(out, format="QUAKEML", nsmap=dict(getattr(events, "nsmap", {})))
    return out.getvalue()


def fingerprint(events: Events) -> str:
    """Return the SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(events)).hexdigest()


def to_picks(events: Events) -> Picks:
    """Flatten events into rows of picks that name their event."""
    from workbench.kernels._quakeml import flatten

    return flatten(events)


def of_picks(picks: Picks) -> Events:
    """Put rows of picks into events without an origin: one for each value of the column ``event``."""
    from workbench.kernels._quakeml import pick

    groups: dict[str, list[Any]] = {}
    for row in picks:
        groups.setdefault(str(getattr(row, "event", "") or ""), []).append(row)
    events = []
    for label, rows in groups.items():
        made = [pick(row) for row in rows]
        own = label.startswith(("smi:", "quakeml:"))
        name = label if own else public_id("event", label, *(item.resource_id.id for item in made))
        events.append(Event(resource_id=name, picks=made))
    return Catalog(events)


def in_order(events: Iterable[Event]) -> list[Event]:
    """Return events in the one order that they always have: by time, then by publicID."""
    return sorted(events, key=_place)


def _place(event: Event) -> tuple[int, int, str]:
    origin = preferred_origin(event)
    located = origin is not None and origin.time is not None
    return (0 if located else 1, moment(event) or 0, event.resource_id.id)


def _facts(event: Event) -> dict[str, Any]:
    origin, magnitude = preferred_origin(event), preferred_magnitude(event)
    facts: dict[str, Any] = dict.fromkeys(_COLUMNS)
    facts["event"] = event.resource_id.id
    if magnitude is not None:
        facts["magnitude"], facts["magnitude_type"] = magnitude.mag, magnitude.magnitude_type
    if origin is None:
        return facts
    facts["time"] = iso(origin.time.ns) if origin.time is not None else None
    facts["latitude"], facts["longitude"] = origin.latitude, origin.longitude
    facts["depth_km"] = _km(origin.depth)
    facts["time_error_s"] = origin.time_errors.uncertainty
    facts["depth_error_km"] = _km(origin.depth_errors.uncertainty)
    shape, quality = origin.origin_uncertainty, origin.quality
    if shape is not None:
        largest = shape.horizontal_uncertainty
        facts["horizontal_error_km"] = _km(shape.max_horizontal_uncertainty if largest is None else largest)
    if quality is not None:
        facts["rms_s"], facts["gap_deg"] = quality.standard_error, quality.azimuthal_gap
        facts["n_phases"] = quality.used_phase_count
    return facts


def _km(metres: float | None) -> float | None:
    return None if metres is None else metres / 1000


def _sorted(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [_facts(event) for event in in_order(events)]


def _csv(events: Events) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_sorted(events))
    return out.getvalue().encode()


def _geojson(events: Events) -> bytes:
    features = []
    for facts in _sorted(events):
        place = None
        if facts["latitude"] is not None and facts["longitude"] is not None:
            # GeoJSON counts heights, in metres, upwards.
            height = [] if facts["depth_km"] is None else [-facts["depth_km"] * 1000]
            place = {"type": "Point", "coordinates": [facts["longitude"], facts["latitude"], *height]}
        inner = {key: value for key, value in facts.items() if key not in ("latitude", "longitude", "event")}
        features.append({"type": "Feature", "id": facts["event"], "geometry": place, "properties": inner})
    text = json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))
    return text.encode() + b"\n"
