"""A data centre, by the web services of FDSN."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from http.client import HTTPException
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import urlsplit

from obspy import Catalog, Inventory, Stream, UTCDateTime
from obspy.clients.fdsn import Client
from obspy.clients.fdsn.header import (
    URL_MAPPINGS,
    FDSNBadRequestException,
    FDSNException,
    FDSNForbiddenException,
    FDSNNoDataException,
    FDSNRequestTooLargeException,
    FDSNUnauthorizedException,
)

from workbench.archive.chains import join
from workbench.archive.records import Scan, scan
from workbench.archive.runs import from_records, to_stream, trim
from workbench.archive.samples import decode
from workbench.archive.selection import Selection
from workbench.archive.spans import Row, cut, successions
from workbench.archive.stations import Level
from workbench.errors import InvalidSetting, NoData, ResourceExceeded, Unavailable, WorkbenchError

__all__ = ["Fdsn"]

_T = TypeVar("_T")
_UNNAMED = (HTTPException, OSError, EOFError, ValueError, TypeError, AttributeError, SyntaxError)
"""What ObsPy's client lets through when a connection or an answer breaks off."""


class Fdsn:
    """A data centre.

    Nothing is asked of it before the first request.

    Parameters
    ----------
    name : str
        A name that ObsPy knows (``EARTHSCOPE``, ``GEOFON``, ``INGV``, ...) or a URL.
    timeout_s : float
        How long to wait for an answer.

    Raises
    ------
    InvalidSetting
        If the name is neither.
    """

    def __init__(self, name: str, *, timeout_s: float = 60.0) -> None:
        if name.upper() in URL_MAPPINGS:
            name = name.upper()
        elif urlsplit(name).scheme not in ("http", "https"):
            raise InvalidSetting(
                name, "is no data centre", f"Give a URL, or one of {', '.join(sorted(URL_MAPPINGS))}."
            )
        self.name = name
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"Fdsn({self.name!r})"

    @cached_property
    def _client(self) -> Client:
        try:
            return Client(self.name, timeout=self._timeout_s, _discover_services=False)
        except ValueError as error:
            raise InvalidSetting(
                self.name, f"is no address of a data centre ({_said(error)})", "Write http://host:port."
            ) from error

    def get_waveforms(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> Stream:
        """Return the samples from start to end, both included; empty if there are none.

        Raises
        ------
        ResourceExceeded
            If the centre finds the request too large.
        NoData
            If it does not give them to everybody.
        Unavailable
            If it does not answer as it should.
        """
        selection = Selection(network, station, location, channel, starttime, endtime)
        start, end = selection.span
        records, found = self._scanned(selection)
        runs = join(from_records(found, decode(records, found.records)))
        inside = (trim(run, start.ns, end.ns) for run in runs)
        return to_stream(run for run in inside if run is not None)

    def spans(self, selection: Selection) -> list[Row]:
        """Return when there are data, by the headers of the records, cut to the selection."""
        return cut(successions(self._scanned(selection)[1]), selection)

    def _scanned(self, selection: Selection) -> tuple[bytes, Scan]:
        records = self.get_records(*selection.codes, *selection.span)
        found = scan(records)
        if found.faults:
            raise Unavailable(
                self.name, f"sent what is no miniSEED ({found.faults[0].problem})", "Try again later."
            )
        return records, found

    def get_records(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> bytes:
        """Return miniSEED as the centre sends it; the errors are those of `get_waveforms`."""
        selection = Selection(network, station, location, channel, starttime, endtime)
        out = BytesIO()
        self._ask(
            "waveforms",
            lambda: self._client.get_waveforms(*_codes(selection), *selection.span, filename=out),
        )
        return out.getvalue()

    def get_stations(
        self,
        network: str = "*",
        station: str = "*",
        location: str = "*",
        channel: str = "*",
        starttime: UTCDateTime | None = None,
        endtime: UTCDateTime | None = None,
        level: Level = "response",
    ) -> Inventory:
        """Return the epochs that touch the span; the errors are those of `get_waveforms`."""
        selection = Selection(network, station, location, channel, starttime, endtime)
        codes = dict(zip(("network", "station", "location", "channel"), _codes(selection), strict=True))
        found = self._ask(
            "stations",
            lambda: self._client.get_stations(starttime=starttime, endtime=endtime, level=level, **codes),
        )
        return Inventory(networks=[]) if found is None else found

    def get_events(
        self, starttime: UTCDateTime | None = None, endtime: UTCDateTime | None = None, **limits: Any
    ) -> Catalog:
        """Return events; the errors are those of `get_waveforms`."""
        found = self._ask(
            "events", lambda: self._client.get_events(starttime=starttime, endtime=endtime, **limits)
        )
        return Catalog() if found is None else found

    def _ask(self, what: str, request: Callable[[], _T]) -> _T | None:
        try:
            return request()
        except WorkbenchError:
            raise
        except FDSNNoDataException:
            return None
        except FDSNRequestTooLargeException as error:
            raise ResourceExceeded(self.name, "finds the request too large", "Ask for less.") from error
        except FDSNBadRequestException as error:
            raise InvalidSetting(
                self.name, f"refuses the request for {what} ({_said(error)})", "Change the selection."
            ) from error
        except (FDSNUnauthorizedException, FDSNForbiddenException) as error:
            raise NoData(
                self.name, f"does not give these {what} to everybody", "Ask the data centre for access."
            ) from error
        except (FDSNException, *_UNNAMED) as error:
            raise Unavailable(
                self.name,
                f"does not answer as it should to a request for {what} ({_said(error)})",
                "Check the name and the network, or try again later.",
            ) from error


def _codes(selection: Selection) -> tuple[str, str, str, str]:
    network, station, location, channel = selection.codes
    return network, station, location or "--", channel


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
