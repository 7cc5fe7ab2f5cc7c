"""Stations of an archive: one StationXML file a station, with all its epochs.

``stations/NET.STA.xml`` grows by what is added: an epoch that is new is put
in, one that has changed is replaced, and the file as it was before is kept
under ``stations/history``.  No epoch is ever taken out.
"""

from __future__ import annotations

import copy
import hashlib
import math
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Literal

from obspy import Inventory, UTCDateTime, read_inventory
from obspy.core.inventory import Channel, Network, Station

from workbench.archive.files import lock, replace_file, trouble
from workbench.archive.layout import check_id
from workbench.archive.selection import Selection, matches
from workbench.archive.trees import Local, Tree, names_in
from workbench.errors import BadInput, UnreadableFile, WorkbenchError
from workbench.notices import notice

__all__ = ["Level", "StationStore", "overlapping", "select", "station_files", "stations_in"]

Level = Literal["network", "station", "channel", "response"]

_FOLDER = "stations"
_FAR_M = 100.0
_METRES_PER_DEGREE = 111_195.0


@dataclass(frozen=True, slots=True)
class StationStore:
    """The folder of an archive's StationXML files.

    Parameters
    ----------
    root : Path
        Root of the archive.
    """

    root: Path

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.root / _FOLDER

    def add(self, inventory: Inventory) -> list[str]:
        """Add the epochs of an inventory; return the stations (``NET.STA``) whose file changed.

        What contradicts is a notice: the new version is used, the old one is
        kept in the history.

        Raises
        ------
        BadInput
            If nothing of it can be kept.
        """
        fresh = _plain(inventory)
        changed: list[str] = []
        refused: list[WorkbenchError] = []
        codes = sorted({(network.code, station.code) for network in fresh for station in network})
        for network, station in codes:
            try:
                check_id(f"{network}.{station}..X")
            except BadInput:
                refused.append(
                    BadInput(f"{network}.{station}", "has codes that are no SEED codes", "Correct them.")
                )
                continue
            if self._add(network, station, fresh):
                changed.append(f"{network}.{station}")
        if refused and len(refused) == len(codes):
            raise refused[0]
        for problem in refused:
            notice(problem.subject, problem.problem, problem.remedy)
        return changed

    def _add(self, network: str, station: str, fresh: Inventory) -> bool:
        code = f"{network}.{station}"
        path = self.folder / f"{code}.xml"
        with lock(self.root / ".workbench" / "locks" / f"{code}.stations.lock", code):
            old = _content(path)
            there = _parse(old, str(path)) if old else Inventory(networks=[])
            before = _plain(there) if old else None
            for epoch in fresh:
                for site in epoch:
                    if (epoch.code, site.code) == (network, station):
                        _put(there, epoch, site)
            if before is not None and _same(before, there):
                return False
            if old:
                name = f"{code}.{hashlib.sha256(old).hexdigest()[:12]}.xml"
                replace_file(self.folder / "history" / name, old)
            replace_file(path, _bytes(there))
        for text in overlapping(there):
            notice(text, "has two epochs at one time", "Close the older one in its StationXML.", loss=False)
        return True

    def get(self, selection: Selection, level: Level = "response") -> Inventory:
        """Return what is known of the selected channels within the time span.

        A file that cannot be read is a notice.
        """
        return stations_in(Local(self.root), selection, level)


def stations_in(tree: Tree, selection: Selection, level: Level = "response") -> Inventory:
    """Return what the StationXML files of an archive say of the selected channels within the time span.

    A file that cannot be read is a notice.
    """
    found = Inventory(networks=[])
    for path in station_files(tree, selection):
        try:
            content = tree.read(path)
            if content:
                found.networks += select(_parse(content, tree.full(path)), selection, level).networks
        except UnreadableFile as error:
            notice(error.subject, error.problem, error.remedy)
    return found


def station_files(tree: Tree, selection: Selection) -> list[str]:
    """Return the StationXML files of an archive that may tell of the selected stations."""
    found = []
    for name in names_in(tree, _FOLDER):
        stem, _, ending = name.rpartition(".")
        codes = stem.split(".")
        # Somebody may have put a whole network into one file.
        if ending == "xml" and (
            len(codes) != 2 or (matches(codes[0], selection.network) and matches(codes[1], selection.station))
        ):
            found.append(f"{_FOLDER}/{name}")
    return found


def select(inventory: Inventory, selection: Selection, level: Level = "response") -> Inventory:
    """Return the selected epochs of an inventory, which is not changed.

    Parameters
    ----------
    inventory : Inventory
    selection : Selection
    level : str
        How deep to go: network, station, channel or response.
    """
    every = (selection.location, selection.channel) == ("*", "*")
    networks = []
    for network in inventory:
        if not (matches(network.code, selection.network) and _within(network, selection)):
            continue
        stations = []
        for station in network:
            if not (matches(station.code, selection.station) and _within(station, selection)):
                continue
            channels = [
                channel
                for channel in station
                if matches(channel.location_code, selection.location)
                and matches(channel.code, selection.channel)
                and _within(channel, selection)
            ]
            if channels or every:
                stations.append(_station(station, channels, level))
        if stations or (every and selection.station == "*"):
            chosen = copy.copy(network)
            chosen.stations = [] if level == "network" else stations
            networks.append(chosen)
    return Inventory(networks=networks, source=inventory.source)


def _station(station: Station, channels: list[Channel], level: Level) -> Station:
    chosen = copy.copy(station)
    if level in ("network", "station"):
        chosen.channels = []
    elif level == "channel":
        chosen.channels = [copy.copy(channel) for channel in channels]
        for channel in chosen.channels:
            channel.response = _brief(channel.response)
    else:
        chosen.channels = channels
    return chosen


def _brief(response: object) -> object:
    """Leave the sensitivity, as FDSN does at level channel."""
    if response is None:
        return None
    brief = copy.copy(response)
    brief.response_stages = []  # type: ignore[attr-defined]
    return brief


def _within(node: Network | Station | Channel, selection: Selection) -> bool:
    start, end = selection.starttime, selection.endtime
    return (end is None or node.start_date is None or node.start_date <= end) and (
        start is None or node.end_date is None or node.end_date >= start
    )


def overlapping(inventory: Inventory) -> list[str]:
    """Return the channels that have two epochs at one time, as ``NET.STA.LOC.CHA``."""
    epochs: dict[str, list[tuple[float, float]]] = {}
    for network in inventory:
        for station in network:
            for channel in station:
                code = f"{network.code}.{station.code}.{channel.location_code}.{channel.code}"
                start = channel.start_date.timestamp if channel.start_date else -math.inf
                end = channel.end_date.timestamp if channel.end_date else math.inf
                epochs.setdefault(code, []).append((start, end))
    found = []
    for code, spans in sorted(epochs.items()):
        spans.sort()
        # One ends when the next begins, or by a second's rounding later.
        if any(one[1] > other[0] + 1 for one, other in pairwise(spans)):
            found.append(code)
    return found


def _put(there: Inventory, network: Network, station: Station) -> None:
    """Put one station epoch into an inventory of that station."""
    home = next((one for one in there if one.start_date == network.start_date), None)
    if home is None:
        home = copy.copy(network)
        home.stations = []
        there.networks.append(home)
    known = next((s for one in there for s in one if s.start_date == station.start_date), None)
    if known is None:
        known = copy.copy(station)
        known.channels = []
        home.stations.append(known)
    else:
        _compare(f"{network.code}.{station.code}", known, station)
        channels = known.channels
        known.__dict__.update({**station.__dict__, "channels": channels})
    for channel in station:
        _put_channel(there, known, network, station, channel)
    known.channels.sort(key=lambda one: (one.location_code, one.code, one.start_date or UTCDateTime(0)))


def _put_channel(
    there: Inventory, known: Station, network: Network, station: Station, channel: Channel
) -> None:
    key = (channel.location_code, channel.code, channel.start_date)
    for one in (s for n in there for s in n):
        for place, old in enumerate(one.channels):
            if (old.location_code, old.code, old.start_date) != key:
                continue
            fresh = channel
            if channel.response is None and old.response is not None:
                # Stations come at level channel too; that is no reason to forget the response.
                fresh = copy.copy(channel)
                fresh.response = old.response
            elif old.response is not None and old.response != channel.response:
                notice(
                    f"{network.code}.{station.code}.{channel.location_code}.{channel.code}",
                    f"has another response than was known for the epoch from {channel.start_date}",
                    "The new one is used; the old one is in stations/history.",
                    loss=False,
                )
            one.channels[place] = fresh
            return
    known.channels.append(channel)


def _compare(code: str, old: Station, new: Station) -> None:
    north = (old.latitude - new.latitude) * _METRES_PER_DEGREE
    east = (old.longitude - new.longitude) * _METRES_PER_DEGREE * math.cos(math.radians(old.latitude))
    if math.hypot(north, east) > _FAR_M or abs(old.elevation - new.elevation) > _FAR_M:
        notice(
            code,
            f"has moved {math.hypot(north, east):.0f} m, and {abs(old.elevation - new.elevation):.0f} m in"
            f" height, within the epoch from {old.start_date}",
            "The new place is used; the old one is in stations/history.",
            loss=False,
        )


def _same(one: Inventory, other: Inventory) -> bool:
    return bool(_plain(one).networks == _plain(other).networks)


def _plain(inventory: Inventory) -> Inventory:
    """Return an inventory as it comes back from StationXML."""
    return _parse(_bytes(inventory), "the stations")


def _bytes(inventory: Inventory) -> bytes:
    out = BytesIO()
    inventory.write(out, format="STATIONXML")
    return out.getvalue()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise trouble(path, error) from error


def _parse(content: bytes, name: str) -> Inventory:
    try:
        return read_inventory(BytesIO(content), format="STATIONXML")
    except (SyntaxError, ValueError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())[:200]
        raise UnreadableFile(
            name, f"is no StationXML that can be read ({said})", "Repair it, or move it away."
        ) from error
