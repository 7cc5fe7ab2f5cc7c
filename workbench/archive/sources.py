"""Sources of data: one protocol, with the signatures of ObsPy's clients.

==========  ==========================================================
Archive     SDS day files with an index, StationXML, QuakeML
Remote      the same under a URL
Fdsn        a data centre, by the web services of FDSN
Directory   a folder with any files that ObsPy reads
Memory      a stream, an inventory and a catalogue
Sources     several of these, searched in order and put together
==========  ==========================================================

What is not there is an empty answer, as with ObsPy's own SDS client; only a
source that cannot be reached raises.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload, runtime_checkable

from obspy import Catalog, Inventory, Stream, UTCDateTime

from workbench.archive.chains import join
from workbench.archive.coverage import Coverage, parts
from workbench.archive.events import EventFilter
from workbench.archive.runs import Run, to_stream, trim
from workbench.archive.sds import Archive
from workbench.archive.sdsreader import SdsReader
from workbench.archive.selection import Selection
from workbench.archive.spans import Row, beside, cut, of_runs, spans_of, to_spans
from workbench.archive.stations import Level, select
from workbench.archive.traces import gapless
from workbench.errors import Unavailable
from workbench.notices import notice
from workbench.nouns import Spans

if TYPE_CHECKING:
    from workbench.settings import Settings

__all__ = ["Memory", "Source", "Sources", "cut_runs", "default_sources", "merge_stations", "opened"]


@runtime_checkable
class Source(Protocol):
    """Anything that gives waveforms, stations and events."""

    def get_waveforms(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> Stream:
        """Return the samples from start to end, both included; empty if there are none."""
        ...

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
        """Return the epochs that touch the span; empty if there are none."""
        ...

    def get_events(
        self, starttime: UTCDateTime | None = None, endtime: UTCDateTime | None = None, **limits: Any
    ) -> Catalog:
        """Return events by origin time; the limits are those of `EventFilter`."""
        ...


class Memory:
    """What is in memory already.

    Parameters
    ----------
    waveforms : Stream, optional
    stations : Inventory, optional
    events : Catalog, optional
    """

    def __init__(
        self,
        waveforms: Stream | None = None,
        stations: Inventory | None = None,
        events: Catalog | None = None,
    ) -> None:
        self._waveforms = Stream() if waveforms is None else waveforms
        self._stations = Inventory(networks=[]) if stations is None else stations
        self._events = Catalog() if events is None else events

    def get_waveforms(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> Stream:
        """Return the samples from start to end, both included."""
        selection = Selection(network, station, location, channel, starttime, endtime)
        return to_stream(cut_runs((run for trace in self._waveforms for run in gapless(trace)), selection))

    def spans(self, selection: Selection) -> list[Row]:
        """Return when there are data, cut to the selection."""
        return cut(of_runs(run for trace in self._waveforms for run in gapless(trace)), selection)

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
        """Return the epochs that touch the span."""
        selection = Selection(network, station, location, channel, starttime, endtime)
        return select(self._stations, selection, level)

    def get_events(
        self, starttime: UTCDateTime | None = None, endtime: UTCDateTime | None = None, **limits: Any
    ) -> Catalog:
        """Return events, by the limits of `EventFilter`."""
        wanted = EventFilter(starttime, endtime, **limits)
        return Catalog([event for event in self._events if wanted.matches(event)])


class Sources(Sequence[Source]):
    """Several sources, searched in order.

    A sample is taken from the first source that has it, and the next ones
    fill what is missing; so are channel epochs, and events by their publicID.

    Parameters
    ----------
    sources : iterable of Source
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = tuple(sources)

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> Source: ...

    @overload
    def __getitem__(self, index: slice) -> Sources: ...

    def __getitem__(self, index: int | slice) -> Source | Sources:
        return Sources(self._sources[index]) if isinstance(index, slice) else self._sources[index]

    def __repr__(self) -> str:
        return f"Sources({list(self._sources)!r})"

    def get_waveforms(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> Stream:
        """Return the samples from start to end, both included."""
        asked = (network, station, location, channel, starttime, endtime)
        streams = [one for one in self._ask("get_waveforms", *asked) if len(one)]
        if len(streams) < 2:
            return streams[0] if streams else Stream()
        return to_stream(_fill([[run for trace in stream for run in gapless(trace)] for stream in streams]))

    def get_spans(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> Spans:
        """Return when there are data, without reading samples where a source has an index.

        What two sources both have is taken from the first, as with waveforms,
        so it is no overlap; overlaps within one source stay.
        """
        selection = Selection(network, station, location, channel, starttime, endtime)
        return to_spans(self.spans(selection))

    def spans(self, selection: Selection) -> list[Row]:
        """Return the rows of `get_spans`."""
        found: list[Row] = []
        taken: dict[str, list[tuple[int, int]]] = {}
        for rows in self._each(lambda source: spans_of(source, selection)):
            fresh = list(beside(rows, taken))
            found += fresh
            for row in fresh:
                half = round(0.5e9 / row.rate)
                taken.setdefault(row.id, []).append((row.start - half, row.end + half))
        return found

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
        """Return the epochs that touch the span."""
        asked = (network, station, location, channel, starttime, endtime)
        return merge_stations(self._ask("get_stations", *asked, level=level))

    def get_events(
        self, starttime: UTCDateTime | None = None, endtime: UTCDateTime | None = None, **limits: Any
    ) -> Catalog:
        """Return events, by the limits of `EventFilter`."""
        found: dict[str, Any] = {}
        for catalog in self._ask("get_events", starttime, endtime, **limits):
            for event in catalog:
                found.setdefault(event.resource_id.id, event)
        return Catalog(list(found.values()))

    def _ask(self, method: str, *asked: Any, **more: Any) -> Iterator[Any]:
        return self._each(lambda source: getattr(source, method)(*asked, **more))

    def _each(self, ask: Callable[[Source], Any]) -> Iterator[Any]:
        """Ask all sources; one that is down is a notice, unless all are."""
        failed: list[Unavailable] = []
        for source in self._sources:
            try:
                yield ask(source)
            except Unavailable as error:
                failed.append(error)
        if failed and len(failed) == len(self._sources):
            raise failed[0]
        for down in failed:
            notice(down.subject, down.problem, down.remedy)


def default_sources(settings: Settings | None = None) -> Sources:
    """Return the archives to search: the shared one, then the user's own.

    Parameters
    ----------
    settings : Settings, optional
        Where they are; by default as the environment says.
    """
    # Settings are slow to import, and records can be read without.
    from workbench.settings import Settings

    return Sources(opened(root) for root in dict.fromkeys((settings or Settings()).archive_roots))


def opened(root: Path | str) -> SdsReader:
    """Return the archive that a setting names: text is a URL.

    To be called with what the settings say, or whoever runs this process, and
    never with what came from anybody else: a URL makes this machine ask another.
    """
    if isinstance(root, Path):
        return Archive(root)
    from workbench.archive.remote import Remote

    return Remote(root)


def merge_stations(inventories: Iterable[Inventory]) -> Inventory:
    """Put inventories together; a channel epoch that two have is taken from the first."""
    whole = Inventory(networks=[])
    seen: set[tuple[object, ...]] = set()
    for network in (one for inventory in inventories for one in inventory):
        kept = []
        for station in network:
            code = (network.code, station.code)
            channels = []
            for channel in station:
                key = (*code, channel.location_code, channel.code, str(channel.start_date))
                if key not in seen:
                    seen.add(key)
                    channels.append(channel)
            epoch = (*code, str(station.start_date))
            if channels or (not station.channels and epoch not in seen):
                chosen = copy.copy(station)
                chosen.channels = channels
                kept.append(chosen)
            seen.add(epoch)
        if kept:
            home = copy.copy(network)
            home.stations = kept
            whole.networks.append(home)
    return whole


def cut_runs(runs: Iterable[Run], selection: Selection) -> list[Run]:
    """Return the selected samples of runs."""
    start, end = selection.span
    found = (trim(run, start.ns, end.ns) for run in runs if selection.matches(run.id))
    return [run for run in found if run is not None]


def _fill(versions: list[list[Run]]) -> list[Run]:
    """Take samples from the first version that has them."""
    there: dict[str, Coverage] = {}
    kept: list[Run] = []
    for number, runs in enumerate(versions):
        fresh: list[Run] = []
        for run in runs:
            same, differs = there.setdefault(run.id, Coverage()).compare(run)
            if differs.any():
                notice(
                    run.id,
                    f"has {int(differs.sum())} samples from {UTCDateTime(ns=run.start)} on that differ"
                    " between two archives",
                    f"Those of archive {number} and before are used.",
                    loss=False,
                )
            fresh += parts(run, ~(same | differs))
        for run in fresh:
            there[run.id].add(run)
        kept += fresh
    return join(kept)
