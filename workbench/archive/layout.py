"""Where a day of a channel lies in an SDS archive.

``YEAR/NET/STA/CHAN.TYPE/NET.STA.LOC.CHAN.TYPE.YEAR.DAY``, with the day of the
year in three digits and the type ``D`` for waveforms, ``L`` for log messages.

References
----------
SeisComP Data Structure (SDS), definition 1.0 (GFZ, 1999).
"""

from __future__ import annotations

import datetime
import re
from calendar import isleap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from obspy import UTCDateTime

from workbench.archive.selection import Selection, literal
from workbench.archive.trees import UNREADABLE, Tree, named, tree_of
from workbench.errors import BadInput
from workbench.notices import notice

__all__ = ["DAY_NS", "DayFile", "check_id", "day_file", "day_files", "day_of", "parse", "place"]

DAY_NS = 86_400_000_000_000
"""A day, in nanoseconds."""

_1970 = datetime.date(1970, 1, 1).toordinal()
_ID = re.compile(r"[A-Za-z0-9_-]{1,2}\.[A-Za-z0-9_-]{1,5}\.[A-Za-z0-9_-]{0,2}\.[A-Za-z0-9_-]{1,3}")
_NAME = re.compile(
    r"(?P<id>[^.]+\.[^.]+\.[^.]*\.[^.]+)\.(?P<type>[A-Z])\.(?P<year>\d{4})\.(?P<day>\d{3})", re.ASCII
)


class DayFile(NamedTuple):
    """A file of an archive: its place below the root, its channel and its day (since 1970)."""

    path: str
    id: str
    day: int
    size: int = 0
    mtime_ns: int = 0
    inode: int = 0


def check_id(seed_id: str) -> None:
    """Refuse codes that miniSEED or the file system cannot hold.

    Raises
    ------
    BadInput
        With the remedy, as a code that is cut short would mix two channels.
    """
    if not _ID.fullmatch(seed_id):
        raise BadInput(
            seed_id or "a trace without codes",
            "has codes that an archive cannot hold",
            "Give a network (1-2), station (1-5), location (0-2) and channel (1-3) of letters and digits.",
        )


def day_of(time_ns: int) -> int:
    """Return the UTC day, counted from 1970, of a time in nanoseconds."""
    return time_ns // DAY_NS


def place(seed_id: str, day: int, kind: str = "D") -> str:
    """Return the path of a day of a channel, below the root.

    Examples
    --------
    >>> place("TA.C26K..BHZ", 17755)
    '2018/TA/C26K/BHZ.D/TA.C26K..BHZ.D.2018.224'
    """
    network, station, _, channel = seed_id.split(".")
    date = UTCDateTime(ns=day * DAY_NS)
    return (
        f"{date.year:04d}/{network}/{station}/{channel}.{kind}/"
        f"{seed_id}.{kind}.{date.year:04d}.{date.julday:03d}"
    )


def parse(path: str) -> tuple[str, int, str] | None:
    """Return the SEED id, day and type that a path below the root means, or None.

    Examples
    --------
    >>> parse("2018/TA/C26K/BHZ.D/TA.C26K..BHZ.D.2018.224")
    ('TA.C26K..BHZ', 17755, 'D')
    >>> parse("2018/TA/C26K/BHZ.D/TA.C26K..HHZ.D.2018.224") is None
    True
    """
    folder, _, file = path.rpartition("/")
    name = _NAME.fullmatch(file)
    if name is None:
        return None
    seed_id, kind, year, day = name["id"], name["type"], int(name["year"]), int(name["day"])
    if year < 1900 or not 1 <= day <= 365 + isleap(year):
        return None
    network, station, _, channel = seed_id.split(".")
    if folder != f"{name['year']}/{network}/{station}/{channel}.{kind}":
        return None
    return seed_id, datetime.date(year, 1, 1).toordinal() - _1970 + day - 1, kind


def day_files(root: Path | Tree, selection: Selection, *, margin: int = 1) -> Iterator[DayFile]:
    """Go through the waveform files that are named as the selection asks, in order.

    Parameters
    ----------
    root : Path or Tree
    selection : Selection
        A side of its time span that is open takes all days.
    margin : int
        Days before and after as well: other programs put a record into the
        file of the day in which it starts.
    """
    tree = tree_of(root)
    first = -(10**6) if selection.starttime is None else day_of(selection.starttime.ns) - margin
    last = 10**6 if selection.endtime is None else day_of(selection.endtime.ns) + margin
    folders = ",".join(f"{code}.D" for code in selection.channel.split(","))
    closed = _Closed(tree)
    for year in closed.named("", "*"):
        ends = _endings(int(year), first, last) if len(year) == 4 and year.isdigit() else {}
        if not ends:
            continue
        for network in closed.named(year, selection.network):
            for station in closed.named(f"{year}/{network}", selection.station):
                below = f"{year}/{network}/{station}"
                for folder in closed.named(below, folders):
                    yield from _in_folder(closed, f"{below}/{folder}", selection, ends)
    closed.say(selection)


class _Closed:
    """Folders of a tree, as far as they are open to whoever asks."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.met: list[str] = []

    def named(self, folder: str, pattern: str = "*") -> list[str]:
        """Return what is in a folder and named as a pattern says, sorted."""
        try:
            return named(self.tree, folder, pattern)
        except PermissionError:
            self.met.append(self.tree.full(folder))
            return []

    def say(self, selection: Selection) -> None:
        """Tell of the closed folders: who asks for a channel by its name misses it.

        To others they are what a site does not show to everybody.
        """
        if all(literal(code) for code in (selection.network, selection.station, selection.channel)):
            for folder in self.met:
                notice(folder, f"{UNREADABLE}Permission denied", "Check who may read it.")
        elif self.met:
            more = f" and {len(self.met) - 3} more" if len(self.met) > 3 else ""
            notice(
                str(selection),
                f"touches folders that are closed to you: {', '.join(self.met[:3])}{more}",
                "Ask whoever looks after the archive, if you need them.",
                loss=False,
            )


def day_file(root: Path | Tree, path: str) -> DayFile | None:
    """Return a waveform file by its path below the root, or None if it is none or not there."""
    found = parse(path)
    if found is None or found[2] != "D":
        return None
    return next(_there(tree_of(root), [(path, found[0], found[1])]), None)


def _in_folder(
    closed: _Closed, folder: str, selection: Selection, ends: Mapping[str, int]
) -> Iterator[DayFile]:
    wanted = []
    ids: dict[str, str | None] = {}
    for name in closed.named(folder):
        # Of a year only the days asked for are looked at any closer.
        day = ends.get(name[-9:])
        if day is None:
            continue
        # A folder has a file a day, and few channels: what comes before the day is looked at once.
        before = name[:-9]
        if before not in ids:
            ids[before] = _id_in(f"{folder}/{name}", selection)
        seed_id = ids[before]
        if seed_id is not None:
            wanted.append((f"{folder}/{name}", seed_id, day))
    return _there(closed.tree, wanted)


def _id_in(path: str, selection: Selection) -> str | None:
    """Return the SEED id of a waveform file if it is selected."""
    found = parse(path)
    return found[0] if found is not None and found[2] == "D" and selection.matches(found[0]) else None


def _there(tree: Tree, wanted: list[tuple[str, str, int]]) -> Iterator[DayFile]:
    statuses = tree.statuses([path for path, _, _ in wanted])
    for named_so, status in zip(wanted, statuses, strict=True):
        if status is not None:
            yield DayFile(*named_so, *status)


def _endings(year: int, first: int, last: int) -> dict[str, int]:
    """Return how the names of the days of a year end that lie in a span of days, and which days these are."""
    if year < 1900:
        return {}
    begin = datetime.date(year, 1, 1).toordinal() - _1970
    days = range(max(first - begin, 0), min(last - begin + 1, 365 + isleap(year)))
    return {f".{year:04d}.{day + 1:03d}": begin + day for day in days}
