"""What an SDS archive can be asked, wherever it lies."""

from __future__ import annotations

import hashlib
from typing import Any

from obspy import Catalog, Inventory, Stream, UTCDateTime

from workbench.archive.events import EventFilter, events_in
from workbench.archive.index import Index
from workbench.archive.layout import DayFile, day_files
from workbench.archive.packed import unpack_table
from workbench.archive.reader import fingerprints, read_records, read_runs
from workbench.archive.runs import to_stream
from workbench.archive.selection import Selection
from workbench.archive.spans import Row, cut
from workbench.archive.stations import Level, stations_in
from workbench.errors import Unavailable
from workbench.nouns import Spans

__all__ = ["SdsReader"]

_TRIES = 10


class SdsReader:
    """The questions; `Archive` and `Remote` answer them from what their index knows.

    Parameters
    ----------
    index : Index
        Of the tree that the files are in.
    """

    def __init__(self, index: Index) -> None:
        self.index = index

    @property
    def place(self) -> str:
        """Where it is: a folder, or a URL."""
        return self.index.tree.full("").rstrip("/")

    def files(self, selection: Selection) -> list[DayFile]:
        """Return the day files that a selection may need."""
        return list(day_files(self.index.tree, selection))

    def get_waveforms(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> Stream:
        """Return waveforms, with the signature of ObsPy's clients.

        Parameters
        ----------
        network, station, location, channel : str
            Codes; ``*``, ``?`` and comma lists are allowed.
        starttime, endtime : UTCDateTime
            Both belong to the span; no sample outside is returned.

        Returns
        -------
        Stream
            Empty if there is nothing.  A trace for each stretch without a
            gap; overlaps are joined if their samples agree, and stay two
            traces if not.
        """
        selection = Selection(
            network, station, location, channel, UTCDateTime(starttime), UTCDateTime(endtime)
        )
        start, end = selection.span
        return to_stream(read_runs(self.index, self.files(selection), start.ns, end.ns))

    def get_spans(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> Spans:
        """Return when there are data, from the index; no sample is read.

        Parameters
        ----------
        network, station, location, channel : str
            Codes; ``*``, ``?`` and comma lists are allowed.
        starttime, endtime : UTCDateTime
            Spans are cut to it; a sample at the very end does not belong to it.

        Returns
        -------
        Spans
            A row for each span of records that follow each other, each day of
            UTC on its own.
        """
        selection = Selection(
            network, station, location, channel, UTCDateTime(starttime), UTCDateTime(endtime)
        )
        return unpack_table(self.index.packed(self.files(selection)), selection)

    def spans(self, selection: Selection) -> list[Row]:
        """Return the rows of `get_spans`."""
        start, end = selection.span
        return cut(self.index.spans(self.files(selection), start.ns, end.ns), selection)

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
        """Return the epochs that touch the span, with the signature of ObsPy's clients.

        Parameters
        ----------
        network, station, location, channel : str
            Codes; ``*``, ``?`` and comma lists are allowed.
        starttime, endtime : UTCDateTime, optional
        level : str
            network, station, channel or response.
        """
        selection = Selection(network, station, location, channel, starttime, endtime)
        return stations_in(self.index.tree, selection, level)

    def get_events(
        self, starttime: UTCDateTime | None = None, endtime: UTCDateTime | None = None, **limits: Any
    ) -> Catalog:
        """Return events by origin time, the earliest first.

        Parameters
        ----------
        starttime, endtime : UTCDateTime, optional
        **limits
            Those of `EventFilter`: minmagnitude, maxdepth, latitude and so on.
        """
        return events_in(self.index.tree, EventFilter(starttime, endtime, **limits))

    def get_records(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> bytes:
        """Return the whole miniSEED records that hold a span, as they lie in the archive."""
        selection = Selection(
            network, station, location, channel, UTCDateTime(starttime), UTCDateTime(endtime)
        )
        start, end = selection.span
        return read_records(self.index, self.files(selection), start.ns, end.ns)

    def fingerprint(self, selection: Selection | str) -> str:
        """Return a digest of the selected samples, which changes whenever they do.

        It is made of the fingerprints of the stretches of records that touch
        the span, so it may also change with samples just outside it.  They are
        kept in the index, so that the samples are decoded once only.

        Raises
        ------
        Unavailable
            If a file changes faster than it can be read.
        UnreadableFile
            If a file cannot be read, and nobody has asked for it before: of what
            is in it nothing can be said.
        """
        chosen = Selection.parse(selection) if isinstance(selection, str) else selection
        start, end = chosen.span
        for _ in range(_TRIES):
            held = self.index.look(self.files(chosen), start.ns, end.ns)
            found = [one for one in held.stretches if chosen.matches(one.id)]
            missing = [one for one in found if one.fingerprint is None]
            fresh = fingerprints(self.index.tree, held, missing)
            if fresh is not None:
                break
        else:
            raise Unavailable(str(chosen), "changes while it is read", "Ask again when it is written.")
        self.index.keep_fingerprints(fresh)
        known = [one for one in found if one.fingerprint is not None]
        lines = sorted(f"{one.id} {one.start} {one.rate!r} {one.fingerprint}" for one in known + fresh)
        return hashlib.sha256("\n".join([str(chosen), *lines]).encode()).hexdigest()
