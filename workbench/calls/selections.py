"""Selections: data named by codes and time, looked up in the archives."""

from __future__ import annotations

import re
from typing import Any

from workbench.calls.policy import Policy
from workbench.errors import InvalidSetting, NoData
from workbench.kernel import DataInput
from workbench.wire import Datum

__all__ = ["fetch", "looks_like"]

_SELECTION = re.compile(r"[\w*?,-]*(\.[\w*?,-]*){3}@")


def looks_like(text: str) -> bool:
    """Whether a text is meant as a selection: ``NET.STA.LOC.CHA@start/end``.

    Examples
    --------
    >>> looks_like("IU.ANMO.00.BHZ@2018-01-01T00:00:00/2018-01-01T01:00:00")
    True
    >>> looks_like("waveforms/IU.ANMO.mseed")
    False
    """
    return _SELECTION.match(text) is not None


def fetch(declared: DataInput, selection: Any, policy: Policy) -> list[Datum]:
    """Look a selection up for an input.

    Parameters
    ----------
    declared : DataInput
        What the input takes decides what is looked up: spans, waveforms,
        stations or events.
    selection : str or dict or list
        As `workbench.archive.Selection` reads it; for events also an object
        with the members of `workbench.archive.EventFilter`.
    policy : Policy
        Says which archives.

    Raises
    ------
    InvalidSetting
        If the selection is wrong, or the input takes nothing that an archive holds.
    NoData
        If no archive holds any of it.
    """
    # Spans come first: where they are enough, no sample has to be read.
    held = ("Spans", "Waveforms", "Stations", "Events")
    noun = next((item for item in held if item in declared.nouns), None)
    if noun is None and "Picks" in declared.nouns:
        noun = "Events"
    if noun is None:
        raise InvalidSetting(
            f"input '{declared.name}'",
            f"takes {' or '.join(declared.nouns)}, which archives do not hold",
            "Give a file, or the data.",
        )
    if noun == "Spans":
        value = _spans(selection, policy)
    else:
        value = _events(selection, policy) if noun == "Events" else _recorded(noun, selection, policy)
    name = selection if isinstance(selection, str) else "the selection"
    if not len(value):
        raise NoData(name, f"no archive holds {noun.lower()} of it", "See 'workbench archive ls'.")
    return [Datum(noun, value, name)]


def _recorded(noun: str, selection: Any, policy: Policy) -> Any:
    from workbench.archive import parse_selections
    from workbench.wire import codec

    sources = policy.archives()
    found = []
    for one in parse_selections(selection):
        if noun == "Waveforms":
            found.append((str(one), sources.get_waveforms(*one.codes, *one.span)))
        else:
            found.append((str(one), sources.get_stations(*one.codes, one.starttime, one.endtime)))
    return codec(noun).merge(found)


def _spans(selection: Any, policy: Policy) -> Any:
    """Look up when there are data; what two selections both ask for is there once."""
    from workbench.archive import parse_selections
    from workbench.archive.spans import Row, beside, to_spans

    sources = policy.archives()
    rows: list[Row] = []
    before: list[Any] = []
    for one in parse_selections(selection):
        found = sources.spans(one)
        taken = {
            name: [(other.starttime.ns, other.endtime.ns) for other in before if other.matches(name)]
            for name in {row.id for row in found}
        }
        rows += beside(found, taken)
        before.append(one)
    return to_spans(rows)


def _events(selection: Any, policy: Policy) -> Any:
    from workbench.archive import EventFilter, parse_selections
    from workbench.wire import codec

    sources = policy.archives()
    if isinstance(selection, dict) and not {"network", "station", "location", "channel"} & set(selection):
        known = EventFilter.__dataclass_fields__
        for name, value in selection.items():
            is_time = name in ("starttime", "endtime")
            if (
                name not in known
                or isinstance(value, bool)
                or not isinstance(value, str if is_time else int | float)
            ):
                raise InvalidSetting(
                    "selection", f"has the member {name!r} = {value!r}", f"Known are {', '.join(known)}."
                )
        return sources.get_events(**{name: _moment(name, value) for name, value in selection.items()})
    parts = parse_selections(selection)
    return codec("Events").merge(
        [(str(one), sources.get_events(one.starttime, one.endtime)) for one in parts]
    )


def _moment(name: str, value: Any) -> Any:
    from obspy import UTCDateTime

    if name not in ("starttime", "endtime"):
        return value
    try:
        return UTCDateTime(value)
    except (ValueError, TypeError) as error:
        raise InvalidSetting(
            "selection", f"{name} = {value!r} is no time", "Write 2018-01-01T00:00:00."
        ) from error
