"""Which waveforms: codes with wildcards, and a time span.

The text form is what a user types, what a Call holds and what a log shows::

    IU.ANMO.00.BHZ@2018-01-01T00:00:00/2018-01-01T01:00:00

Codes may hold ``*`` (any), ``?`` (one character) and comma lists; a blank
location is empty or ``--``.  Times are UTC; both ends belong to the span.
Several selections are joined by ``+``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Self

from obspy import UTCDateTime

from workbench.errors import InvalidSetting

__all__ = ["Selection", "literal", "matches", "parse_selections"]

_FIELDS = ("network", "station", "location", "channel")
_CODE = re.compile(r"[A-Za-z0-9_*?-]{1,8}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?Z?")
_NEXT = re.compile(r"\+(?=[^@/:+]+(?:@|$))")
"""A plus that begins another selection, and not an offset from UTC."""

_FORM = "Write NET.STA.LOC.CHA@start/end, as IU.ANMO.00.BHZ@2018-01-01T00:00:00/2018-01-01T01:00:00"


@dataclass(frozen=True, slots=True)
class Selection:
    """Channels and a time span.

    Parameters
    ----------
    network, station, location, channel : str
        Codes; ``*``, ``?`` and comma lists are allowed; a blank location is
        ``""`` (``--`` is taken as the same).
    starttime, endtime : UTCDateTime, optional
        Both belong to the span; None leaves that side open.

    Raises
    ------
    InvalidSetting
        If a code or a time is wrong, or the end is before the start.

    Examples
    --------
    >>> selection = Selection.parse("IU.ANMO.00,10.BH?@2018-01-01/2018-01-02")
    >>> selection.channel, selection.starttime
    ('BH?', UTCDateTime(2018, 1, 1, 0, 0))
    >>> str(Selection("GR", "FUR", "--", "HHZ"))
    'GR.FUR..HHZ'
    """

    network: str = "*"
    station: str = "*"
    location: str = "*"
    channel: str = "*"
    starttime: UTCDateTime | None = None
    endtime: UTCDateTime | None = None

    def __post_init__(self) -> None:
        for field in _FIELDS:
            object.__setattr__(self, field, _codes(field, getattr(self, field)))
        if self.starttime is not None and self.endtime is not None and self.endtime < self.starttime:
            raise InvalidSetting(str(self), "ends before it starts", "Swap the two times.")

    def __str__(self) -> str:
        codes = ".".join((self.network, self.station, self.location, self.channel))
        if self.starttime is None and self.endtime is None:
            return codes
        return f"{codes}@{_time_text(self.starttime)}/{_time_text(self.endtime)}"

    def __hash__(self) -> int:
        return hash(str(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form; the time span may be left out.

        Raises
        ------
        InvalidSetting
            If the text has another form.
        """
        codes, at, span = text.strip().partition("@")
        parts = codes.split(".")
        if len(parts) != 4:
            raise InvalidSetting(text, f"has {len(parts)} codes where four are needed", _FORM)
        start: UTCDateTime | None = None
        end: UTCDateTime | None = None
        if at:
            first, slash, last = span.partition("/")
            if not slash or "/" in last:
                raise InvalidSetting(text, "has no start and end with one '/' between them", _FORM)
            start, end = _time(first, text), _time(last, text)
        network, station, location, channel = parts
        return cls(network, station, location, channel, start, end)

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read what a Call holds: the text form, or an object with its fields.

        Examples
        --------
        >>> Selection.from_json({"station": "ANMO", "starttime": "2018-01-01"}).network
        '*'
        """
        if isinstance(value, Selection):
            value = str(value)
        if isinstance(value, str):
            return cls.parse(value)
        if not isinstance(value, Mapping):
            raise InvalidSetting("selection", f"is {type(value).__name__}, not text or an object", _FORM)
        known = (*_FIELDS, "starttime", "endtime")
        for key, item in value.items():
            if key not in known:
                near = get_close_matches(str(key), known, 1)
                hint = f"Did you mean '{near[0]}'?" if near else f"Known are {', '.join(known)}."
                raise InvalidSetting("selection", f"has an unknown member '{key}'", hint)
            if not isinstance(item, str | None):
                raise InvalidSetting("selection", f"member '{key}' is not text", "Put it in quotes.")
        network, station, location, channel = (
            "*" if value.get(field) is None else str(value[field]) for field in _FIELDS
        )
        start, end = (_time(value.get(key) or "", str(dict(value))) for key in known[4:])
        return cls(network, station, location, channel, start, end)

    def to_json(self) -> dict[str, Any]:
        """Return the object form, whose members are all text."""
        form: dict[str, Any] = {field: getattr(self, field) for field in _FIELDS}
        if self.starttime is not None:
            form["starttime"] = _time_text(self.starttime)
        if self.endtime is not None:
            form["endtime"] = _time_text(self.endtime)
        return form

    @property
    def codes(self) -> tuple[str, str, str, str]:
        """Network, station, location and channel."""
        return self.network, self.station, self.location, self.channel

    @property
    def span(self) -> tuple[UTCDateTime, UTCDateTime]:
        """Start and end.

        Raises
        ------
        InvalidSetting
            If one of them is open.
        """
        if self.starttime is None or self.endtime is None:
            raise InvalidSetting(str(self), "has no start or no end", _FORM)
        return self.starttime, self.endtime

    def matches(self, seed_id: str) -> bool:
        """Tell whether a channel ``NET.STA.LOC.CHA`` is selected."""
        parts = seed_id.split(".")
        return len(parts) == 4 and all(
            matches(code, pattern) for code, pattern in zip(parts, self.codes, strict=True)
        )


def parse_selections(value: object) -> tuple[Selection, ...]:
    """Read one selection or several: text joined by ``+``, an object, or a list of these.

    Examples
    --------
    >>> [str(s) for s in parse_selections("GR.FUR..HHZ+BW.ROTZ..EHZ")]
    ['GR.FUR..HHZ', 'BW.ROTZ..EHZ']
    """
    if isinstance(value, str):
        found = tuple(Selection.parse(text) for text in _NEXT.split(value.strip()))
    elif isinstance(value, Sequence):
        found = tuple(one for item in value for one in parse_selections(item))
    else:
        found = (Selection.from_json(value),)
    if not found:
        raise InvalidSetting("selection", "is an empty list", _FORM)
    return found


def matches(code: str, pattern: str) -> bool:
    """Tell whether a code is meant by a pattern with ``*``, ``?`` and commas.

    Examples
    --------
    >>> matches("BHZ", "HH?,BH?"), matches("00", ""), matches("", "--")
    (True, False, True)
    """
    if pattern == "*":
        return True
    return any(fnmatchcase(code, "" if item == "--" else item) for item in pattern.split(","))


def literal(pattern: str) -> list[str] | None:
    """Return the codes that a pattern lists, or None if it has a wildcard.

    Examples
    --------
    >>> literal("00,--"), literal("BH?")
    (['00', ''], None)
    """
    if "*" in pattern or "?" in pattern:
        return None
    return ["" if item == "--" else item for item in pattern.split(",")]


def _codes(field: str, value: str) -> str:
    tokens = []
    for token in (part.strip() for part in value.split(",")):
        if token in ("", "--"):
            if field != "location":
                raise InvalidSetting(
                    value or "selection", f"the {field} code is empty", f"Write * for any {field}."
                )
            tokens.append("--")
        elif _CODE.fullmatch(token):
            tokens.append(token)
        else:
            raise InvalidSetting(
                token,
                f"is no {field} code",
                "A code has 1 to 8 letters, digits, '-' or '_'; wildcards are '*' and '?'.",
            )
    return "" if tokens == ["--"] else ",".join(tokens)


def _time(text: str, whole: str) -> UTCDateTime | None:
    text = text.strip()
    if not text:
        return None
    if not _TIME.fullmatch(text):
        raise InvalidSetting(
            whole,
            f"'{text}' is no time",
            "Write UTC as 2018-01-01 or 2018-01-01T00:00:00.5, without an offset.",
        )
    seconds, _, fraction = text.rstrip("Z").partition(".")
    try:
        # ObsPy reads text to the microsecond only.
        return UTCDateTime(ns=UTCDateTime(seconds).ns + int(fraction.ljust(9, "0") or 0))
    except ValueError as error:
        raise InvalidSetting(whole, f"'{text}' is no time ({error})", "Check month, day and hour.") from error


def _time_text(time: UTCDateTime | None) -> str:
    if time is None:
        return ""
    seconds, nanoseconds = divmod(time.ns, 1_000_000_000)
    text = UTCDateTime(ns=seconds * 1_000_000_000).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{nanoseconds:09d}".rstrip("0") if nanoseconds else text
