"""Fetching: from a data centre, or another archive, into an archive, a day of a station at a time.

What has arrived is in the archive and on disk before the journal says so, so
whatever is killed, the same command goes on where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Protocol, TypeVar, runtime_checkable

from obspy import Inventory, Stream, UTCDateTime

from workbench.archive.files import lock
from workbench.archive.journal import Journal
from workbench.archive.layout import DAY_NS
from workbench.archive.records import scan
from workbench.archive.sds import Archive
from workbench.archive.selection import Selection
from workbench.archive.sources import Source
from workbench.archive.writer import Written
from workbench.errors import BadInput, NoData, ResourceExceeded, Unavailable, WorkbenchError
from workbench.notices import notice, progress

__all__ = ["Fetched", "RecordSource", "fetch"]

_T = TypeVar("_T")

_FAILURES = (Unavailable, ResourceExceeded, NoData)
"""What may go wrong at the source with one request, and not with the next."""

_TRIES = 5
_SHORTEST_NS = 60_000_000_000
"""A request is not halved below a minute."""
_FRESH_S = 3600.0
"""A span that ended this recently may still get data, and is not taken for finished."""
_GIVE_UP = 3
"""So many chunks in a row failed: the source is down, and not only one station of it."""


@runtime_checkable
class RecordSource(Source, Protocol):
    """A source that gives records as they are."""

    def get_records(
        self,
        network: str,
        station: str,
        location: str,
        channel: str,
        starttime: UTCDateTime,
        endtime: UTCDateTime,
    ) -> bytes:
        """Return whole miniSEED records; empty if there are none."""
        ...


@dataclass(slots=True)
class Fetched:
    """What was done.

    Attributes
    ----------
    chunks, earlier, empty, failed : int
        Days of stations in all; finished by an earlier run; without data; not fetched.
    samples, known : int
        Samples that were new, and that were there already.
    stations : int
        Stations whose StationXML is there.
    """

    chunks: int = 0
    earlier: int = 0
    empty: int = 0
    failed: int = 0
    samples: int = 0
    known: int = 0
    stations: int = 0


def fetch(
    archive: Archive,
    selection: Selection,
    source: Source,
    *,
    again: bool = False,
    pause_s: float = 1.0,
) -> Fetched:
    """Fetch waveforms and StationXML with responses.

    Parameters
    ----------
    archive : Archive
        Where to.
    selection : Selection
        With start and end.
    source : Source
        Where from; its ``repr`` names it in the journal.
    again : bool
        Ask again for what an earlier run has finished.
    pause_s : float
        Before the first retry, seconds; it doubles from try to try.

    Raises
    ------
    Unavailable
        If the source is down; what has arrived stays, and the next run goes on.
    NoData
        If there is nothing of it at the source.
    """
    key = hashlib.sha256(f"{selection} {source!r}".encode()).hexdigest()[:16]
    folder = archive.root / ".workbench" / "fetch"
    with lock(folder / f"{key}.lock", f"fetching {selection}"):
        journal = Journal(folder / f"{key}.jsonl", {"selection": str(selection), "from": repr(source)})
        if again:
            journal.clear()
        work = _Fetch(archive, source, journal, pause_s)
        chunks = list(_chunks(selection, work.stations(selection)))
        work.done.chunks = len(chunks)
        for number, chunk in enumerate(chunks):
            progress(number / len(chunks), str(chunk))
            work.chunk(chunk)
        progress(1.0, "done")
        done = work.done
        if done.failed == done.chunks and work.last is not None:
            raise work.last
        if not done.samples and not done.known and not done.earlier and not done.failed:
            raise NoData(
                str(selection), f"{source!r} has nothing of it", "Check codes and times at the data centre."
            )
        return done


class _Fetch:
    """One run: what is asked, how often, and what came of it."""

    def __init__(self, archive: Archive, source: Source, journal: Journal, pause_s: float) -> None:
        self.archive = archive
        self.source = source
        self.journal = journal
        self.pause_s = pause_s
        self.done = Fetched()
        self.last: WorkbenchError | None = None
        self._row = 0

    def stations(self, selection: Selection) -> Inventory:
        """Fetch StationXML, station by station; return what there is, at level channel."""
        span = selection.span
        try:
            listed = self._patiently(
                lambda: self.source.get_stations(*selection.codes, *span, level="channel")
            )
        except _FAILURES as error:
            notice(error.subject, f"{error.problem}; no StationXML is fetched", error.remedy, loss=False)
            return Inventory(networks=[])
        for network, station in sorted({(n.code, s.code) for n in listed for s in n}):
            one = Selection(network, station, selection.location, selection.channel, *span)
            self.done.stations += self._station(one)
        return listed

    def _station(self, one: Selection) -> bool:
        key = f"stations {one}"
        if key in self.journal.finished:
            return True
        try:
            found = self._patiently(lambda: self.source.get_stations(*one.codes, *one.span, level="response"))
        except _FAILURES as error:
            notice(str(one), f"its StationXML is not there: {error.problem}", "Run the command again.")
            return False
        self.archive.stations.add(found)
        self.journal.finish(key, {})
        return True

    def chunk(self, chunk: Selection) -> None:
        """Fetch one chunk, unless that is done."""
        if str(chunk) in self.journal.finished:
            self.done.earlier += 1
            return
        written = Written()
        answers = self._answers(chunk)
        while True:
            try:
                answer = next(answers, None)
            except _FAILURES as error:
                self._failed(chunk, error)
                return
            if answer is None:
                break
            try:
                written.add(self.archive.write(answer))
            except BadInput as error:
                self._failed(chunk, error)
                return
        self._row = 0
        self.done.samples += written.samples
        self.done.known += written.known
        self.done.empty += not (written.samples or written.known)
        if UTCDateTime() - chunk.span[1] > _FRESH_S:
            self.journal.finish(str(chunk), {"samples": written.samples, "known": written.known})

    def _failed(self, chunk: Selection, error: WorkbenchError) -> None:
        self.done.failed += 1
        self.last = error
        self._row += isinstance(error, Unavailable)
        if self._row >= _GIVE_UP:
            raise Unavailable(
                error.subject, error.problem, "Run the command again later; it goes on from here."
            ) from error
        notice(str(chunk), f"is not fetched: {error.problem}", "Run the command again.")

    def _answers(self, chunk: Selection) -> Iterator[bytes | Stream]:
        """Ask for a chunk, in halves where the source finds it too large."""
        start, end = chunk.span
        try:
            answer = self._patiently(lambda: self._ask(chunk))
        except ResourceExceeded:
            if end.ns - start.ns <= _SHORTEST_NS:
                raise
        else:
            if len(answer):
                yield answer
            return
        middle = UTCDateTime(ns=(start.ns + end.ns) // 2)
        yield from self._answers(Selection(*chunk.codes, start, middle))
        yield from self._answers(Selection(*chunk.codes, middle, end))

    def _ask(self, chunk: Selection) -> bytes | Stream:
        if not isinstance(self.source, RecordSource):
            return self.source.get_waveforms(*chunk.codes, *chunk.span)
        records = self.source.get_records(*chunk.codes, *chunk.span)
        faults = scan(records).faults
        if faults:
            # A connection that broke off; what is whole will come again.
            raise Unavailable(repr(self.source), f"sent a broken answer ({faults[0].problem})", "Try again.")
        return records

    def _patiently(self, request: Callable[[], _T]) -> _T:
        """Try again, after longer and longer pauses."""
        wait = Event()
        for tried in range(1, _TRIES):
            try:
                return request()
            except Unavailable:
                wait.wait(self.pause_s * 2 ** (tried - 1))
        return request()


def _chunks(selection: Selection, inventory: Inventory) -> Iterator[Selection]:
    """Cut a selection into days, and into the stations that had an epoch then."""
    start, end = selection.span
    stations: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for network in inventory:
        for station in network:
            for channel in station.channels or [station]:
                begin = channel.start_date.ns if channel.start_date else start.ns
                stop = channel.end_date.ns if channel.end_date else end.ns
                stations.setdefault((network.code, station.code), []).append((begin, stop))
    if not stations:
        stations[selection.network, selection.station] = [(start.ns, end.ns)]
    days = range(start.ns // DAY_NS, max(start.ns, end.ns - 1) // DAY_NS + 1)
    for day in days:
        first = max(start.ns, day * DAY_NS)
        # Data centres count microseconds, and both ends belong to a request.
        last = end.ns if day == days[-1] else (day + 1) * DAY_NS - 1000
        for (network_code, station_code), epochs in sorted(stations.items()):
            if any(begin <= last and stop >= first for begin, stop in epochs):
                yield Selection(
                    network_code,
                    station_code,
                    selection.location,
                    selection.channel,
                    UTCDateTime(ns=first),
                    UTCDateTime(ns=last),
                )
