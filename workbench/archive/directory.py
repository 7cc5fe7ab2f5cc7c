"""A folder with any files that ObsPy reads, as a source."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from obspy import Catalog, Inventory, Stream, UTCDateTime, read, read_events, read_inventory
from obspy.core.util.base import ENTRY_POINTS, buffered_load_entry_point

from workbench.archive.chains import join
from workbench.archive.events import EventFilter
from workbench.archive.records import is_miniseed, scan
from workbench.archive.runs import Run, from_records, to_stream
from workbench.archive.samples import decode
from workbench.archive.selection import Selection
from workbench.archive.sources import cut_runs, merge_stations
from workbench.archive.spans import Row, cut, of_runs, successions
from workbench.archive.stations import Level, select
from workbench.archive.traces import gapless
from workbench.errors import Unavailable
from workbench.notices import notice

__all__ = ["Directory"]

_REFUSED = frozenset({"PICKLE", "CSS", "NNSA_KB_CORE"})
"""Formats that run code, or open the files that they name."""

_ROOT = re.compile(rb"<(?:\w+:)?(FDSNStationXML|quakeml)\b")
_TROUBLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    OSError,
    EOFError,
    SyntaxError,
    RuntimeError,
    struct.error,
)
"""What ObsPy's readers raise about a file that is not what it seems."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What a file holds, as long as it does not change."""

    status: tuple[int, int, int]
    kind: str
    """MSEED, another waveform format of ObsPy, STATIONXML, QUAKEML, or nothing."""
    ids: frozenset[str] = frozenset()
    start: int = 0
    end: int = 0


class Directory:
    """A folder, and those below it, with waveforms, StationXML and QuakeML in any files.

    What a file holds is told by its content.  Each file is looked at once, and
    again when it has changed; a file that cannot be read is a notice.

    Parameters
    ----------
    folder : path

    Raises
    ------
    Unavailable
        When it is asked and there is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self._known: dict[Path, _Known] = {}

    def __repr__(self) -> str:
        return f"Directory({str(self.folder)!r})"

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
        selection = Selection(network, station, location, channel, starttime, endtime)
        runs: list[Run] = []
        for path, known in self._with(selection):
            runs += cut_runs(_runs(path, known.kind), selection)
        return to_stream(join(runs))

    def spans(self, selection: Selection) -> list[Row]:
        """Return when there are data, cut to the selection; of miniSEED only headers are read."""
        rows: list[Row] = []
        for path, known in self._with(selection):
            if known.kind == "MSEED":
                rows += successions(scan(path.read_bytes()))
            else:
                rows += of_runs(_runs(path, known.kind))
        return cut(rows, selection)

    def _with(self, selection: Selection) -> Iterator[tuple[Path, _Known]]:
        """Go through the files that hold something of a selection."""
        first, last = selection.span
        for path, known in self._files():
            if known.start > last.ns or known.end < first.ns:
                continue
            if any(selection.matches(seed_id) for seed_id in known.ids):
                yield path, known

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
        selection = Selection(network, station, location, channel, starttime, endtime)
        paths = [path for path, known in self._files() if known.kind == "STATIONXML"]
        found = (_attempt(path, read_inventory) for path in paths)
        return merge_stations(select(one, selection, level) for one in found if one is not None)

    def get_events(
        self, starttime: UTCDateTime | None = None, endtime: UTCDateTime | None = None, **limits: Any
    ) -> Catalog:
        """Return events, by the limits of `EventFilter`; empty if there are none."""
        wanted = EventFilter(starttime, endtime, **limits)
        found: dict[str, Any] = {}
        for path, known in self._files():
            if known.kind == "QUAKEML":
                for event in _attempt(path, read_events) or []:
                    if wanted.matches(event):
                        found.setdefault(event.resource_id.id, event)
        return Catalog(list(found.values()))

    def _files(self) -> Iterator[tuple[Path, _Known]]:
        if not self.folder.is_dir():
            raise Unavailable(str(self.folder), "is no folder", "Check the path.")
        for path in sorted(self.folder.rglob("*")):
            if any(part.startswith(".") for part in path.relative_to(self.folder).parts):
                continue
            try:
                stat = path.stat()
                if not path.is_file():
                    continue
                status = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
                known = self._known.get(path)
                if known is None or known.status != status:
                    known = self._known[path] = _look(path, status)
            except OSError as error:
                notice(str(path), f"cannot be read: {error.strerror}", "Check who may read it.")
                continue
            yield path, known


def _look(path: Path, status: tuple[int, int, int]) -> _Known:
    with path.open("rb") as file:
        head = file.read(1 << 16)
    root = _ROOT.search(head)
    if root is not None:
        return _Known(status, {b"FDSNStationXML": "STATIONXML", b"quakeml": "QUAKEML"}[root[1]])
    kind = "MSEED" if is_miniseed(head) else _format(path)
    runs = _runs(path, kind) if kind else []
    if not runs:
        return _Known(status, "")
    return _Known(
        status,
        kind,
        frozenset(run.id for run in runs),
        min(run.start for run in runs),
        max(run.last for run in runs),
    )


def _format(path: Path) -> str:
    """Return the waveform format of ObsPy that claims a file, or nothing."""
    for name, entry in ENTRY_POINTS["waveform"].items():
        if name in _REFUSED or name == "MSEED":
            continue
        group = f"obspy.plugin.waveform.{entry.name}"
        try:
            if buffered_load_entry_point(entry.dist.name, group, "isFormat")(str(path)):
                return str(name)
        except _TROUBLE:
            continue  # some formats fail over what they do not know
    return ""


def _runs(path: Path, kind: str) -> list[Run]:
    if kind == "MSEED":
        content = path.read_bytes()
        found = scan(content)
        for fault in found.faults:
            notice(str(path), f"byte {fault.offset}: {fault.problem}", "The rest is read.")
        decoded = decode(content, found.records)
        for problem in sorted(set(decoded.bad.values())):
            notice(str(path), f"a record is damaged: {problem}", "It is left out.")
        return from_records(found, decoded)
    stream = _attempt(path, lambda name: read(name, format=kind))
    return [run for trace in stream or [] for run in gapless(trace)]


def _attempt(path: Path, reader: Callable[[str], Any]) -> Any:
    try:
        return reader(str(path))
    except _TROUBLE as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        notice(str(path), f"cannot be read ({said})", "It is left out; get it again.")
        return None
