"""Tiles worked off on a Dask cluster.

What is under way at one time is bounded by the workers there are, results stay
out of the scheduler, and a worker that is lost costs no more than the tiles it
was at.
"""

from __future__ import annotations

import heapq
import secrets
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from workbench.errors import Unavailable
from workbench.jobs.here import POLL_S
from workbench.jobs.job import Job
from workbench.jobs.lanes import Lanes, Readers
from workbench.jobs.tilework import Outcome, work
from workbench.jobs.units import Tile
from workbench.jobs.versions import check_workers

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["spread"]

_AHEAD = 2
"""Tasks that a thread of a worker has before it, so that it never waits for the next."""

_LEAST = 8
"""Tasks that are under way where there are no workers yet: a cluster that adapts starts some for them."""

_LOOK_S = 1.0
"""How often it is looked which workers there are."""

_GRACE_S = 3.0
"""How long a task is left with a worker that is gone."""

_QUICK_S = 0.05
"""Tiles that take less go to a worker several at a time."""

_TOGETHER = 8

_readers: WeakKeyDictionary[Client, Readers] = WeakKeyDictionary()
"""Who read which file, in all that was run with a client."""


def spread(
    client: Client, job: Job, tiles: Iterable[Tile], retries: int = 1
) -> Generator[tuple[Tile, Outcome]]:
    """Work off tiles on a cluster; they come back as they are finished.

    Closing the generator cancels what is under way; tiles that are finished stay.

    Parameters
    ----------
    client : distributed.Client
    job : Job
    tiles : iterable of Tile
    retries : int
        How often a tile that failed is tried again.

    Raises
    ------
    InvalidSetting
        If the kernel is nowhere that a worker could import it from.
    Unavailable
        If workers have another version, do not see the store, or the cluster is lost.
    """
    check_workers(client, job)
    yield from _Spread(client, job, tiles, retries).run()


class _Spread:
    """One work on a cluster."""

    def __init__(self, client: Client, job: Job, tiles: Iterable[Tile], retries: int) -> None:
        self.client, self.job, self.retries = client, job, retries
        self.readers = _readers.setdefault(client, Readers())
        self.lanes = Lanes(tiles, self.readers)
        self.threads: dict[str, int] = {}
        self.looked = 0.0
        self.under_way: dict[str, tuple[str, list[Tile], Future[Any]]] = {}
        self.absent: dict[str, float] = {}
        self.recalled: set[str] = set()
        self.suspects: list[Tile] = []
        self.solos: list[Tile] = []
        self.held: set[str] = set()
        self.alone: set[str] = set()
        self.load: dict[str, int] = {}
        self.again: list[tuple[float, int, Tile]] = []
        self.tried: dict[int, int] = {}
        self.mean_s = 1.0

    def run(self) -> Generator[tuple[Tile, Outcome]]:
        from distributed import as_completed

        done = as_completed([], loop=self.client.loop, with_results=True, raise_errors=False)
        try:
            while self._fill(done):
                if not self.under_way:
                    # All that is left is somebody else's, or waits to be tried again.
                    threading.Event().wait(POLL_S)
                    continue
                with done.thread_condition:
                    if not done.has_ready():
                        done.thread_condition.wait(_LOOK_S)
                for future, result in done.next_batch(block=False):
                    yield from self._take(future, result)
                self._check_alive()
        finally:
            futures = list(done.futures)
            if futures and self.client.status == "running":
                with suppress(OSError, TimeoutError):
                    self.client.cancel(futures)
            done.clear()

    def _check_alive(self) -> None:
        """Give up on a cluster that is gone: it would not know of its tasks if it came back."""
        if self.client.status != "running":
            raise Unavailable(
                "The cluster", "is not there any more", "Start it again; tiles that are finished are kept."
            )

    def _fill(self, done: Any) -> bool:
        """Send tiles out; return whether anything is left to wait for."""
        self._look()
        places = self.threads or {"": max(1, _LEAST // _AHEAD)}
        room = [one for one in places if self.load.get(one, 0) < places[one] * _AHEAD]
        # The one that has least before it comes first.
        for address in sorted(room, key=lambda one: self.load.get(one, 0) / places[one]):
            if self.solos or self.suspects or self.held & self.under_way.keys():
                self._try_suspect(done, address)
                continue
            while self.load.get(address, 0) < places[address] * _AHEAD:
                tiles = self._next(address)
                if not tiles:
                    break
                done.add(self._send(address, tiles))
        return bool(self.under_way or self.again or self.suspects or self.solos)

    def _try_suspect(self, done: Any, address: str) -> None:
        """Try a tile that was lost with a worker: with no other on its worker, and then with no other at all.

        One of them may end its worker each time, and would take along what is beside or behind it.
        """
        if self.alone & self.under_way.keys():
            return
        if self.solos:
            if self.under_way:
                return
            tile, kept = self.solos.pop(), self.alone
        elif self.suspects and not self.load.get(address):
            tile, kept = self.suspects.pop(), self.held
        else:
            return
        future = self._send(address, [tile])
        kept.add(str(future.key))
        self.held.add(str(future.key))
        done.add(future)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self.looked > _LOOK_S or not self.threads:
            self.threads = dict(self.client.nthreads())
            self.lanes.use(self.threads)
            self.looked = now
            self._recall()

    def _recall(self) -> None:
        """Take back what was meant for workers that are gone.

        Dask keeps a task that came when there was no worker for the one that it
        names, and does not give it to another, even where it may.
        """
        now = time.monotonic()
        absent = {address for address, _, _ in self.under_way.values() if address not in self.threads}
        # Dask tells soon of what it gives up, or gives to another: that is worth more than our guess.
        self.absent = {address: self.absent.get(address, now) for address in absent if address}
        gone = [
            future
            for key, (address, _, future) in self.under_way.items()
            if key not in self.recalled and now - self.absent.get(address, now) > _GRACE_S
        ]
        if gone:
            self.recalled.update(str(future.key) for future in gone)
            self.client.cancel(gone)

    def _next(self, address: str) -> list[Tile]:
        if self.again and self.again[0][0] <= time.monotonic():
            return [heapq.heappop(self.again)[2]]
        found = []
        for _ in range(_TOGETHER if self.mean_s < _QUICK_S else 1):
            tile = self.lanes.take(address)
            if tile is None:
                break
            found.append(tile)
        return found

    def _send(self, address: str, tiles: list[Tile]) -> Future[Any]:
        where = {"workers": [address], "allow_other_workers": True} if address else {}
        future: Future[Any] = self.client.submit(
            _task, self.job, tiles, pure=False, key=f"tile-{self.job.name}-{secrets.token_hex(6)}", **where
        )
        self.under_way[str(future.key)] = address, tiles, future
        self.load[address] = self.load.get(address, 0) + 1
        return future

    def _take(self, future: Future[Any], result: Any) -> Generator[tuple[Tile, Outcome]]:
        address, tiles, _ = self.under_way.pop(str(future.key))
        self.load[address] -= 1
        recalled = str(future.key) in self.recalled
        if future.status == "finished":
            worker, outcomes = result
            for tile, outcome in zip(tiles, outcomes, strict=True):
                yield from self._settle(tile, outcome, worker)
            return
        self._check_alive()
        if recalled and future.status == "cancelled":
            for tile in tiles:
                if str(future.key) in self.alone:
                    self.solos.append(tile)
                elif str(future.key) in self.held:
                    self.suspects.append(tile)
                else:
                    heapq.heappush(self.again, (0.0, tile.number, tile))
            return
        error = future.exception() if future.status == "error" else None
        text = "was cancelled" if error is None else f"{type(error).__name__}: {error}"
        text = " ".join(text.partition(". ")[0].split())
        key = str(future.key)
        for tile in tiles:
            said = "WorkbenchError", tile.name, f"its worker was lost ({text})", "It may need more memory."
            if key in self.alone:
                outcome = Outcome(tile.number, "failed", error=said)
                yield from self._settle(tile, outcome, "", alone=True)
            else:
                (self.solos if key in self.held else self.suspects).append(tile)

    def _settle(
        self, tile: Tile, outcome: Outcome, worker: str, *, alone: bool = False
    ) -> Generator[tuple[Tile, Outcome]]:
        if outcome.state == "busy":
            heapq.heappush(self.again, (time.monotonic() + POLL_S, tile.number, tile))
            return
        tried = self.tried.get(tile.number, 0)
        if outcome.state == "failed" and not outcome.lasting and tried < self.retries:
            self.tried[tile.number] = tried + 1
            if alone:
                self.solos.append(tile)
            else:
                heapq.heappush(self.again, (0.0, tile.number, tile))
            return
        if outcome.state == "computed":
            self.readers.note(tile, worker)
            self.mean_s = 0.8 * self.mean_s + 0.2 * outcome.wall_s
        yield tile, outcome


def _task(job: Job, tiles: Sequence[Tile]) -> tuple[str, list[Outcome]]:
    """Work on tiles, in a worker."""
    from distributed import get_worker

    return get_worker().address, [work(job, tile) for tile in tiles]
