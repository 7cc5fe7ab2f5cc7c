"""Events of an archive: one QuakeML file an event.

``events/20180812T145853_<digest of the publicID>.xml``; when an event comes
again with another content the file as it was is kept under ``events/history``.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from obspy import Catalog, UTCDateTime, read_events
from obspy.core.event import Event, Origin
from obspy.geodetics import locations2degrees

from workbench.archive.files import lock, replace_file, trouble
from workbench.archive.trees import Local, Tree, names_in
from workbench.errors import UnreadableFile
from workbench.identifiers import public_id
from workbench.notices import notice
from workbench.preferred import preferred_magnitude, preferred_origin

__all__ = ["EventFilter", "EventStore", "events_in"]

_FOLDER = "events"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events, in the words of the FDSN event service.

    Parameters
    ----------
    starttime, endtime : UTCDateTime, optional
        Of the origin; both belong to the span.
    minlatitude, maxlatitude, minlongitude, maxlongitude : float, optional
        Degrees; with minlongitude above maxlongitude across the date line.
    latitude, longitude, minradius, maxradius : float, optional
        A circle or a ring, degrees.
    mindepth, maxdepth : float, optional
        Kilometres below sea level.
    minmagnitude, maxmagnitude : float, optional
    """

    starttime: UTCDateTime | None = None
    endtime: UTCDateTime | None = None
    minlatitude: float | None = None
    maxlatitude: float | None = None
    minlongitude: float | None = None
    maxlongitude: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    minradius: float | None = None
    maxradius: float | None = None
    mindepth: float | None = None
    maxdepth: float | None = None
    minmagnitude: float | None = None
    maxmagnitude: float | None = None

    def matches(self, event: Event) -> bool:
        """Tell whether an event is meant, by its preferred origin and magnitude."""
        if self == EventFilter():
            return True
        origin = preferred_origin(event)
        magnitude = preferred_magnitude(event)
        return (
            _between(origin and origin.time, self.starttime, self.endtime)
            and _between(origin and origin.latitude, self.minlatitude, self.maxlatitude)
            and self._longitude(origin)
            and self._radius(origin)
            and _between(
                None if origin is None or origin.depth is None else origin.depth / 1000,
                self.mindepth,
                self.maxdepth,
            )
            and _between(magnitude and magnitude.mag, self.minmagnitude, self.maxmagnitude)
        )

    def _longitude(self, origin: Origin | None) -> bool:
        low, high = self.minlongitude, self.maxlongitude
        value = None if origin is None else origin.longitude
        if low is not None and high is not None and low > high:
            return value is not None and (value >= low or value <= high)
        return _between(value, low, high)

    def _radius(self, origin: Origin | None) -> bool:
        if self.latitude is None or self.longitude is None:
            return True
        if origin is None or origin.latitude is None or origin.longitude is None:
            return False
        away = float(locations2degrees(self.latitude, self.longitude, origin.latitude, origin.longitude))
        return _between(away, self.minradius, self.maxradius)


@dataclass(frozen=True, slots=True)
class EventStore:
    """The folder of an archive's QuakeML files.

    Parameters
    ----------
    root : Path
        Root of the archive.
    """

    root: Path

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.root / _FOLDER

    def add(self, catalog: Catalog) -> list[str]:
        """Add events, or new versions of them; return the names of the files that changed."""
        changed = []
        for event in catalog:
            key = hashlib.sha256(str(event.resource_id.id).encode()).hexdigest()[:16]
            content = _bytes(event)
            with lock(self.root / ".workbench" / "locks" / f"event.{key[:2]}.lock", event.resource_id.id):
                known = sorted(self.folder.glob(f"*_{key}.xml"))
                path = known[0] if known else self.folder / f"{_date(event)}_{key}.xml"
                old = _content(path)
                if old == content:
                    continue
                if old:
                    version = hashlib.sha256(old).hexdigest()[:12]
                    replace_file(self.folder / "history" / f"{path.stem}.{version}.xml", old)
                replace_file(path, content)
                changed.append(path.name)
        return changed

    def get(self, wanted: EventFilter) -> Catalog:
        """Return the events that are wanted, by origin time.

        A file that cannot be read is a notice.
        """
        return events_in(Local(self.root), wanted)


def events_in(tree: Tree, wanted: EventFilter) -> Catalog:
    """Return the events of an archive's QuakeML files that are wanted, by origin time.

    A file that cannot be read is a notice.
    """
    found: dict[str, Event] = {}
    for name in names_in(tree, _FOLDER):
        if not name.endswith(".xml"):
            continue
        path = f"{_FOLDER}/{name}"
        try:
            content = tree.read(path)
            for event in _parse(content, tree.full(path)) if content is not None else []:
                if wanted.matches(event):
                    found.setdefault(event.resource_id.id, event)
        except UnreadableFile as error:
            notice(error.subject, error.problem, error.remedy)
    return Catalog(sorted(found.values(), key=_order))


def _between(value: object, low: object, high: object) -> bool:
    if low is None and high is None:
        return True
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False
    return (low is None or value >= low) and (high is None or value <= high)  # type: ignore[operator]


def _order(event: Event) -> tuple[float, str]:
    origin = preferred_origin(event)
    return (-math.inf if origin is None else origin.time.timestamp, event.resource_id.id)


def _date(event: Event) -> str:
    origin = preferred_origin(event)
    return "undated" if origin is None else origin.time.strftime("%Y%m%dT%H%M%S")


def _bytes(event: Event) -> bytes:
    out = BytesIO()
    Catalog([event], resource_id=public_id("catalog", event.resource_id.id)).write(out, format="QUAKEML")
    return out.getvalue()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise trouble(path, error) from error


def _parse(content: bytes, name: str) -> Catalog:
    try:
        return read_events(BytesIO(content), format="QUAKEML")
    except (SyntaxError, ValueError, TypeError, AttributeError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise UnreadableFile(
            name, f"is no QuakeML that can be read ({said})", "Repair it, or move it away."
        ) from error
