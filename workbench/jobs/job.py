"""A job: what all tiles of one work have in common, as plain as it has to be to go to other machines."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

from obspy import Inventory, UTCDateTime

from workbench.archive import Selection, Source
from workbench.archive.sdsreader import SdsReader
from workbench.archive.stations import Level, select
from workbench.archive.trees import Local
from workbench.calls import Call, Policy
from workbench.calls.reader import Reader
from workbench.jobs.tilestore import TileStore
from workbench.jobs.units import Tile

__all__ = ["Job"]

_STATIONS = 64
"""Stations whose metadata a process remembers."""


@dataclass(frozen=True)
class Job:
    """What is done with each tile.

    Parameters
    ----------
    name : str
        Names the work, the same for the same work: for logs.
    token : str
        Names this job alone, so that a process knows it again.
    process : str
        Id of the kernel.
    waveforms : str
        The input that takes the selected data.
    inputs : dict
        Settings, and the data that all tiles share, as a Call has them.
    sources : tuple of Source
        Where the archives are.
    store : TileStore
        Where finished tiles go.
    code, environment : str
        Whoever works on a tile has to have the same.
    module : str
        Where the kernel is declared.
    user, batch : str
        Who asks, and in which SLURM job: for logs.
    """

    name: str
    token: str
    process: str
    waveforms: str
    inputs: dict[str, Any]
    sources: tuple[Source, ...]
    store: TileStore
    code: str
    environment: str
    module: str
    user: str = ""
    batch: str = field(default_factory=lambda: os.environ.get("SLURM_JOB_ID", ""))

    def call(self, tile: Tile, *, inner: bool = False) -> Call:
        """Return the Call that a tile is; with `inner` that of its inner data alone."""
        inputs = {**tile.inputs, self.waveforms: list(tile.inner)} if inner else tile.inputs
        given = {
            name: [{"selection": text} for text in texts] if len(texts) > 1 else {"selection": texts[0]}
            for name, texts in inputs.items()
        }
        return Call(process=self.process, inputs={**self.inputs, **given})

    def policy(self, tile: Tile) -> Policy:
        """Say where the data of a tile come from."""
        sources = tuple(_Remembering(source, self.known, tile.metadata) for source in self.sources)
        return Policy(sources=sources, reader=self.reader)

    @cached_property
    def reader(self) -> Reader:
        """Reads what all tiles share, once in each process."""
        return Reader()

    @cached_property
    def known(self) -> _Known:
        """Stations that were read in this process."""
        return _Known()

    @cached_property
    def unseen(self) -> dict[int, str]:
        """What this process does not see: archives by their number, the store as -1."""
        roots = {
            number: source.index.tree.root
            for number, source in enumerate(self.sources)
            if isinstance(source, SdsReader) and isinstance(source.index.tree, Local)
        }
        found = {number: f"the archive {root}" for number, root in roots.items() if not root.is_dir()}
        return found if self.store.seen() else {-1: str(self.store.folder), **found}

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: value for key, value in self.__dict__.items() if key not in ("reader", "known", "unseen")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class _Known:
    """The inventories that were used last."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[object, ...], Inventory] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[object, ...]) -> Inventory | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def put(self, key: tuple[object, ...], inventory: Inventory) -> None:
        with self._lock:
            self._found[key] = inventory
            while len(self._found) > _STATIONS:
                self._found.popitem(last=False)


class _Remembering:
    """A source that reads the metadata of a station once, and not for each of its tiles."""

    def __init__(self, source: Source, known: _Known, version: str) -> None:
        self._source, self._known, self._version = source, known, version

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

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
        codes = (network, station, location, channel)
        key = (id(self._source), codes, level, self._version)
        found = self._known.get(key)
        if found is None:
            found = self._source.get_stations(*codes, None, None, level)
            self._known.put(key, found)
        return select(found, Selection(*codes, starttime, endtime), level)

    def get_waveforms(self, *asked: Any) -> Any:
        return self._source.get_waveforms(*asked)

    def get_events(self, *asked: Any, **limits: Any) -> Any:
        return self._source.get_events(*asked, **limits)
