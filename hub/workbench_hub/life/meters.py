"""What a running server uses: of a container by the kernel's counters, of plain processes by adding up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import docker
import psutil
import requests
from docker.errors import APIError, DockerException, NotFound

from workbench_hub.containers import counters
from workbench_hub.life.servers import Server

__all__ = ["Containers", "Meter", "Processes", "Reading"]

_TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server uses now, and used since it began."""

    memory: int
    memory_peak: int
    memory_limit: int | None
    cpu_seconds: float
    oom_kills: int = 0


class Meter(Protocol):
    """Reads what servers use; called in a thread."""

    def read(self, server: Server) -> Reading | None:
        """Return what a server uses; None if nobody can tell."""

    def close(self) -> None:
        """Let go of what was opened."""


class Containers:
    """Servers that are containers.

    Parameters
    ----------
    url : str
        Of the Docker daemon.  It is asked once for each container; from then
        on the kernel's files say everything, also while the daemon is away.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: docker.APIClient | None = None
        self._pids: dict[str, int] = {}

    def read(self, server: Server) -> Reading | None:
        """Return what a container uses."""
        container = str(server.state.get("object_id", ""))
        pid = self._pid(container)
        if pid is None:
            return None
        found = counters.read(pid)
        if found is None:
            return None
        return Reading(
            found.memory,
            found.memory_peak or found.memory,
            found.memory_limit,
            found.cpu_seconds,
            found.oom_kills,
        )

    def close(self) -> None:
        """Close the connection to the daemon."""
        if self._client is not None:
            self._client.close()

    def _pid(self, container: str) -> int | None:
        """Return the first process of a container, as long as it is one."""
        known = self._pids.get(container)
        if known is not None and _is_in(known, container):
            return known
        self._pids.pop(container, None)
        try:
            if self._client is None:
                self._client = docker.APIClient(base_url=self._url, version="auto", timeout=_TIMEOUT)
            pid = int(self._client.inspect_container(container)["State"]["Pid"]) if container else 0
        except (NotFound, APIError, DockerException, requests.RequestException):
            return None
        if not pid or not _is_in(pid, container):
            return None
        self._pids[container] = pid
        return pid


class Processes:
    """Servers that are plain processes: a process of a known number, and all that it started."""

    def __init__(self) -> None:
        self._peaks: dict[tuple[int, float], int] = {}

    def read(self, server: Server) -> Reading | None:
        """Add up what a server and its kernels use."""
        memory, seconds = 0, 0.0
        try:
            first = psutil.Process(int(server.state["pid"]))
            for process in [first, *first.children(recursive=True)]:
                try:
                    memory += process.memory_info().rss
                    times = process.cpu_times()
                    # Of those that ended their parent knows.
                    seconds += times.user + times.system + times.children_user + times.children_system
                except psutil.Error:
                    continue
            key = first.pid, first.create_time()
        except (psutil.Error, KeyError, ValueError):
            return None
        self._peaks[key] = max(memory, self._peaks.get(key, 0))
        return Reading(memory, self._peaks[key], None, seconds)

    def close(self) -> None:
        """Forget the peaks."""
        self._peaks.clear()


def _is_in(pid: int, container: str) -> bool:
    """Whether a process belongs to a container: the kernel gives numbers to others after a while."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
