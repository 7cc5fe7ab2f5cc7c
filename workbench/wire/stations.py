"""Stations as bytes: StationXML, FDSN text, CSV; and how several are put together."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from obspy import Inventory, UTCDateTime
from obspy.core.inventory import Channel, Network, Station

from workbench.archive import records
from workbench.errors import UnreadableFile
from workbench.notices import notice
from workbench.nouns import Stations
from workbench.wire import plugins, tables
from workbench.wire.places import compare
from workbench.wire.quiet import quiet
from workbench.wire.sample import Sample

__all__ = ["MEDIA", "canonical", "encode", "fingerprint", "guess", "merge", "read", "sniff"]

MEDIA = {
    "application/xml": ".xml",
    "text/csv": ".csv",
    "application/geo+json": ".json",
    "image/png": ".png",
}
"""Media types that stations can be written as; the first is the canonical one."""

_NEEDED = ("network", "station", "latitude", "longitude")
_MODULE = "workbench"


def sniff(sample: Sample) -> str | None:
    """Return ``STATIONXML``, ``STATIONTXT``, ``SEED`` or ``CSV`` if the bytes are that."""
    if sample.root == "FDSNStationXML":
        return "STATIONXML"
    if set(_NEEDED) <= set(sample.columns):
        return "CSV"
    first = sample.lines[0].lower().replace(" ", "") if sample.lines else ""
    if first.startswith(("#network|", "network|")):
        return "STATIONTXT"
    # A full SEED volume has waveforms too, and counts as those.
    if sample.data[:8] == b"000001V " and not len(records.scan(sample.data).records):
        return "SEED"
    return None


def guess(sample: Sample) -> str | None:
    """Return the ObsPy format that claims the bytes."""
    return plugins.detect("inventory", sample.data, skip=frozenset({"STATIONXML", "SC3ML"}))


def read(data: bytes, name: str, form: str) -> Stations:
    """Read stations.

    A row of a CSV without coordinates, or with impossible ones, is left out;
    `merge` says so, unless another file has the station.

    Raises
    ------
    UnreadableFile
        If nothing in it can be read.
    """
    if form == "CSV":
        return _read_csv(data, name)
    found = plugins.read("inventory", data, form, name)
    if not isinstance(found, Inventory):
        raise UnreadableFile(name, f"holds no stations as {form}", "Use StationXML.")
    return found


def merge(parts: Sequence[tuple[str, Stations]]) -> Stations:
    """Put several together.

    Stations with channels (StationXML) give responses and the coordinates of
    those channels; stations without (CSV, FDSN text of level station) fill the
    rest.  Two places of one station more than 100 m apart, or 100 m in
    elevation, get a notice that names both.
    """
    full: list[tuple[str, Network, Station]] = []
    bare: list[tuple[str, Network, Station]] = []
    for name, inventory in parts:
        for network in inventory:
            for station in network:
                (full if station.channels else bare).append((name, network, station))
    _report_placeless(parts, {f"{network.code}.{station.code}" for _, network, station in full + bare})
    compare(full + bare)
    homes: dict[str, list[Network]] = {}
    for _, network, _ in full + bare:
        homes.setdefault(network.code, []).append(network)
    # What is said of the network itself is taken from one file, the same in whichever order they come.
    taken = {code: copy.copy(min(found, key=_words)) for code, found in sorted(homes.items())}
    for network in taken.values():
        network.stations = []
    for _, network, station in full + bare:
        kept = taken[network.code].stations
        if not any(_repeats(station, other) for other in kept if other.code == station.code):
            kept.append(station)
    return Inventory(networks=list(taken.values()), source=_MODULE)


def encode(stations: Stations, media: str) -> bytes:
    """Write stations as a media type of `MEDIA`."""
    if media == "text/csv":
        lines = ["network,station,latitude,longitude,elevation_m\n"]
        lines += [
            f"{n},{s},{lat!r},{lon!r},{elevation!r}\n" for n, s, lat, lon, elevation in _places(stations)
        ]
        return "".join(lines).encode()
    if media == "application/geo+json":
        features = [
            {
                "type": "Feature",
                "id": f"{network}.{station}",
                "geometry": {"type": "Point", "coordinates": [longitude, latitude, elevation]},
                "properties": {"network": network, "station": station},
            }
            for network, station, latitude, longitude, elevation in _places(stations)
        ]
        text = json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))
        return text.encode() + b"\n"
    if media == "image/png":
        from workbench.plots import epicentres

        return epicentres.stations(stations)
    return canonical(stations)


def canonical(stations: Stations) -> bytes:
    """Return StationXML in the order of the codes and epochs, without who wrote it and when."""
    networks = []
    for network in sorted(stations, key=lambda item: (item.code, _epoch(item))):
        twin = copy.copy(network)
        twin.stations = []
        for station in sorted(network, key=_order):
            inner = copy.copy(station)
            inner.channels = sorted(
                station.channels, key=lambda item: (item.location_code, item.code, _epoch(item))
            )
            twin.stations.append(inner)
        networks.append(twin)
    out = io.BytesIO()
    plain = Inventory(
        networks=networks, source=_MODULE, module=_MODULE, module_uri="", created=UTCDateTime(0), sender=None
    )
    with quiet("", tell=False):
        plain.write(out, format="STATIONXML", nsmap=dict(getattr(stations, "nsmap", {})))
    return out.getvalue()


def fingerprint(stations: Stations) -> str:
    """Return the SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(stations)).hexdigest()


def _places(stations: Stations) -> list[tuple[str, str, float, float, float]]:
    return sorted(
        {
            (
                network.code,
                station.code,
                float(station.latitude),
                float(station.longitude),
                float(station.elevation or 0.0),
            )
            for network in stations
            for station in network
        }
    )


def _epoch(node: Network | Station | Channel) -> int:
    return -(2**63) if node.start_date is None else int(node.start_date.ns)


def _order(station: Station) -> tuple[Any, ...]:
    ids = sorted((item.location_code, item.code, _epoch(item)) for item in station.channels)
    return station.code, _epoch(station), len(ids), ids, _place(station)


def _words(network: Network) -> tuple[Any, ...]:
    return (_epoch(network), network.description or "", str(network.comments))


def _repeats(station: Station, other: Station) -> bool:
    """Whether a station says nothing that another one of its code has not said."""
    if station.channels:
        return bool(station == other)
    return _epoch(station) == _epoch(other) and _place(station) == _place(other)


def _place(station: Station) -> tuple[float, float, float]:
    return float(station.latitude), float(station.longitude), float(station.elevation or 0.0)


def _read_csv(data: bytes, name: str) -> Stations:
    header, rows = tables.rows_of_csv(data, name)
    networks: dict[str, Network] = {}
    placeless: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        cells = dict(zip(header, row, strict=True))
        where = f"({name}, row {number})"
        if not cells["station"]:
            notice(name, f"row {number} has no station code", "Fill it in.", loss=False)
            continue
        code = f"{cells['network']}.{cells['station']}"
        latitude, longitude = _number(cells["latitude"]), _number(cells["longitude"])
        problem = _problem(cells, latitude, longitude)
        if problem or latitude is None or longitude is None:
            placeless[code] = f"{problem} {where}"
            continue
        elevation = _elevation(cells.get("elevation_m", ""), code, where)
        network = networks.setdefault(cells["network"], Network(cells["network"]))
        network.stations.append(Station(cells["station"], latitude, longitude, elevation))
    inventory = Inventory(networks=list(networks.values()), source=_MODULE)
    # Whether another file knows these is seen when all are put together.
    inventory.placeless = placeless
    return inventory


def _problem(cells: dict[str, str], latitude: float | None, longitude: float | None) -> str:
    """Say what is wrong with the coordinates of a row, if anything is."""
    if not cells["latitude"] or not cells["longitude"]:
        return "has no coordinates"
    if latitude is None or longitude is None:
        return f"has unreadable coordinates, '{cells['latitude']}' and '{cells['longitude']}'"
    if abs(latitude) > 90 or abs(longitude) > 180:
        return f"has the impossible coordinates {latitude:g}, {longitude:g}"
    return "has the coordinates 0, 0" if latitude == 0 and longitude == 0 else ""


def _elevation(cell: str, code: str, where: str) -> float:
    elevation = _number(cell)
    if elevation is None:
        notice(code, f"has no elevation {where}", "Sea level is taken; fill in elevation_m.", loss=False)
        return 0.0
    if not -11_000 <= elevation <= 9_000:
        notice(code, f"has the elevation {elevation:g} m {where}", "Elevations are in metres.", loss=False)
    return elevation


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _report_placeless(parts: Sequence[tuple[str, Stations]], known: set[str]) -> None:
    for _, inventory in parts:
        for code, problem in getattr(inventory, "placeless", {}).items():
            if code not in known:
                notice(code, problem, "Fill in latitude and longitude, in degrees.", loss=False)
