"""The process `life`: looks at all servers every half minute, and does what follows.

Where somebody has something new to say to users, it looks at once.

It counts usage, stops what nobody uses, tells users what they should know, and
shows all that at ``/services/usage/``.  Killed at any time it takes up where it
was; while it is away nothing is stopped, and no hour is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from workbench.errors import WorkbenchError
from workbench_hub.life.audit import AuditLog
from workbench_hub.life.clock import TOLERANCE, Clock, skew
from workbench_hub.life.culler import Culler, Key, Rules
from workbench_hub.life.jobs import JobsOf
from workbench_hub.life.jobusage import JobUsage
from workbench_hub.life.meters import Meter, Reading
from workbench_hub.life.metrics import Metrics
from workbench_hub.life.notices import Announcements, Board, Notice, notice_of
from workbench_hub.life.servers import Hub, Server
from workbench_hub.life.usage import Sample, Usage

__all__ = ["Life", "Means"]

_LOG = logging.getLogger("workbench_hub.life")
_ALWAYS = 2.0  # a part of the interval for which somebody who counts without a break may be late
_SKEW_EVERY = 600.0
_LISTEN_EVERY = 1.0
_TRIES = 5


@dataclass(frozen=True)
class Means:
    """What the service works with.

    Parameters
    ----------
    hub : Hub
    meter : Meter
    usage : Usage
    jobs : JobsOf
    audit : AuditLog
    board : Board
    announcements : Announcements
    metrics : Metrics
    rules : Rules or None
        When servers are stopped; None: never.
    cull_every, look_every : timedelta
    neighbours : dict
        Addresses of those whose clocks are compared with ours, by their names.
    job_usage : JobUsage
        What jobs used on the cluster.
    """

    hub: Hub
    meter: Meter
    usage: Usage
    jobs: JobsOf
    audit: AuditLog
    board: Board
    announcements: Announcements
    metrics: Metrics
    rules: Rules | None
    cull_every: timedelta = timedelta(minutes=5)
    look_every: timedelta = timedelta(seconds=30)
    neighbours: tuple[tuple[str, str], ...] = ()
    job_usage: JobUsage = field(default_factory=lambda: JobUsage(None))


class Life:
    """Everything that is done again and again.

    Parameters
    ----------
    means : Means
    """

    def __init__(self, means: Means) -> None:
        self.means = means
        self.servers: list[tuple[Server, Reading | None]] = []
        rules = means.rules
        self._culler = Culler(means.hub, means.jobs, _Teller(means), rules) if rules else None
        self._clock = Clock()
        self._counted = False
        self._next_cull = self._next_skew = 0.0
        self._told: dict[Key, list[str]] = {}
        self._missed: Counter[Key] = Counter()
        self._said: list[float] = []

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            begun = monotonic()
            self._said = self._when_said()
            result = "done"
            try:
                await self.round()
            except (WorkbenchError, OSError) as error:
                result = "failed"
                _LOG.warning("this round failed: %s", error)
            self.means.metrics.rounds.labels(result).inc()
            await self._pause(max(self.means.look_every.total_seconds() - (monotonic() - begun), 0.1))

    async def _pause(self, seconds: float) -> None:
        """Wait until it is time for the next round, or until there is something new to tell."""
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0 and self._said == self._when_said():
            await asyncio.sleep(min(left, _LISTEN_EVERY))

    def _when_said(self) -> list[float]:
        """Return when notices and announcements were last changed."""
        return [one.changed() for one in (self.means.board, self.means.announcements)]

    async def round(self) -> None:
        """Look at everything once."""
        means = self.means
        passed, jump = self._clock.look()
        if abs(jump) > TOLERANCE:
            _LOG.warning("this machine's clock was set by %.0f s", jump.total_seconds())
            means.metrics.jump.set(jump.total_seconds())
        servers = await means.hub.servers()
        self.servers = await asyncio.to_thread(self._read, servers)
        means.metrics.see(self.servers)
        if self._culler is not None and monotonic() >= self._next_cull:
            self._next_cull = monotonic() + means.cull_every.total_seconds()
            cpu = {server.key: reading.cpu_seconds for server, reading in self.servers if reading is not None}
            means.metrics.judged(await self._culler.look(servers, cpu))
        await asyncio.to_thread(means.board.ended, servers)
        self._said = self._when_said()  # what the round itself has said is no news
        await self._tell(servers)
        await self._compare_clocks()
        # Last, so that a database which is away keeps from nothing else.
        samples = [_sample(server, reading) for server, reading in self.servers]
        most = passed * _ALWAYS if self._counted else None
        self._counted = False
        await asyncio.to_thread(means.usage.record, samples, datetime.now(UTC), most)
        self._counted = True

    def notices(self, user: str, groups: Sequence[str], server: str | None = None) -> list[Notice]:
        """Return what a user has to know now, in a server of theirs or anywhere."""
        standing = self.means.announcements.standing(datetime.now(UTC), tuple(groups))
        own = [
            notice
            for notice in self.means.board.of(user)
            if server is None or (notice.standing and notice.server == server)
        ]
        return own + [notice_of(name, one) for name, one in standing]

    def _read(self, servers: list[Server]) -> list[tuple[Server, Reading | None]]:
        return [(server, self.means.meter.read(server)) for server in servers]

    async def _tell(self, servers: list[Server]) -> None:
        """Give each server the notices that it does not have yet."""
        keys = {server.key for server in servers}
        self._told = {key: ids for key, ids in self._told.items() if key in keys}
        await asyncio.gather(*(self._tell_one(server) for server in servers))

    async def _tell_one(self, server: Server) -> None:
        notices = self.notices(server.user, server.groups, server.name)
        ids = [notice.id for notice in notices]
        if self._told.get(server.key, []) == ids:
            return
        try:
            await self.means.hub.tell(server, [asdict(notice) for notice in notices])
        except WorkbenchError as error:
            # A server without the extension never takes them; the hub's pages show them all the same.
            self._missed[server.key] += 1
            if self._missed[server.key] < _TRIES:
                return
            _LOG.info("%s was not told: %s", server.label, error)
        self._missed.pop(server.key, None)
        self._told[server.key] = ids

    async def _compare_clocks(self) -> None:
        if monotonic() < self._next_skew:
            return
        self._next_skew = monotonic() + _SKEW_EVERY
        for name, url in self.means.neighbours:
            try:
                found = await asyncio.to_thread(skew, url)
            except WorkbenchError as error:
                _LOG.info("%s", error)
                continue
            self.means.metrics.skew.labels(name).set(found.total_seconds())
            if abs(found) > TOLERANCE:
                _LOG.warning("the clock of %s is %.0f s ahead of ours", name, found.total_seconds())


class _Teller:
    """Tells users what the culler does, and writes it down."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def warn(self, server: Server, left: timedelta) -> None:
        self._means.board.warn(server, left)

    def keep(self, server: Server) -> None:
        self._means.board.keep(server)

    def stopped(self, server: Server, idle: timedelta) -> None:
        self._means.board.keep(server)
        self._means.board.stopped(server, idle)
        try:
            self._means.audit.append(
                "culled",
                actor="culler",
                subject=server.user,
                server=server.name,
                idle=round(idle.total_seconds()),
            )
        except OSError as error:
            _LOG.critical("the audit log takes nothing (%s): culled %s", error, server.label)


def _sample(server: Server, reading: Reading | None) -> Sample:
    sample = Sample(
        server.user, server.name, server.started, profile=server.profile or "standard", image=server.image
    )
    if reading is None:
        return sample
    return replace(
        sample,
        memory=reading.memory,
        memory_peak=reading.memory_peak,
        cpu_seconds=reading.cpu_seconds,
        oom_kills=reading.oom_kills,
    )


def describe(total: Any) -> dict[str, Any]:
    """Write one user's total as JSON."""
    return {
        key: round(value, 4) if isinstance(value, float) else value for key, value in asdict(total).items()
    }
