"""The culler: stops servers that nobody uses, and never one that works.

A server is kept while any of these holds:

- something happened in it within the idle time, as it says itself;
- one of its kernels is busy, silent or not;
- its processes use more than a tenth of a core;
- its user has jobs elsewhere, or nobody can tell;
- it does not answer, so that nobody can tell.

Its user is warned first, and a server that was not warned for as long as the
policy says is not stopped, whatever the clock says meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Protocol

from workbench.errors import WorkbenchError
from workbench_hub.life.jobs import JobsOf
from workbench_hub.life.servers import Activity, Server

__all__ = ["Culler", "Looked", "Rules", "Teller"]

_LOG = logging.getLogger("workbench_hub.culler")
_BUSY_CORES = 0.1
_AT_ONCE = 10

Key = tuple[str, str, datetime]
Verdict = str
"""``active``, ``busy``, ``computing``, ``jobs``, ``silent``, ``warned``, ``stopped`` or ``disabled``."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a server is stopped.

    Parameters
    ----------
    idle : timedelta
        How long nothing happens before it is stopped.
    warn : timedelta
        How long before that its user is told.
    """

    idle: timedelta
    warn: timedelta


class Asked(Protocol):
    """Who knows servers: `workbench_hub.life.servers.Hub`."""

    async def activity(self, server: Server) -> Activity:
        """Ask a server."""

    async def stop(self, server: Server) -> None:
        """Stop a server."""


class Teller(Protocol):
    """Who tells users: `workbench_hub.life.notices.Board`."""

    def warn(self, server: Server, left: timedelta) -> None:
        """Say that a server will be stopped."""

    def keep(self, server: Server) -> None:
        """Take the warning back."""

    def stopped(self, server: Server, idle: timedelta) -> None:
        """Say that a server was stopped."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found of one server."""

    server: Server
    verdict: Verdict
    reason: str = ""
    idle: timedelta = timedelta(0)


@dataclass
class Culler:
    """Looks at servers again and again; knows when each was warned.

    Parameters
    ----------
    hub : Asked
    jobs : JobsOf
    teller : Teller
    rules : Rules
    clock : callable, optional
        Seconds of a clock that nobody sets.
    wall : callable, optional
        The clock by which servers say when something happened.
    """

    hub: Asked
    jobs: JobsOf
    teller: Teller
    rules: Rules
    clock: Callable[[], float] = monotonic
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    counts: Counter[Verdict] = field(default_factory=Counter)
    _warned: dict[Key, float] = field(default_factory=dict)
    _cpu: dict[Key, tuple[float, float]] = field(default_factory=dict)
    _looked: dict[Key, float] = field(default_factory=dict)
    _still: dict[Key, tuple[datetime, timedelta, float]] = field(default_factory=dict)

    async def look(self, servers: Iterable[Server], cpu: dict[Key, float] | None = None) -> list[Looked]:
        """Look at all servers once; warn and stop.

        Parameters
        ----------
        servers : iterable of Server
            All that run.
        cpu : dict, optional
            Processor time that each has used since it began, in seconds, by `Server.key`, where it is known.
        """
        servers = list(servers)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(server: Server) -> Looked:
            async with gate:
                return await self._one(server, (cpu or {}).get(server.key))

        looked = await asyncio.gather(*(one(server) for server in servers))
        keys = {server.key for server in servers}
        self._warned = {key: time for key, time in self._warned.items() if key in keys}
        self._cpu = {key: value for key, value in self._cpu.items() if key in keys}
        self._looked = {key: value for key, value in self._looked.items() if key in keys}
        self._still = {key: value for key, value in self._still.items() if key in keys}
        self.counts.update(item.verdict for item in looked)
        return list(looked)

    async def _one(self, server: Server, cpu: float | None) -> Looked:
        computing = self._computes(server, cpu)
        looked = await self._verdict(server, computing)
        if looked.verdict not in ("warned", "stopped"):
            if self._warned.pop(server.key, None) is not None:
                _LOG.info("%s is %s again: the warning is taken back", server.label, looked.verdict)
                self.teller.keep(server)
            return looked
        now = self.clock()
        since = self._warned.get(server.key)
        if since is None:
            _LOG.info("%s is idle for %s: its user is warned", server.label, looked.idle)
            # First said, then noted: what a full disk kept from being said was no warning.
            self.teller.warn(server, max(self.rules.idle - looked.idle, self.rules.warn))
            since = self._warned[server.key] = now
        if looked.verdict == "warned" or now - since < self.rules.warn.total_seconds():
            return Looked(server, "warned", idle=looked.idle)
        return await self._stop(looked)

    async def _verdict(self, server: Server, computing: bool) -> Looked:
        if computing:
            return Looked(server, "computing")
        try:
            activity = await self.hub.activity(server)
        except WorkbenchError as error:
            return Looked(server, "silent", str(error))
        idle = self._idle(server, activity.last)
        if activity.busy:
            return Looked(server, "busy", ", ".join(activity.busy), idle)
        if idle < self.rules.idle - self.rules.warn:
            return Looked(server, "active", idle=idle)
        try:
            jobs = await asyncio.to_thread(self.jobs, server.user)
        except (WorkbenchError, OSError) as error:
            return Looked(server, "jobs", f"nobody knows: {error}", idle)
        if jobs:
            return Looked(server, "jobs", ", ".join(map(str, jobs)), idle)
        return Looked(server, "stopped" if idle >= self.rules.idle else "warned", idle=idle)

    async def _stop(self, looked: Looked) -> Looked:
        server = looked.server
        try:
            await self.hub.stop(server)
        except WorkbenchError as error:
            return Looked(server, "silent", str(error), looked.idle)
        del self._warned[server.key]
        _LOG.info("%s was idle for %s and is stopped", server.label, looked.idle)
        self.teller.stopped(server, looked.idle)
        return looked

    def _idle(self, server: Server, last: datetime) -> timedelta:
        """For how long nothing happened; a clock that jumps ahead makes nobody idle."""
        now = self.clock()
        # A time to come is that of a clock which was set back since.
        idle = max(self.wall() - last, timedelta(0))
        before = self._still.get(server.key)
        if before is None or before[0] != last:
            most = idle if before is None else timedelta(seconds=now - self._looked.get(server.key, now))
            self._still[server.key] = last, min(idle, most), now
        self._looked[server.key] = now
        _, then, since = self._still[server.key]
        return min(idle, then + timedelta(seconds=now - since))

    def _computes(self, server: Server, cpu: float | None) -> bool:
        """Whether its processes used a good part of a core since the last look."""
        if cpu is None:
            return False
        now = self.clock()
        before = self._cpu.get(server.key)
        self._cpu[server.key] = cpu, now
        if before is None or now <= before[1]:
            return False
        return (cpu - before[0]) / (now - before[1]) > _BUSY_CORES
