"""The nouns as bytes: one module a noun, and here the way to the right one.

What bytes are is decided by the bytes, never by the name of a file alone.

===========  ================================  =====================================
noun         read                              written (first: canonical)
===========  ================================  =====================================
Waveforms    miniSEED, anything ObsPy reads    miniSEED, JSON, CSV, PNG
Stations     StationXML, FDSN text, CSV, ...   StationXML, CSV, GeoJSON, PNG
Events       QuakeML, anything ObsPy reads     QuakeML, GeoJSON, CSV, PNG
Picks        CSV, JSON; QuakeML flattened      CSV, JSON, QuakeML, PNG
Triggers     CSV, JSON                         CSV, JSON, PNG
Spans        CSV, JSON                         CSV, JSON, PNG
Dataset      NetCDF, Zarr                      NetCDF, Zarr, JSON, CSV, PNG
===========  ================================  =====================================

Nothing here unpickles, evaluates, follows a URL, or opens a file that another
file names.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from workbench.errors import BadInput, InvalidSetting, ResourceExceeded, UnreadableFile
from workbench.nouns import VelocityModel, noun_of
from workbench.wire.archives import LIMIT, unpack
from workbench.wire.sample import Sample

__all__ = [
    "Codec",
    "Datum",
    "canonical",
    "codec",
    "encode",
    "fingerprint",
    "media_of",
    "merge",
    "noun",
    "read",
    "read_all",
    "sniff",
]

_HOMES = {
    "Stations": "stations",
    "Events": "events",
    "Picks": "picks",
    "Triggers": "triggers",
    "Spans": "spans",
    "VelocityModel": "velocity",
    "Dataset": "dataset",
    "Waveforms": "waveforms",
}
"""The module of each noun, in the order in which they are asked about bytes."""

_GUESSES = ("Waveforms", "Events", "Stations")
"""Who is asked, in this order, where nobody was sure."""


class Codec(Protocol):
    """What the module of a noun offers."""

    MEDIA: Mapping[str, str]

    def sniff(self, sample: Sample) -> str | None:
        """Return the form of the bytes, if they surely are this noun."""
        ...

    def guess(self, sample: Sample) -> str | None:
        """Return the form of the bytes, if they may be this noun."""
        ...

    def read(self, data: bytes, name: str, form: str) -> Any:
        """Make the object of the bytes."""
        ...

    def merge(self, parts: Sequence[tuple[str, Any]]) -> Any:
        """Put several objects of this noun together."""
        ...

    def encode(self, value: Any, media: str) -> bytes:
        """Make bytes of a media type."""
        ...

    def canonical(self, value: Any) -> bytes:
        """Make bytes that are the same for the same content."""
        ...

    def fingerprint(self, value: Any) -> str:
        """Name the content by a SHA-256."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Datum:
    """One object that was read: its noun, itself, and where it came from."""

    noun: str
    value: Any
    name: str


def codec(noun: str) -> Codec:
    """Return the module of a noun, imported when first asked for."""
    return cast(Codec, importlib.import_module(f"workbench.wire.{_HOMES[noun]}"))


def noun(value: object) -> str:
    """Return the noun that an object is.

    Raises
    ------
    BadInput
        If it is none.
    """
    found = "VelocityModel" if isinstance(value, VelocityModel) else noun_of(type(value))
    if found is None:
        raise BadInput(f"a {type(value).__name__}", "is no noun", f"Give one of {', '.join(_HOMES)}.")
    return found


def sniff(data: bytes, name: str = "the bytes") -> tuple[str, str]:
    """Tell the noun and the form of bytes.

    Raises
    ------
    UnreadableFile
        If nobody knows them.
    """
    if not data:
        raise UnreadableFile(name, "is empty", "Get the file again.")
    sample = Sample(data, name)
    for home in _HOMES:
        form = codec(home).sniff(sample)
        if form is not None:
            return home, form
    for home in _GUESSES:
        form = codec(home).guess(sample)
        if form is not None:
            return home, form
    raise UnreadableFile(
        name,
        "is of no form that is known",
        "Waveforms: anything ObsPy reads. Stations: StationXML, FDSN text, or CSV with network,station,"
        "latitude,longitude,elevation_m. Events: QuakeML. Picks: CSV with network,station,location,channel,"
        "phase,time,probability. Triggers: CSV with time,duration_s,n_stations,stations. "
        "Spans: CSV with time,network,station,location,channel,end,sampling_rate,samples,records.",
    )


def read_all(source: Path | bytes, name: str = "", limit: int = LIMIT) -> list[Datum]:
    """Read every object in a file, an archive of files, or bytes.

    Parameters
    ----------
    source : Path or bytes
        A path is a local file, never a URL or a pattern.
    name : str, optional
        What to call it in errors and notices; by default the path.
    limit : int
        Most bytes that may be read, and that an archive may unpack to.

    Raises
    ------
    UnreadableFile
        If it is broken, or of no known form.
    ResourceExceeded
        If it is larger than `limit`.
    """
    if isinstance(source, Path):
        name = name or str(source)
        if source.is_dir():
            from workbench.wire import dataset

            return [Datum("Dataset", dataset.open_folder(source), name)]
        try:
            if source.stat().st_size > limit:
                raise ResourceExceeded(name, f"is larger than {limit} bytes", "Cut it into smaller files.")
            data = source.read_bytes()
        except OSError as error:
            raise UnreadableFile(
                name, f"cannot be opened ({error.strerror})", "Check the path and its permissions."
            ) from error
    else:
        data, name = source, name or "the bytes"
    found = []
    for inner, content in unpack(data, name, limit):
        kind, form = sniff(content, inner)
        found.append(Datum(kind, codec(kind).read(content, inner, form), inner))
    return found


def read(source: Path | bytes, noun: str = "", name: str = "", limit: int = LIMIT) -> Any:
    """Read one object.

    Parameters
    ----------
    source : Path or bytes
    noun : str, optional
        What it has to be; QuakeML is flattened where picks are asked for.
    name : str, optional
        What to call it.
    limit : int
        Most bytes that may be read.

    Raises
    ------
    BadInput
        If it is something else.
    """
    found = read_all(source, name, limit)
    kinds = {datum.noun for datum in found}
    if noun == "Picks" and kinds == {"Events"}:
        from workbench.wire import events

        return events.to_picks(merge("Events", found))
    if len(kinds) != 1 or (noun and kinds != {noun}):
        said = name or (str(source) if isinstance(source, Path) else "the bytes")
        raise BadInput(said, f"holds {', '.join(sorted(kinds)) or 'nothing'}", f"Give {noun or 'one noun'}.")
    return merge(kinds.pop(), found)


def merge(noun: str, data: Iterable[Datum]) -> Any:
    """Put several objects of one noun together, in the order of their names."""
    parts = sorted(((datum.name, datum.value) for datum in data), key=lambda part: part[0])
    return codec(noun).merge(parts)


def media_of(noun: str, wanted: str) -> str:
    """Return the media type for a suffix (``.csv``) or a media type.

    Raises
    ------
    InvalidSetting
        If the noun is not written as that.
    """
    media = codec(noun).MEDIA
    if not wanted:
        return next(iter(media))
    plain = wanted.split(";")[0].strip().lower()
    for kind, suffix in media.items():
        if plain in (kind, suffix):
            return kind
    raise InvalidSetting(
        wanted, f"{noun} are not written as that", f"Use {', '.join(f'{s} ({m})' for m, s in media.items())}."
    )


def encode(value: object, wanted: str = "") -> bytes:
    """Write an object as a media type, or as what a suffix stands for."""
    kind = noun(value)
    return codec(kind).encode(value, media_of(kind, wanted))


def canonical(value: object) -> bytes:
    """Return the bytes by which two results are compared."""
    return codec(noun(value)).canonical(value)


def fingerprint(value: object) -> str:
    """Return the SHA-256 that names the content of an object."""
    return codec(noun(value)).fingerprint(value)
