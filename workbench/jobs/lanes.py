"""Lanes: which worker gets which tile next.

Neighbouring tiles of a channel read the same files, so a worker is handed a row
of them; one that read a file before, in this work or an earlier one, is handed
what needs it again.  No more is planned ahead than a few rows for each worker.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from itertools import islice

from workbench.jobs.units import File, Tile

__all__ = ["Lanes", "Readers"]

_ROW = 16
"""Most tiles that a worker is handed in a row."""

_AHEAD = 4
"""Rows that are looked through for each worker."""

_FILES = 200_000
"""Files of which it is remembered who read them."""


class Readers:
    """Who read a file last."""

    def __init__(self) -> None:
        self._who: OrderedDict[File, str] = OrderedDict()

    def note(self, tile: Tile, worker: str) -> None:
        """Note that a worker has read the files of a tile."""
        for file in tile.files:
            self._who[file] = worker
            self._who.move_to_end(file)
        while len(self._who) > _FILES:
            self._who.popitem(last=False)

    def of(self, tile: Tile) -> dict[str, int]:
        """Return how many of a tile's files each worker has read."""
        found: dict[str, int] = {}
        for file in tile.files:
            worker = self._who.get(file)
            if worker is not None:
                found[worker] = found.get(worker, 0) + 1
        return found


class Lanes:
    """Rows of tiles, a lane for each worker.

    Parameters
    ----------
    tiles : iterable of Tile
        In their order; gone through as they are needed.
    readers : Readers
    """

    def __init__(self, tiles: Iterable[Tile], readers: Readers) -> None:
        self._rows = _rows(tiles)
        self._readers = readers
        self._ahead: deque[deque[Tile]] = deque()
        self._lanes: dict[str, deque[Tile]] = {}
        self._workers = 1
        self._over = False

    def use(self, workers: Iterable[str]) -> None:
        """Say which workers there are now; what was meant for one that is gone is for the others."""
        there = set(workers)
        self._workers = max(len(there), 1)
        for gone in set(self._lanes) - there:
            row = self._lanes.pop(gone)
            if row:
                self._ahead.appendleft(row)

    def take(self, worker: str) -> Tile | None:
        """Return the next tile for a worker; None if there is none left for anybody."""
        lane = self._lanes.get(worker)
        if not lane:
            lane = self._next(worker)
            if lane is None:
                return None
            self._lanes[worker] = lane
        return lane.popleft()

    def _next(self, worker: str) -> deque[Tile] | None:
        while not self._over and len(self._ahead) < _AHEAD * self._workers:
            row = next(self._rows, None)
            if row is None:
                self._over = True
            else:
                self._ahead.append(row)
        if self._ahead:
            # Files that nobody has read are better than those that another one has.
            def fits(row: deque[Tile]) -> int:
                read = self._readers.of(row[0])
                return read.get(worker, 0) * 2 - sum(read.values())

            best = max(range(len(self._ahead)), key=lambda at: (fits(self._ahead[at]), -at))
            row = self._ahead[best]
            del self._ahead[best]
            return row
        longest = max(self._lanes.values(), key=len, default=None)
        if not longest:
            return None
        # Whoever has nothing left takes the far half of what another has before it.
        return deque([longest.pop() for _ in range(-(-len(longest) // 2))][::-1])


def _rows(tiles: Iterable[Tile]) -> Iterator[deque[Tile]]:
    """Cut tiles into rows of one unit."""
    waiting = iter(tiles)
    held: Tile | None = next(waiting, None)
    while held is not None:
        row = deque([held])
        held = None
        for tile in islice(waiting, _ROW - 1):
            if tile.unit != row[0].unit:
                held = tile
                break
            row.append(tile)
        else:
            held = next(waiting, None)
        yield row
