"""Numbers for Prometheus: what the hub itself does not know."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily

from workbench_hub.life.culler import Looked
from workbench_hub.life.meters import Reading
from workbench_hub.life.servers import Server

__all__ = ["Metrics"]

_VERDICTS = ("active", "busy", "computing", "jobs", "silent", "warned", "stopped")


class Metrics:
    """The numbers, in a registry of their own.

    Parameters
    ----------
    state : Path
        The state directory: how full its disk is, how old the newest backup.
    """

    def __init__(self, state: Path) -> None:
        self.registry = CollectorRegistry()
        self._state = state
        self._servers: list[tuple[Server, Reading | None]] = []
        self.culled = Counter(
            "workbench_culler_verdicts",
            "How often the culler found a server so.",
            ["verdict"],
            registry=self.registry,
        )
        for verdict in _VERDICTS:
            self.culled.labels(verdict)
        self.rounds = Counter(
            "workbench_life_rounds",
            "How often all servers were looked at, by result.",
            ["result"],
            registry=self.registry,
        )
        self.last_round = Gauge(
            "workbench_life_last_round_timestamp_seconds",
            "When all servers were last looked at.",
            registry=self.registry,
        )
        self.jump = Gauge(
            "workbench_clock_jump_seconds",
            "By how much the clock was set when it was last set.",
            registry=self.registry,
        )
        self.skew = Gauge(
            "workbench_clock_skew_seconds",
            "By how much a clock is ahead of ours.",
            ["of"],
            registry=self.registry,
        )
        self.registry.register(self)

    def see(self, servers: Sequence[tuple[Server, Reading | None]]) -> None:
        """Take note of what runs."""
        self._servers = list(servers)
        self.last_round.set(time.time())

    def judged(self, looked: Sequence[Looked]) -> None:
        """Take note of what the culler found."""
        for item in looked:
            self.culled.labels(item.verdict).inc()

    def text(self) -> bytes:
        """Write everything as Prometheus reads it."""
        return generate_latest(self.registry)

    def describe(self) -> list[GaugeMetricFamily]:
        """Describe nothing beforehand."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read what changes by itself."""
        labels = ["user", "server", "profile"]
        memory = GaugeMetricFamily("workbench_server_memory_bytes", "Memory of a server.", labels=labels)
        limit = GaugeMetricFamily("workbench_server_memory_limit_bytes", "Its most memory.", labels=labels)
        cpu = GaugeMetricFamily("workbench_server_cpu_seconds", "Processor time of a server.", labels=labels)
        kills = GaugeMetricFamily(
            "workbench_server_oom_kills", "Processes of a server ended for want of memory.", labels=labels
        )
        for server, reading in self._servers:
            named = [server.user, server.name, server.profile]
            if reading is not None:
                memory.add_metric(named, reading.memory)
                limit.add_metric(named, reading.memory_limit or 0)
                cpu.add_metric(named, reading.cpu_seconds)
                kills.add_metric(named, reading.oom_kills)
        yield from (memory, limit, cpu, kills)
        running = GaugeMetricFamily("workbench_servers", "Servers that run.", labels=["profile"])
        profiles = [server.profile for server, _ in self._servers]
        for profile in sorted(set(profiles)):
            running.add_metric([profile], profiles.count(profile))
        yield running
        yield from self._disk()

    def _disk(self) -> Iterator[GaugeMetricFamily]:
        usage = shutil.disk_usage(self._state)
        yield GaugeMetricFamily("workbench_state_free_bytes", "Room where the state is.", usage.free)
        done = self._state / "life" / "backup.json"
        if done.is_file():
            yield GaugeMetricFamily(
                "workbench_backup_timestamp_seconds",
                "When the newest backup was whole.",
                done.stat().st_mtime,
            )
