"""Selections: data named by NSLC and time, looked up in the archives."""

from __future__ import annotations

from typing import Any

from workbench.calls.policy import Policy
from workbench.errors import InvalidSetting, NoData, WorkbenchError
from workbench.kernel import DataInput
from workbench.notices import notice
from workbench.wire import Datum

__all__ = ["fetch", "looks_like"]


def looks_like(text: str) -> bool:
    """Whether a text may be a selection: ``NET.STA.LOC.CHA@start/end``.

    Examples
    --------
    >>> looks_like("IU.ANMO.00.BHZ@2018-01-01T00:00:00/2018-01-01T01:00:00")
    True
    >>> looks_like("waveforms/IU.ANMO.mseed")
    False
    """
    codes, at, span = text.partition("@")
    return bool(at) and codes.count(".") == 3 and "/" in span and "/" not in codes


def fetch(declared: DataInput, text: str, policy: Policy) -> list[Datum]:
    """Look a selection up for an input.

    Raises
    ------
    InvalidSetting
        If the input takes nothing that an archive holds.
    NoData
        If no archive holds any of it.
    """
    from workbench.archive.selection import Selection

    selection = Selection.parse(text)
    noun = next((item for item in ("Waveforms", "Stations", "Events") if item in declared.nouns), None)
    if noun is None:
        raise InvalidSetting(
            f"input '{declared.name}'",
            f"takes {' or '.join(declared.nouns)}, which archives do not hold",
            "Give a file, or the data.",
        )
    found: list[Datum] = []
    for source in policy.archives():
        try:
            value = _ask(source, noun, selection)
        except NoData:
            continue
        except WorkbenchError as error:
            # One archive that is down does not hide the others.
            notice(error.subject, error.problem, error.remedy)
            continue
        if len(value):
            found.append(Datum(noun, value, text))
            if noun == "Waveforms":
                # The user's own archive comes after the shared one and does not override it.
                break
    if not found:
        raise NoData(text, f"no archive holds {noun.lower()} of it", "See 'workbench archive ls'.")
    return found


def _ask(source: Any, noun: str, selection: Any) -> Any:
    if noun == "Events":
        return source.get_events(starttime=selection.starttime, endtime=selection.endtime)
    method = source.get_waveforms if noun == "Waveforms" else source.get_stations
    return method(
        selection.network,
        selection.station,
        selection.location,
        selection.channel,
        selection.starttime,
        selection.endtime,
    )
